//! What operators do with a flow, between two embedded Kafkas.

mod support;

use std::{io::Write, sync::Arc, time::Duration};

use config_def::{ConfigTransformer, Props};
use connect_mirror::{
    MirrorEnvironment,
    checkpoint::MirrorCheckpointConnector,
    client_props::Side,
    mirror_maker_config::{MirrorConnector, MirrorMakerConfig, SourceAndTarget},
    operator::{
        Counts, Flow, From, PartitionReport, Plan, Precision, Verifier, apply, flow_status, plan_failover,
        plan_switchback,
    },
    source::MirrorSourceConnector,
};
use kafka_client::{Admin, Client, ClientConfig, admin::OffsetAndMetadata, producer::Producer};
use kafka_embedded::Cluster;
use kafka_wire::{BatchBuilder, Compression, TopicPartition};

use support::{Offsets, TestWorker, dialer, eventually, producer_config, props};

const PATIENCE: Duration = Duration::from_secs(20);

struct Pair {
    source: Cluster,
    target: Cluster,
    /// Further properties of the file.
    more: Props,
}

impl Pair {
    async fn start() -> Self {
        Self::start_with(&[]).await
    }

    async fn start_with(more: &[(&str, &str)]) -> Self {
        let source = Cluster::builder().start().await.unwrap();
        let target = Cluster::builder().auto_create_topics(false).start().await.unwrap();
        Self {
            source,
            target,
            more: props(more),
        }
    }

    fn file(&self) -> MirrorMakerConfig {
        let mut raw = props(&[
            ("clusters", "A, B"),
            ("A.bootstrap.servers", &self.source.bootstrap_servers()),
            ("B.bootstrap.servers", &self.target.bootstrap_servers()),
            ("A->B.enabled", "true"),
            ("A->B.topics", "orders, Z.orders"),
            ("replication.factor", "1"),
            ("offset-syncs.topic.replication.factor", "1"),
            ("checkpoints.topic.replication.factor", "1"),
            ("refresh.topics.interval.seconds", "1"),
            ("refresh.groups.interval.seconds", "1"),
            ("emit.checkpoints.interval.seconds", "1"),
            ("consumer.poll.timeout.ms", "100"),
        ]);
        raw.extend(self.more.clone());
        MirrorMakerConfig::parse(raw, &ConfigTransformer::identity()).unwrap()
    }

    fn flow(&self) -> Flow {
        let (pair, environment) = (SourceAndTarget::new("A", "B"), MirrorEnvironment::new(dialer()));
        Flow::new(
            &self.file(),
            &ConfigTransformer::identity(),
            pair,
            environment,
            PATIENCE,
        )
        .unwrap()
    }

    fn mirror(&self, offsets: Offsets) -> TestWorker {
        let connector = Box::new(MirrorSourceConnector::new(MirrorEnvironment::new(dialer())));
        let props: Props = self
            .file()
            .connector_config(&SourceAndTarget::new("A", "B"), MirrorConnector::Source);
        TestWorker::start(connector, props, client(&self.target), offsets)
    }

    fn translator(&self) -> TestWorker {
        let connector = Box::new(MirrorCheckpointConnector::new(MirrorEnvironment::new(dialer())));
        let pair = SourceAndTarget::new("A", "B");
        let props: Props = self.file().connector_config(&pair, MirrorConnector::Checkpoint);
        TestWorker::start(connector, props, client(&self.target), Offsets::default())
    }

    async fn mirrored(&self, end: i64) {
        self.copied("A.orders", 0, end).await;
    }

    async fn copied(&self, copy: &str, partition: i32, end: i64) {
        eventually("the copy", || async {
            (self.target.end_offset(copy, partition).ok()? >= end).then_some(())
        })
        .await;
    }

    async fn verify(&self) -> PartitionReport {
        let flow = self.flow();
        let mut verifier = Verifier::start(&flow, &[], From::Beginning).await.unwrap();
        verifier.pass(Duration::from_millis(400), true, |_| {}).await.unwrap();
        let reports: Vec<&PartitionReport> = verifier.reports().collect();
        assert_eq!(reports.len(), 1);
        assert_eq!(reports[0].error, None);
        reports[0].clone()
    }
}

fn client(cluster: &Cluster) -> Client {
    let config = ClientConfig::parse(&props(&[("bootstrap.servers", &cluster.bootstrap_servers())])).unwrap();
    Client::new(config, dialer())
}

async fn produce(cluster: &Cluster, topic: &str, numbers: std::ops::Range<i64>) {
    produce_to(cluster, (topic, 0), numbers).await;
}

async fn produce_to(cluster: &Cluster, (topic, partition): (&str, i32), numbers: std::ops::Range<i64>) {
    let client = client(cluster);
    let mut producer = Producer::new(client.clone(), producer_config(client.config()));
    let numbers: Vec<i64> = numbers.collect();
    for chunk in numbers.chunks(100) {
        let mut records = BatchBuilder::new(Compression::None);
        for n in chunk {
            records.push(1_700_000_000_000 + n, None, Some(format!("v{n}").as_bytes()), []);
        }
        producer.send(0, TopicPartition::new(topic, partition), records.build());
        for outcome in producer.outcomes().await {
            outcome.result.unwrap();
        }
    }
}

fn counts(same: u64, missing: u64, extra: u64, repeated: u64) -> Counts {
    Counts {
        same,
        missing,
        extra,
        repeated,
        ..Counts::default()
    }
}

#[tokio::test]
async fn a_verification_finds_what_repeats_and_what_lacks() {
    let pair = Pair::start().await;
    pair.source.create_topic("orders", 1, &[]).unwrap();
    produce(&pair.source, "orders", 0..5000).await;
    let mirror = pair.mirror(Offsets::default());
    pair.mirrored(5000).await;
    mirror.stop().await;
    let report = pair.verify().await;
    assert_eq!((report.counts, report.is_same(false)), (counts(5000, 0, 0, 0), true));

    // A mirror that has lost its offsets copies everything once more, more than is looked ahead.
    let mirror = pair.mirror(Offsets::default());
    pair.mirrored(10_000).await;
    mirror.stop().await;
    // The newer copies are the ones that count, and the older ones lie before them.
    let report = pair.verify().await;
    assert_eq!((report.counts, report.from), (counts(5000, 0, 0, 0), (0, 5000)));

    // Without offset syncs the first record is looked for.
    pair.source.delete_topic("mm2-offset-syncs.B.internal").unwrap();
    let report = pair.verify().await;
    assert_eq!((report.counts, report.from), (counts(5000, 0, 0, 5000), (0, 0)));
    assert_eq!((report.is_same(true), report.is_same(false)), (true, false));
    assert_eq!(report.first.unwrap().target, Some(5000));

    produce(&pair.source, "orders", 5000..5003).await;
    let report = pair.verify().await;
    assert_eq!(report.counts, counts(5000, 3, 0, 5000));
}

#[tokio::test]
async fn the_way_back_knows_what_a_mirror_that_died_has_copied() {
    let pair = Pair::start().await;
    pair.source.create_topic("orders", 1, &[]).unwrap();
    produce(&pair.source, "orders", 0..300).await;
    let mirror = pair.mirror(Offsets::default());
    pair.mirrored(300).await;
    mirror.stop().await;
    // Copies that no offset sync tells of, then records of others.
    produce(&pair.source, "orders", 300..400).await;
    produce(&pair.target, "A.orders", 300..350).await;
    produce(&pair.target, "A.orders", 9000..9010).await;
    let target = Admin::new(client(&pair.target));
    for (group, offset) in [("within", 120), ("unsaid", 345), ("others", 355)] {
        let offset = (TopicPartition::new("A.orders", 0), OffsetAndMetadata::new(offset));
        target.alter_group_offsets(group, vec![offset]).await.unwrap();
    }
    let flow = pair.flow();
    // The same serves whoever goes to the target: it is not sent back to the last sync.
    let source = Admin::new(client(&pair.source));
    for (group, offset) in [("on-time", 300), ("unsaid", 345), ("ahead", 390)] {
        let offset = (TopicPartition::new("orders", 0), OffsetAndMetadata::new(offset));
        source.alter_group_offsets(group, vec![offset]).await.unwrap();
    }
    let plan = plan_failover(&flow, &[], PATIENCE).await.unwrap();
    let found = plan.groups.iter().map(|group| {
        let one = &group.partitions[0];
        (&*group.group, one.offset, one.precision)
    });
    let expected = [
        ("ahead", Some(350), Precision::Behind(40)),
        ("on-time", Some(300), Precision::Exact),
        ("unsaid", Some(345), Precision::Exact),
    ];
    assert_eq!(found.collect::<Vec<_>>(), expected);
    for group in ["on-time", "unsaid", "ahead"] {
        let partition = vec![TopicPartition::new("orders", 0)];
        source.delete_group_offsets(group, partition).await.unwrap();
    }
    let plan = plan_switchback(&flow, &[]).await.unwrap();
    let found = plan.groups.iter().map(|group| {
        let one = &group.partitions[0];
        (&*group.group, one.offset, one.precision, one.left_behind)
    });
    let found: Vec<_> = found.collect();
    let expected = [
        ("others", Some(350), Precision::Behind(5), 5),
        ("unsaid", Some(345), Precision::Exact, 10),
        ("within", Some(120), Precision::Exact, 10),
    ];
    assert_eq!(found, expected);
    assert!(plan.notes[0].contains("offsets 350..359"), "{:?}", plan.notes);
    for one in apply(&flow, Side::Source, plan, false, |_| {}).await.unwrap() {
        assert_eq!(one.committed.unwrap().len(), 1);
    }
    let committed: Vec<i64> = ["within", "unsaid", "others"]
        .iter()
        .map(|group| pair.source.committed_offsets(group)[0].offset)
        .collect();
    assert_eq!(committed, [120, 345, 350]);
}

const IDENTITY: &str = "org.apache.kafka.connect.mirror.IdentityReplicationPolicy";

/// The only position of a plan's only group.
fn position(plan: &Plan) -> (String, Option<i64>, Precision) {
    let [group] = &plan.groups[..] else {
        panic!("one group: {plan:?}")
    };
    let [one] = &group.partitions[..] else {
        panic!("one partition: {plan:?}")
    };
    (one.destination.to_string(), one.offset, one.precision)
}

#[tokio::test]
async fn commands_know_copies_of_copies_and_copies_that_keep_their_names() {
    for (policy, topic, copy) in [
        (None, "Z.orders", "A.Z.orders"),
        (Some(IDENTITY), "orders", "orders"),
        (Some(IDENTITY), "Z.orders", "Z.orders"),
    ] {
        let more = policy.map(|class| ("replication.policy.class", class));
        let pair = Pair::start_with(more.as_slice()).await;
        pair.source.create_topic(topic, 1, &[]).unwrap();
        produce(&pair.source, topic, 0..300).await;
        let (source, target) = (Admin::new(client(&pair.source)), Admin::new(client(&pair.target)));
        let commit = |topic: &str, offset| vec![(TopicPartition::new(topic, 0), OffsetAndMetadata::new(offset))];
        source.alter_group_offsets("readers", commit(topic, 120)).await.unwrap();
        let mirror = pair.mirror(Offsets::default());
        pair.copied(copy, 0, 300).await;
        mirror.stop().await;
        assert_eq!(pair.verify().await.counts, counts(300, 0, 0, 0), "{copy}");

        let flow = pair.flow();
        let plan = plan_failover(&flow, &[], PATIENCE).await.unwrap();
        assert_eq!(position(&plan), (format!("{copy}-0"), Some(120), Precision::Exact));
        for one in apply(&flow, Side::Target, plan, false, |_| {}).await.unwrap() {
            assert_eq!(one.committed.unwrap().len(), 1);
        }
        assert_eq!(pair.target.committed_offsets("readers")[0].offset, 120);
        target.alter_group_offsets("readers", commit(copy, 200)).await.unwrap();
        let plan = plan_switchback(&flow, &[]).await.unwrap();
        assert_eq!(position(&plan), (format!("{topic}-0"), Some(200), Precision::Exact));
        for one in apply(&flow, Side::Source, plan, false, |_| {}).await.unwrap() {
            assert_eq!(one.committed.unwrap().len(), 1);
        }
        assert_eq!(pair.source.committed_offsets("readers")[0].offset, 200);

        // No worker has stored how far it is: to the status, all is lag.
        let status = flow_status(&flow, PATIENCE, Duration::ZERO).await.unwrap();
        let [partition] = &status.partitions[..] else {
            panic!("one partition: {status:?}")
        };
        let names = (partition.source.to_string(), partition.target.to_string());
        assert_eq!(names, (format!("{topic}-0"), format!("{copy}-0")));
        assert_eq!((partition.lag, partition.target_end), (Some(300), Some(300)));
        // A batch of 100 records has 61 bytes of header, and each record a dozen.
        let bytes = partition.lag_bytes.unwrap();
        assert!((300 * 8..300 * 20).contains(&bytes), "{bytes}");
    }
}

#[tokio::test]
async fn many_partitions_are_compared_at_once_and_times_only_where_they_mean_something() {
    let pair = Pair::start().await;
    const PARTITIONS: i32 = 30;
    pair.source.create_topic("orders", PARTITIONS, &[]).unwrap();
    let stamped = [("message.timestamp.type", "LogAppendTime")];
    pair.target.create_topic("A.orders", PARTITIONS, &stamped).unwrap();
    for partition in 0..PARTITIONS {
        let from = i64::from(partition) * 1000;
        produce_to(&pair.source, ("orders", partition), from..from + 150).await;
    }
    let mirror = pair.mirror(Offsets::default());
    for partition in 0..PARTITIONS {
        pair.copied("A.orders", partition, 150).await;
    }
    mirror.stop().await;
    // Whatever one partition lacks is not looked for in another.
    produce_to(&pair.target, ("A.orders", 7), 0..3).await;
    let flow = pair.flow();
    let verify = async |ignores| {
        let verifier = Verifier::start(&flow, &[], From::Beginning).await.unwrap();
        let mut verifier = verifier.ignoring_timestamps(ignores);
        let mut told = std::collections::BTreeSet::new();
        let pass = verifier.pass(Duration::from_millis(400), true, |report| {
            told.insert(report.source.partition);
        });
        pass.await.unwrap();
        assert_eq!(told.len(), PARTITIONS as usize, "each is heard of");
        verifier.reports().cloned().collect::<Vec<_>>()
    };
    for report in verify(true).await {
        let extra = if report.source.partition == 7 { 3 } else { 0 };
        assert_eq!(
            (report.error, report.counts),
            (None, counts(150, 0, extra, 0)),
            "{}",
            report.source
        );
    }
    for report in verify(false).await {
        assert!(report.counts.same == 0 && !report.is_same(true), "{report:?}");
    }
}

#[tokio::test]
async fn thousands_of_groups_fail_over_while_the_source_is_away() {
    const FEW: usize = 500;
    const MANY: usize = 5000;
    let pair = Pair::start().await;
    pair.source.create_topic("orders", 1, &[]).unwrap();
    produce(&pair.source, "orders", 0..1000).await;
    let source = Admin::new(client(&pair.source));
    let partition = TopicPartition::new("orders", 0);
    let commits = (0..MANY).map(|n| {
        let offset = OffsetAndMetadata::new(n as i64 % 1001);
        (Arc::from(format!("group-{n:04}")), vec![(partition.clone(), offset)])
    });
    for (group, result) in source.alter_offsets_of_groups(commits.collect()).await.unwrap() {
        result.unwrap_or_else(|error| panic!("{group}: {}", error.chain()));
    }
    let (mirror, translator) = (pair.mirror(Offsets::default()), pair.translator());
    pair.mirrored(1000).await;
    eventually("a checkpoint of each group", || async {
        let written = pair.target.records("A.checkpoints.internal", 0).ok()?;
        let groups: std::collections::HashSet<_> = written.into_iter().map(|record| record.key).collect();
        (groups.len() >= MANY).then_some(())
    })
    .await;
    translator.stop().await;
    mirror.stop().await;
    pair.source.shutdown().await;

    let flow = pair.flow();
    let move_over = async |groups: &[String]| {
        let started = tokio::time::Instant::now();
        let plan = plan_failover(&flow, groups, Duration::from_millis(100)).await.unwrap();
        let planned = started.elapsed();
        let mut last = 0;
        let applied = apply(&flow, Side::Target, plan, false, |done| last = done)
            .await
            .unwrap();
        assert_eq!(last, applied.len());
        assert!(applied.iter().all(|one| one.committed.is_ok() && one.plan.is_ready()));
        (applied.len(), planned, started.elapsed())
    };
    let few: Vec<String> = (0..FEW).map(|n| format!("group-{n:04}")).collect();
    let (moved, _, few_took) = move_over(&few).await;
    assert_eq!(moved, FEW);
    let (moved, planned, many_took) = move_over(&[]).await;
    assert_eq!(moved, MANY);
    for n in [0, 1, 999, 1000, 1001, 4999] {
        let committed = pair.target.committed_offsets(&format!("group-{n:04}"));
        assert_eq!(committed[0].offset, n % 1001, "group-{n:04}");
    }
    let said = format!("{MANY} groups: planned after {planned:?}, moved after {many_took:?}; {FEW}: {few_took:?}\n");
    let _ = std::io::stderr().write_all(said.as_bytes());
    // Ten times as many take about ten times as long, not a hundred times.
    assert!(many_took < 40 * few_took, "{said}");
}
