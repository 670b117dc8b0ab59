//! The loop body of a task: fetched batches become source batches, outcomes become offsets, syncs and metrics.
//!
//! Everything that is half done lives in the struct, so that [`Copier::poll`] may be dropped at any await.

mod losses;

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use connect_api::{BatchOutcome, ConnectError, Props, Refusal, SourceBatch, SourceOffset};
use kafka_client::consumer::{Consumer, Fetched};
use kafka_wire::{Compression, Entry, TopicPartition};
use tokio::{task::JoinHandle, time::Instant};

use super::{
    carry::{self, Carried, CarryRules, Unreadable},
    former_topics::FormerTopics,
    limiter::Limiter,
    loss,
    own_config::SourceLossPolicy,
    partition::{Held, Partition},
    rate_limits::RateLimits,
    task_log::{self, error_chain},
};
use crate::{
    clock::Clock,
    offset_sync_producer::{OffsetSyncProducer, QueuedSync},
    offset_sync_writer::{OffsetSyncWriter, Run},
};

/// Bytes that a task may have on their way to the target. It bounds the memory of a task, not its speed: two produce
/// requests of the largest size, and one answer of a source broker comes on top.
const TASK_BUDGET_BYTES: usize = 8 * 1024 * 1024;

/// A partition may always have this much on its way. Beyond it, and beyond its even share of the budget, it pauses, so
/// that one slow leader does not take the memory of all.
const PARTITION_CREDIT_BYTES: usize = 2 * 1024 * 1024;

/// Offset syncs of a task: what is to be sent, and who sends it.
pub(crate) struct OffsetSyncs {
    pub(crate) writer: OffsetSyncWriter,
    pub(crate) producer: OffsetSyncProducer,
}

/// See the module.
pub(crate) struct Copier {
    task_id: String,
    consumer: Consumer,
    partitions: Vec<Partition>,
    index: HashMap<TopicPartition, usize>,
    compression: Option<Compression>,
    clock: Clock,
    syncs: Option<OffsetSyncs>,
    limiter: Limiter,
    /// Fetched and not yet carried, in the order of arrival.
    fetched: VecDeque<Waiting>,
    /// A batch that is being rebuilt outside the async threads; the first of `fetched` once it is done.
    rebuilding: Option<Rebuilding>,
    /// Ready to be returned by the next poll.
    ready: Vec<SourceBatch>,
    in_flight_bytes: usize,
    loss_policy: SourceLossPolicy,
    /// The cluster that was read first.
    cluster_id: Option<Arc<str>>,
    pauses_at_cluster_change: bool,
    former: FormerTopics,
    /// Partitions whose topic's id is not known, or not compared with the former one.
    unidentified: Vec<usize>,
    /// Whether a partition is not asked for because of its topic's limit.
    has_deferred: bool,
}

struct Waiting {
    partition: usize,
    /// See [`Partition::log`].
    log: u32,
    from: i64,
    entry: Entry,
}

struct Rebuilding {
    partition: usize,
    log: u32,
    job: JoinHandle<Result<Vec<Carried>, Unreadable>>,
    /// The partition went back while this ran: the result is of no use.
    is_stale: bool,
}

impl Copier {
    pub(crate) fn new(
        task_id: String,
        consumer: Consumer,
        partitions: Vec<Partition>,
        compression: Option<Compression>,
        clock: Clock,
        syncs: Option<OffsetSyncs>,
        limiter: Limiter,
    ) -> Self {
        let index = partitions
            .iter()
            .enumerate()
            .map(|(at, partition)| (partition.source.clone(), at))
            .collect();
        Self {
            task_id,
            consumer,
            unidentified: (0..partitions.len()).collect(),
            partitions,
            index,
            compression,
            clock,
            syncs,
            limiter,
            fetched: VecDeque::new(),
            rebuilding: None,
            ready: Vec::new(),
            in_flight_bytes: 0,
            loss_policy: SourceLossPolicy::Report,
            cluster_id: None,
            pauses_at_cluster_change: true,
            former: FormerTopics::default(),
            has_deferred: false,
        }
    }

    /// Takes the connector's limits over: `given` has nothing but them. Limits that make no sense were refused over REST;
    /// here they change nothing.
    pub(crate) fn set_limits(&mut self, given: &Props) {
        let limits = match RateLimits::parse(given) {
            Ok(limits) => limits,
            Err(error) => {
                tracing::warn!(task = self.task_id, %error, "the limits are not usable; those of before stay");
                return;
            }
        };
        if self.limiter.set_limits(limits, Instant::now()) {
            tracing::info!(task = self.task_id, limits = ?given, "the flow has other limits now");
        }
        for partition in &self.partitions {
            let bytes = self.limiter.partition_fetch_bytes(&partition.source.topic);
            self.consumer.limit_partition_fetches(&partition.source, bytes);
        }
    }

    /// Compares the topics with those that earlier lives of the task have copied, before anything is read.
    pub(crate) fn with_former_topics(mut self, former: FormerTopics) -> Self {
        self.former = former;
        self
    }

    /// What to do when the source has lost something, or is another.
    pub(crate) fn with_policies(mut self, loss_policy: SourceLossPolicy, pauses_at_cluster_change: bool) -> Self {
        self.loss_policy = loss_policy;
        self.pauses_at_cluster_change = pauses_at_cluster_change;
        self
    }

    /// The next batches, as long as it takes. Cancel-safe.
    pub(crate) async fn poll(&mut self) -> Result<Vec<SourceBatch>, ConnectError> {
        loop {
            self.carry_fetched().await?;
            if !self.ready.is_empty() {
                return Ok(std::mem::take(&mut self.ready));
            }
            let now = Instant::now();
            self.set_pauses(now);
            let flow_waits = self.limiter.flow_resumes_at(now);
            self.consumer.limit_fetches(self.limiter.fetch_bytes());
            let limits_end = self.defer_topics(now).into_iter().chain(flow_waits);
            let releases = self.partitions.iter().filter_map(Partition::resumes_at);
            let next_release = releases.chain(limits_end).min();
            let has_room =
                self.in_flight_bytes < TASK_BUDGET_BYTES && flow_waits.is_none() && !self.former.are_waited_for();
            let mut polled = tokio::select! {
                () = self.former.arrive() => {
                    self.unidentified = (0..self.partitions.len()).collect();
                    continue;
                }
                polled = self.consumer.poll(), if has_room => polled,
                () = sleep_until(next_release) => continue,
                () = room_for_sync(self.syncs.as_ref()) => {
                    self.send_pending_syncs();
                    continue;
                }
            };
            for topic in self.learn_topic_ids() {
                polled.fetched.retain(|fetched| fetched.partition.topic != topic);
                polled.events.retain(|event| loss::topic_of(event) != Some(&topic));
                self.on_recreated(&topic, false)?;
            }
            task_log::consumer_events(&self.task_id, &polled.events);
            for event in &polled.events {
                self.on_event(event)?;
            }
            for fetched in polled.fetched {
                self.on_fetched(fetched);
            }
        }
    }

    /// Notes what became of batches.
    pub(crate) fn acked(&mut self, outcomes: Vec<BatchOutcome>) {
        let now = Instant::now();
        let now_ms = self.clock.now_ms();
        for outcome in outcomes {
            let (at, sequence) = split_tag(outcome.tag);
            let Some(sent) = self
                .partitions
                .get_mut(at)
                .and_then(|partition| partition.take(sequence))
            else {
                continue;
            };
            self.in_flight_bytes -= sent.cost_bytes();
            let partition = &self.partitions[at];
            partition.metrics.in_flight(partition.in_flight_bytes());
            match outcome.result {
                Ok(base) => {
                    let written = outcome.records.map(|places| sent.upstream.select(&places));
                    let records = match &written {
                        Some(runs) => runs.iter().map(|(_, count)| u64::from(*count)).sum(),
                        None => sent.records,
                    };
                    let partition = &mut self.partitions[at];
                    // Behind the last record there may be offsets that hold none, such as markers.
                    let next = partition.oldest_in_flight().unwrap_or(partition.position);
                    let next = (next, partition.oldest_waiting_timestamp());
                    let timestamps = (sent.oldest_timestamp, sent.newest_timestamp);
                    partition.metrics.acknowledged(now_ms, records, timestamps, next);
                    if partition.written() {
                        partition.metrics.held_back(None);
                        tracing::info!(task = self.task_id, partition = %partition.source, "partition flows again");
                    }
                    if let (Some(base), Some(syncs)) = (base, &mut self.syncs) {
                        match written {
                            Some(runs) => syncs.acknowledged(at, runs.into_iter(), base),
                            None => syncs.acknowledged(at, sent.upstream.iter(), base),
                        }
                    }
                }
                Err(_) if self.partitions[at].is_of_former_log(&sent) => {
                    self.partitions[at].metrics.lost(sent.records);
                    tracing::warn!(
                        task = self.task_id, partition = %self.partitions[at].source, records_lost = sent.records,
                        "records of a topic that was made again meanwhile could not be written, and cannot be read again"
                    );
                }
                Err(refusal) => {
                    let held = self.partitions[at].refused(&sent, &refusal, now);
                    self.hold(at, held, &refusal);
                }
            }
        }
    }

    /// Once source offsets are stored: quiet partitions get their sync too.
    pub(crate) fn commit(&mut self) {
        if let Some(syncs) = &mut self.syncs {
            match syncs.producer.take_renewed() {
                true => syncs.writer.promote_all(),
                false => syncs.writer.promote_delayed(),
            }
        }
        self.send_pending_syncs();
    }

    /// Ends the task.
    pub(crate) async fn stop(mut self) {
        if let Some(OffsetSyncs { mut writer, producer }) = self.syncs.take() {
            let mut last = Vec::new();
            writer.send_pending(|partition, point, seen| {
                last.push(QueuedSync::new(partition, point, seen));
                true
            });
            producer.stop(last).await;
        }
    }

    /// Carries what was fetched, in order, until a batch has to be waited for.
    async fn carry_fetched(&mut self) -> Result<(), ConnectError> {
        loop {
            if let Some(rebuilding) = &mut self.rebuilding {
                let result = (&mut rebuilding.job).await;
                let Rebuilding {
                    partition,
                    log,
                    is_stale,
                    ..
                } = self.rebuilding.take().expect("it was there");
                let carried = result.map_err(|panic| ConnectError::caused_by("rebuilding a batch failed", panic))?;
                if !is_stale {
                    self.on_carried(partition, log, carried);
                }
            }
            let Some(Waiting {
                partition,
                log,
                from,
                entry,
            }) = self.fetched.pop_front()
            else {
                return Ok(());
            };
            let rules = self.rules(partition);
            let rebuilt = carry::why_rebuilt(&entry, from, &rules);
            self.partitions[partition].metrics.carried(rebuilt);
            if carry::is_heavy(&entry, from, &rules) {
                let job = tokio::task::spawn_blocking(move || carry::carry(&entry, from, &rules));
                self.rebuilding = Some(Rebuilding {
                    partition,
                    log,
                    job,
                    is_stale: false,
                });
            } else {
                self.on_carried(partition, log, carry::carry(&entry, from, &rules));
            }
        }
    }

    fn rules(&self, at: usize) -> CarryRules {
        let max_batch_bytes = self.partitions[at].max_batch_bytes;
        CarryRules {
            compression: self.compression,
            max_batch_bytes,
            clock: self.clock,
        }
    }

    fn on_carried(&mut self, at: usize, log: u32, carried: Result<Vec<Carried>, Unreadable>) {
        match carried {
            Ok(carried) => {
                if carried.len() > 1 {
                    self.partitions[at].metrics.cut();
                }
                carried.into_iter().for_each(|carried| self.send(at, log, carried));
            }
            Err(unreadable) if log != self.partitions[at].log() => tracing::warn!(
                task = self.task_id, partition = %self.partitions[at].source, reason = error_chain(&unreadable),
                "a batch of a topic that was made again meanwhile cannot be read, and cannot be read again"
            ),
            Err(unreadable) => {
                let held = self.partitions[at].unreadable(unreadable.offset, Instant::now());
                self.hold_unreadable(at, &held, &unreadable);
            }
        }
    }

    fn send(&mut self, at: usize, log: u32, Carried { batch, upstream }: Carried) {
        let partition = &mut self.partitions[at];
        let timestamps = (batch.base_timestamp(), batch.max_timestamp());
        let bytes = batch.size_bytes();
        let records = u64::from(batch.record_count().unsigned_abs());
        partition
            .metrics
            .polled(self.clock.now_ms(), records, bytes as u64, timestamps.0, timestamps.1);
        let source_offset = SourceOffset(upstream.last_offset());
        let (sequence, cost) = partition.send((log, upstream), records, bytes, timestamps);
        partition.metrics.in_flight(partition.in_flight_bytes());
        self.in_flight_bytes += cost;
        self.ready.push(SourceBatch {
            source_partition: partition.key.clone(),
            source_offset,
            target: partition.target.clone(),
            batch,
            tag: tag(at, sequence),
        });
    }

    fn on_fetched(&mut self, fetched: Fetched) {
        let Some(&at) = self.index.get(&fetched.partition) else {
            return;
        };
        let partition = &mut self.partitions[at];
        if partition.is_held() {
            return;
        }
        if self.cluster_id.is_none() {
            self.cluster_id = self.consumer.cluster_id();
        }
        let is_empty = fetched.batches.is_empty();
        let unsent = if is_empty { fetched.next_offset } else { fetched.from };
        let acknowledged_up_to = partition.oldest_in_flight().unwrap_or(unsent);
        partition.metrics.fetched(fetched.high_watermark, acknowledged_up_to);
        partition.position = fetched.next_offset;
        let bytes: usize = fetched.batches.iter().map(Entry::size_bytes).sum();
        let topic = &partition.source.topic;
        self.limiter.take(
            topic,
            bytes as u64,
            self.consumer.partition_count(topic),
            Instant::now(),
        );
        let mut from = fetched.from;
        for entry in fetched.batches {
            let next = entry.last_offset().saturating_add(1).max(from);
            self.fetched.push_back(Waiting {
                partition: at,
                log: self.partitions[at].log(),
                from,
                entry,
            });
            from = next;
        }
    }

    fn hold(&mut self, at: usize, held: Held, refusal: &Refusal) {
        let partition = &self.partitions[at];
        task_log::refused(&self.task_id, partition, &held, refusal);
        match held {
            Held::Already => return,
            Held::Wait { .. } => partition.metrics.held_back(Some(&refusal.reason)),
            Held::CutSmaller { .. } | Held::FurtherBack { .. } => {}
        }
        self.go_back(at);
    }

    fn hold_unreadable(&mut self, at: usize, held: &Held, unreadable: &Unreadable) {
        let partition = &self.partitions[at];
        task_log::unreadable(&self.task_id, partition, held, unreadable);
        partition.metrics.held_back(Some(&error_chain(unreadable)));
        self.go_back(at);
    }

    /// The partition will be read again from where it is held: what was read of it and not sent is dropped.
    fn go_back(&mut self, at: usize) {
        let Some(offset) = self.partitions[at].held_at() else {
            return;
        };
        self.fetched.retain(|waiting| waiting.partition != at);
        // What lies before an unreadable batch is good and goes out.
        let is_behind = |batch: &SourceBatch| split_tag(batch.tag).0 == at && batch.source_offset.0 >= offset;
        let (dropped, ready): (Vec<_>, Vec<_>) = std::mem::take(&mut self.ready).into_iter().partition(is_behind);
        self.ready = ready;
        for batch in dropped {
            if let Some(unsent) = self.partitions[at].take(split_tag(batch.tag).1) {
                self.in_flight_bytes -= unsent.cost_bytes();
            }
        }
        if let Some(rebuilding) = self.rebuilding.as_mut().filter(|rebuilding| rebuilding.partition == at) {
            rebuilding.is_stale = true;
        }
        let partition = &mut self.partitions[at];
        self.consumer.seek(&partition.source, offset);
        self.consumer.pause(&partition.source);
        partition.is_paused = true;
        partition.position = offset;
    }

    /// Pauses partitions that are held back or have used their credit, resumes the others.
    fn set_pauses(&mut self, now: Instant) {
        let credit = PARTITION_CREDIT_BYTES.max(TASK_BUDGET_BYTES / self.partitions.len().max(1));
        for partition in &mut self.partitions {
            partition.release(now);
            // Half a credit between pause and resume, so that an answer on its way is not thrown away each time.
            let allowed = if partition.is_paused { credit / 2 } else { credit };
            let should_pause = partition.is_held() || partition.in_flight_bytes() >= allowed;
            if should_pause && !partition.is_paused {
                self.consumer.pause(&partition.source);
            } else if !should_pause && partition.is_paused {
                self.consumer.resume(&partition.source);
            }
            partition.is_paused = should_pause;
        }
    }

    /// Asks for no more of topics that are beyond their limits, and again of the others. When the first may go on.
    fn defer_topics(&mut self, now: Instant) -> Option<Instant> {
        let waiting = self.limiter.waiting_topics(now);
        if !waiting.is_empty() || self.has_deferred {
            for partition in &mut self.partitions {
                let is_deferred = waiting.contains_key(&partition.source.topic);
                if std::mem::replace(&mut partition.is_deferred, is_deferred) != is_deferred {
                    self.consumer.defer(&partition.source, is_deferred);
                }
            }
            self.has_deferred = !waiting.is_empty();
        }
        waiting.into_values().min()
    }

    fn send_pending_syncs(&mut self) {
        if let Some(OffsetSyncs { writer, producer }) = &mut self.syncs {
            writer.send_pending(|partition, point, seen| producer.try_send(partition, point, seen));
        }
    }
}

impl std::fmt::Debug for Copier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Copier")
            .field("task_id", &self.task_id)
            .field("in_flight_bytes", &self.in_flight_bytes)
            .finish_non_exhaustive()
    }
}

impl OffsetSyncs {
    /// The records of a batch were written from downstream offset `base` on, without holes.
    fn acknowledged(&mut self, partition: usize, upstream: impl Iterator<Item = (i64, u32)>, base: i64) {
        let Self { writer, producer } = self;
        let mut downstream = base;
        for (upstream, count) in upstream {
            let run = Run {
                upstream,
                downstream,
                count,
            };
            writer.acknowledged(partition, run, |partition, point, seen| {
                producer.try_send(partition, point, seen)
            });
            downstream += i64::from(count);
        }
    }
}

/// A tag names a partition of the task and a batch of it.
fn tag(partition: usize, sequence: u32) -> u64 {
    (partition as u64) << 32 | u64::from(sequence)
}

fn split_tag(tag: u64) -> (usize, u32) {
    ((tag >> 32) as usize, tag as u32)
}

/// Waits until a sync that has none finds room; for ever when none waits.
async fn room_for_sync(syncs: Option<&OffsetSyncs>) {
    match syncs {
        Some(syncs) if syncs.writer.has_pending() => syncs.producer.room().await,
        _ => std::future::pending().await,
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use connect_api::SourcePartition;
    use kafka_client::{Client, ConsumerConfig, Dialer};
    use kafka_wire::{BatchBuilder, ErrorCode, Headers, Record};

    use super::*;
    use crate::{metrics::PartitionMetrics, source::RateLimiters};

    fn copier(topics: &[&str]) -> Copier {
        let props = [("bootstrap.servers".to_owned(), "nowhere:1".to_owned())].into();
        let config = ConsumerConfig::parse(&props).unwrap();
        let consumer = Consumer::new(Client::new(config.client.clone(), Dialer::tcp()), config);
        let partition = |topic: &&str| {
            let key = Arc::new(SourcePartition(Vec::new()));
            let (source, target) = (
                TopicPartition::new(*topic, 0),
                TopicPartition::new(format!("A.{topic}"), 0),
            );
            Partition::new(source, target, key, PartitionMetrics::default())
        };
        let partitions = topics.iter().map(partition).collect();
        let limiter = RateLimiters::default().join("c", 1, Default::default());
        Copier::new(
            "task".to_owned(),
            consumer,
            partitions,
            None,
            Clock::system(),
            None,
            limiter,
        )
    }

    fn carried(first: i64) -> Carried {
        let mut batch = BatchBuilder::new(Compression::None);
        let (key, value, headers) = (None, Some(&b"value"[..]), Headers::default());
        batch.push_record(&Record {
            offset: first,
            timestamp: 0,
            key,
            value,
            headers,
        });
        Carried {
            batch: batch.build(),
            upstream: carry::UpstreamRuns::dense(first, 1),
        }
    }

    #[tokio::test]
    async fn going_back_drops_what_the_worker_has_not_been_given_yet() {
        let mut copier = copier(&["a", "b"]);
        copier.send(0, 0, carried(5));
        let given = std::mem::take(&mut copier.ready);
        copier.send(0, 0, carried(6));
        copier.send(1, 0, carried(0));
        let refusal = Refusal {
            reason: "no".to_owned(),
            code: Some(ErrorCode::POLICY_VIOLATION),
        };
        let target = given[0].target.clone();
        copier.acked(vec![BatchOutcome {
            tag: given[0].tag,
            target,
            result: Err(refusal),
            records: None,
        }]);

        let left: Vec<_> = copier.ready.iter().map(|batch| batch.target.to_string()).collect();
        assert_eq!(left, ["A.b-0"], "offset 6 may not overtake offset 5");
        assert!(
            copier.partitions[0].resumes_at().is_some(),
            "nothing of it is on its way"
        );
        assert_eq!(copier.partitions[0].position, 5);
        assert_eq!(copier.in_flight_bytes, copier.partitions[1].in_flight_bytes());
    }

    #[tokio::test]
    async fn what_lies_before_an_unreadable_batch_goes_out() {
        let mut copier = copier(&["a"]);
        copier.send(0, 0, carried(5));
        let damaged = b"\0\0\0\0\0\0\0\x06\0\0\0\x31\0\0\0\0\x02";
        let mut bytes = damaged.to_vec();
        bytes.resize(61, 0);
        let entry = kafka_wire::BatchIter::new(bytes.into()).next().unwrap().unwrap();
        copier.fetched.push_back(Waiting {
            partition: 0,
            log: 0,
            from: 6,
            entry,
        });
        copier.carry_fetched().await.unwrap();

        let ready: Vec<_> = copier.ready.iter().map(|batch| batch.source_offset.0).collect();
        assert_eq!(ready, [5]);
        assert_eq!(copier.partitions[0].held_at(), Some(6));
        assert_eq!(
            copier.partitions[0].resumes_at(),
            None,
            "not before the outcome of what was sent"
        );
    }
}
