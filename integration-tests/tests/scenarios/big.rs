//! Many of everything.

use std::time::Duration;

use integration_tests::{Heliograph, Pair, TestRecord, Topic, assert_mirrored};
use kafka_wire::Compression;

use crate::{SOON, flow};

integration_tests::scenarios!(a_thousand_partitions, five_hundred_topics);

/// A broker makes a partition in milliseconds, and there are a thousand, twice.
const A_WHILE: Duration = Duration::from_secs(180);

fn a_thousand_partitions(kafka: &mut Pair) {
    let (mut source, mut target) = (kafka.source.client(), kafka.target.client());
    let properties = flow(kafka, "wide", "wide");
    source.create_topic(Topic::new("wide", 1_000));
    for partition in (0..1_000).filter(|partition| partition % 7 != 0) {
        source.produce(
            "wide",
            partition,
            Compression::None,
            &[TestRecord::new("k", partition.to_string())],
        );
    }
    let mirror = Heliograph::mirror_maker("wide", &properties);
    assert_mirrored(&mut source, &mut target, "wide", &properties.mirrored("wide"), A_WHILE);
    mirror.stop();
    source.delete_topic("wide");
    target.delete_topic(&properties.mirrored("wide"));
}

fn five_hundred_topics(kafka: &mut Pair) {
    let (mut source, mut target) = (kafka.source.client(), kafka.target.client());
    let properties = flow(kafka, "many", "many-.*");
    let names: Vec<String> = (0..500).map(|n| format!("many-{n}")).collect();
    source.create_topics(&names.iter().map(|name| Topic::new(name, 1)).collect::<Vec<_>>());
    // Every fifth stays empty.
    for (n, name) in names.iter().enumerate().filter(|(n, _)| n % 5 != 0) {
        source.produce(name, 0, Compression::None, &[TestRecord::new("k", n.to_string())]);
    }
    let mirror = Heliograph::mirror_maker("many", &properties);
    assert_mirrored(
        &mut source,
        &mut target,
        &names[0],
        &properties.mirrored(&names[0]),
        A_WHILE,
    );
    for name in &names {
        assert_mirrored(&mut source, &mut target, name, &properties.mirrored(name), SOON);
    }
    mirror.stop();
    for name in &names {
        source.delete_topic(name);
        target.delete_topic(&properties.mirrored(name));
    }
}
