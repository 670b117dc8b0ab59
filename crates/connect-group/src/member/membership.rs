//! Finding the coordinator, staying in touch with it, and leaving.

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use kafka_protocol::messages::HeartbeatResponse;
use kafka_wire::ErrorCode;
use tokio::time::Instant;

use super::Member;
use super::answers::{Remedy, after_failure, after_heartbeat};
use super::coordinator::{Coordinator, Identity};
use super::event::{GroupEvent, RevocationReason};
use crate::error::Error;

/// Nobody waits for the answer to LeaveGroup, but the request should be on its way before the connection goes.
const LEAVE_PATIENCE: Duration = Duration::from_secs(1);

/// A search for the coordinator that is under way.
pub(super) type Search = BoxFuture<'static, Result<Coordinator, kafka_client::Error>>;

impl Member {
    /// Tries for as long as it takes. A worker without a coordinator for longer than a heartbeat interval, or than its
    /// session lasts, must assume that others run its work: where Kafka's stops it, it is suspended here, since more often
    /// than not the whole cluster is away, and nobody else runs anything.
    pub(super) async fn find_coordinator(&mut self) -> Result<(), Error> {
        let mut search = self.search();
        if !self.in_doubt && !self.running.is_empty() {
            let patience = Instant::now() + self.config.heartbeat_interval;
            match tokio::time::timeout_at(patience.min(self.heartbeats.session_end()), &mut search).await {
                Ok(found) => return self.found(found),
                Err(_elapsed) => self.in_doubt = true,
            }
            self.say_whether_in_doubt().await?;
        }
        match self.coordinator {
            // It came back meanwhile.
            Some(_) => Ok(()),
            None => self.found(search.await),
        }
    }

    pub(super) fn search(&self) -> Search {
        // The first loss says nothing about the next coordinator.
        let failures = self.losses.saturating_sub(1);
        Coordinator::search(self.client.clone(), self.config.group_id.clone(), failures).boxed()
    }

    pub(super) fn found(&mut self, found: Result<Coordinator, kafka_client::Error>) -> Result<(), Error> {
        let coordinator = found.map_err(|error| self.failed("FindCoordinator", error))?;
        let (group_id, node_id) = (&*self.config.group_id, coordinator.node_id());
        match self.losses {
            0 | 1 => tracing::info!(group_id, node_id, "found the group's coordinator"),
            losses => tracing::debug!(group_id, node_id, losses, "found the group's coordinator"),
        }
        self.failures = 0;
        if self.identity.is_member() {
            // Whether we are still a member is best known soon.
            let overdue = Instant::now() - self.config.heartbeat_interval.min(self.started.elapsed());
            self.heartbeats
                .start(coordinator.clone(), self.identity.clone(), overdue);
        }
        self.coordinator = Some(coordinator);
        Ok(())
    }

    pub(super) async fn say_whether_in_doubt(&mut self) -> Result<(), Error> {
        self.is_suspended = self.in_doubt;
        let group_id = &*self.config.group_id;
        match self.in_doubt {
            true => {
                tracing::warn!(
                    group_id,
                    "out of touch with the group: nothing is written until it is known whether others took over"
                );
                self.emit(GroupEvent::Suspended).await
            }
            false => {
                tracing::info!(group_id, "in touch with the group again: going on");
                self.emit(GroupEvent::Resumed).await
            }
        }
    }

    /// The group went on without us: what we held is somebody else's.
    pub(super) async fn stop_as_lost(&mut self) -> Result<(), Error> {
        tracing::warn!(
            group_id = &*self.config.group_id,
            "the group has forgotten this worker; stopping everything, since others may run it by now"
        );
        self.is_lost = false;
        self.held = None;
        self.is_unresolved = false;
        self.scheduled_rebalance = None;
        self.revoke(self.running.clone(), RevocationReason::Lost).await
    }

    /// The group has forgotten us. Work that was suspended before is lost; work that ran until now waits for the next
    /// round, which says whose it is.
    fn forgotten(&mut self) {
        self.is_lost |= self.is_suspended && !self.running.is_empty();
        self.in_doubt |= !self.running.is_empty();
    }

    /// It may still be there, but not for us.
    pub(super) fn lose_coordinator(&mut self, cause: &str) {
        if self.coordinator.take().is_some() {
            self.losses = self.losses.saturating_add(1);
            let group_id = &*self.config.group_id;
            match self.losses {
                1 => tracing::info!(
                    group_id,
                    cause,
                    "the group's coordinator is unavailable; looking for it again"
                ),
                losses => tracing::debug!(group_id, cause, losses, "the group's coordinator is unavailable again"),
            }
        }
        self.heartbeats.stop();
    }

    pub(super) fn on_heartbeat(&mut self, answer: Result<HeartbeatResponse, kafka_client::Error>) -> Result<(), Error> {
        match answer.map(|response| ErrorCode::check(response.error_code)) {
            Ok(Ok(())) => {
                self.in_doubt &= self.heartbeats.session_end() <= Instant::now();
                self.losses = 0;
                Ok(())
            }
            Ok(Err(code)) => self.apply(after_heartbeat(code), "a heartbeat", code),
            Err(error) => self.apply_failure("a heartbeat", error),
        }
    }

    /// Does what an error code asks for, up to the next attempt.
    pub(super) fn apply(&mut self, remedy: Remedy, what: &'static str, code: ErrorCode) -> Result<(), Error> {
        tracing::debug!(group_id = &*self.config.group_id, %code, ?remedy, "the coordinator refused {what}");
        match remedy {
            Remedy::JoinAgain | Remedy::JoinLater | Remedy::TakeMemberId => {
                self.rejoin(&format!("{what} was refused with {code}"));
            }
            Remedy::ForgetGeneration => {
                self.forgotten();
                self.be(Identity::without_generation(self.identity.member_id.clone()));
                self.rejoin(&format!("{what} was refused with {code}"));
            }
            Remedy::ForgetMember => {
                self.forgotten();
                self.be(Identity::unknown());
                self.rejoin(&format!("{what} was refused with {code}"));
            }
            Remedy::FindCoordinator => self.lose_coordinator(&code.to_string()),
            Remedy::Fail => {
                return Err(Error::Refused {
                    group_id: self.config.group_id.clone(),
                    what,
                    source: code,
                });
            }
        }
        Ok(())
    }

    /// As [`Self::apply`], when no code came.
    pub(super) fn apply_failure(&mut self, what: &'static str, error: kafka_client::Error) -> Result<(), Error> {
        match after_failure(&error) {
            Remedy::Fail => Err(self.failed(what, error)),
            _ => {
                self.lose_coordinator(&error.chain());
                Ok(())
            }
        }
    }

    fn failed(&self, what: &'static str, source: kafka_client::Error) -> Error {
        Error::Client {
            group_id: self.config.group_id.clone(),
            what,
            source,
        }
    }

    /// From here on the member is somebody else, and in no generation yet.
    pub(super) fn be(&mut self, identity: Identity) {
        self.identity = identity;
        self.heartbeats.stop();
    }

    /// Says good-bye, if there is anybody to say it to, and is nobody afterwards.
    pub(super) async fn leave_group(&mut self, reason: &str) {
        let member_id = self.identity.member_id.clone();
        self.be(Identity::unknown());
        self.in_doubt |= !self.running.is_empty();
        let Some(coordinator) = self.coordinator.clone().filter(|_| !member_id.is_empty()) else {
            return;
        };
        let group_id = &*self.config.group_id;
        tracing::info!(group_id, member_id = &*member_id, reason, "leaving the group");
        match tokio::time::timeout(LEAVE_PATIENCE, coordinator.leave(&member_id, reason)).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::info!(group_id, error = error.chain(), "could not leave; the session will end"),
            Err(_elapsed) => tracing::debug!(group_id, "left without waiting for the answer"),
        }
    }

    /// `retry.backoff.ms`, longer while nothing works.
    pub(super) fn next_pause(&mut self) -> Duration {
        let pause = self.retry_backoff.after(self.failures);
        self.failures = self.failures.saturating_add(1);
        pause
    }
}
