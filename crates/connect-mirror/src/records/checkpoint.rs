use std::fmt;

use bytes::Bytes;
use kafka_wire::TopicPartition;

use super::codec::{DecodeError, EncodeError, Reader, Writer};

/// How far a consumer group has come in a partition, in offsets of the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The group.
    pub group: String,
    /// The partition, by its name on the target.
    pub topic_partition: TopicPartition,
    /// The offset that the group committed on the source.
    pub upstream_offset: i64,
    /// The offset on the target from which it may go on.
    pub downstream_offset: i64,
    /// What the group committed along with its offset.
    pub metadata: String,
}

impl Checkpoint {
    /// The key of its record.
    pub fn key(&self) -> Result<Bytes, EncodeError> {
        let writer = Writer::default()
            .string("group", &self.group)?
            .string("topic", &self.topic_partition.topic)?;
        Ok(writer.int32(self.topic_partition.partition).into_bytes())
    }

    /// The value of its record.
    pub fn value(&self) -> Result<Bytes, EncodeError> {
        let writer = Writer::default()
            .int16(0)
            .int64(self.upstream_offset)
            .int64(self.downstream_offset);
        Ok(writer.string("metadata", &self.metadata)?.into_bytes())
    }

    /// Reads a record.
    pub fn decode(key: Option<&[u8]>, value: Option<&[u8]>) -> Result<Self, DecodeError> {
        let mut value = Reader::new("value", value)?;
        value.int16("version")?;
        let upstream_offset = value.int64("upstreamOffset")?;
        let downstream_offset = value.int64("offset")?;
        let metadata = value.string("metadata")?;
        let mut key = Reader::new("key", key)?;
        let group = key.string("group")?;
        let topic = key.string("topic")?;
        let topic_partition = TopicPartition::new(topic, key.int32("partition")?);
        Ok(Self {
            group,
            topic_partition,
            upstream_offset,
            downstream_offset,
            metadata,
        })
    }
}

/// As Kafka's `CheckpointFormatter` prints it.
impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Checkpoint{{consumerGroupId={}, topicPartition={}, upstreamOffset={}, downstreamOffset={}, metadata={}}}",
            self.group, self.topic_partition, self.upstream_offset, self.downstream_offset, self.metadata
        )
    }
}
