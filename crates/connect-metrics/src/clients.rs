//! Traffic with brokers, by `client.id`: under names of our own, and under those of Kafka's clients.

use std::sync::Arc;

use kafka_client::{
    Dialer,
    metrics::{ActivitySnapshot, ClientKind, ClientMetrics, Count},
};

use crate::{
    exposition::{Labels, Metric, Page, metric},
    mirror::add_stats,
};

/// More clients than this are added up: a `client.id` is anybody's choice.
const MAX_CLIENTS: usize = 256;

/// One client's counters, or those of several.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Totals {
    open: u64,
    opened: u64,
    failed: u64,
    refreshes: u64,
    merged: u64,
    throttled_ms: u64,
    activity: ActivitySnapshot,
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
        |client| client.activity.requests.total as f64,
        "Requests sent to brokers.",
    ),
    metric(
        "heliograph_client_responses_total",
        |client| client.activity.responses.total as f64,
        "Responses of brokers.",
    ),
    metric(
        "heliograph_client_sent_bytes_total",
        |client| client.activity.outgoing_bytes.total as f64,
        "Bytes sent to brokers.",
    ),
    metric(
        "heliograph_client_received_bytes_total",
        |client| client.activity.incoming_bytes.total as f64,
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

/// What all of Kafka's clients count, with the group's name in front.
macro_rules! selector_metrics {
    ($group:literal) => {
        &[
            metric(
                concat!($group, "_connection_count"),
                |client| client.open as f64,
                "Connections to brokers that are open.",
            ),
            metric(
                concat!($group, "_connection_creation_total"),
                |client| client.opened as f64,
                "Connections to brokers that were set up.",
            ),
            metric(
                concat!($group, "_connection_close_total"),
                |client| client.opened.saturating_sub(client.open) as f64,
                "Connections to brokers that were closed.",
            ),
            metric(
                concat!($group, "_request_total"),
                |client| client.activity.requests.total as f64,
                "Requests sent to brokers.",
            ),
            metric(
                concat!($group, "_request_rate"),
                |client| client.activity.requests.per_second,
                "Requests sent to brokers, per second.",
            ),
            metric(
                concat!($group, "_request_size_avg"),
                |client| client.activity.request_size.avg,
                "Bytes of a request, mean.",
            ),
            metric(
                concat!($group, "_request_size_max"),
                |client| client.activity.request_size.max,
                "Bytes of a request, largest.",
            ),
            metric(
                concat!($group, "_outgoing_byte_total"),
                |client| client.activity.outgoing_bytes.total as f64,
                "Bytes sent to brokers.",
            ),
            metric(
                concat!($group, "_outgoing_byte_rate"),
                |client| client.activity.outgoing_bytes.per_second,
                "Bytes sent to brokers, per second.",
            ),
            metric(
                concat!($group, "_response_total"),
                |client| client.activity.responses.total as f64,
                "Responses of brokers.",
            ),
            metric(
                concat!($group, "_response_rate"),
                |client| client.activity.responses.per_second,
                "Responses of brokers, per second.",
            ),
            metric(
                concat!($group, "_incoming_byte_total"),
                |client| client.activity.incoming_bytes.total as f64,
                "Bytes received from brokers.",
            ),
            metric(
                concat!($group, "_incoming_byte_rate"),
                |client| client.activity.incoming_bytes.per_second,
                "Bytes received from brokers, per second.",
            ),
            metric(
                concat!($group, "_network_io_total"),
                |client| (client.activity.requests.total + client.activity.responses.total) as f64,
                "Requests and responses.",
            ),
            metric(
                concat!($group, "_network_io_rate"),
                |client| client.activity.requests.per_second + client.activity.responses.per_second,
                "Requests and responses, per second.",
            ),
        ]
    };
}

const CONSUMERS: &[Metric<Totals>] = selector_metrics!("kafka_consumer");
const PRODUCERS: &[Metric<Totals>] = selector_metrics!("kafka_producer");
const MEMBERS: &[Metric<Totals>] = selector_metrics!("kafka_connect");
const ADMINS: &[Metric<Totals>] = selector_metrics!("kafka_admin_client");

/// `consumer-fetch-manager-metrics`.
const FETCHES: &[Metric<Totals>] = &[
    metric(
        "kafka_consumer_fetch_manager_fetch_total",
        |client| client.activity.fetches.total as f64,
        "Fetches that were answered.",
    ),
    metric(
        "kafka_consumer_fetch_manager_fetch_rate",
        |client| client.activity.fetches.per_second,
        "Fetches that were answered, per second.",
    ),
    metric(
        "kafka_consumer_fetch_manager_fetch_latency_avg",
        |client| client.activity.fetch_latency_ms.avg,
        "Milliseconds from a fetch to its answer, mean.",
    ),
    metric(
        "kafka_consumer_fetch_manager_fetch_latency_max",
        |client| client.activity.fetch_latency_ms.max,
        "Milliseconds from a fetch to its answer, largest.",
    ),
    metric(
        "kafka_consumer_fetch_manager_fetch_throttle_time_avg",
        |client| client.activity.fetch_throttle_ms.avg,
        "Milliseconds that brokers asked to wait after a fetch (quotas), mean.",
    ),
    metric(
        "kafka_consumer_fetch_manager_fetch_throttle_time_max",
        |client| client.activity.fetch_throttle_ms.max,
        "Milliseconds that brokers asked to wait after a fetch (quotas), largest.",
    ),
    metric(
        "kafka_consumer_fetch_manager_fetch_size_avg",
        |client| client.activity.fetch_size.avg,
        "Bytes of batches that a fetch brought, mean.",
    ),
    metric(
        "kafka_consumer_fetch_manager_fetch_size_max",
        |client| client.activity.fetch_size.max,
        "Bytes of batches that a fetch brought, largest.",
    ),
    metric(
        "kafka_consumer_fetch_manager_bytes_consumed_total",
        |client| client.activity.bytes_consumed.total as f64,
        "Bytes of batches that were fetched.",
    ),
    metric(
        "kafka_consumer_fetch_manager_bytes_consumed_rate",
        |client| client.activity.bytes_consumed.per_second,
        "Bytes of batches that were fetched, per second.",
    ),
    metric(
        "kafka_consumer_fetch_manager_records_consumed_total",
        |client| client.activity.records_consumed.total as f64,
        "Records that were fetched.",
    ),
    metric(
        "kafka_consumer_fetch_manager_records_consumed_rate",
        |client| client.activity.records_consumed.per_second,
        "Records that were fetched, per second.",
    ),
    metric(
        "kafka_consumer_fetch_manager_records_per_request_avg",
        |client| client.activity.records_per_fetch.avg,
        "Records that a fetch brought, mean.",
    ),
    metric(
        "kafka_consumer_fetch_manager_records_lag_max",
        |client| client.activity.records_lag.max,
        "Records that were not fetched yet, of the partition that has most of them.",
    ),
];

/// `producer-metrics`, and what Kafka does not count.
const PRODUCED: &[Metric<Totals>] = &[
    metric(
        "kafka_producer_record_send_total",
        |client| client.activity.records_sent.total as f64,
        "Records that were sent, repeats included.",
    ),
    metric(
        "kafka_producer_record_send_rate",
        |client| client.activity.records_sent.per_second,
        "Records that were sent, per second.",
    ),
    metric(
        "kafka_producer_record_retry_total",
        |client| client.activity.records_retried.total as f64,
        "Records that were sent again.",
    ),
    metric(
        "kafka_producer_record_retry_rate",
        |client| client.activity.records_retried.per_second,
        "Records that were sent again, per second.",
    ),
    metric(
        "kafka_producer_record_error_total",
        |client| client.activity.records_refused.total as f64,
        "Records that were given back unwritten.",
    ),
    metric(
        "kafka_producer_record_error_rate",
        |client| client.activity.records_refused.per_second,
        "Records that were given back unwritten, per second.",
    ),
    metric(
        "kafka_producer_batch_size_avg",
        |client| client.activity.batch_size.avg,
        "Bytes of a batch as it was sent, mean.",
    ),
    metric(
        "kafka_producer_batch_size_max",
        |client| client.activity.batch_size.max,
        "Bytes of a batch as it was sent, largest.",
    ),
    metric(
        "kafka_producer_records_per_request_avg",
        |client| client.activity.records_per_produce.avg,
        "Records of a produce request, mean.",
    ),
    metric(
        "kafka_producer_request_latency_avg",
        |client| client.activity.produce_latency_ms.avg,
        "Milliseconds from a produce request to its answer, mean.",
    ),
    metric(
        "kafka_producer_request_latency_max",
        |client| client.activity.produce_latency_ms.max,
        "Milliseconds from a produce request to its answer, largest.",
    ),
    metric(
        "kafka_producer_produce_throttle_time_avg",
        |client| client.activity.produce_throttle_ms.avg,
        "Milliseconds that brokers asked to wait after a produce request (quotas), mean.",
    ),
    metric(
        "kafka_producer_produce_throttle_time_max",
        |client| client.activity.produce_throttle_ms.max,
        "Milliseconds that brokers asked to wait after a produce request (quotas), largest.",
    ),
    metric(
        "kafka_producer_txn_commit_time_ns_total",
        |client| client.activity.commit_time.as_nanos() as f64,
        "Nanoseconds that it took to commit transactions.",
    ),
    metric(
        "kafka_producer_txn_abort_time_ns_total",
        |client| client.activity.abort_time.as_nanos() as f64,
        "Nanoseconds that it took to abort transactions.",
    ),
    metric(
        "heliograph_client_transactions_committed_total",
        |client| client.activity.commits as f64,
        "Transactions that were committed.",
    ),
    metric(
        "heliograph_client_transactions_aborted_total",
        |client| client.activity.aborts as f64,
        "Transactions that were aborted.",
    ),
];

impl Totals {
    fn of(metrics: &ClientMetrics, now_ms: i64) -> Self {
        Self {
            open: metrics.connections_open(),
            opened: metrics.connections_opened(),
            failed: metrics.connections_failed(),
            refreshes: metrics.metadata_refreshes(),
            merged: metrics.merged_batches(),
            throttled_ms: metrics.traffic.snapshot().throttled_ms,
            activity: metrics.activity(now_ms),
        }
    }

    /// Counts and rates are added up; of sizes, times and lags the worst is kept.
    fn add(&mut self, other: &Self) {
        self.open += other.open;
        self.opened += other.opened;
        self.failed += other.failed;
        self.refreshes += other.refreshes;
        self.merged += other.merged;
        self.throttled_ms += other.throttled_ms;
        let (sum, other) = (&mut self.activity, &other.activity);
        for (sum, other) in [
            (&mut sum.requests, other.requests),
            (&mut sum.outgoing_bytes, other.outgoing_bytes),
            (&mut sum.responses, other.responses),
            (&mut sum.incoming_bytes, other.incoming_bytes),
            (&mut sum.fetches, other.fetches),
            (&mut sum.bytes_consumed, other.bytes_consumed),
            (&mut sum.records_consumed, other.records_consumed),
            (&mut sum.records_sent, other.records_sent),
            (&mut sum.records_retried, other.records_retried),
            (&mut sum.records_refused, other.records_refused),
        ] {
            *sum = Count {
                total: sum.total + other.total,
                per_second: sum.per_second + other.per_second,
            };
        }
        for (sum, other) in [
            (&mut sum.request_size, other.request_size),
            (&mut sum.fetch_latency_ms, other.fetch_latency_ms),
            (&mut sum.fetch_throttle_ms, other.fetch_throttle_ms),
            (&mut sum.fetch_size, other.fetch_size),
            (&mut sum.records_per_fetch, other.records_per_fetch),
            (&mut sum.records_lag, other.records_lag),
            (&mut sum.produce_latency_ms, other.produce_latency_ms),
            (&mut sum.produce_throttle_ms, other.produce_throttle_ms),
            (&mut sum.records_per_produce, other.records_per_produce),
            (&mut sum.batch_size, other.batch_size),
        ] {
            add_stats(sum, &other);
        }
        sum.commits += other.commits;
        sum.commit_time += other.commit_time;
        sum.aborts += other.aborts;
        sum.abort_time += other.abort_time;
    }
}

pub(crate) fn write(page: &mut Page, dialer: &Dialer, now_ms: i64) {
    let clients = dialer.clients();
    page.table(TABLE, &totals(&clients, |_| true, now_ms));
    let consumers = totals(&clients, |client| client.is(ClientKind::Consumer), now_ms);
    page.table(CONSUMERS, &consumers);
    page.table(FETCHES, &consumers);
    let producers = totals(&clients, |client| client.is(ClientKind::Producer), now_ms);
    page.table(PRODUCERS, &producers);
    page.table(PRODUCED, &producers);
    let members = totals(&clients, |client| client.is(ClientKind::Member), now_ms);
    page.table(MEMBERS, &members);
    page.table(ADMINS, &totals(&clients, ClientMetrics::is_admin, now_ms));
}

fn totals(
    clients: &[(Arc<str>, Arc<ClientMetrics>)],
    is_wanted: fn(&ClientMetrics) -> bool,
    now_ms: i64,
) -> Vec<(Labels, Totals)> {
    let mut all: Vec<(Labels, Totals)> = Vec::new();
    for (id, metrics) in clients.iter().filter(|(_, metrics)| is_wanted(metrics)) {
        let totals = Totals::of(metrics, now_ms);
        match all.len() {
            len if len < MAX_CLIENTS => all.push((Labels::new(&[("clientid", id)]), totals)),
            MAX_CLIENTS => all.push((Labels::new(&[("clientid", crate::mirror::OTHERS)]), totals)),
            _ => all[MAX_CLIENTS].1.add(&totals),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use kafka_client::{Client, ClientConfig, ConsumerConfig, consumer::Consumer};

    use super::*;
    use crate::exposition::Format;

    const NOW: i64 = 1_700_000_000_000;

    #[test]
    fn too_many_clients_are_added_up() {
        let clients: Vec<_> = (0..1000).map(|at| (at.to_string().into(), Arc::default())).collect();
        let totals = totals(&clients, |_| true, NOW);
        assert_eq!(totals.len(), MAX_CLIENTS + 1);
        assert_eq!(totals[MAX_CLIENTS].0, Labels::new(&[("clientid", "(others)")]));
    }

    #[test]
    fn a_client_is_shown_as_what_it_is() {
        let props = |id: &str| {
            let props = [("bootstrap.servers", "localhost:1"), ("client.id", id)];
            props.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
        };
        let dialer = Dialer::tcp();
        let config = ConsumerConfig::parse(&props("reader")).expect("good settings");
        let _reader = Consumer::new(Client::new(config.client.clone(), dialer.clone()), config);
        let _admin = Client::new(
            ClientConfig::parse(&props("admin")).expect("good settings"),
            dialer.clone(),
        );
        let mut page = Page::new(Format::Text);
        write(&mut page, &dialer, NOW);
        let page = page.finish();
        let shown = |line: &str| page.lines().any(|written| written == line);
        for line in [
            "kafka_consumer_connection_count{clientid=\"reader\"} 0",
            "kafka_consumer_fetch_manager_fetch_latency_avg{clientid=\"reader\"} NaN",
            "kafka_admin_client_request_total{clientid=\"admin\"} 0",
            "heliograph_client_connections{clientid=\"reader\"} 0",
        ] {
            assert!(shown(line), "{line} in\n{page}");
        }
        assert!(
            !page.contains("kafka_producer_") && !page.contains("kafka_connect_"),
            "{page}"
        );
        assert!(!shown("kafka_admin_client_request_total{clientid=\"reader\"} 0"));
    }
}
