//! Log lines: for people, or as JSON for programs.

use std::collections::BTreeMap;

use clap::ValueEnum;
use connect_rest::{Level, LogFilter};
use tracing_subscriber::{EnvFilter, fmt, reload};

/// How log lines look.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum LogFormat {
    /// `time LEVEL module: what happened field=value`.
    Text,
    /// One JSON object a line.
    Json,
}

/// Sends log lines to standard output, where Kafka's own image has them; `HELIOGRAPH_LOG` takes filter directives
/// (`debug`, `kafka_client=debug,info`). `to_stderr` leaves standard output to something else. Answers what changes the
/// filter later.
pub(crate) fn start(format: LogFormat, to_stderr: bool) -> Box<dyn LogFilter> {
    let default = if to_stderr { "warn" } else { "info" };
    let filter = EnvFilter::try_from_env("HELIOGRAPH_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    let subscriber = fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_target(true)
        .with_filter_reloading();
    macro_rules! start {
        ($subscriber:expr) => {{
            let subscriber = $subscriber;
            let filter = Box::new(Reload(subscriber.reload_handle()));
            subscriber.init();
            filter
        }};
    }
    match (format, to_stderr) {
        (LogFormat::Text, false) => start!(subscriber),
        (LogFormat::Text, true) => start!(subscriber.with_writer(std::io::stderr)),
        (LogFormat::Json, false) => start!(subscriber.json().flatten_event(true)),
        (LogFormat::Json, true) => start!(subscriber.json().flatten_event(true).with_writer(std::io::stderr)),
    }
}

/// The filter of a subscriber that is at work.
struct Reload<S>(reload::Handle<EnvFilter, S>);

impl<S> LogFilter for Reload<S> {
    fn apply(&self, root: Level, targets: &BTreeMap<String, Level>) {
        // It fails only when the subscriber is gone, and with it all log lines.
        let _ = self.0.reload(EnvFilter::new(directives(root, targets)));
    }
}

fn directives(root: Level, targets: &BTreeMap<String, Level>) -> String {
    let mut directives = level(root).to_owned();
    for (target, of_target) in targets {
        directives.push_str(&format!(",{target}={}", level(*of_target)));
    }
    directives
}

/// The nearest that we have of Log4j's levels.
fn level(level: Level) -> &'static str {
    match level {
        Level::Off => "off",
        Level::Fatal | Level::Error => "error",
        Level::Warn => "warn",
        Level::Info => "info",
        Level::Debug => "debug",
        Level::Trace | Level::All => "trace",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_directives() {
        let targets = BTreeMap::from([
            ("connect_mirror::source".to_owned(), Level::All),
            ("kafka_client".to_owned(), Level::Fatal),
        ]);
        assert_eq!(
            directives(Level::Info, &targets),
            "info,connect_mirror::source=trace,kafka_client=error"
        );
    }
}
