//! Connectors and tasks as sets, and what can be done with two of them.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

/// A task of a connector, as the group names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId {
    /// The connector's name.
    pub connector: Arc<str>,
    /// Counted from 0.
    pub task: i32,
}

impl TaskId {
    /// Task `task` of `connector`.
    pub fn new(connector: impl Into<Arc<str>>, task: i32) -> Self {
        Self {
            connector: connector.into(),
            task,
        }
    }
}

/// As Kafka writes it: `connector-0`.
impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.connector, self.task)
    }
}

/// A set of connectors and tasks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Connectors, by name.
    pub connectors: BTreeSet<Arc<str>>,
    /// Tasks.
    pub tasks: BTreeSet<TaskId>,
}

impl Work {
    /// Nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether there is neither a connector nor a task.
    pub fn is_empty(&self) -> bool {
        self.connectors.is_empty() && self.tasks.is_empty()
    }

    /// Takes in all of `other`.
    pub fn add(&mut self, other: &Work) {
        self.connectors.extend(other.connectors.iter().cloned());
        self.tasks.extend(other.tasks.iter().cloned());
    }

    /// Drops all of `other`.
    pub fn remove(&mut self, other: &Work) {
        self.connectors
            .retain(|connector| !other.connectors.contains(connector));
        self.tasks.retain(|task| !other.tasks.contains(task));
    }

    /// What is here and not in `other`.
    pub fn without(&self, other: &Work) -> Work {
        Work {
            connectors: self.connectors.difference(&other.connectors).cloned().collect(),
            tasks: self.tasks.difference(&other.tasks).cloned().collect(),
        }
    }

    /// What is here and in `other`.
    pub fn common(&self, other: &Work) -> Work {
        Work {
            connectors: self.connectors.intersection(&other.connectors).cloned().collect(),
            tasks: self.tasks.intersection(&other.tasks).cloned().collect(),
        }
    }

    /// Whether nothing is in both.
    pub fn is_disjoint(&self, other: &Work) -> bool {
        self.connectors.is_disjoint(&other.connectors) && self.tasks.is_disjoint(&other.tasks)
    }
}
