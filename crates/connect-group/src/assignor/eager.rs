//! The first protocol's assignor: everything is shared out anew, in turn.

use std::sync::Arc;

use super::ByMember;
use crate::work::Work;

/// Gives connectors, then tasks, to the members in turn. All are taken in their order.
pub fn assign<'a>(members: impl IntoIterator<Item = &'a Arc<str>>, configured: &Work) -> ByMember<Work> {
    let mut shares: Vec<(Arc<str>, Work)> = members.into_iter().map(|id| (id.clone(), Work::new())).collect();
    shares.sort_by(|(a, _), (b, _)| a.cmp(b));
    let count = shares.len();
    if count == 0 {
        return ByMember::new();
    }
    for (turn, connector) in configured.connectors.iter().enumerate() {
        shares[turn % count].1.connectors.insert(connector.clone());
    }
    for (turn, task) in (configured.connectors.len()..).zip(&configured.tasks) {
        shares[turn % count].1.tasks.insert(task.clone());
    }
    shares.into_iter().collect()
}
