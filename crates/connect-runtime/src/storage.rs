//! The three internal topics: what is in them byte for byte, and how they are read and written.

mod coalesced;
pub mod config;
pub(crate) mod connector_offsets;
mod error;
mod json;
mod kafka_based_log;
mod keeper;
mod local_log;
pub mod offset;
pub mod offset_file;
mod own_offsets;
mod record;
pub mod status;
mod stores;
#[cfg(test)]
pub(crate) mod testdata;
mod topic;
mod transactional_writer;

pub use error::Error;
pub(crate) use kafka_based_log::build as records_to_batches;
pub use kafka_based_log::{KafkaBasedLog, LogLoop};
pub(crate) use own_offsets::{ConnectorOffsets, OFFSETS_TOPIC, OwnTopic};
pub use record::{KeyValue, LogRecord, LogState};
pub use stores::{StoreLoops, Stores};
pub use topic::{InternalTopic, TopicKind};
pub(crate) use transactional_writer::TransactionalWriter;
