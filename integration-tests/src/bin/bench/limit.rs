use std::{path::PathBuf, time::Duration};

use integration_tests::{
    Isolation, MirrorProperties, Process, Stopwatch, TestClient, TestRecord, Topic, heliograph_binary, pause, report,
    target_dir,
};
use kafka_wire::Compression;

use crate::{
    cluster::{Clusters, TARGET},
    options::Options,
    table::{Metric, Row},
};

/// What surrounds a record of this size is two in a thousand of it.
const RECORD_BYTES: usize = 10_000;
const RECORDS_PER_BATCH: usize = 10;
const PARTITIONS: i32 = 2;
const FREE_BYTES: usize = 400_000_000;
const HELD: &str = "bench-held";
const FREE: &str = "bench-free";
const BETWEEN_LOOKS: Duration = Duration::from_millis(25);
/// More than flows within the time that is looked at.
const SPARE_SECONDS: u64 = 15;

pub(crate) const METRICS: &[Metric] = &[
    Metric::more("of_its_rate", "of its rate"),
    Metric::more("free_alone_MB_per_s", "another flow alone, MB/s"),
    Metric::more("free_beside_MB_per_s", "another flow beside it, MB/s"),
];

/// Holds one flow to a rate for a while, and has another one drain a backlog: alone before, and beside it.
pub(crate) fn run(clusters: &mut Clusters, options: &Options) -> Row {
    let rate = options.megabytes as usize * 1_000_000;
    report(&format!("loading {HELD} and {FREE}"));
    fill(
        &mut clusters.source,
        HELD,
        rate * (options.seconds + SPARE_SECONDS) as usize,
    );
    fill(&mut clusters.source, FREE, FREE_BYTES);
    let alone = drain_free(clusters, options, "alone");

    let held = start(clusters, "held", HELD, Some(rate));
    while copied(&mut clusters.target, "held", HELD) == 0 {
        pause(BETWEEN_LOOKS);
    }
    let (clock, before) = (Stopwatch::start(), copied(&mut clusters.target, "held", HELD));
    let beside = drain_free(clusters, options, "beside");
    pause(Duration::from_secs(options.seconds).saturating_sub(clock.elapsed()));
    let bytes = copied(&mut clusters.target, "held", HELD) - before;
    let seconds = clock.elapsed().as_secs_f64();
    stop(held);
    for topic in [HELD, FREE] {
        clusters.delete_source(topic);
    }
    clusters.wipe();
    let complete = alone.is_some() && beside.is_some();
    let row = Row::new("heliograph", "limit", complete)
        .with("limit_MB_per_s", options.megabytes as f64, 0)
        .with("seconds", seconds, 1)
        .with("of_its_rate", bytes as f64 / seconds / rate as f64, 4);
    match (alone, beside) {
        (Some(alone), Some(beside)) => {
            row.with("free_alone_MB_per_s", alone, 1)
                .with("free_beside_MB_per_s", beside, 1)
        }
        _ => row,
    }
}

/// How fast the other flow is, in MB/s from its first copy that was seen.
fn drain_free(clusters: &mut Clusters, options: &Options, alias: &str) -> Option<f64> {
    let mut process = start(clusters, alias, FREE, None);
    let clock = Stopwatch::start();
    let mut first = None;
    let speed = loop {
        pause(BETWEEN_LOOKS);
        let (bytes, now) = (copied(&mut clusters.target, alias, FREE), clock.elapsed().as_secs_f64());
        if bytes > 0 {
            let (from, since) = *first.get_or_insert((bytes, now));
            if bytes >= FREE_BYTES {
                break Some((bytes - from) as f64 / 1e6 / (now - since).max(1e-3));
            }
        }
        if clock.elapsed() > options.limit || !process.is_running() {
            break None;
        }
    };
    stop(process);
    speed
}

fn start(clusters: &Clusters, alias: &str, topic: &str, limit: Option<usize>) -> Process {
    let (source, target) = (clusters.source.bootstrap_servers(), clusters.target.bootstrap_servers());
    let mut properties = MirrorProperties::new((alias, &source), (TARGET, &target), topic);
    if let Some(limit) = limit {
        properties = properties.flow("heliograph.max.bytes.per.second", &limit.to_string());
    }
    let file: PathBuf = target_dir()
        .join("scenario-logs")
        .join(format!("bench-limit-{alias}.properties"));
    properties.write(&file);
    let mut command = std::process::Command::new(heliograph_binary());
    command.arg("mirror-maker").arg(&file);
    Process::spawn(&format!("bench-limit-{alias}"), &mut command, None)
}

fn stop(mut process: Process) {
    process.signal("TERM");
    let clock = Stopwatch::start();
    while process.is_running() && clock.elapsed() < Duration::from_secs(30) {
        pause(BETWEEN_LOOKS);
    }
}

fn fill(client: &mut TestClient, topic: &str, bytes: usize) {
    client.create_topic(Topic::new(topic, PARTITIONS));
    let records = vec![TestRecord::new("k", vec![b'x'; RECORD_BYTES]); RECORDS_PER_BATCH];
    for batch in 0..bytes.div_ceil(RECORD_BYTES * RECORDS_PER_BATCH) {
        client.produce(topic, batch as i32 % PARTITIONS, Compression::None, &records);
    }
}

/// Bytes of a copy, about.
fn copied(client: &mut TestClient, alias: &str, topic: &str) -> usize {
    let copy = format!("{alias}.{topic}");
    let count = client.partition_count(&copy).unwrap_or(0);
    let ends = (0..count).map(|partition| client.log_end(&copy, partition, Isolation::ReadUncommitted));
    ends.sum::<i64>() as usize * RECORD_BYTES
}
