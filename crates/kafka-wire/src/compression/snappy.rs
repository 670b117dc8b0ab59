//! Snappy. Java clients write xerial's frames of 32 KiB blocks, librdkafka and franz-go one raw block. Everybody reads both;
//! we write frames, because Kafka's own reader takes a raw block only when it is alone.

use snap::raw::{Decoder, Encoder, decompress_len};

use super::{Failure, grow};
use crate::reader::Reader;

const XERIAL_MAGIC: &[u8] = b"\x82SNAPPY\x00";
/// Version 1, readable by readers of version 1.
const XERIAL_VERSIONS: &[u8] = &[0, 0, 0, 1, 0, 0, 0, 1];
/// The first four bytes of the magic where a block's length should be: another stream begins.
const XERIAL_MAGIC_HEAD: u32 = 0x8253_4e41;
const BLOCK_BYTES: usize = 32 << 10;
/// The densest element is a copy of 64 bytes in 3; what claims to be denser lies.
const MAX_RATIO: usize = 22;

pub(super) fn decompress(payload: &[u8], cap_bytes: usize) -> Result<Vec<u8>, Failure> {
    let mut plain = Vec::new();
    let mut decoder = Decoder::new();
    if !payload.starts_with(XERIAL_MAGIC) {
        inflate_block(&mut decoder, payload, &mut plain, cap_bytes)?;
        return Ok(plain);
    }
    let mut reader = Reader::new(payload);
    reader.take(XERIAL_MAGIC.len() + XERIAL_VERSIONS.len(), "xerial header")?;
    while !reader.is_empty() {
        let length = reader.u32("xerial block length")?;
        if length == XERIAL_MAGIC_HEAD {
            reader.take(XERIAL_MAGIC.len() - 4 + XERIAL_VERSIONS.len(), "xerial header")?;
            continue;
        }
        let block = reader.take(length as usize, "xerial block")?;
        inflate_block(&mut decoder, block, &mut plain, cap_bytes)?;
    }
    Ok(plain)
}

pub(super) fn compress(plain: &[u8]) -> Vec<u8> {
    let mut encoder = Encoder::new();
    let mut block_buffer = vec![0; snap::raw::max_compress_len(BLOCK_BYTES)];
    let mut out = Vec::with_capacity(plain.len() / 2 + 32);
    out.extend_from_slice(XERIAL_MAGIC);
    out.extend_from_slice(XERIAL_VERSIONS);
    for block in plain.chunks(BLOCK_BYTES) {
        let len = encoder
            .compress(block, &mut block_buffer)
            .expect("the buffer holds any block of this size");
        out.extend_from_slice(&(len as u32).to_be_bytes());
        out.extend_from_slice(&block_buffer[..len]);
    }
    out
}

fn inflate_block(decoder: &mut Decoder, block: &[u8], plain: &mut Vec<u8>, cap_bytes: usize) -> Result<(), Failure> {
    let len = decompress_len(block).map_err(Failure::corrupt)?;
    if len / MAX_RATIO > block.len() {
        return Err(Failure::corrupt("a snappy block claims to be larger than it can be"));
    }
    let room = grow(plain, len, cap_bytes)?;
    decoder.decompress(block, room).map(|_| ()).map_err(Failure::corrupt)
}
