//! What sink connectors have besides (`SinkConnectorConfig`). This worker runs none so far; the rules of their
//! configuration are known all the same, so that the validation is whole.

use config_def::{ConfigKey, Importance, Type, Validator, Value, Width, key, list_elements};
use java_pattern::JavaPatterns;

use crate::{
    RawConfig, ValidationContext, WorkerMode,
    validated::{Validated, Validations},
};

const TOPICS: &str = "topics";
const TOPICS_REGEX: &str = "topics.regex";
const DLQ_TOPIC: &str = "errors.deadletterqueue.topic.name";
const CONSUMER_GROUP: &str = "consumer.override.group.id";

const VALID_REGEX: Validator = Validator::Rule {
    text: Some("valid regex"),
    check: |value| match value {
        Value::String(pattern) => JavaPatterns::new(&[pattern])
            .map(drop)
            .map_err(|error| format!("Invalid regex: {error}")),
        _ => Ok(()),
    },
};

/// Further keys of every sink connector.
pub(crate) static SINK_CONNECTOR_KEYS: &[ConfigKey] = &[
    key(TOPICS, Type::List)
        .default("")
        .validator(Validator::LIST)
        .importance(Importance::High)
        .group("Common", 4)
        .width(Width::Long)
        .display_name("Topics")
        .doc("The topics to read."),
    key(TOPICS_REGEX, Type::String)
        .default("")
        .validator(VALID_REGEX)
        .importance(Importance::High)
        .group("Common", 4)
        .width(Width::Long)
        .display_name("Topics regex")
        .doc("A pattern of the topics to read, instead of a list."),
    key(DLQ_TOPIC, Type::String)
        .default("")
        .importance(Importance::Medium)
        .group("Error Handling", 6)
        .width(Width::Medium)
        .display_name("Dead Letter Queue Topic Name")
        .doc("The topic for records that cannot be handled; empty: there is none."),
    key("errors.deadletterqueue.topic.replication.factor", Type::Short)
        .default("3")
        .importance(Importance::Medium)
        .group("Error Handling", 7)
        .width(Width::Medium)
        .display_name("Dead Letter Queue Topic Replication Factor")
        .doc("Replication factor of that topic when it is created."),
    key("errors.deadletterqueue.context.headers.enable", Type::Boolean)
        .default("false")
        .importance(Importance::Medium)
        .group("Error Handling", 8)
        .width(Width::Medium)
        .display_name("Enable Error Context Headers")
        .doc("Whether records in that topic say in headers where they come from and what was wrong."),
];

/// Whether failed records go to a topic of their own.
pub(crate) fn has_dead_letter_queue(config: &RawConfig) -> bool {
    text(config, DLQ_TOPIC).is_some()
}

/// What is wrong with the topics of a sink.
pub(crate) fn check_topics(config: &RawConfig, validated: &mut Validations) {
    let (topics, pattern) = (text(config, TOPICS), text(config, TOPICS_REGEX));
    let both = match (topics, pattern) {
        (Some(_), Some(_)) => Some("topics and topics.regex are mutually exclusive options, but both are set."),
        (None, None) => Some("Must configure one of topics or topics.regex"),
        _ => None,
    };
    if let Some(why) = both {
        validated.fault(TOPICS, why);
        validated.fault(TOPICS_REGEX, why);
    }
    let Some(dead_letters) = text(config, DLQ_TOPIC) else {
        return;
    };
    if let Some(topics) = topics.map(list_elements)
        && topics.iter().any(|topic| topic == dead_letters)
    {
        let topics = topics.join(", ");
        validated.fault(
            TOPICS,
            format!(
                "The DLQ topic '{dead_letters}' may not be included in the list of topics ('topics=[{topics}]') \
                 consumed by the connector"
            ),
        );
    }
    if let Some(pattern) = pattern
        && JavaPatterns::new(&[pattern]).is_ok_and(|compiled| compiled.matches(dead_letters))
    {
        validated.fault(
            TOPICS_REGEX,
            format!(
                "The DLQ topic '{dead_letters}' may not be matched by the regex for the topics \
                 ('topics.regex={pattern}') consumed by the connector"
            ),
        );
    }
}

/// A sink's consumer group must not be the workers' group.
pub(crate) fn check_group(config: &RawConfig, context: &ValidationContext, validated: &mut Validations) {
    let WorkerMode::Distributed { group_id, .. } = &context.mode else {
        return;
    };
    if let Some(group) = config.get(CONSUMER_GROUP) {
        let value = group.clone().map_or(Value::Null, Value::String);
        let mut overridden = Validated::new(CONSUMER_GROUP, value);
        if group.as_ref() == Some(group_id) {
            overridden.errors.push(format!(
                "Consumer group {group_id} conflicts with Connect worker group {group_id}"
            ));
        }
        validated.put(overridden);
        return;
    }
    let Some(name) = validated.get_mut("name") else {
        return;
    };
    let connector = name.value.to_text().unwrap_or_else(|| "null".to_owned());
    if *group_id == format!("connect-{connector}") {
        name.errors.push(format!(
            "Consumer group for sink connector named {connector} conflicts with Connect worker group {group_id}"
        ));
    }
}

/// A value that is not blank.
fn text<'a>(config: &'a RawConfig, key: &str) -> Option<&'a str> {
    let text = config.get(key)?.as_deref()?.trim();
    (!text.is_empty()).then_some(text)
}
