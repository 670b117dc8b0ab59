//! A worker's settings for its group.

use std::sync::Arc;
use std::time::Duration;

use crate::protocol::ConnectProtocol;

/// What a worker's properties say of its group. `request.timeout.ms`, `retry.backoff.ms` and `retry.backoff.max.ms`
/// come from the client.
#[derive(Clone, Debug)]
pub struct GroupConfig {
    /// `group.id`.
    pub group_id: Arc<str>,
    /// `connect.protocol`: the newest that this worker offers.
    pub protocol: ConnectProtocol,
    /// The advertised REST URL with a trailing slash.
    pub rest_url: Arc<str>,
    /// `session.timeout.ms`.
    pub session_timeout: Duration,
    /// `rebalance.timeout.ms`; also how long stopping revoked work may take before the worker leaves the group.
    pub rebalance_timeout: Duration,
    /// `heartbeat.interval.ms`; below the session timeout.
    pub heartbeat_interval: Duration,
    /// `scheduled.rebalance.max.delay.ms`.
    pub scheduled_rebalance_max_delay: Duration,
    /// `worker.sync.timeout.ms`.
    pub worker_sync_timeout: Duration,
    /// `worker.unsync.backoff.ms`.
    pub worker_unsync_backoff: Duration,
}

impl GroupConfig {
    /// Kafka's defaults, for a worker of `group_id` that is reached at `rest_url`.
    pub fn new(group_id: impl Into<Arc<str>>, rest_url: impl Into<Arc<str>>) -> Self {
        Self {
            group_id: group_id.into(),
            protocol: ConnectProtocol::Sessioned,
            rest_url: rest_url.into(),
            session_timeout: Duration::from_secs(10),
            rebalance_timeout: Duration::from_secs(60),
            heartbeat_interval: Duration::from_secs(3),
            scheduled_rebalance_max_delay: Duration::from_secs(300),
            worker_sync_timeout: Duration::from_secs(3),
            worker_unsync_backoff: Duration::from_secs(300),
        }
    }
}
