//! Answers to fetches: what they bring, and what they say is wrong.

use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::messages::FetchResponse;
use kafka_protocol::messages::fetch_response::{NodeEndpoint, PartitionData};
use kafka_wire::{Entry, ErrorCode, TopicPartition};
use tokio::time::Instant;

use super::fetch_session::Wanted;
use super::trouble::not_there;
use super::{Consumer, Fetched, LAST_VERSION_BY_NAME};
use crate::Error;
use crate::config::{HostPort, IsolationLevel};
use crate::metadata::LeaderHint;

/// After an answer smaller than this the next fetch waits a moment, so that a trickle of records does not become a
/// request for each.
const SMALL_ANSWER_BYTES: usize = 64 * 1024;
/// The moment. Costs that much latency, halves what a trickle costs the brokers.
const PAUSE_AFTER_SMALL_ANSWER: Duration = Duration::from_millis(2);

impl Consumer {
    pub(super) fn on_fetched(
        &mut self,
        node_id: i32,
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
        node.attempts = 0;
        let by_topic_id = version > LAST_VERSION_BY_NAME;
        let mut hints = Vec::new();
        let mut brought = Vec::new();
        for topic in response.responses {
            let name: Arc<str> = Arc::from(topic.topic.as_str());
            for data in topic.partitions {
                let at = match by_topic_id {
                    true => self.partitions.by_id(topic.topic_id, data.partition_index),
                    false => self.partitions.by_name(&TopicPartition {
                        topic: name.clone(),
                        partition: data.partition_index,
                    }),
                };
                let asked = at.and_then(|at| Some((at, self.node(node_id).session.asked(at)?)));
                let Some((at, asked)) = asked else { continue };
                hints.extend(leader_hint(&self.partitions[at].name, &data, &response.node_endpoints));
                brought.push((at, asked, data));
            }
        }
        self.client.leader_hints(&hints);
        let before = self.polled.fetched.len();
        for (at, asked, data) in brought {
            self.on_partition_data(at, asked, data, now);
        }
        self.count(before);
        let node = self.node(node_id);
        node.session.answered(response.session_id);
        // So it does after one that brings nothing: whatever makes a broker answer at once, it is not asked in a circle.
        if frame_bytes < SMALL_ANSWER_BYTES {
            node.not_before = Some(now + PAUSE_AFTER_SMALL_ANSWER);
        }
    }

    /// Counts what one answer brought: everything from here on.
    fn count(&self, from: usize) {
        let fetched = &self.polled.fetched[from..];
        let lag = fetched
            .iter()
            .map(|fetched| fetched.high_watermark.saturating_sub(fetched.next_offset));
        let entries = || fetched.iter().flat_map(|fetched| &fetched.batches);
        let bytes = entries().map(|entry| entry.size_bytes() as u64).sum();
        let records = fetched.iter().map(record_count).sum();
        self.client
            .metrics()
            .fetched(bytes, records, lag.max().map(|lag| lag.max(0)));
    }

    /// Takes in the answer for one partition.
    pub(super) fn on_partition_data(&mut self, at: usize, asked: Wanted, data: PartitionData, now: Instant) {
        // Paused or moved since it was asked: not wanted any more.
        if self.partitions[at].is_paused || self.partitions[at].position() != Some(asked.fetch_offset) {
            return;
        }
        let code = ErrorCode(data.error_code);
        if code != ErrorCode::NONE {
            self.on_partition_error(at, code, now);
            return;
        }
        if data.diverging_epoch.end_offset >= 0 {
            tracing::debug!(
                partition = %self.partitions[at].name,
                position = asked.fetch_offset,
                epoch = data.diverging_epoch.epoch,
                end_offset = data.diverging_epoch.end_offset,
                "the leader's log parted from what was read",
            );
            self.partitions.change(at).doubt();
            return;
        }
        let partition = self.partitions.change(at);
        // Not the leader's of now: this may be the late answer of one before.
        partition.checked_epoch = asked.leader_epoch;
        let read_committed = self.config.isolation_level == IsolationLevel::ReadCommitted;
        let taken_in = self.partitions.change(at).take_in(data, read_committed);
        if taken_in.is_ok() {
            self.recovered(at);
        }
        match taken_in {
            Ok(Some(fetched)) => self.polled.fetched.push(fetched),
            Ok(None) => {}
            Err(error) => self.unavailable(at, error, now),
        }
    }

    pub(super) fn on_partition_error(&mut self, at: usize, code: ErrorCode, now: Instant) {
        match code {
            ErrorCode::OFFSET_OUT_OF_RANGE => {
                self.partitions.change(at).doubt();
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

/// Records by the batches' headers. A message of an old format does not say how many it wraps: its offsets do, about.
fn record_count(fetched: &Fetched) -> u64 {
    let mut next = fetched.from;
    let mut records = 0;
    for entry in &fetched.batches {
        let last = entry.last_offset();
        records += match entry {
            Entry::Batch(batch) => i64::from(batch.record_count()),
            Entry::Legacy(_) => last.saturating_add(1).saturating_sub(next),
        }
        .max(0) as u64;
        next = last.saturating_add(1);
    }
    records
}

/// KIP-951: a broker that no longer leads says who does. `None` if it says nothing.
fn leader_hint(name: &TopicPartition, data: &PartitionData, endpoints: &[NodeEndpoint]) -> Option<LeaderHint> {
    let leader = &data.current_leader;
    if data.error_code == 0 || leader.leader_id.0 < 0 {
        return None;
    }
    let endpoint = endpoints.iter().find(|node| node.node_id == leader.leader_id);
    Some(LeaderHint {
        partition: name.clone(),
        leader_id: leader.leader_id.0,
        leader_epoch: leader.leader_epoch,
        endpoint: endpoint.map(|node| HostPort {
            host: node.host.as_str().into(),
            port: node.port as u16,
        }),
    })
}
