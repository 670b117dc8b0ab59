//! When to try again, and how long to wait before.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use kafka_wire::ErrorCode;
use tokio::time::Instant;

use crate::config::ClientConfig;
use crate::error::Error;

/// Kafka's `ExponentialBackoff`: `initial × 2^n`, at most `max`, give or take 20 %.
#[derive(Debug, Clone, Copy)]
pub struct ExponentialBackoff {
    initial: Duration,
    max: Duration,
}

/// Kafka's `CommonClientConfigs.RETRY_BACKOFF_JITTER`.
const JITTER: f64 = 0.2;

impl ExponentialBackoff {
    /// Starts at `initial`, doubles, stops at `max`.
    pub const fn new(initial: Duration, max: Duration) -> Self {
        Self { initial, max }
    }

    /// The longest wait.
    pub const fn max(&self) -> Duration {
        self.max
    }

    /// The wait after so many failures in a row; zero failures wait `initial`.
    pub fn after(&self, failures: u32) -> Duration {
        self.with_jitter(failures, rand::random_range(1.0 - JITTER..=1.0 + JITTER))
    }

    fn with_jitter(&self, failures: u32, jitter: f64) -> Duration {
        let initial = self.initial.min(self.max);
        let wait = initial.saturating_mul(2u32.saturating_pow(failures)).min(self.max);
        wait.mul_f64(jitter).min(self.max)
    }
}

/// Whether trying the same again may help, perhaps after new metadata.
pub fn is_retriable(error: &Error) -> bool {
    match error {
        // Brokers restart, networks hiccup and names resolve again: all of these pass.
        Error::UnknownHost { .. }
        | Error::Connect { .. }
        | Error::ConnectTimeout { .. }
        | Error::Disconnected { .. }
        | Error::RequestTimeout { .. } => true,
        // As good as the best of the brokers that were tried.
        Error::NoBrokers { source, .. } => source.as_deref().is_none_or(is_retriable),
        // A proxy in front of a broker that restarts accepts and hangs up.
        Error::ClosedInHandshake { .. } => true,
        // Fatal for Java's clients. A person may mend it at the broker while we run; the pool sees to it that brokers are
        // asked ever less often.
        Error::Tls { .. } | Error::Authentication { .. } | Error::Login { .. } => true,
        // We closed it ourselves: idle or replaced. A new connection is the answer.
        Error::Closed { .. } => true,
        // The connection was in a state of its own; the next one is in sync.
        Error::Correlation { .. } => true,
        // The broker left or moved; new metadata tells where to ask.
        Error::UnknownBroker { .. } => true,
        // It drains.
        Error::QueueFull { .. } => true,
        // Kafka's table says which codes pass.
        Error::Refused { source, .. } => source.is_retriable(),
        // Wrong port, wrong listener or wrong version: only a person can mend it.
        Error::NotKafka { .. } | Error::UnsupportedVersion { .. } => false,
        // A bad batch stays bad on the broker's disk, but bytes that were damaged on their way come intact next time.
        Error::Unreadable { .. } => true,
        // Only a person, or another policy, can say where to begin.
        Error::NoOffset { .. } => false,
        // The same bytes would come, or go, again.
        Error::FrameTooLarge { .. } | Error::Malformed { .. } | Error::Encode { .. } => false,
        // It was retried as long as it was allowed to.
        Error::Timeout { .. } => false,
    }
}

/// Whether an error says that we ask the wrong broker, so that metadata must be refreshed before the next try.
pub fn needs_metadata(error: &Error) -> bool {
    match error {
        Error::Refused { source, .. } => matches!(
            *source,
            ErrorCode::NOT_LEADER_OR_FOLLOWER
                | ErrorCode::NOT_CONTROLLER
                | ErrorCode::LEADER_NOT_AVAILABLE
                | ErrorCode::REPLICA_NOT_AVAILABLE
                | ErrorCode::FENCED_LEADER_EPOCH
                | ErrorCode::UNKNOWN_LEADER_EPOCH
                | ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
                | ErrorCode::UNKNOWN_TOPIC_ID
                | ErrorCode::KAFKA_STORAGE_ERROR
                | ErrorCode::LISTENER_NOT_FOUND
        ),
        // The address may be history.
        other => is_retriable(other),
    }
}

/// Trouble that passes sooner, such as a leader that moves, is nobody's concern.
const SAY_AFTER: Duration = Duration::from_secs(2);

/// Tries until it succeeds, fails for good, or the time is up. Trouble that lasts is said once, while it lasts.
#[derive(Debug, Clone)]
pub struct Retry {
    backoff: ExponentialBackoff,
    timeout: Duration,
    started: Instant,
    failures: u32,
    is_said: bool,
}

impl Retry {
    /// `retry.backoff.ms`, `retry.backoff.max.ms` and `default.api.timeout.ms` of a client.
    pub fn new(config: &ClientConfig) -> Self {
        Self::within(config, config.default_api_timeout)
    }

    /// As [`Self::new`], with a time limit of its own.
    pub fn within(config: &ClientConfig, timeout: Duration) -> Self {
        let backoff = ExponentialBackoff::new(config.retry_backoff, config.retry_backoff_max);
        Self {
            backoff,
            timeout,
            started: Instant::now(),
            failures: 0,
            is_said: false,
        }
    }

    /// The time that is left.
    pub fn remaining(&self) -> Duration {
        self.timeout.saturating_sub(self.started.elapsed())
    }

    /// Takes note of a failed attempt: waits and returns when another may follow, or gives the error to report.
    pub async fn pause_or_fail(&mut self, what: &str, error: Error) -> Result<(), Error> {
        match is_retriable(&error) {
            true => self.pause(what, &error).await,
            false => Err(error),
        }
    }

    /// Waits before another attempt after `error`, whatever it is, or gives the error to report when the time is up.
    pub async fn pause(&mut self, what: &str, error: &Error) -> Result<(), Error> {
        let wait = self.backoff.after(self.failures);
        self.failures = self.failures.saturating_add(1);
        if wait >= self.remaining() {
            return Err(self.timed_out(what, Some(error.clone())));
        }
        if !self.is_said && self.started.elapsed() >= SAY_AFTER {
            self.is_said = true;
            tracing::warn!(error = error.chain(), "{what} keeps failing; trying on");
        }
        tracing::debug!(what, error = error.chain(), ?wait, "trying again");
        tokio::time::sleep(wait).await;
        Ok(())
    }

    /// Runs `attempt` until it succeeds, fails for good, or the time is up; `what` names it in the last case.
    pub async fn run<T, F, Fut>(mut self, what: &str, mut attempt: F) -> Result<T, Error>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, Error>>,
    {
        let mut last = None;
        loop {
            match tokio::time::timeout_at(self.started + self.timeout, attempt()).await {
                Ok(Ok(value)) => return Ok(value),
                Ok(Err(error)) => {
                    last = Some(error.clone());
                    self.pause_or_fail(what, error).await?;
                }
                Err(_elapsed) => return Err(self.timed_out(what, last)),
            }
        }
    }

    /// The error that says that time is up.
    pub fn timed_out(&self, what: &str, last: Option<Error>) -> Error {
        Error::Timeout {
            what: what.into(),
            timeout: self.timeout,
            source: last.map(Arc::new),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    fn refused(code: ErrorCode) -> Error {
        Error::refused("a test", code, None)
    }

    #[test]
    fn waits_double_up_to_the_maximum() {
        let backoff = ExponentialBackoff::new(Duration::from_millis(100), Duration::from_secs(1));
        let waits: Vec<_> = (0..6).map(|n| backoff.with_jitter(n, 1.0).as_millis()).collect();
        assert_eq!(waits, [100, 200, 400, 800, 1000, 1000]);
        assert_eq!(backoff.with_jitter(u32::MAX, 1.2), Duration::from_secs(1));
        assert_eq!(backoff.with_jitter(0, 0.8), Duration::from_millis(80));
        let odd = ExponentialBackoff::new(Duration::from_secs(5), Duration::from_secs(1));
        assert_eq!(odd.with_jitter(0, 1.0), Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_retriable_error_is_retried_until_it_passes() {
        let tries = AtomicU32::new(0);
        let attempt = async || match tries.fetch_add(1, Ordering::Relaxed) {
            0..3 => Err(refused(ErrorCode::NOT_CONTROLLER)),
            _ => Ok("done"),
        };
        let started = Instant::now();
        let result = Retry::new(&ClientConfig::default()).run("a test", attempt).await;
        assert_eq!(result.expect("the fourth attempt succeeds"), "done");
        let waited = started.elapsed();
        assert!(
            waited >= Duration::from_millis(560) && waited <= Duration::from_millis(850),
            "{waited:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_final_error_is_not_retried() {
        let tries = AtomicU32::new(0);
        let attempt = async || {
            tries.fetch_add(1, Ordering::Relaxed);
            Err::<(), _>(refused(ErrorCode::TOPIC_AUTHORIZATION_FAILED))
        };
        let error = Retry::new(&ClientConfig::default())
            .run("a test", attempt)
            .await
            .expect_err("it is final");
        assert_eq!(error.code(), Some(ErrorCode::TOPIC_AUTHORIZATION_FAILED));
        assert_eq!(tries.load(Ordering::Relaxed), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn when_time_is_up_the_last_error_is_the_reason() {
        let attempt = async || Err::<(), _>(refused(ErrorCode::LEADER_NOT_AVAILABLE));
        let error = Retry::new(&ClientConfig::default())
            .run("create topic a", attempt)
            .await
            .expect_err("too late");
        assert_eq!(
            error.chain(),
            "create topic a did not succeed within 60000 ms (default.api.timeout.ms): a test was refused: LEADER_NOT_AVAILABLE"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_that_hangs_ends_with_the_time() {
        let attempt = std::future::pending::<Result<(), Error>>;
        let error = Retry::new(&ClientConfig::default())
            .run("a test", attempt)
            .await
            .expect_err("it hangs");
        assert!(matches!(error, Error::Timeout { source: None, .. }));
    }
}
