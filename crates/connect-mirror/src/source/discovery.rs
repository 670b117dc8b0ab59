//! Asks a cluster for its topics.

use std::sync::Arc;

use kafka_client::{Client, Error, Topics};

use super::topics::PartitionCounts;

/// The topics of one cluster, as one answer told them.
pub(crate) struct Discovered {
    pub(crate) topics: PartitionCounts,
    pub(crate) cluster_id: Option<Arc<str>>,
}

/// The topics of the cluster that `keep` accepts, without those that are the broker's own. A topic that exists but
/// cannot be described for now is as it was `known`, so that one bad topic neither fails nor shrinks the rest.
pub(crate) async fn discover(
    client: &Client,
    known: &PartitionCounts,
    keep: impl Fn(&str) -> bool,
) -> Result<Discovered, Error> {
    let metadata = client.refresh_metadata(Topics::All).await?;
    let mut topics = PartitionCounts::new();
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
            topics.insert(Arc::from(&**name), partitions);
        }
    }
    Ok(Discovered {
        topics,
        cluster_id: metadata.cluster_id.clone(),
    })
}
