//! One source partition inside a task: what is on its way to the target, and whether the partition is held back.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use connect_api::{Refusal, SourcePartition};
use kafka_wire::{ErrorCode, TopicPartition};
use tokio::time::Instant;

use super::carry::UpstreamRuns;
use crate::metrics::PartitionMetrics;

/// What an outstanding batch costs beside its bytes: queue entries here, in the worker and in the producer.
const BATCH_OVERHEAD_BYTES: usize = 512;

/// A refused partition is tried again after this, then after twice as long, up to the longest.
const FIRST_HOLD: Duration = Duration::from_secs(1);
const LONGEST_HOLD: Duration = Duration::from_secs(30);

/// A partition of the task.
#[derive(Debug)]
pub(crate) struct Partition {
    pub(crate) source: TopicPartition,
    pub(crate) target: TopicPartition,
    /// Under which its offset is stored.
    pub(crate) key: Arc<SourcePartition>,
    pub(crate) metrics: PartitionMetrics,
    /// The largest batch that the target takes, once it has refused a larger one.
    pub(crate) max_batch_bytes: Option<usize>,
    /// The next offset to be fetched.
    pub(crate) position: i64,
    /// Whether the consumer has been told to pause it.
    pub(crate) is_paused: bool,
    /// Whether the consumer has been told to ask for no more of it.
    pub(crate) is_deferred: bool,
    in_flight: VecDeque<Sent>,
    in_flight_bytes: usize,
    next_sequence: u32,
    hold: Option<Hold>,
    /// Refusals since the target took something.
    attempts: u32,
    /// Counts the logs that this was: a topic that is made again has another.
    log: u32,
}

/// A batch that was handed to the worker and has no outcome yet.
#[derive(Debug)]
pub(crate) struct Sent {
    sequence: u32,
    log: u32,
    pub(crate) upstream: UpstreamRuns,
    pub(crate) records: u64,
    pub(crate) batch_bytes: usize,
    pub(crate) oldest_timestamp: i64,
    pub(crate) newest_timestamp: i64,
}

impl Sent {
    /// What it counts against the memory of the task.
    pub(crate) fn cost_bytes(&self) -> usize {
        self.batch_bytes + BATCH_OVERHEAD_BYTES
    }
}

/// The partition is not read until `until`, and then from `from` on.
#[derive(Debug)]
struct Hold {
    from: i64,
    until: Instant,
}

/// What to do about a refusal or an unreadable batch.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Held {
    /// Go back to `from`; the next try cuts batches smaller. Nothing a person must know of.
    CutSmaller { from: i64, max_batch_bytes: usize },
    /// Go back to `from` and wait. `is_news`: a person should read of it, which is rarer the longer it lasts.
    Wait { from: i64, delay: Duration, is_news: bool },
    /// It is held already, but what it is held for lies behind `from`: go back there.
    FurtherBack { from: i64 },
    /// An earlier refusal has settled that already.
    Already,
}

impl Partition {
    pub(crate) fn new(
        source: TopicPartition,
        target: TopicPartition,
        key: Arc<SourcePartition>,
        metrics: PartitionMetrics,
    ) -> Self {
        Self {
            source,
            target,
            key,
            metrics,
            max_batch_bytes: None,
            position: 0,
            is_paused: false,
            is_deferred: false,
            in_flight: VecDeque::new(),
            in_flight_bytes: 0,
            next_sequence: 0,
            hold: None,
            attempts: 0,
            log: 0,
        }
    }

    /// The topic was made again at the source: offsets mean others from here on. What is held back of the former log
    /// cannot be read again.
    pub(crate) fn begin_another_log(&mut self) {
        self.log = self.log.wrapping_add(1);
        self.hold = None;
        self.attempts = 0;
    }

    /// Names the log that the partition has now.
    pub(crate) fn log(&self) -> u32 {
        self.log
    }

    /// Whether `sent` comes from a log that is gone: nobody can read it again.
    pub(crate) fn is_of_former_log(&self, sent: &Sent) -> bool {
        sent.log != self.log
    }

    /// Notes a batch of `log` that goes out and names it.
    pub(crate) fn send(
        &mut self,
        (log, upstream): (u32, UpstreamRuns),
        records: u64,
        batch_bytes: usize,
        (oldest_timestamp, newest_timestamp): (i64, i64),
    ) -> (u32, usize) {
        let sequence = self.next_sequence;
        self.next_sequence = self.next_sequence.wrapping_add(1);
        let sent = Sent {
            sequence,
            log,
            upstream,
            records,
            batch_bytes,
            oldest_timestamp,
            newest_timestamp,
        };
        let cost = sent.cost_bytes();
        self.in_flight_bytes += cost;
        self.in_flight.push_back(sent);
        (sequence, cost)
    }

    /// The batch that an outcome is about. Nearly always the oldest.
    pub(crate) fn take(&mut self, sequence: u32) -> Option<Sent> {
        let at = self.in_flight.iter().position(|sent| sent.sequence == sequence)?;
        let sent = self.in_flight.remove(at)?;
        self.in_flight_bytes -= sent.cost_bytes();
        Some(sent)
    }

    /// The target took a batch. Answers whether the partition was held back before.
    pub(crate) fn written(&mut self) -> bool {
        let was_refused = self.attempts > 0;
        if self.hold.is_none() {
            self.attempts = 0;
        }
        was_refused && self.hold.is_none()
    }

    /// The target refused `sent`, and with it everything behind it.
    pub(crate) fn refused(&mut self, sent: &Sent, refusal: &Refusal, now: Instant) -> Held {
        let from = sent.upstream.first_offset();
        if let Some(hold) = &mut self.hold {
            // Refusals come in order; what can come late is the refusal of a batch before an unreadable one.
            if from >= hold.from {
                return Held::Already;
            }
            hold.from = from;
            return Held::FurtherBack { from };
        }
        let is_too_large = matches!(
            refusal.code,
            Some(ErrorCode::MESSAGE_TOO_LARGE | ErrorCode::RECORD_LIST_TOO_LARGE)
        );
        if is_too_large && sent.records > 1 {
            let max_batch_bytes = (sent.batch_bytes / 2).max(1);
            self.max_batch_bytes = Some(max_batch_bytes);
            self.hold = Some(Hold { from, until: now });
            return Held::CutSmaller { from, max_batch_bytes };
        }
        // Without a broker's word the producer has already waited long for one.
        let longest = if refusal.code.is_some() {
            LONGEST_HOLD
        } else {
            FIRST_HOLD
        };
        self.wait(from, longest, now)
    }

    /// The source's bytes at `from` cannot be read. A leader change or a repair may mend it.
    pub(crate) fn unreadable(&mut self, from: i64, now: Instant) -> Held {
        self.wait(from, LONGEST_HOLD, now)
    }

    fn wait(&mut self, from: i64, longest: Duration, now: Instant) -> Held {
        let doublings = self.attempts.min(16);
        let delay = FIRST_HOLD.saturating_mul(1 << doublings).min(longest);
        self.attempts = self.attempts.saturating_add(1);
        self.hold = Some(Hold {
            from,
            until: now + delay,
        });
        Held::Wait {
            from,
            delay,
            is_news: self.attempts.is_power_of_two(),
        }
    }

    /// Whether it may not be read for now.
    pub(crate) fn is_held(&self) -> bool {
        self.hold.is_some()
    }

    /// Where it is to be read again from, if it is held back.
    pub(crate) fn held_at(&self) -> Option<i64> {
        self.hold.as_ref().map(|hold| hold.from)
    }

    /// How often it has been refused in a row.
    pub(crate) fn attempts(&self) -> u32 {
        self.attempts
    }

    /// When it may be read again; not while outcomes are still to come, since they are refusals too.
    pub(crate) fn resumes_at(&self) -> Option<Instant> {
        self.hold
            .as_ref()
            .filter(|_| self.in_flight.is_empty())
            .map(|hold| hold.until)
    }

    /// Ends the hold if its time has come.
    pub(crate) fn release(&mut self, now: Instant) {
        if self.resumes_at().is_some_and(|until| until <= now) {
            self.hold = None;
        }
    }

    /// Bytes on their way.
    pub(crate) fn in_flight_bytes(&self) -> usize {
        self.in_flight_bytes
    }

    /// The oldest timestamp in the oldest batch that has no outcome yet.
    pub(crate) fn oldest_waiting_timestamp(&self) -> Option<i64> {
        self.in_flight.front().map(|sent| sent.oldest_timestamp)
    }

    /// The oldest source offset that has no outcome yet.
    pub(crate) fn oldest_in_flight(&self) -> Option<i64> {
        self.in_flight.front().map(|sent| sent.upstream.first_offset())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition() -> Partition {
        let source = TopicPartition::new("orders", 3);
        let key = Arc::new(SourcePartition(Vec::new()));
        Partition::new(
            source,
            TopicPartition::new("A.orders", 3),
            key,
            PartitionMetrics::default(),
        )
    }

    fn refusal(code: Option<ErrorCode>) -> Refusal {
        Refusal {
            reason: "no".to_owned(),
            code,
        }
    }

    fn send(partition: &mut Partition, first: i64, records: u32, bytes: usize) -> u32 {
        partition
            .send(
                (0, UpstreamRuns::dense(first, records)),
                u64::from(records),
                bytes,
                (0, 0),
            )
            .0
    }

    #[test]
    fn credit_comes_back_with_outcomes() {
        let mut partition = partition();
        let first = send(&mut partition, 0, 10, 1000);
        send(&mut partition, 10, 10, 500);
        assert_eq!(partition.in_flight_bytes(), 1500 + 2 * BATCH_OVERHEAD_BYTES);
        assert_eq!(partition.oldest_in_flight(), Some(0));
        assert_eq!(partition.take(first).unwrap().upstream.last_offset(), 9);
        assert_eq!(partition.in_flight_bytes(), 500 + BATCH_OVERHEAD_BYTES);
        assert!(partition.take(first).is_none(), "an outcome comes once");
    }

    #[test]
    fn a_refused_partition_goes_back_to_the_first_refused_offset_and_waits_for_all_outcomes() {
        let now = Instant::now();
        let mut partition = partition();
        let tags = [send(&mut partition, 7, 3, 100), send(&mut partition, 10, 5, 100)];
        let no = refusal(Some(ErrorCode::TOPIC_AUTHORIZATION_FAILED));

        let sent = partition.take(tags[0]).unwrap();
        assert_eq!(
            partition.refused(&sent, &no, now),
            Held::Wait {
                from: 7,
                delay: FIRST_HOLD,
                is_news: true
            }
        );
        assert_eq!(partition.resumes_at(), None, "the second batch has no outcome yet");
        let sent = partition.take(tags[1]).unwrap();
        assert_eq!(partition.refused(&sent, &no, now), Held::Already);

        assert_eq!(partition.resumes_at(), Some(now + FIRST_HOLD));
        partition.release(now);
        assert!(partition.is_held());
        partition.release(now + FIRST_HOLD);
        assert!(!partition.is_held());
    }

    #[test]
    fn a_refusal_before_an_unreadable_batch_goes_further_back() {
        let now = Instant::now();
        let mut partition = partition();
        let tag = send(&mut partition, 5, 5, 100);
        assert!(matches!(partition.unreadable(10, now), Held::Wait { from: 10, .. }));
        let sent = partition.take(tag).unwrap();
        let no = refusal(Some(ErrorCode::POLICY_VIOLATION));
        assert_eq!(partition.refused(&sent, &no, now), Held::FurtherBack { from: 5 });
    }

    #[test]
    fn what_is_on_its_way_from_a_former_log_is_known_by_it() {
        let mut partition = partition();
        let tag = send(&mut partition, 5, 5, 100);
        assert!(matches!(partition.unreadable(10, Instant::now()), Held::Wait { .. }));
        partition.begin_another_log();
        assert!(!partition.is_held(), "nothing of it can be read again");
        let sent = partition.take(tag).unwrap();
        assert!(partition.is_of_former_log(&sent));
        let (tag, _) = partition.send((partition.log(), UpstreamRuns::dense(0, 1)), 1, 1, (0, 0));
        let sent = partition.take(tag).unwrap();
        assert!(!partition.is_of_former_log(&sent));
    }

    #[test]
    fn waits_double_up_to_the_longest_and_are_told_ever_more_rarely() {
        let mut now = Instant::now();
        let mut partition = partition();
        let (mut delays, mut news) = (Vec::new(), 0);
        for _ in 0..8 {
            let tag = send(&mut partition, 0, 1, 100);
            let sent = partition.take(tag).unwrap();
            match partition.refused(&sent, &refusal(Some(ErrorCode::POLICY_VIOLATION)), now) {
                Held::Wait { delay, is_news, .. } => {
                    delays.push(delay.as_secs());
                    news += u32::from(is_news);
                    now += delay;
                }
                other => panic!("{other:?}"),
            }
            partition.release(now);
        }
        assert_eq!(delays, [1, 2, 4, 8, 16, 30, 30, 30]);
        assert_eq!(news, 4, "of attempts 1, 2, 4 and 8");
        assert!(partition.written(), "it was held back before");
        assert!(!partition.written());
    }

    #[test]
    fn a_batch_that_is_too_large_is_cut_and_a_record_that_is_too_large_waits() {
        let now = Instant::now();
        let too_large = refusal(Some(ErrorCode::MESSAGE_TOO_LARGE));
        let mut partition = partition();
        let tag = send(&mut partition, 5, 10, 1000);
        let sent = partition.take(tag).unwrap();
        assert_eq!(
            partition.refused(&sent, &too_large, now),
            Held::CutSmaller {
                from: 5,
                max_batch_bytes: 500
            }
        );
        partition.release(now);
        let tag = send(&mut partition, 5, 1, 900);
        let sent = partition.take(tag).unwrap();
        assert!(matches!(
            partition.refused(&sent, &too_large, now),
            Held::Wait { from: 5, .. }
        ));
    }
}
