//! Kafka's own memory of the offset syncs of one partition (`OffsetSyncStore`): 64 slots that hold ever fewer syncs the
//! further they lie back (KAFKA-14666, KAFKA-15202).
//!
//! Slot 0 is the newest sync, slot 63 the oldest that may be used. One sync may fill many slots, and which slots hold the
//! same sync matters, not which hold the same numbers.

use crate::offset_sync_writer::Point;

const SLOTS: usize = 64;

/// A sync in a slot; `id` tells it from others with the same offsets.
#[derive(Clone, Copy, Debug)]
struct Slot {
    id: usize,
    at: Point,
}

/// See the module. Only the first slot of each sync is kept.
#[derive(Clone, Debug)]
pub(crate) struct SyncSlots(Vec<(u8, Point)>);

impl SyncSlots {
    /// Every slot holds this sync.
    pub(crate) fn new(sync: Point) -> Self {
        Self(vec![(0, sync)])
    }

    /// Takes a newer sync. One whose upstream offset went back makes all others worthless.
    pub(crate) fn add(&mut self, sync: Point) {
        let old = self.slots();
        if sync.upstream < old[0].at.upstream {
            *self = Self::new(sync);
            return;
        }
        let newest = Slot { id: SLOTS, at: sync };
        let mut new = old;
        new[0] = newest;
        let mut candidate = newest;
        let mut cursor = 0;
        for slot in 1..SLOTS {
            let before = new[slot - 1];
            loop {
                let older = old[cursor];
                let recent = is_recent_enough(before, older, slot - 1, slot);
                let far = is_far_enough(before, older, slot - 1);
                let has_room = slot == SLOTS - 1 || is_far_enough(older, new[slot + 1], slot);
                let is_same = cursor < SLOTS - 1 && old[cursor + 1].id == older.id;
                if recent && far && has_room {
                    candidate = older;
                    cursor += 1;
                } else if is_same || !far {
                    cursor += 1;
                }
                if !((is_same || !far) && cursor < slot) {
                    break;
                }
            }
            if is_recent_enough(before, new[slot], slot - 1, slot) {
                break;
            }
            new[slot] = candidate;
        }
        self.0 = firsts(&new);
    }

    /// Where a group at source offset `upstream` may go on: at the newest sync that is not behind it, or one record
    /// after. `None`: all are.
    pub(crate) fn translate(&self, upstream: i64) -> Option<i64> {
        let (_, sync) = self.0.iter().find(|(_, sync)| sync.upstream <= upstream)?;
        let is_after = sync.upstream < upstream;
        Some(sync.downstream.saturating_add(i64::from(is_after)))
    }

    fn slots(&self) -> [Slot; SLOTS] {
        let mut slots = [Slot { id: 0, at: self.0[0].1 }; SLOTS];
        for (id, (first, at)) in self.0.iter().enumerate() {
            slots[usize::from(*first)..].fill(Slot { id, at: *at });
        }
        slots
    }
}

fn firsts(slots: &[Slot; SLOTS]) -> Vec<(u8, Point)> {
    let is_first = |slot: &usize| *slot == 0 || slots[*slot - 1].id != slots[*slot].id;
    (0..SLOTS)
        .filter(is_first)
        .map(|slot| (slot as u8, slots[slot].at))
        .collect()
}

/// Invariant B: the sync in slot `i` is at most so far ahead of the one in slot `j`.
fn is_recent_enough(x: Slot, y: Slot, i: usize, j: usize) -> bool {
    let distance = 1i64.wrapping_shl(j as u32).wrapping_sub(1i64.wrapping_shl(i as u32));
    let bound = y.at.upstream.wrapping_add(distance);
    x.id == y.id || bound < 0 || x.at.upstream <= bound
}

/// Invariant C: the sync in slot `i` is at least so far ahead of the next.
fn is_far_enough(x: Slot, y: Slot, i: usize) -> bool {
    let bound =
        y.at.upstream
            .wrapping_add(1i64.wrapping_shl(i.saturating_sub(2) as u32));
    x.id == y.id || (bound >= 0 && x.at.upstream >= bound)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Golden {
        scenarios: Vec<Scenario>,
    }

    type Translations = BTreeMap<String, Option<i64>>;

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Scenario {
        name: String,
        initialization_must_read_to_end: bool,
        before_start: Vec<(i64, i64)>,
        array_after_start: Vec<(u8, i64, i64)>,
        translate_after_start: Translations,
        after_start: Vec<Step>,
    }

    #[derive(Deserialize)]
    struct Step {
        sync: (i64, i64),
        array: Option<Vec<(u8, i64, i64)>>,
        #[serde(default)]
        translate: Translations,
    }

    /// Every state and answer of Kafka's own class.
    #[test]
    fn slots_and_answers_are_kafkas() {
        let golden: Golden = serde_json::from_str(include_str!("../testdata/golden-offset-sync-store.json")).unwrap();
        let mut answers = 0;
        for scenario in golden.scenarios {
            let mut store: Option<SyncSlots> = None;
            let add = |store: &mut Option<SyncSlots>, (upstream, downstream), only_last: bool| {
                let point = Point { upstream, downstream };
                match store {
                    Some(slots) if !only_last => slots.add(point),
                    _ => *store = Some(SyncSlots::new(point)),
                }
            };
            for sync in scenario.before_start {
                add(&mut store, sync, scenario.initialization_must_read_to_end);
            }
            let name = &scenario.name;
            expect(
                name,
                store.as_ref(),
                &scenario.array_after_start,
                &scenario.translate_after_start,
            );
            answers += scenario.translate_after_start.len();
            for step in scenario.after_start {
                add(&mut store, step.sync, false);
                if let Some(array) = step.array {
                    expect(name, store.as_ref(), &array, &step.translate);
                    answers += step.translate.len();
                }
            }
        }
        assert!(answers > 1000, "{answers}");
    }

    fn expect(name: &str, store: Option<&SyncSlots>, array: &[(u8, i64, i64)], translations: &Translations) {
        let slots = store.map_or(&[][..], |slots| &slots.0);
        let mut ours: Vec<(u8, i64, i64)> = slots
            .iter()
            .map(|(first, at)| (*first, at.upstream, at.downstream))
            .collect();
        ours.dedup_by_key(|(_, upstream, downstream)| (*upstream, *downstream));
        let mut theirs = array.to_vec();
        theirs.dedup_by_key(|(_, upstream, downstream)| (*upstream, *downstream));
        assert_eq!(ours, theirs, "{name}");
        for (upstream, expected) in translations {
            let upstream = upstream.parse().unwrap();
            let answer = store.map(|slots| slots.translate(upstream).unwrap_or(-1));
            assert_eq!(answer, *expected, "{name}: {upstream}");
        }
    }
}
