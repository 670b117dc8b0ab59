//! TxnOffsetCommit, versions 0 to 5; from 5 on it adds the group to the transaction (KIP-890).

use std::sync::Arc;

use kafka_protocol::error::ResponseError as E;
use kafka_protocol::messages::txn_offset_commit_response::{
    TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use kafka_protocol::messages::{TxnOffsetCommitRequest, TxnOffsetCommitResponse};

use super::Call;
use crate::group::offsets::CommittedOffset;
use crate::state::State;
use crate::transaction::ProducerIdAndEpoch;

const ADDS_TO_TRANSACTION: i16 = 5;

pub(super) fn handle(state: &mut State, call: &Call<'_>, request: TxnOffsetCommitRequest) -> TxnOffsetCommitResponse {
    call.deadline_changed();
    if let Err(error) = check(state, call, &request) {
        return refuse(request, error);
    }
    let producer_id = request.producer_id.0;
    for topic in &request.topics {
        for partition in &topic.partitions {
            let index = partition.partition_index;
            if state.partition(&topic.name, index).is_err() {
                continue;
            }
            let committed = CommittedOffset {
                offset: partition.committed_offset,
                leader_epoch: partition.committed_leader_epoch,
                metadata: partition
                    .committed_metadata
                    .as_ref()
                    .map(|text| text.to_string())
                    .unwrap_or_default(),
            };
            let offsets = &mut state.groups.get_or_create(&request.group_id).offsets;
            offsets.commit_in_transaction(producer_id, Arc::from(topic.name.as_str()), index, committed);
        }
    }
    answer(request, |topic, partition| {
        state.partition(topic, partition).err().map_or(0, |error| error.code())
    })
}

pub(super) fn refuse(request: TxnOffsetCommitRequest, error: E) -> TxnOffsetCommitResponse {
    answer(request, |_, _| error.code())
}

fn check(state: &mut State, call: &Call<'_>, request: &TxnOffsetCommitRequest) -> Result<(), E> {
    state.check_coordinator(call.node_id(), &request.group_id)?;
    let producer = ProducerIdAndEpoch {
        id: request.producer_id.0,
        epoch: request.producer_epoch,
    };
    let transactional_id = &request.transactional_id;
    let held = match call.version >= ADDS_TO_TRANSACTION {
        true => state.add_group_to_transaction(transactional_id, producer, &request.group_id, call.now),
        false => state.check_transaction_holder(transactional_id, producer),
    };
    held.map_err(|error| {
        if error == E::ProducerFenced {
            E::InvalidProducerEpoch
        } else {
            error
        }
    })?;
    let says_who = !request.member_id.is_empty() || request.generation_id >= 0;
    match state.groups.get_mut(&request.group_id) {
        Some(group) if says_who => {
            let instance_id = request.group_instance_id.as_ref().map(|id| id.as_str());
            group.check_member(&request.member_id, instance_id, request.generation_id)
        }
        None if says_who => Err(E::IllegalGeneration),
        _ => Ok(()),
    }
}

fn answer(request: TxnOffsetCommitRequest, error_code: impl Fn(&str, i32) -> i16) -> TxnOffsetCommitResponse {
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            let index = partition.partition_index;
            TxnOffsetCommitResponsePartition::default()
                .with_partition_index(index)
                .with_error_code(error_code(&topic.name, index))
        });
        let partitions = partitions.collect();
        TxnOffsetCommitResponseTopic::default()
            .with_name(topic.name)
            .with_partitions(partitions)
    });
    TxnOffsetCommitResponse::default().with_topics(topics.collect())
}
