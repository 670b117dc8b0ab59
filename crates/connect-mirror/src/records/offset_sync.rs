use std::fmt;

use bytes::Bytes;
use kafka_wire::TopicPartition;

use super::codec::{DecodeError, EncodeError, Reader, Writer};

/// One point where an offset of the source and one of the target name the same record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffsetSync {
    /// The partition, by its name on the source.
    pub topic_partition: TopicPartition,
    /// Its offset on the source.
    pub upstream_offset: i64,
    /// Its offset on the target.
    pub downstream_offset: i64,
}

impl OffsetSync {
    /// The key of its record.
    pub fn key(&self) -> Result<Bytes, EncodeError> {
        let writer = Writer::default().string("topic", &self.topic_partition.topic)?;
        Ok(writer.int32(self.topic_partition.partition).into_bytes())
    }

    /// The value of its record, which has no version.
    pub fn value(&self) -> Bytes {
        Writer::default()
            .int64(self.upstream_offset)
            .int64(self.downstream_offset)
            .into_bytes()
    }

    /// Reads a record.
    pub fn decode(key: Option<&[u8]>, value: Option<&[u8]>) -> Result<Self, DecodeError> {
        let mut key = Reader::new("key", key)?;
        let topic = key.string("topic")?;
        let topic_partition = TopicPartition::new(topic, key.int32("partition")?);
        let mut value = Reader::new("value", value)?;
        let upstream_offset = value.int64("upstreamOffset")?;
        let downstream_offset = value.int64("offset")?;
        Ok(Self {
            topic_partition,
            upstream_offset,
            downstream_offset,
        })
    }
}

/// As Kafka's `OffsetSyncFormatter` prints it.
impl fmt::Display for OffsetSync {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "OffsetSync{{topicPartition={}, upstreamOffset={}, downstreamOffset={}}}",
            self.topic_partition, self.upstream_offset, self.downstream_offset
        )
    }
}
