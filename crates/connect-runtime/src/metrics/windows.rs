//! What Kafka shows of a task as rates, means and ratios.

use std::time::Duration;

use kafka_client::metrics::{SampledRate, SampledStats, Stats};

use crate::worker::State;

#[derive(Debug, Default)]
pub(super) struct Windows {
    poll_time: SampledStats,
    batch_size: SampledStats,
    polls: SampledRate,
    writes: SampledRate,
    active: SampledStats,
    commit_time: SampledStats,
    /// 1 for a commit that stored something, 0 for one that failed.
    commit_success: SampledStats,
    transaction_size: SampledStats,
    state: Option<(State, i64)>,
    running_ms: i64,
    paused_ms: i64,
}

/// Windowed values of a task at one moment.
#[derive(Clone, Copy, Debug)]
pub struct TaskWindows {
    /// `poll-batch-*-time-ms`.
    pub poll_time_ms: Stats,
    /// `batch-size-*`, in records.
    pub batch_size: Stats,
    /// `source-record-poll-rate`.
    pub poll_rate: f64,
    /// `source-record-write-rate`.
    pub write_rate: f64,
    /// `source-record-active-count-*`.
    pub active: Stats,
    /// `offset-commit-*-time-ms`.
    pub commit_time_ms: Stats,
    /// `offset-commit-success-percentage`, from 0 to 1 as in Kafka.
    pub commit_success: Share,
    /// `transaction-size-*`, in records.
    pub transaction_size: Stats,
    /// `running-ratio`.
    pub running_ratio: f64,
    /// `pause-ratio`.
    pub pause_ratio: f64,
}

/// How many of a kind there were, from 0 to 1, and of the other kind. Both are 0 as long as there was none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share {
    /// Of what went well.
    pub success: f64,
    /// Of what did not.
    pub failure: f64,
}

impl Share {
    pub(super) fn of(zeros_and_ones: Stats) -> Self {
        match zeros_and_ones.avg {
            avg if avg.is_nan() => Self {
                success: 0.0,
                failure: 0.0,
            },
            avg => Self {
                success: avg,
                failure: 1.0 - avg,
            },
        }
    }
}

impl Windows {
    pub(super) fn polled(&mut self, now_ms: i64, took: Duration, records: u64) {
        self.poll_time.record(now_ms, took.as_millis() as f64);
        self.batch_size.record(now_ms, records as f64);
        self.polls.record(now_ms, records as f64);
    }

    pub(super) fn active(&mut self, now_ms: i64, records: i64) {
        self.active.record(now_ms, records as f64);
    }

    pub(super) fn written(&mut self, now_ms: i64, records: u64) {
        self.writes.record(now_ms, records as f64);
    }

    pub(super) fn committed(&mut self, now_ms: i64, took: Option<Duration>) {
        self.commit_success
            .record(now_ms, if took.is_some() { 1.0 } else { 0.0 });
        if let Some(took) = took {
            self.commit_time.record(now_ms, took.as_millis() as f64);
        }
    }

    pub(super) fn transaction(&mut self, now_ms: i64, records: u64) {
        self.transaction_size.record(now_ms, records as f64);
    }

    pub(super) fn state(&mut self, now_ms: i64, state: State) {
        self.add_time(now_ms);
        self.state = Some((state, now_ms));
    }

    fn add_time(&mut self, now_ms: i64) {
        if let Some((state, since)) = &mut self.state {
            match state {
                State::Running => self.running_ms += now_ms - *since,
                State::Paused => self.paused_ms += now_ms - *since,
                _ => {}
            }
            *since = now_ms;
        }
    }

    pub(super) fn read(&mut self, now_ms: i64) -> TaskWindows {
        self.add_time(now_ms);
        let ratio = |ms: i64| if now_ms > 0 { ms as f64 / now_ms as f64 } else { 0.0 };
        TaskWindows {
            poll_time_ms: self.poll_time.snapshot(now_ms),
            batch_size: self.batch_size.snapshot(now_ms),
            poll_rate: self.polls.per_second(now_ms),
            write_rate: self.writes.per_second(now_ms),
            active: self.active.snapshot(now_ms),
            commit_time_ms: self.commit_time.snapshot(now_ms),
            commit_success: Share::of(self.commit_success.snapshot(now_ms)),
            transaction_size: self.transaction_size.snapshot(now_ms),
            running_ratio: ratio(self.running_ms),
            pause_ratio: ratio(self.paused_ms),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn before_anything_happened_means_are_unknown_and_shares_are_none() {
        let windows = Windows::default().read(0);
        assert!(windows.poll_time_ms.avg.is_nan() && windows.batch_size.max.is_nan());
        assert_eq!((windows.poll_rate, windows.write_rate), (0.0, 0.0));
        let none = Share {
            success: 0.0,
            failure: 0.0,
        };
        assert_eq!(windows.commit_success, none);
    }

    #[test]
    fn ratios_are_of_the_time_since_the_start() {
        let mut windows = Windows::default();
        windows.state(1000, State::Running);
        windows.state(3000, State::Paused);
        let read = windows.read(4000);
        assert_eq!((read.running_ratio, read.pause_ratio), (0.5, 0.25));
    }

    #[test]
    fn failed_commits_count_in_the_share_and_not_in_the_time() {
        let mut windows = Windows::default();
        windows.committed(0, Some(Duration::from_millis(8)));
        windows.committed(1, Some(Duration::from_millis(4)));
        windows.committed(2, None);
        windows.committed(3, None);
        let read = windows.read(4);
        assert_eq!((read.commit_success.success, read.commit_success.failure), (0.5, 0.5));
        assert_eq!((read.commit_time_ms.avg, read.commit_time_ms.max), (6.0, 8.0));
    }
}
