use std::{
    thread,
    time::{Duration, Instant},
};

/// A moment after which waiting is a failure.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Instant);

impl Deadline {
    /// From now on.
    pub fn after(within: Duration) -> Self {
        Self(now() + within)
    }

    /// Whether it is over.
    pub fn passed(self) -> bool {
        now() >= self.0
    }

    /// What is left, zero when it is over.
    pub fn left(self) -> Duration {
        self.0.saturating_duration_since(now())
    }
}

/// How long something takes.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// From now on.
    pub fn start() -> Self {
        Self(now())
    }

    /// Since then.
    pub fn elapsed(self) -> Duration {
        now().saturating_duration_since(self.0)
    }
}

/// Looks at a condition until it holds, and gives what it found. Panics with `what` at the deadline.
pub fn wait_until<T>(what: &str, within: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Deadline::after(within);
    let mut between = Duration::from_millis(10);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(!deadline.passed(), "after {within:?} still waiting for {what}");
        pause(between);
        between = (between * 2).min(Duration::from_millis(200));
    }
}

/// Holds the thread between two looks at a condition. Not for luck: use [`wait_until`].
#[expect(
    clippy::disallowed_methods,
    reason = "scenarios block; this is their one place to sleep"
)]
pub fn pause(duration: Duration) {
    thread::sleep(duration);
}

#[expect(
    clippy::disallowed_methods,
    reason = "scenarios run in real time; this is their one place to read the clock"
)]
fn now() -> Instant {
    Instant::now()
}
