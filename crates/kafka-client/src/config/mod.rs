//! Client settings under Kafka's names, typed. Past `parse` nobody reads a key by name.
//!
//! One table per kind of client knows every key that Kafka knows ([`tables`]); [`ClientConfig`], [`ConsumerConfig`] and
//! [`ProducerConfig`] hold what has an effect here; [`without_effect`] lists what has none, for a warning.

mod address;
mod client;
mod consumer;
mod offset_reset;
mod producer;
pub mod tables;
#[cfg(test)]
mod tests;

use config_def::Props;

pub use self::address::HostPort;
pub use self::client::{ClientConfig, MetadataRecovery};
pub use self::consumer::{ConsumerConfig, IsolationLevel};
pub use self::offset_reset::OffsetReset;
pub use self::producer::{Acks, ProducerConfig};
use self::tables::{ADMIN_CONFIG_DEF, CONSUMER_CONFIG_DEF, PRODUCER_CONFIG_DEF};
use crate::security;

/// A kind of client; each has its own table of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientKind {
    /// `AdminClientConfig`.
    Admin,
    /// `ConsumerConfig`.
    Consumer,
    /// `ProducerConfig`.
    Producer,
}

impl ClientKind {
    /// The kind's table.
    pub fn config_def(self) -> &'static config_def::ConfigDef {
        match self {
            Self::Admin => &ADMIN_CONFIG_DEF,
            Self::Consumer => &CONSUMER_CONFIG_DEF,
            Self::Producer => &PRODUCER_CONFIG_DEF,
        }
    }

    fn keys_with_effect(self) -> &'static [&'static str] {
        match self {
            Self::Admin => &[],
            Self::Consumer => consumer::KEYS_WITH_EFFECT,
            Self::Producer => producer::KEYS_WITH_EFFECT,
        }
    }
}

/// Keys of the table that are set and that this client does nothing with, so that the caller can say so once.
pub fn without_effect(props: &Props, kind: ClientKind) -> Vec<&str> {
    let tables = [
        client::KEYS_WITH_EFFECT,
        security::KEYS_WITH_EFFECT,
        kind.keys_with_effect(),
    ];
    let has_effect = |key: &str| tables.iter().any(|keys| keys.contains(&key));
    let known = props.keys().filter(|key| kind.config_def().key(key).is_some());
    known.map(String::as_str).filter(|key| !has_effect(key)).collect()
}
