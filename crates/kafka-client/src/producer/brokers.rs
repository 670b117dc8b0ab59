//! The brokers that lead partitions of ours: connecting, and filling requests.

use std::collections::VecDeque;

use kafka_protocol::messages::ProduceRequest;
use tokio::time::Instant;

use super::{Event, Producer, Sent, produce_request};
use crate::connection::api_key;
use crate::{Connection, Error, RequestFrame, Role};

/// The most requests on their way to one broker, if `max.in.flight.requests.per.connection` does not say less. Five is
/// what a broker remembers of an idempotent producer.
const MAX_IN_FLIGHT_PER_NODE: usize = 5;
/// A produce request is closed at this size; a single larger batch goes alone.
const MAX_REQUEST_BYTES: usize = 4 * 1024 * 1024;

/// A broker that restarts comes back sooner, or its partitions have moved: nobody's concern.
const SAY_FROM_ATTEMPT: u32 = 4;

/// One broker that leads partitions of ours.
#[derive(Default)]
pub(super) struct Node {
    pub(super) connection: Option<Connection>,
    pub(super) connecting: bool,
    pub(super) not_before: Option<Instant>,
    pub(super) attempts: u32,
    pub(super) requests_in_flight: usize,
    /// Partitions that have something to send to this broker, served in turn.
    pub(super) ready: VecDeque<usize>,
}

impl Producer {
    pub(super) fn dispatch_to(&mut self, node_id: i32, now: Instant) {
        let Some(node) = self.nodes.get_mut(&node_id) else {
            return;
        };
        let connection = match &node.connection {
            Some(connection) if !connection.is_closed() => connection.clone(),
            _ => {
                self.connect(node_id, now);
                return;
            }
        };
        let max_in_flight = self.config.max_in_flight.clamp(1, MAX_IN_FLIGHT_PER_NODE);
        while self.nodes[&node_id].requests_in_flight < max_in_flight {
            let sent = self.fill_request(node_id);
            if sent.is_empty() {
                return;
            }
            self.submit(node_id, &connection, sent);
        }
    }

    fn connect(&mut self, node_id: i32, now: Instant) {
        let Some(node) = self.nodes.get_mut(&node_id) else {
            return;
        };
        if node.connecting || node.not_before.is_some_and(|at| at > now) {
            return;
        }
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

    /// One batch from each ready partition of the node, in turn, up to the size of a request.
    fn fill_request(&mut self, node_id: i32) -> Vec<Sent> {
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
            if !queue.is_sendable() || queue.not_before.is_some() {
                continue;
            }
            let Some(pending) = queue.take() else { continue };
            self.client.metrics().merged(pending.newly_merged());
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
        let transactional_id = self.transactional_id();
        let max_version = match transactional_id {
            Some(_) => produce_request::MAX_TRANSACTIONAL_VERSION,
            None => produce_request::MAX_VERSION,
        };
        let version = match connection.version_up_to::<ProduceRequest>(max_version) {
            Ok(version) => version,
            Err(error) => {
                self.not_sent(node_id, sent, &error);
                return;
            }
        };
        self.client.metrics().produced(sent.iter().map(|Sent { pending, .. }| {
            let records = pending.batch.record_count().max(0) as u64;
            (pending.batch.size_bytes(), records, pending.is_repeat())
        }));
        let timeout = self.client.config().request_timeout;
        let entries = sent
            .iter()
            .map(|sent| (&self.partitions[sent.partition].target, &sent.pending.batch));
        let transactional_id = transactional_id.as_deref();
        let body = produce_request::encode(version, transactional_id, -1, timeout.as_millis() as i32, entries);
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
        let connection = connection.clone();
        self.work.push(Box::pin(async move {
            Event::Answered {
                node_id,
                connection,
                sent,
                result: reply.await,
                version,
            }
        }));
    }

    pub(super) fn on_connected(&mut self, node_id: i32, result: Result<Connection, Error>) {
        let Some(node) = self.nodes.get_mut(&node_id) else {
            return;
        };
        node.connecting = false;
        match result {
            Ok(connection) => {
                if node.attempts >= SAY_FROM_ATTEMPT {
                    tracing::info!(broker = %connection.broker(), "the target's broker can be reached again");
                }
                node.connection = Some(connection);
                node.attempts = 0;
                node.not_before = None;
            }
            Err(error) => {
                let now = Instant::now();
                let at = now + self.backoff.after(node.attempts);
                node.attempts = node.attempts.saturating_add(1);
                // Powers of two: at a falling rate.
                if node.attempts >= SAY_FROM_ATTEMPT && node.attempts.is_power_of_two() {
                    tracing::warn!(
                        node = node_id,
                        attempts = node.attempts,
                        error = %error.chain(),
                        "the target's broker cannot be reached; its partitions wait, trying on"
                    );
                }
                node.not_before = Some(at);
                // Its partitions may have a new leader by now.
                let ready: Vec<usize> = node.ready.drain(..).collect();
                for partition in ready {
                    let queue = &mut self.partitions[partition];
                    queue.in_ring = false;
                    queue.failing_since.get_or_insert(now);
                    if !self.give_back_if_hopeless(partition, now, || format!("cannot reach broker {node_id}")) {
                        self.delay_until(partition, at);
                    }
                }
                self.metadata.want();
            }
        }
    }
}
