//! The clients that a worker makes for a task against the settings that Kafka 4.3.1's own worker gives it.

use std::collections::BTreeMap;

use config_def::Props;
use connect_runtime::{clients, worker::ConnectorTaskId};
use serde_json::Value;

/// What ours leaves out on purpose: it is idempotent with five requests in flight where Kafka's is not and has one, which
/// is as ordered and faster; it never blocks in a call; and none has serialisers or JMX names.
const LEFT_OUT: [&str; 9] = [
    "enable.idempotence",
    "key.deserializer",
    "key.serializer",
    "max.block.ms",
    "max.in.flight.requests.per.connection",
    "metrics.context.connect.group.id",
    "metrics.context.connect.kafka.cluster.id",
    "value.deserializer",
    "value.serializer",
];

fn props(value: &Value) -> Props {
    serde_json::from_value(value.clone()).expect("a map of texts")
}

fn without_what_is_left_out(recorded: &Value) -> Props {
    let mut props = props(recorded);
    props.retain(|key, _| !LEFT_OUT.contains(&key.as_str()) && key != "transactional.id");
    props
}

#[test]
fn clients_get_what_kafkas_get() {
    let golden = include_str!("../../connect-mirror/testdata/golden-config-derivation.json");
    let golden: Value = serde_json::from_str(golden).expect("valid JSON");
    let secrets = BTreeMap::from([("${file:/etc/mm2/secrets.txt:acks}", "all")]);
    let (mut producers, mut exactly_once) = (0, 0);
    for sample in golden["samples"].as_array().expect("a list") {
        for herder in sample["herders"].as_array().expect("a list") {
            let worker = props(&herder["workerConfig"]);
            for (name, connector) in herder["connectors"].as_object().expect("a map") {
                let at = format!("{name} of {} in {}", herder["flow"], sample["sample"]);
                let config = props(&connector["config"]);
                let recorded = &connector["connectWorkerClients"];
                let base = recorded["workerClientIdBase"].as_str().expect("a text");
                assert_eq!(clients::client_id_base(&worker), base);
                // The recording took the connector's name from its configuration.
                let task = ConnectorTaskId::new(config["name"].as_str(), 0);
                let mut ours = clients::task_producer(&worker, &config, &task);
                for value in ours.values_mut() {
                    if let Some(secret) = secrets.get(value.as_str()) {
                        *value = (*secret).to_owned();
                    }
                }
                assert_eq!(ours, without_what_is_left_out(&recorded["taskDataProducer"]), "{at}");
                producers += 1;
                if recorded["exactlyOnceSourceEnabled"] == true {
                    let ours = clients::task_offsets_consumer(&worker, &config, &task, true);
                    assert_eq!(ours, without_what_is_left_out(&recorded["taskOffsetsConsumer"]), "{at}");
                    let ours = clients::task_admin(&worker, &config, &task);
                    assert_eq!(ours, without_what_is_left_out(&recorded["taskAdmin"]), "{at}");
                    exactly_once += 1;
                }
            }
        }
    }
    assert!(producers >= 36 && exactly_once >= 3, "{producers} {exactly_once}");
}
