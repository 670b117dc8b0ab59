//! A producer that writes in transactions: what is committed is there once, what is not is not, and who was fenced writes
//! no more.

use std::sync::Arc;
use std::time::Duration;

use kafka_client::consumer::StartPosition;
use kafka_client::{Admin, ProducerConfig, producer::Producer};
use kafka_embedded::{ApiKey, Cluster, Control, ResponseError as E};
use kafka_wire::ErrorCode;
use rand::RngExt as _;

use crate::support::{self, LONG, at, client, cluster, consumer, entry_values, finish, large, tiny};

fn transactional(cluster: &Arc<Cluster>, id: &str) -> Producer {
    let config = ProducerConfig::parse(&[("bootstrap.servers".to_owned(), "in-memory:1".to_owned())].into());
    Producer::transactional(client(cluster), config.expect("a configuration"), id)
}

async fn initialised(cluster: &Arc<Cluster>, id: &str) -> Producer {
    let mut producer = transactional(cluster, id);
    let init = tokio::time::timeout(LONG, producer.init_transactions()).await;
    init.expect("in time").expect("initialised");
    producer
}

async fn commit(producer: &mut Producer) -> Result<(), kafka_client::Error> {
    tokio::time::timeout(LONG, producer.commit()).await.expect("in time")
}

/// What a reader of committed records sees of partitions of `t`.
async fn committed(cluster: &Arc<Cluster>, partitions: i32) -> Vec<Vec<String>> {
    let mut consumer = consumer(cluster, &[("isolation.level", "read_committed")]);
    let all = (0..partitions).map(|partition| (at("t", partition), StartPosition::Reset));
    consumer.assign(all.collect());
    let mut seen = vec![Vec::new(); partitions as usize];
    while let Ok(polled) = tokio::time::timeout(Duration::from_secs(2), consumer.poll()).await {
        for fetched in polled.fetched {
            let values = fetched.batches.iter().flat_map(entry_values);
            let values = values
                .filter(|(offset, _)| *offset >= fetched.from)
                .map(|(_, value)| value);
            seen[fetched.partition.partition as usize].extend(values);
        }
    }
    seen
}

#[tokio::test(start_paused = true)]
async fn what_was_written_together_counts_together() {
    let cluster = cluster(3).await;
    cluster.create_topic("t", 3, &[]).expect("created");
    let mut producer = initialised(&cluster, "id").await;
    for round in 0..3 {
        for partition in 0..3 {
            producer.send(0, at("t", partition), large(&format!("{round} a")));
            producer.send(1, at("t", partition), large(&format!("{round} b")));
        }
        assert!(
            finish(&mut producer, 6)
                .await
                .iter()
                .all(|outcome| outcome.result.is_ok())
        );
        assert!(producer.has_open_transaction());
        let before: usize = committed(&cluster, 3).await.iter().map(Vec::len).sum();
        assert_eq!(before, round * 6, "nothing counts before the end");
        commit(&mut producer).await.expect("committed");
        assert!(!producer.has_open_transaction());
    }
    let expected = ["0 a", "0 b", "1 a", "1 b", "2 a", "2 b"];
    assert_eq!(
        committed(&cluster, 3).await,
        vec![expected.map(str::to_owned).to_vec(); 3]
    );
    assert_eq!(cluster.count(ApiKey::InitProducerId), 1);
    // All partitions of a transaction in few requests, whatever is sent.
    assert!(cluster.count(ApiKey::AddPartitionsToTxn) <= 9);
    commit(&mut producer).await.expect("nothing to do");
    assert_eq!(cluster.count(ApiKey::EndTxn), 3);
}

#[tokio::test(start_paused = true)]
async fn a_second_producer_fences_the_first_and_aborts_what_it_left() {
    let cluster = cluster(1).await;
    cluster.create_topic("t", 1, &[]).expect("created");
    let mut first = initialised(&cluster, "id").await;
    first.send(0, at("t", 0), tiny("lost"));
    finish(&mut first, 1).await;
    let mut second = initialised(&cluster, "id").await;
    second.send(0, at("t", 0), tiny("kept"));
    finish(&mut second, 1).await;

    // Be it by its end, or by a batch.
    let error = commit(&mut first).await.expect_err("fenced");
    assert!(error.is_fenced(), "{}", error.chain());
    assert!(first.failure().is_some_and(kafka_client::Error::is_fenced));
    let mut third = initialised(&cluster, "other").await;
    third.send(0, at("t", 0), tiny("also lost"));
    finish(&mut third, 1).await;
    let fenced = Admin::new(client(&cluster))
        .fence_producers(vec!["other".into(), "new".into()])
        .await;
    assert!(fenced.len() == 2 && fenced.values().all(Result::is_ok), "{fenced:?}");
    for tag in 0..3 {
        third.send(tag, at("t", 0), large("late"));
    }
    let outcomes = finish(&mut third, 3).await;
    assert!(outcomes.iter().all(|outcome| outcome.result.is_err()));
    assert!(third.failure().is_some_and(kafka_client::Error::is_fenced));
    // Nothing waits for ever, and nothing goes on.
    third.send(9, at("t", 0), tiny("later"));
    assert!(finish(&mut third, 1).await[0].result.is_err());
    assert!(commit(&mut third).await.is_err());

    commit(&mut second).await.expect("committed");
    assert_eq!(committed(&cluster, 1).await, [["kept"]]);
}

#[tokio::test(start_paused = true)]
async fn a_transaction_that_takes_too_long_is_fenced_too() {
    let cluster = cluster(1).await;
    cluster.create_topic("t", 1, &[]).expect("created");
    let mut producer = initialised(&cluster, "id").await;
    producer.send(0, at("t", 0), tiny("slow"));
    finish(&mut producer, 1).await;
    tokio::time::sleep(Duration::from_secs(70)).await;
    assert!(commit(&mut producer).await.is_err_and(|error| error.is_fenced()));
    let mut again = initialised(&cluster, "id").await;
    again.send(0, at("t", 0), tiny("fast"));
    finish(&mut again, 1).await;
    commit(&mut again).await.expect("committed");
    assert_eq!(committed(&cluster, 1).await, [["fast"]]);
}

#[tokio::test(start_paused = true)]
async fn who_gives_up_takes_back_what_is_not_committed() {
    let cluster = cluster(1).await;
    cluster.create_topic("t", 1, &[]).expect("created");
    let mut producer = initialised(&cluster, "id").await;
    producer.send(0, at("t", 0), tiny("kept"));
    finish(&mut producer, 1).await;
    commit(&mut producer).await.expect("committed");
    producer.send(0, at("t", 0), tiny("lost"));
    finish(&mut producer, 1).await;
    tokio::time::timeout(LONG, producer.give_up())
        .await
        .expect("in time")
        .expect("given up");
    cluster
        .append("t", 0, &support::stored(&tiny("plain")))
        .expect("appended");
    assert_eq!(committed(&cluster, 1).await, [["kept", "plain"]]);

    // But not from one that has taken its place.
    let mut late = initialised(&cluster, "id").await;
    late.send(0, at("t", 0), tiny("late"));
    finish(&mut late, 1).await;
    let mut next = initialised(&cluster, "id").await;
    next.send(0, at("t", 0), tiny("next"));
    finish(&mut next, 1).await;
    assert!(late.give_up().await.is_err());
    commit(&mut next).await.expect("committed");
    assert_eq!(committed(&cluster, 1).await, [["kept", "plain", "next"]]);
}

#[tokio::test(start_paused = true)]
async fn a_partition_that_may_not_be_written_keeps_nobody_else_out() {
    let cluster = cluster(1).await;
    cluster
        .create_topic("t", 1, &[("max.message.bytes", "50000")])
        .expect("created");
    let mut producer = initialised(&cluster, "id").await;
    let too_large = support::batch(kafka_wire::Compression::None, &["huge".to_owned()], 100_000);
    producer.send(0, at("t", 0), large("a"));
    producer.send(1, at("t", 0), too_large);
    producer.send(2, at("t", 0), large("behind"));
    producer.send(3, at("gone", 0), large("nowhere"));
    let outcomes = finish(&mut producer, 4).await;
    let mut written: Vec<u64> = outcomes
        .iter()
        .filter(|outcome| outcome.result.is_ok())
        .map(|outcome| outcome.tag)
        .collect();
    written.sort_unstable();
    assert_eq!(written, [0]);
    commit(&mut producer).await.expect("what was written counts");
    producer.send(2, at("t", 0), large("again"));
    finish(&mut producer, 1).await;
    commit(&mut producer).await.expect("committed");
    assert_eq!(committed(&cluster, 1).await, [["a", "again"]]);
}

/// Answers are lost, coordinators and leaders say they are not, connections break: each value is there once, in order.
#[tokio::test(start_paused = true)]
async fn trouble_repeats_nothing_and_loses_nothing() {
    for seed in support::seeds() {
        support::announce(seed);
        tokio::time::timeout(LONG * 10, run(seed)).await.expect("nothing hangs");
    }
}

async fn run(seed: u64) {
    let mut rng = support::rng(seed);
    let cluster = cluster(3).await;
    cluster.create_topic("t", 3, &[]).expect("created");
    let mut producer = initialised(&cluster, "id").await;
    for (api, errors) in [
        (
            ApiKey::EndTxn,
            vec![
                E::ConcurrentTransactions,
                E::NotCoordinator,
                E::CoordinatorLoadInProgress,
            ],
        ),
        (
            ApiKey::AddPartitionsToTxn,
            vec![E::ConcurrentTransactions, E::CoordinatorNotAvailable],
        ),
        (ApiKey::Produce, vec![E::NotLeaderOrFollower, E::NotEnoughReplicas]),
    ] {
        let mut dice = support::rng(rng.random());
        cluster.control(api, move |_| match dice.random_range(0..10) {
            0 => Control::LoseReply,
            1 => Control::Disconnect,
            2..4 => Control::Error(errors[dice.random_range(0..errors.len())]),
            _ => Control::Pass,
        });
    }
    let mut expected = vec![Vec::new(); 3];
    for round in 0..30 {
        let mut sent = 0;
        for partition in 0..3 {
            for number in 0..rng.random_range(0..4) {
                let value = format!("{round}-{number}");
                producer.send(
                    sent,
                    at("t", partition),
                    if number % 2 == 0 { tiny(&value) } else { large(&value) },
                );
                expected[partition as usize].push(value);
                sent += 1;
            }
        }
        for outcome in finish(&mut producer, sent as usize).await {
            let code = outcome.result.as_ref().err().and_then(|refused| refused.code);
            assert!(
                outcome.result.is_ok(),
                "{outcome:?} {}",
                code.unwrap_or(ErrorCode::NONE)
            );
        }
        commit(&mut producer).await.expect("committed");
    }
    for api in [ApiKey::EndTxn, ApiKey::AddPartitionsToTxn, ApiKey::Produce] {
        cluster.clear_control(api);
    }
    assert_eq!(committed(&cluster, 3).await, expected);
}
