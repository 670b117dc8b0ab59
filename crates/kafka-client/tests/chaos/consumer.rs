//! What a consumer does about each kind of trouble.

use std::time::Duration;

use kafka_client::consumer::{Consumer, ConsumerEvent, Polled, StartPosition};
use kafka_embedded::{ApiKey, Cluster, Control, ResponseError as E};
use kafka_wire::{Compression, TopicPartition};

use crate::support::{at, batch, cluster, consumer, entry_values, stored, tiny};

fn append(cluster: &Cluster, partition: i32, values: &[&str]) {
    let values: Vec<String> = values.iter().map(|value| (*value).to_owned()).collect();
    let batch = stored(&batch(Compression::None, &values, 0));
    cluster.append("t", partition, &batch).expect("appended");
}

/// Everything that comes within some time.
async fn read(consumer: &mut Consumer, time: Duration) -> (Vec<String>, Vec<ConsumerEvent>) {
    let (mut values, mut events) = (Vec::new(), Vec::new());
    let end = tokio::time::Instant::now() + time;
    while let Ok(Polled { fetched, events: more }) = tokio::time::timeout_at(end, consumer.poll()).await {
        events.extend(more);
        for fetched in &fetched {
            let all = fetched.batches.iter().flat_map(entry_values);
            values.extend(
                all.filter(|(offset, _)| *offset >= fetched.from)
                    .map(|(_, value)| value),
            );
        }
    }
    (values, events)
}

const SOON: Duration = Duration::from_secs(5);

/// A broker goes on looking for a topic id that its session was never told to forget, and answers at once each time.
#[tokio::test(start_paused = true)]
async fn a_topic_that_is_created_anew_is_read_on_and_said_once() {
    created_anew(&[at("t", 0), at("t", 1)]).await;
    created_anew(&[at("t", 0), at("t", 1), at("other", 0)]).await;
}

async fn created_anew(all: &[TopicPartition]) {
    let cluster = cluster(1).await;
    cluster.create_topic("other", 1, &[]).expect("created");
    cluster.create_topic("t", 2, &[]).expect("created");
    append(&cluster, 0, &["a"]);
    let mut consumer = consumer(&cluster, &[]);
    consumer.assign(all.iter().map(|name| (name.clone(), StartPosition::Reset)).collect());
    assert_eq!(read(&mut consumer, SOON).await.0, ["a"]);
    cluster.delete_topic("t").expect("deleted");
    cluster.create_topic("t", 2, &[]).expect("created");
    append(&cluster, 0, &["b", "c"]);
    let (values, events) = read(&mut consumer, SOON).await;
    let recreated =
        |event: &&ConsumerEvent| matches!(event, ConsumerEvent::TopicRecreated { topic } if &**topic == "t");
    assert_eq!(events.iter().filter(recreated).count(), 1, "{events:?}");
    assert_eq!(
        values,
        ["c"],
        "from the position that it had: where to go on is the caller's decision"
    );
    let before = cluster.count(ApiKey::Fetch);
    read(&mut consumer, Duration::from_secs(20)).await;
    let asked = cluster.count(ApiKey::Fetch) - before;
    assert!(asked <= 50, "{asked} fetches of nothing in 20 seconds");
}

#[tokio::test(start_paused = true)]
async fn metadata_that_fails_does_not_stop_what_can_be_read() {
    let cluster = cluster(1).await;
    cluster.create_topic("t", 1, &[]).expect("created");
    let mut consumer = consumer(&cluster, &[]);
    consumer.assign(vec![(at("t", 0), StartPosition::Reset)]);
    read(&mut consumer, SOON).await;
    cluster.control(ApiKey::Metadata, |_| Control::Disconnect);
    // A new partition wants metadata, and gets none.
    consumer.assign(vec![(at("t", 7), StartPosition::Reset)]);
    read(&mut consumer, SOON).await;
    append(&cluster, 0, &["a"]);
    let (values, events) = read(&mut consumer, Duration::from_millis(20)).await;
    assert_eq!(values, ["a"]);
    assert!(events.is_empty(), "{events:?}");
}

#[tokio::test(start_paused = true)]
async fn a_partition_that_is_not_there_is_said_once_and_asked_for_without_a_storm() {
    let cluster = cluster(1).await;
    let mut consumer = consumer(&cluster, &[]);
    consumer.assign(vec![(at("t", 0), StartPosition::Reset)]);
    let (_, events) = read(&mut consumer, Duration::from_secs(20)).await;
    assert_eq!(events.len(), 1, "{events:?}");
    let asked = cluster.count(ApiKey::Metadata);
    assert!(asked < 40, "{asked} metadata requests in 20 seconds");
    cluster.create_topic("t", 1, &[]).expect("created");
    append(&cluster, 0, &["a"]);
    let (values, events) = read(&mut consumer, SOON).await;
    assert_eq!(values, ["a"]);
    assert!(
        events
            .iter()
            .any(|event| matches!(event, ConsumerEvent::Recovered { .. }))
    );
}

#[tokio::test(start_paused = true)]
async fn a_damaged_batch_is_said_once() {
    let cluster = cluster(1).await;
    cluster.create_topic("t", 1, &[]).expect("created");
    append(&cluster, 0, &["a"]);
    cluster.control(ApiKey::Fetch, |request| {
        use kafka_embedded::{RequestKind, ResponseKind};
        use kafka_protocol::messages::{
            FetchResponse,
            fetch_response::{FetchableTopicResponse, PartitionData},
        };
        let RequestKind::Fetch(fetch) = request.body else {
            return Control::Pass;
        };
        let Some(topic) = fetch.topics.first() else {
            return Control::Pass;
        };
        let mut records = tiny("x").to_bytes().to_vec();
        records[16] = 9; // a magic that there is not
        let data = PartitionData::default()
            .with_high_watermark(1)
            .with_records(Some(records.into()));
        let topic = FetchableTopicResponse::default()
            .with_topic_id(topic.topic_id)
            .with_partitions(vec![data]);
        Control::Respond(Box::new(ResponseKind::Fetch(
            FetchResponse::default().with_responses(vec![topic]),
        )))
    });
    let mut consumer = consumer(&cluster, &[]);
    consumer.assign(vec![(at("t", 0), StartPosition::Offset(0))]);
    let (_, events) = read(&mut consumer, Duration::from_secs(20)).await;
    assert_eq!(events.len(), 1, "{events:?}");
    let asked = cluster.count(ApiKey::Fetch);
    assert!(asked < 40, "{asked} fetches of a damaged batch in 20 seconds");
}

#[tokio::test(start_paused = true)]
async fn deleted_and_truncated_records_are_said_exactly() {
    let cluster = cluster(1).await;
    cluster.create_topic("t", 2, &[]).expect("created");
    for partition in 0..2 {
        for _ in 0..10 {
            append(&cluster, partition, &["a"]);
        }
    }
    cluster.delete_records("t", 0, 4).expect("deleted");
    cluster.truncate("t", 1, 5).expect("truncated");
    let mut consumer = consumer(&cluster, &[]);
    consumer.assign(vec![
        (at("t", 0), StartPosition::Offset(2)),
        (at("t", 1), StartPosition::Offset(10)),
    ]);
    let (values, events) = read(&mut consumer, SOON).await;
    assert_eq!(values.len(), 6 + 5);
    let mut said: Vec<String> = events.iter().map(|event| format!("{event:?}")).collect();
    said.sort();
    assert!(matches!(&events[..], [_, _]), "{events:?}");
    assert!(
        said[0].starts_with("Gap") && said[0].ends_with("from: 2, to: 4 }"),
        "{said:?}"
    );
    assert!(
        said[1].starts_with("Rewound") && said[1].ends_with("from: 10, to: 0 }"),
        "{said:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_does_not_answer_keeps_only_its_own_partitions_waiting() {
    let cluster = cluster(2).await;
    cluster.create_topic("t", 2, &[]).expect("created");
    append(&cluster, 0, &["a"]);
    append(&cluster, 1, &["b"]);
    let dead = cluster.leader("t", 0).expect("a partition").0.expect("a leader");
    cluster.control(ApiKey::ListOffsets, move |request| match request.node_id == dead {
        true => Control::Drop,
        false => Control::Pass,
    });
    let mut consumer = consumer(&cluster, &[]);
    let both = [at("t", 0), at("t", 1)];
    consumer.assign(both.iter().map(|name| (name.clone(), StartPosition::Reset)).collect());
    assert_eq!(read(&mut consumer, SOON).await.0, ["b"]);
    cluster.clear_control(ApiKey::ListOffsets);
    assert_eq!(read(&mut consumer, Duration::from_secs(60)).await.0, ["a"]);
}

#[tokio::test(start_paused = true)]
async fn a_partition_whose_leader_refuses_does_not_stop_the_others() {
    let cluster = cluster(1).await;
    cluster.create_topic("t", 2, &[]).expect("created");
    let mut consumer = consumer(&cluster, &[]);
    let both = [at("t", 0), at("t", 1)];
    consumer.assign(both.iter().map(|name| (name.clone(), StartPosition::Reset)).collect());
    read(&mut consumer, SOON).await;
    cluster.control_once(ApiKey::Fetch, |_| Control::Error(E::TopicAuthorizationFailed));
    append(&cluster, 0, &["a"]);
    append(&cluster, 1, &["b"]);
    let (mut values, _) = read(&mut consumer, SOON).await;
    values.sort();
    assert_eq!(values, ["a", "b"]);
}
