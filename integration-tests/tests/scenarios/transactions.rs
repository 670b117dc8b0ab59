//! Transactions at the source that nobody ends for a while.

use integration_tests::{
    Heliograph, Isolation, Pair, TestClient, TestRecord, Topic, TransactionalProducer, compare, wait_until,
};
use kafka_wire::Compression;

use crate::{SOON, flow, stored_offset};

integration_tests::scenarios!(an_open_transaction_holds_back_who_reads_committed_and_nobody_else);

const TOPIC: &str = "hanging";

fn an_open_transaction_holds_back_who_reads_committed_and_nobody_else(kafka: &mut Pair) {
    let (mut source, mut target) = (kafka.source.client(), kafka.target.client());
    source.create_topic(Topic::new(TOPIC, 2));
    let eager = flow(kafka, "eager", TOPIC);
    let patient = flow(kafka, "patient", TOPIC).set("patient.consumer.isolation.level", "read_committed");
    let (eager_copy, patient_copy) = (eager.mirrored(TOPIC), patient.mirrored(TOPIC));
    let mut hanging = TransactionalProducer::new(&mut source, "hanging");
    let mut other = TransactionalProducer::new(&mut source, "hanging-other");

    other.send(&mut source, TOPIC, 0, &numbered(0));
    other.commit(&mut source);
    // From here on the last stable offset of partition 0 stands still.
    hanging.send(&mut source, TOPIC, 0, &numbered(10));
    source.produce(TOPIC, 0, Compression::Lz4, &numbered(20));
    other.send(&mut source, TOPIC, 0, &numbered(30));
    other.commit(&mut source);
    source.produce(TOPIC, 1, Compression::None, &numbered(40));

    // Kafka's default reads everything.
    let mut eager_mirror = Heliograph::mirror_maker("eager", &eager);
    let mut patient_mirror = Heliograph::mirror_maker("patient", &patient);
    wait_for(&mut source, &mut target, &eager_copy, 0, Isolation::ReadUncommitted, 20);
    wait_for(&mut source, &mut target, &patient_copy, 0, Isolation::ReadCommitted, 5);
    wait_for(&mut source, &mut target, &patient_copy, 1, Isolation::ReadCommitted, 5);
    // What is stored is what was written, not how far the log goes. Offset 5 is the marker.
    wait_until("the source offsets to be stored", SOON, || {
        let offsets = patient.offsets_topic();
        let stored = [0, 1].map(|partition| stored_offset(&mut target, &offsets, "patient", TOPIC, partition));
        assert!(stored[0].is_none_or(|offset| offset <= 5), "{stored:?}");
        (stored == [Some(4), Some(4)]).then_some(())
    });
    patient_mirror.stop();

    // A restart in between waits as before, and partition 1 flows.
    patient_mirror = Heliograph::mirror_maker("patient", &patient);
    source.produce(TOPIC, 1, Compression::None, &numbered(50));
    wait_for(&mut source, &mut target, &patient_copy, 1, Isolation::ReadCommitted, 10);
    assert_eq!(target.records(&patient_copy, 0).len(), 5);

    hanging.abort(&mut source);
    wait_for(&mut source, &mut target, &patient_copy, 0, Isolation::ReadCommitted, 15);

    // The next one hangs and is committed: then it counts, in its place.
    hanging.send(&mut source, TOPIC, 0, &numbered(60));
    source.produce(TOPIC, 0, Compression::Zstd, &numbered(70));
    wait_for(&mut source, &mut target, &eager_copy, 0, Isolation::ReadUncommitted, 30);
    assert_eq!(target.records(&patient_copy, 0).len(), 15);
    hanging.send(&mut source, TOPIC, 0, &numbered(80));
    hanging.commit(&mut source);
    wait_for(&mut source, &mut target, &patient_copy, 0, Isolation::ReadCommitted, 30);
    wait_for(&mut source, &mut target, &eager_copy, 0, Isolation::ReadUncommitted, 35);

    let last = source.records(TOPIC, 0).last().expect("there are some").offset;
    for (properties, alias) in [(&eager, "eager"), (&patient, "patient")] {
        wait_until("the offset of the last record to be stored", SOON, || {
            let stored = stored_offset(&mut target, &properties.offsets_topic(), alias, TOPIC, 0);
            (stored == Some(last)).then_some(())
        });
    }
    for mirror in [&mut eager_mirror, &mut patient_mirror] {
        let log = mirror.process().log();
        assert!(!log.contains("gap"), "markers and aborted records are no gaps:\n{log}");
    }
    eager_mirror.stop();
    patient_mirror.stop();
}

fn numbered(from: u32) -> Vec<TestRecord> {
    (from..from + 5)
        .map(|n| TestRecord::new(format!("key-{n}"), n.to_string()))
        .collect()
}

/// Waits until the copy has `count` records: exactly those that a reader of the source sees.
fn wait_for(
    source: &mut TestClient,
    target: &mut TestClient,
    copy: &str,
    partition: i32,
    isolation: Isolation,
    count: usize,
) {
    // The end of a transaction is answered before its markers are written.
    let expected = wait_until(
        &format!("{count} records to be seen in {TOPIC}-{partition}"),
        SOON,
        || {
            let seen = source.records_from(TOPIC, partition, 0, isolation);
            (seen.len() >= count).then_some(seen)
        },
    );
    assert_eq!(expected.len(), count, "what the source shows of {TOPIC}-{partition}");
    let found = wait_until(&format!("{count} records in {copy}-{partition}"), SOON, || {
        target.partition_count(copy)?;
        let found = target.records(copy, partition);
        (found.len() >= count).then_some(found)
    });
    assert_eq!(compare(&expected, &found).first_difference, None, "{copy}-{partition}");
    assert_eq!(found.len(), count, "{copy}-{partition}");
}
