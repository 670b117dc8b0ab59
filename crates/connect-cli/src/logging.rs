//! Log lines: for people, or as JSON for programs.

use std::{collections::BTreeMap, sync::Arc};

use clap::ValueEnum;
use connect_rest::{Level, LogFilter, Loggers};
use connect_runtime::Clock;
use tracing_subscriber::{
    Layer, Registry,
    filter::{LevelFilter, Targets},
    fmt,
    layer::SubscriberExt,
    reload,
    util::SubscriberInitExt,
};

/// How log lines look.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum LogFormat {
    /// `time LEVEL module: what happened field=value`.
    Text,
    /// One JSON object a line.
    Json,
}

impl LogFormat {
    /// As `HELIOGRAPH_LOG_FORMAT` says, for those who cannot give options. What is not understood counts as not said.
    pub(crate) fn of_environment() -> Self {
        let format = std::env::var("HELIOGRAPH_LOG_FORMAT").unwrap_or_default();
        Self::from_str(format.trim(), true).unwrap_or(Self::Text)
    }
}

/// Sends log lines to standard output, where Kafka's own image has them; `HELIOGRAPH_LOG` takes filter directives
/// (`debug`, `kafka_client=debug,info`). `to_stderr` leaves standard output to something else. Answers the loggers, whose
/// levels can be changed later.
pub(crate) fn start(format: LogFormat, to_stderr: bool) -> Arc<Loggers> {
    let default = if to_stderr {
        LevelFilter::WARN
    } else {
        LevelFilter::INFO
    };
    let directives = std::env::var("HELIOGRAPH_LOG").unwrap_or_default();
    let targets = initial(&directives, default);
    let (root, levels) = levels(&targets);
    let (filter, handle) = reload::Layer::new(targets);
    let lines = fmt::layer().with_ansi(false).with_target(true);
    let lines: Box<dyn Layer<_> + Send + Sync> = match (format, to_stderr) {
        (LogFormat::Text, false) => lines.boxed(),
        (LogFormat::Text, true) => lines.with_writer(std::io::stderr).boxed(),
        (LogFormat::Json, false) => lines.json().flatten_event(true).boxed(),
        (LogFormat::Json, true) => lines.json().flatten_event(true).with_writer(std::io::stderr).boxed(),
    };
    tracing_subscriber::registry().with(filter).with(lines).init();
    Loggers::new(Box::new(Reload(handle)), Clock::system(), root, &levels)
}

/// What is not understood counts as not said: a worker comes up all the same.
fn initial(directives: &str, default: LevelFilter) -> Targets {
    match directives.trim() {
        "" => Targets::new().with_default(default),
        directives => match directives.parse::<Targets>() {
            // Such as `=`: nothing has no name.
            Ok(targets) if targets.iter().any(|(target, _)| target.is_empty()) => Targets::new().with_default(default),
            // Without a level of its own the rest would be silent.
            Ok(targets) if targets.default_level().is_none() => targets.with_default(default),
            Ok(targets) => targets,
            Err(_) => Targets::new().with_default(default),
        },
    }
}

/// The root's level, and those of the targets that have their own.
fn levels(targets: &Targets) -> (Level, BTreeMap<String, Level>) {
    let level = |filter: LevelFilter| match filter.into_level() {
        None => Level::Off,
        Some(tracing::Level::ERROR) => Level::Error,
        Some(tracing::Level::WARN) => Level::Warn,
        Some(tracing::Level::INFO) => Level::Info,
        Some(tracing::Level::DEBUG) => Level::Debug,
        Some(tracing::Level::TRACE) => Level::Trace,
    };
    let of_targets = targets
        .iter()
        .map(|(target, filter)| (target.to_owned(), level(filter)));
    (
        level(targets.default_level().unwrap_or(LevelFilter::OFF)),
        of_targets.collect(),
    )
}

/// The filter of a subscriber that is at work.
struct Reload(reload::Handle<Targets, Registry>);

impl LogFilter for Reload {
    fn apply(&self, root: Level, targets: &BTreeMap<String, Level>) {
        let targets = targets.iter().map(|(target, level)| (target.clone(), filter(*level)));
        let targets = Targets::new().with_default(filter(root)).with_targets(targets);
        // It fails only when the subscriber is gone, and with it all log lines.
        let _ = self.0.reload(targets);
    }
}

/// The nearest that we have of Log4j's levels.
fn filter(level: Level) -> LevelFilter {
    match level {
        Level::Off => LevelFilter::OFF,
        Level::Fatal | Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
        Level::Trace | Level::All => LevelFilter::TRACE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_are_levels() {
        let check = |directives: &str, root: Level, targets: &[(&str, Level)]| {
            let targets: BTreeMap<_, _> = targets
                .iter()
                .map(|(target, level)| ((*target).to_owned(), *level))
                .collect();
            let parsed = initial(directives, LevelFilter::INFO);
            assert_eq!(levels(&parsed), (root, targets), "{directives}");
        };
        check("", Level::Info, &[]);
        check("debug", Level::Debug, &[]);
        check(
            "kafka_client=debug,warn",
            Level::Warn,
            &[("kafka_client", Level::Debug)],
        );
        check("kafka_client=trace", Level::Info, &[("kafka_client", Level::Trace)]);
        check("off", Level::Off, &[]);
        check("=,=", Level::Info, &[]);
    }
}
