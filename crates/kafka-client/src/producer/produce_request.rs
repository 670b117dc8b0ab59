//! A Produce request as segments: small pieces of framing between the batches, which are written as they are.
//!
//! The protocol crate would copy every payload once more. Versions 3 to 12; version 13 names topics by id, which costs
//! a lookup and brings nothing here.

use bytes::{BufMut, Bytes, BytesMut};
use kafka_wire::{OutgoingBatch, TopicPartition};

/// The newest version that [`encode`] writes.
pub(super) const MAX_VERSION: i16 = 12;
/// The newest version that does not itself add partitions to transactions.
pub(super) const MAX_TRANSACTIONAL_VERSION: i16 = 11;

/// The body of a Produce request with one batch per partition, as segments to be written one after the other.
///
/// `entries` must be grouped by topic: partitions of one topic side by side.
pub(super) fn encode<'a>(
    version: i16,
    transactional_id: Option<&str>,
    acks: i16,
    timeout_ms: i32,
    entries: impl ExactSizeIterator<Item = (&'a TopicPartition, &'a OutgoingBatch)> + Clone,
) -> Vec<Bytes> {
    let flexible = version >= 9;
    let mut segments = Vec::with_capacity(entries.len() * 3 + 1);
    let mut framing = BytesMut::with_capacity(64 * (entries.len() + 1));

    match transactional_id {
        Some(id) => put_string(&mut framing, flexible, id),
        None => put_null_string(&mut framing, flexible),
    }
    framing.put_i16(acks);
    framing.put_i32(timeout_ms);
    put_length(&mut framing, flexible, topic_count(entries.clone()));

    let mut topic: Option<&str> = None;
    for (index, (partition, batch)) in entries.clone().enumerate() {
        if topic != Some(&partition.topic) {
            if topic.is_some() {
                put_tags(&mut framing, flexible);
            }
            topic = Some(&partition.topic);
            put_string(&mut framing, flexible, &partition.topic);
            let same_topic = entries
                .clone()
                .skip(index)
                .take_while(|(other, _)| other.topic == partition.topic)
                .count();
            put_length(&mut framing, flexible, same_topic);
        }
        framing.put_i32(partition.partition);
        put_bytes_length(&mut framing, flexible, batch.size_bytes());
        segments.push(framing.split().freeze());
        segments.push(batch.header());
        segments.push(batch.payload());
        put_tags(&mut framing, flexible);
    }
    if topic.is_some() {
        put_tags(&mut framing, flexible);
    }
    put_tags(&mut framing, flexible);
    if !framing.is_empty() {
        segments.push(framing.freeze());
    }
    segments
}

fn topic_count<'a>(entries: impl Iterator<Item = (&'a TopicPartition, &'a OutgoingBatch)>) -> usize {
    let mut count = 0;
    let mut last: Option<&str> = None;
    for (partition, _) in entries {
        if last != Some(&partition.topic) {
            count += 1;
            last = Some(&partition.topic);
        }
    }
    count
}

fn put_null_string(buffer: &mut BytesMut, flexible: bool) {
    if flexible { buffer.put_u8(0) } else { buffer.put_i16(-1) }
}

fn put_string(buffer: &mut BytesMut, flexible: bool, text: &str) {
    if flexible {
        put_unsigned_varint(buffer, text.len() as u32 + 1);
    } else {
        buffer.put_i16(text.len() as i16);
    }
    buffer.put_slice(text.as_bytes());
}

fn put_length(buffer: &mut BytesMut, flexible: bool, length: usize) {
    if flexible {
        put_unsigned_varint(buffer, length as u32 + 1)
    } else {
        buffer.put_i32(length as i32)
    }
}

fn put_bytes_length(buffer: &mut BytesMut, flexible: bool, length: usize) {
    put_length(buffer, flexible, length);
}

fn put_tags(buffer: &mut BytesMut, flexible: bool) {
    if flexible {
        buffer.put_u8(0);
    }
}

fn put_unsigned_varint(buffer: &mut BytesMut, mut value: u32) {
    while value >= 0x80 {
        buffer.put_u8(value as u8 | 0x80);
        value >>= 7;
    }
    buffer.put_u8(value as u8);
}

#[cfg(test)]
mod tests {
    use kafka_protocol::{
        messages::ProduceRequest,
        protocol::{Decodable, Encodable},
    };
    use kafka_wire::{BatchBuilder, Compression};

    use super::*;

    fn batch(value: &[u8]) -> OutgoingBatch {
        let mut builder = BatchBuilder::new(Compression::None);
        builder.push(
            1_000,
            Some(b"k"),
            Some(value),
            std::iter::empty::<(&[u8], Option<&[u8]>)>(),
        );
        builder.build()
    }

    /// The independent encoder reads what we wrote, and writes the same bytes.
    #[test]
    fn every_version_equals_what_the_protocol_crate_writes() {
        let long_topic = "t".repeat(200);
        let entries = [
            (TopicPartition::new("orders", 0), batch(b"a")),
            (TopicPartition::new("orders", 7), batch(&[9; 300])),
            (TopicPartition::new(long_topic.as_str(), 1), batch(b"")),
        ];
        let ids = [None, Some("connect-cluster-a")];
        for (version, id) in (3..=MAX_VERSION).flat_map(|version| ids.map(|id| (version, id))) {
            let segments = encode(
                version,
                id,
                -1,
                30_000,
                entries.iter().map(|(partition, batch)| (partition, batch)),
            );
            let ours: Vec<u8> = segments.iter().flat_map(|segment| segment.iter().copied()).collect();

            let mut bytes = Bytes::from(ours.clone());
            let decoded = ProduceRequest::decode(&mut bytes, version).expect("the protocol crate reads our request");
            assert!(bytes.is_empty(), "version {version} left {} bytes", bytes.len());
            assert_eq!(decoded.transactional_id.as_ref().map(|id| id.0.as_str()), id);
            assert_eq!(decoded.acks, -1);
            assert_eq!(decoded.topic_data.len(), 2);
            assert_eq!(decoded.topic_data[0].partition_data.len(), 2);
            assert_eq!(
                decoded.topic_data[0].partition_data[1].records,
                Some(entries[1].1.to_bytes())
            );

            let mut theirs = BytesMut::new();
            decoded
                .encode(&mut theirs, version)
                .expect("the protocol crate writes it again");
            assert_eq!(ours, theirs.to_vec(), "version {version}");
        }
    }
}
