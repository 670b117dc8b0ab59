//! What operators do with a flow, between two embedded Kafkas.

mod support;

use std::time::Duration;

use config_def::{ConfigTransformer, Props};
use connect_mirror::{
    MirrorEnvironment,
    client_props::Side,
    mirror_maker_config::{MirrorConnector, MirrorMakerConfig, SourceAndTarget},
    operator::{Counts, Flow, From, PartitionReport, Precision, Verifier, apply, plan_switchback},
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
}

impl Pair {
    async fn start() -> Self {
        let source = Cluster::builder().start().await.unwrap();
        let target = Cluster::builder().auto_create_topics(false).start().await.unwrap();
        Self { source, target }
    }

    fn file(&self) -> MirrorMakerConfig {
        let raw = props(&[
            ("clusters", "A, B"),
            ("A.bootstrap.servers", &self.source.bootstrap_servers()),
            ("B.bootstrap.servers", &self.target.bootstrap_servers()),
            ("A->B.enabled", "true"),
            ("A->B.topics", "orders"),
            ("replication.factor", "1"),
            ("offset-syncs.topic.replication.factor", "1"),
            ("refresh.topics.interval.seconds", "1"),
        ]);
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

    async fn mirrored(&self, end: i64) {
        eventually("the copy", || async {
            (self.target.end_offset("A.orders", 0).ok()? >= end).then_some(())
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
    let client = client(cluster);
    let mut producer = Producer::new(client.clone(), producer_config(client.config()));
    let numbers: Vec<i64> = numbers.collect();
    for chunk in numbers.chunks(100) {
        let mut records = BatchBuilder::new(Compression::None);
        for n in chunk {
            records.push(1_700_000_000_000 + n, None, Some(format!("v{n}").as_bytes()), []);
        }
        producer.send(0, TopicPartition::new(topic, 0), records.build());
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
    for one in apply(&flow, Side::Source, plan, false).await.unwrap() {
        assert_eq!(one.committed.unwrap().len(), 1);
    }
    let committed: Vec<i64> = ["within", "unsaid", "others"]
        .iter()
        .map(|group| pair.source.committed_offsets(group)[0].offset)
        .collect();
    assert_eq!(committed, [120, 345, 350]);
}
