//! What runs connectors and tasks, one at a time: it is told what to do and reports what happened.

mod connector;
mod error_handling;
mod event;
mod exactly_once_start;
mod offset_commit;
mod source_task;
mod state;
mod submitted_records;
mod topic_creation;
mod topic_groups;
mod transactions;
mod transforming;
mod transit;
mod waiting;

pub(crate) use connector::{CONNECTOR_STOP_TIMEOUT, ConnectorRequests, MaxTasks, WorkerConnector};
pub(crate) use error_handling::RecordHandling;
pub(crate) use event::{ConnectorChange, FencingError, WorkerEvent, WorkerEvents};
pub(crate) use exactly_once_start::{ExactlyOnceStart, fence_earlier_producers};
pub(crate) use offset_commit::OffsetCommit;
pub(crate) use source_task::{TaskEnd, WorkerSourceTask, sleep_until};
pub use state::{ConnectorTaskId, State, TargetState};
pub use submitted_records::{BatchInfo, CommittableOffsets, SubmittedRecords};
pub(crate) use topic_creation::TopicCreation;
pub(crate) use topic_groups::TopicGroups;
pub(crate) use transactions::{Boundary, Transactions};
