//! What goes wrong, and how a member gets over it.

use std::sync::Arc;
use std::time::Duration;

use connect_group::{ConnectProtocol, Error, GroupConfig, Member, RevocationReason};
use kafka_embedded::{ApiKey, Cluster, Control, ResponseError};
use tokio::time::Instant;

use super::CONNECTORS;
use super::support::{Topic, Worker, cluster, lock, share, until, work};

async fn one_worker(cluster: &Arc<Cluster>) -> Worker {
    let worker = Worker::start(cluster, &Topic::of(CONNECTORS), "w1");
    until("it runs everything", || share(&[&worker], &work(CONNECTORS))).await;
    worker
}

async fn two_workers(cluster: &Arc<Cluster>, topic: &Topic) -> (Worker, Worker) {
    let first = Worker::start(cluster, topic, "w1");
    until("one leads", || first.is_leader()).await;
    let second = Worker::start(cluster, topic, "w2");
    until("two share", || share(&[&first, &second], &work(CONNECTORS))).await;
    (first, second)
}

#[tokio::test(start_paused = true)]
async fn an_idle_member_heartbeats_every_three_seconds() {
    let cluster = cluster(1).await;
    let _worker = one_worker(&cluster).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    let before = cluster.count(ApiKey::Heartbeat);
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(cluster.count(ApiKey::Heartbeat) - before, 10);
}

#[tokio::test(start_paused = true)]
async fn the_heartbeats_after_a_round_come_soon() {
    let cluster = cluster(1).await;
    let (_first, _second) = two_workers(&cluster, &Topic::of(CONNECTORS)).await;
    let before = cluster.count(ApiKey::Heartbeat);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let beats = cluster.count(ApiKey::Heartbeat) - before;
    assert!((4..=8).contains(&beats), "{beats} of two workers in a second");
}

#[tokio::test(start_paused = true)]
async fn a_coordinator_that_stays_away_suspends_everything_until_it_is_back() {
    let cluster = cluster(1).await;
    let worker = one_worker(&cluster).await;
    let generation = worker.round().generation;
    for _ in 0..2 {
        cluster.stop_node(1).await.expect("it runs");
        let gone = Instant::now();
        until("everything is suspended", || worker.view().is_suspended).await;
        assert!(
            gone.elapsed() >= Duration::from_secs(3),
            "not before a heartbeat interval has passed"
        );
        cluster.start_node(1).await.expect("its port is free");
        until("it goes on", || share(&[&worker], &work(CONNECTORS))).await;
    }
    assert!(worker.view().revoked.is_empty());
    assert_eq!(worker.view().suspensions, 2);
    assert_eq!(worker.round().generation, generation);
}

#[tokio::test(start_paused = true)]
async fn a_cut_network_suspends_everything_before_the_others_can_take_over() {
    let cluster = cluster(1).await;
    let worker = one_worker(&cluster).await;
    // The heartbeats have found their interval.
    tokio::time::sleep(Duration::from_secs(20)).await;
    for request in [ApiKey::Heartbeat, ApiKey::FindCoordinator, ApiKey::Metadata] {
        cluster.control(request, |_| Control::Drop);
    }
    let cut = Instant::now();
    until("everything is suspended", || worker.view().is_suspended).await;
    let (session, look) = (Duration::from_secs(10), Duration::from_millis(100));
    assert!(cut.elapsed() <= session + look, "{:?}", cut.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_group_that_went_on_without_a_worker_takes_everything_from_it() {
    let cluster = cluster(1).await;
    let worker = one_worker(&cluster).await;
    cluster.stop_node(1).await.expect("it runs");
    until("everything is suspended", || worker.view().is_suspended).await;
    cluster.control_once(ApiKey::Heartbeat, |_| Control::Error(ResponseError::UnknownMemberId));
    cluster.start_node(1).await.expect("its port is free");
    until("everything is stopped", || !worker.view().revoked.is_empty()).await;
    assert_eq!(worker.view().revoked, [(RevocationReason::Lost, work(CONNECTORS))]);
    until("it runs everything again", || share(&[&worker], &work(CONNECTORS))).await;
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_starts_before_its_cluster_waits_for_it() {
    let cluster = cluster(1).await;
    cluster.stop_node(1).await.expect("it runs");
    let worker = Worker::start(&cluster, &Topic::of(CONNECTORS), "w1");
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(worker.view().outcome.is_none() && worker.view().revoked.is_empty());
    cluster.start_node(1).await.expect("its port is free");
    until("it runs everything", || share(&[&worker], &work(CONNECTORS))).await;
}

#[tokio::test(start_paused = true)]
async fn a_worker_without_a_cluster_stops_at_once() {
    let cluster = cluster(1).await;
    let worker = one_worker(&cluster).await;
    cluster.stop_node(1).await.expect("it runs");
    until("everything is suspended", || worker.view().is_suspended).await;
    let asked = Instant::now();
    worker.stop().await;
    assert!(asked.elapsed() <= Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_coordinator_that_moves_stops_nothing() {
    let cluster = cluster(2).await;
    let worker = one_worker(&cluster).await;
    let generation = worker.round().generation;
    for trouble in [
        Control::Error(ResponseError::NotCoordinator),
        Control::Error(ResponseError::CoordinatorNotAvailable),
        Control::Disconnect,
        Control::LoseReply,
    ] {
        let mut trouble = Some(trouble);
        cluster.control_once(ApiKey::Heartbeat, move |_| trouble.take().unwrap_or(Control::Pass));
        let before = cluster.count(ApiKey::FindCoordinator);
        until("it looks for the coordinator", || {
            cluster.count(ApiKey::FindCoordinator) > before
        })
        .await;
        tokio::time::sleep(Duration::from_secs(30)).await;
    }
    assert!(worker.view().revoked.is_empty());
    assert_eq!(worker.round().generation, generation);
}

#[tokio::test(start_paused = true)]
async fn a_silent_coordinator_is_given_up_at_the_end_of_the_session() {
    let cluster = cluster(1).await;
    let worker = one_worker(&cluster).await;
    cluster.control_once(ApiKey::Heartbeat, |_| Control::Drop);
    let before = cluster.count(ApiKey::FindCoordinator);
    let silent = Instant::now();
    until("it looks for the coordinator", || {
        cluster.count(ApiKey::FindCoordinator) > before
    })
    .await;
    assert!(silent.elapsed() < Duration::from_secs(14));
    until("it runs everything", || share(&[&worker], &work(CONNECTORS))).await;
}

#[tokio::test(start_paused = true)]
async fn a_member_that_was_forgotten_joins_again_and_keeps_running() {
    for (error, same_id) in [
        (ResponseError::UnknownMemberId, false),
        (ResponseError::IllegalGeneration, true),
        (ResponseError::RebalanceInProgress, true),
    ] {
        let cluster = cluster(1).await;
        let worker = one_worker(&cluster).await;
        let before = worker.round();
        cluster.control_once(ApiKey::Heartbeat, move |_| Control::Error(error));
        until("it joins again", || worker.round().generation > before.generation).await;
        assert_eq!(worker.round().member_id == before.member_id, same_id, "{error:?}");
        if same_id {
            assert!(worker.view().revoked.is_empty(), "{error:?}");
        }
        until("it runs everything", || share(&[&worker], &work(CONNECTORS))).await;
    }
}

#[tokio::test(start_paused = true)]
async fn joining_survives_what_may_pass() {
    let cluster = cluster(1).await;
    for error in [
        ResponseError::CoordinatorLoadInProgress,
        ResponseError::NotCoordinator,
        ResponseError::RebalanceInProgress,
        ResponseError::UnknownMemberId,
    ] {
        cluster.control_once(ApiKey::JoinGroup, move |_| Control::Error(error));
        cluster.control_once(ApiKey::SyncGroup, move |_| Control::Error(error));
    }
    cluster.control_once(ApiKey::SyncGroup, |_| Control::Error(ResponseError::IllegalGeneration));
    cluster.control_once(ApiKey::JoinGroup, |_| Control::Disconnect);
    cluster.control_once(ApiKey::SyncGroup, |_| Control::LoseReply);
    cluster.control_once(ApiKey::FindCoordinator, |_| {
        Control::Error(ResponseError::CoordinatorNotAvailable)
    });
    one_worker(&cluster).await;
}

#[tokio::test(start_paused = true)]
async fn what_only_a_person_can_mend_ends_the_member() {
    for error in [
        ResponseError::InconsistentGroupProtocol,
        ResponseError::InvalidSessionTimeout,
        ResponseError::GroupAuthorizationFailed,
        ResponseError::GroupMaxSizeReached,
    ] {
        let cluster = cluster(1).await;
        cluster.control(ApiKey::JoinGroup, move |_| Control::Error(error));
        let worker = Worker::start(&cluster, &Topic::of(CONNECTORS), "w1");
        until("it gives up", || worker.view().outcome.is_some()).await;
        let outcome = worker.view().outcome.take();
        let Some(Err(Error::Refused { what, source, .. })) = outcome else {
            panic!("not refused: {outcome:?}");
        };
        assert_eq!((what, source.0), ("JoinGroup", error.code()));
    }
    let cluster = cluster(1).await;
    cluster.control(ApiKey::FindCoordinator, |_| {
        Control::Error(ResponseError::GroupAuthorizationFailed)
    });
    let worker = Worker::start(&cluster, &Topic::of(CONNECTORS), "w1");
    until("it gives up", || {
        matches!(worker.view().outcome, Some(Err(Error::Client { .. })))
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_is_behind_catches_up_before_it_assigns() {
    let (cluster, topic) = (cluster(1).await, Topic::of(CONNECTORS));
    let (first, second) = two_workers(&cluster, &topic).await;
    let more = &[("a", 4), ("b", 2), ("c", 1)];
    topic.write(more);
    second.copy.see();
    second.handle.rejoin("a new connector");
    until("they share", || share(&[&first, &second], &work(more))).await;
    let failed = |worker: &Worker| worker.view().rounds.iter().any(|round| round.failed);
    assert!(
        failed(&first) && failed(&second),
        "the leader had to say that it cannot"
    );
}

#[tokio::test(start_paused = true)]
async fn a_follower_that_is_behind_catches_up_before_it_starts() {
    let (cluster, topic) = (cluster(1).await, Topic::of(CONNECTORS));
    let (first, second) = two_workers(&cluster, &topic).await;
    let more = &[("a", 4), ("b", 2), ("c", 1)];
    topic.write(more);
    first.copy.see();
    first.handle.rejoin("a new connector");
    until("they share", || share(&[&first, &second], &work(more))).await;
    assert!(!second.view().rounds.iter().any(|round| round.failed));
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_cannot_read_leaves_backs_off_and_stops_everything_in_the_end() {
    let (cluster, topic) = (cluster(1).await, Topic::of(CONNECTORS));
    let (first, second) = two_workers(&cluster, &topic).await;
    let held = second.running();
    second.copy.be_stuck(true);
    let more = &[("a", 4), ("b", 2), ("c", 1)];
    topic.write(more);
    first.copy.see();
    first.handle.rejoin("a new connector");
    let left = cluster.count(ApiKey::LeaveGroup);
    until("it leaves", || cluster.count(ApiKey::LeaveGroup) > left).await;
    let joined = cluster.count(ApiKey::JoinGroup);
    assert_eq!(second.running(), held, "what runs goes on while it stays away");
    until("it stops everything", || second.running().is_empty()).await;
    assert_eq!(
        second.view().revoked.last().expect("a revocation").0,
        RevocationReason::OutOfSync
    );
    assert!(
        cluster.count(ApiKey::JoinGroup) <= joined + 2,
        "only the other one joins meanwhile"
    );
    second.copy.be_stuck(false);
    until("they share", || share(&[&first, &second], &work(more))).await;
}

#[tokio::test(start_paused = true)]
async fn work_that_takes_long_to_stop_is_waited_for_with_heartbeats() {
    let (cluster, topic) = (cluster(1).await, Topic::of(CONNECTORS));
    let first = Worker::start(&cluster, &topic, "w1");
    until("it runs everything", || share(&[&first], &work(CONNECTORS))).await;
    *lock(&first.stopping) = Duration::from_secs(45);
    let before = cluster.count(ApiKey::Heartbeat);
    let second = Worker::start(&cluster, &topic, "w2");
    until("two share", || share(&[&first, &second], &work(CONNECTORS))).await;
    assert!(cluster.count(ApiKey::Heartbeat) - before >= 2 * 45 / 3);
    assert_eq!(cluster.count(ApiKey::LeaveGroup), 0);
}

#[tokio::test(start_paused = true)]
async fn a_coordinator_that_moves_while_work_stops_is_found_again() {
    let (cluster, topic) = (cluster(1).await, Topic::of(CONNECTORS));
    let first = Worker::start(&cluster, &topic, "w1");
    until("it runs everything", || share(&[&first], &work(CONNECTORS))).await;
    let member_id = first.round().member_id.clone();
    *lock(&first.stopping) = Duration::from_secs(45);
    let second = Worker::start(&cluster, &topic, "w2");
    until("the round that takes work away is made", || {
        !second.view().rounds.is_empty()
    })
    .await;
    let mut trouble = 2;
    cluster.control(ApiKey::Heartbeat, move |request| {
        match trouble > 0 && request.client_id.contains("w1") {
            true => {
                trouble -= 1;
                Control::Error(ResponseError::NotCoordinator)
            }
            false => Control::Pass,
        }
    });
    until("two share, and are in one generation", || {
        share(&[&first, &second], &work(CONNECTORS)) && first.round().generation == second.round().generation
    })
    .await;
    assert_eq!(first.round().member_id, member_id, "its session went on");
}

#[tokio::test(start_paused = true)]
async fn work_that_takes_too_long_to_stop_costs_the_membership_but_not_the_work() {
    let (cluster, topic) = (cluster(1).await, Topic::of(CONNECTORS));
    let first = Worker::start(&cluster, &topic, "w1");
    until("it runs everything", || share(&[&first], &work(CONNECTORS))).await;
    *lock(&first.stopping) = Duration::from_secs(90);
    let member_id = first.round().member_id.clone();
    let second = Worker::start(&cluster, &topic, "w2");
    until("it leaves", || cluster.count(ApiKey::LeaveGroup) == 1).await;
    *lock(&first.stopping) = Duration::ZERO;
    until("two share", || share(&[&first, &second], &work(CONNECTORS))).await;
    assert_ne!(first.round().member_id, member_id);
}

#[tokio::test(start_paused = true)]
async fn an_eager_worker_alone_leads_and_runs_everything() {
    let cluster = cluster(1).await;
    let eager = Worker::with_protocol(&cluster, &Topic::of(CONNECTORS), "w1", ConnectProtocol::Eager);
    until("it runs everything", || share(&[&eager], &work(CONNECTORS))).await;
    assert_eq!(eager.round().protocol, ConnectProtocol::Eager);
    assert!(eager.round().is_leader);
}

#[tokio::test(start_paused = true)]
async fn leaving_does_not_wait_for_a_join_that_waits() {
    let (cluster, topic) = (cluster(1).await, Topic::of(CONNECTORS));
    let (first, second) = two_workers(&cluster, &topic).await;
    // The first is busy stopping, so that the join of the third waits for it.
    *lock(&first.stopping) = Duration::from_secs(50);
    *lock(&second.stopping) = Duration::from_secs(50);
    let third = Worker::start(&cluster, &topic, "w3");
    tokio::time::sleep(Duration::from_secs(5)).await;
    let fourth = Worker::start(&cluster, &topic, "w4");
    tokio::time::sleep(Duration::from_secs(5)).await;
    let asked = Instant::now();
    fourth.stop().await;
    assert!(asked.elapsed() <= Duration::from_secs(1));
    assert_eq!(cluster.count(ApiKey::LeaveGroup), 1);
    until("three share", || share(&[&first, &second, &third], &work(CONNECTORS))).await;
}

#[test]
fn heartbeats_must_fit_into_a_session() {
    let mut config = GroupConfig::new("g", "http://w/");
    config.heartbeat_interval = config.session_timeout;
    let dialer = kafka_client::Dialer::from_fn(|_, _| async {
        Err::<tokio::io::DuplexStream, _>(std::io::ErrorKind::ConnectionRefused.into())
    });
    let client = kafka_client::Client::new(kafka_client::ClientConfig::default(), dialer);
    struct Nothing;
    impl connect_group::ConfigSnapshots for Nothing {
        fn snapshot(&self) -> connect_group::ConfigSnapshot {
            connect_group::ConfigSnapshot::default()
        }
        fn read_to_end(&self) -> futures_util::future::BoxFuture<'static, Result<(), connect_group::CatchUpError>> {
            Box::pin(async { Ok(()) })
        }
    }
    let refused = Member::new(client, config, Arc::new(Nothing));
    assert!(matches!(refused, Err(Error::HeartbeatInterval)));
}
