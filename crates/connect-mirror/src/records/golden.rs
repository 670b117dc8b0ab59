//! The codecs against records that Kafka 4.3.1's own classes wrote.

use connect_api::{SourcePartition, SourceValue};
use kafka_wire::TopicPartition;
use serde_json::Value;

use super::{Checkpoint, DecodeError, EncodeError, Heartbeat, OffsetSync};

fn golden() -> Value {
    serde_json::from_str(include_str!("../../testdata/golden-records.json")).expect("valid JSON")
}

fn vectors(section: &str) -> Vec<Value> {
    golden()[section].as_array().expect("a list of vectors").clone()
}

fn text(vector: &Value, field: &str) -> String {
    vector[field]
        .as_str()
        .unwrap_or_else(|| panic!("{field} is a text in {vector}"))
        .to_owned()
}

fn number(vector: &Value, field: &str) -> i64 {
    vector[field]
        .as_i64()
        .unwrap_or_else(|| panic!("{field} is a number in {vector}"))
}

fn partition(vector: &Value) -> TopicPartition {
    TopicPartition::new(
        text(vector, "topic"),
        i32::try_from(number(vector, "partition")).expect("32 bits"),
    )
}

fn unhex(hex: &str) -> Vec<u8> {
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal"))
        .collect()
}

fn bytes(vector: &Value, field: &str) -> Option<Vec<u8>> {
    vector[field].as_str().map(unhex)
}

#[test]
fn heartbeats_are_kafkas() {
    for vector in vectors("heartbeat") {
        let heartbeat = Heartbeat {
            source_cluster_alias: text(&vector, "sourceClusterAlias"),
            target_cluster_alias: text(&vector, "targetClusterAlias"),
            timestamp: number(&vector, "timestamp"),
        };
        let (key, value) = (bytes(&vector, "keyHex"), bytes(&vector, "valueHex"));
        assert_eq!(heartbeat.key().ok().as_deref(), key.as_deref(), "{vector}");
        assert_eq!(Some(&heartbeat.value()[..]), value.as_deref(), "{vector}");
        assert_eq!(
            Heartbeat::decode(key.as_deref(), value.as_deref()),
            Ok(heartbeat.clone())
        );
        assert_eq!(heartbeat.to_string(), text(&vector, "formatterText"));
    }
}

#[test]
fn checkpoints_are_kafkas() {
    for vector in vectors("checkpoint") {
        let checkpoint = Checkpoint {
            group: text(&vector, "group"),
            topic_partition: partition(&vector),
            upstream_offset: number(&vector, "upstreamOffset"),
            downstream_offset: number(&vector, "offset"),
            metadata: text(&vector, "metadata"),
        };
        let (key, value) = (bytes(&vector, "keyHex"), bytes(&vector, "valueHex"));
        assert_eq!(checkpoint.key().ok().as_deref(), key.as_deref(), "{vector}");
        assert_eq!(checkpoint.value().ok().as_deref(), value.as_deref(), "{vector}");
        assert_eq!(
            Checkpoint::decode(key.as_deref(), value.as_deref()),
            Ok(checkpoint.clone())
        );
        assert_eq!(checkpoint.to_string(), text(&vector, "formatterText"));
    }
}

#[test]
fn offset_syncs_are_kafkas() {
    for vector in vectors("offsetSync") {
        let sync = OffsetSync {
            topic_partition: partition(&vector),
            upstream_offset: number(&vector, "upstreamOffset"),
            downstream_offset: number(&vector, "offset"),
        };
        let (key, value) = (bytes(&vector, "keyHex"), bytes(&vector, "valueHex"));
        assert_eq!(sync.key().ok().as_deref(), key.as_deref(), "{vector}");
        assert_eq!(Some(&sync.value()[..]), value.as_deref(), "{vector}");
        assert_eq!(OffsetSync::decode(key.as_deref(), value.as_deref()), Ok(sync.clone()));
        assert_eq!(sync.to_string(), text(&vector, "formatterText"));
    }
}

#[test]
fn odd_records_are_read_or_refused_as_kafka_does() {
    for vector in vectors("decoding") {
        let kind = text(&vector, "type");
        let record = &vector["r"];
        let (key, value) = (bytes(record, "keyHex"), bytes(record, "valueHex"));
        let (key, value) = (key.as_deref(), value.as_deref());
        let decoded = match kind.split(',').next() {
            Some("checkpoint") => Checkpoint::decode(key, value).map(|checkpoint| checkpoint.to_string()),
            Some("offset sync") => OffsetSync::decode(key, value).map(|sync| sync.to_string()),
            Some("heartbeat") => Heartbeat::decode(key, value).map(|heartbeat| heartbeat.to_string()),
            _ => panic!("{kind}"),
        };
        match (&decoded, record["error"].as_str()) {
            (Ok(printed), None) => assert_eq!(*printed, text(record, "result"), "{kind}"),
            (Err(DecodeError::Null(_)), Some("java.lang.NullPointerException")) => {}
            (Err(error), Some("org.apache.kafka.common.protocol.types.SchemaException")) => {
                let field = |message: &str| message.split('\'').nth(1).map(str::to_owned);
                assert_eq!(field(&error.to_string()), field(&text(record, "message")), "{kind}");
            }
            _ => panic!("{kind}: {decoded:?}, but Kafka: {record}"),
        }
    }
}

#[test]
fn a_text_that_is_too_long_is_refused_in_kafkas_words() {
    let checkpoint = Checkpoint {
        group: "g".repeat(40_000),
        topic_partition: TopicPartition::new("t", 0),
        upstream_offset: 0,
        downstream_offset: 0,
        metadata: String::new(),
    };
    let error = checkpoint.key().expect_err("40,000 bytes do not fit");
    assert_eq!(
        error,
        EncodeError {
            field: "group",
            length: 40_000
        }
    );
    assert_eq!(error.to_string(), text(&vectors("encodingErrors")[1], "message"));
}

#[test]
fn keys_of_connect_offsets_are_kafkas() {
    for vector in vectors("connectOffsets") {
        let members: &[&'static str] = match &vector["partition"] {
            partition if partition.get("group").is_some() => &["partition", "topic", "group"],
            partition if partition.get("cluster").is_some() => &["cluster", "partition", "topic"],
            _ => &["sourceClusterAlias", "targetClusterAlias"],
        };
        let value = |name: &str| match &vector["partition"][name] {
            Value::String(text) => SourceValue::String(text.as_str().into()),
            other => SourceValue::Int(other.as_i64().expect("a number")),
        };
        let partition = SourcePartition(members.iter().map(|name| (*name, value(name))).collect());
        let key = partition.key_json(&text(&vector, "connector"));
        assert_eq!(key, text(&vector, "keyText"));
        assert_eq!(Some(key.into_bytes()), bytes(&vector, "keyHex"));
    }
}

proptest::proptest! {
    #[test]
    fn no_bytes_panic(key in proptest::option::of(proptest::collection::vec(proptest::prelude::any::<u8>(), 0..40)),
                      value in proptest::option::of(proptest::collection::vec(proptest::prelude::any::<u8>(), 0..40))) {
        let _ = Checkpoint::decode(key.as_deref(), value.as_deref());
        let _ = OffsetSync::decode(key.as_deref(), value.as_deref());
        let _ = Heartbeat::decode(key.as_deref(), value.as_deref());
    }
}
