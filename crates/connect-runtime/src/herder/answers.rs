//! What the herder answers. Names and members are Kafka's REST entities; how they look as JSON is REST's affair.

use std::sync::Arc;

pub use connect_api::JsonMap;

pub use crate::storage::status::StateInfo;
use crate::{storage::config::RawConfig, worker::ConnectorTaskId};

/// Which way a connector's records go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectorKind {
    /// Into Kafka.
    Source,
    /// Out of Kafka.
    Sink,
    /// Its class is not known here.
    Unknown,
}

impl ConnectorKind {
    /// As REST says it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Sink => "sink",
            Self::Unknown => "unknown",
        }
    }
}

/// A connector as it is configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectorInfo {
    /// Its name.
    pub name: String,
    /// As it was given; variables are not resolved.
    pub config: Arc<RawConfig>,
    /// Its tasks, in order.
    pub tasks: Vec<ConnectorTaskId>,
    /// What it is.
    pub kind: ConnectorKind,
}

/// What a connector and its tasks do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectorStateInfo {
    /// Its name.
    pub name: String,
    /// The connector itself.
    pub connector: Arc<StateInfo>,
    /// Its tasks, by number.
    pub tasks: Vec<(i32, Arc<StateInfo>)>,
    /// What it is.
    pub kind: ConnectorKind,
}

/// What became of a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Put {
    /// Whether the connector is new.
    pub created: bool,
    /// The configuration as it was given, and the tasks from before.
    pub info: ConnectorInfo,
}

/// What becomes of a request to restart a connector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RestartAnswer {
    /// The connector has been started again.
    Done,
    /// Whoever runs it will restart what is RESTARTING here.
    Accepted(ConnectorStateInfo),
}

/// How far one partition of a source has been copied.
#[derive(Clone, Debug, PartialEq)]
pub struct ConnectorOffset {
    /// Names the partition.
    pub partition: JsonMap,
    /// Its offset.
    pub offset: JsonMap,
}
