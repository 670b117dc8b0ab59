//! How the leader shares connectors and tasks out. Nothing here does I/O or reads a clock.

pub mod eager;
pub mod incremental;
mod leader;
mod load;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::work::Work;

pub use incremental::{IncrementalAssignor, Moment};
pub(crate) use leader::{LeaderAssignor, LeaderRound};

/// Something for each member, by member id.
pub type ByMember<T> = BTreeMap<Arc<str>, T>;

/// What one round of the incremental assignor settles.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shares {
    /// What is new for each member.
    pub assigned: ByMember<Work>,
    /// What each member is to stop.
    pub revoked: ByMember<Work>,
    /// Everything that each member runs after the round.
    pub running: ByMember<Work>,
    /// Milliseconds until the group is to rebalance again, 0 for never.
    pub delay_ms: i64,
}
