use std::{collections::BTreeMap, fmt, sync::Arc};

use connect_group::{TaskId, Work};

use super::other_workers::WorkerClient;
use crate::worker::ConnectorTaskId;

/// Who says what this worker is to run.
pub struct Assignments(pub(super) Source);

pub(super) enum Source {
    SingleNode,
    Group {
        rest_url: Arc<str>,
        worker_client: Arc<dyn WorkerClient>,
    },
}

impl Assignments {
    /// Nobody: a worker alone leads, and everything is its own.
    pub fn single_node() -> Self {
        Self(Source::SingleNode)
    }

    /// The group of the worker's settings. Others reach this worker at `rest_url`, its advertised URL with a trailing
    /// slash, and it reaches them with `worker_client`.
    pub fn of_group(rest_url: impl Into<Arc<str>>, worker_client: Arc<dyn WorkerClient>) -> Self {
        Self(Source::Group {
            rest_url: rest_url.into(),
            worker_client,
        })
    }
}

impl fmt::Debug for Assignments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::SingleNode => f.write_str("SingleNode"),
            Source::Group { rest_url, .. } => f.debug_tuple("Group").field(rest_url).finish(),
        }
    }
}

/// What this worker is to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Share {
    /// Whatever there is, now and later.
    All,
    /// What the group has assigned to it.
    Of(Part),
}

/// A part of all connectors and tasks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Part {
    work: Work,
    /// Connectors whose tasks were configured anew, each with a config offset. Their tasks wait until the group has
    /// settled a round with that offset: by then all workers have stopped the tasks of before, so that no partition is
    /// copied twice.
    held: BTreeMap<Arc<str>, i64>,
}

impl Share {
    pub(super) fn has_connector(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Of(part) => part.work.connectors.contains(name),
        }
    }

    /// Whether it is assigned, be it held or not.
    pub(super) fn has_task(&self, id: &ConnectorTaskId) -> bool {
        match self {
            Self::All => true,
            Self::Of(part) => part.work.tasks.contains(&task_id(id)),
        }
    }

    pub(super) fn may_run_task(&self, id: &ConnectorTaskId) -> bool {
        let held = match self {
            Self::All => false,
            Self::Of(part) => part.held.contains_key(&id.connector),
        };
        self.has_task(id) && !held
    }
}

impl Part {
    /// A round has come so far that all of its work may run.
    pub(super) fn assign(&mut self, work: &Work, config_offset: i64) {
        self.work = work.clone();
        self.held.retain(|_, offset| *offset > config_offset);
    }

    pub(super) fn revoke(&mut self, work: &Work) {
        self.work.remove(work);
    }

    pub(super) fn hold(&mut self, connector: &str, config_offset: i64) {
        self.held.insert(connector.into(), config_offset);
    }
}

pub(super) fn task_id(id: &ConnectorTaskId) -> TaskId {
    TaskId::new(id.connector.clone(), id.task)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(task: i32) -> ConnectorTaskId {
        ConnectorTaskId::new("c", task)
    }

    #[test]
    fn tasks_that_are_configured_anew_wait_for_the_next_round() {
        let work = Work {
            connectors: ["c".into()].into(),
            tasks: [task_id(&id(0)), task_id(&id(1))].into(),
        };
        let mut part = Part::default();
        part.assign(&work, 4);
        assert!(Share::Of(part.clone()).may_run_task(&id(0)));
        part.hold("c", 7);
        let held = Share::Of(part.clone());
        assert!(held.has_task(&id(0)) && !held.may_run_task(&id(0)) && held.has_connector("c"));
        part.assign(&work, 6);
        assert!(!Share::Of(part.clone()).may_run_task(&id(0)), "a round from before");
        part.assign(&work, 7);
        assert!(Share::Of(part.clone()).may_run_task(&id(0)));
        let revoked = Work {
            tasks: [task_id(&id(1))].into(),
            ..Work::new()
        };
        part.revoke(&revoked);
        let share = Share::Of(part);
        assert!(share.may_run_task(&id(0)) && !share.has_task(&id(1)));
    }
}
