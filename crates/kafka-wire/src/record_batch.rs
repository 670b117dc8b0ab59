//! A magic-2 record batch as it came from a broker: the 61 bytes of its header read in place, the payload left alone.

use std::fmt;

use bytes::Bytes;

use crate::record::Records;
use crate::{Compression, Error, OutgoingBatch, PayloadCrc};

/// Where the fields of a batch's header lie.
pub(crate) mod at {
    pub(crate) const BASE_OFFSET: usize = 0;
    pub(crate) const BATCH_LENGTH: usize = 8;
    pub(crate) const PARTITION_LEADER_EPOCH: usize = 12;
    pub(crate) const MAGIC: usize = 16;
    pub(crate) const CRC: usize = 17;
    /// The checksum covers everything from here on.
    pub(crate) const ATTRIBUTES: usize = 21;
    pub(crate) const LAST_OFFSET_DELTA: usize = 23;
    pub(crate) const BASE_TIMESTAMP: usize = 27;
    pub(crate) const MAX_TIMESTAMP: usize = 35;
    pub(crate) const PRODUCER_ID: usize = 43;
    pub(crate) const PRODUCER_EPOCH: usize = 51;
    pub(crate) const BASE_SEQUENCE: usize = 53;
    pub(crate) const RECORD_COUNT: usize = 57;
    pub(crate) const RECORDS: usize = 61;
    /// Base offset and length, which the length does not count.
    pub(crate) const LOG_OVERHEAD: usize = 12;
}

/// Bits of the attributes.
pub(crate) mod bits {
    pub(crate) const CODEC: i16 = 0x07;
    pub(crate) const LOG_APPEND_TIME: i16 = 0x08;
    pub(crate) const TRANSACTIONAL: i16 = 0x10;
    pub(crate) const CONTROL: i16 = 0x20;
    pub(crate) const DELETE_HORIZON: i16 = 0x40;
}

/// The only magic that this type holds.
pub(crate) const MAGIC_V2: u8 = 2;

/// Who set the timestamps of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimestampType {
    /// The producer, record by record.
    CreateTime,
    /// The broker, once for the whole batch.
    LogAppendTime,
}

/// One whole magic-2 batch. Cloning shares the bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct RecordBatch {
    bytes: Bytes,
}

impl RecordBatch {
    /// Takes exactly one batch. Checks lengths and counts, not the checksum: that is [`RecordBatch::verify`].
    pub fn parse(bytes: Bytes) -> Result<Self, Error> {
        if bytes.len() < at::RECORDS {
            return Err(Error::Truncated {
                what: "record batch header",
            });
        }
        if bytes[at::MAGIC] != MAGIC_V2 {
            return Err(Error::Invalid {
                what: "magic of a record batch",
                value: i64::from(bytes[at::MAGIC]),
            });
        }
        let batch = Self { bytes };
        let length = i64::from(batch.i32_at(at::BATCH_LENGTH));
        if length != (batch.bytes.len() - at::LOG_OVERHEAD) as i64 {
            return Err(Error::Invalid {
                what: "length of a record batch",
                value: length,
            });
        }
        let counts = [
            ("base offset", batch.base_offset()),
            ("last offset delta", i64::from(batch.last_offset_delta())),
            ("record count", i64::from(batch.record_count())),
        ];
        match counts.into_iter().find(|(_, value)| *value < 0) {
            Some((what, value)) => Err(Error::Invalid { what, value }),
            None => Ok(batch),
        }
    }

    /// The offset of the first record that was ever in the batch.
    pub fn base_offset(&self) -> i64 {
        self.i64_at(at::BASE_OFFSET)
    }

    /// What to add to the base offset to get the last one. Compaction keeps it when it drops records.
    pub fn last_offset_delta(&self) -> i32 {
        self.i32_at(at::LAST_OFFSET_DELTA)
    }

    /// The last offset that the batch stands for, whether or not that record is still there.
    pub fn last_offset(&self) -> i64 {
        self.base_offset().saturating_add(i64::from(self.last_offset_delta()))
    }

    /// How many records are in the batch.
    pub fn record_count(&self) -> i32 {
        self.i32_at(at::RECORD_COUNT)
    }

    /// The attribute bits.
    pub fn attributes(&self) -> i16 {
        i16::from_be_bytes(self.array_at(at::ATTRIBUTES))
    }

    /// The codec of the payload.
    pub fn compression(&self) -> Result<Compression, Error> {
        Compression::from_bits((self.attributes() & bits::CODEC) as u8)
    }

    /// Whether the batch was written in a transaction.
    pub fn is_transactional(&self) -> bool {
        self.attributes() & bits::TRANSACTIONAL != 0
    }

    /// Whether the batch holds a transaction marker and not records.
    pub fn is_control(&self) -> bool {
        self.attributes() & bits::CONTROL != 0
    }

    /// Who set the timestamps.
    pub fn timestamp_type(&self) -> TimestampType {
        match self.attributes() & bits::LOG_APPEND_TIME {
            0 => TimestampType::CreateTime,
            _ => TimestampType::LogAppendTime,
        }
    }

    /// Whether compaction has set a time after which tombstones go; it is then in the base timestamp's place, and the
    /// records' timestamps count from it.
    pub fn has_delete_horizon(&self) -> bool {
        self.attributes() & bits::DELETE_HORIZON != 0
    }

    /// What the records' timestamps count from.
    pub fn base_timestamp(&self) -> i64 {
        self.i64_at(at::BASE_TIMESTAMP)
    }

    /// The largest timestamp in the batch, or the append time of all.
    pub fn max_timestamp(&self) -> i64 {
        self.i64_at(at::MAX_TIMESTAMP)
    }

    /// The producer's id, −1 without idempotence.
    pub fn producer_id(&self) -> i64 {
        self.i64_at(at::PRODUCER_ID)
    }

    /// The producer's epoch, −1 without idempotence.
    pub fn producer_epoch(&self) -> i16 {
        i16::from_be_bytes(self.array_at(at::PRODUCER_EPOCH))
    }

    /// The sequence number of the first record, −1 without idempotence.
    pub fn base_sequence(&self) -> i32 {
        self.i32_at(at::BASE_SEQUENCE)
    }

    /// The epoch of the leader that appended the batch.
    pub fn partition_leader_epoch(&self) -> i32 {
        self.i32_at(at::PARTITION_LEADER_EPOCH)
    }

    /// The checksum in the header.
    pub fn stored_crc(&self) -> u32 {
        u32::from_be_bytes(self.array_at(at::CRC))
    }

    /// Header and payload together.
    pub fn size_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The whole batch.
    pub fn as_bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Whether no offset between the first and the last is missing.
    pub fn is_dense(&self) -> bool {
        i64::from(self.last_offset_delta()) + 1 == i64::from(self.record_count())
    }

    /// Whether [`RecordBatch::pass_through`] keeps every record as a consumer sees it and a broker will take the result:
    /// dense, CreateTime, no marker, a codec that Kafka has.
    pub fn can_pass_through(&self) -> bool {
        self.is_dense()
            && !self.is_control()
            && self.timestamp_type() == TimestampType::CreateTime
            && self.compression().is_ok()
    }

    /// The records as the producer encoded them, still compressed.
    pub fn payload(&self) -> Bytes {
        self.bytes.slice(at::RECORDS..)
    }

    /// Proves the stored checksum in one pass over the payload, and hands on the payload's part of it.
    pub fn verify(&self) -> Result<PayloadCrc, Error> {
        let payload_crc = PayloadCrc::of(&self.bytes[at::RECORDS..]);
        let computed = payload_crc.after(&self.bytes[at::ATTRIBUTES..at::RECORDS]);
        if computed != self.stored_crc() {
            return Err(Error::Crc {
                base_offset: self.base_offset(),
                stored: self.stored_crc(),
                computed,
            });
        }
        Ok(payload_crc)
    }

    /// The records, decompressed if need be to no more than `cap_bytes`.
    pub fn records(&self, cap_bytes: usize) -> Result<Records, Error> {
        let payload = self.compression()?.decompress(&self.payload(), cap_bytes)?;
        Ok(Records::of_batch(self, payload))
    }

    /// A new header before the same payload: base offset 0, no leader epoch, no producer, neither transactional nor with a
    /// delete horizon. Ask [`RecordBatch::can_pass_through`] first.
    pub fn pass_through(&self, payload_crc: PayloadCrc) -> OutgoingBatch {
        OutgoingBatch::from_source(self, payload_crc)
    }

    pub(crate) fn header(&self) -> [u8; at::RECORDS] {
        self.array_at(0)
    }

    // `parse` has seen that all 61 bytes are there.
    fn array_at<const N: usize>(&self, position: usize) -> [u8; N] {
        let mut array = [0; N];
        array.copy_from_slice(&self.bytes[position..position + N]);
        array
    }

    fn i32_at(&self, position: usize) -> i32 {
        i32::from_be_bytes(self.array_at(position))
    }

    fn i64_at(&self, position: usize) -> i64 {
        i64::from_be_bytes(self.array_at(position))
    }
}

impl fmt::Debug for RecordBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordBatch")
            .field("offsets", &(self.base_offset()..=self.last_offset()))
            .field("records", &self.record_count())
            .field("size_bytes", &self.size_bytes())
            .field("attributes", &format_args!("{:#04x}", self.attributes()))
            .field("producer_id", &self.producer_id())
            .field("base_sequence", &self.base_sequence())
            .finish_non_exhaustive()
    }
}
