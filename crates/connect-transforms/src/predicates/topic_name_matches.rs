use config_def::{ConfigDef, Importance, Type, key};

use crate::pattern::NON_EMPTY_REGEX;

pub(crate) const CLASS: &str = "org.apache.kafka.connect.transforms.predicates.TopicNameMatches";

/// True for records whose topic matches a pattern as a whole.
pub(crate) static CONFIG_DEF: ConfigDef = ConfigDef::new(&[&[key("pattern", Type::String)
    .validator(NON_EMPTY_REGEX)
    .importance(Importance::Medium)
    .doc("The pattern that the whole name of the topic has to match.")]]);
