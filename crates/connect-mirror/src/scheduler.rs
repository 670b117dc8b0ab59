//! When a connector's background jobs are due: at intervals while they succeed, soon again when they fail.
//!
//! Pure. Jobs may run side by side, each at most once at a time; who runs them one by one, as the single scheduler thread
//! of Kafka's connectors does, need not say that one has started.

use std::time::Duration;

use tokio::time::Instant;

/// A job that failed is tried again after this, then after twice as long, up to the longest, or up to its interval if that
/// is shorter: what fails for good in one item of a job must not hold up the others.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_secs(30);

/// The times of jobs, by what names them.
#[derive(Debug)]
pub(crate) struct Schedule<J> {
    entries: Vec<Entry<J>>,
}

#[derive(Debug)]
struct Entry<J> {
    job: J,
    interval: Option<Duration>,
    next: Option<Instant>,
    failures: u32,
    /// It runs and is wanted once more.
    is_wanted_again: bool,
}

/// A failure that was scheduled again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Retry {
    /// After how long.
    pub(crate) after: Duration,
    /// Failures in a row.
    pub(crate) failures: u32,
}

impl Retry {
    /// Whether a person should read of it: ever more rarely.
    pub(crate) fn is_news(self) -> bool {
        self.failures.is_power_of_two()
    }
}

impl<J: Copy + PartialEq> Schedule<J> {
    pub(crate) fn new() -> Self {
        Self { entries: Vec::new() }
    }

    /// Adds a job that is due at `first`, and `interval` after each success; without an interval it ends with the
    /// first success.
    pub(crate) fn add(&mut self, job: J, first: Instant, interval: Option<Duration>) {
        self.entries.push(Entry {
            job,
            interval,
            next: Some(first),
            failures: 0,
            is_wanted_again: false,
        });
    }

    /// A job runs: it is not due again before it has ended.
    pub(crate) fn started(&mut self, job: J) {
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.job == job) {
            entry.next = None;
        }
    }

    /// A job is wanted now, or once more if it runs. One that was never added, or has ended, stays so.
    pub(crate) fn hasten(&mut self, job: J, now: Instant) {
        let entry = self.entries.iter_mut().find(|entry| entry.job == job);
        let Some(entry) = entry else { return };
        match &mut entry.next {
            Some(next) => *next = now.min(*next),
            None => entry.is_wanted_again = entry.interval.is_some(),
        }
    }

    /// The job that is due first, and when. Of jobs due together, the one that was added first.
    pub(crate) fn next(&self) -> Option<(J, Instant)> {
        let due = self.entries.iter().filter_map(|entry| Some((entry.job, entry.next?)));
        due.min_by_key(|(_, at)| *at)
    }

    /// Answers how many failures went before.
    pub(crate) fn succeeded(&mut self, job: J, now: Instant) -> u32 {
        let Some(entry) = self.entries.iter_mut().find(|entry| entry.job == job) else {
            return 0;
        };
        entry.next = match std::mem::take(&mut entry.is_wanted_again) {
            true => Some(now),
            false => entry.interval.map(|interval| now + interval),
        };
        std::mem::take(&mut entry.failures)
    }

    pub(crate) fn failed(&mut self, job: J, now: Instant) -> Retry {
        let Some(entry) = self.entries.iter_mut().find(|entry| entry.job == job) else {
            return Retry {
                after: LONGEST_RETRY,
                failures: 0,
            };
        };
        let interval = entry.interval.unwrap_or(LONGEST_RETRY);
        let longest = interval.clamp(FIRST_RETRY, LONGEST_RETRY);
        let after = FIRST_RETRY.saturating_mul(1 << entry.failures.min(16)).min(longest);
        entry.failures = entry.failures.saturating_add(1);
        entry.is_wanted_again = false;
        entry.next = Some(now + after);
        Retry {
            after,
            failures: entry.failures,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn jobs_due_together_run_in_the_order_in_which_they_were_added() {
        let now = Instant::now();
        let mut schedule = Schedule::new();
        schedule.add("create", now, None);
        schedule.add("refresh", now, Some(MINUTE));
        assert_eq!(schedule.next(), Some(("create", now)));
        schedule.succeeded("create", now);
        assert_eq!(schedule.next(), Some(("refresh", now)));
        schedule.succeeded("refresh", now);
        assert_eq!(schedule.next(), Some(("refresh", now + MINUTE)));
    }

    #[test]
    fn a_job_that_runs_is_not_due_and_the_others_are() {
        let now = Instant::now();
        let mut schedule = Schedule::new();
        schedule.add("configs", now, Some(MINUTE));
        schedule.add("refresh", now + MINUTE, Some(MINUTE));
        schedule.started("configs");
        assert_eq!(schedule.next(), Some(("refresh", now + MINUTE)));
        schedule.hasten("refresh", now);
        assert_eq!(schedule.next(), Some(("refresh", now)));
        schedule.started("refresh");
        assert_eq!(schedule.next(), None);
        schedule.hasten("configs", now);
        schedule.succeeded("configs", now);
        assert_eq!(schedule.next(), Some(("configs", now)), "asked for while it ran");
        schedule.succeeded("configs", now);
        assert_eq!(schedule.next(), Some(("configs", now + MINUTE)));
    }

    #[test]
    fn a_failed_job_comes_back_soon_whatever_its_interval() {
        let now = Instant::now();
        let mut schedule = Schedule::new();
        schedule.add((), now, Some(10 * MINUTE));
        let retries: Vec<_> = (0..7).map(|_| schedule.failed((), now)).collect();
        assert_eq!(
            retries.iter().map(|retry| retry.after.as_secs()).collect::<Vec<_>>(),
            [1, 2, 4, 8, 16, 30, 30]
        );
        assert_eq!(
            retries.iter().filter(|retry| retry.is_news()).count(),
            3,
            "failures 1, 2 and 4"
        );
        assert_eq!(schedule.succeeded((), now), 7);
        assert_eq!(schedule.next(), Some(((), now + 10 * MINUTE)));
    }

    #[test]
    fn a_job_that_keeps_failing_is_no_rarer_than_its_interval() {
        let now = Instant::now();
        let retries = |interval| -> Vec<_> {
            let mut schedule = Schedule::new();
            schedule.add((), now, Some(interval));
            (0..5).map(|_| schedule.failed((), now).after.as_secs()).collect()
        };
        assert_eq!(retries(Duration::from_secs(5)), [1, 2, 4, 5, 5]);
        assert_eq!(retries(Duration::from_millis(1)), [1; 5]);
    }
}
