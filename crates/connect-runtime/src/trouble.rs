use std::time::Duration;

use tokio::time::Instant;

/// Lasting trouble is reported at first and then ever more rarely, up to this interval.
const LONGEST_SILENCE: Duration = Duration::from_secs(600);
const FIRST_SILENCE: Duration = Duration::from_secs(10);

/// Something that keeps failing and is tried for ever: says how long to wait, and whether to say so.
#[derive(Debug)]
pub(crate) struct Trouble {
    first_wait: Duration,
    longest_wait: Duration,
    ongoing: Option<Ongoing>,
}

#[derive(Debug)]
struct Ongoing {
    since: Instant,
    attempts: u32,
    silence: Duration,
    next_report: Instant,
}

/// What to do after a failure.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// How long to wait before the next attempt.
    pub(crate) wait: Duration,
    /// Whether to log it this time.
    pub(crate) report: bool,
    /// Failures so far.
    pub(crate) attempts: u32,
    /// For how long it has been failing.
    pub(crate) lasting: Duration,
}

impl Trouble {
    /// Waits `first_wait` after the first failure, doubling up to `longest_wait`.
    pub(crate) fn new(first_wait: Duration, longest_wait: Duration) -> Self {
        Self {
            first_wait,
            longest_wait,
            ongoing: None,
        }
    }

    /// It failed again.
    pub(crate) fn failed(&mut self) -> Failure {
        let now = Instant::now();
        let ongoing = self.ongoing.get_or_insert(Ongoing {
            since: now,
            attempts: 0,
            silence: FIRST_SILENCE,
            next_report: now,
        });
        let report = now >= ongoing.next_report;
        if report {
            ongoing.next_report = now + ongoing.silence;
            ongoing.silence = (ongoing.silence * 2).min(LONGEST_SILENCE);
        }
        let doubled = self.first_wait.saturating_mul(2_u32.saturating_pow(ongoing.attempts));
        ongoing.attempts = ongoing.attempts.saturating_add(1);
        let lasting = now - ongoing.since;
        Failure {
            wait: doubled.min(self.longest_wait),
            report,
            attempts: ongoing.attempts,
            lasting,
        }
    }

    /// It works. Answers for how long it did not, if it did not.
    pub(crate) fn worked(&mut self) -> Option<Duration> {
        self.ongoing.take().map(|ongoing| ongoing.since.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn lasting_trouble_is_reported_ever_more_rarely() {
        let mut trouble = Trouble::new(Duration::from_millis(100), Duration::from_secs(5));
        let started = Instant::now();
        let mut reports = Vec::new();
        let mut waits = Vec::new();
        while started.elapsed() < Duration::from_secs(3600) {
            let failure = trouble.failed();
            if failure.report {
                reports.push(failure.lasting.as_secs());
            }
            waits.push(failure.wait.as_millis());
            tokio::time::sleep(failure.wait).await;
        }
        assert_eq!(waits[..8], [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        assert!(reports.len() < 15, "{reports:?}");
        assert_eq!(reports[0], 0);
        assert!(trouble.worked().is_some_and(|lasting| lasting.as_secs() >= 3600));
        assert_eq!(trouble.worked(), None);
        assert!(trouble.failed().report, "new trouble is news");
    }
}
