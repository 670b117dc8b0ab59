use std::sync::Arc;

use connect_api::Props;
use tokio::sync::{mpsc, oneshot};

use super::{ConnectorTaskId, State};

/// What connectors and tasks report upwards, all on one channel. Each carries the number of the run that it is about,
/// so that what a run says after it was given up is not taken for its successor's word.
#[derive(Debug)]
pub(crate) enum WorkerEvent {
    /// A connector.
    Connector {
        /// Its name.
        name: Arc<str>,
        /// Its run.
        run: u64,
        /// What happened.
        change: ConnectorChange,
    },
    /// A task is RUNNING or PAUSED now.
    Task {
        /// Which.
        id: ConnectorTaskId,
        /// Its run.
        run: u64,
        /// What it does now.
        state: State,
    },
    /// Before tasks of a connector write exactly once, the producers of earlier ones have to be fenced. Without an answer
    /// there is nobody who could do it now.
    FencingWanted {
        /// Whose.
        connector: Arc<str>,
        /// Told when it is done.
        reply: oneshot::Sender<Result<(), FencingError>>,
    },
    /// A task has written to a topic, for the first time in this run.
    ActiveTopic {
        /// Which.
        id: ConnectorTaskId,
        /// The topic.
        topic: Arc<str>,
    },
}

/// Why earlier producers could not be fenced.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct FencingError {
    /// In the leader's words.
    pub(crate) message: String,
    /// Whether asking again is of no use.
    pub(crate) is_final: bool,
}

/// What happened to a connector.
#[derive(Debug)]
pub(crate) enum ConnectorChange {
    /// It is in another state now, with a trace when it failed.
    State(State, Option<String>),
    /// It has (again) said how its work is to be shared.
    TaskConfigs(Vec<Props>),
}

/// Where reports go. The receiver lives as long as anything that reports.
pub(crate) type WorkerEvents = mpsc::Sender<WorkerEvent>;
