//! OffsetFetch, OffsetCommit and OffsetDelete, from outside the group (`alterConsumerGroupOffsets`).

use std::collections::HashMap;

use kafka_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kafka_protocol::messages::offset_delete_request::{OffsetDeleteRequestPartition, OffsetDeleteRequestTopic};
use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use kafka_protocol::messages::{GroupId, OffsetCommitRequest, OffsetDeleteRequest, OffsetFetchRequest, TopicName};
use kafka_protocol::protocol::StrBytes;
use kafka_wire::TopicPartition;

use super::{Admin, Asked, PerItem, group_by_topic, outcome, text, topic_name};
use crate::connection::Connection;
use crate::error::Error;

/// From this version on OffsetFetch is about several groups.
pub(super) const SEVERAL_GROUPS_SINCE: i16 = 8;
/// From this version on OffsetFetch can wait for open transactions to end.
pub(super) const REQUIRE_STABLE_SINCE: i16 = 7;
/// Later versions name topics by id.
pub(super) const LAST_VERSION_BY_NAME: i16 = 9;
/// From outside a group there is no generation.
const NO_GENERATION: i32 = -1;

/// A committed offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetAndMetadata {
    /// The next offset to be read.
    pub offset: i64,
    /// The leader epoch of the last record read; -1: not known.
    pub leader_epoch: i32,
    /// What the committer noted.
    pub metadata: String,
}

impl OffsetAndMetadata {
    /// An offset with nothing noted.
    pub fn new(offset: i64) -> Self {
        Self {
            offset,
            leader_epoch: -1,
            metadata: String::new(),
        }
    }
}

impl Admin {
    /// What a group has committed: for these partitions, or for all. Partitions without an offset are left out.
    pub async fn list_group_offsets(
        &self,
        group_id: &str,
        partitions: Option<&[TopicPartition]>,
    ) -> Result<HashMap<TopicPartition, OffsetAndMetadata>, Error> {
        let what = format!("fetching offsets of group {group_id}");
        self.retry(&what, || self.list_group_offsets_once(group_id, partitions))
            .await
    }

    pub(super) async fn list_group_offsets_once(
        &self,
        group_id: &str,
        partitions: Option<&[TopicPartition]>,
    ) -> Result<HashMap<TopicPartition, OffsetAndMetadata>, Error> {
        let connection = self.coordinator_of(group_id).await?;
        let version = connection.version_up_to::<OffsetFetchRequest>(LAST_VERSION_BY_NAME)?;
        let request = fetch_request(group_id, partitions, version);
        let response = connection.call(version, request, self.request_timeout()).await?;
        let mut offsets = HashMap::new();
        let mut take = |topic: &TopicName, partition, code, offset, leader_epoch, metadata: Option<&StrBytes>| {
            let partition = TopicPartition::new(topic.0.as_str(), partition);
            outcome(
                code,
                None,
                || format!("fetching the offset of group {group_id} in {partition}"),
                (),
            )?;
            if offset >= 0 {
                let metadata = metadata.map(ToString::to_string).unwrap_or_default();
                offsets.insert(
                    partition,
                    OffsetAndMetadata {
                        offset,
                        leader_epoch,
                        metadata,
                    },
                );
            }
            Ok::<(), Error>(())
        };
        let code = match response.groups.first() {
            Some(group) => group.error_code,
            None => response.error_code,
        };
        outcome(code, None, || format!("fetching offsets of group {group_id}"), ())?;
        for topic in &response.topics {
            for p in &topic.partitions {
                let metadata = p.metadata.as_ref();
                take(
                    &topic.name,
                    p.partition_index,
                    p.error_code,
                    p.committed_offset,
                    p.committed_leader_epoch,
                    metadata,
                )?;
            }
        }
        for topic in response.groups.iter().flat_map(|group| &group.topics) {
            for p in &topic.partitions {
                let metadata = p.metadata.as_ref();
                take(
                    &topic.name,
                    p.partition_index,
                    p.error_code,
                    p.committed_offset,
                    p.committed_leader_epoch,
                    metadata,
                )?;
            }
        }
        Ok(offsets)
    }

    /// Sets offsets of a group that has no members (`UNKNOWN_MEMBER_ID` says that it has).
    pub async fn alter_group_offsets(
        &self,
        group_id: &str,
        offsets: Vec<(TopicPartition, OffsetAndMetadata)>,
    ) -> Result<PerItem<TopicPartition, ()>, Error> {
        let attempt = |items| self.commit_offsets_once(group_id, items);
        self.settle("committing offsets", Asked::Coordinator, offsets, attempt)
            .await
    }

    async fn commit_offsets_once(
        &self,
        group_id: &str,
        items: Vec<(TopicPartition, OffsetAndMetadata)>,
    ) -> Result<Vec<(TopicPartition, Result<(), Error>)>, Error> {
        let connection = self.coordinator_of(group_id).await?;
        self.commit_offsets_on(&connection, group_id, items).await
    }

    pub(super) async fn commit_offsets_on(
        &self,
        connection: &Connection,
        group_id: &str,
        items: Vec<(TopicPartition, OffsetAndMetadata)>,
    ) -> Result<Vec<(TopicPartition, Result<(), Error>)>, Error> {
        let version = connection.version_up_to::<OffsetCommitRequest>(LAST_VERSION_BY_NAME)?;
        let topics = group_by_topic(items).into_iter().map(|(topic, partitions)| {
            let partition = |(number, offset): (i32, OffsetAndMetadata)| {
                OffsetCommitRequestPartition::default()
                    .with_partition_index(number)
                    .with_committed_offset(offset.offset)
                    .with_committed_leader_epoch(offset.leader_epoch)
                    .with_committed_metadata(Some(text(&offset.metadata)))
            };
            OffsetCommitRequestTopic::default()
                .with_name(topic_name(&topic))
                .with_partitions(partitions.into_iter().map(partition).collect())
        });
        let request = OffsetCommitRequest::default()
            .with_group_id(GroupId(text(group_id)))
            .with_generation_id_or_member_epoch(NO_GENERATION)
            .with_topics(topics.collect());
        let response = connection.call(version, request, self.request_timeout()).await?;
        let mut results = Vec::new();
        for topic in &response.topics {
            for p in &topic.partitions {
                let partition = TopicPartition::new(topic.name.0.as_str(), p.partition_index);
                let what = || format!("committing the offset of group {group_id} in {partition}");
                let outcome = outcome(p.error_code, None, what, ());
                results.push((partition, outcome));
            }
        }
        Ok(results)
    }

    /// Forgets offsets of a group that does not read these topics.
    pub async fn delete_group_offsets(
        &self,
        group_id: &str,
        partitions: Vec<TopicPartition>,
    ) -> Result<PerItem<TopicPartition, ()>, Error> {
        let items = partitions.into_iter().map(|partition| (partition, ())).collect();
        let attempt = |items| self.delete_offsets_once(group_id, items);
        self.settle("deleting offsets", Asked::Coordinator, items, attempt)
            .await
    }

    async fn delete_offsets_once(
        &self,
        group_id: &str,
        items: Vec<(TopicPartition, ())>,
    ) -> Result<Vec<(TopicPartition, Result<(), Error>)>, Error> {
        let connection = self.coordinator_of(group_id).await?;
        let topics = group_by_topic(items).into_iter().map(|(topic, partitions)| {
            let partition = |(number, ())| OffsetDeleteRequestPartition::default().with_partition_index(number);
            OffsetDeleteRequestTopic::default()
                .with_name(topic_name(&topic))
                .with_partitions(partitions.into_iter().map(partition).collect())
        });
        let request = OffsetDeleteRequest::default()
            .with_group_id(GroupId(text(group_id)))
            .with_topics(topics.collect());
        let response = self.client.call_on(&connection, request).await?;
        outcome(
            response.error_code,
            None,
            || format!("deleting offsets of group {group_id}"),
            (),
        )?;
        let mut results = Vec::new();
        for topic in &response.topics {
            for p in &topic.partitions {
                let partition = TopicPartition::new(topic.name.0.as_str(), p.partition_index);
                let what = || format!("deleting the offset of group {group_id} in {partition}");
                let outcome = outcome(p.error_code, None, what, ());
                results.push((partition, outcome));
            }
        }
        Ok(results)
    }
}

fn fetch_request(group_id: &str, partitions: Option<&[TopicPartition]>, version: i16) -> OffsetFetchRequest {
    let by_topic = partitions.map(|partitions| {
        let items = partitions.iter().map(|partition| (partition.clone(), ())).collect();
        let numbers =
            |partitions: Vec<(i32, ())>| partitions.into_iter().map(|(number, ())| number).collect::<Vec<_>>();
        group_by_topic(items)
            .into_iter()
            .map(|(topic, partitions)| (topic_name(&topic), numbers(partitions)))
            .collect::<Vec<_>>()
    });
    let mut request = OffsetFetchRequest::default();
    if version >= REQUIRE_STABLE_SINCE {
        request = request.with_require_stable(false);
    }
    let group_id = GroupId(text(group_id));
    if version >= SEVERAL_GROUPS_SINCE {
        let topic = |(name, numbers)| {
            OffsetFetchRequestTopics::default()
                .with_name(name)
                .with_partition_indexes(numbers)
        };
        let topics = by_topic.map(|topics| topics.into_iter().map(topic).collect());
        let group = OffsetFetchRequestGroup::default()
            .with_group_id(group_id)
            .with_topics(topics);
        return request.with_groups(vec![group]);
    }
    let topic = |(name, numbers)| {
        OffsetFetchRequestTopic::default()
            .with_name(name)
            .with_partition_indexes(numbers)
    };
    request
        .with_group_id(group_id)
        .with_topics(by_topic.map(|topics| topics.into_iter().map(topic).collect()))
}
