use bytes::{Bytes, BytesMut};
use kafka_embedded::ResponseError as E;
use kafka_protocol::messages::InitProducerIdRequest;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{ApiVersionsRequest, MetadataRequest, ProduceRequest};
use kafka_wire::OutgoingBatch;

use crate::raw::{RawClient, batch, keyed_batch, topic_name};
use crate::{error, one_node};

#[tokio::test]
async fn offsets_count_up_and_the_payload_stays_as_it_was() {
    let (cluster, mut client) = one_node().await;
    cluster.create_topic("t", 1, &[]).expect("created");
    let sent = batch(&["a", "b", "c"]);
    for expected in [0, 3, 6] {
        let response = client.produce("t", 0, &sent).await;
        assert_eq!((error(response.error_code), response.base_offset), (None, expected));
        assert_eq!(response.log_append_time_ms, -1);
    }
    let stored = cluster.batches("t", 0).expect("batches");
    assert_eq!(stored[2].base_offset(), 6);
    assert_eq!(stored[2].payload(), sent.payload());
    assert_eq!(stored[2].stored_crc(), sent.crc());
    assert_eq!(cluster.end_offset("t", 0).expect("an offset"), 9);
}

#[tokio::test]
async fn what_is_wrong_with_a_batch_is_told() {
    let (cluster, mut client) = one_node().await;
    cluster
        .create_topic("t", 1, &[("max.message.bytes", "200")])
        .expect("created");
    cluster
        .create_topic("compacted", 1, &[("cleanup.policy", "compact")])
        .expect("created");

    let good = batch(&["a"]).to_bytes();
    let mut flipped = BytesMut::from(good.as_ref());
    *flipped.last_mut().expect("a byte") ^= 1;
    let flipped = flipped.freeze();
    let twice = Bytes::from([good.as_ref(), good.as_ref()].concat());
    let cut = good.slice(..good.len() - 1);
    let large = batch(&[&"x".repeat(200)]).to_bytes();
    let cases = [
        ("t", flipped, E::CorruptMessage),
        ("t", twice, E::InvalidRecord),
        ("t", cut, E::CorruptMessage),
        ("t", Bytes::from_static(b"what?"), E::CorruptMessage),
        ("t", large, E::MessageTooLarge),
        ("compacted", good.clone(), E::InvalidRecord),
        ("missing", good.clone(), E::UnknownTopicOrPartition),
    ];
    for (topic, records, expected) in cases {
        let response = client.produce_as(9, None, topic, 0, records).await;
        assert_eq!((error(response.error_code), response.base_offset), (Some(expected), -1));
    }
    assert_eq!(cluster.end_offset("t", 0).expect("an offset"), 0);
    let keyed = client.produce("compacted", 0, &keyed_batch(&[(Some("k"), "v")])).await;
    assert_eq!(error(keyed.error_code), None);
}

#[tokio::test]
async fn an_idempotent_producer_is_held_to_its_sequence() {
    let (cluster, mut client) = one_node().await;
    cluster.create_topic("t", 1, &[]).expect("created");
    let producer_id = new_producer_id(&mut client).await;
    let numbered = |epoch, sequence| {
        let mut batch = batch(&["a", "b"]);
        batch.set_producer(producer_id, epoch, sequence);
        batch
    };
    let mut expect = async |batch: OutgoingBatch, expected: Result<i64, E>| {
        let response = client.produce("t", 0, &batch).await;
        match expected {
            Ok(offset) => assert_eq!((error(response.error_code), response.base_offset), (None, offset)),
            Err(refused) => assert_eq!(error(response.error_code), Some(refused)),
        }
    };
    for (index, sequence) in (0..12).step_by(2).enumerate() {
        expect(numbered(0, sequence), Ok(2 * index as i64)).await;
    }
    expect(numbered(0, 10), Ok(10)).await; // sent again: its old offset
    expect(numbered(0, 2), Ok(2)).await; // the oldest of the five that are remembered
    expect(numbered(0, 0), Err(E::OutOfOrderSequenceNumber)).await; // no longer remembered
    expect(numbered(0, 14), Err(E::OutOfOrderSequenceNumber)).await; // a gap
    expect(numbered(1, 2), Err(E::OutOfOrderSequenceNumber)).await; // a new epoch begins at 0
    expect(numbered(1, 0), Ok(12)).await;
    expect(numbered(0, 12), Err(E::InvalidProducerEpoch)).await;
    assert_eq!(cluster.end_offset("t", 0).expect("an offset"), 14);
}

#[tokio::test]
async fn sequences_wrap_to_zero() {
    let (cluster, mut client) = one_node().await;
    cluster.create_topic("t", 1, &[]).expect("created");
    let producer_id = new_producer_id(&mut client).await;
    for sequence in [i32::MAX - 1, 0, 2] {
        let mut batch = batch(&["a", "b"]);
        batch.set_producer(producer_id, 0, sequence);
        assert_eq!(
            error(client.produce("t", 0, &batch).await.error_code),
            None,
            "{sequence}"
        );
    }
    assert_eq!(cluster.end_offset("t", 0).expect("an offset"), 6);
}

#[tokio::test]
async fn a_topic_may_stamp_the_time_of_arrival() {
    let (cluster, mut client) = one_node().await;
    cluster
        .create_topic("t", 1, &[("message.timestamp.type", "LogAppendTime")])
        .expect("created");
    let response = client.produce("t", 0, &batch(&["a"])).await;
    assert!(response.log_append_time_ms > 1_000_000);
    let stored = &cluster.batches("t", 0).expect("batches")[0];
    assert_eq!(stored.max_timestamp(), response.log_append_time_ms);
    stored.verify().expect("the crc covers the stamp");
    assert_eq!(
        cluster.records("t", 0).expect("records")[0].timestamp,
        response.log_append_time_ms
    );
}

#[tokio::test]
async fn retention_keeps_the_newest_batches() {
    let (cluster, mut client) = one_node().await;
    cluster
        .create_topic("t", 1, &[("retention.bytes", "1000")])
        .expect("created");
    let batch = batch(&[&"x".repeat(100)]);
    for _ in 0..100 {
        client.produce("t", 0, &batch).await;
    }
    let size = cluster.size_bytes("t", 0).expect("a size");
    assert!((1000..1000 + batch.size_bytes()).contains(&size), "{size}");
    let start = cluster.log_start_offset("t", 0).expect("an offset");
    assert_eq!(start, 100 - cluster.batches("t", 0).expect("batches").len() as i64);
    assert_eq!(
        error(client.fetch("t", 0, 0).await.error_code),
        Some(E::OffsetOutOfRange)
    );
    assert_eq!(error(client.fetch("t", 0, start).await.error_code), None);
}

#[tokio::test]
async fn without_acks_there_is_no_answer_and_an_error_closes_the_connection() {
    let (cluster, mut client) = one_node().await;
    cluster.create_topic("t", 1, &[]).expect("created");
    client.send(9, &without_acks("t")).await;
    // The answer that comes next is the next request's.
    let versions = client.call(3, ApiVersionsRequest::default()).await;
    assert_eq!(versions.error_code, 0);
    assert_eq!(cluster.end_offset("t", 0).expect("an offset"), 1);
    client.send(9, &without_acks("missing")).await;
    assert!(client.receive::<ProduceRequest>(9).await.is_none());
}

#[tokio::test]
async fn version_13_names_topics_by_id() {
    let (cluster, mut client) = one_node().await;
    cluster.create_topic("t", 1, &[]).expect("created");
    let old_id = cluster.topic_id("t").expect("an id");
    cluster.delete_topic("t").expect("deleted");
    cluster.create_topic("t", 1, &[]).expect("created");
    let new_id = cluster.topic_id("t").expect("an id");
    assert_ne!(old_id, new_id);
    for (id, expected) in [(new_id, None), (old_id, Some(E::UnknownTopicId))] {
        let data = PartitionProduceData::default().with_records(Some(batch(&["a"]).to_bytes()));
        let topic = TopicProduceData::default()
            .with_topic_id(id)
            .with_partition_data(vec![data]);
        let request = ProduceRequest::default().with_acks(1).with_topic_data(vec![topic]);
        let response = client.call(13, request).await;
        assert_eq!(response.responses[0].topic_id, id);
        assert_eq!(error(response.responses[0].partition_responses[0].error_code), expected);
    }
    let metadata = client.call(12, MetadataRequest::default().with_topics(None)).await;
    assert_eq!(metadata.topics[0].topic_id, new_id);
}

fn without_acks(topic: &str) -> ProduceRequest {
    let data = PartitionProduceData::default().with_records(Some(batch(&["a"]).to_bytes()));
    let topic = TopicProduceData::default()
        .with_name(topic_name(topic))
        .with_partition_data(vec![data]);
    ProduceRequest::default().with_acks(0).with_topic_data(vec![topic])
}

async fn new_producer_id(client: &mut RawClient) -> i64 {
    let response = client
        .call(
            4,
            InitProducerIdRequest::default()
                .with_transactional_id(None)
                .with_transaction_timeout_ms(1000),
        )
        .await;
    assert_eq!((error(response.error_code), response.producer_epoch), (None, 0));
    response.producer_id.0
}
