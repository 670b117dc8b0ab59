//! How remote topics are named (`ReplicationPolicy` with its two implementations).

use std::collections::BTreeSet;

use config_def::{Props, parse_boolean};

/// The class of the policy that renames.
pub const DEFAULT_REPLICATION_POLICY: &str = "org.apache.kafka.connect.mirror.DefaultReplicationPolicy";
/// The class of the policy that keeps names.
pub const IDENTITY_REPLICATION_POLICY: &str = "org.apache.kafka.connect.mirror.IdentityReplicationPolicy";

const SEPARATOR: &str = "replication.policy.separator";
const INTERNAL_SEPARATOR_ENABLED: &str = "replication.policy.internal.topic.separator.enabled";
const SEPARATOR_DEFAULT: &str = ".";
const HEARTBEATS: &str = "heartbeats";

/// Names topics on the target, and reads from a name where a topic comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicationPolicy {
    kind: Kind,
    separator: String,
    internal_separator: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Default,
    /// Keeps names, so that every topic is taken for a replica from `source_alias`.
    Identity {
        source_alias: Option<String>,
    },
}

impl ReplicationPolicy {
    /// The policy of class `class`, `None` for a class that we do not know. Kafka's policies read the properties as they
    /// stand, not through a ConfigDef: nothing is trimmed, and a separator may be empty.
    pub fn new(class: &str, props: &Props) -> Option<Self> {
        let kind = match class {
            DEFAULT_REPLICATION_POLICY => Kind::Default,
            IDENTITY_REPLICATION_POLICY => Kind::Identity {
                source_alias: props.get("source.cluster.alias").cloned(),
            },
            _ => return None,
        };
        let separator = props.get(SEPARATOR);
        // Only someone who sets the separator can keep it out of internal names.
        let internal = props
            .get(INTERNAL_SEPARATOR_ENABLED)
            .is_none_or(|enabled| parse_boolean(enabled));
        let separator = separator.map_or(SEPARATOR_DEFAULT, String::as_str);
        Some(Self {
            kind,
            separator: separator.to_owned(),
            internal_separator: if internal { separator } else { SEPARATOR_DEFAULT }.to_owned(),
        })
    }

    /// Whether topics have the same name on both clusters.
    pub fn keeps_names(&self) -> bool {
        matches!(self.kind, Kind::Identity { .. })
    }

    /// The name on the target of `topic` of cluster `source_alias`.
    pub fn format_remote_topic(&self, source_alias: &str, topic: &str) -> String {
        if self.keeps_name(topic) {
            topic.to_owned()
        } else {
            format!("{source_alias}{}{topic}", self.separator)
        }
    }

    /// The cluster that `topic` was copied from, `None` if it was made here.
    pub fn topic_source<'a>(&'a self, topic: &'a str) -> Option<&'a str> {
        match &self.kind {
            Kind::Identity { source_alias } if self.keeps_name(topic) => source_alias.as_deref(),
            _ => self.prefix(topic),
        }
    }

    /// The name that `topic` has on the cluster it was copied from, `None` if it was made here.
    pub fn upstream_topic<'a>(&self, topic: &'a str) -> Option<&'a str> {
        if self.keeps_name(topic) {
            return Some(topic);
        }
        self.prefix(topic)
            .map(|source| &topic[source.len() + self.separator.len()..])
    }

    /// The name that `topic` has on the cluster where it was made.
    pub fn original_topic<'a>(&self, topic: &'a str) -> &'a str {
        let mut topic = topic;
        while let Some(upstream) = self.upstream_topic(topic)
            && upstream != topic
        {
            topic = upstream;
        }
        topic
    }

    /// Where heartbeats are written.
    pub fn heartbeats_topic(&self) -> &'static str {
        HEARTBEATS
    }

    /// Where offset syncs are written for the cluster `alias`, which is not the one that holds the topic.
    pub fn offset_syncs_topic(&self, alias: &str) -> String {
        let separator = &self.internal_separator;
        format!("mm2-offset-syncs{separator}{alias}{separator}internal")
    }

    /// Where checkpoints of the source cluster `alias` are written.
    pub fn checkpoints_topic(&self, alias: &str) -> String {
        let separator = &self.internal_separator;
        format!("{alias}{separator}checkpoints{separator}internal")
    }

    /// Whether `topic` holds heartbeats, made here or copied.
    pub fn is_heartbeats_topic(&self, topic: &str) -> bool {
        self.original_topic(topic) == HEARTBEATS
    }

    /// Whether `topic` holds checkpoints.
    pub fn is_checkpoints_topic(&self, topic: &str) -> bool {
        let separator = &self.internal_separator;
        topic.ends_with(&format!("{separator}checkpoints{separator}internal"))
    }

    /// Whether `topic` is one of MirrorMaker's own.
    pub fn is_mm2_internal_topic(&self, topic: &str) -> bool {
        let internal = topic.starts_with("mm2") && topic.ends_with(&format!("{}internal", self.internal_separator));
        internal || self.is_checkpoints_topic(topic)
    }

    /// Whether `topic` is MirrorMaker's or Kafka's own and never copied.
    pub fn is_internal_topic(&self, topic: &str) -> bool {
        self.is_mm2_internal_topic(topic) || topic.starts_with("__") || topic.starts_with('.')
    }

    /// Whether copying `topic` to cluster `target_alias` would bring it back to where it comes from. With the identity
    /// policy nobody can tell.
    pub fn is_cycle(&self, topic: &str, target_alias: &str) -> bool {
        let mut topic = topic;
        loop {
            match self.topic_source(topic) {
                None => return false,
                Some(source) if source == target_alias => return true,
                Some(_) => {}
            }
            match self.upstream_topic(topic) {
                Some(upstream) if upstream != topic => topic = upstream,
                _ => return false,
            }
        }
    }

    /// Whether `topic` is a copy (`MirrorClient.remoteTopics`).
    pub fn is_remote_topic(&self, topic: &str) -> bool {
        !self.is_internal_topic(topic) && self.topic_source(topic).is_some()
    }

    /// How many copies lie between `topic` and the cluster `source_alias`; `None` if it does not come from there.
    pub fn hops(&self, topic: &str, source_alias: &str) -> Option<usize> {
        let mut topic = topic;
        let mut seen = BTreeSet::new();
        loop {
            let source = self.topic_source(topic)?;
            if source == source_alias {
                return Some(seen.len() + 1);
            }
            if !seen.insert(source) {
                return None;
            }
            topic = self.upstream_topic(topic)?;
        }
    }

    /// Every cluster that `topic` came through.
    pub fn sources<'a>(&'a self, topic: &'a str) -> BTreeSet<&'a str> {
        let mut sources = BTreeSet::new();
        let mut next = Some(topic);
        while let Some(topic) = next
            && let Some(source) = self.topic_source(topic)
            && sources.insert(source)
        {
            next = self.upstream_topic(topic);
        }
        sources
    }

    /// Whether the name is the same on both clusters. The identity policy renames topics that end in `heartbeats`.
    fn keeps_name(&self, topic: &str) -> bool {
        matches!(self.kind, Kind::Identity { .. }) && !topic.ends_with(HEARTBEATS)
    }

    /// What stands before the first separator, provided that something but separators follows
    /// (`Pattern.split` drops empty parts at the end).
    fn prefix<'a>(&self, topic: &'a str) -> Option<&'a str> {
        if self.separator.is_empty() {
            // Java splits at an empty separator between any two characters.
            let second = topic.char_indices().nth(1)?.0;
            return Some(&topic[..second]);
        }
        let (prefix, rest) = topic.split_once(&self.separator)?;
        rest.split(&self.separator)
            .any(|part| !part.is_empty())
            .then_some(prefix)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::source::topic_rules::TopicRules;

    /// 10 configurations, 43 topic names, 17 answers to each, from Kafka 4.3.1's own classes; the flow is A->target.
    #[test]
    fn every_answer_is_kafkas() {
        let golden: Value =
            serde_json::from_str(include_str!("../testdata/golden-replication-policy.json")).expect("valid JSON");
        let mut rows = 0;
        for vector in golden["policies"].as_array().expect("a list") {
            let props: Props = serde_json::from_value(vector["config"].clone()).expect("a map of texts");
            let class = format!(
                "org.apache.kafka.connect.mirror.{}",
                vector["policy"].as_str().expect("a name")
            );
            let policy = ReplicationPolicy::new(&class, &props).expect("a known class");
            assert_eq!(vector["heartbeatsTopic"], policy.heartbeats_topic());
            assert_eq!(vector["offsetSyncsTopic(B)"], policy.offset_syncs_topic("B"));
            assert_eq!(vector["checkpointsTopic(A)"], policy.checkpoints_topic("A"));
            for row in vector["rows"].as_array().expect("a list") {
                assert_eq!(
                    *row,
                    answers(&policy, row[0].as_str().expect("a topic")),
                    "{class} {props:?}"
                );
                rows += 1;
            }
        }
        assert_eq!(rows, 430);
    }

    fn answers(policy: &ReplicationPolicy, topic: &str) -> Value {
        let rules = |heartbeats| TopicRules {
            policy: policy.clone(),
            source_alias: "A".to_owned(),
            target_alias: "target".to_owned(),
            replicate_heartbeats: heartbeats,
        };
        let hops = |alias| {
            policy
                .hops(topic, alias)
                .map_or(-1, |hops| i64::try_from(hops).expect("few"))
        };
        json!([
            topic,
            policy.format_remote_topic("A", topic),
            policy.topic_source(topic),
            policy.upstream_topic(topic),
            policy.original_topic(topic),
            policy.is_heartbeats_topic(topic),
            policy.is_checkpoints_topic(topic),
            policy.is_mm2_internal_topic(topic),
            policy.is_internal_topic(topic),
            policy.is_cycle(topic, "target"),
            rules(true).replicates(topic, true),
            rules(true).replicates(topic, false),
            rules(false).replicates(topic, false),
            rules(true).checkpoint_topic(topic),
            policy.is_remote_topic(topic),
            hops("A"),
            hops("B"),
            policy.sources(topic),
        ])
    }

    #[test]
    fn an_unknown_class_is_no_policy() {
        assert_eq!(ReplicationPolicy::new("com.example.Mine", &Props::new()), None);
    }
}
