use config_def::{ConfigDef, Importance, Type, key};

use crate::pattern::VALID_REGEX;

pub(crate) const CLASS: &str = "org.apache.kafka.connect.transforms.RegexRouter";

/// Gives records another topic whose topic matches a pattern as a whole.
pub(crate) static CONFIG_DEF: ConfigDef = ConfigDef::new(&[&[
    key("regex", Type::String)
        .validator(VALID_REGEX)
        .importance(Importance::High)
        .doc("The pattern that the whole name of the topic has to match."),
    key("replacement", Type::String)
        .importance(Importance::High)
        .doc("The new name; $1 stands for the first group of the pattern."),
]]);
