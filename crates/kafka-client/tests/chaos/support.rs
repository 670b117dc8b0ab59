//! A cluster in memory, a client of it, batches to send and values to compare.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kafka_client::config::HostPort;
use kafka_client::producer::Outcome;
use kafka_client::{Client, ClientConfig, ConsumerConfig, Dialer, ProducerConfig};
use kafka_client::{consumer::Consumer, producer::Producer};
use kafka_embedded::Cluster;
use kafka_wire::{BatchBuilder, Compression, Entry, OutgoingBatch, RecordBatch, TopicPartition};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng};

pub(crate) const INFLATE_CAP: usize = 16 << 20;

/// Nothing here takes longer on the paused clock, unless it hangs.
pub(crate) const LONG: Duration = Duration::from_secs(600);

pub(crate) async fn cluster(nodes: i32) -> Arc<Cluster> {
    let builder = Cluster::builder().nodes(nodes).auto_create_topics(false);
    Arc::new(builder.start().await.expect("a cluster"))
}

/// Reaches the nodes of a cluster without a socket.
pub(crate) fn dialer(cluster: &Arc<Cluster>) -> Dialer {
    let cluster = cluster.clone();
    Dialer::from_fn(move |_host, port| {
        let cluster = cluster.clone();
        async move {
            let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
            let is_it = |node: &i32| cluster.port(*node).is_ok_and(|its| its == port);
            let node = cluster.node_ids().into_iter().find(is_it).ok_or_else(refused)?;
            cluster.connect(node).await.map_err(|_| refused())
        }
    })
}

pub(crate) fn client_config(cluster: &Cluster) -> ClientConfig {
    let servers = cluster.bootstrap_servers();
    let servers = servers.split(',').map(|server| {
        let (host, port) = server.rsplit_once(':').expect("host:port");
        HostPort::new(host, port.parse().expect("a port"))
    });
    ClientConfig {
        bootstrap_servers: servers.collect(),
        ..ClientConfig::default()
    }
}

pub(crate) fn client(cluster: &Arc<Cluster>) -> Client {
    Client::new(client_config(cluster), dialer(cluster))
}

pub(crate) fn producer(cluster: &Arc<Cluster>) -> Producer {
    let config = ProducerConfig::parse(&[("bootstrap.servers".to_owned(), "in-memory:1".to_owned())].into());
    Producer::new(client(cluster), config.expect("a configuration"))
}

pub(crate) fn consumer(cluster: &Arc<Cluster>, settings: &[(&str, &str)]) -> Consumer {
    let all = [("bootstrap.servers", "in-memory:1"), ("auto.offset.reset", "earliest")];
    let all = all.iter().chain(settings);
    let props = all
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect();
    Consumer::new(client(cluster), ConsumerConfig::parse(&props).expect("a configuration"))
}

pub(crate) fn at(topic: &str, partition: i32) -> TopicPartition {
    TopicPartition::new(topic, partition)
}

/// A batch of these values, padded to about `bytes` in all.
pub(crate) fn batch(codec: Compression, values: &[String], bytes: usize) -> OutgoingBatch {
    let mut builder = BatchBuilder::new(codec);
    for value in values {
        let mut value = value.clone().into_bytes();
        value.push(b'|');
        value.resize(value.len().max(bytes / values.len()), b'.');
        builder.push(1000, None, Some(&value), []);
    }
    builder.build()
}

/// One record of a few bytes.
pub(crate) fn tiny(value: &str) -> OutgoingBatch {
    batch(Compression::None, &[value.to_owned()], 0)
}

/// One record too large to be merged with others.
pub(crate) fn large(value: &str) -> OutgoingBatch {
    batch(Compression::None, &[value.to_owned()], 20_000)
}

pub(crate) fn stored(batch: &OutgoingBatch) -> RecordBatch {
    RecordBatch::parse(batch.to_bytes()).expect("a batch of ours")
}

/// What a value was before it was padded.
pub(crate) fn unpadded(value: &[u8]) -> String {
    let end = value.iter().position(|byte| *byte == b'|').unwrap_or(value.len());
    String::from_utf8_lossy(&value[..end]).into_owned()
}

/// The offsets and values of a partition.
pub(crate) fn values(cluster: &Cluster, topic: &str, partition: i32) -> Vec<(i64, String)> {
    let records = cluster.records(topic, partition).expect("a partition");
    let value = |value: Option<Bytes>| unpadded(&value.unwrap_or_default());
    records
        .into_iter()
        .map(|record| (record.offset, value(record.value)))
        .collect()
}

/// The offsets and values of a fetched batch.
pub(crate) fn entry_values(entry: &Entry) -> Vec<(i64, String)> {
    let Entry::Batch(batch) = entry else {
        panic!("nobody wrote an old batch")
    };
    let records = batch.records(INFLATE_CAP).expect("records");
    let read = records.iter().map(|record| {
        let record = record.expect("a record");
        (record.offset, unpadded(record.value.unwrap_or_default()))
    });
    read.collect()
}

/// Drives a producer until so many batches are finished.
pub(crate) async fn finish(producer: &mut Producer, count: usize) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    let work = async {
        while outcomes.len() < count {
            outcomes.extend(producer.outcomes().await);
        }
    };
    if tokio::time::timeout(LONG, work).await.is_err() {
        panic!("only {} of {count} outcomes: {outcomes:?}", outcomes.len());
    }
    outcomes
}

/// Drives a producer for a while; nothing may finish.
pub(crate) async fn idle(producer: &mut Producer, time: Duration) {
    if let Ok(outcomes) = tokio::time::timeout(time, producer.outcomes()).await {
        panic!("nothing was to finish: {outcomes:?}");
    }
}

pub(crate) fn rng(seed: u64) -> StdRng {
    StdRng::seed_from_u64(seed)
}

/// Some seeds that are always tried, and one that never was.
pub(crate) fn seeds() -> Vec<u64> {
    match std::env::var("CHAOS_SEED").map(|seed| seed.parse()) {
        Ok(Ok(seed)) => vec![seed],
        _ => (1..=6).chain([rand::rng().random(), rand::rng().random()]).collect(),
    }
}

/// Shown with a failed test: set it in the environment to repeat that run alone.
#[expect(
    clippy::print_stderr,
    reason = "the seed of a failed run is all there is to find it again"
)]
pub(crate) fn announce(seed: u64) {
    eprintln!("CHAOS_SEED={seed}");
}
