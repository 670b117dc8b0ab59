//! Where the records of one source partition are on the target, as runs: records that follow each other without a hole
//! on both sides. Within a run any offset translates exactly. Format, bounds and proof: docs/OFFSET-TRANSLATION.md.
//!
//! Pure. What is kept is bounded: of the older runs so many are dropped that a group is never sent further back than it
//! has still to read.

use kafka_wire::Headers;

use crate::offset_sync_writer::{Point, Run};

/// The header of an offset sync that carries what its writer knows. Kafka's readers look at key and value only.
pub(crate) const RUNS_HEADER: &[u8] = b"heliograph.runs";

/// The newest runs are kept as they are.
const NEWEST_RUNS: usize = 32;
/// More are thinned out down to [`KEPT_RUNS`].
const MAX_RUNS: usize = 128;
/// Two for each doubling of the distance to the end, up to 2^32 records away, beside the newest.
const KEPT_RUNS: usize = 96;
/// A writer that keeps more is not ours: nobody's bytes size an allocation.
const MAX_ENCODED_RUNS: u64 = 1024;

const VERSION: u8 = 1;
const FLAG_COMPLETE: u8 = 1;
const FLAG_HOLES: u8 = 2;

/// Records `[upstream, upstream + count)` of the source are `[downstream, downstream + count)` on the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stretch {
    upstream: i64,
    downstream: i64,
    count: i64,
    /// Behind its first record only the distance says that there is no hole: see [`OffsetRuns::sync`].
    is_joined: bool,
}

impl Stretch {
    fn upstream_end(&self) -> i64 {
        self.upstream.saturating_add(self.count)
    }

    fn downstream_end(&self) -> i64 {
        self.downstream.saturating_add(self.count)
    }

    fn distance(&self) -> i64 {
        self.downstream.wrapping_sub(self.upstream)
    }
}

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct OffsetRuns {
    /// Rising and apart, upstream and downstream.
    runs: Vec<Stretch>,
    /// The source was seen to have holes: equal distances prove nothing any more.
    has_holes: bool,
}

impl OffsetRuns {
    /// Adds records that the target has acknowledged.
    pub(crate) fn acknowledged(&mut self, run: Run) {
        self.push(Stretch {
            upstream: run.upstream,
            downstream: run.downstream,
            count: i64::from(run.count),
            is_joined: false,
        });
        self.thin_out();
    }

    /// Adds an offset sync of someone who does not say what is between it and the one before it.
    ///
    /// Equal distances mean that there are as many offsets between the two on either side: no hole and no repeat, or
    /// as many holes as repeats. The second is not possible without holes at the source. `follows`: no sync of the
    /// partition was lost in between, as far as can be seen.
    pub(crate) fn sync(&mut self, point: Point, follows: bool) {
        if follows {
            self.join_up_to(point);
        }
        self.push(Stretch {
            upstream: point.upstream,
            downstream: point.downstream,
            count: 1,
            is_joined: false,
        });
        self.thin_out();
    }

    /// This, and what a later life of the mirror saw. Between the end of this and its first record nobody was looking.
    pub(crate) fn continued_by(&self, later: &Self) -> Self {
        let mut all = self.clone();
        all.has_holes |= later.has_holes;
        if let Some(first) = later.runs.first() {
            all.join_up_to(Point {
                upstream: first.upstream,
                downstream: first.downstream,
            });
        }
        for run in &later.runs {
            all.push(*run);
        }
        all.thin_out();
        all
    }

    /// The last record that is known.
    pub(crate) fn last(&self) -> Option<Point> {
        let last = self.runs.last()?;
        Some(Point {
            upstream: last.upstream + last.count - 1,
            downstream: last.downstream + last.count - 1,
        })
    }

    /// Replaces or continues what is known by what a sync carries.
    pub(crate) fn apply(&mut self, carried: CarriedRuns) {
        if carried.is_complete {
            *self = carried.runs;
            return;
        }
        if let Some(first) = carried.runs.runs.first() {
            // Syncs of one life repeat each other.
            self.forget(|run| first.upstream.saturating_sub(run.upstream));
            self.forget(|run| first.downstream.saturating_sub(run.downstream));
        }
        *self = self.continued_by(&carried.runs);
    }

    /// The target offset from which a reader of source offset `upstream` may go on: never behind a record that it has
    /// not read. `None`: what is known begins later. `may_join`: the source is not known to have holes.
    pub(crate) fn translate(&self, upstream: i64, may_join: bool) -> Option<i64> {
        let begun = self.runs.partition_point(|run| run.upstream <= upstream);
        let Some(run) = self.runs[..begun].last() else {
            // Before the target's first offset there is nothing to skip.
            return self.runs.first().filter(|first| first.downstream == 0).map(|_| 0);
        };
        let read = (upstream - run.upstream).min(run.count);
        let is_known = !run.is_joined || (may_join && !self.has_holes);
        // Where a joined stretch begins, nothing need be: a hole, and what follows it lies there.
        Some(run.downstream.saturating_add(if is_known { read } else { 0 }))
    }

    /// How many records at most the answer for `upstream` is behind the next one; `None`: there is no answer.
    pub(crate) fn behind(&self, upstream: i64, may_join: bool) -> Option<i64> {
        let begun = self.runs.partition_point(|run| run.upstream <= upstream);
        let Some(run) = self.runs[..begun].last() else {
            return self.runs.first().filter(|first| first.downstream == 0).map(|_| 0);
        };
        let answer = self.translate(upstream, may_join)?;
        let is_known = !run.is_joined || (may_join && !self.has_holes);
        if is_known && upstream < run.upstream_end() {
            return Some(0);
        }
        let next = self.runs.get(begun).map(|next| next.downstream);
        // Behind the last run there may be copies that are not synced yet: no more than the group has read there.
        let limit = next.unwrap_or_else(|| {
            let read = upstream.saturating_sub(run.upstream_end()).max(0);
            run.downstream_end().saturating_add(read)
        });
        Some(limit.saturating_sub(answer).max(0))
    }

    /// The source offset from which a reader of target offset `downstream` may go on there: never behind a record whose
    /// copy it has not read. With it, how many records at most are read again. `None`: what is known begins later.
    pub(crate) fn translate_back(&self, downstream: i64, may_join: bool) -> Option<(i64, i64)> {
        let begun = self.runs.partition_point(|run| run.downstream <= downstream);
        let Some(run) = self.runs[..begun].last() else {
            let first = self.runs.first().filter(|first| first.upstream == 0);
            return first.map(|_| (0, downstream.max(0)));
        };
        let is_known = !run.is_joined || (may_join && !self.has_holes);
        // What is there of a joined stretch, its first offset included, may be anything.
        let read = if is_known {
            (downstream - run.downstream).min(run.count)
        } else {
            0
        };
        // Behind a run there may be copies from before a crash, and records of others.
        let again = downstream - run.downstream - read;
        Some((run.upstream.saturating_add(read), again))
    }

    /// Target offsets from `from` on and before `end` that no run covers: records of others, repeats, markers.
    pub(crate) fn not_copies(&self, from: i64, end: i64) -> i64 {
        let span = end.saturating_sub(from).max(0);
        let covered = |run: &Stretch| (run.downstream_end().min(end) - run.downstream.max(from)).max(0);
        span - self.runs.iter().map(covered).sum::<i64>()
    }

    /// Target offsets behind the first run and before `end` that no run covers.
    pub(crate) fn gaps(&self, end: i64) -> Vec<std::ops::Range<i64>> {
        let starts = self.runs.iter().skip(1).map(|run| run.downstream).chain([end]);
        let gaps = self
            .runs
            .iter()
            .zip(starts)
            .map(|(run, next)| run.downstream_end()..next);
        gaps.filter(|gap| !gap.is_empty()).collect()
    }

    /// Where the last run ends, on both sides.
    pub(crate) fn end(&self) -> Option<Point> {
        self.runs.last().map(|last| Point {
            upstream: last.upstream_end(),
            downstream: last.downstream_end(),
        })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Fills the stretch before `point` if equal distances speak for it.
    fn join_up_to(&mut self, point: Point) {
        let Some(last) = self.runs.last_mut() else { return };
        let gap = point.upstream.saturating_sub(last.upstream_end());
        let is_dense = point.downstream.wrapping_sub(point.upstream) == last.distance();
        if gap <= 0 || !is_dense || self.has_holes {
            return;
        }
        if last.is_joined || last.count == 1 {
            last.is_joined = true;
            last.count = last.count.saturating_add(gap);
            return;
        }
        let joined = Stretch {
            upstream: last.upstream_end(),
            downstream: last.downstream_end(),
            count: gap,
            is_joined: true,
        };
        self.runs.push(joined);
    }

    fn push(&mut self, run: Stretch) {
        if run.upstream < 0 || run.downstream < 0 || run.count < 1 {
            return;
        }
        if let Some(last) = self.runs.last()
            && run.downstream < last.downstream_end()
        {
            let is_same_end = run.upstream_end() == last.upstream_end() && run.distance() == last.distance();
            if run.count > 1 || !is_same_end {
                // The target lost records or is another one: what was known of it is of no use.
                self.clear();
                self.runs.push(run);
            }
            return;
        }
        // The source went back: records from here on are written anew.
        self.forget(|known| run.upstream.saturating_sub(known.upstream));
        let Some(last) = self.runs.last_mut() else {
            self.runs.push(run);
            return;
        };
        let continues = last.upstream_end() == run.upstream && last.downstream_end() == run.downstream;
        if continues && (last.is_joined == run.is_joined || (last.is_joined && run.count == 1)) {
            last.count = last.count.saturating_add(run.count);
            return;
        }
        self.has_holes |= run.distance() < last.distance();
        self.runs.push(run);
    }

    /// Cuts the newest runs down to as many records as `left` says.
    fn forget(&mut self, left: impl Fn(&Stretch) -> i64) {
        while let Some(last) = self.runs.last_mut() {
            let left = left(last);
            if left > 0 {
                last.count = last.count.min(left);
                return;
            }
            self.runs.pop();
        }
    }

    /// Drops runs until there are few enough: the oldest that leave nobody further behind than his way to the end.
    fn thin_out(&mut self) {
        if self.runs.len() <= MAX_RUNS {
            return;
        }
        let mut excess = self.runs.len() - KEPT_RUNS;
        let newest = self.runs.len() - NEWEST_RUNS;
        let end = self.runs.last().map_or(0, Stretch::downstream_end);
        let to_end = |downstream: i64| end.saturating_sub(downstream);
        let mut kept: Vec<Stretch> = Vec::with_capacity(MAX_RUNS);
        for pair in self.runs[..=newest].windows(2) {
            let (run, after) = (pair[0], pair[1]);
            let leaves_nobody_far_behind =
                |before: &Stretch| to_end(before.downstream_end()) <= to_end(after.downstream).saturating_mul(2);
            if excess > 0 && kept.last().is_some_and(leaves_nobody_far_behind) {
                excess -= 1;
            } else {
                kept.push(run);
            }
        }
        kept.drain(..excess.min(kept.len()));
        kept.extend_from_slice(&self.runs[newest..]);
        self.runs = kept;
    }
}

/// Runs as an offset sync carries them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CarriedRuns {
    pub(crate) runs: OffsetRuns,
    /// They take the place of all that was known before; else they are only what the writer saw itself.
    pub(crate) is_complete: bool,
}

impl CarriedRuns {
    /// The value of the header: a version, flags, the number of runs, then each as distances from the one before.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let complete = if self.is_complete { FLAG_COMPLETE } else { 0 };
        let holes = if self.runs.has_holes { FLAG_HOLES } else { 0 };
        let mut bytes = vec![VERSION, complete | holes];
        put_varint(&mut bytes, self.runs.runs.len() as u64);
        let (mut upstream, mut downstream) = (0, 0);
        for run in &self.runs.runs {
            put_varint(&mut bytes, run.upstream.wrapping_sub(upstream) as u64);
            put_varint(&mut bytes, run.downstream.wrapping_sub(downstream) as u64);
            put_varint(&mut bytes, (run.count as u64) << 1 | u64::from(run.is_joined));
            (upstream, downstream) = (run.upstream_end(), run.downstream_end());
        }
        bytes
    }

    /// Reads the header's value. `None`: not one that we can read, or one that contradicts itself.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let [VERSION, flags, rest @ ..] = bytes else {
            return None;
        };
        let mut rest = rest;
        let count = take_varint(&mut rest).filter(|count| *count <= MAX_ENCODED_RUNS)?;
        let mut runs = Vec::new();
        let (mut upstream, mut downstream) = (0i64, 0i64);
        for _ in 0..count {
            upstream = upstream.checked_add(i64::try_from(take_varint(&mut rest)?).ok()?)?;
            downstream = downstream.checked_add(i64::try_from(take_varint(&mut rest)?).ok()?)?;
            let length = take_varint(&mut rest)?;
            let run = Stretch {
                upstream,
                downstream,
                count: i64::try_from(length >> 1).ok().filter(|count| *count > 0)?,
                is_joined: length & 1 == 1,
            };
            upstream = upstream.checked_add(run.count)?;
            downstream = downstream.checked_add(run.count)?;
            runs.push(run);
        }
        let mut runs = OffsetRuns {
            runs,
            has_holes: flags & FLAG_HOLES != 0,
        };
        runs.thin_out();
        Some(Self {
            runs,
            is_complete: flags & FLAG_COMPLETE != 0,
        })
    }
}

/// What the headers of an offset sync say of runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Carried {
    /// Nothing: Kafka wrote it, or someone whom we do not understand.
    Nothing,
    /// A later sync of the same batch tells.
    Later,
    /// This.
    Runs(CarriedRuns),
}

impl Carried {
    pub(crate) fn of(headers: &Headers<'_>) -> Self {
        match headers.last(RUNS_HEADER) {
            None => Self::Nothing,
            Some(None) => Self::Later,
            Some(Some(bytes)) => CarriedRuns::decode(bytes).map_or(Self::Nothing, Self::Runs),
        }
    }
}

fn put_varint(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0u64;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(first & 0x7f).checked_shl(shift)?;
        if first & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests;
