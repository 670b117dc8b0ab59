//! The slow part of a round: what the groups have committed on the source, and which topics may have holes.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use kafka_client::{
    Admin, Error,
    admin::{OffsetAndMetadata, PerItem},
};
use kafka_wire::TopicPartition;
use tokio::time::Instant;

/// How long it is believed that a topic is not compacted.
const BELIEVED_FOR: Duration = Duration::from_secs(600);

/// Committed offsets of the groups of a task.
pub(crate) type Committed = PerItem<Arc<str>, HashMap<TopicPartition, OffsetAndMetadata>>;

/// What a round brought.
#[derive(Debug)]
pub(crate) struct Gathered {
    pub(crate) committed: Result<Committed, Error>,
    pub(crate) kinds: TopicKinds,
    /// When the groups were asked, for the records' timestamps.
    pub(crate) asked_at_ms: i64,
}

/// Which topics of the source are never compacted, so that their logs have no holes but those of transactions.
#[derive(Clone, Debug, Default)]
pub(crate) struct TopicKinds {
    is_compacted: HashMap<Arc<str>, bool>,
    asked_at: Option<Instant>,
}

impl TopicKinds {
    /// Whether equal distances between offset syncs may be trusted. Of a topic that nobody describes to us, not.
    pub(crate) fn may_join(&self, topic: &str) -> bool {
        self.is_compacted.get(topic).is_some_and(|compacted| !compacted)
    }

    /// Describes what is not known, and all of it again after a while.
    pub(crate) async fn learn(&mut self, admin: &Admin, topics: BTreeSet<Arc<str>>) {
        if self.asked_at.is_none_or(|at| at.elapsed() >= BELIEVED_FOR) {
            self.is_compacted.clear();
            self.asked_at = Some(Instant::now());
        }
        let unknown: Vec<Arc<str>> = topics
            .into_iter()
            .filter(|topic| !self.is_compacted.contains_key(topic))
            .collect();
        if unknown.is_empty() {
            return;
        }
        let described = match admin.describe_topic_configs(&unknown).await {
            Ok(described) => described,
            Err(error) => {
                tracing::debug!(error = error.chain(), "topics of the source cannot be described");
                return;
            }
        };
        for (topic, entries) in described {
            let policy = entries.ok().and_then(|entries| {
                let policy = entries.into_iter().find(|entry| entry.name == "cleanup.policy");
                policy.and_then(|entry| entry.value)
            });
            self.is_compacted
                .insert(topic, policy.is_none_or(|policy| policy.contains("compact")));
        }
    }
}

/// Asks the source. `is_replicated`: the topic filter's word.
pub(crate) async fn gather(
    admin: Admin,
    groups: Arc<[Arc<str>]>,
    mut kinds: TopicKinds,
    asked_at_ms: i64,
    is_replicated: impl Fn(&str) -> bool,
) -> Gathered {
    let committed = admin.list_offsets_of_groups(&groups).await;
    if let Ok(committed) = &committed {
        let partitions = committed.values().flatten().flat_map(HashMap::keys);
        let topics = partitions
            .map(|partition| partition.topic.clone())
            .filter(|topic| is_replicated(topic));
        kinds.learn(&admin, topics.collect()).await;
    }
    Gathered {
        committed,
        kinds,
        asked_at_ms,
    }
}
