//! The Connect worker: it keeps connectors and tasks running and remembers what they have done.
//!
//! It knows nothing of mirroring (connectors come from a [plug-in factory](plugins)) and nothing of HTTP. Start
//! reading at [`herder`], which owns the control state, then [`worker`], which runs one connector or task, then
//! [`storage`], the internal topics.

pub mod clients;
mod clock;
pub mod config;
pub mod herder;
pub mod metrics;
pub mod plugins;
pub mod session;
mod settings;
pub mod storage;
mod trouble;
pub mod worker;

pub use clock::Clock;
pub use herder::{Herder, HerderHandle, HerderOptions};
pub use plugins::Plugins;
pub use settings::{ExactlyOnceSupport, WorkerSettings};
