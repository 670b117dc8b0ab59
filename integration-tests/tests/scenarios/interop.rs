//! Others read what we wrote, and take over from us, and we from them.

use std::{path::Path, process::Command};

use integration_tests::{
    Heliograph, Isolation, JavaMirrorMaker, Kafka, KafkaDist, MirrorProperties, Pair, TestClient, TestRecord, Topic,
    assert_mirrored, report, wait_until,
};
use kafka_wire::Compression;

use crate::{SOON, flow};

integration_tests::real_scenarios!(
    javas_console_consumer_reads_the_copy,
    librdkafka_reads_the_copy,
    the_copys_segments_are_valid,
    java_mirror_maker_continues_after_us,
    we_continue_after_java_mirror_maker,
);

const CODECS: [Compression; 5] = [
    Compression::None,
    Compression::Gzip,
    Compression::Snappy,
    Compression::Lz4,
    Compression::Zstd,
];

fn numbered(range: std::ops::Range<u32>) -> Vec<TestRecord> {
    range
        .map(|n| TestRecord::new(format!("key-{n}"), format!("value-{n}")).header("n", Some(b"x")))
        .collect()
}

/// Mirrors 1,000 records in all codecs, in batches from one to a hundred, and stops.
fn mirror_a_thousand(kafka: &mut Pair, topic: &str) -> String {
    let (mut source, mut target) = (kafka.source.client(), kafka.target.client());
    let properties = flow(kafka, topic, topic);
    let copy = properties.mirrored(topic);
    source.create_topic(Topic::new(topic, 1));
    for (n, size) in [(0, 1), (1, 99), (100, 100), (200, 300), (500, 500)] {
        let codec = CODECS[(n / 100) as usize % 5];
        for chunk in numbered(n..n + size).chunks(100) {
            source.produce(topic, 0, codec, chunk);
        }
    }
    let mirror = Heliograph::mirror_maker(topic, &properties);
    assert_mirrored(&mut source, &mut target, topic, &copy, SOON);
    mirror.stop();
    copy
}

fn dist(kafka: &Kafka) -> &'static KafkaDist {
    kafka.dist().expect("a real Kafka has jars")
}

fn javas_console_consumer_reads_the_copy(kafka: &mut Pair) {
    let copy = mirror_a_thousand(kafka, "for-java");
    let servers = kafka.target.bootstrap_servers();
    let mut args = vec!["--bootstrap-server", &servers, "--topic", &copy, "--from-beginning"];
    args.extend([
        "--max-messages",
        "1000",
        "--timeout-ms",
        "30000",
        "--command-property",
        "check.crcs=true",
    ]);
    args.extend([
        "--formatter-property",
        "print.key=true",
        "--formatter-property",
        "print.headers=true",
    ]);
    let out = dist(&kafka.target).run_tool("console-consumer", &args, "");
    let lines: Vec<&str> = out.lines().collect();
    let expected: Vec<String> = (0..1000).map(|n| format!("n:x\tkey-{n}\tvalue-{n}")).collect();
    assert_eq!(lines, expected);
}

fn librdkafka_reads_the_copy(kafka: &mut Pair) {
    const SCRIPT: &str = r#"
import sys
from confluent_kafka import Consumer, TopicPartition
c = Consumer({"bootstrap.servers": sys.argv[1], "group.id": "reader", "check.crcs": True, "enable.auto.commit": False})
c.assign([TopicPartition(sys.argv[2], 0, 0)])
for n in range(int(sys.argv[3])):
    m = c.poll(30)
    if m is None: sys.exit(f"record {n} did not come")
    if m.error(): sys.exit(str(m.error()))
    print(m.offset(), m.key().decode(), m.value().decode(), m.headers()[0][0], sep=" ")
"#;
    let has_it = Command::new("python3")
        .args(["-c", "import confluent_kafka"])
        .output()
        .is_ok_and(|o| o.status.success());
    if !has_it {
        report("skipped: librdkafka_reads_the_copy needs python3 with confluent_kafka");
        return;
    }
    let copy = mirror_a_thousand(kafka, "for-librdkafka");
    let output = Command::new("python3")
        .args(["-c", SCRIPT, &kafka.target.bootstrap_servers(), &copy, "1000"])
        .output()
        .expect("python3 starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let out = String::from_utf8(output.stdout).expect("it prints text");
    let expected: Vec<String> = (0..1000).map(|n| format!("{n} key-{n} value-{n} n")).collect();
    assert_eq!(out.lines().collect::<Vec<_>>(), expected);
}

fn the_copys_segments_are_valid(kafka: &mut Pair) {
    let copy = mirror_a_thousand(kafka, "for-dump-log");
    let Kafka::Real(target) = &kafka.target else {
        panic!("this scenario is for a real Kafka")
    };
    let segment = target.log_dir(0, &copy, 0).join("00000000000000000000.log");
    let args = ["--deep-iteration", "--files", path(&segment)];
    let out = dist(&kafka.target).run_tool("dump-log", &args, "");
    let batches: Vec<&str> = out.lines().filter(|line| line.starts_with("baseOffset")).collect();
    let counts = batches
        .iter()
        .filter_map(|batch| batch.split("count: ").nth(1)?.split(' ').next()?.parse::<u32>().ok());
    assert_eq!(counts.sum::<u32>(), 1000, "{out}");
    for batch in batches {
        assert!(
            batch.contains("isvalid: true") && batch.contains("isTransactional: false"),
            "{batch}"
        );
    }
}

fn java_mirror_maker_continues_after_us(kafka: &mut Pair) {
    take_over(
        kafka,
        "ours-first",
        |properties, reached| {
            let mirror = Heliograph::mirror_maker("ours-first", properties);
            reached();
            mirror.stop();
        },
        |dist, properties, reached| {
            let mirror = JavaMirrorMaker::start(dist, "java-second", properties);
            reached();
            mirror.stop();
        },
    );
}

fn we_continue_after_java_mirror_maker(kafka: &mut Pair) {
    let dist = dist(&kafka.target);
    take_over(
        kafka,
        "java-first",
        |properties, reached| {
            let mirror = JavaMirrorMaker::start(dist, "java-first", properties);
            reached();
            mirror.stop();
        },
        |_, properties, reached| {
            let mirror = Heliograph::mirror_maker("ours-second", properties);
            reached();
            mirror.stop();
        },
    );
}

/// Runs one mirror maker until it has copied everything, then the other on more records: an exact copy, nothing twice.
fn take_over(
    kafka: &mut Pair,
    topic: &str,
    first: impl FnOnce(&MirrorProperties, &mut dyn FnMut()),
    second: impl FnOnce(&'static KafkaDist, &MirrorProperties, &mut dyn FnMut()),
) {
    let (mut source, mut target) = (kafka.source.client(), kafka.target.client());
    let properties = flow(kafka, topic, topic);
    let copy = properties.mirrored(topic);
    source.create_topic(Topic::new(topic, 2));
    for (partition, records) in [(0, numbered(0..50)), (1, numbered(50..80))] {
        source.produce(topic, partition, Compression::Lz4, &records);
    }
    first(&properties, &mut || {
        assert_mirrored(&mut source, &mut target, topic, &copy, 2 * SOON)
    });
    source.produce(topic, 0, Compression::None, &numbered(80..100));
    source.produce(topic, 1, Compression::Zstd, &numbered(100..130));
    second(dist(&kafka.target), &properties, &mut || {
        wait_for_end(&mut target, &copy, &[70, 60]);
        assert_mirrored(&mut source, &mut target, topic, &copy, 2 * SOON);
    });
    // Also what came after the comparison must not be a repeat.
    wait_for_end(&mut target, &copy, &[70, 60]);
    assert_mirrored(&mut source, &mut target, topic, &copy, SOON);
}

fn wait_for_end(target: &mut TestClient, copy: &str, ends: &[i64]) {
    for (partition, &end) in ends.iter().enumerate() {
        wait_until("the rest of the records", 2 * SOON, || {
            (target.log_end(copy, partition as i32, Isolation::ReadUncommitted) >= end).then_some(())
        });
    }
}

fn path(path: &Path) -> &str {
    path.to_str().expect("the target directory has a plain name")
}
