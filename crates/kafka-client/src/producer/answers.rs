//! What the answers to produce requests mean for the batches that were in them.

use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::{ApiKey, ProduceResponse, produce_response::PartitionProduceResponse};
use kafka_wire::{ErrorCode, TopicPartition};
use tokio::time::Instant;

use super::partition_queue::{Part, Pending};
use super::{Outcome, Producer, Refused, Sent};
use crate::config::HostPort;
use crate::metadata::LeaderHint;
use crate::rights::missing_right;
use crate::{Connection, Error};

impl Producer {
    pub(super) fn on_answer(
        &mut self,
        node_id: i32,
        connection: &Connection,
        sent: Vec<Sent>,
        result: Result<Bytes, Error>,
        version: i16,
    ) {
        let now = Instant::now();
        let decoded = result.and_then(|body| connection.decode::<ProduceResponse>(ApiKey::Produce, version, body));
        let touched: Vec<usize> = sent.iter().map(|sent| sent.partition).collect();
        match decoded {
            Ok(response) => {
                let pause = Duration::from_millis(response.throttle_time_ms.max(0) as u64);
                connection.throttle(pause);
                self.client.metrics().produce_throttled(pause);
                self.on_response(sent, response, now);
            }
            Err(error) => {
                // Nobody knows whether it was written: it goes again under its old sequence.
                tracing::debug!(node = node_id, error = %error.chain(), "a produce request got no answer");
                self.metadata.want();
                for Sent { partition, pending } in sent {
                    self.partitions[partition].unanswered(pending, None, now);
                }
            }
        }
        for partition in touched {
            self.settle(partition, now);
        }
    }

    /// A request that never left.
    pub(super) fn not_sent(&mut self, node_id: i32, sent: Vec<Sent>, error: &Error) {
        tracing::debug!(node = node_id, error = %error.chain(), "a produce request cannot be sent");
        let now = Instant::now();
        self.metadata.want();
        for Sent { partition, pending } in sent {
            self.partitions[partition].failed(pending, None, now);
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
            self.partitions[partition].unanswered(pending, None, now);
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
                let failed_before = queue.failing_since.is_some();
                queue.succeeded(&pending);
                let base = (code == ErrorCode::NONE && answer.base_offset >= 0).then_some(answer.base_offset);
                let target = queue.target.clone();
                self.written(&target, pending, base);
                if failed_before {
                    self.say_recovery(now);
                }
            }
            Verdict::Retry { refresh, maybe_written } => {
                tracing::debug!(partition = %queue.target, %code, "a batch has to go again");
                match maybe_written {
                    true => queue.unanswered(pending, Some(code), now),
                    false => queue.failed(pending, Some(code), now),
                }
                if refresh {
                    self.metadata.want();
                    self.hear_of_leader(partition, answer, response);
                }
            }
            Verdict::Refuse => {
                let said = answer
                    .error_message
                    .as_ref()
                    .map(|text| format!(" ({text})"))
                    .unwrap_or_default();
                let what = format!(
                    "produce to {} of {} records, {} bytes,",
                    queue.target,
                    pending.batch.record_count(),
                    pending.batch.size_bytes(),
                );
                let reason = format!("{what} was refused: {code}{said}{}", missing_right(&what, code));
                let refusal = Refused::new(reason, Some(code));
                match code {
                    ErrorCode::UNKNOWN_SERVER_ERROR => queue.refused_unclearly(pending, refusal, now),
                    _ => queue.refused(pending, refusal, now),
                }
            }
            Verdict::IdentityLost => {
                queue.failed(pending, Some(code), now);
                queue.lose_identity();
            }
            Verdict::OutOfOrder => {
                // Expected behind a batch that failed; a lost identity if nothing before it failed.
                let is_expected = queue.is_draining();
                queue.failed(pending, Some(code), now);
                if !is_expected {
                    queue.lose_identity();
                }
            }
        }
    }

    /// KIP-951: a broker that no longer leads says who does.
    fn hear_of_leader(&self, partition: usize, answer: &PartitionProduceResponse, response: &ProduceResponse) {
        let leader = &answer.current_leader;
        if leader.leader_id.0 < 0 {
            return;
        }
        let endpoint = response
            .node_endpoints
            .iter()
            .find(|node| node.node_id == leader.leader_id);
        let endpoint = endpoint.map(|node| HostPort {
            host: node.host.as_str().into(),
            port: node.port as u16,
        });
        self.client.leader_hints(&[LeaderHint {
            partition: self.partitions[partition].target.clone(),
            leader_id: leader.leader_id.0,
            leader_epoch: leader.leader_epoch,
            endpoint,
        }]);
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

    /// After an answer: gives back what was refused, delays what failed, and lines the partition up again.
    fn settle(&mut self, partition: usize, now: Instant) {
        let queue = &mut self.partitions[partition];
        if queue.in_flight() == 0 {
            queue.sent_to = None;
            if self.give_back_after_failure(partition) {
                return;
            }
            let queue = &mut self.partitions[partition];
            if let Some(given_back) = queue.drained(now) {
                if given_back.maybe_written {
                    // Its sequence, used for another batch, would pass for a repeat of it.
                    self.partitions[partition].lose_identity();
                }
                self.give_back(partition, given_back.parts, &given_back.refusal);
            }
            self.replace_lost_identity(partition);
            if self.failure().is_some() {
                return;
            }
            let queue = &self.partitions[partition];
            if queue.attempts > 0 && queue.has_waiting() {
                let word = queue
                    .last_error
                    .map_or_else(|| "no answer".to_owned(), |code| code.to_string());
                // It goes to a new leader at once, and to the old one later.
                self.leave_ring(partition);
                if !self.give_back_if_hopeless(partition, now, || word) && !self.has_new_leader(partition) {
                    self.delay(partition, now);
                }
            }
        }
        self.enqueue(partition);
    }

    pub(super) fn give_back(&mut self, partition: usize, parts: Vec<Part>, refusal: &Refused) {
        let records = parts.iter().map(|part| part.batch.record_count().max(0) as u64);
        self.client.metrics().refused(records.sum());
        self.hand_back(partition, parts, refusal);
    }

    /// After [`Producer::recall`]: gives back what is surely not written.
    pub(super) fn give_back_recalled(&mut self, partition: usize) {
        if !self.recalled {
            return;
        }
        let parts = self.partitions[partition].give_back_unwritten();
        if !self.partitions[partition].has_waiting() {
            self.leave_ring(partition);
            self.partitions[partition].not_before = None;
        }
        self.hand_back(
            partition,
            parts,
            &Refused::new("taken back before it was written", None),
        );
    }

    fn hand_back(&mut self, partition: usize, parts: Vec<Part>, refusal: &Refused) {
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

    pub(super) fn give_back_if_hopeless(
        &mut self,
        partition: usize,
        now: Instant,
        why: impl FnOnce() -> String,
    ) -> bool {
        let queue = &self.partitions[partition];
        // What was sent and never answered may have been written: it stays until a broker says, and is repeated under its
        // old sequence, with a retry's delay, to whoever leads. So does Java's producer under Connect, which gives it an
        // endless delivery.timeout.ms. It costs its memory, and that of what waits behind it, out of buffer.memory.
        let mut hopeless = queue.is_overdue(now) && queue.in_flight() == 0 && !queue.has_maybe_written();
        if hopeless {
            // Of what came behind a refused batch the caller has to hear first: this is from before it.
            let is_given_back = |outcome: &Outcome| outcome.result.is_err() && outcome.target == queue.target;
            hopeless = !self.finished.iter().any(is_given_back);
        }
        if hopeless {
            let queue = &mut self.partitions[partition];
            let refusal = Refused::new(
                format!("produce to {} waits: {}", queue.target, why()),
                queue.last_error,
            );
            let parts = queue.give_back(0);
            queue.not_before = None;
            self.give_back(partition, parts, &refusal);
        }
        hopeless
    }
}

enum Verdict {
    Written,
    /// Goes again after a delay; `refresh`: to whom may have changed; `maybe_written`: the leader had it in its log.
    Retry {
        refresh: bool,
        maybe_written: bool,
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
        // Only a producer that writes in transactions hears these: its transaction is over, or its id is another's.
        ErrorCode::PRODUCER_FENCED
        | ErrorCode::INVALID_TXN_STATE
        | ErrorCode::TRANSACTION_ABORTABLE
        | ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED => Verdict::IdentityLost,
        // The partition has moved, or moved while the batch was on its way to the followers.
        ErrorCode::NOT_LEADER_OR_FOLLOWER | ErrorCode::KAFKA_STORAGE_ERROR | ErrorCode::FENCED_LEADER_EPOCH => {
            Verdict::Retry {
                refresh: true,
                maybe_written: true,
            }
        }
        ErrorCode::LEADER_NOT_AVAILABLE | ErrorCode::UNKNOWN_TOPIC_OR_PARTITION | ErrorCode::UNKNOWN_TOPIC_ID => {
            Verdict::Retry {
                refresh: true,
                maybe_written: false,
            }
        }
        // The leader has it, the followers did not say so in time.
        ErrorCode::REQUEST_TIMED_OUT | ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND | ErrorCode::NETWORK_EXCEPTION => {
            Verdict::Retry {
                refresh: false,
                maybe_written: true,
            }
        }
        code if code.is_retriable() => Verdict::Retry {
            refresh: false,
            maybe_written: false,
        },
        // Too large, not authorised, against a policy: waiting a moment mends nothing.
        _ => Verdict::Refuse,
    }
}
