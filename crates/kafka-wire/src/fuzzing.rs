//! What must hold for any bytes at all. The fuzz targets and the property tests run the same bodies.
//!
//! Not part of the crate's interface.

use bytes::Bytes;

use crate::outgoing::Filled;
use crate::shape::{self, Shape};
use crate::{BatchBuilder, BatchIter, Compression, Entry, Error, OutgoingBatch, RecordBatch, Records, merge, split};

/// Small, so that a test can hold an allocation against it.
const CAP_BYTES: usize = 1 << 20;

/// Any bytes as what a fetch response holds for a partition.
pub fn fetched(data: &[u8]) {
    let bytes = Bytes::copy_from_slice(data);
    let mut entries = BatchIter::new(bytes);
    let mut read_bytes = 0;
    while let Some(Ok(entry)) = entries.next() {
        read_bytes += entry.size_bytes();
        let rebuilt = entry.records(CAP_BYTES).and_then(|records| rebuild(&records));
        match &entry {
            Entry::Batch(batch) => pass(batch, rebuilt.is_ok()),
            Entry::Legacy(messages) => drop(messages.verify()),
        }
    }
    assert!(read_bytes + entries.rest().len() <= data.len());
    assert!(entries.next().is_none());
}

/// Any bytes as the plain payload of a batch that claims to hold `count` records.
pub fn payload(count: u8, data: &[u8]) {
    let filled = Filled {
        compression: Compression::None,
        record_count: i32::from(count),
        base_timestamp: i64::MAX,
        max_timestamp: i64::MIN,
    };
    let batch = OutgoingBatch::from_payload(filled, Bytes::copy_from_slice(data));
    let rebuilt = batch.records(CAP_BYTES).and_then(|records| rebuild(&records));
    let merged = merge(&[batch.clone(), batch.clone(), batch.clone()], CAP_BYTES);
    let pieces = split(&batch, 100);
    let Ok(rebuilt) = rebuilt else { return };
    assert_eq!(rebuilt.record_count(), i32::from(count));
    let (merged, merged_count) = merged.expect("records that can be read can be merged");
    assert_eq!(merged.record_count(), i32::from(count) * merged_count as i32);
    let pieces = pieces.expect("records that can be read can be split");
    assert_eq!(
        pieces.iter().map(OutgoingBatch::record_count).sum::<i32>(),
        i32::from(count)
    );
    for batch in pieces.iter().chain([&merged]) {
        let batch = RecordBatch::parse(batch.to_bytes()).expect("what we send is well formed");
        batch.verify().expect("what we send has a valid crc");
        batch
            .records(CAP_BYTES)
            .and_then(|records| rebuild(&records))
            .expect("what we send can be read");
    }
}

/// Any bytes as a compressed payload.
pub fn inflate(codec: Compression, data: &[u8]) {
    let Ok(plain) = codec.decompress(&Bytes::copy_from_slice(data), CAP_BYTES) else {
        return;
    };
    assert!(codec == Compression::None || plain.len() <= CAP_BYTES);
}

/// Any bytes through a codec and back.
pub fn deflate(codec: Compression, data: &[u8]) {
    let data = Bytes::copy_from_slice(data);
    let compressed = codec.compress(data.clone());
    let plain = codec
        .decompress(&compressed, data.len())
        .expect("what we compress inflates");
    assert_eq!(plain, data);
}

/// Any bytes as a message; the first three say which, in which version.
pub fn message(data: &[u8]) {
    let [key, version, side, body @ ..] = data else { return };
    let shape = match side % 5 {
        0 => Shape::Request(i16::from(*key)),
        1 => Shape::Response(i16::from(*key)),
        2 => Shape::RequestHeader,
        3 => Shape::ConsumerProtocolSubscription,
        _ => Shape::ConsumerProtocolAssignment,
    };
    if let Ok(taken) = shape::check(shape, i16::from(*version), body) {
        assert!(taken <= body.len());
        // A byte less, and it is cut off; unless it takes none.
        assert!(taken == 0 || shape::check(shape, i16::from(*version), &body[..taken - 1]).is_err());
    }
}

/// Reads all records and writes them anew.
fn rebuild(records: &Records) -> Result<OutgoingBatch, Error> {
    let mut builder = BatchBuilder::new(Compression::None);
    for record in records {
        let record = record?;
        assert_eq!(record.headers.count(), record.headers.len());
        builder.push_record(&record);
    }
    Ok(builder.build())
}

/// A new header must leave a batch that was whole whole.
fn pass(batch: &RecordBatch, readable: bool) {
    let payload_crc = crate::PayloadCrc::of(&batch.payload());
    assert_eq!(
        batch.verify().is_ok(),
        batch.verify().is_ok_and(|crc| crc == payload_crc)
    );
    let mut outgoing = batch.pass_through(payload_crc);
    outgoing.set_producer(i64::MAX, i16::MAX, i32::MAX);
    outgoing.set_transactional(true);
    let sent = RecordBatch::parse(outgoing.to_bytes()).expect("a new header keeps the length");
    sent.verify().expect("a new header has a valid crc");
    assert_eq!(
        sent.records(CAP_BYTES).and_then(|records| rebuild(&records)).is_ok(),
        readable
    );
    let pieces = split(&outgoing, 200);
    let merged = merge(&[outgoing.clone(), outgoing], CAP_BYTES);
    if readable && batch.can_pass_through() {
        let pieces = pieces.expect("a readable batch can be split");
        assert_eq!(
            pieces.iter().map(OutgoingBatch::record_count).sum::<i32>(),
            batch.record_count()
        );
        merged.expect("a readable batch can be merged");
    }
}
