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
