//! OffsetForLeaderEpoch, versions 2 to 4.

use kafka_protocol::error::ResponseError as E;
use kafka_protocol::messages::offset_for_leader_epoch_request::OffsetForLeaderPartition;
use kafka_protocol::messages::offset_for_leader_epoch_response::{EpochEndOffset, OffsetForLeaderTopicResult};
use kafka_protocol::messages::{OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse};

use super::Call;
use crate::state::State;

const UNDEFINED: (i32, i64) = (-1, -1);

pub(super) fn handle(
    state: &mut State,
    call: &Call<'_>,
    request: OffsetForLeaderEpochRequest,
) -> OffsetForLeaderEpochResponse {
    answer(request, |topic, wanted| {
        let epoch = wanted.current_leader_epoch;
        let partition = state.led_partition(call.node_id(), topic, wanted.partition, epoch)?;
        let end = partition.log.end_of_epoch(wanted.leader_epoch, partition.leader_epoch);
        Ok(end.unwrap_or(UNDEFINED))
    })
}

pub(super) fn refuse(request: OffsetForLeaderEpochRequest, error: E) -> OffsetForLeaderEpochResponse {
    answer(request, |_, _| Err(error))
}

fn answer(
    request: OffsetForLeaderEpochRequest,
    mut end: impl FnMut(&str, &OffsetForLeaderPartition) -> Result<(i32, i64), E>,
) -> OffsetForLeaderEpochResponse {
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|wanted| {
            let response = EpochEndOffset::default().with_partition(wanted.partition);
            match end(&topic.topic, wanted) {
                Ok((epoch, offset)) => response.with_leader_epoch(epoch).with_end_offset(offset),
                Err(error) => response.with_error_code(error.code()),
            }
        });
        let partitions = partitions.collect();
        OffsetForLeaderTopicResult::default()
            .with_topic(topic.topic)
            .with_partitions(partitions)
    });
    OffsetForLeaderEpochResponse::default().with_topics(topics.collect())
}
