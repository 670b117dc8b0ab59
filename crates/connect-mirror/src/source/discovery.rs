//! Asks a cluster for its topics.

use std::sync::Arc;

use kafka_client::{Client, Error, Topics};

use super::topics::{PartitionCounts, TopicIds};

/// The topics of one cluster, as one answer told them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Discovered {
    pub(crate) topics: PartitionCounts,
    /// Of those whose broker tells ids.
    pub(crate) ids: TopicIds,
    pub(crate) cluster_id: Option<Arc<str>>,
}

/// The topics of the cluster that `keep` accepts, without those that are the broker's own. A topic that exists but
/// cannot be described for now is as it was `known`, so that one bad topic neither fails nor shrinks the rest.
pub(crate) async fn discover(
    client: &Client,
    known: &PartitionCounts,
    mut keep: impl FnMut(&str) -> bool,
) -> Result<Discovered, Error> {
    let metadata = client.refresh_metadata(Topics::All).await?;
    let (mut topics, mut ids) = (PartitionCounts::new(), TopicIds::new());
    for (name, topic) in &metadata.topics {
        if topic.is_internal || !keep(name) {
            continue;
        }
        let described = i32::try_from(topic.partitions.len()).unwrap_or(0);
        let partitions = if topic.error.is_none() {
            described
        } else {
            known.get(name).copied().unwrap_or(0)
        };
        if partitions > 0 {
            let name: Arc<str> = Arc::from(&**name);
            if !topic.id.is_nil() {
                ids.insert(name.clone(), topic.id.as_u128());
            }
            topics.insert(name, partitions);
        }
    }
    Ok(Discovered {
        topics,
        ids,
        cluster_id: metadata.cluster_id.clone(),
    })
}
