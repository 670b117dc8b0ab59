//! Which broker a partition's batches go to, and when.

use std::cmp::Reverse;
use std::sync::Arc;

use tokio::time::Instant;

use super::{Event, Producer};
use crate::rights::missing_right;
use crate::{Error, Topics};

impl Producer {
    /// Puts a partition into the ready ring of its leader, if it has something to send and may.
    pub(super) fn enqueue(&mut self, partition: usize) {
        self.give_back_recalled(partition);
        let queue = &mut self.partitions[partition];
        if queue.in_ring || queue.not_before.is_some() || !queue.is_sendable() {
            return;
        }
        if !self.identify(partition) || self.failure().is_some() {
            return;
        }
        let queue = &mut self.partitions[partition];
        match self.client.metadata().leader(&queue.target) {
            // A new leader gets nothing while the old one still owes answers: order.
            Some((node, epoch)) if queue.sent_to.is_none_or(|sent_to| sent_to == node) => {
                if !self.has_joined(partition) {
                    return;
                }
                let queue = &mut self.partitions[partition];
                queue.leader = Some((node, epoch));
                queue.in_ring = true;
                self.nodes.entry(node).or_default().ready.push_back(partition);
            }
            Some(_) => {}
            None => {
                let now = Instant::now();
                self.metadata.want();
                queue.leader = None;
                queue.failing_since.get_or_insert(now);
                queue.attempts = queue.attempts.saturating_add(1);
                // Who may not see a topic is told so with its metadata.
                let metadata = self.client.metadata();
                let code = metadata.topics.get(&queue.target.topic).and_then(|topic| topic.error);
                queue.last_error = code.or(queue.last_error);
                let why = || match code {
                    Some(code) => format!("{code}{}", missing_right("produce to", code)),
                    None => "the topic or its leader is not known".to_owned(),
                };
                if !self.give_back_if_hopeless(partition, now, why) {
                    self.delay(partition, now);
                }
            }
        }
    }

    /// Lets a partition that failed wait, the longer the more often it has.
    pub(super) fn delay(&mut self, partition: usize, now: Instant) {
        let at = now + self.backoff(self.partitions[partition].attempts);
        self.delay_until(partition, at);
        self.say_trouble(now);
    }

    pub(super) fn delay_until(&mut self, partition: usize, at: Instant) {
        self.partitions[partition].not_before = Some(at);
        self.delayed.push(Reverse((at, partition)));
    }

    /// Lines up the partitions whose delay is over.
    pub(super) fn wake_delayed(&mut self, now: Instant) {
        while let Some(Reverse((at, partition))) = self.delayed.peek().copied()
            && at <= now
        {
            self.delayed.pop();
            if self.partitions[partition].not_before == Some(at) {
                self.partitions[partition].not_before = None;
                self.enqueue(partition);
            }
        }
    }

    /// Whether metadata tells of another leader than the one that the partition was last lined up for.
    pub(super) fn has_new_leader(&self, partition: usize) -> bool {
        let queue = &self.partitions[partition];
        let leader = self.client.metadata().leader(&queue.target);
        leader.is_some() && leader != queue.leader
    }

    pub(super) fn refresh_metadata(&mut self, now: Instant) {
        if !self.metadata.is_due(now) {
            return;
        }
        self.metadata.begin();
        let busy = self
            .partitions
            .iter()
            .filter(|queue| queue.has_waiting() || queue.in_flight() > 0);
        let mut topics: Vec<Arc<str>> = busy.map(|queue| queue.target.topic.clone()).collect();
        topics.sort();
        topics.dedup();
        let client = self.client.clone();
        self.work.push(Box::pin(async move {
            Event::MetadataRefreshed(client.refresh_metadata(Topics::Some(topics)).await.map(|_| ()))
        }));
    }

    pub(super) fn on_metadata(&mut self, result: Result<(), Error>) {
        self.metadata.done(&self.backoff, Instant::now());
        if let Err(error) = result {
            tracing::debug!(error = %error.chain(), "cannot refresh metadata to produce");
            self.metadata.want();
            return;
        }
        // Whose leader has moved need not wait any longer, neither for a delay nor for a broker that does not answer.
        for partition in 0..self.partitions.len() {
            let queue = &self.partitions[partition];
            let waits = queue.not_before.is_some() || queue.in_ring;
            if waits && queue.in_flight() == 0 && self.has_new_leader(partition) {
                self.leave_ring(partition);
                self.partitions[partition].not_before = None;
                self.enqueue(partition);
            }
        }
    }

    /// Takes a partition out of the ring that it stands in, if any.
    pub(super) fn leave_ring(&mut self, partition: usize) {
        let queue = &mut self.partitions[partition];
        if !std::mem::take(&mut queue.in_ring) {
            return;
        }
        if let Some((node, _epoch)) = queue.leader
            && let Some(node) = self.nodes.get_mut(&node)
        {
            node.ready.retain(|ready| *ready != partition);
        }
    }
}
