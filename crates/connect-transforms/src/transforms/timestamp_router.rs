use config_def::{ConfigDef, Importance, Type, key};

pub(crate) const CLASS: &str = "org.apache.kafka.connect.transforms.TimestampRouter";

/// Gives records a topic that is named after their timestamp.
pub(crate) static CONFIG_DEF: ConfigDef = ConfigDef::new(&[&[
    key("topic.format", Type::String)
        .default("${topic}-${timestamp}")
        .importance(Importance::High)
        .doc("The new name; ${topic} and ${timestamp} stand for the old one and the timestamp."),
    key("timestamp.format", Type::String)
        .default("yyyyMMdd")
        .importance(Importance::High)
        .doc("How the timestamp is written, as SimpleDateFormat knows it, in UTC."),
]]);
