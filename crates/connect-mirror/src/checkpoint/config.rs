//! The settings of `MirrorCheckpointConnector` and its tasks.

use std::time::Duration;

use config_def::{ConfigDef, ConfigError, ConfigErrors, ConfigKey, Props, Type, Validator, key, security};
use connect_api::connector_config::CONNECTOR_KEYS;
use kafka_client::{ClientConfig, ConsumerConfig, config::ClientKind};

use crate::{
    client_props::Side,
    connector_config::{
        BASE_KEYS, CONSUMER_POLL_TIMEOUT, MirrorConnectorConfig, OFFSET_SYNCS_TOPIC_LOCATION, TASK_INDEX, collect,
        interval, offset_syncs_topic, parse_all, scheduled_interval,
    },
    group_filter::{self, DEFAULT_GROUP_FILTER, GroupFilter},
    source::topic_rules::TopicRules,
    topic_filter::{DEFAULT_TOPIC_FILTER, TopicFilter},
};

static OWN_KEYS: &[ConfigKey] = &[
    key("group.filter.class", Type::Class)
        .default("org.apache.kafka.connect.mirror.DefaultGroupFilter")
        .classes(&[DEFAULT_GROUP_FILTER])
        .doc("The class that chooses for which groups checkpoints are written."),
    key("refresh.groups.enabled", Type::Boolean)
        .default("true")
        .doc("Whether new consumer groups are looked for."),
    key("refresh.groups.interval.seconds", Type::Long)
        .default("600")
        .doc("How often to look for new consumer groups."),
    key("emit.checkpoints.enabled", Type::Boolean)
        .default("true")
        .doc("Whether checkpoints are written."),
    key("emit.checkpoints.interval.seconds", Type::Long)
        .default("60")
        .doc("How often checkpoints are written."),
    key("sync.group.offsets.enabled", Type::Boolean)
        .default("false")
        .doc("Whether translated offsets are committed for idle groups on the target cluster."),
    key("sync.group.offsets.interval.seconds", Type::Long)
        .default("60")
        .doc("How often translated offsets are committed."),
    key("checkpoints.topic.replication.factor", Type::Short)
        .default("3")
        .doc("Replication factor of the checkpoints topic when it is created; -1: the broker's default."),
    OFFSET_SYNCS_TOPIC_LOCATION,
    key("topic.filter.class", Type::Class)
        .default("org.apache.kafka.connect.mirror.DefaultTopicFilter")
        .classes(&[DEFAULT_TOPIC_FILTER])
        .doc("The class that chooses which topics are replicated."),
    key("metric.names.formats", Type::List)
        .default("legacy")
        .validator(Validator::List {
            of: &["legacy", "new"],
            empty_allowed: false,
            null_allowed: false,
        })
        .doc("Which names the metrics have: legacy, new or both."),
];

/// Every key of the connector. The topic filter's own keys are read by the filter, and not listed, as in Kafka.
pub static CONFIG_DEF: ConfigDef = ConfigDef::new(&[
    CONNECTOR_KEYS,
    BASE_KEYS,
    security::SSL,
    security::SASL,
    &[CONSUMER_POLL_TIMEOUT],
    group_filter::KEYS,
    OWN_KEYS,
]);

static TASK_CONFIG_DEF: ConfigDef = ConfigDef::new(&[&[
    key("task.assigned.groups", Type::List)
        .validator(Validator::NON_EMPTY_LIST)
        .doc("The consumer groups of this task; set by the connector."),
    TASK_INDEX,
]]);

/// The settings of the connector.
#[derive(Debug)]
pub struct MirrorCheckpointConfig {
    /// What all connectors have.
    pub connector: MirrorConnectorConfig,
    /// Which topics have offsets to translate.
    pub topic_filter: TopicFilter,
    /// Which groups get checkpoints.
    pub group_filter: GroupFilter,
    /// How often to look for groups; `None`: once.
    pub refresh_groups_interval: Option<Duration>,
    /// How often checkpoints are written; `None`: never, and there are no tasks.
    pub emit_checkpoints_interval: Option<Duration>,
    /// Where checkpoints are written.
    pub checkpoints_topic: String,
    /// `checkpoints.topic.replication.factor`.
    pub checkpoints_topic_replication_factor: i16,
    /// Speaks to the source.
    pub source_admin: ClientConfig,
    /// Speaks to the target.
    pub target_admin: ClientConfig,
}

/// The settings of a task.
#[derive(Debug)]
pub struct MirrorCheckpointTaskConfig {
    /// What all connectors have; clients are named after the task.
    pub connector: MirrorConnectorConfig,
    /// Which topics have offsets to translate.
    pub topic_filter: TopicFilter,
    /// `task.assigned.groups`.
    pub assigned: Vec<String>,
    /// How often checkpoints are written.
    pub emit_checkpoints_interval: Option<Duration>,
    /// How often offsets of idle groups are written on the target; `None`: never.
    pub sync_group_offsets_interval: Option<Duration>,
    /// `consumer.poll.timeout.ms`: the step in which a poll waits.
    pub poll_step: Duration,
    /// Where checkpoints are written.
    pub checkpoints_topic: String,
    /// Where offset syncs are read.
    pub offset_syncs_topic: String,
    /// Speaks to the source.
    pub source_admin: ClientConfig,
    /// Speaks to the target.
    pub target_admin: ClientConfig,
    /// Reads offset syncs.
    pub offset_syncs_consumer: ConsumerConfig,
    /// Speaks to the cluster that the offset syncs are on.
    pub offset_syncs_admin: ClientConfig,
    /// Reads the checkpoints that were written before.
    pub checkpoints_consumer: ConsumerConfig,
}

impl MirrorCheckpointConfig {
    /// Reads everything that the connector needs, or says all that is wrong.
    pub fn parse(props: &Props) -> Result<Self, ConfigErrors> {
        let values = CONFIG_DEF.parse(props)?;
        let connector = MirrorConnectorConfig::new(&values, props, None);
        let mut errors = ConfigErrors::default();
        let topic_filter = collect(&mut errors, TopicFilter::parse(props));
        let group_filter = collect(&mut errors, GroupFilter::parse(props));
        let refresh_groups = errors.collect(scheduled_interval(&values, "refresh.groups"));
        let source_admin = collect(&mut errors, admin(&connector, Side::Source));
        let target_admin = collect(&mut errors, admin(&connector, Side::Target));
        let parsed = || {
            Some(Self {
                topic_filter: topic_filter?,
                group_filter: group_filter?,
                refresh_groups_interval: refresh_groups?,
                emit_checkpoints_interval: interval(&values, "emit.checkpoints"),
                checkpoints_topic: connector.policy.checkpoints_topic(&connector.source_alias),
                checkpoints_topic_replication_factor: values.short("checkpoints.topic.replication.factor"),
                source_admin: source_admin?,
                target_admin: target_admin?,
                connector,
            })
        };
        parsed().ok_or(errors)
    }
}

impl MirrorCheckpointTaskConfig {
    /// Reads everything that a task needs, or says all that is wrong.
    pub fn parse(props: &Props) -> Result<Self, ConfigErrors> {
        let [values, task_values] = parse_all([&CONFIG_DEF, &TASK_CONFIG_DEF], props)?;
        let connector = MirrorConnectorConfig::new(&values, props, Some(&task_values));
        let mut errors = ConfigErrors::default();
        let topic_filter = collect(&mut errors, TopicFilter::parse(props));
        let sync_group_offsets = errors.collect(scheduled_interval(&values, "sync.group.offsets"));
        let source_admin = collect(&mut errors, admin(&connector, Side::Source));
        let target_admin = collect(&mut errors, admin(&connector, Side::Target));
        let (location, offset_syncs_topic) = offset_syncs_topic(&values, &connector);
        let syncs = |kind: &str| format!("offset-syncs-{}-{kind}", location.name());
        let syncs_consumer = collect(&mut errors, consumer(&connector, location, &syncs("consumer")));
        let syncs_admin = (location, ClientKind::Admin, &*syncs("admin"));
        let syncs_admin = collect(&mut errors, connector.parse_client(syncs_admin, ClientConfig::parse));
        let checkpoints = collect(
            &mut errors,
            consumer(&connector, Side::Target, "checkpoints-target-consumer"),
        );
        let parsed = || {
            Some(Self {
                topic_filter: topic_filter?,
                assigned: task_values.list("task.assigned.groups").to_vec(),
                emit_checkpoints_interval: interval(&values, "emit.checkpoints"),
                sync_group_offsets_interval: sync_group_offsets?,
                poll_step: values.millis("consumer.poll.timeout.ms"),
                checkpoints_topic: connector.policy.checkpoints_topic(&connector.source_alias),
                offset_syncs_topic,
                source_admin: source_admin?,
                target_admin: target_admin?,
                offset_syncs_consumer: syncs_consumer?,
                offset_syncs_admin: syncs_admin?,
                checkpoints_consumer: checkpoints?,
                connector,
            })
        };
        parsed().ok_or(errors)
    }
}

impl MirrorCheckpointTaskConfig {
    /// The name on the target of a topic of the source, if the filter wants it.
    pub(crate) fn remote_topic(&self, topic: &str) -> Option<String> {
        let rules = TopicRules {
            policy: self.connector.policy.clone(),
            source_alias: self.connector.source_alias.clone(),
            target_alias: self.connector.target_alias.clone(),
            replicate_heartbeats: false,
        };
        self.topic_filter.accepts(topic).then(|| rules.checkpoint_topic(topic))
    }
}

/// What the connector adds to validation by its table (`MirrorCheckpointConnector.validate`): it looks at the texts as
/// they stand.
pub fn validate(props: &Props) -> Vec<ConfigError> {
    let off = |key: &str| props.get(key).is_some_and(|set| set == "false");
    if off("enabled") {
        return Vec::new();
    }
    let mut errors = Vec::new();
    if off("emit.checkpoints.enabled") {
        let why = "MirrorCheckpointConnector can't run with emit.checkpoints.enabled set to false";
        errors.push(ConfigError::new("emit.checkpoints.enabled", why));
    }
    if off("emit.offset-syncs.enabled") {
        let why = "MirrorCheckpointConnector can't run without offset syncs";
        errors.push(ConfigError::new("emit.offset-syncs.enabled", why));
    }
    errors
}

fn admin(connector: &MirrorConnectorConfig, side: Side) -> Result<ClientConfig, ConfigErrors> {
    let role = format!("checkpoint-{}-admin", side.name());
    connector.parse_client((side, ClientKind::Admin, &role), ClientConfig::parse)
}

fn consumer(connector: &MirrorConnectorConfig, side: Side, role: &str) -> Result<ConsumerConfig, ConfigErrors> {
    connector.parse_client((side, ClientKind::Consumer, role), ConsumerConfig::parse)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden_tables::{expect_same_table, validated, vectors};

    #[test]
    fn the_table_is_that_of_kafka_4_3_1() {
        expect_same_table(
            &CONFIG_DEF,
            include_str!("../../testdata/config-checkpoint-connector.json"),
            "keys",
        );
    }

    #[test]
    fn the_tasks_own_table_is_that_of_kafka_4_3_1() {
        let recorded = include_str!("../../testdata/config-checkpoint-connector.json");
        expect_same_table(&TASK_CONFIG_DEF, recorded, "taskOnlyKeys");
    }

    #[test]
    fn validation_says_what_kafka_says() {
        for (props, vector) in vectors("checkpoint") {
            assert_eq!(validated(&CONFIG_DEF, validate, &props), vector["errors"], "{vector}");
        }
    }

    #[test]
    fn a_task_knows_its_groups_and_clients() {
        let props = [
            ("name", "C"),
            (
                "connector.class",
                "org.apache.kafka.connect.mirror.MirrorCheckpointConnector",
            ),
            ("source.cluster.alias", "A"),
            ("target.cluster.alias", "B"),
            ("source.cluster.bootstrap.servers", "a:1"),
            ("target.cluster.bootstrap.servers", "b:1"),
            ("task.assigned.groups", "g1,g2"),
            ("task.index", "0"),
        ];
        let props = props
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        let config = MirrorCheckpointTaskConfig::parse(&props).expect("good settings");
        assert_eq!(config.assigned, ["g1", "g2"]);
        assert_eq!(config.sync_group_offsets_interval, None);
        assert_eq!(
            &*config.offset_syncs_consumer.client.client_id,
            "A->B|C-0|offset-syncs-source-consumer"
        );
        assert_eq!(
            &*config.checkpoints_consumer.client.client_id,
            "A->B|C-0|checkpoints-target-consumer"
        );
        assert_eq!(config.checkpoints_topic, "A.checkpoints.internal");
    }
}
