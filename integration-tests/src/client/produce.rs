use bytes::Bytes;
use kafka_protocol::messages::{
    ProduceRequest, TransactionalId,
    produce_request::{PartitionProduceData, TopicProduceData},
};
use kafka_wire::{BatchBuilder, Compression, OutgoingBatch};

use super::{Error, TestClient, TestRecord, check, topic_name};

impl TestClient {
    /// Writes one batch of these records, and gives the offset of the first.
    pub fn produce(&mut self, topic: &str, partition: i32, compression: Compression, records: &[TestRecord]) -> i64 {
        self.produce_bytes(topic, partition, batch(compression, records).to_bytes())
    }

    /// Writes a batch as it is, whatever it is. Waits for all replicas.
    pub fn produce_bytes(&mut self, topic: &str, partition: i32, batch: Bytes) -> i64 {
        self.persist("produce", |client| {
            client.try_produce(topic, partition, batch.clone(), None)
        })
    }

    pub(super) fn try_produce(
        &mut self,
        topic: &str,
        partition: i32,
        batch: Bytes,
        transactional_id: Option<TransactionalId>,
    ) -> Result<i64, Error> {
        let data = PartitionProduceData::default()
            .with_index(partition)
            .with_records(Some(batch));
        let data = TopicProduceData::default()
            .with_name(topic_name(topic))
            .with_partition_data(vec![data]);
        let request = ProduceRequest::default()
            .with_transactional_id(transactional_id)
            .with_acks(-1)
            .with_timeout_ms(30_000)
            .with_topic_data(vec![data]);
        let leader = self.leader(topic, partition)?;
        let response = self.call(&leader, 8, &request)?;
        let answer = response
            .responses
            .iter()
            .flat_map(|topic| &topic.partition_responses)
            .next();
        let answer = answer.ok_or_else(|| Error::Nonsense(format!("no word on {topic}-{partition}")))?;
        check(answer.error_code, || {
            format!("produce to {topic}-{partition}: {:?}", answer.error_message)
        })?;
        Ok(answer.base_offset)
    }
}

/// The records as one batch.
pub(super) fn batch(compression: Compression, records: &[TestRecord]) -> OutgoingBatch {
    let mut builder = BatchBuilder::new(compression);
    for record in records {
        let headers = record
            .headers
            .iter()
            .map(|(key, value)| (key.as_slice(), value.as_deref()));
        builder.push(
            record.timestamp,
            record.key.as_deref(),
            record.value.as_deref(),
            headers,
        );
    }
    builder.build()
}
