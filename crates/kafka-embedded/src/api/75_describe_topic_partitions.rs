//! DescribeTopicPartitions, version 0.
//!
//! Left out: eligible leader replicas, authorized operations.

use kafka_protocol::error::ResponseError as E;
use kafka_protocol::messages::describe_topic_partitions_response::{
    Cursor, DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
};
use kafka_protocol::messages::{BrokerId, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse, TopicName};

use super::{Call, OPERATIONS_UNKNOWN, text};
use crate::state::State;
use crate::topic::Topic;

/// Kafka's `max.request.partition.size.limit`.
const MAX_PARTITIONS: usize = 2000;

pub(super) fn handle(
    state: &mut State,
    _: &Call<'_>,
    request: DescribeTopicPartitionsRequest,
) -> DescribeTopicPartitionsResponse {
    let mut names: Vec<TopicName> = request.topics.into_iter().map(|topic| topic.name).collect();
    if names.is_empty() {
        names = state.topics.keys().map(|name| TopicName(text(name))).collect();
    }
    names.sort();
    let (from_topic, mut from_partition) = match request.cursor {
        Some(cursor) => (cursor.topic_name, cursor.partition_index.max(0) as usize),
        None => (TopicName::default(), 0),
    };
    let mut left = usize::try_from(request.response_partition_limit)
        .unwrap_or(0)
        .clamp(1, MAX_PARTITIONS);
    let mut response = DescribeTopicPartitionsResponse::default();
    for name in names.into_iter().filter(|name| *name >= from_topic) {
        let from = if name == from_topic {
            std::mem::take(&mut from_partition)
        } else {
            0
        };
        let Ok(topic) = state.topic(&name) else {
            response.topics.push(missing(name, E::UnknownTopicOrPartition));
            continue;
        };
        let to = topic.partitions.len().min(from + left);
        response.topics.push(found(state, topic, from, to));
        left -= to.saturating_sub(from);
        if to < topic.partitions.len() {
            let cursor = Cursor::default().with_topic_name(name).with_partition_index(to as i32);
            response.next_cursor = Some(cursor);
            break;
        }
    }
    response
}

pub(super) fn refuse(request: DescribeTopicPartitionsRequest, error: E) -> DescribeTopicPartitionsResponse {
    let topics = request.topics.into_iter().map(|topic| missing(topic.name, error));
    DescribeTopicPartitionsResponse::default().with_topics(topics.collect())
}

fn missing(name: TopicName, error: E) -> DescribeTopicPartitionsResponseTopic {
    DescribeTopicPartitionsResponseTopic::default()
        .with_error_code(error.code())
        .with_name(Some(name))
}

fn found(state: &State, topic: &Topic, from: usize, to: usize) -> DescribeTopicPartitionsResponseTopic {
    let partitions = topic
        .partitions
        .iter()
        .zip(0..)
        .take(to)
        .skip(from)
        .map(|(partition, index)| {
            let (in_sync, offline) = partition.replicas_by_state(state);
            DescribeTopicPartitionsResponsePartition::default()
                .with_partition_index(index)
                .with_leader_id(BrokerId(partition.leader.unwrap_or(-1)))
                .with_leader_epoch(partition.leader_epoch)
                .with_replica_nodes(partition.replicas.iter().copied().map(BrokerId).collect())
                .with_isr_nodes(in_sync)
                .with_eligible_leader_replicas(Some(Vec::new()))
                .with_last_known_elr(Some(Vec::new()))
                .with_offline_replicas(offline)
        });
    DescribeTopicPartitionsResponseTopic::default()
        .with_name(Some(TopicName(text(&topic.name))))
        .with_topic_id(topic.id)
        .with_is_internal(topic.is_internal())
        .with_partitions(partitions.collect())
        .with_topic_authorized_operations(OPERATIONS_UNKNOWN)
}
