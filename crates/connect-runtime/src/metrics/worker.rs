//! What Kafka shows of a worker: how starts ended, and how the group's rounds went.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kafka_client::metrics::{SampledStats, Stats};
use tokio::time::Instant;

use super::Share;

/// Counters of one worker. They are touched when something starts and when the group rebalances.
#[derive(Debug)]
pub struct WorkerMetrics {
    began: Instant,
    values: Mutex<Values>,
}

#[derive(Debug, Default)]
struct Values {
    connectors: Startups,
    tasks: Startups,
    rebalances: Rebalances,
}

#[derive(Debug, Default)]
struct Startups {
    succeeded: u64,
    failed: u64,
    success: SampledStats,
}

#[derive(Debug, Default)]
struct Rebalances {
    completed: u64,
    epoch: i32,
    leader: Arc<str>,
    protocol: Arc<str>,
    began: Option<Instant>,
    ended: Option<Instant>,
    time: SampledStats,
}

/// How connectors, or tasks, came to run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StartupSnapshot {
    /// Starts that went well.
    pub succeeded: u64,
    /// Starts that failed.
    pub failed: u64,
    /// The share of both in the last minute.
    pub share: Share,
}

/// The rounds of the group.
#[derive(Clone, Debug)]
pub struct RebalanceSnapshot {
    /// Rounds that ended with work for this worker, be it none.
    pub completed: u64,
    /// The generation of the last one.
    pub epoch: i32,
    /// The leader's URL.
    pub leader: Arc<str>,
    /// The protocol's name, empty before the first round.
    pub protocol: Arc<str>,
    /// Whether a round is under way.
    pub rebalancing: bool,
    /// How long rounds took.
    pub time_ms: Stats,
    /// Milliseconds since the last round; `None` before the first.
    pub since_last_ms: Option<i64>,
}

impl Default for WorkerMetrics {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            values: Mutex::default(),
        }
    }
}

impl WorkerMetrics {
    /// How connectors came to run here.
    pub fn connector_startups(&self) -> StartupSnapshot {
        self.lock().connectors.snapshot(self.now_ms())
    }

    /// How tasks came to run here.
    pub fn task_startups(&self) -> StartupSnapshot {
        self.lock().tasks.snapshot(self.now_ms())
    }

    /// How the group's rounds went.
    pub fn rebalances(&self) -> RebalanceSnapshot {
        let now_ms = self.now_ms();
        let rounds = &mut self.lock().rebalances;
        RebalanceSnapshot {
            completed: rounds.completed,
            epoch: rounds.epoch,
            leader: rounds.leader.clone(),
            protocol: rounds.protocol.clone(),
            rebalancing: rounds.began.is_some(),
            time_ms: rounds.time.snapshot(now_ms),
            since_last_ms: rounds.ended.map(|ended| ended.elapsed().as_millis() as i64),
        }
    }

    pub(crate) fn connector_started(&self, well: bool) {
        let now_ms = self.now_ms();
        self.lock().connectors.ended(now_ms, well);
    }

    pub(crate) fn task_started(&self, well: bool) {
        let now_ms = self.now_ms();
        self.lock().tasks.ended(now_ms, well);
    }

    pub(crate) fn rebalance_began(&self) {
        self.lock().rebalances.began.get_or_insert_with(Instant::now);
    }

    pub(crate) fn rebalance_ended(&self, epoch: i32, leader: &Arc<str>, protocol: &str) {
        let now_ms = self.now_ms();
        let rounds = &mut self.lock().rebalances;
        rounds.completed += 1;
        (rounds.epoch, rounds.leader, rounds.protocol) = (epoch, leader.clone(), protocol.into());
        if let Some(began) = rounds.began.take() {
            rounds.time.record(now_ms, began.elapsed().as_millis() as f64);
        }
        rounds.ended = Some(Instant::now());
    }

    fn now_ms(&self) -> i64 {
        self.began.elapsed().as_millis() as i64
    }

    fn lock(&self) -> MutexGuard<'_, Values> {
        self.values.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Startups {
    fn ended(&mut self, now_ms: i64, well: bool) {
        *(if well { &mut self.succeeded } else { &mut self.failed }) += 1;
        self.success.record(now_ms, if well { 1.0 } else { 0.0 });
    }

    fn snapshot(&mut self, now_ms: i64) -> StartupSnapshot {
        StartupSnapshot {
            succeeded: self.succeeded,
            failed: self.failed,
            share: Share::of(self.success.snapshot(now_ms)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_round_is_as_long_as_from_its_first_sign_to_its_work() {
        let metrics = WorkerMetrics::default();
        assert_eq!(metrics.rebalances().since_last_ms, None);
        metrics.rebalance_began();
        tokio::time::advance(Duration::from_millis(300)).await;
        metrics.rebalance_began();
        assert!(metrics.rebalances().rebalancing);
        tokio::time::advance(Duration::from_millis(200)).await;
        metrics.rebalance_ended(7, &"http://leader/".into(), "sessioned");
        tokio::time::advance(Duration::from_millis(50)).await;
        let rounds = metrics.rebalances();
        assert_eq!((rounds.completed, rounds.epoch, rounds.rebalancing), (1, 7, false));
        assert_eq!((rounds.time_ms.max, rounds.since_last_ms), (500.0, Some(50)));
    }

    #[tokio::test(start_paused = true)]
    async fn starts_are_counted_by_their_ends() {
        let metrics = WorkerMetrics::default();
        metrics.task_started(true);
        metrics.task_started(false);
        metrics.connector_started(true);
        let tasks = metrics.task_startups();
        assert_eq!((tasks.succeeded, tasks.failed, tasks.share.failure), (1, 1, 0.5));
        assert_eq!(metrics.connector_startups().share.success, 1.0);
    }
}
