//! Kafka's older types, written.

use bytes::{BufMut, BytesMut};

/// The longest string that Kafka's older types carry.
const MAX_STRING_BYTES: usize = i16::MAX as usize;

/// A string with its length. What is longer than the length can say is cut; no URL, name or member id is.
pub(super) fn put_string(out: &mut BytesMut, text: &str) {
    let text = &text[..text.floor_char_boundary(MAX_STRING_BYTES)];
    out.put_i16(text.len() as i16);
    out.put_slice(text.as_bytes());
}

/// How many items follow, never −1: Java workers cannot add to what a null array becomes.
pub(super) fn put_count(out: &mut BytesMut, count: usize) {
    out.put_i32(i32::try_from(count).unwrap_or(i32::MAX));
}
