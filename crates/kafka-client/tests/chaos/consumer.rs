//! What a consumer does about each kind of trouble.

use std::sync::atomic::{AtomicI16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kafka_client::Error;
use kafka_client::consumer::{Consumer, ConsumerEvent, Polled, StartPosition};
use kafka_embedded::{ApiKey, Cluster, Control, Request, RequestKind, ResponseError as E, ResponseKind};
use kafka_protocol::messages::FetchResponse;
use kafka_protocol::messages::fetch_response::{FetchableTopicResponse, PartitionData};
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

/// Reads ten records from a fresh log.
async fn ten_read(cluster: Arc<Cluster>, settings: &[(&str, &str)]) -> (Arc<Cluster>, Consumer) {
    cluster.create_topic("t", 1, &[]).expect("created");
    for number in 0..10 {
        append(&cluster, 0, &[&format!("old {number}")]);
    }
    let mut consumer = consumer(&cluster, settings);
    consumer.assign(vec![(at("t", 0), StartPosition::Offset(0))]);
    assert_eq!(read(&mut consumer, SOON).await.0.len(), 10);
    (cluster, consumer)
}

/// An unclean election: what was read from offset 6 on is gone, and others have taken its place.
fn cut_and_grow(cluster: &Cluster, grow: usize) {
    cluster.truncate("t", 0, 6).expect("truncated");
    for number in 6..6 + grow {
        append(cluster, 0, &[&format!("new {number}")]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_log_that_was_cut_and_grew_past_the_position_is_read_on_where_it_parts() {
    let (cluster, mut consumer) = ten_read(cluster(1).await, &[]).await;
    cut_and_grow(&cluster, 8);
    let (values, events) = read(&mut consumer, SOON).await;
    let expected: Vec<String> = (6..14).map(|number| format!("new {number}")).collect();
    assert_eq!(values, expected);
    assert!(
        matches!(&events[..], [ConsumerEvent::Rewound { from: 10, to: 6, .. }]),
        "{events:?}"
    );
    // And once more: the epoch of what is now read is known as well.
    cut_and_grow(&cluster, 20);
    let (values, events) = read(&mut consumer, SOON).await;
    assert_eq!(values.len(), 20);
    assert!(
        matches!(&events[..], [ConsumerEvent::Rewound { from: 14, to: 6, .. }]),
        "{events:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_log_that_was_cut_short_of_the_position_is_read_on_at_its_end() {
    let (cluster, mut consumer) = ten_read(cluster(1).await, &[]).await;
    cut_and_grow(&cluster, 1);
    let (values, events) = read(&mut consumer, SOON).await;
    assert_eq!(values, ["new 6"]);
    assert!(
        matches!(&events[..], [ConsumerEvent::Rewound { from: 10, to: 6, .. }]),
        "{events:?}"
    );
}

/// Fetches before version 12 do not say what was read last; there the client asks when the leader changed.
#[tokio::test(start_paused = true)]
async fn a_log_that_was_cut_is_noticed_on_an_old_broker() {
    let old = Cluster::builder().max_version(ApiKey::Fetch, 11);
    let (cluster, mut consumer) = ten_read(Arc::new(old.start().await.expect("a cluster")), &[]).await;
    cut_and_grow(&cluster, 8);
    let (values, events) = read(&mut consumer, SOON).await;
    assert_eq!(values.len(), 8, "{values:?}");
    assert!(
        matches!(&events[..], [ConsumerEvent::Rewound { from: 10, to: 6, .. }]),
        "{events:?}"
    );
    let asked = cluster.count(ApiKey::OffsetForLeaderEpoch);
    // A leader that changes without a loss is asked as well, and nothing is said.
    cluster.move_leader("t", 0, 1).expect("moved");
    append(&cluster, 0, &["more"]);
    let (values, events) = read(&mut consumer, SOON).await;
    assert_eq!((values, events.len()), (vec!["more".to_owned()], 0));
    assert_eq!(cluster.count(ApiKey::OffsetForLeaderEpoch), asked + 1);
}

#[tokio::test(start_paused = true)]
async fn without_a_policy_a_cut_log_waits_for_a_person() {
    let (cluster, mut consumer) = ten_read(cluster(1).await, &[("auto.offset.reset", "none")]).await;
    cut_and_grow(&cluster, 8);
    let (values, events) = read(&mut consumer, SOON).await;
    assert!(values.is_empty(), "{values:?}");
    assert!(
        matches!(
            &events[..],
            [ConsumerEvent::Unavailable {
                error: Error::NoOffset { wanted: Some(10), .. },
                ..
            }]
        ),
        "{events:?}"
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

/// From the first version that 4.x brokers take to the last: with and without sessions, by name and by id.
#[tokio::test(start_paused = true)]
async fn every_version_of_fetch_reads() {
    for version in 4..=17 {
        let builder = Cluster::builder().nodes(2).max_version(ApiKey::Fetch, version);
        let cluster = Arc::new(builder.start().await.expect("a cluster"));
        let seen = Arc::new(AtomicI16::new(0));
        let last = seen.clone();
        cluster.control(ApiKey::Fetch, move |request| {
            last.store(request.version, Ordering::Relaxed);
            Control::Pass
        });
        cluster.create_topic("t", 2, &[]).expect("created");
        cluster.create_topic("u", 1, &[]).expect("created");
        append(&cluster, 0, &["a"]);
        append(&cluster, 1, &["b"]);
        let mut consumer = consumer(&cluster, &[]);
        let all = [at("t", 0), at("t", 1), at("u", 0)];
        consumer.assign(all.iter().map(|name| (name.clone(), StartPosition::Reset)).collect());
        let (mut values, _) = read(&mut consumer, SOON).await;
        values.sort();
        assert_eq!(values, ["a", "b"], "version {version}");
        consumer.pause(&at("t", 1));
        append(&cluster, 0, &["c"]);
        append(&cluster, 1, &["d"]);
        assert_eq!(read(&mut consumer, SOON).await.0, ["c"], "version {version}");
        consumer.resume(&at("t", 1));
        assert_eq!(read(&mut consumer, SOON).await.0, ["d"], "version {version}");
        cluster.move_leader("t", 0, 1).expect("moved");
        cluster.move_leader("t", 0, 2).expect("moved");
        append(&cluster, 0, &["e"]);
        let (values, events) = read(&mut consumer, SOON).await;
        assert_eq!(values, ["e"], "version {version}");
        assert!(events.is_empty(), "version {version}: {events:?}");
        assert_eq!(seen.load(Ordering::Relaxed), version);
    }
}

/// Brokers before KIP-74, and some that are none, cut even the first batch off where the answer is full.
#[tokio::test(start_paused = true)]
async fn a_batch_larger_than_a_fetch_is_asked_for_with_more_and_more_bytes() {
    let cluster = cluster(1).await;
    cluster.create_topic("t", 1, &[]).expect("created");
    append(&cluster, 0, &["a"]);
    let large = batch(Compression::None, &["large".to_owned()], 20_000);
    cluster.append("t", 0, &stored(&large)).expect("appended");
    append(&cluster, 0, &["b"]);
    let asked: Arc<Mutex<Vec<i32>>> = Arc::default();
    let log = asked.clone();
    let source = cluster.clone();
    cluster.control(ApiKey::Fetch, move |request| cut_answer(&source, request, &log));
    let mut consumer = consumer(&cluster, &[("max.partition.fetch.bytes", "1000")]);
    consumer.assign(vec![(at("t", 0), StartPosition::Offset(0))]);
    let (values, events) = read(&mut consumer, SOON).await;
    assert_eq!(values, ["a", "large", "b"]);
    assert!(events.is_empty(), "{events:?}");
    let mut asked = asked.lock().expect("not poisoned").clone();
    asked.dedup();
    assert_eq!(
        asked,
        [1000, 2000, 4000, 8000, 16_000, 32_000, 1000],
        "twice as much each time, then as before"
    );
}

/// Answers with as many bytes as were asked for, wherever that cuts, and without a session.
fn cut_answer(cluster: &Cluster, request: &Request<'_>, asked: &Mutex<Vec<i32>>) -> Control {
    let RequestKind::Fetch(fetch) = request.body else {
        return Control::Pass;
    };
    let topic = &fetch.topics[0];
    let wanted = &topic.partitions[0];
    asked.lock().expect("not poisoned").push(wanted.partition_max_bytes);
    let batches = cluster.batches("t", 0).expect("a partition");
    let rest = batches
        .iter()
        .filter(|batch| batch.last_offset() >= wanted.fetch_offset);
    let mut records: Vec<u8> = rest.flat_map(|batch| batch.as_bytes().to_vec()).collect();
    records.truncate(wanted.partition_max_bytes as usize);
    let data = PartitionData::default()
        .with_high_watermark(3)
        .with_last_stable_offset(3)
        .with_records(Some(records.into()));
    let topic = FetchableTopicResponse::default()
        .with_topic_id(topic.topic_id)
        .with_partitions(vec![data]);
    Control::Respond(Box::new(ResponseKind::Fetch(
        FetchResponse::default().with_responses(vec![topic]),
    )))
}
