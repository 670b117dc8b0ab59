//! OffsetDelete, version 0.

use std::collections::BTreeSet;

use kafka_protocol::error::ResponseError as E;
use kafka_protocol::messages::offset_delete_response::{OffsetDeleteResponsePartition, OffsetDeleteResponseTopic};
use kafka_protocol::messages::{ConsumerProtocolSubscription, OffsetDeleteRequest, OffsetDeleteResponse};
use kafka_protocol::protocol::Decodable;
use kafka_wire::shape::{self, Shape};

use super::Call;
use crate::group::{Group, GroupState};
use crate::state::State;

pub(super) fn handle(state: &mut State, call: &Call<'_>, request: OffsetDeleteRequest) -> OffsetDeleteResponse {
    match delete(state, call, &request) {
        Ok(topics) => OffsetDeleteResponse::default().with_topics(topics),
        Err(error) => refuse(request, error),
    }
}

pub(super) fn refuse(_: OffsetDeleteRequest, error: E) -> OffsetDeleteResponse {
    OffsetDeleteResponse::default().with_error_code(error.code())
}

fn delete(
    state: &mut State,
    call: &Call<'_>,
    request: &OffsetDeleteRequest,
) -> Result<Vec<OffsetDeleteResponseTopic>, E> {
    state.check_coordinator(call.node_id(), &request.group_id)?;
    let group = state.groups.get(&request.group_id).ok_or(E::GroupIdNotFound)?;
    let is_consumer = group.protocol_type.as_deref() == Some("consumer");
    if group.state != GroupState::Empty && !is_consumer {
        return Err(E::NonEmptyGroup);
    }
    let subscribed = subscribed_topics(group);
    let mut topics = Vec::new();
    for topic in &request.topics {
        let mut partitions = Vec::new();
        for partition in &topic.partitions {
            let index = partition.partition_index;
            let checked = match subscribed.contains(topic.name.as_str()) {
                true => Err(E::GroupSubscribedToTopic),
                false => state.partition(&topic.name, index).map(drop),
            };
            if checked.is_ok() {
                state
                    .groups
                    .get_or_create(&request.group_id)
                    .offsets
                    .delete(&topic.name, index);
            }
            let response = OffsetDeleteResponsePartition::default().with_partition_index(index);
            partitions.push(response.with_error_code(super::code(&checked)));
        }
        topics.push(
            OffsetDeleteResponseTopic::default()
                .with_name(topic.name.clone())
                .with_partitions(partitions),
        );
    }
    Ok(topics)
}

/// What the members of a consumer group said that they read.
fn subscribed_topics(group: &Group) -> BTreeSet<String> {
    let protocol = group.protocol.as_deref().unwrap_or_default();
    let subscriptions = group.members.values().filter_map(|member| {
        let mut metadata = member.metadata(protocol);
        // The version leads; the fields that every version has come first.
        let version = bytes::Buf::try_get_i16(&mut metadata).ok()?;
        let version = version.clamp(0, 3);
        shape::check(Shape::ConsumerProtocolSubscription, version, &metadata).ok()?;
        ConsumerProtocolSubscription::decode(&mut metadata, version).ok()
    });
    subscriptions
        .flat_map(|subscription| subscription.topics)
        .map(|topic| topic.to_string())
        .collect()
}
