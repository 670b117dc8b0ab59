//! AddPartitionsToTxn, versions 0 to 3.
//!
//! Left out: versions 4 and 5, which brokers use among themselves.

use kafka_protocol::error::ResponseError as E;
use kafka_protocol::messages::add_partitions_to_txn_response::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnTopicResult,
};
use kafka_protocol::messages::{AddPartitionsToTxnRequest, AddPartitionsToTxnResponse};

use super::Call;
use crate::state::State;
use crate::transaction::ProducerIdAndEpoch;

const KNOWS_PRODUCER_FENCED: i16 = 2;

pub(super) fn handle(
    state: &mut State,
    call: &Call<'_>,
    request: AddPartitionsToTxnRequest,
) -> AddPartitionsToTxnResponse {
    call.deadline_changed();
    match add(state, call, &request) {
        Ok(()) => answer(request, |_, _| 0),
        // All or nothing: what could have been added was not attempted.
        Err(E::UnknownTopicOrPartition) => answer(request, |topic, partition| {
            let known = state.partition(topic, partition).is_ok();
            if known {
                E::OperationNotAttempted.code()
            } else {
                E::UnknownTopicOrPartition.code()
            }
        }),
        Err(E::ProducerFenced) if call.version < KNOWS_PRODUCER_FENCED => refuse(request, E::InvalidProducerEpoch),
        Err(error) => refuse(request, error),
    }
}

pub(super) fn refuse(request: AddPartitionsToTxnRequest, error: E) -> AddPartitionsToTxnResponse {
    answer(request, |_, _| error.code())
}

fn add(state: &mut State, call: &Call<'_>, request: &AddPartitionsToTxnRequest) -> Result<(), E> {
    let transactional_id = &request.v3_and_below_transactional_id;
    state.check_coordinator(call.node_id(), transactional_id)?;
    let producer = ProducerIdAndEpoch {
        id: request.v3_and_below_producer_id.0,
        epoch: request.v3_and_below_producer_epoch,
    };
    state.check_transaction_holder(transactional_id, producer)?;
    let topics = &request.v3_and_below_topics;
    let partitions = topics
        .iter()
        .flat_map(|topic| topic.partitions.iter().map(|index| (topic.name.as_str(), *index)));
    for (topic, partition) in partitions.clone() {
        state.partition(topic, partition)?;
    }
    for partition in partitions {
        state.add_partition_to_transaction(transactional_id, producer, partition, call.now)?;
    }
    Ok(())
}

fn answer(request: AddPartitionsToTxnRequest, error_code: impl Fn(&str, i32) -> i16) -> AddPartitionsToTxnResponse {
    let topics = request.v3_and_below_topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|&index| {
            AddPartitionsToTxnPartitionResult::default()
                .with_partition_index(index)
                .with_partition_error_code(error_code(&topic.name, index))
        });
        let partitions = partitions.collect();
        AddPartitionsToTxnTopicResult::default()
            .with_name(topic.name)
            .with_results_by_partition(partitions)
    });
    AddPartitionsToTxnResponse::default().with_results_by_topic_v3_and_below(topics.collect())
}
