//! A disk of the target that is full.

use std::fs;

use integration_tests::{
    Heliograph, Kafka, MirrorProperties, Pair, RealKafka, SmallDisk, TestClient, TestRecord, Topic, assert_mirrored,
    compare, report, wait_until,
};
use kafka_wire::Compression;

use crate::SOON;

integration_tests::real_scenarios!(a_full_disk_holds_back_what_lies_on_it_until_there_is_space);

const SMALL_MB: u32 = 12;
const PARTITIONS: i32 = 4;
const FLOOD: &str = "flood";

fn a_full_disk_holds_back_what_lies_on_it_until_there_is_space(kafka: &mut Pair) {
    let disk = match SmallDisk::mount("full-disk", SMALL_MB) {
        Ok(disk) => disk,
        Err(reason) => {
            report(&format!(
                "skipped: a full disk needs the right to mount a small one: {reason}"
            ));
            return;
        }
    };
    let dist = kafka.source.dist().expect("a real Kafka has jars");
    let mut target_kafka = Kafka::Real(RealKafka::start_with_log_dir(dist, "full", disk.path()));
    let (mut source, mut target) = (kafka.source.client(), target_kafka.client());
    let (source_servers, target_servers) = (kafka.source.bootstrap_servers(), target_kafka.bootstrap_servers());
    let properties = MirrorProperties::new(("filling", &source_servers), ("full", &target_servers), FLOOD);
    let copy = properties.mirrored(FLOOD);
    source.create_topic(Topic::new(FLOOD, PARTITIONS));
    for partition in 0..PARTITIONS {
        source.produce(FLOOD, partition, Compression::None, &[TestRecord::new("k", "before")]);
    }
    let mut mirror = Heliograph::mirror_maker("filling", &properties);
    assert_mirrored(&mut source, &mut target, FLOOD, &copy, SOON);
    let lies_on_it = |partition: &i32| fs::exists(disk.path().join(format!("{copy}-{partition}"))).unwrap_or(false);
    let (full, free): (Vec<i32>, Vec<i32>) = (0..PARTITIONS).partition(lies_on_it);
    let (full, free) = (full[0], free[0]);

    // More than there is room for: the broker gives up the log directory, and lives on.
    flood(&mut source, full, 0, SMALL_MB + 4);
    // Of offsets and statuses that lie there, too, the worker tells beside it.
    let says = [
        &*format!("first={copy}-"),
        "KAFKA_STORAGE_ERROR",
        "whether its disk is full",
    ];
    let told = |line: &&str| says.iter().all(|part| line.contains(part));
    let times_told = |mirror: &mut Heliograph| mirror.process().log().lines().filter(told).count();
    wait_until("the reason to be told", SOON, || {
        (times_told(&mut mirror) > 0).then_some(())
    });
    source.produce(FLOOD, free, Compression::None, &[TestRecord::new("k", "meanwhile")]);
    wait_until("the partition on the other disk to flow", SOON, || {
        (target.records(&copy, free).len() == 2).then_some(())
    });

    // Space is made, and the broker started again, as Kafka wants it: everything once, in order.
    disk.grow(2 * SMALL_MB + 8);
    target_kafka.stop_node(0);
    target_kafka.start_node(0);
    assert_mirrored(&mut source, &mut target, FLOOD, &copy, SOON);

    // Full again, and the mirror dies with it: what was stored as done was written.
    let before = times_told(&mut mirror);
    flood(&mut source, full, 100, SMALL_MB + 8);
    wait_until("the disk to be full again", SOON, || {
        (times_told(&mut mirror) > before).then_some(())
    });
    mirror.kill();
    disk.grow(8 * SMALL_MB);
    target_kafka.stop_node(0);
    target_kafka.start_node(0);
    let mirror = Heliograph::mirror_maker("filling", &properties);
    source.produce(FLOOD, full, Compression::None, &[TestRecord::new("k", "the last")]);
    let originals = source.records(FLOOD, full);
    let found = wait_until("the last record", SOON, || {
        let found = target.records(&copy, full);
        (found.last()?.value.as_deref() == Some(b"the last")).then_some(found)
    });
    let comparison = compare(&originals, &found);
    assert_eq!(comparison.lost, 0, "{:?}", comparison.first_difference);
    mirror.stop();
    drop(target_kafka);
    source.delete_topic(FLOOD);
}

/// A megabyte each.
fn flood(source: &mut TestClient, partition: i32, from: u32, count: u32) {
    for number in from..from + count {
        let record = TestRecord::new(format!("{number}"), "x".repeat(1_000_000));
        source.produce(FLOOD, partition, Compression::None, &[record]);
    }
}
