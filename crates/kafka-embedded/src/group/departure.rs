//! How members go: they leave, fall silent, or do not come when all are called.

use kafka_protocol::error::ResponseError as E;
use tokio::time::Instant;

use super::membership::{join_refused, sync_refused};
use super::{Group, GroupState, Member};

impl Group {
    pub(crate) fn leave(&mut self, member_id: &str, instance_id: Option<&str>, now: Instant) -> Result<(), E> {
        let member_id = match instance_id {
            Some(instance_id) if member_id.is_empty() => {
                self.static_member(instance_id).ok_or(E::UnknownMemberId)?.to_owned()
            }
            _ => member_id.to_owned(),
        };
        if self.pending.remove(&member_id).is_some() {
            self.complete_join_when_all_came(now);
            return Ok(());
        }
        self.check_instance(&member_id, instance_id)?;
        if !self.members.contains_key(&member_id) {
            return Err(E::UnknownMemberId);
        }
        self.remove(&member_id, now);
        Ok(())
    }

    fn remove(&mut self, member_id: &str, now: Instant) {
        let Some(mut member) = self.members.remove(member_id) else {
            return;
        };
        member.answer_join(join_refused(member_id, E::UnknownMemberId));
        member.answer_sync(sync_refused(E::UnknownMemberId));
        if self.leader.as_deref() == Some(member_id) {
            self.leader = self.members.keys().next().cloned();
        }
        self.prepare_rebalance(now);
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let sessions = self
            .members
            .values()
            .filter(|member| !member.waits())
            .map(|member| member.session_deadline);
        let deadlines = sessions
            .chain(self.pending.values().copied())
            .chain(self.phase_deadline);
        deadlines.min()
    }

    pub(super) fn expire(&mut self, group_id: &str, now: Instant) {
        self.pending.retain(|_, deadline| *deadline > now);
        let silent = |(_, member): &(&String, &Member)| !member.waits() && member.session_deadline <= now;
        let silent: Vec<String> = self.members.iter().filter(silent).map(|(id, _)| id.clone()).collect();
        for member_id in silent {
            tracing::info!(group_id, member_id, "member fell silent");
            self.remove(&member_id, now);
        }
        self.complete_join_when_all_came(now);
        if self.phase_deadline.is_none_or(|deadline| deadline > now) {
            return;
        }
        self.phase_deadline = None;
        match self.state {
            GroupState::PreparingRebalance => self.complete_join(now),
            GroupState::CompletingRebalance => self.drop_unsynced(now),
            GroupState::Empty | GroupState::Stable => {}
        }
    }

    fn drop_unsynced(&mut self, now: Instant) {
        let unsynced = |(_, member): &(&String, &Member)| member.awaiting_sync.is_none();
        let unsynced: Vec<String> = self.members.iter().filter(unsynced).map(|(id, _)| id.clone()).collect();
        for member_id in unsynced {
            self.remove(&member_id, now);
        }
    }
}
