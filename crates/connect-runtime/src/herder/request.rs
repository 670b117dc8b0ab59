use std::sync::Arc;

use connect_api::{ConnectError, Props};
use tokio::sync::{mpsc, oneshot};

use crate::{
    metrics::TaskMetrics,
    storage,
    worker::{ConnectorTaskId, State, TargetState},
};

/// Requests that wait for the herder. It answers in microseconds; more waiting callers wait for their turn.
const REQUEST_QUEUE_CAPACITY: usize = 256;

/// Why a request was not done.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// The worker has not read its topics yet.
    #[error("the worker is still starting")]
    Starting,
    /// The worker is on its way out.
    #[error("Worker is shutting down")]
    ShuttingDown,
    /// There is no such connector.
    #[error("Connector {0} not found")]
    UnknownConnector(String),
    /// There is no such task.
    #[error("Unknown task: {0}")]
    UnknownTask(ConnectorTaskId),
    /// Another worker of the group has to do this.
    #[error("only the leader can write configurations")]
    NotLeader,
    /// The configuration is not usable.
    #[error("the configuration of connector {name} is not usable")]
    Invalid {
        /// Whose.
        name: String,
        /// Why.
        #[source]
        source: ConnectError,
    },
    /// The config topic would not take it.
    #[error("Error writing connector configuration to Kafka")]
    Storage(#[source] Arc<storage::Error>),
}

/// A connector as users see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectorInfo {
    /// Its name.
    pub name: String,
    /// As it was given; variables are not resolved, nulls left out.
    pub config: Props,
    /// What the user wants.
    pub target_state: TargetState,
    /// What it does.
    pub status: StatusInfo,
    /// What its tasks do.
    pub tasks: Vec<(i32, StatusInfo)>,
}

/// What a connector or a task does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusInfo {
    /// Its state.
    pub state: State,
    /// Who runs it.
    pub worker_id: String,
    /// Why it failed.
    pub trace: Option<String>,
}

pub(super) type Reply<T> = oneshot::Sender<Result<T, RequestError>>;

pub(super) enum Request {
    Connectors(Reply<Vec<ConnectorInfo>>),
    TaskMetrics(Reply<Vec<(ConnectorTaskId, Arc<TaskMetrics>)>>),
    PutConnector {
        name: String,
        config: Props,
        reply: Reply<()>,
    },
    DeleteConnector {
        name: String,
        reply: Reply<()>,
    },
    SetTargetState {
        name: String,
        target: TargetState,
        reply: Reply<()>,
    },
    ReconfigureTasks {
        name: String,
        reply: Reply<()>,
    },
    RestartTask {
        id: ConnectorTaskId,
        reply: Reply<()>,
    },
    RestartConnector {
        name: String,
        include_tasks: bool,
        only_failed: bool,
        reply: Reply<()>,
    },
}

impl Request {
    /// Answers with an error, whatever was asked.
    pub(super) fn refuse(self, error: RequestError) {
        // A caller that has gone needs no answer.
        match self {
            Self::Connectors(reply) => drop(reply.send(Err(error))),
            Self::TaskMetrics(reply) => drop(reply.send(Err(error))),
            Self::PutConnector { reply, .. }
            | Self::DeleteConnector { reply, .. }
            | Self::SetTargetState { reply, .. }
            | Self::ReconfigureTasks { reply, .. }
            | Self::RestartTask { reply, .. }
            | Self::RestartConnector { reply, .. } => drop(reply.send(Err(error))),
        }
    }
}

/// Asks the herder. Cheap to clone.
#[derive(Clone, Debug)]
pub struct HerderHandle {
    requests: mpsc::Sender<Request>,
}

impl HerderHandle {
    pub(super) fn new() -> (Self, mpsc::Receiver<Request>) {
        let (requests, receiver) = mpsc::channel(REQUEST_QUEUE_CAPACITY);
        (Self { requests }, receiver)
    }

    /// All connectors, by name.
    pub async fn connectors(&self) -> Result<Vec<ConnectorInfo>, RequestError> {
        self.ask(Request::Connectors).await
    }

    /// The counters of the tasks that run here. They stay readable, and move on, without asking again.
    pub async fn task_metrics(&self) -> Result<Vec<(ConnectorTaskId, Arc<TaskMetrics>)>, RequestError> {
        self.ask(Request::TaskMetrics).await
    }

    /// Stores a connector's configuration, which starts or restarts it.
    pub async fn put_connector(&self, name: impl Into<String>, config: Props) -> Result<(), RequestError> {
        let name = name.into();
        self.ask(|reply| Request::PutConnector { name, config, reply }).await
    }

    /// Deletes a connector and its tasks. Its offsets stay.
    pub async fn delete_connector(&self, name: impl Into<String>) -> Result<(), RequestError> {
        let name = name.into();
        self.ask(|reply| Request::DeleteConnector { name, reply }).await
    }

    /// Pauses, resumes or stops a connector and its tasks. Stopping deletes the task configs, as in Kafka.
    pub async fn set_target_state(&self, name: impl Into<String>, target: TargetState) -> Result<(), RequestError> {
        let name = name.into();
        self.ask(|reply| Request::SetTargetState { name, target, reply }).await
    }

    /// Asks a connector that runs here how its work is to be shared now.
    pub async fn request_task_reconfiguration(&self, name: impl Into<String>) -> Result<(), RequestError> {
        let name = name.into();
        self.ask(|reply| Request::ReconfigureTasks { name, reply }).await
    }

    /// Restarts one task that runs, or has failed, here.
    pub async fn restart_task(&self, id: ConnectorTaskId) -> Result<(), RequestError> {
        self.ask(|reply| Request::RestartTask { id, reply }).await
    }

    /// Restarts a connector, and its tasks if asked to; with `only_failed`, what has failed of them.
    pub async fn restart_connector(
        &self,
        name: impl Into<String>,
        include_tasks: bool,
        only_failed: bool,
    ) -> Result<(), RequestError> {
        let name = name.into();
        self.ask(|reply| Request::RestartConnector {
            name,
            include_tasks,
            only_failed,
            reply,
        })
        .await
    }

    async fn ask<T>(&self, request: impl FnOnce(Reply<T>) -> Request) -> Result<T, RequestError> {
        let (reply, answer) = oneshot::channel();
        self.requests
            .send(request(reply))
            .await
            .map_err(|_| RequestError::ShuttingDown)?;
        answer.await.map_err(|_| RequestError::ShuttingDown)?
    }
}
