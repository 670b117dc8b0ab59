//! The levels of loggers, as `/admin/loggers` shows and changes them.
//!
//! People know Java's names. The loggers of the parts that we have too reach our own; any other name is remembered and
//! shown, as if its class would log some day.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use connect_runtime::{Clock, herder::LoggerLevels};
use serde::{Serialize, Serializer};

/// The root logger's name in REST.
pub const ROOT: &str = "root";
/// More names than that are not remembered.
const MAX_LOGGERS: usize = 10_000;

/// Java's names of what we have too, with our own.
const KNOWN: &[(&str, &str)] = &[
    ("org.apache.kafka.clients", "kafka_client"),
    ("org.apache.kafka.clients.admin", "kafka_client::admin"),
    ("org.apache.kafka.clients.consumer", "kafka_client::consumer"),
    ("org.apache.kafka.clients.producer", "kafka_client::producer"),
    ("org.apache.kafka.common.config", "config_def"),
    ("org.apache.kafka.connect.cli", "heliograph"),
    ("org.apache.kafka.connect.mirror", "connect_mirror"),
    ("org.apache.kafka.connect.runtime", "connect_runtime"),
    ("org.apache.kafka.connect.runtime.distributed", "connect_group"),
    ("org.apache.kafka.connect.runtime.isolation", "connect_plugins"),
    ("org.apache.kafka.connect.runtime.rest", "connect_rest"),
    ("org.apache.kafka.connect.storage", "connect_runtime::storage"),
    ("org.apache.kafka.connect.transforms", "connect_transforms"),
];

/// A level of Log4j's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "their names say it")]
pub enum Level {
    Off,
    Fatal,
    Error,
    Warn,
    Info,
    Debug,
    Trace,
    All,
}

impl Level {
    const ALL: [(Self, &'static str); 8] = [
        (Self::Off, "OFF"),
        (Self::Fatal, "FATAL"),
        (Self::Error, "ERROR"),
        (Self::Warn, "WARN"),
        (Self::Info, "INFO"),
        (Self::Debug, "DEBUG"),
        (Self::Trace, "TRACE"),
        (Self::All, "ALL"),
    ];

    /// The level of a name, in any case.
    pub fn parse(name: &str) -> Option<Self> {
        let found = Self::ALL
            .iter()
            .find(|(_, known)| known.eq_ignore_ascii_case(name.trim()));
        found.map(|(level, _)| *level)
    }

    /// Its name, in upper case.
    pub fn name(self) -> &'static str {
        let found = Self::ALL.iter().find(|(level, _)| *level == self);
        found.expect("every level has a name").1
    }
}

impl Serialize for Level {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// What log lines pass through; implemented where logging is set up.
pub trait LogFilter: Send + Sync {
    /// From now on, targets of the log (`connect_mirror::source`) have these levels, and all others `root`. A target
    /// reaches those below it. Must not log.
    fn apply(&self, root: Level, targets: &BTreeMap<String, Level>);
}

/// A level, and when it was set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct LoggerState {
    level: Level,
    last_modified: Option<i64>,
}

/// The levels of this process's loggers.
pub struct Loggers {
    filter: Box<dyn LogFilter>,
    clock: Clock,
    states: Mutex<BTreeMap<String, LoggerState>>,
}

impl fmt::Debug for Loggers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Loggers")
    }
}

impl Loggers {
    /// The loggers behind a filter that lets `root` pass now, and other levels for some targets of the log.
    pub fn new(filter: Box<dyn LogFilter>, clock: Clock, root: Level, targets: &BTreeMap<String, Level>) -> Arc<Self> {
        let initial = |level| LoggerState {
            level,
            last_modified: None,
        };
        let mut states: BTreeMap<_, _> = targets
            .iter()
            .map(|(target, level)| (target.clone(), initial(*level)))
            .collect();
        states.insert(ROOT.to_owned(), initial(root));
        Arc::new(Self {
            filter,
            clock,
            states: Mutex::new(states),
        })
    }

    /// Every logger that has a level or a part of ours behind it, by name. Those that are off are left out.
    pub(crate) fn all(&self) -> BTreeMap<String, LoggerState> {
        let states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        let known = KNOWN
            .iter()
            .map(|(name, _)| ((*name).to_owned(), effective(&states, name)));
        let all = known.chain(states.iter().map(|(name, state)| (name.clone(), *state)));
        all.filter(|(_, state)| state.level != Level::Off).collect()
    }

    pub(crate) fn get(&self, logger: &str) -> Option<LoggerState> {
        let logger = canonical(logger);
        let states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        let is_known = states.contains_key(logger) || KNOWN.iter().any(|(name, _)| *name == logger);
        is_known.then(|| effective(&states, logger))
    }

    /// Sets the level of a logger and of all below it. Answers which had another.
    pub(crate) fn set_level(&self, logger: &str, level: Level) -> Vec<String> {
        let logger = canonical(logger);
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        let names = states
            .keys()
            .map(String::as_str)
            .chain(KNOWN.iter().map(|(name, _)| *name));
        let differs = |name: &&str| is_below(name, logger) && effective(&states, name).level != level;
        let mut changed: Vec<String> = names.filter(differs).map(str::to_owned).collect();
        let is_new = !states.contains_key(logger) && KNOWN.iter().all(|(name, _)| *name != logger);
        if is_new && states.len() < MAX_LOGGERS {
            changed.push(logger.to_owned());
        }
        changed.sort_unstable();
        changed.dedup();
        let state = LoggerState {
            level,
            last_modified: Some(self.clock.now_ms()),
        };
        states.extend(changed.iter().map(|name| (name.clone(), state)));
        let root = states.get(ROOT).map_or(Level::Info, |state| state.level);
        self.filter.apply(root, &targets(&states));
        changed
    }
}

impl LoggerLevels for Loggers {
    fn set(&self, logger: &str, level: &str) {
        if let Some(level) = Level::parse(level) {
            self.set_level(logger, level);
        }
    }
}

/// The root's name may be in any case.
fn canonical(logger: &str) -> &str {
    if logger.eq_ignore_ascii_case(ROOT) {
        ROOT
    } else {
        logger
    }
}

/// Whether a logger is another, or below it. Everything is below the root.
fn is_below(name: &str, parent: &str) -> bool {
    let below = |rest: &str| rest.is_empty() || rest.starts_with('.') || rest.starts_with("::");
    parent == ROOT || name.strip_prefix(parent).is_some_and(below)
}

/// The level of a logger: its own, or that of the nearest above it.
fn effective(states: &BTreeMap<String, LoggerState>, name: &str) -> LoggerState {
    let above = states.iter().filter(|(parent, _)| is_below(name, parent));
    let nearest = above.max_by_key(|(parent, _)| if *parent == ROOT { 0 } else { parent.len() });
    nearest.map_or(
        LoggerState {
            level: Level::Info,
            last_modified: None,
        },
        |(_, state)| *state,
    )
}

/// The levels of our own targets.
fn targets(states: &BTreeMap<String, LoggerState>) -> BTreeMap<String, Level> {
    let java = |name: &str| KNOWN.iter().find(|(java, _)| *java == name).map(|(_, target)| *target);
    let mut targets = BTreeMap::new();
    for (name, state) in states.iter().filter(|(name, _)| *name != ROOT) {
        targets.insert(java(name).unwrap_or(name).to_owned(), state.level);
    }
    targets
}

#[cfg(test)]
mod tests {
    use super::*;

    type Applied = Arc<Mutex<(Option<Level>, BTreeMap<String, Level>)>>;

    struct Recorder(Applied);

    impl LogFilter for Recorder {
        fn apply(&self, root: Level, targets: &BTreeMap<String, Level>) {
            *self.0.lock().expect("one thread") = (Some(root), targets.clone());
        }
    }

    fn loggers() -> (Arc<Loggers>, Applied) {
        let applied = Applied::default();
        let filter = Box::new(Recorder(applied.clone()));
        let targets = BTreeMap::from([("hyper".to_owned(), Level::Warn)]);
        (
            Loggers::new(filter, Clock::new(|| 1_700_000_000_000), Level::Info, &targets),
            applied,
        )
    }

    #[test]
    fn a_level_reaches_what_is_below_and_what_we_call_it() {
        let (loggers, applied) = loggers();
        let changed = loggers.set_level("org.apache.kafka.connect.runtime", Level::Debug);
        let below = ["", ".distributed", ".isolation", ".rest"];
        assert_eq!(
            changed,
            below.map(|end| format!("org.apache.kafka.connect.runtime{end}"))
        );
        let (root, targets) = applied.lock().expect("one thread").clone();
        assert_eq!(root, Some(Level::Info));
        assert_eq!(targets["connect_rest"], Level::Debug);
        assert_eq!(targets["hyper"], Level::Warn);
        assert!(!targets.contains_key("connect_mirror"));
    }

    #[test]
    fn unknown_names_are_remembered() {
        let (loggers, _) = loggers();
        assert_eq!(loggers.get("org.example.quiet"), None);
        assert_eq!(
            loggers.set_level("org.example.quiet", Level::Debug),
            ["org.example.quiet"]
        );
        assert!(
            loggers.set_level("org.example.quiet", Level::Debug).is_empty(),
            "it has that level"
        );
        let shown = serde_json::to_string(&loggers.get("org.example.quiet")).expect("JSON");
        assert_eq!(shown, r#"{"level":"DEBUG","last_modified":1700000000000}"#);
        assert_eq!(
            serde_json::to_string(&loggers.get(ROOT)).expect("JSON"),
            r#"{"level":"INFO","last_modified":null}"#
        );
    }

    #[test]
    fn the_root_reaches_all_and_what_is_off_is_not_listed() {
        let (loggers, applied) = loggers();
        loggers.set("ROOT", "warn");
        loggers.set("root", "nonsense");
        assert!(loggers.all().values().all(|state| state.level == Level::Warn));
        assert!(loggers.all().len() > KNOWN.len());
        loggers.set_level("org.apache.kafka", Level::Off);
        assert_eq!(loggers.all().into_keys().collect::<Vec<_>>(), ["hyper", "root"]);
        assert_eq!(applied.lock().expect("one thread").0, Some(Level::Warn));
    }
}
