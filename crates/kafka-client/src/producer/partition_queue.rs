//! The batches of one target partition: what waits, what is on its way, what has to go again.
//!
//! Pure state, no I/O. The order of a partition is kept by three rules: sequences are given once, at the first send;
//! a batch that failed waits until everything else that is on its way has come back, and then goes first; and nothing
//! runs ahead of the very first acknowledgement, because a broker that knows nothing of a producer yet accepts any
//! first sequence.

use std::collections::VecDeque;
use std::time::Duration;

use kafka_wire::{ErrorCode, OutgoingBatch, TopicPartition};
use tokio::time::Instant;

use super::Refused;

/// Batches smaller than this are merged with their neighbours: a produce request costs a broker the same whatever is
/// in it.
const MERGE_BELOW_BYTES: usize = 16 * 1024;
/// Merging stops here: past it a bigger batch brings nothing.
const MERGE_UP_TO_BYTES: usize = 512 * 1024;
/// How long a partition may fail for a reason that may pass (no leader, too few replicas) before its batches are given
/// back, so that they do not hold the memory that the other partitions need.
const GIVE_BACK_AFTER: Duration = Duration::from_secs(30);

/// A batch as it was handed in.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) tag: u64,
    pub(super) batch: OutgoingBatch,
}

/// What is sent as one batch: one part, or several merged.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) parts: Vec<Part>,
    pub(super) batch: OutgoingBatch,
    /// Set by the first send and kept for every repeat, so that the broker can tell a repeat.
    sequence: Option<i32>,
    /// On its way again.
    is_repeat: bool,
    /// A request with it got no answer, or one that leaves it open: it may have been written.
    maybe_written: bool,
    /// The target's refusal, until everything else that is on its way is back.
    refusal: Option<Refused>,
    /// When it was refused for the first time.
    refused_since: Option<Instant>,
}

impl Pending {
    fn new(parts: Vec<Part>, batch: OutgoingBatch) -> Self {
        Self {
            parts,
            batch,
            sequence: None,
            is_repeat: false,
            maybe_written: false,
            refusal: None,
            refused_since: None,
        }
    }

    /// How many batches were put into this one, if it goes for the first time.
    pub(super) fn newly_merged(&self) -> u64 {
        match self.parts.len() {
            1 => 0,
            _ if self.is_repeat => 0,
            parts => parts as u64,
        }
    }

    /// Whether it was sent before.
    pub(super) fn is_repeat(&self) -> bool {
        self.is_repeat
    }

    fn is_refused_for_our_merging(&self) -> bool {
        self.parts.len() > 1 && self.refusal.as_ref().is_some_and(Refused::is_too_large)
    }
}

/// What a refusal gives back.
#[derive(Debug)]
pub(super) struct GivenBack {
    pub(super) refusal: Refused,
    pub(super) parts: Vec<Part>,
    /// The first of them may have been written all the same: the refusal may be of a repeat only.
    pub(super) maybe_written: bool,
}

/// The producer id under which sequences are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(super) producer_id: i64,
    pub(super) epoch: i16,
    /// Its batches are parts of transactions.
    pub(super) transactional: bool,
}

#[derive(Debug)]
pub(super) struct PartitionQueue {
    pub(super) target: TopicPartition,
    waiting: VecDeque<Part>,
    /// Came back unwritten, by sequence; they go before anything that waits.
    returned: Vec<Pending>,
    in_flight: usize,
    repeats_in_flight: usize,
    next_sequence: i32,
    /// Under which sequences are counted; none before the first batch, and after the brokers have lost track of us.
    pub(super) identity: Option<Identity>,
    identity_is_lost: bool,
    /// The number of the transaction that it was added to last.
    pub(super) transaction: u64,
    /// It waits to be added to a transaction.
    pub(super) joining: bool,
    /// A batch was acknowledged under the current identity.
    established: bool,
    /// Something failed: nothing is sent until all that is on its way is back.
    draining: bool,
    /// No batch larger than this is made by merging; lowered when the target says too large.
    merge_up_to_bytes: usize,
    /// Nothing is sent before this moment.
    pub(super) not_before: Option<Instant>,
    /// Failed attempts since the last success.
    pub(super) attempts: u32,
    /// When the first of these failed.
    pub(super) failing_since: Option<Instant>,
    /// The broker's word for the last failure, if it said one.
    pub(super) last_error: Option<ErrorCode>,
    /// The node that has batches of this partition in flight.
    pub(super) sent_to: Option<i32>,
    /// The leader and its epoch when the partition was last lined up; `None`: there was no leader.
    pub(super) leader: Option<(i32, i32)>,
    /// Stands in the ready ring of a node.
    pub(super) in_ring: bool,
}

impl PartitionQueue {
    pub(super) fn new(target: TopicPartition) -> Self {
        Self {
            target,
            waiting: VecDeque::new(),
            returned: Vec::new(),
            in_flight: 0,
            repeats_in_flight: 0,
            next_sequence: 0,
            identity: None,
            identity_is_lost: false,
            transaction: 0,
            joining: false,
            established: false,
            draining: false,
            merge_up_to_bytes: MERGE_UP_TO_BYTES,
            not_before: None,
            attempts: 0,
            failing_since: None,
            last_error: None,
            sent_to: None,
            leader: None,
            in_ring: false,
        }
    }

    pub(super) fn push(&mut self, part: Part) {
        self.waiting.push_back(part);
    }

    pub(super) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty() || !self.returned.is_empty()
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Whether a batch may be sent now.
    pub(super) fn is_sendable(&self) -> bool {
        let waits_for_first_ack = !self.established && self.in_flight > 0;
        // A broker knows a repeat only among the last five batches, so nothing new passes one that is in doubt.
        let has_next = !self.returned.is_empty() || (!self.waiting.is_empty() && self.repeats_in_flight == 0);
        has_next && !self.draining && !waits_for_first_ack
    }

    /// The next batch, stamped with the identity and its sequence. Call only when [`Self::is_sendable`].
    pub(super) fn take(&mut self) -> Option<Pending> {
        let identity = self.identity?;
        let mut pending = if self.returned.is_empty() {
            self.take_waiting()?
        } else {
            self.returned.remove(0)
        };
        pending.is_repeat = pending.sequence.is_some();
        self.repeats_in_flight += usize::from(pending.is_repeat);
        let sequence = *pending.sequence.get_or_insert_with(|| {
            let sequence = self.next_sequence;
            self.next_sequence = advance_sequence(sequence, pending.batch.record_count());
            sequence
        });
        if identity.transactional {
            pending.batch.set_transactional(true);
        }
        pending
            .batch
            .set_producer(identity.producer_id, identity.epoch, sequence);
        self.in_flight += 1;
        Some(pending)
    }

    fn take_waiting(&mut self) -> Option<Pending> {
        let first = self.waiting.pop_front()?;
        let mergeable = mergeable_run(&first, &self.waiting, self.merge_up_to_bytes);
        if mergeable == 0 {
            let batch = first.batch.clone();
            return Some(Pending::new(vec![first], batch));
        }
        let mut parts = Vec::with_capacity(mergeable + 1);
        parts.push(first);
        parts.extend(self.waiting.drain(..mergeable));
        let batches: Vec<OutgoingBatch> = parts.iter().map(|part| part.batch.clone()).collect();
        let (batch, merged) = match kafka_wire::merge(&batches, self.merge_up_to_bytes) {
            Ok((batch, merged)) if merged > 0 => (batch, merged),
            // Unreadable inside: the target decides what to make of each batch as it is.
            _ => (parts[0].batch.clone(), 1),
        };
        for part in parts.drain(merged..).rev() {
            self.waiting.push_front(part);
        }
        Some(Pending::new(parts, batch))
    }

    /// A batch was written.
    pub(super) fn succeeded(&mut self, pending: &Pending) {
        self.came_back(pending);
        self.established = true;
        self.attempts = 0;
        self.failing_since = None;
        self.last_error = None;
    }

    fn came_back(&mut self, pending: &Pending) {
        self.in_flight -= 1;
        self.repeats_in_flight -= usize::from(pending.is_repeat);
    }

    /// The first failure among what is on its way has already come back.
    pub(super) fn is_draining(&self) -> bool {
        self.draining
    }

    /// Something that goes again may have been written, so its sequence must not be given up.
    pub(super) fn has_maybe_written(&self) -> bool {
        self.returned.iter().any(|pending| pending.maybe_written)
    }

    /// No answer, or one that leaves open whether the batch was written. It goes again, after the others are back.
    pub(super) fn unanswered(&mut self, mut pending: Pending, code: Option<ErrorCode>, now: Instant) {
        pending.maybe_written = true;
        self.failed(pending, code, now);
    }

    /// A batch came back unwritten: it goes again, after the others are back.
    pub(super) fn failed(&mut self, pending: Pending, code: Option<ErrorCode>, now: Instant) {
        self.came_back(&pending);
        self.last_error = code.or(self.last_error);
        if !self.draining {
            self.attempts = self.attempts.saturating_add(1);
            self.failing_since.get_or_insert(now);
        }
        self.draining = true;
        let at = self.returned.partition_point(|other| is_before(other, &pending));
        self.returned.insert(at, pending);
    }

    /// An unknown error of the broker leaves open what became of the batch, so its refusal does too.
    pub(super) fn refused_unclearly(&mut self, mut pending: Pending, refusal: Refused, now: Instant) {
        pending.maybe_written = true;
        self.refused(pending, refusal, now);
    }

    /// A batch was refused for good. It and everything behind it is given back by [`Self::drained`].
    pub(super) fn refused(&mut self, mut pending: Pending, refusal: Refused, now: Instant) {
        let code = refusal.code;
        pending.refusal = Some(refusal);
        pending.refused_since.get_or_insert(now);
        self.failed(pending, code, now);
    }

    /// Once nothing is on its way: what was refused and everything behind it, in order. What came before it goes again.
    pub(super) fn drained(&mut self, now: Instant) -> Option<GivenBack> {
        if !self.draining || self.in_flight > 0 {
            return None;
        }
        self.draining = false;
        let at = self.returned.iter().position(|pending| pending.refusal.is_some())?;
        let refused = &self.returned[at];
        let maybe_written = refused.maybe_written;
        let is_overdue = refused
            .refused_since
            .is_some_and(|since| now - since >= GIVE_BACK_AFTER);
        let refusal = if maybe_written && !is_overdue {
            // Refused now, but an earlier attempt may have been taken: asking again tells, if the refusal passes.
            None
        } else if refused.is_refused_for_our_merging() && !maybe_written {
            self.merge_up_to_bytes = refused.batch.size_bytes() / 2;
            self.undo_merging(at);
            None
        } else {
            refused.refusal.clone()
        };
        match refusal {
            Some(refusal) => Some(GivenBack {
                refusal,
                parts: self.give_back(at),
                maybe_written,
            }),
            None => {
                for pending in &mut self.returned {
                    pending.refusal = None;
                }
                None
            }
        }
    }

    /// It has failed for so long that the caller should rather have its batches back.
    pub(super) fn is_overdue(&self, now: Instant) -> bool {
        self.failing_since.is_some_and(|since| now - since >= GIVE_BACK_AFTER)
    }

    /// Takes back what was returned, from a place on, and all that waits behind. Nothing may be in flight.
    pub(super) fn give_back(&mut self, from: usize) -> Vec<Part> {
        let returned = self.forget_sent(from);
        if self.returned.is_empty() {
            self.attempts = 0;
            self.failing_since = None;
        }
        returned
            .into_iter()
            .flat_map(|pending| pending.parts)
            .chain(self.waiting.drain(..))
            .collect()
    }

    /// Takes back what is surely not written: what waits, and, if nothing is on its way, what came back behind the last
    /// batch that may have been.
    pub(super) fn give_back_unwritten(&mut self) -> Vec<Part> {
        let last_doubt = self.returned.iter().rposition(|pending| pending.maybe_written);
        let from = match self.in_flight {
            0 => last_doubt.map_or(0, |at| at + 1),
            _ => self.returned.len(),
        };
        self.give_back(from)
    }

    /// Sequences no longer mean to the broker what they mean to us.
    pub(super) fn lose_identity(&mut self) {
        self.identity_is_lost = true;
    }

    pub(super) fn has_lost_identity(&self) -> bool {
        self.identity_is_lost
    }

    /// If the identity is lost: starts counting anew, under another one, and gives the old. Nothing may be in flight.
    pub(super) fn restart_sequences(&mut self) -> Option<Identity> {
        if !std::mem::take(&mut self.identity_is_lost) {
            return None;
        }
        self.undo_merging(0);
        self.next_sequence = 0;
        self.established = false;
        self.identity.take()
    }

    /// Lets what was returned, from a place on, wait again as it was handed in.
    fn undo_merging(&mut self, from: usize) {
        let returned = self.forget_sent(from);
        for part in returned.into_iter().flat_map(|pending| pending.parts).rev() {
            self.waiting.push_front(part);
        }
    }

    /// What came back was not written, so its sequences are free again.
    fn forget_sent(&mut self, from: usize) -> Vec<Pending> {
        let returned = self.returned.split_off(from);
        if let Some(first) = returned.first().and_then(|pending| pending.sequence) {
            self.next_sequence = first;
        }
        returned
    }
}

/// How many of the batches behind `first` to merge with it: only small neighbours of the same codec, only what is
/// already here.
fn mergeable_run(first: &Part, behind: &VecDeque<Part>, up_to_bytes: usize) -> usize {
    let codec = first.batch.compression();
    let mut bytes = first.batch.size_bytes();
    if bytes >= MERGE_BELOW_BYTES {
        return 0;
    }
    let mut count = 0;
    for part in behind {
        bytes += part.batch.size_bytes();
        let small = part.batch.size_bytes() < MERGE_BELOW_BYTES;
        if !small || bytes > up_to_bytes || part.batch.compression() != codec {
            break;
        }
        count += 1;
    }
    count
}

/// Sequences wrap, so they are compared by distance: what is in flight spans far less than half the range.
fn is_before(one: &Pending, other: &Pending) -> bool {
    let (one, other) = (one.sequence.unwrap_or(0), other.sequence.unwrap_or(0));
    let distance = other.wrapping_sub(one) & i32::MAX;
    distance != 0 && distance < i32::MAX / 2
}

/// Kafka's `DefaultRecordBatch.incrementSequence`: wraps from `i32::MAX` to 0.
fn advance_sequence(sequence: i32, records: i32) -> i32 {
    match sequence.checked_add(records) {
        Some(next) => next,
        None => records - (i32::MAX - sequence) - 1,
    }
}

#[cfg(test)]
mod tests {
    use kafka_wire::{BatchBuilder, Compression};

    use super::*;

    const IDENTITY: Identity = Identity {
        producer_id: 7,
        epoch: 0,
        transactional: false,
    };

    fn part(tag: u64, value_bytes: usize) -> Part {
        let mut builder = BatchBuilder::new(Compression::None);
        builder.push(
            0,
            None,
            Some(&vec![1; value_bytes]),
            std::iter::empty::<(&[u8], Option<&[u8]>)>(),
        );
        Part {
            tag,
            batch: builder.build(),
        }
    }

    fn queue(parts: impl IntoIterator<Item = Part>) -> PartitionQueue {
        let mut queue = PartitionQueue::new(TopicPartition::new("t", 0));
        queue.identity = Some(IDENTITY);
        for part in parts {
            queue.push(part);
        }
        queue
    }

    fn tags(parts: &[Part]) -> Vec<u64> {
        parts.iter().map(|part| part.tag).collect()
    }

    fn too_large() -> Refused {
        Refused::new("too large", Some(ErrorCode::MESSAGE_TOO_LARGE))
    }

    const BIG: usize = 20_000;

    #[tokio::test(start_paused = true)]
    async fn nothing_runs_ahead_of_the_first_acknowledgement() {
        let mut queue = queue([part(1, BIG), part(2, BIG)]);
        assert!(queue.is_sendable());
        let first = queue.take().unwrap();
        assert!(!queue.is_sendable());
        queue.succeeded(&first);
        assert!(queue.is_sendable());
    }

    #[tokio::test(start_paused = true)]
    async fn what_failed_goes_again_in_order_with_the_same_sequences() {
        let mut queue = queue([part(0, BIG), part(1, BIG), part(2, BIG), part(3, BIG)]);
        let acknowledged = queue.take().unwrap();
        queue.succeeded(&acknowledged);
        let (first, second) = (queue.take().unwrap(), queue.take().unwrap());
        let sequences = (first.sequence, second.sequence);
        // the second answer may arrive first when both went to different leaders
        queue.failed(second, None, Instant::now());
        assert!(!queue.is_sendable() && queue.drained(Instant::now()).is_none());
        queue.failed(first, None, Instant::now());
        assert!(queue.drained(Instant::now()).is_none());
        let (first, second) = (queue.take().unwrap(), queue.take().unwrap());
        assert_eq!((first.sequence, second.sequence), sequences);
        assert!(!queue.is_sendable(), "nothing new passes a repeat");
        queue.succeeded(&first);
        queue.succeeded(&second);
        let third = queue.take().unwrap();
        assert_eq!((first.parts[0].tag, second.parts[0].tag, third.parts[0].tag), (1, 2, 3));
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_gives_back_everything_behind_it_and_frees_its_sequence() {
        let mut queue = queue([part(0, BIG), part(1, BIG), part(2, BIG), part(3, BIG)]);
        let acknowledged = queue.take().unwrap();
        queue.succeeded(&acknowledged);
        let (first, second) = (queue.take().unwrap(), queue.take().unwrap());
        queue.refused(first, too_large(), Instant::now());
        assert!(queue.drained(Instant::now()).is_none(), "one is still on its way");
        queue.failed(second, None, Instant::now());
        let given_back = queue.drained(Instant::now()).unwrap();
        assert!(given_back.refusal.is_too_large() && !given_back.maybe_written);
        assert_eq!(tags(&given_back.parts), [1, 2, 3]);
        queue.push(part(9, BIG));
        assert_eq!(queue.take().unwrap().sequence, Some(1));
    }

    #[tokio::test(start_paused = true)]
    async fn what_came_before_a_refusal_goes_again() {
        let mut queue = queue([part(0, BIG), part(1, BIG), part(2, BIG), part(3, BIG)]);
        let acknowledged = queue.take().unwrap();
        queue.succeeded(&acknowledged);
        let (first, second) = (queue.take().unwrap(), queue.take().unwrap());
        let code = Some(ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND);
        queue.unanswered(first, code, Instant::now());
        queue.refused(second, too_large(), Instant::now());
        let given_back = queue.drained(Instant::now()).unwrap();
        assert_eq!(tags(&given_back.parts), [2, 3]);
        queue.push(part(9, BIG));
        let (again, next) = (queue.take().unwrap(), queue.take().unwrap());
        assert_eq!((tags(&again.parts), again.sequence), (vec![1], Some(1)));
        assert_eq!((tags(&next.parts), next.sequence), (vec![9], Some(2)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_of_what_may_be_written_is_not_believed_at_once() {
        let mut queue = queue([part(0, BIG)]);
        let first = queue.take().unwrap();
        queue.unanswered(first, None, Instant::now());
        assert!(queue.drained(Instant::now()).is_none());
        let again = queue.take().unwrap();
        queue.refused(again, too_large(), Instant::now());
        assert!(queue.drained(Instant::now()).is_none(), "it may have been written");
        tokio::time::advance(GIVE_BACK_AFTER).await;
        let again = queue.take().unwrap();
        assert_eq!(again.sequence, Some(0));
        queue.refused(again, too_large(), Instant::now());
        assert!(queue.drained(Instant::now()).unwrap().maybe_written);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_taken_back_is_surely_not_written() {
        let mut queue = queue([0, 1, 2, 3, 4].map(|tag| part(tag, BIG)));
        let acknowledged = queue.take().unwrap();
        queue.succeeded(&acknowledged);
        let [first, second, third] = [(); 3].map(|()| queue.take().unwrap());
        assert_eq!(tags(&queue.give_back_unwritten()), [4], "the others are on their way");
        queue.failed(third, None, Instant::now());
        queue.unanswered(second, None, Instant::now());
        queue.failed(first, None, Instant::now());
        assert!(queue.drained(Instant::now()).is_none());
        assert_eq!(tags(&queue.give_back_unwritten()), [3]);
        let (first, second) = (queue.take().unwrap(), queue.take().unwrap());
        assert_eq!((tags(&first.parts), tags(&second.parts)), (vec![1], vec![2]));
        queue.succeeded(&first);
        queue.succeeded(&second);
        assert!(!queue.has_waiting() && queue.in_flight() == 0);
    }

    #[tokio::test(start_paused = true)]
    async fn small_neighbours_are_merged_and_large_ones_are_not() {
        let mut queue = queue([part(0, 10), part(1, 10), part(2, BIG), part(3, 10)]);
        let merged = queue.take().unwrap();
        assert_eq!((tags(&merged.parts), merged.batch.record_count()), (vec![0, 1], 2));
        queue.succeeded(&merged);
        assert_eq!(tags(&queue.take().unwrap().parts), [2]);
        let last = queue.take().unwrap();
        assert_eq!((tags(&last.parts), last.sequence), (vec![3], Some(3)));
    }

    #[tokio::test(start_paused = true)]
    async fn merging_is_undone_when_it_made_a_batch_too_large() {
        let mut queue = queue((0..10).map(|tag| part(tag, 10_000)));
        let merged = queue.take().unwrap();
        assert_eq!(merged.parts.len(), 10);
        queue.refused(merged, too_large(), Instant::now());
        assert!(
            queue.drained(Instant::now()).is_none(),
            "nothing is given back: it was our own doing"
        );
        let smaller = queue.take().unwrap();
        assert_eq!((smaller.sequence, smaller.parts[0].tag), (Some(0), 0));
        assert!(smaller.parts.len() < 10, "{} parts", smaller.parts.len());
    }

    #[tokio::test(start_paused = true)]
    async fn merging_is_undone_for_a_target_that_takes_only_tiny_batches() {
        let mut queue = queue([part(0, 2000), part(1, 2000)]);
        let merged = queue.take().unwrap();
        assert_eq!(merged.parts.len(), 2);
        queue.refused(merged, too_large(), Instant::now());
        assert!(
            queue.drained(Instant::now()).is_none(),
            "nothing is given back: it was our own doing"
        );
        assert_eq!(tags(&queue.take().unwrap().parts), [0]);
    }

    #[test]
    fn a_sequence_wraps_to_zero() {
        assert_eq!(advance_sequence(0, 5), 5);
        assert_eq!(advance_sequence(i32::MAX, 1), 0);
        assert_eq!(advance_sequence(i32::MAX - 1, 3), 1);
    }
}
