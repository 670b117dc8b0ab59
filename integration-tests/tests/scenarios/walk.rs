//! The walk through a topic backup, from the first topic to a crash, in one story.

use integration_tests::{
    Deadline, Heliograph, Isolation, Pair, TestClient, TestRecord, Topic, assert_mirrored, compare,
    partitions_mirrored, wait_until,
};
use kafka_wire::{Compression, murmur2};

use crate::{SOON, flow, stored_offset};

integration_tests::scenarios!(
    the_walk,
    a_kill_repeats_no_more_than_was_not_committed,
    a_source_that_is_away_at_start_is_waited_for,
    a_deleted_topic_leaves_the_others_flowing,
);

/// Produces records as a keyed producer would: the key decides the partition.
fn produce(client: &mut TestClient, topic: &str, partitions: i32, numbers: std::ops::Range<u32>) {
    for partition in 0..partitions {
        let mine = numbers.clone().filter_map(|n| {
            let key = format!("order-{n}");
            let value = format!("{{\"orderId\": \"{key}\", \"amount\": {n}.99}}");
            (murmur2::partition_for_key(key.as_bytes(), partitions) == partition)
                .then(|| TestRecord::new(key, value).at(1_700_000_000_000 + i64::from(n)))
        });
        let mine: Vec<TestRecord> = mine.collect();
        for batch in mine.chunks(10) {
            client.produce(topic, partition, Compression::None, batch);
        }
    }
}

fn the_walk(kafka: &mut Pair) {
    let (mut source, mut target) = (kafka.source.client(), kafka.target.client());
    let properties = flow(kafka, "walk", "walked-orders, payments, later-.*");
    let copy = |topic: &str| properties.mirrored(topic);

    // Topics with records, and an empty one.
    source.create_topics(&[
        Topic::new("walked-orders", 3).config("retention.ms", "999999999999"),
        Topic::new("payments", 2),
    ]);
    source.create_topic(Topic::new("not-asked-for", 1));
    produce(&mut source, "walked-orders", 3, 0..100);

    let mut mirror = Heliograph::mirror_maker("walk", &properties);
    assert_mirrored(&mut source, &mut target, "walked-orders", &copy("walked-orders"), SOON);
    assert_mirrored(&mut source, &mut target, "payments", &copy("payments"), SOON);
    assert_eq!(target.partition_count(&copy("not-asked-for")), None);
    assert_eq!(target.configs(&copy("walked-orders"))["retention.ms"], "999999999999");
    for line in [
        "Starting connectors and tasks",
        "Replication flow started",
        "Committed offset",
    ] {
        mirror.process().wait_for_line(line, SOON);
    }

    // Records that come while it runs.
    produce(&mut source, "walked-orders", 3, 100..150);
    produce(&mut source, "payments", 2, 0..20);
    assert_mirrored(&mut source, &mut target, "walked-orders", &copy("walked-orders"), SOON);
    assert_mirrored(&mut source, &mut target, "payments", &copy("payments"), SOON);

    // A topic that comes while it runs, by its pattern.
    source.create_topic(Topic::new("later-1", 1));
    produce(&mut source, "later-1", 1, 0..20);
    assert_mirrored(&mut source, &mut target, "later-1", &copy("later-1"), SOON);

    // More partitions.
    source.create_partitions("payments", 4);
    produce(&mut source, "payments", 4, 20..60);
    assert_eq!(
        partitions_mirrored(&mut target, &copy("payments"), 4, Deadline::after(SOON)),
        Some(4)
    );
    assert_mirrored(&mut source, &mut target, "payments", &copy("payments"), SOON);

    // The source goes and comes back; then the target, with records waiting for it.
    kafka.source.stop_node(0);
    kafka.source.start_node(0);
    produce(&mut source, "walked-orders", 3, 150..200);
    assert_mirrored(&mut source, &mut target, "walked-orders", &copy("walked-orders"), SOON);
    kafka.target.stop_node(0);
    produce(&mut source, "walked-orders", 3, 200..250);
    kafka.target.start_node(0);
    assert_mirrored(&mut source, &mut target, "walked-orders", &copy("walked-orders"), SOON);

    // Once per event, whatever went and came back meanwhile; and nothing for each record.
    let log = mirror.process().log();
    for line in ["Starting connectors and tasks", "Replication flow started"] {
        assert_eq!(log.matches(line).count(), 1, "{line}");
    }
    assert_eq!(log.matches("order-").count(), 0, "no record is in the log");

    // An orderly stop and a start: nothing lost, nothing twice.
    mirror.stop();
    produce(&mut source, "walked-orders", 3, 250..300);
    let mirror = Heliograph::mirror_maker("walk", &properties);
    produce(&mut source, "payments", 4, 60..80);
    for topic in ["walked-orders", "payments", "later-1"] {
        assert_mirrored(&mut source, &mut target, topic, &copy(topic), SOON);
    }
    mirror.stop();
}

fn a_kill_repeats_no_more_than_was_not_committed(kafka: &mut Pair) {
    let (mut source, mut target) = (kafka.source.client(), kafka.target.client());
    let properties = flow(kafka, "killed", "crash");
    let copy = properties.mirrored("crash");
    source.create_topic(Topic::new("crash", 1));
    produce(&mut source, "crash", 1, 0..100);

    let mirror = Heliograph::mirror_maker("killed", &properties);
    assert_mirrored(&mut source, &mut target, "crash", &copy, SOON);
    wait_until("the offset of the last record to be committed", SOON, || {
        (stored_offset(&mut target, &properties.offsets_topic(), "killed", "crash", 0) == Some(99)).then_some(())
    });
    // It dies somewhere in the middle of these.
    produce(&mut source, "crash", 1, 100..300);
    wait_until("some of the rest", SOON, || {
        (target.log_end(&copy, 0, Isolation::ReadUncommitted) > 100).then_some(())
    });
    mirror.kill();
    let at_kill =
        stored_offset(&mut target, &properties.offsets_topic(), "killed", "crash", 0).expect("it was committed before");

    let mirror = Heliograph::mirror_maker("killed", &properties);
    produce(&mut source, "crash", 1, 300..320);
    let originals = source.records("crash", 0);
    let last = originals.last().expect("there are some").value.clone();
    let found = wait_until("the last record", SOON, || {
        let found = target.records(&copy, 0);
        (found.last().is_some_and(|record| record.value == last)).then_some(found)
    });
    let comparison = compare(&originals, &found);
    assert_eq!(comparison.lost, 0, "{:?}", comparison.first_difference);
    let earliest = comparison.rewinds.iter().map(|&(_, back_to)| back_to as i64).min();
    assert!(
        comparison.rewinds.len() <= 1 && earliest.is_none_or(|offset| offset > at_kill),
        "{} was committed, and the copy went back: {:?}",
        at_kill,
        comparison.rewinds
    );
    mirror.stop();
}

fn a_source_that_is_away_at_start_is_waited_for(kafka: &mut Pair) {
    let (mut source, mut target) = (kafka.source.client(), kafka.target.client());
    let properties = flow(kafka, "away", "away-topic");
    source.create_topic(Topic::new("away-topic", 1));
    produce(&mut source, "away-topic", 1, 0..10);
    kafka.source.stop_node(0);
    let mut mirror = Heliograph::mirror_maker("away", &properties);
    // It says so, and goes on.
    mirror.process().wait_for_line(&kafka.source.bootstrap_servers(), SOON);
    kafka.source.start_node(0);
    assert_mirrored(
        &mut source,
        &mut target,
        "away-topic",
        &properties.mirrored("away-topic"),
        SOON,
    );
    mirror.stop();
}

fn a_deleted_topic_leaves_the_others_flowing(kafka: &mut Pair) {
    let (mut source, mut target) = (kafka.source.client(), kafka.target.client());
    let properties = flow(kafka, "deletion", "doomed, steady");
    source.create_topics(&[Topic::new("doomed", 1), Topic::new("steady", 1)]);
    produce(&mut source, "doomed", 1, 0..10);
    let mut mirror = Heliograph::mirror_maker("deletion", &properties);
    assert_mirrored(&mut source, &mut target, "doomed", &properties.mirrored("doomed"), SOON);
    source.delete_topic("doomed");
    produce(&mut source, "steady", 1, 0..50);
    assert_mirrored(&mut source, &mut target, "steady", &properties.mirrored("steady"), SOON);
    assert_eq!(
        target.records(&properties.mirrored("doomed"), 0).len(),
        10,
        "the copy outlives its source"
    );
    mirror
        .process()
        .wait_for_line_with(&["no longer at the source", "doomed"], SOON);
    mirror.stop();
}
