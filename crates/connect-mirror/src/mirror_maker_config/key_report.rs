//! What each key of a file reaches, and what its author may have meant where it reaches nothing.
//!
//! The derivation never looks into the values that it routes. So it is run once with each value replaced by its own key:
//! whatever then stands in the settings of a worker, a connector or a client names the key that it came from.

use std::{collections::BTreeMap, fmt};

use config_def::{ConfigDef, Props, nearest};
use connect_api::connector_config::SOURCE_CONNECTOR_KEYS;
use kafka_client::config::ClientKind;

use super::{CONFIG_DEF, CONNECTOR_KEYS, MirrorConnector, MirrorMakerConfig, SourceAndTarget, WORKER_PREFIXES};
use crate::{
    client_props::{Side, client_props, cluster_client_keys, kind_name},
    config_property_filter::USE_DEFAULTS_FROM,
    source::own_config::OWN_CONFIG_DEF,
    topic_filter,
};

const KINDS: [ClientKind; 3] = [ClientKind::Producer, ClientKind::Consumer, ClientKind::Admin];
/// Settings with free names: of transformations, converters, providers, new topics.
const FREE_CONNECTOR_PREFIXES: [&str; 7] = [
    "transforms.",
    "predicates.",
    "config.providers.",
    "key.converter.",
    "value.converter.",
    "header.converter.",
    "replication.policy.",
];
const FREE_WORKER_PREFIXES: [&str; 8] = [
    "config.storage.",
    "offset.storage.",
    "status.storage.",
    "config.providers.",
    "key.converter.",
    "value.converter.",
    "header.converter.",
    "metrics.context.",
];

/// A place where a key has an effect.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reach {
    /// The flow; `None`: MirrorMaker as a whole.
    pub flow: Option<SourceAndTarget>,
    /// `worker`, the name of a connector, or the role of a client.
    pub place: String,
    /// What the key is called there.
    pub name: String,
}

impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.flow {
            Some(flow) => write!(f, "{flow} {}: {}", self.place, self.name),
            None => write!(f, "{}: {}", self.place, self.name),
        }
    }
}

/// What becomes of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyUse {
    /// The key as it stands in the file.
    pub key: String,
    /// Where its value has an effect.
    pub reaches: Vec<Reach>,
    /// Where it would have an effect if other keys did not go before it everywhere. Only for a key that reaches nothing.
    pub overridden: Vec<Reach>,
    /// The cluster whose worker it is for, if no flow ends there: only then is there a worker.
    pub without_worker: Option<String>,
    /// What to write instead. Only for a key that would reach nothing.
    pub suggestion: Option<String>,
}

impl KeyUse {
    /// A sentence for the log, if something is odd.
    pub fn warning(&self) -> Option<String> {
        let key = &self.key;
        match (&self.suggestion, self.overridden.first()) {
            _ if !self.reaches.is_empty() => None,
            (_, Some(place)) => Some(format!(
                "Key {key} has no effect: other keys go before it, as in {place}"
            )),
            (None, None) if self.without_worker.is_some() => Some(format!(
                "Key {key} has no effect: it is for the worker of a flow to {}, and no such flow is on",
                self.without_worker.as_deref().unwrap_or_default()
            )),
            (Some(suggestion), None) => Some(format!("Unknown key {key}: did you mean {suggestion}?")),
            (None, None) => Some(format!("Unknown key {key}: it reaches nothing")),
        }
    }
}

/// What becomes of every key, in the order of the keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyReport {
    /// The keys.
    pub keys: Vec<KeyUse>,
}

impl KeyReport {
    /// `worker` is the table of a worker.
    pub(super) fn new(config: &MirrorMakerConfig, worker: &ConfigDef) -> Self {
        let pairs = config.cluster_pairs();
        let mut reached = trace(config, config.raw.keys(), &pairs, worker);
        let suggestions = Suggestions::new(config, worker);
        let keys = config.raw.keys().map(|key| {
            let reaches = reached.remove(key).unwrap_or_default();
            let overridden = match reaches.is_empty() {
                true => trace(config, [key], &pairs, worker).remove(key).unwrap_or_default(),
                false => Vec::new(),
            };
            let lost = reaches.is_empty() && overridden.is_empty();
            let without_worker = suggestions.cluster_without_worker(key).filter(|_| lost);
            let suggestion = match lost && without_worker.is_none() {
                true => suggestions.of(key),
                false => None,
            };
            KeyUse {
                key: key.clone(),
                reaches,
                overridden,
                without_worker,
                suggestion,
            }
        });
        Self { keys: keys.collect() }
    }

    /// The sentences for the log.
    pub fn warnings(&self) -> impl Iterator<Item = String> {
        self.keys.iter().filter_map(KeyUse::warning)
    }
}

/// Where each of `keys` comes out, if the file has only these.
fn trace<'a>(
    config: &MirrorMakerConfig,
    keys: impl IntoIterator<Item = &'a String>,
    pairs: &[SourceAndTarget],
    worker: &ConfigDef,
) -> BTreeMap<String, Vec<Reach>> {
    let marked: Props = keys.into_iter().map(|key| (key.clone(), key.clone())).collect();
    let marked = MirrorMakerConfig {
        raw: marked.clone(),
        resolved: marked,
        ..config.clone()
    };
    let mut found = Found {
        keys: &marked.raw,
        reached: BTreeMap::new(),
    };
    for key in marked.raw.keys() {
        if is_mirror_makers_own(key, config) {
            found.add(None, "MirrorMaker", key, key);
        }
    }
    for pair in pairs {
        for (name, key) in &marked.worker_config(pair) {
            if is_worker_setting(name, worker) {
                found.add(Some(pair), "worker", name, key);
            }
        }
        for connector in MirrorConnector::ALL {
            let props = marked.connector_config(pair, connector);
            for (name, key) in &props {
                if is_connector_setting(name, connector) {
                    found.add(Some(pair), connector.name(), name, key);
                }
            }
            let set = config.connector_config(pair, connector);
            let syncs_on_target = set
                .get("offset-syncs.topic.location")
                .is_some_and(|location| location == "target");
            for (role, side, kind) in clients(connector, syncs_on_target) {
                for (name, key) in &client_props(&props, side, kind) {
                    if kind.config_def().key(name).is_some() {
                        found.add(Some(pair), role, name, key);
                    }
                }
            }
        }
    }
    found.reached
}

struct Found<'a> {
    keys: &'a Props,
    reached: BTreeMap<String, Vec<Reach>>,
}

impl Found<'_> {
    fn add(&mut self, flow: Option<&SourceAndTarget>, place: &str, name: &str, key: &str) {
        // Other values are constants of the derivation.
        if self.keys.contains_key(key) {
            let reach = Reach {
                flow: flow.cloned(),
                place: place.to_owned(),
                name: name.to_owned(),
            };
            self.reached.entry(key.to_owned()).or_default().push(reach);
        }
    }
}

fn is_mirror_makers_own(key: &str, config: &MirrorMakerConfig) -> bool {
    let security = cluster_client_keys().any(|known| known == key);
    let own = CONFIG_DEF.key(key).is_some() && !security;
    let of_rest_server = key.starts_with("listeners.https.") || (security && config.enable_internal_rest);
    // These decide which flows there are.
    let of_a_flow = |pair: &SourceAndTarget| {
        key.strip_prefix(&format!("{pair}."))
            .is_some_and(|name| name == "enabled" || name == "emit.heartbeats.enabled")
    };
    let decides = key == "emit.heartbeats.enabled" || all_pairs(config).iter().any(of_a_flow);
    own || of_rest_server || decides || key.starts_with("config.providers.")
}

fn is_worker_setting(name: &str, worker: &ConfigDef) -> bool {
    let client = |kind: &ClientKind| {
        let own = name.strip_prefix(&format!("{}.", kind_name(*kind)));
        kind.config_def().key(own.unwrap_or(name)).is_some()
    };
    worker.key(name).is_some()
        || FREE_WORKER_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        || KINDS.iter().any(client)
}

fn is_connector_setting(name: &str, connector: MirrorConnector) -> bool {
    let overrides = |kind: &ClientKind| {
        let own = name.strip_prefix(&format!("{}.override.", kind_name(*kind)));
        own.is_some_and(|own| kind.config_def().key(own).is_some())
    };
    let filters = match connector {
        MirrorConnector::Source => name == USE_DEFAULTS_FROM.name || OWN_CONFIG_DEF.key(name).is_some(),
        MirrorConnector::Checkpoint => topic_filter::KEYS.iter().any(|key| key.name == name),
        MirrorConnector::Heartbeat => false,
    };
    connector.config_def().key(name).is_some()
        || SOURCE_CONNECTOR_KEYS.iter().any(|key| key.name == name)
        || filters
        || FREE_CONNECTOR_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        || KINDS.iter().any(overrides)
}

fn clients(connector: MirrorConnector, syncs_on_target: bool) -> Vec<(&'static str, Side, ClientKind)> {
    use ClientKind::{Admin, Consumer, Producer};
    let syncs = if syncs_on_target { Side::Target } else { Side::Source };
    match connector {
        MirrorConnector::Source => vec![
            ("replication-consumer", Side::Source, Consumer),
            ("replication-source-admin", Side::Source, Admin),
            ("replication-target-admin", Side::Target, Admin),
            ("offset-syncs producer", syncs, Producer),
            ("offset-syncs admin", syncs, Admin),
        ],
        MirrorConnector::Heartbeat => vec![("heartbeats-target-admin", Side::Target, Admin)],
        MirrorConnector::Checkpoint => vec![
            ("checkpoint-source-admin", Side::Source, Admin),
            ("checkpoint-target-admin", Side::Target, Admin),
            ("offset-syncs consumer", syncs, Consumer),
            ("offset-syncs admin", syncs, Admin),
            ("checkpoints-target-consumer", Side::Target, Consumer),
        ],
    }
}

fn all_pairs(config: &MirrorMakerConfig) -> Vec<SourceAndTarget> {
    let targets = |source| config.clusters.iter().filter(move |target| *target != source);
    let pairs = config
        .clusters
        .iter()
        .flat_map(|source| targets(source).map(move |target| (source, target)));
    pairs
        .map(|(source, target)| SourceAndTarget::new(source, target))
        .collect()
}

/// Finds what a key that reaches nothing was meant to be.
struct Suggestions<'a> {
    config: &'a MirrorMakerConfig,
    worker: &'a ConfigDef,
    pairs: Vec<SourceAndTarget>,
}

impl<'a> Suggestions<'a> {
    fn new(config: &'a MirrorMakerConfig, worker: &'a ConfigDef) -> Self {
        Self {
            config,
            worker,
            pairs: all_pairs(config),
        }
    }

    fn of(&self, key: &str) -> Option<String> {
        self.in_another_place(key).or_else(|| self.spelt_otherwise(key))
    }

    /// `<alias>.<a worker's setting>`, and no flow ends there.
    fn cluster_without_worker(&self, key: &str) -> Option<String> {
        let of_cluster = |alias: &&String| key.strip_prefix(&format!("{alias}."));
        let alias = self.config.clusters.iter().find(|alias| of_cluster(alias).is_some())?;
        let is_target = self.config.cluster_pairs().iter().any(|pair| pair.target == *alias);
        let is_known = of_cluster(&alias).is_some_and(|name| is_worker_setting(name, self.worker));
        (is_known && !is_target).then(|| alias.clone())
    }

    /// The key is known, but not there: the same setting with the prefix that it needs.
    fn in_another_place(&self, key: &str) -> Option<String> {
        let of_cluster = self
            .config
            .clusters
            .iter()
            .find_map(|alias| key.strip_prefix(&format!("{alias}.")));
        if let Some(name) = of_cluster {
            return self.is_flow_setting(name).then(|| self.for_flow(name)).flatten();
        }
        let of_flow = self
            .pairs
            .iter()
            .find_map(|pair| Some((pair, key.strip_prefix(&format!("{pair}."))?)));
        match of_flow {
            Some((pair, name)) => self.worker.key(name).map(|_| format!("{}.{name}", pair.target)),
            None if self.worker.key(key).is_some() => {
                let target = self.config.cluster_pairs().into_iter().next()?.target;
                Some(format!("{target}.{key}"))
            }
            None if self.is_flow_setting(key) => self.for_flow(key),
            None => None,
        }
    }

    fn for_flow(&self, name: &str) -> Option<String> {
        let enabled = |pair: &&SourceAndTarget| {
            self.config
                .resolved
                .get(&format!("{pair}.enabled"))
                .is_some_and(|on| on.eq_ignore_ascii_case("true"))
        };
        let pair = self.pairs.iter().find(enabled).or(self.pairs.first())?;
        Some(format!("{pair}.{name}"))
    }

    /// Whether `name` means something after `S->T.`.
    fn is_flow_setting(&self, name: &str) -> bool {
        let sides = [Side::Source, Side::Target].map(Side::name);
        let of_client = |kind: &ClientKind| {
            let kind_name = kind_name(*kind);
            let on_a_side = sides
                .iter()
                .find_map(|side| name.strip_prefix(&format!("{side}.{kind_name}.")));
            let on_both = name.strip_prefix(&format!("{kind_name}."));
            on_a_side
                .or(on_both)
                .is_some_and(|own| kind.config_def().key(own).is_some())
        };
        MirrorConnector::ALL
            .iter()
            .any(|connector| is_connector_setting(name, *connector))
            || KINDS.iter().any(of_client)
    }

    /// The nearest of all keys that would reach something. A client's own setting is sought among those of its kind.
    fn spelt_otherwise(&self, key: &str) -> Option<String> {
        let (prefix, names) = self.candidates(key);
        if let Some(prefix) = prefix {
            let found = nearest(&key[prefix.len()..], names.iter().map(String::as_str))?;
            return Some(format!("{prefix}{found}"));
        }
        nearest(key, names.iter().map(String::as_str)).map(str::to_owned)
    }

    /// What may follow the part of the key that is known to be right.
    fn candidates(&self, key: &str) -> (Option<String>, Vec<String>) {
        let flows = self.pairs.iter().map(|pair| format!("{pair}."));
        let flow = flows.into_iter().find(|prefix| key.starts_with(prefix));
        let clusters = self.config.clusters.iter().map(|alias| format!("{alias}."));
        let cluster = clusters.into_iter().find(|prefix| key.starts_with(prefix));
        let scope = flow.as_ref().or(cluster.as_ref()).cloned().unwrap_or_default();
        let rest = &key[scope.len()..];
        for kind in KINDS {
            let kind_prefix = format!("{}.", kind_name(kind));
            for infix in ["", "source.", "target.", "override."] {
                let prefix = match infix {
                    "override." => format!("{kind_prefix}override."),
                    side => format!("{side}{kind_prefix}"),
                };
                if rest
                    .strip_prefix(&prefix)
                    .is_some_and(|own| !own.starts_with("override."))
                {
                    let names = kind.config_def().keys().map(|key| key.name.to_owned()).collect();
                    return (Some(format!("{scope}{prefix}")), names);
                }
            }
        }
        let owned = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect::<Vec<_>>();
        match (flow, cluster) {
            (Some(flow), _) => (Some(flow), owned(flow_names())),
            (None, Some(cluster)) => (Some(cluster), owned(self.cluster_names())),
            (None, None) => {
                let mut names = owned(
                    CONFIG_DEF
                        .keys()
                        .map(|key| key.name)
                        .chain(CONNECTOR_KEYS.iter().copied())
                        .collect(),
                );
                let worker = self.worker.keys().map(|key| key.name);
                names.extend(
                    worker
                        .filter(|name| WORKER_PREFIXES.iter().any(|prefix| name.starts_with(prefix)))
                        .map(str::to_owned),
                );
                // A misspelt alias, or a flow between aliases that are.
                for pair in &self.pairs {
                    names.extend(flow_names().into_iter().map(|name| format!("{pair}.{name}")));
                }
                for alias in &self.config.clusters {
                    names.extend(self.cluster_names().into_iter().map(|name| format!("{alias}.{name}")));
                }
                (None, names)
            }
        }
    }

    fn cluster_names(&self) -> Vec<&'static str> {
        cluster_client_keys()
            .chain(self.worker.keys().map(|key| key.name))
            .collect()
    }
}

fn flow_names() -> Vec<&'static str> {
    let framework = SOURCE_CONNECTOR_KEYS.iter().map(|key| key.name);
    CONNECTOR_KEYS
        .iter()
        .copied()
        .chain([USE_DEFAULTS_FROM.name])
        .chain(OWN_CONFIG_DEF.keys().map(|key| key.name))
        .chain(framework)
        .collect()
}

#[cfg(test)]
mod tests {
    use config_def::{ConfigTransformer, Type, key, properties};

    use super::*;

    /// A few of a worker's keys.
    static WORKER: ConfigDef = ConfigDef::new(&[&[
        key("offset.flush.interval.ms", Type::Long).default("60000").doc("d"),
        key("exactly.once.source.support", Type::String)
            .default("disabled")
            .doc("d"),
        key("offset.storage.replication.factor", Type::Short)
            .default("3")
            .doc("d"),
        key("group.id", Type::String).default_null().doc("d"),
    ]]);

    const FILE: &str = "clusters=source,destination\n\
        source.bootstrap.servers=s:9092\n\
        destination.bootstrap.servers=d:9092\n\
        source->destination.enabled=true\n";

    fn report(more: &str) -> KeyReport {
        let file = properties::parse(format!("{FILE}{more}").as_bytes()).expect("a good file");
        let config = MirrorMakerConfig::parse(file.props(), &ConfigTransformer::identity()).expect("good settings");
        config.key_report(&WORKER)
    }

    fn key_use(line: &str) -> KeyUse {
        let key = line.split_once('=').expect("key=value").0;
        let report = report(line);
        report
            .keys
            .into_iter()
            .find(|key_use| key_use.key == key)
            .expect("it is in the file")
    }

    #[test]
    fn a_good_file_has_no_warnings() {
        let more = "source->destination.topics=orders.*\nreplication.factor=1\ntasks.max=2\n\
            source.consumer.fetch.max.bytes=1\ndestination.producer.linger.ms=5\ndestination.group.id=g\n\
            source->destination.producer.override.compression.type=lz4\noffset.storage.replication.factor=1\n\
            source->destination.use.defaults.from=source\nsource->destination.transforms.x.type=y\n\
            source->destination.source.consumer.max.poll.records=5\nsecurity.protocol=PLAINTEXT\n\
            dedicated.mode.enable.internal.rest=true\nproducer.linger.ms=7\nconsumer.max.poll.records=3\n\
            source->destination.exactly.once.support=requested\nconfig.providers=env\nconfig.providers.env.class=E\n\
            heliograph.source.loss.policy=fail\nsource->destination.heliograph.loop.detection.enabled=false\n";
        assert_eq!(report(more).warnings().collect::<Vec<_>>(), Vec::<String>::new());
    }

    #[test]
    fn a_flow_that_keeps_names_knows_what_the_flow_back_copies() {
        let props = |more: &str| {
            let file = properties::parse(format!("{FILE}{more}").as_bytes()).expect("a good file");
            let config = MirrorMakerConfig::parse(file.props(), &ConfigTransformer::identity()).expect("good settings");
            let pair = SourceAndTarget::new("source", "destination");
            config.connector_config(&pair, MirrorConnector::Source)
        };
        let identity = "replication.policy.class=org.apache.kafka.connect.mirror.IdentityReplicationPolicy\n";
        let back = "destination->source.enabled=true\ndestination->source.topics=a, b\ntopics.exclude=c\n";
        let both = props(&format!("{identity}{back}"));
        assert_eq!(both["heliograph.reverse.topics"], "a, b");
        assert_eq!(both["heliograph.reverse.topics.exclude"], "c");
        let with_default_topics = props(&format!("{identity}destination->source.enabled=true\n"));
        assert_eq!(with_default_topics["heliograph.reverse.topics"], ".*");
        for one_way_or_renaming in [identity, back] {
            assert!(!props(one_way_or_renaming).contains_key("heliograph.reverse.topics"));
        }
        let policy = props("heliograph.source.loss.policy=fail\n");
        assert_eq!(policy["heliograph.source.loss.policy"], "fail");
    }

    #[test]
    fn a_key_knows_where_its_value_goes() {
        let places = |line: &str, flow: &str| -> Vec<String> {
            let reaches = key_use(line).reaches;
            let of_flow = |reach: &&Reach| reach.flow.as_ref().is_some_and(|pair| pair.to_string() == flow);
            reaches
                .iter()
                .filter(of_flow)
                .map(|reach| format!("{}: {}", reach.place, reach.name))
                .collect()
        };
        assert_eq!(
            places("source.consumer.fetch.max.bytes=1", "source->destination"),
            [
                "replication-consumer: fetch.max.bytes",
                "offset-syncs consumer: fetch.max.bytes"
            ]
        );
        assert_eq!(
            places("destination.producer.linger.ms=5", "source->destination"),
            ["worker: producer.linger.ms"]
        );
        assert_eq!(
            places("source->destination.topics=a", "source->destination"),
            ["MirrorSourceConnector: topics", "MirrorCheckpointConnector: topics"]
        );
        assert_eq!(
            places("source->destination.topics=a", "destination->source"),
            Vec::<String>::new()
        );
    }

    #[test]
    fn a_misspelt_key_is_told_from_its_neighbour() {
        let check = |line: &str, expected: &str| {
            assert_eq!(key_use(line).warning().as_deref(), Some(expected));
        };
        check(
            "source->destinatoin.enabled=true",
            "Unknown key source->destinatoin.enabled: did you mean source->destination.enabled?",
        );
        check(
            "source->destination.topcis=a",
            "Unknown key source->destination.topcis: did you mean source->destination.topics?",
        );
        check(
            "replicaton.factor=1",
            "Unknown key replicaton.factor: did you mean replication.factor?",
        );
        check(
            "destination.bootstrap.server=d:1",
            "Unknown key destination.bootstrap.server: did you mean destination.bootstrap.servers?",
        );
        check(
            "sorce.bootstrap.servers=s:1",
            "Unknown key sorce.bootstrap.servers: did you mean source.bootstrap.servers?",
        );
        check(
            "source.consumer.fetch.max.byte=1",
            "Unknown key source.consumer.fetch.max.byte: did you mean source.consumer.fetch.max.bytes?",
        );
        check(
            "something.else.entirely=1",
            "Unknown key something.else.entirely: it reaches nothing",
        );
    }

    #[test]
    fn a_key_in_the_wrong_place_is_told_the_right_one() {
        let check =
            |line: &str, expected: &str| assert_eq!(key_use(line).suggestion.as_deref(), Some(expected), "{line}");
        check("offset.flush.interval.ms=1", "destination.offset.flush.interval.ms");
        check(
            "exactly.once.source.support=enabled",
            "destination.exactly.once.source.support",
        );
        check(
            "source->destination.offset.flush.interval.ms=1",
            "destination.offset.flush.interval.ms",
        );
        check("use.defaults.from=source", "source->destination.use.defaults.from");
        check("source.topics=a", "source->destination.topics");
        check(
            "producer.override.compression.type=lz4",
            "source->destination.producer.override.compression.type",
        );
    }

    #[test]
    fn a_workers_key_for_a_cluster_without_one_is_not_unknown() {
        let off = "destination->source.enabled=false\ndestination->source.emit.heartbeats.enabled=false\n";
        let report = report(&format!("{off}source.offset.flush.interval.ms=1\n"));
        assert_eq!(
            report.warnings().collect::<Vec<_>>(),
            [
                "Key source.offset.flush.interval.ms has no effect: it is for the worker of a flow to source, and no such \
              flow is on"
            ]
        );
    }

    #[test]
    fn a_key_that_others_go_before_is_not_unknown() {
        let key = "destination.offset.storage.replication.factor";
        let report = report(&format!("{key}=1\noffset.storage.replication.factor=2\n"));
        let warnings: Vec<String> = report.warnings().collect();
        let place = "destination worker: offset.storage.replication.factor";
        assert_eq!(
            warnings,
            [format!(
                "Key {key} has no effect: other keys go before it, as in source->{place}"
            )]
        );
    }
}
