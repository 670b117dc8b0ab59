//! Answers to fetches: what they bring, and what they say is wrong.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::messages::FetchResponse;
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_wire::{ErrorCode, TopicPartition};
use tokio::time::Instant;
use uuid::Uuid;

use super::trouble::not_there;
use super::{Consumer, LAST_VERSION_BY_NAME};
use crate::Error;
use crate::config::{HostPort, IsolationLevel};

/// After an answer smaller than this the next fetch waits a moment, so that a trickle of records does not become a
/// request for each.
const SMALL_ANSWER_BYTES: usize = 64 * 1024;
/// The moment. Costs that much latency, halves what a trickle costs the brokers.
const PAUSE_AFTER_SMALL_ANSWER: Duration = Duration::from_millis(2);

impl Consumer {
    pub(super) fn on_fetched(
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
    pub(super) fn on_partition_data(&mut self, at: usize, asked_offset: i64, data: PartitionData, now: Instant) {
        // Paused or moved since it was asked: not wanted any more.
        if self.partitions[at].is_paused || self.partitions[at].position() != Some(asked_offset) {
            return;
        }
        let code = ErrorCode(data.error_code);
        if code != ErrorCode::NONE {
            self.on_partition_error(at, asked_offset, code, now);
            return;
        }
        if data.diverging_epoch.end_offset >= 0 {
            tracing::debug!(
                partition = %self.partitions[at].name,
                position = asked_offset,
                epoch = data.diverging_epoch.epoch,
                end_offset = data.diverging_epoch.end_offset,
                "the leader's log parted from what was read",
            );
            self.partitions[at].doubt(asked_offset);
            return;
        }
        self.partitions[at].checked_epoch = self.partitions[at].leader_epoch;
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

    pub(super) fn on_partition_error(&mut self, at: usize, asked_offset: i64, code: ErrorCode, now: Instant) {
        match code {
            ErrorCode::OFFSET_OUT_OF_RANGE => {
                self.partitions[at].doubt(asked_offset);
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
