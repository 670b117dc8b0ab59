//! Metadata, versions 0 to 13.
//!
//! Left out: racks, authorized operations.

use std::collections::BTreeMap;
use std::sync::Arc;

use kafka_protocol::error::ResponseError as E;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{BrokerId, MetadataRequest, MetadataResponse, TopicName};

use super::{Call, OPERATIONS_UNKNOWN, text};
use crate::state::{NewTopic, State};
use crate::topic::{Partition, Topic};

pub(super) fn handle(state: &mut State, call: &Call<'_>, request: MetadataRequest) -> MetadataResponse {
    // Version 0 has no null: an empty list asks for all.
    let topics = match request.topics {
        Some(topics) if call.version > 0 || !topics.is_empty() => {
            let create = state.settings.auto_create_topics && (call.version < 4 || request.allow_auto_topic_creation);
            topics.into_iter().map(|topic| one(state, &topic, create)).collect()
        }
        _ => state.topics.values().map(|topic| found(state, topic)).collect(),
    };
    let brokers = state.running_nodes().map(|(id, node)| {
        MetadataResponseBroker::default()
            .with_node_id(BrokerId(id))
            .with_host(text(&node.host))
            .with_port(node.port.into())
    });
    MetadataResponse::default()
        .with_brokers(brokers.collect())
        .with_cluster_id(Some(text(&state.settings.cluster_id)))
        .with_controller_id(BrokerId(state.controller_id()))
        .with_cluster_authorized_operations(OPERATIONS_UNKNOWN)
        .with_topics(topics)
}

pub(super) fn refuse(request: MetadataRequest, error: E) -> MetadataResponse {
    let topics = request.topics.unwrap_or_default().into_iter();
    let topics = topics.map(|topic| missing(topic.name, topic.topic_id, error));
    MetadataResponse::default()
        .with_error_code(error.code())
        .with_topics(topics.collect())
}

fn one(state: &mut State, wanted: &MetadataRequestTopic, create: bool) -> MetadataResponseTopic {
    let Some(name) = &wanted.name else {
        return match state.name_of(wanted.topic_id).and_then(|name| state.topic(name)) {
            Ok(topic) => found(state, topic),
            Err(_) => missing(None, wanted.topic_id, E::UnknownTopicId),
        };
    };
    if state.topic(name).is_err() && create {
        let new = NewTopic {
            name: Arc::from(name.as_str()),
            partitions: -1,
            replication_factor: -1,
            assignments: Vec::new(),
            configs: BTreeMap::new(),
        };
        if let Err((error, _)) = state.create_topic(new) {
            return missing(Some(name.clone()), wanted.topic_id, error);
        }
    }
    match state.topic(name) {
        Ok(topic) => found(state, topic),
        Err(error) => missing(Some(name.clone()), wanted.topic_id, error),
    }
}

fn missing(name: Option<TopicName>, id: uuid::Uuid, error: E) -> MetadataResponseTopic {
    MetadataResponseTopic::default()
        .with_error_code(error.code())
        // Before version 12 a name is never null.
        .with_name(Some(name.unwrap_or_default()))
        .with_topic_id(id)
        .with_topic_authorized_operations(OPERATIONS_UNKNOWN)
}

fn found(state: &State, topic: &Topic) -> MetadataResponseTopic {
    let partitions = topic
        .partitions
        .iter()
        .zip(0..)
        .map(|(partition, index)| one_partition(state, partition, index));
    MetadataResponseTopic::default()
        .with_name(Some(TopicName(text(&topic.name))))
        .with_topic_id(topic.id)
        .with_is_internal(topic.is_internal())
        .with_topic_authorized_operations(OPERATIONS_UNKNOWN)
        .with_partitions(partitions.collect())
}

fn one_partition(state: &State, partition: &Partition, index: i32) -> MetadataResponsePartition {
    let (in_sync, offline) = partition.replicas_by_state(state);
    let error = match partition.leader {
        Some(_) => 0,
        None => E::LeaderNotAvailable.code(),
    };
    MetadataResponsePartition::default()
        .with_error_code(error)
        .with_partition_index(index)
        .with_leader_id(BrokerId(partition.leader.unwrap_or(-1)))
        .with_leader_epoch(partition.leader_epoch)
        .with_replica_nodes(partition.replicas.iter().copied().map(BrokerId).collect())
        .with_isr_nodes(in_sync)
        .with_offline_replicas(offline)
}
