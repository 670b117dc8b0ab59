//! An idempotent producer that takes whole batches.
//!
//! Batches of a partition are written in the order in which they came, once, whatever the brokers do: up to five
//! requests per broker are on their way, one batch per partition in each, and what fails goes again with its old
//! sequence. Start reading at [`Producer::outcomes`], which drives everything: nothing runs behind the caller's back.
//!
//! What a target will not take for a reason that waiting does not mend comes back as [`Refused`], with everything behind
//! it in the same partition, so that the caller can go back to it later; the other partitions flow on.

mod partition_queue;
mod produce_request;

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use futures_util::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use kafka_protocol::messages::{
    ApiKey, InitProducerIdRequest, ProduceRequest, ProduceResponse, produce_response::PartitionProduceResponse,
};
use kafka_wire::{ErrorCode, OutgoingBatch, TopicPartition};
use tokio::time::Instant;

use self::partition_queue::{Identity, Part, PartitionQueue, Pending};
use crate::config::{HostPort, ProducerConfig};
use crate::connection::api_key;
use crate::retry::ExponentialBackoff;
use crate::{Client, Connection, Error, RequestFrame, Role, Topics};

/// The most requests on their way to one broker, if `max.in.flight.requests.per.connection` does not say less. Five is
/// what a broker remembers of an idempotent producer.
const MAX_IN_FLIGHT_PER_NODE: usize = 5;
/// A produce request is closed at this size; a single larger batch goes alone.
const MAX_REQUEST_BYTES: usize = 4 * 1024 * 1024;
/// How long a partition may fail for a reason that may pass (no leader, too few replicas) before its batches are given
/// back, so that they do not hold the memory that the other partitions need.
const GIVE_BACK_AFTER: Duration = Duration::from_secs(30);

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
    nodes: HashMap<i32, Node>,
    identity: IdentityState,
    metadata: MetadataState,
    work: FuturesUnordered<BoxFuture<'static, Event>>,
    finished: Vec<Outcome>,
    outstanding_batches: usize,
    outstanding_bytes: usize,
}

/// One broker that leads partitions of ours.
#[derive(Default)]
struct Node {
    connection: Option<Connection>,
    connecting: bool,
    not_before: Option<Instant>,
    attempts: u32,
    requests_in_flight: usize,
    /// Partitions that have something to send to this broker, served in turn.
    ready: VecDeque<usize>,
}

enum IdentityState {
    Missing {
        not_before: Option<Instant>,
        attempts: u32,
    },
    Asking {
        attempts: u32,
    },
    Known(Identity),
    /// The broker has lost our state: everything on its way comes back first.
    Lost,
}

#[derive(Default)]
struct MetadataState {
    wanted: bool,
    refreshing: bool,
    not_before: Option<Instant>,
}

enum Event {
    Connected {
        node_id: i32,
        result: Result<Connection, Error>,
    },
    Identified(Result<Identity, Error>),
    MetadataRefreshed(Result<(), Error>),
    Answered {
        node_id: i32,
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
        Self {
            backoff: ExponentialBackoff::new(client.config().retry_backoff, client.config().retry_backoff_max),
            client,
            config,
            partitions: Vec::new(),
            index: HashMap::new(),
            nodes: HashMap::new(),
            identity: IdentityState::Missing {
                not_before: None,
                attempts: 0,
            },
            metadata: MetadataState::default(),
            work: FuturesUnordered::new(),
            finished: Vec::new(),
            outstanding_batches: 0,
            outstanding_bytes: 0,
        }
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
        self.enqueue(partition);
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
            self.dispatch();
            if !self.finished.is_empty() {
                return std::mem::take(&mut self.finished);
            }
            let deadline = self.next_deadline();
            tokio::select! {
                Some(event) = self.work.next(), if !self.work.is_empty() => {
                    self.on(event);
                    // what has already arrived is handled in the same turn
                    while let Some(Some(event)) = futures_util::FutureExt::now_or_never(self.work.next()) {
                        self.on(event);
                    }
                }
                () = sleep_until(deadline) => {}
            }
        }
    }

    /// Sends whatever can be sent now, without waiting.
    fn dispatch(&mut self) {
        let now = Instant::now();
        self.wake_delayed(now);
        self.refresh_metadata(now);
        let Some(identity) = self.identity(now) else { return };
        let nodes: Vec<i32> = self
            .nodes
            .iter()
            .filter(|(_, node)| !node.ready.is_empty())
            .map(|(id, _)| *id)
            .collect();
        for node_id in nodes {
            self.dispatch_to(node_id, identity, now);
        }
    }

    fn dispatch_to(&mut self, node_id: i32, identity: Identity, now: Instant) {
        let Some(node) = self.nodes.get_mut(&node_id) else {
            return;
        };
        let connection = match &node.connection {
            Some(connection) if !connection.is_closed() => connection.clone(),
            _ => {
                let waits = node.not_before.is_some_and(|at| at > now);
                if !node.connecting && !waits {
                    node.connecting = true;
                    node.connection = None;
                    let client = self.client.clone();
                    self.work.push(Box::pin(async move {
                        Event::Connected {
                            node_id,
                            result: client.connection(node_id, Role::Produce(0)).await,
                        }
                    }));
                }
                return;
            }
        };
        let max_in_flight = self.config.max_in_flight.clamp(1, MAX_IN_FLIGHT_PER_NODE);
        while self.nodes[&node_id].requests_in_flight < max_in_flight {
            let sent = self.fill_request(node_id, identity);
            if sent.is_empty() {
                return;
            }
            self.submit(node_id, &connection, sent);
        }
    }

    /// One batch from each ready partition of the node, in turn, up to the size of a request.
    fn fill_request(&mut self, node_id: i32, identity: Identity) -> Vec<Sent> {
        let mut sent = Vec::new();
        let mut bytes = 0;
        let Some(node) = self.nodes.get_mut(&node_id) else {
            return sent;
        };
        for _ in 0..node.ready.len() {
            if bytes >= MAX_REQUEST_BYTES {
                break;
            }
            let Some(partition) = node.ready.pop_front() else { break };
            let queue = &mut self.partitions[partition];
            queue.in_ring = false;
            if !queue.is_sendable() {
                continue;
            }
            let Some(pending) = queue.take(identity) else { continue };
            queue.sent_to = Some(node_id);
            bytes += pending.batch.size_bytes();
            sent.push(Sent { partition, pending });
            if queue.is_sendable() {
                queue.in_ring = true;
                node.ready.push_back(partition);
            }
        }
        // The encoder wants the partitions of a topic side by side.
        sent.sort_by(|one, other| {
            self.partitions[one.partition]
                .target
                .cmp(&self.partitions[other.partition].target)
        });
        sent
    }

    fn submit(&mut self, node_id: i32, connection: &Connection, sent: Vec<Sent>) {
        let version = match connection.version_up_to::<ProduceRequest>(produce_request::MAX_VERSION) {
            Ok(version) => version,
            Err(error) => {
                self.on_answer(node_id, sent, Err(error), 0);
                return;
            }
        };
        let timeout = self.client.config().request_timeout;
        let entries = sent
            .iter()
            .map(|sent| (&self.partitions[sent.partition].target, &sent.pending.batch));
        let body = produce_request::encode(version, -1, timeout.as_millis() as i32, entries);
        let reply = connection.submit(RequestFrame {
            api_key: api_key::<ProduceRequest>(),
            version,
            body,
            timeout,
            expects_reply: true,
        });
        if let Some(node) = self.nodes.get_mut(&node_id) {
            node.requests_in_flight += 1;
        }
        self.work.push(Box::pin(async move {
            Event::Answered {
                node_id,
                sent,
                result: reply.await,
                version,
            }
        }));
    }

    fn on(&mut self, event: Event) {
        match event {
            Event::Connected { node_id, result } => self.on_connected(node_id, result),
            Event::Identified(result) => self.on_identified(result),
            Event::MetadataRefreshed(result) => self.on_metadata(result),
            Event::Answered {
                node_id,
                sent,
                result,
                version,
            } => {
                if let Some(node) = self.nodes.get_mut(&node_id) {
                    node.requests_in_flight -= 1;
                }
                self.on_answer(node_id, sent, result, version);
            }
        }
    }

    fn on_connected(&mut self, node_id: i32, result: Result<Connection, Error>) {
        let Some(node) = self.nodes.get_mut(&node_id) else {
            return;
        };
        node.connecting = false;
        match result {
            Ok(connection) => {
                node.connection = Some(connection);
                node.attempts = 0;
                node.not_before = None;
            }
            Err(error) => {
                tracing::debug!(node = node_id, error = %error.chain(), "cannot connect to produce");
                let now = Instant::now();
                node.attempts += 1;
                let backoff = self.backoff.after(node.attempts - 1);
                node.not_before = Some(now + backoff);
                // Its partitions may have a new leader by now.
                let ready: Vec<usize> = node.ready.drain(..).collect();
                for partition in ready {
                    let queue = &mut self.partitions[partition];
                    queue.in_ring = false;
                    queue.failing_since.get_or_insert(now);
                    queue.not_before = Some(now + backoff);
                    self.give_back_if_hopeless(partition, now, || format!("cannot reach broker {node_id}"));
                }
                self.metadata.wanted = true;
            }
        }
    }

    fn on_answer(&mut self, node_id: i32, sent: Vec<Sent>, result: Result<Bytes, Error>, version: i16) {
        let now = Instant::now();
        let broker = self.nodes.get(&node_id).and_then(|node| node.connection.as_ref());
        let decoded = match (result, broker) {
            (Ok(body), Some(connection)) => {
                let decoded = connection.decode::<ProduceResponse>(ApiKey::Produce, version, body);
                if let Ok(response) = &decoded {
                    connection.throttle(Duration::from_millis(response.throttle_time_ms.max(0) as u64));
                }
                decoded
            }
            (Ok(_), None) => Err(Error::UnknownBroker { node_id }),
            (Err(error), _) => Err(error),
        };
        let touched: Vec<usize> = sent.iter().map(|sent| sent.partition).collect();
        match decoded {
            Ok(response) => self.on_response(sent, response, now),
            Err(error) => {
                // Nobody knows whether it was written: it goes again under its old sequence.
                tracing::debug!(node = node_id, error = %error.chain(), "a produce request got no answer");
                if let Some(node) = self.nodes.get_mut(&node_id)
                    && node.connection.as_ref().is_some_and(Connection::is_closed)
                {
                    node.connection = None;
                }
                self.metadata.wanted = true;
                for Sent { partition, pending } in sent {
                    self.partitions[partition].unanswered(pending, now);
                }
            }
        }
        for partition in touched {
            self.settle(partition, now);
        }
    }

    fn on_response(&mut self, sent: Vec<Sent>, response: ProduceResponse, now: Instant) {
        let mut sent: Vec<Option<Sent>> = sent.into_iter().map(Some).collect();
        let mut search_from = 0;
        for topic in &response.responses {
            for answer in &topic.partition_responses {
                let matches = |sent: &Option<Sent>| {
                    sent.as_ref().is_some_and(|sent| {
                        let target = &self.partitions[sent.partition].target;
                        target.partition == answer.index && *target.topic == *topic.name.as_str()
                    })
                };
                // Brokers answer nearly in the order of the request.
                let found = sent[search_from..].iter().position(matches).map(|at| at + search_from);
                let Some(at) = found.or_else(|| sent.iter().position(matches)) else {
                    continue;
                };
                search_from = at;
                if let Some(sent) = sent[at].take() {
                    self.on_partition_answer(sent, answer, &response, now);
                }
            }
        }
        for Sent { partition, pending } in sent.into_iter().flatten() {
            tracing::debug!(partition = %self.partitions[partition].target, "the broker's answer leaves a partition out");
            self.partitions[partition].unanswered(pending, now);
        }
    }

    fn on_partition_answer(
        &mut self,
        sent: Sent,
        answer: &PartitionProduceResponse,
        response: &ProduceResponse,
        now: Instant,
    ) {
        let Sent { partition, pending } = sent;
        let queue = &mut self.partitions[partition];
        let code = ErrorCode(answer.error_code);
        match verdict(code) {
            Verdict::Written => {
                queue.succeeded();
                let base = (code == ErrorCode::NONE && answer.base_offset >= 0).then_some(answer.base_offset);
                let target = queue.target.clone();
                self.written(&target, pending, base);
            }
            Verdict::Retry { refresh } => {
                tracing::debug!(partition = %queue.target, %code, "a batch has to go again");
                if refresh {
                    self.metadata.wanted = true;
                    let leader = &answer.current_leader;
                    if leader.leader_id.0 >= 0 {
                        let endpoint = response
                            .node_endpoints
                            .iter()
                            .find(|node| node.node_id == leader.leader_id);
                        let endpoint = endpoint.map(|node| HostPort {
                            host: node.host.as_str().into(),
                            port: node.port as u16,
                        });
                        self.client
                            .leader_hint(&queue.target, leader.leader_id.0, leader.leader_epoch, endpoint);
                    }
                }
                queue.failed(pending, Some(code), now);
            }
            Verdict::Refuse => {
                let said = answer
                    .error_message
                    .as_ref()
                    .map(|text| format!(" ({text})"))
                    .unwrap_or_default();
                let reason = format!(
                    "produce to {} of {} records, {} bytes, was refused: {code}{said}",
                    queue.target,
                    pending.batch.record_count(),
                    pending.batch.size_bytes(),
                );
                queue.refused(pending, Refused::new(reason, Some(code)), now);
            }
            Verdict::IdentityLost => {
                if !matches!(self.identity, IdentityState::Lost) {
                    tracing::warn!(
                        partition = %queue.target, %code,
                        "the broker has lost the state of this producer; going on under a new producer id, \
                         batches that were on their way may be written twice"
                    );
                    self.identity = IdentityState::Lost;
                }
                queue.failed(pending, Some(code), now);
            }
            Verdict::OutOfOrder => {
                // Expected behind a batch that failed; a lost identity if nothing before it failed.
                if !queue.is_draining() && !matches!(self.identity, IdentityState::Lost) {
                    tracing::warn!(partition = %queue.target, "sequence out of order; going on under a new producer id");
                    self.identity = IdentityState::Lost;
                }
                queue.failed(pending, Some(code), now);
            }
        }
    }

    fn written(&mut self, target: &TopicPartition, pending: Pending, base: Option<i64>) {
        let mut next = base;
        for part in pending.parts {
            let records = i64::from(part.batch.record_count());
            self.finish(
                Outcome {
                    tag: part.tag,
                    target: target.clone(),
                    result: Ok(next),
                },
                part.batch.size_bytes(),
            );
            next = next.map(|offset| offset + records);
        }
    }

    fn finish(&mut self, outcome: Outcome, bytes: usize) {
        self.outstanding_batches -= 1;
        self.outstanding_bytes -= bytes;
        self.finished.push(outcome);
    }

    /// After an answer: gives back what was refused, delays what failed, and lines the partition up again.
    fn settle(&mut self, partition: usize, now: Instant) {
        let queue = &mut self.partitions[partition];
        let failed = queue.attempts > 0;
        if queue.in_flight() == 0 {
            queue.sent_to = None;
            if let Some((refusal, parts)) = queue.drained() {
                self.give_back(partition, parts, &refusal);
                return;
            }
            if failed {
                let word = self.partitions[partition]
                    .last_error
                    .map_or_else(|| "no answer".to_owned(), |code| code.to_string());
                if self.give_back_if_hopeless(partition, now, || word) {
                    return;
                }
                let delay = self.backoff(self.partitions[partition].attempts);
                self.partitions[partition].not_before = Some(now + delay);
                return;
            }
        }
        self.enqueue(partition);
    }

    fn give_back(&mut self, partition: usize, parts: Vec<Part>, refusal: &Refused) {
        let target = self.partitions[partition].target.clone();
        for part in parts {
            let outcome = Outcome {
                tag: part.tag,
                target: target.clone(),
                result: Err(refusal.clone()),
            };
            self.finish(outcome, part.batch.size_bytes());
        }
    }

    fn give_back_if_hopeless(&mut self, partition: usize, now: Instant, why: impl FnOnce() -> String) -> bool {
        let queue = &mut self.partitions[partition];
        let overdue = queue.failing_since.is_some_and(|since| now - since >= GIVE_BACK_AFTER);
        // What was sent and never answered may have been written: it stays until a broker says.
        let hopeless = overdue && queue.in_flight() == 0 && !queue.has_unanswered();
        if hopeless {
            let refusal = Refused::new(format!("produce to {} waits: {}", queue.target, why()), None);
            let parts = queue.give_back();
            queue.not_before = None;
            self.give_back(partition, parts, &refusal);
        }
        hopeless
    }

    /// Puts a partition into the ready ring of its leader, if it has something to send and may.
    fn enqueue(&mut self, partition: usize) {
        let queue = &mut self.partitions[partition];
        if queue.in_ring || queue.not_before.is_some() || !queue.is_sendable() {
            return;
        }
        let metadata = self.client.metadata();
        match metadata.leader(&queue.target).map(|(node, _epoch)| node) {
            // A new leader gets nothing while the old one still owes answers: order.
            Some(leader) if queue.sent_to.is_none_or(|node| node == leader) => {
                queue.in_ring = true;
                self.nodes.entry(leader).or_default().ready.push_back(partition);
            }
            Some(_) => {}
            None => {
                let now = Instant::now();
                self.metadata.wanted = true;
                queue.failing_since.get_or_insert(now);
                queue.attempts += 1;
                queue.not_before = Some(now + self.backoff.after(queue.attempts - 1));
                self.give_back_if_hopeless(partition, now, || "the topic or its leader is not known".to_owned());
            }
        }
    }

    /// Lines up the partitions whose delay is over.
    fn wake_delayed(&mut self, now: Instant) {
        for partition in 0..self.partitions.len() {
            let queue = &mut self.partitions[partition];
            if queue.not_before.is_some_and(|at| at <= now) {
                queue.not_before = None;
                self.enqueue(partition);
            }
        }
    }

    fn refresh_metadata(&mut self, now: Instant) {
        let state = &mut self.metadata;
        if !state.wanted || state.refreshing || state.not_before.is_some_and(|at| at > now) {
            return;
        }
        *state = MetadataState {
            wanted: false,
            refreshing: true,
            not_before: None,
        };
        let mut topics: Vec<Arc<str>> = self
            .partitions
            .iter()
            .filter(|queue| queue.has_waiting() || queue.in_flight() > 0)
            .map(|queue| queue.target.topic.clone())
            .collect();
        topics.sort();
        topics.dedup();
        let client = self.client.clone();
        self.work.push(Box::pin(async move {
            Event::MetadataRefreshed(client.refresh_metadata(Topics::Some(topics)).await.map(|_| ()))
        }));
    }

    fn on_metadata(&mut self, result: Result<(), Error>) {
        self.metadata.refreshing = false;
        self.metadata.not_before = Some(Instant::now() + self.client.config().retry_backoff);
        if let Err(error) = result {
            tracing::debug!(error = %error.chain(), "cannot refresh metadata to produce");
            self.metadata.wanted = true;
            return;
        }
        for partition in 0..self.partitions.len() {
            let metadata = self.client.metadata();
            let queue = &mut self.partitions[partition];
            if queue.not_before.is_some() && metadata.leader(&queue.target).is_some() && queue.in_flight() == 0 {
                queue.not_before = None;
                self.enqueue(partition);
            }
        }
    }

    /// The producer id to send under, asking for one if there is none.
    fn identity(&mut self, now: Instant) -> Option<Identity> {
        if matches!(self.identity, IdentityState::Lost) {
            if self.partitions.iter().any(|queue| queue.in_flight() > 0) {
                return None;
            }
            for partition in 0..self.partitions.len() {
                self.partitions[partition].restart_sequences();
                self.enqueue(partition);
            }
            self.identity = IdentityState::Missing {
                not_before: None,
                attempts: 0,
            };
        }
        match &self.identity {
            IdentityState::Known(identity) => Some(*identity),
            IdentityState::Missing { not_before, attempts }
                if self.outstanding_batches > 0 && not_before.is_none_or(|at| at <= now) =>
            {
                let attempts = *attempts;
                self.identity = IdentityState::Asking { attempts };
                let client = self.client.clone();
                self.work.push(Box::pin(
                    async move { Event::Identified(init_producer_id(&client).await) },
                ));
                None
            }
            _ => None,
        }
    }

    fn on_identified(&mut self, result: Result<Identity, Error>) {
        let attempts = match &self.identity {
            IdentityState::Asking { attempts } => *attempts,
            _ => 0,
        };
        self.identity = match result {
            Ok(identity) => IdentityState::Known(identity),
            Err(error) => {
                let attempts = attempts + 1;
                if attempts.is_power_of_two() {
                    tracing::warn!(attempts, error = %error.chain(), "no producer id from the target; trying on");
                }
                IdentityState::Missing {
                    not_before: Some(Instant::now() + self.backoff(attempts)),
                    attempts,
                }
            }
        };
    }

    fn next_deadline(&self) -> Option<Instant> {
        let partitions = self.partitions.iter().filter_map(|queue| queue.not_before);
        let nodes = self
            .nodes
            .values()
            .filter(|node| !node.ready.is_empty())
            .filter_map(|node| node.not_before);
        let metadata = self
            .metadata
            .not_before
            .filter(|_| self.metadata.wanted && !self.metadata.refreshing);
        let identity = match &self.identity {
            IdentityState::Missing { not_before, .. } if self.outstanding_batches > 0 => *not_before,
            _ => None,
        };
        partitions.chain(nodes).chain(metadata).chain(identity).min()
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

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

async fn init_producer_id(client: &Client) -> Result<Identity, Error> {
    let request = InitProducerIdRequest::default()
        .with_transactional_id(None)
        .with_transaction_timeout_ms(i32::MAX)
        .with_producer_id((-1).into())
        .with_producer_epoch(-1);
    let response = client.call_any(request).await?;
    ErrorCode::check(response.error_code).map_err(|code| Error::refused("InitProducerId", code, None))?;
    Ok(Identity {
        producer_id: response.producer_id.0,
        epoch: response.producer_epoch,
    })
}

enum Verdict {
    Written,
    /// Goes again after a delay; `refresh`: to whom may have changed.
    Retry {
        refresh: bool,
    },
    Refuse,
    OutOfOrder,
    IdentityLost,
}

fn verdict(code: ErrorCode) -> Verdict {
    match code {
        // A repeat of what is written already: what we wanted.
        ErrorCode::NONE | ErrorCode::DUPLICATE_SEQUENCE_NUMBER => Verdict::Written,
        ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER => Verdict::OutOfOrder,
        // The log of this producer was deleted, or somebody else took its id.
        ErrorCode::UNKNOWN_PRODUCER_ID | ErrorCode::INVALID_PRODUCER_EPOCH | ErrorCode::INVALID_PRODUCER_ID_MAPPING => {
            Verdict::IdentityLost
        }
        // The partition has moved, or is moving.
        ErrorCode::NOT_LEADER_OR_FOLLOWER
        | ErrorCode::LEADER_NOT_AVAILABLE
        | ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
        | ErrorCode::UNKNOWN_TOPIC_ID
        | ErrorCode::KAFKA_STORAGE_ERROR
        | ErrorCode::FENCED_LEADER_EPOCH => Verdict::Retry { refresh: true },
        // Too large, not authorised, against a policy: waiting a moment mends nothing.
        code if code.is_retriable() => Verdict::Retry { refresh: false },
        _ => Verdict::Refuse,
    }
}
