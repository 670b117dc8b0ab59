//! A worker as a member of its group.

mod config;
mod event;
mod handle;

pub use config::GroupConfig;
pub use event::{GroupEvent, Owners, Revocation, RevocationReason, Round};
pub use handle::MemberHandle;

use std::sync::Arc;

use kafka_client::Client;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::error::Error;
use crate::snapshot::ConfigSnapshots;
use handle::RejoinRequests;

/// Events that may wait for whoever runs the work. A round makes at most four; a member with more to say than that waits.
const EVENT_CAPACITY: usize = 8;

/// A worker as a member of its group; does nothing until it runs.
pub struct Member {
    client: Client,
    config: GroupConfig,
    configs: Arc<dyn ConfigSnapshots>,
    requests: watch::Receiver<RejoinRequests>,
    events: mpsc::Sender<GroupEvent>,
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
        let (handle, requests) = MemberHandle::new();
        let (events, receiver) = mpsc::channel(EVENT_CAPACITY);
        let member = Self {
            client,
            config,
            configs,
            requests,
            events,
        };
        Ok((member, handle, receiver))
    }

    /// Joins the group and stays until `cancel`, then leaves it; what runs must have stopped by then. Dropping the
    /// future instead is like a crash: the group notices after the session timeout. An error is for good.
    pub async fn run(self, cancel: CancellationToken) -> Result<(), Error> {
        cancel.cancelled().await;
        Ok(())
    }
}
