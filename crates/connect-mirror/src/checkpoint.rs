//! `MirrorCheckpointConnector`: translates the positions of consumer groups into offsets of the target, writes them as
//! checkpoints, and, if told to, into the groups themselves.
//!
//! Start reading at `checkpointer`. How offsets are translated: docs/OFFSET-TRANSLATION.md.

pub mod assignment;
mod checkpoint_store;
mod checkpointer;
pub mod config;
mod connector;
pub(crate) mod end_markers;
mod group_offset_sync;
mod groups;
mod loading;
pub(crate) mod round;
mod task;

pub use connector::{CHECKPOINT_TASK_CLASS, MirrorCheckpointConnector};
