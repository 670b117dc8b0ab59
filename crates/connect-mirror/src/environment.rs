//! What the process gives its mirror connectors.

use kafka_client::{Client, ClientConfig, Dialer};
use kafka_wire::Compression;

use crate::{clock::Clock, metrics::MirrorMetrics, source::RateLimiters};

/// The way to brokers, the clock and the metrics that all connectors of a process share.
#[derive(Clone, Debug)]
pub struct MirrorEnvironment {
    /// Opens connections.
    pub dialer: Dialer,
    /// Stamps heartbeats and measures ages.
    pub clock: Clock,
    /// Where tasks register their metrics.
    pub metrics: MirrorMetrics,
    /// The worker's own `producer.compression.type`, if it was given: batches with another codec are recompressed. A
    /// connector's `producer.override.compression.type` goes before it.
    pub compression: Option<Compression>,
    /// What tasks of one connector share to keep to its limits.
    pub limiters: RateLimiters,
}

impl MirrorEnvironment {
    /// An environment with the system's clock that keeps the source's compression.
    pub fn new(dialer: Dialer) -> Self {
        Self {
            dialer,
            clock: Clock::system(),
            metrics: MirrorMetrics::default(),
            compression: None,
            limiters: RateLimiters::default(),
        }
    }

    /// A client of the cluster that `config` names. No I/O.
    pub(crate) fn client(&self, config: &ClientConfig) -> Client {
        Client::new(config.clone(), self.dialer.clone())
    }
}
