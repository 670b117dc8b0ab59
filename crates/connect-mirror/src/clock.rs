//! Wall-clock time, handed to whoever stamps records or measures their age.

use std::time::{SystemTime, UNIX_EPOCH};

/// Answers with the milliseconds since 1970. Tests give their own.
#[derive(Clone, Copy, Debug)]
pub struct Clock(fn() -> i64);

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        Self(system_now_ms)
    }

    /// A clock that answers with what `now_ms` returns.
    pub fn from_fn(now_ms: fn() -> i64) -> Self {
        Self(now_ms)
    }

    /// Milliseconds since 1970.
    pub fn now_ms(&self) -> i64 {
        (self.0)()
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place where this crate reads the wall clock"
)]
fn system_now_ms() -> i64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX)
}
