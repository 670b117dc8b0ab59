//! A read_committed consumer while transactions open, end, and hold back what is behind them.

use std::time::Duration;

use bytes::Bytes;
use kafka_client::Connection;
use kafka_client::consumer::{Consumer, StartPosition};
use kafka_embedded::Cluster;
use kafka_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{
    AddPartitionsToTxnRequest, EndTxnRequest, InitProducerIdRequest, ProduceRequest, ProducerId, TopicName,
    TransactionalId,
};
use kafka_protocol::protocol::StrBytes;
use kafka_wire::Compression;
use rand::RngExt as _;

use crate::support::{self, LONG, at, batch, client, cluster, consumer, entry_values, stored, tiny};

const TIMEOUT: Duration = Duration::from_secs(30);

/// A producer of one partition, one transaction after the other.
struct Transactional {
    id: TransactionalId,
    connection: Connection,
    producer_id: ProducerId,
    epoch: i16,
    sequence: i32,
    is_open: bool,
}

impl Transactional {
    async fn start(connection: &Connection, id: &str) -> Self {
        let id = TransactionalId(StrBytes::from_string(id.to_owned()));
        let request = InitProducerIdRequest::default()
            .with_transactional_id(Some(id.clone()))
            .with_transaction_timeout_ms(900_000);
        let answer = connection.call(2, request, TIMEOUT).await.expect("an answer");
        assert_eq!(answer.error_code, 0);
        Self {
            id,
            connection: connection.clone(),
            producer_id: answer.producer_id,
            epoch: answer.producer_epoch,
            sequence: 0,
            is_open: false,
        }
    }

    async fn write(&mut self, values: &[String]) {
        if !self.is_open {
            self.begin().await;
        }
        let mut batch = batch(Compression::Lz4, values, 0);
        batch.set_producer(self.producer_id.0, self.epoch, self.sequence);
        batch.set_transactional(true);
        self.sequence += values.len() as i32;
        let data = PartitionProduceData::default().with_records(Some(batch.to_bytes()));
        let topic = TopicProduceData::default()
            .with_name(topic())
            .with_partition_data(vec![data]);
        let request = ProduceRequest::default()
            .with_transactional_id(Some(self.id.clone()))
            .with_acks(-1)
            .with_topic_data(vec![topic]);
        let answer = self.connection.call(9, request, TIMEOUT).await.expect("an answer");
        assert_eq!(answer.responses[0].partition_responses[0].error_code, 0);
    }

    async fn begin(&mut self) {
        let topic = AddPartitionsToTxnTopic::default()
            .with_name(topic())
            .with_partitions(vec![0]);
        let request = AddPartitionsToTxnRequest::default()
            .with_v3_and_below_transactional_id(self.id.clone())
            .with_v3_and_below_producer_id(self.producer_id)
            .with_v3_and_below_producer_epoch(self.epoch)
            .with_v3_and_below_topics(vec![topic]);
        let answer = self.connection.call(3, request, TIMEOUT).await.expect("an answer");
        let result = &answer.results_by_topic_v3_and_below[0].results_by_partition[0];
        assert_eq!(result.partition_error_code, 0);
        self.is_open = true;
    }

    async fn end(&mut self, committed: bool) {
        let request = EndTxnRequest::default()
            .with_transactional_id(self.id.clone())
            .with_producer_id(self.producer_id)
            .with_producer_epoch(self.epoch)
            .with_committed(committed);
        let answer = self.connection.call(3, request, TIMEOUT).await.expect("an answer");
        assert_eq!(answer.error_code, 0);
        self.is_open = false;
    }
}

fn topic() -> TopicName {
    TopicName(StrBytes::from_static_str("t"))
}

fn value(text: &str) -> Vec<String> {
    vec![text.to_owned()]
}

/// What comes within some time, and how far.
async fn read(consumer: &mut Consumer, time: Duration) -> Vec<(i64, String)> {
    let mut values = Vec::new();
    let end = tokio::time::Instant::now() + time;
    while let Ok(polled) = tokio::time::timeout_at(end, consumer.poll()).await {
        for fetched in &polled.fetched {
            let read = fetched.batches.iter().flat_map(entry_values);
            values.extend(read.filter(|(offset, _)| *offset >= fetched.from));
            assert!(fetched.next_offset <= fetched.high_watermark, "beyond what is stable");
        }
    }
    values
}

const SOON: Duration = Duration::from_secs(2);

#[tokio::test(start_paused = true)]
async fn what_is_behind_an_open_transaction_waits_for_its_end() {
    let cluster = cluster(1).await;
    cluster.create_topic("t", 1, &[]).expect("created");
    let connection = client(&cluster).any_connection().await.expect("a connection");
    let mut one = Transactional::start(&connection, "one").await;
    let mut two = Transactional::start(&connection, "two").await;
    let mut consumer = consumer(&cluster, &[("isolation.level", "read_committed")]);
    consumer.assign(vec![(at("t", 0), StartPosition::Reset)]);

    cluster.append("t", 0, &stored(&tiny("before"))).expect("appended");
    one.write(&value("one a")).await;
    cluster.append("t", 0, &stored(&tiny("plain"))).expect("appended");
    two.write(&value("two a")).await;
    assert_eq!(read(&mut consumer, SOON).await, [(0, "before".to_owned())]);
    assert_eq!(consumer.position(&at("t", 0)), Some(1));
    assert_eq!(
        (consumer.high_watermark(&at("t", 0)), consumer.lag(&at("t", 0))),
        (Some(1), Some(0))
    );

    // The second ends first; the first still holds everything back.
    two.end(true).await;
    assert_eq!(read(&mut consumer, SOON).await, []);
    one.write(&value("one b")).await;
    one.end(false).await;
    let expected = [(2, "plain".to_owned()), (3, "two a".to_owned())];
    assert_eq!(read(&mut consumer, SOON).await, expected);
    // Past the markers and what was aborted, although nothing of it was handed over.
    assert_eq!(
        consumer.position(&at("t", 0)),
        Some(cluster.end_offset("t", 0).expect("an offset"))
    );
}

#[tokio::test(start_paused = true)]
async fn exactly_what_was_committed_is_read_in_the_order_of_the_log() {
    for seed in support::seeds() {
        support::announce(seed);
        tokio::time::timeout(LONG, run(seed)).await.expect("nothing hangs");
    }
}

async fn run(seed: u64) {
    let mut rng = support::rng(seed);
    let cluster = cluster(1).await;
    cluster.create_topic("t", 1, &[]).expect("created");
    let connection = client(&cluster).any_connection().await.expect("a connection");
    let mut producers = Vec::new();
    for id in ["one", "two", "three"] {
        producers.push(Transactional::start(&connection, id).await);
    }
    let small = [
        ("isolation.level", "read_committed"),
        ("max.partition.fetch.bytes", "400"),
    ];
    let mut consumer = consumer(&cluster, &small);
    consumer.assign(vec![(at("t", 0), StartPosition::Reset)]);
    let (mut read_so_far, mut aborted) = (Vec::new(), Vec::new());
    let mut open: Vec<Vec<String>> = vec![Vec::new(); producers.len()];
    for step in 0..300 {
        let which = rng.random_range(0..producers.len());
        match rng.random_range(0..10) {
            0..5 => {
                let values: Vec<String> = (0..rng.random_range(1..4))
                    .map(|n| format!("{which}.{step}.{n}"))
                    .collect();
                producers[which].write(&values).await;
                open[which].extend(values);
            }
            5..8 if producers[which].is_open => {
                let committed = rng.random_bool(0.6);
                producers[which].end(committed).await;
                let values = std::mem::take(&mut open[which]);
                if !committed {
                    aborted.extend(values);
                }
            }
            8 => {
                let plain = stored(&tiny(&format!("plain.{step}")));
                cluster.append("t", 0, &plain).expect("appended");
            }
            _ => read_so_far.extend(read(&mut consumer, Duration::from_millis(rng.random_range(1..30))).await),
        }
    }
    for producer in producers.iter_mut().filter(|producer| producer.is_open) {
        producer.end(true).await;
    }
    while consumer.position(&at("t", 0)) != Some(end(&cluster)) {
        read_so_far.extend(read(&mut consumer, SOON).await);
    }
    let mut expected = Vec::new();
    for batch in cluster
        .batches("t", 0)
        .expect("a partition")
        .iter()
        .filter(|batch| !batch.is_control())
    {
        let records = batch.records(1 << 20).expect("records");
        for record in &records {
            let record = record.expect("a record");
            let value = support::unpadded(&Bytes::copy_from_slice(record.value.unwrap_or_default()));
            if !aborted.contains(&value) {
                expected.push((record.offset, value));
            }
        }
    }
    assert_eq!(read_so_far, expected, "seed {seed}");
}

fn end(cluster: &Cluster) -> i64 {
    cluster.end_offset("t", 0).expect("an offset")
}
