//! What operators ask a cluster about its mirrors (`MirrorClient`, `RemoteClusterUtils`): where topics come from, and
//! where groups may go on.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use kafka_client::{Client, ConsumerConfig, Error, Topics};
use kafka_wire::TopicPartition;

use crate::{
    records::{Checkpoint, Heartbeat},
    replication_policy::ReplicationPolicy,
    topic_reader::TopicReader,
};

/// A client of one cluster, which knows its mirrors from the names of its topics and from what they write about
/// themselves.
#[derive(Debug)]
pub struct MirrorClient {
    client: Client,
    consumer: ConsumerConfig,
    policy: ReplicationPolicy,
}

/// Where a group may go on, and what it noted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TranslatedOffset {
    /// The offset that the group had committed on the source.
    pub upstream: i64,
    /// The offset on this cluster.
    pub downstream: i64,
    /// What the group committed along with its offset.
    pub metadata: String,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum MirrorClientError {
    /// The cluster does not answer, or refuses.
    #[error("cannot read {what}")]
    Cluster {
        /// What was read.
        what: String,
        /// Why.
        #[source]
        source: Error,
    },
    /// It took too long.
    #[error("reading {topic} took longer than {timeout:?}")]
    TimedOut {
        /// The topic.
        topic: String,
        /// How long it may take.
        timeout: Duration,
    },
}

impl MirrorClient {
    /// Asks the cluster of `client`, whose topics are named by `policy`.
    pub fn new(client: Client, consumer: ConsumerConfig, policy: ReplicationPolicy) -> Self {
        Self {
            client,
            consumer,
            policy,
        }
    }

    /// The policy that names topics.
    pub fn policy(&self) -> &ReplicationPolicy {
        &self.policy
    }

    /// How many mirrors lie between this cluster and `upstream`; `None`: it is not upstream (`replicationHops`).
    pub async fn replication_hops(&self, upstream: &str) -> Result<Option<usize>, MirrorClientError> {
        let topics = self.heartbeat_topics().await?;
        Ok(topics
            .iter()
            .filter_map(|topic| self.policy.hops(topic, upstream))
            .min())
    }

    /// The topics that hold heartbeats, made here or copied.
    pub async fn heartbeat_topics(&self) -> Result<BTreeSet<String>, MirrorClientError> {
        let topics = self.topics().await?.into_iter();
        Ok(topics.filter(|topic| self.policy.is_heartbeats_topic(topic)).collect())
    }

    /// The topics that hold checkpoints of some cluster.
    pub async fn checkpoint_topics(&self) -> Result<BTreeSet<String>, MirrorClientError> {
        let topics = self.topics().await?.into_iter();
        Ok(topics.filter(|topic| self.policy.is_checkpoints_topic(topic)).collect())
    }

    /// Every cluster that is mirrored to this one, over however many others.
    pub async fn upstream_clusters(&self) -> Result<BTreeSet<String>, MirrorClientError> {
        let topics = self.heartbeat_topics().await?;
        let sources = topics.iter().flat_map(|topic| self.policy.sources(topic));
        Ok(sources.map(str::to_owned).collect())
    }

    /// The topics that are copies; with `source`, only those that come straight from there.
    pub async fn remote_topics(&self, source: Option<&str>) -> Result<BTreeSet<String>, MirrorClientError> {
        let is_wanted = |topic: &String| {
            self.policy.is_remote_topic(topic)
                && source.is_none_or(|source| self.policy.topic_source(topic) == Some(source))
        };
        Ok(self.topics().await?.into_iter().filter(is_wanted).collect())
    }

    /// Where `group` of the cluster `source` may go on here, by its newest checkpoints.
    pub async fn translated_offsets(
        &self,
        source: &str,
        group: &str,
        timeout: Duration,
    ) -> Result<BTreeMap<TopicPartition, TranslatedOffset>, MirrorClientError> {
        let mut all = self
            .all_translated_offsets(source, timeout, |found| found == group)
            .await?;
        Ok(all.remove(group).unwrap_or_default())
    }

    /// The same for every group that `is_wanted`.
    pub async fn all_translated_offsets(
        &self,
        source: &str,
        timeout: Duration,
        is_wanted: impl Fn(&str) -> bool,
    ) -> Result<BTreeMap<String, BTreeMap<TopicPartition, TranslatedOffset>>, MirrorClientError> {
        let topic = self.policy.checkpoints_topic(source);
        let mut groups: BTreeMap<String, BTreeMap<TopicPartition, TranslatedOffset>> = BTreeMap::new();
        self.read(&topic, timeout, |key, value| {
            // As in Kafka, what cannot be read is passed over.
            let Ok(checkpoint) = Checkpoint::decode(key, value) else {
                return;
            };
            if is_wanted(&checkpoint.group) {
                let offset = TranslatedOffset {
                    upstream: checkpoint.upstream_offset,
                    downstream: checkpoint.downstream_offset,
                    metadata: checkpoint.metadata,
                };
                groups
                    .entry(checkpoint.group)
                    .or_default()
                    .insert(checkpoint.topic_partition, offset);
            }
        })
        .await?;
        Ok(groups)
    }

    /// The newest heartbeat of each pair of clusters, milliseconds since 1970.
    pub async fn heartbeats(&self, timeout: Duration) -> Result<BTreeMap<(String, String), i64>, MirrorClientError> {
        let mut newest = BTreeMap::new();
        for topic in self.heartbeat_topics().await? {
            self.read(&topic, timeout, |key, value| {
                let Ok(beat) = Heartbeat::decode(key, value) else {
                    return;
                };
                let at = newest
                    .entry((beat.source_cluster_alias, beat.target_cluster_alias))
                    .or_insert(beat.timestamp);
                *at = beat.timestamp.max(*at);
            })
            .await?;
        }
        Ok(newest)
    }

    async fn topics(&self) -> Result<Vec<String>, MirrorClientError> {
        let metadata = self.client.refresh_metadata(Topics::All).await;
        let metadata = metadata.map_err(|source| MirrorClientError::Cluster {
            what: "the list of topics".to_owned(),
            source,
        })?;
        Ok(metadata.topics.keys().map(|topic| topic.to_string()).collect())
    }

    /// Shows key and value of each record of a one-partition topic.
    async fn read(
        &self,
        topic: &str,
        timeout: Duration,
        mut each: impl FnMut(Option<&[u8]>, Option<&[u8]>),
    ) -> Result<(), MirrorClientError> {
        let whole = async {
            let mut reader = TopicReader::start(&self.client, &self.consumer, topic).await?;
            while !reader.is_at_end() {
                reader.read(|record| each(record.key, record.value)).await;
            }
            Ok(())
        };
        match tokio::time::timeout(timeout, whole).await {
            Ok(read) => read.map_err(|source| MirrorClientError::Cluster {
                what: topic.to_owned(),
                source,
            }),
            Err(_elapsed) => Err(MirrorClientError::TimedOut {
                topic: topic.to_owned(),
                timeout,
            }),
        }
    }
}
