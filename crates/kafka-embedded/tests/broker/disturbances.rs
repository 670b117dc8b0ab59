use std::time::Duration;

use kafka_embedded::{ApiKey, Cluster, Control, RequestKind, ResponseError as E};
use kafka_protocol::messages::{MetadataRequest, ProduceRequest};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::raw::{RawClient, batch, fetch_request};
use crate::{error, one_node};

#[tokio::test]
async fn the_next_request_or_every_one_can_be_refused() {
    let (cluster, mut client) = one_node().await;
    cluster.create_topic("t", 2, &[]).expect("created");
    cluster.control_once(ApiKey::Produce, |_| Control::Error(E::NotEnoughReplicas));
    assert_eq!(
        error(client.produce("t", 0, &batch(&["a"])).await.error_code),
        Some(E::NotEnoughReplicas)
    );
    assert_eq!(error(client.produce("t", 0, &batch(&["a"])).await.error_code), None);
    assert_eq!(cluster.end_offset("t", 0).expect("an offset"), 1);

    // A hook sees the request, and may let others pass.
    cluster.control(ApiKey::Produce, |request| match request.body {
        RequestKind::Produce(produce) if produce.topic_data[0].partition_data[0].index == 1 => {
            Control::Error(E::KafkaStorageError)
        }
        _ => Control::Pass,
    });
    for (partition, expected) in [
        (0, None),
        (1, Some(E::KafkaStorageError)),
        (1, Some(E::KafkaStorageError)),
    ] {
        assert_eq!(
            error(client.produce("t", partition, &batch(&["a"])).await.error_code),
            expected
        );
    }
    cluster.clear_control(ApiKey::Produce);
    assert_eq!(error(client.produce("t", 1, &batch(&["a"])).await.error_code), None);
    assert_eq!(cluster.count(ApiKey::Produce), 6);
}

#[tokio::test]
async fn answers_can_be_late_or_lost() {
    let (cluster, mut client) = one_node().await;
    cluster.create_topic("t", 1, &[]).expect("created");
    cluster.control_once(ApiKey::Metadata, |_| Control::Delay(Duration::from_millis(50)));
    let began = Instant::now();
    client.call(12, MetadataRequest::default()).await;
    assert!(began.elapsed() >= Duration::from_millis(50));

    cluster.control_once(ApiKey::Metadata, |_| Control::Drop);
    client.send(12, &MetadataRequest::default()).await;
    client.call(12, MetadataRequest::default()).await; // answered in its place

    cluster.control_once(ApiKey::Metadata, |_| Control::Disconnect);
    client.send(12, &MetadataRequest::default()).await;
    assert!(client.receive::<MetadataRequest>(12).await.is_none());

    let mut client = RawClient::connect(&cluster, 1).await;
    cluster.control_once(ApiKey::Produce, |_| Control::LoseReply);
    let mut twin = RawClient::connect(&cluster, 1).await;
    let records = batch(&["a"]).to_bytes();
    let data = kafka_protocol::messages::produce_request::PartitionProduceData::default().with_records(Some(records));
    let topic = kafka_protocol::messages::produce_request::TopicProduceData::default()
        .with_name(crate::raw::topic_name("t"))
        .with_partition_data(vec![data]);
    client
        .send(9, &ProduceRequest::default().with_acks(-1).with_topic_data(vec![topic]))
        .await;
    assert!(client.receive::<ProduceRequest>(9).await.is_none());
    assert_eq!(
        twin.fetch("t", 0, 0).await.high_watermark,
        1,
        "it was appended all the same"
    );
}

#[tokio::test]
async fn a_stopped_node_refuses_connections_and_comes_back_with_its_records() {
    let cluster = Cluster::builder().nodes(2).start().await.expect("a cluster");
    cluster.create_topic("alone", 2, &[]).expect("created");
    cluster.create_replicated_topic("twice", 2, 2, &[]).expect("created");
    let mut second = RawClient::connect(&cluster, 2).await;
    assert_eq!(error(second.produce("alone", 1, &batch(&["a"])).await.error_code), None);

    let port = cluster.port(2).expect("a port");
    cluster.stop_node(2).await.expect("stopped");
    assert!(second.receive_bytes().await.is_none(), "its connections are closed");
    assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err());
    assert!(cluster.connect(2).await.is_err());
    let mut first = RawClient::connect(&cluster, 1).await;
    let metadata = first.call(12, MetadataRequest::default().with_topics(None)).await;
    assert_eq!((metadata.brokers.len(), metadata.controller_id.0), (1, 1));
    assert_eq!(cluster.leader("alone", 1).expect("a partition"), (None, 1));
    assert_eq!(
        error(metadata.topics[0].partitions[1].error_code),
        Some(E::LeaderNotAvailable)
    );
    assert_eq!(cluster.leader("twice", 1).expect("a partition"), (Some(1), 1));

    cluster.start_node(2).await.expect("started");
    assert_eq!(cluster.port(2).expect("a port"), port);
    drop(TcpStream::connect(("127.0.0.1", port)).await.expect("it listens again"));
    assert_eq!(cluster.leader("alone", 1).expect("a partition"), (Some(2), 2));
    let mut second = RawClient::connect(&cluster, 2).await;
    assert_eq!(second.fetch("alone", 1, 0).await.high_watermark, 1);
}

#[tokio::test]
async fn a_waiting_fetch_hears_that_its_leader_moved() {
    let cluster = Cluster::builder().nodes(2).start().await.expect("a cluster");
    cluster.create_topic("t", 1, &[]).expect("created");
    let mut client = RawClient::connect(&cluster, 1).await;
    let waiting = fetch_request("t", &[(0, 0)]).with_min_bytes(1).with_max_wait_ms(60_000);
    client.send(12, &waiting).await;
    cluster.move_leader("t", 0, 2).expect("moved");
    let (_, response) = client
        .receive::<kafka_protocol::messages::FetchRequest>(12)
        .await
        .expect("an answer");
    let data = &response.responses[0].partitions[0];
    assert_eq!(
        (error(data.error_code), data.current_leader.leader_id.0),
        (Some(E::NotLeaderOrFollower), 2)
    );
}

#[tokio::test]
async fn shutdown_ends_waiting_requests() {
    let (cluster, mut client) = one_node().await;
    cluster.create_topic("t", 1, &[]).expect("created");
    client
        .send(
            12,
            &fetch_request("t", &[(0, 0)]).with_min_bytes(1).with_max_wait_ms(60_000),
        )
        .await;
    tokio::time::timeout(Duration::from_secs(5), cluster.shutdown())
        .await
        .expect("in time");
    assert!(client.receive_bytes().await.is_none());
}
