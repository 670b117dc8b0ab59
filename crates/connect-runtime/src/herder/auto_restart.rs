//! Whether what has failed is started again by itself. Off unless asked for: in Kafka a failed connector or task waits for a
//! person. Pure: told what has failed and what time it is, it answers what is to be started now.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use config_def::{ConfigDef, ConfigErrors, ConfigKey, Importance, Props, Type, Validator, key};
use tokio::time::Instant;
use tracing::{info, warn};

use super::{Herder, children::Children, plan::Phase, restarts::RestartScope};
use crate::worker::{ConnectorTaskId, State};

/// Keys of a worker that Kafka's does not have.
pub static RESTART_KEYS: &[ConfigKey] = &[
    key("heliograph.task.restart.max.attempts", Type::Int)
        .default("0")
        .validator(Validator::AtLeast(0))
        .importance(Importance::Low)
        .doc("How often a connector or task that has failed is started again by itself; 0: never."),
    key("heliograph.task.restart.backoff.ms", Type::Long)
        .default("10000")
        .validator(Validator::AtLeast(0))
        .importance(Importance::Low)
        .doc("The pause before the first such restart; it doubles with each further one."),
    key("heliograph.task.restart.backoff.max.ms", Type::Long)
        .default("300000")
        .validator(Validator::AtLeast(0))
        .importance(Importance::Low)
        .doc("The longest pause, and how long a restarted one has to run until its attempts are forgotten."),
];

static CONFIG_DEF: ConfigDef = ConfigDef::new(&[RESTART_KEYS]);

/// `heliograph.task.restart.*`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RestartRules {
    max_attempts: u32,
    backoff: Duration,
    backoff_max: Duration,
}

impl RestartRules {
    /// Reads the worker's properties.
    pub fn parse(worker: &Props) -> Result<Self, ConfigErrors> {
        let values = CONFIG_DEF.parse(worker)?;
        Ok(Self {
            max_attempts: values.int("heliograph.task.restart.max.attempts").unsigned_abs(),
            backoff: values.millis("heliograph.task.restart.backoff.ms"),
            backoff_max: values.millis("heliograph.task.restart.backoff.max.ms"),
        })
    }

    fn wait(self, attempts: u32) -> Duration {
        self.backoff.saturating_mul(1 << attempts.min(20)).min(self.backoff_max)
    }
}

/// What may be started again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Subject {
    Connector(Arc<str>),
    Task(ConnectorTaskId),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connector(name) => write!(f, "connector {name}"),
            Self::Task(id) => write!(f, "task {id}"),
        }
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct AutoRestart {
    rules: RestartRules,
    known: BTreeMap<Subject, Known>,
}

#[derive(Debug)]
struct Known {
    /// The run that failed last.
    run: u64,
    attempts: u32,
    due: Option<Instant>,
    restarted_at: Option<Instant>,
}

impl AutoRestart {
    pub(super) fn new(rules: RestartRules) -> Self {
        let known = BTreeMap::new();
        Self { rules, known }
    }

    fn is_off(&self) -> bool {
        self.rules.max_attempts == 0
    }

    /// When something is to be started again.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.known.values().filter_map(|known| known.due).min()
    }

    /// Takes note of what has failed, each with the number of its run; answers what is to be started now.
    fn tend(&mut self, failed: &BTreeMap<Subject, u64>, now: Instant) -> Vec<Subject> {
        let rules = self.rules;
        let has_calmed = |known: &Known| known.restarted_at.is_some_and(|at| at + rules.backoff_max <= now);
        self.known
            .retain(|subject, known| failed.contains_key(subject) || !has_calmed(known));
        for (subject, known) in &mut self.known {
            if !failed.contains_key(subject) {
                known.due = None; // someone else has started it, or it is not ours any more
            }
        }
        for (subject, run) in failed {
            self.failed(subject, *run, now);
        }
        let mut due = Vec::new();
        for (subject, known) in &mut self.known {
            if known.due.is_some_and(|at| at <= now) {
                known.due = None;
                known.attempts += 1;
                known.restarted_at = Some(now);
                let (attempt, of) = (known.attempts, rules.max_attempts);
                info!("{subject} has failed and is started again, attempt {attempt} of {of}");
                due.push(subject.clone());
            }
        }
        due
    }

    fn failed(&mut self, subject: &Subject, run: u64, now: Instant) {
        let rules = self.rules;
        let known = self.known.entry(subject.clone()).or_insert(Known {
            run: 0,
            attempts: 0,
            due: None,
            restarted_at: None,
        });
        if known.run == run {
            return;
        }
        known.run = run;
        if known.restarted_at.is_some_and(|at| at + rules.backoff_max <= now) {
            known.attempts = 0;
        }
        if known.attempts < rules.max_attempts {
            known.due = Some(now + rules.wait(known.attempts));
        } else {
            let attempts = known.attempts;
            warn!("{subject} has failed again after {attempts} restarts; it now waits for a person");
        }
    }
}

impl Herder {
    /// Starts again what has failed, if that is asked for and due.
    pub(super) fn restart_failed(&mut self) {
        if self.auto_restart.is_off() {
            return;
        }
        let mut failed = failed_of(&self.connectors, |name| Subject::Connector(name.clone()));
        failed.extend(failed_of(&self.tasks, |id| Subject::Task(id.clone())));
        for subject in self.auto_restart.tend(&failed, Instant::now()) {
            match subject {
                Subject::Connector(name) => self.restart(&name, RestartScope::new(false, true)),
                Subject::Task(id) => self.restart_failed_task(&id),
            }
        }
    }
}

fn failed_of<K: Ord, V, X>(children: &Children<K, V, X>, subject: impl Fn(&K) -> Subject) -> BTreeMap<Subject, u64> {
    let has_failed = children
        .iter()
        .filter(|(_, child)| child.state == State::Failed && child.phase != Phase::Stopping);
    has_failed.map(|(key, child)| (subject(key), child.run)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn restarts(max_attempts: u32) -> AutoRestart {
        AutoRestart::new(RestartRules {
            max_attempts,
            backoff: SECOND,
            backoff_max: 3 * SECOND,
        })
    }

    fn task(number: i32) -> Subject {
        Subject::Task(ConnectorTaskId::new("c", number))
    }

    fn failed(run: u64) -> BTreeMap<Subject, u64> {
        [(task(0), run)].into()
    }

    #[test]
    fn it_is_off_unless_asked_for() {
        assert!(AutoRestart::new(RestartRules::parse(&Props::new()).expect("defaults")).is_off());
        let asked = [("heliograph.task.restart.max.attempts".to_owned(), "3".to_owned())].into();
        assert!(!AutoRestart::new(RestartRules::parse(&asked).expect("good")).is_off());
        assert_eq!(CONFIG_DEF.faults(), Vec::<String>::new());
    }

    #[test]
    fn pauses_double_up_to_the_longest_and_attempts_end() {
        let mut restarts = restarts(3);
        let mut now = Instant::now();
        for (run, wait) in [(1, SECOND), (2, 2 * SECOND), (3, 3 * SECOND)] {
            assert!(restarts.tend(&failed(run), now).is_empty());
            assert_eq!(restarts.next_deadline(), Some(now + wait));
            now += wait;
            assert_eq!(restarts.tend(&failed(run), now), [task(0)]);
            assert!(restarts.tend(&failed(run), now).is_empty(), "once for each failure");
            assert_eq!(restarts.next_deadline(), None);
        }
        assert!(restarts.tend(&failed(4), now).is_empty());
        assert_eq!(restarts.next_deadline(), None, "it waits for a person");
    }

    #[test]
    fn a_long_run_makes_attempts_forgotten() {
        let mut restarts = restarts(1);
        let start = Instant::now();
        restarts.tend(&failed(1), start);
        assert_eq!(restarts.tend(&failed(1), start + SECOND), [task(0)]);
        let later = start + 10 * SECOND;
        assert!(restarts.tend(&failed(2), later).is_empty());
        assert_eq!(restarts.tend(&failed(2), later + SECOND), [task(0)]);
        // It runs; what is known of it goes in time.
        restarts.tend(&BTreeMap::new(), later + 10 * SECOND);
        assert!(restarts.known.is_empty());
    }

    #[test]
    fn what_someone_else_has_started_is_left_alone() {
        let mut restarts = restarts(2);
        let now = Instant::now();
        restarts.tend(&failed(1), now);
        assert!(restarts.tend(&BTreeMap::new(), now + SECOND).is_empty());
        assert_eq!(restarts.next_deadline(), None);
    }
}
