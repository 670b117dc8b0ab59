use std::{sync::Arc, time::Duration};

use config_def::ConfigErrors;
use kafka_client::producer::Refused;
use kafka_wire::{ErrorCode, TopicPartition};

use super::offset_file::OffsetFileError;

/// What can go wrong with an internal topic.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The worker's settings of the store's clients.
    #[error("the settings of the worker's clients are not usable")]
    Config(#[source] ConfigErrors),
    /// The target would not take a record.
    #[error("write to {partition} was refused")]
    Refused {
        /// Where to.
        partition: TopicPartition,
        /// Why.
        #[source]
        source: Refused,
    },
    /// A transaction came to nothing: another producer has its id, or it took too long.
    #[error("a transaction of topic {topic} failed")]
    Transaction {
        /// Where to.
        topic: Arc<str>,
        /// Why.
        #[source]
        source: kafka_client::Error,
    },
    /// The offset file of a standalone worker.
    #[error(transparent)]
    OffsetFile(#[from] OffsetFileError),
    /// The log's loop has ended: the worker shuts down.
    #[error("the log of topic {topic} is closed")]
    Closed {
        /// Which log.
        topic: Arc<str>,
    },
    /// The target took too long over a write, or over reading it back.
    #[error("no answer within {} ms", timeout.as_millis())]
    Timeout {
        /// How long it had.
        timeout: Duration,
    },
    /// A request about the topic failed.
    #[error("{what} topic '{topic}' ({purpose}) failed")]
    Request {
        /// `create`, `describe` …
        what: &'static str,
        /// Which topic.
        topic: String,
        /// What it is for.
        purpose: &'static str,
        /// Why.
        #[source]
        source: kafka_client::Error,
    },
    /// The topic is neither there nor could it be created.
    #[error(
        "topic '{topic}' supplied via the '{property}' property does not exist and could not be created; create it \
         with cleanup.policy=compact, or let the worker's user create it"
    )]
    Missing {
        /// Which topic.
        topic: String,
        /// The worker key that names it.
        property: &'static str,
    },
    /// A cluster with fewer brokers than copies wanted.
    #[error(
        "topic '{topic}' cannot be created with replication factor {replication_factor}: the cluster has {brokers} \
         broker(s). Set '{property}' in the worker's configuration to at most {brokers}, or to -1 for the broker's default"
    )]
    ReplicationFactor {
        /// Which topic.
        topic: String,
        /// What was asked for.
        replication_factor: i16,
        /// Brokers there are.
        brokers: usize,
        /// The worker key to change.
        property: String,
    },
    /// Kafka's words: something else than compaction would delete what must stay.
    #[error(
        "Topic '{topic}' supplied via the '{property}' property is required to have 'cleanup.policy=compact' to guarantee \
         consistency and durability of {purpose}, but found the topic currently has 'cleanup.policy={found}'. Continuing \
         would likely result in eventually losing {purpose} and problems restarting this Connect cluster in the future. \
         Change the '{property}' property in the Connect worker configurations to use a topic with \
         'cleanup.policy=compact'."
    )]
    NotCompacted {
        /// Which topic.
        topic: String,
        /// The worker key that names it.
        property: &'static str,
        /// What it is for.
        purpose: &'static str,
        /// Its policy.
        found: String,
    },
    /// Kafka's words: records of several partitions have no order.
    #[error(
        "Topic '{topic}' supplied via the '{property}' property is required to have a single partition in order to \
         guarantee consistency of connector configurations, but found {found} partitions."
    )]
    Partitions {
        /// Which topic.
        topic: String,
        /// The worker key that names it.
        property: &'static str,
        /// Its partitions.
        found: usize,
    },
}

impl Error {
    /// Whether trying again helps only after a person has changed something.
    pub fn is_fatal(&self) -> bool {
        match self {
            // What a person configured, or a topic that a person made.
            Self::Config(_)
            | Self::ReplicationFactor { .. }
            | Self::NotCompacted { .. }
            | Self::Partitions { .. }
            | Self::OffsetFile(_) => true,
            // The name or the settings that the worker's configuration gives the topic.
            Self::Request { source, .. } => matches!(
                source.code(),
                Some(ErrorCode::INVALID_CONFIG | ErrorCode::INVALID_TOPIC_EXCEPTION | ErrorCode::INVALID_PARTITIONS)
            ),
            // The permission or the topic may come; a worker that waits says so.
            Self::Missing { .. } | Self::Refused { .. } | Self::Timeout { .. } => false,
            // Taken over again by whoever leads.
            Self::Transaction { .. } => false,
            // The worker is on its way out.
            Self::Closed { .. } => false,
        }
    }

    /// The whole chain in one line.
    pub fn chain(&self) -> String {
        let mut line = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            line.push_str(": ");
            line.push_str(&error.to_string());
            cause = error.source();
        }
        line
    }
}
