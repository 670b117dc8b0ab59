use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use integration_tests::{Deadline, Stopwatch, TestClient, TestRecord, Topic, pause};
use kafka_wire::Compression;

use crate::{
    cluster::{Clusters, copy_of},
    options::Options,
    peer::Peer,
    table::{Metric, Row},
};

const TOPIC: &str = "bench-latency";
const PARTITIONS: u64 = 6;
const VALUE_BYTES: usize = 100;
/// Until all that starts has started.
const SETTLE: Duration = Duration::from_secs(5);
/// What is still on its way at the end may take this long.
const LINGER: Duration = Duration::from_secs(10);
const BETWEEN_LOOKS: Duration = Duration::from_millis(25);
const BETWEEN_SENDS: Duration = Duration::from_micros(500);

pub(crate) const METRICS: &[Metric] = &[
    Metric::less("p50_ms", "p50, ms"),
    Metric::less("p95_ms", "p95, ms"),
    Metric::less("p99_ms", "p99, ms"),
    Metric::less("max_ms", "max, ms"),
    Metric::less("cpu_pct", "CPU, %"),
    Metric::less("rss_MB", "RSS, MB"),
];

/// Records go in at a steady rate for some seconds, and a reader waits for each partition's next copy.
pub(crate) fn run(clusters: &mut Clusters, peer: &Peer, options: &Options, seconds: u64) -> Row {
    clusters.source.create_topic(Topic::new(TOPIC, PARTITIONS as i32));
    // One each, which do not count, so that all is there and in motion before the measuring begins.
    let first = [TestRecord::new("k", "first")];
    for partition in 0..PARTITIONS {
        clusters
            .source
            .produce(TOPIC, partition as i32, Compression::None, &first);
    }
    let clock = Stopwatch::start();
    let mut running = peer.start(clusters, TOPIC);
    let mut copied = 0;
    while copied < PARTITIONS && clock.elapsed() < options.limit && running.is_running() {
        pause(BETWEEN_LOOKS);
        copied = clusters.copied(TOPIC, PARTITIONS as i32);
    }
    let mut row = Row::new(peer.name(), &format!("{} records/s", options.rate), false);
    if copied == PARTITIONS {
        pause(SETTLE);
        let before = running.usage();
        let (sent, mut latencies, took) = measure(clusters, options.rate, seconds);
        let after = running.usage();
        latencies.sort_by(f64::total_cmp);
        row = Row::new(
            peer.name(),
            &format!("{} records/s", options.rate),
            latencies.len() as u64 >= sent,
        )
        .with("sent", sent as f64, 0)
        .with("seen", latencies.len() as f64, 0)
        .with("cpu_pct", 100.0 * (after.cpu_seconds - before.cpu_seconds) / took, 1)
        .with("rss_MB", after.rss_mb, 0);
        for (key, share) in [("p50_ms", 0.5), ("p95_ms", 0.95), ("p99_ms", 0.99), ("max_ms", 1.0)] {
            if let Some(latency) = percentile(&latencies, share) {
                row = row.with(key, latency * 1e3, 1);
            }
        }
    }
    running.stop();
    clusters.delete_source(TOPIC);
    clusters.wipe();
    row
}

/// How many records were sent, the seconds that each took which arrived, and how long it all lasted.
fn measure(clusters: &Clusters, rate: u64, seconds: u64) -> (u64, Vec<f64>, f64) {
    let (source, target) = (clusters.source.bootstrap_servers(), clusters.target.bootstrap_servers());
    let (clock, over) = (Stopwatch::start(), AtomicBool::new(false));
    let (sent, latencies) = thread::scope(|scope| {
        let readers: Vec<_> = (0..PARTITIONS)
            .map(|partition| {
                let (target, over) = (&target, &over);
                let expected = (rate * seconds + PARTITIONS - 1 - partition) / PARTITIONS;
                scope.spawn(move || read(target, partition as i32, clock, over, expected))
            })
            .collect();
        let sent = send(&source, clock, rate, rate * seconds);
        over.store(true, Ordering::Relaxed);
        let latencies = readers
            .into_iter()
            .flat_map(|reader| reader.join().expect("a reader does not panic"));
        (sent, latencies.collect())
    });
    (sent, latencies, clock.elapsed().as_secs_f64())
}

/// Each record carries the moment at which it was handed over.
fn send(servers: &str, clock: Stopwatch, rate: u64, all: u64) -> u64 {
    let mut client = TestClient::new(servers);
    let mut sent = 0;
    while sent < all {
        let due = (clock.elapsed().as_secs_f64() * rate as f64) as u64;
        // A producer that cannot keep up puts more into a batch.
        let due = due.min(all);
        for partition in 0..PARTITIONS.min(due - sent) {
            let count = (sent + partition..due).step_by(PARTITIONS as usize).count();
            let now = clock.elapsed().as_secs_f64();
            let record = TestRecord::new("k", format!("{now:<VALUE_BYTES$}"));
            let number = (sent + partition) % PARTITIONS;
            client.produce(TOPIC, number as i32, Compression::None, &vec![record; count]);
        }
        sent = due;
        pause(BETWEEN_SENDS);
    }
    sent
}

/// Reads the copy of a partition as it grows.
fn read(servers: &str, partition: i32, clock: Stopwatch, over: &AtomicBool, expected: u64) -> Vec<f64> {
    let mut client = TestClient::new(servers);
    let mut latencies = Vec::with_capacity(expected as usize);
    let mut next = 0;
    let mut deadline = None;
    loop {
        // Waits at the broker for something to come.
        let records = client.read_some(&copy_of(TOPIC), partition, next);
        let now = clock.elapsed().as_secs_f64();
        next = records.last().map_or(next, |record| record.offset + 1);
        let stamps = records.iter().filter_map(|record| {
            let text = std::str::from_utf8(record.value.as_deref()?).ok()?;
            text.trim_end().parse::<f64>().ok()
        });
        latencies.extend(stamps.map(|sent| now - sent));
        if over.load(Ordering::Relaxed) {
            let deadline = *deadline.get_or_insert_with(|| Deadline::after(LINGER));
            if latencies.len() as u64 >= expected && records.is_empty() || deadline.passed() {
                return latencies;
            }
        }
    }
}

/// Of sorted values.
fn percentile(sorted: &[f64], share: f64) -> Option<f64> {
    let index = (share * sorted.len() as f64) as usize;
    sorted.get(index.min(sorted.len().checked_sub(1)?)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_seen() {
        let sorted: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(percentile(&sorted, 0.5), Some(51.0));
        assert_eq!(percentile(&sorted, 1.0), Some(100.0));
        assert_eq!(percentile(&[7.0], 0.99), Some(7.0));
        assert_eq!(percentile(&[], 0.5), None);
    }
}
