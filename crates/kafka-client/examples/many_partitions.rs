//! What a fetch costs a consumer of many partitions of which few move. For looking, not for a gate:
//! `cargo run --release -p kafka-client --example many_partitions`.
#![allow(clippy::print_stdout, reason = "its output is what it is for")]
#![allow(clippy::disallowed_methods, reason = "it measures real time")]

use std::sync::Arc;
use std::time::Instant;

use kafka_client::config::HostPort;
use kafka_client::consumer::{Consumer, StartPosition};
use kafka_client::{Client, ClientConfig, ConsumerConfig, Dialer};
use kafka_embedded::{ApiKey, Cluster, Control, RequestKind, ResponseKind};
use kafka_protocol::messages::FetchResponse;
use kafka_protocol::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use kafka_wire::{BatchBuilder, Compression, RecordBatch, TopicPartition};

const FETCHES: i64 = 1000;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    for partitions in [1, 100, 1000, 10_000] {
        let cluster = Arc::new(Cluster::builder().start().await.expect("a cluster"));
        cluster.create_topic("t", partitions, &[]).expect("created");
        answer_with_one_record(&cluster);
        let mut consumer = consumer(&cluster);
        let all = (0..partitions).map(|number| (TopicPartition::new("t", number), StartPosition::Offset(0)));
        consumer.assign(all.collect());
        while consumer.position(&TopicPartition::new("t", 0)) == Some(0) {
            consumer.poll().await;
        }
        let before = (Instant::now(), cpu_ms());
        while consumer.position(&TopicPartition::new("t", 0)) < Some(FETCHES) {
            consumer.poll().await;
        }
        let cpu = (cpu_ms() - before.1) * 1000 / FETCHES as u64;
        println!(
            "{partitions:6} partitions: {:?} and {cpu} us of CPU a fetch",
            before.0.elapsed() / FETCHES as u32
        );
        cluster.shutdown().await;
    }
}

/// The broker's own work would hide the consumer's: it answers each fetch with the next record of partition 0.
fn answer_with_one_record(cluster: &Cluster) {
    let topic_id = cluster.topic_id("t").expect("created");
    let mut offset = 0;
    cluster.control(ApiKey::Fetch, move |request| {
        let RequestKind::Fetch(_) = request.body else {
            return Control::Pass;
        };
        let mut batch = BatchBuilder::new(Compression::None);
        batch.push(1000, None, Some(b"a value"), []);
        let mut records = batch.build().to_bytes().to_vec();
        records[..8].copy_from_slice(&i64::to_be_bytes(offset));
        offset += 1;
        RecordBatch::parse(records.clone().into()).expect("a batch of ours");
        let data = PartitionData::default()
            .with_high_watermark(FETCHES + 10)
            .with_records(Some(records.into()));
        let topic = FetchableTopicResponse::default()
            .with_topic_id(topic_id)
            .with_partitions(vec![data]);
        let response = FetchResponse::default().with_session_id(7).with_responses(vec![topic]);
        Control::Respond(Box::new(ResponseKind::Fetch(response)))
    });
}

fn consumer(cluster: &Arc<Cluster>) -> Consumer {
    let config = ClientConfig {
        bootstrap_servers: vec![HostPort::new("127.0.0.1", cluster.port(1).expect("it runs"))],
        ..ClientConfig::default()
    };
    let cluster = cluster.clone();
    let dialer = Dialer::from_fn(move |_host, _port| {
        let cluster = cluster.clone();
        async move { cluster.connect(1).await.map_err(std::io::Error::other) }
    });
    let props = [("bootstrap.servers".to_owned(), "in-memory:1".to_owned())].into();
    let config_of_consumer = ConsumerConfig::parse(&props).expect("a configuration");
    Consumer::new(Client::new(config, dialer), config_of_consumer)
}

/// User and system time of this process, at a hundredth of a second.
fn cpu_ms() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("linux has it");
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    [11, 12]
        .map(|at: usize| fields[at].parse::<u64>().unwrap_or(0))
        .iter()
        .sum::<u64>()
        * 10
}
