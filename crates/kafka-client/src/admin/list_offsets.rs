//! ListOffsets.

use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::{BrokerId, ListOffsetsRequest};
use kafka_wire::TopicPartition;

use super::{Admin, PerItem, group_by_topic, outcome, topic_name};
use crate::config::IsolationLevel;
use crate::error::Error;
use crate::pool::Role;

/// From this version on a broker can say which record has the highest timestamp.
const MAX_TIMESTAMP_SINCE: i16 = 7;
/// From this version on the request names how long tiered storage may take.
const TIMEOUT_SINCE: i16 = 10;

/// Which offset is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffsetSpec {
    /// The oldest record.
    Earliest,
    /// The end: the high watermark, or the last stable offset for `read_committed`.
    Latest,
    /// The first record that is not older than this, in milliseconds since 1970.
    Timestamp(i64),
    /// The record with the highest timestamp.
    MaxTimestamp,
}

impl OffsetSpec {
    const fn timestamp(self) -> i64 {
        match self {
            Self::Latest => -1,
            Self::Earliest => -2,
            Self::MaxTimestamp => -3,
            Self::Timestamp(ms) => ms,
        }
    }
}

/// An offset that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OffsetInfo {
    /// The offset; -1 when no record fits.
    pub offset: i64,
    /// The timestamp of its record; -1 for the ends of the log.
    pub timestamp: i64,
    /// The leader epoch of its record; -1 when not told.
    pub leader_epoch: i32,
}

impl Admin {
    /// Finds offsets, asking each leader once for all its partitions.
    pub async fn list_offsets(
        &self,
        partitions: Vec<(TopicPartition, OffsetSpec)>,
        isolation_level: IsolationLevel,
    ) -> Result<PerItem<TopicPartition, OffsetInfo>, Error> {
        let ask = |leader, items| self.list_offsets_at(leader, items, isolation_level);
        self.settle_at_leaders("listing offsets", partitions, ask).await
    }

    async fn list_offsets_at(
        &self,
        leader: i32,
        items: Vec<(TopicPartition, OffsetSpec)>,
        isolation_level: IsolationLevel,
    ) -> Result<Vec<(TopicPartition, Result<OffsetInfo, Error>)>, Error> {
        let connection = self.client.connection(leader, Role::General).await?;
        let version = connection.version::<ListOffsetsRequest>()?;
        if items.iter().any(|(_, spec)| *spec == OffsetSpec::MaxTimestamp) {
            connection.require::<ListOffsetsRequest>(MAX_TIMESTAMP_SINCE)?;
        }
        let topics = group_by_topic(items).into_iter().map(|(topic, partitions)| {
            let partition = |(number, spec): (i32, OffsetSpec)| {
                ListOffsetsPartition::default()
                    .with_partition_index(number)
                    .with_timestamp(spec.timestamp())
            };
            ListOffsetsTopic::default()
                .with_name(topic_name(&topic))
                .with_partitions(partitions.into_iter().map(partition).collect())
        });
        let mut request = ListOffsetsRequest::default()
            .with_replica_id(BrokerId(-1))
            .with_isolation_level(isolation_level.code())
            .with_topics(topics.collect());
        if version >= TIMEOUT_SINCE {
            request = request.with_timeout_ms(self.request_timeout_ms());
        }
        let response = connection.call(version, request, self.request_timeout()).await?;
        let mut results = Vec::new();
        for topic in &response.topics {
            for found in &topic.partitions {
                let partition = TopicPartition::new(topic.name.0.as_str(), found.partition_index);
                let info = OffsetInfo {
                    offset: found.offset,
                    timestamp: found.timestamp,
                    leader_epoch: found.leader_epoch,
                };
                let what = || format!("listing offsets of {partition}");
                let outcome = outcome(found.error_code, None, what, info);
                results.push((partition, outcome));
            }
        }
        Ok(results)
    }
}
