//! The flow from A to B between two embedded Kafkas, over TCP.

use config_def::Props;
use connect_api::{SourcePartition, SourceValue};
use connect_mirror::{MirrorEnvironment, records::OffsetSync, source::MirrorSourceConnector};
use kafka_client::{Client, ClientConfig, producer::Producer};
use kafka_embedded::{Cluster, StoredRecord};
use kafka_wire::{BatchBuilder, Compression, OutgoingBatch, TopicPartition};

use super::{Offsets, TestWorker, dialer, eventually, producer_config, props};

/// Two clusters and the flow from A to B between them.
pub(crate) struct Pair {
    pub(crate) source: Cluster,
    pub(crate) target: Cluster,
    pub(crate) environment: MirrorEnvironment,
}

impl Pair {
    pub(crate) async fn start() -> Self {
        let _subscriber = tracing_subscriber::fmt()
            .with_test_writer()
            .with_env_filter("connect_mirror=debug,kafka_client=debug")
            .try_init();
        let source = Cluster::builder().start().await.unwrap();
        let target = Cluster::builder().auto_create_topics(false).start().await.unwrap();
        Self::of(source, target)
    }

    pub(crate) fn of(source: Cluster, target: Cluster) -> Self {
        Self {
            source,
            target,
            environment: MirrorEnvironment::new(dialer()),
        }
    }

    pub(crate) fn props(&self, more: &[(&str, &str)]) -> Props {
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

    pub(crate) fn mirror(&self, more: &[(&str, &str)], offsets: Offsets) -> TestWorker {
        let connector = Box::new(MirrorSourceConnector::new(self.environment.clone()));
        TestWorker::start(connector, self.props(more), client(&self.target), offsets)
    }

    /// Waits until `topic` on the target has as many records as on the source, and compares them.
    pub(crate) async fn mirrored(&self, topic: &str) {
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
    pub(crate) fn syncs(&self, topic: &str, partition: i32) -> Vec<(i64, i64)> {
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

pub(crate) type Contents = Vec<(i64, Option<Vec<u8>>, Option<Vec<u8>>, Vec<(Vec<u8>, Option<Vec<u8>>)>)>;

/// Timestamps, keys, values and headers; offsets are the cluster's own.
pub(crate) fn contents(cluster: &Cluster, topic: &str, partition: i32) -> Contents {
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

pub(crate) fn client(cluster: &Cluster) -> Client {
    let config = ClientConfig::parse(&props(&[("bootstrap.servers", &cluster.bootstrap_servers())])).unwrap();
    Client::new(config, dialer())
}

type Header<'a> = (&'a [u8], Option<&'a [u8]>);

pub(crate) fn batch(compression: Compression, records: &[(i64, Option<&str>, Option<&str>)]) -> OutgoingBatch {
    let mut batch = BatchBuilder::new(compression);
    let headers: [Header<'_>; 3] = [(b"h", Some(b"1")), (b"h", Some(b"2")), (b"\xff", None)];
    for (timestamp, key, value) in records {
        batch.push(*timestamp, key.map(str::as_bytes), value.map(str::as_bytes), headers);
    }
    batch.build()
}

/// Writes a batch as it is.
pub(crate) async fn produce(cluster: &Cluster, topic: &str, partition: i32, batch: OutgoingBatch) {
    let client = client(cluster);
    let mut producer = Producer::new(client.clone(), producer_config(client.config()));
    producer.send(0, TopicPartition::new(topic, partition), batch);
    for outcome in producer.outcomes().await {
        outcome.result.unwrap();
    }
}

/// `count` records with keys k0, k1, … and values from `first` on.
pub(crate) async fn produce_numbers(cluster: &Cluster, topic: &str, partition: i32, first: i64, count: i64) {
    let texts: Vec<_> = (first..first + count)
        .map(|n| (n, format!("k{n}"), format!("v{n}")))
        .collect();
    let records: Vec<_> = texts
        .iter()
        .map(|(n, key, value)| (1_700_000_000_000 + n, Some(&**key), Some(&**value)))
        .collect();
    produce(cluster, topic, partition, batch(Compression::Lz4, &records)).await;
}

pub(crate) fn key(topic: &str, partition: i64) -> SourcePartition {
    SourcePartition(vec![
        ("cluster", SourceValue::String("A".into())),
        ("partition", SourceValue::Int(partition)),
        ("topic", SourceValue::String(topic.into())),
    ])
}
