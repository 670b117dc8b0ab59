//! Retries and routing of the admin client against a scripted cluster in simulated time.

use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use kafka_protocol::messages::create_topics_response::CreatableTopicResult;
use kafka_protocol::messages::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use kafka_protocol::messages::{
    ApiKey, CreateTopicsRequest, CreateTopicsResponse, ListOffsetsRequest, ListOffsetsResponse,
};
use tokio::time::Instant;

use super::*;
use crate::config::IsolationLevel;
use crate::test_cluster::{Request, TestCluster, decode, encode};

fn admin(cluster: &TestCluster) -> Admin {
    Admin::new(Client::new(TestCluster::config(&[9001]), cluster.dialer()))
}

fn created(request: &Request, code: impl Fn(&str) -> ErrorCode) -> Bytes {
    let topics = decode::<CreateTopicsRequest>(request).topics;
    let result = |name: &TopicName| {
        CreatableTopicResult::default()
            .with_name(name.clone())
            .with_error_code(code(name).0)
    };
    let topics = topics.iter().map(|topic| result(&topic.name)).collect();
    encode(&CreateTopicsResponse::default().with_topics(topics), request.version)
}

fn new_topics(names: &[&str]) -> Vec<NewTopic> {
    names.iter().map(|name| NewTopic::new(*name, 1, 1)).collect()
}

/// Tasks of a worker move between threads.
#[test]
fn futures_of_the_admin_client_are_send() {
    fn check<T: Send>(_: T) {}
    let admin = Admin::new(Client::new(
        TestCluster::config(&[9001]),
        TestCluster::default().dialer(),
    ));
    check(admin.create_topics(Vec::new()));
    check(admin.describe_topics(&[]));
    check(admin.describe_configs(Vec::new()));
    check(admin.list_offsets(Vec::new(), IsolationLevel::ReadCommitted));
    check(admin.list_groups());
    check(admin.describe_groups(&[]));
    check(admin.alter_group_offsets("", Vec::new()));
    check(admin.create_acls(&[]));
}

#[tokio::test(start_paused = true)]
async fn a_topic_is_created_by_the_new_controller_when_it_moves() {
    let cluster = TestCluster::new(&[(1, 9001), (2, 9002)], 1);
    let moved = cluster.clone();
    cluster.handle(move |request| {
        moved.set_brokers(&[(1, 9001), (2, 9002)], 2);
        let code = if request.port == 9001 {
            ErrorCode::NOT_CONTROLLER
        } else {
            ErrorCode::NONE
        };
        created(request, |_| code)
    });
    let results = admin(&cluster)
        .create_topics(new_topics(&["orders"]))
        .await
        .expect("brokers are up");
    assert!(results["orders"].is_ok());
    assert_eq!(cluster.requests(ApiKey::CreateTopics), [9001, 9002]);
}

#[tokio::test(start_paused = true)]
async fn a_final_error_of_one_topic_is_its_own_result_at_once() {
    let cluster = TestCluster::new(&[(1, 9001)], 1);
    cluster.handle(|request| {
        created(request, |name| match name {
            "there" => ErrorCode::TOPIC_ALREADY_EXISTS,
            "secret" => ErrorCode::TOPIC_AUTHORIZATION_FAILED,
            _ => ErrorCode::NONE,
        })
    });
    let started = Instant::now();
    let results = admin(&cluster)
        .create_topics(new_topics(&["new", "there", "secret"]))
        .await
        .expect("it is up");
    assert!(results["new"].is_ok());
    assert_eq!(
        results["there"].as_ref().expect_err("it exists").code(),
        Some(ErrorCode::TOPIC_ALREADY_EXISTS)
    );
    let chain = results["secret"].as_ref().expect_err("it is forbidden").chain();
    assert_eq!(
        chain,
        "creating topic secret was refused; the principal needs CREATE on the topic or on the cluster: TOPIC_AUTHORIZATION_FAILED"
    );
    assert!(started.elapsed().is_zero());
}

#[tokio::test(start_paused = true)]
async fn only_what_failed_for_a_while_is_asked_again_and_not_for_ever() {
    let cluster = TestCluster::new(&[(1, 9001)], 1);
    let asked_for = Arc::new(AtomicUsize::new(0));
    let count = asked_for.clone();
    cluster.handle(move |request| {
        count.fetch_add(decode::<CreateTopicsRequest>(request).topics.len(), Ordering::Relaxed);
        created(request, |name| {
            if name == "slow" {
                ErrorCode::THROTTLING_QUOTA_EXCEEDED
            } else {
                ErrorCode::NONE
            }
        })
    });
    let results = admin(&cluster)
        .create_topics(new_topics(&["quick", "slow"]))
        .await
        .expect("it is up");
    assert!(results["quick"].is_ok());
    let error = results["slow"].as_ref().expect_err("it stays so");
    assert!(matches!(error, Error::Timeout { .. }), "{error:?}");
    let requests = cluster.requests(ApiKey::CreateTopics).len();
    assert!((55..80).contains(&requests), "{requests} in a minute");
    assert_eq!(
        asked_for.load(Ordering::Relaxed),
        requests + 1,
        "the one that succeeded was asked for once"
    );
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_is_down_fails_the_call_when_time_is_up() {
    let cluster = TestCluster::new(&[(1, 9001)], 1);
    cluster.take_down(9001);
    let started = Instant::now();
    let error = admin(&cluster)
        .create_topics(new_topics(&["orders"]))
        .await
        .expect_err("nobody is there");
    assert!(matches!(error, Error::Timeout { .. }), "{error:?}");
    assert!(
        (55..=60).contains(&started.elapsed().as_secs()),
        "{:?}",
        started.elapsed()
    );
}

fn offsets(request: &Request, code: ErrorCode) -> Bytes {
    let topics = decode::<ListOffsetsRequest>(request).topics;
    let partition = |index| {
        ListOffsetsPartitionResponse::default()
            .with_partition_index(index)
            .with_offset(if code.is_none() { i64::from(request.port) } else { -1 })
            .with_error_code(code.0)
    };
    let topic = |topic: &kafka_protocol::messages::list_offsets_request::ListOffsetsTopic| {
        let partitions = topic
            .partitions
            .iter()
            .map(|asked| partition(asked.partition_index))
            .collect();
        ListOffsetsTopicResponse::default()
            .with_name(topic.name.clone())
            .with_partitions(partitions)
    };
    let topics = topics.iter().map(topic).collect();
    encode(&ListOffsetsResponse::default().with_topics(topics), request.version)
}

fn latest(partitions: &[i32]) -> Vec<(TopicPartition, OffsetSpec)> {
    partitions
        .iter()
        .map(|number| (TopicPartition::new("orders", *number), OffsetSpec::Latest))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn offsets_are_asked_of_each_leader_once() {
    let cluster = TestCluster::new(&[(1, 9001), (2, 9002)], 1);
    cluster.set_topic("orders", &[(1, 0), (2, 0), (1, 0), (2, 0)]);
    cluster.handle(|request| offsets(request, ErrorCode::NONE));
    let found = admin(&cluster)
        .list_offsets(latest(&[0, 1, 2, 3]), IsolationLevel::ReadUncommitted)
        .await;
    let found = found.expect("brokers are up");
    for (number, port) in [(0, 9001), (1, 9002), (2, 9001), (3, 9002)] {
        let info = found[&TopicPartition::new("orders", number)]
            .as_ref()
            .expect("it has a leader");
        assert_eq!(info.offset, port);
    }
    let mut ports = cluster.requests(ApiKey::ListOffsets);
    ports.sort_unstable();
    assert_eq!(ports, [9001, 9002]);
}

#[tokio::test(start_paused = true)]
async fn offsets_are_asked_of_the_new_leader_when_it_moves() {
    let cluster = TestCluster::new(&[(1, 9001), (2, 9002)], 1);
    cluster.set_topic("orders", &[(1, 0)]);
    let moved = cluster.clone();
    cluster.handle(move |request| {
        moved.set_topic("orders", &[(2, 1)]);
        let code = if request.port == 9001 {
            ErrorCode::NOT_LEADER_OR_FOLLOWER
        } else {
            ErrorCode::NONE
        };
        offsets(request, code)
    });
    let found = admin(&cluster)
        .list_offsets(latest(&[0]), IsolationLevel::ReadUncommitted)
        .await;
    assert!(found.expect("brokers are up")[&TopicPartition::new("orders", 0)].is_ok());
    assert_eq!(cluster.requests(ApiKey::ListOffsets), [9001, 9002]);
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_is_down_does_not_keep_the_answers_of_the_others() {
    let cluster = TestCluster::new(&[(1, 9001), (2, 9002)], 1);
    cluster.set_topic("orders", &[(1, 0), (2, 0)]);
    cluster.handle(|request| offsets(request, ErrorCode::NONE));
    cluster.take_down(9002);
    let found = admin(&cluster)
        .list_offsets(latest(&[0, 1]), IsolationLevel::ReadUncommitted)
        .await;
    let found = found.expect("one broker is up");
    assert!(found[&TopicPartition::new("orders", 0)].is_ok());
    assert!(matches!(
        found[&TopicPartition::new("orders", 1)],
        Err(Error::Timeout { .. })
    ));
}
