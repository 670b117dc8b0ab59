//! Kafka's topic and broker configurations: the tables, and what is allowed in them.

use std::sync::LazyLock;

/// Where a value comes from, with the numbers of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i8)]
pub(crate) enum Source {
    DynamicTopic = 1,
    DynamicDefaultBroker = 3,
    StaticBroker = 4,
    Default = 5,
}

#[derive(Debug)]
pub(crate) struct ConfigKey {
    pub(crate) name: &'static str,
    /// Number of `ConfigDef.Type` in the protocol.
    pub(crate) config_type: i8,
    pub(crate) default: Option<&'static str>,
    /// The broker's name for a topic's configuration.
    pub(crate) synonym: Option<&'static str>,
    pub(crate) read_only: bool,
    pub(crate) sensitive: bool,
}

const BOOLEAN: i8 = 1;
const INT: i8 = 3;
const SHORT: i8 = 4;
const LONG: i8 = 5;
const DOUBLE: i8 = 6;

static TOPIC: LazyLock<Vec<ConfigKey>> = LazyLock::new(|| {
    rows(
        include_str!("configs/topic.tsv"),
        |[name, config_type, default, synonym]| ConfigKey {
            name,
            config_type: number(config_type),
            default: nullable(default),
            synonym: nullable(synonym),
            read_only: false,
            sensitive: false,
        },
    )
});

static BROKER: LazyLock<Vec<ConfigKey>> = LazyLock::new(|| {
    rows(
        include_str!("configs/broker.tsv"),
        |[name, config_type, read_only, sensitive, default]| ConfigKey {
            name,
            config_type: number(config_type),
            default: nullable(default),
            synonym: None,
            read_only: read_only == "1",
            sensitive: sensitive == "1",
        },
    )
});

pub(crate) fn topic_keys() -> &'static [ConfigKey] {
    &TOPIC
}

pub(crate) fn broker_keys() -> &'static [ConfigKey] {
    &BROKER
}

pub(crate) fn topic_key(name: &str) -> Option<&'static ConfigKey> {
    find(&TOPIC, name)
}

pub(crate) fn broker_key(name: &str) -> Option<&'static ConfigKey> {
    find(&BROKER, name)
}

/// Kafka's complaint about a topic configuration, if it has one.
pub(crate) fn check_topic_config(name: &str, value: Option<&str>) -> Result<(), String> {
    let Some(key) = topic_key(name) else {
        return Err(format!("Unknown topic config name: {name}"));
    };
    let Some(value) = value else {
        return Err(format!("Null value not supported for topic configs: {name}"));
    };
    let invalid = |why: &str| Err(format!("Invalid value {value} for configuration {name}: {why}"));
    match key.config_type {
        BOOLEAN if !["true", "false"].contains(&value.to_ascii_lowercase().as_str()) => {
            invalid("Expected value to be either true or false")
        }
        INT | SHORT if value.trim().parse::<i32>().is_err() => invalid("Not a number of type INT"),
        LONG if value.trim().parse::<i64>().is_err() => invalid("Not a number of type LONG"),
        DOUBLE if value.trim().parse::<f64>().is_err() => invalid("Not a number of type DOUBLE"),
        _ => check_words(name, value),
    }
}

fn check_words(name: &str, value: &str) -> Result<(), String> {
    let allowed: &[&str] = match name {
        "cleanup.policy" => &["compact", "delete"],
        "compression.type" => &["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"],
        "message.timestamp.type" => &["CreateTime", "LogAppendTime"],
        _ => return Ok(()),
    };
    for word in value.split(',').map(str::trim) {
        let keeps_all = name == "cleanup.policy" && value.is_empty();
        if !keeps_all && !allowed.contains(&word) {
            let allowed = allowed.join(", ");
            return Err(format!(
                "Invalid value {value} for configuration {name}: String must be one of: {allowed}"
            ));
        }
    }
    Ok(())
}

fn find(keys: &'static [ConfigKey], name: &str) -> Option<&'static ConfigKey> {
    let found = keys.binary_search_by(|key| key.name.cmp(name));
    found.ok().map(|index| &keys[index])
}

fn rows<const N: usize>(table: &'static str, row: impl Fn([&'static str; N]) -> ConfigKey) -> Vec<ConfigKey> {
    let lines = table.lines().filter(|line| !line.starts_with('#'));
    let mut keys: Vec<_> = lines
        .map(|line| {
            let fields: Vec<_> = line.split('\t').collect();
            row(fields.try_into().expect("every line of the table has all its fields"))
        })
        .collect();
    keys.sort_by_key(|key| key.name);
    keys
}

fn number(field: &str) -> i8 {
    field.parse().expect("the table has numbers where it should")
}

fn nullable(field: &'static str) -> Option<&'static str> {
    (field != "~").then_some(field)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_passes_its_own_check() {
        for key in topic_keys() {
            assert_eq!(check_topic_config(key.name, key.default), Ok(()), "{}", key.name);
        }
    }

    #[test]
    fn every_topic_key_with_a_synonym_finds_it_among_the_brokers_keys() {
        for synonym in topic_keys().iter().filter_map(|key| key.synonym) {
            assert!(broker_key(synonym).is_some(), "{synonym}");
        }
    }

    #[test]
    fn wrong_values_and_unknown_names_are_refused() {
        let refused = [
            ("retention.ms", Some("soon")),
            ("cleanup.policy", Some("shred")),
            ("cleanup.policy", Some("compact,shred")),
            ("preallocate", Some("maybe")),
            ("no.such.config", Some("1")),
            ("retention.ms", None),
        ];
        for (name, value) in refused {
            assert!(check_topic_config(name, value).is_err(), "{name}={value:?}");
        }
        assert_eq!(check_topic_config("cleanup.policy", Some("compact,delete")), Ok(()));
    }
}
