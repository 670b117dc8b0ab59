//! Which topics a flow copies, besides what its topic filter says.

use crate::replication_policy::ReplicationPolicy;

/// The fixed rules of a flow.
#[derive(Clone, Debug)]
pub struct TopicRules {
    /// How topics are named.
    pub policy: ReplicationPolicy,
    /// The cluster that is read.
    pub source_alias: String,
    /// The cluster that is written.
    pub target_alias: String,
    /// `heartbeats.replication.enabled`: heartbeats are copied whatever the filter says.
    pub replicate_heartbeats: bool,
}

impl TopicRules {
    /// Whether `topic` of the source is copied, given the word of the topic filter.
    pub fn replicates(&self, topic: &str, filter_accepts: bool) -> bool {
        let wanted = filter_accepts || (self.replicate_heartbeats && self.policy.is_heartbeats_topic(topic));
        wanted && !self.policy.is_internal_topic(topic) && !self.policy.is_cycle(topic, &self.target_alias)
    }

    /// What `topic` of the source would be a copy of, on the target, if its name is taken at its word.
    pub fn origin_on_target<'a>(&'a self, topic: &'a str) -> Option<&'a str> {
        if self.policy.keeps_names() {
            return None;
        }
        let mut hop = topic;
        loop {
            let upstream = self.policy.upstream_topic(hop)?;
            if self.policy.topic_source(hop) == Some(&*self.target_alias) {
                return Some(upstream);
            }
            hop = upstream;
        }
    }

    /// `A->B`, for the log.
    pub fn flow(&self) -> String {
        format!("{}->{}", self.source_alias, self.target_alias)
    }

    /// The name on the target of a topic of the source.
    pub fn remote_topic(&self, topic: &str) -> String {
        self.policy.format_remote_topic(&self.source_alias, topic)
    }

    /// Whether a topic of the target is a copy from this flow's source (checkpoints are not).
    pub fn is_remote_topic_of_flow(&self, topic: &str) -> bool {
        self.policy.topic_source(topic) == Some(&*self.source_alias)
            && topic != self.policy.checkpoints_topic(&self.source_alias)
    }

    /// The name under which a checkpoint speaks of a topic of the source: its name on the target.
    pub fn checkpoint_topic(&self, topic: &str) -> String {
        if self.policy.topic_source(topic) == Some(&*self.target_alias) {
            self.policy.original_topic(topic).to_owned()
        } else {
            self.remote_topic(topic)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replication_policy::{DEFAULT_REPLICATION_POLICY, IDENTITY_REPLICATION_POLICY};

    fn rules(class: &str) -> TopicRules {
        TopicRules {
            policy: ReplicationPolicy::new(class, &Default::default()).expect("a known class"),
            source_alias: "A".to_owned(),
            target_alias: "B".to_owned(),
            replicate_heartbeats: true,
        }
    }

    #[test]
    fn a_name_says_what_it_is_a_copy_of() {
        let rules = rules(DEFAULT_REPLICATION_POLICY);
        for (topic, origin) in [
            ("orders", None),
            ("A.orders", None),
            ("B.orders", Some("orders")),
            ("C.B.orders", Some("orders")),
            ("B.C.orders", Some("C.orders")),
            (".B.x", Some("x")),
        ] {
            assert_eq!(rules.origin_on_target(topic), origin, "{topic}");
            assert_eq!(rules.policy.is_cycle(topic, "B"), origin.is_some(), "{topic}");
        }
    }

    #[test]
    fn names_that_are_kept_say_nothing() {
        assert_eq!(rules(IDENTITY_REPLICATION_POLICY).origin_on_target("B.orders"), None);
    }
}
