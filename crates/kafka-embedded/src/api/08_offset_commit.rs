//! OffsetCommit, versions 2 to 9 (the schemas we build on have no 10, which names topics by id).
//!
//! Left out: expiry of offsets, `offset.metadata.max.bytes`.

use std::sync::Arc;

use kafka_protocol::error::ResponseError as E;
use kafka_protocol::messages::offset_commit_response::{OffsetCommitResponsePartition, OffsetCommitResponseTopic};
use kafka_protocol::messages::{OffsetCommitRequest, OffsetCommitResponse};

use super::Call;
use crate::group::offsets::CommittedOffset;
use crate::state::State;

pub(super) fn handle(state: &mut State, call: &Call<'_>, request: OffsetCommitRequest) -> OffsetCommitResponse {
    if let Err(error) = check(state, call, &request) {
        // What does not exist is told first, whatever the group thinks of the rest.
        return answer(request, |topic, partition| {
            unknown(state, topic, partition).unwrap_or(error).code()
        });
    }
    let group_id = request.group_id.clone();
    let commits: Vec<_> = request
        .topics
        .iter()
        .flat_map(|topic| {
            let name: Arc<str> = topic.name.as_str().into();
            topic.partitions.iter().map(move |partition| {
                let committed = CommittedOffset {
                    offset: partition.committed_offset,
                    leader_epoch: partition.committed_leader_epoch,
                    metadata: partition
                        .committed_metadata
                        .as_ref()
                        .map(|text| text.to_string())
                        .unwrap_or_default(),
                };
                (name.clone(), partition.partition_index, committed)
            })
        })
        .collect();
    for (topic, partition, committed) in commits {
        if state.partition(&topic, partition).is_ok() {
            state
                .groups
                .get_or_create(&group_id)
                .offsets
                .commit(topic, partition, committed);
        }
    }
    answer(request, |topic, partition| {
        state.partition(topic, partition).err().map_or(0, |error| error.code())
    })
}

pub(super) fn refuse(request: OffsetCommitRequest, error: E) -> OffsetCommitResponse {
    answer(request, |_, _| error.code())
}

fn unknown(state: &State, topic: &str, partition: i32) -> Option<E> {
    state.partition(topic, partition).err()
}

fn check(state: &mut State, call: &Call<'_>, request: &OffsetCommitRequest) -> Result<(), E> {
    if request.group_id.is_empty() {
        return Err(E::InvalidGroupId);
    }
    state.check_coordinator(call.node_id(), &request.group_id)?;
    let generation = request.generation_id_or_member_epoch;
    let instance_id = request.group_instance_id.as_ref().map(|id| id.as_str());
    match state.groups.get_mut(&request.group_id) {
        Some(group) => {
            group.check_commit(&request.member_id, instance_id, generation)?;
            group.touch(&request.member_id, call.now);
            Ok(())
        }
        None if generation < 0 => Ok(()),
        None => Err(E::IllegalGeneration),
    }
}

fn answer(request: OffsetCommitRequest, error_code: impl Fn(&str, i32) -> i16) -> OffsetCommitResponse {
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            let index = partition.partition_index;
            OffsetCommitResponsePartition::default()
                .with_partition_index(index)
                .with_error_code(error_code(&topic.name, index))
        });
        let partitions = partitions.collect();
        OffsetCommitResponseTopic::default()
            .with_name(topic.name)
            .with_partitions(partitions)
    });
    OffsetCommitResponse::default().with_topics(topics.collect())
}
