//! The scenarios' own client and the embedded Kafka, checked against the real one: who judges must be judged first.

use integration_tests::{Isolation, Pair, TestRecord, Topic, TransactionalProducer, compare};
use kafka_wire::Compression;

integration_tests::scenarios!(
    records_come_back_as_they_were_sent,
    aborted_transactions_are_seen_by_read_uncommitted_only,
    configs_partitions_and_deleted_records_are_reported,
    a_stopped_node_comes_back_with_its_records,
);

fn records_come_back_as_they_were_sent(kafka: &mut Pair) {
    let mut client = kafka.source.client();
    client.create_topic(Topic::new("client-records", 2));
    let awkward = [
        TestRecord::new("k", "v").at(0),
        TestRecord {
            key: None,
            value: None,
            ..TestRecord::new("", "")
        }
        .at(1_700_000_000_001),
        TestRecord::new("", "")
            .header("a", Some(b"1"))
            .header("a", None)
            .header(b"\xff\xfe".to_vec(), Some(b"\0")),
    ];
    for (compression, partition) in [Compression::None, Compression::Gzip, Compression::Lz4]
        .into_iter()
        .zip([0, 0, 1])
    {
        client.produce("client-records", partition, compression, &awkward);
    }
    let first = client.records("client-records", 0);
    assert_eq!(
        first.iter().map(|record| record.offset).collect::<Vec<_>>(),
        [0, 1, 2, 3, 4, 5]
    );
    let twice: Vec<TestRecord> = awkward.iter().chain(&awkward).cloned().collect();
    assert_eq!(compare(&twice, &first).first_difference, None);
    assert_eq!(
        compare(&awkward, &client.records("client-records", 1)).first_difference,
        None
    );
}

fn aborted_transactions_are_seen_by_read_uncommitted_only(kafka: &mut Pair) {
    let mut client = kafka.source.client();
    client.create_topic(Topic::new("client-transactions", 1));
    let mut producer = TransactionalProducer::new(&mut client, "client-transactions");
    for (value, commit) in [("1", true), ("2", false), ("3", true)] {
        producer.send(&mut client, "client-transactions", 0, &[TestRecord::new("k", value)]);
        if commit {
            producer.commit(&mut client)
        } else {
            producer.abort(&mut client)
        }
    }
    let mut values = |isolation| {
        let records = client.records_from("client-transactions", 0, 0, isolation);
        records
            .into_iter()
            .map(|r| (r.offset, r.value.expect("no null")))
            .collect::<Vec<_>>()
    };
    // Offsets 1, 3 and 5 are the markers.
    let (one, two, three) = ((0, b"1".to_vec()), (2, b"2".to_vec()), (4, b"3".to_vec()));
    assert_eq!(values(Isolation::ReadCommitted), [one.clone(), three.clone()]);
    assert_eq!(values(Isolation::ReadUncommitted), [one, two, three]);
}

fn configs_partitions_and_deleted_records_are_reported(kafka: &mut Pair) {
    let mut client = kafka.source.client();
    client.create_topic(Topic::new("client-admin", 1).config("retention.ms", "777777777777"));
    client.alter_configs("client-admin", &[("cleanup.policy", "compact,delete")]);
    let configs = client.configs("client-admin");
    assert_eq!(configs.get("retention.ms").map(String::as_str), Some("777777777777"));
    assert_eq!(
        configs.get("cleanup.policy").map(String::as_str),
        Some("compact,delete")
    );

    client.create_partitions("client-admin", 3);
    assert_eq!(client.partition_count("client-admin"), Some(3));

    client.produce(
        "client-admin",
        0,
        Compression::None,
        &[TestRecord::new("k", "1"), TestRecord::new("k", "2")],
    );
    client.alter_configs("client-admin", &[("cleanup.policy", "delete")]);
    client.delete_records("client-admin", 0, 1);
    assert_eq!(client.log_start("client-admin", 0), 1);
    assert_eq!(client.records("client-admin", 0).len(), 1);

    client.delete_topic("client-admin");
    integration_tests::wait_until("the topic to be gone", super::SOON, || {
        (!client.topics().contains(&"client-admin".to_owned())).then_some(())
    });
}

fn a_stopped_node_comes_back_with_its_records(kafka: &mut Pair) {
    let mut client = kafka.source.client();
    client.create_topic(Topic::new("client-restart", 1));
    client.produce(
        "client-restart",
        0,
        Compression::None,
        &[TestRecord::new("k", "before")],
    );
    kafka.source.stop_node(0);
    assert_eq!(kafka.source.client().broker_count(), None);
    kafka.source.start_node(0);
    client.produce("client-restart", 0, Compression::None, &[TestRecord::new("k", "after")]);
    let values: Vec<_> = client
        .records("client-restart", 0)
        .into_iter()
        .filter_map(|record| record.value)
        .collect();
    assert_eq!(values, [b"before".to_vec(), b"after".to_vec()]);
}
