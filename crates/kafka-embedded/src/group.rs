//! Groups: the classic protocol for any protocol type (`consumer`, `connect`, …) and committed offsets.
//!
//! Left out on purpose: the `consumer` protocol of KIP-848, share and streams groups, expiry of offsets.

mod departure;
pub(crate) mod membership;
pub(crate) mod offsets;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use kafka_protocol::error::ResponseError as E;
use kafka_protocol::messages::{JoinGroupResponse, SyncGroupResponse};
use tokio::sync::oneshot;
use tokio::time::Instant;

use offsets::Offsets;

pub(crate) const NO_GENERATION: i32 = -1;

#[derive(Debug, Default)]
pub(crate) struct Groups(BTreeMap<String, Group>);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum GroupState {
    #[default]
    Empty,
    /// Members are asked to join again.
    PreparingRebalance,
    /// All have joined; the leader's assignment is awaited.
    CompletingRebalance,
    Stable,
}

impl GroupState {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::PreparingRebalance => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Stable => "Stable",
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Group {
    pub(crate) state: GroupState,
    pub(crate) generation: i32,
    pub(crate) protocol_type: Option<String>,
    pub(crate) protocol: Option<String>,
    pub(crate) leader: Option<String>,
    pub(crate) members: BTreeMap<String, Member>,
    /// Member ids that were handed out and not yet used, with their end.
    pending: HashMap<String, Instant>,
    /// The end of the phase: of joining, then of syncing.
    phase_deadline: Option<Instant>,
    pub(crate) offsets: Offsets,
}

#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) instance_id: Option<String>,
    pub(crate) client_id: String,
    pub(crate) client_host: Arc<str>,
    session_timeout: std::time::Duration,
    rebalance_timeout: std::time::Duration,
    /// In the member's order of preference.
    pub(crate) protocols: Vec<(String, Bytes)>,
    pub(crate) assignment: Bytes,
    session_deadline: Instant,
    awaiting_join: Option<oneshot::Sender<JoinGroupResponse>>,
    awaiting_sync: Option<oneshot::Sender<SyncGroupResponse>>,
}

impl Groups {
    pub(crate) fn get(&self, id: &str) -> Option<&Group> {
        self.0.get(id)
    }

    pub(crate) fn get_mut(&mut self, id: &str) -> Option<&mut Group> {
        self.0.get_mut(id)
    }

    pub(crate) fn get_or_create(&mut self, id: &str) -> &mut Group {
        self.0.entry(id.to_owned()).or_default()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Group)> {
        self.0.iter().map(|(id, group)| (id.as_str(), group))
    }

    pub(crate) fn delete(&mut self, id: &str) -> Result<(), E> {
        let group = self.0.get(id).ok_or(E::GroupIdNotFound)?;
        if group.state != GroupState::Empty {
            return Err(E::NonEmptyGroup);
        }
        self.0.remove(id);
        Ok(())
    }

    /// Offsets of a topic end with it.
    pub(crate) fn topic_deleted(&mut self, topic: &str) {
        for group in self.0.values_mut() {
            group.offsets.topic_deleted(topic);
        }
    }

    /// Offsets that a transaction held back become visible, or are forgotten.
    pub(crate) fn transaction_ended(&mut self, group_id: &str, producer_id: i64, committed: bool) {
        if let Some(group) = self.0.get_mut(group_id) {
            group.offsets.transaction_ended(producer_id, committed);
        }
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.0.values().filter_map(Group::next_deadline).min()
    }

    pub(crate) fn expire(&mut self, now: Instant) {
        for (id, group) in &mut self.0 {
            group.expire(id, now);
        }
    }
}

impl Group {
    /// What a commit or another member's request has to agree with.
    pub(crate) fn check_member(&self, member_id: &str, instance_id: Option<&str>, generation: i32) -> Result<(), E> {
        self.check_instance(member_id, instance_id)?;
        if !self.members.contains_key(member_id) {
            return Err(E::UnknownMemberId);
        }
        match generation == self.generation {
            true => Ok(()),
            false => Err(E::IllegalGeneration),
        }
    }

    /// A static member that was replaced by another with the same instance id is fenced.
    fn check_instance(&self, member_id: &str, instance_id: Option<&str>) -> Result<(), E> {
        let Some(instance_id) = instance_id else { return Ok(()) };
        match self.static_member(instance_id) {
            Some(current) if current != member_id => Err(E::FencedInstanceId),
            Some(_) => Ok(()),
            None => Err(E::UnknownMemberId),
        }
    }

    fn static_member(&self, instance_id: &str) -> Option<&str> {
        let mut members = self.members.iter();
        let found = members.find(|(_, member)| member.instance_id.as_deref() == Some(instance_id));
        found.map(|(id, _)| id.as_str())
    }

    /// Whether a commit of this member may be accepted now.
    pub(crate) fn check_commit(&self, member_id: &str, instance_id: Option<&str>, generation: i32) -> Result<(), E> {
        // Tools and consumers without group management commit without a generation, while nobody is in the group.
        if generation < 0 && self.state == GroupState::Empty {
            return Ok(());
        }
        if generation < 0 && member_id.is_empty() && instance_id.is_none() {
            return Err(E::UnknownMemberId);
        }
        self.check_member(member_id, instance_id, generation)?;
        match self.state {
            GroupState::CompletingRebalance => Err(E::RebalanceInProgress),
            _ => Ok(()),
        }
    }
}
