//! The keys that every connector has (`ConnectorConfig`), and those of every source connector (`SourceConnectorConfig`).

use config_def::{ConfigError, ConfigKey, Importance, Recommender, Type, Validator, Value, Width, key};

use crate::VersionRange;

/// The converters that a mirror needs: full class names, and the aliases that Connect knows them by.
pub const CONVERTER_CLASSES: &[&str] = &[
    "org.apache.kafka.connect.converters.ByteArrayConverter",
    "ByteArrayConverter",
    "ByteArray",
    "org.apache.kafka.connect.storage.StringConverter",
    "StringConverter",
    "String",
    "org.apache.kafka.connect.json.JsonConverter",
    "JsonConverter",
    "Json",
];

/// The same for headers.
pub const HEADER_CONVERTER_CLASSES: &[&str] = &[
    "org.apache.kafka.connect.converters.ByteArrayConverter",
    "ByteArrayConverter",
    "ByteArray",
    "org.apache.kafka.connect.storage.StringConverter",
    "StringConverter",
    "String",
    "org.apache.kafka.connect.json.JsonConverter",
    "JsonConverter",
    "Json",
    "org.apache.kafka.connect.storage.SimpleHeaderConverter",
    "SimpleHeaderConverter",
    "Simple",
];

const CONVERTER_CLASS: Validator = Validator::Rule {
    text: Some(
        "A concrete subclass of org.apache.kafka.connect.storage.Converter, \
         A class with a public, no-argument constructor",
    ),
    check: |_| Ok(()),
};

const HEADER_CONVERTER_CLASS: Validator = Validator::Rule {
    text: Some(
        "A concrete subclass of org.apache.kafka.connect.storage.HeaderConverter, \
         A class with a public, no-argument constructor",
    ),
    check: |_| Ok(()),
};

/// The recommended values of a key with a converter's class.
pub const CONVERTERS: Recommender = Recommender::Catalogue("converters");

/// The same for headers.
pub const HEADER_CONVERTERS: Recommender = Recommender::Catalogue("header converters");

/// A version or a range of versions.
const PLUGIN_VERSION: Validator = Validator::Custom {
    text: None,
    check: |name, value| match value {
        Value::String(version) => VersionRange::parse(Some(version))
            .map(drop)
            .map_err(|why| ConfigError::new(name, why)),
        _ => Ok(()),
    },
};

/// Not negative, if it is set.
const INTERVAL: Validator = Validator::Custom {
    text: Some("[0,...]"),
    check: |name, value| match value {
        Value::Null => Ok(()),
        set => Validator::AtLeast(0).check(name, set),
    },
};

/// Keys of every connector, in the order in which REST shows them.
pub static CONNECTOR_KEYS: &[ConfigKey] = &[
    key("name", Type::String)
        .validator(Validator::NonEmptyStringWithoutControlChars)
        .importance(Importance::High)
        .group("Common", 1)
        .width(Width::Medium)
        .display_name("Connector name")
        .doc("The connector's name, unique in the Connect cluster."),
    key("connector.class", Type::String)
        .importance(Importance::High)
        .group("Common", 2)
        .width(Width::Long)
        .display_name("Connector class")
        .doc("The class of the connector: its full name or an alias."),
    key("connector.plugin.version", Type::String)
        .default_null()
        .validator(PLUGIN_VERSION)
        .recommender(Recommender::VersionsOf("connector.class"))
        .importance(Importance::Medium)
        .group("Common", 3)
        .width(Width::Medium)
        .display_name("Connector version")
        .doc("The version of the connector to run."),
    key("tasks.max", Type::Int)
        .default("1")
        .validator(Validator::AtLeast(1))
        .importance(Importance::High)
        .group("Common", 4)
        .width(Width::Short)
        .display_name("Tasks max")
        .doc("At most so many tasks share the connector's work."),
    key("tasks.max.enforce", Type::Boolean)
        .default("true")
        .group("Common", 5)
        .width(Width::Short)
        .display_name("Enforce tasks max")
        .doc("Whether more tasks than tasks.max are an error; deprecated."),
    key("key.converter", Type::Class)
        .default_null()
        .validator(CONVERTER_CLASS)
        .classes(CONVERTER_CLASSES)
        .recommender(CONVERTERS)
        .group("Common", 6)
        .width(Width::Short)
        .display_name("Key converter class")
        .doc("How record keys are turned into bytes."),
    key("key.converter.plugin.version", Type::String)
        .default_null()
        .validator(PLUGIN_VERSION)
        .recommender(Recommender::VersionsOf("key.converter"))
        .group("Common", 7)
        .width(Width::Short)
        .display_name("Key converter version")
        .doc("The version of the key converter to load."),
    key("value.converter", Type::Class)
        .default_null()
        .validator(CONVERTER_CLASS)
        .classes(CONVERTER_CLASSES)
        .recommender(CONVERTERS)
        .group("Common", 8)
        .width(Width::Short)
        .display_name("Value converter class")
        .doc("How record values are turned into bytes."),
    key("value.converter.plugin.version", Type::String)
        .default_null()
        .validator(PLUGIN_VERSION)
        .recommender(Recommender::VersionsOf("value.converter"))
        .group("Common", 9)
        .width(Width::Short)
        .display_name("Value converter version")
        .doc("The version of the value converter to load."),
    key("header.converter", Type::Class)
        .default_null()
        .validator(HEADER_CONVERTER_CLASS)
        .classes(HEADER_CONVERTER_CLASSES)
        .recommender(HEADER_CONVERTERS)
        .group("Common", 10)
        .width(Width::Short)
        .display_name("Header converter class")
        .doc("How header values are turned into bytes."),
    key("header.converter.plugin.version", Type::String)
        .default_null()
        .validator(PLUGIN_VERSION)
        .recommender(Recommender::VersionsOf("header.converter"))
        .group("Common", 11)
        .width(Width::Short)
        .display_name("Header converter version")
        .doc("The version of the header converter to load."),
    key("transforms", Type::List)
        .default("")
        .validator(Validator::UniqueAliases {
            what: "transformation aliases",
        })
        .group("Transforms", 12)
        .width(Width::Long)
        .display_name("Transforms")
        .doc("Aliases of the transformations applied to each record."),
    key("predicates", Type::List)
        .default("")
        .validator(Validator::UniqueAliases {
            what: "predicate aliases",
        })
        .group("Predicates", 13)
        .width(Width::Long)
        .display_name("Predicates")
        .doc("Aliases of the predicates that transformations may use."),
    key("config.action.reload", Type::String)
        .default("restart")
        .validator(Validator::OneOf(&["none", "restart"]))
        .group("Common", 14)
        .width(Width::Medium)
        .display_name("Reload Action")
        .doc("Whether the connector is restarted when an external secret changes."),
    key("errors.retry.timeout", Type::Long)
        .default("0")
        .importance(Importance::Medium)
        .group("Error Handling", 1)
        .width(Width::Medium)
        .display_name("Retry Timeout for Errors")
        .doc("How long a failing conversion is tried again; 0: not at all, -1: for ever."),
    key("errors.retry.delay.max.ms", Type::Long)
        .default("60000")
        .importance(Importance::Medium)
        .group("Error Handling", 2)
        .width(Width::Medium)
        .display_name("Maximum Delay Between Retries for Errors")
        .doc("The longest pause between two such tries."),
    key("errors.tolerance", Type::String)
        .default("none")
        .validator(Validator::OneOf(&["none", "all"]))
        .importance(Importance::Medium)
        .group("Error Handling", 3)
        .width(Width::Short)
        .display_name("Error Tolerance")
        .doc("Whether records that cannot be handled fail the task (none) or are skipped (all)."),
    key("errors.log.enable", Type::Boolean)
        .default("false")
        .importance(Importance::Medium)
        .group("Error Handling", 4)
        .width(Width::Short)
        .display_name("Log Errors")
        .doc("Whether such records are logged even if they are skipped."),
    key("errors.log.include.messages", Type::Boolean)
        .default("false")
        .importance(Importance::Medium)
        .group("Error Handling", 5)
        .width(Width::Short)
        .display_name("Log Error Details")
        .doc("Whether the log shows what such records hold."),
];

/// Further keys of every source connector.
pub static SOURCE_CONNECTOR_KEYS: &[ConfigKey] = &[
    key("topic.creation.groups", Type::List)
        .default("")
        .validator(Validator::UniqueAliases {
            what: "topic creation groups",
        })
        .group("Topic Creation", 1)
        .width(Width::Long)
        .display_name("Topic Creation Groups")
        .doc("Names of groups of topics with settings of their own for creating them."),
    key("exactly.once.support", Type::String)
        .default("requested")
        .validator(Validator::OneOfIgnoringCase(&["REQUIRED", "REQUESTED"]))
        .importance(Importance::Medium)
        .group("Exactly Once Support", 2)
        .width(Width::Short)
        .display_name("Exactly once support")
        .doc("Whether exactly-once delivery is required or only requested."),
    key("transaction.boundary", Type::String)
        .default("poll")
        .validator(Validator::OneOfIgnoringCase(&["INTERVAL", "POLL", "CONNECTOR"]))
        .importance(Importance::Medium)
        .group("Exactly Once Support", 3)
        .width(Width::Short)
        .display_name("Transaction Boundary")
        .doc("When transactions end: with every poll, after an interval, or as the connector says."),
    key("transaction.boundary.interval.ms", Type::Long)
        .default_null()
        .validator(INTERVAL)
        .group("Exactly Once Support", 4)
        .width(Width::Short)
        .display_name("Transaction boundary interval")
        .doc("The interval, if transactions end after one; unset: offset.flush.interval.ms."),
    key("offsets.storage.topic", Type::String)
        .default_null()
        .validator(Validator::NonEmptyString)
        .group("offsets.topic", 1)
        .width(Width::Long)
        .display_name("Offsets topic")
        .doc("A topic of the connector's own for its offsets."),
];

#[cfg(test)]
mod tests {
    use config_def::{ConfigDef, DefaultValue};

    use super::*;

    static DEF: ConfigDef = ConfigDef::new(&[CONNECTOR_KEYS, SOURCE_CONNECTOR_KEYS]);

    #[test]
    fn a_version_may_be_a_range() {
        let errors = |version: &str| {
            let props = [("connector.plugin.version".to_owned(), version.to_owned())].into();
            let validated = DEF.validate(&props);
            let value = validated
                .iter()
                .find(|value| value.key.name == "connector.plugin.version");
            value.expect("in the table").errors.clone()
        };
        assert_eq!(errors("[4.0,5.0)"), Vec::<String>::new());
        assert_eq!(errors("[1"), ["Unbounded range: [1"]);
    }

    #[test]
    fn the_table_is_sound() {
        assert_eq!(DEF.faults(), Vec::<String>::new());
    }

    #[test]
    fn the_table_is_that_of_kafka_4_3_1() {
        let recorded: Vec<serde_json::Value> =
            serde_json::from_str(include_str!("../testdata/config-source-connector.json")).expect("valid JSON");
        let ours: Vec<serde_json::Value> = DEF
            .keys()
            .enumerate()
            .map(|(index, key)| as_recorded(index, key))
            .collect();
        for (ours, recorded) in ours.iter().zip(&recorded) {
            let mut recorded = recorded.clone();
            let fields = recorded.as_object_mut().expect("a key is an object");
            if fields["validator"]
                .as_str()
                .is_some_and(|text| text.starts_with("(no text"))
            {
                fields["validator"] = serde_json::Value::Null;
            }
            assert_eq!(*ours, recorded);
        }
        assert_eq!(ours.len(), recorded.len());
    }

    fn as_recorded(index: usize, key: &ConfigKey) -> serde_json::Value {
        serde_json::json!({
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
}
