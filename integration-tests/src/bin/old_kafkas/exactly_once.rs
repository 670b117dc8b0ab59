//! A mirror into an old Kafka that writes exactly once, and is killed in its work.

use integration_tests::{
    Heliograph, Isolation, MirrorProperties, OldKafka, RealKafka, TestClient, Topic, compare, wait_until,
};
use kafka_wire::Compression;

use crate::{SOON, records::plain};

pub(crate) fn into_old(new: &RealKafka, old: &OldKafka, alias: &str) {
    let (mut source, mut target) = (TestClient::new(&new.bootstrap_servers()), old.client());
    let topic = format!("{alias}-once");
    let properties = MirrorProperties::new(
        (alias, &new.bootstrap_servers()),
        ("then", &old.bootstrap_servers()),
        &topic,
    )
    .set("then.exactly.once.source.support", "enabled")
    .set(&format!("{alias}.consumer.isolation.level"), "read_committed");
    let copy = properties.mirrored(&topic);
    source.create_topic(Topic::new(&topic, 2));
    let seen = |target: &mut TestClient, partition: i32| match target.partition_count(&copy) {
        Some(_) => target.records_from(&copy, partition, 0, Isolation::ReadCommitted),
        None => Vec::new(),
    };
    let mut sent = 0;
    let mut produce = |source: &mut TestClient| {
        for _ in 0..20 {
            for partition in 0..2 {
                source.produce(&topic, partition, Compression::Lz4, &plain(sent..sent + 20));
            }
            sent += 20;
        }
    };
    for _ in 0..3 {
        let mirror = Heliograph::mirror_maker(alias, &properties);
        let before = seen(&mut target, 0).len();
        produce(&mut source);
        wait_until("something to be committed", SOON, || {
            (seen(&mut target, 0).len() > before).then_some(())
        });
        produce(&mut source);
        mirror.kill();
    }
    let mirror = Heliograph::mirror_maker(alias, &properties);
    for partition in 0..2 {
        let expected = source.records(&topic, partition);
        let found = wait_until("all to be committed", SOON, || {
            let found = seen(&mut target, partition);
            (found.len() >= expected.len()).then_some(found)
        });
        assert_eq!(compare(&expected, &found).first_difference, None, "{copy}-{partition}");
        assert_eq!(found.len(), expected.len(), "{copy}-{partition}");
    }
    mirror.stop();
}
