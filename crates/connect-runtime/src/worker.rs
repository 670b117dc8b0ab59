//! What runs connectors and tasks, one at a time: it is told what to do and reports what happened.

mod state;
mod submitted_records;

pub use state::{ConnectorTaskId, State, TargetState};
pub use submitted_records::{CommittableOffsets, SubmittedRecords};
