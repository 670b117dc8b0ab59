//! Mirrors with transformations, in a distributed worker.

use integration_tests::{ConnectWorker, Pair, TestClient, TestRecord, Topic, WorkerGroup, wait_until};
use kafka_wire::Compression;

use crate::SOON;

integration_tests::scenarios!(
    routed_topics_are_created_as_their_groups_say,
    a_filter_leaves_the_positions_of_groups_right,
);

const PARTITIONS: i32 = 2;
const RECORDS: usize = 300;

fn worker(kafka: &Pair, name: &str) -> ConnectWorker {
    let group = WorkerGroup::new(&kafka.target.bootstrap_servers(), name);
    let mut worker = ConnectWorker::heliograph(name, &group);
    worker.wait_until_ready();
    worker
}

/// A mirror connector from the pair's source to its target.
fn put(worker: &ConnectWorker, kafka: &Pair, class: &str, alias: &str, more: &[(&str, &str)]) {
    let (source, target) = (kafka.source.bootstrap_servers(), kafka.target.bootstrap_servers());
    let fixed = [
        ("connector.class", class),
        ("source.cluster.alias", alias),
        ("target.cluster.alias", "backup"),
        ("source.cluster.bootstrap.servers", &source),
        ("target.cluster.bootstrap.servers", &target),
        ("replication.factor", "1"),
        ("offset-syncs.topic.replication.factor", "1"),
        ("checkpoints.topic.replication.factor", "1"),
        ("refresh.topics.interval.seconds", "1"),
        ("sync.topic.acls.enabled", "false"),
    ];
    let config: Vec<_> = fixed.iter().chain(more).copied().collect();
    worker.put_connector(class, &config);
}

/// Every third record is marked.
fn produce(client: &mut TestClient, topic: &str) {
    client.create_topic(Topic::new(topic, PARTITIONS));
    for partition in 0..PARTITIONS {
        let records: Vec<_> = (0..RECORDS)
            .map(|n| {
                let record = TestRecord::new(format!("k-{n}"), format!("v-{partition}-{n}")).header("sent", Some(b"1"));
                if n % 3 == 0 {
                    record.header("marked", None)
                } else {
                    record
                }
            })
            .collect();
        for chunk in records.chunks(20) {
            client.produce(topic, partition, Compression::None, chunk);
        }
    }
}

fn routed_topics_are_created_as_their_groups_say(kafka: &mut Pair) {
    let (mut source, mut target) = (kafka.source.client(), kafka.target.client());
    let worker = worker(kafka, "routing");
    for topic in ["routing-orders", "routing-table"] {
        produce(&mut source, topic);
    }
    put(
        &worker,
        kafka,
        "MirrorSourceConnector",
        "router",
        &[
            ("topics", "routing-.*"),
            ("tasks.max", "2"),
            ("transforms", "route,origin"),
            (
                "transforms.route.type",
                "org.apache.kafka.connect.transforms.RegexRouter",
            ),
            ("transforms.route.regex", "router\\.routing-(.*)"),
            ("transforms.route.replacement", "routed-$1"),
            (
                "transforms.origin.type",
                "org.apache.kafka.connect.transforms.InsertHeader",
            ),
            ("transforms.origin.header", "origin"),
            ("header.converter", "org.apache.kafka.connect.storage.StringConverter"),
            ("transforms.origin.value.literal", "A"),
            ("topic.creation.groups", "tables"),
            ("topic.creation.default.partitions", "4"),
            ("topic.creation.default.replication.factor", "1"),
            ("topic.creation.default.retention.ms", "7654321000000"),
            ("topic.creation.tables.include", ".*-table"),
            ("topic.creation.tables.partitions", "2"),
            ("topic.creation.tables.cleanup.policy", "compact"),
        ],
    );
    for (topic, routed) in [("routing-orders", "routed-orders"), ("routing-table", "routed-table")] {
        for partition in 0..PARTITIONS {
            let what = format!("{topic}-{partition} in {routed}");
            wait_until(&what, SOON, || {
                target.partition_count(routed)?;
                (target.records(routed, partition).len() >= RECORDS).then_some(())
            });
            let originals = source.records(topic, partition).into_iter();
            let expected: Vec<TestRecord> = originals.map(|record| record.header("origin", Some(b"A"))).collect();
            let copied = target.records(routed, partition);
            assert_eq!(copied.len(), expected.len(), "{what}");
            assert!(
                copied
                    .iter()
                    .zip(&expected)
                    .all(|(copied, expected)| copied.same_as(expected)),
                "{what}"
            );
        }
    }
    let shape = |target: &mut TestClient, topic: &str| {
        let configs = target.configs(topic);
        (
            target.partition_count(topic),
            configs["cleanup.policy"].clone(),
            configs["retention.ms"].clone(),
        )
    };
    assert_eq!(
        shape(&mut target, "routed-orders"),
        (Some(4), "delete".to_owned(), "7654321000000".to_owned())
    );
    let (partitions, policy, retention) = shape(&mut target, "routed-table");
    assert_eq!((partitions, &*policy), (Some(2), "compact"));
    assert_ne!(
        retention, "7654321000000",
        "settings of the default group are not inherited"
    );
    worker.ask("DELETE", "/connectors/MirrorSourceConnector", None);
    worker.stop();
}

fn a_filter_leaves_the_positions_of_groups_right(kafka: &mut Pair) {
    let (mut source, mut target) = (kafka.source.client(), kafka.target.client());
    let (topic, copy, group) = ("filtered", "filter.filtered", "filter-readers");
    let worker = worker(kafka, "filter");
    produce(&mut source, topic);
    put(
        &worker,
        kafka,
        "MirrorSourceConnector",
        "filter",
        &[
            ("topics", topic),
            ("transforms", "drop"),
            ("transforms.drop.type", "org.apache.kafka.connect.transforms.Filter"),
            ("transforms.drop.predicate", "marked"),
            ("predicates", "marked"),
            (
                "predicates.marked.type",
                "org.apache.kafka.connect.transforms.predicates.HasHeaderKey",
            ),
            ("predicates.marked.name", "marked"),
        ],
    );
    let kept = RECORDS - RECORDS / 3;
    for partition in 0..PARTITIONS {
        wait_until("what is not filtered", SOON, || {
            target.partition_count(copy)?;
            (target.records(copy, partition).len() >= kept).then_some(())
        });
        let copied = target.records(copy, partition);
        assert_eq!(copied.len(), kept);
        let is_marked = |record: &TestRecord| record.headers.iter().any(|(key, _)| key == b"marked");
        assert!(!copied.iter().any(is_marked));
    }
    // One group is in the middle, the other has read everything.
    let positions = [(0, 200), (1, RECORDS as i64)];
    let committed = positions.map(|(partition, offset)| (topic, partition, offset));
    source.commit_offsets(group, &committed);
    put(
        &worker,
        kafka,
        "MirrorCheckpointConnector",
        "filter",
        &[
            ("groups", group),
            ("emit.checkpoints.interval.seconds", "1"),
            ("sync.group.offsets.enabled", "true"),
            ("sync.group.offsets.interval.seconds", "1"),
            ("refresh.groups.interval.seconds", "1"),
        ],
    );
    for (partition, read) in positions {
        let copied = target.records(copy, partition);
        let number = |record: &TestRecord| -> i64 {
            let value = String::from_utf8(record.value.clone().expect("a value")).expect("text");
            value.rsplit('-').next().and_then(|n| n.parse().ok()).expect("a number")
        };
        // Nothing that is still to be read is passed over, and little is read again once all offset syncs are known.
        let again = copied.iter().take_while(|record| number(record) < read).count();
        wait_until("a position that is close", SOON, || {
            let next = target.committed_offset(group, copy, partition)? as usize;
            assert!(next <= again, "{partition}: {next} is behind what was read, {again}");
            (again - next <= 40).then_some(())
        });
    }
    for class in ["MirrorCheckpointConnector", "MirrorSourceConnector"] {
        worker.ask("DELETE", &format!("/connectors/{class}"), None);
    }
    worker.stop();
}
