use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    ops::ControlFlow,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use bytes::Bytes;
use connect_api::BoxFuture;
use futures_util::FutureExt;
use kafka_client::{
    Client,
    admin::{Admin, OffsetInfo, OffsetSpec},
    config::IsolationLevel,
    consumer::{Consumer, ConsumerEvent, Fetched, StartPosition},
    producer::{Outcome, Producer},
};
use kafka_wire::{BatchBuilder, Compression, ErrorCode, INFLATE_CAP_BYTES, OutgoingBatch, TopicPartition, murmur2};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::{
    Error, InternalTopic, KeyValue, LogRecord, LogState, TopicKind,
    coalesced::Coalesced,
    keeper::{Keeper, Restoration},
    local_log::{LocalLog, OffsetFile},
};
use crate::clock::Clock;

/// Writes that wait for the log's own loop. Writers wait for their turn beyond that.
const WRITE_QUEUE_CAPACITY: usize = 64;
/// A batch is closed at this size: below every broker's default `max.message.bytes`.
const MAX_BATCH_BYTES: usize = 512 * 1024;
/// Between two attempts to find the end of the log.
const LIST_OFFSETS_PAUSE: Duration = Duration::from_secs(1);

/// A compacted topic as a table that all workers share (Java's class of this name): everything that is written, by
/// whomever, ends in `S`. This is the handle; [`LogLoop`] does the work.
pub struct KafkaBasedLog<S> {
    shared: Arc<Shared<S>>,
    writes: mpsc::Sender<Write>,
    positions: watch::Receiver<Vec<i64>>,
}

pub(super) struct Shared<S> {
    pub(super) topic: Arc<str>,
    partitions: i32,
    /// Whether this worker makes the topic again if somebody deletes it.
    may_make: watch::Sender<bool>,
    /// Knows the topic's end. `None` for a [`LocalLog`], where what is written has been read.
    admin: Option<Admin>,
    /// Offsets behind the last records. Clients of REST may ask for them by the dozen.
    ends: Coalesced<Arc<[i64]>>,
    pub(super) state: Mutex<S>,
}

pub(super) struct Write {
    pub(super) records: Vec<KeyValue>,
    pub(super) reply: oneshot::Sender<Result<(), Error>>,
}

impl<S> Clone for KafkaBasedLog<S> {
    fn clone(&self) -> Self {
        Self {
            shared: self.shared.clone(),
            writes: self.writes.clone(),
            positions: self.positions.clone(),
        }
    }
}

impl<S> fmt::Debug for KafkaBasedLog<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaBasedLog")
            .field("topic", &self.shared.topic)
            .finish_non_exhaustive()
    }
}

impl<S: LogState> KafkaBasedLog<S> {
    /// The log of an existing topic, which has so many partitions. Nothing is read before the loop runs.
    pub fn new(
        internal: &InternalTopic,
        partitions: i32,
        client: Client,
        mut consumer: Consumer,
        producer: Producer,
        clock: Clock,
        state: S,
    ) -> (Self, LogLoop<S>) {
        let topic: Arc<str> = internal.name.as_str().into();
        consumer.assign(from_the_start(&topic, partitions));
        let (writes, waiting_writes) = mpsc::channel(WRITE_QUEUE_CAPACITY);
        let (positions, positions_seen) = watch::channel(vec![0; partitions.max(0) as usize]);
        // Configurations are written by one worker, which says that it is the one.
        let may_make = watch::Sender::new(internal.kind != TopicKind::Config);
        let keeper = Keeper::new(internal.clone(), client.clone(), partitions, may_make.subscribe());
        let shared = Shared {
            topic,
            partitions,
            may_make,
            admin: Some(Admin::new(client)),
            ends: Coalesced::default(),
            state: Mutex::new(state),
        };
        let handle = Self {
            shared: Arc::new(shared),
            writes,
            positions: positions_seen,
        };
        let log_loop = LogLoop {
            shared: handle.shared.clone(),
            consumer,
            producer,
            clock,
            waiting_writes,
            positions,
            next_tag: 0,
            batches: HashMap::new(),
            writes: BTreeMap::new(),
            listeners: Vec::new(),
            keeper,
            cluster_id: None,
            restoration: None,
            ends: None,
        };
        (handle, log_loop)
    }

    /// The log of a worker without topics. `file` keeps what is written over a restart.
    pub(super) fn local(name: &str, file: Option<OffsetFile>, state: S) -> (Self, LocalLog<S>) {
        let (writes, waiting_writes) = mpsc::channel(WRITE_QUEUE_CAPACITY);
        let (positions, positions_seen) = watch::channel(vec![0]);
        let shared = Arc::new(Shared {
            topic: name.into(),
            partitions: 1,
            may_make: watch::Sender::new(false),
            admin: None,
            ends: Coalesced::default(),
            state: Mutex::new(state),
        });
        let log = LocalLog {
            shared: shared.clone(),
            waiting_writes,
            positions,
            file,
        };
        log.apply(log.file.as_ref().map(OffsetFile::records).unwrap_or_default());
        let handle = Self {
            shared,
            writes,
            positions: positions_seen,
        };
        (handle, log)
    }

    /// What has been read so far. Hold it for a look, never across an await.
    pub fn state(&self) -> MutexGuard<'_, S> {
        self.shared.state.lock().expect("applying a record does not panic")
    }

    /// The topic's name.
    pub(crate) fn topic(&self) -> Arc<str> {
        self.shared.topic.clone()
    }

    /// Whether this worker makes the topic again, and writes back what it held, if somebody deletes it.
    pub(crate) fn keep(&self, may_make: bool) {
        let replace = |now: &mut bool| std::mem::replace(now, may_make) != may_make;
        self.shared.may_make.send_if_modified(replace);
    }

    /// How many partitions the topic has.
    pub(crate) fn partitions(&self) -> i32 {
        self.shared.partitions
    }

    /// The id of the topic's cluster, if there is one and it has said so.
    pub(super) fn kafka_cluster_id(&self) -> Option<String> {
        let metadata = self.shared.admin.as_ref()?.client().metadata();
        metadata.cluster_id.as_ref().map(|id| id.to_string())
    }

    /// Waits until everything that was written before the call has been read. Retries for as long as it takes.
    pub async fn read_to_end(&self) -> Result<(), Error> {
        let Some(admin) = &self.shared.admin else { return Ok(()) };
        let (topic, partitions) = (self.shared.topic.clone(), self.shared.partitions);
        let ends = self
            .shared
            .ends
            .get(|| end_offsets(admin.clone(), topic, partitions))
            .await;
        let mut positions = self.positions.clone();
        let at_end = |positions: &Vec<i64>| positions.iter().zip(&*ends).all(|(position, end)| position >= end);
        positions.wait_for(at_end).await.map(drop).map_err(|_| self.closed())
    }

    /// Writes records in order and waits until they are acknowledged. Not all or nothing: after an error some may have
    /// been written.
    pub async fn write(&self, records: Vec<KeyValue>) -> Result<(), Error> {
        if records.is_empty() {
            return Ok(());
        }
        let (reply, answer) = oneshot::channel();
        self.writes
            .send(Write { records, reply })
            .await
            .map_err(|_| self.closed())?;
        answer.await.map_err(|_| self.closed())?
    }

    /// Waits until what this worker gave to be written before the call has its answer.
    pub async fn written(&self) -> Result<(), Error> {
        let (reply, answer) = oneshot::channel();
        let nothing = Write {
            records: Vec::new(),
            reply,
        };
        self.writes.send(nothing).await.map_err(|_| self.closed())?;
        answer.await.map_err(|_| self.closed())?
    }

    /// Writes records when their turn comes, and waits for nothing. Answers whether there was room for them to wait.
    pub(crate) fn write_later(&self, records: Vec<KeyValue>) -> bool {
        let (reply, _) = oneshot::channel();
        records.is_empty() || self.writes.try_send(Write { records, reply }).is_ok()
    }

    /// Waits until something new has been read.
    pub async fn changed(&mut self) -> Result<(), Error> {
        self.positions.changed().await.map_err(|_| self.closed())
    }

    fn closed(&self) -> Error {
        Error::Closed {
            topic: self.shared.topic.clone(),
        }
    }
}

/// Reads and writes the topic; ends when it is cancelled.
pub struct LogLoop<S> {
    shared: Arc<Shared<S>>,
    consumer: Consumer,
    producer: Producer,
    clock: Clock,
    waiting_writes: mpsc::Receiver<Write>,
    /// Next offset to be read, per partition.
    positions: watch::Sender<Vec<i64>>,
    next_tag: u64,
    /// Which write a batch belongs to, by the batch's tag.
    batches: HashMap<u64, u64>,
    writes: BTreeMap<u64, PendingWrite>,
    /// Those who wait for every write before this one.
    listeners: Vec<(u64, oneshot::Sender<Result<(), Error>>)>,
    keeper: Keeper,
    /// Where what was read comes from.
    cluster_id: Option<Arc<str>>,
    /// The topic is another one, which lacks what the old one held.
    restoration: Option<Restoration>,
    ends: Option<BoxFuture<'static, Arc<[i64]>>>,
}

struct PendingWrite {
    batches_left: usize,
    refused: Option<Error>,
    reply: oneshot::Sender<Result<(), Error>>,
}

impl<S> fmt::Debug for LogLoop<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogLoop")
            .field("topic", &self.shared.topic)
            .finish_non_exhaustive()
    }
}

impl<S: LogState> LogLoop<S> {
    /// Runs until cancelled. Writes whose caller has its answer are on the target; the others fail.
    pub async fn run(mut self, cancel: CancellationToken) {
        while self.turn(&cancel).await.is_continue() {}
    }

    async fn turn(&mut self, cancel: &CancellationToken) -> ControlFlow<()> {
        tokio::select! {
            () = cancel.cancelled() => return ControlFlow::Break(()),
            Some(write) = self.waiting_writes.recv(), if self.producer.has_room() => self.send(write),
            outcomes = self.producer.outcomes() => outcomes.into_iter().for_each(|outcome| self.finish(outcome)),
            polled = self.consumer.poll() => {
                self.report(polled.events);
                for fetched in polled.fetched {
                    self.apply(fetched);
                }
            }
            never = self.keeper.run() => match never {},
            ends = ended(&mut self.ends) => self.restoration.iter_mut().for_each(|restoration| restoration.ends(ends.clone())),
        }
        self.restore();
        ControlFlow::Continue(())
    }

    fn send(&mut self, write: Write) {
        let batches = build(&write.records, self.shared.partitions, self.clock.now_ms());
        let write_id = self.next_tag;
        if batches.is_empty() {
            self.listeners.push((write_id, write.reply));
            self.tell_listeners();
            return;
        }
        self.writes.insert(
            write_id,
            PendingWrite {
                batches_left: batches.len(),
                refused: None,
                reply: write.reply,
            },
        );
        for (partition, batch) in batches {
            let tag = self.next_tag;
            self.next_tag += 1;
            self.batches.insert(tag, write_id);
            self.producer
                .send(tag, TopicPartition::new(self.shared.topic.clone(), partition), batch);
        }
    }

    fn restore(&mut self) {
        self.restoration.take_if(|restoration| restoration.is_over());
        let Some(restoration) = &mut self.restoration else {
            return;
        };
        if restoration.wants_ends() && self.ends.is_none() {
            let Some(admin) = self.shared.admin.clone() else { return };
            self.ends = Some(end_offsets(admin, self.shared.topic.clone(), self.shared.partitions).boxed());
        }
        let due = restoration.due(&self.positions.borrow());
        self.write(due);
    }

    /// Writes for nobody.
    fn write(&mut self, records: Vec<KeyValue>) {
        if !records.is_empty() {
            let (reply, _) = oneshot::channel();
            self.send(Write { records, reply });
        }
    }

    /// The topic is another one: it is read from its start, and what the old one held is written back.
    fn begin_anew(&mut self) {
        self.consumer
            .assign(from_the_start(&self.shared.topic, self.shared.partitions));
        self.positions.send_modify(|positions| positions.fill(0));
        let cluster_id = self.consumer.cluster_id();
        let is_same_cluster = self.cluster_id.is_none() || self.cluster_id == cluster_id;
        let writes = self.keeper.made_anew(is_same_cluster);
        let state = self.shared.state.lock().expect("applying a record does not panic");
        self.restoration = Some(Restoration::new(self.shared.topic.clone(), writes, state.table()));
        self.ends = None;
    }

    fn finish(&mut self, outcome: Outcome) {
        let Some(write_id) = self.batches.remove(&outcome.tag) else {
            return;
        };
        let write = self.writes.get_mut(&write_id).expect("a write outlives its batches");
        if let Err(refused) = outcome.result {
            write.refused.get_or_insert(Error::Refused {
                partition: outcome.target,
                source: refused,
            });
        }
        write.batches_left -= 1;
        if write.batches_left == 0 {
            let PendingWrite { refused, reply, .. } = self.writes.remove(&write_id).expect("it was there a line ago");
            // The caller may have lost patience, or never had any; the records are written all the same.
            if let Err(Err(error)) = reply.send(refused.map_or(Ok(()), Err)) {
                warn!(error = error.chain(), "a write that nobody waits for failed");
            }
            self.tell_listeners();
        }
    }

    fn tell_listeners(&mut self) {
        let oldest = self.writes.keys().next().copied().unwrap_or(u64::MAX);
        for (_, listener) in self.listeners.extract_if(.., |(before, _)| *before <= oldest) {
            // Whoever lost patience needs no answer.
            let _ = listener.send(Ok(()));
        }
    }

    fn apply(&mut self, fetched: Fetched) {
        let number = fetched.partition.partition;
        let mut hidden = Vec::new();
        {
            let mut state = self.shared.state.lock().expect("applying a record does not panic");
            for entry in &fetched.batches {
                let records = match entry.records(INFLATE_CAP_BYTES) {
                    Ok(records) => records,
                    Err(error) => {
                        warn!(partition = %fetched.partition, %error, "a batch cannot be read and is skipped");
                        continue;
                    }
                };
                for record in &records {
                    let record = match record {
                        Ok(record) if record.offset >= fetched.from => record,
                        Ok(_) => continue,
                        Err(error) => {
                            warn!(partition = %fetched.partition, %error, "records cannot be read and are skipped");
                            break;
                        }
                    };
                    let record = LogRecord {
                        partition: number,
                        offset: record.offset,
                        key: record.key.map(Bytes::copy_from_slice),
                        value: record.value.map(Bytes::copy_from_slice),
                    };
                    match self
                        .restoration
                        .as_ref()
                        .is_some_and(|restoration| restoration.repeats(&record))
                    {
                        true => state.apply_again(&record),
                        false => state.apply(&record),
                    }
                    let restoration = self.restoration.as_mut();
                    hidden.extend(restoration.and_then(|restoration| restoration.read(&record)));
                }
            }
        }
        if self.cluster_id.is_none() {
            self.cluster_id = self.consumer.cluster_id();
        }
        self.write(hidden);
        self.advance(number, fetched.next_offset);
    }

    fn advance(&mut self, partition: i32, next_offset: i64) {
        self.positions.send_modify(|positions| {
            if let Some(position) = positions.get_mut(partition as usize) {
                *position = next_offset;
            }
        });
    }

    /// A broker that goes takes many partitions with it: one line for all of them.
    fn report(&mut self, events: Vec<ConsumerEvent>) {
        let (mut unavailable, mut recovered) = (Vec::new(), Vec::new());
        for event in events {
            match event {
                ConsumerEvent::Started { partition, to } => self.advance(partition.partition, to),
                ConsumerEvent::Unavailable { partition, error } => {
                    if is_unknown(&error) {
                        self.keeper.missing();
                    }
                    unavailable.push((partition, error));
                }
                ConsumerEvent::Recovered { partition } => {
                    self.keeper.recovered();
                    recovered.push(partition);
                }
                ConsumerEvent::TopicRecreated { .. } => self.begin_anew(),
                // Compaction leaves no gaps that a reader could fall into: somebody deleted or truncated the topic.
                other => warn!(event = ?other, "an internal topic is not what it was, going on with what is there"),
            }
        }
        if let Some((first, error)) = unavailable.first() {
            warn!(
                %first, partitions = unavailable.len(), error = error.chain(),
                "an internal topic cannot be read, trying again"
            );
        }
        if let Some(first) = recovered.first() {
            info!(%first, partitions = recovered.len(), "an internal topic can be read again");
        }
    }
}

fn is_unknown(error: &kafka_client::Error) -> bool {
    let code = error.code();
    code.is_some_and(|code| [ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, ErrorCode::UNKNOWN_TOPIC_ID].contains(&code))
}

fn from_the_start(topic: &Arc<str>, partitions: i32) -> Vec<(TopicPartition, StartPosition)> {
    let all = (0..partitions).map(|partition| TopicPartition::new(topic.clone(), partition));
    all.map(|partition| (partition, StartPosition::Reset)).collect()
}

/// Offset behind the last record, per partition.
async fn end_offsets(admin: Admin, topic: Arc<str>, partitions: i32) -> Arc<[i64]> {
    let wanted = |partition| (TopicPartition::new(topic.clone(), partition), OffsetSpec::Latest);
    loop {
        let listed = admin
            .list_offsets((0..partitions).map(wanted).collect(), IsolationLevel::ReadUncommitted)
            .await;
        match listed.and_then(|listed| in_order(listed, partitions)) {
            Ok(ends) => return ends.into(),
            Err(error) => {
                debug!(
                    topic = &*topic,
                    error = error.chain(),
                    "the topic's end is not known yet, trying again"
                );
            }
        }
        tokio::time::sleep(LIST_OFFSETS_PAUSE).await;
    }
}

/// Waits for what is not there for ever. Cancel-safe.
async fn ended<T>(running: &mut Option<BoxFuture<'static, T>>) -> T {
    match running {
        Some(future) => {
            let end = future.await;
            *running = None;
            end
        }
        None => std::future::pending().await,
    }
}

fn in_order(
    listed: impl IntoIterator<Item = (TopicPartition, Result<OffsetInfo, kafka_client::Error>)>,
    partitions: i32,
) -> Result<Vec<i64>, kafka_client::Error> {
    let mut ends = vec![0; partitions.max(0) as usize];
    for (partition, end) in listed {
        if let Some(slot) = ends.get_mut(partition.partition as usize) {
            *slot = end?.offset;
        }
    }
    Ok(ends)
}

/// `records` as batches per partition, in order; the partition is Kafka's choice for the key, as Java readers and
/// compaction expect.
pub(crate) fn build(records: &[KeyValue], partitions: i32, now_ms: i64) -> Vec<(i32, OutgoingBatch)> {
    let mut open: HashMap<i32, BatchBuilder> = HashMap::new();
    let mut batches = Vec::new();
    for KeyValue { key, value } in records {
        let partition = murmur2::partition_for_key(key, partitions);
        let batch = open
            .entry(partition)
            .or_insert_with(|| BatchBuilder::new(Compression::None));
        let size = key.len() + value.as_ref().map_or(0, Bytes::len);
        if !batch.is_empty() && batch.estimated_size() + size > MAX_BATCH_BYTES {
            let full = std::mem::replace(batch, BatchBuilder::new(Compression::None));
            batches.push((partition, full.build()));
        }
        batch.push(now_ms, Some(key), value.as_deref(), []);
    }
    batches.extend(open.into_iter().map(|(partition, batch)| (partition, batch.build())));
    batches
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::testdata::recorded_partitions;

    #[test]
    fn keys_go_to_the_partition_that_java_chose() {
        for (log, partitions) in [
            (include_str!("../../testdata/connect-offsets.jsonl"), 25),
            (include_str!("../../testdata/connect-status.jsonl"), 5),
        ] {
            for (record, partition) in recorded_partitions(log) {
                let batches = build(std::slice::from_ref(&record), partitions, 0);
                assert_eq!(
                    batches.iter().map(|(partition, _)| *partition).collect::<Vec<_>>(),
                    [partition],
                    "{record:?}"
                );
            }
        }
    }

    #[test]
    fn records_keep_their_order_and_batches_their_size() {
        let value = Bytes::from(vec![b'x'; 200_000]);
        let records: Vec<_> = (0..10)
            .map(|n| KeyValue::new(format!("key-{n}"), value.clone()))
            .collect();
        let batches = build(&records, 1, 17);
        assert!(batches.iter().all(|(_, batch)| batch.size_bytes() <= MAX_BATCH_BYTES));
        let mut keys = Vec::new();
        for (_, batch) in &batches {
            assert_eq!(batch.max_timestamp(), 17);
            let records = batch.records(INFLATE_CAP_BYTES).unwrap();
            keys.extend(
                records
                    .iter()
                    .map(|record| String::from_utf8(record.unwrap().key.unwrap().to_vec()).unwrap()),
            );
        }
        assert_eq!(keys, (0..10).map(|n| format!("key-{n}")).collect::<Vec<_>>());
    }
}
