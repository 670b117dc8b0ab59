//! Writes offset syncs to their topic, beside the data and never in its way.
//!
//! A child with its own producer and its own small queue; it ends when its task does. While the topic cannot be written the newest sync of each
//! partition is kept and tried again (Kafka loses a sync whose send fails).
//!
//! Each sync carries the runs that are known of its partition, so that the last one, which compaction leaves, tells all.
//! Those of earlier lives are read from the topic first.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use kafka_client::{Client, ConsumerConfig, ProducerConfig, producer::Producer};
use kafka_wire::{BatchBuilder, Compression, OutgoingBatch, TopicPartition};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::Instant,
};

use crate::{
    clock::Clock,
    offset_runs::{CarriedRuns, OffsetRuns, RUNS_HEADER},
    offset_sync_history::{OffsetSyncHistory, PartitionTopicIds, TOPIC_ID_HEADER, load_history},
    offset_sync_writer::Point,
    records::{EncodeError, OffsetSync},
    topic_watch::TopicWatch,
};

/// Syncs that may wait here; Kafka allows as many to be on their way. Further ones stay with the writer, which keeps
/// the newest of each partition.
const QUEUED_SYNCS: usize = 10;

/// A write costs a broker the same whatever is in it, and the task's own copying: so many syncs leave at once.
const SYNCS_PER_WRITE: usize = 100;
/// Fewer wait until this has passed since the last write. One that comes after a while leaves at once.
const PAUSE_BETWEEN_WRITES: Duration = Duration::from_millis(50);

const RETRY_BACKOFF: Duration = Duration::from_secs(1);
const RETRY_BACKOFF_MAX: Duration = Duration::from_secs(30);

/// How long a stopping task waits for the last syncs.
const LAST_SYNCS_TIMEOUT: Duration = Duration::from_secs(2);

/// A sync of the partition that the task knows by this number, with what the task has seen of it.
#[derive(Clone, Debug)]
pub(crate) struct QueuedSync {
    partition: usize,
    point: Point,
    seen: OffsetRuns,
}

impl QueuedSync {
    pub(crate) fn new(partition: usize, point: Point, seen: &OffsetRuns) -> Self {
        let seen = seen.clone();
        Self { partition, point, seen }
    }
}

/// Hands syncs to the child that writes them.
#[derive(Debug)]
pub(crate) struct OffsetSyncProducer {
    queue: mpsc::Sender<QueuedSync>,
    child: JoinSet<()>,
    topic_ids: TopicIdsNow,
    renewed: Arc<AtomicBool>,
    former_topic_ids: Option<oneshot::Receiver<PartitionTopicIds>>,
}

/// The ids of the topics that are copied now, by the numbers of their partitions.
type TopicIdsNow = Arc<Mutex<BTreeMap<usize, u128>>>;

impl OffsetSyncProducer {
    /// Starts the child. `sources` names the partitions by the numbers under which syncs are handed in.
    pub(crate) fn start(
        (client, config): (Client, ProducerConfig),
        (reader, reader_config): (Client, ConsumerConfig),
        topic: &str,
        sources: Vec<TopicPartition>,
        clock: Clock,
    ) -> Self {
        let (queue, requests) = mpsc::channel(QUEUED_SYNCS);
        let (tell, former_topic_ids) = oneshot::channel();
        let topic_ids = TopicIdsNow::default();
        let renewed = Arc::<AtomicBool>::default();
        let writer = Writer {
            watch: TopicWatch::new(client.clone(), topic),
            renewed: renewed.clone(),
            is_sent: vec![false; sources.len()],
            from_earlier_lives: BTreeMap::new(),
            producer: Producer::new(client, config),
            target: TopicPartition::new(topic, 0),
            sources: sources.into(),
            clock,
            requests,
            waiting: Vec::new(),
            on_its_way: None,
            attempts: 0,
            not_before: None,
            next_tag: 0,
            history: OffsetSyncHistory::default(),
            topic_ids: topic_ids.clone(),
        };
        let mut child = JoinSet::new();
        let topic = topic.to_owned();
        child.spawn(async move {
            // Meanwhile the newest sync of each partition waits with the task, and data flows on.
            let history = load_history(&reader, &reader_config, &topic, &writer.sources).await;
            // A task that has waited long enough does not listen any more.
            let _ = tell.send(history.topic_ids.clone());
            Writer { history, ..writer }.run().await;
        });
        Self {
            queue,
            child,
            topic_ids,
            renewed,
            former_topic_ids: Some(former_topic_ids),
        }
    }

    /// What earlier lives of the task have noted of their topics; comes once.
    pub(crate) fn take_former_topic_ids(&mut self) -> Option<oneshot::Receiver<PartitionTopicIds>> {
        self.former_topic_ids.take()
    }

    /// The topic of a partition has this id now, and syncs are to say so.
    pub(crate) fn set_topic_id(&self, partition: usize, id: u128) {
        let mut ids = self.topic_ids.lock().unwrap_or_else(PoisonError::into_inner);
        ids.insert(partition, id);
    }

    /// Whether the topic has lost what it held since this was asked last.
    pub(crate) fn take_renewed(&self) -> bool {
        self.renewed.swap(false, Relaxed)
    }

    /// Queues a sync if there is room.
    pub(crate) fn try_send(&self, partition: usize, point: Point, seen: &OffsetRuns) -> bool {
        match self.queue.try_reserve() {
            Ok(room) => {
                room.send(QueuedSync::new(partition, point, seen));
                true
            }
            Err(_full) => false,
        }
    }

    /// Waits until there is room for a sync. Cancel-safe.
    pub(crate) async fn room(&self) {
        match self.queue.reserve().await {
            Ok(_room) => {}
            Err(_gone) => std::future::pending().await,
        }
    }

    /// Lets the child write `last` and what it has, and ends it.
    pub(crate) async fn stop(self, last: Vec<QueuedSync>) {
        let Self { queue, mut child, .. } = self;
        let finish = async {
            for sync in last {
                if queue.send(sync).await.is_err() {
                    break;
                }
            }
            drop(queue);
            child.join_next().await;
        };
        if tokio::time::timeout(LAST_SYNCS_TIMEOUT, finish).await.is_err() {
            child.shutdown().await;
        }
    }
}

/// The child.
struct Writer {
    producer: Producer,
    target: TopicPartition,
    sources: Arc<[TopicPartition]>,
    clock: Clock,
    requests: mpsc::Receiver<QueuedSync>,
    waiting: Vec<QueuedSync>,
    on_its_way: Option<Vec<QueuedSync>>,
    /// Sends that failed in a row.
    attempts: u32,
    /// After a write a pause, which many syncs cut short; after one that failed a longer one.
    not_before: Option<Instant>,
    next_tag: u64,
    history: OffsetSyncHistory,
    topic_ids: TopicIdsNow,
    watch: TopicWatch,
    /// Tells the task, which knows the syncs of this life.
    renewed: Arc<AtomicBool>,
    /// Partitions that had a sync in this life.
    is_sent: Vec<bool>,
    /// Syncs of other partitions, to be written again.
    from_earlier_lives: BTreeMap<usize, QueuedSync>,
}

impl Writer {
    async fn run(mut self) {
        let mut is_open = true;
        loop {
            self.send_waiting();
            let nothing_left =
                self.waiting.is_empty() && self.on_its_way.is_none() && self.from_earlier_lives.is_empty();
            if !is_open && nothing_left {
                return;
            }
            let is_failing = self.attempts > 0;
            let has_room = is_failing || self.waiting.len() < SYNCS_PER_WRITE;
            tokio::select! {
                request = self.requests.recv(), if is_open && has_room => match request {
                    Some(sync) => self.take(sync),
                    None => is_open = false,
                },
                outcomes = self.producer.outcomes(), if self.on_its_way.is_some() => {
                    for outcome in outcomes {
                        self.finished(outcome.result.map(|_| ()).map_err(|refused| refused.to_string()));
                    }
                }
                () = self.watch.renewed() => self.on_renewed(),
                () = sleep_until(self.not_before), if self.on_its_way.is_none() && !self.waiting.is_empty() => {}
            }
        }
    }

    /// All is gone that was written. The task writes what it has seen itself, this what was there before.
    fn on_renewed(&mut self) {
        tracing::error!(
            topic = %self.target.topic, task_partitions = self.sources.len(),
            "the topic of offset syncs was deleted and made again: the last sync of each partition is written again; \
             groups are not translated meanwhile"
        );
        self.renewed.store(true, Relaxed);
        for (partition, source) in self.sources.iter().enumerate().filter(|(at, _)| !self.is_sent[*at]) {
            if let Some(last) = self.history.runs.get(source).and_then(OffsetRuns::last) {
                let sync = QueuedSync::new(partition, last, &OffsetRuns::default());
                self.from_earlier_lives.insert(partition, sync);
            }
        }
    }

    fn take(&mut self, sync: QueuedSync) {
        self.is_sent[sync.partition] = true;
        self.from_earlier_lives.remove(&sync.partition);
        self.waiting.push(sync);
        if self.attempts > 0 {
            self.waiting = newest_of_each(std::mem::take(&mut self.waiting));
        }
    }

    fn send_waiting(&mut self) {
        let is_full = self.waiting.len() >= SYNCS_PER_WRITE && self.attempts == 0;
        let may_send = is_full || self.not_before.is_none_or(|at| at <= Instant::now());
        while self.waiting.len() < SYNCS_PER_WRITE
            && let Some((_, sync)) = self.from_earlier_lives.pop_first()
        {
            self.waiting.push(sync);
        }
        if self.waiting.is_empty() || self.on_its_way.is_some() || !may_send {
            return;
        }
        let syncs = std::mem::take(&mut self.waiting);
        match self.batch(&syncs) {
            Ok(batch) => {
                self.producer.send(self.next_tag, self.target.clone(), batch);
                self.next_tag += 1;
                self.not_before = Some(Instant::now() + PAUSE_BETWEEN_WRITES);
                self.on_its_way = Some(syncs);
            }
            Err(error) => tracing::error!(topic = %self.target.topic, %error, "offset syncs cannot be encoded"),
        }
    }

    fn batch(&self, syncs: &[QueuedSync]) -> Result<OutgoingBatch, EncodeError> {
        let newest: BTreeMap<usize, usize> = syncs
            .iter()
            .enumerate()
            .map(|(at, sync)| (sync.partition, at))
            .collect();
        let mut batch = BatchBuilder::new(Compression::None);
        for (at, QueuedSync { partition, point, seen }) in syncs.iter().enumerate() {
            let sync = OffsetSync {
                topic_partition: self.sources[*partition].clone(),
                upstream_offset: point.upstream,
                downstream_offset: point.downstream,
            };
            let is_newest = newest[partition] == at;
            let runs = is_newest.then(|| self.runs(&sync.topic_partition, seen).encode());
            let topic_id = self.topic_id(*partition).filter(|_| is_newest).map(u128::to_be_bytes);
            let headers = [
                (RUNS_HEADER, runs.as_deref()),
                (TOPIC_ID_HEADER, topic_id.as_ref().map(|id| &id[..])),
            ];
            batch.push(self.clock.now_ms(), Some(&sync.key()?), Some(&sync.value()), headers);
        }
        Ok(batch.build())
    }

    fn topic_id(&self, partition: usize) -> Option<u128> {
        let ids = self.topic_ids.lock().unwrap_or_else(PoisonError::into_inner);
        ids.get(&partition).copied()
    }

    fn runs(&self, partition: &TopicPartition, seen: &OffsetRuns) -> CarriedRuns {
        let runs = match self.history.runs.get(partition) {
            Some(known) => known.continued_by(seen),
            None => seen.clone(),
        };
        CarriedRuns {
            runs,
            is_complete: self.history.is_complete,
        }
    }

    fn finished(&mut self, result: Result<(), String>) {
        let syncs = self.on_its_way.take().unwrap_or_default();
        match result {
            Ok(()) => {
                if self.attempts > 0 {
                    tracing::info!(topic = %self.target.topic, "offset syncs are written again");
                }
                self.attempts = 0;
            }
            Err(reason) => {
                let delay = RETRY_BACKOFF
                    .saturating_mul(1 << self.attempts.min(16))
                    .min(RETRY_BACKOFF_MAX);
                self.attempts = self.attempts.saturating_add(1);
                self.not_before = Some(Instant::now() + delay);
                if self.attempts.is_power_of_two() {
                    tracing::warn!(
                        topic = %self.target.topic, reason, attempts = self.attempts, retry_in = ?delay,
                        "offset syncs cannot be written; the newest of each partition are kept, data flows on"
                    );
                }
                let waiting = std::mem::take(&mut self.waiting);
                self.waiting = newest_of_each(syncs.into_iter().chain(waiting).collect());
            }
        }
    }
}

fn newest_of_each(syncs: Vec<QueuedSync>) -> Vec<QueuedSync> {
    let newest: BTreeMap<usize, QueuedSync> = syncs.into_iter().map(|sync| (sync.partition, sync)).collect();
    newest.into_values().collect()
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
