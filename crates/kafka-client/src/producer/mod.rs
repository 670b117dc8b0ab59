//! An idempotent producer that takes whole batches.
//!
//! Batches of a partition are written in the order in which they came, once, whatever the brokers do: up to five
//! requests per broker are on their way, one batch per partition in each, and what fails goes again with its old
//! sequence. Start reading at [`Producer::outcomes`], which drives everything: nothing runs behind the caller's back.
//!
//! What a target will not take for a reason that waiting does not mend comes back as [`Refused`], with everything behind
//! it in the same partition, so that the caller can go back to it later; the other partitions flow on.

mod answers;
mod brokers;
pub(crate) mod coordinator;
mod identity;
mod leaders;
mod partition_queue;
mod produce_request;
mod transaction;
mod trouble;

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use kafka_wire::{ErrorCode, OutgoingBatch, TopicPartition};
use tokio::{sync::watch, time::Instant};

use self::brokers::Node;
use self::coordinator::{Added, Coordinator};
use self::identity::IdentityState;
use self::partition_queue::{Identity, Part, PartitionQueue, Pending};
use self::transaction::Transaction;
use self::trouble::Trouble;
use crate::config::ProducerConfig;
use crate::metrics::ClientKind;
use crate::refresh::RefreshPace;
use crate::retry::ExponentialBackoff;
use crate::{Client, Connection, Error};

/// What became of a batch.
#[derive(Debug)]
pub struct Outcome {
    /// As given to [`Producer::send`].
    pub tag: u64,
    /// Where the batch went, or should have gone.
    pub target: TopicPartition,
    /// `Ok(Some(base))`: written, the first record at offset `base`. `Ok(None)`: written before, and the broker no
    /// longer knows where. `Err`: not written.
    pub result: Result<Option<i64>, Refused>,
}

/// Why a partition would not take a batch.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{reason}")]
pub struct Refused {
    /// What was refused, and the broker's word for it.
    pub reason: String,
    /// The broker's error code, if it was the broker that refused.
    pub code: Option<ErrorCode>,
}

impl Refused {
    fn new(reason: impl Into<String>, code: Option<ErrorCode>) -> Self {
        Self {
            reason: reason.into(),
            code,
        }
    }

    fn is_too_large(&self) -> bool {
        matches!(
            self.code,
            Some(ErrorCode::MESSAGE_TOO_LARGE | ErrorCode::RECORD_LIST_TOO_LARGE)
        )
    }
}

/// An idempotent producer; see the module.
pub struct Producer {
    client: Client,
    config: ProducerConfig,
    backoff: ExponentialBackoff,
    partitions: Vec<PartitionQueue>,
    index: HashMap<TopicPartition, usize>,
    /// Partitions that wait, and until when. One whose `not_before` is another by now is passed over.
    delayed: BinaryHeap<Reverse<(Instant, usize)>>,
    nodes: HashMap<i32, Node>,
    identity: IdentityState,
    /// Of a producer that writes in transactions.
    transaction: Option<Box<Transaction>>,
    /// Partitions that have something to send and no producer id; some may be in it twice.
    without_identity: Vec<usize>,
    metadata: RefreshPace,
    /// While it says true, nothing more is sent.
    hold: Option<watch::Receiver<bool>>,
    /// Nothing new is sent any more, see [`Producer::recall`].
    recalled: bool,
    trouble: Trouble,
    work: FuturesUnordered<BoxFuture<'static, Event>>,
    finished: Vec<Outcome>,
    outstanding_batches: usize,
    outstanding_bytes: usize,
}

enum Event {
    Connected {
        node_id: i32,
        result: Result<Connection, Error>,
    },
    Identified(Result<Identity, Error>),
    PartitionsAdded {
        coordinator: Coordinator,
        partitions: Vec<usize>,
        result: Result<Added, Error>,
    },
    MetadataRefreshed(Result<(), Error>),
    Answered {
        node_id: i32,
        connection: Connection,
        sent: Vec<Sent>,
        result: Result<Bytes, Error>,
        version: i16,
    },
}

/// A batch inside a request on its way.
struct Sent {
    partition: usize,
    pending: Pending,
}

impl Producer {
    /// A producer that has done nothing yet; it connects when there is something to send.
    pub fn new(client: Client, config: ProducerConfig) -> Self {
        client.metrics().is_now(ClientKind::Producer);
        Self {
            backoff: ExponentialBackoff::new(client.config().retry_backoff, client.config().retry_backoff_max),
            client,
            config,
            partitions: Vec::new(),
            index: HashMap::new(),
            delayed: BinaryHeap::new(),
            nodes: HashMap::new(),
            identity: IdentityState::default(),
            transaction: None,
            without_identity: Vec::new(),
            metadata: RefreshPace::default(),
            hold: None,
            recalled: false,
            trouble: Trouble::default(),
            work: FuturesUnordered::new(),
            finished: Vec::new(),
            outstanding_batches: 0,
            outstanding_bytes: 0,
        }
    }

    /// Sends nothing while `hold` says true, and goes on where it was when it says false: for a writer that does not know
    /// whether another one has taken its place. What is on its way stays so.
    pub fn held_by(mut self, hold: watch::Receiver<bool>) -> Self {
        self.hold = Some(hold);
        self
    }

    /// For an end that is exact: gives back, as outcomes, every batch that is surely not written, and sends nothing new
    /// from now on. What may have been written goes on being asked for, until a broker says.
    pub fn recall(&mut self) {
        self.recalled = true;
        for partition in 0..self.partitions.len() {
            self.give_back_recalled(partition);
        }
    }

    /// The client underneath.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Queues a batch. It leaves with the next call of [`Self::outcomes`].
    pub fn send(&mut self, tag: u64, target: TopicPartition, batch: OutgoingBatch) {
        self.outstanding_batches += 1;
        self.outstanding_bytes += batch.size_bytes();
        let partition = match self.index.get(&target) {
            Some(partition) => *partition,
            None => {
                self.partitions.push(PartitionQueue::new(target.clone()));
                self.index.insert(target, self.partitions.len() - 1);
                self.partitions.len() - 1
            }
        };
        self.partitions[partition].push(Part { tag, batch });
        if !self.give_back_after_failure(partition) {
            self.enqueue(partition);
        }
    }

    /// Whether the bytes that wait and are on their way are below `buffer.memory`.
    pub fn has_room(&self) -> bool {
        self.outstanding_bytes < self.config.buffer_memory
    }

    /// Batches that were handed in and have no outcome yet.
    pub fn in_flight(&self) -> usize {
        self.outstanding_batches
    }

    /// Drives the producer until at least one batch is finished. Waits for ever while nothing is outstanding.
    ///
    /// Cancel-safe: a dropped call loses nothing.
    pub async fn outcomes(&mut self) -> Vec<Outcome> {
        loop {
            let now = Instant::now();
            self.dispatch(now);
            if !self.finished.is_empty() {
                return std::mem::take(&mut self.finished);
            }
            let deadline = self.next_deadline(now);
            tokio::select! {
                Some(event) = self.work.next(), if !self.work.is_empty() => {
                    self.on(event);
                    // what has already arrived is handled in the same turn
                    while let Some(Some(event)) = futures_util::FutureExt::now_or_never(self.work.next()) {
                        self.on(event);
                    }
                }
                () = sleep_until(deadline) => {}
                () = changed(&mut self.hold) => {}
            }
        }
    }

    /// Sends whatever can be sent now, without waiting. Everything that was due until now has been seen to afterwards.
    fn dispatch(&mut self, now: Instant) {
        if self.hold.as_mut().is_some_and(|hold| *hold.borrow_and_update()) {
            return;
        }
        self.wake_delayed(now);
        self.ask_for_identity(now);
        self.add_partitions();
        let has_work = |(_, node): &(&i32, &Node)| !node.ready.is_empty();
        let nodes: Vec<i32> = self.nodes.iter().filter(has_work).map(|(id, _)| *id).collect();
        for node_id in nodes {
            self.dispatch_to(node_id, now);
        }
        self.refresh_metadata(now);
    }

    fn on(&mut self, event: Event) {
        match event {
            Event::Connected { node_id, result } => self.on_connected(node_id, result),
            Event::Identified(result) => self.on_identified(result),
            Event::PartitionsAdded {
                coordinator,
                partitions,
                result,
            } => self.on_partitions_added(coordinator, partitions, result),
            Event::MetadataRefreshed(result) => self.on_metadata(result),
            Event::Answered {
                node_id,
                connection,
                sent,
                result,
                version,
            } => {
                if let Some(node) = self.nodes.get_mut(&node_id) {
                    node.requests_in_flight -= 1;
                }
                self.on_answer(node_id, &connection, sent, result, version);
            }
        }
    }

    /// When there is something to do although nothing arrives. What was due by `now` is done, or waits for an event.
    fn next_deadline(&self, now: Instant) -> Option<Instant> {
        let partitions = self.delayed.peek().map(|Reverse((at, _))| *at);
        let nodes = self.nodes.values().filter(|node| !node.ready.is_empty());
        let nodes = nodes.filter_map(|node| node.not_before);
        let identity = self.identity.not_before().filter(|_| !self.without_identity.is_empty());
        let all = nodes.chain(partitions).chain(self.metadata.deadline()).chain(identity);
        all.filter(|at| *at > now).min()
    }

    fn finish(&mut self, outcome: Outcome, bytes: usize) {
        self.outstanding_batches -= 1;
        self.outstanding_bytes -= bytes;
        self.finished.push(outcome);
    }

    fn backoff(&self, attempts: u32) -> Duration {
        self.backoff.after(attempts.saturating_sub(1))
    }
}

impl std::fmt::Debug for Producer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Producer")
            .field("partitions", &self.partitions.len())
            .field("outstanding_batches", &self.outstanding_batches)
            .field("outstanding_bytes", &self.outstanding_bytes)
            .finish_non_exhaustive()
    }
}

/// Whoever has gone changes nothing any more.
async fn changed(hold: &mut Option<watch::Receiver<bool>>) {
    if let Some(hold) = hold
        && hold.changed().await.is_ok()
    {
        return;
    }
    std::future::pending().await
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
