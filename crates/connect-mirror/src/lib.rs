//! The mirror connectors of Heliograph: they copy topics, heartbeats and consumer positions from a source cluster to a
//! target cluster, as Kafka's MirrorMaker 2 does.
//!
//! They know the contract of `connect-api` and a Kafka client; nothing of workers, herders or HTTP.

mod clock;
mod metrics;
mod offset_sync_writer;
mod source;

pub use clock::Clock;
pub use metrics::{MetricKey, MirrorMetrics, PartitionMetrics, PartitionSnapshot, Stats};
