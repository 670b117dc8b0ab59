//! What Kafka's own clients count of themselves: requests, fetches, what was produced, transactions.
//!
//! Counted once per request, answer or batch, never per record.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kafka_protocol::messages::ApiKey;

use super::sampled::{SampledRate, SampledStats, Stats};

/// Something that is counted: since the start, and per second over the window.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Count {
    /// `…-total`.
    pub total: u64,
    /// `…-rate`.
    pub per_second: f64,
}

/// What the counters of a client's requests stood at. Sizes are bytes as they travel, times milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct ActivitySnapshot {
    /// Requests written.
    pub requests: Count,
    /// Their sizes.
    pub request_size: Stats,
    /// Bytes written.
    pub outgoing_bytes: Count,
    /// Responses read.
    pub responses: Count,
    /// Bytes read.
    pub incoming_bytes: Count,
    /// Answered fetches.
    pub fetches: Count,
    /// From handing a fetch to the socket to its answer.
    pub fetch_latency_ms: Stats,
    /// What brokers asked to wait in answers to fetches.
    pub fetch_throttle_ms: Stats,
    /// Bytes of batches that one fetch brought.
    pub fetch_size: Stats,
    /// Bytes of batches that fetches brought.
    pub bytes_consumed: Count,
    /// Records that one fetch brought.
    pub records_per_fetch: Stats,
    /// Records that fetches brought.
    pub records_consumed: Count,
    /// Records behind what was just fetched.
    pub records_lag: Stats,
    /// From handing a produce request to the socket to its answer.
    pub produce_latency_ms: Stats,
    /// What brokers asked to wait in answers to produce requests.
    pub produce_throttle_ms: Stats,
    /// Records of one produce request.
    pub records_per_produce: Stats,
    /// Records sent, repeats included.
    pub records_sent: Count,
    /// Records sent again.
    pub records_retried: Count,
    /// Records that were given back unwritten.
    pub records_refused: Count,
    /// Sizes of batches as they were sent.
    pub batch_size: Stats,
    /// Transactions that were committed.
    pub commits: u64,
    /// How long that took, all together.
    pub commit_time: Duration,
    /// Transactions that were aborted.
    pub aborts: u64,
    /// How long that took, all together.
    pub abort_time: Duration,
}

/// The counters of [`ActivitySnapshot`].
#[derive(Debug, Default)]
pub(super) struct Activity(Mutex<Counters>);

#[derive(Debug, Default)]
struct Counters {
    requests: Counter,
    request_size: SampledStats,
    outgoing_bytes: Counter,
    responses: Counter,
    incoming_bytes: Counter,
    fetches: Counter,
    fetch_latency_ms: SampledStats,
    fetch_throttle_ms: SampledStats,
    fetch_size: SampledStats,
    bytes_consumed: Counter,
    records_per_fetch: SampledStats,
    records_consumed: Counter,
    records_lag: SampledStats,
    produce_latency_ms: SampledStats,
    produce_throttle_ms: SampledStats,
    records_per_produce: SampledStats,
    records_sent: Counter,
    records_retried: Counter,
    records_refused: Counter,
    batch_size: SampledStats,
    commits: u64,
    commit_time: Duration,
    aborts: u64,
    abort_time: Duration,
}

#[derive(Debug, Default)]
struct Counter {
    total: u64,
    rate: SampledRate,
}

impl Counter {
    fn add(&mut self, now_ms: i64, count: u64) {
        self.total += count;
        self.rate.record(now_ms, count as f64);
    }

    fn snapshot(&mut self, now_ms: i64) -> Count {
        Count {
            total: self.total,
            per_second: self.rate.per_second(now_ms),
        }
    }
}

impl Activity {
    /// Nothing that is done under the lock can leave a value half-changed.
    fn counters(&self) -> MutexGuard<'_, Counters> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn sent(&self, now_ms: i64, requests: u64, bytes: u64) {
        let mut counters = self.counters();
        counters.requests.add(now_ms, requests);
        counters.outgoing_bytes.add(now_ms, bytes);
        counters
            .request_size
            .record(now_ms, bytes as f64 / requests.max(1) as f64);
    }

    pub(super) fn answered(&self, now_ms: i64, api_key: ApiKey, latency: Duration, throttle: Duration, bytes: u64) {
        let mut counters = self.counters();
        counters.responses.add(now_ms, 1);
        counters.incoming_bytes.add(now_ms, bytes);
        let latency_ms = latency.as_secs_f64() * 1000.0;
        match api_key {
            ApiKey::Fetch => {
                counters.fetches.add(now_ms, 1);
                counters.fetch_latency_ms.record(now_ms, latency_ms);
                counters.fetch_throttle_ms.record(now_ms, throttle.as_millis() as f64);
            }
            ApiKey::Produce => counters.produce_latency_ms.record(now_ms, latency_ms),
            _ => {}
        }
    }

    /// What one fetch brought: bytes and records of its batches, and how far behind the end its partitions are.
    pub(super) fn fetched(&self, now_ms: i64, bytes: u64, records: u64, lag: Option<i64>) {
        let mut counters = self.counters();
        counters.fetch_size.record(now_ms, bytes as f64);
        counters.bytes_consumed.add(now_ms, bytes);
        counters.records_per_fetch.record(now_ms, records as f64);
        counters.records_consumed.add(now_ms, records);
        if let Some(lag) = lag {
            counters.records_lag.record(now_ms, lag as f64);
        }
    }

    /// What is in one produce request: the size of each batch, its records, and whether it goes again.
    pub(super) fn produced(&self, now_ms: i64, batches: impl Iterator<Item = (usize, u64, bool)>) {
        let mut counters = self.counters();
        let (mut sent, mut retried) = (0, 0);
        for (bytes, records, is_repeat) in batches {
            counters.batch_size.record(now_ms, bytes as f64);
            sent += records;
            retried += if is_repeat { records } else { 0 };
        }
        counters.records_per_produce.record(now_ms, sent as f64);
        counters.records_sent.add(now_ms, sent);
        if retried > 0 {
            counters.records_retried.add(now_ms, retried);
        }
    }

    pub(super) fn produce_throttled(&self, now_ms: i64, throttle: Duration) {
        let ms = throttle.as_millis() as f64;
        self.counters().produce_throttle_ms.record(now_ms, ms);
    }

    pub(super) fn refused(&self, now_ms: i64, records: u64) {
        self.counters().records_refused.add(now_ms, records);
    }

    pub(super) fn committed(&self, took: Duration) {
        let mut counters = self.counters();
        counters.commits += 1;
        counters.commit_time += took;
    }

    pub(super) fn aborted(&self, took: Duration) {
        let mut counters = self.counters();
        counters.aborts += 1;
        counters.abort_time += took;
    }

    pub(super) fn snapshot(&self, now_ms: i64) -> ActivitySnapshot {
        let counters = &mut *self.counters();
        ActivitySnapshot {
            requests: counters.requests.snapshot(now_ms),
            request_size: counters.request_size.snapshot(now_ms),
            outgoing_bytes: counters.outgoing_bytes.snapshot(now_ms),
            responses: counters.responses.snapshot(now_ms),
            incoming_bytes: counters.incoming_bytes.snapshot(now_ms),
            fetches: counters.fetches.snapshot(now_ms),
            fetch_latency_ms: counters.fetch_latency_ms.snapshot(now_ms),
            fetch_throttle_ms: counters.fetch_throttle_ms.snapshot(now_ms),
            fetch_size: counters.fetch_size.snapshot(now_ms),
            bytes_consumed: counters.bytes_consumed.snapshot(now_ms),
            records_per_fetch: counters.records_per_fetch.snapshot(now_ms),
            records_consumed: counters.records_consumed.snapshot(now_ms),
            records_lag: counters.records_lag.snapshot(now_ms),
            produce_latency_ms: counters.produce_latency_ms.snapshot(now_ms),
            produce_throttle_ms: counters.produce_throttle_ms.snapshot(now_ms),
            records_per_produce: counters.records_per_produce.snapshot(now_ms),
            records_sent: counters.records_sent.snapshot(now_ms),
            records_retried: counters.records_retried.snapshot(now_ms),
            records_refused: counters.records_refused.snapshot(now_ms),
            batch_size: counters.batch_size.snapshot(now_ms),
            commits: counters.commits,
            commit_time: counters.commit_time,
            aborts: counters.aborts,
            abort_time: counters.abort_time,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000_000;

    #[test]
    fn only_fetches_and_produce_requests_have_latencies_of_their_own() {
        let activity = Activity::default();
        let ms = Duration::from_millis;
        activity.answered(NOW, ApiKey::Metadata, ms(900), ms(0), 10);
        activity.answered(NOW, ApiKey::Fetch, ms(5), ms(7), 100);
        activity.answered(NOW, ApiKey::Produce, ms(3), ms(0), 20);
        let now = activity.snapshot(NOW);
        assert_eq!((now.responses.total, now.incoming_bytes.total), (3, 130));
        assert_eq!((now.fetches.total, now.fetch_latency_ms.max), (1, 5.0));
        assert_eq!((now.fetch_throttle_ms.avg, now.produce_latency_ms.avg), (7.0, 3.0));
        assert!(
            now.produce_throttle_ms.avg.is_nan() && now.records_lag.max.is_nan(),
            "no zeros made up"
        );
    }

    #[test]
    fn a_repeat_is_sent_and_retried() {
        let activity = Activity::default();
        activity.produced(NOW, [(100, 10, false), (300, 5, true)].into_iter());
        activity.refused(NOW, 2);
        let now = activity.snapshot(NOW);
        assert_eq!(
            (
                now.records_sent.total,
                now.records_retried.total,
                now.records_refused.total
            ),
            (15, 5, 2)
        );
        assert_eq!((now.batch_size.avg, now.records_per_produce.max), (200.0, 15.0));
        assert_eq!(now.records_sent.per_second, 0.5, "a young window counts as 30 s");
    }
}
