//! Walks the entries of a fetched partition.

use bytes::Bytes;

use crate::legacy::LegacyMessages;
use crate::record_batch::{MAGIC_V2, RecordBatch, at};
use crate::{Error, Records};

/// Offset, length, and up to the magic, which tells how to read the rest in every format.
const BYTES_UP_TO_MAGIC: usize = at::MAGIC + 1;

/// One entry of a log.
#[derive(Clone, Debug)]
pub enum Entry {
    /// A batch of the format that brokers have written since 0.11.
    Batch(RecordBatch),
    /// A message of one of the two older formats, which may wrap compressed others.
    Legacy(LegacyMessages),
}

impl Entry {
    /// The last offset that the entry stands for.
    pub fn last_offset(&self) -> i64 {
        match self {
            Entry::Batch(batch) => batch.last_offset(),
            Entry::Legacy(messages) => messages.last_offset(),
        }
    }

    /// The size of the whole entry.
    pub fn size_bytes(&self) -> usize {
        match self {
            Entry::Batch(batch) => batch.size_bytes(),
            Entry::Legacy(messages) => messages.size_bytes(),
        }
    }

    /// The records, decompressed if need be to no more than `cap_bytes`.
    pub fn records(&self, cap_bytes: usize) -> Result<Records, Error> {
        match self {
            Entry::Batch(batch) => batch.records(cap_bytes),
            Entry::Legacy(messages) => messages.records(cap_bytes),
        }
    }
}

/// Iterates over the entries of fetched bytes without copying them. A broker cuts the last entry where the fetch's limit
/// falls; the iterator then ends, and [`BatchIter::rest`] has what was cut. After an error there is nothing more.
#[derive(Clone, Debug)]
pub struct BatchIter {
    rest: Bytes,
    failed: bool,
}

impl BatchIter {
    /// Starts at the first byte.
    pub fn new(bytes: Bytes) -> Self {
        Self {
            rest: bytes,
            failed: false,
        }
    }

    /// What has not been read: after the end, the cut-off part of the last entry, or nothing.
    pub fn rest(&self) -> &Bytes {
        &self.rest
    }

    /// The next whole entry, `None` at the end or at a cut.
    fn take_entry(&mut self) -> Result<Option<Entry>, Error> {
        let Some(start) = self.rest.first_chunk::<BYTES_UP_TO_MAGIC>() else {
            return Ok(None);
        };
        let [_, _, _, _, _, _, _, _, a, b, c, d, ..] = *start;
        let length = i32::from_be_bytes([a, b, c, d]);
        let magic = start[at::MAGIC];
        let min_length = match magic {
            MAGIC_V2 => at::RECORDS - at::LOG_OVERHEAD,
            _ => LegacyMessages::min_length(magic)?,
        };
        let length = match usize::try_from(length) {
            Ok(length) if length >= min_length => length,
            _ => {
                return Err(Error::Invalid {
                    what: "length of a batch",
                    value: i64::from(length),
                });
            }
        };
        let size_bytes = at::LOG_OVERHEAD.saturating_add(length);
        if self.rest.len() < size_bytes {
            return Ok(None);
        }
        let bytes = self.rest.split_to(size_bytes);
        match magic {
            MAGIC_V2 => RecordBatch::parse(bytes).map(Entry::Batch),
            _ => LegacyMessages::parse(bytes).map(Entry::Legacy),
        }
        .map(Some)
    }
}

impl Iterator for BatchIter {
    type Item = Result<Entry, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let next = self.take_entry().transpose();
        self.failed = matches!(next, Some(Err(_)));
        next
    }
}
