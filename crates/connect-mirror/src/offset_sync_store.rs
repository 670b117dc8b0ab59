//! What is known of the way from source offsets to target offsets, out of the offset-syncs topic.
//!
//! Two answers are kept for each partition and the better one counts: that of [`SyncSlots`], which is Kafka's own, and
//! that of [`OffsetRuns`], which is exact wherever it can be.

use std::collections::{BTreeSet, HashMap};

use kafka_wire::TopicPartition;

use crate::{
    offset_runs::{Carried, OffsetRuns},
    offset_sync_writer::Point,
    records::OffsetSync,
    sync_slots::SyncSlots,
};

/// Where a group may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Translation {
    /// Nothing is known of the partition yet.
    Unknown,
    /// The group is behind everything that is known.
    TooOld,
    /// At this offset of the target.
    At(i64),
}

/// See the module.
#[derive(Debug)]
pub(crate) struct OffsetSyncStore {
    partitions: HashMap<TopicPartition, Partition>,
    /// Of the syncs read before the end was reached, only the last of each partition counts for [`SyncSlots`]: nobody
    /// knows which checkpoints older ones have led to.
    must_read_to_end: bool,
    is_read_to_end: bool,
    next_log_offset: Option<i64>,
    /// How often records of the topic were found missing: compaction took them, or retention.
    gaps: u64,
    /// Partitions whose copy is not the one it was, as was seen since the end was reached.
    renewed: BTreeSet<TopicPartition>,
}

#[derive(Debug)]
struct Partition {
    slots: SyncSlots,
    runs: OffsetRuns,
    newest: Point,
    /// `gaps` at its last sync.
    gaps: u64,
}

impl OffsetSyncStore {
    pub(crate) fn new(must_read_to_end: bool) -> Self {
        Self {
            partitions: HashMap::new(),
            must_read_to_end,
            is_read_to_end: false,
            next_log_offset: None,
            gaps: 0,
            renewed: BTreeSet::new(),
        }
    }

    /// Notes that the topic has a record at `log_offset`, whatever is in it.
    pub(crate) fn passed(&mut self, log_offset: i64) {
        if self.next_log_offset.is_some_and(|expected| expected != log_offset) {
            self.gaps += 1;
        }
        self.next_log_offset = Some(log_offset.saturating_add(1));
    }

    /// Takes the sync that was just [`passed`](Self::passed).
    pub(crate) fn apply(&mut self, sync: OffsetSync, carried: Carried) {
        let point = Point {
            upstream: sync.upstream_offset,
            downstream: sync.downstream_offset,
        };
        let (gaps, is_initial) = (self.gaps, self.must_read_to_end && !self.is_read_to_end);
        let Some(partition) = self.partitions.get_mut(&sync.topic_partition) else {
            let mut partition = Partition {
                slots: SyncSlots::new(point),
                runs: OffsetRuns::default(),
                newest: point,
                gaps,
            };
            partition.learn(point, carried, false);
            self.partitions.insert(sync.topic_partition, partition);
            return;
        };
        // The target cannot go back: it is another one, and Kafka's older points would lead astray.
        let is_other_target = point.downstream < partition.newest.downstream;
        if is_initial || is_other_target {
            partition.slots = SyncSlots::new(point);
            if carried == Carried::Nothing {
                partition.runs.clear();
            }
        } else {
            partition.slots.add(point);
        }
        if is_other_target && self.is_read_to_end {
            self.renewed.insert(sync.topic_partition);
        }
        let follows = partition.gaps == gaps;
        partition.newest = point;
        partition.gaps = gaps;
        partition.learn(point, carried, follows);
    }

    /// Partitions whose copy was lost since this was asked last: what was said of it holds no more.
    pub(crate) fn take_renewed(&mut self) -> BTreeSet<TopicPartition> {
        std::mem::take(&mut self.renewed)
    }

    /// From now on there are answers.
    pub(crate) fn reached_end(&mut self) {
        self.is_read_to_end = true;
    }

    /// Where a group that stands at source offset `upstream` may go on. `may_join`: the topic is not one that has holes.
    pub(crate) fn translate(&self, partition: &TopicPartition, upstream: i64, may_join: bool) -> Translation {
        let known = self.partitions.get(partition).filter(|_| self.is_read_to_end);
        let Some(partition) = known else {
            return Translation::Unknown;
        };
        let exact = partition.runs.translate(upstream, may_join);
        let better = exact.max(partition.slots.translate(upstream));
        better.map_or(Translation::TooOld, Translation::At)
    }

    /// How many records at most the answer of [`Self::translate`] is behind the next one; `None`: nobody can tell.
    pub(crate) fn behind(&self, partition: &TopicPartition, upstream: i64, may_join: bool) -> Option<i64> {
        let partition = self.partitions.get(partition)?;
        let exact = partition.runs.translate(upstream, may_join)?;
        let better = partition
            .slots
            .translate(upstream)
            .map_or(0, |slots| (slots - exact).max(0));
        Some((partition.runs.behind(upstream, may_join)? - better).max(0))
    }

    /// What is known of the copies of a partition.
    pub(crate) fn runs(&self, partition: &TopicPartition) -> Option<&OffsetRuns> {
        self.partitions.get(partition).map(|known| &known.runs)
    }

    /// Whether `downstream` is where the copies of a partition end, as far as is known.
    pub(crate) fn is_end(&self, partition: &TopicPartition, downstream: i64) -> bool {
        let end = self.runs(partition).and_then(OffsetRuns::end);
        end.is_some_and(|end| end.downstream == downstream)
    }

    /// What is known of the copies of a partition, to add to.
    pub(crate) fn runs_mut(&mut self, partition: &TopicPartition) -> Option<&mut OffsetRuns> {
        self.partitions.get_mut(partition).map(|known| &mut known.runs)
    }

    /// The runs of each partition, for a writer that carries them on.
    pub(crate) fn into_runs(self) -> HashMap<TopicPartition, OffsetRuns> {
        let runs = self
            .partitions
            .into_iter()
            .map(|(name, partition)| (name, partition.runs));
        runs.filter(|(_, runs)| !runs.is_empty()).collect()
    }

    /// How many partitions have syncs.
    pub(crate) fn len(&self) -> usize {
        self.partitions.len()
    }
}

impl Partition {
    fn learn(&mut self, point: Point, carried: Carried, follows: bool) {
        match carried {
            Carried::Nothing => self.runs.sync(point, follows),
            Carried::Later => {}
            Carried::Runs(carried) => self.runs.apply(carried),
        }
    }
}
