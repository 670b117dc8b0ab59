//! What is said to whoever runs the work, and the way from a settled round to running work.

use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::Member;
use super::event::{GroupEvent, Revocation, RevocationReason, Round};
use super::membership::Search;
use super::settling::{StayAway, must_catch_up, why_not_to_start};
use crate::error::Error;
use crate::work::Work;

/// Kafka's `AbstractCoordinator.HeartbeatThread` says so.
const POLL_TIMEOUT_REASON: &str = "consumer poll timeout has expired.";
const UNSYNC_REASON: &str = "taking too long to read the log";

impl Member {
    /// Catches up with the round's config offset if need be, then has the work started, or joins again.
    pub(super) async fn settle(&mut self) -> Result<(), Error> {
        let Some(round) = self.round.clone() else {
            self.is_unresolved = false;
            return Ok(());
        };
        let is_due = self.scheduled_rebalance.is_some_and(|at| at <= Instant::now());
        if is_due {
            self.scheduled_rebalance = None;
        }
        if must_catch_up(&round, self.seen.offset) && !self.catch_up().await? {
            return Ok(());
        }
        if let Some(reason) = why_not_to_start(&round, self.seen.offset, is_due) {
            self.is_unresolved = false;
            self.rejoin(reason);
            return Ok(());
        }
        if self.identity.is_member() {
            self.start(round).await?;
        }
        Ok(())
    }

    async fn start(&mut self, round: Arc<Round>) -> Result<(), Error> {
        self.is_unresolved = false;
        self.running = round.work.clone();
        self.emit(GroupEvent::Assigned(round)).await?;
        self.in_doubt = false;
        let revoked = self.held.as_mut().map(|held| std::mem::take(&mut held.revoked));
        if revoked.is_some_and(|revoked| !revoked.is_empty()) {
            // Only the next round hands out what this one took away.
            self.rejoin("work was revoked");
        }
        Ok(())
    }

    /// Reads the config topic to its end. When that takes too long, leaves the group so that it does not wait for this
    /// worker, and stays away for a while.
    pub(super) async fn catch_up(&mut self) -> Result<bool, Error> {
        let reading = tokio::time::timeout(self.config.worker_sync_timeout, self.configs.read_to_end());
        match self.staying_a_member(reading).await? {
            Ok(Ok(())) => {
                self.seen = self.configs.snapshot();
                self.can_read_configs = true;
                self.unsync_backoff.reset();
                return Ok(true);
            }
            Ok(Err(error)) => tracing::warn!(error = %error, "cannot catch up with the config topic"),
            Err(_elapsed) => tracing::warn!("reading the config topic takes longer than worker.sync.timeout.ms"),
        }
        self.can_read_configs = false;
        self.is_unresolved = false;
        self.rejoin(UNSYNC_REASON);
        self.leave_group(UNSYNC_REASON).await;
        if self.in_doubt != self.is_suspended {
            self.say_whether_in_doubt().await?;
        }
        match self.unsync_backoff.failed(self.protocol) {
            StayAway::For(pause) => tokio::time::sleep(pause).await,
            StayAway::StopEverything => self.revoke(self.running.clone(), RevocationReason::OutOfSync).await?,
        }
        Ok(false)
    }

    /// Has work stopped and waits until it has; heartbeats go on.
    pub(super) async fn revoke(&mut self, work: Work, reason: RevocationReason) -> Result<(), Error> {
        self.running.remove(&work);
        if work.is_empty() {
            return Ok(());
        }
        let (done, stopped) = oneshot::channel();
        self.emit(GroupEvent::Revoked(Revocation { work, reason, done }))
            .await?;
        // A dropped answer is an answer, too.
        drop(self.staying_a_member(stopped).await?);
        Ok(())
    }

    pub(super) async fn emit(&mut self, event: GroupEvent) -> Result<(), Error> {
        let events = self.events.clone();
        match self.staying_a_member(events.reserve()).await? {
            Ok(permit) => {
                permit.send(event);
                Ok(())
            }
            Err(_closed) => Err(Error::NobodyListens {
                group_id: self.config.group_id.clone(),
            }),
        }
    }

    /// Awaits `work` while heartbeats go on. After the rebalance timeout the others should not wait any longer for this
    /// worker: it leaves, keeps its work, and joins as somebody new afterwards.
    async fn staying_a_member<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Error> {
        let expires = Instant::now() + self.config.rebalance_timeout;
        let mut search: Option<Search> = None;
        tokio::pin!(work);
        loop {
            let is_member = self.identity.is_member();
            if is_member && self.coordinator.is_none() && search.is_none() {
                search = Some(self.search());
            }
            let found = async {
                match &mut search {
                    Some(search) => search.await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                done = &mut work => return Ok(done),
                answer = self.heartbeats.next() => self.on_heartbeat(answer)?,
                found = found => {
                    search = None;
                    self.found(found)?;
                }
                () = tokio::time::sleep_until(expires), if is_member => {
                    tracing::warn!("stopping revoked work takes longer than rebalance.timeout.ms; leaving the group");
                    self.leave_group(POLL_TIMEOUT_REASON).await;
                }
            }
        }
    }
}
