//! Where groups are sent, for many groups at random places: exactly where they stood on dense topics; on topics with holes
//! never past it, and back by no more than `docs/OFFSET-TRANSLATION.md` allows.

use std::collections::{BTreeMap, HashMap};

use integration_tests::{
    Heliograph, Isolation, Pair, TestClient, TestRecord, Topic, TransactionalProducer, wait_until,
};
use kafka_wire::Compression;

use crate::{
    SOON,
    fidelity::compact_some,
    flow,
    groups::{checkpoints, with_groups},
};

integration_tests::scenarios!(
    a_thousand_groups_on_dense_topics_stand_where_they_stood,
    on_a_compacted_topic_nobody_skips_and_few_is_read_again,
    on_a_transactional_topic_nobody_skips_and_few_is_read_again,
);

/// The same numbers in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: i64) -> i64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as i64 % end
    }
}

fn a_thousand_groups_on_dense_topics_stand_where_they_stood(kafka: &mut Pair) {
    const PARTITIONS: i32 = 4;
    const RECORDS: u32 = 1500;
    let (mut source, mut target) = (kafka.source.client(), kafka.target.client());
    let properties = with_groups(flow(kafka, "dense", "dense-orders")).set("groups", "dense-group-.*");
    let copy = properties.mirrored("dense-orders");
    // Something else lies in the copies, so that offsets differ.
    source.create_topic(Topic::new("dense-orders", PARTITIONS));
    target.create_topic(Topic::new(&copy, PARTITIONS));
    let records: Vec<TestRecord> = (0..RECORDS).map(|n| TestRecord::new("k", n.to_string())).collect();
    let before = |partition: i32| i64::from(partition) * 3 + 5;
    for partition in 0..PARTITIONS {
        target.produce(
            &copy,
            partition,
            Compression::None,
            &records[..before(partition) as usize],
        );
        for chunk in records.chunks(97) {
            source.produce("dense-orders", partition, Compression::Lz4, chunk);
        }
    }
    let mut random = Random(42);
    let mut waiting: BTreeMap<String, (i32, i64)> = BTreeMap::new();
    for n in 0..1000 {
        let (partition, offset) = (
            random.below(PARTITIONS.into()) as i32,
            random.below(i64::from(RECORDS) + 1),
        );
        let group = format!("dense-group-{n}");
        source.commit_offsets(&group, &[("dense-orders", partition, offset)]);
        waiting.insert(group, (partition, offset));
    }
    let expected = waiting.clone();
    let mirror = Heliograph::mirror_maker("dense", &properties);
    wait_until("a thousand groups where they stood", SOON * 2, || {
        waiting.retain(|group, (partition, offset)| {
            let truth = *offset + before(*partition);
            let found = target.committed_offset(group, &copy, *partition);
            assert!(
                found.is_none_or(|found| found <= truth),
                "{group}: {found:?} is past {truth}"
            );
            found != Some(truth)
        });
        waiting.is_empty().then_some(())
    });
    // So say the checkpoints, for those who ask them.
    wait_until("a checkpoint of each group", SOON, || {
        let made = checkpoints(&mut target, "dense", &copy).into_iter();
        let newest: HashMap<(String, i32), (i64, i64)> = made
            .map(|(group, partition, upstream, downstream)| ((group, partition), (upstream, downstream)))
            .collect();
        let is_there = |(group, (partition, offset)): (&String, &(i32, i64))| {
            newest.get(&(group.clone(), *partition)) == Some(&(*offset, offset + before(*partition)))
        };
        expected.iter().all(is_there).then_some(())
    });
    mirror.stop();
}

fn on_a_compacted_topic_nobody_skips_and_few_is_read_again(kafka: &mut Pair) {
    let mut source = kafka.source.client();
    compact_some(kafka, "holey-state");
    let records = source.records("holey-state", 0);
    let end = source.log_end("holey-state", 0, Isolation::ReadUncommitted);
    assert!(records.len() < end as usize, "there are holes");
    expect_within_bounds(kafka, "holey-state", "read_uncommitted", (&records, end));
}

fn on_a_transactional_topic_nobody_skips_and_few_is_read_again(kafka: &mut Pair) {
    let mut source = kafka.source.client();
    source.create_topic(Topic::new("many-payments", 1));
    let mut producer = TransactionalProducer::new(&mut source, "payer-of-many");
    let mut random = Random(7);
    // More runs than are kept.
    for n in 0..250 {
        let records: Vec<TestRecord> = (0..=random.below(3))
            .map(|m| TestRecord::new("k", format!("{n}-{m}")))
            .collect();
        producer.send(&mut source, "many-payments", 0, &records);
        match random.below(5) {
            0 => producer.abort(&mut source),
            _ => producer.commit(&mut source),
        }
    }
    // A transaction's end is answered before its marker is in the log.
    let mut log_end = |isolation| source.log_end("many-payments", 0, isolation);
    wait_until("the last marker", SOON, || {
        (log_end(Isolation::ReadCommitted) == log_end(Isolation::ReadUncommitted)).then_some(())
    });
    let records = source.records_from("many-payments", 0, 0, Isolation::ReadCommitted);
    let end = source.log_end("many-payments", 0, Isolation::ReadCommitted);
    expect_within_bounds(kafka, "many-payments", "read_committed", (&records, end));
}

/// Mirrors a topic of one partition, with groups anywhere in it, and judges where they are sent.
fn expect_within_bounds(kafka: &Pair, topic: &str, isolation: &str, (records, end): (&[TestRecord], i64)) {
    let (mut source, mut target) = (kafka.source.client(), kafka.target.client());
    let alias = format!("bounds-{topic}");
    let properties = with_groups(flow(kafka, &alias, topic))
        .set("groups", &format!("{topic}-.*"))
        .set(&format!("{alias}.consumer.isolation.level"), isolation)
        // The copy is not compacted, so that it can be judged by.
        .set("config.properties.exclude", ".*");
    let copy = properties.mirrored(topic);
    let mut random = Random(1);
    let mut groups: BTreeMap<String, i64> = (0..150)
        .map(|n| (format!("{topic}-{n}"), random.below(end + 1)))
        .collect();
    groups.insert(format!("{topic}-end"), end);
    for (group, at) in &groups {
        source.commit_offsets(group, &[(topic, 0, *at)]);
    }
    let mirror = Heliograph::mirror_maker(topic, &properties);
    let last = records.last().expect("there are some");
    let copied = wait_until("the copy", SOON, || {
        target.partition_count(&copy)?;
        let copied = target.records(&copy, 0);
        copied
            .last()
            .is_some_and(|record| record.same_as(last))
            .then_some(copied)
    });
    // A cleaner may have taken a few more before they were copied: what is in the copy is the truth.
    let place = |record: &TestRecord| copied.iter().position(|copy| copy.same_as(record));
    let places: Vec<(i64, i64)> = records
        .iter()
        .filter_map(|record| Some((record.offset, place(record)? as i64)))
        .collect();
    let truth = |at: i64| {
        let next = places.iter().find(|(offset, _)| *offset >= at);
        next.map_or(copied.len() as i64, |(_, place)| *place)
    };
    wait_until("groups within the bounds", SOON * 2, || {
        groups.retain(|group, at| !is_within_bounds(&mut target, group, &copy, truth(*at), copied.len() as i64));
        groups.is_empty().then_some(())
    });
    mirror.stop();
}

fn is_within_bounds(target: &mut TestClient, group: &str, copy: &str, truth: i64, end: i64) -> bool {
    let Some(found) = target.committed_offset(group, copy, 0) else {
        return false;
    };
    assert!(found <= truth, "{group}: {found} is past {truth}");
    // No more again than there is still to read; so a group at the end has no lag.
    truth - found <= end - truth
}
