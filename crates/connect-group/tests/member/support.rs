//! A group of workers that obey their members, in memory and on a paused clock.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use connect_group::{
    CatchUpError, ConfigSnapshot, ConfigSnapshots, ConnectProtocol, Error, GroupConfig, GroupEvent, Member,
    MemberHandle, RevocationReason, Round, TaskId, Work,
};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use kafka_client::config::HostPort;
use kafka_client::{Client, ClientConfig, Dialer};
use kafka_embedded::Cluster;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// `scheduled.rebalance.max.delay.ms` of these tests.
pub(crate) const MAX_DELAY: Duration = Duration::from_secs(60);
/// Nothing takes longer on the paused clock, unless it hangs.
const LONG: Duration = Duration::from_secs(3600);
/// How often a condition is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

pub(crate) async fn cluster(nodes: i32) -> Arc<Cluster> {
    Arc::new(Cluster::builder().nodes(nodes).start().await.expect("a cluster"))
}

/// The config topic: what is configured, and how many records it took.
#[derive(Clone, Default)]
pub(crate) struct Topic(Arc<Mutex<ConfigSnapshot>>);

impl Topic {
    pub(crate) fn of(connectors: &[(&str, u32)]) -> Self {
        let topic = Self::default();
        topic.write(connectors);
        topic
    }

    pub(crate) fn write(&self, connectors: &[(&str, u32)]) {
        let mut topic = lock(&self.0);
        topic.offset += 1;
        topic.connectors = connectors
            .iter()
            .map(|(name, tasks)| ((*name).into(), *tasks))
            .collect();
    }

    fn snapshot(&self) -> ConfigSnapshot {
        lock(&self.0).clone()
    }
}

/// A worker's copy of the topic; it sees more of it only when told to, or when asked to read to the end.
pub(crate) struct Copy {
    topic: Topic,
    seen: Arc<Mutex<ConfigSnapshot>>,
    is_stuck: AtomicBool,
}

impl Copy {
    pub(crate) fn of(topic: &Topic) -> Arc<Self> {
        Arc::new(Self {
            topic: topic.clone(),
            seen: Arc::new(Mutex::new(topic.snapshot())),
            is_stuck: AtomicBool::new(false),
        })
    }

    pub(crate) fn see(&self) {
        *lock(&self.seen) = self.topic.snapshot();
    }

    pub(crate) fn be_stuck(&self, is_stuck: bool) {
        self.is_stuck.store(is_stuck, Ordering::SeqCst);
    }
}

impl ConfigSnapshots for Copy {
    fn snapshot(&self) -> ConfigSnapshot {
        lock(&self.seen).clone()
    }

    fn read_to_end(&self) -> BoxFuture<'static, Result<(), CatchUpError>> {
        let (topic, seen, is_stuck) = (
            self.topic.clone(),
            self.seen.clone(),
            self.is_stuck.load(Ordering::SeqCst),
        );
        async move {
            if is_stuck {
                std::future::pending::<()>().await;
            }
            *lock(&seen) = topic.snapshot();
            Ok(())
        }
        .boxed()
    }
}

/// What a worker has heard and done.
#[derive(Default)]
pub(crate) struct View {
    pub(crate) running: Work,
    /// How often, and whether it has ended each time.
    pub(crate) suspensions: usize,
    pub(crate) is_suspended: bool,
    pub(crate) rounds: Vec<Arc<Round>>,
    pub(crate) revoked: Vec<(RevocationReason, Work)>,
    pub(crate) outcome: Option<Result<(), Error>>,
}

pub(crate) struct Worker {
    pub(crate) name: &'static str,
    pub(crate) copy: Arc<Copy>,
    pub(crate) handle: MemberHandle,
    pub(crate) view: Arc<Mutex<View>>,
    /// How long stopping takes.
    pub(crate) stopping: Arc<Mutex<Duration>>,
    cancel: CancellationToken,
    tasks: JoinSet<()>,
}

impl Worker {
    pub(crate) fn start(cluster: &Arc<Cluster>, topic: &Topic, name: &'static str) -> Self {
        Self::with_config(cluster, topic, name, |_| {})
    }

    pub(crate) fn with_protocol(
        cluster: &Arc<Cluster>,
        topic: &Topic,
        name: &'static str,
        protocol: ConnectProtocol,
    ) -> Self {
        Self::with_config(cluster, topic, name, |config| config.protocol = protocol)
    }

    pub(crate) fn with_config(
        cluster: &Arc<Cluster>,
        topic: &Topic,
        name: &'static str,
        change: impl FnOnce(&mut GroupConfig),
    ) -> Self {
        let mut config = GroupConfig::new("connect-cluster", url(name));
        config.scheduled_rebalance_max_delay = MAX_DELAY;
        change(&mut config);
        let copy = Copy::of(topic);
        Self::of(client(cluster, name), config, copy, name)
    }

    /// A worker of any cluster.
    pub(crate) fn of(client: Client, config: GroupConfig, copy: Arc<Copy>, name: &'static str) -> Self {
        let (member, handle, events) = Member::new(client, config, copy.clone()).expect("a configuration");
        let (cancel, view, stopping) = (CancellationToken::new(), Arc::default(), Arc::default());
        let mut tasks = JoinSet::new();
        tasks.spawn(obey(events, Arc::clone(&view), Arc::clone(&stopping)));
        let (outcome, token) = (Arc::clone(&view), cancel.clone());
        tasks.spawn(async move {
            let result = member.run(token).await;
            lock(&outcome).outcome = Some(result);
        });
        Self {
            name,
            copy,
            handle,
            view,
            stopping,
            cancel,
            tasks,
        }
    }

    pub(crate) fn view(&self) -> MutexGuard<'_, View> {
        lock(&self.view)
    }

    pub(crate) fn running(&self) -> Work {
        self.view().running.clone()
    }

    /// The last round.
    pub(crate) fn round(&self) -> Arc<Round> {
        self.view().rounds.last().expect("it has joined").clone()
    }

    pub(crate) fn is_leader(&self) -> bool {
        self.view().rounds.last().is_some_and(|round| round.is_leader)
    }

    /// Stops its work, then leaves.
    pub(crate) async fn stop(mut self) {
        self.view().running = Work::new();
        self.cancel.cancel();
        while self.tasks.join_next().await.is_some() {}
    }

    /// Is no more, without a word.
    pub(crate) async fn crash(mut self) {
        self.tasks.shutdown().await;
    }
}

async fn obey(mut events: mpsc::Receiver<GroupEvent>, view: Arc<Mutex<View>>, stopping: Arc<Mutex<Duration>>) {
    while let Some(event) = events.recv().await {
        match event {
            GroupEvent::Rebalancing => {}
            GroupEvent::Revoked(revocation) => {
                let pause = *lock(&stopping);
                tokio::time::sleep(pause).await;
                let mut view = lock(&view);
                view.running.remove(&revocation.work);
                view.revoked.push((revocation.reason, revocation.work));
                let _ = revocation.done.send(());
            }
            GroupEvent::Suspended => {
                let mut view = lock(&view);
                assert!(!std::mem::replace(&mut view.is_suspended, true), "suspended twice");
                view.suspensions += 1;
            }
            GroupEvent::Resumed => assert!(std::mem::take(&mut lock(&view).is_suspended), "resumed twice"),
            GroupEvent::Joined(round) => lock(&view).rounds.push(round),
            GroupEvent::Assigned(round) => lock(&view).running.add(&round.work),
        }
    }
}

/// Waits until `condition` holds.
pub(crate) async fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + LONG;
    while !condition() {
        assert!(Instant::now() < deadline, "in vain: {what}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Whether these workers together run `expected`, each item once, and each about as much as the others.
pub(crate) fn share(workers: &[&Worker], expected: &Work) -> bool {
    let shares: Vec<Work> = workers.iter().map(|worker| worker.running()).collect();
    let mut all = Work::new();
    shares.iter().for_each(|share| all.add(share));
    let balanced = |count: fn(&Work) -> usize| {
        let counts = || shares.iter().map(count);
        counts().max().unwrap_or(0) - counts().min().unwrap_or(0) <= 1
    };
    let total: usize = shares
        .iter()
        .map(|share| share.connectors.len() + share.tasks.len())
        .sum();
    all == *expected
        && !workers.iter().any(|worker| worker.view().is_suspended)
        && total == expected.connectors.len() + expected.tasks.len()
        && balanced(|share| share.connectors.len())
        && balanced(|share| share.tasks.len())
}

pub(crate) fn work(connectors: &[(&str, u32)]) -> Work {
    let tasks = connectors
        .iter()
        .flat_map(|(name, tasks)| (0..*tasks as i32).map(|task| TaskId::new(*name, task)));
    Work {
        connectors: connectors.iter().map(|(name, _)| (*name).into()).collect(),
        tasks: tasks.collect(),
    }
}

pub(crate) fn url(name: &str) -> String {
    format!("http://{name}:8083/")
}

pub(crate) fn client_config(bootstrap_servers: &str, name: &str) -> ClientConfig {
    let servers = bootstrap_servers.split(',').map(|server| {
        let (host, port) = server.rsplit_once(':').expect("host:port");
        HostPort::new(host, port.parse().expect("a port"))
    });
    ClientConfig {
        bootstrap_servers: servers.collect(),
        client_id: format!("connect-{name}:8083").into(),
        ..ClientConfig::default()
    }
}

fn client(cluster: &Arc<Cluster>, name: &str) -> Client {
    let config = client_config(&cluster.bootstrap_servers(), name);
    let cluster = cluster.clone();
    let dialer = Dialer::from_fn(move |_host, port| {
        let cluster = cluster.clone();
        async move {
            let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
            let is_it = |node: &i32| cluster.port(*node).is_ok_and(|its| its == port);
            let node = cluster.node_ids().into_iter().find(is_it).ok_or_else(refused)?;
            cluster.connect(node).await.map_err(|_| refused())
        }
    });
    Client::new(config, dialer)
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no test panics while it holds this")
}
