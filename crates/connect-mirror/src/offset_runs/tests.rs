//! Translations against the truth: a source log with holes, a target log with repeats and markers, a mirror that dies.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    /// So many records are copied and acknowledged.
    Copy(u32),
    /// So many offsets of the source hold no record: compacted, aborted, markers.
    Hole(u8),
    /// So many offsets of the target hold no record: markers of a transactional mirror.
    Markers(u8),
    /// An offset sync is written.
    Sync,
    /// The mirror dies and starts again so many records before its end.
    Crash(u8),
    /// The target topic is deleted and made anew.
    NewTarget,
}

/// Both logs and what the mirror knows.
#[derive(Default)]
struct World {
    /// Offsets of the source that hold records.
    source: Vec<i64>,
    next_upstream: i64,
    /// What the target's offsets hold: the source offset of a record, or nothing.
    target: Vec<Option<i64>>,
    /// Position of the mirror in `source`.
    copied: usize,
    history: OffsetRuns,
    life: OffsetRuns,
    newest: Option<Point>,
    /// What a reader knows who sees each sync's header.
    reader: OffsetRuns,
    /// And one who sees Kafka's part only.
    kafka_reader: OffsetRuns,
}

impl World {
    fn of(steps: &[Step]) -> Self {
        let mut world = Self::default();
        steps.iter().for_each(|step| world.step(step));
        world.step(&Step::Sync);
        world
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Copy(count) => {
                for _ in 0..*count {
                    self.source.push(self.next_upstream);
                    self.next_upstream += 1;
                }
                self.copy_rest();
            }
            Step::Hole(offsets) => self.next_upstream += i64::from(*offsets),
            Step::Markers(offsets) => self.target.extend(vec![None; usize::from(*offsets)]),
            Step::Sync => self.sync(),
            Step::Crash(back) => {
                self.history = self.reader.clone();
                self.life.clear();
                self.newest = None;
                self.copied = self.copied.saturating_sub(usize::from(*back));
                self.copy_rest();
                self.sync();
            }
            Step::NewTarget => {
                self.target.clear();
                self.step(&Step::Copy(1));
                self.sync();
            }
        }
    }

    /// Copies in dense batches, as acknowledgements come.
    fn copy_rest(&mut self) {
        for &upstream in &self.source[self.copied..] {
            let downstream = self.target.len() as i64;
            self.target.push(Some(upstream));
            self.life.acknowledged(Run {
                upstream,
                downstream,
                count: 1,
            });
            self.newest = Some(Point { upstream, downstream });
        }
        self.copied = self.source.len();
    }

    fn sync(&mut self) {
        let Some(point) = self.newest else { return };
        let carried = CarriedRuns {
            runs: self.history.continued_by(&self.life),
            is_complete: true,
        };
        self.reader
            .apply(CarriedRuns::decode(&carried.encode()).expect("our own bytes"));
        self.kafka_reader.sync(point, true);
    }

    /// By source offset, the furthest target offset at which a reader of it misses nothing.
    fn furthest(&self) -> Vec<i64> {
        let mut last_copy = std::collections::HashMap::new();
        for (at, held) in self.target.iter().enumerate() {
            if let Some(upstream) = held {
                last_copy.insert(*upstream, at as i64);
            }
        }
        let mut furthest = vec![self.target.len() as i64; self.next_upstream as usize + 3];
        let mut least = self.target.len() as i64;
        for upstream in (0..self.next_upstream).rev() {
            least = least.min(last_copy.get(&upstream).copied().unwrap_or(least));
            furthest[upstream as usize] = least;
        }
        furthest
    }

    /// Records between two offsets of the target.
    fn records(&self, from: i64, to: i64) -> usize {
        let held = self.target.get(from as usize..to as usize);
        held.map_or(0, |held| held.iter().flatten().count())
    }
}

fn steps(kinds: BoxedStrategy<Step>, max: usize) -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(kinds, 1..max)
}

fn any_step() -> BoxedStrategy<Step> {
    prop_oneof![
        6 => (1..30u32).prop_map(Step::Copy),
        3 => (1..5u8).prop_map(Step::Hole),
        1 => (1..3u8).prop_map(Step::Markers),
        4 => Just(Step::Sync),
        1 => (0..20u8).prop_map(Step::Crash),
        1 => Just(Step::NewTarget),
    ]
    .boxed()
}

fn dense_step() -> BoxedStrategy<Step> {
    prop_oneof![6 => (1..60u32).prop_map(Step::Copy), 3 => Just(Step::Sync)].boxed()
}

fn step_without_holes() -> BoxedStrategy<Step> {
    prop_oneof![
        6 => (1..30u32).prop_map(Step::Copy),
        1 => (1..3u8).prop_map(Step::Markers),
        4 => Just(Step::Sync),
        1 => (0..20u8).prop_map(Step::Crash),
    ]
    .boxed()
}

/// Transactions: a few records and a marker. Many more than are kept.
fn transactions() -> impl Strategy<Value = Vec<Step>> {
    let transaction = (1..6u32, 1..3u8);
    prop::collection::vec(transaction, 150..400).prop_map(|transactions| {
        let steps = |(records, markers)| [Step::Copy(records), Step::Hole(markers), Step::Sync];
        transactions.into_iter().flat_map(steps).collect()
    })
}

proptest! {
    #[test]
    fn nobody_is_ever_led_past_a_record_that_he_has_not_read(steps in steps(any_step(), 60)) {
        let world = World::of(&steps);
        let furthest = world.furthest();
        for upstream in 0..world.next_upstream + 3 {
            if let Some(found) = world.reader.translate(upstream, false) {
                prop_assert!(found <= furthest[upstream as usize], "{upstream} -> {found}");
            }
        }
    }

    #[test]
    fn on_a_dense_topic_every_position_is_exact(steps in steps(dense_step(), 40)) {
        let world = World::of(&steps);
        let furthest = world.furthest();
        let mut reader = world.reader.clone();
        reader.apply(CarriedRuns { runs: world.life.clone(), is_complete: false });
        for upstream in 0..world.next_upstream {
            let truth = Some(furthest[upstream as usize]);
            prop_assert_eq!(world.reader.translate(upstream, false), truth);
            prop_assert_eq!(reader.translate(upstream, false), truth, "a life repeats itself");
        }
    }

    #[test]
    fn a_source_without_holes_translates_to_the_record_itself_whatever_else_happens(steps in steps(step_without_holes(), 60)) {
        let world = World::of(&steps);
        let furthest = world.furthest();
        for upstream in 0..world.next_upstream {
            let found = world.reader.translate(upstream, true);
            if let Some(found) = found {
                prop_assert!(found <= furthest[upstream as usize]);
            }
            let kafkas = world.kafka_reader.translate(upstream, true);
            if let Some(kafkas) = kafkas {
                prop_assert!(kafkas <= furthest[upstream as usize], "{upstream} -> {kafkas}");
            }
        }
    }

    #[test]
    fn far_behind_on_a_transactional_topic_no_more_is_read_again_than_is_still_to_read(steps in transactions()) {
        let world = World::of(&steps);
        let furthest = world.furthest();
        let end = world.target.len() as i64;
        prop_assert!(world.reader.runs.len() <= MAX_RUNS);
        for upstream in 0..world.next_upstream + 3 {
            let (truth, found) = (furthest[upstream as usize], world.reader.translate(upstream, false));
            let again = world.records(found.unwrap_or(0), truth);
            prop_assert!(again <= world.records(truth, end), "{upstream}: {again} again");
        }
        prop_assert_eq!(world.reader.translate(world.next_upstream, false), Some(end), "an idle group has no lag");
        let newest = world.next_upstream - NEWEST_RUNS as i64;
        for upstream in newest..world.next_upstream {
            prop_assert_eq!(world.reader.translate(upstream, false), Some(furthest[upstream as usize]));
        }
    }

    #[test]
    fn what_is_carried_is_read_back(steps in steps(any_step(), 60), is_complete: bool) {
        let carried = CarriedRuns { runs: World::of(&steps).reader, is_complete };
        prop_assert_eq!(CarriedRuns::decode(&carried.encode()), Some(carried));
    }

    #[test]
    fn no_bytes_do_harm(bytes in prop::collection::vec(any::<u8>(), 0..200), upstream: i64) {
        let mut bytes = bytes;
        if let Some(version) = bytes.first_mut() {
            *version = VERSION;
        }
        if let Some(carried) = CarriedRuns::decode(&bytes) {
            let mut runs = OffsetRuns::default();
            runs.sync(Point { upstream: 5, downstream: 5 }, true);
            runs.apply(carried);
            runs.translate(upstream, true);
            runs.sync(Point { upstream, downstream: i64::MAX }, true);
        }
    }
}

fn joined(syncs: &[(i64, i64)]) -> OffsetRuns {
    let mut runs = OffsetRuns::default();
    for (upstream, downstream) in syncs {
        runs.sync(
            Point {
                upstream: *upstream,
                downstream: *downstream,
            },
            true,
        );
    }
    runs
}

#[test]
fn between_two_syncs_of_kafka_with_equal_distance_everything_is_exact() {
    let runs = joined(&[(0, 50), (100, 150), (200, 250)]);
    for upstream in 0..=201 {
        assert_eq!(runs.translate(upstream, true), Some(upstream + 50));
    }
    assert_eq!(runs.translate(500, true), Some(251), "not past what is known");
    assert_eq!(
        runs.translate(150, false),
        Some(50),
        "not where the source may have holes"
    );
}

#[test]
fn once_a_hole_was_seen_equal_distances_prove_nothing() {
    let runs = joined(&[(0, 0), (10, 10), (20, 15), (30, 25)]);
    assert_eq!(runs.translate(25, true), Some(16));
    assert_eq!(runs.translate(5, true), Some(0));
}

#[test]
fn a_lost_sync_joins_nothing() {
    let mut runs = joined(&[(0, 0)]);
    runs.sync(
        Point {
            upstream: 20,
            downstream: 20,
        },
        false,
    );
    assert_eq!(runs.translate(10, true), Some(1));
}

#[test]
fn numbers_at_the_edge_do_not_overflow() {
    let mut runs = joined(&[(i64::MAX - 1, i64::MAX - 1), (i64::MAX, i64::MAX)]);
    assert_eq!(runs.translate(i64::MAX, true), Some(i64::MAX));
    runs.acknowledged(Run {
        upstream: i64::MAX,
        downstream: i64::MAX,
        count: u32::MAX,
    });
    runs.translate(i64::MAX, true);
    assert_eq!(joined(&[(-5, 3)]), OffsetRuns::default());
}

proptest! {
    /// Whoever goes back to the source from a position in the copies misses nothing that he has not read there.
    #[test]
    fn the_way_back_is_never_ahead(steps in steps(any_step(), 40)) {
        let world = World::of(&steps);
        for position in 0..=world.target.len() {
            let Some((upstream, again)) = world.reader.translate_back(position as i64, false) else { continue };
            let read: std::collections::HashSet<i64> = world.target[..position].iter().flatten().copied().collect();
            let next = world.source.iter().copied().find(|offset| !read.contains(offset) && is_copied_after(&world, position, *offset));
            let next = next.unwrap_or(world.next_upstream);
            prop_assert!(upstream <= next, "{position} goes back to {upstream}, and {next} was not read");
            // What he would read next on the target, he reads next at the source.
            let next = world.target[position..].iter().flatten().next();
            let next = next.copied().unwrap_or(world.next_upstream);
            let found = (upstream..next).filter(|offset| read.contains(offset)).count() as i64;
            prop_assert!(found <= again, "{position}: {upstream} is {found} before {next}, not {again}");
        }
    }

    /// On a dense topic both ways are each other's inverse.
    #[test]
    fn there_and_back_is_the_same_place(steps in steps(dense_step(), 20)) {
        let world = World::of(&steps);
        for upstream in 0..world.next_upstream {
            let Some(downstream) = world.reader.translate(upstream, true) else { continue };
            prop_assert_eq!(world.reader.translate_back(downstream, true), Some((upstream, 0)));
            prop_assert_eq!(world.reader.behind(upstream, true), Some(0));
        }
        let end = world.target.len() as i64;
        prop_assert_eq!(world.reader.not_copies(0, end), 0);
        prop_assert!(world.reader.gaps(end + 2).iter().all(|gap| *gap == (end..end + 2)));
    }

    /// What is said of an answer that is behind is true.
    #[test]
    fn an_answer_is_behind_by_no_more_than_said(steps in steps(step_without_holes(), 40)) {
        let world = World::of(&steps);
        let furthest = world.furthest();
        for upstream in 0..world.next_upstream {
            let Some(answer) = world.reader.translate(upstream, false) else { continue };
            let behind = world.reader.behind(upstream, false).expect("with an answer");
            let again = world.records(answer, furthest[upstream as usize]) as i64;
            prop_assert!(again <= behind, "{upstream}: {answer} is behind by {again}, not {behind}");
        }
    }
}

/// Whether a record has a copy on this target at all: one that only a deleted target had cannot be read there.
fn is_copied_after(world: &World, position: usize, upstream: i64) -> bool {
    world.target[position..].contains(&Some(upstream))
}

/// Two records, a hole, two more of which the first is never synced, and a crash that repeats the second: as many holes
/// as repeats. A stretch that is only guessed must not be believed, not even by its first record.
#[test]
fn a_hole_where_a_guessed_stretch_begins_skips_nothing() {
    let steps = [Step::Copy(2), Step::Hole(1), Step::Sync, Step::Copy(2), Step::Crash(1)];
    let world = World::of(&steps);
    assert_eq!(world.target, [Some(0), Some(1), Some(3), Some(4), Some(4)]);
    assert_eq!(world.reader.translate(3, false), Some(2));
}

/// The same on the way back: where a stretch is only guessed, one offset of it read on the target is no record read.
#[test]
fn a_marker_where_a_guessed_stretch_begins_is_no_record_read() {
    let steps = [
        Step::Copy(2),
        Step::Sync,
        Step::Markers(2),
        Step::Copy(1),
        Step::Hole(3),
        Step::Copy(1),
        Step::Crash(1),
    ];
    let world = World::of(&steps);
    assert_eq!(world.target, [Some(0), Some(1), None, None, Some(2), Some(6), Some(6)]);
    assert_eq!(world.reader.translate_back(3, false), Some((2, 1)));
}
