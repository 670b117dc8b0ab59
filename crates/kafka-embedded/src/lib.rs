//! An in-process Kafka for the quickstart and for tests: one cluster of one or more nodes, in memory, over TCP or over
//! in-memory streams, with hooks to refuse, delay or lose a request.
//!
//! It is one broker, not a mock for each test: what it advertises it does, as Kafka 4.3 does it, and Kafka's own tools
//! and other clients work with it unchanged. Every file under `api/` says at its top which versions of a request are
//! served and what is left out on purpose. Nothing is kept on disk and nothing is replicated: the nodes share one state,
//! and a partition's replicas are the nodes that may lead it. There is no TLS and no SASL.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), kafka_embedded::Error> {
//! let cluster = kafka_embedded::Cluster::builder().start().await?;
//! cluster.create_topic("orders", 3, &[("cleanup.policy", "compact")])?;
//! assert_eq!(cluster.topic_names(), ["orders"]);
//! assert_eq!(cluster.end_offset("orders", 0)?, 0);
//! // ... give `cluster.bootstrap_servers()` to a client ...
//! cluster.shutdown().await;
//! # Ok(())
//! # }
//! ```

mod acl;
mod api;
mod clock;
mod cluster;
mod configs;
mod control;
mod error;
mod fetch_session;
mod frame;
mod group;
mod housekeeping;
mod log;
mod node;
mod state;
mod topic;
mod transaction;

pub use cluster::{Builder, Cluster, CommittedOffset, StoredRecord};
pub use control::{Control, Request};
pub use error::Error;
pub use kafka_protocol::error::ResponseError;
pub use kafka_protocol::messages::{ApiKey, RequestKind, ResponseKind};
