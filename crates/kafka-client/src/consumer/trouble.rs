//! Partitions that cannot be read for now: delayed, and reported once until the reason changes.

use std::time::Duration;

use kafka_wire::{ErrorCode, TopicPartition};
use tokio::time::Instant;

use super::{Consumer, ConsumerEvent};
use crate::Error;

impl Consumer {
    pub(super) fn delay(&mut self, at: usize, now: Instant) {
        let attempts = self.partitions[at].attempts + 1;
        self.partitions.change(at).attempts = attempts;
        self.partitions.delay_until(at, now + self.backoff(attempts));
    }

    pub(super) fn unavailable(&mut self, at: usize, error: Error, now: Instant) {
        self.metadata.want();
        self.delay(at, now);
        self.report_unavailable(at, error);
    }

    pub(super) fn report_unavailable(&mut self, at: usize, error: Error) {
        let reason = error.to_string();
        let partition = self.partitions.change(at);
        if partition.unavailable.as_ref() != Some(&reason) {
            partition.unavailable = Some(reason);
            let partition = partition.name.clone();
            self.polled.events.push(ConsumerEvent::Unavailable { partition, error });
        }
    }

    pub(super) fn recovered(&mut self, at: usize) {
        let partition = self.partitions.change(at);
        partition.attempts = 0;
        partition.not_before = None;
        if partition.unavailable.take().is_some() {
            let partition = partition.name.clone();
            self.polled.events.push(ConsumerEvent::Recovered { partition });
        }
    }

    pub(super) fn backoff(&self, attempts: u32) -> Duration {
        self.backoff.after(attempts.saturating_sub(1))
    }

    pub(super) fn next_deadline(&self, now: Instant) -> Instant {
        let partitions = self.partitions.next_due();
        let nodes = self.nodes.values().filter_map(|node| node.not_before);
        let metadata = self.metadata.deadline();
        let regular = self.next_regular_refresh;
        let soonest = nodes
            .chain(partitions)
            .chain(metadata)
            .chain(regular)
            .filter(|at| *at > now)
            .min();
        soonest.unwrap_or(now + self.client.config().metadata_max_age)
    }
}

pub(super) fn not_there(partition: &TopicPartition, code: ErrorCode) -> Error {
    Error::refused(format!("fetch of {partition}"), code, None)
}
