//! A worker in miniature: runs one connector and its tasks as Connect would, offsets in memory.

#![allow(dead_code, reason = "each test file uses its own part")]

pub(crate) mod pair;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use connect_api::{
    BatchOutcome, ConnectError, ConnectorContext, OffsetStorageReader, Props, Refusal, SourceConnector, SourceOffset,
    SourcePartition, SourceTask, TaskContext,
};
use kafka_client::{Client, ClientConfig, Dialer, ProducerConfig, producer::Producer};
use tokio::{sync::Notify, task::JoinSet};
use tokio_util::sync::CancellationToken;

/// Stored offsets, which outlive tasks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Offsets(pub(crate) Arc<Mutex<BTreeMap<SourcePartition, i64>>>);

impl OffsetStorageReader for Offsets {
    fn offsets(&self, partitions: &[SourcePartition]) -> Vec<Option<SourceOffset>> {
        let stored = self.0.lock().unwrap();
        partitions
            .iter()
            .map(|partition| stored.get(partition).copied().map(SourceOffset))
            .collect()
    }
}

#[derive(Default)]
struct Context {
    reconfigure: Notify,
    failed: AtomicBool,
}

impl ConnectorContext for Context {
    fn request_task_reconfiguration(&self) {
        self.reconfigure.notify_one();
    }

    fn raise_error(&self, error: ConnectError) {
        tracing::error!(error = error.chain(), "the connector failed");
        self.failed.store(true, Ordering::SeqCst);
    }
}

/// Runs a connector until it is stopped.
pub(crate) struct TestWorker {
    cancel: CancellationToken,
    child: JoinSet<()>,
    pub(crate) offsets: Offsets,
}

impl TestWorker {
    /// Starts `connector`; its tasks write to the cluster at `target`.
    pub(crate) fn start(connector: Box<dyn SourceConnector>, props: Props, target: Client, offsets: Offsets) -> Self {
        let cancel = CancellationToken::new();
        let mut child = JoinSet::new();
        child.spawn(run_connector(connector, props, target, offsets.clone(), cancel.clone()));
        Self { cancel, child, offsets }
    }

    /// Starts one task alone, as a worker does that got it from another.
    pub(crate) fn start_task(task: Box<dyn SourceTask>, props: Props, target: Client, offsets: Offsets) -> Self {
        let cancel = CancellationToken::new();
        let context = TaskContext {
            task_id: "MirrorSourceConnector-0".to_owned(),
            task_count: 1,
            offsets: Arc::new(offsets.clone()),
            cancel: cancel.clone(),
            offset_flush_interval: Duration::from_millis(200),
        };
        let producer = Producer::new(target.clone(), producer_config(target.config()));
        let mut child = JoinSet::new();
        child.spawn(run_task(task, props, context, producer, offsets.clone()));
        Self { cancel, child, offsets }
    }

    /// The orderly end: what is in flight is waited for and its offsets are stored.
    pub(crate) async fn stop(mut self) -> Offsets {
        self.cancel.cancel();
        self.child
            .join_next()
            .await
            .expect("one child")
            .expect("the worker ends well");
        self.offsets
    }

    /// The end of `kill -9`.
    pub(crate) async fn kill(mut self) -> Offsets {
        self.child.shutdown().await;
        self.offsets
    }
}

async fn run_connector(
    mut connector: Box<dyn SourceConnector>,
    props: Props,
    target: Client,
    offsets: Offsets,
    cancel: CancellationToken,
) {
    let context = Arc::new(Context::default());
    let max_tasks = props.get("tasks.max").map_or(1, |n| n.parse().unwrap());
    connector
        .start(props, context.clone())
        .await
        .expect("the connector starts");
    let mut running: Option<(Vec<Props>, CancellationToken, JoinSet<()>)> = None;
    loop {
        match connector.task_configs(max_tasks) {
            Ok(configs) if running.as_ref().is_none_or(|(known, ..)| *known != configs) => {
                end_tasks(running.take()).await;
                let task_cancel = CancellationToken::new();
                let mut tasks = JoinSet::new();
                for (number, config) in configs.iter().enumerate() {
                    let context = TaskContext {
                        task_id: format!("{}-{number}", config["name"]),
                        task_count: configs.len(),
                        offsets: Arc::new(offsets.clone()),
                        cancel: task_cancel.clone(),
                        offset_flush_interval: Duration::from_millis(200),
                    };
                    let producer = Producer::new(target.clone(), producer_config(target.config()));
                    tasks.spawn(run_task(
                        connector.new_task(),
                        config.clone(),
                        context,
                        producer,
                        offsets.clone(),
                    ));
                }
                running = Some((configs, task_cancel, tasks));
            }
            Ok(_) => {}
            Err(error) => assert!(error.is_retriable(), "{}", error.chain()),
        }
        tokio::select! {
            () = cancel.cancelled() => break,
            () = context.reconfigure.notified() => {}
        }
    }
    end_tasks(running).await;
    connector.stop().await;
    assert!(!context.failed.load(Ordering::SeqCst), "the connector raised an error");
}

async fn end_tasks(running: Option<(Vec<Props>, CancellationToken, JoinSet<()>)>) {
    if let Some((_, cancel, mut tasks)) = running {
        cancel.cancel();
        while let Some(ended) = tasks.join_next().await {
            ended.expect("a task ends well");
        }
    }
}

/// What a batch on its way stands for.
struct Submitted {
    key: Arc<SourcePartition>,
    offset: i64,
    task_tag: u64,
}

async fn run_task(
    mut task: Box<dyn SourceTask>,
    props: Props,
    context: TaskContext,
    mut producer: Producer,
    offsets: Offsets,
) {
    let cancel = context.cancel.clone();
    let mut commits = tokio::time::interval(context.offset_flush_interval);
    task.start(props, context).await.expect("the task starts");
    let mut submitted: BTreeMap<u64, Submitted> = BTreeMap::new();
    let mut next = 0;
    while !(cancel.is_cancelled() && submitted.is_empty()) {
        let is_ending = cancel.is_cancelled();
        let has_room = producer.has_room();
        tokio::select! {
            () = cancel.cancelled(), if !is_ending => {}
            _ = commits.tick() => task.commit().await.expect("the task commits"),
            outcomes = producer.outcomes() => {
                let mut told = Vec::new();
                for outcome in outcomes {
                    let Submitted { key, offset, task_tag } = submitted.remove(&outcome.tag).unwrap();
                    if outcome.result.is_ok() {
                        offsets.0.lock().unwrap().insert((*key).clone(), offset);
                    }
                    let result = outcome.result.map_err(|no| Refusal { reason: no.reason, code: no.code });
                    told.push(BatchOutcome { tag: task_tag, target: outcome.target, result, records: None });
                }
                task.acked(told);
            }
            polled = task.poll(), if has_room && !is_ending => for batch in polled.expect("the task polls") {
                let key = batch.source_partition;
                submitted.insert(next, Submitted { key, offset: batch.source_offset.0, task_tag: batch.tag });
                producer.send(next, batch.target, batch.batch);
                next += 1;
            }
        }
    }
    task.commit().await.expect("the task commits");
    task.stop().await;
}

/// Waits until `condition` answers, or fails the test after half a minute.
pub(crate) async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, mut condition: impl FnMut() -> F) -> T {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(found) = condition().await {
            return found;
        }
        assert!(tokio::time::Instant::now() < deadline, "not within 30 s: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Properties from pairs.
pub(crate) fn props(pairs: &[(&str, &str)]) -> Props {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

/// Over TCP.
pub(crate) fn dialer() -> Dialer {
    Dialer::tcp()
}

/// Kafka's defaults.
pub(crate) fn producer_config(client: &ClientConfig) -> ProducerConfig {
    let mut config =
        ProducerConfig::parse(&props(&[("bootstrap.servers", "unused:1")])).expect("the defaults are good");
    config.client = client.clone();
    config
}
