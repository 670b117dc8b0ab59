use config_def::{ConfigDef, Importance, Type, key};

use crate::pattern::NON_NULL_STRING;

pub(crate) const CLASS: &str = "org.apache.kafka.connect.transforms.InsertHeader";

/// Appends a header with a fixed value.
pub(crate) static CONFIG_DEF: ConfigDef = ConfigDef::new(&[&[
    key("header", Type::String)
        .validator(NON_NULL_STRING)
        .importance(Importance::High)
        .doc("The name of the header."),
    key("value.literal", Type::String)
        .validator(NON_NULL_STRING)
        .importance(Importance::High)
        .doc("The value of the header; what looks like a number, a date or a truth value is one."),
]]);
