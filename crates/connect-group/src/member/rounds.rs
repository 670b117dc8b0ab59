//! One round of the group: join, let the leader assign, take what it gives.

use std::sync::Arc;

use bytes::Bytes;
use kafka_protocol::messages::JoinGroupResponse;
use kafka_wire::ErrorCode;
use tokio::time::Instant;

use super::Member;
use super::answers::{Remedy, after_join, after_sync};
use super::coordinator::{Coordinator, Identity, PROTOCOL_TYPE};
use super::event::{GroupEvent, Owners, RevocationReason, Round};
use crate::assignor::{ByMember, LeaderRound, Moment};
use crate::error::Error;
use crate::protocol::{Assignment, ConnectProtocol, Subscription};

impl Member {
    /// One attempt; whatever goes wrong and may pass leaves things so that another follows.
    pub(super) async fn join(&mut self) -> Result<(), Error> {
        if !self.is_rebalancing {
            self.is_rebalancing = true;
            self.emit(GroupEvent::Rebalancing).await?;
        }
        if !self.protocol.is_incremental() && !self.running.is_empty() {
            self.revoke(self.running.clone(), RevocationReason::Eager).await?;
        }
        self.is_unresolved = false;
        // Requests that come from here on are not covered by what the subscription says.
        let asked = self.requests.has_changed().unwrap_or(false);
        let request = self.requests.borrow_and_update().reason.clone();
        let reason = match asked {
            true => request,
            false => self.rejoin.take().unwrap_or_default(),
        };
        self.rejoin = Some(reason.clone());
        let Some(coordinator) = self.coordinator.clone() else {
            return Ok(());
        };
        self.heartbeats.stop();
        self.seen = self.configs.snapshot();
        let member_id = self.identity.member_id.clone();
        let offers = self.offers();
        let joined = coordinator.join(&self.config, &member_id, offers, &reason).await;
        let joined = match joined {
            Ok(joined) => joined,
            Err(error) => return self.after_failed_attempt("JoinGroup", error).await,
        };
        match ErrorCode::check(joined.error_code) {
            Ok(()) => self.sync(coordinator, joined).await,
            Err(code) => {
                let remedy = after_join(code);
                if remedy == Remedy::TakeMemberId {
                    self.be(Identity::without_generation(joined.member_id.as_str()));
                }
                self.after_refused_attempt(remedy, "JoinGroup", code).await
            }
        }
    }

    fn offers(&self) -> Vec<(ConnectProtocol, Bytes)> {
        let subscription = Subscription {
            url: self.config.rest_url.clone(),
            config_offset: self.seen.offset,
            allocation: self.held.clone(),
        };
        let offered = self.config.protocol.offered();
        offered
            .map(|protocol| (protocol, subscription.encode(protocol)))
            .collect()
    }

    async fn sync(&mut self, coordinator: Coordinator, joined: JoinGroupResponse) -> Result<(), Error> {
        let protocol = self.elected(&joined)?;
        let identity = Identity {
            member_id: joined.member_id.as_str().into(),
            generation: joined.generation_id,
        };
        let is_leader = joined.leader == joined.member_id;
        let (assignments, owners) = match is_leader {
            true => {
                let (assignments, owners) = self.lead(protocol, &identity, &joined)?;
                (assignments, Some(Arc::new(owners)))
            }
            false => (ByMember::new(), None),
        };
        let joined_at = Instant::now();
        // Not ours before SyncGroup has confirmed it, but what it refuses with is about this identity.
        self.identity = identity.clone();
        let synced = match coordinator.sync(&identity, protocol.group_name(), assignments).await {
            Ok(synced) => synced,
            Err(error) => return self.after_failed_attempt("SyncGroup", error).await,
        };
        if let Err(code) = ErrorCode::check(synced.error_code) {
            return self.after_refused_attempt(after_sync(code), "SyncGroup", code).await;
        }
        let assignment = Assignment::decode(synced.assignment).map_err(|source| self.malformed(source))?;
        (self.failures, self.losses) = (0, 0);
        self.rejoin = None;
        self.heartbeats.confirmed(joined_at);
        self.heartbeats.start(coordinator, identity, joined_at);
        self.take(protocol, assignment, owners).await
    }

    /// The protocol of the round, if the answer makes sense at all.
    fn elected(&self, joined: &JoinGroupResponse) -> Result<ConnectProtocol, Error> {
        let inconsistent = |reason: String| Error::Inconsistent {
            group_id: self.config.group_id.clone(),
            reason: reason.into(),
        };
        if let Some(kind) = joined.protocol_type.as_deref().filter(|kind| *kind != PROTOCOL_TYPE) {
            return Err(inconsistent(format!(
                "its protocol type is {kind}, not {PROTOCOL_TYPE}"
            )));
        }
        if joined.skip_assignment {
            let reason = "the coordinator takes this leader for a static member, which Connect does not support";
            return Err(inconsistent(reason.to_owned()));
        }
        let name = joined.protocol_name.as_deref().unwrap_or_default();
        let offered = |protocol: &ConnectProtocol| *protocol <= self.config.protocol;
        let elected = ConnectProtocol::from_group_name(name).filter(offered);
        elected.ok_or_else(|| inconsistent(format!("it elected {name:?}, which this worker did not offer")))
    }

    /// The leader's part.
    fn lead(
        &mut self,
        protocol: ConnectProtocol,
        identity: &Identity,
        joined: &JoinGroupResponse,
    ) -> Result<(ByMember<Bytes>, Owners), Error> {
        let members = joined.members.iter();
        let round = LeaderRound {
            protocol,
            leader: identity.member_id.clone(),
            moment: Moment {
                last_completed_generation: self.last_completed_generation,
                generation: identity.generation,
                now_ms: i64::try_from(self.started.elapsed().as_millis()).unwrap_or(i64::MAX),
            },
            members: members
                .map(|member| (member.member_id.as_str().into(), member.metadata.clone()))
                .collect(),
            snapshot: self.seen.clone(),
            fresh: &|| self.configs.snapshot(),
        };
        let assigned = self.assignor.assign(round);
        assigned.map_err(|source| self.malformed(source))
    }

    /// Stops what moved away, takes what is new.
    async fn take(
        &mut self,
        protocol: ConnectProtocol,
        mut assignment: Assignment,
        owners: Option<Arc<Owners>>,
    ) -> Result<(), Error> {
        self.protocol = protocol;
        let identity = self.identity.clone();
        let gone = match protocol.is_incremental() {
            true => assignment.revoked.clone(),
            // Nothing was stopped before if the group spoke another protocol until now.
            false => self.running.without(&assignment.assigned),
        };
        self.revoke(gone, RevocationReason::ByLeader).await?;
        if let Some(held) = self.held.as_ref().filter(|_| protocol.is_incremental()) {
            assignment.assigned.add(&held.assigned.without(&assignment.revoked));
        }
        let delay = u64::try_from(assignment.delay_ms).ok().filter(|millis| *millis > 0);
        let delay = delay.map(std::time::Duration::from_millis);
        self.scheduled_rebalance = delay.map(|delay| Instant::now() + delay);
        self.last_completed_generation = identity.generation;
        self.is_rebalancing = false;
        let round = Arc::new(Round {
            generation: identity.generation,
            protocol,
            is_leader: assignment.leader == identity.member_id,
            member_id: identity.member_id,
            leader: assignment.leader.clone(),
            leader_url: assignment.leader_url.clone(),
            config_offset: assignment.config_offset,
            failed: assignment.error.is_some(),
            delay,
            work: assignment.assigned.clone(),
            owners,
        });
        tracing::info!(
            group_id = &*self.config.group_id,
            generation = round.generation,
            %protocol,
            is_leader = round.is_leader,
            leader_url = &*round.leader_url,
            connectors = round.work.connectors.len(),
            tasks = round.work.tasks.len(),
            failed = round.failed,
            ?delay,
            "joined the group"
        );
        self.held = Some(assignment);
        if self.identity.generation != round.generation {
            // It took so long to stop what moved away that this worker is no member any more.
            return Ok(());
        }
        self.round = Some(round.clone());
        self.is_unresolved = true;
        self.emit(GroupEvent::Joined(round)).await
    }

    async fn after_failed_attempt(&mut self, what: &'static str, error: kafka_client::Error) -> Result<(), Error> {
        self.apply_failure(what, error)?;
        let pause = self.next_pause();
        tokio::time::sleep(pause).await;
        Ok(())
    }

    async fn after_refused_attempt(
        &mut self,
        remedy: Remedy,
        what: &'static str,
        code: ErrorCode,
    ) -> Result<(), Error> {
        self.apply(remedy, what, code)?;
        if matches!(remedy, Remedy::JoinLater | Remedy::FindCoordinator) {
            let pause = self.next_pause();
            tokio::time::sleep(pause).await;
        }
        Ok(())
    }

    fn malformed(&self, source: crate::protocol::Malformed) -> Error {
        Error::Malformed {
            group_id: self.config.group_id.clone(),
            source,
        }
    }
}
