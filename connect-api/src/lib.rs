//! The contract between a Connect worker and the connectors that it runs.
//!
//! Nothing here does I/O or knows a runtime: a connector compiles without a worker, a worker without a connector.
//! The names are those of `org.apache.kafka.connect.source`; the unit of work is the batch where Java's is the record.
//! Start reading at [`SourceTask`].

mod connector;
pub mod connector_config;
mod error;
mod offset;
mod task;
mod version_range;

pub use config_def::Props;
pub use connector::{ConnectorContext, SourceConnector};
pub use error::ConnectError;
pub use futures_util::future::BoxFuture;
pub use offset::{JsonMap, OffsetStorageReader, SourceOffset, SourcePartition, SourceValue};
pub use task::{BatchOutcome, Refusal, SourceBatch, SourceTask, TaskContext};
pub use version_range::VersionRange;
