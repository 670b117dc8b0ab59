//! The Connect worker: it keeps connectors and tasks running and remembers what they have done.
//!
//! It knows nothing of mirroring (connectors come from a [plug-in factory](plugins)) and nothing of HTTP. Start
//! reading at [`herder`], which owns the control state, then [`worker`], which runs one connector or task, then
//! [`storage`], the internal topics.

pub mod storage;
pub mod worker;
