//! LZ4 frames. Written as Java writes them: independent blocks of 64 KiB, no checksums (the batch has its own).
//!
//! Reading walks the frame itself and inflates each block straight into the output. The frame's xxHash checksums are
//! passed over: the batch's checksum covers the same bytes, and those of magic-0 messages were computed wrongly by old
//! clients (KAFKA-3160), so that Kafka has to ignore them too.

use std::io::Write;

use lz4_flex::block::{decompress_into, decompress_into_with_dict};
use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};

use super::{Failure, grow};
use crate::reader::Reader;

const FRAME_MAGIC: u32 = 0x184d_2204;
const UNCOMPRESSED_BIT: u32 = 1 << 31;
/// How far back a block may refer.
const WINDOW_BYTES: usize = 64 << 10;

pub(super) fn decompress(payload: &[u8], cap_bytes: usize) -> Result<Vec<u8>, Failure> {
    let mut reader = Reader::new(payload);
    let mut plain = Vec::new();
    // At least one frame; some writers put several in a row.
    loop {
        inflate_frame(&mut reader, &mut plain, cap_bytes)?;
        if reader.is_empty() {
            return Ok(plain);
        }
    }
}

pub(super) fn compress(plain: &[u8]) -> Vec<u8> {
    let info = FrameInfo::new()
        .block_size(BlockSize::Max64KB)
        .block_mode(BlockMode::Independent);
    let mut encoder = FrameEncoder::with_frame_info(info, Vec::with_capacity(plain.len() / 2 + 32));
    encoder.write_all(plain).expect("writing to memory does not fail");
    encoder.finish().expect("writing to memory does not fail")
}

/// What the header of a frame says about its blocks.
struct FrameHeader {
    linked_blocks: bool,
    block_checksums: bool,
    content_checksum: bool,
    max_block_bytes: usize,
}

fn inflate_frame(reader: &mut Reader<'_>, plain: &mut Vec<u8>, cap_bytes: usize) -> Result<(), Failure> {
    let header = FrameHeader::read(reader)?;
    let frame_start = plain.len();
    loop {
        let length = reader.u32_le("lz4 block length")?;
        if length == 0 {
            break;
        }
        let block_len = (length & !UNCOMPRESSED_BIT) as usize;
        if block_len > header.max_block_bytes {
            return Err(Failure::corrupt("an lz4 block is larger than its frame allows"));
        }
        let block = reader.take(block_len, "lz4 block")?;
        if length & UNCOMPRESSED_BIT != 0 {
            grow(plain, block_len, cap_bytes)?.copy_from_slice(block);
        } else {
            let dictionary_start = match header.linked_blocks {
                true => frame_start.max(plain.len().saturating_sub(WINDOW_BYTES)),
                false => plain.len(),
            };
            inflate_block(block, plain, dictionary_start, header.max_block_bytes, cap_bytes)?;
        }
        if header.block_checksums {
            reader.take(4, "lz4 block checksum")?;
        }
    }
    if header.content_checksum {
        reader.take(4, "lz4 content checksum")?;
    }
    Ok(())
}

impl FrameHeader {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Failure> {
        if reader.u32_le("lz4 frame magic")? != FRAME_MAGIC {
            return Err(Failure::corrupt("no lz4 frame begins here"));
        }
        let flags = reader.u8("lz4 frame flags")?;
        let block_descriptor = reader.u8("lz4 block descriptor")?;
        if flags >> 6 != 1 {
            return Err(Failure::corrupt("an lz4 frame is of an unknown version"));
        }
        let max_block_bytes = match block_descriptor >> 4 & 0x07 {
            size @ 4..=7 => 1 << (8 + 2 * size),
            _ => return Err(Failure::corrupt("an lz4 frame has an impossible block size")),
        };
        if flags & 0x08 != 0 {
            reader.take(8, "lz4 content size")?;
        }
        if flags & 0x01 != 0 {
            return Err(Failure::corrupt("an lz4 frame needs a dictionary"));
        }
        reader.take(1, "lz4 header checksum")?;
        Ok(Self {
            linked_blocks: flags & 0x20 == 0,
            block_checksums: flags & 0x10 != 0,
            content_checksum: flags & 0x04 != 0,
            max_block_bytes,
        })
    }
}

/// Inflates behind what is already there. Nothing but the result stays in the output.
fn inflate_block(
    block: &[u8],
    plain: &mut Vec<u8>,
    dictionary_start: usize,
    max_block_bytes: usize,
    cap_bytes: usize,
) -> Result<(), Failure> {
    let start = plain.len();
    // One byte of input never makes more than 255 of output, so a tiny block cannot ask for a large buffer.
    let room = max_block_bytes
        .min(block.len().saturating_mul(255))
        .min(cap_bytes.saturating_sub(start));
    plain.resize(start + room, 0);
    let (before, target) = plain.split_at_mut(start);
    let dictionary = &before[dictionary_start..];
    let written = match dictionary.is_empty() {
        true => decompress_into(block, target),
        false => decompress_into_with_dict(block, target, dictionary),
    };
    match written {
        Ok(len) => {
            plain.truncate(start + len);
            Ok(())
        }
        Err(_) if room < max_block_bytes && start + room == cap_bytes => Err(Failure::TooLarge),
        Err(error) => Err(Failure::corrupt(error)),
    }
}
