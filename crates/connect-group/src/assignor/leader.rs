//! The leader's part of a round: from the subscriptions of all members to the assignment of each.

use std::sync::Arc;

use bytes::Bytes;

use super::incremental::{IncrementalAssignor, Moment};
use super::{ByMember, eager};
use crate::member::Owners;
use crate::protocol::{Assignment, AssignmentError, ConnectProtocol, Malformed, Subscription};
use crate::snapshot::ConfigSnapshot;
use crate::work::Work;

/// The assignors with what they remember; a member that does not lead simply does not ask.
#[derive(Clone, Debug)]
pub(crate) struct LeaderAssignor {
    incremental: IncrementalAssignor,
}

/// What a round starts from.
pub(crate) struct LeaderRound<'a> {
    pub(crate) protocol: ConnectProtocol,
    pub(crate) leader: Arc<str>,
    pub(crate) moment: Moment,
    /// Member ids and subscriptions.
    pub(crate) members: Vec<(Arc<str>, Bytes)>,
    /// What the leader's own subscription was made from.
    pub(crate) snapshot: ConfigSnapshot,
    /// Gives what the leader knows by now.
    pub(crate) fresh: &'a (dyn Fn() -> ConfigSnapshot + Send + Sync),
}

impl LeaderAssignor {
    pub(crate) fn new(max_delay_ms: i64) -> Self {
        Self {
            incremental: IncrementalAssignor::new(max_delay_ms),
        }
    }

    /// What each member is told, and who runs what.
    pub(crate) fn assign(&mut self, round: LeaderRound<'_>) -> Result<(ByMember<Bytes>, Owners), Malformed> {
        let mut members: ByMember<Subscription> = ByMember::new();
        for (id, bytes) in round.members {
            members.insert(id, Subscription::decode(bytes)?);
        }
        let max_offset = members.values().map(|member| member.config_offset).max().unwrap_or(-1);
        let url = members.get(&round.leader).map(|leader| leader.url.clone());
        let mut common = Assignment {
            leader: round.leader,
            leader_url: url.unwrap_or_default(),
            config_offset: max_offset,
            ..Assignment::default()
        };
        let Some((snapshot, config_offset)) = caught_up(round.snapshot, max_offset, round.fresh) else {
            tracing::info!(
                max_offset,
                "this leader is behind in the config topic and cannot assign"
            );
            common.error = Some(AssignmentError::ConfigMismatch);
            let told = members.keys().map(|id| (id.clone(), common.encode(round.protocol)));
            return Ok((told.collect(), Owners::default()));
        };
        common.config_offset = config_offset;
        let (told, running) = match round.protocol.is_incremental() {
            true => self.share_incrementally(&members, &snapshot.work(), round.moment, &common),
            false => share_eagerly(&members, &snapshot.work(), &common),
        };
        let told = told.into_iter().map(|(id, told)| (id, told.encode(round.protocol)));
        Ok((told.collect(), owners(&members, &running)))
    }

    fn share_incrementally(
        &mut self,
        members: &ByMember<Subscription>,
        configured: &Work,
        moment: Moment,
        common: &Assignment,
    ) -> (ByMember<Assignment>, ByMember<Work>) {
        let held = |subscription: &Subscription| match &subscription.allocation {
            Some(allocation) => allocation.assigned.clone(),
            None => Work::new(),
        };
        let held = members.iter().map(|(id, member)| (id.clone(), held(member))).collect();
        let mut shares = self.incremental.assign(configured, &held, moment);
        let told = members.keys().map(|id| {
            let told = Assignment {
                assigned: shares.assigned.remove(id).unwrap_or_default(),
                revoked: shares.revoked.remove(id).unwrap_or_default(),
                delay_ms: i32::try_from(shares.delay_ms).unwrap_or(i32::MAX),
                ..common.clone()
            };
            (id.clone(), told)
        });
        (told.collect(), shares.running)
    }
}

fn share_eagerly(
    members: &ByMember<Subscription>,
    configured: &Work,
    common: &Assignment,
) -> (ByMember<Assignment>, ByMember<Work>) {
    let shares = eager::assign(members.keys(), configured);
    let told = shares.iter().map(|(id, share)| {
        let told = Assignment {
            assigned: share.clone(),
            ..common.clone()
        };
        (id.clone(), told)
    });
    (told.collect(), shares)
}

/// What the assignment is to be made from, and the offset to tell, unless this leader is behind even now.
fn caught_up(
    known: ConfigSnapshot,
    max_offset: i64,
    fresh: &dyn Fn() -> ConfigSnapshot,
) -> Option<(ConfigSnapshot, i64)> {
    if known.offset >= max_offset {
        return Some((known, max_offset));
    }
    let fresh = fresh();
    let offset = fresh.offset;
    (offset >= max_offset).then_some((fresh, offset))
}

fn owners(members: &ByMember<Subscription>, running: &ByMember<Work>) -> Owners {
    let mut owners = Owners::default();
    for (id, work) in running {
        let Some(url) = members.get(id).map(|member| &member.url) else {
            continue;
        };
        let connectors = work.connectors.iter().map(|name| (name.clone(), url.clone()));
        owners.connectors.extend(connectors);
        owners
            .tasks
            .extend(work.tasks.iter().map(|id| (id.clone(), url.clone())));
    }
    owners
}
