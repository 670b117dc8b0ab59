//! What the mirror counts: Kafka's `MirrorSourceConnector` attributes per remote partition, and ours beside them.
//!
//! A task touches its partition's metrics once per batch. Reporters read [`MirrorMetrics::snapshot`].

mod batches;
mod checkpoints;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

pub use kafka_client::metrics::Stats;
use kafka_client::metrics::{SampledRate, SampledStats};
use kafka_wire::TopicPartition;
use tokio::time::Instant;

use self::checkpoints::CheckpointMetrics;
pub use self::{
    batches::{BatchCounts, Rebuilt},
    checkpoints::CheckpointKey,
};
use crate::source::{LimitKey, LimitSnapshot, limit_metrics::LimitMetrics};

/// The metrics of every mirror task of this process, by flow, connector task and remote partition.
#[derive(Clone, Debug, Default)]
pub struct MirrorMetrics(
    Arc<Mutex<BTreeMap<MetricKey, PartitionMetrics>>>,
    CheckpointMetrics,
    LimitMetrics,
);

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
    /// The topic's name at the source.
    pub source_topic: Arc<str>,
}

impl MirrorMetrics {
    /// The metrics under `key`, from now on part of every snapshot.
    pub fn register(&self, key: MetricKey) -> PartitionMetrics {
        let metrics = PartitionMetrics::default();
        lock(&self.0).insert(key, metrics.clone());
        metrics
    }

    /// Takes the metrics of a stopped task out.
    pub fn remove(&self, key: &MetricKey) {
        lock(&self.0).remove(key);
    }

    /// Where tasks show their limits.
    pub(crate) fn limits(&self) -> &LimitMetrics {
        &self.2
    }

    /// Every limit of bytes per second that is set, of flows that are here.
    pub fn limit_snapshots(&self, now: Instant) -> Vec<(LimitKey, LimitSnapshot)> {
        self.2.snapshot(now)
    }

    /// The target acknowledged a checkpoint, so long after the group was asked.
    pub fn checkpoint_written(&self, key: CheckpointKey, now_ms: i64, latency_ms: i64) {
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
    polled_records: u64,
    batches: BatchCounts,
    in_flight_bytes: u64,
    /// Of what was taken from the source and is not acknowledged, the oldest record's.
    oldest_waiting_timestamp: Option<i64>,
    newest_written_timestamp: Option<i64>,
    last_written_ms: Option<i64>,
    records_lost: u64,
    high_watermark: i64,
    next_to_acknowledge: i64,
    held_back: Option<Arc<str>>,
}

impl PartitionMetrics {
    /// A batch came from the source. `bytes` is its payload as it travels: a mirror does not open it to add up values.
    pub fn polled(&self, now_ms: i64, records: u64, bytes: u64, oldest_timestamp: i64, newest_timestamp: i64) {
        let mut values = lock(&self.0);
        values.polled_records += records;
        values.oldest_waiting_timestamp.get_or_insert(oldest_timestamp);
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
    pub fn fetched(&self, high_watermark: i64, next: i64) {
        let mut values = lock(&self.0);
        values.high_watermark = high_watermark;
        values.next_to_acknowledge = next;
    }

    /// The target acknowledged `records`. What is acknowledged `next`: its upstream offset, and the oldest timestamp of
    /// what is on its way already.
    pub fn acknowledged(&self, now_ms: i64, records: u64, (oldest, newest): (i64, i64), next: (i64, Option<i64>)) {
        let mut values = lock(&self.0);
        (values.next_to_acknowledge, values.oldest_waiting_timestamp) = next;
        values.newest_written_timestamp = Some(newest);
        if records == 0 {
            return; // a transformation dropped them all
        }
        values.last_written_ms = Some(now_ms);
        values.record_count += records;
        values.records.record(now_ms, records as f64);
        values
            .replication_latency
            .record(now_ms, now_ms.saturating_sub(oldest) as f64);
        values
            .replication_latency
            .record(now_ms, now_ms.saturating_sub(newest) as f64);
    }

    /// How a batch is carried: as it is, or rebuilt for a reason.
    pub fn carried(&self, rebuilt: Option<Rebuilt>) {
        lock(&self.0).batches.carried(rebuilt);
    }

    /// A batch was cut into smaller ones.
    pub fn cut(&self) {
        lock(&self.0).batches.cut += 1;
    }

    /// Bytes that are on their way to the target.
    pub fn in_flight(&self, bytes: usize) {
        lock(&self.0).in_flight_bytes = bytes as u64;
    }

    /// Records that the source lost before they could be copied.
    pub fn lost(&self, records: u64) {
        lock(&self.0).records_lost += records;
    }

    /// Why nothing of this partition is being written, or `None` when it flows.
    pub fn held_back(&self, reason: Option<&str>) {
        lock(&self.0).held_back = reason.map(Arc::from);
    }

    /// All values at `now_ms`.
    pub fn snapshot(&self, now_ms: i64) -> PartitionSnapshot {
        let mut values = lock(&self.0);
        let lag = values.lag();
        PartitionSnapshot {
            record_count: values.record_count,
            record_rate: values.records.per_second(now_ms),
            byte_count: values.byte_count,
            byte_rate: values.bytes.per_second(now_ms),
            record_age_ms: values.record_age.snapshot(now_ms),
            replication_latency_ms: values.replication_latency.snapshot(now_ms),
            records_lost: values.records_lost,
            lag,
            lag_bytes: values.lag_bytes(lag),
            lag_ms: values.lag_ms(lag, now_ms),
            in_flight_bytes: values.in_flight_bytes,
            batches: values.batches,
            last_written_ms: values.last_written_ms,
            held_back: values.held_back.clone(),
        }
    }
}

impl Values {
    fn lag(&self) -> i64 {
        self.high_watermark.saturating_sub(self.next_to_acknowledge).max(0)
    }

    /// What is not read yet has no known size: it is taken to be as large as what was read.
    fn lag_bytes(&self, lag: i64) -> f64 {
        match (lag, self.polled_records) {
            (0, _) => 0.0,
            (_, 0) => f64::NAN,
            (lag, records) => lag as f64 * self.byte_count as f64 / records as f64,
        }
    }

    fn lag_ms(&self, lag: i64, now_ms: i64) -> f64 {
        if lag == 0 {
            return 0.0;
        }
        let behind = self.oldest_waiting_timestamp.or(self.newest_written_timestamp);
        behind.map_or(f64::NAN, |timestamp| now_ms.saturating_sub(timestamp).max(0) as f64)
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
    /// About how many bytes that is, at the size of what was read so far; NaN as long as nothing was.
    pub lag_bytes: f64,
    /// Age of the oldest record that was not acknowledged, 0 without a lag; NaN as long as no record is known.
    pub lag_ms: f64,
    /// Bytes on their way to the target.
    pub in_flight_bytes: u64,
    /// How batches were carried.
    pub batches: BatchCounts,
    /// When the target acknowledged records last, in milliseconds since 1970.
    pub last_written_ms: Option<i64>,
    /// Why the partition is held back, if it is.
    pub held_back: Option<Arc<str>>,
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
        metrics.polled(NOW, 2, 100, NOW - 7, NOW - 5);
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
        metrics.acknowledged(NOW, 10, (NOW - 2, NOW - 1), (50, None));
        assert_eq!(metrics.snapshot(NOW).lag, 50);
        metrics.fetched(120, 50);
        assert_eq!(metrics.snapshot(NOW).lag, 70);
    }

    #[test]
    fn lag_in_time_is_the_age_of_the_oldest_record_that_is_not_acknowledged() {
        let metrics = PartitionMetrics::default();
        metrics.fetched(40, 0);
        let before = metrics.snapshot(NOW);
        assert!(before.lag_ms.is_nan() && before.lag_bytes.is_nan());
        metrics.polled(NOW, 10, 1000, NOW - 900, NOW - 800);
        metrics.polled(NOW, 10, 3000, NOW - 700, NOW - 600);
        let lags = |metrics: &PartitionMetrics| {
            let now = metrics.snapshot(NOW);
            (now.lag, now.lag_bytes, now.lag_ms)
        };
        assert_eq!(lags(&metrics), (40, 8000.0, 900.0));
        metrics.acknowledged(NOW, 10, (NOW - 900, NOW - 800), (10, Some(NOW - 700)));
        assert_eq!(lags(&metrics), (30, 6000.0, 700.0));
        metrics.acknowledged(NOW, 10, (NOW - 700, NOW - 600), (20, None));
        assert_eq!(lags(&metrics), (20, 4000.0, 600.0), "older than what comes next");
        metrics.fetched(20, 20);
        assert_eq!(lags(&metrics), (0, 0.0, 0.0));
    }

    #[test]
    fn a_snapshot_lists_registered_partitions_only() {
        let all = MirrorMetrics::default();
        let key = MetricKey {
            source: "A".into(),
            target: "B".into(),
            task_id: "MirrorSourceConnector-0".into(),
            remote: TopicPartition::new("A.orders", 1),
            source_topic: "orders".into(),
        };
        all.register(key.clone()).lost(3);
        assert_eq!(all.snapshot(NOW)[0].1.records_lost, 3);
        all.remove(&key);
        assert!(all.snapshot(NOW).is_empty());
    }
}
