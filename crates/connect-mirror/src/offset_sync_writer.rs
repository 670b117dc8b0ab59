//! Which acknowledged records become offset syncs, and which of them is sent next.
//!
//! Kafka's `OffsetSyncWriter` decides record by record. Here the unit is the [`Run`]: records that follow each other
//! without a hole on both sides, so that the decision is arithmetic. What the batch form keeps of the per-record form:
//!
//! * the state after a run is the same, so is what is pending and what is delayed when nothing could be sent meanwhile;
//! * the first record of a run is emitted whenever Kafka would emit it (first record, gap, rewind, lag);
//! * of the further records of a run, which only the lag can trigger, the last one triggered is emitted. Kafka would
//!   also have emitted each `offset.lag.max + 1`th record before it: a group that stands inside a run is translated to
//!   an earlier sync than in Kafka until it has read the run.

use std::collections::VecDeque;

use crate::offset_runs::OffsetRuns;

/// `count` records, upstream `[upstream, upstream + count)`, written to downstream `[downstream, downstream + count)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    /// Offset of the first record on the source cluster.
    pub(crate) upstream: i64,
    /// Offset of the first record on the target cluster.
    pub(crate) downstream: i64,
    /// How many records, at least one.
    pub(crate) count: u32,
}

impl Run {
    fn point(&self, delta: i64) -> Point {
        Point {
            upstream: self.upstream + delta,
            downstream: self.downstream + delta,
        }
    }

    fn last_delta(&self) -> i64 {
        i64::from(self.count.max(1)) - 1
    }
}

/// One upstream offset and where it is downstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Point {
    /// Offset on the source cluster.
    pub(crate) upstream: i64,
    /// Offset on the target cluster.
    pub(crate) downstream: i64,
}

/// When a record of one partition is worth a sync: Kafka's `PartitionState`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Emission {
    previous: Option<Point>,
    last_sync_downstream: Option<i64>,
}

impl Emission {
    /// The points of `run` to be emitted: its first record, then the last that the lag triggers.
    fn observe(&mut self, run: Run, offset_lag_max: i64) -> [Option<Point>; 2] {
        let first = run.point(0);
        let first_is_due = self.is_due(first, offset_lag_max);
        if first_is_due {
            self.last_sync_downstream = Some(first.downstream);
        }
        let by_lag = self.last_due_by_lag(run, offset_lag_max);
        if let Some(point) = by_lag {
            self.last_sync_downstream = Some(point.downstream);
        }
        self.previous = Some(run.point(run.last_delta()));
        [first_is_due.then_some(first), by_lag]
    }

    fn is_due(&self, at: Point, offset_lag_max: i64) -> bool {
        let (Some(previous), Some(last_sync)) = (self.previous, self.last_sync_downstream) else {
            return true;
        };
        let lags = at.downstream.saturating_sub(last_sync.saturating_add(1)) >= offset_lag_max;
        let upstream_jumped = at.upstream.wrapping_sub(previous.upstream) != 1;
        let downstream_went_back = at.downstream < previous.downstream;
        lags || upstream_jumped || downstream_went_back
    }

    /// Inside a run neither side jumps, so the lag alone decides: every `lag + 1`th record after the last sync.
    fn last_due_by_lag(&self, run: Run, offset_lag_max: i64) -> Option<Point> {
        let step = offset_lag_max.max(0).saturating_add(1);
        let last_sync = self.last_sync_downstream?;
        let next_due = last_sync.checked_add(step)?.max(run.downstream.saturating_add(1));
        let last_downstream = run.downstream + run.last_delta();
        if next_due > last_downstream {
            return None;
        }
        let due = next_due + (last_downstream - next_due) / step * step;
        Some(run.point(due - run.downstream))
    }
}

/// Per partition the newest sync that waits to be sent and the newest that need not be sent yet.
#[derive(Debug, Default)]
struct Partition {
    emission: Emission,
    pending: Option<Point>,
    delayed: Option<Point>,
    /// All that was acknowledged in this task's life.
    seen: OffsetRuns,
}

/// Collects the syncs of a task. Partitions are numbered by the task.
///
/// It never waits: `send` is offered the oldest pending sync, with all runs of its partition, and answers `false` when there is no room; the sync then
/// stays, and a newer one of its partition takes its place in the order.
#[derive(Debug)]
pub(crate) struct OffsetSyncWriter {
    offset_lag_max: i64,
    partitions: Vec<Partition>,
    pending_order: VecDeque<usize>,
}

impl OffsetSyncWriter {
    /// A writer for partitions `0..partitions`, none of which has been synced in this task's life.
    pub(crate) fn new(partitions: usize, offset_lag_max: i64) -> Self {
        let partitions = std::iter::repeat_with(Partition::default).take(partitions).collect();
        Self {
            offset_lag_max,
            partitions,
            pending_order: VecDeque::new(),
        }
    }

    /// Records that the target has acknowledged, in upstream order within a partition.
    pub(crate) fn acknowledged(
        &mut self,
        partition: usize,
        run: Run,
        mut send: impl FnMut(usize, Point, &OffsetRuns) -> bool,
    ) {
        self.partitions[partition].seen.acknowledged(run);
        let emitted = self.partitions[partition].emission.observe(run, self.offset_lag_max);
        for point in emitted.into_iter().flatten() {
            self.set_pending(partition, point);
            self.send_pending(&mut send);
        }
        let last = run.point(run.last_delta());
        let last_was_emitted = emitted.into_iter().flatten().last() == Some(last);
        self.partitions[partition].delayed = (!last_was_emitted).then_some(last);
    }

    /// Makes the delayed syncs pending: once per task commit, so that a quiet partition's last offset is known too
    /// (KAFKA-15906).
    pub(crate) fn promote_delayed(&mut self) {
        for partition in 0..self.partitions.len() {
            if let Some(point) = self.partitions[partition].delayed.take() {
                self.set_pending(partition, point);
            }
        }
    }

    /// Makes the last point of each partition pending: the topic has lost what it held.
    pub(crate) fn promote_all(&mut self) {
        for partition in 0..self.partitions.len() {
            self.partitions[partition].delayed = None;
            if let Some(point) = self.partitions[partition].emission.previous {
                self.set_pending(partition, point);
            }
        }
    }

    /// Offers the pending syncs, oldest first, until `send` has no more room.
    pub(crate) fn send_pending(&mut self, mut send: impl FnMut(usize, Point, &OffsetRuns) -> bool) {
        while let Some(&partition) = self.pending_order.front() {
            let point = self.partitions[partition]
                .pending
                .expect("a queued partition has a pending sync");
            if !send(partition, point, &self.partitions[partition].seen) {
                return;
            }
            self.partitions[partition].pending = None;
            self.pending_order.pop_front();
        }
    }

    /// Whether a sync waits for room.
    pub(crate) fn has_pending(&self) -> bool {
        !self.pending_order.is_empty()
    }

    fn set_pending(&mut self, partition: usize, point: Point) {
        if self.partitions[partition].pending.replace(point).is_none() {
            self.pending_order.push_back(partition);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;

    /// Kafka's rule as mirror-source §10 words it, record by record. The batch form is held against it.
    struct PerRecord {
        offset_lag_max: i64,
        previous_upstream: i64,
        previous_downstream: i64,
        last_sync_downstream: i64,
        emitted: Vec<Point>,
        delayed: Option<Point>,
    }

    impl PerRecord {
        fn new(offset_lag_max: i64) -> Self {
            Self {
                offset_lag_max,
                previous_upstream: -1,
                previous_downstream: -1,
                last_sync_downstream: -1,
                emitted: Vec::new(),
                delayed: None,
            }
        }

        fn record(&mut self, upstream: i64, downstream: i64) {
            let due = self.last_sync_downstream == -1
                || downstream - (self.last_sync_downstream + 1) >= self.offset_lag_max
                || upstream - self.previous_upstream != 1
                || downstream < self.previous_downstream;
            let point = Point { upstream, downstream };
            if due {
                self.last_sync_downstream = downstream;
                self.delayed = None;
                self.emitted.push(point);
            } else {
                self.delayed = Some(point);
            }
            self.previous_upstream = upstream;
            self.previous_downstream = downstream;
        }
    }

    #[derive(Deserialize)]
    struct Golden {
        scenarios: Vec<Scenario>,
    }

    #[derive(Deserialize)]
    struct Scenario {
        name: String,
        #[serde(rename = "offset.lag.max")]
        offset_lag_max: i64,
        #[serde(rename = "steps [upstream, downstream, queued for immediate send]")]
        steps: Vec<(i64, i64, bool)>,
        #[serde(rename = "delayed at the end")]
        delayed: Vec<(i64, i64)>,
    }

    #[test]
    fn single_records_are_emitted_and_delayed_as_in_kafka() {
        let golden: Golden = serde_json::from_str(include_str!("../testdata/golden-offset-sync-writer.json")).unwrap();
        assert!(!golden.scenarios.is_empty());
        for scenario in golden.scenarios {
            let mut writer = OffsetSyncWriter::new(1, scenario.offset_lag_max);
            for (upstream, downstream, queued) in scenario.steps {
                let mut sent = Vec::new();
                writer.acknowledged(
                    0,
                    Run {
                        upstream,
                        downstream,
                        count: 1,
                    },
                    |_, point, _| {
                        sent.push(point);
                        true
                    },
                );
                let expected = if queued {
                    vec![Point { upstream, downstream }]
                } else {
                    vec![]
                };
                assert_eq!(sent, expected, "{}: record {upstream} -> {downstream}", scenario.name);
            }
            let delayed: Vec<_> = writer.partitions[0]
                .delayed
                .iter()
                .map(|p| (p.upstream, p.downstream))
                .collect();
            assert_eq!(delayed, scenario.delayed, "{}: delayed at the end", scenario.name);
        }
    }

    /// Runs as acknowledgements bring them: gaps and rewinds upstream, markers and truncations downstream.
    fn runs() -> impl Strategy<Value = Vec<Run>> {
        let upstream_jump = prop_oneof![4 => Just(0i64), 1 => 1..50i64, 1 => -40..0i64];
        let downstream_jump = prop_oneof![4 => Just(0i64), 1 => 1..300i64, 1 => -30..0i64];
        let step = (upstream_jump, downstream_jump, 1..400u32);
        prop::collection::vec(step, 1..40).prop_map(|steps| {
            let (mut upstream, mut downstream) = (100i64, 100i64);
            let mut runs = Vec::new();
            for (up, down, count) in steps {
                upstream = (upstream + up).max(0);
                downstream = (downstream + down).max(0);
                runs.push(Run {
                    upstream,
                    downstream,
                    count,
                });
                upstream += i64::from(count);
                downstream += i64::from(count);
            }
            runs
        })
    }

    proptest! {
        #[test]
        fn runs_leave_what_single_records_would_leave(runs in runs(), offset_lag_max in -2..150i64) {
            let mut writer = OffsetSyncWriter::new(1, offset_lag_max);
            let mut model = PerRecord::new(offset_lag_max);
            for run in runs {
                let before = model.emitted.len();
                for delta in 0..i64::from(run.count) {
                    model.record(run.upstream + delta, run.downstream + delta);
                }
                let by_record = &model.emitted[before..];
                let mut expected = Vec::new();
                if by_record.first().is_some_and(|first| first.upstream == run.upstream) {
                    expected.push(by_record[0]);
                }
                if let Some(last) = by_record.last() && last.upstream != run.upstream {
                    expected.push(*last);
                }
                let mut sent = Vec::new();
                writer.acknowledged(0, run, |_, point, _| { sent.push(point); true });
                prop_assert_eq!(sent, expected);
                prop_assert_eq!(writer.partitions[0].delayed, model.delayed);
            }
        }

        #[test]
        fn without_room_the_newest_sync_of_each_partition_stays_pending(runs in runs(), offset_lag_max in -2..150i64) {
            let mut writer = OffsetSyncWriter::new(1, offset_lag_max);
            let mut model = PerRecord::new(offset_lag_max);
            for run in runs {
                writer.acknowledged(0, run, |_, _, _| false);
                for delta in 0..i64::from(run.count) {
                    model.record(run.upstream + delta, run.downstream + delta);
                }
            }
            let newest = model.emitted.last().copied();
            prop_assert_eq!(writer.partitions[0].pending, newest);
            writer.promote_delayed();
            let mut sent = Vec::new();
            writer.send_pending(|_, point, _| { sent.push(point); true });
            prop_assert_eq!(sent, vec![model.delayed.or(newest).unwrap()]);
        }
    }

    #[test]
    fn pending_syncs_leave_in_the_order_of_their_partitions_first_arrival() {
        let mut writer = OffsetSyncWriter::new(3, 0);
        for (partition, offset) in [(2, 0), (0, 0), (2, 1)] {
            writer.acknowledged(
                partition,
                Run {
                    upstream: offset,
                    downstream: offset,
                    count: 1,
                },
                |_, _, _| false,
            );
        }
        let mut room = 1;
        let mut sent = Vec::new();
        let mut send = |partition, point: Point, _: &OffsetRuns| {
            if room == 0 {
                return false;
            }
            room -= 1;
            sent.push((partition, point.upstream));
            true
        };
        writer.send_pending(&mut send);
        assert!(writer.has_pending());
        assert_eq!(sent, vec![(2, 1)], "a newer sync takes the place of an older one");
    }
}
