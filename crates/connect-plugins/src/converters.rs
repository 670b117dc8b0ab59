//! The converters that a configuration may name, and the judgement of a connector's own ones.
//!
//! Records of a mirror are bytes on both sides, and that is all this worker does: `ByteArrayConverter`. `StringConverter`,
//! `JsonConverter` and `SimpleHeaderConverter` are names only. Workers are commonly configured with them, so their names
//! and keys are known and judged, but records stay the bytes they were.

use config_def::{ConfigDef, ConfigKey, Importance, Type, Validator, Width, key};
use connect_api::VersionRange;

use crate::{
    ConfigInfo, ConfigInfos, KAFKA_VERSION, PluginRegistry, PluginType, RawConfig,
    definition::{Definition, groups, own_definitions, validate_all},
    registry::Plugin,
    validated::{Validated, Validations},
};

const CONVERTER_TYPE: ConfigKey = key("converter.type", Type::String)
    .validator(Validator::OneOf(&["key", "value", "header"]))
    .doc("What the converter is used for: key, value or header.");

static PLAIN_KEYS: ConfigDef = ConfigDef::new(&[&[CONVERTER_TYPE]]);

static NO_KEYS: ConfigDef = ConfigDef::new(&[]);

static STRING_KEYS: ConfigDef = ConfigDef::new(&[&[
    CONVERTER_TYPE,
    key("converter.encoding", Type::String)
        .default("UTF-8")
        .importance(Importance::High)
        .width(Width::Medium)
        .display_name("Encoding")
        .doc("The character set of the bytes."),
]]);

static JSON_KEYS: ConfigDef = ConfigDef::new(&[&[
    CONVERTER_TYPE,
    key("schemas.enable", Type::Boolean)
        .default("true")
        .importance(Importance::High)
        .group("Schemas", 0)
        .width(Width::Medium)
        .display_name("Enable Schemas")
        .doc("Whether every document carries its schema."),
    key("schemas.cache.size", Type::Int)
        .default("1000")
        .importance(Importance::High)
        .group("Schemas", 1)
        .width(Width::Medium)
        .display_name("Schema Cache Size")
        .doc("How many schemas are kept ready."),
    key("schema.content", Type::String)
        .default_null()
        .importance(Importance::High)
        .group("Schemas", 2)
        .width(Width::Medium)
        .display_name("Schema Content")
        .doc("One schema for all documents, as JSON, instead of one in each."),
    key("decimal.format", Type::String)
        .default("BASE64")
        .validator(Validator::OneOfIgnoringCase(&["NUMERIC", "BASE64"]))
        .group("Serialization", 0)
        .width(Width::Medium)
        .display_name("Decimal Format")
        .doc("How decimals are written: as numbers, or as the base64 of their bytes."),
    key("replace.null.with.default", Type::Boolean)
        .default("true")
        .group("Serialization", 1)
        .width(Width::Medium)
        .display_name("Replace null with default")
        .doc("Whether a field that is null is written as its default."),
]]);

const BYTE_ARRAY: &str = "org.apache.kafka.connect.converters.ByteArrayConverter";
const STRING: &str = "org.apache.kafka.connect.storage.StringConverter";
const JSON: &str = "org.apache.kafka.connect.json.JsonConverter";
const SIMPLE_HEADER: &str = "org.apache.kafka.connect.storage.SimpleHeaderConverter";

/// Every converter there is: for keys and values, and for headers.
pub(crate) static CONVERTERS: &[Plugin] = &[
    converter(PluginType::Converter, BYTE_ARRAY, &PLAIN_KEYS),
    converter(PluginType::Converter, STRING, &STRING_KEYS),
    converter(PluginType::Converter, JSON, &JSON_KEYS),
    converter(PluginType::HeaderConverter, BYTE_ARRAY, &PLAIN_KEYS),
    converter(PluginType::HeaderConverter, STRING, &STRING_KEYS),
    converter(PluginType::HeaderConverter, JSON, &JSON_KEYS),
    converter(PluginType::HeaderConverter, SIMPLE_HEADER, &NO_KEYS),
];

const fn converter(kind: PluginType, class: &'static str, config: &'static ConfigDef) -> Plugin {
    Plugin {
        class,
        kind,
        version: KAFKA_VERSION,
        config,
    }
}

/// A place for a converter: the key of its class, what it converts, and its kind.
const PLACES: [(&str, &str, PluginType); 3] = [
    ("header.converter", "header", PluginType::HeaderConverter),
    ("key.converter", "key", PluginType::Converter),
    ("value.converter", "value", PluginType::Converter),
];

/// Judges the keys of the converters that the connector itself names; those of the worker are its own matter. What is
/// found wrong with class or version of one goes to its place in `validated`.
pub(crate) fn validate_converters(
    config: &RawConfig,
    validated: &mut Validations,
    plugins: &PluginRegistry,
) -> Vec<ConfigInfos> {
    let mut results = Vec::new();
    for (class_key, converts, kind) in PLACES {
        let Some(Some(class)) = config.get(class_key) else {
            continue;
        };
        let version_key = format!("{class_key}.plugin.version");
        let is_good = |key: &str| validated.get(key).is_some_and(|value| value.errors.is_empty());
        if !is_good(class_key) || !is_good(&version_key) {
            continue;
        }
        let Some(plugin) = plugins.find(kind, class) else {
            // Where the class is read as a value, blanks around it do not matter.
            validated.fault(class_key, format!("Failed to load class {class}: {class}"));
            continue;
        };
        let wanted = config.get(&version_key).and_then(Option::as_deref);
        let fits = VersionRange::parse(wanted).and_then(|range| plugins.check_version(plugin, range.as_ref()));
        match fits {
            Ok(()) => results.push(validate_converter(plugin, class_key, converts, config, plugins)),
            Err(why) => {
                validated.fault(class_key, why.clone());
                validated.fault(&version_key, why);
            }
        }
    }
    results
}

fn validate_converter(
    plugin: &Plugin,
    class_key: &str,
    converts: &str,
    config: &RawConfig,
    plugins: &PluginRegistry,
) -> ConfigInfos {
    let prefix = format!("{class_key}.");
    let mut own = RawConfig::from([("converter.type".to_owned(), Some(converts.to_owned()))]);
    own.extend(
        config
            .iter()
            .filter_map(|(key, value)| Some((key.strip_prefix(&prefix)?.to_owned(), value.clone()))),
    );
    let definitions = own_definitions(plugin.config);
    let validated = validate_all(&definitions, &own, plugins);
    let prefixed = |(definition, value): (&Definition, Validated)| {
        let mut config = ConfigInfo {
            definition: Some(definition.info()),
            value: Some(value.info()),
        };
        config.put_under(&prefix);
        config
    };
    ConfigInfos {
        name: String::new(),
        error_count: validated.iter().filter(|value| !value.errors.is_empty()).count(),
        groups: groups(&definitions),
        configs: definitions.iter().zip(validated.into_vec()).map(prefixed).collect(),
    }
}
