//! Hours of trouble in minutes: three brokers on both sides, a steady stream between them, and one mishap a minute.
//!
//! `soak [--minutes N] [--mb-per-second N] [--mishap-seconds N]`. Ends with 0 if nothing was lost, nothing repeated,
//! nothing changed, and memory stayed flat. Needs Java and Maven, and about 12 GB of disk below `target/`.

use std::{
    process::ExitCode,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use integration_tests::{
    Deadline, Heliograph, Isolation, MirrorProperties, RealKafka, TestClient, TestRecord, Topic, kafka_dist, pause,
    report, wait_until,
};
use kafka_wire::Compression;

const TOPIC: &str = "soak";
const COPY: &str = "source.soak";
const PARTITIONS: i32 = 6;
const PRODUCERS: i32 = 2;
const RECORD_BYTES: usize = 1_000;
const RECORDS_PER_BATCH: u64 = 500;
/// A mirror that waits for a broker must not meet the source's retention: 400 MB a partition are two minutes at 20 MB/s.
const RETENTION_BYTES: &str = "400000000";
/// A broker that was stopped stays away for this long.
const AWAY: Duration = Duration::from_secs(15);
/// What memory may grow by between the second third and the last, beyond noise.
const GROWTH_ALLOWED_BYTES: u64 = 16 << 20;

struct Plan {
    length: Duration,
    bytes_per_second: u64,
    between_mishaps: Duration,
}

/// What the threads share.
#[derive(Default)]
struct Run {
    stop_producing: AtomicBool,
    produced: AtomicU64,
    compared: AtomicU64,
    /// Set when all was produced: until where each partition is to be compared.
    ends: Mutex<Option<Vec<i64>>>,
}

fn main() -> ExitCode {
    let plan = plan(std::env::args().skip(1));
    let Some(dist) = kafka_dist() else {
        return ExitCode::FAILURE;
    };
    let properties = [
        ("min.insync.replicas", "2"),
        ("default.replication.factor", "3"),
        // Leaders go back to their preferred brokers soon after each mishap: two moves for the price of one.
        ("leader.imbalance.check.interval.seconds", "10"),
        ("leader.imbalance.per.broker.percentage", "0"),
        ("log.segment.bytes", "50000000"),
        ("log.retention.bytes", RETENTION_BYTES),
        ("log.retention.check.interval.ms", "5000"),
    ];
    let mut source = RealKafka::start(dist, "soak-source", 3, &properties);
    let mut target = RealKafka::start(dist, "soak-target", 3, &properties);
    let servers = (source.bootstrap_servers(), target.bootstrap_servers());
    TestClient::new(&servers.0).create_topic(Topic::new(TOPIC, PARTITIONS).replicas(3));

    let mirror = MirrorProperties::new(("source", &servers.0), ("target", &servers.1), TOPIC);
    let mirror = mirror.set("offset.flush.interval.ms", "5000").replicas(3);
    let mut mirror = Heliograph::mirror_maker("soak", &mirror);

    let run = Run::default();
    let memory = thread::scope(|scope| {
        for producer in 0..PRODUCERS {
            let (run, servers, rate) = (&run, &servers, plan.bytes_per_second / PRODUCERS as u64);
            scope.spawn(move || produce(run, &servers.0, producer, rate));
        }
        for partition in 0..PARTITIONS {
            let (run, servers) = (&run, &servers);
            scope.spawn(move || follow(run, servers, partition));
        }
        let memory = trouble(&plan, &run, &mut source, &mut target, &mut mirror);
        run.stop_producing.store(true, Ordering::Relaxed);
        let mut client = TestClient::new(&servers.0);
        let ends = (0..PARTITIONS)
            .map(|p| client.log_end(TOPIC, p, Isolation::ReadUncommitted))
            .collect();
        // A producer may still have a batch on its way: it is mirrored and not compared.
        *run.ends.lock().expect("no thread panics with it") = Some(ends);
        memory
    });
    mirror.stop();
    verdict(&run, &memory)
}

/// Lets one thing after the other go wrong until the time is over; gives the mirror's memory, every second.
fn trouble(
    plan: &Plan,
    run: &Run,
    source: &mut RealKafka,
    target: &mut RealKafka,
    mirror: &mut Heliograph,
) -> Vec<u64> {
    let (end, mut memory) = (Deadline::after(plan.length), Vec::new());
    for mishap in 0.. {
        let next = Deadline::after(plan.between_mishaps);
        while !next.passed() && !end.passed() {
            assert!(
                mirror.process().is_running(),
                "the mirror ended: see {}",
                mirror.process().log_path().display()
            );
            memory.push(mirror.process().memory_bytes());
            pause(Duration::from_secs(1));
        }
        if end.passed() {
            return memory;
        }
        let (side, kafka) = if mishap % 2 == 0 {
            ("source", &mut *source)
        } else {
            ("target", &mut *target)
        };
        let node = (mishap / 2) % 3;
        let (produced, compared) = (
            run.produced.load(Ordering::Relaxed),
            run.compared.load(Ordering::Relaxed),
        );
        let rss = mirror.process().memory_bytes() >> 20;
        let state = format!("{produced} produced, {compared} compared, {rss} MiB");
        match mishap / 2 % 4 {
            0 => {
                report(&format!("{state}; rolling {side} node {node}"));
                kafka.stop_node(node);
                kafka.start_node(node);
            }
            1 => {
                report(&format!("{state}; killing {side} node {node}"));
                kafka.kill_node(node);
                pause(AWAY);
                kafka.start_node(node);
            }
            2 => {
                report(&format!("{state}; {side} node {node} hangs"));
                kafka.pause_node(node);
                pause(AWAY);
                kafka.resume_node(node);
            }
            _ => {
                report(&format!("{state}; {side} node {node} is away for long"));
                kafka.stop_node(node);
                pause(2 * AWAY);
                kafka.start_node(node);
            }
        }
    }
    unreachable!("mishaps do not run out")
}

/// Writes at a steady rate to every partition that is this producer's, half of them compressed.
fn produce(run: &Run, servers: &str, producer: i32, bytes_per_second: u64) {
    let mut client = TestClient::new(servers);
    let between = Duration::from_secs_f64((RECORDS_PER_BATCH * RECORD_BYTES as u64) as f64 / bytes_per_second as f64);
    let mine: Vec<i32> = (0..PARTITIONS)
        .filter(|partition| partition % PRODUCERS == producer)
        .collect();
    let mut number = 0;
    let filler = "0123456789abcdefghijklmnopqrstuvwxyz".repeat(RECORD_BYTES / 36);
    let mut due = Deadline::after(between);
    for &partition in mine.iter().cycle() {
        if run.stop_producing.load(Ordering::Relaxed) {
            return;
        }
        let records = (number..number + RECORDS_PER_BATCH)
            .map(|n| TestRecord::new(format!("{partition}"), format!("{n}-{filler}")).at(1_700_000_000_000 + n as i64));
        let compression = if partition % 3 == 0 {
            Compression::Lz4
        } else {
            Compression::None
        };
        client.produce(TOPIC, partition, compression, &records.collect::<Vec<_>>());
        number += RECORDS_PER_BATCH;
        run.produced.fetch_add(RECORDS_PER_BATCH, Ordering::Relaxed);
        pause(due.left());
        due = Deadline::after(between);
    }
}

/// Compares a partition and its copy while both grow. There are no control records and no holes, so each record has
/// the same offset on both sides for as long as nothing is lost or repeated.
fn follow(run: &Run, (source, target): &(String, String), partition: i32) {
    let (mut source, mut target) = (TestClient::new(source), TestClient::new(target));
    wait_until("the copy", Duration::from_secs(60), || target.partition_count(COPY));
    let mut next = 0;
    let mut stuck = Deadline::after(Duration::from_secs(180));
    loop {
        let end = run
            .ends
            .lock()
            .expect("no thread panics with it")
            .as_ref()
            .map(|ends| ends[partition as usize]);
        if end.is_some_and(|end| next >= end) {
            return;
        }
        let copies = target.read_some(COPY, partition, next);
        if copies.is_empty() {
            assert!(
                !stuck.passed(),
                "{COPY}-{partition} does not get beyond {next}: lost, or stuck"
            );
            pause(Duration::from_millis(200));
            continue;
        }
        let mut originals = source.read_some(TOPIC, partition, next);
        while originals.len() < copies.len() {
            let from = next + originals.len() as i64;
            // A new leader shows for a moment less than its predecessor did: its high watermark comes from the past.
            let what = format!("the source of {COPY}-{partition} to have {from} too; it does not: repeated");
            let more = wait_until(&what, Duration::from_secs(60), || {
                Some(source.read_some(TOPIC, partition, from)).filter(|more| !more.is_empty())
            });
            originals.extend(more);
        }
        for (original, copy) in originals.iter().zip(&copies) {
            assert!(
                original.same_as(copy),
                "partition {partition}: expected {original:?}, found {copy:?}"
            );
        }
        next += copies.len() as i64;
        run.compared.fetch_add(copies.len() as u64, Ordering::Relaxed);
        stuck = Deadline::after(Duration::from_secs(180));
    }
}

fn verdict(run: &Run, memory: &[u64]) -> ExitCode {
    let third = memory.len() / 3;
    let most = |range: &[u64]| range.iter().copied().max().unwrap_or_default();
    let (middle, last) = (most(&memory[third..2 * third]), most(&memory[2 * third..]));
    let compared = run.compared.load(Ordering::Relaxed);
    report(&format!(
        "{compared} records compared, none lost, repeated or changed; most memory in the second third {} MiB, in the last {} MiB",
        middle >> 20,
        last >> 20
    ));
    if last > middle + GROWTH_ALLOWED_BYTES {
        report("memory grows");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn plan(mut args: impl Iterator<Item = String>) -> Plan {
    let (mut minutes, mut mb_per_second, mut mishap_seconds) = (15, 20, 60);
    while let Some(name) = args.next() {
        let value = args.next().and_then(|value| value.parse::<u64>().ok());
        let value = value.unwrap_or_else(|| panic!("{name} needs a number"));
        match name.as_str() {
            "--minutes" => minutes = value,
            "--mb-per-second" => mb_per_second = value,
            "--mishap-seconds" => mishap_seconds = value,
            _ => panic!("usage: soak [--minutes N] [--mb-per-second N] [--mishap-seconds N]"),
        }
    }
    Plan {
        length: Duration::from_secs(minutes * 60),
        bytes_per_second: mb_per_second * 1_000_000,
        between_mishaps: Duration::from_secs(mishap_seconds),
    }
}
