//! The group protocol of Connect workers: who is in the group, who leads it, and who runs what.
//!
//! A worker is a member of a classic Kafka group whose protocol type is `connect`. The broker elects a leader; the
//! leader's [`assignor`] shares connectors and tasks out; what travels inside the group requests is in [`protocol`].
//! [`Member`] does all of it and decides when to join again, catch up, back off or leave. Whoever runs the connectors
//! only obeys its [`GroupEvent`]s: stop these, run these, here is the leader, here is who owns what.
//!
//! It knows nothing of configurations beyond their offset and the number of tasks ([`ConfigSnapshots`]), and nothing
//! of how connectors and tasks are run. Start reading at [`Member`].

pub mod assignor;
mod error;
mod member;
pub mod protocol;
mod snapshot;
mod work;

pub use error::Error;
pub use member::{GroupConfig, GroupEvent, Member, MemberHandle, Owners, Revocation, RevocationReason, Round};
pub use protocol::ConnectProtocol;
pub use snapshot::{CatchUpError, ConfigSnapshot, ConfigSnapshots};
pub use work::{TaskId, Work};
