use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
};

use connect_api::{SourceOffset, SourcePartition};

/// What was sent and not yet stored: decides which source offsets may be committed (Java's `SubmittedRecords`).
///
/// Each source partition has a first-in-first-out queue of batches. The offset that may be stored is that of the last
/// batch of the acknowledged *prefix*: a batch that overtook an earlier one waits for it, so that a restart never
/// skips what was not written.
///
/// A refused batch and everything behind it leave the queue without being stored: the task is told, goes back to the
/// refused batch and submits it again.
#[derive(Debug, Default)]
pub struct SubmittedRecords {
    next_sequence: u64,
    /// By source partition, oldest first, ascending in `sequence`. No queue is empty.
    queues: HashMap<Arc<SourcePartition>, VecDeque<Submitted>>,
    /// Every batch whose outcome is not known, also those that have left their queue.
    in_flight: HashMap<u64, InFlight>,
    committable: CommittableOffsets,
}

#[derive(Debug)]
struct Submitted {
    sequence: u64,
    source_offset: SourceOffset,
    record_count: u64,
    acknowledged: bool,
}

#[derive(Debug)]
struct InFlight {
    source_partition: Arc<SourcePartition>,
    batch: BatchInfo,
}

/// What the worker keeps of a batch while it is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchInfo {
    /// The task's own name for it, which need not be unique.
    pub task_tag: u64,
    /// Its records.
    pub record_count: u64,
    /// Its bytes, as they are sent.
    pub size_bytes: u64,
}

/// The offsets that may be stored, and how many records they stand for.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct CommittableOffsets {
    /// Per source partition, in a fixed order.
    pub offsets: BTreeMap<Arc<SourcePartition>, SourceOffset>,
    /// Records acknowledged since the last snapshot.
    pub record_count: u64,
    /// Batches acknowledged since the last snapshot.
    pub batch_count: u64,
}

impl CommittableOffsets {
    /// Whether there is nothing to store.
    pub fn is_empty(&self) -> bool {
        self.offsets.is_empty()
    }

    /// Takes `newer` on top: what a failed commit kept meets what was acknowledged meanwhile.
    pub fn merge(&mut self, newer: CommittableOffsets) {
        self.offsets.extend(newer.offsets);
        self.record_count += newer.record_count;
        self.batch_count += newer.batch_count;
    }
}

impl SubmittedRecords {
    /// Remembers a batch on its way to the target. The answer names it from now on, in place of the task's tag.
    pub fn submit(
        &mut self,
        source_partition: Arc<SourcePartition>,
        source_offset: SourceOffset,
        batch: BatchInfo,
    ) -> u64 {
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        let submitted = Submitted {
            sequence,
            source_offset,
            record_count: batch.record_count,
            acknowledged: false,
        };
        self.queues
            .entry(source_partition.clone())
            .or_default()
            .push_back(submitted);
        self.in_flight.insert(
            sequence,
            InFlight {
                source_partition,
                batch,
            },
        );
        sequence
    }

    /// The batch was written. `None` if it is not in flight.
    pub fn acknowledge(&mut self, sequence: u64) -> Option<BatchInfo> {
        let InFlight {
            source_partition,
            batch,
        } = self.in_flight.remove(&sequence)?;
        let Some(queue) = self.queues.get_mut(&source_partition) else {
            return Some(batch);
        };
        if let Ok(index) = queue.binary_search_by_key(&sequence, |submitted| submitted.sequence) {
            queue[index].acknowledged = true;
        }
        while queue.front().is_some_and(|oldest| oldest.acknowledged) {
            let oldest = queue.pop_front().expect("the queue has a front, seen above");
            self.committable.record_count += oldest.record_count;
            self.committable.batch_count += 1;
            self.committable
                .offsets
                .insert(source_partition.clone(), oldest.source_offset);
        }
        if queue.is_empty() {
            self.queues.remove(&source_partition);
        }
        Some(batch)
    }

    /// The batch was refused: it and everything behind it in its queue are forgotten. `None` if it is not
    /// in flight.
    pub fn refuse(&mut self, sequence: u64) -> Option<BatchInfo> {
        let InFlight {
            source_partition,
            batch,
        } = self.in_flight.remove(&sequence)?;
        if let Some(queue) = self.queues.get_mut(&source_partition) {
            // Once a refused batch has left, the batches behind it have too: one that is refused after the task went
            // back and submitted again finds only newer ones, and those stay.
            if let Ok(index) = queue.binary_search_by_key(&sequence, |submitted| submitted.sequence) {
                queue.truncate(index);
            }
            if queue.is_empty() {
                self.queues.remove(&source_partition);
            }
        }
        Some(batch)
    }

    /// A batch in flight.
    pub(super) fn batch(&self, sequence: u64) -> Option<&BatchInfo> {
        self.in_flight.get(&sequence).map(|in_flight| &in_flight.batch)
    }

    /// Where a batch in flight comes from.
    pub(super) fn source_partition(&self, sequence: u64) -> Option<&Arc<SourcePartition>> {
        self.in_flight
            .get(&sequence)
            .map(|in_flight| &in_flight.source_partition)
    }

    /// Where a batch in flight comes from, and its source offset while that may still be stored.
    pub(super) fn source(&self, sequence: u64) -> Option<(&SourcePartition, SourceOffset)> {
        let source_partition = self.source_partition(sequence)?;
        let queue = self.queues.get(source_partition)?;
        let index = queue
            .binary_search_by_key(&sequence, |submitted| submitted.sequence)
            .ok()?;
        Some((source_partition, queue[index].source_offset))
    }

    /// What the next batch will be called.
    pub(super) fn next_sequence(&self) -> u64 {
        self.next_sequence
    }

    /// Batches whose outcome is not known.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Takes what may be stored now. The next call answers only with what was acknowledged since.
    pub fn take_committable(&mut self) -> CommittableOffsets {
        std::mem::take(&mut self.committable)
    }
}

#[cfg(test)]
mod tests {
    use connect_api::SourceValue;
    use proptest::prelude::*;

    use super::*;

    fn partition(number: i64) -> Arc<SourcePartition> {
        Arc::new(SourcePartition(vec![("partition", SourceValue::Int(number))]))
    }

    fn batch(task_tag: u64, record_count: u64) -> BatchInfo {
        BatchInfo {
            task_tag,
            record_count,
            size_bytes: 100,
        }
    }

    /// `check("s0 s1 a1 a0", &[(0, 1)])`: submit offsets 0 and 1 to partition 0, acknowledge both, expect offset 1.
    /// `S…` submits to partition 1; `r…` refuses; offsets double as tags.
    fn check(script: &str, expected: &[(i64, i64)]) {
        let mut records = SubmittedRecords::default();
        let mut sequences = HashMap::new();
        for step in script.split_whitespace() {
            let (action, offset) = step.split_at(1);
            let offset: i64 = offset.parse().expect("a number");
            match action {
                "s" | "S" => {
                    let number = i64::from(action == "S");
                    let sequence = records.submit(partition(number), SourceOffset(offset), batch(offset as u64, 1));
                    sequences.insert(offset, sequence);
                }
                "a" => assert_eq!(
                    records.acknowledge(sequences[&offset]),
                    Some(batch(offset as u64, 1)),
                    "{script}"
                ),
                "r" => assert_eq!(
                    records.refuse(sequences[&offset]),
                    Some(batch(offset as u64, 1)),
                    "{script}"
                ),
                other => panic!("unknown step {other}"),
            }
        }
        let expected: BTreeMap<_, _> = expected
            .iter()
            .map(|&(number, offset)| (partition(number), SourceOffset(offset)))
            .collect();
        assert_eq!(records.take_committable().offsets, expected, "{script}");
        assert!(
            records.take_committable().is_empty(),
            "{script}: a second snapshot repeats the first"
        );
    }

    #[test]
    fn nothing_is_committable_before_an_acknowledgement() {
        check("", &[]);
        check("s0 s1", &[]);
    }

    #[test]
    fn the_last_of_the_acknowledged_prefix_is_committable() {
        check("s0 a0", &[(0, 0)]);
        check("s0 s1 s2 a0 a1", &[(0, 1)]);
        check("s0 s1 a1 a0", &[(0, 1)]);
        check("s0 s1 s2 a0 a2", &[(0, 0)]);
    }

    #[test]
    fn a_batch_that_overtook_another_waits_for_it() {
        check("s0 s1 s2 a1 a2", &[]);
    }

    #[test]
    fn partitions_do_not_wait_for_each_other() {
        check("s0 S10 a10", &[(1, 10)]);
        check("s0 S10 s1 a10 a0", &[(0, 0), (1, 10)]);
    }

    #[test]
    fn nothing_from_the_first_refused_batch_on_is_stored() {
        check("s0 s1 s2 a0 r1 a2", &[(0, 0)]);
        check("s0 s1 s2 a2 r0 r1", &[]);
        check("s0 S10 r0 a10", &[(1, 10)]);
    }

    #[test]
    fn a_refused_batch_may_be_submitted_again() {
        check("s0 s1 r0 r1 s0 s1 a0 a1", &[(0, 1)]);
        // The second refusal arrives after the task has submitted the first batch again: that one stays.
        check("s0 s1 r0 s10 r1 a10", &[(0, 10)]);
    }

    #[test]
    fn an_unknown_sequence_changes_nothing() {
        let mut records = SubmittedRecords::default();
        assert_eq!(records.acknowledge(3), None);
        let sequence = records.submit(partition(0), SourceOffset(7), batch(99, 2));
        assert_eq!(records.acknowledge(sequence), Some(batch(99, 2)));
        assert_eq!(records.acknowledge(sequence), None);
        assert_eq!(records.refuse(sequence), None);
        let committable = records.take_committable();
        assert_eq!((committable.record_count, committable.batch_count), (2, 1));
    }

    #[test]
    fn a_kept_snapshot_takes_newer_offsets_on_top() {
        let mut kept = CommittableOffsets {
            offsets: [(partition(0), SourceOffset(1)), (partition(1), SourceOffset(5))].into(),
            record_count: 6,
            batch_count: 2,
        };
        kept.merge(CommittableOffsets {
            offsets: [(partition(0), SourceOffset(3))].into(),
            record_count: 2,
            batch_count: 1,
        });
        assert_eq!(
            kept.offsets,
            [(partition(0), SourceOffset(3)), (partition(1), SourceOffset(5))].into()
        );
        assert_eq!((kept.record_count, kept.batch_count), (8, 3));
    }

    /// The same promises by brute force: one list of everything ever submitted, rescanned at each snapshot.
    #[derive(Default)]
    struct Model(Vec<(i64, i64, State)>);

    #[derive(Clone, Copy, PartialEq)]
    enum State {
        Waiting,
        Acknowledged,
        Forgotten,
    }

    impl Model {
        fn committable(&self, number: i64) -> Option<i64> {
            let own = self
                .0
                .iter()
                .filter(|(n, _, state)| *n == number && *state != State::Forgotten);
            own.take_while(|(_, _, state)| *state == State::Acknowledged)
                .last()
                .map(|(_, offset, _)| *offset)
        }
    }

    #[derive(Debug, Clone)]
    enum Step {
        Submit(i64),
        Acknowledge(prop::sample::Index),
        Refuse(prop::sample::Index),
        Snapshot,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (0..3_i64).prop_map(Step::Submit),
            4 => any::<prop::sample::Index>().prop_map(Step::Acknowledge),
            1 => any::<prop::sample::Index>().prop_map(Step::Refuse),
            1 => Just(Step::Snapshot),
        ]
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_list_of_everything(steps in prop::collection::vec(step(), 0..200)) {
            let mut records = SubmittedRecords::default();
            let mut model = Model::default();
            let mut waiting: Vec<u64> = Vec::new();
            let mut stored: BTreeMap<i64, i64> = BTreeMap::new();
            for (offset, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Submit(number) => {
                        let sequence =
                            records.submit(partition(number), SourceOffset(offset as i64), batch(offset as u64, 1));
                        prop_assert_eq!(sequence as usize, model.0.len());
                        model.0.push((number, offset as i64, State::Waiting));
                        waiting.push(sequence);
                    }
                    Step::Acknowledge(index) if !waiting.is_empty() => {
                        let sequence = waiting.swap_remove(index.index(waiting.len()));
                        let entry = &mut model.0[sequence as usize];
                        prop_assert_eq!(records.acknowledge(sequence), Some(batch(entry.1 as u64, 1)));
                        if entry.2 == State::Waiting {
                            entry.2 = State::Acknowledged;
                        }
                    }
                    Step::Refuse(index) if !waiting.is_empty() => {
                        let sequence = waiting.swap_remove(index.index(waiting.len()));
                        let (number, _, state) = model.0[sequence as usize];
                        prop_assert!(records.refuse(sequence).is_some());
                        if state == State::Waiting {
                            let behind = model.0[sequence as usize..].iter_mut();
                            behind.filter(|entry| entry.0 == number).for_each(|entry| entry.2 = State::Forgotten);
                        }
                    }
                    _ => {
                        for (partition, offset) in records.take_committable().offsets {
                            let SourceValue::Int(number) = partition.0[0].1 else { unreachable!() };
                            stored.insert(number, offset.0);
                        }
                        for number in 0..3 {
                            prop_assert_eq!(stored.get(&number).copied(), model.committable(number));
                        }
                    }
                }
                prop_assert_eq!(records.in_flight(), waiting.len());
                let acknowledged = model.0.iter().filter(|entry| entry.2 == State::Waiting).count();
                prop_assert!(records.queues.values().map(VecDeque::len).sum::<usize>() >= acknowledged);
                prop_assert!(records.queues.values().all(|queue| !queue.is_empty()));
            }
        }
    }
}
