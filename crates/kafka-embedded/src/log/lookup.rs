//! Questions to a log: what lies from an offset on, at a time, at the end of an epoch.

use bytes::Bytes;
use kafka_wire::{INFLATE_CAP_BYTES, RecordBatch, TimestampType};

use super::{AbortedTransaction, Log};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimestampAndOffset {
    pub(crate) timestamp: i64,
    pub(crate) offset: i64,
    pub(crate) leader_epoch: i32,
}

impl Log {
    /// Stored bytes from the batch that holds `from` up to `upper`, at most `max_bytes`.
    ///
    /// As from Kafka, which sends a range of its file, the last batch may be cut off; the first one never is: with
    /// `at_least_one` it comes whole whatever its size, without it comes nothing.
    pub(crate) fn read(&self, from: i64, upper: i64, max_bytes: usize, at_least_one: bool) -> Vec<Bytes> {
        let mut pieces = Vec::new();
        let mut left = max_bytes;
        for batch in self.batches.range(self.position_of(from)..) {
            if batch.base_offset() >= upper {
                break;
            }
            let bytes = batch.as_bytes();
            if bytes.len() <= left {
                left -= bytes.len();
                pieces.push(bytes.clone());
                continue;
            }
            if pieces.is_empty() && at_least_one {
                pieces.push(bytes.clone());
            } else if !pieces.is_empty() && left > 0 {
                pieces.push(bytes.slice(..left));
            }
            break;
        }
        pieces
    }

    /// The aborted transactions that a reader of `[from, upper)` has to leave out.
    pub(crate) fn aborted_between(&self, from: i64, upper: i64) -> Vec<AbortedTransaction> {
        let overlaps = |aborted: &&AbortedTransaction| aborted.last_offset >= from && aborted.first_offset < upper;
        let mut found: Vec<_> = self.aborted.iter().filter(overlaps).copied().collect();
        found.sort_by_key(|aborted| aborted.first_offset);
        found
    }

    /// The first record at or after a time.
    pub(crate) fn offset_for_timestamp(&self, timestamp: i64) -> Option<TimestampAndOffset> {
        self.batches
            .iter()
            .filter(|batch| batch.max_timestamp() >= timestamp)
            .find_map(|batch| self.first_record(batch, |at| at >= timestamp))
    }

    /// The first record that carries the log's largest timestamp.
    pub(crate) fn offset_of_max_timestamp(&self) -> Option<TimestampAndOffset> {
        let data = self.batches.iter().filter(|batch| !batch.is_control());
        let max = data.clone().map(RecordBatch::max_timestamp).max()?;
        let mut holding = data.filter(|batch| batch.max_timestamp() == max);
        holding.find_map(|batch| self.first_record(batch, |at| at == max))
    }

    /// The epoch of the batch that holds an offset.
    pub(crate) fn epoch_at(&self, offset: i64) -> Option<i32> {
        let found = self.epochs.iter().rev().find(|(_, start)| *start <= offset);
        found.map(|(epoch, _)| *epoch)
    }

    pub(crate) fn latest_epoch(&self) -> Option<i32> {
        self.epochs.last().map(|(epoch, _)| *epoch)
    }

    /// Kafka's `endOffsetFor`: the largest epoch not above the one asked for, and where it ended.
    pub(crate) fn end_of_epoch(&self, epoch: i32, current_epoch: i32) -> Option<(i32, i64)> {
        if epoch == current_epoch || self.latest_epoch() == Some(epoch) {
            return Some((epoch, self.end_offset));
        }
        let above = self.epochs.iter().position(|(known, _)| *known > epoch)?;
        let (_, end_offset) = self.epochs[above];
        match above.checked_sub(1) {
            Some(floor) => Some((self.epochs[floor].0, end_offset)),
            None => Some((epoch, end_offset)),
        }
    }

    fn position_of(&self, offset: i64) -> usize {
        self.batches.partition_point(|batch| batch.last_offset() < offset)
    }

    fn first_record(&self, batch: &RecordBatch, wanted: impl Fn(i64) -> bool) -> Option<TimestampAndOffset> {
        let leader_epoch = batch.partition_leader_epoch();
        let found = |timestamp, offset| TimestampAndOffset {
            timestamp,
            offset,
            leader_epoch,
        };
        if batch.is_control() {
            return None;
        }
        if batch.timestamp_type() == TimestampType::LogAppendTime {
            let offset = batch.base_offset().max(self.log_start_offset);
            return wanted(batch.max_timestamp()).then(|| found(batch.max_timestamp(), offset));
        }
        // A payload that no reader can open was still accepted, as Kafka accepts it: answer from the header.
        let Ok(records) = batch.records(INFLATE_CAP_BYTES) else {
            return Some(found(batch.max_timestamp(), batch.base_offset()));
        };
        for record in &records {
            let Ok(record) = record else { break };
            if record.offset >= self.log_start_offset && wanted(record.timestamp) {
                return Some(found(record.timestamp, record.offset));
            }
        }
        None
    }
}
