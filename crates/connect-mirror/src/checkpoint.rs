//! `MirrorCheckpointConnector`: translates the positions of consumer groups.

pub mod assignment;
pub mod config;
