//! How a batch of the source becomes batches for the target: passed as it is, or rebuilt record by record.
//!
//! Pure: bytes in, bytes out. What may pass untouched is decided from the 61 bytes of the header.

use kafka_wire::{BatchBuilder, Compression, Entry, INFLATE_CAP_BYTES, OutgoingBatch, RecordBatch, TimestampType};

use crate::{clock::Clock, metrics::Rebuilt};

/// A batch whose codec or format is changed is cut here, so that what was small compressed fits the limit that targets
/// have by default (`max.message.bytes` 1,048,588) when it no longer is.
const RECODED_BATCH_BYTES: usize = 1_000_000;

/// "No timestamp" on the wire.
const NO_TIMESTAMP: i64 = -1;

/// What a target wants of batches.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CarryRules {
    /// The codec that was asked for. `None` keeps the source's.
    pub(crate) compression: Option<Compression>,
    /// The target refused larger batches of this partition.
    pub(crate) max_batch_bytes: Option<usize>,
    /// Stamps records that have no timestamp.
    pub(crate) clock: Clock,
}

/// A batch ready for the target, and which source records it holds.
#[derive(Debug)]
pub(crate) struct Carried {
    pub(crate) batch: OutgoingBatch,
    pub(crate) upstream: UpstreamRuns,
}

/// The source's bytes cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the batch at offset {offset} cannot be read")]
pub(crate) struct Unreadable {
    pub(crate) offset: i64,
    #[source]
    source: kafka_wire::Error,
}

/// Carries the records of `entry` from offset `from` on. Usually one batch; none if nothing is left of it; several if
/// it had to be cut.
pub(crate) fn carry(entry: &Entry, from: i64, rules: &CarryRules) -> Result<Vec<Carried>, Unreadable> {
    let carried = match entry {
        Entry::Batch(batch) if why_rebuilt(entry, from, rules).is_none() => pass(batch).map(Some),
        Entry::Batch(batch) => batch
            .verify()
            .and_then(|_crc| rebuild(entry, from, batch.compression()?, rules)),
        Entry::Legacy(messages) => messages
            .verify()
            .and_then(|()| rebuild(entry, from, messages.compression()?, rules)),
    };
    let carried = carried.map_err(|source| Unreadable {
        offset: first_wanted(entry, from),
        source,
    })?;
    let Some(carried) = carried else { return Ok(Vec::new()) };
    let limit = rules
        .max_batch_bytes
        .or_else(|| is_recoded(entry, rules).then_some(RECODED_BATCH_BYTES));
    cut(carried, limit).map_err(|source| Unreadable {
        offset: first_wanted(entry, from),
        source,
    })
}

/// Whether carrying the batch may take more than a moment, so that it should leave the async threads.
pub(crate) fn is_heavy(entry: &Entry, from: i64, rules: &CarryRules) -> bool {
    /// lz4, the fastest codec, needs half a millisecond for about this much, in and out.
    const HEAVY_BYTES: usize = 128 * 1024;
    let is_cut = rules.max_batch_bytes.is_some_and(|limit| entry.size_bytes() > limit);
    entry.size_bytes() >= HEAVY_BYTES && (is_cut || why_rebuilt(entry, from, rules).is_some())
}

/// Why the entry cannot pass as it is; `None` if it can.
pub(crate) fn why_rebuilt(entry: &Entry, from: i64, rules: &CarryRules) -> Option<Rebuilt> {
    let Entry::Batch(batch) = entry else {
        return Some(Rebuilt::OldFormat);
    };
    let codec_is_kept = match (rules.compression, batch.compression()) {
        (None, Ok(_)) => true,
        (Some(wanted), Ok(codec)) => wanted == codec,
        (_, Err(_)) => false,
    };
    let has_timestamps = batch.base_timestamp() > NO_TIMESTAMP && batch.max_timestamp() > NO_TIMESTAMP;
    if !codec_is_kept {
        Some(Rebuilt::Codec)
    } else if batch.base_offset() < from {
        Some(Rebuilt::Position)
    } else if !batch.is_dense() || batch.record_count() <= 0 {
        Some(Rebuilt::Holes)
    } else if batch.timestamp_type() != TimestampType::CreateTime {
        Some(Rebuilt::LogAppendTime)
    } else if !has_timestamps {
        Some(Rebuilt::NoTimestamp)
    } else {
        None
    }
}

fn pass(batch: &RecordBatch) -> Result<Carried, kafka_wire::Error> {
    let crc = batch.verify()?;
    let upstream = UpstreamRuns::dense(batch.base_offset(), batch.record_count() as u32);
    Ok(Carried {
        batch: batch.pass_through(crc),
        upstream,
    })
}

/// Writes the records from `from` on into a new batch. `None` if there are none.
fn rebuild(
    entry: &Entry,
    from: i64,
    codec: Compression,
    rules: &CarryRules,
) -> Result<Option<Carried>, kafka_wire::Error> {
    let mut batch = BatchBuilder::new(rules.compression.unwrap_or(codec));
    let mut upstream: Option<UpstreamRuns> = None;
    for record in &entry.records(INFLATE_CAP_BYTES)? {
        let mut record = record?;
        if record.offset < from {
            continue;
        }
        if record.timestamp == NO_TIMESTAMP {
            record.timestamp = rules.clock.now_ms(); // as Kafka's producer does
        }
        batch.push_record(&record);
        match &mut upstream {
            Some(upstream) => upstream.push(record.offset, 1),
            None => upstream = Some(UpstreamRuns::dense(record.offset, 1)),
        }
    }
    Ok(upstream.map(|upstream| Carried {
        batch: batch.build(),
        upstream,
    }))
}

/// Cuts a batch that is larger than `limit` between its records.
fn cut(carried: Carried, limit: Option<usize>) -> Result<Vec<Carried>, kafka_wire::Error> {
    let Some(limit) = limit.filter(|limit| carried.batch.size_bytes() > *limit) else {
        return Ok(vec![carried]);
    };
    let mut rest = carried.upstream;
    let mut pieces = Vec::new();
    for batch in kafka_wire::split(&carried.batch, limit)? {
        let upstream = rest.split_off_front(batch.record_count() as u32);
        pieces.push(Carried { batch, upstream });
    }
    Ok(pieces)
}

fn is_recoded(entry: &Entry, rules: &CarryRules) -> bool {
    match entry {
        Entry::Batch(batch) => rules
            .compression
            .is_some_and(|wanted| batch.compression().ok() != Some(wanted)),
        Entry::Legacy(_) => true,
    }
}

/// The first offset of the entry that is wanted, as far as its header tells.
fn first_wanted(entry: &Entry, from: i64) -> i64 {
    match entry {
        Entry::Batch(batch) => batch.base_offset().max(from),
        Entry::Legacy(_) => from,
    }
}

/// The upstream offsets of a batch's records: runs without holes, `(first offset, count)`. Nearly always one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UpstreamRuns {
    first: (i64, u32),
    rest: Vec<(i64, u32)>,
}

impl UpstreamRuns {
    pub(crate) fn dense(first: i64, count: u32) -> Self {
        Self {
            first: (first, count),
            rest: Vec::new(),
        }
    }

    pub(crate) fn first_offset(&self) -> i64 {
        self.first.0
    }

    pub(crate) fn last_offset(&self) -> i64 {
        let (first, count) = *self.rest.last().unwrap_or(&self.first);
        first + i64::from(count) - 1
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (i64, u32)> {
        std::iter::once(self.first).chain(self.rest.iter().copied())
    }

    /// The offsets of the records at these places of the batch, which are runs of first (counted from 0) and count.
    pub(crate) fn select(&self, places: &[(u32, u32)]) -> Vec<(i64, u32)> {
        let mut selected: Vec<(i64, u32)> = Vec::with_capacity(places.len());
        let mut before = 0;
        for (first, count) in self.iter() {
            for &(place, wanted) in places {
                let from = place.max(before);
                let to = place.saturating_add(wanted).min(before + count);
                if from < to {
                    selected.push((first + i64::from(from - before), to - from));
                }
            }
            before += count;
        }
        selected
    }

    fn push(&mut self, offset: i64, count: u32) {
        let last = self.rest.last_mut().unwrap_or(&mut self.first);
        if last.0 + i64::from(last.1) == offset {
            last.1 += count;
        } else {
            self.rest.push((offset, count));
        }
    }

    /// Takes the first `count` records out. At the end of the batch they are all.
    fn split_off_front(&mut self, count: u32) -> Self {
        let mut front: Option<Self> = None;
        let mut left = count;
        let mut rest: Option<Self> = None;
        for (first, run) in self.iter() {
            let taken = run.min(left);
            left -= taken;
            for (part, offset, records) in [
                (&mut front, first, taken),
                (&mut rest, first + i64::from(taken), run - taken),
            ] {
                match part {
                    _ if records == 0 => {}
                    Some(part) => part.push(offset, records),
                    None => *part = Some(Self::dense(offset, records)),
                }
            }
        }
        if let Some(rest) = rest {
            *self = rest;
        }
        front.unwrap_or_else(|| self.clone())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use kafka_wire::{BatchIter, Headers, Record};
    use proptest::prelude::*;

    use super::*;

    const NOW: i64 = 1_700_000_000_000;

    fn rules() -> CarryRules {
        CarryRules {
            compression: None,
            max_batch_bytes: None,
            clock: Clock::from_fn(|| NOW),
        }
    }

    fn record(offset: i64, timestamp: i64, value: &[u8]) -> Record<'_> {
        Record {
            offset,
            timestamp,
            key: None,
            value: Some(value),
            headers: Headers::default(),
        }
    }

    /// A batch as a broker would return it: records at `base_offset` and on, with an optional change of its header.
    fn stored(base_offset: i64, batch: &OutgoingBatch, change: impl FnOnce(&mut [u8])) -> Entry {
        let mut bytes = batch.to_bytes().to_vec();
        bytes[..8].copy_from_slice(&base_offset.to_be_bytes());
        change(&mut bytes);
        let crc = kafka_wire::PayloadCrc::of(&bytes[21..]).value();
        bytes[17..21].copy_from_slice(&crc.to_be_bytes());
        BatchIter::new(Bytes::from(bytes)).next().unwrap().unwrap()
    }

    fn batch_of(compression: Compression, records: &[Record<'_>]) -> OutgoingBatch {
        let mut batch = BatchBuilder::new(compression);
        records.iter().for_each(|record| batch.push_record(record));
        batch.build()
    }

    fn values(carried: &Carried) -> Vec<(i64, Vec<u8>)> {
        let records = carried.batch.records(INFLATE_CAP_BYTES).unwrap();
        records
            .iter()
            .map(|record| record.unwrap())
            .map(|record| (record.timestamp, record.value.unwrap().to_vec()))
            .collect()
    }

    #[test]
    fn a_whole_batch_passes_with_its_payload_untouched() {
        let batch = batch_of(Compression::Lz4, &[record(0, 5, b"a"), record(1, 6, b"b")]);
        let entry = stored(40, &batch, |_| {});
        let carried = carry(&entry, 40, &rules()).unwrap();
        assert_eq!(carried.len(), 1);
        assert_eq!(carried[0].batch.payload(), batch.payload());
        assert_eq!(carried[0].upstream, UpstreamRuns::dense(40, 2));
    }

    #[test]
    fn records_below_the_position_are_left_out() {
        let batch = batch_of(
            Compression::Zstd,
            &[record(0, 5, b"a"), record(1, 6, b"b"), record(2, 7, b"c")],
        );
        let carried = carry(&stored(40, &batch, |_| {}), 41, &rules()).unwrap();
        assert_eq!(values(&carried[0]), [(6, b"b".to_vec()), (7, b"c".to_vec())]);
        assert_eq!(carried[0].upstream, UpstreamRuns::dense(41, 2));
        assert_eq!(carried[0].batch.compression(), Compression::Zstd, "the codec is kept");
        assert!(carry(&stored(40, &batch, |_| {}), 43, &rules()).unwrap().is_empty());
    }

    #[test]
    fn a_broker_s_append_time_becomes_the_records_time() {
        let batch = batch_of(Compression::None, &[record(0, 5, b"a"), record(1, 6, b"b")]);
        let entry = stored(0, &batch, |bytes| {
            bytes[22] |= 0b1000; // LogAppendTime
            bytes[35..43].copy_from_slice(&99i64.to_be_bytes());
        });
        let carried = carry(&entry, 0, &rules()).unwrap();
        assert_eq!(values(&carried[0]), [(99, b"a".to_vec()), (99, b"b".to_vec())]);
    }

    #[test]
    fn a_record_without_a_timestamp_is_stamped_now() {
        let batch = batch_of(Compression::None, &[record(0, -1, b"a")]);
        let carried = carry(&stored(0, &batch, |_| {}), 0, &rules()).unwrap();
        assert_eq!(values(&carried[0]), [(NOW, b"a".to_vec())]);
    }

    #[test]
    fn another_codec_is_honoured_when_asked_for() {
        let batch = batch_of(Compression::Gzip, &[record(0, 1, b"a")]);
        let rules = CarryRules {
            compression: Some(Compression::Snappy),
            ..rules()
        };
        let carried = carry(&stored(0, &batch, |_| {}), 0, &rules).unwrap();
        assert_eq!(carried[0].batch.compression(), Compression::Snappy);
        assert_eq!(values(&carried[0]), [(1, b"a".to_vec())]);
    }

    #[test]
    fn a_batch_too_large_for_the_target_is_cut_between_records() {
        let value = [7u8; 100];
        let records: Vec<_> = (0..20).map(|offset| record(offset, 1, &value)).collect();
        let batch = batch_of(Compression::None, &records);
        let rules = CarryRules {
            max_batch_bytes: Some(500),
            ..rules()
        };
        let carried = carry(&stored(100, &batch, |_| {}), 100, &rules).unwrap();
        assert!(carried.len() > 1);
        let mut next = 100;
        for piece in &carried {
            assert!(piece.batch.size_bytes() <= 500);
            assert_eq!(
                piece.upstream,
                UpstreamRuns::dense(next, piece.batch.record_count() as u32)
            );
            next = piece.upstream.last_offset() + 1;
        }
        assert_eq!(next, 120);
    }

    #[test]
    fn changed_bytes_are_found_and_named() {
        let batch = batch_of(Compression::None, &[record(0, 1, b"abc")]);
        let mut bytes = batch.to_bytes().to_vec();
        *bytes.last_mut().unwrap() ^= 1;
        let entry = BatchIter::new(Bytes::from(bytes)).next().unwrap().unwrap();
        assert_eq!(carry(&entry, 0, &rules()).unwrap_err().offset, 0);
    }

    #[test]
    fn places_of_a_batch_have_the_offsets_of_its_runs() {
        let mut runs = UpstreamRuns::dense(10, 3);
        runs.push(20, 2);
        assert_eq!(runs.select(&[(0, 5)]), [(10, 3), (20, 2)]);
        assert_eq!(runs.select(&[(0, 1), (2, 2)]), [(10, 1), (12, 1), (20, 1)]);
        assert_eq!(runs.select(&[(4, 9)]), [(21, 1)]);
        assert_eq!(runs.select(&[]), []);
    }

    proptest! {
        #[test]
        fn runs_cut_anywhere_keep_every_offset(gaps in prop::collection::vec(0..4i64, 1..50), cut in 0..50usize) {
            let mut offsets = Vec::new();
            let mut next = 10;
            for gap in gaps {
                next += gap;
                offsets.push(next);
                next += 1;
            }
            let mut runs = UpstreamRuns::dense(offsets[0], 1);
            offsets[1..].iter().for_each(|offset| runs.push(*offset, 1));
            let cut = 1 + cut % offsets.len();
            let front = runs.split_off_front(cut as u32);
            let list = |runs: &UpstreamRuns| -> Vec<i64> {
                runs.iter().flat_map(|(first, count)| first..first + i64::from(count)).collect()
            };
            prop_assert_eq!(list(&front), &offsets[..cut]);
            prop_assert_eq!(front.last_offset(), offsets[cut - 1]);
            if cut < offsets.len() {
                prop_assert_eq!(list(&runs), &offsets[cut..]);
                prop_assert_eq!(runs.first_offset(), offsets[cut]);
            }
        }
    }
}
