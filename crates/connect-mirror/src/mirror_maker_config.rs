//! The dedicated mode: what one `mm2.properties` file makes of clusters, flows, workers and connectors
//! (`MirrorMakerConfig`). Pure: maps in, maps out.
//!
//! Kafka drops `producer.*`, `consumer.*` and `admin.*` at the top level of the file without a word. Here they are honoured
//! unless something more precise is said; [`MirrorMakerConfig::as_kafka`] is without.

mod key_report;

use std::{fmt, sync::LazyLock};

use config_def::{
    ConfigDef, ConfigErrors, ConfigKey, ConfigTransformer, Importance, Props, Type, Validator, key, parse_boolean,
    security, with_prefix_stripped,
};

pub use self::key_report::{KeyReport, KeyUse, Reach};
use crate::{
    checkpoint,
    client_props::{cluster_client_keys, is_cluster_client_key},
    heartbeat,
    replication_policy::IDENTITY_REPLICATION_POLICY,
    source::{
        self,
        own_config::{OWN_CONFIG_DEF, REVERSE_TOPICS, REVERSE_TOPICS_EXCLUDE},
    },
};

const BYTE_ARRAY_CONVERTER: &str = "org.apache.kafka.connect.converters.ByteArrayConverter";
const CLIENT_PREFIXES: [&str; 3] = ["producer.", "consumer.", "admin."];
/// Top-level keys that go to every worker under their own names.
const WORKER_PREFIXES: [&str; 9] = [
    "offset.storage",
    "config.storage",
    "status.storage",
    "key.converter",
    "value.converter",
    "header.converter",
    "task",
    "worker",
    "replication.policy",
];

/// Read by the REST server when it starts.
const LISTENERS: Validator = Validator::Rule {
    text: Some("List of comma-separated URLs, ex: http://localhost:8080,https://localhost:8443."),
    check: |_| Ok(()),
};

/// Likewise.
const RESPONSE_HEADERS: Validator = Validator::Rule {
    text: Some(
        "Comma-separated header rules, where each header rule is of the form '[action] [header name]:[header value]' and \
         optionally surrounded by double quotes if any part of a header rule contains a comma",
    ),
    check: |_| Ok(()),
};

static OWN_KEYS: &[ConfigKey] = &[
    key("access.control.allow.methods", Type::String)
        .default("")
        .doc("The methods allowed to cross-origin requests; empty: GET, POST and HEAD."),
    key("access.control.allow.origin", Type::String)
        .default("")
        .doc("The Access-Control-Allow-Origin header for cross-origin requests; empty: none."),
    key("clusters", Type::List)
        .validator(Validator::LIST)
        .importance(Importance::High)
        .doc("Aliases of all clusters."),
    key("config.providers", Type::List)
        .default("")
        .validator(Validator::LIST)
        .doc("Names of the providers that resolve `${name:path:key}` in values."),
    key("dedicated.mode.enable.internal.rest", Type::Boolean)
        .default("false")
        .importance(Importance::High)
        .doc("Whether nodes of a dedicated cluster talk to each other over HTTP, which several nodes need."),
    key("listeners", Type::List)
        .default("http://:8083")
        .validator(LISTENERS)
        .doc("Addresses of the REST server, as URLs."),
    key("response.http.headers.config", Type::String)
        .default("")
        .validator(RESPONSE_HEADERS)
        .doc("Rules that set or add headers of REST answers."),
    key("rest.advertised.host.name", Type::String)
        .default_null()
        .doc("The host name that other workers reach this one by."),
    key("rest.advertised.listener", Type::String)
        .default_null()
        .doc("Which listener other workers are to use: http or https."),
    key("rest.advertised.port", Type::Int)
        .default_null()
        .doc("The port that other workers reach this one by."),
    key("ssl.client.auth", Type::String)
        .default("none")
        .validator(Validator::OneOf(&["required", "requested", "none"]))
        .doc("Whether the REST server asks its clients for a certificate."),
];

/// The keys of the top level that MirrorMaker reads itself; all others are routed by their prefix.
pub static CONFIG_DEF: ConfigDef =
    ConfigDef::new(&[OWN_KEYS, &[security::SECURITY_PROTOCOL], security::SSL, security::SASL]);

/// Top-level keys that reach every connector: exactly those that one of the connectors has.
static CONNECTOR_KEYS: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    let tables = [
        &source::config::CONFIG_DEF,
        &heartbeat::config::CONFIG_DEF,
        &checkpoint::config::CONFIG_DEF,
    ];
    let mut names: Vec<&str> = tables
        .iter()
        .flat_map(|table| table.keys())
        .map(|key| key.name)
        .collect();
    names.sort_unstable();
    names.dedup();
    names
});

/// A flow from one cluster to another. Each is a worker of its own, in a group on the target.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceAndTarget {
    /// The alias of the cluster that is read.
    pub source: String,
    /// The alias of the cluster that is written.
    pub target: String,
}

impl SourceAndTarget {
    /// The flow from `source` to `target`.
    pub fn new(source: impl Into<String>, target: impl Into<String>) -> Self {
        Self {
            source: source.into(),
            target: target.into(),
        }
    }
}

impl fmt::Display for SourceAndTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}->{}", self.source, self.target)
    }
}

/// The three connectors that each flow has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MirrorConnector {
    /// Copies records.
    Source,
    /// Writes heartbeats.
    Heartbeat,
    /// Writes checkpoints.
    Checkpoint,
}

impl MirrorConnector {
    /// All of them, in the order in which they are configured.
    pub const ALL: [Self; 3] = [Self::Source, Self::Heartbeat, Self::Checkpoint];

    /// The name of the connector in its Connect group: the class without its package.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Source => "MirrorSourceConnector",
            Self::Heartbeat => "MirrorHeartbeatConnector",
            Self::Checkpoint => "MirrorCheckpointConnector",
        }
    }

    /// The full name of its class.
    pub const fn class(self) -> &'static str {
        match self {
            Self::Source => "org.apache.kafka.connect.mirror.MirrorSourceConnector",
            Self::Heartbeat => "org.apache.kafka.connect.mirror.MirrorHeartbeatConnector",
            Self::Checkpoint => "org.apache.kafka.connect.mirror.MirrorCheckpointConnector",
        }
    }

    /// Every key of the connector.
    pub fn config_def(self) -> &'static ConfigDef {
        match self {
            Self::Source => &source::config::CONFIG_DEF,
            Self::Heartbeat => &heartbeat::config::CONFIG_DEF,
            Self::Checkpoint => &checkpoint::config::CONFIG_DEF,
        }
    }
}

/// How an application connects to a cluster (`MirrorClientConfig`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MirrorClientConfig {
    /// Settings of an admin client.
    pub admin: Props,
    /// Settings of a consumer.
    pub consumer: Props,
}

/// A parsed `mm2.properties`.
#[derive(Clone, Debug)]
pub struct MirrorMakerConfig {
    raw: Props,
    resolved: Props,
    clusters: Vec<String>,
    enable_internal_rest: bool,
    honours_top_level_clients: bool,
}

impl MirrorMakerConfig {
    /// Reads the properties of a file; `transformer` resolves the variables in them.
    pub fn parse(raw: Props, transformer: &ConfigTransformer) -> Result<Self, ConfigErrors> {
        let resolved = transformer.transform(&raw)?;
        let values = CONFIG_DEF.parse(&resolved)?;
        Ok(Self {
            clusters: values.list("clusters").to_vec(),
            enable_internal_rest: values.boolean("dedicated.mode.enable.internal.rest"),
            raw,
            resolved,
            honours_top_level_clients: true,
        })
    }

    /// The same without what Kafka does not have.
    #[must_use]
    pub fn as_kafka(mut self) -> Self {
        self.honours_top_level_clients = false;
        self
    }

    /// The aliases of all clusters.
    pub fn clusters(&self) -> &[String] {
        &self.clusters
    }

    /// Whether nodes talk to each other over HTTP.
    pub fn enable_internal_rest(&self) -> bool {
        self.enable_internal_rest
    }

    /// The top level with its variables resolved: settings of the internal REST server, for one.
    pub fn resolved(&self) -> &Props {
        &self.resolved
    }

    /// The flows that get a worker: those that are enabled, and those that have heartbeats, which is all by default.
    pub fn cluster_pairs(&self) -> Vec<SourceAndTarget> {
        let is_on = |key: &str| self.resolved.get(key).map(|value| parse_boolean(value));
        let heartbeats_everywhere = is_on("emit.heartbeats.enabled").unwrap_or(true);
        let mut pairs = Vec::new();
        for source in &self.clusters {
            for target in self.clusters.iter().filter(|target| *target != source) {
                let pair = SourceAndTarget::new(source, target);
                let enabled = is_on(&format!("{pair}.enabled")).unwrap_or(false);
                let heartbeats = is_on(&format!("{pair}.emit.heartbeats.enabled")).unwrap_or(heartbeats_everywhere);
                if enabled || heartbeats {
                    pairs.push(pair);
                }
            }
        }
        pairs
    }

    /// What the file says of cluster `alias`: `<alias>.x` as `x`, and what holds for every client also under the prefixes
    /// of the kinds of clients.
    pub fn cluster_props(&self, alias: &str) -> Props {
        cluster_props(&self.raw, alias)
    }

    /// The properties of the worker of a flow, variables resolved.
    pub fn worker_config(&self, pair: &SourceAndTarget) -> Props {
        let mut props = cluster_props(&self.resolved, &pair.target);
        if self.honours_top_level_clients {
            for (key, value) in top_level_clients(&self.resolved) {
                put_if_absent(&mut props, key, value);
            }
        }
        for (key, value) in &self.resolved {
            if WORKER_PREFIXES.iter().any(|prefix| key.starts_with(prefix)) {
                props.insert(key.clone(), value.clone());
            }
        }
        // The worker makes providers of its own from these.
        props.extend(starting_with(&self.raw, "config.providers"));
        let source = &pair.source;
        put_if_absent(&mut props, "client.id", &pair.to_string());
        put_if_absent(&mut props, "group.id", &format!("{source}-mm2"));
        for storage in ["config", "offset", "status"] {
            let plural = if storage == "status" {
                "status"
            } else {
                &format!("{storage}s")
            };
            put_if_absent(
                &mut props,
                &format!("{storage}.storage.topic"),
                &format!("mm2-{plural}.{source}.internal"),
            );
        }
        for converter in ["key.converter", "value.converter", "header.converter"] {
            put_if_absent(&mut props, converter, BYTE_ARRAY_CONVERTER);
        }
        props
    }

    /// The properties of a connector of a flow, as they are stored in the config topic: variables stay as they are.
    pub fn connector_config(&self, pair: &SourceAndTarget, connector: MirrorConnector) -> Props {
        let mut props = Props::new();
        for name in CONNECTOR_KEYS.iter() {
            if let Some(value) = self.raw.get(*name) {
                props.insert((*name).to_owned(), value.clone());
            }
        }
        props.extend(starting_with(&self.raw, "config.providers"));
        props.extend(starting_with(&self.raw, "replication.policy"));
        if self.honours_top_level_clients {
            // Under these names a connector gives them to its own clients, below everything else. The data producer is
            // the worker's, which has them from `worker_config`.
            let clients = top_level_clients(&self.raw);
            props.extend(clients.map(|(key, value)| (key.to_owned(), value.to_owned())));
        }
        for (side, alias) in [("source", &pair.source), ("target", &pair.target)] {
            for (key, value) in cluster_props(&self.raw, alias) {
                let of_a_kind = ["consumer", "producer", "admin"]
                    .iter()
                    .any(|kind| key.starts_with(kind));
                let prefix = if of_a_kind {
                    side.to_owned()
                } else {
                    format!("{side}.cluster")
                };
                props.insert(format!("{prefix}.{key}"), value);
            }
        }
        put_if_absent(&mut props, "name", connector.name());
        put_if_absent(&mut props, "connector.class", connector.class());
        put_if_absent(&mut props, "source.cluster.alias", &pair.source);
        put_if_absent(&mut props, "target.cluster.alias", &pair.target);
        props.extend(with_prefix_stripped(&self.raw, &format!("{pair}.")));
        put_if_absent(&mut props, "enabled", "false");
        if self.honours_top_level_clients && connector == MirrorConnector::Source {
            self.add_own_keys(&mut props, pair);
        }
        props
    }

    /// What Kafka's source connector does not have: keys of the top level, and what the flow back copies under the same
    /// names.
    fn add_own_keys(&self, props: &mut Props, pair: &SourceAndTarget) {
        for key in OWN_CONFIG_DEF.keys() {
            if let Some(value) = self.raw.get(key.name) {
                put_if_absent(props, key.name, value);
            }
        }
        let back = SourceAndTarget::new(&pair.target, &pair.source);
        let said_back = |name: &str| self.raw.get(&format!("{back}.{name}")).or_else(|| self.raw.get(name));
        let is_identity = |class: Option<&String>| class.is_some_and(|class| class == IDENTITY_REPLICATION_POLICY);
        let is_on = self.resolved.get(&format!("{back}.enabled"));
        let both_keep_names = is_identity(props.get("replication.policy.class"))
            && is_identity(said_back("replication.policy.class"))
            && is_on.is_some_and(|on| parse_boolean(on));
        if !both_keep_names {
            return;
        }
        put_if_absent(props, REVERSE_TOPICS, said_back("topics").map_or(".*", String::as_str));
        if let Some(exclude) = said_back("topics.exclude") {
            put_if_absent(props, REVERSE_TOPICS_EXCLUDE, exclude);
        }
    }

    /// How an application connects to cluster `alias`, variables resolved.
    pub fn client_config(&self, alias: &str) -> MirrorClientConfig {
        let mut props = self.resolved.clone();
        props.extend(cluster_props(&self.resolved, alias));
        let client = |kind: &str| {
            let mut client: Props = Props::new();
            for name in cluster_client_keys() {
                let default = CONFIG_DEF.key(name).and_then(|key| match key.default {
                    config_def::DefaultValue::Text(text) => Some(text),
                    _ => None,
                });
                let given = props
                    .get(&format!("{kind}.{name}"))
                    .or_else(|| props.get(name))
                    .map(String::as_str);
                if let Some(value) = given.or(default) {
                    client.insert(name.to_owned(), value.to_owned());
                }
            }
            client
        };
        MirrorClientConfig {
            admin: client("admin"),
            consumer: client("consumer"),
        }
    }

    /// What each key of the file reaches, and which reach nothing. `worker` is the table of a worker, which this crate
    /// does not know.
    pub fn key_report(&self, worker: &ConfigDef) -> KeyReport {
        KeyReport::new(self, worker)
    }
}

fn cluster_props(props: &Props, alias: &str) -> Props {
    let mut cluster = with_prefix_stripped(props, &format!("{alias}."));
    for source in [cluster.clone(), props.clone()] {
        for name in cluster_client_keys() {
            let Some(value) = source.get(name) else { continue };
            for prefix in CLIENT_PREFIXES {
                put_if_absent(&mut cluster, &format!("{prefix}{name}"), value);
            }
            put_if_absent(&mut cluster, name, value);
        }
    }
    cluster
}

/// `producer.*`, `consumer.*` and `admin.*` of the top level. Overrides of Connect clients belong to connectors, and
/// where a cluster is and how to be let in is said of the cluster.
fn top_level_clients(props: &Props) -> impl Iterator<Item = (&str, &str)> {
    let of_a_client = |key: &str| {
        let rest = CLIENT_PREFIXES.iter().find_map(|prefix| key.strip_prefix(prefix));
        rest.is_some_and(|rest| !rest.starts_with("override.") && !is_cluster_client_key(rest))
    };
    props
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .filter(move |(key, _)| of_a_client(key))
}

fn starting_with(props: &Props, prefix: &str) -> Props {
    let matching = props.iter().filter(|(key, _)| key.starts_with(prefix));
    matching.map(|(key, value)| (key.clone(), value.clone())).collect()
}

fn put_if_absent(props: &mut Props, key: &str, value: &str) {
    if !props.contains_key(key) {
        props.insert(key.to_owned(), value.to_owned());
    }
}

#[cfg(test)]
mod golden;
