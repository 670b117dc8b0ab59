//! A consumer of assigned partitions that hands over whole batches.
//!
//! One fetch per broker is on its way at a time, over an incremental session; the next leaves as soon as the caller
//! comes back for more. Groups and commits are not its business. Start reading at [`Consumer::poll`], which drives
//! everything: nothing runs behind the caller's back.
//!
//! A position is never changed silently: where the source no longer has what is wanted, a [`ConsumerEvent`] says what
//! was lost.

mod aborted;
mod fetch_session;
mod partition;
mod start_offset;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use futures_util::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use kafka_protocol::{
    messages::{
        ApiKey, FetchRequest, FetchResponse, TopicName,
        fetch_request::{FetchPartition, FetchTopic, ForgottenTopic},
        fetch_response::PartitionData,
    },
    protocol::StrBytes,
};
use kafka_wire::{Entry, ErrorCode, TopicPartition};
use tokio::time::Instant;
use uuid::Uuid;

use self::{
    fetch_session::{FetchSession, Wanted},
    partition::{Partition, Position},
    start_offset::{Bounds, Found},
};
use crate::config::{ConsumerConfig, HostPort, IsolationLevel};
use crate::refresh::RefreshPace;
use crate::retry::ExponentialBackoff;
use crate::{Client, Connection, Error, RequestFrame, Role, Topics};

/// Versions up to this one name topics by name, later ones by id.
const LAST_VERSION_BY_NAME: i16 = 12;
/// After an answer smaller than this the next fetch waits a moment, so that a trickle of records does not become a
/// request for each.
const SMALL_ANSWER_BYTES: usize = 64 * 1024;
/// The moment. Costs that much latency, halves what a trickle costs the brokers.
const PAUSE_AFTER_SMALL_ANSWER: Duration = Duration::from_millis(2);

/// Where to begin with a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartPosition {
    /// At this offset, the next to be read.
    Offset(i64),
    /// Where `auto.offset.reset` says.
    Reset,
}

/// What one call of [`Consumer::poll`] brought.
#[derive(Debug, Default)]
pub struct Polled {
    /// Batches, by partition; a partition at most once per broker's answer.
    pub fetched: Vec<Fetched>,
    /// What else happened.
    pub events: Vec<ConsumerEvent>,
}

/// Batches of one partition, in order.
#[derive(Debug)]
pub struct Fetched {
    /// Where they come from.
    pub partition: TopicPartition,
    /// The offset that was asked for. The first batch may begin before it; records below it are not wanted.
    pub from: i64,
    /// The batches, without control batches and, for read_committed, without aborted ones.
    pub batches: Vec<Entry>,
    /// Where the next fetch goes on. Past offsets that hold no records, it may be more than the last record plus one.
    pub next_offset: i64,
    /// The end of what a consumer may read, at the time of the answer.
    pub high_watermark: i64,
    /// The first offset that the source still has.
    pub log_start_offset: i64,
}

/// Something a person may want to know, or the caller has to act on.
#[derive(Debug)]
pub enum ConsumerEvent {
    /// Offsets `from..to` were wanted and are no longer there; reading goes on at `to`.
    Gap {
        /// The partition.
        partition: TopicPartition,
        /// The first offset that is lost.
        from: i64,
        /// The first that is there.
        to: i64,
    },
    /// The source's log ends before the wanted offset (it was truncated or the topic was recreated); reading goes on at `to`.
    Rewound {
        /// The partition.
        partition: TopicPartition,
        /// The offset that was wanted.
        from: i64,
        /// Where reading goes on.
        to: i64,
    },
    /// A partition without a stored position starts at `to`, as `auto.offset.reset` says.
    Started {
        /// The partition.
        partition: TopicPartition,
        /// Where reading starts.
        to: i64,
    },
    /// A partition cannot be read for now; it is tried again for ever. Reported once until it recovers or the reason changes.
    Unavailable {
        /// The partition.
        partition: TopicPartition,
        /// Why.
        error: Error,
    },
    /// A partition that was unavailable can be read again.
    Recovered {
        /// The partition.
        partition: TopicPartition,
    },
    /// The topic has another id than before: it was deleted and created again.
    TopicRecreated {
        /// The topic.
        topic: Arc<str>,
    },
}

/// A consumer of assigned partitions; see the module.
pub struct Consumer {
    client: Client,
    config: ConsumerConfig,
    backoff: ExponentialBackoff,
    partitions: Vec<Partition>,
    index: HashMap<TopicPartition, usize>,
    nodes: HashMap<i32, Node>,
    metadata: RefreshPace,
    /// When metadata is refreshed although nothing went wrong.
    next_regular_refresh: Option<Instant>,
    /// Brokers that are being asked for offsets.
    looking_up: HashSet<i32>,
    work: FuturesUnordered<BoxFuture<'static, Event>>,
    polled: Polled,
}

/// A broker that leads partitions of ours.
#[derive(Default)]
struct Node {
    connection: Option<Connection>,
    connecting: bool,
    fetching: bool,
    session: FetchSession,
    not_before: Option<Instant>,
    attempts: u32,
}

enum Event {
    Connected {
        node_id: i32,
        result: Result<Connection, Error>,
    },
    MetadataRefreshed(Result<(), Error>),
    Fetched {
        node_id: i32,
        connection: Connection,
        asked: Vec<(usize, i64)>,
        result: Result<Bytes, Error>,
        version: i16,
    },
    OffsetsFound {
        leader: i32,
        found: Vec<(usize, Result<Found, Error>)>,
    },
}

impl Consumer {
    /// A consumer that has done nothing yet; it connects once partitions are assigned and [`Self::poll`] is called.
    pub fn new(client: Client, config: ConsumerConfig) -> Self {
        Self {
            backoff: ExponentialBackoff::new(client.config().retry_backoff, client.config().retry_backoff_max),
            client,
            config,
            partitions: Vec::new(),
            index: HashMap::new(),
            nodes: HashMap::new(),
            metadata: RefreshPace::default(),
            next_regular_refresh: None,
            looking_up: HashSet::new(),
            work: FuturesUnordered::new(),
            polled: Polled::default(),
        }
    }

    /// Adds partitions. One that is there already is moved to the given position.
    pub fn assign(&mut self, partitions: Vec<(TopicPartition, StartPosition)>) {
        for (partition, start) in partitions {
            let position = match start {
                StartPosition::Offset(offset) => Position::At(offset),
                StartPosition::Reset => Position::Reset { wanted: None },
            };
            match self.index.get(&partition) {
                Some(at) => self.partitions[*at].seek(position),
                None => {
                    self.index.insert(partition.clone(), self.partitions.len());
                    self.partitions.push(Partition::new(partition, position));
                }
            }
        }
        self.metadata.want();
    }

    /// Stops fetching a partition; what an answer on its way brings of it is dropped.
    pub fn pause(&mut self, partition: &TopicPartition) {
        if let Some(at) = self.index.get(partition) {
            self.partitions[*at].is_paused = true;
        }
    }

    /// Fetches a partition again, from its position.
    pub fn resume(&mut self, partition: &TopicPartition) {
        if let Some(at) = self.index.get(partition) {
            self.partitions[*at].is_paused = false;
        }
    }

    /// Goes on at another offset; what an answer on its way brings of it is dropped.
    pub fn seek(&mut self, partition: &TopicPartition, offset: i64) {
        if let Some(at) = self.index.get(partition) {
            self.partitions[*at].seek(Position::At(offset));
        }
    }

    /// The next offset to be read, once known.
    pub fn position(&self, partition: &TopicPartition) -> Option<i64> {
        self.partition(partition)?.position()
    }

    /// The end of what may be read, as of the last answer; `None` before the first.
    pub fn high_watermark(&self, partition: &TopicPartition) -> Option<i64> {
        self.partition(partition)?.high_watermark
    }

    /// Records between the position and the end, as of the last answer.
    pub fn lag(&self, partition: &TopicPartition) -> Option<i64> {
        let partition = self.partition(partition)?;
        Some((partition.high_watermark? - partition.position()?).max(0))
    }

    fn partition(&self, partition: &TopicPartition) -> Option<&Partition> {
        self.index.get(partition).map(|at| &self.partitions[*at])
    }

    /// Waits until there is something: batches or events. Trouble that may pass is dealt with inside, and reported.
    ///
    /// Cancel-safe: a dropped call loses nothing.
    pub async fn poll(&mut self) -> Polled {
        loop {
            let now = Instant::now();
            self.refresh_metadata(now);
            self.look_up_offsets(now);
            self.fetch(now);
            if !self.polled.fetched.is_empty() || !self.polled.events.is_empty() {
                return std::mem::take(&mut self.polled);
            }
            let deadline = self.next_deadline(now);
            tokio::select! {
                Some(event) = self.work.next(), if !self.work.is_empty() => self.on(event),
                () = tokio::time::sleep_until(deadline) => {}
            }
        }
    }

    fn on(&mut self, event: Event) {
        match event {
            Event::Connected { node_id, result } => self.on_connected(node_id, result),
            Event::MetadataRefreshed(result) => self.on_metadata(result),
            Event::Fetched {
                node_id,
                connection,
                asked,
                result,
                version,
            } => {
                let frame_bytes = result.as_ref().map_or(0, Bytes::len);
                let response = result.and_then(|body| connection.decode(ApiKey::Fetch, version, body));
                self.on_fetched(node_id, asked, response, frame_bytes, version);
            }
            Event::OffsetsFound { leader, found } => {
                self.looking_up.remove(&leader);
                self.on_offsets_found(found);
            }
        }
    }

    // --- metadata ---

    fn refresh_metadata(&mut self, now: Instant) {
        if self.next_regular_refresh.is_some_and(|at| at <= now) {
            self.metadata.want();
        }
        if !self.metadata.is_due(now) || self.partitions.is_empty() {
            return;
        }
        self.metadata.begin();
        self.next_regular_refresh = Some(now + self.client.config().metadata_max_age);
        let topics: HashSet<Arc<str>> = self
            .partitions
            .iter()
            .map(|partition| partition.name.topic.clone())
            .collect();
        let topics = Topics::Some(topics.into_iter().collect());
        let client = self.client.clone();
        self.work.push(Box::pin(async move {
            Event::MetadataRefreshed(client.refresh_metadata(topics).await.map(|_| ()))
        }));
    }

    fn on_metadata(&mut self, result: Result<(), Error>) {
        let now = Instant::now();
        self.metadata.done(&self.backoff, now);
        if let Err(error) = result {
            self.metadata.want();
            // What has a leader is read all the same, as long as that one answers.
            for at in 0..self.partitions.len() {
                if self.partitions[at].leader.is_none() {
                    self.report_unavailable(at, error.clone());
                }
            }
            return;
        }
        for at in 0..self.partitions.len() {
            self.take_in_metadata(at, now);
        }
    }

    /// Finds a partition's leader and topic id in what the client knows.
    fn take_in_metadata(&mut self, at: usize, now: Instant) {
        let metadata = self.client.metadata();
        {
            let partition = &mut self.partitions[at];
            let Some(topic) = metadata.topics.get(&partition.name.topic) else {
                self.unavailable(
                    at,
                    not_there(&self.partitions[at].name, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
                    now,
                );
                return;
            };
            if let Some(code) = topic.error {
                let error = not_there(&partition.name, code);
                self.unavailable(at, error, now);
                return;
            }
            if partition
                .topic_id
                .is_some_and(|known| !known.is_nil() && known != topic.id && !topic.id.is_nil())
            {
                let topic = partition.name.topic.clone();
                let already_said =
                    self.polled.events.iter().any(
                        |event| matches!(event, ConsumerEvent::TopicRecreated { topic: other } if *other == topic),
                    );
                if !already_said {
                    self.polled.events.push(ConsumerEvent::TopicRecreated { topic });
                }
            }
            let partition = &mut self.partitions[at];
            partition.topic_id = Some(topic.id);
            let leader = topic.partition(partition.name.partition);
            match leader {
                Some(leader) if leader.leader_id >= 0 => {
                    let changed = partition.leader != Some(leader.leader_id);
                    partition.leader = Some(leader.leader_id);
                    partition.leader_epoch = leader.leader_epoch;
                    if changed {
                        partition.not_before = None;
                    }
                }
                Some(_) => self.unavailable(
                    at,
                    not_there(&self.partitions[at].name, ErrorCode::LEADER_NOT_AVAILABLE),
                    now,
                ),
                None => {
                    let error = not_there(&self.partitions[at].name, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
                    self.unavailable(at, error, now);
                }
            }
        }
    }

    // --- positions ---

    /// Asks for the offsets of partitions whose position is not known.
    fn look_up_offsets(&mut self, now: Instant) {
        let mut unknown: HashMap<i32, Vec<(usize, TopicPartition)>> = HashMap::new();
        for (at, partition) in self.partitions.iter().enumerate() {
            if matches!(partition.position, Position::Reset { .. })
                && partition.may_be_asked(now)
                && let Some(leader) = partition.leader
                && !self.looking_up.contains(&leader)
            {
                unknown.entry(leader).or_default().push((at, partition.name.clone()));
            }
        }
        // Each leader for itself: one that does not answer keeps only its own partitions waiting.
        for (leader, partitions) in unknown {
            self.looking_up.insert(leader);
            let client = self.client.clone();
            let reset = self.config.auto_offset_reset;
            let isolation = self.config.isolation_level;
            self.work.push(Box::pin(async move {
                let found = start_offset::find(&client, leader, partitions, reset, isolation).await;
                Event::OffsetsFound { leader, found }
            }));
        }
    }

    fn on_offsets_found(&mut self, found: Vec<(usize, Result<Found, Error>)>) {
        let now = Instant::now();
        for (at, result) in found {
            let Position::Reset { wanted } = self.partitions[at].position else {
                continue;
            };
            let found = match result {
                Ok(found) => found,
                Err(error) => {
                    self.metadata.want();
                    self.unavailable(at, error, now);
                    continue;
                }
            };
            let name = self.partitions[at].name.clone();
            let Bounds { start, end } = found.bounds;
            let event = match wanted {
                // What is still there is read, whatever the policy: only what is gone is passed over.
                Some(from) if from < start => {
                    self.partitions[at].seek(Position::At(start));
                    ConsumerEvent::Gap {
                        partition: name,
                        from,
                        to: start,
                    }
                }
                // The end has moved past it meanwhile: it was never lost.
                Some(from) if from <= end => {
                    self.partitions[at].seek(Position::At(from));
                    self.delay(at, now);
                    continue;
                }
                _ => {
                    let Some(to) = found.by_policy else {
                        let error = Error::NoOffset {
                            partition: name,
                            wanted,
                        };
                        self.unavailable(at, error, now);
                        continue;
                    };
                    self.partitions[at].seek(Position::At(to));
                    match wanted {
                        Some(from) => ConsumerEvent::Rewound {
                            partition: name,
                            from,
                            to,
                        },
                        None => ConsumerEvent::Started { partition: name, to },
                    }
                }
            };
            self.recovered(at);
            self.polled.events.push(event);
        }
    }

    // --- fetching ---

    /// Sends a fetch to every broker that has none on its way and leads something that is wanted.
    fn fetch(&mut self, now: Instant) {
        let mut wanted: HashMap<i32, Vec<(usize, Wanted)>> = HashMap::new();
        for (at, partition) in self.partitions.iter().enumerate() {
            let (Some(leader), Position::At(fetch_offset)) = (partition.leader, partition.position) else {
                continue;
            };
            if partition.is_paused || !partition.may_be_asked(now) {
                continue;
            }
            let want = Wanted {
                fetch_offset,
                leader_epoch: partition.leader_epoch,
                max_bytes: self.partition_bytes(partition),
                topic_id: partition.topic_id.unwrap_or_default(),
            };
            wanted.entry(leader).or_default().push((at, want));
        }
        for (node_id, wanted) in wanted {
            self.fetch_from(node_id, &wanted, now);
        }
    }

    fn partition_bytes(&self, partition: &Partition) -> i32 {
        partition.max_bytes.unwrap_or(self.config.max_partition_fetch_bytes)
    }

    fn fetch_from(&mut self, node_id: i32, wanted: &[(usize, Wanted)], now: Instant) {
        let node = self.nodes.entry(node_id).or_default();
        if node.fetching || node.connecting || node.not_before.is_some_and(|at| at > now) {
            return;
        }
        let Some(connection) = node.connection.clone().filter(|connection| !connection.is_closed()) else {
            node.connection = None;
            node.connecting = true;
            node.session.reset();
            let client = self.client.clone();
            self.work.push(Box::pin(async move {
                Event::Connected {
                    node_id,
                    result: client.connection(node_id, Role::Fetch(0)).await,
                }
            }));
            return;
        };
        let all_have_ids = wanted
            .iter()
            .all(|(at, _)| self.partitions[*at].topic_id.is_some_and(|id| !id.is_nil()));
        let version = match all_have_ids {
            true => connection.version::<FetchRequest>(),
            false => connection.version_up_to::<FetchRequest>(LAST_VERSION_BY_NAME),
        };
        let (request, version) = match version {
            Ok(version) => (self.fetch_request(node_id, wanted, version), version),
            Err(error) => {
                self.node_failed(node_id, &error, now);
                return;
            }
        };
        let timeout = self.client.config().request_timeout + self.config.fetch_max_wait;
        let frame = match RequestFrame::encode(version, &request, timeout) {
            Ok(frame) => frame,
            Err(error) => {
                self.node_failed(node_id, &error, now);
                return;
            }
        };
        let asked = wanted.iter().map(|(at, want)| (*at, want.fetch_offset)).collect();
        let reply = connection.submit(frame);
        if let Some(node) = self.nodes.get_mut(&node_id) {
            node.fetching = true;
        }
        self.work.push(Box::pin(async move {
            Event::Fetched {
                node_id,
                connection,
                asked,
                result: reply.await,
                version,
            }
        }));
    }

    fn fetch_request(&mut self, node_id: i32, wanted: &[(usize, Wanted)], version: i16) -> FetchRequest {
        let by_topic_id = version > LAST_VERSION_BY_NAME;
        let Some(node) = self.nodes.get_mut(&node_id) else {
            return FetchRequest::default();
        };
        let difference = node.session.next(wanted, by_topic_id);
        let mut request = FetchRequest::default()
            .with_max_wait_ms(self.config.fetch_max_wait.as_millis() as i32)
            .with_min_bytes(self.config.fetch_min_bytes)
            .with_max_bytes(self.config.fetch_max_bytes)
            .with_isolation_level(match self.config.isolation_level {
                IsolationLevel::ReadUncommitted => 0,
                IsolationLevel::ReadCommitted => 1,
            });
        if version >= 7 {
            request = request
                .with_session_id(node.session.id())
                .with_session_epoch(node.session.epoch());
        }
        for (at, want) in difference.changed {
            let partition = &self.partitions[at];
            let mut data = FetchPartition::default()
                .with_partition(partition.name.partition)
                .with_fetch_offset(want.fetch_offset)
                .with_partition_max_bytes(want.max_bytes);
            if version >= 9 {
                data = data.with_current_leader_epoch(want.leader_epoch);
            }
            match request.topics.last_mut() {
                Some(topic) if topic.is(partition, by_topic_id) => topic.partitions.push(data),
                _ => request
                    .topics
                    .push(fetch_topic(partition, by_topic_id).with_partitions(vec![data])),
            }
        }
        if version >= 7 {
            for (at, topic_id) in difference.forgotten {
                let partition = &self.partitions[at];
                let mut forgotten = ForgottenTopic::default().with_partitions(vec![partition.name.partition]);
                match by_topic_id {
                    true => forgotten.topic_id = topic_id,
                    false => forgotten.topic = topic_name(partition),
                }
                request.forgotten_topics_data.push(forgotten);
            }
        }
        request
    }

    fn on_connected(&mut self, node_id: i32, result: Result<Connection, Error>) {
        let now = Instant::now();
        match result {
            Ok(connection) => {
                let node = self.nodes.entry(node_id).or_default();
                node.connecting = false;
                node.connection = Some(connection);
                node.not_before = None;
            }
            Err(error) => {
                if let Some(node) = self.nodes.get_mut(&node_id) {
                    node.connecting = false;
                }
                self.node_failed(node_id, &error, now);
            }
        }
    }

    /// A broker cannot be asked: its partitions may have moved, and it is tried again after a while.
    fn node_failed(&mut self, node_id: i32, error: &Error, now: Instant) {
        let attempts = match self.nodes.get_mut(&node_id) {
            Some(node) => {
                node.attempts += 1;
                node.session.reset();
                node.attempts
            }
            None => 1,
        };
        let not_before = now + self.backoff(attempts);
        if let Some(node) = self.nodes.get_mut(&node_id) {
            node.not_before = Some(not_before);
        }
        self.metadata.want();
        for at in 0..self.partitions.len() {
            if self.partitions[at].leader == Some(node_id) {
                self.report_unavailable(at, error.clone());
            }
        }
    }

    fn on_fetched(
        &mut self,
        node_id: i32,
        asked: Vec<(usize, i64)>,
        response: Result<FetchResponse, Error>,
        frame_bytes: usize,
        version: i16,
    ) {
        let now = Instant::now();
        if let Some(node) = self.nodes.get_mut(&node_id) {
            node.fetching = false;
        }
        let response = match response {
            Ok(response) => response,
            Err(error) => {
                self.node_failed(node_id, &error, now);
                return;
            }
        };
        let code = ErrorCode(response.error_code);
        let Some(node) = self.nodes.get_mut(&node_id) else {
            return;
        };
        if code != ErrorCode::NONE {
            let session_lost = !node.session.is_full()
                && matches!(
                    code,
                    ErrorCode::FETCH_SESSION_ID_NOT_FOUND
                        | ErrorCode::INVALID_FETCH_SESSION_EPOCH
                        | ErrorCode::FETCH_SESSION_TOPIC_ID_ERROR
                );
            node.session.reset();
            if session_lost {
                tracing::debug!(node = node_id, %code, "the fetch session is gone; opening a new one");
                if code == ErrorCode::FETCH_SESSION_TOPIC_ID_ERROR {
                    self.metadata.want();
                }
            } else {
                self.node_failed(node_id, &Error::refused("Fetch", code, None), now);
            }
            return;
        }
        node.session.answered(response.session_id);
        node.attempts = 0;
        let is_small = frame_bytes < SMALL_ANSWER_BYTES;

        let by_topic_id = version > LAST_VERSION_BY_NAME;
        let by_id: HashMap<(Uuid, i32), usize> = match by_topic_id {
            true => asked.iter().map(|(at, _)| (self.partitions[*at].id(), *at)).collect(),
            false => HashMap::new(),
        };
        let asked: HashMap<usize, i64> = asked.into_iter().collect();
        for topic in response.responses {
            let name: Arc<str> = Arc::from(topic.topic.as_str());
            for data in topic.partitions {
                let at = if by_topic_id {
                    by_id.get(&(topic.topic_id, data.partition_index)).copied()
                } else {
                    self.index
                        .get(&TopicPartition {
                            topic: name.clone(),
                            partition: data.partition_index,
                        })
                        .copied()
                };
                let Some(at) = at else { continue };
                let Some(asked_offset) = asked.get(&at) else { continue };
                if let Some(endpoint) = new_leader_endpoint(&data, &response.node_endpoints) {
                    let leader = &data.current_leader;
                    let name = &self.partitions[at].name;
                    self.client
                        .leader_hint(name, leader.leader_id.0, leader.leader_epoch, endpoint);
                }
                self.on_partition_data(at, *asked_offset, data, now);
            }
        }
        // So it does after one that brings nothing: whatever makes a broker answer at once, it is not asked in a circle.
        if is_small && let Some(node) = self.nodes.get_mut(&node_id) {
            node.not_before = Some(now + PAUSE_AFTER_SMALL_ANSWER);
        }
    }

    /// Takes in the answer for one partition.
    fn on_partition_data(&mut self, at: usize, asked_offset: i64, data: PartitionData, now: Instant) {
        // Paused or moved since it was asked: not wanted any more.
        if self.partitions[at].is_paused || self.partitions[at].position() != Some(asked_offset) {
            return;
        }
        let code = ErrorCode(data.error_code);
        if code != ErrorCode::NONE {
            self.on_partition_error(at, asked_offset, code, now);
            return;
        }
        let read_committed = self.config.isolation_level == IsolationLevel::ReadCommitted;
        let taken_in = self.partitions[at].take_in(data, read_committed);
        if taken_in.is_ok() {
            self.recovered(at);
        }
        match taken_in {
            Ok(Some(fetched)) => self.polled.fetched.push(fetched),
            Ok(None) => {}
            Err(error) => self.unavailable(at, error, now),
        }
    }

    fn on_partition_error(&mut self, at: usize, asked_offset: i64, code: ErrorCode, now: Instant) {
        match code {
            ErrorCode::OFFSET_OUT_OF_RANGE => {
                self.partitions[at].position = Position::Reset {
                    wanted: Some(asked_offset),
                };
            }
            // The partition has moved: ask where to, and try again without a word.
            ErrorCode::NOT_LEADER_OR_FOLLOWER
            | ErrorCode::FENCED_LEADER_EPOCH
            | ErrorCode::UNKNOWN_LEADER_EPOCH
            | ErrorCode::REPLICA_NOT_AVAILABLE
            | ErrorCode::OFFSET_NOT_AVAILABLE => {
                self.metadata.want();
                let hinted = self
                    .client
                    .metadata()
                    .leader(&self.partitions[at].name)
                    .map(|(node, _epoch)| node);
                if hinted.is_some() && hinted != self.partitions[at].leader {
                    self.take_in_metadata(at, now);
                } else {
                    self.delay(at, now);
                }
            }
            code => {
                self.metadata.want();
                let error = not_there(&self.partitions[at].name, code);
                self.unavailable(at, error, now);
            }
        }
    }

    // --- trouble ---

    fn delay(&mut self, at: usize, now: Instant) {
        self.partitions[at].attempts += 1;
        let delay = self.backoff(self.partitions[at].attempts);
        self.partitions[at].not_before = Some(now + delay);
    }

    fn unavailable(&mut self, at: usize, error: Error, now: Instant) {
        self.metadata.want();
        self.delay(at, now);
        self.report_unavailable(at, error);
    }

    fn report_unavailable(&mut self, at: usize, error: Error) {
        let partition = &mut self.partitions[at];
        let reason = error.to_string();
        if partition.unavailable.as_ref() != Some(&reason) {
            partition.unavailable = Some(reason);
            let partition = partition.name.clone();
            self.polled.events.push(ConsumerEvent::Unavailable { partition, error });
        }
    }

    fn recovered(&mut self, at: usize) {
        let partition = &mut self.partitions[at];
        partition.attempts = 0;
        partition.not_before = None;
        if partition.unavailable.take().is_some() {
            let partition = partition.name.clone();
            self.polled.events.push(ConsumerEvent::Recovered { partition });
        }
    }

    fn backoff(&self, attempts: u32) -> Duration {
        self.backoff.after(attempts.saturating_sub(1))
    }

    fn next_deadline(&self, now: Instant) -> Instant {
        let partitions = self.partitions.iter().filter_map(|partition| partition.not_before);
        let nodes = self.nodes.values().filter_map(|node| node.not_before);
        let metadata = self.metadata.deadline();
        let regular = self.next_regular_refresh;
        let soonest = partitions
            .chain(nodes)
            .chain(metadata)
            .chain(regular)
            .filter(|at| *at > now)
            .min();
        soonest.unwrap_or(now + self.client.config().metadata_max_age)
    }
}

impl std::fmt::Debug for Consumer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Consumer")
            .field("partitions", &self.partitions.len())
            .finish_non_exhaustive()
    }
}

fn not_there(partition: &TopicPartition, code: ErrorCode) -> Error {
    Error::refused(format!("fetch of {partition}"), code, None)
}

fn topic_name(partition: &Partition) -> TopicName {
    TopicName(StrBytes::from_string(partition.name.topic.to_string()))
}

fn fetch_topic(partition: &Partition, by_topic_id: bool) -> FetchTopic {
    match by_topic_id {
        true => FetchTopic::default().with_topic_id(partition.topic_id.unwrap_or_default()),
        false => FetchTopic::default().with_topic(topic_name(partition)),
    }
}

/// Whether a topic entry of a request is that of a partition.
trait IsTopicOf {
    fn is(&self, partition: &Partition, by_topic_id: bool) -> bool;
}

impl IsTopicOf for FetchTopic {
    fn is(&self, partition: &Partition, by_topic_id: bool) -> bool {
        match by_topic_id {
            true => Some(self.topic_id) == partition.topic_id,
            false => *self.topic.as_str() == *partition.name.topic,
        }
    }
}

/// KIP-951: a broker that no longer leads says who does. `None` if it says nothing.
fn new_leader_endpoint(
    data: &PartitionData,
    endpoints: &[kafka_protocol::messages::fetch_response::NodeEndpoint],
) -> Option<Option<HostPort>> {
    if data.error_code == 0 || data.current_leader.leader_id.0 < 0 {
        return None;
    }
    let endpoint = endpoints
        .iter()
        .find(|node| node.node_id == data.current_leader.leader_id);
    Some(endpoint.map(|node| HostPort {
        host: node.host.as_str().into(),
        port: node.port as u16,
    }))
}
