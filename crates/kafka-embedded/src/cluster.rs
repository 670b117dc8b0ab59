//! The cluster as its owner sees it: start, look inside, disturb, stop.

mod builder;
mod inspect;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kafka_protocol::messages::ApiKey;
use kafka_wire::RecordBatch;
use tokio::io::DuplexStream;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use builder::Builder;
pub use inspect::{CommittedOffset, StoredRecord};

use crate::control::{Control, Request, Times};
use crate::error::Error;
use crate::state::{NewTopic, Shared};
use crate::{housekeeping, node};

/// In-memory connections that may wait to be accepted; `connect` waits for room.
const IN_MEMORY_BACKLOG: usize = 16;
/// What an in-memory stream holds in each direction, about what a socket does.
const IN_MEMORY_STREAM_BYTES: usize = 256 << 10;

/// A running Kafka in this process. Dropping it stops it at once; [`Cluster::shutdown`] waits until all is closed.
#[derive(Debug)]
pub struct Cluster {
    shared: Arc<Shared>,
    cancel: CancellationToken,
    running: Mutex<HashMap<i32, RunningNode>>,
    housekeeping: Mutex<JoinSet<()>>,
}

#[derive(Debug)]
struct RunningNode {
    cancel: CancellationToken,
    task: JoinSet<()>,
    in_memory: mpsc::Sender<DuplexStream>,
}

impl Cluster {
    /// One node on a free port of 127.0.0.1, unless told otherwise.
    pub fn builder() -> Builder {
        Builder::default()
    }

    fn start(shared: Arc<Shared>, listeners: BTreeMap<i32, TcpListener>) -> Self {
        let cancel = CancellationToken::new();
        let mut housekeeping = JoinSet::new();
        housekeeping.spawn(housekeeping::run(shared.clone(), cancel.child_token()));
        let cluster = Self {
            shared,
            cancel,
            running: Mutex::default(),
            housekeeping: Mutex::new(housekeeping),
        };
        for (node_id, listener) in listeners {
            cluster.run_node(node_id, listener);
        }
        cluster
    }

    fn run_node(&self, node_id: i32, listener: TcpListener) {
        let cancel = self.cancel.child_token();
        let (in_memory, streams) = mpsc::channel(IN_MEMORY_BACKLOG);
        let mut task = JoinSet::new();
        task.spawn(node::run(
            listener,
            streams,
            self.shared.clone(),
            node_id,
            cancel.clone(),
        ));
        self.running().insert(
            node_id,
            RunningNode {
                cancel,
                task,
                in_memory,
            },
        );
    }

    fn running(&self) -> MutexGuard<'_, HashMap<i32, RunningNode>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `host:port` of every node, as in `bootstrap.servers`.
    pub fn bootstrap_servers(&self) -> String {
        let state = self.shared.state();
        let addresses = state.nodes.values().map(|node| format!("{}:{}", node.host, node.port));
        addresses.collect::<Vec<_>>().join(",")
    }

    /// The ids of all nodes, running or not: 1, 2, …
    pub fn node_ids(&self) -> Vec<i32> {
        self.shared.state().nodes.keys().copied().collect()
    }

    /// The port that a node listens on, or will again when it is started.
    pub fn port(&self, node_id: i32) -> Result<u16, Error> {
        let state = self.shared.state();
        state
            .nodes
            .get(&node_id)
            .map(|node| node.port)
            .ok_or(Error::NoSuchNode { node_id })
    }

    /// A stream to a node that touches no socket.
    pub async fn connect(&self, node_id: i32) -> Result<DuplexStream, Error> {
        let node = self.running().get(&node_id).map(|node| node.in_memory.clone());
        let node = node.ok_or(Error::NodeStopped { node_id })?;
        let (ours, theirs) = tokio::io::duplex(IN_MEMORY_STREAM_BYTES);
        node.send(theirs).await.map_err(|_| Error::NodeStopped { node_id })?;
        Ok(ours)
    }

    /// Closes a node's listener and connections. Partitions that it led go to another of their replicas, or wait
    /// without a leader until it is back; nothing that was stored is lost.
    pub async fn stop_node(&self, node_id: i32) -> Result<(), Error> {
        let node = self.running().remove(&node_id).ok_or(Error::NodeStopped { node_id })?;
        self.shared.state().node_stopped(node_id);
        self.shared.log_changed.notify_waiters();
        node.stop().await;
        Ok(())
    }

    /// Starts a stopped node again, on the port that it had.
    pub async fn start_node(&self, node_id: i32) -> Result<(), Error> {
        let address = {
            let state = self.shared.state();
            let node = state.nodes.get(&node_id).ok_or(Error::NoSuchNode { node_id })?;
            (node.host.clone(), node.port)
        };
        if self.running().contains_key(&node_id) {
            return Ok(());
        }
        let listener = builder::listen(node_id, &address.0, address.1).await?;
        self.shared.state().node_started(node_id);
        self.shared.log_changed.notify_waiters();
        self.run_node(node_id, listener);
        Ok(())
    }

    /// Makes another node lead a partition, in a new leader epoch.
    pub fn move_leader(&self, topic: &str, partition: i32, node_id: i32) -> Result<(), Error> {
        let mut state = self.shared.state();
        if !state.nodes.contains_key(&node_id) {
            return Err(Error::NoSuchNode { node_id });
        }
        let found = state
            .partition_mut(topic, partition)
            .map_err(|_| no_partition(topic, partition))?;
        if !found.replicas.contains(&node_id) {
            found.replicas.push(node_id);
        }
        found.lead(Some(node_id));
        drop(state);
        self.shared.log_changed.notify_waiters();
        Ok(())
    }

    /// Makes a topic. −1 partitions is the broker's default.
    pub fn create_topic(&self, name: &str, partitions: i32, configs: &[(&str, &str)]) -> Result<(), Error> {
        self.create_replicated_topic(name, partitions, -1, configs)
    }

    /// Makes a topic whose partitions may each be led by `replication_factor` nodes.
    pub fn create_replicated_topic(
        &self,
        name: &str,
        partitions: i32,
        replication_factor: i16,
        configs: &[(&str, &str)],
    ) -> Result<(), Error> {
        let new = NewTopic {
            name: name.into(),
            partitions,
            replication_factor,
            assignments: Vec::new(),
            configs: configs
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        };
        let created = self.shared.state().create_topic(new).map(drop);
        self.shared.log_changed.notify_waiters();
        created.map_err(|(source, message)| Error::Refused {
            what: format!("topic {name}"),
            message,
            source,
        })
    }

    /// Deletes a topic; one made later under the same name has another id.
    pub fn delete_topic(&self, name: &str) -> Result<(), Error> {
        let deleted = self.shared.state().delete_topic(name).map(drop);
        self.shared.log_changed.notify_waiters();
        deleted.map_err(|source| Error::Refused {
            what: format!("deleting topic {name}"),
            message: "it does not exist".to_owned(),
            source,
        })
    }

    /// Appends a batch as it is, at the end: nothing is checked, so that what only old or odd brokers hold can be put
    /// there too. Gives its base offset.
    pub fn append(&self, topic: &str, partition: i32, batch: &RecordBatch) -> Result<i64, Error> {
        let mut state = self.shared.state();
        let found = state
            .partition_mut(topic, partition)
            .map_err(|_| no_partition(topic, partition))?;
        let appended = found.log.append_as_is(batch, found.leader_epoch);
        self.shared.log_changed.notify_waiters();
        appended.map_err(|source| Error::Refused {
            what: format!("appending to {topic}-{partition}"),
            message: "the batch is damaged".to_owned(),
            source,
        })
    }

    /// Loses every batch that reaches `offset` or beyond and begins a new leader epoch, as an unclean election does.
    pub fn truncate(&self, topic: &str, partition: i32, offset: i64) -> Result<(), Error> {
        let mut state = self.shared.state();
        let found = state
            .partition_mut(topic, partition)
            .map_err(|_| no_partition(topic, partition))?;
        found.log.truncate(offset);
        found.lead(found.leader);
        self.shared.log_changed.notify_waiters();
        Ok(())
    }

    /// Does what the log cleaner does, now: of every key only the last record stays. Batches keep their offsets.
    pub fn compact(&self, topic: &str, partition: i32) -> Result<(), Error> {
        let mut state = self.shared.state();
        let found = state
            .partition_mut(topic, partition)
            .map_err(|_| no_partition(topic, partition))?;
        let compacted = found.log.compact();
        compacted.map_err(|source| Error::Unreadable {
            topic: topic.to_owned(),
            partition,
            source,
        })
    }

    /// Moves a partition's log start offset, as DeleteRecords and retention do.
    pub fn delete_records(&self, topic: &str, partition: i32, before_offset: i64) -> Result<(), Error> {
        let mut state = self.shared.state();
        let found = state
            .partition_mut(topic, partition)
            .map_err(|_| no_partition(topic, partition))?;
        let deleted = found.log.delete_records(before_offset).map(drop);
        self.shared.log_changed.notify_waiters();
        deleted.map_err(|source| Error::Refused {
            what: format!("deleting records of {topic}-{partition}"),
            message: format!("offset {before_offset} is beyond the end"),
            source,
        })
    }

    /// Asks `hook` what to do with every request of this kind from now on, until [`Cluster::clear_control`].
    pub fn control(&self, api_key: ApiKey, hook: impl FnMut(&Request<'_>) -> Control + Send + 'static) {
        self.shared.hooks().add(api_key, Times::Always, Box::new(hook));
    }

    /// As [`Cluster::control`], until `hook` has once answered with something else than [`Control::Pass`].
    pub fn control_once(&self, api_key: ApiKey, hook: impl FnMut(&Request<'_>) -> Control + Send + 'static) {
        self.shared.hooks().add(api_key, Times::Once, Box::new(hook));
    }

    /// Removes every hook on this kind of request.
    pub fn clear_control(&self, api_key: ApiKey) {
        self.shared.hooks().clear(api_key);
    }

    /// How many requests of this kind have come, on all nodes and whatever became of them.
    pub fn count(&self, api_key: ApiKey) -> u64 {
        self.shared.hooks().count(api_key)
    }

    /// Stops all nodes and waits until every connection is closed.
    pub async fn shutdown(&self) {
        self.cancel.cancel();
        let nodes: Vec<_> = self.running().drain().collect();
        for (_, node) in nodes {
            node.stop().await;
        }
        let mut housekeeping = std::mem::take(&mut *self.housekeeping.lock().unwrap_or_else(PoisonError::into_inner));
        while housekeeping.join_next().await.is_some() {}
    }
}

impl RunningNode {
    async fn stop(mut self) {
        self.cancel.cancel();
        while self.task.join_next().await.is_some() {}
    }
}

fn no_partition(topic: &str, partition: i32) -> Error {
    Error::NoSuchPartition {
        topic: topic.to_owned(),
        partition,
    }
}
