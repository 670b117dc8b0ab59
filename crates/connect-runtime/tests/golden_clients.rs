//! The data producer of a task against the settings that Kafka 4.3.1's own worker gives it.

use std::collections::BTreeMap;

use config_def::Props;
use connect_runtime::{clients, worker::ConnectorTaskId};
use serde_json::Value;

/// What ours leaves out on purpose: it is idempotent with five requests in flight where Kafka's is not and has one, which
/// is as ordered and faster; it never blocks in a call; and it has neither serialisers nor JMX names.
const LEFT_OUT: [&str; 7] = [
    "enable.idempotence",
    "key.serializer",
    "max.block.ms",
    "max.in.flight.requests.per.connection",
    "metrics.context.connect.group.id",
    "metrics.context.connect.kafka.cluster.id",
    "value.serializer",
];

fn props(value: &Value) -> Props {
    serde_json::from_value(value.clone()).expect("a map of texts")
}

#[test]
fn a_data_producer_gets_what_kafkas_gets() {
    let golden = include_str!("../../connect-mirror/testdata/golden-config-derivation.json");
    let golden: Value = serde_json::from_str(golden).expect("valid JSON");
    let secrets = BTreeMap::from([("${file:/etc/mm2/secrets.txt:acks}", "all")]);
    let mut checked = 0;
    for sample in golden["samples"].as_array().expect("a list") {
        for herder in sample["herders"].as_array().expect("a list") {
            let worker = props(&herder["workerConfig"]);
            for (name, connector) in herder["connectors"].as_object().expect("a map") {
                let config = props(&connector["config"]);
                let recorded = &connector["connectWorkerClients"];
                let base = recorded["workerClientIdBase"].as_str().expect("a text");
                assert_eq!(clients::client_id_base(&worker), base);
                let mut theirs = props(&recorded["taskDataProducer"]);
                theirs.retain(|key, _| !LEFT_OUT.contains(&key.as_str()) && key != "transactional.id");
                // The recording took the connector's name from its configuration.
                let task = ConnectorTaskId::new(config["name"].as_str(), 0);
                let mut ours = clients::task_producer(&worker, &config, &task);
                for value in ours.values_mut() {
                    if let Some(secret) = secrets.get(value.as_str()) {
                        *value = (*secret).to_owned();
                    }
                }
                assert_eq!(ours, theirs, "{name} of {} in {}", herder["flow"], sample["sample"]);
                checked += 1;
            }
        }
    }
    assert!(checked >= 36, "{checked}");
}
