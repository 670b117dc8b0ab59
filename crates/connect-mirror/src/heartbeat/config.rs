//! The settings of `MirrorHeartbeatConnector` and its task.

use std::time::Duration;

use config_def::{ConfigDef, ConfigErrors, ConfigKey, Props, Type, key, security};
use connect_api::connector_config::CONNECTOR_KEYS;
use kafka_client::{ClientConfig, config::ClientKind};

use crate::{
    client_props::Side,
    connector_config::{BASE_KEYS, MirrorConnectorConfig, interval},
    replication_policy::ReplicationPolicy,
};

static OWN_KEYS: &[ConfigKey] = &[
    key("emit.heartbeats.enabled", Type::Boolean)
        .default("true")
        .doc("Whether heartbeats are written."),
    key("emit.heartbeats.interval.seconds", Type::Long)
        .default("1")
        .doc("How often a heartbeat is written."),
    key("heartbeats.topic.replication.factor", Type::Short)
        .default("3")
        .doc("Replication factor of the heartbeats topic when it is created; -1: the broker's default."),
];

/// Every key of the connector.
pub static CONFIG_DEF: ConfigDef =
    ConfigDef::new(&[CONNECTOR_KEYS, BASE_KEYS, security::SSL, security::SASL, OWN_KEYS]);

/// The settings of the connector and of its task. `enabled` has no say here: a disabled flow beats, too.
#[derive(Debug)]
pub struct MirrorHeartbeatConfig {
    /// What all connectors have.
    pub connector: MirrorConnectorConfig,
    /// `source.cluster.alias`.
    pub source_alias: String,
    /// `target.cluster.alias`.
    pub target_alias: String,
    /// Names the topic.
    pub policy: ReplicationPolicy,
    /// How often; `None`: never.
    pub interval: Option<Duration>,
    /// `heartbeats.topic.replication.factor`.
    pub heartbeats_topic_replication_factor: i16,
    /// Speaks to the target.
    pub target_admin: ClientConfig,
}

impl MirrorHeartbeatConfig {
    /// Reads everything that connector and task need, or says all that is wrong.
    pub fn parse(props: &Props) -> Result<Self, ConfigErrors> {
        let values = CONFIG_DEF.parse(props)?;
        let connector = MirrorConnectorConfig::new(&values, props, None);
        let admin = (Side::Target, ClientKind::Admin, "heartbeats-target-admin");
        Ok(Self {
            source_alias: connector.source_alias.clone(),
            target_alias: connector.target_alias.clone(),
            policy: connector.policy.clone(),
            interval: interval(&values, "emit.heartbeats"),
            heartbeats_topic_replication_factor: values.short("heartbeats.topic.replication.factor"),
            target_admin: connector.parse_client(admin, ClientConfig::parse)?,
            connector,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden_tables::expect_same_table;

    #[test]
    fn the_table_is_that_of_kafka_4_3_1() {
        expect_same_table(
            &CONFIG_DEF,
            include_str!("../../testdata/config-heartbeat-connector.json"),
            "keys",
        );
    }
}
