//! How long checkpoints take: Kafka's `checkpoint-latency-ms` of each group and partition.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use kafka_client::metrics::SampledStats;
use kafka_wire::TopicPartition;

use super::{Stats, lock};

/// Which group in which remote partition a latency is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CheckpointKey {
    /// `<connector>-<task>`.
    pub task_id: Arc<str>,
    /// Alias of the source cluster.
    pub source: Arc<str>,
    /// Alias of the target cluster.
    pub target: Arc<str>,
    /// The consumer group.
    pub group: Arc<str>,
    /// The remote topic and its partition.
    pub remote: TopicPartition,
}

/// From the first checkpoint of a group and partition on.
#[derive(Clone, Debug, Default)]
pub(super) struct CheckpointMetrics(Arc<Mutex<BTreeMap<CheckpointKey, SampledStats>>>);

impl CheckpointMetrics {
    pub(super) fn written(&self, key: CheckpointKey, now_ms: i64, latency_ms: i64) {
        lock(&self.0).entry(key).or_default().record(now_ms, latency_ms as f64);
    }

    pub(super) fn remove(&self, (source, target): (&str, &str), task_id: &str) {
        lock(&self.0).retain(|key, _| (&*key.source, &*key.target, &*key.task_id) != (source, target, task_id));
    }

    pub(super) fn snapshot(&self, now_ms: i64) -> Vec<(CheckpointKey, Stats)> {
        let mut all = lock(&self.0);
        all.iter_mut()
            .map(|(key, stats)| (key.clone(), stats.snapshot(now_ms)))
            .collect()
    }
}
