//! When metadata is asked for again: at once after a quiet time, ever less often while trouble lasts.

use tokio::time::Instant;

use crate::retry::ExponentialBackoff;

/// One refresh at a time, whoever wants it and however often.
#[derive(Debug, Default)]
pub(crate) struct RefreshPace {
    wanted: bool,
    refreshing: bool,
    not_before: Option<Instant>,
    /// Refreshes without a quiet time between them.
    in_a_row: u32,
}

impl RefreshPace {
    /// Something that is known may be wrong.
    pub(crate) fn want(&mut self) {
        self.wanted = true;
    }

    /// Whether to begin one now.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.wanted && !self.refreshing && self.not_before.is_none_or(|at| at <= now)
    }

    /// One has begun.
    pub(crate) fn begin(&mut self) {
        self.wanted = false;
        self.refreshing = true;
    }

    /// It is over. The next one waits a moment, since a broker may take that long to know of a change itself.
    pub(crate) fn done(&mut self, backoff: &ExponentialBackoff, now: Instant) {
        self.refreshing = false;
        let quiet = self.not_before.is_none_or(|at| now >= at + backoff.max());
        self.in_a_row = if quiet { 0 } else { self.in_a_row.saturating_add(1) };
        self.not_before = Some(now + backoff.after(self.in_a_row));
    }

    /// When the one that is wanted may begin.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.not_before.filter(|_| self.wanted && !self.refreshing)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn trouble_that_lasts_asks_once_a_second_and_new_trouble_at_once() {
        let backoff = ExponentialBackoff::new(Duration::from_millis(100), Duration::from_secs(1));
        let mut pace = RefreshPace::default();
        let mut asked = 0;
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(10) {
            pace.want();
            if pace.is_due(Instant::now()) {
                pace.begin();
                asked += 1;
                pace.done(&backoff, Instant::now());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!((10..=16).contains(&asked), "{asked} in ten seconds");
        tokio::time::sleep(Duration::from_secs(3)).await;
        pace.want();
        assert!(pace.is_due(Instant::now()));
    }
}
