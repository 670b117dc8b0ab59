//! What Kafka's log cleaner does: only the last record of every key stays, offsets and batches stay where they are.

use std::collections::HashMap;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_wire::{Error, INFLATE_CAP_BYTES, Record, RecordBatch};

use super::{ATTRIBUTES_AT, Log, write_crc};

const HEADER_BYTES: usize = 61;
const COMPRESSION_BITS: u8 = 0x07;
const RECORD_COUNT_AT: usize = 57;
impl Log {
    /// Removes every record whose key comes again later. A batch that lost records keeps its first and last offset,
    /// loses its compression, and is gone when nothing is left in it; the very last batch always stays.
    ///
    /// Left out: tombstones and markers stay for good, there is no active segment that would be spared.
    pub(crate) fn compact(&mut self) -> Result<(), Error> {
        let mut last_of_key: HashMap<Vec<u8>, i64> = HashMap::new();
        for batch in self.batches.iter().filter(|batch| !batch.is_control()) {
            for record in &batch.records(INFLATE_CAP_BYTES)? {
                let record = record?;
                if let Some(key) = record.key {
                    last_of_key.insert(key.to_vec(), record.offset);
                }
            }
        }
        let end = self.end_offset;
        let mut kept = Vec::with_capacity(self.batches.len());
        for batch in &self.batches {
            let is_last = batch.last_offset() + 1 == end;
            kept.extend(compacted(batch, &last_of_key, is_last)?);
        }
        self.size_bytes = kept.iter().map(RecordBatch::size_bytes).sum();
        self.batches = kept.into();
        Ok(())
    }
}

fn compacted(
    batch: &RecordBatch,
    last_of_key: &HashMap<Vec<u8>, i64>,
    keep_empty: bool,
) -> Result<Option<RecordBatch>, Error> {
    if batch.is_control() {
        return Ok(Some(batch.clone()));
    }
    let records = batch.records(INFLATE_CAP_BYTES)?;
    let mut payload = BytesMut::new();
    let mut count = 0;
    for record in &records {
        let record = record?;
        let stays = record
            .key
            .is_some_and(|key| last_of_key.get(key) == Some(&record.offset));
        if stays {
            put_record(&mut payload, batch, &record);
            count += 1;
        }
    }
    if count == batch.record_count() {
        return Ok(Some(batch.clone()));
    }
    if count == 0 && !keep_empty {
        return Ok(None);
    }
    RecordBatch::parse(with_payload(batch, &payload, count)).map(Some)
}

fn with_payload(batch: &RecordBatch, payload: &[u8], count: i32) -> Bytes {
    let mut bytes = BytesMut::with_capacity(HEADER_BYTES + payload.len());
    bytes.put_slice(&batch.as_bytes()[..HEADER_BYTES]);
    bytes.put_slice(payload);
    let length = (bytes.len() - 12) as i32;
    bytes[8..12].copy_from_slice(&length.to_be_bytes());
    bytes[ATTRIBUTES_AT + 1] &= !COMPRESSION_BITS;
    bytes[RECORD_COUNT_AT..HEADER_BYTES].copy_from_slice(&count.to_be_bytes());
    write_crc(&mut bytes);
    bytes.freeze()
}

fn put_record(out: &mut BytesMut, batch: &RecordBatch, record: &Record<'_>) {
    let mut body = BytesMut::new();
    body.put_u8(0);
    // Where the broker sets the time, the deltas do not count.
    put_varint(&mut body, record.timestamp - batch.base_timestamp());
    put_varint(&mut body, record.offset - batch.base_offset());
    put_field(&mut body, record.key);
    put_field(&mut body, record.value);
    put_varint(&mut body, record.headers.len() as i64);
    for (key, value) in record.headers {
        put_field(&mut body, Some(key));
        put_field(&mut body, value);
    }
    put_varint(out, body.len() as i64);
    out.put_slice(&body);
}

fn put_field(out: &mut BytesMut, field: Option<&[u8]>) {
    match field {
        Some(field) => {
            put_varint(out, field.len() as i64);
            out.put_slice(field);
        }
        None => put_varint(out, -1),
    }
}

/// Zigzag, then seven bits at a time, as in protocol buffers.
fn put_varint(out: &mut BytesMut, value: i64) {
    let mut left = ((value << 1) ^ (value >> 63)) as u64;
    while left >= 0x80 {
        out.put_u8(left as u8 | 0x80);
        left >>= 7;
    }
    out.put_u8(left as u8);
}
