//! Plain counters, kept without locks. An exporter reads them; nothing here knows how.

mod registry;
mod sampled;

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

pub(crate) use self::registry::ClientRegistry;
pub use self::sampled::{SampledRate, SampledStats, Stats};

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

/// Counters of a whole client.
#[derive(Debug, Default)]
pub struct ClientMetrics {
    /// Traffic with all brokers together, connections that are gone included.
    pub traffic: Traffic,
    connections_opened: AtomicU64,
    connections_failed: AtomicU64,
    connections_open: AtomicU64,
    metadata_refreshes: AtomicU64,
    merged_batches: AtomicU64,
}

impl ClientMetrics {
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
