//! The worker's control: which connectors and tasks run here, and what is said and written about them.
//!
//! One loop owns all of it and never waits: slow work is a child whose result comes back as an event, so that a source
//! or target that is away holds up nothing but itself. Start reading at [`Herder::run`].

mod answers;
mod assignment;
mod auto_restart;
mod children;
mod config_writes;
mod converters;
mod fencing;
mod group;
mod handle;
mod leader;
mod leadership;
mod offsets;
mod other_workers;
mod plan;
mod publications;
mod queries;
mod reconcile;
mod request;
mod request_error;
mod requests;
mod restarts;
#[doc(hidden)]
pub mod scripted;
mod shutdown;
mod stage;
mod starting;
mod startup;
mod status_writes;
mod statuses;
mod task_configs;

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    sync::Arc,
};

use connect_api::Props;
use kafka_client::Dialer;
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, error, info_span};

pub use self::{
    answers::{
        ConnectorInfo, ConnectorKind, ConnectorOffset, ConnectorStateInfo, JsonMap, Put, RestartAnswer, StateInfo,
    },
    assignment::Assignments,
    auto_restart::{RESTART_KEYS, RestartRules},
    handle::HerderHandle,
    other_workers::{InternalRequest, LoggerLevels, RequestSignature, WorkerClient, WorkerClientError},
    request_error::RequestError,
    stage::Stage,
};
use self::{
    assignment::{Share, Source},
    auto_restart::AutoRestart,
    children::{ChildSet, Children, Exit, TaskLine},
    config_writes::{ConfigChange, ConfigWrites, Written},
    fencing::Fencing,
    group::{Group, GroupNews, next_news},
    leadership::Leadership,
    request::Request,
    restarts::Restarts,
    stage::Progress,
    status_writes::StatusWrites,
};
use crate::{
    clock::Clock,
    metrics::WorkerMetrics,
    plugins::Plugins,
    settings::{ExactlyOnceSupport, WorkerSettings},
    storage::{
        self, KafkaBasedLog, LogState, StoreLoops, Stores, TransactionalWriter,
        config::{ConfigState, RawConfig},
        status::StatusState,
    },
    worker::{ConnectorRequests, ConnectorTaskId, WorkerEvent, WorkerEvents, sleep_until},
};

/// Reports from connectors and tasks that wait for the herder; they are rare, and it is fast.
const WORKER_EVENT_CAPACITY: usize = 256;
/// Requests that wait for a rebalance to end. More wait in the queue.
const PARKED_CAPACITY: usize = 256;

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
    /// The group would not have this worker.
    #[error("the worker cannot be a member of its group")]
    Group(#[from] connect_group::Error),
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
    logger_levels: Option<Arc<dyn LoggerLevels>>,
    requests: mpsc::Receiver<Request>,
    events: WorkerEvents,
    events_seen: mpsc::Receiver<WorkerEvent>,

    /// Parent of every connector and task.
    cancel_children: CancellationToken,
    /// While true, tasks write nothing: others may run them by now.
    hold: watch::Sender<bool>,
    next_run: u64,
    connectors: Children<Arc<str>, RawConfig, Arc<ConnectorRequests>>,
    tasks: Children<ConnectorTaskId, TaskVersion, TaskLine>,
    child_set: ChildSet,

    jobs: JoinSet<Job>,
    store_loops: JoinSet<()>,
    cancel_stores: CancellationToken,
    stores: Option<Stores>,
    config_changes: Option<KafkaBasedLog<ConfigState>>,
    status_changes: Option<KafkaBasedLog<StatusState>>,
    config_writes: ConfigWrites,
    leadership: Leadership,
    fencing: Fencing,
    status_writes: StatusWrites,
    restarts: Restarts,
    auto_restart: AutoRestart,
    /// What is ours to run; `None` before anything is known.
    share: Option<Share>,
    group: Option<Group>,
    /// Requests that wait until the group knows who has to answer them.
    parked: VecDeque<Request>,
    generation: i32,
    lifecycle: Lifecycle,
    progress: watch::Sender<Progress>,
    metrics: Arc<WorkerMetrics>,
}

/// A task restarts when its connector's task configs were written anew, whatever is in them.
#[derive(Clone, Debug, PartialEq, Eq)]
struct TaskVersion(u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lifecycle {
    /// The internal topics are being opened and read.
    Starting,
    /// The group has assigned nothing yet.
    Joining,
    Running,
    ShuttingDown,
}

/// Slow work that is done.
enum Job {
    Opened(Result<(Stores, Box<StoreLoops>), storage::Error>),
    ReadToEnd(Result<(), storage::Error>),
    ConfigWritten(Written),
    Claimed {
        generation: i32,
        claimed: Result<Box<TransactionalWriter>, storage::Error>,
    },
    Fenced {
        name: Arc<str>,
        result: Result<Option<i32>, RequestError>,
    },
    StatusesWritten(Result<(), storage::Error>),
    Published {
        connector: Arc<str>,
        attempt: u64,
        sent: Result<(), WorkerClientError>,
    },
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
    StatusesChanged,
    Group(GroupNews),
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
            logger_levels,
        } = options;
        let group = match assignments.0 {
            Source::SingleNode => None,
            Source::Group {
                rest_url,
                worker_client,
            } => Some(Group::new(rest_url, worker_client)),
        };
        let (handle, requests, progress) = HerderHandle::new(plugins.clone());
        let auto_restart = AutoRestart::new(settings.restarts);
        let leadership = Leadership::new(settings.exactly_once != ExactlyOnceSupport::Disabled);
        let herder = Self {
            auto_restart,
            flow,
            worker_id,
            settings,
            given: connectors,
            plugins,
            dialer,
            clock,
            logger_levels,
            requests,
            events,
            events_seen,
            cancel_children: CancellationToken::new(),
            hold: watch::Sender::new(false),
            next_run: 0,
            connectors: BTreeMap::new(),
            tasks: BTreeMap::new(),
            child_set: JoinSet::new(),
            jobs: JoinSet::new(),
            store_loops: JoinSet::new(),
            cancel_stores: CancellationToken::new(),
            stores: None,
            config_changes: None,
            status_changes: None,
            config_writes: ConfigWrites::new(),
            leadership,
            fencing: Fencing::default(),
            status_writes: StatusWrites::new(),
            restarts: Restarts::default(),
            share: None,
            group,
            parked: VecDeque::new(),
            generation: 0,
            lifecycle: Lifecycle::Starting,
            progress,
            metrics: handle.metrics(),
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
        let opening = startup::open_stores(self.settings.clone(), self.dialer.clone(), self.clock.clone());
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
        let has_read = matches!(self.lifecycle, Lifecycle::Joining | Lifecycle::Running);
        let may_ask = self.lifecycle == Lifecycle::Running && self.parked.len() < PARKED_CAPACITY;
        tokio::select! {
            Some(request) = self.requests.recv(), if may_ask => Event::Request(request),
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
            news = next_news(self.group.as_mut()) => Event::Group(news),
            () = changed(&mut self.config_changes), if has_read => Event::ConfigsChanged,
            () = changed(&mut self.status_changes), if has_read && self.group.is_some() => Event::StatusesChanged,
            () = sleep_until(deadline) => Event::Tick,
        }
    }

    /// The only place where the herder's state changes. Never waits.
    fn on(&mut self, event: Event) -> Result<(), Error> {
        match event {
            Event::Request(request) => self.on_request(request),
            Event::Worker(event) => self.on_worker(event),
            Event::Exited(exit) => self.on_exits(exit)?,
            Event::Job(job) => self.on_job(job)?,
            Event::ConfigsChanged => self.on_configs_changed(),
            // Whoever stops something that is not configured any more says a last word about it.
            Event::StatusesChanged => self.tidy_statuses(),
            Event::Group(news) => self.on_group(news)?,
            Event::Tick => self.abort_late_children(),
            Event::Aborted => {}
            Event::Broken(what) => return Err(Error::Internal(what)),
        }
        self.restart_failed();
        self.tend_group();
        self.claim_config_topic();
        self.keep_config_topic();
        self.send_publications();
        self.write_what_waits();
        Ok(())
    }

    fn on_job(&mut self, job: Job) -> Result<(), Error> {
        match job {
            Job::Opened(opened) => {
                let (stores, loops) = opened?;
                loops.spawn_into(&mut self.store_loops, &self.cancel_stores);
                self.begin_stage("reading the internal topics to their ends");
                let (reading, exactly_once) = (stores.clone(), self.settings.exactly_once);
                self.jobs
                    .spawn(async move { Job::ReadToEnd(reading.read_to_begin(exactly_once).await) }.in_current_span());
                self.config_changes = Some(stores.configs.clone());
                self.status_changes = Some(stores.statuses.clone());
                let kafka_cluster_id = stores.kafka_cluster_id.clone();
                self.progress
                    .send_modify(|progress| progress.kafka_cluster_id = kafka_cluster_id);
                self.stores = Some(stores);
            }
            Job::ReadToEnd(read) => {
                read?;
                if let Some(stores) = &self.stores {
                    stores.configs.state().go_live();
                }
                if self.lifecycle == Lifecycle::Starting {
                    match self.group {
                        Some(_) => {
                            self.lifecycle = Lifecycle::Joining;
                            self.join_group()?;
                        }
                        None => self.start_alone(),
                    }
                }
            }
            Job::Claimed { generation, claimed } => self.on_claimed(generation, claimed),
            Job::Fenced { name, result } => self.on_fenced(&name, result),
            Job::ConfigWritten(mut written) => {
                self.leadership.give_back(written.writer.take());
                self.config_writes.finished(written);
                // What failed is to be tried again, but not by a worker that leads no more.
                if let Err(not_ours) = self.lead() {
                    self.config_writes.give_up_leading(&not_ours);
                }
                self.reconcile();
            }
            Job::StatusesWritten(result) => self.status_writes.finished(result),
            Job::Published {
                connector,
                attempt,
                sent,
            } => self.on_published(&connector, attempt, sent),
            Job::Answered => {}
        }
        Ok(())
    }

    fn write_what_waits(&mut self) {
        let Some(stores) = &self.stores else { return };
        if self.lifecycle == Lifecycle::Running
            && let Some(write) = self.config_writes.next(&stores.configs, &mut self.leadership)
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
            .chain(self.leadership.retry_at())
            .chain(self.status_writes.retry_at())
            .chain(self.auto_restart.next_deadline())
            .chain(self.group.as_ref().and_then(Group::next_deadline))
            .min()
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

async fn changed<S: LogState>(log: &mut Option<KafkaBasedLog<S>>) {
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
