//! Kafka's record bytes as values: batches, records, headers, codecs, checksums, error codes and the shapes of messages.
//!
//! No I/O and no runtime: bytes go in, values come out. Of requests it knows the [`shape`] and nothing else; it does not
//! know topics' configuration or offsets that anybody committed. Nothing here panics, sizes an allocation or loops on the
//! word of a peer.
//!
//! Start at [`RecordBatch`], what a fetch response holds, and [`OutgoingBatch`], what a produce request takes. Between the
//! two lies either [`RecordBatch::pass_through`], which touches 61 bytes, or [`RecordBatch::records`] and a
//! [`BatchBuilder`], which touch all.

mod batch_iter;
mod builder;
mod compression;
pub mod crc;
mod error;
mod error_code;
#[doc(hidden)]
pub mod fuzzing;
mod headers;
mod legacy;
mod merge;
pub mod murmur2;
mod outgoing;
mod reader;
mod record;
mod record_batch;
pub mod shape;
mod split;
mod topic_partition;
mod varint;

pub use batch_iter::{BatchIter, Entry};
pub use builder::BatchBuilder;
pub use compression::{Compression, INFLATE_CAP_BYTES};
pub use crc::PayloadCrc;
pub use error::Error;
pub use error_code::ErrorCode;
pub use headers::Headers;
pub use legacy::LegacyMessages;
pub use merge::merge;
pub use outgoing::OutgoingBatch;
pub use record::{Record, RecordIter, Records};
pub use record_batch::{RecordBatch, TimestampType};
pub use split::split;
pub use topic_partition::TopicPartition;
