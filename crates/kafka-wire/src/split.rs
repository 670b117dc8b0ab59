//! Makes several batches of one that is too large for its topic.

use crate::compression::INFLATE_CAP_BYTES;
use crate::record::{EncodedRecord, for_each_encoded};
use crate::record_batch::{at, bits};
use crate::{BatchBuilder, Error, OutgoingBatch};

/// Cuts a batch between records so that each piece is at most `max_bytes`, with the codec kept. A single record that is
/// larger stays alone in a batch that is larger. The pieces have no producer yet.
pub fn split(batch: &OutgoingBatch, max_bytes: usize) -> Result<Vec<OutgoingBatch>, Error> {
    if batch.size_bytes() <= max_bytes {
        return Ok(vec![batch.clone()]);
    }
    let plain = batch.compression().decompress(&batch.payload(), INFLATE_CAP_BYTES)?;
    let mut records = Vec::new();
    for_each_encoded(&plain, batch, |record, timestamp| records.push((record, timestamp)))?;
    // As many plain bytes as will compress to the limit, if all of the batch compresses alike.
    let ratio = plain.len() as f64 / batch.payload().len().max(1) as f64;
    let plain_limit = (max_bytes.saturating_sub(at::RECORDS) as f64 * ratio) as usize;
    let mut pieces = Vec::new();
    for range in chunks(&records, plain_limit) {
        build_pieces(batch, range, max_bytes, &mut pieces);
    }
    Ok(pieces)
}

type Timed<'a> = (EncodedRecord<'a>, i64);

/// Consecutive runs of at most `limit` bytes each, and at least one record.
fn chunks<'r, 'a>(records: &'r [Timed<'a>], limit: usize) -> Vec<&'r [Timed<'a>]> {
    let mut chunks = Vec::new();
    let mut start = 0;
    let mut size_bytes = 0;
    for (index, (record, _)) in records.iter().enumerate() {
        let record_bytes = record.body.len() + FRAME_BYTES;
        if index > start && size_bytes + record_bytes > limit {
            chunks.push(&records[start..index]);
            start = index;
            size_bytes = 0;
        }
        size_bytes += record_bytes;
    }
    if start < records.len() {
        chunks.push(&records[start..]);
    }
    chunks
}

/// What length, attributes, timestamp and offset take before a record's key, at most.
const FRAME_BYTES: usize = 5 + 1 + 10 + 5;

/// Builds a batch of the records, or of each half of them if it still is too large.
fn build_pieces(source: &OutgoingBatch, records: &[Timed<'_>], max_bytes: usize, pieces: &mut Vec<OutgoingBatch>) {
    let mut builder = BatchBuilder::new(source.compression());
    for (record, timestamp) in records {
        builder.push_encoded(record.attributes, *timestamp, record.body);
    }
    let mut piece = builder.build();
    if piece.size_bytes() > max_bytes && records.len() > 1 {
        let (left, right) = records.split_at(records.len() / 2);
        build_pieces(source, left, max_bytes, pieces);
        build_pieces(source, right, max_bytes, pieces);
        return;
    }
    piece.set_transactional(source.attributes() & bits::TRANSACTIONAL != 0);
    pieces.push(piece);
}
