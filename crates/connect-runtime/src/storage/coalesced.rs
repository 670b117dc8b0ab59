use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use tokio::sync::Mutex;

/// The answer to a question that many ask at once. Nobody gets one that was asked for before they came, so at most one
/// question is under way and one more serves all who wait.
#[derive(Debug)]
pub(super) struct Coalesced<T> {
    /// How many questions were asked so far.
    asked: AtomicU64,
    /// The newest answer and its question's number.
    newest: Mutex<Option<(u64, T)>>,
}

impl<T> Default for Coalesced<T> {
    fn default() -> Self {
        let (asked, newest) = Default::default();
        Self { asked, newest }
    }
}

impl<T: Clone> Coalesced<T> {
    /// The answer of a question that is asked from now on, by whomever. Cancel-safe: whoever waits next asks again.
    pub(super) async fn get<F: Future<Output = T>>(&self, ask: impl FnOnce() -> F) -> T {
        let asked_before = self.asked.load(SeqCst);
        let mut newest = self.newest.lock().await;
        if let Some((number, answer)) = &*newest
            && *number > asked_before
        {
            return answer.clone();
        }
        let number = self.asked.fetch_add(1, SeqCst) + 1;
        let answer = ask().await;
        *newest = Some((number, answer.clone()));
        answer
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use tokio::{task::JoinSet, time::Instant};

    use super::*;

    /// What the question is about: the time at which it was asked.
    async fn ask() -> Instant {
        let asked = Instant::now();
        tokio::time::sleep(Duration::from_millis(10)).await;
        asked
    }

    #[tokio::test(start_paused = true)]
    async fn fifty_at_once_ask_twice_and_none_gets_an_old_answer() {
        let shared = Arc::<Coalesced<Instant>>::default();
        let mut callers = JoinSet::new();
        for late_ms in (0..50).map(|n| n / 5) {
            let shared = shared.clone();
            callers.spawn(async move {
                tokio::time::sleep(Duration::from_millis(late_ms)).await;
                let came = Instant::now();
                assert!(shared.get(ask).await >= came, "{late_ms}");
            });
        }
        callers.join_all().await;
        assert_eq!(shared.asked.load(SeqCst), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn one_who_loses_patience_holds_nobody_up() {
        let shared = Coalesced::<Instant>::default();
        let impatient = tokio::time::timeout(Duration::from_millis(5), shared.get(ask)).await;
        assert!(impatient.is_err());
        let came = Instant::now();
        assert!(shared.get(ask).await >= came);
    }
}
