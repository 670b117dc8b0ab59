//! Compares two sequences of records that should be the same, while they are read. Pure, and bounded: it looks ahead no
//! further than [`LOOKAHEAD`] records to find where the two are in step again.

use std::collections::{HashMap, HashSet, VecDeque};

use super::record_stream::Seen;

/// How many records of each side are looked through for the next one that both have.
pub(super) const LOOKAHEAD: usize = 2000;
/// So many records that were the same are remembered, to tell repeats from records of others.
const REMEMBERED: usize = 50_000;

/// How many records are what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// The same on both sides.
    pub same: u64,
    /// At the same place, and not the same.
    pub different: u64,
    /// Only on the source.
    pub missing: u64,
    /// Only on the target.
    pub extra: u64,
    /// On the target once more.
    pub repeated: u64,
}

/// Where the two sides part first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The offset on the source; `None`: the record is only on the target.
    pub source: Option<i64>,
    /// The offset on the target; `None`: the record is only on the source.
    pub target: Option<i64>,
    /// What is not the same: `key`, `value`, `headers`, `timestamp`; or `missing`, `extra`, `repeated`.
    pub what: Vec<&'static str>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Comparison {
    pub(super) source: VecDeque<Seen>,
    pub(super) target: VecDeque<Seen>,
    pub(super) counts: Counts,
    pub(super) first: Option<Difference>,
    recent: VecDeque<(i64, u64, u64, u64)>,
    recent_set: HashSet<(i64, u64, u64, u64)>,
}

impl Comparison {
    /// Whether the side wants more records before it can go on.
    pub(super) fn wants(side: &VecDeque<Seen>) -> bool {
        side.len() < LOOKAHEAD
    }

    /// Goes as far as can be told. `ended`: source and target have no more records.
    pub(super) fn advance(&mut self, ended: (bool, bool)) {
        while let (Some(source), Some(target)) = (self.source.front().copied(), self.target.front().copied()) {
            if source.content() == target.content() {
                self.same(source);
                continue;
            }
            if self.recent_set.contains(&target.content()) {
                self.target.pop_front();
                self.only_target(target);
                continue;
            }
            let is_enough = |side: &VecDeque<Seen>, ended| ended || !Self::wants(side);
            if !is_enough(&self.source, ended.0) || !is_enough(&self.target, ended.1) {
                return;
            }
            self.step_over();
        }
    }

    /// The source has ended: what is left of the target before offset `end` is nowhere else.
    pub(super) fn rest_of_target(&mut self, end: i64) {
        while let Some(target) = self.target.front().copied().filter(|target| target.offset < end) {
            self.target.pop_front();
            self.only_target(target);
        }
    }

    /// The target has ended, for good: what is left of the source is missing.
    pub(super) fn rest_of_source(&mut self) {
        while let Some(source) = self.source.pop_front() {
            self.only_source(source);
        }
    }

    /// Goes to the next record that both have. What lies before it on both sides is different, the rest on one side only.
    fn step_over(&mut self) {
        let mut at: HashMap<_, usize> = HashMap::new();
        for (index, target) in self.target.iter().take(LOOKAHEAD).enumerate() {
            at.entry(target.content()).or_insert(index);
        }
        let met = self.source.iter().take(LOOKAHEAD).enumerate();
        let met = met.filter_map(|(index, source)| Some((index, *at.get(&source.content())?)));
        let (sources, targets) = met.min_by_key(|(sources, targets)| sources + targets).unwrap_or((1, 1));
        for _ in 0..sources.min(targets) {
            let (Some(source), Some(target)) = (self.source.pop_front(), self.target.pop_front()) else {
                return;
            };
            self.counts.different += 1;
            self.tell(Some(source.offset), Some(target.offset), differing(&source, &target));
        }
        for _ in targets..sources {
            if let Some(source) = self.source.pop_front() {
                self.only_source(source);
            }
        }
        for _ in sources..targets {
            if let Some(target) = self.target.pop_front() {
                self.only_target(target);
            }
        }
    }

    fn same(&mut self, source: Seen) {
        self.source.pop_front();
        self.target.pop_front();
        self.counts.same += 1;
        let content = source.content();
        if self.recent_set.insert(content) {
            self.recent.push_back(content);
            if self.recent.len() > REMEMBERED
                && let Some(oldest) = self.recent.pop_front()
            {
                self.recent_set.remove(&oldest);
            }
        }
    }

    fn only_source(&mut self, source: Seen) {
        self.counts.missing += 1;
        self.tell(Some(source.offset), None, vec!["missing"]);
    }

    fn only_target(&mut self, target: Seen) {
        let is_repeat = self.recent_set.contains(&target.content());
        let what = if is_repeat { "repeated" } else { "extra" };
        match is_repeat {
            true => self.counts.repeated += 1,
            false => self.counts.extra += 1,
        }
        self.tell(None, Some(target.offset), vec![what]);
    }

    fn tell(&mut self, source: Option<i64>, target: Option<i64>, what: Vec<&'static str>) {
        self.first.get_or_insert(Difference { source, target, what });
    }
}

fn differing(source: &Seen, target: &Seen) -> Vec<&'static str> {
    let parts = [
        ("key", source.key == target.key),
        ("value", source.value == target.value),
        ("headers", source.headers == target.headers),
        ("timestamp", source.timestamp == target.timestamp),
    ];
    parts.iter().filter(|(_, same)| !same).map(|(part, _)| *part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Records whose values are these numbers, at offsets from 0 on.
    fn records(values: impl IntoIterator<Item = u64>) -> VecDeque<Seen> {
        let record = |(offset, value)| Seen {
            offset,
            timestamp: 7,
            key: 1,
            value,
            headers: 3,
        };
        (0..).zip(values).map(record).collect()
    }

    fn compare(source: VecDeque<Seen>, target: VecDeque<Seen>) -> (Counts, Option<Difference>) {
        let mut comparison = Comparison {
            source,
            target,
            ..Comparison::default()
        };
        comparison.advance((true, true));
        comparison.rest_of_source();
        comparison.rest_of_target(i64::MAX);
        (comparison.counts, comparison.first)
    }

    fn counts(same: u64, different: u64, missing: u64, extra: u64, repeated: u64) -> Counts {
        Counts {
            same,
            different,
            missing,
            extra,
            repeated,
        }
    }

    #[test]
    fn each_kind_of_difference_is_counted_and_the_first_is_named() {
        let difference = |source, target, what: &[&'static str]| {
            Some(Difference {
                source,
                target,
                what: what.to_vec(),
            })
        };
        assert_eq!(compare(records(0..9), records(0..9)), (counts(9, 0, 0, 0, 0), None));
        let missing = records((0..3).chain(5..9));
        let expected = difference(Some(3), None, &["missing"]);
        assert_eq!(compare(records(0..9), missing), (counts(7, 0, 2, 0, 0), expected));
        let extra = records((0..4).chain([77]).chain(4..9));
        let expected = difference(None, Some(4), &["extra"]);
        assert_eq!(compare(records(0..9), extra), (counts(9, 0, 0, 1, 0), expected));
        let repeated = records((0..6).chain(2..9));
        let expected = difference(None, Some(6), &["repeated"]);
        assert_eq!(compare(records(0..9), repeated), (counts(9, 0, 0, 0, 4), expected));
        let mut changed = records(0..9);
        changed[4].headers = 9;
        let expected = difference(Some(4), Some(4), &["headers"]);
        assert_eq!(compare(records(0..9), changed), (counts(8, 1, 0, 0, 0), expected));
        let tail = records((0..9).chain([77, 78]));
        let expected = difference(None, Some(9), &["extra"]);
        assert_eq!(compare(records(0..9), tail), (counts(9, 0, 0, 2, 0), expected));
        let reordered = records([0, 2, 1, 3]);
        let (counts, first) = compare(records(0..4), reordered);
        assert_eq!((counts.same, first.is_some()), (3, true));
    }

    #[test]
    fn nothing_is_decided_before_enough_is_known() {
        let mut comparison = Comparison {
            source: records(5..10),
            target: records(0..5),
            ..Comparison::default()
        };
        comparison.advance((false, false));
        assert_eq!((comparison.counts, comparison.source.len()), (Counts::default(), 5));
        comparison.target.extend(records(5..10));
        comparison.advance((true, true));
        assert_eq!(comparison.counts, counts(5, 0, 0, 5, 0));
    }
}
