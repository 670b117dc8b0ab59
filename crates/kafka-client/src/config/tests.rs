use std::collections::BTreeMap;
use std::time::Duration;

use kafka_wire::Compression;
use serde_json::Value as Json;

use super::*;

fn props(pairs: &[(&str, &str)]) -> Props {
    let bootstrap = ("bootstrap.servers", "kafka:9092");
    pairs
        .iter()
        .chain(&[bootstrap])
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

/// Required by Java's clients, which turn objects into bytes; here everything is bytes.
const SERIALIZERS: &[&str] = &[
    "key.serializer",
    "value.serializer",
    "key.deserializer",
    "value.deserializer",
];

#[test]
fn the_tables_are_those_of_kafka() {
    let recorded: Json = serde_json::from_str(include_str!("../../testdata/client-configs.json")).expect("it is JSON");
    for (name, kind) in [
        ("admin", ClientKind::Admin),
        ("consumer", ClientKind::Consumer),
        ("producer", ClientKind::Producer),
    ] {
        let theirs: BTreeMap<&str, &Json> = recorded[name]
            .as_array()
            .expect("a list of keys")
            .iter()
            .map(|key| (key["name"].as_str().expect("a name"), key))
            .collect();
        let ours: Vec<&str> = kind.config_def().keys().map(|key| key.name).collect();
        for key in theirs.keys() {
            assert!(ours.contains(key), "{name} lacks {key}");
        }
        for key in kind.config_def().keys() {
            let Some(recorded) = theirs.get(key.name) else {
                panic!("{name} has {} of its own", key.name)
            };
            assert_eq!(
                format!("{:?}", key.kind).to_uppercase(),
                recorded["type"],
                "type of {}",
                key.name
            );
            assert_eq!(
                format!("{:?}", key.importance).to_uppercase(),
                recorded["importance"],
                "of {}",
                key.name
            );
            if SERIALIZERS.contains(&key.name) {
                continue;
            }
            assert_eq!(
                key.is_required(),
                recorded["required"] == true,
                "{} is required",
                key.name
            );
            if !key.is_required() {
                let ours = kind
                    .config_def()
                    .parse(&props(&[]))
                    .expect("defaults")
                    .get(key.name)
                    .to_text();
                let theirs = recorded["default"]
                    .as_str()
                    .map(|text| text.replace("class org", "org"));
                if key.name != "bootstrap.servers" {
                    assert_eq!(ours, theirs, "default of {}", key.name);
                }
            }
            let validator = recorded["validator"].as_str().filter(|text| !text.is_empty());
            let ours = key.validator.text().filter(|text| !text.is_empty());
            if !validator.is_some_and(|text| text.contains("$Lambda"))
                && !ours.as_deref().is_some_and(|text| text.starts_with("any"))
            {
                assert_eq!(ours.as_deref(), validator, "validator of {}", key.name);
            }
        }
    }
}

#[test]
fn the_tables_have_no_faults() {
    for kind in [ClientKind::Admin, ClientKind::Consumer, ClientKind::Producer] {
        assert_eq!(kind.config_def().faults(), Vec::<String>::new(), "{kind:?}");
        let shared = client::KEYS_WITH_EFFECT.iter().chain(security::KEYS_WITH_EFFECT);
        for key in shared.chain(kind.keys_with_effect()) {
            let elsewhere = kind == ClientKind::Producer && *key == "default.api.timeout.ms";
            assert!(
                elsewhere || kind.config_def().key(key).is_some(),
                "{key} is no key of {kind:?}"
            );
        }
    }
}

#[test]
fn a_client_is_configured_by_kafkas_names() {
    let config = ClientConfig::parse(&props(&[
        ("client.id", "mirror"),
        ("request.timeout.ms", "5000"),
        ("connections.max.idle.ms", "-1"),
        ("receive.buffer.bytes", "1048576"),
        ("send.buffer.bytes", "-1"),
        ("metadata.recovery.strategy", "none"),
    ]))
    .expect("it is valid");
    assert_eq!(config.bootstrap_servers, [HostPort::new("kafka", 9092)]);
    assert_eq!(&*config.client_id, "mirror");
    assert_eq!(config.request_timeout, Duration::from_secs(5));
    assert_eq!(config.connections_max_idle, None);
    assert_eq!(config.socket.receive_buffer_bytes, Some(1_048_576));
    assert_eq!(config.socket.send_buffer_bytes, None);
    assert_eq!(config.metadata_recovery, MetadataRecovery::None);
}

#[test]
fn defaults_are_kafkas() {
    let config = ClientConfig::default();
    assert_eq!(config.request_timeout, Duration::from_secs(30));
    assert_eq!(config.default_api_timeout, Duration::from_secs(60));
    assert_eq!(config.connections_max_idle, Some(Duration::from_secs(300)));
    assert_eq!(
        config.socket.receive_buffer_bytes, None,
        "the operating system's, unless set"
    );
    let consumer = ConsumerConfig::parse(&props(&[])).expect("defaults");
    assert_eq!(consumer.client.connections_max_idle, Some(Duration::from_secs(540)));
    assert_eq!(consumer.auto_offset_reset, OffsetReset::Latest);
    let producer = ProducerConfig::parse(&props(&[])).expect("defaults");
    assert_eq!(
        (producer.acks, producer.enable_idempotence, producer.max_in_flight),
        (Acks::All, true, 5)
    );
    assert_eq!(producer.compression_type, None);
}

#[test]
fn every_problem_is_told_at_once() {
    let mut bad = props(&[
        ("security.protocol", "SASL_SSL"),
        ("sasl.mechanism", "GSSAPI"),
        ("ssl.truststore.password", "x"),
    ]);
    bad.insert("bootstrap.servers".into(), "kafka,other:x".into());
    let errors = ClientConfig::parse(&bad).expect_err("four things are wrong");
    let text = errors.to_string();
    assert!(text.contains("Invalid url in bootstrap.servers: kafka"), "{text}");
    assert!(text.contains("Invalid port in bootstrap.servers: other:x"), "{text}");
    assert!(
        text.contains("trust store is not specified, but trust store password is"),
        "{text}"
    );
    assert!(
        text.contains("Kerberos is not supported; supported are PLAIN"),
        "{text}"
    );
    let missing = ClientConfig::parse(&Props::new()).expect_err("no servers");
    assert!(missing.to_string().contains("bootstrap.servers"));
}

#[test]
fn idempotence_gives_way_unless_it_is_asked_for() {
    let given_way = ProducerConfig::parse(&props(&[("acks", "1")])).expect("it is valid");
    assert!(!given_way.enable_idempotence);
    let asked = ProducerConfig::parse(&props(&[("acks", "1"), ("enable.idempotence", "true")]));
    assert!(
        asked
            .expect_err("they exclude each other")
            .to_string()
            .contains("Must set acks to all")
    );
    let transactional = ProducerConfig::parse(&props(&[("enable.idempotence", "false"), ("transactional.id", "t")]));
    assert!(
        transactional
            .expect_err("they exclude each other")
            .to_string()
            .contains("transactional.id")
    );
}

#[test]
fn a_delivery_timeout_that_is_too_short_is_refused_or_raised() {
    let refused = ProducerConfig::parse(&props(&[("delivery.timeout.ms", "1000")]));
    assert!(
        refused
            .expect_err("too short")
            .to_string()
            .contains("linger.ms + request.timeout.ms")
    );
    let raised = ProducerConfig::parse(&props(&[("request.timeout.ms", "200000")])).expect("it is valid");
    assert_eq!(raised.delivery_timeout, Duration::from_millis(200_005));
}

#[test]
fn a_codec_and_its_level_count_only_when_set() {
    let config = ProducerConfig::parse(&props(&[("compression.type", "zstd"), ("compression.zstd.level", "7")]));
    let config = config.expect("it is valid");
    assert_eq!(config.compression_type, Some(Compression::Zstd));
    assert_eq!(config.compression_level, Some(7));
}

#[test]
fn keys_without_effect_are_listed() {
    let set = props(&[
        ("interceptor.classes", "x"),
        ("fetch.min.bytes", "1"),
        ("unheard.of", "1"),
        ("client.id", "c"),
    ]);
    assert_eq!(without_effect(&set, ClientKind::Consumer), ["interceptor.classes"]);
}
