//! Fetch requests: to every broker that leads something wanted, one at a time.

use std::collections::HashMap;

use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic, ForgottenTopic};
use kafka_protocol::messages::{FetchRequest, TopicName};
use kafka_protocol::protocol::StrBytes;
use tokio::time::Instant;

use super::fetch_session::Wanted;
use super::partition::{Partition, Position};
use super::{Consumer, Event, FIRST_VERSION_WITH_LAST_EPOCH, LAST_VERSION_BY_NAME};
use crate::config::IsolationLevel;
use crate::{Connection, Error, RequestFrame, Role};

impl Consumer {
    /// Sends a fetch to every broker that has none on its way and leads something that is wanted.
    pub(super) fn fetch(&mut self, now: Instant) {
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
                last_fetched_epoch: partition.last_fetched.map_or(-1, |last| last.epoch),
                max_bytes: self.partition_bytes(partition),
                topic_id: partition.topic_id.unwrap_or_default(),
            };
            wanted.entry(leader).or_default().push((at, want));
        }
        for (node_id, wanted) in wanted {
            self.fetch_from(node_id, wanted, now);
        }
    }

    pub(super) fn partition_bytes(&self, partition: &Partition) -> i32 {
        partition.max_bytes.unwrap_or(self.config.max_partition_fetch_bytes)
    }

    pub(super) fn fetch_from(&mut self, node_id: i32, mut wanted: Vec<(usize, Wanted)>, now: Instant) {
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
        let version = match version {
            Ok(version) => version,
            Err(error) => {
                self.node_failed(node_id, &error, now);
                return;
            }
        };
        if version < FIRST_VERSION_WITH_LAST_EPOCH {
            // The broker will not say by itself that a new leader has less than the old one had.
            wanted.retain(|(at, want)| {
                let is_doubtful = self.partitions[*at].is_doubtful();
                if is_doubtful {
                    self.partitions[*at].doubt(want.fetch_offset);
                }
                !is_doubtful
            });
        }
        let request = self.fetch_request(node_id, &wanted, version);
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

    pub(super) fn fetch_request(&mut self, node_id: i32, wanted: &[(usize, Wanted)], version: i16) -> FetchRequest {
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
