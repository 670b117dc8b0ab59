//! The transformations and predicates that there are: class, kind and table of keys.

use config_def::{ConfigDef, ConfigKey, Importance, Type, key};

use crate::{predicates, transforms};

/// Whether a plug-in changes records or is asked about them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Changes records.
    Transformation,
    /// Says whether a transformation is applied.
    Predicate,
}

/// One transformation or predicate.
#[derive(Clone, Copy, Debug)]
pub struct Plugin {
    /// The Java class.
    pub class: &'static str,
    /// What it is.
    pub kind: Kind,
    /// Its own keys.
    pub config: &'static ConfigDef,
}

/// Everything that works on records of bytes.
pub static PLUGINS: &[Plugin] = &[
    transformation(transforms::drop_headers::CLASS, &transforms::drop_headers::CONFIG_DEF),
    transformation(transforms::filter::CLASS, &transforms::filter::CONFIG_DEF),
    transformation(transforms::insert_header::CLASS, &transforms::insert_header::CONFIG_DEF),
    transformation(transforms::regex_router::CLASS, &transforms::regex_router::CONFIG_DEF),
    transformation(
        transforms::set_schema_metadata::KEY_CLASS,
        &transforms::set_schema_metadata::CONFIG_DEF,
    ),
    transformation(
        transforms::set_schema_metadata::VALUE_CLASS,
        &transforms::set_schema_metadata::CONFIG_DEF,
    ),
    transformation(
        transforms::timestamp_router::CLASS,
        &transforms::timestamp_router::CONFIG_DEF,
    ),
    predicate(
        predicates::has_header_key::CLASS,
        &predicates::has_header_key::CONFIG_DEF,
    ),
    predicate(
        predicates::record_is_tombstone::CLASS,
        &predicates::record_is_tombstone::CONFIG_DEF,
    ),
    predicate(
        predicates::topic_name_matches::CLASS,
        &predicates::topic_name_matches::CONFIG_DEF,
    ),
];

/// Keys that every transformation has beside its own.
pub static TRANSFORMATION_KEYS: &[ConfigKey] = &[
    key("predicate", Type::String)
        .default_null()
        .importance(Importance::Medium)
        .doc("The alias of a predicate that decides whether the transformation is applied to a record."),
    key("negate", Type::Boolean)
        .default("false")
        .importance(Importance::Medium)
        .doc("Whether the transformation is applied where the predicate says no."),
];

/// Transformations of Kafka that need records with fields. They are refused with that reason, but a worker's list of
/// classes names them, as clients know it.
pub static STRUCTURED: &[&str] = &[
    "org.apache.kafka.connect.transforms.Cast$Key",
    "org.apache.kafka.connect.transforms.Cast$Value",
    "org.apache.kafka.connect.transforms.ExtractField$Key",
    "org.apache.kafka.connect.transforms.ExtractField$Value",
    "org.apache.kafka.connect.transforms.Flatten$Key",
    "org.apache.kafka.connect.transforms.Flatten$Value",
    "org.apache.kafka.connect.transforms.HeaderFrom$Key",
    "org.apache.kafka.connect.transforms.HeaderFrom$Value",
    "org.apache.kafka.connect.transforms.HoistField$Key",
    "org.apache.kafka.connect.transforms.HoistField$Value",
    "org.apache.kafka.connect.transforms.InsertField$Key",
    "org.apache.kafka.connect.transforms.InsertField$Value",
    "org.apache.kafka.connect.transforms.MaskField$Key",
    "org.apache.kafka.connect.transforms.MaskField$Value",
    "org.apache.kafka.connect.transforms.ReplaceField$Key",
    "org.apache.kafka.connect.transforms.ReplaceField$Value",
    "org.apache.kafka.connect.transforms.TimestampConverter$Key",
    "org.apache.kafka.connect.transforms.TimestampConverter$Value",
    "org.apache.kafka.connect.transforms.ValueToKey",
];

/// A class that cannot be used, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownPlugin {
    /// Kafka has it, but it works on structs and maps.
    #[error("{class} works on records with fields, and this worker carries records as bytes; there are {}", names(*kind))]
    Structured {
        /// As it was asked for.
        class: String,
        /// What it is.
        kind: Kind,
    },
    /// Nothing of Kafka's.
    #[error("Class {class} could not be found. There are {}", names(*kind))]
    NotFound {
        /// As it was asked for.
        class: String,
        /// What was looked for.
        kind: Kind,
    },
}

/// The plug-in of a class, by its full or its simple name.
pub fn plugin(kind: Kind, class: &str) -> Result<&'static Plugin, UnknownPlugin> {
    let class = class.trim();
    let found = PLUGINS
        .iter()
        .find(|plugin| plugin.kind == kind && (plugin.class == class || simple_name(plugin.class) == class));
    if let Some(found) = found {
        return Ok(found);
    }
    let is_structured = STRUCTURED
        .iter()
        .any(|structured| outer_name(structured) == outer_name(class));
    let class = class.to_owned();
    if kind == Kind::Transformation && is_structured {
        return Err(UnknownPlugin::Structured { class, kind });
    }
    Err(UnknownPlugin::NotFound { class, kind })
}

const fn transformation(class: &'static str, config: &'static ConfigDef) -> Plugin {
    Plugin {
        class,
        kind: Kind::Transformation,
        config,
    }
}

const fn predicate(class: &'static str, config: &'static ConfigDef) -> Plugin {
    Plugin {
        class,
        kind: Kind::Predicate,
        config,
    }
}

fn simple_name(class: &str) -> &str {
    class.rsplit('.').next().unwrap_or(class)
}

/// `Cast` of `org.apache.kafka.connect.transforms.Cast$Key`.
fn outer_name(class: &str) -> &str {
    let simple = simple_name(class);
    simple.split_once('$').map_or(simple, |(outer, _)| outer)
}

fn names(kind: Kind) -> String {
    let of_kind = PLUGINS.iter().filter(|plugin| plugin.kind == kind);
    let names: Vec<&str> = of_kind.map(|plugin| simple_name(plugin.class)).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use config_def::DefaultValue;
    use serde_json::Value;

    use super::*;

    #[test]
    fn the_tables_are_sound() {
        for plugin in PLUGINS {
            assert_eq!(plugin.config.faults(), Vec::<String>::new(), "{}", plugin.class);
        }
        static IMPLICIT: ConfigDef = ConfigDef::new(&[TRANSFORMATION_KEYS]);
        assert_eq!(IMPLICIT.faults(), Vec::<String>::new());
    }

    #[test]
    fn the_tables_are_those_of_kafka_4_3_1() {
        let recorded: Value = serde_json::from_str(include_str!("../testdata/transforms.json")).expect("JSON");
        let mut expected = BTreeMap::new();
        for kind in ["transformations", "predicates"] {
            for plugin in recorded[kind].as_object().expect("a map").values() {
                for class in plugin["classes"].as_array().expect("classes") {
                    expected.insert(class.as_str().expect("a name").to_owned(), plugin["config"].clone());
                }
            }
        }
        let ours: BTreeMap<String, Value> = PLUGINS
            .iter()
            .map(|plugin| {
                let keys = plugin.config.keys().enumerate();
                let keys = keys.map(|(index, key)| as_recorded(index, key)).collect();
                (plugin.class.to_owned(), keys)
            })
            .collect();
        assert_eq!(ours, expected);
    }

    fn as_recorded(index: usize, key: &ConfigKey) -> Value {
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
            "has_recommender": false,
            "internal": false,
        })
    }

    #[test]
    fn a_class_is_found_by_its_name_or_refused_with_a_reason() {
        let check = |kind, class: &str, expected: &str| {
            let told = plugin(kind, class).map_or_else(|error| error.to_string(), |found| found.class.to_owned());
            assert!(told.starts_with(expected), "{class}: {told}");
        };
        let router = "org.apache.kafka.connect.transforms.RegexRouter";
        check(Kind::Transformation, router, router);
        check(Kind::Transformation, " RegexRouter ", router);
        check(
            Kind::Predicate,
            "RegexRouter",
            "Class RegexRouter could not be found. There are HasHeaderKey,",
        );
        check(
            Kind::Transformation,
            "org.apache.kafka.connect.transforms.Cast$Value",
            "org.apache.kafka.connect.transforms.Cast$Value works on records with fields",
        );
        check(
            Kind::Transformation,
            "com.example.Mine",
            "Class com.example.Mine could not be found. There are DropHeaders, Filter,",
        );
    }
}
