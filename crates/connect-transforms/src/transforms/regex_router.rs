use config_def::{ConfigDef, ConfigError, Importance, Type, Values, key};
use java_pattern::{Replacement, RouteError};

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

/// Reads the two keys.
pub(crate) fn parse(values: &Values) -> Result<Replacement, ConfigError> {
    let (regex, replacement) = (values.string("regex"), values.string("replacement"));
    Replacement::new(regex, replacement).map_err(|error| match error {
        RouteError::Pattern(why) => ConfigError::invalid("regex", regex, why),
        RouteError::Replacement(why) => ConfigError::invalid("replacement", replacement, why),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden;

    #[test]
    fn topics_are_renamed_as_kafka_does() {
        for case in golden::cases("regex router") {
            let field = |name| golden::text(&case, name).expect("a text").to_owned();
            let props = ["regex", "replacement"].map(|key| (key.to_owned(), field(key)));
            let values = CONFIG_DEF.parse(&props.into()).expect("both are given");
            let topic = field("topic");
            let result = match parse(&values) {
                Ok(replacement) => replacement
                    .apply(&topic)
                    .map(|renamed| renamed.unwrap_or(topic))
                    .map_err(|error| error.to_string()),
                // Kafka says it of the first record, we at the start.
                Err(error) => Err(error.message),
            };
            match (result, golden::text(&case, "error")) {
                (Ok(renamed), None) => assert_eq!(Some(renamed.as_str()), golden::text(&case, "result"), "{case}"),
                (Err(told), Some(expected)) => assert!(told.ends_with(expected), "{told} for {case}"),
                (result, _) => panic!("{result:?} for {case}"),
            }
        }
    }
}
