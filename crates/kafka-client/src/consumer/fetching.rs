//! Fetch requests: to every broker that leads something wanted, one at a time.

use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic, ForgottenTopic};
use kafka_protocol::messages::{FetchRequest, TopicName};
use kafka_protocol::protocol::StrBytes;
use tokio::time::Instant;

use super::partition::{Partition, Place};
use super::{Consumer, Event, FIRST_VERSION_WITH_LAST_EPOCH, LAST_VERSION_BY_NAME, Node};
use crate::config::IsolationLevel;
use crate::{Connection, Error, RequestFrame, Role};

impl Consumer {
    /// Sends a fetch to every broker that has none on its way and leads something that is wanted.
    pub(super) fn fetch(&mut self, now: Instant) {
        let is_ready = |node: &Node| {
            !node.session.wants_nothing()
                && !node.fetching
                && !node.connecting
                && node.not_before.is_none_or(|at| at <= now)
        };
        let ready = self.nodes.iter().filter(|(_, node)| is_ready(node));
        let ready: Vec<i32> = ready.map(|(node_id, _)| *node_id).collect();
        for node_id in ready {
            self.fetch_from(node_id, now);
        }
    }

    fn fetch_from(&mut self, node_id: i32, now: Instant) {
        let node = self.node(node_id);
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
        let version = match node.session.all_have_ids() {
            true => connection.version::<FetchRequest>(),
            false => connection.version_up_to::<FetchRequest>(LAST_VERSION_BY_NAME),
        };
        let version = match version {
            Ok(version) => version,
            Err(error) => {
                self.node_failed(node_id, &error, now);
                return;
            }
        };
        if version < FIRST_VERSION_WITH_LAST_EPOCH && self.doubt_changed(node_id) {
            return; // the next turn asks what has become of them, and fetches the others
        }
        let request = self.fetch_request(node_id, version);
        let timeout = self.client.config().request_timeout + self.config.fetch_max_wait;
        let frame = match RequestFrame::encode(version, &request, timeout) {
            Ok(frame) => frame,
            Err(error) => {
                self.node_failed(node_id, &error, now);
                return;
            }
        };
        let reply = connection.submit(frame);
        self.node(node_id).fetching = true;
        self.work.push(Box::pin(async move {
            Event::Fetched {
                node_id,
                connection,
                result: reply.await,
                version,
            }
        }));
    }

    /// A broker of old will not say by itself that a new leader has less than the one before: positions of which that may
    /// be are not fetched from. Whether there are any.
    fn doubt_changed(&mut self, node_id: i32) -> bool {
        let mut doubtful: Vec<usize> = self.node(node_id).session.changed().collect();
        doubtful.retain(|at| matches!(self.partitions[*at].place, Place::Fetched(id) if id == node_id));
        doubtful.retain(|at| self.partitions[*at].is_doubtful());
        for at in &doubtful {
            self.partitions.change(*at).doubt();
        }
        !doubtful.is_empty()
    }

    fn fetch_request(&mut self, node_id: i32, version: i16) -> FetchRequest {
        let by_topic_id = version > LAST_VERSION_BY_NAME;
        let node = self.nodes.entry(node_id).or_default();
        let difference = node.session.next(by_topic_id);
        let mut request = FetchRequest::default()
            .with_max_wait_ms(self.config.fetch_max_wait.as_millis() as i32)
            .with_min_bytes(self.config.fetch_min_bytes)
            .with_max_bytes(
                self.max_fetch_bytes
                    .map_or(self.config.fetch_max_bytes, |max| max.min(self.config.fetch_max_bytes)),
            )
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
            if version >= FIRST_VERSION_WITH_LAST_EPOCH {
                data = data.with_last_fetched_epoch(want.last_fetched_epoch);
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

    pub(super) fn on_connected(&mut self, node_id: i32, result: Result<Connection, Error>) {
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
    pub(super) fn node_failed(&mut self, node_id: i32, error: &Error, now: Instant) {
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
