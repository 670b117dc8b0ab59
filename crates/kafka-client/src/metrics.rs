//! Plain counters, kept without locks. An exporter reads them; nothing here knows how.

mod activity;
mod registry;
mod sampled;

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use kafka_protocol::messages::ApiKey;

use self::activity::Activity;
pub use self::activity::{ActivitySnapshot, Count};
pub(crate) use self::registry::ClientRegistry;
pub use self::sampled::{SampledRate, SampledStats, Stats};
use crate::clock::now_ms;

/// Counters of the traffic with one broker, or with all of them.
#[derive(Debug, Default)]
pub struct Traffic {
    requests: AtomicU64,
    responses: AtomicU64,
    bytes_out: AtomicU64,
    bytes_in: AtomicU64,
    throttled_ms: AtomicU64,
}

/// What the counters of a [`Traffic`] stood at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TrafficSnapshot {
    /// Requests written.
    pub requests: u64,
    /// Responses read.
    pub responses: u64,
    /// Bytes written, framing included.
    pub bytes_out: u64,
    /// Bytes read, framing included.
    pub bytes_in: u64,
    /// Time that brokers asked us to pause, in milliseconds.
    pub throttled_ms: u64,
}

impl Traffic {
    pub(crate) fn sent(&self, requests: u64, bytes: u64) {
        self.requests.fetch_add(requests, Relaxed);
        self.bytes_out.fetch_add(bytes, Relaxed);
    }

    pub(crate) fn received(&self, bytes: u64) {
        self.responses.fetch_add(1, Relaxed);
        self.bytes_in.fetch_add(bytes, Relaxed);
    }

    pub(crate) fn throttled(&self, ms: u64) {
        self.throttled_ms.fetch_add(ms, Relaxed);
    }

    /// The counters now.
    pub fn snapshot(&self) -> TrafficSnapshot {
        TrafficSnapshot {
            requests: self.requests.load(Relaxed),
            responses: self.responses.load(Relaxed),
            bytes_out: self.bytes_out.load(Relaxed),
            bytes_in: self.bytes_in.load(Relaxed),
            throttled_ms: self.throttled_ms.load(Relaxed),
        }
    }
}

/// What a client is, as Kafka's metrics name it. One that was never made into something is an admin client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientKind {
    /// It fetches.
    Consumer = 1,
    /// It produces.
    Producer = 2,
    /// It is a member of a group.
    Member = 4,
}

/// Counters of a whole client.
#[derive(Debug, Default)]
pub struct ClientMetrics {
    kinds: AtomicU8,
    activity: Activity,
    /// Traffic with all brokers together, connections that are gone included.
    pub traffic: Traffic,
    connections_opened: AtomicU64,
    connections_failed: AtomicU64,
    connections_open: AtomicU64,
    metadata_refreshes: AtomicU64,
    merged_batches: AtomicU64,
}

impl ClientMetrics {
    /// The client is something; it may be several things.
    pub fn is_now(&self, kind: ClientKind) {
        self.kinds.fetch_or(kind as u8, Relaxed);
    }

    /// Whether a client of this id is, or was, of a kind.
    pub fn is(&self, kind: ClientKind) -> bool {
        self.kinds.load(Relaxed) & kind as u8 != 0
    }

    /// Whether it is nothing but an admin client.
    pub fn is_admin(&self) -> bool {
        self.kinds.load(Relaxed) == 0
    }

    /// What Kafka's own clients count, at a time by the wall clock.
    pub fn activity(&self, now_ms: i64) -> ActivitySnapshot {
        self.activity.snapshot(now_ms)
    }

    pub(crate) fn sent(&self, requests: u64, bytes: u64) {
        self.traffic.sent(requests, bytes);
        self.activity.sent(now_ms(), requests, bytes);
    }

    pub(crate) fn answered(&self, api_key: ApiKey, latency: Duration, throttle: Duration, bytes: u64) {
        self.activity.answered(now_ms(), api_key, latency, throttle, bytes);
    }

    pub(crate) fn fetched(&self, bytes: u64, records: u64, lag: Option<i64>) {
        self.activity.fetched(now_ms(), bytes, records, lag);
    }

    pub(crate) fn produced(&self, batches: impl Iterator<Item = (usize, u64, bool)>) {
        self.activity.produced(now_ms(), batches);
    }

    pub(crate) fn produce_throttled(&self, throttle: Duration) {
        self.activity.produce_throttled(now_ms(), throttle);
    }

    pub(crate) fn refused(&self, records: u64) {
        self.activity.refused(now_ms(), records);
    }

    pub(crate) fn committed(&self, took: Duration) {
        self.activity.committed(took);
    }

    pub(crate) fn aborted(&self, took: Duration) {
        self.activity.aborted(took);
    }

    pub(crate) fn connection_opened(&self) {
        self.connections_opened.fetch_add(1, Relaxed);
        self.connections_open.fetch_add(1, Relaxed);
    }

    pub(crate) fn connection_closed(&self) {
        self.connections_open.fetch_sub(1, Relaxed);
    }

    pub(crate) fn connection_failed(&self) {
        self.connections_failed.fetch_add(1, Relaxed);
    }

    pub(crate) fn merged(&self, batches: u64) {
        self.merged_batches.fetch_add(batches, Relaxed);
    }

    pub(crate) fn metadata_refreshed(&self) {
        self.metadata_refreshes.fetch_add(1, Relaxed);
    }

    /// Connections set up since the start (`connection-creation-total`).
    pub fn connections_opened(&self) -> u64 {
        self.connections_opened.load(Relaxed)
    }

    /// Connections that are open now (`connection-count`).
    pub fn connections_open(&self) -> u64 {
        self.connections_open.load(Relaxed)
    }

    /// Attempts to connect that failed.
    pub fn connections_failed(&self) -> u64 {
        self.connections_failed.load(Relaxed)
    }

    /// Small batches that a producer put into one with their neighbours.
    pub fn merged_batches(&self) -> u64 {
        self.merged_batches.load(Relaxed)
    }

    /// Metadata responses taken in.
    pub fn metadata_refreshes(&self) -> u64 {
        self.metadata_refreshes.load(Relaxed)
    }
}
