//! A group's life over sockets and on the real clock: against the embedded Kafka, or against the one in
//! `HELIOGRAPH_BOOTSTRAP` (`host:port`).

use std::time::Duration;

use connect_group::{ConnectProtocol, GroupConfig};
use kafka_client::{Client, Dialer};

use super::CONNECTORS;
use super::support::{Copy, Topic, Worker, client_config, cluster, share, until, url, work};

/// Some ten rounds, a session and two delays of a second.
const LONG: Duration = Duration::from_secs(120);

#[tokio::test]
async fn workers_come_go_and_disagree_on_the_protocol() {
    tokio::time::timeout(LONG, a_groups_life()).await.expect("in time");
}

async fn a_groups_life() {
    let embedded = cluster(1).await;
    let bootstrap = std::env::var("HELIOGRAPH_BOOTSTRAP").unwrap_or_else(|_| embedded.bootstrap_servers());
    let group_id = format!("connect-{}", std::process::id());
    let topic = Topic::of(CONNECTORS);
    let start = |name: &'static str, protocol: ConnectProtocol| {
        let mut config = GroupConfig::new(group_id.as_str(), url(name));
        config.protocol = protocol;
        config.session_timeout = Duration::from_secs(6);
        config.heartbeat_interval = Duration::from_millis(200);
        config.scheduled_rebalance_max_delay = Duration::from_secs(1);
        let client = Client::new(client_config(&bootstrap, name), Dialer::tcp());
        Worker::of(client, config, Copy::of(&topic), name)
    };

    let first = start("w1", ConnectProtocol::Sessioned);
    until("one runs everything", || share(&[&first], &work(CONNECTORS))).await;
    let second = start("w2", ConnectProtocol::Sessioned);
    until("two share", || share(&[&first, &second], &work(CONNECTORS))).await;
    let third = start("w3", ConnectProtocol::Eager);
    let all = [&first, &second, &third];
    until("three share eagerly", || {
        share(&all, &work(CONNECTORS))
            && all
                .iter()
                .all(|worker| worker.round().protocol == ConnectProtocol::Eager)
    })
    .await;
    third.stop().await;
    until("two share again", || {
        first.round().protocol == ConnectProtocol::Sessioned && share(&[&first, &second], &work(CONNECTORS))
    })
    .await;
    second.crash().await;
    until("one runs everything, after session and delay", || {
        share(&[&first], &work(CONNECTORS))
    })
    .await;
    first.stop().await;
}
