use bytes::{Bytes, BytesMut};
use kafka_embedded::{ApiKey, Cluster, RequestKind, ResponseError as E};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};

use crate::one_node;
use crate::raw::{RawClient, batch, text, topic_name};

#[tokio::test]
async fn every_advertised_version_of_every_request_is_answered() {
    let (cluster, mut client) = one_node().await;
    cluster.create_topic("t", 2, &[]).expect("created");
    client.produce("t", 0, &batch(&["a"])).await;
    let mut silent = Vec::new();
    for (api_key, min, max) in advertised(&mut client).await {
        let min = if api_key == ApiKey::Produce { 3 } else { min };
        for version in min..=max {
            let request = request(&cluster, api_key, version);
            if exchange(&cluster, api_key, version, &request).await.is_none() {
                silent.push((api_key, version));
            }
        }
    }
    assert_eq!(silent, []);
}

#[tokio::test]
async fn every_request_can_be_refused_by_a_hook() {
    let (cluster, mut client) = one_node().await;
    cluster.create_topic("t", 2, &[]).expect("created");
    let mut untold = Vec::new();
    for (api_key, min, max) in advertised(&mut client).await {
        let min = if api_key == ApiKey::Produce { 3 } else { min };
        cluster.control(api_key, |_| {
            kafka_embedded::Control::Error(E::ClusterAuthorizationFailed)
        });
        for version in min..=max {
            let request = request(&cluster, api_key, version);
            let answer = exchange(&cluster, api_key, version, &request).await;
            let code = E::ClusterAuthorizationFailed.code().to_be_bytes();
            // Metadata has no place for it before version 13, save on topics that are asked for.
            if !answer.is_some_and(|answer| answer.windows(2).any(|two| two == code)) {
                untold.push((api_key, version));
            }
        }
        cluster.clear_control(api_key);
    }
    assert_eq!(untold, []);
}

#[tokio::test]
async fn an_unknown_version_of_api_versions_is_answered_in_version_0() {
    let (_cluster, mut client) = one_node().await;
    client.send_bytes(&[0, 18, 0, 99, 0, 0, 0, 7, 1, 2, 3]).await;
    let mut answer = client.receive_bytes().await.expect("an answer");
    assert_eq!(bytes::Buf::get_i32(&mut answer), 7);
    let answer = ApiVersionsResponse::decode(&mut answer, 0).expect("version 0");
    assert_eq!(answer.error_code, E::UnsupportedVersion.code());
    assert!(
        answer
            .api_keys
            .iter()
            .any(|key| key.api_key == ApiKey::ApiVersions as i16 && key.max_version == 4)
    );
}

#[tokio::test]
async fn nonsense_closes_the_connection_and_nothing_else() {
    let cluster = Cluster::builder().start().await.expect("a cluster");
    let nonsense: [&[u8]; 6] = [
        b"",
        b"short",
        b"GET / HTTP/1.1\r\n",
        &[0, 3, 0, 1, 0, 0, 0, 1, 0xff, 0xff],                         // cut off
        &[0, 3, 0, 99, 0, 0, 0, 1, 0xff, 0xff, 0, 0, 0, 0],            // no such version
        &[0x7f, 0xff, 0, 1, 0, 0, 0, 1, 0xff, 0xff, 0, 0, 0, 0, 0, 0], // no such API
    ];
    for bytes in nonsense {
        let mut client = RawClient::connect(&cluster, 1).await;
        client.send_bytes(bytes).await;
        assert!(client.receive_bytes().await.is_none(), "{bytes:?}");
    }
    let mut client = RawClient::connect(&cluster, 1).await;
    assert_eq!(client.call(3, ApiVersionsRequest::default()).await.error_code, 0);
}

async fn advertised(client: &mut RawClient) -> Vec<(ApiKey, i16, i16)> {
    let versions = client.call(3, ApiVersionsRequest::default()).await;
    let keys = versions.api_keys.into_iter().map(|key| {
        let api_key = ApiKey::try_from(key.api_key).expect("a known key");
        (api_key, key.min_version, key.max_version)
    });
    keys.collect()
}

/// Sends on a connection of its own; the answer has to decode to its last byte, and is given as bytes.
async fn exchange(cluster: &Cluster, api_key: ApiKey, version: i16, request: &RequestKind) -> Option<Bytes> {
    let mut client = RawClient::connect(cluster, 1).await;
    let header = RequestHeader::default()
        .with_request_api_key(api_key as i16)
        .with_request_api_version(version)
        .with_correlation_id(7);
    let mut frame = BytesMut::new();
    header
        .encode(&mut frame, api_key.request_header_version(version))
        .expect("the header encodes");
    request
        .encode(&mut frame, version)
        .unwrap_or_else(|error| panic!("{api_key:?} version {version}: {error}"));
    client.send_bytes(&frame).await;
    let mut answer = client.receive_bytes().await?;
    let whole = answer.clone();
    ResponseHeader::decode(&mut answer, api_key.response_header_version(version)).expect("a header");
    ResponseKind::decode(api_key, &mut answer, version)
        .unwrap_or_else(|error| panic!("{api_key:?} version {version}: {error}"));
    assert!(answer.is_empty(), "{api_key:?} version {version}: bytes left over");
    Some(whole)
}

/// A request with something in every list, as each version can say it.
fn request(cluster: &Cluster, api_key: ApiKey, version: i16) -> RequestKind {
    let topic_id = cluster.topic_id("t").unwrap_or_default();
    let name = || topic_name("t");
    let group = || GroupId(text("g"));
    let transactional_id = || TransactionalId(text("tx"));
    match api_key {
        ApiKey::Produce => {
            let data = produce_request::PartitionProduceData::default().with_records(Some(batch(&["a"]).to_bytes()));
            let mut topic = produce_request::TopicProduceData::default().with_partition_data(vec![data]);
            match version {
                13.. => topic.topic_id = topic_id,
                _ => topic.name = name(),
            }
            ProduceRequest::default()
                .with_acks(-1)
                .with_topic_data(vec![topic])
                .into()
        }
        ApiKey::Fetch => {
            let partition = fetch_request::FetchPartition::default().with_partition_max_bytes(1000);
            let mut topic = fetch_request::FetchTopic::default().with_partitions(vec![partition]);
            match version {
                13.. => topic.topic_id = topic_id,
                _ => topic.topic = name(),
            }
            let epoch = if version >= 7 { 0 } else { -1 };
            FetchRequest::default()
                .with_session_epoch(epoch)
                .with_topics(vec![topic])
                .with_isolation_level(1)
                .into()
        }
        ApiKey::ListOffsets => {
            let partition = list_offsets_request::ListOffsetsPartition::default().with_timestamp(-1);
            let topic = list_offsets_request::ListOffsetsTopic::default()
                .with_name(name())
                .with_partitions(vec![partition]);
            ListOffsetsRequest::default().with_topics(vec![topic]).into()
        }
        ApiKey::Metadata => {
            let topics = ["t", "new"]
                .map(|name| metadata_request::MetadataRequestTopic::default().with_name(Some(topic_name(name))));
            MetadataRequest::default()
                .with_allow_auto_topic_creation(true)
                .with_topics(Some(topics.to_vec()))
                .into()
        }
        ApiKey::OffsetCommit => {
            let partition = offset_commit_request::OffsetCommitRequestPartition::default().with_committed_offset(1);
            let topic = offset_commit_request::OffsetCommitRequestTopic::default()
                .with_name(name())
                .with_partitions(vec![partition]);
            let request = OffsetCommitRequest::default()
                .with_group_id(group())
                .with_topics(vec![topic]);
            request.with_generation_id_or_member_epoch(-1).into()
        }
        ApiKey::OffsetFetch if version >= 8 => {
            let topic = offset_fetch_request::OffsetFetchRequestTopics::default()
                .with_name(name())
                .with_partition_indexes(vec![0, 1]);
            let groups = offset_fetch_request::OffsetFetchRequestGroup::default().with_group_id(group());
            OffsetFetchRequest::default()
                .with_groups(vec![groups.with_topics(Some(vec![topic]))])
                .into()
        }
        ApiKey::OffsetFetch => {
            let topic = offset_fetch_request::OffsetFetchRequestTopic::default()
                .with_name(name())
                .with_partition_indexes(vec![0, 1]);
            OffsetFetchRequest::default()
                .with_group_id(group())
                .with_topics(Some(vec![topic]))
                .into()
        }
        ApiKey::FindCoordinator if version >= 4 => FindCoordinatorRequest::default()
            .with_coordinator_keys(vec![text("g"), text("h")])
            .into(),
        ApiKey::FindCoordinator => FindCoordinatorRequest::default().with_key(text("g")).into(),
        ApiKey::JoinGroup => {
            // Every version joins a group of its own, so that nobody waits for anybody.
            let protocol = join_group_request::JoinGroupRequestProtocol::default().with_name(text("range"));
            let request = JoinGroupRequest::default()
                .with_group_id(GroupId(StrBytes::from_string(format!("g{version}"))))
                .with_session_timeout_ms(10_000)
                .with_protocol_type(text("consumer"))
                .with_protocols(vec![protocol]);
            let request = if version > 0 {
                request.with_rebalance_timeout_ms(10_000)
            } else {
                request
            };
            request.into()
        }
        ApiKey::SyncGroup => SyncGroupRequest::default()
            .with_group_id(group())
            .with_member_id(text("m"))
            .into(),
        ApiKey::Heartbeat => HeartbeatRequest::default()
            .with_group_id(group())
            .with_member_id(text("m"))
            .into(),
        ApiKey::LeaveGroup if version >= 3 => {
            let member = leave_group_request::MemberIdentity::default().with_member_id(text("m"));
            LeaveGroupRequest::default()
                .with_group_id(group())
                .with_members(vec![member])
                .into()
        }
        ApiKey::LeaveGroup => LeaveGroupRequest::default()
            .with_group_id(group())
            .with_member_id(text("m"))
            .into(),
        ApiKey::DescribeGroups => DescribeGroupsRequest::default().with_groups(vec![group()]).into(),
        ApiKey::ListGroups => ListGroupsRequest::default().into(),
        ApiKey::ApiVersions => ApiVersionsRequest::default().into(),
        ApiKey::CreateTopics => {
            let name = topic_name(&format!("made-by-{version}"));
            let topic = create_topics_request::CreatableTopic::default().with_name(name);
            let topic = topic.with_num_partitions(1).with_replication_factor(1);
            CreateTopicsRequest::default().with_topics(vec![topic]).into()
        }
        ApiKey::DeleteTopics if version >= 6 => {
            let topic = delete_topics_request::DeleteTopicState::default().with_name(Some(topic_name("new")));
            DeleteTopicsRequest::default().with_topics(vec![topic]).into()
        }
        ApiKey::DeleteTopics => DeleteTopicsRequest::default()
            .with_topic_names(vec![topic_name("new")])
            .into(),
        ApiKey::DeleteRecords => {
            let partition = delete_records_request::DeleteRecordsPartition::default();
            let topic = delete_records_request::DeleteRecordsTopic::default()
                .with_name(name())
                .with_partitions(vec![partition]);
            DeleteRecordsRequest::default().with_topics(vec![topic]).into()
        }
        ApiKey::InitProducerId => InitProducerIdRequest::default()
            .with_transactional_id(Some(transactional_id()))
            .with_transaction_timeout_ms(1000)
            .into(),
        ApiKey::OffsetForLeaderEpoch => {
            let partition = offset_for_leader_epoch_request::OffsetForLeaderPartition::default();
            let topic = offset_for_leader_epoch_request::OffsetForLeaderTopic::default()
                .with_topic(name())
                .with_partitions(vec![partition]);
            OffsetForLeaderEpochRequest::default().with_topics(vec![topic]).into()
        }
        ApiKey::AddPartitionsToTxn => {
            let topic = add_partitions_to_txn_request::AddPartitionsToTxnTopic::default()
                .with_name(name())
                .with_partitions(vec![0]);
            AddPartitionsToTxnRequest::default()
                .with_v3_and_below_transactional_id(transactional_id())
                .with_v3_and_below_topics(vec![topic])
                .into()
        }
        ApiKey::AddOffsetsToTxn => AddOffsetsToTxnRequest::default()
            .with_transactional_id(transactional_id())
            .with_group_id(group())
            .into(),
        ApiKey::EndTxn => EndTxnRequest::default()
            .with_transactional_id(transactional_id())
            .into(),
        ApiKey::TxnOffsetCommit => {
            let partition = txn_offset_commit_request::TxnOffsetCommitRequestPartition::default();
            let topic = txn_offset_commit_request::TxnOffsetCommitRequestTopic::default()
                .with_name(name())
                .with_partitions(vec![partition]);
            TxnOffsetCommitRequest::default()
                .with_transactional_id(transactional_id())
                .with_group_id(group())
                .with_topics(vec![topic])
                .into()
        }
        ApiKey::DescribeAcls => DescribeAclsRequest::default().into(),
        ApiKey::CreateAcls => CreateAclsRequest::default()
            .with_creations(vec![create_acls_request::AclCreation::default()])
            .into(),
        ApiKey::DeleteAcls => DeleteAclsRequest::default()
            .with_filters(vec![delete_acls_request::DeleteAclsFilter::default()])
            .into(),
        ApiKey::DescribeConfigs => {
            let resources = [(2, "t"), (4, "1")].map(|(resource_type, name)| {
                let resource = describe_configs_request::DescribeConfigsResource::default();
                resource
                    .with_resource_type(resource_type)
                    .with_resource_name(text(name))
                    .with_configuration_keys(None)
            });
            DescribeConfigsRequest::default()
                .with_resources(resources.to_vec())
                .with_include_synonyms(true)
                .into()
        }
        ApiKey::AlterConfigs => {
            let resource = alter_configs_request::AlterConfigsResource::default()
                .with_resource_type(2)
                .with_resource_name(text("t"));
            AlterConfigsRequest::default().with_resources(vec![resource]).into()
        }
        ApiKey::IncrementalAlterConfigs => {
            let resource = incremental_alter_configs_request::AlterConfigsResource::default();
            let resource = resource.with_resource_type(2).with_resource_name(text("t"));
            IncrementalAlterConfigsRequest::default()
                .with_resources(vec![resource])
                .into()
        }
        ApiKey::CreatePartitions => {
            let topic = create_partitions_request::CreatePartitionsTopic::default()
                .with_name(name())
                .with_count(1);
            CreatePartitionsRequest::default().with_topics(vec![topic]).into()
        }
        ApiKey::DeleteGroups => DeleteGroupsRequest::default().with_groups_names(vec![group()]).into(),
        ApiKey::OffsetDelete => OffsetDeleteRequest::default().with_group_id(group()).into(),
        ApiKey::DescribeCluster => DescribeClusterRequest::default().into(),
        ApiKey::DescribeTopicPartitions => {
            let topic = describe_topic_partitions_request::TopicRequest::default().with_name(name());
            let request = DescribeTopicPartitionsRequest::default().with_topics(vec![topic]);
            request.with_response_partition_limit(1).into()
        }
        other => panic!("no request for {other:?}: add one here"),
    }
}
