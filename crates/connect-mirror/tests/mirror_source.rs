//! MirrorSource between two embedded Kafkas, over TCP, run by a worker in miniature.

mod support;

use std::{sync::Arc, time::Duration};

use connect_api::SourceConnector;
use connect_mirror::source::MirrorSourceConnector;
use kafka_embedded::{ApiKey, Control, ResponseError};
use kafka_wire::Compression;

use support::{
    Offsets, TestWorker, eventually,
    pair::{Pair, batch, client, contents, key, produce, produce_numbers},
};

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
async fn a_stream_of_batches_is_not_a_stream_of_writes_to_the_syncs_topic() {
    const BATCHES: i64 = 150;
    let pair = Pair::start().await;
    pair.source.create_topic("orders", 1, &[]).unwrap();
    let began = tokio::time::Instant::now();
    let worker = pair.mirror(&[], Offsets::default());
    produce_numbers(&pair.source, "orders", 0, 0, 1).await;
    pair.mirrored("orders").await;
    for n in 1..BATCHES {
        produce_numbers(&pair.source, "orders", 0, n, 1).await;
    }
    // Beside other work a newer sync may take the place of one that waits.
    let last = (BATCHES - 1, BATCHES - 1);
    eventually("the last sync", || async {
        (pair.syncs("orders", 0).last() == Some(&last)).then_some(())
    })
    .await;
    assert!(pair.syncs("orders", 0).is_sorted());
    let writes = pair.source.count(ApiKey::Produce) - BATCHES as u64;
    let pauses = began.elapsed().as_millis() as u64 / 50;
    // A full write does not wait.
    let allowed = pauses + 2 + BATCHES as u64 / 100;
    assert!(writes <= allowed, "{writes} writes, at most {allowed} expected");
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

/// Known pitfall 14: the copy has fewer partitions, and the target does not let it grow.
#[tokio::test]
async fn a_partition_without_a_place_on_the_target_waits_alone() {
    let pair = Pair::start().await;
    pair.source.create_topic("wide", 3, &[]).unwrap();
    pair.source.create_topic("other", 1, &[]).unwrap();
    pair.target.create_topic("A.wide", 2, &[]).unwrap();
    pair.target.control(ApiKey::CreatePartitions, |_| {
        Control::Error(ResponseError::PolicyViolation)
    });
    for partition in 0..3 {
        produce_numbers(&pair.source, "wide", partition, 0, 10).await;
    }
    produce_numbers(&pair.source, "other", 0, 0, 10).await;
    // One task has them all.
    let worker = pair.mirror(&[("tasks.max", "1")], Offsets::default());
    pair.mirrored("other").await;
    for first in [10, 20] {
        for partition in 0..3 {
            produce_numbers(&pair.source, "wide", partition, first, 10).await;
        }
    }
    for partition in 0..2 {
        let expected = contents(&pair.source, "wide", partition);
        let found = eventually("the partitions that have a place", || async {
            let found = contents(&pair.target, "A.wide", partition);
            (found.len() >= expected.len()).then_some(found)
        })
        .await;
        assert_eq!(found, expected);
    }
    assert_eq!(pair.target.partition_count("A.wide"), 2);
    // As soon as it may grow, nothing is missing.
    pair.target.clear_control(ApiKey::CreatePartitions);
    pair.mirrored("wide").await;
    worker.stop().await;
}
