//! MirrorSource between two embedded Kafkas, over TCP, run by a worker in miniature.

mod support;

use std::{sync::Arc, time::Duration};

use config_def::Props;
use connect_api::{SourceConnector, SourcePartition, SourceValue};
use connect_mirror::{MirrorEnvironment, records::OffsetSync, source::MirrorSourceConnector};
use kafka_client::{Client, ClientConfig, producer::Producer};
use kafka_embedded::{Cluster, StoredRecord};
use kafka_wire::{BatchBuilder, Compression, OutgoingBatch, TopicPartition};

use support::{Offsets, TestWorker, dialer, eventually, producer_config, props};

/// Two clusters and the flow from A to B between them.
struct Pair {
    source: Cluster,
    target: Cluster,
    environment: MirrorEnvironment,
}

impl Pair {
    async fn start() -> Self {
        let _subscriber = tracing_subscriber::fmt()
            .with_test_writer()
            .with_env_filter("connect_mirror=debug,kafka_client=debug")
            .try_init();
        let source = Cluster::builder().start().await.unwrap();
        let target = Cluster::builder().auto_create_topics(false).start().await.unwrap();
        Self {
            source,
            target,
            environment: MirrorEnvironment::new(dialer()),
        }
    }

    fn props(&self, more: &[(&str, &str)]) -> Props {
        let mut all = props(&[
            ("name", "MirrorSourceConnector"),
            (
                "connector.class",
                "org.apache.kafka.connect.mirror.MirrorSourceConnector",
            ),
            ("source.cluster.alias", "A"),
            ("target.cluster.alias", "B"),
            ("source.cluster.bootstrap.servers", &self.source.bootstrap_servers()),
            ("target.cluster.bootstrap.servers", &self.target.bootstrap_servers()),
            ("replication.factor", "1"),
            ("offset-syncs.topic.replication.factor", "1"),
            ("refresh.topics.interval.seconds", "1"),
            ("sync.topic.configs.interval.seconds", "1"),
            ("offset.lag.max", "0"),
            ("source.consumer.metadata.max.age.ms", "500"),
        ]);
        all.extend(props(more));
        all
    }

    fn mirror(&self, more: &[(&str, &str)], offsets: Offsets) -> TestWorker {
        let connector = Box::new(MirrorSourceConnector::new(self.environment.clone()));
        TestWorker::start(connector, self.props(more), client(&self.target), offsets)
    }

    /// Waits until `topic` on the target has as many records as on the source, and compares them.
    async fn mirrored(&self, topic: &str) {
        let remote = format!("A.{topic}");
        for partition in 0..self.source.partition_count(topic) {
            let expected = contents(&self.source, topic, partition);
            let what = format!("{} records in {remote}-{partition}", expected.len());
            let found = eventually(&what, || async {
                let found = contents(&self.target, &remote, partition);
                (found.len() >= expected.len()).then_some(found)
            })
            .await;
            assert_eq!(found, expected, "{remote}-{partition}");
        }
    }

    /// The syncs of a partition, as they stand in their topic.
    fn syncs(&self, topic: &str, partition: i32) -> Vec<(i64, i64)> {
        let stored = self
            .source
            .records("mm2-offset-syncs.B.internal", 0)
            .unwrap_or_default();
        let decode =
            |record: &StoredRecord| OffsetSync::decode(record.key.as_deref(), record.value.as_deref()).unwrap();
        let of = TopicPartition::new(topic, partition);
        let syncs = stored.iter().map(decode).filter(|sync| sync.topic_partition == of);
        syncs
            .map(|sync| (sync.upstream_offset, sync.downstream_offset))
            .collect()
    }
}

type Contents = Vec<(i64, Option<Vec<u8>>, Option<Vec<u8>>, Vec<(Vec<u8>, Option<Vec<u8>>)>)>;

/// Timestamps, keys, values and headers; offsets are the cluster's own.
fn contents(cluster: &Cluster, topic: &str, partition: i32) -> Contents {
    let bytes = |bytes: &Option<bytes::Bytes>| bytes.as_ref().map(|bytes| bytes.to_vec());
    let records = cluster.records(topic, partition).unwrap_or_default();
    let of = |record: StoredRecord| {
        let headers = record
            .headers
            .iter()
            .map(|(key, value)| (key.to_vec(), bytes(value)))
            .collect();
        (record.timestamp, bytes(&record.key), bytes(&record.value), headers)
    };
    records.into_iter().map(of).collect()
}

fn client(cluster: &Cluster) -> Client {
    let config = ClientConfig::parse(&props(&[("bootstrap.servers", &cluster.bootstrap_servers())])).unwrap();
    Client::new(config, dialer())
}

type Header<'a> = (&'a [u8], Option<&'a [u8]>);

fn batch(compression: Compression, records: &[(i64, Option<&str>, Option<&str>)]) -> OutgoingBatch {
    let mut batch = BatchBuilder::new(compression);
    let headers: [Header<'_>; 3] = [(b"h", Some(b"1")), (b"h", Some(b"2")), (b"\xff", None)];
    for (timestamp, key, value) in records {
        batch.push(*timestamp, key.map(str::as_bytes), value.map(str::as_bytes), headers);
    }
    batch.build()
}

/// Writes a batch as it is.
async fn produce(cluster: &Cluster, topic: &str, partition: i32, batch: OutgoingBatch) {
    let client = client(cluster);
    let mut producer = Producer::new(client.clone(), producer_config(client.config()));
    producer.send(0, TopicPartition::new(topic, partition), batch);
    for outcome in producer.outcomes().await {
        outcome.result.unwrap();
    }
}

/// `count` records with keys k0, k1, … and values from `first` on.
async fn produce_numbers(cluster: &Cluster, topic: &str, partition: i32, first: i64, count: i64) {
    let texts: Vec<_> = (first..first + count)
        .map(|n| (n, format!("k{n}"), format!("v{n}")))
        .collect();
    let records: Vec<_> = texts
        .iter()
        .map(|(n, key, value)| (1_700_000_000_000 + n, Some(&**key), Some(&**value)))
        .collect();
    produce(cluster, topic, partition, batch(Compression::Lz4, &records)).await;
}

fn key(topic: &str, partition: i64) -> SourcePartition {
    SourcePartition(vec![
        ("cluster", SourceValue::String("A".into())),
        ("partition", SourceValue::Int(partition)),
        ("topic", SourceValue::String(topic.into())),
    ])
}

#[tokio::test]
async fn records_arrive_as_they_left_and_a_restart_repeats_nothing() {
    let pair = Pair::start().await;
    pair.source
        .create_topic("orders", 3, &[("retention.ms", "123456789")])
        .unwrap();
    pair.source.create_topic("mm2-secret.internal", 1, &[]).unwrap();
    pair.source.create_topic("B.orders", 1, &[]).unwrap();
    for partition in 0..3 {
        produce_numbers(&pair.source, "orders", partition, 0, 10).await;
    }
    let odd = [(5, None, None), (6, Some(""), Some("")), (7, Some("k"), None)];
    produce(&pair.source, "orders", 0, batch(Compression::None, &odd)).await;

    let worker = pair.mirror(&[("tasks.max", "2")], Offsets::default());
    pair.mirrored("orders").await;
    assert_eq!(
        pair.target.topic_config("A.orders", "retention.ms").as_deref(),
        Some("123456789")
    );
    assert_eq!(
        pair.target.topic_names(),
        ["A.orders"],
        "internal topics and cycles stay where they are"
    );
    assert_eq!(
        pair.target.batches("A.orders", 1).unwrap()[0].compression().unwrap(),
        Compression::Lz4
    );
    let syncs = eventually("offset syncs", || async {
        pair.syncs("orders", 0).last().copied().filter(|s| s.0 == 12)
    });
    assert_eq!(syncs.await, (12, 12));

    produce_numbers(&pair.source, "orders", 2, 10, 5).await;
    pair.mirrored("orders").await;
    let offsets = worker.stop().await;
    assert_eq!(offsets.0.lock().unwrap()[&key("orders", 0)], 12);
    assert_eq!(offsets.0.lock().unwrap()[&key("orders", 2)], 14);

    produce_numbers(&pair.source, "orders", 1, 10, 5).await;
    let worker = pair.mirror(&[("tasks.max", "2")], offsets);
    pair.mirrored("orders").await;
    worker.stop().await;
}

#[tokio::test]
async fn new_topics_and_partitions_are_found_and_settings_follow() {
    let pair = Pair::start().await;
    pair.source.create_topic("a", 1, &[]).unwrap();
    let worker = pair.mirror(&[("topics", "a, b.*")], Offsets::default());
    eventually("A.a", || async {
        (pair.target.partition_count("A.a") == 1).then_some(())
    })
    .await;

    pair.source
        .create_topic("b1", 2, &[("cleanup.policy", "compact")])
        .unwrap();
    pair.source.create_topic("c", 1, &[]).unwrap();
    produce_numbers(&pair.source, "b1", 1, 0, 3).await;
    pair.mirrored("b1").await;
    assert_eq!(
        pair.target.topic_config("A.b1", "cleanup.policy").as_deref(),
        Some("compact")
    );
    assert_eq!(pair.target.partition_count("A.c"), 0);

    let admin = kafka_client::Admin::new(client(&pair.source));
    let three = kafka_client::admin::NewPartitions::increase_to(3);
    for result in admin
        .create_partitions(vec![("a".into(), three)])
        .await
        .unwrap()
        .into_values()
    {
        result.unwrap();
    }
    produce_numbers(&pair.source, "a", 2, 0, 4).await;
    pair.mirrored("a").await;

    let retention = kafka_client::admin::AlterConfigOp {
        name: "retention.ms".to_owned(),
        value: Some("777".to_owned()),
        op: kafka_client::admin::OpType::Set,
    };
    let change = (kafka_client::admin::ConfigResource::topic("a"), vec![retention]);
    for result in admin
        .incremental_alter_configs(vec![change], false)
        .await
        .unwrap()
        .into_values()
    {
        result.unwrap();
    }
    eventually("the new retention", || async {
        pair.target
            .topic_config("A.a", "retention.ms")
            .filter(|value| value == "777")
    })
    .await;
    worker.stop().await;
}

#[tokio::test]
async fn a_partition_that_the_target_refuses_is_held_back_alone() {
    let pair = Pair::start().await;
    pair.source.create_topic("big", 1, &[]).unwrap();
    pair.source.create_topic("small", 1, &[]).unwrap();
    pair.target
        .create_topic("A.big", 1, &[("max.message.bytes", "2000")])
        .unwrap();
    let large = "x".repeat(5000);
    let fits = "y".repeat(900);
    // One batch that must be cut, with one record in its midst that fits nowhere.
    let records = [
        (1, None, Some(&*fits)),
        (2, None, Some(&*fits)),
        (3, None, Some(&*large)),
        (4, None, Some(&*fits)),
    ];
    produce(&pair.source, "big", 0, batch(Compression::None, &records)).await;
    produce_numbers(&pair.source, "small", 0, 0, 10).await;

    let worker = pair.mirror(&[("sync.topic.configs.enabled", "false")], Offsets::default());
    pair.mirrored("small").await;
    let held = eventually("the held partition", || async {
        let snapshot = pair.environment.metrics.snapshot(0);
        let (_, big) = snapshot.into_iter().find(|(key, _)| &*key.remote.topic == "A.big")?;
        big.held_back.filter(|_| big.record_count == 2)
    })
    .await;
    assert!(held.contains("MESSAGE_TOO_LARGE"), "{held}");
    assert_eq!(
        contents(&pair.target, "A.big", 0).len(),
        2,
        "what comes before the large record is there"
    );

    let admin = kafka_client::Admin::new(client(&pair.target));
    let limit = kafka_client::admin::AlterConfigOp {
        name: "max.message.bytes".to_owned(),
        value: Some("1000000".to_owned()),
        op: kafka_client::admin::OpType::Set,
    };
    let change = (kafka_client::admin::ConfigResource::topic("A.big"), vec![limit]);
    for result in admin
        .incremental_alter_configs(vec![change], false)
        .await
        .unwrap()
        .into_values()
    {
        result.unwrap();
    }
    pair.mirrored("big").await;
    worker.stop().await;
}

#[tokio::test]
async fn a_compacted_topic_keeps_its_records_and_its_syncs_tell_the_holes() {
    let pair = Pair::start().await;
    pair.source
        .create_topic("table", 1, &[("cleanup.policy", "compact")])
        .unwrap();
    let rows = [
        (1, Some("a"), Some("1")),
        (2, Some("b"), Some("1")),
        (3, Some("a"), Some("2")),
        (4, Some("c"), Some("1")),
    ];
    produce(&pair.source, "table", 0, batch(Compression::Zstd, &rows)).await;
    produce(
        &pair.source,
        "table",
        0,
        batch(Compression::None, &[(5, Some("b"), Some("2"))]),
    )
    .await;
    pair.source.compact("table", 0).unwrap();
    let left: Vec<_> = pair
        .source
        .records("table", 0)
        .unwrap()
        .iter()
        .map(|record| record.offset)
        .collect();
    assert_eq!(left, [2, 3, 4], "offsets 0 and 1 are gone");
    produce(
        &pair.source,
        "table",
        0,
        batch(Compression::None, &[(6, Some("d"), Some("1"))]),
    )
    .await;

    let worker = pair.mirror(&[("offset.lag.max", "100")], Offsets::default());
    pair.mirrored("table").await;
    let syncs = eventually("a sync", || async { pair.syncs("table", 0).first().copied() }).await;
    assert_eq!(syncs, (2, 0));
    let offsets = worker.stop().await;
    assert_eq!(offsets.0.lock().unwrap()[&key("table", 0)], 5);
}

#[tokio::test]
async fn what_retention_took_is_counted_and_the_rest_goes_on() {
    let pair = Pair::start().await;
    pair.source.create_topic("t", 1, &[]).unwrap();
    produce_numbers(&pair.source, "t", 0, 0, 10).await;
    let offsets = Offsets::default();
    offsets.0.lock().unwrap().insert(key("t", 0), 3);
    produce_numbers(&pair.source, "t", 0, 10, 10).await;
    pair.source.delete_records("t", 0, 10).unwrap();

    let worker = pair.mirror(&[], offsets);
    pair.mirrored("t").await;
    let lost = pair.environment.metrics.snapshot(0)[0].1.records_lost;
    assert_eq!(lost, 6, "4 to 9 were never copied");
    worker.stop().await;
}

#[tokio::test]
async fn a_source_that_is_away_at_the_start_is_waited_for() {
    let pair = Pair::start().await;
    pair.source.create_topic("t", 1, &[]).unwrap();
    produce_numbers(&pair.source, "t", 0, 0, 10).await;
    pair.source.stop_node(1).await.unwrap();
    let worker = pair.mirror(&[], Offsets::default());
    tokio::time::sleep(Duration::from_millis(300)).await;
    pair.source.start_node(1).await.unwrap();
    pair.mirrored("t").await;

    // And again while it runs, then the target.
    pair.source.stop_node(1).await.unwrap();
    pair.source.start_node(1).await.unwrap();
    produce_numbers(&pair.source, "t", 0, 10, 10).await;
    pair.mirrored("t").await;
    pair.target.stop_node(1).await.unwrap();
    produce_numbers(&pair.source, "t", 0, 20, 10).await;
    pair.target.start_node(1).await.unwrap();
    pair.mirrored("t").await;
    worker.stop().await;
}

#[tokio::test]
async fn a_task_whose_source_is_away_waits_for_it() {
    let pair = Pair::start().await;
    for (cluster, topic) in [(&pair.source, "t"), (&pair.target, "A.t")] {
        cluster.create_topic(topic, 2, &[]).unwrap();
    }
    produce_numbers(&pair.source, "t", 0, 0, 10).await;
    produce_numbers(&pair.source, "t", 1, 0, 10).await;
    pair.source.stop_node(1).await.unwrap();
    let connector = MirrorSourceConnector::new(pair.environment.clone());
    let task_props = pair.props(&[("task.assigned.partitions", "t-0,t-1"), ("task.index", "0")]);
    let worker = TestWorker::start_task(
        connector.new_task(),
        task_props,
        client(&pair.target),
        Offsets::default(),
    );
    tokio::time::sleep(Duration::from_millis(1500)).await;
    pair.source.start_node(1).await.unwrap();
    pair.mirrored("t").await;
    worker.stop().await;
}

#[tokio::test]
async fn a_topic_deleted_while_mirroring_leaves_the_others_alone() {
    let pair = Pair::start().await;
    pair.source.create_topic("gone", 1, &[]).unwrap();
    pair.source.create_topic("stays", 1, &[]).unwrap();
    produce_numbers(&pair.source, "gone", 0, 0, 5).await;
    let worker = pair.mirror(&[], Offsets::default());
    pair.mirrored("gone").await;
    pair.source.delete_topic("gone").unwrap();
    produce_numbers(&pair.source, "stays", 0, 0, 5).await;
    pair.mirrored("stays").await;
    eventually("the assignment without the topic", || async {
        let mirrored = pair.environment.metrics.snapshot(0);
        mirrored
            .iter()
            .all(|(key, _)| &*key.remote.topic != "A.gone")
            .then_some(())
    })
    .await;
    worker.stop().await;
}

#[tokio::test]
async fn a_codec_that_was_asked_for_is_used() {
    let pair = Pair::start().await;
    pair.source.create_topic("t", 1, &[]).unwrap();
    produce_numbers(&pair.source, "t", 0, 0, 50).await;
    let worker = pair.mirror(&[("producer.override.compression.type", "zstd")], Offsets::default());
    pair.mirrored("t").await;
    assert_eq!(
        pair.target.batches("A.t", 0).unwrap()[0].compression().unwrap(),
        Compression::Zstd
    );
    worker.stop().await;
}

#[tokio::test]
async fn many_batches_of_many_partitions_arrive_once_and_in_order() {
    let pair = Pair::start().await;
    pair.source.create_topic("t", 8, &[]).unwrap();
    let pair = Arc::new(pair);
    for round in 0..40 {
        for partition in 0..8 {
            produce_numbers(&pair.source, "t", partition, round * 25, 25).await;
        }
    }
    let worker = pair.mirror(&[("tasks.max", "3")], Offsets::default());
    pair.mirrored("t").await;
    worker.stop().await;
}
