use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

/// Names one task of a connector; displayed as `<connector>-<task>`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectorTaskId {
    /// The connector's name.
    pub connector: Arc<str>,
    /// Counted from 0.
    pub task: i32,
}

impl ConnectorTaskId {
    /// Task `task` of `connector`.
    pub fn new(connector: impl Into<Arc<str>>, task: i32) -> Self {
        Self {
            connector: connector.into(),
            task,
        }
    }
}

impl fmt::Display for ConnectorTaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.connector, self.task)
    }
}

/// What a user wants of a connector and its tasks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum TargetState {
    /// Run.
    #[default]
    Started,
    /// Keep the tasks, let them wait.
    Paused,
    /// End the tasks.
    Stopped,
}

/// What a connector or a task is doing, as the status topic and REST say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum State {
    /// No worker runs it.
    Unassigned,
    /// It runs.
    Running,
    /// Started and told to wait.
    Paused,
    /// It ended with an error and stays so until it is restarted.
    Failed,
    /// A user asked for a restart, which is under way.
    Restarting,
    /// Told to stop (connectors only).
    Stopped,
}
