//! A consumer of assigned partitions that hands over whole batches.
//!
//! One fetch per broker is on its way at a time, over an incremental session; the next leaves as soon as the caller
//! comes back for more. Groups and commits are not its business. Start reading at [`Consumer::poll`], which drives
//! everything: nothing runs behind the caller's back.
//!
//! A position is never changed silently: where the source no longer has what is wanted, a [`ConsumerEvent`] says what
//! was lost.

mod aborted;
mod answers;
mod fetch_session;
mod fetching;
mod leaders;
mod partition;
mod partitions;
mod placing;
mod positions;
mod start_offset;
mod trouble;

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use bytes::Bytes;
use futures_util::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use kafka_protocol::messages::ApiKey;
use kafka_wire::{Entry, TopicPartition};
use tokio::time::Instant;

use self::{
    fetch_session::FetchSession,
    partition::{Partition, Position},
    partitions::Partitions,
    start_offset::Found,
};
use crate::config::ConsumerConfig;
use crate::metrics::ClientKind;
use crate::refresh::RefreshPace;
use crate::retry::ExponentialBackoff;
use crate::{Client, Connection, Error};

/// Versions up to this one name topics by name, later ones by id.
const LAST_VERSION_BY_NAME: i16 = 12;
/// From this version on a fetch says which record came last, and the broker whether its log still has that one (KIP-595).
const FIRST_VERSION_WITH_LAST_EPOCH: i16 = 12;

/// Where to begin with a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartPosition {
    /// At this offset, the next to be read.
    Offset(i64),
    /// Where `auto.offset.reset` says.
    Reset,
    /// At the first offset that is there.
    Beginning,
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
    /// The source's log was truncated below the wanted offset, or the topic was recreated. Reading goes on at `to`: where
    /// the log parts from what was read, if that is known, else where `auto.offset.reset` says.
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
    /// What the caller wants fetches to ask for at most.
    max_fetch_bytes: Option<i32>,
    backoff: ExponentialBackoff,
    partitions: Partitions,
    nodes: HashMap<i32, Node>,
    metadata: RefreshPace,
    /// When metadata is refreshed although nothing went wrong.
    next_regular_refresh: Option<Instant>,
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
    /// Partitions whose position is not known, or in doubt.
    unknown: BTreeSet<usize>,
    looking_up: bool,
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
        client.metrics().is_now(ClientKind::Consumer);
        Self {
            backoff: ExponentialBackoff::new(client.config().retry_backoff, client.config().retry_backoff_max),
            client,
            config,
            max_fetch_bytes: None,
            partitions: Partitions::default(),
            nodes: HashMap::new(),
            metadata: RefreshPace::default(),
            next_regular_refresh: None,
            work: FuturesUnordered::new(),
            polled: Polled::default(),
        }
    }

    /// Adds partitions. One that is there already is moved to the given position.
    pub fn assign(&mut self, partitions: Vec<(TopicPartition, StartPosition)>) {
        for (partition, start) in partitions {
            let position = match start {
                StartPosition::Offset(offset) => Position::At(offset),
                StartPosition::Reset | StartPosition::Beginning => Position::Reset { wanted: None },
            };
            let at = self.partitions.assign(partition, position);
            self.partitions.change(at).begins_at_start = start == StartPosition::Beginning;
        }
        self.metadata.want();
    }

    /// Stops fetching a partition; what an answer on its way brings of it is dropped.
    pub fn pause(&mut self, partition: &TopicPartition) {
        if let Some(at) = self.partitions.by_name(partition) {
            self.partitions.change(at).is_paused = true;
        }
    }

    /// Fetches a partition again, from its position.
    pub fn resume(&mut self, partition: &TopicPartition) {
        if let Some(at) = self.partitions.by_name(partition) {
            self.partitions.change(at).is_paused = false;
        }
    }

    /// Asks for no more of a partition for now, or does again. Unlike with [`Self::pause`], what an answer on its way
    /// brings is handed over.
    pub fn defer(&mut self, partition: &TopicPartition, is_deferred: bool) {
        if let Some(at) = self.partitions.by_name(partition) {
            self.partitions.change(at).is_deferred = is_deferred;
        }
    }

    /// What fetches ask for at most from now on, if it is less than `fetch.max.bytes`. The first batch comes whole.
    pub fn limit_fetches(&mut self, max_bytes: Option<i32>) {
        self.max_fetch_bytes = max_bytes;
    }

    /// The same for one partition and `max.partition.fetch.bytes`.
    pub fn limit_partition_fetches(&mut self, partition: &TopicPartition, max_bytes: Option<i32>) {
        if let Some(at) = self.partitions.by_name(partition) {
            self.partitions.change(at).max_fetch_bytes = max_bytes;
        }
    }

    /// How many partitions a topic has, as far as is known.
    pub fn partition_count(&self, topic: &str) -> Option<usize> {
        let metadata = self.client.metadata();
        Some(metadata.topics.get(topic)?.partitions.len())
    }

    /// Goes on at another offset; what an answer on its way brings of it is dropped.
    pub fn seek(&mut self, partition: &TopicPartition, offset: i64) {
        if let Some(at) = self.partitions.by_name(partition) {
            self.partitions.change(at).seek(Position::At(offset));
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

    /// The id of a partition's topic, once the cluster was asked; 0 if it does not tell.
    pub fn topic_id(&self, partition: &TopicPartition) -> Option<u128> {
        self.partition(partition)?.topic_id.map(|id| id.as_u128())
    }

    /// The id of the cluster, once known.
    pub fn cluster_id(&self) -> Option<Arc<str>> {
        self.client.metadata().cluster_id.clone()
    }

    /// Records between the position and the end, as of the last answer.
    pub fn lag(&self, partition: &TopicPartition) -> Option<i64> {
        let partition = self.partition(partition)?;
        Some((partition.high_watermark? - partition.position()?).max(0))
    }

    fn partition(&self, partition: &TopicPartition) -> Option<&Partition> {
        self.partitions.by_name(partition).map(|at| &self.partitions[at])
    }

    /// Waits until there is something: batches or events. Trouble that may pass is dealt with inside, and reported.
    ///
    /// Cancel-safe: a dropped call loses nothing.
    pub async fn poll(&mut self) -> Polled {
        loop {
            let now = Instant::now();
            self.refresh_metadata(now);
            self.place_changed(now);
            self.look_up_offsets();
            self.fetch(now);
            if !self.polled.fetched.is_empty() || !self.polled.events.is_empty() {
                return std::mem::take(&mut self.polled);
            }
            if self.partitions.have_changed() {
                continue; // a fetch found out that something is to be asked first
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
                result,
                version,
            } => {
                let frame_bytes = result.as_ref().map_or(0, Bytes::len);
                let response = result.and_then(|body| connection.decode(ApiKey::Fetch, version, body));
                self.on_fetched(node_id, response, frame_bytes, version);
            }
            Event::OffsetsFound { leader, found } => {
                self.node(leader).looking_up = false;
                self.on_offsets_found(found);
            }
        }
    }
}

impl std::fmt::Debug for Consumer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Consumer")
            .field("partitions", &self.partitions.len())
            .finish_non_exhaustive()
    }
}
