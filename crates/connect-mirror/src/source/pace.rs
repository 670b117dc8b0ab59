//! How fast all tasks of a process may copy together, for whoever has people to answer meanwhile.
//!
//! Unlike a limit it comes and goes within moments, and nobody has asked for it: a task that copies next to nothing does
//! not wait for those that copy a lot.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use super::limiter::{Bucket, lock};

/// What a task may copy between two waits.
const TRICKLE_BYTES: u64 = 16 * 1024;

/// After which a task asks again: whoever sets the pace may have found meanwhile that there is no need.
const LONGEST_WAIT: Duration = Duration::from_millis(100);

/// Set by one, kept by all tasks.
#[derive(Clone, Debug, Default)]
pub struct Pace(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    taken_bytes: AtomicU64,
    bucket: Mutex<Option<Bucket>>,
}

impl Pace {
    /// Lets so many bytes a second pass from now on; `None`: as many as come.
    pub fn set(&self, bytes_per_second: Option<u64>) {
        let rate = bytes_per_second.map(|rate| rate as f64);
        Bucket::set_rate(&mut lock(&self.0.bucket), rate, Instant::now());
    }

    /// How many bytes a second may pass; `None`: as many as come.
    pub fn bytes_per_second(&self) -> Option<u64> {
        lock(&self.0.bucket).as_ref().map(Bucket::bytes_per_second)
    }

    /// How many bytes all tasks have taken from their sources so far.
    pub fn taken_bytes(&self) -> u64 {
        self.0.taken_bytes.load(Ordering::Relaxed)
    }

    /// A task's hand on it.
    pub(super) fn join(&self) -> TaskPace {
        TaskPace {
            pace: self.clone(),
            turn: Mutex::default(),
        }
    }
}

/// See [`Pace::join`].
#[derive(Debug)]
pub(super) struct TaskPace {
    pace: Pace,
    turn: Mutex<Turn>,
}

#[derive(Debug, Default)]
struct Turn {
    /// Since the task has had to wait.
    taken: u64,
    /// When what it took, and all others before it, is paid: whoever takes later does not push in.
    next: Option<Instant>,
}

impl TaskPace {
    /// The task has taken so much.
    pub(super) fn take(&self, bytes: u64, now: Instant) {
        let Inner { taken_bytes, bucket } = &*self.pace.0;
        taken_bytes.fetch_add(bytes, Ordering::Relaxed);
        if let Some(bucket) = &mut *lock(bucket) {
            bucket.take(bytes, now);
            let turn = &mut *lock(&self.turn);
            turn.taken += bytes;
            if turn.taken > TRICKLE_BYTES {
                *turn = Turn {
                    taken: 0,
                    next: bucket.resumes_at(now),
                };
            }
        }
    }

    /// What all tasks may take in a second, if there is a pace.
    pub(super) fn bytes_per_second(&self) -> Option<u64> {
        self.pace.bytes_per_second()
    }

    /// When the task may take more; `None`: now.
    pub(super) fn resumes_at(&self, now: Instant) -> Option<Instant> {
        self.bytes_per_second()?;
        let next = lock(&self.turn).next.filter(|next| *next > now)?;
        Some(next.min(now + LONGEST_WAIT))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that a task gets in so many seconds, where each fetch brings `fetch` and the source has no end.
    async fn copied(task: &TaskPace, fetch: u64, seconds: u64) -> u64 {
        let (began, mut bytes) = (Instant::now(), 0);
        while began.elapsed() < Duration::from_secs(seconds) {
            match task.resumes_at(Instant::now()) {
                Some(at) => tokio::time::sleep_until(at).await,
                None => {
                    task.take(fetch, Instant::now());
                    bytes += fetch;
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
        }
        bytes
    }

    #[tokio::test(start_paused = true)]
    async fn all_tasks_together_keep_the_pace_as_long_as_it_is_set() {
        let pace = Pace::default();
        let (one, other) = (pace.join(), pace.join());
        assert!(copied(&one, 1_000_000, 1).await > 400_000_000);
        pace.set(Some(20_000_000));
        let (one_got, other_got) = tokio::join!(copied(&one, 1_000_000, 10), copied(&other, 1_000_000, 10));
        let both = one_got + other_got;
        assert!((195_000_000..=210_000_000).contains(&both), "{both}");
        assert!(one_got.min(other_got) > 60_000_000, "{one_got} {other_got}");
        pace.set(None);
        assert!(copied(&one, 1_000_000, 1).await > 400_000_000);
        assert_eq!(pace.bytes_per_second(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_copies_next_to_nothing_does_not_wait() {
        let pace = Pace::default();
        let (much, little) = (pace.join(), pace.join());
        pace.set(Some(1_000_000));
        much.take(50_000_000, Instant::now());
        assert!(much.resumes_at(Instant::now()).is_some());
        little.take(1_000, Instant::now());
        assert_eq!(little.resumes_at(Instant::now()), None);
        little.take(TRICKLE_BYTES, Instant::now());
        assert!(
            little.resumes_at(Instant::now()).is_some(),
            "that is no trickle any more"
        );
    }
}
