//! The mirror connectors of Heliograph: they copy topics, heartbeats and consumer positions from a source cluster to a
//! target cluster, as Kafka's MirrorMaker 2 does.
//!
//! They know the contract of `connect-api` and a Kafka client; nothing of workers, herders or HTTP.

mod clock;
pub mod config_property_filter;
#[cfg(test)]
mod golden_filters;
pub mod group_filter;
pub mod java_pattern;
mod metrics;
mod name_filter;
mod offset_sync_writer;
pub mod records;
pub mod replication_policy;
pub mod source;
pub mod topic_filter;

pub use clock::Clock;
pub use metrics::{MetricKey, MirrorMetrics, PartitionMetrics, PartitionSnapshot, Stats};
