//! What a member tells whoever runs the connectors and tasks.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::protocol::ConnectProtocol;
use crate::work::{TaskId, Work};

/// What a member tells whoever runs the connectors and tasks, in this order: `Rebalancing`, `Revoked` if something is
/// to stop, `Joined`, and `Assigned` once the worker has caught up with the config topic. A round may end before its
/// `Assigned`; the next `Rebalancing` says so.
#[derive(Debug)]
pub enum GroupEvent {
    /// The worker is about to join again: who leads and who owns what may be about to change. Leadership is kept, owners
    /// are not to be relied on until the next `Joined`. Nothing is to be stopped for it.
    Rebalancing,
    /// Stop these and say so; heartbeats go on meanwhile, but after `rebalance.timeout.ms` the worker leaves the group.
    Revoked(Revocation),
    /// The group has settled a round. The leader is this one from here on; a new leader cleans up statuses and claims
    /// the config topic. Nothing is to be started yet, and a failed round never is.
    Joined(Arc<Round>),
    /// The worker is out of touch with the group and does not know whether others run its work: nothing is to be written
    /// until `Resumed`, neither records nor offsets. What runs keeps its place.
    Suspended,
    /// What runs is this worker's: go on.
    Resumed,
    /// The worker has caught up with the round's config offset: run all of `round.work`, that is, start what is not
    /// running (tasks that were stopped for new configurations included). Sent once for every round that comes so far.
    Assigned(Arc<Round>),
}

/// Work to stop.
#[derive(Debug)]
pub struct Revocation {
    /// What to stop. Some of it may not be running, or not be configured any more.
    pub work: Work,
    /// Why, for the log.
    pub reason: RevocationReason,
    /// To be answered, or dropped, when all of it has stopped, its statuses are written and, where topic tracking is on,
    /// the active topics of connectors that are not configured any more are reset.
    pub done: oneshot::Sender<()>,
}

/// Why work is to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RevocationReason {
    /// The leader took it away: it was deleted, or moves to another worker.
    ByLeader,
    /// The eager protocol stops everything before it joins.
    Eager,
    /// The group has forgotten this worker while it was suspended, and may have given the work to others. Until the next
    /// `Joined` it does not know who leads; Kafka's goes on as before.
    Lost,
    /// The config topic cannot be caught up with, again and again.
    OutOfSync,
}

/// What the group settled in one generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Round {
    /// The group's generation.
    pub generation: i32,
    /// The elected protocol. Internal requests are signed with [`ConnectProtocol::Sessioned`] only.
    pub protocol: ConnectProtocol,
    /// This worker's member id.
    pub member_id: Arc<str>,
    /// The leader's member id.
    pub leader: Arc<str>,
    /// Whether that is this worker.
    pub is_leader: bool,
    /// The leader's REST URL with a trailing slash.
    pub leader_url: Arc<str>,
    /// The config offset that the assignment was made with.
    pub config_offset: i64,
    /// Whether the leader could not assign (CONFIG_MISMATCH); everybody joins again.
    pub failed: bool,
    /// How long until the group rebalances again by itself.
    pub delay: Option<Duration>,
    /// All that this worker is to run, not only what is new.
    pub work: Work,
    /// At the leader: who runs what.
    pub owners: Option<Arc<Owners>>,
}

/// Who runs what, as the leader knows it: REST URLs with a trailing slash.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owners {
    /// By connector.
    pub connectors: BTreeMap<Arc<str>, Arc<str>>,
    /// By task.
    pub tasks: BTreeMap<TaskId, Arc<str>>,
}

impl Owners {
    /// Where a connector runs.
    pub fn of_connector(&self, name: &str) -> Option<&Arc<str>> {
        self.connectors.get(name)
    }

    /// Where a task runs.
    pub fn of_task(&self, id: &TaskId) -> Option<&Arc<str>> {
        self.tasks.get(id)
    }
}
