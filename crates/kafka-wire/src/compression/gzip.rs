//! gzip, read as Java reads it: several members in a row are one stream.

use std::io::Write;

use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;

use super::{Failure, read_capped};

pub(super) fn decompress(payload: &[u8], cap_bytes: usize) -> Result<Vec<u8>, Failure> {
    read_capped(MultiGzDecoder::new(payload), cap_bytes)
}

pub(super) fn compress(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder
        .write_all(plain)
        .and_then(|()| encoder.finish())
        .expect("writing to memory does not fail")
}
