use super::RequestError::{AlreadyExists, BadRequest, Forbidden, Internal, NotFound, RebalanceNeeded};
use crate::worker::ConnectorTaskId;

/// Why a request was not done. Displayed in Kafka's words, which are all in this file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// There is no such thing (404).
    #[error("{0}")]
    NotFound(String),
    /// There is one already (409).
    #[error("{0}")]
    AlreadyExists(String),
    /// What was asked makes no sense (400).
    #[error("{0}")]
    BadRequest(String),
    /// It may not be done (403).
    #[error("{0}")]
    Forbidden(String),
    /// Not at this moment (409).
    #[error("{0}")]
    Conflict(String),
    /// Not yet (503).
    #[error("{0}")]
    Unavailable(String),
    /// A rebalance is about to change who has to answer (409 where another worker may be asked, else 500).
    #[error("{0}")]
    RebalanceNeeded(String),
    /// Another worker has to do this.
    #[error("Cannot complete request because of a conflicting operation (e.g. worker rebalance)")]
    Forward {
        /// Its base URL, with a trailing slash; `None` while nobody knows it.
        url: Option<String>,
    },
    /// The worker is on its way out (500).
    #[error("Worker is shutting down")]
    ShuttingDown,
    /// Something failed (500): the chain of causes.
    #[error("{0}")]
    Internal(String),
}

/// Kafka's messages.
impl RequestError {
    pub(crate) fn connector_not_found(name: &str) -> Self {
        NotFound(format!("Connector {name} not found"))
    }

    pub(crate) fn connector_exists(name: &str) -> Self {
        AlreadyExists(format!("Connector {name} already exists"))
    }

    /// To pause, resume and stop.
    pub(crate) fn unknown_connector(name: &str) -> Self {
        NotFound(format!("Unknown connector {name}"))
    }

    /// To restart.
    pub(crate) fn unknown_connector_to_restart(name: &str) -> Self {
        NotFound(format!("Unknown connector: {name}"))
    }

    pub(crate) fn unknown_task(id: &ConnectorTaskId) -> Self {
        NotFound(format!("Unknown task: {id}"))
    }

    pub(crate) fn no_status(name: &str) -> Self {
        NotFound(format!("No status found for connector {name}"))
    }

    pub(crate) fn no_status_to_restart(name: &str) -> Self {
        NotFound(format!("Status for connector {name} not found"))
    }

    pub(crate) fn no_task_status(id: &ConnectorTaskId) -> Self {
        NotFound(format!("No status found for task {id}"))
    }

    pub(crate) fn task_did_not_start(id: &ConnectorTaskId) -> Self {
        Internal(format!("Failed to start task: {id}"))
    }

    pub(crate) fn connector_did_not_start(name: &str) -> Self {
        Internal(format!("Failed to start connector: {name}"))
    }

    pub(crate) fn topic_tracking_disabled() -> Self {
        Forbidden("Topic tracking is disabled.".to_owned())
    }

    pub(crate) fn topic_reset_disabled() -> Self {
        Forbidden("Topic tracking reset is disabled.".to_owned())
    }

    pub(crate) fn no_offsets_given() -> Self {
        BadRequest("Partitions / offsets need to be provided for an alter offsets request".to_owned())
    }

    pub(crate) fn not_stopped(name: &str) -> Self {
        BadRequest(format!(
            "Connectors must be in the STOPPED state before their offsets can be modified. This can be done for the \
             specified connector by issuing a 'PUT' request to the '/connectors/{name}/stop' endpoint"
        ))
    }

    pub(crate) fn tasks_for_stopped(name: &str) -> Self {
        BadRequest(format!(
            "Cannot submit non-empty set of task configs for stopped connector {name}"
        ))
    }

    pub(crate) fn rebalance_expected() -> Self {
        RebalanceNeeded("Request cannot be completed because a rebalance is expected".to_owned())
    }

    pub(crate) fn invalid_signature() -> Self {
        Forbidden("Internal request contained invalid signature.".to_owned())
    }

    pub(crate) fn signature_missing() -> Self {
        BadRequest("Internal request missing required signature".to_owned())
    }

    pub(crate) fn algorithm_not_available(algorithm: &str) -> Self {
        BadRequest(format!("Algorithm {algorithm} not available"))
    }

    pub(crate) fn algorithm_not_supported(algorithm: &str, verified: &[String]) -> Self {
        let verified = verified.join(", ");
        BadRequest(format!(
            "This worker does not support the '{algorithm}' key signing algorithm used by other workers. This worker is \
             currently configured to use: [{verified}]. Check that all workers' configuration files permit the same set \
             of signature algorithms, and correct any misconfigured worker and restart it."
        ))
    }

    pub(crate) fn leader_write_failed() -> Self {
        Internal(
            "Failed to write to config topic; this may be due to a transient error and the request can be safely retried"
                .to_owned(),
        )
    }

    pub(crate) fn not_a_source(name: &str) -> Self {
        BadRequest(format!("Connector {name} is not a source connector"))
    }

    pub(crate) fn fencing_overtaken() -> Self {
        Self::Conflict("Fencing failed because new task configurations were generated for the connector".to_owned())
    }

    pub(crate) fn no_session_key_yet() -> Self {
        Self::Unavailable(
            "This worker is still starting up and has not been able to read a session key from the config topic yet"
                .to_owned(),
        )
    }
}
