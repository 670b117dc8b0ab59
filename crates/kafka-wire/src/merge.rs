//! Makes one batch of several small ones.

use crate::compression::{Compression, INFLATE_CAP_BYTES};
use crate::record::for_each_encoded;
use crate::record_batch::{at, bits};
use crate::{BatchBuilder, Error, OutgoingBatch};

/// What re-framing can add to a record: its length, timestamp and offset may each take more bytes than before.
const MAX_GROWTH_PER_RECORD: usize = 4 + 9 + 4;

/// Merges as many of the first batches as have one codec and fit into `max_bytes`, and says how many those were. The first
/// always counts, whatever its size. Keys, values, headers and timestamps are copied as they are encoded; the result has
/// no producer yet.
///
/// # Panics
/// If there are no batches.
pub fn merge(batches: &[OutgoingBatch], max_bytes: usize) -> Result<(OutgoingBatch, usize), Error> {
    let mut candidates = count_that_fit(batches, max_bytes);
    loop {
        if candidates <= 1 {
            return Ok((batches[0].clone(), 1));
        }
        let merged = merge_all(&batches[..candidates])?;
        if merged.size_bytes() <= max_bytes {
            return Ok((merged, candidates));
        }
        // Compressed batches can, against all likelihood, grow. Halving ends at one.
        candidates /= 2;
    }
}

fn count_that_fit(batches: &[OutgoingBatch], max_bytes: usize) -> usize {
    let first = &batches[0];
    let mut size_bytes = at::RECORDS;
    let mut record_count = 0_i32;
    let mut count = 0;
    for batch in batches {
        // A batch that was passed through although it may not be has other bits; the broker shall see and refuse those.
        let mergeable = batch.attributes() & !(bits::CODEC | bits::TRANSACTIONAL) == 0;
        let same_kind = mergeable && batch.attributes() == first.attributes();
        size_bytes += batch.payload().len() + worst_growth(batch);
        let total = record_count.checked_add(batch.record_count());
        match total {
            Some(total) if same_kind && size_bytes <= max_bytes => record_count = total,
            _ => break,
        }
        count += 1;
    }
    count
}

fn worst_growth(batch: &OutgoingBatch) -> usize {
    match batch.compression() {
        Compression::None => batch.record_count().max(0) as usize * MAX_GROWTH_PER_RECORD,
        _ => 0, // The sum of the compressed sizes is as good an estimate as any: more context compresses better.
    }
}

fn merge_all(batches: &[OutgoingBatch]) -> Result<OutgoingBatch, Error> {
    let compression = batches[0].compression();
    let mut builder = BatchBuilder::new(compression);
    let mut cap_left = INFLATE_CAP_BYTES;
    for batch in batches {
        let plain = compression.decompress(&batch.payload(), cap_left)?;
        cap_left = cap_left.saturating_sub(plain.len());
        for_each_encoded(&plain, batch, |record, timestamp| {
            builder.push_encoded(record.attributes, timestamp, record.body);
        })?;
    }
    let mut merged = builder.build();
    merged.set_transactional(batches[0].attributes() & bits::TRANSACTIONAL != 0);
    Ok(merged)
}
