use std::{collections::BTreeMap, sync::Arc, time::Duration};

use connect_api::{ConnectError, Props};
use tokio::{
    sync::watch,
    task::{AbortHandle, JoinSet},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::plan::{Phase, Running};
use crate::{
    metrics::TaskMetrics,
    storage::config::RawConfig,
    worker::{State, TargetState, TaskEnd},
};

/// A connector or task that runs here, is on its way out, or has failed here.
#[derive(Debug)]
pub(super) struct Child<V, X> {
    /// Tells its reports from those of an earlier run.
    pub(super) run: u64,
    /// The configuration that it runs with.
    pub(super) version: V,
    pub(super) phase: Phase,
    pub(super) state: State,
    pub(super) trace: Option<String>,
    /// What only connectors, or only tasks, have.
    pub(super) own: X,
    /// Someone asked for a restart: it is started again when it has stopped.
    pub(super) restarting: bool,
    target: watch::Sender<TargetState>,
    cancel: CancellationToken,
    abort: Option<AbortHandle>,
    abort_at: Option<Instant>,
}

/// What the herder shares with a task.
pub(super) struct TaskLine {
    pub(super) metrics: Arc<TaskMetrics>,
    /// The connector's configuration as it is stored, and as the task was last told, its variables resolved.
    connector: RawConfig,
    told: watch::Sender<Props>,
}

impl TaskLine {
    /// A line to a task, and what the task listens to.
    pub(super) fn new(
        metrics: Arc<TaskMetrics>,
        connector: RawConfig,
        resolved: Props,
    ) -> (Self, watch::Receiver<Props>) {
        let (told, heard) = watch::channel(resolved);
        let line = Self {
            metrics,
            connector,
            told,
        };
        (line, heard)
    }

    /// Tells the task, if the connector's configuration is another than before.
    pub(super) fn configure(
        &mut self,
        connector: &RawConfig,
        resolve: impl FnOnce(&RawConfig) -> Result<Props, ConnectError>,
    ) -> Result<(), ConnectError> {
        if self.connector != *connector {
            self.connector.clone_from(connector);
            self.told.send_replace(resolve(connector)?);
        }
        Ok(())
    }
}

/// What a child is given to listen to.
pub(super) struct ChildLine {
    pub(super) run: u64,
    pub(super) cancel: CancellationToken,
    pub(super) target: watch::Receiver<TargetState>,
}

impl<V, X> Child<V, X> {
    pub(super) fn new(
        run: u64,
        version: V,
        own: X,
        target: TargetState,
        parent: &CancellationToken,
    ) -> (Self, ChildLine) {
        let (target, target_seen) = watch::channel(target);
        let cancel = parent.child_token();
        let line = ChildLine {
            run,
            cancel: cancel.clone(),
            target: target_seen,
        };
        let child = Self {
            run,
            version,
            phase: Phase::Active,
            state: State::Unassigned,
            trace: None,
            own,
            restarting: false,
            target,
            cancel,
            abort: None,
            abort_at: None,
        };
        (child, line)
    }

    pub(super) fn runs_as(&mut self, abort: AbortHandle) {
        self.abort = Some(abort);
    }

    /// It never came to run, or has ended with an error.
    pub(super) fn fail(&mut self, trace: String) {
        (self.phase, self.state, self.trace) = (Phase::Failed, State::Failed, Some(trace));
        (self.abort, self.abort_at) = (None, None);
    }

    pub(super) fn set_target(&self, target: TargetState) {
        self.target
            .send_if_modified(|current| std::mem::replace(current, target) != target);
    }

    /// Tells it to stop, and notes when patience ends.
    pub(super) fn stop(&mut self, within: Duration) {
        if self.phase == Phase::Active {
            self.phase = Phase::Stopping;
            self.abort_at = Some(Instant::now() + within);
            self.cancel.cancel();
        }
    }

    /// Ends it at once if it was told to stop and did not in time.
    pub(super) fn abort_if_late(&mut self, now: Instant) -> bool {
        let late = self.abort_at.is_some_and(|at| at <= now);
        if late {
            self.abort_at = None;
            if let Some(abort) = &self.abort {
                abort.abort();
            }
        }
        late
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.phase == Phase::Stopping
    }

    pub(super) fn abort_at(&self) -> Option<Instant> {
        self.abort_at
    }
}

/// How a child ended.
pub(super) enum Exit<C, T> {
    Connector { key: C, run: u64 },
    Task { key: T, run: u64, end: TaskEnd },
}

/// All children of one kind.
pub(super) type Children<K, V, X> = BTreeMap<K, Child<V, X>>;

/// As the plan sees them.
pub(super) fn running<K: Ord + Clone, V, X>(children: &Children<K, V, X>) -> BTreeMap<K, Running<'_, V>> {
    let view = |child: &'_ Child<V, X>| -> Phase { child.phase };
    children
        .iter()
        .map(|(key, child)| {
            (
                key.clone(),
                Running {
                    version: &child.version,
                    phase: view(child),
                },
            )
        })
        .collect()
}

/// The children's futures. They end before their parent does.
pub(super) type ChildSet = JoinSet<Exit<Arc<str>, crate::worker::ConnectorTaskId>>;
