//! `MirrorHeartbeatConnector`: writes a sign of life into the topic `heartbeats` of the target, so that its copies show
//! which flows work.

pub mod config;
mod connector;
mod task;

pub use connector::{HEARTBEAT_TASK_CLASS, MirrorHeartbeatConnector};
