//! A worker as a member of its group.

mod answers;
mod config;
mod coordinator;
mod event;
mod handle;
mod heartbeats;
mod membership;
mod rounds;
mod settling;
mod work_changes;

pub use config::GroupConfig;
pub use event::{GroupEvent, Owners, Revocation, RevocationReason, Round};
pub use handle::MemberHandle;

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;

use kafka_client::Client;
use kafka_client::metrics::ClientKind;
use kafka_client::retry::ExponentialBackoff;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::assignor::LeaderAssignor;
use crate::error::Error;
use crate::protocol::{Assignment, ConnectProtocol};
use crate::snapshot::{ConfigSnapshot, ConfigSnapshots};
use crate::work::Work;
use coordinator::{Coordinator, Identity};
use handle::RejoinRequests;
use heartbeats::Heartbeats;
use settling::UnsyncBackoff;

/// Events that may wait for whoever runs the work. A round makes at most four; a member with more to say than that waits.
const EVENT_CAPACITY: usize = 8;
/// Kafka's `ConsumerCoordinator` says so when it closes; brokers log it.
const LEAVE_REASON: &str = "the consumer is being closed";

/// A worker as a member of its group; does nothing until it runs.
pub struct Member {
    client: Client,
    config: GroupConfig,
    configs: Arc<dyn ConfigSnapshots>,
    events: mpsc::Sender<GroupEvent>,
    requests: watch::Receiver<RejoinRequests>,
    /// So that `requests` never ends.
    _handle: MemberHandle,
    retry_backoff: ExponentialBackoff,

    coordinator: Option<Coordinator>,
    identity: Identity,
    heartbeats: Heartbeats,
    /// Attempts to join or to find the coordinator that failed in a row.
    failures: u32,
    /// How often the coordinator was lost since it last said that all is well.
    losses: u32,

    assignor: LeaderAssignor,
    /// The `now_ms` of the assignor counts from here.
    started: Instant,
    /// The protocol that the group elected last.
    protocol: ConnectProtocol,
    last_completed_generation: i32,

    /// The last assignment, with all that is still ours: what the next subscription says.
    held: Option<Assignment>,
    /// What was said to run, and not to stop since.
    running: Work,
    /// What the group settled last.
    round: Option<Arc<Round>>,
    /// Whether that round has yet to lead to running work.
    is_unresolved: bool,
    /// Whether `Rebalancing` was said since the last round.
    is_rebalancing: bool,
    /// Whether others may run our work, for all that is known here.
    in_doubt: bool,
    /// Whether that was said.
    is_suspended: bool,
    /// Whether it turned out so after a while without the group.
    is_lost: bool,
    /// Why to join again.
    rejoin: Option<Arc<str>>,
    /// When the group is to rebalance by itself.
    scheduled_rebalance: Option<Instant>,

    /// The config topic as of the last subscription, or of the last reading to its end.
    seen: ConfigSnapshot,
    /// False while the worker stays away from the group because it cannot read the config topic.
    can_read_configs: bool,
    unsync_backoff: UnsyncBackoff,
}

impl Member {
    /// A member, how to speak to it, and what it will say. `client` should be the member's own: its `client.id` (Kafka
    /// takes `connect-<worker id>` when there is none) becomes part of the member id.
    pub fn new(
        client: Client,
        config: GroupConfig,
        configs: Arc<dyn ConfigSnapshots>,
    ) -> Result<(Self, MemberHandle, mpsc::Receiver<GroupEvent>), Error> {
        if config.heartbeat_interval >= config.session_timeout {
            return Err(Error::HeartbeatInterval);
        }
        client.metrics().is_now(ClientKind::Member);
        let (handle, requests) = MemberHandle::new();
        let (events, receiver) = mpsc::channel(EVENT_CAPACITY);
        let max_delay = config.scheduled_rebalance_max_delay;
        let retry_backoff = ExponentialBackoff::new(client.config().retry_backoff, client.config().retry_backoff_max);
        let member = Self {
            events,
            requests,
            _handle: handle.clone(),
            retry_backoff,
            coordinator: None,
            identity: Identity::unknown(),
            heartbeats: Heartbeats::new(config.heartbeat_interval, config.session_timeout),
            failures: 0,
            losses: 0,
            assignor: LeaderAssignor::new(i64::try_from(max_delay.as_millis()).unwrap_or(i64::MAX)),
            started: Instant::now(),
            protocol: config.protocol,
            last_completed_generation: Identity::unknown().generation,
            held: None,
            running: Work::new(),
            round: None,
            is_unresolved: false,
            is_rebalancing: false,
            in_doubt: false,
            is_suspended: false,
            is_lost: false,
            rejoin: None,
            scheduled_rebalance: None,
            seen: ConfigSnapshot::default(),
            can_read_configs: true,
            unsync_backoff: UnsyncBackoff::new(config.worker_unsync_backoff, max_delay),
            client,
            config,
            configs,
        };
        Ok((member, handle, receiver))
    }

    /// Joins the group and stays until `cancel`, then leaves it; what runs must have stopped by then. Dropping the
    /// future instead is like a crash: the group notices after the session timeout. An error is for good.
    pub async fn run(mut self, cancel: CancellationToken) -> Result<(), Error> {
        let outcome = tokio::select! {
            biased;
            () = cancel.cancelled() => Ok(()),
            outcome = self.stay() => outcome.map(|never| match never {}),
        };
        self.leave_group(LEAVE_REASON).await;
        outcome
    }

    async fn stay(&mut self) -> Result<Infallible, Error> {
        loop {
            if self.is_lost {
                self.stop_as_lost().await?;
            } else if self.in_doubt != self.is_suspended {
                self.say_whether_in_doubt().await?;
            } else if !self.can_read_configs {
                // Joining, only to leave at once since the configurations cannot be read, would be unkind to the others.
                self.catch_up().await?;
            } else if self.coordinator.is_none() {
                self.find_coordinator().await?;
            } else if self.is_unresolved && self.identity.is_member() {
                self.settle().await?;
            } else if self.must_join() {
                self.join().await?;
            } else {
                self.wait_for_a_reason().await?;
            }
        }
    }

    fn must_join(&self) -> bool {
        let has_failed = self.held.as_ref().is_none_or(|held| held.error.is_some());
        let is_asked = self.requests.has_changed().unwrap_or(false);
        has_failed || is_asked || self.rejoin.is_some() || !self.identity.is_member()
    }

    /// A member that has nothing to do waits for one of the few things that change that.
    async fn wait_for_a_reason(&mut self) -> Result<(), Error> {
        let Some(coordinator) = self.coordinator.clone() else {
            return Ok(());
        };
        let scheduled = self.scheduled_rebalance;
        let session_end = self.heartbeats.session_end();
        let may_doubt = !self.in_doubt && !self.running.is_empty();
        tokio::select! {
            answer = self.heartbeats.next() => self.on_heartbeat(answer)?,
            error = coordinator.closed() => self.lose_coordinator(&error.chain()),
            _ = self.requests.changed() => self.requests.mark_changed(),
            // Heartbeats are not answered, or this process was held.
            () = tokio::time::sleep_until(session_end), if may_doubt => self.in_doubt = true,
            () = tokio::time::sleep_until(scheduled.unwrap_or_else(Instant::now)), if scheduled.is_some() => {
                self.scheduled_rebalance = None;
                self.rejoin("the scheduled rebalance is due");
            }
        }
        Ok(())
    }

    fn rejoin(&mut self, reason: &str) {
        tracing::debug!(group_id = &*self.config.group_id, reason, "joining the group again");
        self.rejoin = Some(reason.into());
    }
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Member")
            .field("config", &self.config)
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}
