use std::{sync::Arc, time::Duration};

use kafka_wire::{ErrorCode, OutgoingBatch, TopicPartition};
use tokio_util::sync::CancellationToken;

use crate::{BoxFuture, ConnectError, OffsetStorageReader, Props, SourceOffset, SourcePartition};

/// A batch on its way to the target: the payload as it left the source, or rebuilt.
#[derive(Debug)]
pub struct SourceBatch {
    /// Names the stream whose offset is stored once this batch is acknowledged.
    pub source_partition: Arc<SourcePartition>,
    /// The offset of the last record of the batch (or of the last source record that it stands for).
    pub source_offset: SourceOffset,
    /// Where it is to be written.
    pub target: TopicPartition,
    /// The records. Offsets of its own are assigned by the target.
    pub batch: OutgoingBatch,
    /// Chosen by the task, given back in [`BatchOutcome::tag`].
    pub tag: u64,
}

/// What became of a [`SourceBatch`].
#[derive(Debug)]
pub struct BatchOutcome {
    /// The tag of the batch.
    pub tag: u64,
    /// Where it was written, or not.
    pub target: TopicPartition,
    /// `Ok(Some(base))`: written, its first record at target offset `base`. `Ok(None)`: written, but the target did not
    /// say where (a repeat that it had forgotten). `Err`: not written, and not stored as handled.
    pub result: Result<Option<i64>, Refusal>,
    /// Which of its records were written, in runs of first (counted from 0) and count, one behind the other from the
    /// base offset on. `None`: all. The others were dropped by a transformation, or skipped because they cannot be
    /// handled and `errors.tolerance` is `all`.
    pub records: Option<Vec<(u32, u32)>>,
}

/// A target partition that would not take a batch, for a reason that waiting a moment does not mend.
///
/// All batches of that partition that were sent after it are refused with it, in order, so that a task can go back to
/// the first and try again later.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{reason}")]
pub struct Refusal {
    /// What and why, for the person who reads the status.
    pub reason: String,
    /// The broker's word, if it had one.
    pub code: Option<ErrorCode>,
}

/// What a task is given at its start. It asks the worker nothing afterwards.
pub struct TaskContext {
    /// `<connector>-<task>`, for logs.
    pub task_id: String,
    /// How many tasks the connector has, on all workers.
    pub task_count: usize,
    /// Stored offsets.
    pub offsets: Arc<dyn OffsetStorageReader>,
    /// Cancelled when the task is to stop; background work of the task ends with it.
    pub cancel: CancellationToken,
    /// `offset.flush.interval.ms` of the worker: how often [`SourceTask::commit`] is called.
    pub offset_flush_interval: Duration,
}

impl std::fmt::Debug for TaskContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TaskContext")
            .field("task_id", &self.task_id)
            .finish_non_exhaustive()
    }
}

/// Copies one share of the work (Java's `SourceTask`). One dynamic call per batch, never per record.
///
/// The worker's loop calls, always one at a time: `connector_configured`, `start`, then `poll`, `acked` and `commit` as they come, then `stop`.
pub trait SourceTask: Send {
    /// Connects, finds the start positions. Retriable trouble (a cluster that is away) is not an error: the task keeps
    /// trying inside `poll`. The worker drops the future when the task is to stop meanwhile, and calls `stop`.
    fn start(&mut self, props: Props, context: TaskContext) -> BoxFuture<'_, Result<(), ConnectError>>;
    /// The connector's own configuration, its variables resolved: before `start`, and again whenever it changes. A change
    /// that leaves the configuration of the tasks as it is does not restart them; this is how they hear of it.
    fn connector_configured(&mut self, connector: &Props) {
        let _ = connector;
    }
    /// The next batches, waiting for them as long as it takes. Cancel-safe: progress lives in `self`, and the worker
    /// drops the future whenever something else happens. Only called while the worker has room for more.
    fn poll(&mut self) -> BoxFuture<'_, Result<Vec<SourceBatch>, ConnectError>>;
    /// What became of earlier batches; per target partition in the order in which they were sent.
    fn acked(&mut self, outcomes: Vec<BatchOutcome>);
    /// Called after source offsets were stored, each `offset.flush.interval.ms` and at the end.
    fn commit(&mut self) -> BoxFuture<'_, Result<(), ConnectError>>;
    /// Ends the task; `commit` was called before if the stop is orderly.
    fn stop(self: Box<Self>) -> BoxFuture<'static, ()>;
}
