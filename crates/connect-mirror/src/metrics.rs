//! What the mirror counts: Kafka's `MirrorSourceConnector` attributes per remote partition, and ours beside them.
//!
//! A task touches its partition's metrics once per batch. Reporters read [`MirrorMetrics::snapshot`].

mod checkpoints;
mod sampled;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use kafka_wire::TopicPartition;

pub use self::checkpoints::CheckpointKey;
use self::{
    checkpoints::CheckpointMetrics,
    sampled::{SampledRate, SampledStats},
};

/// The metrics of every mirror task of this process, by flow, connector task and remote partition.
#[derive(Clone, Debug, Default)]
pub struct MirrorMetrics(Arc<Mutex<BTreeMap<MetricKey, PartitionMetrics>>>, CheckpointMetrics);

/// Which remote partition of which task a set of metrics is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MetricKey {
    /// Alias of the source cluster.
    pub source: Arc<str>,
    /// Alias of the target cluster.
    pub target: Arc<str>,
    /// `<connector>-<task>`.
    pub task_id: Arc<str>,
    /// The remote topic and its partition.
    pub remote: TopicPartition,
}

impl MirrorMetrics {
    /// The metrics under `key`, from now on part of every snapshot.
    pub(crate) fn register(&self, key: MetricKey) -> PartitionMetrics {
        let metrics = PartitionMetrics::default();
        lock(&self.0).insert(key, metrics.clone());
        metrics
    }

    /// Takes the metrics of a stopped task out.
    pub(crate) fn remove(&self, key: &MetricKey) {
        lock(&self.0).remove(key);
    }

    /// The target acknowledged a checkpoint, so long after the group was asked.
    pub(crate) fn checkpoint_written(&self, key: CheckpointKey, now_ms: i64, latency_ms: i64) {
        self.1.written(key, now_ms, latency_ms);
    }

    /// Takes the latencies of a stopped checkpoint task out.
    pub(crate) fn remove_checkpoints(&self, flow: (&str, &str), task_id: &str) {
        self.1.remove(flow, task_id);
    }

    /// `checkpoint-latency-ms` and its window at `now_ms`, of each group and partition that had a checkpoint.
    pub fn checkpoint_latencies(&self, now_ms: i64) -> Vec<(CheckpointKey, Stats)> {
        self.1.snapshot(now_ms)
    }

    /// All values at `now_ms`.
    pub fn snapshot(&self, now_ms: i64) -> Vec<(MetricKey, PartitionSnapshot)> {
        let partitions: Vec<_> = lock(&self.0)
            .iter()
            .map(|(key, metrics)| (key.clone(), metrics.clone()))
            .collect();
        partitions
            .into_iter()
            .map(|(key, metrics)| (key, metrics.snapshot(now_ms)))
            .collect()
    }
}

/// The metrics of one partition.
#[derive(Clone, Debug, Default)]
pub struct PartitionMetrics(Arc<Mutex<Values>>);

#[derive(Debug, Default)]
struct Values {
    record_count: u64,
    records: SampledRate,
    byte_count: u64,
    bytes: SampledRate,
    record_age: SampledStats,
    replication_latency: SampledStats,
    records_lost: u64,
    high_watermark: i64,
    next_to_acknowledge: i64,
    held_back: Option<Arc<str>>,
}

impl PartitionMetrics {
    /// A batch came from the source. `bytes` is its payload as it travels: a mirror does not open it to add up values.
    pub(crate) fn polled(&self, now_ms: i64, bytes: u64, oldest_timestamp: i64, newest_timestamp: i64) {
        let mut values = lock(&self.0);
        values.byte_count += bytes;
        values.bytes.record(now_ms, bytes as f64);
        values
            .record_age
            .record(now_ms, now_ms.saturating_sub(oldest_timestamp) as f64);
        values
            .record_age
            .record(now_ms, now_ms.saturating_sub(newest_timestamp) as f64);
    }

    /// The source answered: its end, and the first offset that the target has not acknowledged.
    pub(crate) fn fetched(&self, high_watermark: i64, next: i64) {
        let mut values = lock(&self.0);
        values.high_watermark = high_watermark;
        values.next_to_acknowledge = next;
    }

    /// The target acknowledged `records`; the next upstream offset to be acknowledged is `next`.
    pub(crate) fn acknowledged(&self, now_ms: i64, records: u64, oldest: i64, newest: i64, next: i64) {
        let mut values = lock(&self.0);
        values.next_to_acknowledge = next;
        if records == 0 {
            return; // a transformation dropped them all
        }
        values.record_count += records;
        values.records.record(now_ms, records as f64);
        values
            .replication_latency
            .record(now_ms, now_ms.saturating_sub(oldest) as f64);
        values
            .replication_latency
            .record(now_ms, now_ms.saturating_sub(newest) as f64);
    }

    /// Records that the source lost before they could be copied.
    pub(crate) fn lost(&self, records: u64) {
        lock(&self.0).records_lost += records;
    }

    /// Why nothing of this partition is being written, or `None` when it flows.
    pub(crate) fn held_back(&self, reason: Option<&str>) {
        lock(&self.0).held_back = reason.map(Arc::from);
    }

    /// All values at `now_ms`.
    pub fn snapshot(&self, now_ms: i64) -> PartitionSnapshot {
        let mut values = lock(&self.0);
        PartitionSnapshot {
            record_count: values.record_count,
            record_rate: values.records.per_second(now_ms),
            byte_count: values.byte_count,
            byte_rate: values.bytes.per_second(now_ms),
            record_age_ms: values.record_age.snapshot(now_ms),
            replication_latency_ms: values.replication_latency.snapshot(now_ms),
            records_lost: values.records_lost,
            lag: values.high_watermark.saturating_sub(values.next_to_acknowledge).max(0),
            held_back: values.held_back.clone(),
        }
    }
}

/// Values of one partition at one moment.
#[derive(Clone, Debug)]
pub struct PartitionSnapshot {
    /// `record-count`: records that the target acknowledged.
    pub record_count: u64,
    /// `record-rate`.
    pub record_rate: f64,
    /// `byte-count`: bytes of batch payloads taken from the source.
    pub byte_count: u64,
    /// `byte-rate`.
    pub byte_rate: f64,
    /// `record-age-ms` and its window: age of records when they were fetched.
    pub record_age_ms: Stats,
    /// `replication-latency-ms` and its window: age of records when they were acknowledged.
    pub replication_latency_ms: Stats,
    /// Records that the source removed before they could be copied.
    pub records_lost: u64,
    /// Records between the source's end and the last acknowledged one.
    pub lag: i64,
    /// Why the partition is held back, if it is.
    pub held_back: Option<Arc<str>>,
}

/// The last value and a window of at most a minute.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stats {
    /// The newest value, 0 before the first.
    pub last: f64,
    /// Smallest in the window, NaN when it is empty.
    pub min: f64,
    /// Largest in the window, NaN when it is empty.
    pub max: f64,
    /// Mean of the window, NaN when it is empty.
    pub avg: f64,
}

/// Nothing that is done under these locks can leave a value half-changed.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000_000;

    #[test]
    fn before_the_first_record_values_are_as_in_kafka() {
        let snapshot = PartitionMetrics::default().snapshot(NOW);
        assert_eq!(
            (snapshot.record_count, snapshot.record_rate, snapshot.byte_rate),
            (0, 0.0, 0.0)
        );
        assert_eq!(snapshot.record_age_ms.last, 0.0);
        assert!(snapshot.record_age_ms.avg.is_nan() && snapshot.replication_latency_ms.max.is_nan());
    }

    #[test]
    fn ages_of_a_batch_reach_from_its_oldest_to_its_newest_record() {
        let metrics = PartitionMetrics::default();
        metrics.polled(NOW, 100, NOW - 7, NOW - 5);
        let snapshot = metrics.snapshot(NOW);
        assert_eq!(snapshot.byte_count, 100);
        assert_eq!(
            snapshot.record_age_ms,
            Stats {
                last: 5.0,
                min: 5.0,
                max: 7.0,
                avg: 6.0
            }
        );
    }

    #[test]
    fn lag_is_what_the_target_has_not_acknowledged() {
        let metrics = PartitionMetrics::default();
        metrics.fetched(100, 40);
        assert_eq!(metrics.snapshot(NOW).lag, 60);
        metrics.acknowledged(NOW, 10, NOW - 2, NOW - 1, 50);
        assert_eq!(metrics.snapshot(NOW).lag, 50);
        metrics.fetched(120, 50);
        assert_eq!(metrics.snapshot(NOW).lag, 70);
    }

    #[test]
    fn a_snapshot_lists_registered_partitions_only() {
        let all = MirrorMetrics::default();
        let key = MetricKey {
            source: "A".into(),
            target: "B".into(),
            task_id: "MirrorSourceConnector-0".into(),
            remote: TopicPartition::new("A.orders", 1),
        };
        all.register(key.clone()).lost(3);
        assert_eq!(all.snapshot(NOW)[0].1.records_lost, 3);
        all.remove(&key);
        assert!(all.snapshot(NOW).is_empty());
    }
}
