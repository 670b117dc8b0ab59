//! Which settings of a topic are copied (`DefaultConfigPropertyFilter`).

use config_def::{ConfigDef, ConfigErrors, ConfigKey, Importance, Props, Type, Validator, key};
use java_pattern::JavaPatterns;

use crate::name_filter::compile;

/// The class that we know.
pub const DEFAULT_CONFIG_PROPERTY_FILTER: &str = "org.apache.kafka.connect.mirror.DefaultConfigPropertyFilter";

/// The filter's key that is also a key of the source connector.
pub(crate) const CONFIG_PROPERTIES_EXCLUDE: ConfigKey = key("config.properties.exclude", Type::List)
    .default(
        "follower.replication.throttled.replicas,leader.replication.throttled.replicas,\
         message.timestamp.difference.max.ms,log.message.timestamp.before.max.ms,log.message.timestamp.after.max.ms,\
         message.timestamp.type,unclean.leader.election.enable,min.insync.replicas",
    )
    .validator(Validator::LIST)
    .importance(Importance::High)
    .doc("Topic settings that are not copied: names or patterns.");

/// A key that only the filter knows: Kafka's connector does not list it.
pub(crate) const USE_DEFAULTS_FROM: ConfigKey = key("use.defaults.from", Type::String)
    .default("target")
    .importance(Importance::Medium)
    .doc("Whose defaults hold for settings that the source topic leaves alone: source or target.");

pub(crate) static CONFIG_DEF: ConfigDef = ConfigDef::new(&[&[CONFIG_PROPERTIES_EXCLUDE, USE_DEFAULTS_FROM]]);

/// Accepts a setting unless `config.properties.exclude` matches its whole name.
#[derive(Debug)]
pub struct ConfigPropertyFilter {
    exclude: JavaPatterns,
    /// `use.defaults.from=source`: values that the source has by default are copied, too. Else they are removed from the
    /// target, so that its own defaults hold.
    pub replicate_source_default: bool,
}

impl ConfigPropertyFilter {
    /// Reads the filter's keys.
    pub fn parse(props: &Props) -> Result<Self, ConfigErrors> {
        let values = CONFIG_DEF.parse(props)?;
        let exclude = compile("config.properties.exclude", values.list("config.properties.exclude"))?;
        Ok(Self {
            exclude,
            replicate_source_default: values.string("use.defaults.from") == "source",
        })
    }

    /// Whether the setting `name` is copied.
    pub fn accepts(&self, name: &str) -> bool {
        !self.exclude.matches(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden_filters::{expect_same_answers, vectors};

    #[test]
    fn every_answer_is_kafkas() {
        for vector in vectors("DefaultConfigPropertyFilter") {
            let filter = ConfigPropertyFilter::parse(&vector.props).expect("good patterns");
            expect_same_answers(&vector, |name| {
                serde_json::json!({
                    "replicate": filter.accepts(name),
                    "replicateSourceDefault": filter.replicate_source_default,
                })
            });
        }
    }
}
