//! The control batch that ends a transaction in a partition.

use bytes::{BufMut, BytesMut};
use kafka_wire::RecordBatch;

use super::write_crc;

const TRANSACTIONAL_AND_CONTROL: i16 = 0x30;
const NO_SEQUENCE: i32 = -1;

/// One control record: key (version 0, type), value (version 0, coordinator epoch 0).
pub(crate) fn end_txn_marker(producer_id: i64, producer_epoch: i16, committed: bool, now_ms: i64) -> RecordBatch {
    let marker_type: u8 = if committed { 1 } else { 0 };
    // Lengths and deltas are zigzag varints: 4 is 8, 6 is 12; the record itself has 16 bytes, which is 32.
    let record = [32, 0, 0, 0, 8, 0, 0, 0, marker_type, 12, 0, 0, 0, 0, 0, 0, 0];
    let mut batch = BytesMut::with_capacity(61 + record.len());
    batch.put_i64(0); // base offset, stamped by the log
    batch.put_i32(49 + record.len() as i32);
    batch.put_i32(-1); // leader epoch, stamped by the log
    batch.put_u8(2); // magic
    batch.put_u32(0); // crc, below
    batch.put_i16(TRANSACTIONAL_AND_CONTROL);
    batch.put_i32(0); // last offset delta
    batch.put_i64(now_ms);
    batch.put_i64(now_ms);
    batch.put_i64(producer_id);
    batch.put_i16(producer_epoch);
    batch.put_i32(NO_SEQUENCE);
    batch.put_i32(1);
    batch.put_slice(&record);
    write_crc(&mut batch);
    RecordBatch::parse(batch.freeze()).expect("the marker above is a well-formed batch")
}
