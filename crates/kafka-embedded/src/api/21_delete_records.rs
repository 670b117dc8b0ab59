//! DeleteRecords, versions 0 to 2.

use kafka_protocol::error::ResponseError as E;
use kafka_protocol::messages::delete_records_response::{DeleteRecordsPartitionResult, DeleteRecordsTopicResult};
use kafka_protocol::messages::{DeleteRecordsRequest, DeleteRecordsResponse};

use super::{Call, code};
use crate::state::State;

pub(super) fn handle(state: &mut State, call: &Call<'_>, request: DeleteRecordsRequest) -> DeleteRecordsResponse {
    call.log_changed();
    answer(request, |topic, partition, offset| {
        state.led_partition(call.node_id(), topic, partition, -1)?;
        state.partition_mut(topic, partition)?.log.delete_records(offset)
    })
}

pub(super) fn refuse(request: DeleteRecordsRequest, error: E) -> DeleteRecordsResponse {
    answer(request, |_, _, _| Err(error))
}

fn answer(
    request: DeleteRecordsRequest,
    mut delete: impl FnMut(&str, i32, i64) -> Result<i64, E>,
) -> DeleteRecordsResponse {
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            let deleted = delete(&topic.name, partition.partition_index, partition.offset);
            DeleteRecordsPartitionResult::default()
                .with_partition_index(partition.partition_index)
                .with_error_code(code(&deleted))
                .with_low_watermark(deleted.unwrap_or(-1))
        });
        let partitions = partitions.collect();
        DeleteRecordsTopicResult::default()
            .with_name(topic.name)
            .with_partitions(partitions)
    });
    DeleteRecordsResponse::default().with_topics(topics.collect())
}
