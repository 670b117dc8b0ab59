//! Whether anybody is asking: for whoever lets other work wait meanwhile.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

/// Counts requests.
#[derive(Debug, Default)]
pub struct Asked {
    times: AtomicU64,
    next: Notify,
}

impl Asked {
    /// A request has come.
    pub fn note(&self) {
        self.times.fetch_add(1, Ordering::Relaxed);
        self.next.notify_one();
    }

    /// How many requests have come so far.
    pub fn times(&self) -> u64 {
        self.times.load(Ordering::Relaxed)
    }

    /// Waits for a request, or returns at once if one has come since it was called last. For one caller.
    pub async fn next(&self) {
        self.next.notified().await;
    }
}
