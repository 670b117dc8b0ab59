//! Fills a new batch record by record.

use crate::compression::Compression;
use crate::headers::put_header;
use crate::outgoing::{Filled, OutgoingBatch};
use crate::record::Record;
use crate::record_batch::at;
use crate::varint::{length, put_length, put_varint, put_varlong, varlong_len};

/// A batch being filled. Records get the offsets 0, 1, 2 …, wherever they come from.
#[derive(Clone, Debug)]
pub struct BatchBuilder {
    compression: Compression,
    payload: Vec<u8>,
    header_scratch: Vec<u8>,
    record_count: i32,
    base_timestamp: i64,
    max_timestamp: i64,
}

impl BatchBuilder {
    /// An empty batch that will be compressed when it is built.
    pub fn new(compression: Compression) -> Self {
        Self {
            compression,
            payload: Vec::new(),
            header_scratch: Vec::new(),
            record_count: 0,
            base_timestamp: -1,
            max_timestamp: -1,
        }
    }

    /// Adds a record.
    pub fn push<'h>(
        &mut self,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: impl IntoIterator<Item = (&'h [u8], Option<&'h [u8]>)>,
    ) {
        let mut scratch = std::mem::take(&mut self.header_scratch);
        scratch.clear();
        let mut header_count = 0;
        for (key, value) in headers {
            put_header(&mut scratch, key, value);
            header_count += 1;
        }
        let body_len = varlong_len(length(key))
            + key.map_or(0, <[u8]>::len)
            + varlong_len(length(value))
            + value.map_or(0, <[u8]>::len)
            + varlong_len(header_count)
            + scratch.len();
        self.put_record_start(0, timestamp, body_len);
        put_length(&mut self.payload, key);
        self.payload.extend_from_slice(key.unwrap_or_default());
        put_length(&mut self.payload, value);
        self.payload.extend_from_slice(value.unwrap_or_default());
        put_varlong(&mut self.payload, header_count);
        self.payload.extend_from_slice(&scratch);
        self.header_scratch = scratch;
    }

    /// Adds a record that was read elsewhere; its offset is not kept.
    pub fn push_record(&mut self, record: &Record<'_>) {
        self.push(record.timestamp, record.key, record.value, record.headers);
    }

    /// Adds a record whose key, value and headers are already encoded, as in another batch.
    pub(crate) fn push_encoded(&mut self, attributes: u8, timestamp: i64, body: &[u8]) {
        self.put_record_start(attributes, timestamp, body.len());
        self.payload.extend_from_slice(body);
    }

    /// How many records were added.
    pub fn record_count(&self) -> i32 {
        self.record_count
    }

    /// Whether none was.
    pub fn is_empty(&self) -> bool {
        self.record_count == 0
    }

    /// The size of the batch before compression.
    pub fn estimated_size(&self) -> usize {
        at::RECORDS + self.payload.len()
    }

    /// Compresses and closes the batch. An empty one is well formed but no broker takes it.
    pub fn build(self) -> OutgoingBatch {
        let filled = Filled {
            compression: self.compression,
            record_count: self.record_count,
            base_timestamp: self.base_timestamp,
            max_timestamp: self.max_timestamp,
        };
        OutgoingBatch::from_payload(filled, self.compression.compress(self.payload.into()))
    }

    /// Writes what comes before the key.
    fn put_record_start(&mut self, attributes: u8, timestamp: i64, body_len: usize) {
        if self.record_count == 0 {
            self.base_timestamp = timestamp;
            self.max_timestamp = timestamp;
        }
        self.max_timestamp = self.max_timestamp.max(timestamp);
        // Readers add with wrap-around too, so even timestamps at both ends of i64 survive.
        let timestamp_delta = timestamp.wrapping_sub(self.base_timestamp);
        let record_len = 1 + varlong_len(timestamp_delta) + varlong_len(i64::from(self.record_count)) + body_len;
        self.payload.reserve(record_len + 5);
        put_varlong(&mut self.payload, record_len as i64);
        self.payload.push(attributes);
        put_varlong(&mut self.payload, timestamp_delta);
        put_varint(&mut self.payload, self.record_count);
        self.record_count += 1;
    }
}
