//! A connector that counts, and a cluster to count into: the in-process Kafka, or a real one whose bootstrap servers are
//! in `HELIOGRAPH_BOOTSTRAP`.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use connect_api::{
    BatchOutcome, BoxFuture, ConnectError, ConnectorContext, JsonMap, Props, SourceBatch, SourceConnector,
    SourceOffset, SourcePartition, SourceTask, SourceValue, TaskContext,
};
use connect_runtime::{
    Clock, Herder, HerderHandle, HerderOptions, Plugins, WorkerSettings,
    herder::{self, Assignments, StateInfo, WorkerClient},
    storage::config::RawConfig,
};
use kafka_client::{
    Client, Dialer,
    admin::{Admin, NewTopic, OffsetSpec},
    config::{ConsumerConfig, IsolationLevel},
    consumer::{Consumer, StartPosition},
};
use kafka_embedded::Cluster;
use kafka_wire::{BatchBuilder, Compression, INFLATE_CAP_BYTES, Record, TopicPartition};
use tokio::{task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

pub const PATIENCE: Duration = Duration::from_secs(30);

/// Waits for a condition; fails with `what` when it takes too long.
pub async fn eventually<T>(what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Where records go, and names that no other test uses.
pub struct Target {
    pub cluster: Option<Cluster>,
    bootstrap: String,
    unique: String,
    client: Client,
}

impl Target {
    /// The real Kafka if one is named, else an embedded one.
    pub async fn any() -> Self {
        match std::env::var("HELIOGRAPH_BOOTSTRAP") {
            Ok(bootstrap) => Self::new(None, bootstrap),
            Err(_) => Self::embedded().await,
        }
    }

    /// For tests that stop brokers.
    pub async fn embedded() -> Self {
        let cluster = Cluster::builder().auto_create_topics(false).start().await.unwrap();
        let bootstrap = cluster.bootstrap_servers();
        Self::new(Some(cluster), bootstrap)
    }

    fn new(cluster: Option<Cluster>, bootstrap: String) -> Self {
        static TESTS: AtomicUsize = AtomicUsize::new(0);
        let unique = format!("{}-{}", Clock::system().now_ms(), TESTS.fetch_add(1, SeqCst));
        let config = ConsumerConfig::parse(&props(&[("bootstrap.servers", &bootstrap)])).unwrap();
        let client = Client::new(config.client, Dialer::tcp());
        Self {
            cluster,
            bootstrap,
            unique,
            client,
        }
    }

    pub fn topic(&self, name: &str) -> String {
        format!("{name}-{}", self.unique)
    }

    pub async fn create_topic(&self, name: &str, partitions: i32, configs: &[(&str, &str)]) {
        let topic = NewTopic::new(self.topic(name), partitions, 1).with_configs(props(configs));
        for (name, created) in Admin::new(self.client.clone())
            .create_topics(vec![topic])
            .await
            .unwrap()
        {
            created.unwrap_or_else(|error| panic!("{name}: {}", error.chain()));
        }
    }

    /// The worker's properties: three internal topics of its own.
    pub fn worker_props(&self, more: &[(&str, &str)]) -> Props {
        let mut worker = props(&[
            ("bootstrap.servers", &self.bootstrap),
            ("group.id", &format!("group-{}", self.unique)),
            ("client.id", "test"),
            (
                "key.converter",
                "org.apache.kafka.connect.converters.ByteArrayConverter",
            ),
            (
                "value.converter",
                "org.apache.kafka.connect.converters.ByteArrayConverter",
            ),
            ("config.storage.topic", &self.topic("configs")),
            ("config.storage.replication.factor", "1"),
            ("offset.storage.topic", &self.topic("offsets")),
            ("offset.storage.replication.factor", "1"),
            ("status.storage.topic", &self.topic("status")),
            ("status.storage.replication.factor", "1"),
        ]);
        worker.extend(props(more));
        worker
    }

    /// Everything in a topic: partition, key, value, in order within a partition.
    pub async fn records(&self, topic: &str) -> Vec<(i32, String, Option<String>)> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let show = |partition, record: &Record<'_>| {
            let key = text(record.key.unwrap_or_default());
            (partition, key, record.value.map(text))
        };
        self.read(topic, show).await
    }

    /// The same, as `show` sees it.
    pub async fn read<T>(&self, topic: &str, show: impl Fn(i32, &Record<'_>) -> T) -> Vec<T> {
        self.read_isolated(topic, IsolationLevel::ReadUncommitted, show).await
    }

    async fn read_isolated<T>(
        &self,
        topic: &str,
        isolation: IsolationLevel,
        show: impl Fn(i32, &Record<'_>) -> T,
    ) -> Vec<T> {
        let topic = self.topic(topic);
        let metadata = self
            .client
            .refresh_metadata(kafka_client::Topics::Some(vec![topic.as_str().into()]))
            .await
            .unwrap();
        let partitions = metadata
            .topics
            .get(topic.as_str())
            .map_or(0, |topic| topic.partitions.len()) as i32;
        let all: Vec<_> = (0..partitions)
            .map(|p| TopicPartition::new(topic.as_str(), p))
            .collect();
        let wanted = all.iter().cloned().map(|p| (p, OffsetSpec::Latest)).collect();
        let ends = Admin::new(self.client.clone())
            .list_offsets(wanted, isolation)
            .await
            .unwrap();
        let mut config = ConsumerConfig::parse(&props(&[("bootstrap.servers", &self.bootstrap)])).unwrap();
        config.isolation_level = isolation;
        let mut consumer = Consumer::new(self.client.clone(), config);
        consumer.assign(all.iter().cloned().map(|p| (p, StartPosition::Offset(0))).collect());
        let mut records = Vec::new();
        let left = |consumer: &Consumer| {
            ends.iter().any(|(partition, end)| {
                let end = end.as_ref().unwrap().offset;
                end > 0 && consumer.position(partition).is_none_or(|position| position < end)
            })
        };
        while left(&consumer) {
            for fetched in consumer.poll().await.fetched {
                for entry in &fetched.batches {
                    for record in &entry.records(INFLATE_CAP_BYTES).unwrap() {
                        records.push(show(fetched.partition.partition, &record.unwrap()));
                    }
                }
            }
        }
        records
    }

    /// The last value of each key.
    pub async fn table(&self, topic: &str) -> HashMap<String, Option<String>> {
        self.records(topic)
            .await
            .into_iter()
            .map(|(_, key, value)| (key, value))
            .collect()
    }

    /// The numbers of committed transactions in a partition.
    pub async fn committed(&self, topic: &str, partition: i32) -> Vec<i64> {
        let number = |at, record: &Record<'_>| {
            let text = std::str::from_utf8(record.value?).ok()?;
            (at == partition).then(|| text.parse().unwrap())
        };
        let isolation = IsolationLevel::ReadCommitted;
        self.read_isolated(topic, isolation, number)
            .await
            .into_iter()
            .flatten()
            .collect()
    }

    /// An admin client of the cluster.
    pub fn admin(&self) -> Admin {
        Admin::new(self.client.clone())
    }

    /// `group.id` of its workers.
    pub fn group_id(&self) -> String {
        format!("group-{}", self.unique)
    }

    /// The numbers that were counted into a partition.
    pub async fn counted(&self, topic: &str, partition: i32) -> Vec<i64> {
        let records = self
            .records(topic)
            .await
            .into_iter()
            .filter(|(p, _, _)| *p == partition);
        records.map(|(_, _, value)| value.unwrap().parse().unwrap()).collect()
    }
}

pub fn props(pairs: &[(&str, &str)]) -> Props {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

/// What the connector and its tasks do, and have seen. Shared with the test.
#[derive(Default)]
pub struct Script {
    /// Each task counts up to here, and waits for more.
    pub limit: AtomicU64,
    /// How many tasks there are to be.
    pub tasks: AtomicUsize,
    /// What the next polls of any task do instead.
    pub trouble: Mutex<VecDeque<Trouble>>,
    pub context: Mutex<Option<Arc<dyn ConnectorContext>>>,
    pub commits: AtomicU64,
    pub stops: AtomicU64,
    pub connector_starts: AtomicU64,
    pub connector_stops: AtomicU64,
    pub refusals: Mutex<Vec<String>>,
    /// Bytes of padding in front of each number.
    pub padding: AtomicUsize,
    /// How many tasks count into each partition now; more than one is a fault.
    pub active: Mutex<BTreeMap<i32, usize>>,
    /// How often a task began to count where another did.
    pub doubled: AtomicUsize,
}

pub enum Trouble {
    Retriable(&'static str),
    Fatal(&'static str),
    Panic(&'static str),
}

impl Script {
    pub fn counting_to(limit: u64, tasks: usize) -> Arc<Self> {
        let script = Self::default();
        script.limit.store(limit, SeqCst);
        script.tasks.store(tasks, SeqCst);
        Arc::new(script)
    }

    /// How many tasks count.
    pub fn counting(&self) -> usize {
        Self::lock(&self.active).values().sum()
    }

    fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

pub struct Counters(pub Arc<Script>);

impl Plugins for Counters {
    fn connector(&self, class: &str) -> Result<Box<dyn SourceConnector>, ConnectError> {
        match class {
            "Counter" => Ok(Box::new(Counter {
                script: self.0.clone(),
                props: Props::new(),
            })),
            other => Err(ConnectError::new(format!("there is no connector class {other}"))),
        }
    }
}

struct Counter {
    script: Arc<Script>,
    props: Props,
}

impl SourceConnector for Counter {
    fn start(&mut self, props: Props, context: Arc<dyn ConnectorContext>) -> BoxFuture<'_, Result<(), ConnectError>> {
        Box::pin(async move {
            self.props = props;
            *Script::lock(&self.script.context) = Some(context);
            self.script.connector_starts.fetch_add(1, SeqCst);
            Ok(())
        })
    }

    fn task_configs(&mut self, max_tasks: usize) -> Result<Vec<Props>, ConnectError> {
        let limit = match self.props.contains_key("ignore.limit") {
            true => usize::MAX,
            false => max_tasks,
        };
        let tasks = self.script.tasks.load(SeqCst).min(limit);
        let config = |partition: usize| {
            let mut config = self.props.clone();
            config.insert("partition".to_owned(), partition.to_string());
            config
        };
        Ok((0..tasks).map(config).collect())
    }

    fn new_task(&self) -> Box<dyn SourceTask> {
        Box::new(CounterTask {
            active: None,
            script: self.script.clone(),
            source: Arc::new(SourcePartition(Vec::new())),
            topic: "".into(),
            partition: 0,
            next: 0,
        })
    }

    fn task_class(&self) -> &'static str {
        "CounterTask"
    }

    fn alter_offsets(&self, _: &Props, offsets: &[(JsonMap, Option<JsonMap>)]) -> Result<bool, ConnectError> {
        match offsets.iter().all(|(partition, _)| partition.contains_key("partition")) {
            true => Ok(true),
            false => Err(ConnectError::new("the 'partition' key is missing")),
        }
    }

    fn stop(&mut self) -> BoxFuture<'_, ()> {
        self.script.connector_stops.fetch_add(1, SeqCst);
        Box::pin(async {})
    }
}

/// A task that counts, until it is dropped.
struct Active(Arc<Script>, i32);

impl Active {
    fn begin(script: &Arc<Script>, partition: i32) -> Self {
        let mut active = Script::lock(&script.active);
        let tasks = active.entry(partition).or_default();
        *tasks += 1;
        if *tasks > 1 {
            script.doubled.fetch_add(1, SeqCst);
        }
        Self(script.clone(), partition)
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        if let Some(tasks) = Script::lock(&self.0.active).get_mut(&self.1) {
            *tasks -= 1;
        }
    }
}

struct CounterTask {
    active: Option<Active>,
    script: Arc<Script>,
    source: Arc<SourcePartition>,
    topic: Arc<str>,
    partition: i32,
    next: i64,
}

const BATCH: i64 = 10;

impl SourceTask for CounterTask {
    fn start(&mut self, props: Props, context: TaskContext) -> BoxFuture<'_, Result<(), ConnectError>> {
        Box::pin(async move {
            self.topic = props["topic"].as_str().into();
            self.partition = props["partition"].parse().expect("a number");
            self.active = Some(Active::begin(&self.script, self.partition));
            let number = SourceValue::Int(self.partition.into());
            self.source = Arc::new(SourcePartition(vec![("partition", number)]));
            self.next = context.offsets.offsets(&[(*self.source).clone()])[0].map_or(0, |offset| offset.0 + 1);
            Ok(())
        })
    }

    fn poll(&mut self) -> BoxFuture<'_, Result<Vec<SourceBatch>, ConnectError>> {
        Box::pin(async move {
            match Script::lock(&self.script.trouble).pop_front() {
                Some(Trouble::Retriable(what)) => return Err(ConnectError::new(what).retriable()),
                Some(Trouble::Fatal(what)) => return Err(ConnectError::caused_by("counting failed", what)),
                Some(Trouble::Panic(what)) => panic!("{what}"),
                None => {}
            }
            while self.next >= self.script.limit.load(SeqCst) as i64 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            // A poll that yields now and then is like a source: the batch is made behind the wait, so that a dropped
            // call loses nothing.
            tokio::time::sleep(Duration::from_millis(1)).await;
            let last = (self.next + BATCH).min(self.script.limit.load(SeqCst) as i64);
            let mut batch = BatchBuilder::new(Compression::None);
            let padding = self.script.padding.load(SeqCst);
            for number in self.next..last {
                let value = format!("{number:0>padding$}");
                batch.push(number, Some(b"k"), Some(value.as_bytes()), []);
            }
            let tag = self.next as u64;
            self.next = last;
            Ok(vec![SourceBatch {
                source_partition: self.source.clone(),
                source_offset: SourceOffset(last - 1),
                target: TopicPartition::new(self.topic.clone(), self.partition),
                batch: batch.build(),
                tag,
            }])
        })
    }

    fn acked(&mut self, outcomes: Vec<BatchOutcome>) {
        for outcome in outcomes {
            if let Err(refusal) = outcome.result {
                Script::lock(&self.script.refusals).push(format!("{}: {refusal}", outcome.target));
                // Back to the first that was refused; the ones behind it are refused too and come later.
                self.next = self.next.min(outcome.tag as i64);
            }
        }
    }

    fn commit(&mut self) -> BoxFuture<'_, Result<(), ConnectError>> {
        self.script.commits.fetch_add(1, SeqCst);
        Box::pin(async { Ok(()) })
    }

    fn stop(self: Box<Self>) -> BoxFuture<'static, ()> {
        self.script.stops.fetch_add(1, SeqCst);
        Box::pin(async {})
    }
}

/// The connector `counter` as users see it.
#[derive(Debug)]
pub struct Counted {
    pub config: RawConfig,
    pub status: StateInfo,
    pub tasks: Vec<(i32, StateInfo)>,
}

/// A herder that runs in the background of a test.
pub struct Worker {
    pub handle: HerderHandle,
    cancel: CancellationToken,
    running: JoinSet<Result<(), herder::Error>>,
}

impl Worker {
    /// Runs one connector, `counter`, which counts into `topic`.
    pub fn start(target: &Target, script: &Arc<Script>, worker_props: &[(&str, &str)]) -> Self {
        let connector = props(&[
            ("name", "counter"),
            ("connector.class", "Counter"),
            ("tasks.max", "4"),
            ("topic", &target.topic("numbers")),
        ]);
        Self::start_with(target, script, worker_props, vec![("counter".to_owned(), connector)])
    }

    pub fn start_with(
        target: &Target,
        script: &Arc<Script>,
        worker_props: &[(&str, &str)],
        connectors: Vec<(String, Props)>,
    ) -> Self {
        let worker_id = format!("worker-{}", Clock::system().now_ms());
        Self::run(
            target,
            script,
            worker_props,
            connectors,
            worker_id,
            Assignments::single_node(),
        )
    }

    /// A member of the group of all workers of `target`, which is reached at `http://<worker_id>/`.
    pub fn join(
        target: &Target,
        script: &Arc<Script>,
        worker_props: &[(&str, &str)],
        worker_id: &str,
        others: Arc<dyn WorkerClient>,
    ) -> Self {
        let assignments = Assignments::of_group(format!("http://{worker_id}/"), others);
        Self::run(
            target,
            script,
            worker_props,
            Vec::new(),
            worker_id.to_owned(),
            assignments,
        )
    }

    fn run(
        target: &Target,
        script: &Arc<Script>,
        worker_props: &[(&str, &str)],
        connectors: Vec<(String, Props)>,
        worker_id: String,
        assignments: Assignments,
    ) -> Self {
        let _ = tracing_subscriber::fmt()
            .with_test_writer()
            .with_max_level(tracing::Level::INFO)
            .try_init();
        let (herder, handle) = Herder::new(HerderOptions {
            flow: worker_id.clone(),
            worker_id,
            settings: WorkerSettings::parse(&target.worker_props(worker_props)).unwrap(),
            connectors,
            plugins: Arc::new(Counters(script.clone())),
            dialer: Dialer::tcp(),
            clock: Clock::system(),
            assignments,
            logger_levels: None,
        });
        let cancel = CancellationToken::new();
        let mut running = JoinSet::new();
        running.spawn(herder.run(cancel.clone()));
        Self {
            handle,
            cancel,
            running,
        }
    }

    /// The connector, and those of its tasks that are configured. Without a status it does not count yet.
    pub async fn counter(&self) -> Option<Counted> {
        let info = self.handle.connector_info("counter").await.ok()?;
        let status = self.handle.status("counter").await.ok()?;
        let tasks = status.tasks.into_iter();
        let mut tasks: Vec<_> = tasks
            .map(|(number, task)| (number, Arc::unwrap_or_clone(task)))
            .collect();
        tasks.retain(|(number, _)| info.tasks.iter().any(|id| id.task == *number));
        (tasks.len() == info.tasks.len()).then_some(Counted {
            config: Arc::unwrap_or_clone(info.config),
            status: Arc::unwrap_or_clone(status.connector),
            tasks,
        })
    }

    /// Waits until the connector is as wanted.
    pub async fn until(&self, what: &str, wanted: impl Fn(&Counted) -> bool) -> Counted {
        eventually(what, async || self.counter().await.filter(&wanted)).await
    }

    /// An orderly end.
    pub async fn stop(mut self) {
        self.cancel.cancel();
        let end = tokio::time::timeout(PATIENCE, self.running.join_next())
            .await
            .expect("it ends in time");
        end.expect("it ran")
            .expect("it did not panic")
            .expect("it did not fail");
    }

    /// Waits until it ends by itself.
    pub async fn end(mut self) -> Result<(), herder::Error> {
        let end = tokio::time::timeout(PATIENCE, self.running.join_next())
            .await
            .expect("it ends in time");
        end.expect("it ran").expect("it did not panic")
    }

    /// As `kill -9` does it.
    pub async fn kill(mut self) {
        self.running.shutdown().await;
    }
}
