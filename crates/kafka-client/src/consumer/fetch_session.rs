//! The client's side of an incremental fetch session (KIP-227): what the broker remembers, and what to tell it next.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use uuid::Uuid;

/// What a fetch request says about one partition. The broker keeps it until it is told otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) fetch_offset: i64,
    pub(super) leader_epoch: i32,
    /// The epoch of the record before the offset, by which the broker sees that its log is another by now; -1: not known.
    pub(super) last_fetched_epoch: i32,
    pub(super) max_bytes: i32,
    /// What the broker knows the topic by, in a session that names topics by id.
    pub(super) topic_id: Uuid,
}

/// The difference between what the broker remembers and what is wanted now.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Difference {
    pub(super) changed: Vec<(usize, Wanted)>,
    /// With the topic id under which the broker remembers them: by now the topic may have another.
    pub(super) forgotten: Vec<(usize, Uuid)>,
}

/// A session with one broker. Partitions are numbers of the consumer's own table.
#[derive(Debug, Default)]
pub(super) struct FetchSession {
    id: i32,
    epoch: i32,
    wanted: BTreeMap<usize, Wanted>,
    /// What the last request left the broker with.
    remembered: HashMap<usize, Wanted>,
    /// Where the two may differ.
    changed: BTreeSet<usize>,
    /// How many of the wanted have no topic id.
    without_id: usize,
    /// Whether the session names topics by id; a change needs a new session.
    by_topic_id: bool,
}

/// `session_epoch` of a request that opens a session.
const INITIAL_EPOCH: i32 = 0;

impl FetchSession {
    pub(super) fn id(&self) -> i32 {
        self.id
    }

    pub(super) fn epoch(&self) -> i32 {
        self.epoch
    }

    /// Says what is wanted of a partition.
    pub(super) fn want(&mut self, partition: usize, wanted: Wanted) {
        let known = self.wanted.insert(partition, wanted);
        if known == Some(wanted) {
            return;
        }
        self.without_id += usize::from(wanted.topic_id.is_nil());
        self.without_id -= usize::from(known.is_some_and(|known| known.topic_id.is_nil()));
        self.changed.insert(partition);
    }

    /// Says that nothing is wanted of a partition.
    pub(super) fn unwant(&mut self, partition: usize) {
        if let Some(known) = self.wanted.remove(&partition) {
            self.without_id -= usize::from(known.topic_id.is_nil());
            self.changed.insert(partition);
        }
    }

    pub(super) fn wants_nothing(&self) -> bool {
        self.wanted.is_empty()
    }

    /// Whether topics can be named by id.
    pub(super) fn all_have_ids(&self) -> bool {
        self.without_id == 0
    }

    /// What may differ from what the broker knows.
    pub(super) fn changed(&self) -> impl Iterator<Item = usize> {
        self.changed.iter().copied()
    }

    /// What the last request asked for of a partition, or left as it was.
    pub(super) fn asked(&self, partition: usize) -> Option<Wanted> {
        self.remembered.get(&partition).copied()
    }

    /// What the next request has to say. Everything, if it opens a session.
    pub(super) fn next(&mut self, by_topic_id: bool) -> Difference {
        if by_topic_id != self.by_topic_id {
            self.reset();
            self.by_topic_id = by_topic_id;
        }
        let mut changed = std::mem::take(&mut self.changed);
        if self.is_full() {
            self.remembered.clear();
            changed = self.wanted.keys().copied().collect();
        }
        let mut difference = Difference::default();
        for partition in changed {
            let Some(want) = self.wanted.get(&partition).copied() else {
                if let Some(known) = self.remembered.remove(&partition) {
                    difference.forgotten.push((partition, known.topic_id));
                }
                continue;
            };
            let known = self.remembered.insert(partition, want);
            if known != Some(want) {
                difference.changed.push((partition, want));
            }
            // The topic was created anew: the broker would go on looking for the old one.
            if let Some(known) = known
                && by_topic_id
                && known.topic_id != want.topic_id
            {
                difference.forgotten.push((partition, known.topic_id));
            }
        }
        difference
    }

    /// Whether the next request says everything.
    pub(super) fn is_full(&self) -> bool {
        self.epoch == INITIAL_EPOCH
    }

    /// Takes in the answer to the last request.
    pub(super) fn answered(&mut self, session_id: i32) {
        if session_id == 0 {
            // The broker keeps no session for us: each request says everything.
            self.reset();
        } else {
            self.id = session_id;
            self.epoch = if self.epoch == i32::MAX { 1 } else { self.epoch + 1 };
        }
    }

    /// Forgets the session: the next request opens a new one.
    pub(super) fn reset(&mut self) {
        self.id = 0;
        self.epoch = INITIAL_EPOCH;
        self.remembered.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(fetch_offset: i64) -> Wanted {
        Wanted {
            fetch_offset,
            leader_epoch: 0,
            last_fetched_epoch: -1,
            max_bytes: 1,
            topic_id: Uuid::nil(),
        }
    }

    /// Wants exactly these, and asks.
    fn next(session: &mut FetchSession, wanted: &[(usize, Wanted)], by_topic_id: bool) -> Difference {
        for partition in 0..10 {
            match wanted.iter().find(|(wanted, _)| *wanted == partition) {
                Some((_, want)) => session.want(partition, *want),
                None => session.unwant(partition),
            }
        }
        session.next(by_topic_id)
    }

    #[test]
    fn the_first_request_says_everything_and_later_ones_what_changed() {
        let mut session = FetchSession::default();
        let first = next(&mut session, &[(0, at(5)), (1, at(6))], true);
        assert_eq!(first.changed.len(), 2);
        session.answered(77);
        assert_eq!((session.id(), session.epoch()), (77, 1));
        let second = next(&mut session, &[(0, at(5)), (1, at(9)), (2, at(0))], true);
        assert_eq!(
            second,
            Difference {
                changed: vec![(1, at(9)), (2, at(0))],
                forgotten: vec![]
            }
        );
        session.answered(77);
        let third = next(&mut session, &[(1, at(9))], true);
        assert_eq!(
            third,
            Difference {
                changed: vec![],
                forgotten: vec![(0, Uuid::nil()), (2, Uuid::nil())]
            }
        );
        assert_eq!((session.asked(0), session.asked(1)), (None, Some(at(9))));
    }

    #[test]
    fn what_comes_and_goes_between_two_requests_is_no_news() {
        let mut session = FetchSession::default();
        next(&mut session, &[(0, at(5)), (1, at(6))], true);
        session.answered(7);
        session.unwant(0);
        session.want(0, at(5));
        session.want(3, at(1));
        session.unwant(3);
        session.unwant(8);
        assert_eq!(session.next(true), Difference::default());
        session.want(1, at(9));
        assert_eq!(session.asked(1), Some(at(6)), "until the next request");
    }

    #[test]
    fn after_a_failure_everything_is_said_again() {
        let mut session = FetchSession::default();
        next(&mut session, &[(0, at(5)), (1, at(6))], true);
        session.answered(7);
        session.unwant(1);
        session.next(true);
        session.reset();
        let next = session.next(true);
        assert_eq!((next.changed.len(), next.forgotten.len()), (1, 0));
    }

    #[test]
    fn topics_go_by_name_until_all_have_ids() {
        let mut session = FetchSession::default();
        let named = Wanted {
            topic_id: Uuid::from_u128(1),
            ..at(5)
        };
        session.want(0, at(5));
        session.want(1, at(5));
        session.want(1, named);
        assert!(!session.all_have_ids());
        session.want(0, named);
        assert!(session.all_have_ids());
        session.want(0, at(5));
        session.unwant(0);
        assert!(session.all_have_ids() && !session.wants_nothing());
    }

    #[test]
    fn a_topic_that_was_created_anew_is_forgotten_under_its_old_id() {
        let mut session = FetchSession::default();
        next(&mut session, &[(0, at(5))], true);
        session.answered(7);
        let anew = Wanted {
            topic_id: Uuid::from_u128(2),
            ..at(5)
        };
        let next = next(&mut session, &[(0, anew)], true);
        assert_eq!(next.changed, [(0, anew)]);
        assert_eq!(next.forgotten, [(0, Uuid::nil())]);
    }

    #[test]
    fn a_broker_without_sessions_is_told_everything_each_time() {
        let mut session = FetchSession::default();
        for _ in 0..2 {
            assert_eq!(next(&mut session, &[(0, at(5))], false).changed.len(), 1);
            session.answered(0);
            assert_eq!(session.epoch(), 0);
        }
    }

    #[test]
    fn naming_topics_another_way_opens_a_new_session() {
        let mut session = FetchSession::default();
        next(&mut session, &[(0, at(5))], true);
        session.answered(7);
        let next = next(&mut session, &[(0, at(5))], false);
        assert_eq!((next.changed.len(), session.id(), session.epoch()), (1, 0, 0));
    }
}
