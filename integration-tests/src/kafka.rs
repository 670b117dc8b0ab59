use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::{EmbeddedKafka, RealKafka, TestClient, dist::KafkaDist, kafka_dist};

/// A cluster that a scenario runs on.
#[derive(Debug)]
pub enum Kafka {
    /// Ours, in this process.
    Embedded(EmbeddedKafka),
    /// Apache's.
    Real(RealKafka),
}

impl Kafka {
    /// `host:port` of every node, joined with commas.
    pub fn bootstrap_servers(&self) -> String {
        match self {
            Self::Embedded(kafka) => kafka.bootstrap_servers(),
            Self::Real(kafka) => kafka.bootstrap_servers(),
        }
    }

    /// A new client of it.
    pub fn client(&self) -> TestClient {
        TestClient::new(&self.bootstrap_servers())
    }

    /// Orderly stop of a node; its data stays.
    pub fn stop_node(&mut self, node: usize) {
        match self {
            Self::Embedded(kafka) => kafka.stop_node(node),
            Self::Real(kafka) => kafka.stop_node(node),
        }
    }

    /// Starts a stopped node on the same address, and waits until it serves.
    pub fn start_node(&mut self, node: usize) {
        match self {
            Self::Embedded(kafka) => kafka.start_node(node),
            Self::Real(kafka) => kafka.start_node(node),
        }
    }

    /// Tells the embedded one to compact a partition; a real one's cleaner sees to it by itself.
    pub fn compact(&mut self, topic: &str, partition: i32) {
        if let Self::Embedded(kafka) = self {
            kafka.compact(topic, partition);
        }
    }

    /// The real Kafka's jars, for its tools; `None` on the embedded one.
    pub fn dist(&self) -> Option<&'static KafkaDist> {
        match self {
            Self::Embedded(_) => None,
            Self::Real(kafka) => Some(kafka.dist()),
        }
    }
}

/// Two clusters to mirror between.
#[derive(Debug)]
pub struct Pair {
    /// Mirrored from.
    pub source: Kafka,
    /// Mirrored to.
    pub target: Kafka,
}

impl Pair {
    /// Both running, one node each.
    pub fn start(backend: Backend, dist: Option<&'static KafkaDist>) -> Self {
        let start = |name| match (backend, dist) {
            (Backend::Real, Some(dist)) => Kafka::Real(RealKafka::start(dist, name, 1, &[])),
            (Backend::Real, None) => panic!("a real Kafka needs its jars"),
            (Backend::Embedded, _) => Kafka::Embedded(EmbeddedKafka::start()),
        };
        Self {
            source: start("source"),
            target: start("target"),
        }
    }
}

/// What a scenario runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// A pair of its own, in this process.
    Embedded,
    /// The pair of real Kafkas of this test binary, one scenario at a time.
    Real,
}

/// Runs a scenario's body. On real Kafka: skipped with a report when there is none (see [`kafka_dist`]).
///
/// Real brokers take seconds to start, so the scenarios of a test binary share a pair and take turns. They keep out of
/// each other's way with topic names and aliases of their own. After a failure the next one gets a fresh pair.
pub fn run_scenario(backend: Backend, body: impl FnOnce(&mut Pair)) {
    static REAL: Mutex<Option<Pair>> = Mutex::new(None);
    match backend {
        Backend::Embedded => body(&mut Pair::start(backend, None)),
        Backend::Real => {
            let Some(dist) = kafka_dist() else { return };
            let failed_before = REAL.is_poisoned();
            let mut shared: MutexGuard<'_, Option<Pair>> = REAL.lock().unwrap_or_else(PoisonError::into_inner);
            if failed_before {
                REAL.clear_poison();
                *shared = None;
            }
            body(shared.get_or_insert_with(|| Pair::start(backend, Some(dist))));
        }
    }
}

/// Makes two tests of each scenario body `fn(&mut Pair)`: `embedded::<name>` and `real::<name>`.
#[macro_export]
macro_rules! scenarios {
    ($($name:ident),+ $(,)?) => {
        mod embedded {
            $(#[test] fn $name() { $crate::run_scenario($crate::Backend::Embedded, super::$name); })+
        }
        mod real {
            $(#[test] fn $name() { $crate::run_scenario($crate::Backend::Real, super::$name); })+
        }
    };
}

/// Makes a test of each scenario body that only makes sense on a real Kafka: `real_only::<name>`.
#[macro_export]
macro_rules! real_scenarios {
    ($($name:ident),+ $(,)?) => {
        mod real_only {
            $(#[test] fn $name() { $crate::run_scenario($crate::Backend::Real, super::$name); })+
        }
    };
}
