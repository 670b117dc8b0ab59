//! Client settings, typed. Past `parse` nobody reads a key by name.

mod address;

use std::sync::Arc;
use std::time::Duration;

pub use self::address::HostPort;
use crate::dial::SocketOptions;

/// `metadata.recovery.strategy`: what to do when none of the known brokers answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetadataRecovery {
    /// Keep to the brokers that the last metadata named.
    None,
    /// Start again from `bootstrap.servers`.
    Rebootstrap,
}

/// `security.protocol`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecurityProtocol {
    /// TCP as it is.
    Plaintext,
}

/// The settings that admin clients, consumers and producers share.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// `bootstrap.servers`.
    pub bootstrap_servers: Vec<HostPort>,
    /// `client.id`.
    pub client_id: Arc<str>,
    /// `security.protocol`.
    pub security_protocol: SecurityProtocol,
    /// `request.timeout.ms`.
    pub request_timeout: Duration,
    /// `default.api.timeout.ms`.
    pub default_api_timeout: Duration,
    /// `retry.backoff.ms`.
    pub retry_backoff: Duration,
    /// `retry.backoff.max.ms`.
    pub retry_backoff_max: Duration,
    /// `reconnect.backoff.ms`.
    pub reconnect_backoff: Duration,
    /// `reconnect.backoff.max.ms`.
    pub reconnect_backoff_max: Duration,
    /// `metadata.max.age.ms`.
    pub metadata_max_age: Duration,
    /// `metadata.recovery.strategy`.
    pub metadata_recovery: MetadataRecovery,
    /// `connections.max.idle.ms`; `None`: never.
    pub connections_max_idle: Option<Duration>,
    /// `send.buffer.bytes`, `receive.buffer.bytes`, `socket.connection.setup.timeout.ms`.
    pub socket: SocketOptions,
    /// `socket.connection.setup.timeout.max.ms`.
    pub socket_setup_timeout_max: Duration,
    /// The largest response we accept; has no key in Kafka.
    pub max_frame_bytes: usize,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            bootstrap_servers: Vec::new(),
            client_id: "".into(),
            security_protocol: SecurityProtocol::Plaintext,
            request_timeout: Duration::from_secs(30),
            default_api_timeout: Duration::from_secs(60),
            retry_backoff: Duration::from_millis(100),
            retry_backoff_max: Duration::from_secs(1),
            reconnect_backoff: Duration::from_millis(50),
            reconnect_backoff_max: Duration::from_secs(1),
            metadata_max_age: Duration::from_secs(300),
            metadata_recovery: MetadataRecovery::Rebootstrap,
            connections_max_idle: Some(Duration::from_secs(300)),
            socket: SocketOptions::default(),
            socket_setup_timeout_max: Duration::from_secs(30),
            max_frame_bytes: 100 * 1024 * 1024,
        }
    }
}
