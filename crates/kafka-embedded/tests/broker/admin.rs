use std::collections::BTreeMap;

use kafka_embedded::{Cluster, ResponseError as E};
use kafka_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::DescribeConfigsResourceResult;
use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::*;

use crate::raw::{RawClient, batch, text, topic_name};
use crate::{error, one_node};

const DYNAMIC_TOPIC: i8 = 1;
const STATIC_BROKER: i8 = 4;
const DEFAULT: i8 = 5;

#[tokio::test]
async fn topics_are_made_as_asked_or_refused_with_a_reason() {
    let cluster = Cluster::builder().nodes(2).start().await.expect("a cluster");
    let mut client = RawClient::connect(&cluster, 1).await;
    let new = |name: &str, partitions, replicas| {
        CreatableTopic::default()
            .with_name(topic_name(name))
            .with_num_partitions(partitions)
            .with_replication_factor(replicas)
    };
    let config = |name: &str, value: &str| {
        CreatableTopicConfig::default()
            .with_name(text(name))
            .with_value(Some(text(value)))
    };
    let assigned = CreatableReplicaAssignment::default().with_broker_ids(vec![BrokerId(2), BrokerId(1)]);
    let cases = [
        (new("orders", 3, 2), None),
        (new("orders", 3, 2), Some(E::InvalidRequest)), // twice in one request
        (new("defaults", -1, -1), None),
        (new("assigned", -1, -1).with_assignments(vec![assigned]), None),
        (new("a b", 1, 1), Some(E::InvalidTopicException)),
        (new("none", 0, 1), Some(E::InvalidPartitions)),
        (new("many", 1_000_000, 1), Some(E::PolicyViolation)),
        (new("copies", 1, 3), Some(E::InvalidReplicationFactor)),
        (
            new("odd", 1, 1).with_configs(vec![config("no.such", "1")]),
            Some(E::InvalidConfig),
        ),
        (new("x_y", 1, 1), None),
        (new("x.y", 1, 1), Some(E::InvalidTopicException)),
    ];
    for (topic, expected) in cases
        .iter()
        .filter(|(_, expected)| *expected != Some(E::InvalidRequest))
    {
        let response = client
            .call(7, CreateTopicsRequest::default().with_topics(vec![topic.clone()]))
            .await;
        assert_eq!(error(response.topics[0].error_code), *expected, "{topic:?}");
    }
    let twice = CreateTopicsRequest::default().with_topics(vec![new("twice", 1, 1), new("twice", 1, 1)]);
    let response = client.call(7, twice).await;
    assert_eq!(
        (response.topics.len(), error(response.topics[0].error_code)),
        (1, Some(E::InvalidRequest))
    );
    let again = client
        .call(7, CreateTopicsRequest::default().with_topics(vec![new("orders", 1, 1)]))
        .await;
    assert_eq!(error(again.topics[0].error_code), Some(E::TopicAlreadyExists));
    let only_asked = CreateTopicsRequest::default()
        .with_topics(vec![new("later", 1, 1)])
        .with_validate_only(true);
    assert_eq!(error(client.call(7, only_asked).await.topics[0].error_code), None);
    assert_eq!(cluster.topic_names(), ["assigned", "defaults", "orders", "x_y"]);

    let metadata = client.call(12, MetadataRequest::default().with_topics(None)).await;
    let leaders = |name: &str| {
        let topic = metadata
            .topics
            .iter()
            .find(|topic| topic.name == Some(topic_name(name)))
            .expect("the topic");
        topic
            .partitions
            .iter()
            .map(|partition| partition.leader_id.0)
            .collect::<Vec<_>>()
    };
    assert_eq!(leaders("orders"), [1, 2, 1]);
    assert_eq!(leaders("assigned"), [2]);
    assert_eq!(metadata.brokers.len(), 2);
}

#[tokio::test]
async fn asking_for_a_topic_makes_it_only_when_allowed() {
    for (enabled, allowed, expected) in [
        (true, true, None),
        (true, false, Some(E::UnknownTopicOrPartition)),
        (false, true, Some(E::UnknownTopicOrPartition)),
    ] {
        let builder = Cluster::builder().auto_create_topics(enabled).default_partitions(4);
        let cluster = builder.start().await.expect("a cluster");
        let mut client = RawClient::connect(&cluster, 1).await;
        let topic = MetadataRequestTopic::default().with_name(Some(topic_name("t")));
        let request = MetadataRequest::default()
            .with_topics(Some(vec![topic]))
            .with_allow_auto_topic_creation(allowed);
        let response = client.call(12, request).await;
        assert_eq!(error(response.topics[0].error_code), expected);
        assert_eq!(cluster.partition_count("t"), if expected.is_none() { 4 } else { 0 });
    }
}

#[tokio::test]
async fn partitions_can_only_become_more() {
    let (cluster, mut client) = one_node().await;
    cluster.create_topic("t", 2, &[]).expect("created");
    for (count, expected) in [
        (2, Some(E::InvalidPartitions)),
        (1, Some(E::InvalidPartitions)),
        (5, None),
    ] {
        let topic = create_partitions_request::CreatePartitionsTopic::default()
            .with_name(topic_name("t"))
            .with_count(count);
        let response = client
            .call(
                3,
                CreatePartitionsRequest::default().with_topics(vec![topic.with_assignments(None)]),
            )
            .await;
        assert_eq!(error(response.results[0].error_code), expected, "{count}");
    }
    assert_eq!(cluster.partition_count("t"), 5);
    assert_eq!(error(client.produce("t", 4, &batch(&["a"])).await.error_code), None);
}

#[tokio::test]
async fn configurations_are_kafkas_with_their_sources() {
    let cluster = Cluster::builder()
        .retention_bytes(1 << 20)
        .start()
        .await
        .expect("a cluster");
    let mut client = RawClient::connect(&cluster, 1).await;
    cluster
        .create_topic("t", 1, &[("cleanup.policy", "compact")])
        .expect("created");
    let configs = describe(&mut client).await;
    let expect = |configs: &BTreeMap<String, DescribeConfigsResourceResult>, name: &str, value: &str, source| {
        let found = &configs[name];
        assert_eq!(
            (found.value.as_ref().map(|value| value.as_str()), found.config_source),
            (Some(value), source),
            "{name}"
        );
    };
    assert_eq!(configs.len(), 33);
    expect(&configs, "cleanup.policy", "compact", DYNAMIC_TOPIC);
    expect(&configs, "retention.bytes", "1048576", STATIC_BROKER);
    expect(&configs, "retention.ms", "604800000", DEFAULT);
    let synonyms: Vec<_> = configs["retention.bytes"]
        .synonyms
        .iter()
        .map(|synonym| (synonym.name.to_string(), synonym.source))
        .collect();
    assert_eq!(
        synonyms,
        [
            ("log.retention.bytes".to_owned(), STATIC_BROKER),
            ("log.retention.bytes".to_owned(), DEFAULT)
        ]
    );

    const SET: i8 = 0;
    const DELETE: i8 = 1;
    const APPEND: i8 = 2;
    for (name, operation, value, expected) in [
        ("cleanup.policy", APPEND, Some("delete"), None),
        ("max.message.bytes", SET, Some("100"), None),
        ("retention.ms", SET, Some("never"), Some(E::InvalidConfig)),
        ("no.such.config", SET, Some("1"), Some(E::InvalidConfig)),
    ] {
        assert_eq!(alter(&mut client, name, operation, value).await, expected, "{name}");
    }
    let configs = describe(&mut client).await;
    expect(&configs, "cleanup.policy", "compact,delete", DYNAMIC_TOPIC);
    expect(&configs, "max.message.bytes", "100", DYNAMIC_TOPIC);
    let large = crate::raw::keyed_batch(&[(Some("k"), &"x".repeat(100))]);
    assert_eq!(
        error(client.produce("t", 0, &large).await.error_code),
        Some(E::MessageTooLarge)
    );
    assert_eq!(alter(&mut client, "max.message.bytes", DELETE, None).await, None);
    assert_eq!(error(client.produce("t", 0, &large).await.error_code), None);
    expect(&describe(&mut client).await, "max.message.bytes", "1048588", DEFAULT);
}

#[tokio::test]
async fn acls_need_an_authorizer() {
    for enabled in [false, true] {
        let cluster = Cluster::builder().authorizer(enabled).start().await.expect("a cluster");
        let mut client = RawClient::connect(&cluster, 1).await;
        let creation = create_acls_request::AclCreation::default()
            .with_resource_type(2)
            .with_resource_name(text("orders"))
            .with_resource_pattern_type(3)
            .with_principal(text("User:alice"))
            .with_host(text("*"))
            .with_operation(3)
            .with_permission_type(3);
        let expected = (!enabled).then_some(E::SecurityDisabled);
        let created = client
            .call(3, CreateAclsRequest::default().with_creations(vec![creation]))
            .await;
        assert_eq!(error(created.results[0].error_code), expected);
        let any = DescribeAclsRequest::default()
            .with_resource_type_filter(2)
            .with_resource_name_filter(None)
            .with_pattern_type_filter(1)
            .with_principal_filter(None)
            .with_host_filter(None)
            .with_operation(1)
            .with_permission_type(1);
        let described = client.call(3, any).await;
        assert_eq!(
            (error(described.error_code), described.resources.len()),
            (expected, usize::from(enabled))
        );
    }
}

async fn describe(client: &mut RawClient) -> BTreeMap<String, DescribeConfigsResourceResult> {
    let resource = DescribeConfigsResource::default()
        .with_resource_type(2)
        .with_resource_name(text("t"))
        .with_configuration_keys(None);
    let request = DescribeConfigsRequest::default()
        .with_resources(vec![resource])
        .with_include_synonyms(true);
    let mut response = client.call(4, request).await;
    let configs = response.results.remove(0).configs.into_iter();
    configs.map(|config| (config.name.to_string(), config)).collect()
}

async fn alter(client: &mut RawClient, name: &str, operation: i8, value: Option<&str>) -> Option<E> {
    let config = AlterableConfig::default()
        .with_name(text(name))
        .with_config_operation(operation)
        .with_value(value.map(text));
    let resource = AlterConfigsResource::default()
        .with_resource_type(2)
        .with_resource_name(text("t"))
        .with_configs(vec![config]);
    let response = client
        .call(
            1,
            IncrementalAlterConfigsRequest::default().with_resources(vec![resource]),
        )
        .await;
    error(response.responses[0].error_code)
}
