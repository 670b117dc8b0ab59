//! MirrorCheckpoint beside MirrorSource between two embedded Kafkas, each run by a worker in miniature.

mod support;

use std::{collections::BTreeMap, sync::Arc};

use config_def::Props;
use connect_api::{SourceConnector, SourcePartition, SourceValue};
use connect_mirror::{
    MirrorEnvironment,
    checkpoint::MirrorCheckpointConnector,
    mirror_client::MirrorClient,
    records::Checkpoint,
    replication_policy::{DEFAULT_REPLICATION_POLICY, ReplicationPolicy},
    source::MirrorSourceConnector,
};
use kafka_client::{Admin, Client, ClientConfig, ConsumerConfig, admin::OffsetAndMetadata, producer::Producer};
use kafka_embedded::Cluster;
use kafka_wire::{BatchBuilder, Compression, TopicPartition};

use support::{Offsets, TestWorker, dialer, eventually, producer_config, props};

const CHECKPOINTS: &str = "A.checkpoints.internal";
const OFFSET_SYNCS: &str = "mm2-offset-syncs.B.internal";

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
            .with_env_filter("connect_mirror=debug,kafka_client=info")
            .try_init();
        let source = Cluster::builder().start().await.unwrap();
        let target = Cluster::builder().auto_create_topics(false).start().await.unwrap();
        Self {
            source,
            target,
            environment: MirrorEnvironment::new(dialer()),
        }
    }

    fn props(&self, class: &str, more: &[(&str, &str)]) -> Props {
        let mut all = props(&[
            ("name", class),
            ("connector.class", &format!("org.apache.kafka.connect.mirror.{class}")),
            ("source.cluster.alias", "A"),
            ("target.cluster.alias", "B"),
            ("source.cluster.bootstrap.servers", &self.source.bootstrap_servers()),
            ("target.cluster.bootstrap.servers", &self.target.bootstrap_servers()),
            ("replication.factor", "1"),
            ("offset-syncs.topic.replication.factor", "1"),
            ("checkpoints.topic.replication.factor", "1"),
            ("refresh.topics.interval.seconds", "1"),
            ("refresh.groups.interval.seconds", "1"),
            ("emit.checkpoints.interval.seconds", "1"),
            ("sync.group.offsets.enabled", "true"),
            ("sync.group.offsets.interval.seconds", "1"),
            ("consumer.poll.timeout.ms", "100"),
            ("source.consumer.metadata.max.age.ms", "500"),
        ]);
        all.extend(props(more));
        all
    }

    fn mirror(&self, more: &[(&str, &str)], offsets: Offsets) -> TestWorker {
        let connector = Box::new(MirrorSourceConnector::new(self.environment.clone()));
        TestWorker::start(
            connector,
            self.props("MirrorSourceConnector", more),
            client(&self.target),
            offsets,
        )
    }

    fn checkpoints(&self, more: &[(&str, &str)]) -> TestWorker {
        let connector = Box::new(MirrorCheckpointConnector::new(self.environment.clone()));
        let props = self.props("MirrorCheckpointConnector", more);
        TestWorker::start(connector, props, client(&self.target), Offsets::default())
    }

    /// All checkpoints ever written, in order.
    fn written(&self) -> Vec<Checkpoint> {
        let records = self.target.records(CHECKPOINTS, 0).unwrap_or_default();
        let decode = |record: kafka_embedded::StoredRecord| {
            Checkpoint::decode(record.key.as_deref(), record.value.as_deref()).unwrap()
        };
        records.into_iter().map(decode).collect()
    }

    /// The newest checkpoint of each group and partition.
    fn newest(&self) -> BTreeMap<(String, String), Checkpoint> {
        let key = |made: &Checkpoint| (made.group.clone(), made.topic_partition.to_string());
        self.written().into_iter().map(|made| (key(&made), made)).collect()
    }

    /// Waits until the newest checkpoint of `group` in `remote` is that of source offset `upstream`.
    async fn checkpoint_of(&self, group: &str, remote: &str, upstream: i64) -> Checkpoint {
        let what = format!("checkpoint of {group} in {remote} for {upstream}");
        eventually(&what, || async {
            let newest = self.newest().remove(&(group.to_owned(), remote.to_owned()));
            newest.filter(|made| made.upstream_offset == upstream)
        })
        .await
    }

    fn committed_on_target(&self, group: &str) -> BTreeMap<String, i64> {
        let committed = self.target.committed_offsets(group).into_iter();
        committed
            .map(|at| (format!("{}-{}", at.topic, at.partition), at.offset))
            .collect()
    }

    async fn target_committed(&self, group: &str, remote: &str, offset: i64) {
        let what = format!("{group} at {offset} of {remote} on the target");
        eventually(&what, || async {
            (self.committed_on_target(group).get(remote) == Some(&offset)).then_some(())
        })
        .await;
    }

    /// Where the record `value` is on the target.
    fn find(&self, remote: &str, partition: i32, value: &str) -> i64 {
        let records = self.target.records(remote, partition).unwrap();
        let found = records
            .into_iter()
            .find(|record| record.value.as_deref() == Some(value.as_bytes()));
        found.expect("the record was mirrored").offset
    }

    async fn mirrored(&self, topic: &str, partition: i32) {
        let end = self
            .source
            .records(topic, partition)
            .unwrap()
            .last()
            .unwrap()
            .value
            .clone();
        let remote = format!("A.{topic}");
        eventually("the last record on the target", || async {
            let records = self.target.records(&remote, partition).unwrap_or_default();
            (records.last()?.value == end).then_some(())
        })
        .await;
    }
}

fn client(cluster: &Cluster) -> Client {
    let config = ClientConfig::parse(&props(&[("bootstrap.servers", &cluster.bootstrap_servers())])).unwrap();
    Client::new(config, dialer())
}

/// Records `v<first>`, … with keys `k<n modulo keys>`, in batches of `batch`.
async fn produce(
    cluster: &Cluster,
    topic: &str,
    partition: i32,
    numbers: std::ops::Range<i64>,
    keys: i64,
    batch: usize,
) {
    let client = client(cluster);
    let mut producer = Producer::new(client.clone(), producer_config(client.config()));
    let numbers: Vec<i64> = numbers.collect();
    for chunk in numbers.chunks(batch) {
        let mut records = BatchBuilder::new(Compression::None);
        for n in chunk {
            let (key, value) = (format!("k{}", n % keys), format!("v{n}"));
            records.push(1_700_000_000_000 + n, Some(key.as_bytes()), Some(value.as_bytes()), []);
        }
        producer.send(0, TopicPartition::new(topic, partition), records.build());
        for outcome in producer.outcomes().await {
            outcome.result.unwrap();
        }
    }
}

async fn commit(cluster: &Cluster, group: &str, offsets: &[(&str, i32, i64)]) {
    let admin = Admin::new(client(cluster));
    let offsets = offsets.iter().map(|(topic, partition, offset)| {
        let mut offset = OffsetAndMetadata::new(*offset);
        offset.metadata = "noted".to_owned();
        (TopicPartition::new(*topic, *partition), offset)
    });
    for (partition, result) in admin.alter_group_offsets(group, offsets.collect()).await.unwrap() {
        result.unwrap_or_else(|error| panic!("{group} {partition}: {}", error.chain()));
    }
}

#[tokio::test]
async fn a_thousand_groups_on_a_dense_topic_stand_where_they_stood() {
    let pair = Pair::start().await;
    pair.source.create_topic("orders", 3, &[]).unwrap();
    // The remote topic has something else in it, so that offsets differ.
    pair.target.create_topic("A.orders", 3, &[]).unwrap();
    for partition in 0..3 {
        produce(&pair.target, "A.orders", partition, 0..i64::from(7 + partition), 1, 5).await;
        produce(&pair.source, "orders", partition, 1000..3000, 10, 97).await;
    }
    let mirror = pair.mirror(&[], Offsets::default());
    for partition in 0..3 {
        pair.mirrored("orders", partition).await;
    }
    // A restart in between, and what it adds.
    let offsets = mirror.stop().await;
    for partition in 0..3 {
        produce(&pair.source, "orders", partition, 3000..3500, 10, 97).await;
    }
    let mirror = pair.mirror(&[], offsets);
    for partition in 0..3 {
        pair.mirrored("orders", partition).await;
    }

    let mut random = 42u64;
    let mut expected = BTreeMap::new();
    for group in 0..1000 {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let (partition, offset) = ((random >> 33) as i32 % 3, (random >> 40) as i64 % 2501);
        let name = format!("group-{group}");
        commit(&pair.source, &name, &[("orders", partition, offset)]).await;
        expected.insert(
            (name, format!("A.orders-{partition}")),
            offset + 7 + i64::from(partition),
        );
    }
    let worker = pair.checkpoints(&[("tasks.max", "2")]);
    eventually("a checkpoint of each group", || async {
        (pair.newest().len() == 1000).then_some(())
    })
    .await;
    eventually("each group where it stood", || async {
        let at = |((group, remote), made): (&(String, String), &Checkpoint)| {
            ((group.clone(), remote.clone()), made.downstream_offset)
        };
        let newest: BTreeMap<_, _> = pair.newest().iter().map(at).collect();
        (newest == expected).then_some(())
    })
    .await;
    for ((group, remote), offset) in &expected {
        pair.target_committed(group, remote, *offset).await;
    }
    let offsets = worker.stop().await;
    let key = SourcePartition(vec![
        ("partition", SourceValue::Int(i64::from(0))),
        ("topic", SourceValue::String("A.orders".into())),
        ("group", SourceValue::String("group-0".into())),
    ]);
    let partition_of_first = expected.keys().find(|(group, _)| group == "group-0").unwrap().1.clone();
    if partition_of_first == "A.orders-0" {
        assert_eq!(offsets.0.lock().unwrap()[&key], 0);
    }
    assert_eq!(
        offsets.0.lock().unwrap().len(),
        1000,
        "one stored offset per group and partition"
    );
    mirror.stop().await;
}

#[tokio::test]
async fn a_restart_repeats_no_checkpoint_and_knows_old_positions_although_the_syncs_were_compacted() {
    let pair = Pair::start().await;
    pair.source.create_topic("orders", 1, &[]).unwrap();
    produce(&pair.source, "orders", 0, 0..1500, 10, 50).await;
    commit(&pair.source, "slow", &[("orders", 0, 3)]).await;
    commit(&pair.source, "quick", &[("orders", 0, 1500)]).await;
    let mirror = pair.mirror(&[], Offsets::default());
    let worker = pair.checkpoints(&[]);
    let made = pair.checkpoint_of("slow", "A.orders-0", 3).await;
    assert_eq!((made.downstream_offset, &*made.metadata), (3, "noted"));
    eventually("the quick group's", || async {
        let newest = pair.newest().remove(&("quick".to_owned(), "A.orders-0".to_owned()));
        newest.filter(|made| made.downstream_offset == 1500)
    })
    .await;
    worker.stop().await;
    let offsets = mirror.stop().await;
    let before = pair.written().len();

    pair.source.compact(OFFSET_SYNCS, 0).unwrap();
    assert_eq!(
        pair.source.records(OFFSET_SYNCS, 0).unwrap().len(),
        1,
        "the last sync alone is left"
    );
    let worker = pair.checkpoints(&[]);
    commit(&pair.source, "slow", &[("orders", 0, 777)]).await;
    assert_eq!(
        pair.checkpoint_of("slow", "A.orders-0", 777).await.downstream_offset,
        777
    );
    assert_eq!(pair.written().len(), before + 1, "the other one has not moved");

    // The next life of the mirror carries on what it finds.
    produce(&pair.source, "orders", 0, 1500..1600, 10, 50).await;
    let mirror = pair.mirror(&[], offsets);
    pair.mirrored("orders", 0).await;
    commit(&pair.source, "quick", &[("orders", 0, 1599)]).await;
    eventually("the quick group moves on", || async {
        let newest = pair.newest().remove(&("quick".to_owned(), "A.orders-0".to_owned()));
        newest.filter(|made| (made.upstream_offset, made.downstream_offset) == (1599, 1599))
    })
    .await;
    worker.stop().await;
    mirror.stop().await;
    pair.source.compact(OFFSET_SYNCS, 0).unwrap();
    let worker = pair.checkpoints(&[]);
    commit(&pair.source, "slow", &[("orders", 0, 1234)]).await;
    assert_eq!(
        pair.checkpoint_of("slow", "A.orders-0", 1234).await.downstream_offset,
        1234
    );
    worker.stop().await;
}

#[tokio::test]
async fn topics_of_the_mirrors_own_that_somebody_deletes_are_made_again_with_what_was_in_them() {
    let pair = Pair::start().await;
    pair.source.create_topic("orders", 2, &[]).unwrap();
    for partition in 0..2 {
        produce(&pair.source, "orders", partition, 0..100, 10, 50).await;
    }
    commit(&pair.source, "g", &[("orders", 0, 33), ("orders", 1, 44)]).await;
    let mirror = pair.mirror(&[], Offsets::default());
    for partition in 0..2 {
        pair.mirrored("orders", partition).await;
    }
    let synced = |partition: i32, last: i64| {
        let records = pair.source.records(OFFSET_SYNCS, 0).unwrap_or_default();
        let decode = |record: kafka_embedded::StoredRecord| {
            connect_mirror::records::OffsetSync::decode(record.key.as_deref(), record.value.as_deref()).unwrap()
        };
        let of = TopicPartition::new("orders", partition);
        let mut syncs = records
            .into_iter()
            .map(decode)
            .filter(|sync| sync.topic_partition == of);
        syncs.any(|sync| (sync.upstream_offset, sync.downstream_offset) == (last, last))
    };
    eventually("the last syncs", || async {
        (synced(0, 99) && synced(1, 99)).then_some(())
    })
    .await;
    let offsets = mirror.stop().await;
    // The second life copies something of one partition only.
    produce(&pair.source, "orders", 1, 100..110, 10, 50).await;
    let mirror = pair.mirror(&[], offsets);
    let worker = pair.checkpoints(&[]);
    eventually("the last syncs", || async { synced(1, 109).then_some(()) }).await;
    let first = pair.checkpoint_of("g", "A.orders-0", 33).await;
    let second = pair.checkpoint_of("g", "A.orders-1", 44).await;

    pair.source.delete_topic(OFFSET_SYNCS).unwrap();
    pair.target.delete_topic(CHECKPOINTS).unwrap();
    eventually("the last syncs once more", || async {
        (synced(0, 99) && synced(1, 109)).then_some(())
    })
    .await;
    assert_eq!(pair.checkpoint_of("g", "A.orders-0", 33).await, first);
    assert_eq!(pair.checkpoint_of("g", "A.orders-1", 44).await, second);
    for (cluster, topic) in [(&pair.source, OFFSET_SYNCS), (&pair.target, CHECKPOINTS)] {
        assert_eq!(
            cluster.topic_config(topic, "cleanup.policy").as_deref(),
            Some("compact")
        );
    }
    // What is read from the new topic does not make another copy of the one that there is, and groups go on.
    commit(&pair.source, "g", &[("orders", 0, 55)]).await;
    assert_eq!(pair.checkpoint_of("g", "A.orders-0", 55).await.downstream_offset, 55);
    worker.stop().await;
    mirror.stop().await;
    let worker = pair.checkpoints(&[]);
    commit(&pair.source, "g", &[("orders", 1, 66)]).await;
    assert_eq!(pair.checkpoint_of("g", "A.orders-1", 66).await.downstream_offset, 66);
    worker.stop().await;
}

#[tokio::test]
async fn a_group_that_goes_back_gets_a_checkpoint_that_goes_back_and_keeps_its_offset_on_the_target() {
    let pair = Pair::start().await;
    pair.source.create_topic("orders", 1, &[]).unwrap();
    produce(&pair.source, "orders", 0, 0..500, 10, 50).await;
    commit(&pair.source, "g", &[("orders", 0, 400)]).await;
    let mirror = pair.mirror(&[], Offsets::default());
    let worker = pair.checkpoints(&[]);
    pair.target_committed("g", "A.orders-0", 400).await;
    commit(&pair.source, "g", &[("orders", 0, 150)]).await;
    assert_eq!(pair.checkpoint_of("g", "A.orders-0", 150).await.downstream_offset, 150);
    commit(&pair.source, "g", &[("orders", 0, 450)]).await;
    pair.target_committed("g", "A.orders-0", 450).await;
    let positions: Vec<i64> = pair.written().iter().map(|made| made.downstream_offset).collect();
    assert!(positions.contains(&150), "{positions:?}");
    worker.stop().await;
    mirror.stop().await;
}

#[tokio::test]
async fn on_a_compacted_topic_nobody_skips_a_record_or_reads_more_again_than_is_left() {
    let pair = Pair::start().await;
    let settings = [("cleanup.policy", "compact"), ("segment.bytes", "4096")];
    pair.source.create_topic("state", 1, &settings).unwrap();
    produce(&pair.source, "state", 0, 0..3000, 700, 13).await;
    // Keys that are never written again leave islands.
    produce(&pair.source, "state", 0, 3000..3300, 77, 7).await;
    pair.source.compact("state", 0).unwrap();
    produce(&pair.source, "state", 0, 3300..3400, 1000, 10).await;
    let source = pair.source.records("state", 0).unwrap();
    let end = pair.source.end_offset("state", 0).unwrap();
    assert!(source.len() < 2000, "{}", source.len());

    let mirror = pair.mirror(&[], Offsets::default());
    pair.mirrored("state", 0).await;
    for offset in (0..=end).step_by(31).chain([end]) {
        commit(&pair.source, &format!("at-{offset}"), &[("state", 0, offset)]).await;
    }
    let worker = pair.checkpoints(&[]);
    let remote = "A.state-0".to_owned();
    eventually("a checkpoint of each group, the last without lag", || async {
        let newest = pair.newest();
        let last = newest.get(&(format!("at-{end}"), remote.clone()))?;
        let has_no_lag = last.downstream_offset == pair.target.end_offset("A.state", 0).unwrap();
        (has_no_lag && newest.len() > end as usize / 31).then_some(())
    })
    .await;
    let target_end = pair.target.end_offset("A.state", 0).unwrap();
    let mut checked = 0;
    for ((group, _), made) in pair.newest() {
        let next = source.iter().find(|record| record.offset >= made.upstream_offset);
        let truth = next.map_or(target_end, |record| {
            pair.find(
                "A.state",
                0,
                std::str::from_utf8(record.value.as_deref().unwrap()).unwrap(),
            )
        });
        assert!(
            made.downstream_offset <= truth,
            "{group}: {} is past {truth}",
            made.downstream_offset
        );
        let again = truth - made.downstream_offset;
        assert!(again <= target_end - truth, "{group}: {again} again");
        checked += 1;
    }
    assert!(checked > 100, "{checked}");
    worker.stop().await;
    mirror.stop().await;
}

#[tokio::test]
async fn groups_and_topics_are_chosen_by_their_filters_and_syncs_may_lie_on_the_target() {
    let pair = Pair::start().await;
    for topic in ["orders", "secret"] {
        pair.source.create_topic(topic, 1, &[]).unwrap();
        produce(&pair.source, topic, 0, 0..200, 10, 50).await;
    }
    commit(&pair.source, "g", &[("orders", 0, 50), ("secret", 0, 50)]).await;
    commit(&pair.source, "only-secret", &[("secret", 0, 50)]).await;
    for group in ["console-consumer-1", "connect-x", "a,b"] {
        commit(&pair.source, group, &[("orders", 0, 50)]).await;
    }
    let more = [
        ("topics.exclude", "secret"),
        ("offset-syncs.topic.location", "target"),
        ("sync.group.offsets.enabled", "false"),
    ];
    let mirror = pair.mirror(&more, Offsets::default());
    let worker = pair.checkpoints(&more);
    assert_eq!(pair.checkpoint_of("g", "A.orders-0", 50).await.downstream_offset, 50);
    commit(&pair.source, "late", &[("orders", 0, 60)]).await;
    assert_eq!(pair.checkpoint_of("late", "A.orders-0", 60).await.downstream_offset, 60);
    let groups: Vec<String> = pair.newest().into_keys().map(|(group, _)| group).collect();
    assert_eq!(groups, ["g", "late"]);
    assert!(
        pair.target
            .topic_names()
            .contains(&"mm2-offset-syncs.A.internal".to_owned())
    );
    assert_eq!(
        pair.target.topic_config(CHECKPOINTS, "cleanup.policy").as_deref(),
        Some("compact")
    );
    assert_eq!(pair.committed_on_target("g"), BTreeMap::new(), "nobody asked for it");
    let latencies = pair
        .environment
        .metrics
        .checkpoint_latencies(pair.environment.clock.now_ms());
    let groups: Vec<&str> = latencies.iter().map(|(key, _)| &*key.group).collect();
    assert!(groups.contains(&"late"), "{groups:?}");
    worker.stop().await;
    mirror.stop().await;
}

#[tokio::test]
async fn whoever_asks_the_target_learns_where_topics_come_from_and_where_groups_may_go_on() {
    let pair = Pair::start().await;
    pair.source.create_topic("orders", 2, &[]).unwrap();
    pair.source.create_topic("heartbeats", 1, &[]).unwrap();
    pair.source.create_topic("C.heartbeats", 1, &[]).unwrap();
    let beat = connect_mirror::records::Heartbeat {
        source_cluster_alias: "C".to_owned(),
        target_cluster_alias: "A".to_owned(),
        timestamp: 17,
    };
    let mut records = BatchBuilder::new(Compression::None);
    records.push(1, Some(&beat.key().unwrap()), Some(&beat.value()), []);
    let from = client(&pair.source);
    let mut producer = Producer::new(from.clone(), producer_config(from.config()));
    producer.send(0, TopicPartition::new("C.heartbeats", 0), records.build());
    producer.outcomes().await;
    for partition in 0..2 {
        produce(&pair.source, "orders", partition, 0..300, 10, 50).await;
    }
    commit(&pair.source, "g", &[("orders", 0, 11), ("orders", 1, 222)]).await;
    let mirror = pair.mirror(&[], Offsets::default());
    let worker = pair.checkpoints(&[]);
    pair.checkpoint_of("g", "A.orders-0", 11).await;
    pair.checkpoint_of("g", "A.orders-1", 222).await;

    let props = props(&[("bootstrap.servers", &pair.target.bootstrap_servers())]);
    let policy = ReplicationPolicy::new(DEFAULT_REPLICATION_POLICY, &props).unwrap();
    let asked = MirrorClient::new(client(&pair.target), ConsumerConfig::parse(&props).unwrap(), policy);
    let timeout = std::time::Duration::from_secs(20);
    eventually("the copy of the far heartbeats", || async {
        let beats = asked.heartbeats(timeout).await.unwrap();
        (beats.get(&("C".to_owned(), "A".to_owned())) == Some(&17)).then_some(())
    })
    .await;
    let offsets = asked.translated_offsets("A", "g", timeout).await.unwrap();
    let offsets: Vec<(String, i64)> = offsets
        .iter()
        .map(|(at, found)| (at.to_string(), found.downstream))
        .collect();
    assert_eq!(offsets, [("A.orders-0".to_owned(), 11), ("A.orders-1".to_owned(), 222)]);
    assert!(
        asked
            .translated_offsets("A", "nobody", timeout)
            .await
            .unwrap()
            .is_empty()
    );
    let names = |names: &[&str]| {
        names
            .iter()
            .map(|name| (*name).to_owned())
            .collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(asked.upstream_clusters().await.unwrap(), names(&["A", "C"]));
    assert_eq!(asked.replication_hops("A").await.unwrap(), Some(1));
    assert_eq!(asked.replication_hops("C").await.unwrap(), Some(2));
    assert_eq!(asked.replication_hops("D").await.unwrap(), None);
    let copies = names(&["A.C.heartbeats", "A.heartbeats", "A.orders"]);
    assert_eq!(asked.remote_topics(None).await.unwrap(), copies);
    assert_eq!(asked.remote_topics(Some("A")).await.unwrap(), copies);
    assert_eq!(asked.checkpoint_topics().await.unwrap(), names(&[CHECKPOINTS]));
    assert!(asked.translated_offsets("no-such-cluster", "g", timeout).await.is_err());
    worker.stop().await;
    mirror.stop().await;
}

#[tokio::test]
async fn switched_off_there_are_no_tasks() {
    struct Nobody;
    impl connect_api::ConnectorContext for Nobody {
        fn request_task_reconfiguration(&self) {}
        fn raise_error(&self, error: connect_api::ConnectError) {
            panic!("{}", error.chain());
        }
    }
    let pair = Pair::start().await;
    for off in [
        ("emit.checkpoints.enabled", "false"),
        ("enabled", "false"),
        ("emit.checkpoints.interval.seconds", "-1"),
    ] {
        let mut connector = MirrorCheckpointConnector::new(pair.environment.clone());
        let props = pair.props("MirrorCheckpointConnector", &[off]);
        connector.start(props, Arc::new(Nobody)).await.unwrap();
        assert_eq!(connector.task_configs(5).unwrap(), Vec::<Props>::new(), "{off:?}");
        connector.stop().await;
    }
}
