//! What the three connectors have in common (`MirrorConnectorConfig`).

use std::time::Duration;

use config_def::{
    ConfigDef, ConfigError, ConfigErrors, ConfigKey, Importance, Props, Type, Validator, Values, key, security,
};
use kafka_client::config::{ClientKind, without_effect};

use crate::{
    client_props::{Side, client_props, kind_name},
    replication_policy::{DEFAULT_REPLICATION_POLICY, IDENTITY_REPLICATION_POLICY, ReplicationPolicy},
};

/// The keys that the connectors share, besides those of Connect and before those of TLS and SASL. This and all tables
/// of connectors are in Kafka's order, which REST shows.
pub(crate) static BASE_KEYS: &[ConfigKey] = &[
    key("enabled", Type::Boolean)
        .default("true")
        .doc("Whether this flow replicates."),
    key("source.cluster.alias", Type::String)
        .importance(Importance::High)
        .doc("The name of the cluster that is read."),
    key("target.cluster.alias", Type::String)
        .default("target")
        .importance(Importance::High)
        .doc("The name of the cluster that is written."),
    key("admin.timeout.ms", Type::Long)
        .default("60000")
        .doc("How long start waits for each of its first steps, and stop for the jobs to end."),
    key("replication.policy.class", Type::Class)
        .default("org.apache.kafka.connect.mirror.DefaultReplicationPolicy")
        .classes(&[DEFAULT_REPLICATION_POLICY, IDENTITY_REPLICATION_POLICY])
        .doc("How remote topics are named: DefaultReplicationPolicy or IdentityReplicationPolicy."),
    key("replication.policy.separator", Type::String)
        .default(".")
        .doc("What stands between cluster alias and topic in the name of a remote topic."),
    key("replication.policy.internal.topic.separator.enabled", Type::Boolean)
        .default("true")
        .doc("Whether the separator is also used in the names of MirrorMaker's internal topics."),
    key("forwarding.admin.class", Type::Class)
        .default("org.apache.kafka.clients.admin.ForwardingAdmin")
        .classes(&["org.apache.kafka.clients.admin.ForwardingAdmin"])
        .doc("The Java class that creates topics and the like; only Kafka's own is known."),
    key("metric.reporters", Type::List)
        .default("org.apache.kafka.common.metrics.JmxReporter")
        .validator(Validator::LIST)
        .doc("Java classes that report metrics."),
    security::SECURITY_PROTOCOL,
    key("config.providers", Type::List)
        .default("")
        .validator(Validator::LIST)
        .doc("Names of the providers that resolve `${name:path:key}` in values."),
];

/// How long a poll waits.
pub(crate) const CONSUMER_POLL_TIMEOUT: ConfigKey = key("consumer.poll.timeout.ms", Type::Long)
    .default("1000")
    .doc("How long one poll waits for records.");

/// Where the offset syncs topic lies.
pub(crate) const OFFSET_SYNCS_TOPIC_LOCATION: ConfigKey = key("offset-syncs.topic.location", Type::String)
    .default("source")
    .validator(Validator::OneOf(&["source", "target"]))
    .doc("Which cluster holds the offset syncs topic: source or target.");

/// `task.index`, which only tasks have.
pub(crate) const TASK_INDEX: ConfigKey = key("task.index", Type::Int)
    .default_null()
    .doc("The number of this task; set by the connector.");

/// What every connector and task of a flow knows.
#[derive(Clone, Debug)]
pub struct MirrorConnectorConfig {
    /// `name`.
    pub connector_name: String,
    /// `source.cluster.alias`.
    pub source_alias: String,
    /// `target.cluster.alias`.
    pub target_alias: String,
    /// `enabled`.
    pub enabled: bool,
    /// `admin.timeout.ms`.
    pub admin_timeout: Duration,
    /// How remote topics are named.
    pub policy: ReplicationPolicy,
    props: Props,
    entity: String,
}

impl MirrorConnectorConfig {
    /// Takes the common part from `values`, parsed from `props`. `task` is the task's own table of values.
    pub(crate) fn new(values: &Values, props: &Props, task: Option<&Values>) -> Self {
        let connector_name = values.string("name").to_owned();
        let entity = match task.map(|task| task.opt_int("task.index")) {
            None => connector_name.clone(),
            Some(Some(index)) => format!("{connector_name}-{index}"),
            Some(None) => format!("{connector_name}-?"),
        };
        Self {
            connector_name,
            source_alias: values.string("source.cluster.alias").to_owned(),
            target_alias: values.string("target.cluster.alias").to_owned(),
            enabled: values.boolean("enabled"),
            admin_timeout: values.millis("admin.timeout.ms"),
            policy: ReplicationPolicy::new(values.class("replication.policy.class"), props)
                .expect("the table lists the classes that there are"),
            props: props.clone(),
            entity,
        }
    }

    /// The connector's properties as they came.
    pub fn props(&self) -> &Props {
        &self.props
    }

    /// The settings of a client of ours: `role` ends its `client.id`, `<S>-><T>|<connector>[-<task>]|<role>`.
    pub fn client(&self, side: Side, kind: ClientKind, role: &str) -> Props {
        let mut client = client_props(&self.props, side, kind);
        let wanted = client.get("client.id").map(|id| format!("{id}|")).unwrap_or_default();
        let id = format!(
            "{wanted}{}->{}|{}|{role}",
            self.source_alias, self.target_alias, self.entity
        );
        client.insert("client.id".to_owned(), id);
        client
    }

    /// The settings that were given to a client of ours and that it does nothing with, by the name they have in the
    /// connector's configuration.
    pub(crate) fn settings_without_effect(&self, side: Side, kind: ClientKind) -> Vec<String> {
        let client = client_props(&self.props, side, kind);
        let prefix = format!("{}.{}", side.name(), kind_name(kind));
        // Kafka's consumer is told not to commit; ours cannot.
        let given = without_effect(&client, kind)
            .into_iter()
            .filter(|key| *key != "enable.auto.commit");
        given.map(|key| format!("{prefix}.{key}")).collect()
    }

    /// Parses the settings of a client of ours; a fault names the prefix that the setting is looked for under.
    pub(crate) fn parse_client<T>(
        &self,
        (side, kind, role): (Side, ClientKind, &str),
        parse: impl Fn(&Props) -> Result<T, ConfigErrors>,
    ) -> Result<T, ConfigErrors> {
        let prefix = format!("{}.{}.", side.name(), kind_name(kind));
        let named = |error: ConfigError| {
            let message = format!(
                "{} (settings of {role}: {prefix}* and {}.cluster.*)",
                error.message,
                side.name()
            );
            ConfigError::new(format!("{prefix}{}", error.name), message)
        };
        parse(&self.client(side, kind, role)).map_err(|errors| ConfigErrors(errors.0.into_iter().map(named).collect()))
    }
}

/// The value, or its faults among the others. Two clients that share a setting share its fault, which is said once.
pub(crate) fn collect<T>(errors: &mut ConfigErrors, result: Result<T, ConfigErrors>) -> Option<T> {
    let is_new = |errors: &ConfigErrors, error: &ConfigError| errors.0.iter().all(|known| known.name != error.name);
    result
        .map_err(|more| {
            errors.0.extend(
                more.0
                    .into_iter()
                    .filter(|error| is_new(errors, error))
                    .collect::<Vec<_>>(),
            )
        })
        .ok()
}

/// The side named by `offset-syncs.topic.location`, with the name of the topic there.
pub(crate) fn offset_syncs_topic(values: &Values, config: &MirrorConnectorConfig) -> (Side, String) {
    match values.string("offset-syncs.topic.location") {
        "source" => (Side::Source, config.policy.offset_syncs_topic(&config.target_alias)),
        _ => (Side::Target, config.policy.offset_syncs_topic(&config.source_alias)),
    }
}

/// The interval of a job, `None` if it is switched off: by its `*.enabled`, or by a negative interval.
pub(crate) fn interval(values: &Values, job: &str) -> Option<Duration> {
    let seconds = values.long(&format!("{job}.interval.seconds"));
    let seconds = u64::try_from(seconds).ok()?;
    values
        .boolean(&format!("{job}.enabled"))
        .then(|| Duration::from_secs(seconds))
}

/// Like [`interval`], where zero is no interval: Kafka's scheduler refuses it when the connector starts.
pub(crate) fn scheduled_interval(values: &Values, job: &str) -> Result<Option<Duration>, ConfigError> {
    match interval(values, job) {
        Some(Duration::ZERO) => {
            let why = "must be positive, or negative to switch the job off";
            Err(ConfigError::invalid(&format!("{job}.interval.seconds"), 0, why))
        }
        interval => Ok(interval),
    }
}

/// Parses with several tables at once, or says all that is wrong with any of them.
pub(crate) fn parse_all<const N: usize>(defs: [&ConfigDef; N], props: &Props) -> Result<[Values; N], ConfigErrors> {
    let mut errors = ConfigErrors::default();
    let mut parsed = Vec::with_capacity(N);
    for def in defs {
        match def.parse(props) {
            Ok(values) => parsed.push(values),
            Err(more) => errors.0.extend(more.0),
        }
    }
    parsed.try_into().map_err(|_| errors)
}
