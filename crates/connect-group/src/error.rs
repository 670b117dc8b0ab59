//! Why a worker cannot be a member of its group: only a person can mend these.

use std::sync::Arc;

use kafka_wire::ErrorCode;

/// What ends a member; Kafka's worker exits with status 1.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The coordinator refuses for good.
    #[error("group {group_id} refused {what}")]
    Refused {
        /// The group.
        group_id: Arc<str>,
        /// The request.
        what: &'static str,
        /// The coordinator's reason.
        #[source]
        source: ErrorCode,
    },
    /// The broker cannot be spoken to: wrong version, wrong protocol.
    #[error("{what} cannot be asked of the coordinator of group {group_id}")]
    Client {
        /// The group.
        group_id: Arc<str>,
        /// The request.
        what: &'static str,
        /// Why.
        #[source]
        source: kafka_client::Error,
    },
    /// Bytes of another worker that are no subscription or assignment.
    #[error("group {group_id} holds bytes that are not Connect's")]
    Malformed {
        /// The group.
        group_id: Arc<str>,
        /// What is wrong with them.
        #[source]
        source: crate::protocol::Malformed,
    },
    /// The group is not what it has to be.
    #[error("group {group_id} cannot be joined: {reason}")]
    Inconsistent {
        /// The group.
        group_id: Arc<str>,
        /// What is wrong.
        reason: Arc<str>,
    },
    /// The settings contradict each other.
    #[error("heartbeat.interval.ms must be lower than session.timeout.ms")]
    HeartbeatInterval,
    /// Whoever receives the events is gone.
    #[error("nobody listens to the events of group {group_id} any more")]
    NobodyListens {
        /// The group.
        group_id: Arc<str>,
    },
}
