//! Settings of the source connector that Kafka's does not have. They are not in its table: REST shows that one as Kafka does.

use config_def::{ConfigDef, ConfigError, ConfigErrors, ConfigKey, Props, Type, Validator, key};

use super::rate_limits::{RATE_KEYS, RateLimits};
use crate::{
    replication_policy::ReplicationPolicy,
    topic_filter::{self, TopicFilter},
};

const ACL_DELETION: &str = "heliograph.sync.topic.acls.deletion.enabled";
pub(crate) const SOURCE_LOSS_POLICY: &str = "heliograph.source.loss.policy";
pub(crate) const CLUSTER_CHANGE_POLICY: &str = "heliograph.cluster.change.policy";
pub(crate) const LOOP_DETECTION: &str = "heliograph.loop.detection.enabled";
/// Set by the dedicated mode when the flow back is on, too.
pub(crate) const REVERSE_TOPICS: &str = "heliograph.reverse.topics";
pub(crate) const REVERSE_TOPICS_EXCLUDE: &str = "heliograph.reverse.topics.exclude";

static OWN_KEYS: &[ConfigKey] = &[
    key(SOURCE_LOSS_POLICY, Type::String)
        .default("report")
        .validator(Validator::OneOf(&["report", "fail", "restart"]))
        .doc(
            "What to do when the source has lost records before they were copied, was truncated, or has a topic made anew. \
             report: say and count it, and go on with what is there, as auto.offset.reset says. fail: the task fails. \
             restart: as report, and a topic made anew is always copied from its beginning.",
        ),
    key(CLUSTER_CHANGE_POLICY, Type::String)
        .default("pause")
        .validator(Validator::OneOf(&["pause", "ignore"]))
        .doc("What to do when another cluster answers under the address of the source or the target. pause: copy nothing until the former one is back or the connector is restarted."),
    key(LOOP_DETECTION, Type::Boolean)
        .default("true")
        .doc("Whether topics are left out that would be copied round and round, and a flow from a cluster to itself under the same topic names is refused."),
    key(REVERSE_TOPICS, Type::List)
        .default("")
        .validator(Validator::LIST)
        .doc("What the flow back copies, with IdentityReplicationPolicy: topics that both flows want are left out. In dedicated mode it is known."),
    key(REVERSE_TOPICS_EXCLUDE, Type::List)
        .default("mm2.*\\.internal,.*\\.replica,__.*")
        .validator(Validator::LIST)
        .doc("What the flow back leaves out, stronger than heliograph.reverse.topics."),
    key("heliograph.sync.topic.acls.prefixed.enabled", Type::Boolean)
        .default("false")
        .doc("Whether ACLs with prefixed patterns are copied, too: those whose prefix a copied topic has."),
    key(ACL_DELETION, Type::Boolean)
        .default("false")
        .doc("Whether ACLs of remote topics that the source does not have are deleted on the target. Not with IdentityReplicationPolicy, which cannot tell remote topics from others."),
];

/// Every key.
pub static OWN_CONFIG_DEF: ConfigDef = ConfigDef::new(&[OWN_KEYS, RATE_KEYS]);

/// `heliograph.source.loss.policy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceLossPolicy {
    /// Say and count it, go on.
    Report,
    /// The task fails.
    Fail,
    /// Say and count it; a topic made anew is copied from its beginning, whatever `auto.offset.reset` says.
    Restart,
}

/// The settings.
#[derive(Debug)]
pub struct OwnConfig {
    /// `heliograph.source.loss.policy`.
    pub source_loss_policy: SourceLossPolicy,
    /// `heliograph.cluster.change.policy=pause`.
    pub pauses_at_cluster_change: bool,
    /// `heliograph.loop.detection.enabled`.
    pub detects_loops: bool,
    /// `heliograph.reverse.topics*`.
    pub reverse_topics: TopicFilter,
    /// `heliograph.sync.topic.acls.prefixed.enabled`.
    pub syncs_prefixed_acls: bool,
    /// `heliograph.sync.topic.acls.deletion.enabled`.
    pub deletes_acls: bool,
}

impl OwnConfig {
    /// Reads the settings, or says all that is wrong with them.
    pub fn parse(props: &Props, policy: &ReplicationPolicy) -> Result<Self, ConfigErrors> {
        let values = OWN_CONFIG_DEF.parse(props)?;
        // Read by whoever keeps to them; what is wrong is said here.
        RateLimits::parse(props)?;
        let deletes_acls = values.boolean(ACL_DELETION);
        if deletes_acls && policy.keeps_names() {
            let why = "not with IdentityReplicationPolicy, which cannot tell remote topics from others";
            return Err(ConfigErrors(vec![ConfigError::invalid(ACL_DELETION, true, why)]));
        }
        Ok(Self {
            source_loss_policy: match values.string(SOURCE_LOSS_POLICY) {
                "fail" => SourceLossPolicy::Fail,
                "restart" => SourceLossPolicy::Restart,
                _ => SourceLossPolicy::Report,
            },
            pauses_at_cluster_change: values.string(CLUSTER_CHANGE_POLICY) == "pause",
            detects_loops: values.boolean(LOOP_DETECTION),
            reverse_topics: reverse_topics(values.list(REVERSE_TOPICS), values.list(REVERSE_TOPICS_EXCLUDE))?,
            syncs_prefixed_acls: values.boolean("heliograph.sync.topic.acls.prefixed.enabled"),
            deletes_acls,
        })
    }
}

fn reverse_topics(topics: &[String], exclude: &[String]) -> Result<TopicFilter, ConfigErrors> {
    let own_names = [REVERSE_TOPICS, REVERSE_TOPICS_EXCLUDE];
    let props = topic_filter::KEYS
        .iter()
        .zip([topics, exclude])
        .map(|(key, patterns)| (key.name.to_owned(), patterns.join(",")))
        .collect();
    TopicFilter::parse(&props).map_err(|errors| {
        let named = errors.0.into_iter().map(|error| {
            let at = topic_filter::KEYS.iter().position(|key| key.name == error.name);
            ConfigError::new(at.map_or(&*error.name, |at| own_names[at]), &error.message)
        });
        ConfigErrors(named.collect())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replication_policy::{DEFAULT_REPLICATION_POLICY, IDENTITY_REPLICATION_POLICY};

    fn parse(class: &str, props: &[(&str, &str)]) -> Result<OwnConfig, ConfigErrors> {
        let props: Props = props
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        OwnConfig::parse(&props, &ReplicationPolicy::new(class, &props).expect("a known class"))
    }

    #[test]
    fn the_table_has_no_faults_and_nothing_is_on_that_kafka_does_not_do() {
        assert_eq!(OWN_CONFIG_DEF.faults(), Vec::<String>::new());
        let own = parse(DEFAULT_REPLICATION_POLICY, &[]).expect("defaults are good");
        assert_eq!(own.source_loss_policy, SourceLossPolicy::Report);
        assert!(own.pauses_at_cluster_change && own.detects_loops);
        assert!(!own.syncs_prefixed_acls && !own.deletes_acls);
        assert!(!own.reverse_topics.accepts("orders"));
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        for (class, key, value) in [
            (DEFAULT_REPLICATION_POLICY, SOURCE_LOSS_POLICY, "ignore"),
            (DEFAULT_REPLICATION_POLICY, REVERSE_TOPICS, "*"),
            (IDENTITY_REPLICATION_POLICY, ACL_DELETION, "true"),
            (DEFAULT_REPLICATION_POLICY, "heliograph.max.bytes.per.second", "fast"),
            (
                DEFAULT_REPLICATION_POLICY,
                "heliograph.topic.max.bytes.per.second",
                "orders",
            ),
        ] {
            let errors = parse(class, &[(key, value)]).expect_err(value);
            assert_eq!(errors.0[0].name, key);
        }
        assert!(parse(DEFAULT_REPLICATION_POLICY, &[(ACL_DELETION, "true")]).is_ok());
    }
}
