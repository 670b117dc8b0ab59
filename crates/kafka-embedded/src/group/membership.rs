//! Who is in a group: joining, syncing, heartbeats, leaving, and what happens when a member falls silent.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::error::ResponseError as E;
use kafka_protocol::messages::join_group_response::JoinGroupResponseMember;
use kafka_protocol::messages::{JoinGroupResponse, SyncGroupResponse};
use kafka_protocol::protocol::StrBytes;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{Group, GroupState, Member};

/// A request to join, in our own types.
#[derive(Debug)]
pub(crate) struct Join {
    pub(crate) member_id: String,
    pub(crate) instance_id: Option<String>,
    pub(crate) client_id: String,
    pub(crate) client_host: Arc<str>,
    pub(crate) protocol_type: String,
    pub(crate) protocols: Vec<(String, Bytes)>,
    pub(crate) session_timeout: Duration,
    pub(crate) rebalance_timeout: Duration,
    /// From version 4 on, a new member has to come back with the id it is given.
    pub(crate) member_id_required: bool,
}

/// Either known at once, or told when all have come.
#[derive(Debug)]
pub(crate) enum Joined {
    Now(JoinGroupResponse),
    Later(oneshot::Receiver<JoinGroupResponse>),
}

#[derive(Debug)]
pub(crate) enum Synced {
    Now(SyncGroupResponse),
    Later(oneshot::Receiver<SyncGroupResponse>),
}

pub(crate) fn join_refused(member_id: &str, error: E) -> JoinGroupResponse {
    JoinGroupResponse::default()
        .with_error_code(error.code())
        .with_generation_id(super::NO_GENERATION)
        .with_protocol_name(Some(StrBytes::default()))
        .with_member_id(StrBytes::from_string(member_id.to_owned()))
}

impl Group {
    pub(crate) fn join(&mut self, join: Join, now: Instant) -> Joined {
        match self.try_join(&join, now) {
            Ok(Some(member_id)) => self.join_phase(&member_id, now),
            Ok(None) => Joined::Now(self.join_response(&join.member_id)),
            Err((member_id, error)) => Joined::Now(join_refused(&member_id, error)),
        }
    }

    /// The member id that now waits for the others, or `None` when the generation goes on as it is.
    fn try_join(&mut self, join: &Join, now: Instant) -> Result<Option<String>, (String, E)> {
        let refuse = |error| Err((join.member_id.clone(), error));
        if !self.accepts(join) {
            return refuse(E::InconsistentGroupProtocol);
        }
        if !join.member_id.is_empty() {
            if self.pending.remove(&join.member_id).is_some() {
                self.add_member(&join.member_id, join, now);
                return Ok(Some(join.member_id.clone()));
            }
            if let Err(error) = self.check_instance(&join.member_id, join.instance_id.as_deref()) {
                return refuse(error);
            }
            return match self.rejoin(join, now) {
                Ok(true) => Ok(Some(join.member_id.clone())),
                Ok(false) => Ok(None),
                Err(error) => refuse(error),
            };
        }
        let member_id = self.new_member_id(join);
        let replaced = join
            .instance_id
            .as_deref()
            .and_then(|id| self.static_member(id))
            .map(str::to_owned);
        if let Some(replaced) = replaced {
            return Ok(Some(self.replace_static(&replaced, member_id, join, now)));
        }
        if join.member_id_required && join.instance_id.is_none() {
            self.pending.insert(member_id.clone(), now + join.session_timeout);
            return Err((member_id, E::MemberIdRequired));
        }
        self.add_member(&member_id, join, now);
        Ok(Some(member_id))
    }

    /// Whether a known member's request starts a rebalance (or joins the one under way).
    fn rejoin(&mut self, join: &Join, now: Instant) -> Result<bool, E> {
        let is_leader = self.leader.as_deref() == Some(&join.member_id);
        let member = self.members.get_mut(&join.member_id).ok_or(E::UnknownMemberId)?;
        member.session_deadline = now + member.session_timeout;
        let same = member.protocols == join.protocols;
        let starts = match self.state {
            GroupState::PreparingRebalance => true,
            GroupState::CompletingRebalance => !same,
            GroupState::Stable => is_leader || !same,
            GroupState::Empty => return Err(E::UnknownMemberId),
        };
        if starts {
            member.protocols = join.protocols.clone();
            member.session_timeout = join.session_timeout;
            member.rebalance_timeout = join.rebalance_timeout;
            member.client_id = join.client_id.clone();
            member.client_host = join.client_host.clone();
        }
        Ok(starts)
    }

    fn accepts(&self, join: &Join) -> bool {
        if join.protocols.is_empty() || join.protocol_type.is_empty() {
            return false;
        }
        let others = self.members.iter().filter(|(id, _)| **id != join.member_id);
        let mut others = others.map(|(_, member)| member).peekable();
        if others.peek().is_none() {
            return true;
        }
        let others: Vec<_> = others.collect();
        let known_to_all = |name: &str| others.iter().all(|member| member.knows(name));
        self.protocol_type.as_deref() == Some(&join.protocol_type)
            && join.protocols.iter().any(|(name, _)| known_to_all(name))
    }

    fn new_member_id(&self, join: &Join) -> String {
        let prefix = join.instance_id.as_deref().unwrap_or(&join.client_id);
        format!("{prefix}-{}", uuid::Uuid::new_v4())
    }

    fn add_member(&mut self, member_id: &str, join: &Join, now: Instant) {
        self.protocol_type = Some(join.protocol_type.clone());
        let member = Member {
            instance_id: join.instance_id.clone(),
            client_id: join.client_id.clone(),
            client_host: join.client_host.clone(),
            session_timeout: join.session_timeout,
            rebalance_timeout: join.rebalance_timeout,
            protocols: join.protocols.clone(),
            assignment: Bytes::new(),
            session_deadline: now + join.session_timeout,
            awaiting_join: None,
            awaiting_sync: None,
        };
        self.members.insert(member_id.to_owned(), member);
        self.leader.get_or_insert_with(|| member_id.to_owned());
    }

    /// The same instance came back under a new member id: the old one is fenced.
    fn replace_static(&mut self, old: &str, new: String, join: &Join, now: Instant) -> String {
        if let Some(mut member) = self.members.remove(old) {
            let fenced = || E::FencedInstanceId;
            member.answer_join(join_refused(old, fenced()));
            member.answer_sync(sync_refused(fenced()));
        }
        let led = self.leader.as_deref() == Some(old);
        self.add_member(&new, join, now);
        if led {
            self.leader = Some(new.clone());
        }
        new
    }

    fn join_phase(&mut self, member_id: &str, now: Instant) -> Joined {
        let (sender, receiver) = oneshot::channel();
        if let Some(member) = self.members.get_mut(member_id) {
            member.awaiting_join = Some(sender);
        }
        self.prepare_rebalance(now);
        Joined::Later(receiver)
    }

    pub(super) fn prepare_rebalance(&mut self, now: Instant) {
        if self.state == GroupState::CompletingRebalance {
            for member in self.members.values_mut() {
                member.assignment = Bytes::new();
                member.answer_sync(sync_refused(E::RebalanceInProgress));
            }
        }
        if self.state != GroupState::PreparingRebalance {
            self.state = GroupState::PreparingRebalance;
            let longest = self.members.values().map(|member| member.rebalance_timeout).max();
            self.phase_deadline = Some(now + longest.unwrap_or_default());
        }
        self.complete_join_when_all_came(now);
    }

    pub(super) fn complete_join_when_all_came(&mut self, now: Instant) {
        let all_came = self.members.values().all(|member| member.awaiting_join.is_some());
        if self.state == GroupState::PreparingRebalance && all_came && self.pending.is_empty() {
            self.complete_join(now);
        }
    }

    /// Ends the join phase without those who did not come; static members stay.
    pub(super) fn complete_join(&mut self, now: Instant) {
        self.members
            .retain(|_, member| member.awaiting_join.is_some() || member.instance_id.is_some());
        self.generation += 1;
        if self.members.is_empty() {
            return self.become_empty();
        }
        self.state = GroupState::CompletingRebalance;
        self.protocol = self.vote();
        let came = |(_, member): &(&String, &Member)| member.awaiting_join.is_some();
        let leader_came = self
            .leader
            .as_ref()
            .and_then(|id| self.members.get(id))
            .is_some_and(|leader| leader.awaiting_join.is_some());
        if !leader_came {
            let next = self.members.iter().find(came).or_else(|| self.members.iter().next());
            self.leader = next.map(|(id, _)| id.clone());
        }
        let longest = self.members.values().map(|member| member.rebalance_timeout).max();
        self.phase_deadline = Some(now + longest.unwrap_or_default());
        let ids: Vec<String> = self.members.keys().cloned().collect();
        for id in ids {
            let response = self.join_response(&id);
            if let Some(member) = self.members.get_mut(&id) {
                member.session_deadline = now + member.session_timeout;
                member.answer_join(response);
            }
        }
    }

    fn become_empty(&mut self) {
        self.state = GroupState::Empty;
        self.protocol = None;
        self.leader = None;
        self.phase_deadline = None;
    }

    /// The protocol that all know and most prefer; the first in order among equals.
    fn vote(&self) -> Option<String> {
        let mut votes: Vec<(&str, usize)> = Vec::new();
        for member in self.members.values() {
            let known_to_all = |name: &str| self.members.values().all(|other| other.knows(name));
            let Some((name, _)) = member.protocols.iter().find(|(name, _)| known_to_all(name)) else {
                continue;
            };
            match votes.iter_mut().find(|(voted, _)| voted == name) {
                Some((_, count)) => *count += 1,
                None => votes.push((name, 1)),
            }
        }
        votes.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        votes.first().map(|(name, _)| (*name).to_owned())
    }

    fn join_response(&self, member_id: &str) -> JoinGroupResponse {
        let protocol = self.protocol.as_deref().unwrap_or_default();
        let is_leader = self.leader.as_deref() == Some(member_id);
        let members = self.members.iter().filter(|_| is_leader).map(|(id, member)| {
            JoinGroupResponseMember::default()
                .with_member_id(text(id))
                .with_group_instance_id(member.instance_id.as_deref().map(text))
                .with_metadata(member.metadata(protocol))
        });
        JoinGroupResponse::default()
            .with_generation_id(self.generation)
            .with_protocol_type(self.protocol_type.as_deref().map(text))
            .with_protocol_name(Some(text(protocol)))
            .with_leader(text(self.leader.as_deref().unwrap_or_default()))
            .with_member_id(text(member_id))
            .with_members(members.collect())
    }

    pub(crate) fn sync(&mut self, member_id: &str, assignments: Vec<(String, Bytes)>, now: Instant) -> Synced {
        let Some(member) = self.members.get_mut(member_id) else {
            return Synced::Now(sync_refused(E::UnknownMemberId));
        };
        member.session_deadline = now + member.session_timeout;
        match self.state {
            GroupState::Empty => Synced::Now(sync_refused(E::UnknownMemberId)),
            GroupState::PreparingRebalance => Synced::Now(sync_refused(E::RebalanceInProgress)),
            GroupState::Stable => Synced::Now(self.sync_response(member_id)),
            GroupState::CompletingRebalance => {
                let (sender, receiver) = oneshot::channel();
                member.awaiting_sync = Some(sender);
                if self.leader.as_deref() == Some(member_id) {
                    self.assign(assignments);
                }
                Synced::Later(receiver)
            }
        }
    }

    fn assign(&mut self, assignments: Vec<(String, Bytes)>) {
        for member in self.members.values_mut() {
            member.assignment = Bytes::new();
        }
        for (id, assignment) in assignments {
            if let Some(member) = self.members.get_mut(&id) {
                member.assignment = assignment;
            }
        }
        self.state = GroupState::Stable;
        let ids: Vec<String> = self.members.keys().cloned().collect();
        for id in ids {
            let response = self.sync_response(&id);
            if let Some(member) = self.members.get_mut(&id) {
                member.answer_sync(response);
            }
        }
    }

    fn sync_response(&self, member_id: &str) -> SyncGroupResponse {
        let assignment = self.members.get(member_id).map(|member| member.assignment.clone());
        SyncGroupResponse::default()
            .with_protocol_type(self.protocol_type.as_deref().map(text))
            .with_protocol_name(self.protocol.as_deref().map(text))
            .with_assignment(assignment.unwrap_or_default())
    }

    /// Any request of a member is a sign of life.
    pub(crate) fn touch(&mut self, member_id: &str, now: Instant) {
        if let Some(member) = self.members.get_mut(member_id) {
            member.session_deadline = now + member.session_timeout;
        }
    }

    pub(crate) fn heartbeat(&mut self, member_id: &str, now: Instant) -> Result<(), E> {
        let member = self.members.get_mut(member_id).ok_or(E::UnknownMemberId)?;
        member.session_deadline = now + member.session_timeout;
        match self.state {
            GroupState::PreparingRebalance => Err(E::RebalanceInProgress),
            _ => Ok(()),
        }
    }
}

impl Member {
    fn knows(&self, protocol: &str) -> bool {
        self.protocols.iter().any(|(name, _)| name == protocol)
    }

    pub(crate) fn metadata(&self, protocol: &str) -> Bytes {
        let found = self.protocols.iter().find(|(name, _)| name == protocol);
        found.map(|(_, metadata)| metadata.clone()).unwrap_or_default()
    }

    /// While it waits for an answer of ours, silence is not its fault.
    pub(super) fn waits(&self) -> bool {
        self.awaiting_join.is_some() || self.awaiting_sync.is_some()
    }

    // A member that hung up meanwhile does not hear the answer; it will be missed at its session's end.

    pub(super) fn answer_join(&mut self, response: JoinGroupResponse) {
        if let Some(waiting) = self.awaiting_join.take() {
            let _ = waiting.send(response);
        }
    }

    pub(super) fn answer_sync(&mut self, response: SyncGroupResponse) {
        if let Some(waiting) = self.awaiting_sync.take() {
            let _ = waiting.send(response);
        }
    }
}

pub(crate) fn sync_refused(error: E) -> SyncGroupResponse {
    SyncGroupResponse::default().with_error_code(error.code())
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}
