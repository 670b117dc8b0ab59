use std::sync::Arc;

use connect_runtime::{
    herder::{self, ConnectorKind, ConnectorOffset, JsonMap, StateInfo},
    storage::config::RawConfig,
    worker::{self, State},
};
use serde::Serialize;

/// `GET /`.
#[derive(Debug, Serialize)]
pub(crate) struct ServerInfo {
    pub(crate) version: &'static str,
    pub(crate) commit: &'static str,
    pub(crate) kafka_cluster_id: Option<String>,
}

/// A sentence.
#[derive(Debug, Serialize)]
pub(crate) struct Message {
    pub(crate) message: String,
}

#[derive(Debug, Serialize)]
pub(crate) struct ConnectorInfo {
    name: String,
    config: RawConfig,
    tasks: Vec<ConnectorTaskId>,
    #[serde(rename = "type")]
    kind: &'static str,
}

impl ConnectorInfo {
    /// `config` is what may be shown of it.
    pub(crate) fn new(
        name: String,
        config: RawConfig,
        tasks: Vec<worker::ConnectorTaskId>,
        kind: ConnectorKind,
    ) -> Self {
        Self {
            name,
            config,
            tasks: tasks.into_iter().map(Into::into).collect(),
            kind: kind.as_str(),
        }
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct ConnectorTaskId {
    connector: String,
    task: i32,
}

impl From<worker::ConnectorTaskId> for ConnectorTaskId {
    fn from(id: worker::ConnectorTaskId) -> Self {
        Self {
            connector: id.connector.to_string(),
            task: id.task,
        }
    }
}

/// An element of `GET /connectors/{connector}/tasks`.
#[derive(Debug, Serialize)]
pub(crate) struct TaskInfo {
    pub(crate) id: ConnectorTaskId,
    pub(crate) config: RawConfig,
}

#[derive(Debug, Serialize)]
pub(crate) struct ConnectorStateInfo {
    name: String,
    connector: ConnectorState,
    tasks: Vec<TaskState>,
    #[serde(rename = "type")]
    kind: &'static str,
}

impl From<herder::ConnectorStateInfo> for ConnectorStateInfo {
    fn from(info: herder::ConnectorStateInfo) -> Self {
        Self {
            name: info.name,
            connector: info.connector.into(),
            tasks: info
                .tasks
                .into_iter()
                .map(|(id, state)| TaskState {
                    id,
                    state: state.into(),
                })
                .collect(),
            kind: info.kind.as_str(),
        }
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct TaskState {
    pub(crate) id: i32,
    #[serde(flatten)]
    pub(crate) state: ConnectorState,
}

#[derive(Debug, Serialize)]
pub(crate) struct ConnectorState {
    state: State,
    worker_id: String,
    #[serde(skip_serializing_if = "is_undefined")]
    version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace: Option<String>,
}

impl From<Arc<StateInfo>> for ConnectorState {
    fn from(info: Arc<StateInfo>) -> Self {
        let info = Arc::unwrap_or_clone(info);
        Self {
            state: info.state,
            worker_id: info.worker_id,
            version: info.version,
            trace: info.trace.filter(|trace| !trace.is_empty()),
        }
    }
}

/// Java says null where it knows no version, and nothing where the plug-in itself says so.
fn is_undefined(version: &Option<String>) -> bool {
    version.as_deref() == Some("undefined")
}

/// `GET /connectors/{connector}/offsets`.
#[derive(Debug, Serialize)]
pub(crate) struct ConnectorOffsets {
    offsets: Vec<Offset>,
}

#[derive(Debug, Serialize)]
struct Offset {
    partition: JsonMap,
    offset: JsonMap,
}

impl From<Vec<ConnectorOffset>> for ConnectorOffsets {
    fn from(offsets: Vec<ConnectorOffset>) -> Self {
        let offsets = offsets.into_iter().map(|one| Offset {
            partition: one.partition,
            offset: one.offset,
        });
        Self {
            offsets: offsets.collect(),
        }
    }
}
