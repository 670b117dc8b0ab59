//! A member's work while a round is made: who may take more, and who has to give some back.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::ByMember;
use crate::work::{TaskId, Work};

/// A member and what it will run.
#[derive(Clone, Debug)]
pub(super) struct Load {
    pub(super) member: Arc<str>,
    pub(super) work: Work,
}

/// Connectors and tasks are balanced apart from each other, by the same rules.
pub(super) trait Kind {
    type Item: Clone + Ord;
    fn of(work: &Work) -> &BTreeSet<Self::Item>;
    fn of_mut(work: &mut Work) -> &mut BTreeSet<Self::Item>;
}

pub(super) enum Connectors {}

impl Kind for Connectors {
    type Item = Arc<str>;

    fn of(work: &Work) -> &BTreeSet<Arc<str>> {
        &work.connectors
    }

    fn of_mut(work: &mut Work) -> &mut BTreeSet<Arc<str>> {
        &mut work.connectors
    }
}

pub(super) enum Tasks {}

impl Kind for Tasks {
    type Item = TaskId;

    fn of(work: &Work) -> &BTreeSet<TaskId> {
        &work.tasks
    }

    fn of_mut(work: &mut Work) -> &mut BTreeSet<TaskId> {
        &mut work.tasks
    }
}

/// Gives `items` to those who have the least, in turn.
pub(super) fn place<K: Kind>(loads: &mut [Load], items: &BTreeSet<K::Item>) {
    loads.sort_by(|a, b| {
        let key = |load: &Load| K::of(&load.work).len();
        key(a).cmp(&key(b)).then_with(|| a.member.cmp(&b.member))
    });
    let mut items = items.iter().cloned().peekable();
    while items.peek().is_some() {
        let Some(least) = loads.first().map(|load| K::of(&load.work).len()) else {
            return;
        };
        let light = loads.partition_point(|load| K::of(&load.work).len() <= least);
        for (load, item) in loads[..light].iter_mut().zip(items.by_ref()) {
            K::of_mut(&mut load.work).insert(item);
        }
    }
}

/// What each member has to give back so that `total` items are spread evenly.
pub(super) fn balance<K: Kind>(loads: &[Load], total: usize, revoked: &mut ByMember<Work>) {
    let (fair, extra) = match loads.len() {
        0 => return,
        members => (total / members, total % members),
    };
    let having = |count: usize| loads.iter().filter(|load| K::of(&load.work).len() == count).count();
    if having(fair + 1) == extra && having(fair) + extra == loads.len() {
        return;
    }
    let mut extras_left = extra;
    for load in loads {
        let held = K::of(&load.work);
        if held.len() <= fair {
            continue;
        }
        let allowed = match extras_left {
            0 => fair,
            _ => fair + 1,
        };
        extras_left = extras_left.saturating_sub(1);
        let surplus = held.len() - allowed;
        if surplus > 0 {
            let back = K::of_mut(revoked.entry(load.member.clone()).or_default());
            back.extend(held.iter().take(surplus).cloned());
        }
    }
}
