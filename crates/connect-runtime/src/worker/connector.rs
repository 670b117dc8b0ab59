use std::{
    any::Any,
    fmt,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex},
    time::Duration,
};

use connect_api::{ConnectError, ConnectorContext, Props, SourceConnector};
use futures_util::FutureExt;
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::{
    ConnectorChange, State, TargetState, WorkerEvent, WorkerEvents,
    source_task::{panic_error, sleep_until},
};
use crate::trouble::Trouble;

/// A start that failed for a reason that passes, or a question for task configs that failed: first and longest wait.
const RETRY: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(60));
/// How long a connector may take to stop; not configurable in Kafka either.
pub(crate) const CONNECTOR_STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// One running connector: starts and stops it as its target state says, and asks it for task configs whenever there
/// may be new ones (Java's class of this name).
pub(crate) struct WorkerConnector {
    pub(crate) name: Arc<str>,
    pub(crate) run: u64,
    pub(crate) connector: Box<dyn SourceConnector>,
    pub(crate) props: Props,
    pub(crate) max_tasks: MaxTasks,
    pub(crate) requests: Arc<ConnectorRequests>,
    pub(crate) target_state: watch::Receiver<TargetState>,
    pub(crate) events: WorkerEvents,
}

/// `tasks.max` and `tasks.max.enforce`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MaxTasks {
    pub(crate) max: usize,
    pub(crate) enforce: bool,
}

impl MaxTasks {
    /// Whether a connector may have so many tasks; in Kafka's words.
    pub(crate) fn check(self, connector: &str, tasks: usize) -> Result<(), ConnectError> {
        let Self { max, enforce } = self;
        if tasks <= max {
            return Ok(());
        }
        let too_many = format!(
            "The connector {connector} has generated {tasks} tasks, which is greater than {max}, the maximum number of \
             tasks it is configured to create. This behaviour should be considered a bug and is disallowed. If necessary, \
             it can be permitted by reconfiguring the connector with 'tasks.max.enforce' set to false; however, this \
             option will be removed in a future release of Kafka Connect."
        );
        if enforce {
            return Err(ConnectError::new(too_many));
        }
        warn!("{too_many}");
        Ok(())
    }
}

/// What a connector's own jobs ask of the worker. Any number of equal requests are one.
#[derive(Default)]
pub(crate) struct ConnectorRequests {
    reconfiguration: Notify,
    failure: Notify,
    error: Mutex<Option<ConnectError>>,
}

impl ConnectorContext for ConnectorRequests {
    fn request_task_reconfiguration(&self) {
        self.reconfiguration.notify_one();
    }

    fn raise_error(&self, error: ConnectError) {
        self.error
            .lock()
            .expect("no holder of this lock panics")
            .get_or_insert(error);
        self.failure.notify_one();
    }
}

impl fmt::Debug for ConnectorRequests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ConnectorRequests")
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Not started, or stopped again.
    Idle,
    Running,
    /// Until it is run anew.
    Failed,
}

enum Event {
    TargetState,
    Reconfiguration,
    Raised,
    Retry,
}

impl WorkerConnector {
    /// Runs until cancelled. A failure does not end it: FAILED is a state, in which it waits to be restarted.
    pub(crate) async fn run(mut self, cancel: CancellationToken) {
        let running = AssertUnwindSafe(self.follow_target_state(&cancel)).catch_unwind().await;
        if let Err(panic) = running {
            self.fail(&panic_error(panic)).await;
            cancel.cancelled().await;
        }
        self.stop().await;
    }

    async fn follow_target_state(&mut self, cancel: &CancellationToken) {
        let mut phase = Phase::Idle;
        let mut trouble = Trouble::new(RETRY.0, RETRY.1);
        let mut retry_at = None;
        let mut event = Event::TargetState;
        loop {
            // Only `changed` marks it as seen: another event must not swallow the news.
            let target = *self.target_state.borrow();
            match event {
                Event::TargetState | Event::Retry if phase == Phase::Idle && target == TargetState::Started => {
                    let started = tokio::select! {
                        () = cancel.cancelled() => return,
                        started = self.connector.start(self.props.clone(), self.requests.clone()) => started,
                    };
                    (phase, retry_at) = self.after_start(started, &mut trouble).await;
                }
                Event::TargetState => phase = self.leave(phase, target).await,
                Event::Reconfiguration | Event::Retry if phase == Phase::Running && target == TargetState::Started => {
                    (phase, retry_at) = self.ask_for_task_configs(&mut trouble).await;
                }
                Event::Raised if phase != Phase::Failed => {
                    let raised = self
                        .requests
                        .error
                        .lock()
                        .expect("no holder of this lock panics")
                        .take();
                    if let Some(error) = raised {
                        self.fail(&error).await;
                        phase = Phase::Failed;
                    }
                }
                Event::Reconfiguration | Event::Retry | Event::Raised => {}
            }
            event = tokio::select! {
                () = cancel.cancelled() => return,
                Ok(()) = self.target_state.changed() => Event::TargetState,
                () = self.requests.failure.notified() => Event::Raised,
                () = self.requests.reconfiguration.notified(), if retry_at.is_none() => Event::Reconfiguration,
                () = sleep_until(retry_at) => { retry_at = None; Event::Retry }
            };
        }
    }

    async fn after_start(
        &mut self,
        started: Result<(), ConnectError>,
        trouble: &mut Trouble,
    ) -> (Phase, Option<Instant>) {
        match started {
            Ok(()) => {
                trouble.worked();
                info!(connector = &*self.name, "connector started");
                self.report(State::Running, None).await;
                self.requests.request_task_reconfiguration();
                (Phase::Running, None)
            }
            Err(error) if error.is_retriable() => {
                let failure = trouble.failed();
                if failure.report {
                    warn!(
                        connector = &*self.name,
                        error = error.chain(),
                        attempts = failure.attempts,
                        "connector cannot start, trying again"
                    );
                }
                self.stop().await;
                (Phase::Idle, Some(Instant::now() + failure.wait))
            }
            Err(error) => {
                self.fail(&error).await;
                (Phase::Failed, None)
            }
        }
    }

    /// To PAUSED or STOPPED. A failed connector can be stopped, but not paused.
    async fn leave(&mut self, phase: Phase, target: TargetState) -> Phase {
        let state = match (target, phase) {
            (TargetState::Started, _) | (TargetState::Paused, Phase::Failed) => return phase,
            (TargetState::Paused, _) => State::Paused,
            (TargetState::Stopped, _) => State::Stopped,
        };
        if phase != Phase::Idle {
            self.stop().await;
        }
        info!(connector = &*self.name, ?state, "connector stopped");
        self.report(state, None).await;
        Phase::Idle
    }

    async fn ask_for_task_configs(&mut self, trouble: &mut Trouble) -> (Phase, Option<Instant>) {
        let asked = self.connector.task_configs(self.max_tasks.max);
        match asked
            .map_err(TaskConfigsError::Other)
            .and_then(|configs| self.within_limit(configs))
        {
            Ok(mut configs) => {
                trouble.worked();
                for config in &mut configs {
                    config.insert("task.class".to_owned(), self.connector.task_class().to_owned());
                }
                self.tell(ConnectorChange::TaskConfigs(configs)).await;
                (Phase::Running, None)
            }
            Err(TaskConfigsError::TooMany(error)) => {
                self.fail(&error).await;
                (Phase::Failed, None)
            }
            Err(TaskConfigsError::Other(error)) => {
                let failure = trouble.failed();
                if failure.report {
                    warn!(
                        connector = &*self.name,
                        error = error.chain(),
                        attempts = failure.attempts,
                        "connector cannot say how to share its work, asking again"
                    );
                }
                (Phase::Running, Some(Instant::now() + failure.wait))
            }
        }
    }
}

enum TaskConfigsError {
    TooMany(ConnectError),
    Other(ConnectError),
}

impl WorkerConnector {
    fn within_limit(&self, configs: Vec<Props>) -> Result<Vec<Props>, TaskConfigsError> {
        let checked = self.max_tasks.check(&self.name, configs.len());
        checked.map(|()| configs).map_err(TaskConfigsError::TooMany)
    }

    async fn stop(&mut self) {
        let stopping = AssertUnwindSafe(self.connector.stop()).catch_unwind();
        match tokio::time::timeout(CONNECTOR_STOP_TIMEOUT, stopping).await {
            Ok(Ok(())) => {}
            Ok(Err(panic)) => warn!(
                connector = &*self.name,
                error = panic_text(panic),
                "connector failed while it was stopped"
            ),
            Err(_) => warn!(connector = &*self.name, "connector did not stop in time"),
        }
    }

    async fn fail(&mut self, error: &ConnectError) {
        error!(connector = &*self.name, error = error.chain(), "connector failed");
        self.report(State::Failed, Some(error.chain())).await;
    }

    async fn report(&mut self, state: State, trace: Option<String>) {
        self.tell(ConnectorChange::State(state, trace)).await;
    }

    async fn tell(&mut self, change: ConnectorChange) {
        // Without a receiver the worker is gone, and this connector's token is cancelled.
        let _ = self
            .events
            .send(WorkerEvent::Connector {
                name: self.name.clone(),
                run: self.run,
                change,
            })
            .await;
    }
}

fn panic_text(panic: Box<dyn Any + Send>) -> String {
    panic_error(panic).chain()
}

#[cfg(test)]
mod tests {
    use connect_api::{BoxFuture, SourceTask};
    use tokio::{sync::mpsc, task::JoinSet, time::timeout};

    use super::*;

    /// Says when its start begins, and starts when it is told to.
    #[derive(Clone, Default)]
    struct Slow {
        starting: Arc<Notify>,
        go: Arc<Notify>,
    }

    impl SourceConnector for Slow {
        fn start(&mut self, _: Props, _: Arc<dyn ConnectorContext>) -> BoxFuture<'_, Result<(), ConnectError>> {
            Box::pin(async {
                self.starting.notify_one();
                self.go.notified().await;
                Ok(())
            })
        }

        fn task_configs(&mut self, _: usize) -> Result<Vec<Props>, ConnectError> {
            Ok(Vec::new())
        }

        fn new_task(&self) -> Box<dyn SourceTask> {
            unreachable!("nobody runs tasks here")
        }

        fn task_class(&self) -> &'static str {
            "Slow"
        }

        fn stop(&mut self) -> BoxFuture<'_, ()> {
            Box::pin(async {})
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_target_state_that_comes_while_it_starts_is_followed() {
        // After the start there are two pieces of news at once, and either may be heard first.
        for _ in 0..32 {
            let slow = Slow::default();
            let (target, target_state) = watch::channel(TargetState::Started);
            let (events, mut told) = mpsc::channel(8);
            let connector = WorkerConnector {
                name: "slow".into(),
                run: 1,
                connector: Box::new(slow.clone()),
                props: Props::new(),
                max_tasks: MaxTasks { max: 1, enforce: true },
                requests: Arc::default(),
                target_state,
                events,
            };
            let cancel = CancellationToken::new();
            let mut running = JoinSet::new();
            running.spawn(connector.run(cancel.clone()));
            slow.starting.notified().await;
            target.send_replace(TargetState::Stopped);
            slow.go.notify_one();
            let stopped = async {
                while let Some(event) = told.recv().await {
                    if let WorkerEvent::Connector {
                        change: ConnectorChange::State(State::Stopped, _),
                        ..
                    } = event
                    {
                        return;
                    }
                }
            };
            timeout(Duration::from_secs(60), stopped).await.expect("it stops");
            cancel.cancel();
            running.join_all().await;
        }
    }
}
