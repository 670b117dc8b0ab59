//! Traffic with brokers, by `client.id`.

use std::sync::Arc;

use kafka_client::{Dialer, metrics::ClientMetrics};

use crate::exposition::{Labels, Metric, Page, metric};

/// More clients than this are added up: a `client.id` is anybody's choice.
const MAX_CLIENTS: usize = 256;

/// One client's counters, or those of several.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Totals {
    open: u64,
    opened: u64,
    failed: u64,
    refreshes: u64,
    merged: u64,
    requests: u64,
    responses: u64,
    bytes_out: u64,
    bytes_in: u64,
    throttled_ms: u64,
}

pub(crate) const TABLE: &[Metric<Totals>] = &[
    metric(
        "heliograph_client_connections",
        |client| client.open as f64,
        "Connections to brokers that are open.",
    ),
    metric(
        "heliograph_client_connections_opened_total",
        |client| client.opened as f64,
        "Connections to brokers that were set up.",
    ),
    metric(
        "heliograph_client_connections_failed_total",
        |client| client.failed as f64,
        "Attempts to connect to a broker that failed.",
    ),
    metric(
        "heliograph_client_metadata_refreshes_total",
        |client| client.refreshes as f64,
        "Metadata responses taken in.",
    ),
    metric(
        "heliograph_client_requests_total",
        |client| client.requests as f64,
        "Requests sent to brokers.",
    ),
    metric(
        "heliograph_client_responses_total",
        |client| client.responses as f64,
        "Responses of brokers.",
    ),
    metric(
        "heliograph_client_sent_bytes_total",
        |client| client.bytes_out as f64,
        "Bytes sent to brokers.",
    ),
    metric(
        "heliograph_client_received_bytes_total",
        |client| client.bytes_in as f64,
        "Bytes received from brokers.",
    ),
    metric(
        "heliograph_client_throttled_seconds_total",
        |client| client.throttled_ms as f64 / 1000.0,
        "Time that brokers asked for a pause (quotas).",
    ),
    metric(
        "heliograph_client_merged_batches_total",
        |client| client.merged as f64,
        "Small batches that were sent as one with their neighbours.",
    ),
];

impl Totals {
    fn add(&mut self, metrics: &ClientMetrics) {
        let traffic = metrics.traffic.snapshot();
        self.open += metrics.connections_open();
        self.opened += metrics.connections_opened();
        self.failed += metrics.connections_failed();
        self.refreshes += metrics.metadata_refreshes();
        self.merged += metrics.merged_batches();
        self.requests += traffic.requests;
        self.responses += traffic.responses;
        self.bytes_out += traffic.bytes_out;
        self.bytes_in += traffic.bytes_in;
        self.throttled_ms += traffic.throttled_ms;
    }
}

pub(crate) fn write(page: &mut Page, dialer: &Dialer) {
    page.table(TABLE, &totals(&dialer.clients()));
}

fn totals(clients: &[(Arc<str>, Arc<ClientMetrics>)]) -> Vec<(Labels, Totals)> {
    let mut all: Vec<(Labels, Totals)> = Vec::new();
    for (at, (id, metrics)) in clients.iter().enumerate() {
        if at < MAX_CLIENTS {
            all.push((Labels::new(&[("clientid", id)]), Totals::default()));
        } else if at == MAX_CLIENTS {
            all.push((Labels::new(&[("clientid", crate::mirror::OTHERS)]), Totals::default()));
        }
        all[at.min(MAX_CLIENTS)].1.add(metrics);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_clients_are_added_up() {
        let clients: Vec<_> = (0..1000).map(|at| (at.to_string().into(), Arc::default())).collect();
        let totals = totals(&clients);
        assert_eq!(totals.len(), MAX_CLIENTS + 1);
        assert_eq!(totals[MAX_CLIENTS].0, Labels::new(&[("clientid", "(others)")]));
    }
}
