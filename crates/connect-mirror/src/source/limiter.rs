//! Keeps tasks to the rates of their flow, where bytes come in: what may not flow is not fetched.
//!
//! A bucket fills with the rate, up to a fraction of a second's worth. What a fetch brings is taken out once its size is
//! known, so a bucket can be in debt; nobody fetches until that is paid. The tasks of a connector in one process share
//! their buckets. Other workers have buckets of their own: a worker has as much of a flow's rate as it has of the tasks,
//! and of a topic's rate as it has of the topic's partitions.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use tokio::time::Instant;

use super::{
    limit_metrics::{LimitKey, LimitMetrics, LimitSnapshot},
    pace::{Pace, TaskPace},
    rate_limits::RateLimits,
};

/// What may flow at once after a quiet time, in seconds' worth of the rate.
const BURST_SECONDS: f64 = 0.25;
/// A fetch asks for this part of a second's worth, so that records come evenly.
const FETCHES_PER_SECOND: u64 = 10;
/// And for no less than this.
const MIN_FETCH_BYTES: u64 = 16 * 1024;
/// Who has waited so short a time ago will wait again: between two fetches a bucket is out of debt for a moment.
const STILL_WAITING: Duration = Duration::from_secs(1);

/// The buckets of all connectors of a worker, by the connector's name.
#[derive(Clone, Debug, Default)]
pub struct RateLimiters {
    connectors: Arc<Mutex<HashMap<String, Weak<Mutex<Shared>>>>>,
    pace: Pace,
}

/// One task's hand on the buckets of its connector.
#[derive(Debug)]
pub(crate) struct Limiter {
    shared: Arc<Mutex<Shared>>,
    /// How many partitions of each topic this task has.
    partitions: BTreeMap<Arc<str>, u64>,
    pace: TaskPace,
}

#[derive(Debug, Default)]
pub(super) struct Shared {
    limits: RateLimits,
    tasks_here: u64,
    task_count: u64,
    flow: Option<Bucket>,
    topics: HashMap<Arc<str>, Topic>,
}

#[derive(Debug, Default)]
struct Topic {
    partitions_here: u64,
    /// On all workers, as far as is known.
    partition_count: u64,
    /// Which of the limits of topics it has.
    limit: Option<usize>,
    bucket: Option<Bucket>,
}

impl RateLimiters {
    /// No buckets yet; the tasks of all connectors keep to `pace`, too.
    pub fn at_pace(pace: Pace) -> Self {
        Self {
            pace,
            ..Self::default()
        }
    }

    /// A task of a connector with `task_count` tasks begins; it has so many partitions of each topic.
    pub(crate) fn join(&self, connector: &str, task_count: usize, partitions: BTreeMap<Arc<str>, u64>) -> Limiter {
        let mut connectors = lock(&self.connectors);
        connectors.retain(|_, shared| shared.strong_count() > 0);
        let known = connectors.get(connector).and_then(Weak::upgrade);
        let shared = known.unwrap_or_default();
        connectors.insert(connector.to_owned(), Arc::downgrade(&shared));
        drop(connectors);
        {
            let mut shared = lock(&shared);
            shared.tasks_here += 1;
            shared.task_count = task_count as u64;
            for (topic, count) in &partitions {
                shared.topics.entry(topic.clone()).or_default().partitions_here += count;
            }
            shared.adjust(Instant::now());
        }
        Limiter {
            shared,
            partitions,
            pace: self.pace.join(),
        }
    }
}

impl Limiter {
    /// Takes limits over. Whether they are others than before.
    pub(crate) fn set_limits(&self, limits: RateLimits, now: Instant) -> bool {
        let mut shared = lock(&self.shared);
        let is_news = shared.limits != limits;
        shared.limits = limits;
        shared.adjust(now);
        is_news
    }

    /// Has the limits shown under a name, as long as there are tasks here.
    pub(crate) fn show(&self, metrics: &LimitMetrics, key: LimitKey) {
        metrics.register(key, &self.shared);
    }

    /// Bytes of a topic have come, which has so many partitions at the source.
    pub(crate) fn take(&self, topic: &Arc<str>, bytes: u64, partition_count: Option<usize>, now: Instant) {
        self.pace.take(bytes, now);
        let mut shared = lock(&self.shared);
        if let Some(flow) = &mut shared.flow {
            flow.take(bytes, now);
        }
        let Some(limited) = shared.topics.get_mut(topic).filter(|topic| topic.bucket.is_some()) else {
            return;
        };
        let count = partition_count.map_or(limited.partition_count, |count| count as u64);
        if std::mem::replace(&mut limited.partition_count, count) != count {
            shared.adjust(now);
        }
        if let Some(bucket) = shared.topics.get_mut(topic).and_then(|topic| topic.bucket.as_mut()) {
            bucket.take(bytes, now);
        }
    }

    /// When the flow may go on; `None`: now.
    pub(crate) fn flow_resumes_at(&self, now: Instant) -> Option<Instant> {
        let limit = lock(&self.shared).flow.as_mut().and_then(|flow| flow.resumes_at(now));
        limit.max(self.pace.resumes_at(now))
    }

    /// Topics of this task that have to wait, and until when.
    pub(crate) fn waiting_topics(&self, now: Instant) -> BTreeMap<Arc<str>, Instant> {
        let mut shared = lock(&self.shared);
        if !shared.topics.values().any(|topic| topic.bucket.is_some()) {
            return BTreeMap::new();
        }
        let waits = |topic: &Arc<str>| {
            let bucket = shared.topics.get_mut(topic)?.bucket.as_mut()?;
            Some((topic.clone(), bucket.resumes_at(now)?))
        };
        self.partitions.keys().filter_map(waits).collect()
    }

    /// What one fetch should ask for at most; `None`: what it likes.
    pub(crate) fn fetch_bytes(&self) -> Option<i32> {
        let limit = lock(&self.shared).limits.flow;
        let rate = limit.into_iter().chain(self.pace.bytes_per_second()).min()?;
        Some(fetch_bytes(rate))
    }

    /// The same for one partition of a topic.
    pub(crate) fn partition_fetch_bytes(&self, topic: &Arc<str>) -> Option<i32> {
        let shared = lock(&self.shared);
        let rate = shared.limits.of_topic(topic)?;
        let partitions = shared.topics.get(topic).map_or(1, |topic| topic.partitions_here);
        Some(fetch_bytes(rate / partitions.max(1)))
    }
}

impl Drop for Limiter {
    fn drop(&mut self) {
        let mut shared = lock(&self.shared);
        shared.tasks_here -= 1;
        for (topic, count) in &self.partitions {
            if let Some(topic) = shared.topics.get_mut(topic) {
                topic.partitions_here -= count;
            }
        }
        shared.topics.retain(|_, topic| topic.partitions_here > 0);
        shared.adjust(Instant::now());
    }
}

impl Shared {
    /// Gives every bucket the rate that is due to what runs here.
    fn adjust(&mut self, now: Instant) {
        let share = |here: u64, of: u64| here as f64 / here.max(of).max(1) as f64;
        let flow = self.limits.flow;
        let rate = flow.map(|rate| rate as f64 * share(self.tasks_here, self.task_count));
        Bucket::set_rate(&mut self.flow, rate, now);
        for (name, topic) in &mut self.topics {
            topic.limit = self.limits.position(name);
            let rate = topic.limit.map(|at| self.limits.topics()[at].bytes_per_second as f64);
            let rate = rate.map(|rate| rate * share(topic.partitions_here, topic.partition_count));
            Bucket::set_rate(&mut topic.bucket, rate, now);
        }
    }

    /// Every limit as it stands, that of the flow first.
    pub(super) fn snapshot(&mut self, now: Instant) -> Vec<LimitSnapshot> {
        let mut snapshots = Vec::new();
        if let (Some(limit), Some(bucket)) = (self.limits.flow, &mut self.flow) {
            let mut snapshot = LimitSnapshot::of(None, limit);
            bucket.add_to(&mut snapshot, now);
            snapshots.push(snapshot);
        }
        let topics = self.limits.topics().iter();
        let of_flow = snapshots.len();
        snapshots.extend(topics.map(|limit| LimitSnapshot::of(Some(limit.names().into()), limit.bytes_per_second)));
        for topic in self.topics.values_mut() {
            if let (Some(at), Some(bucket)) = (topic.limit, &mut topic.bucket) {
                bucket.add_to(&mut snapshots[of_flow + at], now);
            }
        }
        snapshots
    }
}

impl LimitSnapshot {
    fn of(topics: Option<Arc<str>>, bytes_per_second: u64) -> Self {
        Self {
            topics,
            bytes_per_second,
            here_bytes_per_second: 0.0,
            waiting: 0,
            waited_seconds: 0.0,
            owed_bytes: 0.0,
        }
    }
}

fn fetch_bytes(rate: u64) -> i32 {
    let bytes = (rate / FETCHES_PER_SECOND).max(MIN_FETCH_BYTES);
    i32::try_from(bytes).unwrap_or(i32::MAX)
}

/// A lock is held for an addition; who panicked has not left half of one.
pub(super) fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug)]
pub(super) struct Bucket {
    bytes_per_second: f64,
    /// Bytes that may flow; negative: a debt.
    level: f64,
    at: Instant,
    /// When the last debt is, or was, paid.
    paid_at: Option<Instant>,
    /// For how long it was in debt, in seconds.
    waited: f64,
}

impl Bucket {
    /// Makes, changes or removes a bucket. A debt lasts no longer than a second at the new rate.
    pub(super) fn set_rate(bucket: &mut Option<Self>, rate: Option<f64>, now: Instant) {
        // Tasks without a share of it any more are about to end.
        let Some(rate) = rate.map(|rate| rate.max(1.0)) else {
            *bucket = None;
            return;
        };
        let bucket = bucket.get_or_insert(Self {
            bytes_per_second: rate,
            level: 0.0,
            at: now,
            paid_at: None,
            waited: 0.0,
        });
        if bucket.bytes_per_second != rate {
            bucket.fill(now);
            bucket.bytes_per_second = rate;
            bucket.level = bucket.level.clamp(-rate, rate * BURST_SECONDS);
        }
    }

    pub(super) fn bytes_per_second(&self) -> u64 {
        self.bytes_per_second as u64
    }

    fn fill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        let full = self.bytes_per_second * BURST_SECONDS;
        self.waited += passed.min(self.debt_seconds());
        self.level = (self.level + passed * self.bytes_per_second).min(full);
        self.at = self.at.max(now);
    }

    pub(super) fn take(&mut self, bytes: u64, now: Instant) {
        self.fill(now);
        self.level -= bytes as f64;
        self.paid_at = self.resumes_at(now).or(self.paid_at);
    }

    /// How long it takes to pay what is owed.
    fn debt_seconds(&self) -> f64 {
        /// A day: a debt that is larger was made by nonsense.
        const LONGEST: f64 = 86_400.0;
        (-self.level / self.bytes_per_second).clamp(0.0, LONGEST)
    }

    pub(super) fn resumes_at(&mut self, now: Instant) -> Option<Instant> {
        self.fill(now);
        // A timer may be a moment early.
        let wait = self.debt_seconds();
        (wait > 0.000_5).then(|| now + Duration::from_secs_f64(wait))
    }

    fn add_to(&mut self, snapshot: &mut LimitSnapshot, now: Instant) {
        self.fill(now);
        let waits = self.paid_at.is_some_and(|at| now < at + STILL_WAITING);
        snapshot.waiting += u64::from(waits);
        snapshot.here_bytes_per_second += self.bytes_per_second;
        snapshot.waited_seconds += self.waited;
        snapshot.owed_bytes += (-self.level).max(0.0);
    }
}

#[cfg(test)]
mod tests {
    use config_def::Props;

    use super::*;

    fn limits(flow: &str, topics: &str) -> RateLimits {
        let mut props = Props::from([("heliograph.topic.max.bytes.per.second".to_owned(), topics.to_owned())]);
        if !flow.is_empty() {
            props.insert("heliograph.max.bytes.per.second".to_owned(), flow.to_owned());
        }
        RateLimits::parse(&props).expect("good limits")
    }

    fn of(topics: &[(&str, u64)]) -> BTreeMap<Arc<str>, u64> {
        topics
            .iter()
            .map(|(topic, count)| (Arc::from(*topic), *count))
            .collect()
    }

    /// A clock that goes when it is told to.
    struct Now(Instant);

    /// What flows in so many seconds if fetches of this size come whenever they may.
    fn flowed(now: &mut Now, limiters: &[&Limiter], topic: &str, fetch: u64, seconds: u64) -> u64 {
        let (topic, end) = (Arc::from(topic), now.0 + Duration::from_secs(seconds));
        let mut bytes = 0;
        while now.0 < end {
            let mut next = end;
            for limiter in limiters {
                let flow = limiter.flow_resumes_at(now.0);
                match flow.max(limiter.waiting_topics(now.0).get(&topic).copied()) {
                    None => {
                        limiter.take(&topic, fetch, Some(4), now.0);
                        bytes += fetch;
                        next = now.0;
                    }
                    Some(at) => next = next.min(at),
                }
            }
            now.0 = next;
        }
        bytes
    }

    fn close(bytes: u64, expected: f64) {
        let ratio = bytes as f64 / expected;
        assert!((0.95..1.05).contains(&ratio), "{bytes} for {expected}");
    }

    #[test]
    fn a_flow_keeps_to_its_rate_whatever_a_fetch_brings() {
        let now = &mut Now(Instant::now());
        let task = RateLimiters::default().join("c", 1, of(&[("t", 4)]));
        task.set_limits(limits("5MB", ""), now.0);
        for fetch in [1_000, 100_000, 3_000_000] {
            close(flowed(now, &[&task], "t", fetch, 60), 300e6);
        }
        task.set_limits(limits("1MB", ""), now.0);
        close(flowed(now, &[&task], "t", 10_000, 60), 60e6);
        task.set_limits(limits("", ""), now.0);
        assert_eq!(task.flow_resumes_at(now.0), None);
    }

    #[test]
    fn tasks_of_one_process_share_and_other_workers_have_their_part() {
        let (now, limiters) = (&mut Now(Instant::now()), RateLimiters::default());
        let first = limiters.join("c", 4, of(&[("t", 1)]));
        first.set_limits(limits("4MB", ""), now.0);
        close(flowed(now, &[&first], "t", 10_000, 60), 60e6);
        let second = limiters.join("c", 4, of(&[("t", 1)]));
        close(flowed(now, &[&first, &second], "t", 10_000, 60), 120e6);
        // One alone may use what the other leaves.
        close(flowed(now, &[&first], "t", 10_000, 60), 120e6);
        drop(second);
        close(flowed(now, &[&first], "t", 10_000, 60), 60e6);
        let other = limiters.join("other", 1, of(&[("t", 1)]));
        assert_eq!(
            other.flow_resumes_at(now.0),
            None,
            "the limits of one are not another's"
        );
    }

    #[test]
    fn a_topic_keeps_to_its_own_rate_by_the_partitions_that_are_here() {
        let now = &mut Now(Instant::now());
        let task = RateLimiters::default().join("c", 1, of(&[("slow", 1), ("fast", 4)]));
        task.set_limits(limits("", "slow:4MB"), now.0);
        // One of four partitions.
        close(flowed(now, &[&task], "slow", 10_000, 60), 60e6);
        task.take(&Arc::from("slow"), 1_000_000, Some(4), now.0);
        task.take(&Arc::from("fast"), 1_000_000_000, Some(4), now.0);
        let waiting = task.waiting_topics(now.0);
        assert_eq!(waiting.keys().map(|topic| &**topic).collect::<Vec<_>>(), ["slow"]);
        assert_eq!(task.flow_resumes_at(now.0), None);
    }

    #[test]
    fn after_a_quiet_hour_no_more_than_a_burst_comes_at_once() {
        let now = &mut Now(Instant::now());
        let task = RateLimiters::default().join("c", 1, of(&[("t", 4)]));
        task.set_limits(limits("5MB", ""), now.0);
        now.0 += Duration::from_secs(3600);
        let bytes = flowed(now, &[&task], "t", 1_000, 1);
        assert!(bytes <= 6_300_000, "{bytes}");
    }

    #[test]
    fn a_snapshot_says_whether_a_limit_is_what_holds_back() {
        let now = &mut Now(Instant::now());
        let (task, metrics) = (
            RateLimiters::default().join("c", 2, of(&[("slow-1", 2), ("slow-2", 1), ("fast", 1)])),
            LimitMetrics::default(),
        );
        let key = LimitKey {
            source: "A".into(),
            target: "B".into(),
            connector: "c".into(),
        };
        task.show(&metrics, key.clone());
        assert_eq!(metrics.snapshot(now.0), [], "there are no limits");
        task.set_limits(limits("4MB", "slow-.:1MB"), now.0);
        let waited = |now: &Now| -> Vec<(u64, f64)> {
            let limits = metrics.snapshot(now.0).into_iter();
            limits.map(|(_, limit)| (limit.waiting, limit.waited_seconds)).collect()
        };
        // After a moment, half of what may flow here.
        now.0 += Duration::from_secs(1);
        for _ in 0..60 {
            task.take(&Arc::from("fast"), 100_000, Some(1), now.0);
            now.0 += Duration::from_millis(100);
        }
        assert_eq!(waited(now), [(0, 0.0), (0, 0.0)], "bytes came slower than they might");
        flowed(now, &[&task], "slow-1", 10_000, 10);
        let of_now = metrics.snapshot(now.0);
        assert!(of_now.iter().all(|(its, _)| *its == key));
        let [flow, topics] = [&of_now[0].1, &of_now[1].1];
        assert_eq!((flow.topics.clone(), flow.bytes_per_second), (None, 4_000_000));
        assert_eq!(flow.here_bytes_per_second, 2e6, "one of two tasks runs here");
        assert_eq!(
            (topics.topics.as_deref(), topics.bytes_per_second),
            (Some("slow-."), 1_000_000)
        );
        assert_eq!(
            (flow.waiting, topics.waiting),
            (0, 1),
            "only one of the two topics has records"
        );
        assert!((9.0..10.1).contains(&topics.waited_seconds), "{topics:?}");
        now.0 += Duration::from_secs(5);
        assert_eq!(waited(now)[1].0, 0, "nothing is waiting any more");
        drop(task);
        assert_eq!(metrics.snapshot(now.0), []);
    }

    #[test]
    fn an_old_debt_does_not_outlast_a_change() {
        let now = Instant::now();
        let task = RateLimiters::default().join("c", 1, of(&[("t", 1)]));
        task.set_limits(limits("100MB", ""), now);
        task.take(&Arc::from("t"), 50_000_000, None, now);
        assert!(task.set_limits(limits("10kB", ""), now), "it is another limit");
        assert!(!task.set_limits(limits("10kB", ""), now), "it is the same");
        let wait = task.flow_resumes_at(now).expect("it is in debt") - now;
        assert!(wait <= Duration::from_secs(1), "{wait:?}");
        // Slow as it is, a fetch asks for whole batches.
        assert_eq!(task.fetch_bytes(), Some(16 * 1024));
    }
}
