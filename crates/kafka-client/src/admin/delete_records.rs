//! DeleteRecords.

use kafka_protocol::messages::DeleteRecordsRequest;
use kafka_protocol::messages::delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic};
use kafka_wire::TopicPartition;

use super::{Admin, PerItem, group_by_topic, outcome, topic_name};
use crate::error::Error;

impl Admin {
    /// Deletes the records below an offset of each partition (-1: all); gives the new start of the log.
    pub async fn delete_records(
        &self,
        before: Vec<(TopicPartition, i64)>,
    ) -> Result<PerItem<TopicPartition, i64>, Error> {
        let ask = |leader, items| self.delete_records_at(leader, items);
        self.settle_at_leaders("deleting records", before, ask).await
    }

    async fn delete_records_at(
        &self,
        leader: i32,
        items: Vec<(TopicPartition, i64)>,
    ) -> Result<Vec<(TopicPartition, Result<i64, Error>)>, Error> {
        let topics = group_by_topic(items).into_iter().map(|(topic, partitions)| {
            let partition = |(number, offset): (i32, i64)| {
                DeleteRecordsPartition::default()
                    .with_partition_index(number)
                    .with_offset(offset)
            };
            DeleteRecordsTopic::default()
                .with_name(topic_name(&topic))
                .with_partitions(partitions.into_iter().map(partition).collect())
        });
        let request = DeleteRecordsRequest::default()
            .with_topics(topics.collect())
            .with_timeout_ms(self.request_timeout_ms());
        let response = self.client.call_node(leader, request).await?;
        let mut results = Vec::new();
        for topic in &response.topics {
            for deleted in &topic.partitions {
                let partition = TopicPartition::new(topic.name.0.as_str(), deleted.partition_index);
                let what = || format!("deleting records of {partition}");
                let outcome = outcome(deleted.error_code, None, what, deleted.low_watermark);
                results.push((partition, outcome));
            }
        }
        Ok(results)
    }
}
