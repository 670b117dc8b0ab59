//! OffsetForLeaderEpoch: where an epoch of a leader ended, to find out whether a log was truncated.

use kafka_protocol::messages::offset_for_leader_epoch_request::{OffsetForLeaderPartition, OffsetForLeaderTopic};
use kafka_protocol::messages::{BrokerId, OffsetForLeaderEpochRequest};
use kafka_wire::TopicPartition;

use super::{Admin, PerItem, group_by_topic, outcome, topic_name};
use crate::client::Client;
use crate::error::Error;
use crate::pool::Role;

/// From this version on the request says who asks; -1 is a consumer.
const REPLICA_ID_SINCE: i16 = 3;

/// The end of a leader epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpochEndOffset {
    /// The epoch, or the highest one below it that the leader knows; -1: none.
    pub leader_epoch: i32,
    /// The offset after its last record; -1: not known.
    pub end_offset: i64,
}

impl Admin {
    /// Asks where leader epochs ended.
    pub async fn offset_for_leader_epoch(
        &self,
        epochs: Vec<(TopicPartition, i32)>,
    ) -> Result<PerItem<TopicPartition, EpochEndOffset>, Error> {
        let ask = |leader, items| ends_of_epochs(&self.client, leader, items);
        self.settle_at_leaders("finding the end of leader epochs", epochs, ask)
            .await
    }
}

/// Asks one leader where epochs of its partitions ended.
pub(crate) async fn ends_of_epochs(
    client: &Client,
    leader: i32,
    items: Vec<(TopicPartition, i32)>,
) -> Result<Vec<(TopicPartition, Result<EpochEndOffset, Error>)>, Error> {
    let connection = client.connection(leader, Role::General).await?;
    let version = connection.version::<OffsetForLeaderEpochRequest>()?;
    let topics = group_by_topic(items).into_iter().map(|(topic, partitions)| {
        let partition = |(number, epoch): (i32, i32)| {
            OffsetForLeaderPartition::default()
                .with_partition(number)
                .with_current_leader_epoch(-1)
                .with_leader_epoch(epoch)
        };
        OffsetForLeaderTopic::default()
            .with_topic(topic_name(&topic))
            .with_partitions(partitions.into_iter().map(partition).collect())
    });
    let mut request = OffsetForLeaderEpochRequest::default().with_topics(topics.collect());
    if version >= REPLICA_ID_SINCE {
        request = request.with_replica_id(BrokerId(-1));
    }
    let response = connection
        .call(version, request, client.config().request_timeout)
        .await?;
    let mut results = Vec::new();
    for topic in &response.topics {
        for found in &topic.partitions {
            let partition = TopicPartition::new(topic.topic.0.as_str(), found.partition);
            let end = EpochEndOffset {
                leader_epoch: found.leader_epoch,
                end_offset: found.end_offset,
            };
            let what = || format!("finding the end of a leader epoch of {partition}");
            let outcome = outcome(found.error_code, None, what, end);
            results.push((partition, outcome));
        }
    }
    Ok(results)
}
