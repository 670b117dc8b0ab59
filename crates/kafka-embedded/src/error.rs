//! What starting or driving a cluster from a test can fail with.

use std::io;

/// A failure of the cluster's own interface. What clients get are Kafka's error codes.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A listener could not be opened.
    #[error("node {node_id} cannot listen on {address}")]
    Listen {
        /// The node whose listener it is.
        node_id: i32,
        /// Host and port that were asked for.
        address: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A node id that the cluster does not have.
    #[error("no node {node_id} in this cluster")]
    NoSuchNode {
        /// The id that was asked for.
        node_id: i32,
    },
    /// A node that is not running.
    #[error("node {node_id} is stopped")]
    NodeStopped {
        /// The node's id.
        node_id: i32,
    },
    /// A topic or partition that does not exist.
    #[error("no partition {topic}-{partition} in this cluster")]
    NoSuchPartition {
        /// The topic's name.
        topic: String,
        /// The partition's index.
        partition: i32,
    },
    /// Kafka's own refusal of an administrative act.
    #[error("{what} was refused: {message}")]
    Refused {
        /// What was tried, with its name.
        what: String,
        /// Kafka's words for it.
        message: String,
        /// Kafka's error code.
        #[source]
        source: kafka_protocol::error::ResponseError,
    },
    /// A stored batch that cannot be read back.
    #[error("a batch of {topic}-{partition} cannot be read")]
    Unreadable {
        /// The topic's name.
        topic: String,
        /// The partition's index.
        partition: i32,
        /// Why.
        #[source]
        source: kafka_wire::Error,
    },
}
