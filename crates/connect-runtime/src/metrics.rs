//! Counters that an exporter reads; they are touched per batch, never per record.

mod windows;
mod worker;

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use kafka_wire::TopicPartition;
use tokio::time::Instant;

use self::windows::Windows;
pub use self::{
    windows::{Share, TaskWindows},
    worker::{RebalanceSnapshot, StartupSnapshot, WorkerMetrics},
};
use crate::worker::State;

/// What one task has done since it was started.
#[derive(Debug)]
pub struct TaskMetrics {
    /// Windows count milliseconds from here.
    began: Instant,
    windows: Mutex<Windows>,
    polled_records: AtomicU64,
    polled_batches: AtomicU64,
    written_records: AtomicU64,
    written_bytes: AtomicU64,
    written_batches: AtomicU64,
    refused_batches: AtomicU64,
    poll_failures: AtomicU64,
    commits: AtomicU64,
    commit_failures: AtomicU64,
    commit_time_ms: AtomicU64,
    last_commit_ms: AtomicI64,
    filtered_records: AtomicU64,
    record_errors: AtomicU64,
    records_skipped: AtomicU64,
    errors_logged: AtomicU64,
    active_records: AtomicI64,
    /// Since `began`; −1 for never.
    last_error_ms: AtomicI64,
    any_refused: AtomicBool,
    refused: Mutex<BTreeMap<TopicPartition, String>>,
}

/// [`TaskMetrics`] at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskCounters {
    /// Records that the task gave to the worker.
    pub polled_records: u64,
    /// Batches that the task gave to the worker.
    pub polled_batches: u64,
    /// Records that the target has acknowledged.
    pub written_records: u64,
    /// Bytes that the target has acknowledged, as they were sent.
    pub written_bytes: u64,
    /// Batches that the target has acknowledged.
    pub written_batches: u64,
    /// Batches that the target would not take.
    pub refused_batches: u64,
    /// Failures of the task that passed.
    pub poll_failures: u64,
    /// Offset commits that stored something.
    pub commits: u64,
    /// Offset commits that failed; what they would have stored is stored by a later one.
    pub commit_failures: u64,
    /// Time spent storing offsets.
    pub commit_time_ms: u64,
    /// When offsets were stored last, in milliseconds since 1970; 0 if never.
    pub last_commit_ms: i64,
    /// Records that a transformation dropped on purpose.
    pub filtered_records: u64,
    /// Records that a transformation failed on, or that were skipped because the target would not have them.
    pub record_errors: u64,
    /// Those of them that were skipped (`errors.tolerance=all`).
    pub records_skipped: u64,
    /// Log lines about them (`errors.log.enable`).
    pub errors_logged: u64,
    /// Records that were given to the producer and have no outcome yet.
    pub active_records: i64,
    /// How long ago a record failed last; `None` if never.
    pub since_last_error_ms: Option<i64>,
    /// Target partitions that take nothing at the moment, and why.
    pub refused: BTreeMap<TopicPartition, String>,
}

impl Default for TaskMetrics {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            windows: Mutex::default(),
            polled_records: AtomicU64::default(),
            polled_batches: AtomicU64::default(),
            written_records: AtomicU64::default(),
            written_bytes: AtomicU64::default(),
            written_batches: AtomicU64::default(),
            refused_batches: AtomicU64::default(),
            poll_failures: AtomicU64::default(),
            commits: AtomicU64::default(),
            commit_failures: AtomicU64::default(),
            commit_time_ms: AtomicU64::default(),
            last_commit_ms: AtomicI64::default(),
            filtered_records: AtomicU64::default(),
            record_errors: AtomicU64::default(),
            records_skipped: AtomicU64::default(),
            errors_logged: AtomicU64::default(),
            active_records: AtomicI64::default(),
            last_error_ms: AtomicI64::new(-1),
            any_refused: AtomicBool::default(),
            refused: Mutex::default(),
        }
    }
}

impl TaskMetrics {
    /// The windowed values now.
    pub fn windows(&self) -> TaskWindows {
        self.with_windows(Windows::read)
    }

    fn with_windows<T>(&self, change: impl FnOnce(&mut Windows, i64) -> T) -> T {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut windows, self.now_ms())
    }

    fn now_ms(&self) -> i64 {
        self.began.elapsed().as_millis() as i64
    }

    pub(crate) fn state(&self, state: State) {
        self.with_windows(|windows, now_ms| windows.state(now_ms, state));
    }

    /// The counters now.
    pub fn read(&self) -> TaskCounters {
        TaskCounters {
            polled_records: self.polled_records.load(Relaxed),
            polled_batches: self.polled_batches.load(Relaxed),
            written_records: self.written_records.load(Relaxed),
            written_bytes: self.written_bytes.load(Relaxed),
            written_batches: self.written_batches.load(Relaxed),
            refused_batches: self.refused_batches.load(Relaxed),
            poll_failures: self.poll_failures.load(Relaxed),
            commits: self.commits.load(Relaxed),
            commit_failures: self.commit_failures.load(Relaxed),
            commit_time_ms: self.commit_time_ms.load(Relaxed),
            last_commit_ms: self.last_commit_ms.load(Relaxed),
            filtered_records: self.filtered_records.load(Relaxed),
            record_errors: self.record_errors.load(Relaxed),
            records_skipped: self.records_skipped.load(Relaxed),
            errors_logged: self.errors_logged.load(Relaxed),
            active_records: self.active_records.load(Relaxed),
            since_last_error_ms: Some(self.last_error_ms.load(Relaxed))
                .filter(|last| *last >= 0)
                .map(|last| self.now_ms() - last),
            refused: self.refused.lock().expect("no holder of this lock panics").clone(),
        }
    }

    pub(crate) fn polled(&self, took: Duration, batches: u64, records: u64) {
        self.with_windows(|windows, now_ms| windows.polled(now_ms, took, records));
        self.polled_batches.fetch_add(batches, Relaxed);
        self.polled_records.fetch_add(records, Relaxed);
    }

    /// Records went to the producer.
    pub(crate) fn submitted(&self, records: u64) {
        let active = self.active_records.fetch_add(records as i64, Relaxed) + records as i64;
        self.with_windows(|windows, now_ms| windows.active(now_ms, active));
    }

    /// There is an outcome for them.
    pub(crate) fn settled(&self, records: u64) {
        let active = self.active_records.fetch_sub(records as i64, Relaxed) - records as i64;
        self.with_windows(|windows, now_ms| windows.active(now_ms, active));
    }

    pub(crate) fn filtered(&self, records: u64) {
        self.filtered_records.fetch_add(records, Relaxed);
    }

    pub(crate) fn record_errors(&self, records: u64, skipped: bool, logged: bool) {
        self.record_errors.fetch_add(records, Relaxed);
        self.last_error_ms.store(self.now_ms(), Relaxed);
        self.records_skipped
            .fetch_add(if skipped { records } else { 0 }, Relaxed);
        self.errors_logged.fetch_add(u64::from(logged), Relaxed);
    }

    pub(crate) fn poll_failed(&self) {
        self.poll_failures.fetch_add(1, Relaxed);
    }

    pub(crate) fn written(&self, target: &TopicPartition, records: u64, bytes: u64) {
        self.with_windows(|windows, now_ms| windows.written(now_ms, records));
        self.written_batches.fetch_add(1, Relaxed);
        self.written_records.fetch_add(records, Relaxed);
        self.written_bytes.fetch_add(bytes, Relaxed);
        if self.any_refused.load(Relaxed) {
            let mut refused = self.refused.lock().expect("no holder of this lock panics");
            refused.remove(target);
            self.any_refused.store(!refused.is_empty(), Relaxed);
        }
    }

    /// Answers whether this is news: the partition took batches before, or refused them for another reason.
    pub(crate) fn refused(&self, target: &TopicPartition, reason: &str) -> bool {
        self.refused_batches.fetch_add(1, Relaxed);
        self.any_refused.store(true, Relaxed);
        let mut refused = self.refused.lock().expect("no holder of this lock panics");
        refused.insert(target.clone(), reason.to_owned()).as_deref() != Some(reason)
    }

    pub(crate) fn committed(&self, took: Duration, now_ms: i64) {
        self.with_windows(|windows, now_ms| windows.committed(now_ms, Some(took)));
        self.commits.fetch_add(1, Relaxed);
        self.commit_time_ms.fetch_add(took.as_millis() as u64, Relaxed);
        self.last_commit_ms.store(now_ms, Relaxed);
    }

    /// A transaction with so many records was committed.
    pub(crate) fn transaction(&self, records: u64) {
        self.with_windows(|windows, now_ms| windows.transaction(now_ms, records));
    }

    pub(crate) fn commit_failed(&self) {
        self.with_windows(|windows, now_ms| windows.committed(now_ms, None));
        self.commit_failures.fetch_add(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_partition_is_listed_until_it_takes_a_batch() {
        let metrics = TaskMetrics::default();
        let orders = TopicPartition::new("orders", 0);
        assert!(metrics.refused(&orders, "too large"));
        assert!(!metrics.refused(&orders, "too large"));
        assert!(metrics.refused(&orders, "not authorised"));
        metrics.written(&TopicPartition::new("orders", 1), 10, 100);
        let counters = metrics.read();
        assert_eq!(counters.refused, [(orders.clone(), "not authorised".to_owned())].into());
        assert_eq!((counters.refused_batches, counters.written_records), (3, 10));
        metrics.written(&orders, 1, 1);
        assert!(metrics.read().refused.is_empty());
    }
}
