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

    /// `kill -9` of a real node; the embedded one has nothing that an orderly stop would save.
    pub fn kill_node(&mut self, node: usize) {
        match self {
            Self::Embedded(kafka) => kafka.stop_node(node),
            Self::Real(kafka) => kafka.kill_node(node),
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
    /// Both running in this process.
    pub fn embedded(nodes: usize) -> Self {
        let start = || Kafka::Embedded(EmbeddedKafka::start(nodes));
        Self {
            source: start(),
            target: start(),
        }
    }

    /// Both running. `properties` go to every node; `name` names their logs.
    pub fn real(dist: &'static KafkaDist, name: &str, nodes: usize, properties: &[(&str, &str)]) -> Self {
        let start = |side| Kafka::Real(RealKafka::start(dist, &format!("{name}{side}"), nodes, properties));
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

/// Everybody may do everything until an ACL says otherwise: scenarios that need no ACLs notice nothing.
const AUTHORIZER: &[(&str, &str)] = &[
    (
        "authorizer.class.name",
        "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    ),
    ("allow.everyone.if.no.acl.found", "true"),
];

/// The pair of real Kafkas of this test binary. Who holds it is the only one to use real Kafkas.
static REAL: Mutex<Option<Pair>> = Mutex::new(None);

/// Runs a scenario's body. On real Kafka: skipped with a report when there is none (see [`kafka_dist`]).
///
/// Real brokers take seconds to start, so the scenarios of a test binary share a pair and take turns. They keep out of
/// each other's way with topic names and aliases of their own. After a failure the next one gets a fresh pair.
pub fn run_scenario(backend: Backend, body: impl FnOnce(&mut Pair)) {
    match backend {
        Backend::Embedded => body(&mut Pair::embedded(1)),
        Backend::Real => {
            let Some(dist) = kafka_dist() else { return };
            let mut shared = take_turn();
            body(shared.get_or_insert_with(|| Pair::real(dist, "", 1, AUTHORIZER)));
        }
    }
}

/// Runs a scenario's body on two clusters of three nodes of its own.
pub fn run_cluster_scenario(backend: Backend, body: impl FnOnce(&mut Pair)) {
    match backend {
        Backend::Embedded => body(&mut Pair::embedded(3)),
        Backend::Real => {
            let Some(dist) = kafka_dist() else { return };
            let _turn = take_turn();
            let properties = [
                ("min.insync.replicas", "2"),
                // Leaders soon go back to where they were: two moves for the price of one.
                ("leader.imbalance.check.interval.seconds", "5"),
                ("leader.imbalance.per.broker.percentage", "0"),
            ];
            body(&mut Pair::real(dist, "cluster-", 3, &properties));
        }
    }
}

fn take_turn() -> MutexGuard<'static, Option<Pair>> {
    REAL.lock().unwrap_or_else(|failed_before: PoisonError<_>| {
        let mut shared = failed_before.into_inner();
        // Who knows in what state it was left.
        *shared = None;
        REAL.clear_poison();
        shared
    })
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

/// As [`scenarios!`], each body on two clusters of three nodes of its own.
#[macro_export]
macro_rules! cluster_scenarios {
    ($($name:ident),+ $(,)?) => {
        mod embedded {
            $(#[test] fn $name() { $crate::run_cluster_scenario($crate::Backend::Embedded, super::$name); })+
        }
        mod real {
            $(#[test] fn $name() { $crate::run_cluster_scenario($crate::Backend::Real, super::$name); })+
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
