//! Which consumer groups get checkpoints (`DefaultGroupFilter`).

use config_def::{ConfigDef, ConfigErrors, ConfigKey, Importance, Props, Type, Validator, key};

use crate::name_filter::NameFilter;

/// The class that we know.
pub const DEFAULT_GROUP_FILTER: &str = "org.apache.kafka.connect.mirror.DefaultGroupFilter";

/// The filter's keys, which are also keys of the checkpoint connector.
pub(crate) static KEYS: &[ConfigKey] = &[
    key("groups", Type::List)
        .default(".*")
        .validator(Validator::LIST)
        .importance(Importance::High)
        .doc("Consumer groups to write checkpoints for: names or patterns."),
    key("groups.exclude", Type::List)
        .default("console-consumer-.*,connect-.*,__.*")
        .validator(Validator::LIST)
        .importance(Importance::High)
        .doc("Consumer groups to leave out: names or patterns, stronger than groups."),
];

pub(crate) static CONFIG_DEF: ConfigDef = ConfigDef::new(&[KEYS]);

/// Accepts a group if `groups` matches its whole name and `groups.exclude` does not.
#[derive(Debug)]
pub struct GroupFilter(NameFilter);

impl GroupFilter {
    /// Reads the filter's keys.
    pub fn parse(props: &Props) -> Result<Self, ConfigErrors> {
        NameFilter::parse(&CONFIG_DEF, "groups", "groups.exclude", props).map(Self)
    }

    /// Whether `group` gets checkpoints.
    pub fn accepts(&self, group: &str) -> bool {
        self.0.accepts(group)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden_filters::{expect_same_answers, vectors};

    #[test]
    fn every_answer_is_kafkas() {
        for vector in vectors("DefaultGroupFilter") {
            let filter = GroupFilter::parse(&vector.props).expect("good patterns");
            expect_same_answers(&vector, |group| filter.accepts(group).into());
        }
    }
}
