use std::time::Duration;

use kafka_embedded::{Cluster, ResponseError as E};
use kafka_protocol::messages::fetch_request::ForgottenTopic;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::offset_for_leader_epoch_request::{OffsetForLeaderPartition, OffsetForLeaderTopic};
use kafka_protocol::messages::{
    BrokerId, FetchRequest, FetchResponse, ListOffsetsRequest, OffsetForLeaderEpochRequest,
};
use tokio::time::Instant;

use crate::raw::{RawClient, batch, fetch_request, keyed_batch, topic_name, values};
use crate::{error, one_node};

#[tokio::test]
async fn reading_starts_with_the_batch_that_holds_the_offset() {
    let (cluster, mut client) = one_node().await;
    cluster.create_topic("t", 1, &[]).expect("created");
    for values in [["a", "b"], ["c", "d"]] {
        client.produce("t", 0, &batch(&values)).await;
    }
    let offsets = |data: &kafka_protocol::messages::fetch_response::PartitionData| {
        values(data.records.as_ref().expect("records"))
            .into_iter()
            .map(|(offset, _)| offset)
            .collect::<Vec<_>>()
    };
    assert_eq!(offsets(&client.fetch("t", 0, 0).await), [0, 1, 2, 3]);
    assert_eq!(offsets(&client.fetch("t", 0, 1).await), [0, 1, 2, 3]);
    assert_eq!(offsets(&client.fetch("t", 0, 2).await), [2, 3]);
    let end = client.fetch("t", 0, 4).await;
    assert_eq!((end.high_watermark, offsets(&end)), (4, vec![]));
    for outside in [-5, 5] {
        assert_eq!(
            error(client.fetch("t", 0, outside).await.error_code),
            Some(E::OffsetOutOfRange)
        );
    }
}

#[tokio::test]
async fn limits_cut_the_last_batch_but_never_the_first() {
    let (cluster, mut client) = one_node().await;
    cluster.create_topic("t", 2, &[]).expect("created");
    let one = batch(&[&"x".repeat(1000)]);
    for partition in [0, 0, 1] {
        client.produce("t", partition, &one).await;
    }
    let size = one.size_bytes();
    let sizes = |response: FetchResponse| {
        let partitions = response.responses.into_iter().flat_map(|topic| topic.partitions);
        partitions
            .map(|partition| partition.records.map_or(0, |records| records.len()))
            .collect::<Vec<_>>()
    };
    let limited = |partition_bytes: usize, all_bytes: usize| {
        let mut request = fetch_request("t", &[(0, 0), (1, 0)]).with_max_bytes(all_bytes as i32);
        for partition in &mut request.topics[0].partitions {
            partition.partition_max_bytes = partition_bytes as i32;
        }
        request
    };
    assert_eq!(
        sizes(client.call(11, limited(10 * size, 10 * size)).await),
        [2 * size, size]
    );
    assert_eq!(
        sizes(client.call(11, limited(size + 10, 10 * size)).await),
        [size + 10, size]
    );
    assert_eq!(sizes(client.call(11, limited(10, 10 * size)).await), [size, 0]);
    assert_eq!(
        sizes(client.call(11, limited(10 * size, 2 * size + 10)).await),
        [2 * size, 0]
    );
    assert_eq!(sizes(client.call(11, limited(0, 0)).await), [size, 0]);
}

#[tokio::test]
async fn a_fetch_waits_for_records_but_not_for_ever() {
    let (cluster, mut client) = one_node().await;
    cluster.create_topic("t", 1, &[]).expect("created");
    let waiting = |ms| fetch_request("t", &[(0, 0)]).with_min_bytes(1).with_max_wait_ms(ms);
    let began = Instant::now();
    let empty = client.call(11, waiting(100)).await;
    assert!(began.elapsed() >= Duration::from_millis(100));
    assert_eq!(
        empty.responses[0].partitions[0]
            .records
            .as_ref()
            .map(|records| records.len()),
        Some(0)
    );

    let mut producer = RawClient::connect(&cluster, 1).await;
    client.send(11, &waiting(60_000)).await;
    producer.produce("t", 0, &batch(&["a"])).await;
    let (_, response) = client.receive::<FetchRequest>(11).await.expect("an answer");
    assert_eq!(
        values(response.responses[0].partitions[0].records.as_ref().expect("records")).len(),
        1
    );
}

#[tokio::test]
async fn a_session_tells_only_what_is_new() {
    let (cluster, mut client) = one_node().await;
    cluster.create_topic("t", 3, &[]).expect("created");
    let all = fetch_request("t", &[(0, 0), (1, 0), (2, 0)]).with_session_epoch(0);
    let opened = client.call(11, all).await;
    assert_ne!(opened.session_id, 0);
    assert_eq!(partitions(&opened), [0, 1, 2]);
    let mut session = Session {
        id: opened.session_id,
        epoch: 0,
    };

    assert_eq!(
        partitions(&session.fetch(&mut client, &[], &[]).await),
        Vec::<i32>::new()
    );
    client.produce("t", 1, &batch(&["a"])).await;
    assert_eq!(partitions(&session.fetch(&mut client, &[], &[]).await), [1]);
    // Not read further: it comes again, as records are news for as long as they are asked for.
    assert_eq!(partitions(&session.fetch(&mut client, &[], &[]).await), [1]);
    client.produce("t", 0, &batch(&["b"])).await;
    // Who was served last comes last.
    assert_eq!(partitions(&session.fetch(&mut client, &[], &[]).await), [0, 1]);
    assert_eq!(partitions(&session.fetch(&mut client, &[(1, 1)], &[]).await), [0]);
    assert_eq!(
        partitions(&session.fetch(&mut client, &[], &[0]).await),
        Vec::<i32>::new()
    );
    cluster.delete_records("t", 2, 0).expect("deleted");
    assert_eq!(
        partitions(&session.fetch(&mut client, &[], &[]).await),
        Vec::<i32>::new()
    );

    let wrong_epoch = Session {
        id: session.id,
        epoch: 77,
    }
    .fetch(&mut client, &[], &[])
    .await;
    assert_eq!(error(wrong_epoch.error_code), Some(E::InvalidFetchSessionEpoch));
    let unknown = Session { id: 4711, epoch: 0 }.fetch(&mut client, &[], &[]).await;
    assert_eq!(error(unknown.error_code), Some(E::FetchSessionIdNotFound));
    let closed = client
        .call(11, fetch_request("t", &[(0, 0)]).with_session_id(session.id))
        .await;
    assert_eq!((closed.session_id, partitions(&closed)), (0, vec![0]));
    let gone = session.fetch(&mut client, &[], &[]).await;
    assert_eq!(error(gone.error_code), Some(E::FetchSessionIdNotFound));
}

#[tokio::test]
async fn a_topic_that_was_made_anew_has_another_id() {
    let (cluster, mut client) = one_node().await;
    cluster.create_topic("t", 1, &[]).expect("created");
    client.produce("t", 0, &batch(&["old"])).await;
    let by_id = |cluster: &Cluster| {
        let mut request = fetch_request("t", &[(0, 0)]);
        request.topics[0].topic = topic_name("");
        request.topics[0].topic_id = cluster.topic_id("t").expect("an id");
        request
    };
    let old = by_id(&cluster);
    assert_eq!(
        client.call(17, old.clone()).await.responses[0].partitions[0].error_code,
        0
    );
    cluster.delete_topic("t").expect("deleted");
    cluster.create_topic("t", 1, &[]).expect("created");
    let response = client.call(17, old).await;
    assert_eq!(
        error(response.responses[0].partitions[0].error_code),
        Some(E::UnknownTopicId)
    );
    let response = client.call(17, by_id(&cluster)).await;
    assert_eq!(response.responses[0].partitions[0].high_watermark, 0);
}

#[tokio::test]
async fn leaders_epochs_and_where_they_went_are_told() {
    let cluster = Cluster::builder().nodes(2).start().await.expect("a cluster");
    cluster.create_topic("t", 1, &[]).expect("created");
    let mut first = RawClient::connect(&cluster, 1).await;
    let mut second = RawClient::connect(&cluster, 2).await;
    first.produce("t", 0, &batch(&["a", "b"])).await;
    cluster.move_leader("t", 0, 2).expect("moved");
    let refused = first.produce_as(10, None, "t", 0, batch(&["c"]).to_bytes()).await;
    assert_eq!(error(refused.error_code), Some(E::NotLeaderOrFollower));
    assert_eq!(
        (refused.current_leader.leader_id.0, refused.current_leader.leader_epoch),
        (2, 1)
    );
    assert_eq!(second.produce("t", 0, &batch(&["c"])).await.base_offset, 2);

    let at_epoch = |epoch| {
        let mut request = fetch_request("t", &[(0, 0)]);
        request.topics[0].partitions[0].current_leader_epoch = epoch;
        request
    };
    let response = first.call(16, by_topic_id(&cluster, at_epoch(-1))).await;
    let data = &response.responses[0].partitions[0];
    assert_eq!(error(data.error_code), Some(E::NotLeaderOrFollower));
    assert_eq!(
        (data.current_leader.leader_id, data.current_leader.leader_epoch),
        (BrokerId(2), 1)
    );
    let endpoint = &response.node_endpoints[0];
    assert_eq!(
        (endpoint.node_id.0, endpoint.port),
        (2, i32::from(cluster.port(2).expect("a port")))
    );
    for (epoch, expected) in [
        (0, Some(E::FencedLeaderEpoch)),
        (1, None),
        (2, Some(E::UnknownLeaderEpoch)),
    ] {
        let response = second.call(12, at_epoch(epoch)).await;
        assert_eq!(
            error(response.responses[0].partitions[0].error_code),
            expected,
            "epoch {epoch}"
        );
    }

    let mut diverged = fetch_request("t", &[(0, 3)]);
    diverged.topics[0].partitions[0].last_fetched_epoch = 0;
    let response = second.call(12, diverged).await;
    let diverging = &response.responses[0].partitions[0].diverging_epoch;
    assert_eq!((diverging.epoch, diverging.end_offset), (0, 2));

    for (epoch, expected) in [(0, (0, 2)), (1, (1, 3)), (7, (-1, -1))] {
        let partition = OffsetForLeaderPartition::default()
            .with_leader_epoch(epoch)
            .with_current_leader_epoch(-1);
        let topic = OffsetForLeaderTopic::default()
            .with_topic(topic_name("t"))
            .with_partitions(vec![partition]);
        let request = OffsetForLeaderEpochRequest::default()
            .with_replica_id(BrokerId(-1))
            .with_topics(vec![topic]);
        let response = second.call(4, request).await;
        let end = &response.topics[0].partitions[0];
        assert_eq!((end.leader_epoch, end.end_offset), expected, "epoch {epoch}");
    }
}

#[tokio::test]
async fn offsets_are_found_by_time() {
    let (cluster, mut client) = one_node().await;
    cluster.create_topic("t", 1, &[]).expect("created");
    for _ in 0..2 {
        client.produce("t", 0, &batch(&["1000", "1001", "1002"])).await;
    }
    cluster.delete_records("t", 0, 1).expect("deleted");
    let cases = [
        (-1, (-1, 6)),
        (-2, (-1, 1)),
        (-3, (1002, 2)),
        (0, (1001, 1)),
        (1002, (1002, 2)),
        (1003, (-1, -1)),
    ];
    for (timestamp, expected) in cases {
        let partition = ListOffsetsPartition::default()
            .with_timestamp(timestamp)
            .with_current_leader_epoch(-1);
        let topic = ListOffsetsTopic::default()
            .with_name(topic_name("t"))
            .with_partitions(vec![partition]);
        let request = ListOffsetsRequest::default()
            .with_replica_id(BrokerId(-1))
            .with_topics(vec![topic]);
        let response = client.call(7, request).await;
        let found = &response.topics[0].partitions[0];
        assert_eq!((found.timestamp, found.offset), expected, "at {timestamp}");
    }
}

#[tokio::test]
async fn compaction_leaves_holes_and_keeps_the_batches_bounds() {
    let (cluster, mut client) = one_node().await;
    cluster
        .create_topic("t", 1, &[("cleanup.policy", "compact")])
        .expect("created");
    client
        .produce(
            "t",
            0,
            &keyed_batch(&[(Some("a"), "1"), (Some("b"), "1"), (Some("a"), "2")]),
        )
        .await;
    client
        .produce("t", 0, &keyed_batch(&[(Some("c"), "1"), (Some("c"), "2")]))
        .await;
    client
        .produce("t", 0, &keyed_batch(&[(Some("a"), "3"), (Some("c"), "3")]))
        .await;
    cluster.compact("t", 0).expect("compacted");
    let batches = cluster.batches("t", 0).expect("batches");
    let bounds: Vec<_> = batches
        .iter()
        .map(|batch| (batch.base_offset(), batch.last_offset(), batch.record_count()))
        .collect();
    assert_eq!(bounds, [(0, 2, 1), (5, 6, 2)]);
    let data = client.fetch("t", 0, 3).await;
    assert_eq!(
        values(&data.records.expect("records")),
        [(5, "3".to_owned()), (6, "3".to_owned())]
    );
    let all = client.fetch("t", 0, 0).await;
    assert_eq!(values(&all.records.expect("records"))[0], (1, "1".to_owned()));
}

#[tokio::test]
async fn a_truncated_log_is_noticed_by_its_epochs() {
    let (cluster, mut client) = one_node().await;
    cluster.create_topic("t", 1, &[]).expect("created");
    for _ in 0..3 {
        client.produce("t", 0, &batch(&["a", "b"])).await;
    }
    cluster.truncate("t", 0, 3).expect("truncated");
    assert_eq!(cluster.end_offset("t", 0).expect("an offset"), 2);
    client.produce("t", 0, &batch(&["c", "d", "e", "f"])).await;
    let mut request = fetch_request("t", &[(0, 6)]);
    request.topics[0].partitions[0].last_fetched_epoch = 0;
    let response = client.call(12, request).await;
    let diverging = &response.responses[0].partitions[0].diverging_epoch;
    assert_eq!((diverging.epoch, diverging.end_offset), (0, 2));
}

#[tokio::test]
async fn batches_can_be_put_there_without_a_producer() {
    let (cluster, mut client) = one_node().await;
    cluster.create_topic("t", 1, &[]).expect("created");
    client.produce("t", 0, &keyed_batch(&[(None, "a"), (None, "b")])).await;
    let stored = &cluster.batches("t", 0).expect("batches")[0];
    assert_eq!(cluster.append("t", 0, stored).expect("appended"), 2);
    let data = client.fetch("t", 0, 2).await;
    assert_eq!(
        values(&data.records.expect("records")),
        [(2, "a".to_owned()), (3, "b".to_owned())]
    );
}

struct Session {
    id: i32,
    epoch: i32,
}

impl Session {
    async fn fetch(&mut self, client: &mut RawClient, moved: &[(i32, i64)], forgotten: &[i32]) -> FetchResponse {
        self.epoch += 1;
        let mut request = fetch_request("t", moved)
            .with_session_id(self.id)
            .with_session_epoch(self.epoch);
        if !forgotten.is_empty() {
            let topic = ForgottenTopic::default()
                .with_topic(topic_name("t"))
                .with_partitions(forgotten.to_vec());
            request.forgotten_topics_data.push(topic);
        }
        client.call(11, request).await
    }
}

fn partitions(response: &FetchResponse) -> Vec<i32> {
    let all = response.responses.iter().flat_map(|topic| &topic.partitions);
    all.map(|partition| partition.partition_index).collect()
}

fn by_topic_id(cluster: &Cluster, mut request: FetchRequest) -> FetchRequest {
    for topic in &mut request.topics {
        topic.topic_id = cluster.topic_id(&topic.topic).expect("an id");
    }
    request
}
