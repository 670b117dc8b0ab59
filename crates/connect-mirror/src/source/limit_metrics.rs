//! What limits do: how much they let through, and whether a flow waits for them just now.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use tokio::time::Instant;

use super::limiter::{self, Shared};

/// Whose limit it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LimitKey {
    /// Alias of the source cluster.
    pub source: Arc<str>,
    /// Alias of the target cluster.
    pub target: Arc<str>,
    /// The connector's name.
    pub connector: Arc<str>,
}

/// One limit as it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct LimitSnapshot {
    /// The topic or pattern, as it was written; `None`: of the whole flow.
    pub topics: Option<Arc<str>>,
    /// The limit, as it was written. A pattern's is of each topic.
    pub bytes_per_second: u64,
    /// What of it may flow here; of a pattern, all topics together.
    pub here_bytes_per_second: f64,
    /// How many wait for it now, or did within the last second: one for a flow, of a pattern the topics.
    pub waiting: u64,
    /// How long they have waited for it, added up.
    pub waited_seconds: f64,
    /// Bytes that came beyond the rate, for which they wait.
    pub owed_bytes: f64,
}

/// The limits of every connector with tasks in this process.
#[derive(Clone, Debug, Default)]
pub(crate) struct LimitMetrics(Arc<Mutex<BTreeMap<LimitKey, Weak<Mutex<Shared>>>>>);

impl LimitMetrics {
    /// The tasks of a connector share these.
    pub(super) fn register(&self, key: LimitKey, shared: &Arc<Mutex<Shared>>) {
        let mut connectors = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        connectors.retain(|_, shared| shared.strong_count() > 0);
        connectors.insert(key, Arc::downgrade(shared));
    }

    /// Every limit that there is, of connectors that have tasks here.
    pub(crate) fn snapshot(&self, now: Instant) -> Vec<(LimitKey, LimitSnapshot)> {
        let connectors = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let alive = connectors.iter();
        let alive: Vec<_> = alive
            .filter_map(|(key, shared)| Some((key.clone(), shared.upgrade()?)))
            .collect();
        drop(connectors);
        let of = |(key, shared): (LimitKey, Arc<Mutex<Shared>>)| {
            let limits = limiter::lock(&shared).snapshot(now);
            limits.into_iter().map(move |limit| (key.clone(), limit))
        };
        alive.into_iter().flat_map(of).collect()
    }
}
