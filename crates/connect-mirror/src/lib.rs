//! The mirror connectors of Heliograph: they copy topics, heartbeats and consumer positions from a source cluster to a
//! target cluster, as Kafka's MirrorMaker 2 does.
//!
//! They know the contract of `connect-api` and a Kafka client; nothing of workers, herders or HTTP.

pub mod acls;
pub mod alter_offsets;
mod background;
pub mod checkpoint;
pub mod client_props;
mod clock;
pub mod config_property_filter;
pub mod connector_config;
mod environment;
#[cfg(test)]
mod golden_filters;
#[cfg(test)]
mod golden_tables;
pub mod group_filter;
pub mod heartbeat;
mod internal_topic;
mod metrics;
pub mod mirror_client;
pub mod mirror_maker_config;
mod name_filter;
mod offset_runs;
mod offset_sync_history;
mod offset_sync_producer;
mod offset_sync_store;
mod offset_sync_writer;
pub mod operator;
pub mod records;
pub mod replication_policy;
mod scheduler;
pub mod source;
mod sync_slots;
pub mod topic_filter;
mod topic_reader;
mod topic_watch;

pub use clock::Clock;
pub use environment::MirrorEnvironment;
pub use metrics::{
    BatchCounts, CheckpointKey, MetricKey, MirrorMetrics, PartitionMetrics, PartitionSnapshot, Rebuilt, Stats,
};
pub use source::{LimitKey, LimitSnapshot};
