//! Which settings of a source topic its remote topic gets.

use kafka_client::admin::{AlterConfigOp, ConfigEntry, ConfigSource, OpType};

use crate::config_property_filter::ConfigPropertyFilter;

/// The settings with which a remote topic is created.
pub fn for_creation(entries: &[ConfigEntry], filter: &ConfigPropertyFilter) -> Vec<(String, String)> {
    let wanted = |entry: &&ConfigEntry| filter.replicate_source_default || !is_default(entry);
    entries
        .iter()
        .filter(|entry| is_copied(entry, filter))
        .filter(wanted)
        .filter_map(|entry| Some((entry.name.clone(), entry.value.clone()?)))
        .collect()
}

/// What brings the settings of an existing remote topic in step. What the source leaves at its default is removed from
/// the remote topic, so that the target's default holds, unless the source's defaults are to hold.
pub fn changes(entries: &[ConfigEntry], filter: &ConfigPropertyFilter) -> Vec<AlterConfigOp> {
    entries
        .iter()
        .filter(|entry| is_copied(entry, filter))
        .map(|entry| {
            let name = entry.name.clone();
            if is_default(entry) && !filter.replicate_source_default {
                AlterConfigOp {
                    name,
                    value: None,
                    op: OpType::Delete,
                }
            } else {
                AlterConfigOp {
                    name,
                    value: entry.value.clone(),
                    op: OpType::Set,
                }
            }
        })
        .collect()
}

/// Secrets have no value here, read-only settings cannot be set, and what a broker has in its file is the broker's own.
fn is_copied(entry: &ConfigEntry, filter: &ConfigPropertyFilter) -> bool {
    let settable = !entry.is_read_only && !entry.is_sensitive;
    settable && entry.source != ConfigSource::StaticBrokerConfig && filter.accepts(&entry.name)
}

/// Values that were set on brokers at run time do not count as defaults: they are copied.
fn is_default(entry: &ConfigEntry) -> bool {
    entry.source == ConfigSource::DefaultConfig
}

#[cfg(test)]
mod tests {
    use config_def::Props;
    use serde_json::{Value, json};

    use super::*;

    /// One source topic with entries of every kind, and what Kafka 4.3.1 made of it.
    #[test]
    fn entries_are_chosen_as_kafka_chooses_them() {
        let golden: Value =
            serde_json::from_str(include_str!("../../testdata/golden-decisions.json")).expect("valid JSON");
        let golden = &golden["topicConfigSync"];
        let entries = golden["source entries [name, value, source, sensitive, readOnly]"]
            .as_array()
            .expect("a list");
        let entries: Vec<ConfigEntry> = entries.iter().map(entry).collect();
        let results = golden["results"].as_array().expect("a list");
        assert_eq!(results.len(), 2);
        for result in results {
            let defaults_from = result["use.defaults.from"].as_str().expect("a text");
            let props = Props::from([("use.defaults.from".to_owned(), defaults_from.to_owned())]);
            let filter = ConfigPropertyFilter::parse(&props).expect("good settings");
            let created: Props = for_creation(&entries, &filter).into_iter().collect();
            assert_eq!(json!(created), result["configs given to CreateTopics"]);
            let mut ops: Vec<Value> = changes(&entries, &filter)
                .into_iter()
                .map(|change| {
                    json!([
                        if change.op == OpType::Set { "SET" } else { "DELETE" },
                        change.name,
                        change.value
                    ])
                })
                .collect();
            ops.sort_by_key(|op| op[1].as_str().map(str::to_owned));
            assert_eq!(json!(ops), result["IncrementalAlterConfigs ops on A.t"]);
        }
    }

    fn entry(row: &Value) -> ConfigEntry {
        ConfigEntry {
            name: row[0].as_str().expect("a name").to_owned(),
            value: row[1].as_str().map(str::to_owned),
            source: match row[2].as_str() {
                Some("DYNAMIC_TOPIC_CONFIG") => ConfigSource::DynamicTopicConfig,
                Some("DEFAULT_CONFIG") => ConfigSource::DefaultConfig,
                Some("STATIC_BROKER_CONFIG") => ConfigSource::StaticBrokerConfig,
                Some("DYNAMIC_DEFAULT_BROKER_CONFIG") => ConfigSource::DynamicDefaultBrokerConfig,
                Some("DYNAMIC_BROKER_CONFIG") => ConfigSource::DynamicBrokerConfig,
                Some("UNKNOWN") => ConfigSource::Unknown,
                other => panic!("{other:?}"),
            },
            is_sensitive: row[3].as_bool().expect("a yes or no"),
            is_read_only: row[4].as_bool().expect("a yes or no"),
        }
    }
}
