use config_def::{ConfigDef, ConfigError, Importance, Type, Values, key};

use crate::date_format::DateFormat;

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

/// How a topic is named.
#[derive(Debug)]
pub(crate) struct TimestampRouter {
    topic_format: String,
    timestamp_format: DateFormat,
}

impl TimestampRouter {
    pub(crate) fn parse(values: &Values) -> Result<Self, ConfigError> {
        let format = values.string("timestamp.format");
        Ok(Self {
            topic_format: values.string("topic.format").to_owned(),
            timestamp_format: DateFormat::parse(format)
                .map_err(|why| ConfigError::invalid("timestamp.format", format, why))?,
        })
    }

    /// The timestamp as it will stand in the name.
    pub(crate) fn format(&self, timestamp: i64) -> String {
        self.timestamp_format.format(timestamp)
    }

    /// The name for records of `topic` with such a timestamp. What looks like a variable in a topic's own name is one.
    pub(crate) fn topic(&self, topic: &str, formatted: &str) -> String {
        self.topic_format
            .replace("${topic}", topic)
            .replace("${timestamp}", formatted)
    }
}

#[cfg(test)]
mod tests {
    use config_def::Props;

    use super::*;
    use crate::golden;

    #[test]
    fn topics_are_named_as_kafka_does() {
        for case in golden::cases("topic format") {
            let format = golden::text(&case, "format").expect("a format").to_owned();
            let props = Props::from([("topic.format".to_owned(), format)]);
            let router = TimestampRouter::parse(&CONFIG_DEF.parse(&props).expect("good")).expect("good");
            let named = router.topic("a$1${timestamp}b", &router.format(0));
            assert_eq!(Some(named.as_str()), golden::text(&case, "result"), "{case}");
        }
    }
}
