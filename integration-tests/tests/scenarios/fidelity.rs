//! What arrives is what was sent, to the byte.

use std::{collections::BTreeSet, time::Duration};

use integration_tests::{
    Heliograph, Isolation, Pair, TestRecord, Topic, TransactionalProducer, assert_mirrored, compare, pause, wait_until,
};
use kafka_wire::Compression;

use crate::{SOON, flow};

integration_tests::scenarios!(
    every_shape_of_record_in_every_codec,
    a_record_of_a_megabyte,
    a_record_that_the_target_refuses_holds_back_its_partition_alone,
    transactions_under_both_isolation_levels,
    log_append_time_becomes_the_copys_create_time,
    a_compacted_topic_with_holes,
);

const CODECS: [Compression; 5] = [
    Compression::None,
    Compression::Gzip,
    Compression::Snappy,
    Compression::Lz4,
    Compression::Zstd,
];

/// Everything that a record can be and that is easily lost.
fn awkward() -> Vec<TestRecord> {
    let null_key = TestRecord {
        key: None,
        ..TestRecord::new("", "null key")
    };
    let null_value = TestRecord {
        value: None,
        ..TestRecord::new("null value", "")
    };
    vec![
        TestRecord::new("plain", "record"),
        TestRecord {
            value: None,
            ..null_key.clone()
        }
        .header("both are null", Some(b"")),
        null_key,
        null_value,
        TestRecord::new("", "empty key"),
        TestRecord::new("empty value", ""),
        TestRecord::new("repeated", "headers")
            .header("h", Some(b"1"))
            .header("h", Some(b"2"))
            .header("h", Some(b"1")),
        TestRecord::new("null", "header")
            .header("h", None)
            .header("h", Some(b""))
            .header("", None),
        TestRecord::new("binary", "headers").header(b"\xff\xfe\x00".to_vec(), Some(b"\x00\xff")),
        TestRecord::new(vec![0, 255, 128], (0..=255).collect::<Vec<u8>>()),
        TestRecord::new("time", "stands still").at(0),
        TestRecord::new("time", "goes back").at(1_600_000_000_000),
        TestRecord::new("time", "jumps").at(1_800_000_000_123),
        TestRecord::new("long", "x".repeat(20_000)),
    ]
}

fn every_shape_of_record_in_every_codec(kafka: &mut Pair) {
    let (mut source, mut target) = (kafka.source.client(), kafka.target.client());
    let properties = flow(kafka, "shapes", "shapes-.*");
    let topics = CODECS.map(|codec| format!("shapes-{codec:?}").to_lowercase());
    for (topic, codec) in topics.iter().zip(CODECS) {
        // Times far from now are not refused.
        let topic_of_any_time = Topic::new(topic, 2).config("message.timestamp.after.max.ms", "9223372036854775807");
        source.create_topic(topic_of_any_time);
        source.produce(topic, 0, codec, &awkward());
        for record in awkward() {
            source.produce(topic, 1, codec, &[record]);
        }
    }
    let mirror = Heliograph::mirror_maker("shapes", &properties);
    for (topic, codec) in topics.iter().zip(CODECS) {
        let copy = properties.mirrored(topic);
        assert_mirrored(&mut source, &mut target, topic, &copy, SOON);
        let found: BTreeSet<String> = target
            .codecs(&copy, 0)
            .into_iter()
            .map(|codec| format!("{codec:?}"))
            .collect();
        assert_eq!(
            found,
            BTreeSet::from([format!("{codec:?}")]),
            "{copy} is in the codec of its source"
        );
    }
    mirror.stop();
}

fn a_record_of_a_megabyte(kafka: &mut Pair) {
    let (mut source, mut target) = (kafka.source.client(), kafka.target.client());
    let properties = flow(kafka, "megabyte", "megabyte");
    source.create_topic(Topic::new("megabyte", 1));
    for (number, codec) in CODECS.into_iter().enumerate() {
        let noise: Vec<u8> = (0..1_000_000u32)
            .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
            .collect();
        source.produce("megabyte", 0, codec, &[TestRecord::new(format!("{number}"), noise)]);
    }
    let mirror = Heliograph::mirror_maker("megabyte", &properties);
    assert_mirrored(
        &mut source,
        &mut target,
        "megabyte",
        &properties.mirrored("megabyte"),
        SOON,
    );
    mirror.stop();
}

fn a_record_that_the_target_refuses_holds_back_its_partition_alone(kafka: &mut Pair) {
    let (mut source, mut target) = (kafka.source.client(), kafka.target.client());
    let properties = flow(kafka, "toolarge", "large, small").set("sync.topic.configs.enabled", "false");
    let copy = properties.mirrored("large");
    source.create_topics(&[
        Topic::new("large", 2).config("max.message.bytes", "3000000"),
        Topic::new("small", 1),
    ]);
    target.create_topic(Topic::new(&copy, 2).config("max.message.bytes", "100000"));
    source.produce("large", 0, Compression::None, &[TestRecord::new("1", "fits")]);
    source.produce(
        "large",
        0,
        Compression::None,
        &[TestRecord::new("2", "x".repeat(500_000))],
    );
    source.produce(
        "large",
        0,
        Compression::None,
        &[TestRecord::new("3", "fits, but must wait for its turn")],
    );
    source.produce(
        "large",
        1,
        Compression::None,
        &[TestRecord::new("4", "another partition")],
    );
    source.produce("small", 0, Compression::None, &[TestRecord::new("5", "another topic")]);

    let mut mirror = Heliograph::mirror_maker("toolarge", &properties);
    assert_mirrored(&mut source, &mut target, "small", &properties.mirrored("small"), SOON);
    wait_until("the other partition", SOON, || {
        (target.records(&copy, 1).len() == 1).then_some(())
    });
    // The name of the partition and Kafka's word for the reason, in one line.
    let line = mirror.process().wait_for_line("MESSAGE_TOO_LARGE", SOON);
    assert!(line.contains(&format!("{copy}-0")), "{line}");
    assert_eq!(
        target.records(&copy, 0).len(),
        1,
        "what comes after the large record waits for it"
    );
    source.produce("large", 1, Compression::None, &[TestRecord::new("6", "still flowing")]);
    wait_until("the other partition to go on", SOON, || {
        (target.records(&copy, 1).len() == 2).then_some(())
    });

    // Somebody mends it: the partition goes on by itself.
    target.alter_configs(&copy, &[("max.message.bytes", "3000000")]);
    assert_mirrored(&mut source, &mut target, "large", &copy, SOON);
    mirror.stop();
}

fn transactions_under_both_isolation_levels(kafka: &mut Pair) {
    let (mut source, mut target) = (kafka.source.client(), kafka.target.client());
    source.create_topic(Topic::new("transactions", 1));
    let mut first = TransactionalProducer::new(&mut source, "mirror-transactions-1");
    let mut second = TransactionalProducer::new(&mut source, "mirror-transactions-2");
    let numbered = |from: u32| {
        (from..from + 5)
            .map(|n| TestRecord::new("k", n.to_string()))
            .collect::<Vec<_>>()
    };
    for round in 0..10 {
        // Two producers whose batches lie between each other's, one of them giving up every second time.
        first.send(&mut source, "transactions", 0, &numbered(round * 20));
        second.send(&mut source, "transactions", 0, &numbered(round * 20 + 5));
        first.send(&mut source, "transactions", 0, &numbered(round * 20 + 10));
        if round % 2 == 0 {
            first.commit(&mut source)
        } else {
            first.abort(&mut source)
        }
        second.send(&mut source, "transactions", 0, &numbered(round * 20 + 15));
        if round % 3 == 0 {
            second.abort(&mut source)
        } else {
            second.commit(&mut source)
        }
    }
    for (alias, isolation, level) in [
        ("uncommitted", Isolation::ReadUncommitted, "read_uncommitted"),
        ("committed", Isolation::ReadCommitted, "read_committed"),
    ] {
        let properties = flow(kafka, alias, "transactions").set(&format!("{alias}.consumer.isolation.level"), level);
        let copy = properties.mirrored("transactions");
        let expected = source.records_from("transactions", 0, 0, isolation);
        let mirror = Heliograph::mirror_maker(alias, &properties);
        wait_until("all records", SOON, || {
            target.partition_count(&copy)?;
            (target.log_end(&copy, 0, Isolation::ReadUncommitted) >= expected.len() as i64).then_some(())
        });
        let found = target.records(&copy, 0);
        let comparison = compare(&expected, &found);
        assert_eq!(
            (comparison.first_difference, found.len()),
            (None, expected.len()),
            "{level}"
        );
        mirror.stop();
    }
}

fn log_append_time_becomes_the_copys_create_time(kafka: &mut Pair) {
    let (mut source, mut target) = (kafka.source.client(), kafka.target.client());
    let properties = flow(kafka, "appendtime", "append-time");
    source.create_topic(Topic::new("append-time", 1).config("message.timestamp.type", "LogAppendTime"));
    for codec in CODECS {
        source.produce(
            "append-time",
            0,
            codec,
            &[TestRecord::new("k", "1").at(1), TestRecord::new("k", "2").at(2)],
        );
    }
    assert!(
        source
            .records("append-time", 0)
            .iter()
            .all(|record| record.timestamp > 2),
        "the source stamps them"
    );
    let mirror = Heliograph::mirror_maker("appendtime", &properties);
    let copy = properties.mirrored("append-time");
    assert_mirrored(&mut source, &mut target, "append-time", &copy, SOON);
    assert_eq!(target.configs(&copy)["message.timestamp.type"], "CreateTime");
    mirror.stop();
}

/// Makes a topic of one partition that its cleaner has made holes in, and that it leaves alone from then on.
pub(crate) fn compact_some(kafka: &mut Pair, topic: &str) {
    let mut source = kafka.source.client();
    let settings = Topic::new(topic, 1)
        .config("cleanup.policy", "compact")
        .config("min.cleanable.dirty.ratio", "0.001")
        .config("min.compaction.lag.ms", "0")
        .config("segment.ms", "500")
        .config("delete.retention.ms", "600000");
    source.create_topic(settings);
    // A key that is written once, then keys that are written again and again, in batches that lose records inside.
    // The broker closes a segment by the timestamps of its records.
    let time = |step: u32| 1_700_000_000_000 + i64::from(step) * 1_000;
    for round in 0..40u32 {
        let lasting = TestRecord::new(format!("lasting-{round}"), format!("{round}"));
        let passing = (0..5).map(|key| TestRecord::new(format!("passing-{key}"), format!("{key} in {round}")));
        let batch = passing
            .clone()
            .take(2)
            .chain([lasting])
            .chain(passing.skip(2))
            .map(|record| record.at(time(round)));
        source.produce(topic, 0, CODECS[round as usize % 5], &batch.collect::<Vec<_>>());
    }
    let written = source.records(topic, 0).len();
    let mut step = 40;
    wait_until("the cleaner", 2 * SOON, || {
        // Only closed segments are cleaned, and only a record closes one.
        step += 1;
        let tombstone = TestRecord {
            value: None,
            ..TestRecord::new("gone", "")
        }
        .at(time(step));
        source.produce(topic, 0, Compression::None, &[tombstone]);
        kafka.source.compact(topic, 0);
        pause(Duration::from_millis(300));
        (source.records(topic, 0).len() < written / 2).then_some(())
    });
    // The last record stays whatever the cleaner does, and is the sign that all was copied.
    source.produce(
        topic,
        0,
        Compression::None,
        &[TestRecord::new("last", "").at(time(step))],
    );
    // What the cleaner still takes away while we look may be in the copy, or not.
    source.alter_configs(topic, &[("min.compaction.lag.ms", "9223372036854775807")]);
}

fn a_compacted_topic_with_holes(kafka: &mut Pair) {
    let (mut source, mut target) = (kafka.source.client(), kafka.target.client());
    let properties = flow(kafka, "compacted", "compacted");
    compact_some(kafka, "compacted");
    let before = source.records("compacted", 0);
    assert!(
        before.windows(2).any(|pair| pair[1].offset > pair[0].offset + 1),
        "there are holes"
    );
    let mirror = Heliograph::mirror_maker("compacted", &properties);
    let copy = properties.mirrored("compacted");
    wait_until("all records", SOON, || {
        target.partition_count(&copy)?;
        (target.records(&copy, 0).last()?.key == before.last()?.key).then_some(())
    });
    let (found, after) = (target.records(&copy, 0), source.records("compacted", 0));
    let comparison = compare(&after, &found);
    assert_eq!(comparison.lost, 0, "{:?}", comparison.first_difference);
    let comparison = compare(&before, &found);
    assert_eq!(
        (comparison.repeated, comparison.rewinds.len()),
        (0, 0),
        "{:?}",
        comparison.first_difference
    );
    assert_eq!(
        compare(&found, &before).lost,
        0,
        "the copy has what the source never had"
    );
    mirror.stop();
}
