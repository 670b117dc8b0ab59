//! Which broker is asked, over which connection, against a scripted cluster in simulated time.

use std::time::Duration;

use kafka_protocol::messages::ApiKey;
use kafka_protocol::messages::{HeartbeatRequest, HeartbeatResponse};
use kafka_wire::TopicPartition;

use super::*;
use crate::test_cluster::{TestCluster, encode};

fn client(cluster: &TestCluster, bootstrap: &[u16]) -> Client {
    Client::new(TestCluster::config(bootstrap), cluster.dialer())
}

#[tokio::test(start_paused = true)]
async fn a_new_client_does_no_io() {
    let cluster = TestCluster::new(&[(1, 9001)], 1);
    let client = client(&cluster, &[9001]);
    assert!(client.metadata().refreshed_at.is_none());
    assert!(cluster.dials().is_empty());
}

#[tokio::test(start_paused = true)]
async fn refreshes_at_the_same_time_share_requests() {
    let cluster = TestCluster::new(&[(1, 9001)], 1);
    let client = client(&cluster, &[9001]);
    let refreshes = (0..20).map(|_| client.refresh_metadata(Topics::All));
    for refreshed in futures_util::future::join_all(refreshes).await {
        assert_eq!(refreshed.expect("the broker is up").brokers.len(), 1);
    }
    let requests = cluster.requests(ApiKey::Metadata).len();
    assert!(
        requests <= 2,
        "{requests}: the first to come asks, and those who came meanwhile share one more"
    );
    client.refresh_metadata(Topics::All).await.expect("the broker is up");
    assert_eq!(
        cluster.requests(ApiKey::Metadata).len(),
        requests + 1,
        "a later one asks again"
    );
}

#[tokio::test(start_paused = true)]
async fn metadata_is_asked_anew_when_old_or_silent_on_a_topic() {
    let cluster = TestCluster::new(&[(1, 9001)], 1);
    cluster.set_topic("orders", &[(1, 0)]);
    let client = client(&cluster, &[9001]);
    let orders = [Arc::from("orders")];
    for _ in 0..3 {
        client.fresh_metadata(&orders).await.expect("the broker is up");
    }
    assert_eq!(cluster.requests(ApiKey::Metadata).len(), 1);
    tokio::time::sleep(Duration::from_secs(301)).await;
    client.fresh_metadata(&orders).await.expect("the broker is up");
    assert_eq!(cluster.requests(ApiKey::Metadata).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_next_bootstrap_server_is_tried_when_one_is_down() {
    let cluster = TestCluster::new(&[(2, 9002)], 2);
    cluster.take_down(9001);
    let client = client(&cluster, &[9001, 9002]);
    for _ in 0..5 {
        client.refresh_metadata(Topics::All).await.expect("one of them is up");
    }
}

#[tokio::test(start_paused = true)]
async fn when_nobody_answers_the_error_says_who_was_tried_and_why() {
    let cluster = TestCluster::new(&[], -1);
    cluster.take_down(9001);
    let client = client(&cluster, &[9001]);
    let error = client.refresh_metadata(Topics::All).await.expect_err("it is down");
    assert_eq!(
        error.chain(),
        "no broker can be reached; tried kafka:9001: cannot connect to kafka:9001: connection refused"
    );
    assert_eq!(client.metrics().connections_failed(), 1);
}

#[tokio::test(start_paused = true)]
async fn reconnecting_slows_down_to_the_maximum() {
    let cluster = TestCluster::new(&[], -1);
    cluster.take_down(9001);
    let client = client(&cluster, &[9001]);
    let give_up = tokio::time::sleep(Duration::from_secs(10));
    tokio::pin!(give_up);
    loop {
        tokio::select! {
            _ = client.any_connection() => {}
            () = &mut give_up => break,
        }
    }
    // 0, 50, 100, 200, 400, 800 ms and then every second, give or take 20 %.
    let dials = cluster.dials().len();
    assert!((13..=18).contains(&dials), "{dials}");
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_comes_back_is_used_again() {
    let cluster = TestCluster::new(&[(1, 9001)], 1);
    let client = client(&cluster, &[9001]);
    client.refresh_metadata(Topics::All).await.expect("it is up");
    cluster.take_down(9001);
    client.refresh_metadata(Topics::All).await.expect_err("it is down");
    cluster.bring_up(9001);
    client.refresh_metadata(Topics::All).await.expect("it is back");
}

#[tokio::test(start_paused = true)]
async fn when_the_known_brokers_are_gone_the_bootstrap_servers_are_asked() {
    let cluster = TestCluster::new(&[(1, 9001)], 1);
    let config = TestCluster::config(&[9000]); // an address of its own, such as a load balancer's
    let with = |metadata_recovery| {
        Client::new(
            ClientConfig {
                metadata_recovery,
                ..config.clone()
            },
            cluster.dialer(),
        )
    };
    let (rebootstrap, stay) = (with(MetadataRecovery::Rebootstrap), with(MetadataRecovery::None));
    for client in [&rebootstrap, &stay] {
        client.refresh_metadata(Topics::All).await.expect("it is up");
        client.connection(1, Role::General).await.expect("it is up");
    }
    cluster.take_down(9001);
    cluster.set_brokers(&[(2, 9002)], 2);
    let metadata = rebootstrap
        .refresh_metadata(Topics::All)
        .await
        .expect("a bootstrap server is up");
    assert!(metadata.brokers.contains_key(&2));
    assert!(matches!(
        stay.refresh_metadata(Topics::All).await,
        Err(Error::NoBrokers { .. })
    ));
}

#[tokio::test(start_paused = true)]
async fn each_role_has_a_connection_of_its_own_and_callers_share_it() {
    let cluster = TestCluster::new(&[(1, 9001)], 1);
    let client = client(&cluster, &[9001]);
    client.refresh_metadata(Topics::All).await.expect("it is up");
    let fetches = (0..10).map(|_| client.connection(1, Role::Fetch(0)));
    for connection in futures_util::future::join_all(fetches).await {
        connection.expect("it is up");
    }
    client.connection(1, Role::Fetch(1)).await.expect("it is up");
    client.connection(1, Role::Produce(0)).await.expect("it is up");
    client.connection(1, Role::General).await.expect("it is up");
    assert_eq!(
        cluster.dials().len(),
        4,
        "the bootstrap connection serves as the general one"
    );
    assert_eq!(client.metrics().connections_open(), 4);
}

#[tokio::test(start_paused = true)]
async fn an_unknown_broker_is_looked_for_once() {
    let cluster = TestCluster::new(&[(1, 9001)], 1);
    let client = client(&cluster, &[9001]);
    let error = client.connection(7, Role::General).await.expect_err("there is none");
    assert!(matches!(error, Error::UnknownBroker { node_id: 7 }));
    assert_eq!(cluster.requests(ApiKey::Metadata).len(), 1);
    cluster.set_brokers(&[(1, 9001), (7, 9007)], 1);
    client.connection(7, Role::General).await.expect("it has joined");
}

#[tokio::test(start_paused = true)]
async fn the_controller_is_asked_what_is_the_controllers() {
    let cluster = TestCluster::new(&[(1, 9001), (2, 9002)], 2);
    cluster.handle(|request| encode(&HeartbeatResponse::default(), request.version));
    let client = client(&cluster, &[9001]);
    client
        .call_controller(HeartbeatRequest::default())
        .await
        .expect("it is up");
    client
        .call_node(1, HeartbeatRequest::default())
        .await
        .expect("it is up");
    assert_eq!(cluster.requests(ApiKey::Heartbeat), [9002, 9001]);
}

#[tokio::test(start_paused = true)]
async fn a_leader_hint_brings_a_new_broker() {
    let cluster = TestCluster::new(&[(1, 9001)], 1);
    cluster.set_topic("orders", &[(1, 0)]);
    let client = client(&cluster, &[9001]);
    client.refresh_metadata(Topics::All).await.expect("it is up");
    let orders_0 = TopicPartition::new("orders", 0);
    client.leader_hints(&[LeaderHint {
        partition: orders_0.clone(),
        leader_id: 5,
        leader_epoch: 3,
        endpoint: Some(HostPort::new("kafka", 9005)),
    }]);
    assert_eq!(client.metadata().leader(&orders_0), Some((5, 3)));
    client
        .connection(5, Role::Produce(0))
        .await
        .expect("its address came with the hint");
    assert_eq!(cluster.dials().last(), Some(&9005));
}

#[tokio::test(start_paused = true)]
async fn a_closed_client_fails_what_is_under_way_and_connects_again_when_asked() {
    let cluster = TestCluster::new(&[(1, 9001)], 1);
    let client = client(&cluster, &[9001]);
    client.refresh_metadata(Topics::All).await.expect("it is up");
    let connection = client.connection(1, Role::General).await.expect("it is up");
    client.close();
    assert!(connection.is_closed());
    client.refresh_metadata(Topics::All).await.expect("it is up");
}

#[tokio::test(start_paused = true)]
async fn a_wrong_port_is_told_at_once_unless_another_broker_may_come_back() {
    let http = Dialer::from_fn(|_host, port| async move {
        match port {
            80 => Ok(tokio::io::join(&b"HTTP/1.1 400 Bad Request\r\n"[..], tokio::io::sink())),
            _ => Err(std::io::ErrorKind::ConnectionRefused.into()),
        }
    });
    let with = |ports: &[u16]| Client::new(TestCluster::config(ports), http.clone());
    let error = with(&[80]).any_connection().await.expect_err("it is no broker");
    assert!(error.chain().contains("it speaks HTTP"), "{}", error.chain());
    assert!(!is_retriable(&error));
    for _ in 0..5 {
        let error = with(&[80, 9092]).any_connection().await.expect_err("neither is there");
        assert!(is_retriable(&error), "{}", error.chain());
    }
}
