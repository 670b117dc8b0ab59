//! What Connect puts into the group requests: subscriptions go up with JoinGroup, assignments come down with SyncGroup.

mod assignment;
mod connect_protocol;
mod reader;
mod subscription;
#[cfg(test)]
mod tests;
mod writer;

pub use assignment::{Assignment, AssignmentError};
pub use connect_protocol::ConnectProtocol;
pub use reader::Malformed;
pub use subscription::Subscription;
