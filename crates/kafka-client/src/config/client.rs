//! What admin clients, consumers and producers share.

use std::sync::Arc;
use std::time::Duration;

use config_def::{ConfigError, ConfigErrors, Props, Values};

use super::HostPort;
use super::tables::ADMIN_CONFIG_DEF;
use crate::dial::SocketOptions;
use crate::security::Security;

/// `metadata.recovery.strategy`: what to do when none of the known brokers answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetadataRecovery {
    /// Keep to the brokers that the last metadata named.
    None,
    /// Start again from `bootstrap.servers`.
    Rebootstrap,
}

/// The settings that admin clients, consumers and producers share.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// `bootstrap.servers`.
    pub bootstrap_servers: Vec<HostPort>,
    /// `client.id`.
    pub client_id: Arc<str>,
    /// `security.protocol`, `ssl.*` and `sasl.*`.
    pub security: Arc<Security>,
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

pub(super) const KEYS_WITH_EFFECT: &[&str] = &[
    "bootstrap.servers",
    "client.id",
    "connections.max.idle.ms",
    "default.api.timeout.ms",
    "metadata.max.age.ms",
    "metadata.recovery.strategy",
    "receive.buffer.bytes",
    "reconnect.backoff.max.ms",
    "reconnect.backoff.ms",
    "request.timeout.ms",
    "retry.backoff.max.ms",
    "retry.backoff.ms",
    "send.buffer.bytes",
    "socket.connection.setup.timeout.max.ms",
    "socket.connection.setup.timeout.ms",
];

/// A fetch response is at most this large unless `fetch.max.bytes` allows more.
const MAX_FRAME_BYTES: usize = 100 * 1024 * 1024;

impl Default for ClientConfig {
    fn default() -> Self {
        let values = ADMIN_CONFIG_DEF
            .parse(&Props::new())
            .expect("every default passes, as a test shows");
        let api_timeout = values.millis("default.api.timeout.ms");
        Self::from_values(&values, &Props::new(), api_timeout).expect("the defaults are plain text")
    }
}

impl ClientConfig {
    /// Reads `AdminClientConfig`'s keys; other keys are not looked at. Every problem is reported at once.
    pub fn parse(props: &Props) -> Result<Self, ConfigErrors> {
        let values = ADMIN_CONFIG_DEF.parse(props)?;
        let config = Self::from_values(&values, props, values.millis("default.api.timeout.ms"))?;
        match config.bootstrap_servers.is_empty() {
            true => Err(ConfigError::missing("bootstrap.servers").into()),
            false => Ok(config),
        }
    }

    /// Reads what a table of any kind has parsed.
    pub(super) fn from_values(
        values: &Values,
        props: &Props,
        default_api_timeout: Duration,
    ) -> Result<Self, ConfigErrors> {
        let mut errors = ConfigErrors::default();
        let bootstrap_servers = values
            .list("bootstrap.servers")
            .iter()
            .filter_map(|text| errors.collect(address(text)))
            .collect();
        let security = Security::from_values(values).unwrap_or_else(|found| {
            errors.0.extend(found.0);
            Security::plaintext()
        });
        let buffer = |key: &str| match props.contains_key(key) {
            // Java's default is smaller than what Linux tunes by itself.
            true => u32::try_from(values.int(key)).ok().filter(|bytes| *bytes > 0),
            false => None,
        };
        let recovery = match values.string("metadata.recovery.strategy").eq_ignore_ascii_case("none") {
            true => MetadataRecovery::None,
            false => MetadataRecovery::Rebootstrap,
        };
        let max_idle = values.long("connections.max.idle.ms");
        errors.into_result(Self {
            bootstrap_servers,
            client_id: values.string("client.id").into(),
            security: Arc::new(security),
            request_timeout: values.millis("request.timeout.ms"),
            default_api_timeout,
            retry_backoff: values.millis("retry.backoff.ms"),
            retry_backoff_max: values.millis("retry.backoff.max.ms"),
            reconnect_backoff: values.millis("reconnect.backoff.ms"),
            reconnect_backoff_max: values.millis("reconnect.backoff.max.ms"),
            metadata_max_age: values.millis("metadata.max.age.ms"),
            metadata_recovery: recovery,
            connections_max_idle: u64::try_from(max_idle).ok().map(Duration::from_millis),
            socket: SocketOptions {
                send_buffer_bytes: buffer("send.buffer.bytes"),
                receive_buffer_bytes: buffer("receive.buffer.bytes"),
                setup_timeout: values.millis("socket.connection.setup.timeout.ms"),
            },
            socket_setup_timeout_max: values.millis("socket.connection.setup.timeout.max.ms"),
            max_frame_bytes: MAX_FRAME_BYTES,
        })
    }
}

fn address(text: &str) -> Result<HostPort, ConfigError> {
    text.parse()
        .map_err(|why: String| ConfigError::new("bootstrap.servers", why))
}
