use std::sync::Arc;

use tokio::sync::oneshot;

use super::{
    answers::{ConnectorInfo, ConnectorOffset, ConnectorStateInfo, Put, RestartAnswer, StateInfo},
    offsets::Modification,
    other_workers::InternalRequest,
    request_error::RequestError,
};
use crate::{
    metrics::TaskMetrics,
    storage::config::RawConfig,
    worker::{ConnectorTaskId, TargetState},
};

/// Where an answer goes. Dropped, it says that the worker is shutting down.
pub type Reply<T> = oneshot::Sender<Result<T, RequestError>>;

/// All that can be asked of the herder.
#[doc(hidden)]
pub enum Request {
    Ping(Reply<()>),
    ConnectorNames(Reply<Vec<String>>),
    ConnectorInfos(Reply<Vec<ConnectorInfo>>),
    ConnectorInfo {
        name: String,
        reply: Reply<ConnectorInfo>,
    },
    TaskConfigs {
        name: String,
        reply: Reply<Vec<(ConnectorTaskId, RawConfig)>>,
    },
    Statuses(Reply<Vec<ConnectorStateInfo>>),
    Status {
        name: String,
        reply: Reply<ConnectorStateInfo>,
    },
    TaskStatus {
        id: ConnectorTaskId,
        reply: Reply<Arc<StateInfo>>,
    },
    PutConnector {
        name: String,
        config: RawConfig,
        initial_state: Option<TargetState>,
        allow_replace: bool,
        reply: Reply<Put>,
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
    RestartConnector {
        name: String,
        include_tasks: bool,
        only_failed: bool,
        reply: Reply<RestartAnswer>,
    },
    RestartTask {
        id: ConnectorTaskId,
        reply: Reply<()>,
    },
    Offsets {
        name: String,
        reply: Reply<Vec<ConnectorOffset>>,
    },
    ModifyOffsets {
        name: String,
        modification: Modification,
        reply: Reply<String>,
    },
    ActiveTopics {
        name: String,
        reply: Reply<Vec<String>>,
    },
    ResetActiveTopics {
        name: String,
        reply: Reply<()>,
    },
    PutTaskConfigs {
        name: String,
        tasks: Vec<RawConfig>,
        request: InternalRequest,
        reply: Reply<()>,
    },
    FenceZombies {
        name: String,
        request: InternalRequest,
        reply: Reply<()>,
    },
    PutLoggerLevel {
        logger: String,
        level: String,
        reply: Reply<()>,
    },
    ReconfigureTasks {
        name: String,
        reply: Reply<()>,
    },
    TaskMetrics(Reply<Vec<(ConnectorTaskId, Arc<TaskMetrics>)>>),
}

impl Request {
    /// Whether who leads or owns something decides about the answer. The others are answered by any worker at any time,
    /// from what it has read.
    pub(super) fn depends_on_the_group(&self) -> bool {
        match self {
            Self::Ping(_)
            | Self::ConnectorInfo { .. }
            | Self::TaskConfigs { .. }
            | Self::PutConnector { .. }
            | Self::DeleteConnector { .. }
            | Self::RestartConnector { .. }
            | Self::RestartTask { .. }
            | Self::Offsets { .. }
            | Self::ModifyOffsets { .. }
            | Self::PutTaskConfigs { .. }
            | Self::FenceZombies { .. } => true,
            Self::SetTargetState { target, .. } => *target == TargetState::Stopped,
            Self::ConnectorNames(_)
            | Self::ConnectorInfos(_)
            | Self::Statuses(_)
            | Self::Status { .. }
            | Self::TaskStatus { .. }
            | Self::ActiveTopics { .. }
            | Self::ResetActiveTopics { .. }
            | Self::PutLoggerLevel { .. }
            | Self::ReconfigureTasks { .. }
            | Self::TaskMetrics(_) => false,
        }
    }
}
