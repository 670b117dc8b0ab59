//! ListOffsets, versions 1 to 10.
//!
//! Left out: tiered storage; its two special timestamps answer as a broker without it does.

use kafka_protocol::error::ResponseError as E;
use kafka_protocol::messages::list_offsets_request::ListOffsetsPartition;
use kafka_protocol::messages::list_offsets_response::{ListOffsetsPartitionResponse, ListOffsetsTopicResponse};
use kafka_protocol::messages::{ListOffsetsRequest, ListOffsetsResponse};

use super::Call;
use crate::log::TimestampAndOffset;
use crate::state::State;
use crate::topic::Partition;

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;
const TELLS_EPOCH: i16 = 4;
const READ_COMMITTED: i8 = 1;

pub(super) fn handle(state: &mut State, call: &Call<'_>, request: ListOffsetsRequest) -> ListOffsetsResponse {
    let committed = request.isolation_level == READ_COMMITTED;
    let mut response = answer(request, |topic, wanted| {
        let epoch = wanted.current_leader_epoch;
        let partition = state.led_partition(call.node_id(), topic, wanted.partition_index, epoch)?;
        lookup(partition, wanted.timestamp, committed)
    });
    if call.version < TELLS_EPOCH {
        for partition in response.topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
            partition.leader_epoch = -1;
        }
    }
    response
}

pub(super) fn refuse(request: ListOffsetsRequest, error: E) -> ListOffsetsResponse {
    answer(request, |_, _| Err(error))
}

fn lookup(partition: &Partition, timestamp: i64, committed: bool) -> Result<Option<TimestampAndOffset>, E> {
    let log = &partition.log;
    let upper = if committed {
        log.last_stable_offset()
    } else {
        log.high_watermark()
    };
    let at = |offset, leader_epoch| {
        Some(TimestampAndOffset {
            timestamp: -1,
            offset,
            leader_epoch,
        })
    };
    Ok(match timestamp {
        LATEST => at(upper, partition.leader_epoch),
        EARLIEST | EARLIEST_LOCAL => {
            let start = log.log_start_offset();
            at(start, log.epoch_at(start).unwrap_or(-1))
        }
        LATEST_TIERED => at(-1, -1),
        MAX_TIMESTAMP => log.offset_of_max_timestamp(),
        timestamp if timestamp >= 0 => log.offset_for_timestamp(timestamp).filter(|found| found.offset < upper),
        _ => return Err(E::UnsupportedVersion),
    })
}

fn answer(
    request: ListOffsetsRequest,
    mut offset: impl FnMut(&str, &ListOffsetsPartition) -> Result<Option<TimestampAndOffset>, E>,
) -> ListOffsetsResponse {
    let mut response = ListOffsetsResponse::default();
    for topic in request.topics {
        let partitions = topic.partitions.iter().map(|wanted| {
            let nothing = ListOffsetsPartitionResponse::default().with_partition_index(wanted.partition_index);
            match offset(&topic.name, wanted) {
                Ok(None) => nothing,
                Ok(Some(found)) => nothing
                    .with_timestamp(found.timestamp)
                    .with_offset(found.offset)
                    .with_leader_epoch(found.leader_epoch),
                Err(error) => nothing.with_error_code(error.code()),
            }
        });
        let partitions = partitions.collect();
        let topic = ListOffsetsTopicResponse::default()
            .with_name(topic.name)
            .with_partitions(partitions);
        response.topics.push(topic);
    }
    response
}
