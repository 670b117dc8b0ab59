use kafka_embedded::{Cluster, ResponseError as E};
use kafka_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use kafka_protocol::messages::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use kafka_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use kafka_protocol::messages::*;
use kafka_wire::OutgoingBatch;
use tokio::time::{Duration, Instant};

use crate::raw::{RawClient, batch, fetch_request, text, topic_name, values};
use crate::{error, one_node};

const ID: &str = "tx";

#[tokio::test]
async fn records_appear_with_the_commit_and_never_after_an_abort() {
    let (cluster, mut client) = one_node().await;
    cluster.create_topic("t", 1, &[]).expect("created");
    let mut producer = Producer::start(&mut client).await;
    assert_eq!(
        produce(&mut client, &producer, 0, "early").await,
        Some(E::InvalidTxnState)
    );
    let rounds = [("kept", true), ("dropped", false), ("kept too", true)];
    for (sequence, (value, committed)) in (0..).zip(rounds) {
        assert_eq!(add_partition(&mut client, &producer).await, None);
        assert_eq!(produce(&mut client, &producer, sequence, value).await, None);
        let stable = cluster.last_stable_offset("t", 0).expect("an offset");
        assert_eq!(stable, cluster.end_offset("t", 0).expect("an offset") - 1);
        assert_eq!(end(&mut client, 3, &mut producer, committed).await, None);
    }
    assert_eq!(end(&mut client, 3, &mut producer, true).await, None, "sent again");
    assert_eq!(
        end(&mut client, 3, &mut producer, false).await,
        Some(E::InvalidTxnState)
    );

    let batches = cluster.batches("t", 0).expect("batches");
    let kinds: Vec<_> = batches
        .iter()
        .map(|batch| (batch.is_control(), batch.is_transactional()))
        .collect();
    assert_eq!(kinds, [(false, true), (true, true)].repeat(3));
    for marker in batches.iter().filter(|batch| batch.is_control()) {
        marker.verify().expect("the crc is right");
        let records = marker.records(1000).expect("records");
        let record = records.iter().next().expect("one").expect("a record");
        let committed = marker.base_offset() != 3;
        assert_eq!(record.key, Some(&[0, 0, 0, u8::from(committed)][..]));
        assert_eq!(record.value, Some(&[0; 6][..]));
    }

    let request = fetch_request("t", &[(0, 0)]).with_isolation_level(1);
    let data = client.call(12, request).await.responses[0].partitions[0].clone();
    let aborted = data.aborted_transactions.expect("a list");
    assert_eq!(
        (aborted.len(), aborted[0].first_offset, aborted[0].producer_id),
        (1, 2, ProducerId(producer.id))
    );
    let all = values(&data.records.expect("records"));
    assert_eq!(
        all.iter().map(|(offset, _)| *offset).collect::<Vec<_>>(),
        [0, 2, 4],
        "the reader leaves out what was aborted"
    );
}

#[tokio::test]
async fn a_reader_of_committed_records_stops_at_an_open_transaction() {
    let (cluster, mut client) = one_node().await;
    cluster.create_topic("t", 1, &[]).expect("created");
    client.produce("t", 0, &batch(&["plain"])).await;
    let producer = Producer::start(&mut client).await;
    add_partition(&mut client, &producer).await;
    produce(&mut client, &producer, 0, "open").await;
    client.produce("t", 0, &batch(&["behind"])).await;
    let seen =
        |response: FetchResponse| values(response.responses[0].partitions[0].records.as_ref().expect("records")).len();
    let request = fetch_request("t", &[(0, 0)]);
    assert_eq!(seen(client.call(12, request.clone()).await), 3);
    assert_eq!(seen(client.call(12, request.with_isolation_level(1)).await), 1);
}

#[tokio::test]
async fn a_new_holder_of_the_id_fences_the_old_one_and_aborts_its_transaction() {
    let (cluster, mut client) = one_node().await;
    cluster.create_topic("t", 1, &[]).expect("created");
    let mut old = Producer::start(&mut client).await;
    add_partition(&mut client, &old).await;
    produce(&mut client, &old, 0, "lost").await;
    let new = Producer::start(&mut client).await;
    assert_eq!(new.id, old.id);
    assert!(new.epoch > old.epoch);
    let end_offset = cluster.end_offset("t", 0).expect("an offset");
    assert_eq!(
        (end_offset, cluster.last_stable_offset("t", 0).expect("an offset")),
        (2, 2)
    );
    assert_eq!(
        produce(&mut client, &old, 1, "too late").await,
        Some(E::InvalidProducerEpoch)
    );
    assert_eq!(add_partition(&mut client, &old).await, Some(E::ProducerFenced));
    assert_eq!(end(&mut client, 3, &mut old, true).await, Some(E::ProducerFenced));
    assert_eq!(add_partition(&mut client, &new).await, None);
    assert_eq!(produce(&mut client, &new, 0, "fine").await, None);
}

#[tokio::test]
async fn with_version_5_every_transaction_has_its_own_epoch() {
    let (cluster, mut client) = one_node().await;
    cluster.create_topic("t", 1, &[]).expect("created");
    let mut producer = Producer::start(&mut client).await;
    for round in 0..3 {
        assert_eq!(producer.epoch, round);
        let transactional = producer.batch(0, "v").to_bytes();
        // From version 12 on, producing adds the partition.
        let response = client.produce_as(12, Some(ID), "t", 0, transactional).await;
        assert_eq!(error(response.error_code), None);
        let before = Producer { ..producer };
        assert_eq!(end(&mut client, 5, &mut producer, true).await, None);
        let mut again = before;
        assert_eq!(end(&mut client, 5, &mut again, true).await, None, "the answer was lost");
        assert_eq!(again.epoch, producer.epoch);
    }
    assert_eq!(cluster.end_offset("t", 0).expect("an offset"), 6);
}

#[tokio::test]
async fn a_transaction_that_takes_too_long_is_aborted() {
    let (cluster, mut client) = one_node().await;
    cluster.create_topic("t", 1, &[]).expect("created");
    let mut producer = Producer::start_with_timeout(&mut client, 100).await;
    add_partition(&mut client, &producer).await;
    produce(&mut client, &producer, 0, "slow").await;
    let deadline = Instant::now() + Duration::from_secs(10);
    while cluster.last_stable_offset("t", 0).expect("an offset") < 2 {
        assert!(Instant::now() < deadline, "not aborted");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(end(&mut client, 3, &mut producer, true).await, Some(E::ProducerFenced));
}

#[tokio::test]
async fn offsets_in_a_transaction_are_unstable_until_it_ends() {
    let (cluster, mut client) = one_node().await;
    cluster.create_topic("t", 1, &[]).expect("created");
    let mut producer = Producer::start(&mut client).await;
    for (offset, committed, expected) in [(5, true, 5), (9, false, 5)] {
        let add = AddOffsetsToTxnRequest::default()
            .with_transactional_id(TransactionalId(text(ID)))
            .with_producer_id(ProducerId(producer.id))
            .with_producer_epoch(producer.epoch)
            .with_group_id(GroupId(text("g")));
        assert_eq!(error(client.call(3, add).await.error_code), None);
        let partition = TxnOffsetCommitRequestPartition::default().with_committed_offset(offset);
        let topic = TxnOffsetCommitRequestTopic::default()
            .with_name(topic_name("t"))
            .with_partitions(vec![partition]);
        let commit = TxnOffsetCommitRequest::default()
            .with_transactional_id(TransactionalId(text(ID)))
            .with_group_id(GroupId(text("g")))
            .with_producer_id(ProducerId(producer.id))
            .with_producer_epoch(producer.epoch)
            .with_generation_id(-1)
            .with_topics(vec![topic]);
        assert_eq!(
            error(client.call(3, commit).await.topics[0].partitions[0].error_code),
            None
        );
        assert_eq!(committed_offset(&mut client).await, Err(E::UnstableOffsetCommit));
        assert_eq!(end(&mut client, 3, &mut producer, committed).await, None);
        assert_eq!(committed_offset(&mut client).await, Ok(expected));
    }
}

#[tokio::test]
async fn an_id_is_looked_after_by_one_node() {
    let cluster = Cluster::builder().nodes(3).start().await.expect("a cluster");
    let mut held = 0;
    for node_id in cluster.node_ids() {
        let mut client = RawClient::connect(&cluster, node_id).await;
        let request = InitProducerIdRequest::default()
            .with_transactional_id(Some(TransactionalId(text(ID))))
            .with_transaction_timeout_ms(1000);
        match error(client.call(2, request).await.error_code) {
            None => held += 1,
            refused => assert_eq!(refused, Some(E::NotCoordinator)),
        }
    }
    assert_eq!(held, 1);
}

struct Producer {
    id: i64,
    epoch: i16,
}

impl Producer {
    async fn start(client: &mut RawClient) -> Self {
        Self::start_with_timeout(client, 60_000).await
    }

    async fn start_with_timeout(client: &mut RawClient, timeout_ms: i32) -> Self {
        let request = InitProducerIdRequest::default()
            .with_transactional_id(Some(TransactionalId(text(ID))))
            .with_transaction_timeout_ms(timeout_ms);
        let response = client.call(2, request).await;
        assert_eq!(error(response.error_code), None);
        Self {
            id: response.producer_id.0,
            epoch: response.producer_epoch,
        }
    }

    fn batch(&self, sequence: i32, value: &str) -> OutgoingBatch {
        let mut batch = batch(&[value]);
        batch.set_producer(self.id, self.epoch, sequence);
        batch.set_transactional(true);
        batch
    }
}

async fn produce(client: &mut RawClient, producer: &Producer, sequence: i32, value: &str) -> Option<E> {
    let records = producer.batch(sequence, value).to_bytes();
    error(client.produce_as(9, Some(ID), "t", 0, records).await.error_code)
}

async fn add_partition(client: &mut RawClient, producer: &Producer) -> Option<E> {
    let topic = AddPartitionsToTxnTopic::default()
        .with_name(topic_name("t"))
        .with_partitions(vec![0]);
    let request = AddPartitionsToTxnRequest::default()
        .with_v3_and_below_transactional_id(TransactionalId(text(ID)))
        .with_v3_and_below_producer_id(ProducerId(producer.id))
        .with_v3_and_below_producer_epoch(producer.epoch)
        .with_v3_and_below_topics(vec![topic]);
    let response = client.call(3, request).await;
    error(response.results_by_topic_v3_and_below[0].results_by_partition[0].partition_error_code)
}

async fn end(client: &mut RawClient, version: i16, producer: &mut Producer, committed: bool) -> Option<E> {
    let request = EndTxnRequest::default()
        .with_transactional_id(TransactionalId(text(ID)))
        .with_producer_id(ProducerId(producer.id))
        .with_producer_epoch(producer.epoch)
        .with_committed(committed);
    let response = client.call(version, request).await;
    if version >= 5 {
        *producer = Producer {
            id: response.producer_id.0,
            epoch: response.producer_epoch,
        };
    }
    error(response.error_code)
}

async fn committed_offset(client: &mut RawClient) -> Result<i64, E> {
    let topic = OffsetFetchRequestTopics::default()
        .with_name(topic_name("t"))
        .with_partition_indexes(vec![0]);
    let group = OffsetFetchRequestGroup::default()
        .with_group_id(GroupId(text("g")))
        .with_topics(Some(vec![topic]));
    let request = OffsetFetchRequest::default()
        .with_groups(vec![group])
        .with_require_stable(true);
    let response = client.call(8, request).await;
    let partition = &response.groups[0].topics[0].partitions[0];
    error(partition.error_code).map_or(Ok(partition.committed_offset), Err)
}
