//! Members of one group against an embedded Kafka, on a paused clock.

mod over_tcp;
mod support;
mod trouble;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use connect_group::{ConnectProtocol, GroupConfig, RevocationReason, TaskId, Work};
use kafka_embedded::{ApiKey, Control, RequestKind};

use support::{MAX_DELAY, Topic, Worker, cluster, lock, share, until, url, work};

const CONNECTORS: &[(&str, u32)] = &[("a", 4), ("b", 2)];

#[tokio::test(start_paused = true)]
async fn a_worker_alone_leads_and_runs_everything() {
    let cluster = cluster(1).await;
    let first = Worker::start(&cluster, &Topic::of(CONNECTORS), "w1");
    until("it runs everything", || share(&[&first], &work(CONNECTORS))).await;
    let round = first.round();
    assert!(round.is_leader && !round.failed);
    assert_eq!(*round.leader_url, url("w1"));
    assert_eq!(round.protocol, ConnectProtocol::Sessioned);
    assert_eq!(round.config_offset, 1);
    assert!(round.member_id.starts_with("connect-w1:8083-"));
    assert!(first.view().revoked.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_goes_over_the_wire_is_a_java_workers() {
    let cluster = cluster(1).await;
    let seen: Arc<Mutex<Vec<RequestKind>>> = Arc::default();
    for key in [ApiKey::JoinGroup, ApiKey::LeaveGroup] {
        let seen = seen.clone();
        cluster.control(key, move |request| {
            lock(&seen).push(request.body.clone());
            Control::Pass
        });
    }
    let first = Worker::start(&cluster, &Topic::of(CONNECTORS), "w1");
    until("it runs everything", || share(&[&first], &work(CONNECTORS))).await;
    first.stop().await;
    let seen = lock(&seen);
    let [
        RequestKind::JoinGroup(without_id),
        RequestKind::JoinGroup(with_id),
        RequestKind::LeaveGroup(leave),
    ] = &seen[..]
    else {
        panic!("not two joins and a leave: {seen:?}");
    };
    assert_eq!(&*without_id.member_id, "");
    assert_ne!(&*with_id.member_id, "");
    assert_eq!(&*with_id.protocol_type, "connect");
    assert_eq!(
        (with_id.session_timeout_ms, with_id.rebalance_timeout_ms),
        (10_000, 60_000)
    );
    assert_eq!(with_id.group_instance_id, None);
    let names: Vec<&str> = with_id.protocols.iter().map(|protocol| &*protocol.name).collect();
    assert_eq!(names, ["sessioned", "compatible", "default"]);
    assert_eq!(leave.members[0].member_id, with_id.member_id);
    assert_eq!(leave.members[0].reason.as_deref(), Some("the consumer is being closed"));
}

#[tokio::test(start_paused = true)]
async fn two_and_three_workers_share_and_the_leader_knows_the_owners() {
    let (cluster, topic) = (cluster(1).await, Topic::of(CONNECTORS));
    let first = Worker::start(&cluster, &topic, "w1");
    until("one runs everything", || share(&[&first], &work(CONNECTORS))).await;
    let second = Worker::start(&cluster, &topic, "w2");
    until("two share", || share(&[&first, &second], &work(CONNECTORS))).await;
    let third = Worker::start(&cluster, &topic, "w3");
    let all = [&first, &second, &third];
    until("three share", || share(&all, &work(CONNECTORS))).await;
    until("all are in the last round", || {
        all.iter()
            .all(|worker| worker.round().generation == first.round().generation)
    })
    .await;
    assert!(first.is_leader() && !second.is_leader() && !third.is_leader());
    let owners = first.round().owners.clone().expect("it leads");
    for worker in all {
        assert_eq!(*worker.round().leader_url, url("w1"));
        assert_eq!(worker.round().work, worker.running());
        for connector in &worker.running().connectors {
            assert_eq!(**owners.of_connector(connector).expect("an owner"), url(worker.name));
        }
        for task in &worker.running().tasks {
            assert_eq!(**owners.of_task(task).expect("an owner"), url(worker.name));
        }
    }
    assert!(second.round().owners.is_none());
    // Nobody stopped more than what moved.
    assert!(third.view().revoked.is_empty());
    let by_leader = |worker: &Worker| {
        let view = worker.view();
        view.revoked
            .iter()
            .all(|(reason, _)| *reason == RevocationReason::ByLeader)
    };
    assert!(all.iter().all(|worker| by_leader(worker)));
}

#[tokio::test(start_paused = true)]
async fn work_of_a_worker_that_leaves_waits_for_it_and_then_moves() {
    let (cluster, topic) = (cluster(1).await, Topic::of(CONNECTORS));
    let first = Worker::start(&cluster, &topic, "w1");
    until("one leads", || first.is_leader()).await;
    let second = Worker::start(&cluster, &topic, "w2");
    until("two share", || share(&[&first, &second], &work(CONNECTORS))).await;
    let kept = first.running();
    second.stop().await;
    until("the leader waits", || first.round().delay == Some(MAX_DELAY)).await;
    tokio::time::sleep(MAX_DELAY / 2).await;
    assert_eq!(first.running(), kept, "nothing moves before the delay is over");
    until("one runs everything", || share(&[&first], &work(CONNECTORS))).await;
    assert_eq!(first.round().delay, None);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_returns_in_time_gets_the_work_back() {
    let (cluster, topic) = (cluster(1).await, Topic::of(CONNECTORS));
    let first = Worker::start(&cluster, &topic, "w1");
    until("one leads", || first.is_leader()).await;
    let second = Worker::start(&cluster, &topic, "w2");
    until("two share", || share(&[&first, &second], &work(CONNECTORS))).await;
    let (kept, lost) = (first.running(), second.running());
    second.crash().await;
    until("the leader waits", || first.round().delay.is_some()).await;
    let again = Worker::start(&cluster, &topic, "w2");
    until("two share", || share(&[&first, &again], &work(CONNECTORS))).await;
    assert_eq!((first.running(), again.running()), (kept, lost));
}

#[tokio::test(start_paused = true)]
async fn without_a_delay_lost_work_moves_at_once() {
    let (cluster, topic) = (cluster(1).await, Topic::of(CONNECTORS));
    let no_delay = |config: &mut GroupConfig| config.scheduled_rebalance_max_delay = Duration::ZERO;
    let first = Worker::with_config(&cluster, &topic, "w1", no_delay);
    until("one leads", || first.is_leader()).await;
    let second = Worker::with_config(&cluster, &topic, "w2", no_delay);
    until("two share", || share(&[&first, &second], &work(CONNECTORS))).await;
    second.crash().await;
    until("one runs everything", || share(&[&first], &work(CONNECTORS))).await;
    let delays: Vec<_> = first.view().rounds.iter().map(|round| round.delay).collect();
    assert!(delays.iter().all(Option::is_none), "{delays:?}");
}

#[tokio::test(start_paused = true)]
async fn the_next_leader_takes_over() {
    let (cluster, topic) = (cluster(1).await, Topic::of(CONNECTORS));
    let first = Worker::start(&cluster, &topic, "w1");
    until("one leads", || first.is_leader()).await;
    let second = Worker::start(&cluster, &topic, "w2");
    until("two share", || share(&[&first, &second], &work(CONNECTORS))).await;
    first.stop().await;
    until("the other leads and runs everything", || {
        second.is_leader() && share(&[&second], &work(CONNECTORS))
    })
    .await;
    assert_eq!(*second.round().leader_url, url("w2"));
    let owners = second.round().owners.clone().expect("it leads");
    assert_eq!(**owners.of_connector("a").expect("an owner"), url("w2"));
}

#[tokio::test(start_paused = true)]
async fn new_connectors_are_shared_and_deleted_ones_stopped() {
    let (cluster, topic) = (cluster(1).await, Topic::of(&[]));
    let first = Worker::start(&cluster, &topic, "w1");
    until("one leads", || first.is_leader()).await;
    let second = Worker::start(&cluster, &topic, "w2");
    let both = [&first, &second];
    for connectors in [CONNECTORS, &[("a", 4)], &[("a", 1), ("c", 3)], &[]] {
        topic.write(connectors);
        for worker in both {
            worker.copy.see();
            worker.handle.rejoin("connectors changed");
        }
        until("they share", || share(&both, &work(connectors))).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_eager_worker_makes_the_group_eager_for_as_long_as_it_stays() {
    let (cluster, topic) = (cluster(1).await, Topic::of(CONNECTORS));
    let first = Worker::start(&cluster, &topic, "w1");
    until("one runs everything", || share(&[&first], &work(CONNECTORS))).await;
    let compatible = Worker::with_protocol(&cluster, &topic, "w2", ConnectProtocol::Compatible);
    until("two share", || share(&[&first, &compatible], &work(CONNECTORS))).await;
    assert_eq!(first.round().protocol, ConnectProtocol::Compatible);

    let eager = Worker::with_protocol(&cluster, &topic, "w3", ConnectProtocol::Eager);
    let all = [&first, &compatible, &eager];
    until("three share", || share(&all, &work(CONNECTORS))).await;
    assert!(
        all.iter()
            .all(|worker| worker.round().protocol == ConnectProtocol::Eager)
    );

    // The next eager round stops everything first.
    let before = eager.running();
    first.handle.rejoin("to see what happens");
    let stopped = |worker: &Worker, work: &Work| {
        let view = worker.view();
        view.revoked
            .iter()
            .any(|(reason, revoked)| *reason == RevocationReason::Eager && revoked == work)
    };
    until("the eager worker stops its work", || stopped(&eager, &before)).await;
    until("three share again", || share(&all, &work(CONNECTORS))).await;

    eager.stop().await;
    until("two share incrementally", || {
        first.round().protocol == ConnectProtocol::Compatible && share(&[&first, &compatible], &work(CONNECTORS))
    })
    .await;
    compatible.stop().await;
    until("one is left", || {
        first.round().protocol == ConnectProtocol::Sessioned && share(&[&first], &work(CONNECTORS))
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn tasks_of_inconsistent_connectors_are_not_assigned() {
    let (cluster, topic) = (cluster(1).await, Topic::of(&[("a", 0)]));
    let first = Worker::start(&cluster, &topic, "w1");
    until("the connector runs", || share(&[&first], &work(&[("a", 0)]))).await;
    topic.write(&[("a", 1)]);
    first.copy.see();
    first.handle.rejoin("task configurations are complete");
    until("its task runs", || first.running().tasks.contains(&TaskId::new("a", 0))).await;
}
