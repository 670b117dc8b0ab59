//! What is done when somebody deletes an internal topic while the worker runs: it is made again as it was, and what this
//! worker knows of it is written back.

use std::{collections::HashMap, convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use connect_api::BoxFuture;
use futures_util::FutureExt;
use kafka_client::Client;
use tokio::{sync::watch, time::Instant};
use tracing::{error, warn};

use super::{Error, InternalTopic, KeyValue, LogRecord, TopicKind};
use crate::trouble::Trouble;

/// A broker that has just started may say of any topic that it does not know it.
const DOUBT: Duration = Duration::from_secs(1);
/// Between attempts to make the topic.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// For so long it is watched that nothing newer than what was written back is hidden by it.
const WATCHED_FOR: Duration = Duration::from_secs(60);

/// Looks after one topic. Whoever drives it tells it what is heard, and does what it says.
pub(super) struct Keeper {
    topic: InternalTopic,
    client: Client,
    /// The number that readers and writers count on.
    partitions: i32,
    /// Whether this worker may make the topic. Of the config topic only the leader may.
    may_make: watch::Receiver<bool>,
    is_missing: bool,
    /// It is there, and looked at.
    is_checked: bool,
    next: Option<Instant>,
    making: Option<BoxFuture<'static, Result<i32, Error>>>,
    trouble: Trouble,
}

impl Keeper {
    pub(super) fn new(topic: InternalTopic, client: Client, partitions: i32, may_make: watch::Receiver<bool>) -> Self {
        Self {
            topic: InternalTopic { partitions, ..topic },
            client,
            partitions,
            may_make,
            is_missing: false,
            is_checked: false,
            next: None,
            making: None,
            trouble: Trouble::new(RETRY.0, RETRY.1),
        }
    }

    /// A broker knows of no such topic.
    pub(super) fn missing(&mut self) {
        if !std::mem::replace(&mut self.is_missing, true) {
            self.next = Some(Instant::now() + DOUBT);
        }
    }

    /// A broker knows it.
    pub(super) fn recovered(&mut self) {
        if self.making.is_none() && !self.is_checked {
            self.found();
        }
    }

    fn found(&mut self) {
        (self.is_missing, self.is_checked, self.next) = (false, false, None);
        self.trouble.worked();
    }

    /// It is another one: it is made sure that it is as it should be. Answers whether what was in it may be written back:
    /// not to another cluster, which may not have what the offsets stand for.
    pub(super) fn made_anew(&mut self, is_same_cluster: bool) -> bool {
        let may_make = *self.may_make.borrow();
        if may_make {
            (self.is_checked, self.next) = (true, Some(Instant::now()));
        }
        let (topic, purpose) = (&self.topic.name, self.topic.kind.purpose());
        if !is_same_cluster {
            error!(
                topic,
                purpose,
                "an internal topic is that of another cluster, which answers under the same address: nothing is written back \
                 to it; restart the worker if it is to begin there with what is stored there"
            );
            return false;
        }
        let writer = match self.topic.kind {
            TopicKind::Config => "the leader",
            TopicKind::Offset | TopicKind::Status => "them",
        };
        error!(
            topic,
            purpose,
            writes_back = may_make,
            "an internal topic was deleted and made again while the worker runs; what it is for is known to running workers \
             and written back by {writer}: look for who deletes it"
        );
        may_make
    }

    /// Makes the topic when it is time. Cancel-safe; never ends while the topic is there.
    pub(super) async fn run(&mut self) -> Infallible {
        loop {
            if let Some(making) = &mut self.making {
                let made = making.await;
                self.making = None;
                self.on_made(made);
            }
            match self.next {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
            self.next = None;
            if *self.may_make.borrow() {
                let (topic, client) = (self.topic.clone(), self.client.clone());
                self.making = Some(async move { topic.ensure(&client).await }.boxed());
            } else {
                self.failed(None);
            }
        }
    }

    fn on_made(&mut self, made: Result<i32, Error>) {
        match made {
            Ok(partitions) if partitions == self.partitions => self.found(),
            Ok(partitions) => {
                error!(
                    topic = self.topic.name,
                    partitions,
                    expected = self.partitions,
                    "an internal topic has another number of partitions than before: restart the workers"
                );
                self.found();
            }
            Err(error) => self.failed(Some(error)),
        }
    }

    fn failed(&mut self, why: Option<Error>) {
        let failure = self.trouble.failed();
        self.next = Some(Instant::now() + failure.wait);
        if !failure.report {
            return;
        }
        let (topic, purpose) = (&self.topic.name, self.topic.kind.purpose());
        let lasting_s = failure.lasting.as_secs();
        match why {
            Some(why) => error!(
                topic,
                purpose,
                error = why.chain(),
                lasting_s,
                "an internal topic is gone or not as it has to be, and cannot be mended; what it is for is not stored meanwhile"
            ),
            None => error!(
                topic,
                purpose,
                lasting_s,
                "an internal topic is gone, and this worker may not make it: it waits for the worker that leads, which makes it \
                 unless exactly.once.source.support is enabled; if none does, make it with cleanup.policy=compact and write \
                 the connectors' configurations again"
            ),
        }
    }
}

/// Writes back what a topic held that is another one now. Others may do the same, and whoever runs a task may be ahead of
/// it: what the new topic says already is left alone, and what was hidden by mistake is written again.
pub(super) struct Restoration {
    topic: Arc<str>,
    /// Whether this worker is one of those who write.
    writes: bool,
    /// What the old topic held.
    table: Vec<KeyValue>,
    old: HashMap<Bytes, Option<Bytes>>,
    stage: Stage,
    /// What the new one says.
    seen: HashMap<Bytes, Option<Bytes>>,
}

enum Stage {
    /// The new topic is read first, up to here.
    Reading(Option<Arc<[i64]>>),
    Watching(Instant),
}

impl Restoration {
    pub(super) fn new(topic: Arc<str>, writes: bool, table: Vec<KeyValue>) -> Self {
        let old = table.iter().map(|record| (record.key.clone(), record.value.clone()));
        Self {
            topic,
            writes,
            old: old.collect(),
            table,
            stage: Stage::Reading(None),
            seen: HashMap::new(),
        }
    }

    pub(super) fn wants_ends(&self) -> bool {
        matches!(self.stage, Stage::Reading(None))
    }

    pub(super) fn ends(&mut self, ends: Arc<[i64]>) {
        self.stage = Stage::Reading(Some(ends));
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Watching(until) if until <= Instant::now())
    }

    /// What is to be written back, once the new topic has been read to these positions.
    pub(super) fn due(&mut self, positions: &[i64]) -> Vec<KeyValue> {
        match &self.stage {
            Stage::Reading(Some(ends)) if positions.iter().zip(&**ends).all(|(at, end)| at >= end) => {}
            _ => return Vec::new(),
        }
        self.stage = Stage::Watching(Instant::now() + WATCHED_FOR);
        if !self.writes {
            return Vec::new();
        }
        let lacks = |record: &&KeyValue| !self.seen.contains_key(&record.key);
        let lacking: Vec<KeyValue> = self.table.iter().filter(lacks).cloned().collect();
        warn!(
            topic = &*self.topic,
            records = lacking.len(),
            "writing back what an internal topic held before it was deleted"
        );
        lacking
    }

    /// Whether a record says what the old topic said.
    pub(super) fn repeats(&self, record: &LogRecord) -> bool {
        let key = record.key.as_ref();
        key.is_some_and(|key| self.old.get(key) == Some(&record.value))
    }

    /// Takes notice of a record of the new topic. Answers what is to be written again, if this record hides it.
    pub(super) fn read(&mut self, record: &LogRecord) -> Option<KeyValue> {
        let is_old = self.writes && self.repeats(record);
        let key = record.key.clone()?;
        if let Some(newer) = self.seen.get(&key).filter(|newer| is_old && **newer != record.value) {
            let value = newer.clone();
            return Some(KeyValue { key, value });
        }
        self.seen.insert(key, record.value.clone());
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::testdata::log_record;

    #[tokio::test(start_paused = true)]
    async fn nothing_newer_is_hidden_by_what_is_written_back() {
        let pair = |key: &'static str, value: &'static str| KeyValue::new(key, value);
        let old = vec![pair("a", "1"), pair("b", "1"), pair("c", "1")];
        let mut restoration = Restoration::new("t".into(), true, old);
        assert!(restoration.wants_ends());
        restoration.ends([2].into());
        assert!(restoration.due(&[0]).is_empty());
        assert!(restoration.read(&log_record(0, &pair("a", "2"))).is_none());
        assert!(restoration.read(&log_record(1, &KeyValue::tombstone("c"))).is_none());
        assert_eq!(restoration.due(&[2]), [pair("b", "1")]);
        assert!(restoration.due(&[2]).is_empty(), "once");
        // A commit that came in between, what we wrote, and what another worker wrote back.
        assert!(restoration.read(&log_record(2, &pair("b", "2"))).is_none());
        assert_eq!(restoration.read(&log_record(3, &pair("b", "1"))), Some(pair("b", "2")));
        assert_eq!(restoration.read(&log_record(4, &pair("a", "1"))), Some(pair("a", "2")));
        assert!(restoration.read(&log_record(5, &pair("b", "2"))).is_none());
        assert!(restoration.read(&log_record(6, &pair("b", "3"))).is_none());
        assert!(!restoration.is_over());
        tokio::time::advance(WATCHED_FOR).await;
        assert!(restoration.is_over());
    }
}
