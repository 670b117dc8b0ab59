//! The settings of `MirrorSourceConnector` and its tasks.

use std::time::Duration;

use config_def::{ConfigDef, ConfigError, ConfigErrors, ConfigKey, Props, Type, Validator, Values, key, security};
use connect_api::connector_config::CONNECTOR_KEYS;
use kafka_client::{ClientConfig, ConsumerConfig, ProducerConfig, config::ClientKind};
use kafka_wire::{Compression, TopicPartition};

use super::{assignment, own_config::OwnConfig, topic_rules::TopicRules};
use crate::{
    client_props::{Side, client_props},
    config_property_filter::{CONFIG_PROPERTIES_EXCLUDE, ConfigPropertyFilter, DEFAULT_CONFIG_PROPERTY_FILTER},
    connector_config::{
        BASE_KEYS, CONSUMER_POLL_TIMEOUT, MirrorConnectorConfig, OFFSET_SYNCS_TOPIC_LOCATION, TASK_INDEX, collect,
        offset_syncs_topic, parse_all, scheduled_interval,
    },
    replication_policy::{DEFAULT_REPLICATION_POLICY, ReplicationPolicy},
    topic_filter::{self, DEFAULT_TOPIC_FILTER, TopicFilter},
};

static OWN_KEYS: &[ConfigKey] = &[
    key("topic.filter.class", Type::Class)
        .default("org.apache.kafka.connect.mirror.DefaultTopicFilter")
        .classes(&[DEFAULT_TOPIC_FILTER])
        .doc("The class that chooses which topics are replicated."),
    key("config.property.filter.class", Type::Class)
        .default("org.apache.kafka.connect.mirror.DefaultConfigPropertyFilter")
        .classes(&[DEFAULT_CONFIG_PROPERTY_FILTER])
        .doc("The class that chooses which topic settings are copied."),
    CONSUMER_POLL_TIMEOUT,
    key("refresh.topics.enabled", Type::Boolean)
        .default("true")
        .doc("Whether new topics and partitions are looked for."),
    key("refresh.topics.interval.seconds", Type::Long)
        .default("600")
        .doc("How often to look for new topics and partitions."),
    key("sync.topic.configs.enabled", Type::Boolean)
        .default("true")
        .doc("Whether settings of topics are copied."),
    key("sync.topic.configs.interval.seconds", Type::Long)
        .default("600")
        .doc("How often settings are copied."),
    key("sync.topic.acls.enabled", Type::Boolean)
        .default("true")
        .doc("Whether ACLs of topics are copied."),
    key("sync.topic.acls.interval.seconds", Type::Long)
        .default("600")
        .doc("How often ACLs are copied."),
    key("replication.factor", Type::Int)
        .default("2")
        .doc("Replication factor of remote topics when they are created; -1: the broker's default."),
    key("offset-syncs.topic.replication.factor", Type::Short)
        .default("3")
        .doc("Replication factor of the offset syncs topic when it is created; -1: the broker's default."),
    key("offset.lag.max", Type::Long)
        .default("100")
        .doc("How many records a remote partition may be ahead of its last offset sync."),
    OFFSET_SYNCS_TOPIC_LOCATION,
    key("emit.offset-syncs.enabled", Type::Boolean)
        .default("true")
        .doc("Whether offset syncs are written, which checkpoints need."),
    key("heartbeats.replication.enabled", Type::Boolean)
        .default("true")
        .doc("Whether heartbeats topics are replicated whatever the topic filter says."),
    key("metric.names.formats", Type::List)
        .default("legacy")
        .validator(Validator::List {
            of: &["legacy", "new"],
            empty_allowed: false,
            null_allowed: false,
        })
        .doc("Which names the metrics have: legacy, new or both."),
];

/// Every key of the connector.
pub static CONFIG_DEF: ConfigDef = ConfigDef::new(&[
    CONNECTOR_KEYS,
    BASE_KEYS,
    security::SSL,
    security::SASL,
    topic_filter::KEYS,
    &[CONFIG_PROPERTIES_EXCLUDE],
    OWN_KEYS,
]);

static TASK_CONFIG_DEF: ConfigDef = ConfigDef::new(&[&[
    key("task.assigned.partitions", Type::List)
        .validator(Validator::NON_EMPTY_LIST)
        .doc("The source partitions of this task; set by the connector."),
    TASK_INDEX,
]]);

/// The settings of the connector.
#[derive(Debug)]
pub struct MirrorSourceConfig {
    /// What all connectors have.
    pub connector: MirrorConnectorConfig,
    /// Which topics are copied, besides what the filter says.
    pub rules: TopicRules,
    /// Which topics are copied.
    pub topic_filter: TopicFilter,
    /// Which settings of a topic are copied.
    pub config_property_filter: ConfigPropertyFilter,
    /// `replication.factor`, of remote topics.
    pub replication_factor: i16,
    /// How often to look for topics; `None`: once.
    pub refresh_topics_interval: Option<Duration>,
    /// How often to copy settings of topics; `None`: never.
    pub sync_topic_configs_interval: Option<Duration>,
    /// How often to copy ACLs; `None`: never.
    pub sync_topic_acls_interval: Option<Duration>,
    /// Speaks to the source.
    pub source_admin: ClientConfig,
    /// Speaks to the target.
    pub target_admin: ClientConfig,
    /// The topic of offset syncs; `None` if none are written.
    pub offset_syncs: Option<OffsetSyncsTopicConfig>,
    /// What Kafka's connector does not have.
    pub own: OwnConfig,
    /// Reads what a flow back that keeps names would write to the target; `None` where there is no telling.
    pub reverse_syncs: Option<ConsumerConfig>,
}

/// Where the offset syncs topic is, and how it is made.
#[derive(Debug)]
pub struct OffsetSyncsTopicConfig {
    /// The cluster it is on.
    pub location: Side,
    /// Its name.
    pub topic: String,
    /// Its replication factor.
    pub replication_factor: i16,
    /// Speaks to that cluster.
    pub admin: ClientConfig,
}

/// The settings of a task.
#[derive(Debug)]
pub struct MirrorSourceTaskConfig {
    /// What all connectors have; clients are named after the task.
    pub connector: MirrorConnectorConfig,
    /// How topics are named.
    pub rules: TopicRules,
    /// The partitions to copy.
    pub assigned: Vec<TopicPartition>,
    /// Speaks to the source.
    pub source_consumer: ClientConfig,
    /// How to fetch.
    pub consumer: ConsumerConfig,
    /// The connector's own `producer.override.compression.type`.
    pub compression: Option<Compression>,
    /// How offset syncs are written; `None` if they are not.
    pub offset_syncs: Option<OffsetSyncsConfig>,
    /// What Kafka's task does not have.
    pub own: OwnConfig,
}

/// How offset syncs are written.
#[derive(Debug)]
pub struct OffsetSyncsConfig {
    /// The name of their topic.
    pub topic: String,
    /// `offset.lag.max`.
    pub offset_lag_max: i64,
    /// Speaks to the cluster that the topic is on.
    pub producer_client: ClientConfig,
    /// How to produce.
    pub producer: ProducerConfig,
    /// Reads what was written to the topic before.
    pub consumer: ConsumerConfig,
}

/// Whether a connector can deliver exactly once (`ExactlyOnceSupport`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExactlyOnceSupport {
    /// It can.
    Supported,
    /// It would copy records of aborted transactions.
    Unsupported,
}

impl MirrorSourceConfig {
    /// Reads everything that the connector needs, or says all that is wrong.
    pub fn parse(props: &Props) -> Result<Self, ConfigErrors> {
        let values = CONFIG_DEF.parse(props)?;
        let connector = MirrorConnectorConfig::new(&values, props, None);
        let mut errors = ConfigErrors::default();
        let filter = collect(&mut errors, TopicFilter::parse(props));
        let property_filter = collect(&mut errors, ConfigPropertyFilter::parse(props));
        let own = collect(&mut errors, OwnConfig::parse(props, &connector.policy));
        let refresh_topics = errors.collect(scheduled_interval(&values, "refresh.topics"));
        let sync_topic_configs = errors.collect(scheduled_interval(&values, "sync.topic.configs"));
        let sync_topic_acls = errors.collect(scheduled_interval(&values, "sync.topic.acls"));
        let keeps_names = connector.policy.keeps_names() && own.as_ref().is_some_and(|own| own.detects_loops);
        // Syncs that we write to the target ourselves could not be told from those of another.
        let could_tell = !emits_offset_syncs(&values) || offset_syncs_topic(&values, &connector).0 == Side::Source;
        let reverse_syncs = match keeps_names && could_tell {
            false => Some(None),
            true => {
                let client = (Side::Target, ClientKind::Consumer, "reverse-syncs-consumer");
                collect(&mut errors, connector.parse_client(client, ConsumerConfig::parse)).map(Some)
            }
        };
        let mut admin = |side, role: &str| {
            collect(
                &mut errors,
                connector.parse_client((side, ClientKind::Admin, role), ClientConfig::parse),
            )
        };
        let source_admin = admin(Side::Source, "replication-source-admin");
        let target_admin = admin(Side::Target, "replication-target-admin");
        let offset_syncs = match emits_offset_syncs(&values) {
            false => Some(None),
            true => {
                let (location, topic) = offset_syncs_topic(&values, &connector);
                let role = format!("offset-syncs-{}-admin", location.name());
                let replication_factor = values.short("offset-syncs.topic.replication.factor");
                admin(location, &role).map(|admin| {
                    Some(OffsetSyncsTopicConfig {
                        location,
                        topic,
                        replication_factor,
                        admin,
                    })
                })
            }
        };
        let parsed = || {
            Some(Self {
                rules: rules(&values, &connector),
                topic_filter: filter?,
                config_property_filter: property_filter?,
                replication_factor: java_short(values.int("replication.factor")),
                refresh_topics_interval: refresh_topics?,
                sync_topic_configs_interval: sync_topic_configs?,
                sync_topic_acls_interval: sync_topic_acls?,
                source_admin: source_admin?,
                target_admin: target_admin?,
                offset_syncs: offset_syncs?,
                own: own?,
                reverse_syncs: reverse_syncs?,
                connector,
            })
        };
        parsed().ok_or(errors)
    }
}

/// What one answer of a source broker may hold, unless `fetch.max.bytes` says otherwise. Kafka's 50 MiB would be the
/// memory of the whole process as soon as there are many partitions; a few megabytes keep a broker as busy.
const FETCH_MAX_BYTES: &str = "4194304";

fn replication_consumer(props: &Props) -> Result<ConsumerConfig, ConfigErrors> {
    let mut props = props.clone();
    props
        .entry("fetch.max.bytes".to_owned())
        .or_insert_with(|| FETCH_MAX_BYTES.to_owned());
    ConsumerConfig::parse(&props)
}

impl MirrorSourceTaskConfig {
    /// Reads everything that a task needs, or says all that is wrong.
    pub fn parse(props: &Props) -> Result<Self, ConfigErrors> {
        let [values, task_values] = parse_all([&CONFIG_DEF, &TASK_CONFIG_DEF], props)?;
        let connector = MirrorConnectorConfig::new(&values, props, Some(&task_values));
        let mut errors = ConfigErrors::default();
        let assigned = errors.collect(assignment::decode(task_values.list("task.assigned.partitions")));
        let client = (Side::Source, ClientKind::Consumer, "replication-consumer");
        let consumer = collect(&mut errors, connector.parse_client(client, replication_consumer));
        let compression = errors.collect(compression(props));
        let own = collect(&mut errors, OwnConfig::parse(props, &connector.policy));
        let offset_syncs = match emits_offset_syncs(&values) {
            false => Some(None),
            true => {
                let (location, topic) = offset_syncs_topic(&values, &connector);
                let role = format!("offset-syncs-{}-producer", location.name());
                let client = (location, ClientKind::Producer, role.as_str());
                let producer = collect(&mut errors, connector.parse_client(client, ProducerConfig::parse));
                let role = format!("offset-syncs-{}-consumer", location.name());
                let client = (location, ClientKind::Consumer, role.as_str());
                let consumer = collect(&mut errors, connector.parse_client(client, ConsumerConfig::parse));
                producer.zip(consumer).map(|(producer, consumer)| {
                    Some(OffsetSyncsConfig {
                        topic,
                        offset_lag_max: values.long("offset.lag.max"),
                        producer_client: producer.client.clone(),
                        producer,
                        consumer,
                    })
                })
            }
        };
        let parsed = || {
            let consumer = consumer?;
            Some(Self {
                rules: rules(&values, &connector),
                assigned: assigned?,
                source_consumer: consumer.client.clone(),
                consumer,
                compression: compression?,
                offset_syncs: offset_syncs?,
                own: own?,
                connector,
            })
        };
        parsed().ok_or(errors)
    }
}

/// What the connector adds to validation by its table (`MirrorSourceConnector.validate`): it looks at the texts as they
/// stand.
pub fn validate(props: &Props) -> Vec<ConfigError> {
    let mut errors = Vec::new();
    let is = |key: &str, value: &str| props.get(key).is_some_and(|set| set == value);
    if is("exactly.once.support", "required") && exactly_once_support(props) == ExactlyOnceSupport::Unsupported {
        errors.push(ConfigError::new(
            "exactly.once.support",
            "MirrorSourceConnector can only provide exactly-once guarantees when its source consumer is configured with \
             isolation.level set to 'read_committed'; otherwise, records from aborted and uncommitted transactions will be \
             replicated from the source cluster to the target cluster.",
        ));
    }
    let sets_up_syncs = |key: &String| key.starts_with("offset-syncs-") || key.starts_with("offset-syncs.topic.");
    if is("emit.offset-syncs.enabled", "false") && props.keys().any(sets_up_syncs) {
        errors.push(ConfigError::new(
            "emit.offset-syncs.enabled",
            "MirrorSourceConnector can't setup offset-syncs feature while emit.offset-syncs.enabled set to false",
        ));
    }
    let class = props.get("replication.policy.class").map(|class| class.trim());
    let policy = ReplicationPolicy::new(class.unwrap_or(DEFAULT_REPLICATION_POLICY), props);
    if let Some(Err(own)) = policy.map(|policy| OwnConfig::parse(props, &policy)) {
        errors.extend(own.0);
    }
    errors
}

/// Whether the source consumer leaves out what was never committed.
pub fn exactly_once_support(props: &Props) -> ExactlyOnceSupport {
    match client_props(props, Side::Source, ClientKind::Consumer)
        .get("isolation.level")
        .map(String::as_str)
    {
        Some("read_committed") => ExactlyOnceSupport::Supported,
        _ => ExactlyOnceSupport::Unsupported,
    }
}

fn rules(values: &Values, connector: &MirrorConnectorConfig) -> TopicRules {
    TopicRules {
        policy: connector.policy.clone(),
        source_alias: connector.source_alias.clone(),
        target_alias: connector.target_alias.clone(),
        replicate_heartbeats: values.boolean("heartbeats.replication.enabled"),
    }
}

fn emits_offset_syncs(values: &Values) -> bool {
    values.boolean("emit.offset-syncs.enabled")
}

/// `(short) n` of Java: the low 16 bits.
#[expect(clippy::cast_possible_truncation, reason = "as Kafka does")]
fn java_short(n: i32) -> i16 {
    n as i16
}

fn compression(props: &Props) -> Result<Option<Compression>, ConfigError> {
    const KEY: &str = "producer.override.compression.type";
    let Some(name) = props.get(KEY) else { return Ok(None) };
    match name.trim() {
        "none" => Ok(Some(Compression::None)),
        "gzip" => Ok(Some(Compression::Gzip)),
        "snappy" => Ok(Some(Compression::Snappy)),
        "lz4" => Ok(Some(Compression::Lz4)),
        "zstd" => Ok(Some(Compression::Zstd)),
        _ => Err(ConfigError::invalid(
            KEY,
            name,
            "String must be one of: none, gzip, snappy, lz4, zstd",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden_tables::{expect_same_table, validated, vectors};

    #[test]
    fn the_table_is_that_of_kafka_4_3_1() {
        expect_same_table(
            &CONFIG_DEF,
            include_str!("../../testdata/config-source-connector.json"),
            "keys",
        );
    }

    #[test]
    fn the_tasks_own_table_is_that_of_kafka_4_3_1() {
        expect_same_table(
            &TASK_CONFIG_DEF,
            include_str!("../../testdata/config-source-connector.json"),
            "taskOnlyKeys",
        );
    }

    #[test]
    fn the_topic_filters_keys_are_among_the_connectors() {
        for key in topic_filter::KEYS {
            assert!(CONFIG_DEF.key(key.name).is_some(), "{}", key.name);
        }
    }

    #[test]
    fn validation_says_what_kafka_says() {
        for (props, vector) in vectors("source") {
            assert_eq!(validated(&CONFIG_DEF, validate, &props), vector["errors"], "{vector}");
            let support = match exactly_once_support(&props) {
                ExactlyOnceSupport::Supported => "SUPPORTED",
                ExactlyOnceSupport::Unsupported => "UNSUPPORTED",
            };
            assert_eq!(support, vector["exactlyOnceSupport"], "{vector}");
        }
    }

    fn props(more: &[(&str, &str)]) -> Props {
        let base = [
            ("name", "MirrorSourceConnector"),
            (
                "connector.class",
                "org.apache.kafka.connect.mirror.MirrorSourceConnector",
            ),
            ("source.cluster.alias", "A"),
            ("target.cluster.alias", "B"),
            ("source.cluster.bootstrap.servers", "a:1"),
            ("target.cluster.bootstrap.servers", "b:1"),
        ];
        base.iter()
            .chain(more)
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn a_connector_knows_its_jobs_and_its_clients() {
        let config = MirrorSourceConfig::parse(&props(&[
            ("sync.topic.acls.enabled", "false"),
            ("refresh.topics.interval.seconds", "-1"),
            ("offset-syncs.topic.location", "target"),
            ("source.admin.client.id", "me"),
        ]))
        .expect("good settings");
        assert_eq!(config.sync_topic_acls_interval, None);
        assert_eq!(config.refresh_topics_interval, None);
        assert_eq!(config.sync_topic_configs_interval, Some(Duration::from_secs(600)));
        assert_eq!(
            &*config.source_admin.client_id,
            "me|A->B|MirrorSourceConnector|replication-source-admin"
        );
        let syncs = config.offset_syncs.expect("they are on by default");
        assert_eq!(
            (syncs.location, syncs.topic.as_str()),
            (Side::Target, "mm2-offset-syncs.A.internal")
        );
        assert_eq!(
            &*syncs.admin.client_id,
            "A->B|MirrorSourceConnector|offset-syncs-target-admin"
        );
    }

    #[test]
    fn a_task_names_its_clients_after_its_number() {
        let config = MirrorSourceTaskConfig::parse(&props(&[
            ("task.assigned.partitions", "t-1-0,u-3"),
            ("task.index", "7"),
            ("producer.override.compression.type", "zstd"),
        ]))
        .expect("good settings");
        assert_eq!(
            config.assigned,
            [TopicPartition::new("t-1", 0), TopicPartition::new("u", 3)]
        );
        assert_eq!(
            &*config.source_consumer.client_id,
            "A->B|MirrorSourceConnector-7|replication-consumer"
        );
        assert_eq!(config.compression, Some(Compression::Zstd));
        let syncs = config.offset_syncs.expect("they are on by default");
        assert_eq!(syncs.offset_lag_max, 100);
        assert_eq!(
            &*syncs.producer_client.client_id,
            "A->B|MirrorSourceConnector-7|offset-syncs-source-producer"
        );
    }

    #[test]
    fn every_problem_is_reported_at_once() {
        let errors = MirrorSourceConfig::parse(&props(&[
            ("topics", "*"),
            ("refresh.topics.interval.seconds", "0"),
            ("source.admin.request.timeout.ms", "soon"),
        ]))
        .expect_err("three are wrong");
        let names: Vec<&str> = errors.0.iter().map(|error| error.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "topics",
                "refresh.topics.interval.seconds",
                "source.admin.request.timeout.ms"
            ]
        );
    }
}
