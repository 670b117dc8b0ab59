//! What Kafka 4.3.1 answered, beside what we answer.

use std::sync::Arc;

use config_def::{
    ConfigDef, ConfigKey, ConfigProvider, ConfigTransformer, DefaultValue, Importance, Props, ProviderError, Type,
    Validator, key,
};
use connect_api::connector_config::CONNECTOR_KEYS;
use connect_mirror::{checkpoint::config as mirror_checkpoint, source::config as mirror_source};
use serde_json::{Value, json};

use crate::{
    ClientTables, ConfigInfo, ConnectorPlugin, ExactlyOnceSupport, OverridePolicy, PluginError, PluginRegistry,
    PluginType, RawConfig, ValidationContext, WorkerConverters, WorkerMode, converters, registry::Plugin,
    sink::SINK_CONNECTOR_KEYS,
};

static FILE_SOURCE: ConfigDef = ConfigDef::new(&[&[
    key("file", Type::String)
        .default_null()
        .importance(Importance::High)
        .doc("d"),
    key("topic", Type::String)
        .validator(Validator::NonEmptyString)
        .importance(Importance::High)
        .doc("d"),
    key("batch.size", Type::Int).default("2000").doc("d"),
]]);

static FILE_SINK: ConfigDef = ConfigDef::new(&[&[key("file", Type::String)
    .default_null()
    .importance(Importance::High)
    .doc("d")]]);

static PLAIN: ConfigDef = ConfigDef::new(&[&[key("converter.type", Type::String).doc("d")]]);
static NOTHING: ConfigDef = ConfigDef::new(&[]);

pub(crate) const CLIENTS: ClientTables = ClientTables {
    producer: &kafka_client::config::tables::PRODUCER_CONFIG_DEF,
    consumer: &kafka_client::config::tables::CONSUMER_CONFIG_DEF,
    admin: &kafka_client::config::tables::ADMIN_CONFIG_DEF,
};

/// The mirror connectors, as a binary registers them.
fn mirrors() -> [ConnectorPlugin; 3] {
    [
        ConnectorPlugin {
            validate: mirror_source::validate,
            exactly_once_support: |props| {
                Some(match mirror_source::exactly_once_support(props) {
                    mirror_source::ExactlyOnceSupport::Supported => ExactlyOnceSupport::Supported,
                    mirror_source::ExactlyOnceSupport::Unsupported => ExactlyOnceSupport::Unsupported,
                })
            },
            ..ConnectorPlugin::source(
                "org.apache.kafka.connect.mirror.MirrorSourceConnector",
                &mirror_source::CONFIG_DEF,
            )
        },
        ConnectorPlugin {
            validate: mirror_checkpoint::validate,
            ..ConnectorPlugin::source(
                "org.apache.kafka.connect.mirror.MirrorCheckpointConnector",
                &mirror_checkpoint::CONFIG_DEF,
            )
        },
        ConnectorPlugin::source(
            "org.apache.kafka.connect.mirror.MirrorHeartbeatConnector",
            &connect_mirror::heartbeat::config::CONFIG_DEF,
        ),
    ]
}

/// The file connectors of Kafka, which this worker does not have. Golden answers were given with them.
fn files() -> [ConnectorPlugin; 2] {
    let source = ConnectorPlugin {
        // It reads the offset of a file only; a pipe has none.
        exactly_once_support: |props| {
            Some(match props.contains_key("file") {
                true => ExactlyOnceSupport::Supported,
                false => ExactlyOnceSupport::Unsupported,
            })
        },
        ..ConnectorPlugin::source("org.apache.kafka.connect.file.FileStreamSourceConnector", &FILE_SOURCE)
    };
    let sink = ConnectorPlugin {
        kind: PluginType::Sink,
        ..ConnectorPlugin::source("org.apache.kafka.connect.file.FileStreamSinkConnector", &FILE_SINK)
    };
    [source, sink]
}

/// What a worker of Kafka's has, by name: with the transformations and converters that this one leaves out.
pub(crate) fn as_kafka() -> PluginRegistry {
    let ours = PluginRegistry::new(&[], CLIENTS);
    let mut others: Vec<Plugin> = ours.others().collect();
    let steps = parse(include_str!("../testdata/rest-plugins.json"));
    let mut steps = steps.as_array().expect("a list").iter();
    let listed = steps.find(|step| step["id"] == "plugins-all").expect("it is recorded");
    for plugin in listed["body"].as_array().expect("a list") {
        let (kind, config) = match text(&plugin["type"]) {
            "transformation" => (PluginType::Transformation, &NOTHING),
            "predicate" => (PluginType::Predicate, &NOTHING),
            "converter" => (PluginType::Converter, &PLAIN),
            "header_converter" => (PluginType::HeaderConverter, &PLAIN),
            _ => continue,
        };
        let class = text(&plugin["class"]);
        if ours.find(kind, class).is_none() {
            others.push(Plugin {
                class: String::leak(class.to_owned()),
                kind,
                version: crate::KAFKA_VERSION,
                config,
            });
        }
    }
    let connectors = [&mirrors()[..], &files()[..]].concat();
    PluginRegistry::with(&connectors, others.into_iter(), CLIENTS)
}

/// The worker that the goldens were recorded with.
pub(crate) fn context() -> ValidationContext {
    ValidationContext {
        mode: WorkerMode::Distributed {
            group_id: "connect-cluster".to_owned(),
            exactly_once: false,
        },
        override_policy: OverridePolicy::All,
        converters: WorkerConverters {
            key: "org.apache.kafka.connect.json.JsonConverter".to_owned(),
            value: "org.apache.kafka.connect.json.JsonConverter".to_owned(),
            header: "SimpleHeaderConverter".to_owned(),
        },
        transformer: Arc::new(ConfigTransformer::identity()),
    }
}

fn parse(json: &str) -> Value {
    serde_json::from_str(json).expect("valid JSON")
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a string")
}

pub(crate) fn config(json: &Value) -> RawConfig {
    serde_json::from_value(json.clone()).expect("a map of texts and nulls")
}

/// Takes out what is in our own words, which must be there.
fn without_documentation(mut answer: Value) -> Value {
    fn strip(value: &mut Value) {
        match value {
            Value::Array(elements) => elements.iter_mut().for_each(strip),
            Value::Object(fields) => {
                if let Some(documentation) = fields.shift_remove("documentation") {
                    assert!(!text(&documentation).is_empty(), "{fields:?} has no documentation");
                }
                fields.values_mut().for_each(strip);
            }
            _ => {}
        }
    }
    strip(&mut answer);
    answer
}

/// The keys of a converter come in the order of Java's hash table, which nobody promises.
fn with_converter_keys_in_order(mut answer: Value) -> Value {
    let name = |config: &Value| text(&config["value"]["name"]).to_owned();
    let is_converters = |config: &Value| {
        let name = name(config);
        let in_table = CONNECTOR_KEYS.iter().any(|key| key.name == name);
        !in_table
            && ["key.converter.", "value.converter.", "header.converter."]
                .iter()
                .any(|prefix| name.starts_with(prefix))
    };
    if let Some(configs) = answer.get_mut("configs").and_then(Value::as_array_mut) {
        let from = configs.iter().position(is_converters).unwrap_or(configs.len());
        assert!(
            configs[from..].iter().all(is_converters),
            "the converters' keys come last"
        );
        configs[from..].sort_by_key(|config| {
            let name = name(config);
            let place = ["header", "key", "value"]
                .iter()
                .position(|place| name.starts_with(place));
            (place, name)
        });
    }
    if let Some(groups) = answer.get_mut("groups").and_then(Value::as_array_mut) {
        let own = groups
            .iter()
            .position(|group| ["Schemas", "Serialization"].contains(&text(group)));
        groups[own.unwrap_or(0)..].sort_by_key(|group| own.map(|_| group.to_string()));
    }
    answer
}

fn expect_same(name: &str, ours: &impl serde::Serialize, kafkas: &Value) {
    let normal = |answer| with_converter_keys_in_order(without_documentation(answer));
    let ours = normal(serde_json::to_value(ours).expect("it can be shown"));
    let kafkas = normal(kafkas.clone());
    if let (Some(ours), Some(kafkas)) = (ours["configs"].as_array(), kafkas["configs"].as_array()) {
        for (ours, kafkas) in ours.iter().zip(kafkas) {
            assert_eq!(ours, kafkas, "{name}");
        }
    }
    // Texts, because the order of fields matters.
    assert_eq!(ours.to_string(), kafkas.to_string(), "{name}");
}

#[test]
fn configurations_are_judged_as_by_kafka() {
    let plugins = as_kafka();
    let golden = parse(include_str!("../testdata/golden-validate.json"));
    let cases = golden.as_array().expect("a list");
    assert_eq!(cases.len(), 9);
    for case in cases {
        let result = plugins.validate_connector(&config(&case["request"]), &context());
        let name = format!("{} {}", case["case"], case["request"]);
        match (result, case.get("response"), case.get("message"), case.get("errors")) {
            (Ok(infos), Some(expected), ..) => expect_same(&name, &infos, expected),
            (Err(PluginError::BadRequest(message)), _, Some(expected), _) => {
                assert_eq!(message, text(expected), "{name}")
            }
            (Ok(infos), .., Some(expected)) => {
                let values = infos.configs.iter().filter_map(|config| config.value.as_ref());
                let wrong = values.filter(|value| !value.errors.is_empty());
                let errors: Vec<Value> = wrong.map(|value| json!({ value.name.clone(): value.errors })).collect();
                assert_eq!(&json!(errors), expected, "{name}");
                assert_eq!(json!(infos.error_count), case["error_count"], "{name}");
            }
            (other, ..) => panic!("{name}: {other:?}"),
        }
    }
}

/// Keys that have their default and nothing else to say are left out of the recording.
fn is_plain(config: &ConfigInfo) -> bool {
    let (Some(key), Some(value)) = (&config.definition, &config.value) else {
        return false;
    };
    let is_of_its_own = |name: &str| {
        let of_converter = ["key", "value", "header"].map(|place| format!("{place}.converter.converter"));
        name.contains("override")
            || name.starts_with("transforms.")
            || name.starts_with("predicates.")
            || of_converter.iter().any(|prefix| name.starts_with(prefix))
    };
    value.errors.is_empty() && value.visible && value.value == key.default_value && !is_of_its_own(&key.name)
}

fn brief(config: &ConfigInfo) -> Value {
    let name = config.value.as_ref().map(|value| &value.name);
    let name = name.or(config.definition.as_ref().map(|key| &key.name));
    let mut brief = json!({ "name": name, "defined": config.definition.is_some() });
    if let Some(key) = &config.definition {
        brief["default"] = json!(key.default_value);
        brief["group"] = json!(key.group);
        brief["order"] = json!(key.order_in_group);
    }
    if let Some(value) = &config.value {
        brief["value"] = json!(value.value);
        brief["errors"] = json!(value.errors);
        brief["visible"] = json!(value.visible);
        brief["recommended"] = json!(value.recommended_values.len());
    }
    brief
}

/// Overrides come in the order of Java's hash table.
fn in_order(mut configs: Vec<Value>) -> Vec<Value> {
    let client = |config: &Value| {
        text(&config["name"])
            .split_once(".override.")
            .map(|(client, _)| client.to_owned())
    };
    configs
        .chunk_by_mut(|a, b| client(a).is_some() && client(a) == client(b))
        .for_each(|overrides| {
            overrides.sort_by_key(|config| text(&config["name"]).to_owned());
        });
    configs
        .chunk_by_mut(|a, b| a["defined"] == false && b["defined"] == false)
        .for_each(|unknown| {
            unknown.sort_by_key(|config| text(&config["name"]).to_owned());
        });
    configs
}

struct Environment;

impl ConfigProvider for Environment {
    fn get(&self, _path: &str, key: &str) -> Result<Option<String>, ProviderError> {
        Ok(match key {
            "VJ_TWO" => Some("2".to_owned()),
            "VJ_TEXT" => Some("resolved".to_owned()),
            _ => None,
        })
    }
}

#[test]
fn odd_configurations_are_judged_as_by_kafka() {
    let plugins = as_kafka();
    let golden = parse(include_str!("../testdata/golden-herder.json"));
    let mut worker = Props::from([("group.id", "connect-cluster")].map(|(key, value)| (key.into(), value.into())));
    for key in ["key.converter", "value.converter"] {
        worker.insert(key.to_owned(), "org.apache.kafka.connect.json.JsonConverter".to_owned());
    }
    for case in golden.as_array().expect("a list") {
        let name = text(&case["case"]);
        let mut worker = worker.clone();
        for (key, value) in case["worker"].as_object().into_iter().flatten() {
            worker.insert(key.clone(), text(value).to_owned());
        }
        let transformer = ConfigTransformer::identity().with_provider("env", Environment);
        let context = ValidationContext::distributed(&worker, Arc::new(transformer)).expect("good settings");
        let infos = match plugins.validate_connector(&config(&case["config"]), &context) {
            Ok(infos) => infos,
            Err(error) => {
                // Kafka shows what variables stand for.
                let message = text(&case["message"]).replace("name=resolved", "name=${env:VJ_TEXT}");
                assert_eq!(error.to_string(), message, "{name}");
                let kind = match error {
                    PluginError::BadRequest(_) => "BadRequestException",
                    _ => "ConfigException",
                };
                assert_eq!(case["exception"], kind, "{name}");
                continue;
            }
        };
        let notable = infos.configs.iter().filter(|config| !is_plain(config));
        let ours = in_order(notable.map(brief).collect());
        let kafkas = in_order(case["configs"].as_array().expect("a list").clone());
        for (ours, kafkas) in ours.iter().zip(&kafkas) {
            assert_eq!(ours, kafkas, "{name}");
        }
        assert_eq!(ours.len(), kafkas.len(), "{name}");
        assert_eq!(json!(infos.groups), case["groups"], "{name}");
        assert_eq!(json!(infos.error_count), case["error_count"], "{name}");
    }
}

#[test]
fn requests_about_plug_ins_are_answered_as_by_kafka() {
    let plugins = as_kafka();
    for step in parse(include_str!("../testdata/rest-plugins.json"))
        .as_array()
        .expect("a list")
    {
        let id = text(&step["id"]);
        let path: Vec<&str> = text(&step["path"]).trim_start_matches('/').split('/').collect();
        let answer = match (text(&step["method"]), path.as_slice()) {
            ("GET", [_, plugin, "config"]) => to_json(plugins.config_keys(plugin, None)),
            ("GET", [list]) => to_json(Ok(plugins.plugins(!list.ends_with("connectorsOnly=false")))),
            ("PUT", [_, plugin, ..]) => {
                to_json(plugins.validate_request(plugin, &config(&step["request"]), &context()))
            }
            ("POST", _) => {
                let mut wanted = config(&step["request"]["config"]);
                wanted.insert("name".to_owned(), step["request"]["name"].as_str().map(str::to_owned));
                to_json(plugins.validate_for_create(&wanted, &context()))
            }
            other => panic!("{other:?}"),
        };
        match answer {
            Ok(answer) => {
                assert_eq!(step["status"], 200, "{id}");
                expect_same(id, &answer, &step["body"]);
            }
            Err(error) => {
                // Kafka wraps this one, so that the fault of the request becomes one of the server.
                let wrapper = "org.apache.kafka.connect.runtime.rest.errors.BadRequestException: ";
                let kafkas = text(&step["body"]["message"]);
                assert_eq!(
                    error.to_string(),
                    kafkas.strip_prefix(wrapper).unwrap_or(kafkas),
                    "{id}"
                );
                let expected = match (&error, kafkas.starts_with(wrapper)) {
                    (PluginError::BadRequest(_), true) | (PluginError::Internal(_), _) => 500,
                    (PluginError::BadRequest(_), false) => 400,
                    (PluginError::NotFound(_), _) => 404,
                };
                assert_eq!(step["status"], expected, "{id}");
            }
        }
    }
}

fn to_json(answer: Result<impl serde::Serialize, PluginError>) -> Result<Value, PluginError> {
    answer.map(|answer| serde_json::to_value(answer).expect("it can be shown"))
}

fn as_recorded(index: usize, key: &ConfigKey) -> Value {
    json!({
        "index": index,
        "name": key.name,
        "type": key.kind.name(),
        "required": key.is_required(),
        "default": match key.default {
            DefaultValue::Text(text) => Some(text),
            DefaultValue::Null | DefaultValue::Required => None,
        },
        "importance": key.importance.name(),
        "width": key.width.name(),
        "group": key.group,
        "order": key.order,
        "display_name": key.display(),
        "dependents": key.dependents,
        "validator": key.validator.text(),
        "has_recommender": key.recommender.is_some(),
        "internal": false,
    })
}

fn expect_same_table(name: &str, table: &ConfigDef, recorded: &Value) {
    assert_eq!(table.faults(), Vec::<String>::new(), "{name}");
    let ours: Vec<Value> = table
        .keys()
        .enumerate()
        .map(|(index, key)| as_recorded(index, key))
        .collect();
    let recorded = recorded.as_array().expect("a list");
    for (ours, recorded) in ours.iter().zip(recorded) {
        let mut recorded = recorded.clone();
        if recorded["validator"]
            .as_str()
            .is_some_and(|text| text.starts_with("(no text"))
        {
            recorded["validator"] = Value::Null;
        }
        assert_eq!(*ours, recorded, "{name}");
    }
    assert_eq!(ours.len(), recorded.len(), "{name}");
}

#[test]
fn the_keys_of_every_sink_are_those_of_kafka() {
    static TABLE: ConfigDef = ConfigDef::new(&[CONNECTOR_KEYS, SINK_CONNECTOR_KEYS]);
    expect_same_table(
        "sink",
        &TABLE,
        &parse(include_str!("../testdata/config-sink-connector.json")),
    );
    static COMMON: ConfigDef = ConfigDef::new(&[CONNECTOR_KEYS]);
    let recorded = parse(include_str!("../testdata/config-connector-common.json"));
    expect_same_table("common", &COMMON, &recorded);
}

#[test]
fn the_keys_of_converters_are_those_of_kafka() {
    let recorded = parse(include_str!("../testdata/converters.json"));
    for converter in converters::CONVERTERS {
        let recorded = &recorded[converter.class];
        expect_same_table(converter.class, converter.config, &recorded["config"]);
        let kinds = recorded["kinds"].as_array().expect("kinds");
        assert!(
            kinds.iter().any(|kind| kind == converter.kind.name()),
            "{}",
            converter.class
        );
    }
}

#[test]
fn the_keys_of_connectors_are_those_of_kafka() {
    let recorded = parse(include_str!("../testdata/bundled-connectors.json"));
    for connector in mirrors().into_iter().chain(files()) {
        let recorded = &recorded[connector.class];
        expect_same_table(connector.class, connector.config, &recorded["config"]);
        assert_eq!(text(&recorded["version"]), connector.version);
        assert_eq!(text(&recorded["type"]), connector.kind.name());
    }
}

#[test]
fn a_worker_says_what_it_is_in_its_properties() {
    let worker: Props = [
        ("group.id", "g"),
        ("exactly.once.source.support", "ENABLED"),
        ("key.converter", "ByteArrayConverter"),
        ("value.converter", " ByteArrayConverter "),
        ("connector.client.config.override.policy", "None"),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into();
    let context = ValidationContext::distributed(&worker, Arc::default()).expect("good settings");
    assert!(context.exactly_once());
    assert_eq!(context.override_policy, OverridePolicy::None);
    assert_eq!(context.converters.value, "ByteArrayConverter");
}
