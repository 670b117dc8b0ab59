//! Zstandard at level 3, as Kafka's default.

use structured_zstd::decoding::StreamingDecoder;
use structured_zstd::encoding::{CompressionLevel, compress_slice_to_vec};

use super::{Failure, read_capped};

const LEVEL: i32 = 3;

pub(super) fn decompress(payload: &[u8], cap_bytes: usize) -> Result<Vec<u8>, Failure> {
    read_capped(StreamingDecoder::new(payload), cap_bytes)
}

pub(super) fn compress(plain: &[u8]) -> Vec<u8> {
    compress_slice_to_vec(plain, CompressionLevel::from_level(LEVEL))
}
