use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use bytes::Bytes;
use tokio::time::Instant;
use tracing::warn;

use crate::{
    storage::{self, KafkaBasedLog, KeyValue, status::StatusState},
    trouble::Trouble,
};

/// Beyond this many waiting records, only the last of each key is kept: the target has been away for long.
const LONGEST_HISTORY: usize = 1000;
/// How long written records count as on their way, at most.
const READ_BACK_TIMEOUT: Duration = Duration::from_secs(1);
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// Records on their way to the status topic: written in order, in the background, for as long as it takes.
#[derive(Debug)]
pub(super) struct StatusWrites {
    queue: VecDeque<KeyValue>,
    under_way: Vec<KeyValue>,
    /// The last of each key in both.
    waiting: HashMap<Bytes, Waiting>,
    retry_at: Option<Instant>,
    trouble: Trouble,
}

#[derive(Debug, Default)]
struct Waiting {
    records: usize,
    value: Option<Bytes>,
}

impl StatusWrites {
    pub(super) fn new() -> Self {
        let trouble = Trouble::new(RETRY.0, RETRY.1);
        Self {
            queue: VecDeque::new(),
            under_way: Vec::new(),
            waiting: HashMap::new(),
            retry_at: None,
            trouble,
        }
    }

    pub(super) fn push(&mut self, record: KeyValue) {
        if self.queue.len() >= LONGEST_HISTORY {
            self.queue.retain(|queued| queued.key != record.key);
            let under_way = self.under_way.iter().filter(|written| written.key == record.key);
            let left = under_way.count();
            self.waiting.entry(record.key.clone()).or_default().records = left;
        }
        let waiting = self.waiting.entry(record.key.clone()).or_default();
        waiting.records += 1;
        waiting.value.clone_from(&record.value);
        self.queue.push_back(record);
    }

    /// What the topic will say of `key` once everything is written, if anything is waiting: the tombstone is `None`.
    pub(super) fn waiting(&self, key: &[u8]) -> Option<Option<&[u8]>> {
        self.waiting.get(key).map(|last| last.value.as_deref())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.under_way.is_empty()
    }

    pub(super) fn retry_at(&self) -> Option<Instant> {
        self.retry_at
    }

    /// Begins to write what is waiting and to read it back, unless a write is under way or has just failed.
    pub(super) fn next(
        &mut self,
        log: &KafkaBasedLog<StatusState>,
    ) -> Option<impl Future<Output = Result<(), storage::Error>> + Send + use<>> {
        let waits = self.retry_at.is_some_and(|at| at > Instant::now());
        if !self.under_way.is_empty() || self.queue.is_empty() || waits {
            return None;
        }
        self.retry_at = None;
        self.under_way = self.queue.drain(..).collect();
        let (log, records) = (log.clone(), self.under_way.clone());
        Some(async move {
            log.write(records).await?;
            // Until it is read back, what is on its way is the newest that is known. Late, it is written all the same.
            let _ = tokio::time::timeout(READ_BACK_TIMEOUT, log.read_to_end()).await;
            Ok(())
        })
    }

    pub(super) fn finished(&mut self, result: Result<(), storage::Error>) {
        let written = std::mem::take(&mut self.under_way);
        let Err(error) = result else {
            self.trouble.worked();
            written.iter().for_each(|record| self.no_longer_waits(&record.key));
            return;
        };
        let failure = self.trouble.failed();
        if failure.report {
            warn!(
                error = error.chain(),
                attempts = failure.attempts,
                "statuses could not be written, trying again"
            );
        }
        self.retry_at = Some(Instant::now() + failure.wait);
        written
            .into_iter()
            .rev()
            .for_each(|record| self.queue.push_front(record));
    }

    fn no_longer_waits(&mut self, key: &[u8]) {
        if let Some(waiting) = self.waiting.get_mut(key) {
            waiting.records -= 1;
            if waiting.records == 0 {
                self.waiting.remove(key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_outage_keeps_the_last_word_of_each_key() {
        let mut writes = StatusWrites::new();
        for n in 0..LONGEST_HISTORY * 3 {
            writes.push(KeyValue::new(format!("key-{}", n % 10), n.to_string()));
        }
        assert!(writes.queue.len() <= LONGEST_HISTORY);
        let last = (LONGEST_HISTORY * 3 - 1).to_string();
        assert_eq!(writes.waiting(b"key-9"), Some(Some(last.as_bytes())));
        assert_eq!(writes.waiting(b"nobody"), None);
    }

    #[test]
    fn what_waits_is_the_last_word_until_it_is_written() {
        let mut writes = StatusWrites::new();
        // As `next` does.
        let begin = |writes: &mut StatusWrites| writes.under_way = writes.queue.drain(..).collect();
        writes.push(KeyValue::new("a", "1"));
        writes.push(KeyValue::tombstone("b"));
        begin(&mut writes);
        writes.push(KeyValue::new("a", "2"));
        assert_eq!(
            (writes.waiting(b"a"), writes.waiting(b"b")),
            (Some(Some(&b"2"[..])), Some(None))
        );
        writes.finished(Ok(()));
        assert_eq!(
            (writes.waiting(b"a"), writes.waiting(b"b")),
            (Some(Some(&b"2"[..])), None)
        );
        begin(&mut writes);
        let refused = storage::Error::Closed { topic: "t".into() };
        writes.finished(Err(refused));
        assert_eq!(writes.waiting(b"a"), Some(Some(&b"2"[..])), "it is tried again");
        // A long outage: the earlier ones of a key are dropped, also while one is under way.
        begin(&mut writes);
        for n in 0..LONGEST_HISTORY + 10 {
            writes.push(KeyValue::new("a", n.to_string()));
        }
        let last = (LONGEST_HISTORY + 9).to_string();
        writes.finished(Ok(()));
        assert_eq!(writes.waiting(b"a"), Some(Some(last.as_bytes())));
        begin(&mut writes);
        writes.finished(Ok(()));
        assert_eq!(writes.waiting(b"a"), None);
        assert!(writes.is_empty() && writes.waiting.is_empty());
    }
}
