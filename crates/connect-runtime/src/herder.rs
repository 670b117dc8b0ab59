//! The worker's control: which connectors and tasks run here, and what is said and written about them.
//!
//! One loop owns all of it and never waits: slow work is a child whose result comes back as an event, so that a source
//! or target that is away holds up nothing but itself. Start reading at [`Herder::run`].

mod answers;
mod assignment;
mod children;
mod config_writes;
mod handle;
mod offsets;
mod other_workers;
mod plan;
mod queries;
mod request;
mod request_error;
mod requests;
mod restarts;
#[doc(hidden)]
pub mod scripted;
mod stage;
mod starting;
mod status_writes;
mod statuses;
mod task_configs;

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use connect_api::Props;
use kafka_client::Dialer;
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, debug, error, info, info_span, warn};

pub use self::{
    answers::{
        ConnectorInfo, ConnectorKind, ConnectorOffset, ConnectorStateInfo, JsonMap, Put, RestartAnswer, StateInfo,
    },
    assignment::{Assignment, Assignments, Share},
    handle::HerderHandle,
    other_workers::{InternalRequest, LoggerLevels, RequestSignature, WorkerClient, WorkerClientError},
    request_error::RequestError,
    stage::Stage,
};
use self::{
    children::{ChildSet, Children, Exit, running},
    config_writes::{ConfigChange, ConfigWrites},
    plan::{Phase, Step, Wanted, WantedTask, steps},
    request::Request,
    restarts::{RestartScope, Restarts},
    stage::Progress,
    status_writes::StatusWrites,
};
use crate::{
    clock::Clock,
    metrics::TaskMetrics,
    plugins::Plugins,
    settings::WorkerSettings,
    storage::{
        self, KafkaBasedLog, StoreLoops, Stores,
        config::{ConfigEvent, ConfigState, RawConfig, raw},
        status::StatusKey,
    },
    trouble::Trouble,
    worker::{
        CONNECTOR_STOP_TIMEOUT, ConnectorChange, ConnectorRequests, ConnectorTaskId, State, TargetState, WorkerEvent,
        WorkerEvents, sleep_until,
    },
};

/// Reports from connectors and tasks that wait for the herder; they are rare, and it is fast.
const WORKER_EVENT_CAPACITY: usize = 256;
/// While the target cannot be reached at the start: first and longest wait between attempts.
const OPEN_RETRY: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(10));
/// How long the end waits for the last statuses to be written.
const STATUS_FLUSH_TIMEOUT: Duration = Duration::from_secs(3);

/// What a herder is made of.
pub struct HerderOptions {
    /// What it serves, for its log lines: `A->B` in dedicated mode.
    pub flow: String,
    /// Names this worker in statuses.
    pub worker_id: String,
    /// The worker's configuration.
    pub settings: WorkerSettings,
    /// Connectors that have to be there with this configuration, by name: the leader writes what differs.
    pub connectors: Vec<(String, Props)>,
    /// Where connectors come from.
    pub plugins: Arc<dyn Plugins>,
    /// How brokers are reached.
    pub dialer: Dialer,
    /// For stamps.
    pub clock: Clock,
    /// Who says what is ours to run.
    pub assignments: Assignments,
    /// How other workers of the group are asked; alone there are none.
    pub worker_client: Option<Arc<dyn WorkerClient>>,
    /// Who sets this process's loggers when a level is given for the whole cluster.
    pub logger_levels: Option<Arc<dyn LoggerLevels>>,
}

impl fmt::Debug for HerderOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HerderOptions")
            .field("flow", &self.flow)
            .field("worker_id", &self.worker_id)
            .finish_non_exhaustive()
    }
}

/// Why a herder ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something about an internal topic that only a person can mend.
    #[error("the worker cannot use its internal topics")]
    Storage(#[from] storage::Error),
    /// One of its own parts ended: a fault in this program.
    #[error("a part of the worker ended unexpectedly: {0}")]
    Internal(String),
}

/// Runs connectors and tasks, alone or as a member of a group.
pub struct Herder {
    flow: String,
    worker_id: String,
    settings: WorkerSettings,
    given: Vec<(String, Props)>,
    plugins: Arc<dyn Plugins>,
    dialer: Dialer,
    clock: Clock,
    assignments: Assignments,
    worker_client: Option<Arc<dyn WorkerClient>>,
    logger_levels: Option<Arc<dyn LoggerLevels>>,
    requests: mpsc::Receiver<Request>,
    events: WorkerEvents,
    events_seen: mpsc::Receiver<WorkerEvent>,

    /// Parent of every connector and task.
    cancel_children: CancellationToken,
    next_run: u64,
    connectors: Children<Arc<str>, RawConfig, Arc<ConnectorRequests>>,
    tasks: Children<ConnectorTaskId, TaskVersion, Arc<TaskMetrics>>,
    child_set: ChildSet,

    jobs: JoinSet<Job>,
    store_loops: JoinSet<()>,
    cancel_stores: CancellationToken,
    stores: Option<Stores>,
    config_changes: Option<KafkaBasedLog<ConfigState>>,
    config_writes: ConfigWrites,
    status_writes: StatusWrites,
    restarts: Restarts,
    assignment: Option<Assignment>,
    generation: i32,
    lifecycle: Lifecycle,
    progress: watch::Sender<Progress>,
}

/// A task restarts when its connector's task configs were written anew, whatever is in them.
#[derive(Clone, Debug, PartialEq, Eq)]
struct TaskVersion(u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lifecycle {
    /// The internal topics are being opened and read.
    Starting,
    Running,
    ShuttingDown,
}

/// Slow work that is done.
enum Job {
    Opened(Result<(Stores, Box<StoreLoops>), storage::Error>),
    ReadToEnd(Result<(), storage::Error>),
    ConfigWritten(Result<(), Arc<storage::Error>>),
    StatusesWritten(Result<(), storage::Error>),
    /// Someone who asked has the answer.
    Answered,
}

enum Event {
    Request(Request),
    Worker(WorkerEvent),
    Exited(Exit<Arc<str>, ConnectorTaskId>),
    /// A child that was given up, or that panicked outside its own care.
    Aborted,
    Job(Job),
    Broken(String),
    ConfigsChanged,
    Assignment(Assignment),
    Tick,
}

impl Herder {
    /// A herder that has done nothing yet, and the way to talk to it.
    pub fn new(options: HerderOptions) -> (Self, HerderHandle) {
        let (events, events_seen) = mpsc::channel(WORKER_EVENT_CAPACITY);
        let HerderOptions {
            flow,
            worker_id,
            settings,
            connectors,
            plugins,
            dialer,
            clock,
            assignments,
            worker_client,
            logger_levels,
        } = options;
        let (handle, requests, progress) = HerderHandle::new(plugins.clone());
        let herder = Self {
            flow,
            worker_id,
            settings,
            given: connectors,
            plugins,
            dialer,
            clock,
            assignments,
            worker_client,
            logger_levels,
            requests,
            events,
            events_seen,
            cancel_children: CancellationToken::new(),
            next_run: 0,
            connectors: BTreeMap::new(),
            tasks: BTreeMap::new(),
            child_set: JoinSet::new(),
            jobs: JoinSet::new(),
            store_loops: JoinSet::new(),
            cancel_stores: CancellationToken::new(),
            stores: None,
            config_changes: None,
            config_writes: ConfigWrites::new(),
            status_writes: StatusWrites::new(),
            restarts: Restarts::default(),
            assignment: None,
            generation: 0,
            lifecycle: Lifecycle::Starting,
            progress,
        };
        (herder, handle)
    }

    /// Runs until cancelled, or until something only a person can mend. Either way everything has ended orderly when
    /// it returns, or was given up in time.
    pub async fn run(self, cancel: CancellationToken) -> Result<(), Error> {
        let span = info_span!("herder", flow = self.flow);
        self.run_loop(cancel).instrument(span).await
    }

    async fn run_loop(mut self, cancel: CancellationToken) -> Result<(), Error> {
        self.begin_stage("opening the internal topics");
        let opening = open_stores(self.settings.clone(), self.dialer.clone(), self.clock.clone());
        self.jobs.spawn(async { Job::Opened(opening.await) }.in_current_span());
        let end = loop {
            let event = tokio::select! {
                () = cancel.cancelled() => break Ok(()),
                event = self.next_event() => event,
            };
            if let Err(fatal) = self.on(event) {
                break Err(fatal);
            }
        };
        if let Err(fatal) = &end {
            error!(error = chain(fatal), "the worker ends");
        }
        self.shut_down().await;
        end
    }

    async fn next_event(&mut self) -> Event {
        let deadline = self.next_deadline();
        let running = self.lifecycle == Lifecycle::Running;
        tokio::select! {
            Some(request) = self.requests.recv(), if running => Event::Request(request),
            Some(event) = self.events_seen.recv() => Event::Worker(event),
            Some(exit) = self.child_set.join_next() => match exit {
                Ok(exit) => Event::Exited(exit),
                Err(error) if error.is_cancelled() => Event::Aborted,
                Err(error) => Event::Broken(error.to_string()),
            },
            Some(job) = self.jobs.join_next() => match job {
                Ok(job) => Event::Job(job),
                Err(error) => Event::Broken(error.to_string()),
            },
            Some(ended) = self.store_loops.join_next() => {
                Event::Broken(ended.map_or_else(|error| error.to_string(), |()| "a log's loop".to_owned()))
            }
            Some(assignment) = self.assignments.receiver.recv(), if running => Event::Assignment(assignment),
            () = changed(&mut self.config_changes), if running => Event::ConfigsChanged,
            () = sleep_until(deadline) => Event::Tick,
        }
    }

    /// The only place where the herder's state changes. Never waits.
    fn on(&mut self, event: Event) -> Result<(), Error> {
        match event {
            Event::Request(request) => self.on_request(request),
            Event::Worker(event) => self.on_worker(event),
            Event::Exited(exit) => self.on_exit(exit),
            Event::Job(job) => self.on_job(job)?,
            Event::ConfigsChanged => self.on_configs_changed(),
            Event::Assignment(assignment) => self.on_assignment(assignment),
            Event::Tick => self.abort_late_children(),
            Event::Aborted => {}
            Event::Broken(what) => return Err(Error::Internal(what)),
        }
        self.write_what_waits();
        Ok(())
    }

    fn on_job(&mut self, job: Job) -> Result<(), Error> {
        match job {
            Job::Opened(opened) => {
                let (stores, loops) = opened?;
                loops.spawn_into(&mut self.store_loops, &self.cancel_stores);
                self.begin_stage("reading the internal topics to their ends");
                let reading = stores.clone();
                self.jobs
                    .spawn(async move { Job::ReadToEnd(reading.read_to_end().await) }.in_current_span());
                self.config_changes = Some(stores.configs.clone());
                self.stores = Some(stores);
            }
            Job::ReadToEnd(read) => {
                read?;
                if let Some(stores) = &self.stores {
                    stores.configs.state().go_live();
                }
                if self.lifecycle == Lifecycle::Starting {
                    self.lifecycle = Lifecycle::Running;
                    self.complete_stage();
                    self.progress.send_modify(|progress| progress.started = true);
                }
            }
            Job::ConfigWritten(result) => {
                self.config_writes.finished(result);
                self.reconcile();
            }
            Job::StatusesWritten(result) => self.status_writes.finished(result),
            Job::Answered => {}
        }
        Ok(())
    }

    fn on_assignment(&mut self, assignment: Assignment) {
        let Some(stores) = &self.stores else { return };
        // Alone there is no group to count generations: go on with the highest, so that our word on a failure is not
        // taken for an old one, neither by us nor by a worker that takes over.
        let found = stores.statuses.state().highest_generation();
        self.generation = assignment
            .generation
            .unwrap_or_else(|| found.unwrap_or_default().max(1));
        {
            let configs = stores.configs.state();
            let (connectors, tasks) = (
                configs.connectors().count(),
                configs.connectors().map(|(_, c)| c.task_configs().len()),
            );
            info!(
                leader = assignment.leader,
                generation = self.generation,
                connectors,
                tasks = tasks.sum::<usize>(),
                config_offset = configs.config_offset().unwrap_or(-1),
                "Starting connectors and tasks"
            );
        }
        let leads = assignment.leader;
        self.assignment = Some(assignment);
        if leads {
            self.write_given_connectors();
        }
        self.reconcile();
        self.tidy_statuses();
    }

    /// The connectors of a dedicated worker's file: the leader writes what differs from what is stored. Raw is compared
    /// with raw, so that variables alone are no difference.
    fn write_given_connectors(&mut self) {
        for (name, props) in &self.given {
            if let Err(error) = self.plugins.validate(props) {
                error!(
                    connector = name,
                    flow = self.flow,
                    error = error.chain(),
                    "Failed to configure connector, its old configuration stays"
                );
                continue;
            }
            let config = raw::from_props(props);
            self.config_writes.push(
                ConfigChange::PutConnector {
                    name: name.clone(),
                    config,
                    initial_state: None,
                },
                None,
            );
        }
    }

    fn on_configs_changed(&mut self) {
        let Some(stores) = &self.stores else { return };
        let events = stores.configs.state().take_events();
        let mut changed = false;
        let mut restarts: BTreeMap<String, RestartScope> = BTreeMap::new();
        for event in events {
            match event {
                ConfigEvent::Changed(_) => changed = true,
                ConfigEvent::RestartRequested {
                    connector,
                    include_tasks,
                    only_failed,
                } => {
                    let scope = RestartScope::new(include_tasks, only_failed);
                    let merged = restarts.entry(connector).or_insert(scope);
                    *merged = scope.max(*merged);
                }
                ConfigEvent::LoggerLevel { logger, level } => {
                    if let Some(levels) = &self.logger_levels {
                        levels.set(&logger, &level);
                    }
                }
                ConfigEvent::SessionKey => {}
            }
        }
        for (connector, scope) in restarts {
            self.restart(&connector, scope);
        }
        if changed {
            self.reconcile();
            self.tidy_statuses();
        }
    }

    /// Makes what runs here what should run here.
    fn reconcile(&mut self) {
        let (Some(stores), Some(assignment), Lifecycle::Running) = (&self.stores, &self.assignment, self.lifecycle)
        else {
            return;
        };
        let wanted = Wanted::new(&stores.configs.state(), &assignment.share);
        let configs = wanted
            .connectors
            .iter()
            .map(|(name, wanted)| (name.clone(), wanted.config.clone()))
            .collect();
        for step in steps(&configs, &running(&self.connectors)) {
            match step {
                Step::Stop(name) => self.stop_connector(&name),
                Step::Forget(name) => drop(self.connectors.remove(&name)),
                Step::Start(name) => self.start_connector(&name, &wanted.connectors[&name]),
            }
        }
        let version = |task: &WantedTask| TaskVersion(task.generation);
        let versions = wanted
            .tasks
            .iter()
            .map(|(id, task)| (id.clone(), version(task)))
            .collect();
        for step in steps(&versions, &running(&self.tasks)) {
            match step {
                Step::Stop(id) => self.stop_task(&id),
                Step::Forget(id) => drop(self.tasks.remove(&id)),
                Step::Start(id) => self.start_task(&id, &wanted.tasks[&id]),
            }
        }
        self.restarts.give_up(
            |name| self.connectors.contains_key(name),
            |id| self.tasks.contains_key(id),
        );
        for (name, wanted) in &wanted.connectors {
            if let Some(child) = self.connectors.get(name) {
                child.set_target(wanted.target);
            }
        }
        for (id, wanted) in &wanted.tasks {
            if let Some(child) = self.tasks.get(id) {
                child.set_target(wanted.target);
            }
        }
    }

    fn on_worker(&mut self, event: WorkerEvent) {
        match event {
            WorkerEvent::Connector { name, run, change } => {
                let Some(child) = self.connectors.get_mut(&name).filter(|child| child.run == run) else {
                    return;
                };
                match change {
                    ConnectorChange::State(state, trace) => {
                        if child.phase == Phase::Active {
                            self.restarts.connector_started(&name, state);
                        }
                        (child.state, child.trace) = (state, trace.clone());
                        self.put_status(StatusKey::Connector(name.to_string()), state, trace);
                    }
                    ConnectorChange::TaskConfigs(tasks) => self.on_task_configs(&name, &tasks),
                }
            }
            WorkerEvent::Task { id, run, state } => {
                let Some(child) = self.tasks.get_mut(&id).filter(|child| child.run == run) else {
                    return;
                };
                (child.state, child.trace) = (state, None);
                info!(task = %id, ?state, "task changed its state");
                self.put_status(StatusKey::Task(id), state, None);
            }
            WorkerEvent::ActiveTopic { id, topic } => self.put_active_topic(&topic, &id),
        }
    }

    fn on_task_configs(&mut self, name: &str, tasks: &[Props]) {
        let Some(stores) = &self.stores else { return };
        let change = {
            let configs = stores.configs.state();
            let Some(connector) = configs.connector(name) else {
                return;
            };
            if connector.target_state() != TargetState::Started {
                return;
            }
            let tasks = task_configs::to_raw(tasks, connector.config().expect("it is configured"));
            if !connector.needs_task_configs(&tasks) {
                debug!(connector = name, tasks = tasks.len(), "task configs are unchanged");
                return;
            }
            ConfigChange::PutTasks {
                name: name.to_owned(),
                tasks,
            }
        };
        if self.leads() {
            self.config_writes.push(change, None);
        } else {
            // Forwarding to the leader comes with the group.
            warn!(connector = name, "new task configs wait for the leader");
        }
    }

    fn on_exit(&mut self, exit: Exit<Arc<str>, ConnectorTaskId>) {
        // What it reported before its end may still be waiting, and comes first.
        while let Ok(event) = self.events_seen.try_recv() {
            self.on_worker(event);
        }
        match exit {
            Exit::Connector { key: name, run } => {
                let Some(child) = self.connectors.get(&name).filter(|child| child.run == run) else {
                    return;
                };
                let restarting = child.restarting;
                self.connectors.remove(&name);
                self.put_stopped(StatusKey::Connector(name.to_string()), restarting);
            }
            Exit::Task { key: id, run, end } => {
                let Some(child) = self.tasks.get_mut(&id).filter(|child| child.run == run) else {
                    return;
                };
                match end {
                    Err(error) if child.phase == Phase::Active => {
                        let trace = error.chain();
                        error!(task = %id, error = trace, "task failed and stays so until it is restarted");
                        child.fail(trace.clone());
                        self.put_status_safe(StatusKey::Task(id), State::Failed, Some(trace));
                    }
                    _ => {
                        let restarting = child.restarting;
                        self.tasks.remove(&id);
                        self.put_stopped(StatusKey::Task(id), restarting);
                    }
                }
            }
        }
        self.reconcile();
        self.tidy_statuses();
    }

    /// Nothing of a child that was given up is believed any more; its successor may start.
    fn abort_late_children(&mut self) {
        let now = Instant::now();
        let late: Vec<Arc<str>> = self
            .connectors
            .iter_mut()
            .filter_map(|(name, child)| child.abort_if_late(now).then(|| name.clone()))
            .collect();
        for name in late {
            warn!(connector = &*name, "connector did not stop in time and was given up");
            let restarting = self.connectors.remove(&name).is_some_and(|child| child.restarting);
            self.put_stopped(StatusKey::Connector(name.to_string()), restarting);
        }
        let late: Vec<ConnectorTaskId> = self
            .tasks
            .iter_mut()
            .filter_map(|(id, child)| child.abort_if_late(now).then(|| id.clone()))
            .collect();
        for id in late {
            warn!(task = %id, "task did not stop in time (task.shutdown.graceful.timeout.ms) and was given up");
            let restarting = self.tasks.remove(&id).is_some_and(|child| child.restarting);
            self.put_stopped(StatusKey::Task(id), restarting);
        }
        self.reconcile();
        self.tidy_statuses();
    }

    fn begin_stage(&self, description: &str) {
        let stage = Stage {
            description: description.to_owned(),
            began_ms: self.clock.now_ms(),
            completed_ms: None,
        };
        self.progress.send_modify(|progress| progress.stage = Some(stage));
    }

    fn complete_stage(&self) {
        let now_ms = self.clock.now_ms();
        self.progress.send_modify(|progress| {
            if let Some(stage) = &mut progress.stage {
                stage.completed_ms = Some(now_ms);
            }
        });
    }

    fn leader_url(&self) -> Option<String> {
        None
    }

    /// Whether this worker writes configurations.
    fn leads(&self) -> bool {
        self.assignment.as_ref().is_some_and(|assignment| assignment.leader)
    }

    fn stop_connector(&mut self, name: &Arc<str>) {
        if let Some(child) = self.connectors.get_mut(name) {
            // The connector's own limit is enforced inside; this one is for code that holds the thread.
            child.stop(CONNECTOR_STOP_TIMEOUT * 2);
        }
    }

    fn stop_task(&mut self, id: &ConnectorTaskId) {
        if let Some(child) = self.tasks.get_mut(id) {
            child.stop(self.settings.task_shutdown_graceful_timeout);
        }
    }

    fn write_what_waits(&mut self) {
        let Some(stores) = &self.stores else { return };
        if self.lifecycle == Lifecycle::Running
            && let Some(write) = self.config_writes.next(&stores.configs)
        {
            self.jobs
                .spawn(async { Job::ConfigWritten(write.await) }.in_current_span());
        }
        if let Some(write) = self.status_writes.next(&stores.statuses) {
            self.jobs
                .spawn(async { Job::StatusesWritten(write.await) }.in_current_span());
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        let connectors = self.connectors.values().filter_map(|child| child.abort_at());
        let tasks = self.tasks.values().filter_map(|child| child.abort_at());
        let config_retry = self
            .config_writes
            .retry_at()
            .filter(|_| self.lifecycle == Lifecycle::Running);
        connectors
            .chain(tasks)
            .chain(config_retry)
            .chain(self.status_writes.retry_at())
            .min()
    }

    /// Stop intake, stop connectors and tasks, write the last statuses, close the logs; each step with a deadline.
    async fn shut_down(mut self) {
        self.lifecycle = Lifecycle::ShuttingDown;
        self.requests.close();
        while self.requests.try_recv().is_ok() {}
        self.config_writes.refuse_all();
        for name in self.connectors.keys().cloned().collect::<Vec<_>>() {
            self.stop_connector(&name);
        }
        for id in self.tasks.keys().cloned().collect::<Vec<_>>() {
            self.stop_task(&id);
        }
        while !self.child_set.is_empty() {
            let event = self.next_event().await;
            if let Err(error) = self.on(event) {
                // Without its logs a task cannot end orderly.
                error!(error = chain(&error), "the worker ends at once");
                self.child_set.abort_all();
                while self.child_set.join_next().await.is_some() {}
            }
        }
        let deadline = Instant::now() + STATUS_FLUSH_TIMEOUT;
        while !self.status_writes.is_empty() && self.stores.is_some() {
            let Ok(event) = tokio::time::timeout_at(deadline, self.next_event()).await else {
                warn!("the last statuses could not be written in time");
                break;
            };
            if self.on(event).is_err() {
                break;
            }
        }
        self.jobs.shutdown().await;
        self.cancel_stores.cancel();
        while self.store_loops.join_next().await.is_some() {}
        info!("worker stopped");
    }
}

impl fmt::Debug for Herder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Herder")
            .field("flow", &self.flow)
            .field("lifecycle", &self.lifecycle)
            .finish_non_exhaustive()
    }
}

/// Opens the internal topics, however long their cluster is away.
async fn open_stores(
    settings: WorkerSettings,
    dialer: Dialer,
    clock: Clock,
) -> Result<(Stores, Box<StoreLoops>), storage::Error> {
    let mut trouble = Trouble::new(OPEN_RETRY.0, OPEN_RETRY.1);
    loop {
        let error = match Stores::open(&settings, &dialer, &clock).await {
            Err(error) if !error.is_fatal() => error,
            opened_or_fatal => return opened_or_fatal.map(|(stores, loops)| (stores, Box::new(loops))),
        };
        let failure = trouble.failed();
        if failure.report {
            let lasting_s = failure.lasting.as_secs();
            warn!(
                error = error.chain(),
                attempts = failure.attempts,
                lasting_s,
                "the worker's internal topics cannot be reached, trying again"
            );
        }
        tokio::time::sleep(failure.wait).await;
    }
}

async fn changed(log: &mut Option<KafkaBasedLog<ConfigState>>) {
    let news = match log {
        Some(log) => log.changed().await,
        None => std::future::pending().await,
    };
    if news.is_err() {
        // The log's loop has ended, which is an event of its own.
        std::future::pending().await
    }
}

/// The whole chain of causes in one line.
fn chain(error: &Error) -> String {
    let mut line = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        line.push_str(": ");
        line.push_str(&error.to_string());
        cause = error.source();
    }
    line
}
