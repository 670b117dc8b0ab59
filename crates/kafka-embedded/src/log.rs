//! One partition's log: whole batches in offset order, kept as the bytes that clients sent.
//!
//! Only the leader's stamps are ours: base offset and leader epoch lie before the crc, so that the batch's checksum
//! stays the producer's. The high watermark is the log's end, since there are no followers to wait for.

pub(crate) mod compact;
pub(crate) mod control_batch;
mod lookup;
pub(crate) mod producer_state;

use std::collections::{BTreeMap, VecDeque};

use bytes::{Bytes, BytesMut};
use kafka_protocol::error::ResponseError as E;
use kafka_wire::RecordBatch;

pub(crate) use lookup::TimestampAndOffset;
use producer_state::{ProducerStates, Verdict};

const ATTRIBUTES_AT: usize = 21;
const LEADER_EPOCH_AT: usize = 12;
const CRC_AT: usize = 17;
const MAX_TIMESTAMP_AT: usize = 35;
const LOG_APPEND_TIME_BIT: u8 = 0x08;

/// What of the topic's configuration an append depends on.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct AppendRules {
    pub(crate) max_message_bytes: usize,
    pub(crate) log_append_time: bool,
    /// Keep no more than this many bytes; `None` keeps all.
    pub(crate) retention_bytes: Option<usize>,
    /// A compacted topic cannot keep a record without a key.
    pub(crate) keys_required: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Appended {
    pub(crate) base_offset: i64,
    /// −1 unless the topic stamps records on arrival.
    pub(crate) log_append_time: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AbortedTransaction {
    pub(crate) producer_id: i64,
    pub(crate) first_offset: i64,
    /// Where its abort marker lies.
    pub(crate) last_offset: i64,
}

#[derive(Debug, Default)]
pub(crate) struct Log {
    batches: VecDeque<RecordBatch>,
    log_start_offset: i64,
    end_offset: i64,
    size_bytes: usize,
    /// Where each leader epoch began, oldest first.
    epochs: Vec<(i32, i64)>,
    producers: ProducerStates,
    /// First offset of every open transaction, by producer id.
    open_transactions: BTreeMap<i64, i64>,
    aborted: Vec<AbortedTransaction>,
}

impl Log {
    pub(crate) fn log_start_offset(&self) -> i64 {
        self.log_start_offset
    }

    pub(crate) fn high_watermark(&self) -> i64 {
        self.end_offset
    }

    /// The first offset whose transaction is still undecided, or the end.
    pub(crate) fn last_stable_offset(&self) -> i64 {
        let oldest_open = self.open_transactions.values().copied().min();
        oldest_open.unwrap_or(self.end_offset)
    }

    pub(crate) fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    pub(crate) fn batches(&self) -> impl Iterator<Item = &RecordBatch> {
        self.batches.iter()
    }

    /// Appends what a producer sent, or finds that it was appended before.
    pub(crate) fn append(
        &mut self,
        batch: &RecordBatch,
        leader_epoch: i32,
        now_ms: i64,
        rules: AppendRules,
    ) -> Result<Appended, E> {
        if batch.size_bytes() > rules.max_message_bytes {
            return Err(E::MessageTooLarge);
        }
        batch.verify().map_err(|_| E::CorruptMessage)?;
        if batch.is_control() || !batch.is_dense() {
            return Err(E::InvalidRecord);
        }
        if rules.keys_required && lacks_a_key(batch) {
            return Err(E::InvalidRecord);
        }
        let log_append_time = if rules.log_append_time { now_ms } else { -1 };
        match self.producers.check(batch)? {
            Verdict::Duplicate { base_offset } => {
                return Ok(Appended {
                    base_offset,
                    log_append_time,
                });
            }
            Verdict::New => {}
        }
        let base_offset = self.end_offset;
        let stamp_time = rules.log_append_time.then_some(now_ms);
        self.push(stamped(batch, base_offset, leader_epoch, stamp_time)?);
        self.producers.appended(batch, base_offset);
        if batch.is_transactional() {
            self.open_transactions.entry(batch.producer_id()).or_insert(base_offset);
        }
        if let Some(cap) = rules.retention_bytes {
            self.retain_bytes(cap);
        }
        Ok(Appended {
            base_offset,
            log_append_time,
        })
    }

    /// Ends a producer's transaction here with a marker, as Kafka's transaction coordinator has it written.
    pub(crate) fn append_marker(
        &mut self,
        producer_id: i64,
        producer_epoch: i16,
        committed: bool,
        leader_epoch: i32,
        now_ms: i64,
    ) {
        let marker = control_batch::end_txn_marker(producer_id, producer_epoch, committed, now_ms);
        let offset = self.end_offset;
        let Ok(marker) = stamped(&marker, offset, leader_epoch, None) else {
            return;
        };
        self.push(marker);
        self.producers.marker(producer_id, producer_epoch);
        if let Some(first_offset) = self.open_transactions.remove(&producer_id)
            && !committed
        {
            self.aborted.push(AbortedTransaction {
                producer_id,
                first_offset,
                last_offset: offset,
            });
        }
    }

    /// A new leader begins its epoch at the log's end.
    pub(crate) fn begin_epoch(&mut self, epoch: i32) {
        self.note_epoch(epoch, self.end_offset);
    }

    /// Moves the log's start; batches wholly below it are gone. Kafka keeps the rest of a batch that straddles it.
    pub(crate) fn delete_records(&mut self, before_offset: i64) -> Result<i64, E> {
        let before_offset = if before_offset == -1 {
            self.end_offset
        } else {
            before_offset
        };
        if before_offset < 0 || before_offset > self.end_offset {
            return Err(E::OffsetOutOfRange);
        }
        self.log_start_offset = self.log_start_offset.max(before_offset);
        while let Some(first) = self.batches.front()
            && first.last_offset() < self.log_start_offset
        {
            self.drop_first();
        }
        self.forget_old_transactions();
        Ok(self.log_start_offset)
    }

    /// Appends a batch as it is, without a question asked; what no producer may send is stored as well.
    pub(crate) fn append_as_is(&mut self, batch: &RecordBatch, leader_epoch: i32) -> Result<i64, E> {
        let base_offset = self.end_offset;
        self.push(stamped(batch, base_offset, leader_epoch, None)?);
        Ok(base_offset)
    }

    /// Loses every batch that reaches `offset` or beyond, as when a replica that lagged behind becomes the leader.
    pub(crate) fn truncate(&mut self, offset: i64) {
        while let Some(last) = self.batches.back()
            && last.last_offset() >= offset
        {
            self.end_offset = last.base_offset();
            self.size_bytes -= last.size_bytes();
            self.batches.pop_back();
        }
        let end = self.end_offset;
        self.log_start_offset = self.log_start_offset.min(end);
        self.epochs.retain(|(_, start)| *start < end);
        self.aborted.retain(|aborted| aborted.last_offset < end);
        self.open_transactions.retain(|_, first_offset| *first_offset < end);
        self.producers.truncate(end);
    }

    fn push(&mut self, batch: RecordBatch) {
        self.note_epoch(batch.partition_leader_epoch(), batch.base_offset());
        self.end_offset = batch.last_offset() + 1;
        self.size_bytes += batch.size_bytes();
        self.batches.push_back(batch);
    }

    fn note_epoch(&mut self, epoch: i32, start_offset: i64) {
        match self.epochs.last_mut() {
            Some((last, _)) if *last >= epoch => {}
            // An epoch in which nothing was written leaves no trace that could answer a question.
            Some((last, start)) if *start == start_offset => *last = epoch,
            _ => self.epochs.push((epoch, start_offset)),
        }
    }

    /// Drops the oldest batches while the rest still holds at least the cap, but never the last one.
    fn retain_bytes(&mut self, cap: usize) {
        let mut dropped = false;
        while self.batches.len() > 1
            && let Some(first) = self.batches.front()
            && self.size_bytes - first.size_bytes() >= cap
        {
            self.drop_first();
            dropped = true;
        }
        if dropped && let Some(first) = self.batches.front() {
            self.log_start_offset = self.log_start_offset.max(first.base_offset());
            self.forget_old_transactions();
        }
    }

    fn drop_first(&mut self) {
        if let Some(first) = self.batches.pop_front() {
            self.size_bytes -= first.size_bytes();
        }
    }

    fn forget_old_transactions(&mut self) {
        let start = self.log_start_offset;
        self.aborted.retain(|aborted| aborted.last_offset >= start);
    }
}

/// The batch with this log's offset, epoch and, where the topic asks for it, arrival time.
/// It is copied, so that a small batch does not keep the whole request's memory.
fn stamped(
    batch: &RecordBatch,
    base_offset: i64,
    leader_epoch: i32,
    log_append_time: Option<i64>,
) -> Result<RecordBatch, E> {
    let mut bytes = BytesMut::from(batch.as_bytes().as_ref());
    bytes[..8].copy_from_slice(&base_offset.to_be_bytes());
    bytes[LEADER_EPOCH_AT..LEADER_EPOCH_AT + 4].copy_from_slice(&leader_epoch.to_be_bytes());
    if let Some(now_ms) = log_append_time {
        bytes[ATTRIBUTES_AT + 1] |= LOG_APPEND_TIME_BIT;
        bytes[MAX_TIMESTAMP_AT..MAX_TIMESTAMP_AT + 8].copy_from_slice(&now_ms.to_be_bytes());
        write_crc(&mut bytes);
    }
    RecordBatch::parse(bytes.freeze()).map_err(|_| E::CorruptMessage)
}

fn lacks_a_key(batch: &RecordBatch) -> bool {
    let Ok(records) = batch.records(kafka_wire::INFLATE_CAP_BYTES) else {
        return true;
    };
    records
        .iter()
        .any(|record| record.is_ok_and(|record| record.key.is_none()))
}

/// Recomputes the checksum over everything that it covers.
fn write_crc(batch: &mut [u8]) {
    let crc = crc32c::crc32c(&batch[ATTRIBUTES_AT..]);
    batch[CRC_AT..CRC_AT + 4].copy_from_slice(&crc.to_be_bytes());
}

/// Joins what a read found; a single piece is passed on as it is.
pub(crate) fn join(mut pieces: Vec<Bytes>) -> Bytes {
    if pieces.len() == 1 {
        return pieces.swap_remove(0);
    }
    let mut joined = BytesMut::with_capacity(pieces.iter().map(Bytes::len).sum());
    for piece in pieces {
        joined.extend_from_slice(&piece);
    }
    joined.freeze()
}
