//! What can be wrong with bytes that claim to be records.

use crate::Compression;

/// Why bytes could not be read as records, or records not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes end before the thing they began does.
    #[error("{what} is cut off")]
    Truncated {
        /// What was being read.
        what: &'static str,
    },
    /// A field has a value that no writer may give it.
    #[error("{what} has the impossible value {value}")]
    Invalid {
        /// Which field.
        what: &'static str,
        /// What it holds.
        value: i64,
    },
    /// The stored checksum and the bytes disagree.
    #[error("batch at offset {base_offset} is corrupt: stored crc {stored:#010x}, computed {computed:#010x}")]
    Crc {
        /// The batch's base offset.
        base_offset: i64,
        /// The checksum in the header.
        stored: u32,
        /// The checksum of the bytes.
        computed: u32,
    },
    /// The codec bits of a batch name none that Kafka has.
    #[error("compression codec {0} is not one of Kafka's")]
    UnknownCompression(u8),
    /// A codec could not read the payload.
    #[error("{codec} payload could not be decompressed")]
    Decompress {
        /// Which codec.
        codec: Compression,
        /// The codec's own account.
        #[source]
        source: std::io::Error,
    },
    /// A payload inflates to more than the caller allows.
    #[error("{codec} payload inflates to more than {cap_bytes} bytes")]
    TooLarge {
        /// Which codec.
        codec: Compression,
        /// The caller's limit.
        cap_bytes: usize,
    },
    /// A message would take far more memory as values than it has bytes.
    #[error("{what} has too many values for the size of its message")]
    TooManyValues {
        /// Which field.
        what: &'static str,
    },
}
