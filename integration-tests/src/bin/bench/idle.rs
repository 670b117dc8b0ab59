use std::time::Duration;

use integration_tests::{Stopwatch, TestRecord, Topic, pause};
use kafka_wire::Compression;

use crate::{
    cluster::Clusters,
    options::Options,
    peer::{Peer, Running},
    table::{Metric, Row},
};

const TOPIC: &str = "bench-idle";
const PARTITIONS: i32 = 6;
/// Until all that starts has started.
const SETTLE: Duration = Duration::from_secs(10);
const BETWEEN_LOOKS: Duration = Duration::from_millis(25);

pub(crate) const METRICS: &[Metric] = &[
    Metric::less("first_record_s", "first record, s"),
    Metric::less("cpu_s_at_10s_after", "CPU-s until +10 s"),
    Metric::less("idle_cpu_pct", "idle CPU, %"),
    Metric::less("rss_MB", "RSS, MB"),
    Metric::less("threads", "threads"),
];

/// Mirrors one record, and then nothing.
pub(crate) fn run(clusters: &mut Clusters, peer: &Peer, options: &Options) -> Row {
    let (mut running, first) = first_record(clusters, peer, options);
    let mut row = Row::new(peer.name(), "idle", first.is_some());
    if let Some(first) = first {
        pause(SETTLE);
        let settled = running.usage();
        let idle = Stopwatch::start();
        pause(Duration::from_secs(options.seconds));
        let end = running.usage();
        let percent = 100.0 * (end.cpu_seconds - settled.cpu_seconds) / idle.elapsed().as_secs_f64();
        row = row
            .with("first_record_s", first, 2)
            .with("cpu_s_at_10s_after", settled.cpu_seconds, 2)
            .with("idle_cpu_pct", percent, 2)
            .with("rss_MB", end.rss_mb, 0)
            .with("threads", end.threads as f64, 0);
    }
    clean_up(clusters, running);
    row
}

/// Has the brokers do once what they do for every peer: who comes first must not pay for their start.
pub(crate) fn rehearse(clusters: &mut Clusters, peer: &Peer, options: &Options) {
    let (running, _) = first_record(clusters, peer, options);
    clean_up(clusters, running);
}

/// Starts it, and gives the seconds to the first record, if that came.
fn first_record(clusters: &mut Clusters, peer: &Peer, options: &Options) -> (Running, Option<f64>) {
    clusters.source.create_topic(Topic::new(TOPIC, PARTITIONS));
    let record = [TestRecord::new("k", "v")];
    clusters.source.produce(TOPIC, 0, Compression::None, &record);
    let clock = Stopwatch::start();
    let mut running = peer.start(clusters, TOPIC);
    while clock.elapsed() < options.limit && running.is_running() {
        pause(BETWEEN_LOOKS);
        if clusters.copied(TOPIC, PARTITIONS) > 0 {
            return (running, Some(clock.elapsed().as_secs_f64()));
        }
    }
    (running, None)
}

fn clean_up(clusters: &mut Clusters, running: Running) {
    running.stop();
    clusters.delete_source(TOPIC);
    clusters.wipe();
}
