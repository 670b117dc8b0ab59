//! Kafka's codecs. Each file knows one; every decompression has a cap on what comes out.

mod gzip;
mod lz4;
mod snappy;
mod zstd;

use std::fmt;
use std::io::{self, Read};
use std::str::FromStr;

use bytes::Bytes;

use crate::Error;

/// The cap where a caller does not set one: a batch of a few megabytes that inflates to more is an attack or an accident.
pub const INFLATE_CAP_BYTES: usize = 256 << 20;

/// How a payload is compressed, by the name it has in `compression.type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// RFC 1952.
    Gzip,
    /// Snappy blocks in xerial's frames.
    Snappy,
    /// LZ4 frames.
    Lz4,
    /// RFC 8878.
    Zstd,
}

impl Compression {
    /// All of them, in the order of their numbers.
    pub const ALL: [Compression; 5] = [
        Compression::None,
        Compression::Gzip,
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd,
    ];

    /// The codec with this number.
    pub fn from_bits(bits: u8) -> Result<Self, Error> {
        Self::ALL
            .get(usize::from(bits))
            .copied()
            .ok_or(Error::UnknownCompression(bits))
    }

    /// Its number in a batch's attributes.
    pub fn to_bits(self) -> u8 {
        self as u8
    }

    /// Its name in `compression.type`.
    pub fn name(self) -> &'static str {
        match self {
            Compression::None => "none",
            Compression::Gzip => "gzip",
            Compression::Snappy => "snappy",
            Compression::Lz4 => "lz4",
            Compression::Zstd => "zstd",
        }
    }

    /// Inflates to at most `cap_bytes`. Plain bytes are handed on as they are.
    pub fn decompress(self, payload: &Bytes, cap_bytes: usize) -> Result<Bytes, Error> {
        let inflated = match self {
            Compression::None => return Ok(payload.clone()),
            Compression::Gzip => gzip::decompress(payload, cap_bytes),
            Compression::Snappy => snappy::decompress(payload, cap_bytes),
            Compression::Lz4 => lz4::decompress(payload, cap_bytes),
            Compression::Zstd => zstd::decompress(payload, cap_bytes),
        };
        inflated.map(Bytes::from).map_err(|failure| match failure {
            Failure::TooLarge => Error::TooLarge { codec: self, cap_bytes },
            Failure::Corrupt(source) => Error::Decompress { codec: self, source },
        })
    }

    /// Inflates the value of an old wrapper message. They never held zstd.
    pub(crate) fn decompress_legacy(self, payload: &Bytes, magic: u8, cap_bytes: usize) -> Result<Bytes, Error> {
        match self {
            Compression::Zstd => Err(Error::Invalid {
                what: "magic of a zstd message",
                value: i64::from(magic),
            }),
            codec => codec.decompress(payload, cap_bytes),
        }
    }

    /// Deflates at Kafka's default level. Plain bytes are handed on as they are.
    pub fn compress(self, plain: Bytes) -> Bytes {
        match self {
            Compression::None => plain,
            Compression::Gzip => gzip::compress(&plain).into(),
            Compression::Snappy => snappy::compress(&plain).into(),
            Compression::Lz4 => lz4::compress(&plain).into(),
            Compression::Zstd => zstd::compress(&plain).into(),
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Compression {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|codec| codec.name() == name);
        found.ok_or_else(|| format!("Unknown compression name: {name}"))
    }
}

/// Why a codec gave up.
#[derive(Debug)]
enum Failure {
    TooLarge,
    Corrupt(io::Error),
}

impl Failure {
    fn corrupt(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Failure::Corrupt(io::Error::new(io::ErrorKind::InvalidData, why))
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::corrupt(error)
    }
}

/// Reads a decoder to its end, one byte beyond the cap at most. The buffer grows with what really comes out.
fn read_capped(decoder: impl Read, cap_bytes: usize) -> Result<Vec<u8>, Failure> {
    let mut plain = Vec::new();
    let limit = (cap_bytes as u64).saturating_add(1);
    decoder.take(limit).read_to_end(&mut plain).map_err(Failure::Corrupt)?;
    match plain.len() > cap_bytes {
        true => Err(Failure::TooLarge),
        false => Ok(plain),
    }
}

/// Makes room for `more` bytes of output unless that is beyond the cap.
fn grow(plain: &mut Vec<u8>, more: usize, cap_bytes: usize) -> Result<&mut [u8], Failure> {
    let start = plain.len();
    match start.checked_add(more) {
        Some(end) if end <= cap_bytes => {
            plain.resize(end, 0);
            Ok(&mut plain[start..])
        }
        _ => Err(Failure::TooLarge),
    }
}
