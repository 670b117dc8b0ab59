//! Says which partitions cannot be written for now: one line for all of them, at a falling rate.

use std::time::Duration;

use kafka_wire::ErrorCode;
use tokio::time::Instant;

use super::{Producer, partition_queue::PartitionQueue};
use crate::rights::missing_right;

/// A leader that moves is no news; what lasts longer than this is.
const SAY_AFTER: Duration = Duration::from_secs(2);
const SAY_EVERY_AT_MOST: Duration = Duration::from_secs(2);
const SAY_EVERY_AT_LEAST: Duration = Duration::from_secs(60);

/// What has been said.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    /// When it was last said, and for how long nothing is said after it.
    said: Option<(Instant, Duration)>,
}

impl Producer {
    /// A partition has failed once more.
    pub(super) fn say_trouble(&mut self, now: Instant) {
        if self.trouble.said.is_some_and(|(at, pause)| now < at + pause) {
            return;
        }
        let mut lasting = self.partitions.iter().filter(|queue| lasts(queue, now));
        let Some(first) = lasting.next() else { return };
        tracing::warn!(
            partitions = 1 + lasting.count(),
            first = %first.target,
            reason = reason(first.last_error),
            "partitions cannot be written for now; their batches wait, trying on"
        );
        let pause = self.trouble.said.map_or(SAY_EVERY_AT_MOST, |(_, pause)| pause * 2);
        self.trouble.said = Some((now, pause.min(SAY_EVERY_AT_LEAST)));
    }

    /// A partition that failed is written again.
    pub(super) fn say_recovery(&mut self, now: Instant) {
        if self.trouble.said.is_some() && !self.partitions.iter().any(|queue| lasts(queue, now)) {
            self.trouble.said = None;
            tracing::info!("all partitions can be written again");
        }
    }
}

fn lasts(queue: &PartitionQueue, now: Instant) -> bool {
    queue.failing_since.is_some_and(|since| now - since >= SAY_AFTER)
}

fn reason(code: Option<ErrorCode>) -> String {
    let what_to_do = match code {
        Some(ErrorCode::KAFKA_STORAGE_ERROR) => {
            "a log directory of the broker has failed: see its log, and whether its disk is full"
        }
        Some(ErrorCode::NOT_ENOUGH_REPLICAS | ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND) => {
            "fewer replicas are in sync than min.insync.replicas: see which brokers are away"
        }
        Some(code @ ErrorCode::TOPIC_AUTHORIZATION_FAILED) => {
            return format!("{code}{}", missing_right("produce to", code));
        }
        _ => "see whether the target's brokers are up and the partition has a leader",
    };
    match code {
        Some(code) => format!("{code}; {what_to_do}"),
        None => what_to_do.to_owned(),
    }
}
