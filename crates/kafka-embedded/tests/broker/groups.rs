use bytes::Bytes;
use kafka_embedded::{Cluster, ResponseError as E};
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::*;
use tokio::time::{Duration, Instant};

use crate::raw::{RawClient, text, topic_name};
use crate::{error, one_node};

const GROUP: &str = "connect-cluster";

#[tokio::test]
async fn two_members_rebalance_sync_and_leave() {
    let (cluster, mut one) = one_node().await;
    let mut two = RawClient::connect(&cluster, 1).await;

    let first = join_new(&mut one).await;
    assert_eq!(
        (first.leader.clone(), first.generation_id),
        (first.member_id.clone(), 1)
    );
    assert_eq!(first.protocol_name, Some(text("compatible")));
    assert_eq!(
        sync(&mut one, &first, &[(&first.member_id, "all")]).await,
        Ok(Bytes::from("all"))
    );
    assert_eq!(heartbeat(&mut one, &first).await, None);

    // A second member: the first hears of it by its heartbeat, and both join again.
    let second_id = member_id(&mut two).await;
    two.send(9, &join(&second_id)).await;
    wait_for(async || heartbeat(&mut one, &first).await == Some(E::RebalanceInProgress)).await;
    let first = one.call(9, join(&first.member_id)).await;
    let (_, second) = two.receive::<JoinGroupRequest>(9).await.expect("joined");
    assert_eq!((first.generation_id, second.generation_id), (2, 2));
    assert_eq!((first.members.len(), second.members.len()), (2, 0));
    assert_eq!(second.leader, first.member_id);

    two.send(5, &sync_request(&second, &[])).await;
    let assignments = [(&*first.member_id, "one"), (&*second.member_id, "two")];
    assert_eq!(sync(&mut one, &first, &assignments).await, Ok(Bytes::from("one")));
    let (_, synced) = two.receive::<SyncGroupRequest>(5).await.expect("synced");
    assert_eq!(synced.assignment, Bytes::from("two"));

    let described = one
        .call(
            5,
            DescribeGroupsRequest::default().with_groups(vec![GroupId(text(GROUP))]),
        )
        .await;
    let described = &described.groups[0];
    assert_eq!(
        (described.group_state.as_str(), described.protocol_type.as_str()),
        ("Stable", "connect")
    );
    assert_eq!(described.members.len(), 2);

    let member = MemberIdentity::default().with_member_id(second.member_id.clone());
    let leave = LeaveGroupRequest::default()
        .with_group_id(GroupId(text(GROUP)))
        .with_members(vec![member]);
    assert_eq!(two.call(4, leave).await.members[0].error_code, 0);
    assert_eq!(heartbeat(&mut one, &first).await, Some(E::RebalanceInProgress));
    assert_eq!(heartbeat(&mut two, &second).await, Some(E::UnknownMemberId));
    let alone = one.call(9, join(&first.member_id)).await;
    assert_eq!((alone.generation_id, alone.members.len()), (3, 1));
    assert_eq!(cluster.group_members(GROUP), [alone.member_id.to_string()]);
}

#[tokio::test]
async fn a_follower_that_joins_again_with_nothing_new_keeps_its_generation() {
    let (_cluster, mut one) = one_node().await;
    let first = join_new(&mut one).await;
    sync(&mut one, &first, &[]).await.expect("synced");
    // The leader may start a rebalance whenever it likes.
    assert_eq!(one.call(9, join(&first.member_id)).await.generation_id, 2);
}

#[tokio::test]
async fn a_silent_member_is_missed() {
    let (cluster, mut one) = one_node().await;
    let id = member_id(&mut one).await;
    let joined = one.call(9, join(&id).with_session_timeout_ms(200)).await;
    sync(&mut one, &joined, &[]).await.expect("synced");
    wait_for(async || cluster.group_members(GROUP).is_empty()).await;
    assert_eq!(heartbeat(&mut one, &joined).await, Some(E::UnknownMemberId));
}

#[tokio::test(start_paused = true)]
async fn simulated_time_reaches_the_broker() {
    let (cluster, mut one) = one_node().await;
    let joined = join_new(&mut one).await; // a session of a minute
    sync(&mut one, &joined, &[]).await.expect("synced");
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_secs(59)).await;
        assert_eq!(heartbeat(&mut one, &joined).await, None);
    }
    tokio::time::sleep(Duration::from_secs(61)).await;
    assert!(cluster.group_members(GROUP).is_empty());
}

#[tokio::test]
async fn a_member_that_does_not_rejoin_is_left_behind() {
    let (cluster, mut one) = one_node().await;
    let mut two = RawClient::connect(&cluster, 1).await;
    let id = member_id(&mut one).await;
    let slow = one.call(9, join(&id).with_rebalance_timeout_ms(200)).await;
    sync(&mut one, &slow, &[]).await.expect("synced");
    let id = member_id(&mut two).await;
    let second = two.call(9, join(&id).with_rebalance_timeout_ms(200)).await;
    assert_eq!((second.generation_id, second.members.len()), (2, 1));
    assert_eq!(heartbeat(&mut one, &slow).await, Some(E::UnknownMemberId));
}

#[tokio::test]
async fn a_static_member_that_comes_back_fences_its_former_self() {
    let (_cluster, mut one) = one_node().await;
    let as_instance = |member_id: &str| join(member_id).with_group_instance_id(Some(text("worker-1")));
    let before = one.call(9, as_instance("")).await;
    assert_eq!(error(before.error_code), None);
    sync(&mut one, &before, &[]).await.expect("synced");
    let after = one.call(9, as_instance("")).await;
    assert_ne!(before.member_id, after.member_id);
    let beat = |joined: &JoinGroupResponse| {
        HeartbeatRequest::default()
            .with_group_id(GroupId(text(GROUP)))
            .with_generation_id(joined.generation_id)
            .with_member_id(joined.member_id.clone())
            .with_group_instance_id(Some(text("worker-1")))
    };
    assert_eq!(
        error(one.call(4, beat(&before)).await.error_code),
        Some(E::FencedInstanceId)
    );
    assert_eq!(error(one.call(4, beat(&after)).await.error_code), None);
}

#[tokio::test]
async fn members_must_have_a_protocol_in_common() {
    let (cluster, mut one) = one_node().await;
    join_new(&mut one).await;
    let mut two = RawClient::connect(&cluster, 1).await;
    let other = JoinGroupRequestProtocol::default().with_name(text("eager"));
    let refused = two.call(9, join("").with_protocols(vec![other])).await;
    assert_eq!(error(refused.error_code), Some(E::InconsistentGroupProtocol));
    let refused = two.call(9, join("").with_protocol_type(text("consumer"))).await;
    assert_eq!(error(refused.error_code), Some(E::InconsistentGroupProtocol));
}

#[tokio::test]
async fn offsets_are_committed_by_members_or_by_tools_of_an_empty_group() {
    let (cluster, mut one) = one_node().await;
    cluster.create_topic("t", 2, &[]).expect("created");
    assert_eq!(
        commit(&mut one, -1, "", &[(0, 5), (9, 1)]).await,
        [None, Some(E::UnknownTopicOrPartition)]
    );
    let joined = join_new(&mut one).await;
    assert_eq!(
        commit(&mut one, 1, &joined.member_id, &[(0, 6)]).await,
        [Some(E::RebalanceInProgress)]
    );
    sync(&mut one, &joined, &[]).await.expect("synced");
    assert_eq!(commit(&mut one, 1, &joined.member_id, &[(1, 7)]).await, [None]);
    assert_eq!(
        commit(&mut one, 0, &joined.member_id, &[(1, 8)]).await,
        [Some(E::IllegalGeneration)]
    );
    assert_eq!(
        commit(&mut one, 1, "stranger", &[(1, 8)]).await,
        [Some(E::UnknownMemberId)]
    );
    assert_eq!(commit(&mut one, -1, "", &[(1, 8)]).await, [Some(E::UnknownMemberId)]);

    let group = OffsetFetchRequestGroup::default()
        .with_group_id(GroupId(text(GROUP)))
        .with_topics(None);
    let fetched = one
        .call(8, OffsetFetchRequest::default().with_groups(vec![group]))
        .await;
    let partitions = &fetched.groups[0].topics[0].partitions;
    let offsets: Vec<_> = partitions
        .iter()
        .map(|partition| (partition.partition_index, partition.committed_offset))
        .collect();
    assert_eq!(offsets, [(0, 5), (1, 7)]);
    assert_eq!(cluster.committed_offsets(GROUP)[1].offset, 7);

    let delete = DeleteGroupsRequest::default().with_groups_names(vec![GroupId(text(GROUP)), GroupId(text("none"))]);
    let deleted = one.call(2, delete).await;
    let codes: Vec<_> = deleted.results.iter().map(|result| error(result.error_code)).collect();
    assert_eq!(codes, [Some(E::NonEmptyGroup), Some(E::GroupIdNotFound)]);
    cluster.delete_topic("t").expect("deleted");
    assert!(cluster.committed_offsets(GROUP).is_empty());
}

#[tokio::test]
async fn only_the_coordinator_answers_for_a_group() {
    let cluster = Cluster::builder().nodes(2).start().await.expect("a cluster");
    let mut client = RawClient::connect(&cluster, 1).await;
    let find = FindCoordinatorRequest::default().with_coordinator_keys(vec![text(GROUP)]);
    let coordinator = client.call(4, find).await.coordinators[0].node_id.0;
    for node_id in [1, 2] {
        let mut client = RawClient::connect(&cluster, node_id).await;
        let refused = client.call(9, join("")).await.error_code;
        let expected = if node_id == coordinator {
            E::MemberIdRequired
        } else {
            E::NotCoordinator
        };
        assert_eq!(error(refused), Some(expected), "node {node_id}");
    }
}

fn join(member_id: &str) -> JoinGroupRequest {
    let protocol = JoinGroupRequestProtocol::default()
        .with_name(text("compatible"))
        .with_metadata(Bytes::from("meta"));
    JoinGroupRequest::default()
        .with_group_id(GroupId(text(GROUP)))
        .with_session_timeout_ms(60_000)
        .with_rebalance_timeout_ms(60_000)
        .with_member_id(text(member_id))
        .with_protocol_type(text("connect"))
        .with_protocols(vec![protocol])
}

/// From version 4 on, a member joins twice: once for its id.
async fn member_id(client: &mut RawClient) -> String {
    let refused = client.call(9, join("")).await;
    assert_eq!(error(refused.error_code), Some(E::MemberIdRequired));
    refused.member_id.to_string()
}

async fn join_new(client: &mut RawClient) -> JoinGroupResponse {
    let id = member_id(client).await;
    let joined = client.call(9, join(&id)).await;
    assert_eq!(error(joined.error_code), None);
    joined
}

fn sync_request(joined: &JoinGroupResponse, assignments: &[(&str, &str)]) -> SyncGroupRequest {
    let assignments = assignments.iter().map(|(id, assignment)| {
        SyncGroupRequestAssignment::default()
            .with_member_id(text(id))
            .with_assignment(Bytes::copy_from_slice(assignment.as_bytes()))
    });
    SyncGroupRequest::default()
        .with_group_id(GroupId(text(GROUP)))
        .with_generation_id(joined.generation_id)
        .with_member_id(joined.member_id.clone())
        .with_protocol_type(Some(text("connect")))
        .with_protocol_name(Some(text("compatible")))
        .with_assignments(assignments.collect())
}

async fn sync(client: &mut RawClient, joined: &JoinGroupResponse, assignments: &[(&str, &str)]) -> Result<Bytes, E> {
    let response = client.call(5, sync_request(joined, assignments)).await;
    error(response.error_code).map_or(Ok(response.assignment), Err)
}

async fn heartbeat(client: &mut RawClient, joined: &JoinGroupResponse) -> Option<E> {
    let request = HeartbeatRequest::default()
        .with_group_id(GroupId(text(GROUP)))
        .with_generation_id(joined.generation_id)
        .with_member_id(joined.member_id.clone());
    error(client.call(4, request).await.error_code)
}

async fn commit(client: &mut RawClient, generation: i32, member_id: &str, offsets: &[(i32, i64)]) -> Vec<Option<E>> {
    let partitions = offsets.iter().map(|(partition, offset)| {
        OffsetCommitRequestPartition::default()
            .with_partition_index(*partition)
            .with_committed_offset(*offset)
    });
    let topic = OffsetCommitRequestTopic::default()
        .with_name(topic_name("t"))
        .with_partitions(partitions.collect());
    let request = OffsetCommitRequest::default()
        .with_group_id(GroupId(text(GROUP)))
        .with_generation_id_or_member_epoch(generation)
        .with_member_id(text(member_id))
        .with_topics(vec![topic]);
    let response = client.call(8, request).await;
    response.topics[0]
        .partitions
        .iter()
        .map(|partition| error(partition.error_code))
        .collect()
}

async fn wait_for(mut condition: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition().await {
        assert!(Instant::now() < deadline, "waited in vain");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
