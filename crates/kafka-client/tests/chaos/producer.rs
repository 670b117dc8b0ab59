//! What a producer does about each kind of trouble.

use std::time::Duration;

use kafka_client::{Client, Dialer, ProducerConfig, producer::Producer};
use kafka_embedded::{ApiKey, Control, RequestKind, ResponseError as E};
use kafka_wire::ErrorCode;
use tokio::time::Instant;

use crate::support::{at, client_config, cluster, entry_values, finish, idle, large, producer, tiny, values};

fn stored(cluster: &kafka_embedded::Cluster, topic: &str, partition: i32) -> Vec<String> {
    values(cluster, topic, partition)
        .into_iter()
        .map(|(_, value)| value)
        .collect()
}

/// The values in the batches of a request.
fn values_of(records: &bytes::Bytes) -> Vec<String> {
    let entries = kafka_wire::BatchIter::new(records.clone());
    let values = entries.flat_map(|entry| entry_values(&entry.expect("a batch of ours")));
    values.map(|(_, value)| value).collect()
}

#[tokio::test(start_paused = true)]
async fn a_refused_batch_gives_back_all_behind_it_and_the_other_partitions_flow_on() {
    let cluster = cluster(1).await;
    cluster
        .create_topic("t", 2, &[("max.message.bytes", "50000")])
        .expect("created");
    let mut producer = producer(&cluster);
    let too_large = crate::support::batch(kafka_wire::Compression::None, &["huge".to_owned()], 100_000);
    producer.send(0, at("t", 0), large("first"));
    producer.send(1, at("t", 0), too_large);
    for tag in 2..6 {
        producer.send(tag, at("t", 0), large(&tag.to_string()));
        producer.send(10 + tag, at("t", 1), large(&tag.to_string()));
    }
    let outcomes = finish(&mut producer, 10).await;
    let of = |partition: i32| {
        outcomes
            .iter()
            .filter(move |outcome| outcome.target.partition == partition)
    };
    assert!(of(1).all(|outcome| outcome.result.is_ok()));
    let refused: Vec<u64> = of(0)
        .filter(|outcome| outcome.result.is_err())
        .map(|outcome| outcome.tag)
        .collect();
    assert_eq!(refused, [1, 2, 3, 4, 5]);
    let code = outcomes
        .iter()
        .find_map(|outcome| outcome.result.as_ref().err())
        .and_then(|refused| refused.code);
    assert_eq!(code, Some(ErrorCode::MESSAGE_TOO_LARGE));
    for tag in 2..6 {
        producer.send(tag, at("t", 0), large(&tag.to_string()));
    }
    finish(&mut producer, 4).await;
    assert_eq!(stored(&cluster, "t", 0), ["first", "2", "3", "4", "5"]);
    assert_eq!(cluster.count(ApiKey::InitProducerId), 1, "no sequence was wasted");
}

#[tokio::test(start_paused = true)]
async fn a_lost_identity_is_replaced_and_costs_the_other_partitions_nothing() {
    for error in [E::OutOfOrderSequenceNumber, E::UnknownProducerId] {
        let cluster = cluster(1).await;
        cluster.create_topic("t", 2, &[]).expect("created");
        let mut producer = producer(&cluster);
        for partition in 0..2 {
            producer.send(0, at("t", partition), large("0"));
        }
        finish(&mut producer, 2).await;
        let mut done = false;
        cluster.control(ApiKey::Produce, move |request| match request.body {
            RequestKind::Produce(produce) if !done && produce.topic_data[0].partition_data[0].index == 0 => {
                done = true;
                Control::Error(error)
            }
            _ => Control::Pass,
        });
        for tag in 1..4 {
            producer.send(tag, at("t", 0), large(&tag.to_string()));
        }
        assert!(
            finish(&mut producer, 3)
                .await
                .iter()
                .all(|outcome| outcome.result.is_ok())
        );
        producer.send(1, at("t", 1), large("1"));
        finish(&mut producer, 1).await;
        assert_eq!(stored(&cluster, "t", 0), ["0", "1", "2", "3"]);
        let ids = |partition| {
            let batches = cluster.batches("t", partition).expect("batches");
            batches.iter().map(|batch| batch.producer_id()).collect::<Vec<_>>()
        };
        assert_ne!(ids(0)[0], ids(0)[1]);
        assert_eq!(ids(1)[0], ids(1)[1]);
    }
}

#[tokio::test(start_paused = true)]
async fn too_few_replicas_give_back_after_a_while_but_not_what_may_be_written() {
    for (error, gives_back) in [(E::NotEnoughReplicas, true), (E::NotEnoughReplicasAfterAppend, false)] {
        let cluster = cluster(1).await;
        cluster.create_topic("t", 1, &[]).expect("created");
        cluster.control(ApiKey::Produce, move |_| Control::Error(error));
        let mut producer = producer(&cluster);
        producer.send(1, at("t", 0), large("1"));
        producer.send(2, at("t", 0), large("2"));
        let began = Instant::now();
        if gives_back {
            let outcomes = finish(&mut producer, 2).await;
            assert!(outcomes.iter().all(|outcome| outcome.result.is_err()), "{outcomes:?}");
            assert!(began.elapsed() >= Duration::from_secs(30) && began.elapsed() < Duration::from_secs(40));
            producer.send(1, at("t", 0), large("1"));
        } else {
            idle(&mut producer, Duration::from_secs(120)).await;
            let asked = cluster.count(ApiKey::Produce);
            assert!(asked < 200, "{asked} requests in two minutes");
        }
        cluster.clear_control(ApiKey::Produce);
        finish(&mut producer, if gives_back { 1 } else { 2 }).await;
        assert_eq!(stored(&cluster, "t", 0)[0], "1");
    }
}

#[tokio::test(start_paused = true)]
async fn what_comes_before_a_refused_batch_is_given_back_after_it_and_never_in_one_go() {
    let cluster = cluster(1).await;
    cluster.create_topic("t", 1, &[]).expect("created");
    let mut producer = producer(&cluster);
    producer.send(0, at("t", 0), large("0"));
    finish(&mut producer, 1).await;
    // Both wait for replicas; then the second is refused for good, long after the first could have been given back.
    let began = Instant::now();
    cluster.control(ApiKey::Produce, move |request| match request.body {
        RequestKind::Produce(produce) if began.elapsed() >= Duration::from_secs(30) => {
            let records = produce.topic_data[0].partition_data[0].records.clone();
            let is_second = values_of(&records.expect("a batch")) == ["2"];
            Control::Error(if is_second {
                E::InvalidRecord
            } else {
                E::NotEnoughReplicas
            })
        }
        _ => Control::Error(E::NotEnoughReplicas),
    });
    for tag in 1..4 {
        producer.send(tag, at("t", 0), large(&tag.to_string()));
    }
    let mut turns = Vec::new();
    while producer.in_flight() > 0 {
        let outcomes = producer.outcomes().await;
        turns.push(outcomes.iter().map(|outcome| outcome.tag).collect::<Vec<_>>());
    }
    assert_eq!(turns, [vec![2, 3], vec![1]]);
}

#[tokio::test(start_paused = true)]
async fn a_missing_topic_is_waited_for_without_a_storm() {
    let cluster = cluster(1).await;
    let mut producer = producer(&cluster);
    producer.send(1, at("t", 0), tiny("1"));
    idle(&mut producer, Duration::from_secs(20)).await;
    let asked = cluster.count(ApiKey::Metadata);
    assert!((10..40).contains(&asked), "{asked} metadata requests in 20 seconds");
    cluster.create_topic("t", 1, &[]).expect("created");
    let began = Instant::now();
    assert!(finish(&mut producer, 1).await[0].result.is_ok());
    assert!(began.elapsed() < Duration::from_secs(3));
}

#[tokio::test(start_paused = true)]
async fn a_throttled_producer_waits_as_long_as_it_was_told() {
    let cluster = cluster(1).await;
    cluster.create_topic("t", 1, &[]).expect("created");
    cluster.control_once(ApiKey::Produce, |request| {
        let RequestKind::Produce(produce) = request.body else {
            return Control::Pass;
        };
        use kafka_embedded::ResponseKind;
        use kafka_protocol::messages::{ProduceResponse, produce_response};
        let partition =
            produce_response::PartitionProduceResponse::default().with_error_code(E::NotEnoughReplicas.code());
        let topic = produce_response::TopicProduceResponse::default()
            .with_name(produce.topic_data[0].name.clone())
            .with_partition_responses(vec![partition]);
        let response = ProduceResponse::default()
            .with_throttle_time_ms(5000)
            .with_responses(vec![topic]);
        Control::Respond(Box::new(ResponseKind::Produce(response)))
    });
    let mut producer = producer(&cluster);
    producer.send(1, at("t", 0), tiny("1"));
    let began = Instant::now();
    assert!(finish(&mut producer, 1).await[0].result.is_ok());
    assert!(began.elapsed() >= Duration::from_secs(5));
}

#[tokio::test(start_paused = true)]
async fn a_refused_producer_id_is_asked_for_again_and_recovers() {
    let cluster = cluster(1).await;
    cluster.create_topic("t", 1, &[]).expect("created");
    cluster.control(ApiKey::InitProducerId, |_| {
        Control::Error(E::ClusterAuthorizationFailed)
    });
    let mut producer = producer(&cluster);
    producer.send(1, at("t", 0), tiny("1"));
    idle(&mut producer, Duration::from_secs(60)).await;
    let asked = cluster.count(ApiKey::InitProducerId);
    assert!((30..90).contains(&asked), "{asked} times in a minute");
    cluster.clear_control(ApiKey::InitProducerId);
    assert!(finish(&mut producer, 1).await[0].result.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_held_producer_waits_and_goes_on_where_it_was() {
    let cluster = cluster(1).await;
    cluster.create_topic("t", 1, &[]).expect("created");
    let (hold, held) = tokio::sync::watch::channel(false);
    let mut producer = producer(&cluster).held_by(held);
    producer.send(1, at("t", 0), tiny("1"));
    finish(&mut producer, 1).await;
    cluster.control_once(ApiKey::Produce, |_| Control::Error(E::NotEnoughReplicas));
    producer.send(2, at("t", 0), tiny("2"));
    idle(&mut producer, Duration::from_millis(1)).await;
    hold.send(true).expect("the producer listens");
    producer.send(3, at("t", 0), tiny("3"));
    let asked = cluster.count(ApiKey::Produce);
    idle(&mut producer, Duration::from_secs(600)).await;
    assert_eq!(cluster.count(ApiKey::Produce), asked);
    hold.send(false).expect("the producer listens");
    finish(&mut producer, 2).await;
    assert_eq!(stored(&cluster, "t", 0), ["1", "2", "3"]);
}

/// While a broker takes long to accept a connection there is nothing to do; a deadline that lies in the past would
/// keep the loop turning, and the paused clock would never move.
#[tokio::test(start_paused = true)]
async fn a_broker_that_does_not_accept_keeps_nobody_busy() {
    let cluster = cluster(2).await;
    cluster.create_topic("t", 2, &[]).expect("created");
    let hangs = cluster.port(2).expect("a port");
    let broken = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
    let inner = cluster.clone();
    let dialer = Dialer::from_fn(move |_host, port| {
        let (cluster, broken) = (inner.clone(), broken.clone());
        async move {
            let node = if port == hangs { 2 } else { 1 };
            if node == 2 {
                match broken.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
                    0..2 => return Err(std::io::ErrorKind::ConnectionRefused.into()),
                    2 => tokio::time::sleep(Duration::from_secs(5)).await,
                    _ => {}
                }
            }
            cluster
                .connect(node)
                .await
                .map_err(|_| std::io::ErrorKind::ConnectionRefused.into())
        }
    });
    let config = ProducerConfig::parse(&[("bootstrap.servers".to_owned(), "in-memory:1".to_owned())].into());
    let mut producer = Producer::new(
        Client::new(client_config(&cluster), dialer),
        config.expect("a configuration"),
    );
    for partition in 0..2 {
        producer.send(partition as u64, at("t", partition), tiny("1"));
    }
    assert!(
        finish(&mut producer, 2)
            .await
            .iter()
            .all(|outcome| outcome.result.is_ok())
    );
}
