//! What is known of one assigned partition, and how the records of an answer become batches.

use bytes::Bytes;
use kafka_protocol::messages::fetch_response::PartitionData;
use kafka_wire::{BatchIter, Entry, TopicPartition};
use tokio::time::Instant;

use super::{Fetched, aborted::AbortedTransactions};
use uuid::Uuid;

use crate::Error;

/// A batch that is larger than what was asked for arrives whole, so an answer without one whole batch is a broker's
/// fault; asking for more is tried up to this.
const MAX_PARTITION_BYTES: i32 = 256 * 1024 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Position {
    /// The next offset to be read.
    At(i64),
    /// To be asked of the broker; `wanted` is the offset that it no longer, or not yet, has.
    Reset { wanted: Option<i64> },
}

/// Who is being asked about a partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Place {
    #[default]
    Nowhere,
    /// This broker, for records.
    Fetched(i32),
    /// This broker, for offsets.
    LookedUp(i32),
}

/// The leader in whose time records were written: if its successors do not know it, those records are gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FetchedEpoch {
    pub(super) epoch: i32,
    /// From which offset on we read records of this epoch.
    pub(super) since: i64,
}

#[derive(Debug)]
pub(super) struct Partition {
    pub(super) name: TopicPartition,
    pub(super) position: Position,
    /// A position that is not known is the first offset, whatever `auto.offset.reset` says.
    pub(super) begins_at_start: bool,
    pub(super) topic_id: Option<Uuid>,
    pub(super) leader: Option<i32>,
    pub(super) leader_epoch: i32,
    /// The leader epoch of the record before the position, if known.
    pub(super) last_fetched: Option<FetchedEpoch>,
    /// The leader epoch in which the position was last seen to be in the log.
    pub(super) checked_epoch: i32,
    pub(super) is_paused: bool,
    /// Nothing more is asked for, and what comes is taken.
    pub(super) is_deferred: bool,
    /// What the caller wants a fetch to ask for at most.
    pub(super) max_fetch_bytes: Option<i32>,
    pub(super) not_before: Option<Instant>,
    pub(super) attempts: u32,
    /// The reason that was last reported.
    pub(super) unavailable: Option<String>,
    pub(super) high_watermark: Option<i64>,
    /// Bytes to ask for, if not the configured number.
    pub(super) max_bytes: Option<i32>,
    pub(super) place: Place,
    /// Whether it is in the list of those that were changed.
    pub(super) is_changed: bool,
}

impl Partition {
    pub(super) fn new(name: TopicPartition, position: Position) -> Self {
        Self {
            name,
            position,
            begins_at_start: false,
            topic_id: None,
            leader: None,
            leader_epoch: -1,
            last_fetched: None,
            checked_epoch: -1,
            is_paused: false,
            is_deferred: false,
            max_fetch_bytes: None,
            not_before: None,
            attempts: 0,
            unavailable: None,
            high_watermark: None,
            max_bytes: None,
            place: Place::default(),
            is_changed: false,
        }
    }

    pub(super) fn seek(&mut self, position: Position) {
        self.position = position;
        self.last_fetched = None;
        self.not_before = None;
    }

    /// What is behind the position is to be compared with the leader's log, before more is read.
    pub(super) fn doubt(&mut self) {
        if let Position::At(offset) = self.position {
            self.position = Position::Reset { wanted: Some(offset) };
        }
    }

    /// Whether the log may have been cut since it was last read, which an old broker does not say by itself.
    pub(super) fn is_doubtful(&self) -> bool {
        self.last_fetched.is_some() && self.checked_epoch < self.leader_epoch
    }

    pub(super) fn position(&self) -> Option<i64> {
        match self.position {
            Position::At(offset) => Some(offset),
            Position::Reset { .. } => None,
        }
    }

    pub(super) fn may_be_asked(&self, now: Instant) -> bool {
        self.not_before.is_none_or(|at| at <= now)
    }

    /// Moves the position over the whole batches of an answer and hands over those that hold wanted records. Nothing
    /// if the answer brought nothing.
    pub(super) fn take_in(&mut self, data: PartitionData, read_committed: bool) -> Result<Option<Fetched>, Error> {
        let Position::At(from) = self.position else {
            return Ok(None);
        };
        self.high_watermark = Some(match read_committed {
            true if data.last_stable_offset >= 0 => data.last_stable_offset,
            _ => data.high_watermark,
        });
        let records = data.records.unwrap_or_default();
        if records.is_empty() {
            return Ok(None);
        }
        let aborted = data.aborted_transactions.unwrap_or_default();
        let aborted = aborted
            .iter()
            .map(|aborted| (aborted.first_offset, aborted.producer_id.0));
        let aborted = read_committed.then(|| AbortedTransactions::new(aborted));
        let (batches, next_offset, last_fetched) = self.wanted_batches(records.clone(), from, aborted)?;
        if next_offset == from {
            // Not one whole batch: ask for more next time.
            let asked = self.max_bytes.unwrap_or(records.len() as i32).max(1);
            if asked >= MAX_PARTITION_BYTES {
                return Err(unreadable(&self.name, from, "no batch fits the largest answer"));
            }
            self.max_bytes = Some(asked.saturating_mul(2).min(MAX_PARTITION_BYTES));
            return Ok(None);
        }
        self.max_bytes = None;
        self.position = Position::At(next_offset);
        self.last_fetched = last_fetched;
        Ok(Some(Fetched {
            partition: self.name.clone(),
            from,
            batches,
            next_offset,
            high_watermark: self.high_watermark.unwrap_or(-1),
            log_start_offset: data.log_start_offset,
        }))
    }

    /// The batches, the offset behind them, and the leader epoch of the last one.
    fn wanted_batches(
        &self,
        records: Bytes,
        from: i64,
        mut aborted: Option<AbortedTransactions>,
    ) -> Result<(Vec<Entry>, i64, Option<FetchedEpoch>), Error> {
        let mut batches = Vec::new();
        let mut next_offset = from;
        let mut last_fetched = self.last_fetched;
        for entry in BatchIter::new(records) {
            let entry = match entry {
                Ok(entry) => entry,
                // What came before it is good, and is handed over; the next fetch begins with the bad one.
                Err(_) if next_offset > from => break,
                Err(error) => return Err(unreadable(&self.name, from, &error.to_string())),
            };
            let (last_offset, leader_epoch, is_wanted) = match &entry {
                Entry::Batch(batch) => {
                    let is_aborted = aborted.as_mut().is_some_and(|aborted| aborted.is_aborted(batch));
                    (
                        batch.last_offset(),
                        batch.partition_leader_epoch(),
                        !batch.is_control() && !is_aborted && batch.record_count() > 0,
                    )
                }
                Entry::Legacy(messages) => (messages.last_offset(), -1, true),
            };
            if last_offset < from {
                continue;
            }
            if last_fetched.map_or(-1, |last| last.epoch) != leader_epoch {
                let since = next_offset;
                last_fetched = (leader_epoch >= 0).then_some(FetchedEpoch {
                    epoch: leader_epoch,
                    since,
                });
            }
            next_offset = next_offset.max(last_offset + 1);
            if is_wanted {
                batches.push(entry);
            }
        }
        Ok((batches, next_offset, last_fetched))
    }
}

fn unreadable(partition: &TopicPartition, offset: i64, reason: &str) -> Error {
    Error::Unreadable {
        partition: partition.clone(),
        offset,
        reason: reason.into(),
    }
}
