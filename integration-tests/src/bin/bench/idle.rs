use std::time::Duration;

use integration_tests::{Stopwatch, TestRecord, Topic, pause};
use kafka_wire::Compression;

use crate::{
    cluster::Clusters,
    options::Options,
    peer::Peer,
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
    clusters.source.create_topic(Topic::new(TOPIC, PARTITIONS));
    let record = [TestRecord::new("k", "v")];
    clusters.source.produce(TOPIC, 0, Compression::None, &record);

    let clock = Stopwatch::start();
    let mut running = peer.start(clusters, TOPIC);
    let mut arrived = false;
    while !arrived && clock.elapsed() < options.limit && running.is_running() {
        pause(BETWEEN_LOOKS);
        arrived = clusters.copied(TOPIC, PARTITIONS) > 0;
    }
    let mut row = Row::new(peer.name(), "idle", arrived);
    if arrived {
        let first = clock.elapsed().as_secs_f64();
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
    running.stop();
    clusters.delete_source(TOPIC);
    clusters.wipe();
    row
}
