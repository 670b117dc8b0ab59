//! `MirrorSourceConnector`: finds the topics of the source and keeps their remote topics, and its tasks, which copy the
//! records.

mod carry;
mod partition;
pub mod topic_rules;
mod topics;
