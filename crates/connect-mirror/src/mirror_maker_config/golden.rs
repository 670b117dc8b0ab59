//! The derivation against what Kafka 4.3.1's own classes made of six files.

use std::collections::BTreeMap;

use config_def::{ConfigProvider, ConfigTransformer, Props, ProviderError, properties};
use kafka_client::config::ClientKind::{self, Admin, Consumer, Producer};
use serde_json::{Map, Value, json};

use super::{CONFIG_DEF, CONNECTOR_KEYS, MirrorConnector, MirrorMakerConfig, SourceAndTarget};
use crate::{
    client_props::Side,
    connector_config::{MirrorConnectorConfig, interval, offset_syncs_topic},
    golden_tables::expect_same_table,
    source::config::{ExactlyOnceSupport, exactly_once_support},
};

/// `/etc/mm2/secrets.txt` of the recording.
struct Secrets;

impl ConfigProvider for Secrets {
    fn get(&self, path: &str, key: &str) -> Result<Option<String>, ProviderError> {
        let known = [("password", "s3cret"), ("acks", "all"), ("enabled", "true")];
        assert_eq!(path, "/etc/mm2/secrets.txt");
        let found = known.iter().find(|(name, _)| *name == key);
        Ok(found.map(|(_, value)| (*value).to_owned()))
    }
}

fn transformer() -> ConfigTransformer {
    ConfigTransformer::identity().with_provider("file", Secrets)
}

fn samples() -> Vec<Value> {
    let golden: Value =
        serde_json::from_str(include_str!("../../testdata/golden-config-derivation.json")).expect("valid JSON");
    golden["samples"].as_array().expect("a list").clone()
}

fn file(sample: &Value) -> Props {
    let text = sample["propertiesText"].as_str().expect("a text");
    properties::parse(text.as_bytes()).expect("a good file").props()
}

/// Without our own extension: sample 2 has top-level `producer.*`, `consumer.*` and `admin.*`.
fn config(sample: &Value) -> MirrorMakerConfig {
    MirrorMakerConfig::parse(file(sample), &transformer())
        .expect("good settings")
        .as_kafka()
}

fn herders(sample: &Value) -> Vec<(SourceAndTarget, &Value)> {
    let herders = sample["herders"].as_array().expect("a list");
    let pair = |herder: &Value| {
        let (source, target) = herder["flow"]
            .as_str()
            .and_then(|flow| flow.split_once("->"))
            .expect("S->T");
        SourceAndTarget::new(source, target)
    };
    herders.iter().map(|herder| (pair(herder), herder)).collect()
}

#[test]
fn the_table_is_that_of_kafka_4_3_1() {
    expect_same_table(
        &CONFIG_DEF,
        include_str!("../../testdata/config-mirror-maker.json"),
        "keys",
    );
}

#[test]
fn the_keys_that_reach_every_connector_are_kafkas() {
    let recorded: Value =
        serde_json::from_str(include_str!("../../testdata/config-top-level-inherited-names.json")).expect("valid JSON");
    assert_eq!(json!(*CONNECTOR_KEYS), recorded["names"]);
}

#[test]
fn files_clusters_and_flows_are_read_as_kafka_reads_them() {
    let samples = samples();
    assert_eq!(samples.len(), 6);
    for sample in &samples {
        let name = &sample["sample"];
        assert_eq!(json!(file(sample)), sample["parsed"], "{name}");
        let config = config(sample);
        assert_eq!(config.enable_internal_rest(), sample["enableInternalRest"], "{name}");
        let mut clusters = config.clusters().to_vec();
        clusters.sort();
        let mut recorded: Vec<String> = serde_json::from_value(sample["clusters"].clone()).expect("a list of texts");
        recorded.sort();
        assert_eq!(clusters, recorded, "{name}");
        let mut pairs: Vec<String> = config.cluster_pairs().iter().map(ToString::to_string).collect();
        pairs.sort();
        let mut recorded: Vec<String> =
            serde_json::from_value(sample["clusterPairs"].clone()).expect("a list of texts");
        recorded.sort();
        assert_eq!(pairs, recorded, "{name}");
        assert_eq!(pairs.len(), herders(sample).len(), "{name}");
    }
}

#[test]
fn clusters_see_what_they_see_in_kafka() {
    for sample in samples() {
        let config = config(&sample);
        let props: BTreeMap<&String, Props> = config
            .clusters()
            .iter()
            .map(|alias| (alias, config.cluster_props(alias)))
            .collect();
        assert_eq!(json!(props), sample["clusterProps"], "{}", sample["sample"]);
        for alias in config.clusters() {
            let client = config.client_config(alias);
            for (kind, props) in [("admin", client.admin), ("consumer", client.consumer)] {
                let recorded = sample["mirrorClientConfig"][alias][kind].as_object().expect("a map");
                for (key, theirs) in recorded {
                    let theirs = match theirs {
                        Value::Array(list) => list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(","),
                        other => other.as_str().expect("a text").to_owned(),
                    };
                    assert_eq!(
                        props.get(key),
                        Some(&theirs),
                        "{alias} {kind} {key} in {}",
                        sample["sample"]
                    );
                }
            }
        }
    }
}

#[test]
fn workers_and_connectors_get_what_they_get_from_kafka() {
    for sample in samples() {
        let config = config(&sample);
        for (pair, herder) in herders(&sample) {
            let place = format!("{pair} in {}", sample["sample"]);
            assert_eq!(json!(config.worker_config(&pair)), herder["workerConfig"], "{place}");
            let recorded = herder["connectors"].as_object().expect("a map");
            assert_eq!(recorded.len(), 3, "{place}");
            for connector in MirrorConnector::ALL {
                let ours = config.connector_config(&pair, connector);
                assert_eq!(
                    json!(ours),
                    recorded[connector.name()]["config"],
                    "{} of {place}",
                    connector.name()
                );
            }
        }
    }
}

#[test]
fn clients_of_the_connectors_get_what_they_get_from_kafka() {
    let mut checked = 0;
    for sample in samples() {
        let config = config(&sample);
        for (pair, herder) in herders(&sample) {
            for connector in MirrorConnector::ALL {
                let props = transformer()
                    .transform(&config.connector_config(&pair, connector))
                    .expect("readable");
                let ours = clients(connector, &props);
                let recorded = &herder["connectors"][connector.name()]["clients"];
                assert_eq!(
                    ours,
                    *recorded,
                    "{} of {pair} in {}",
                    connector.name(),
                    sample["sample"]
                );
                checked += 1;
            }
        }
    }
    assert!(checked >= 36, "{checked}");
}

/// What the recording says of the clients of a connector, from our own rules.
fn clients(connector: MirrorConnector, props: &Props) -> Value {
    let values = match connector.config_def().parse(props) {
        Ok(values) => values,
        Err(errors) => {
            let error = "org.apache.kafka.common.config.ConfigException";
            return json!({"error": error, "message": errors.to_string()});
        }
    };
    let common = MirrorConnectorConfig::new(&values, props, None);
    let mut clients = Map::new();
    let mut client = |name: &str, side: Side, kind: ClientKind, role: &str| {
        clients.insert(name.to_owned(), json!(common.client(side, kind, role)));
    };
    match connector {
        MirrorConnector::Source => {
            let (location, topic) = offset_syncs_topic(&values, &common);
            let role = |kind: &str| format!("offset-syncs-{}-{kind}", location.name());
            client(
                "replication-consumer (task, see task.index)",
                Side::Source,
                Consumer,
                "replication-consumer",
            );
            client(
                "replication-source-admin",
                Side::Source,
                Admin,
                "replication-source-admin",
            );
            client(
                "replication-target-admin",
                Side::Target,
                Admin,
                "replication-target-admin",
            );
            client("offset-syncs admin", location, Admin, &role("admin"));
            client("offset-syncs producer", location, Producer, &role("producer"));
            clients.insert("offsetSyncsTopic".to_owned(), topic.into());
            let support = match exactly_once_support(props) {
                ExactlyOnceSupport::Supported => "SUPPORTED",
                ExactlyOnceSupport::Unsupported => "UNSUPPORTED",
            };
            clients.insert("exactlyOnceSupport".to_owned(), support.into());
        }
        MirrorConnector::Heartbeat => {
            client(
                "heartbeats-target-admin",
                Side::Target,
                Admin,
                "heartbeats-target-admin",
            );
            clients.insert("heartbeatsTopic".to_owned(), common.policy.heartbeats_topic().into());
            let tasks = i32::from(interval(&values, "emit.heartbeats").is_some());
            clients.insert("taskCount".to_owned(), tasks.into());
        }
        MirrorConnector::Checkpoint => {
            let (location, topic) = offset_syncs_topic(&values, &common);
            let role = |kind: &str| format!("offset-syncs-{}-{kind}", location.name());
            client(
                "checkpoint-source-admin",
                Side::Source,
                Admin,
                "checkpoint-source-admin",
            );
            client(
                "checkpoint-target-admin",
                Side::Target,
                Admin,
                "checkpoint-target-admin",
            );
            client("offset-syncs consumer", location, Consumer, &role("consumer"));
            client("offset-syncs admin", location, Admin, &role("admin"));
            client(
                "checkpoints-target-consumer",
                Side::Target,
                Consumer,
                "checkpoints-target-consumer",
            );
            let checkpoints = common.policy.checkpoints_topic(&common.source_alias);
            clients.insert("checkpointsTopic".to_owned(), checkpoints.into());
            clients.insert("offsetSyncsTopic".to_owned(), topic.into());
        }
    }
    Value::Object(clients)
}

#[test]
fn top_level_clients_are_honoured_below_everything_else() {
    let sample = &samples()[1];
    let pair = SourceAndTarget::new("A", "B");
    let config = MirrorMakerConfig::parse(file(sample), &transformer()).expect("good settings");
    let worker = config.worker_config(&pair);
    assert_eq!(
        worker["producer.linger.ms"], "31",
        "B.producer.linger.ms goes before producer.linger.ms"
    );
    assert_eq!(worker["admin.retries"], "111");
    assert!(!worker.contains_key("producer.override.compression.type"));
    let connector = config.connector_config(&pair, MirrorConnector::Source);
    assert_eq!(
        connector["producer.linger.ms"], "41",
        "A->B.producer.linger.ms goes before producer.linger.ms"
    );
    let values = MirrorConnector::Source
        .config_def()
        .parse(&connector)
        .expect("good settings");
    let common = MirrorConnectorConfig::new(&values, &connector, None);
    let consumer = common.client(Side::Source, Consumer, "replication-consumer");
    assert_eq!(consumer["fetch.max.bytes"], "111");
    assert_eq!(
        common.client(Side::Target, Admin, "replication-target-admin")["retries"],
        "111"
    );
}

#[test]
fn top_level_clients_change_nothing_where_there_are_none() {
    for sample in samples()
        .iter()
        .filter(|sample| !sample["sample"].as_str().expect("a name").starts_with("2-"))
    {
        let config = MirrorMakerConfig::parse(file(sample), &transformer()).expect("good settings");
        for pair in config.cluster_pairs() {
            let kafka = config.clone().as_kafka();
            assert_eq!(config.worker_config(&pair), kafka.worker_config(&pair));
            for connector in MirrorConnector::ALL {
                assert_eq!(
                    config.connector_config(&pair, connector),
                    kafka.connector_config(&pair, connector)
                );
            }
        }
    }
}
