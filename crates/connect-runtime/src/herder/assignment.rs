use tokio::sync::mpsc;

use crate::worker::ConnectorTaskId;

/// Assignments that wait for the herder. Only the last one counts, so a few are plenty.
const ASSIGNMENT_QUEUE_CAPACITY: usize = 4;

/// What this worker is to run, as the group of workers has settled it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// Whether this worker writes configurations.
    pub leader: bool,
    /// The group's generation; `None` without a group, where the herder continues the one that it finds in the status
    /// topic.
    pub generation: Option<i32>,
    /// Its part of the connectors and tasks.
    pub share: Share,
}

/// A part of all connectors and tasks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Share {
    /// Whatever there is, now and later.
    All,
    /// These.
    Of {
        /// Names.
        connectors: Vec<String>,
        /// Ids.
        tasks: Vec<ConnectorTaskId>,
    },
}

impl Share {
    pub(super) fn has_connector(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Of { connectors, .. } => connectors.iter().any(|connector| connector == name),
        }
    }

    pub(super) fn has_task(&self, id: &ConnectorTaskId) -> bool {
        match self {
            Self::All => true,
            Self::Of { tasks, .. } => tasks.contains(id),
        }
    }
}

/// Where assignments come from: a group member sends them, as often as the group rebalances.
#[derive(Debug)]
pub struct Assignments {
    pub(super) receiver: mpsc::Receiver<Assignment>,
    /// A single node's source never says another word, and never ends.
    _sender: Option<mpsc::Sender<Assignment>>,
}

impl Assignments {
    /// A worker alone: it leads, and everything is its own.
    pub fn single_node() -> Self {
        let (sender, receiver) = mpsc::channel(ASSIGNMENT_QUEUE_CAPACITY);
        let all = Assignment {
            leader: true,
            generation: None,
            share: Share::All,
        };
        sender.try_send(all).expect("a new queue has room for one");
        Self {
            receiver,
            _sender: Some(sender),
        }
    }

    /// A worker in a group, and where its member sends what the group settles.
    pub fn of_group() -> (mpsc::Sender<Assignment>, Self) {
        let (sender, receiver) = mpsc::channel(ASSIGNMENT_QUEUE_CAPACITY);
        (
            sender,
            Self {
                receiver,
                _sender: None,
            },
        )
    }
}
