//! Kafka 4.3.1's own tables of keys and answers to validation, for the tests of ours.

use std::collections::BTreeMap;

use config_def::{ConfigDef, ConfigError, ConfigKey, DefaultValue, Props, Type, Validator, security};
use connect_api::connector_config::CONNECTOR_KEYS;
use serde_json::{Value, json};

use crate::{config_property_filter, connector_config::BASE_KEYS, group_filter, topic_filter};

/// Compares `def` with a recorded table, key by key; the recording has them in the order of their names.
pub(crate) fn expect_same_table(def: &ConfigDef, recorded: &str, section: &str) {
    assert_eq!(def.faults(), Vec::<String>::new());
    let recorded: Value = serde_json::from_str(recorded).expect("valid JSON");
    let recorded = recorded[section].as_array().expect("a list of keys");
    let ours: BTreeMap<&str, &ConfigKey> = def.keys().map(|key| (key.name, key)).collect();
    let names: Vec<&str> = recorded
        .iter()
        .map(|key| key["name"].as_str().expect("a name"))
        .collect();
    assert_eq!(ours.keys().copied().collect::<Vec<_>>(), names);
    for theirs in recorded {
        let key = ours[theirs["name"].as_str().expect("a name")];
        let mut theirs = theirs.clone();
        let fields = theirs.as_object_mut().expect("a key is an object");
        fields.remove("inherited");
        if fields["validator"]
            .as_str()
            .is_some_and(|text| text.ends_with("$PluginVersionValidator"))
        {
            fields["validator"] = Value::Null;
        }
        assert_eq!(as_recorded(key), theirs);
    }
}

fn as_recorded(key: &ConfigKey) -> Value {
    json!({
        "name": key.name,
        "type": key.kind.name(),
        "default": default(key),
        "required": key.is_required(),
        "importance": key.importance.name(),
        "width": key.width.name(),
        "order": key.order,
        "group": key.group,
        "displayName": key.display(),
        "dependents": key.dependents,
        "validator": validator(&key.validator),
        "internal": false,
    })
}

fn default(key: &ConfigKey) -> Value {
    let text = match key.default {
        DefaultValue::Required => return json!({"noDefault": true}),
        DefaultValue::Null => return Value::Null,
        DefaultValue::Text(text) => text,
    };
    match key.kind {
        Type::List => json!(config_def::list_elements(text)),
        Type::Boolean | Type::Int | Type::Long | Type::Short | Type::Double => {
            serde_json::from_str(text).expect("numbers are written as in JSON")
        }
        _ => json!(text),
    }
}

/// The recording describes lists itself: Kafka prints nothing for most.
fn validator(validator: &Validator) -> Option<String> {
    let Validator::List {
        of,
        empty_allowed,
        null_allowed,
    } = validator
    else {
        return validator.text();
    };
    let values = if of.is_empty() {
        "any".to_owned()
    } else {
        format!("[{}]", of.join(", "))
    };
    Some(format!(
        "ValidList(values={values}, emptyAllowed={empty_allowed}, nullAllowed={null_allowed}, \
         duplicates removed with a warning, empty elements rejected)"
    ))
}

/// The recorded validations of one connector: its properties, and the vector.
pub(crate) fn vectors(connector: &str) -> Vec<(Props, Value)> {
    let golden: Value = serde_json::from_str(include_str!("../testdata/golden-decisions.json")).expect("valid JSON");
    let vectors = golden["validate"].as_array().expect("a list").iter();
    let vectors: Vec<_> = vectors.filter(|vector| vector["connector"] == connector).collect();
    assert!(vectors.len() >= 4, "{connector}");
    let with_props = |vector: &Value| {
        let base = [("name", "c"), ("connector.class", "c"), ("source.cluster.alias", "A")];
        let mut props: Props = base.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        props.extend(serde_json::from_value::<Props>(vector["changed"].clone()).expect("a map of texts"));
        (props, vector.clone())
    };
    vectors.into_iter().map(with_props).collect()
}

/// Errors per key, of the table and of the connector itself.
pub(crate) fn validated(def: &ConfigDef, own: fn(&Props) -> Vec<ConfigError>, props: &Props) -> Value {
    let mut errors: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for value in def.validate(props) {
        if !value.errors.is_empty() {
            errors.insert(value.key.name.to_owned(), value.errors);
        }
    }
    for error in own(props) {
        errors.entry(error.name).or_default().push(error.message);
    }
    json!(errors)
}

/// What the three connectors share, by itself.
#[test]
fn the_base_of_all_connectors_is_kafkas() {
    static BASE: ConfigDef = ConfigDef::new(&[CONNECTOR_KEYS, BASE_KEYS, security::SSL, security::SASL]);
    expect_same_table(&BASE, include_str!("../testdata/config-connector-base.json"), "keys");
}

#[test]
fn the_filters_keys_are_kafkas() {
    let recorded = include_str!("../testdata/config-filters.json");
    for (filter, def) in [
        ("DefaultTopicFilter", &topic_filter::CONFIG_DEF),
        ("DefaultGroupFilter", &group_filter::CONFIG_DEF),
        ("DefaultConfigPropertyFilter", &config_property_filter::CONFIG_DEF),
    ] {
        expect_same_table(def, recorded, &format!("org.apache.kafka.connect.mirror.{filter}"));
    }
}
