//! The first protocol's assignor: everything is shared out anew, in turn.

use std::sync::Arc;

use super::ByMember;
use crate::work::Work;

/// Gives connectors, then tasks, to the members in turn. All are taken in their order.
pub fn assign<'a>(members: impl IntoIterator<Item = &'a Arc<str>>, configured: &Work) -> ByMember<Work> {
    let mut shares: ByMember<Work> = members.into_iter().map(|id| (id.clone(), Work::new())).collect();
    let order: Vec<Arc<str>> = shares.keys().cloned().collect();
    let mut turns = order.iter().cycle();
    let mut next = |shares: &mut ByMember<Work>, give: &dyn Fn(&mut Work)| {
        if let Some(share) = turns.next().and_then(|id| shares.get_mut(id)) {
            give(share);
        }
    };
    for connector in &configured.connectors {
        next(&mut shares, &|share| drop(share.connectors.insert(connector.clone())));
    }
    for task in &configured.tasks {
        next(&mut shares, &|share| drop(share.tasks.insert(task.clone())));
    }
    shares
}
