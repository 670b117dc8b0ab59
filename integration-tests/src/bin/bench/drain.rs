use std::time::Duration;

use integration_tests::{Stopwatch, pause};

use crate::{
    cluster::Clusters,
    peer::Peer,
    table::{BROKERS_CPU, Metric, Row},
    usage::Usage,
    workload::Workload,
};

/// What is read from the clock is as exact as this, and no dearer to the brokers than needed.
const BETWEEN_LOOKS: Duration = Duration::from_millis(25);

pub(crate) const METRICS: &[Metric] = &[
    Metric::less("startup_s", "first record, s"),
    Metric::more("MB_per_s", "MB/s"),
    Metric::less("cpu_s_per_GB", "CPU-s per GB"),
    Metric::less("peak_rss_MB", "peak RSS, MB"),
    Metric::less(BROKERS_CPU, "brokers' per GB"),
];

/// What one look found.
#[derive(Clone, Copy, Default)]
struct Look {
    seconds: f64,
    usage: Usage,
    brokers_cpu_seconds: f64,
    copied: u64,
}

/// Mirrors the backlog once.
///
/// Draining counts from the last look at which nothing was there yet, so it is never made to look faster than it was.
pub(crate) fn run(clusters: &mut Clusters, peer: &Peer, workload: &Workload, limit: Duration) -> Row {
    let topic = workload.topic();
    let clock = Stopwatch::start();
    let mut running = peer.start(clusters, &topic);
    let (mut before, mut first, mut last) = (Look::default(), None, Look::default());
    while last.copied < workload.records && clock.elapsed() < limit && running.is_running() {
        pause(BETWEEN_LOOKS);
        let usage = running.usage();
        let copied = clusters.copied(&topic, workload.partitions);
        last = Look {
            seconds: clock.elapsed().as_secs_f64(),
            usage,
            brokers_cpu_seconds: clusters.brokers_cpu_seconds(),
            copied,
        };
        if copied == 0 {
            before = last;
        } else {
            first.get_or_insert(last.seconds);
        }
    }
    // The records are there before the CPU time that was spent on them is looked at.
    last.usage = running.usage();
    let scraped = running.scraped();
    running.stop();
    clusters.wipe();

    let seconds = last.seconds - before.seconds;
    let megabytes = workload.megabytes() * last.copied as f64 / workload.records as f64;
    let brokers_cpu = last.brokers_cpu_seconds - before.brokers_cpu_seconds;
    let cpu = last.usage.cpu_seconds - before.usage.cpu_seconds;
    let row =
        Row::new(peer.name(), workload.name, last.copied >= workload.records).with("records", last.copied as f64, 0);
    let Some(first) = first else { return row };
    let row = match scraped {
        None => row,
        Some(scraped) => row
            .with("scrapes", scraped.pages as f64, 0)
            .with("scrape_ms", scraped.ms, 1)
            .with("page_MB", scraped.megabytes, 2),
    };
    row.with("startup_s", first, 2)
        .with("drain_s", seconds, 2)
        .with("MB_per_s", megabytes / seconds, 1)
        .with("krec_per_s", last.copied as f64 / seconds / 1e3, 1)
        .with("cpu_s_total", last.usage.cpu_seconds, 2)
        .with("cpu_s_before_first", before.usage.cpu_seconds, 2)
        .with("cpu_s_per_GB", cpu / megabytes * 1e3, 2)
        .with(BROKERS_CPU, brokers_cpu / megabytes * 1e3, 2)
        .with("peak_rss_MB", last.usage.peak_rss_mb, 0)
        .with("threads", last.usage.threads as f64, 0)
}
