//! Which topics are replicated (`DefaultTopicFilter`).

use config_def::{ConfigDef, ConfigErrors, ConfigKey, Importance, Props, Type, Validator, key};

use crate::name_filter::NameFilter;

/// The class that we know.
pub const DEFAULT_TOPIC_FILTER: &str = "org.apache.kafka.connect.mirror.DefaultTopicFilter";

/// The filter's keys, which are also keys of the source connector.
pub(crate) static KEYS: &[ConfigKey] = &[
    key("topics", Type::List)
        .default(".*")
        .validator(Validator::LIST)
        .importance(Importance::High)
        .doc("Topics to replicate: names or patterns."),
    key("topics.exclude", Type::List)
        .default("mm2.*\\.internal,.*\\.replica,__.*")
        .validator(Validator::LIST)
        .importance(Importance::High)
        .doc("Topics not to replicate: names or patterns, stronger than topics."),
];

pub(crate) static CONFIG_DEF: ConfigDef = ConfigDef::new(&[KEYS]);

/// Accepts a topic if `topics` matches its whole name and `topics.exclude` does not.
#[derive(Debug)]
pub struct TopicFilter(NameFilter);

impl TopicFilter {
    /// Reads the filter's keys.
    pub fn parse(props: &Props) -> Result<Self, ConfigErrors> {
        NameFilter::parse(&CONFIG_DEF, "topics", "topics.exclude", props).map(Self)
    }

    /// Whether `topic` is to be replicated.
    pub fn accepts(&self, topic: &str) -> bool {
        self.0.accepts(topic)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden_filters::{expect_same_answers, vectors};

    #[test]
    fn every_answer_is_kafkas() {
        for vector in vectors("DefaultTopicFilter") {
            let filter = TopicFilter::parse(&vector.props);
            match (&filter, &vector.error) {
                (Ok(filter), None) => expect_same_answers(&vector, |topic| filter.accepts(topic).into()),
                (Err(errors), Some(theirs)) => {
                    // Java names the fault in other words, then shows the pattern and the place.
                    let (_, place) = theirs.split_once(" near ").expect("a bad pattern");
                    assert!(errors.to_string().ends_with(place), "{errors}");
                    assert_eq!(errors.0[0].name, "topics");
                }
                _ => panic!("{filter:?}, but Kafka: {vector:?}"),
            }
        }
    }
}
