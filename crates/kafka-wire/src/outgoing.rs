//! A batch on its way to a broker: a header that may still change, and a payload that no longer does.

use std::fmt;

use bytes::{Bytes, BytesMut};

use crate::compression::INFLATE_CAP_BYTES;
use crate::record_batch::{MAGIC_V2, at, bits};
use crate::{Compression, Error, PayloadCrc, RecordBatch, Records};

/// A batch as a producer sends it. Its checksum is right at every moment; cloning shares the payload.
#[derive(Clone, PartialEq, Eq)]
pub struct OutgoingBatch {
    header: [u8; at::RECORDS],
    payload: Bytes,
    payload_crc: PayloadCrc,
    compression: Compression,
}

/// What a builder knows of the batch it has filled.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Filled {
    pub(crate) compression: Compression,
    pub(crate) record_count: i32,
    pub(crate) base_timestamp: i64,
    pub(crate) max_timestamp: i64,
}

impl OutgoingBatch {
    /// The batch of a broker under a header that a producer may send.
    pub(crate) fn from_source(batch: &RecordBatch, payload_crc: PayloadCrc) -> Self {
        let compression = batch.compression().unwrap_or(Compression::None);
        let mut outgoing = Self {
            header: batch.header(),
            payload: batch.payload(),
            payload_crc,
            compression,
        };
        outgoing.put(at::BASE_OFFSET, 0_i64.to_be_bytes());
        outgoing.put(at::PARTITION_LEADER_EPOCH, (-1_i32).to_be_bytes());
        let attributes = batch.attributes() & !(bits::TRANSACTIONAL | bits::DELETE_HORIZON);
        outgoing.put(at::ATTRIBUTES, attributes.to_be_bytes());
        outgoing.set_producer(-1, -1, -1);
        outgoing
    }

    /// A header for a payload that was just written.
    pub(crate) fn from_payload(filled: Filled, payload: Bytes) -> Self {
        let payload_crc = PayloadCrc::of(&payload);
        let compression = filled.compression;
        let mut batch = Self {
            header: [0; at::RECORDS],
            payload,
            payload_crc,
            compression,
        };
        batch.put(at::PARTITION_LEADER_EPOCH, (-1_i32).to_be_bytes());
        batch.put(at::MAGIC, [MAGIC_V2]);
        batch.put(at::ATTRIBUTES, i16::from(compression.to_bits()).to_be_bytes());
        batch.put(at::LAST_OFFSET_DELTA, (filled.record_count - 1).max(0).to_be_bytes());
        batch.put(at::BASE_TIMESTAMP, filled.base_timestamp.to_be_bytes());
        batch.put(at::MAX_TIMESTAMP, filled.max_timestamp.to_be_bytes());
        batch.put(at::RECORD_COUNT, filled.record_count.to_be_bytes());
        batch.put_length();
        batch.set_producer(-1, -1, -1);
        batch
    }

    /// Names the producer and the first record's sequence number.
    pub fn set_producer(&mut self, producer_id: i64, producer_epoch: i16, base_sequence: i32) {
        self.put(at::PRODUCER_ID, producer_id.to_be_bytes());
        self.put(at::PRODUCER_EPOCH, producer_epoch.to_be_bytes());
        self.put(at::BASE_SEQUENCE, base_sequence.to_be_bytes());
        self.repair_crc();
    }

    /// Says whether the batch is part of a transaction.
    pub fn set_transactional(&mut self, transactional: bool) {
        let without = self.attributes() & !bits::TRANSACTIONAL;
        let attributes = without | if transactional { bits::TRANSACTIONAL } else { 0 };
        self.put(at::ATTRIBUTES, attributes.to_be_bytes());
        self.repair_crc();
    }

    /// The same records under another codec.
    pub fn recompress(&self, compression: Compression) -> Result<OutgoingBatch, Error> {
        if compression == self.compression {
            return Ok(self.clone());
        }
        let plain = self.compression.decompress(&self.payload, INFLATE_CAP_BYTES)?;
        let mut batch = self.clone();
        batch.payload = compression.compress(plain);
        batch.payload_crc = PayloadCrc::of(&batch.payload);
        batch.compression = compression;
        let attributes = self.attributes() & !bits::CODEC | i16::from(compression.to_bits());
        batch.put(at::ATTRIBUTES, attributes.to_be_bytes());
        batch.put_length();
        batch.repair_crc();
        Ok(batch)
    }

    /// How many records are in the batch.
    pub fn record_count(&self) -> i32 {
        i32::from_be_bytes(self.get(at::RECORD_COUNT))
    }

    /// Header and payload together: what `max.message.bytes` limits.
    pub fn size_bytes(&self) -> usize {
        at::RECORDS + self.payload.len()
    }

    /// The codec of the payload.
    pub fn compression(&self) -> Compression {
        self.compression
    }

    /// What the records' timestamps count from.
    pub fn base_timestamp(&self) -> i64 {
        i64::from_be_bytes(self.get(at::BASE_TIMESTAMP))
    }

    /// The largest timestamp in the batch.
    pub fn max_timestamp(&self) -> i64 {
        i64::from_be_bytes(self.get(at::MAX_TIMESTAMP))
    }

    /// The checksum that the header holds now.
    pub fn crc(&self) -> u32 {
        u32::from_be_bytes(self.get(at::CRC))
    }

    /// The checksum of the payload alone: the same for the same records wherever they are mirrored to.
    pub fn payload_crc(&self) -> PayloadCrc {
        self.payload_crc
    }

    /// The first 61 bytes.
    pub fn header(&self) -> Bytes {
        Bytes::copy_from_slice(&self.header)
    }

    /// What follows the header.
    pub fn payload(&self) -> Bytes {
        self.payload.clone()
    }

    /// Header and payload in one piece; copies the payload.
    pub fn to_bytes(&self) -> Bytes {
        let mut bytes = BytesMut::with_capacity(self.size_bytes());
        bytes.extend_from_slice(&self.header);
        bytes.extend_from_slice(&self.payload);
        bytes.freeze()
    }

    /// The records, decompressed if need be to no more than `cap_bytes`; offsets count from 0.
    pub fn records(&self, cap_bytes: usize) -> Result<Records, Error> {
        let plain = self.compression.decompress(&self.payload, cap_bytes)?;
        Ok(Records::of_outgoing(self, plain))
    }

    pub(crate) fn attributes(&self) -> i16 {
        i16::from_be_bytes(self.get(at::ATTRIBUTES))
    }

    fn put_length(&mut self) {
        // Whoever fills a batch keeps it to a request, which is itself below 2 GiB.
        let length = i32::try_from(self.size_bytes() - at::LOG_OVERHEAD).expect("a batch is smaller than 2 GiB");
        self.put(at::BATCH_LENGTH, length.to_be_bytes());
    }

    fn repair_crc(&mut self) {
        let crc = self.payload_crc.after(&self.header[at::ATTRIBUTES..]);
        self.put(at::CRC, crc.to_be_bytes());
    }

    fn put<const N: usize>(&mut self, position: usize, field: [u8; N]) {
        self.header[position..position + N].copy_from_slice(&field);
    }

    fn get<const N: usize>(&self, position: usize) -> [u8; N] {
        let mut field = [0; N];
        field.copy_from_slice(&self.header[position..position + N]);
        field
    }
}

impl fmt::Debug for OutgoingBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutgoingBatch")
            .field("records", &self.record_count())
            .field("size_bytes", &self.size_bytes())
            .field("attributes", &format_args!("{:#04x}", self.attributes()))
            .finish_non_exhaustive()
    }
}
