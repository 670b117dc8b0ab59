//! The records that MirrorMaker writes about itself: heartbeats, checkpoints and offset syncs.
//!
//! Fields are big-endian; a text is its length in bytes (16 bits) and UTF-8. Decoders ignore what follows the last field
//! and do not look at the version, as in Kafka.

mod checkpoint;
mod codec;
mod heartbeat;
mod offset_sync;

pub use checkpoint::Checkpoint;
pub use codec::{DecodeError, EncodeError};
pub use heartbeat::Heartbeat;
pub use offset_sync::OffsetSync;

#[cfg(test)]
mod golden;
