//! Log lines: for people, or as JSON for programs.

use clap::ValueEnum;
use tracing_subscriber::{EnvFilter, fmt};

/// How log lines look.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum LogFormat {
    /// `time LEVEL module: what happened field=value`.
    Text,
    /// One JSON object a line.
    Json,
}

/// Sends log lines to standard output, where Kafka's own image has them; `HELIOGRAPH_LOG` takes filter directives
/// (`debug`, `kafka_client=debug,info`). `to_stderr` leaves standard output to something else.
pub(crate) fn start(format: LogFormat, to_stderr: bool) {
    let default = if to_stderr { "warn" } else { "info" };
    let filter = EnvFilter::try_from_env("HELIOGRAPH_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    let subscriber = fmt().with_env_filter(filter).with_ansi(false).with_target(true);
    match (format, to_stderr) {
        (LogFormat::Text, false) => subscriber.init(),
        (LogFormat::Text, true) => subscriber.with_writer(std::io::stderr).init(),
        (LogFormat::Json, false) => subscriber.json().flatten_event(true).init(),
        (LogFormat::Json, true) => subscriber
            .json()
            .flatten_event(true)
            .with_writer(std::io::stderr)
            .init(),
    }
}
