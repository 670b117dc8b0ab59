//! The assignor of the incremental protocols: work moves only when it must, and that of a member that left waits for
//! its return (KIP-415).

use std::collections::BTreeSet;
use std::sync::Arc;

use super::load::{Connectors, Load, Tasks, balance, place};
use super::{ByMember, Shares};
use crate::work::Work;

/// When a round takes place.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// The last generation that this worker has completed, −1 before the first.
    pub last_completed_generation: i32,
    /// The generation that is assigned.
    pub generation: i32,
    /// Milliseconds of any clock that does not jump.
    pub now_ms: i64,
}

/// What the leader remembers from round to round.
#[derive(Clone, Debug)]
pub struct IncrementalAssignor {
    max_delay_ms: i64,
    previous_assignment: Work,
    previous_revocation: Work,
    previous_generation: i32,
    previous_members: BTreeSet<Arc<str>>,
    revoked_in_previous: bool,
    successive_revoking_rebalances: u32,
    /// When the wait for lost work, or for another revocation, is over; 0: nobody waits.
    scheduled_rebalance_ms: i64,
    delay_ms: i64,
    /// Members that came empty-handed during the wait, in the order they came; some may have left again.
    candidates: Vec<Arc<str>>,
}

/// Kafka's `CONSECUTIVE_REVOKING_REBALANCES_BACKOFF`: 40ⁿ ms.
const BACKOFF_BASE: i64 = 40;

impl IncrementalAssignor {
    /// A leader without a past, and `scheduled.rebalance.max.delay.ms`.
    pub fn new(max_delay_ms: i64) -> Self {
        Self {
            max_delay_ms,
            previous_assignment: Work::new(),
            previous_revocation: Work::new(),
            previous_generation: -1,
            previous_members: BTreeSet::new(),
            revoked_in_previous: false,
            successive_revoking_rebalances: 0,
            scheduled_rebalance_ms: 0,
            delay_ms: 0,
            candidates: Vec::new(),
        }
    }

    /// Shares `configured` out among members that hold what `held` says; every member is in `held`.
    pub fn assign(&mut self, configured: &Work, held: &ByMember<Work>, moment: Moment) -> Shares {
        if self.previous_generation != moment.last_completed_generation {
            // A round of ours did not reach ourselves: what we remember may be outdated.
            self.previous_assignment = Work::new();
        }
        let active = union(held.values());
        if !self.previous_revocation.is_disjoint(&active) {
            self.previous_assignment = active.clone();
        }
        self.previous_revocation = Work::new();

        let deleted = self.previous_assignment.without(configured);
        let lost = self.previous_assignment.without(&active).without(&deleted);
        let created = configured.without(&self.previous_assignment).without(&active);
        let duplicated = duplicated(held);

        let mut revoked = ByMember::new();
        let mut loads = Vec::new();
        for (member, work) in held {
            let mut gone = deleted.common(work);
            gone.add(&duplicated.common(work));
            loads.push(Load {
                member: member.clone(),
                work: work.without(&gone),
            });
            revoked.insert(member.clone(), gone);
        }

        let mut to_assign = created;
        to_assign.add(&self.lost_to_reassign(&lost, &mut loads, moment.now_ms));
        self.balance(configured, &mut loads, &mut revoked, moment.now_ms);
        place::<Connectors>(&mut loads, &to_assign.connectors);
        place::<Tasks>(&mut loads, &to_assign.tasks);

        let running: ByMember<Work> = loads.into_iter().map(|load| (load.member, load.work)).collect();
        self.previous_revocation = union(revoked.values());
        self.previous_assignment = union(running.values()).without(&self.previous_revocation);
        self.previous_assignment.add(&lost);
        self.previous_generation = moment.generation;
        self.previous_members = held.keys().cloned().collect();

        let new = |(member, work): (&Arc<str>, &Work)| (member.clone(), work.without(&held[member].without(&deleted)));
        Shares {
            assigned: running.iter().map(new).collect(),
            running: running
                .iter()
                .map(|(member, work)| (member.clone(), work.without(&revoked[member])))
                .collect(),
            revoked,
            delay_ms: self.delay_ms,
        }
    }

    /// Until when a wait is under way, for tests against recorded rounds; 0 for none.
    #[cfg(test)]
    pub(super) fn scheduled_rebalance_ms(&self) -> i64 {
        self.scheduled_rebalance_ms
    }

    /// Waits for the return of whoever held the lost work, or gives it to those who came meanwhile; what is to be shared
    /// out among all comes back.
    fn lost_to_reassign(&mut self, lost: &Work, loads: &mut [Load], now_ms: i64) -> Work {
        if lost.is_empty() && !self.revoked_in_previous {
            self.reset_delay();
            return Work::new();
        }
        let is_here = |member: &Arc<str>| loads.iter().any(|load| load.member == *member);
        let nobody_left = self.previous_members.iter().all(is_here);
        let missed_a_sync = self.scheduled_rebalance_ms <= 0 && nobody_left;
        if missed_a_sync || self.max_delay_ms == 0 {
            return lost.clone();
        }
        if self.scheduled_rebalance_ms > 0 && now_ms >= self.scheduled_rebalance_ms {
            let given = self.give_to_candidates(lost, loads);
            self.reset_delay();
            self.revoked_in_previous = false;
            return if given { Work::new() } else { lost.clone() };
        }
        for load in loads.iter().filter(|load| load.work.is_empty()) {
            if !self.candidates.contains(&load.member) {
                self.candidates.push(load.member.clone());
            }
        }
        self.delay_ms = match now_ms < self.scheduled_rebalance_ms {
            true => (self.scheduled_rebalance_ms - now_ms).min(self.max_delay_ms),
            false => self.max_delay_ms,
        };
        self.scheduled_rebalance_ms = now_ms + self.delay_ms;
        Work::new()
    }

    /// Whether there was a candidate to give it to.
    fn give_to_candidates(&self, lost: &Work, loads: &mut [Load]) -> bool {
        let index = |member: &Arc<str>| loads.iter().position(|load| load.member == *member);
        let present: Vec<usize> = self.candidates.iter().filter_map(index).collect();
        for (connector, at) in lost.connectors.iter().zip(present.iter().cycle()) {
            loads[*at].work.connectors.insert(connector.clone());
        }
        for (task, at) in lost.tasks.iter().zip(present.iter().cycle()) {
            loads[*at].work.tasks.insert(task.clone());
        }
        !present.is_empty()
    }

    /// Takes work back from those who have too much, unless a wait is under way or the round before did so, too.
    fn balance(&mut self, configured: &Work, loads: &mut [Load], revoked: &mut ByMember<Work>, now_ms: i64) {
        if self.delay_ms != 0 {
            self.revoked_in_previous = false;
            return;
        }
        let surplus = surplus(configured, loads);
        match (surplus.is_empty(), self.revoked_in_previous) {
            (true, true) => {
                self.revoked_in_previous = false;
                self.successive_revoking_rebalances = 0;
                return;
            }
            (true, false) => return,
            (false, true) => {
                self.successive_revoking_rebalances = self.successive_revoking_rebalances.saturating_add(1);
                self.delay_ms = self.revocation_backoff_ms();
                if self.delay_ms != 0 {
                    self.scheduled_rebalance_ms = now_ms + self.delay_ms;
                    return;
                }
            }
            (false, false) => self.revoked_in_previous = true,
        }
        for load in loads {
            if let Some(surplus) = surplus.get(&load.member) {
                load.work.remove(surplus);
                revoked.entry(load.member.clone()).or_default().add(surplus);
            }
        }
    }

    fn revocation_backoff_ms(&self) -> i64 {
        BACKOFF_BASE
            .saturating_pow(self.successive_revoking_rebalances)
            .min(self.max_delay_ms)
    }

    fn reset_delay(&mut self) {
        self.candidates.clear();
        self.scheduled_rebalance_ms = 0;
        self.delay_ms = 0;
    }
}

fn surplus(configured: &Work, loads: &[Load]) -> ByMember<Work> {
    let mut surplus = ByMember::new();
    let all_are_empty = loads.iter().all(|load| load.work.is_empty());
    if !all_are_empty && !configured.connectors.is_empty() {
        balance::<Connectors>(loads, configured.connectors.len(), &mut surplus);
        balance::<Tasks>(loads, configured.tasks.len(), &mut surplus);
    }
    surplus
}

fn union<'a>(parts: impl Iterator<Item = &'a Work>) -> Work {
    parts.fold(Work::new(), |mut all, part| {
        all.add(part);
        all
    })
}

/// What more than one member holds.
fn duplicated(held: &ByMember<Work>) -> Work {
    let (mut seen, mut twice) = (Work::new(), Work::new());
    for work in held.values() {
        twice.add(&seen.common(work));
        seen.add(work);
    }
    twice
}
