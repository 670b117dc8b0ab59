//! CreatePartitions, versions 0 to 3.

use kafka_protocol::error::ResponseError as E;
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_partitions_response::CreatePartitionsTopicResult;
use kafka_protocol::messages::{CreatePartitionsRequest, CreatePartitionsResponse};

use super::{Call, text};
use crate::state::{MAX_PARTITIONS, Refusal, State};

pub(super) fn handle(state: &mut State, call: &Call<'_>, request: CreatePartitionsRequest) -> CreatePartitionsResponse {
    call.log_changed();
    let validate_only = request.validate_only;
    answer(request, |topic| create(state, topic, validate_only))
}

pub(super) fn refuse(request: CreatePartitionsRequest, error: E) -> CreatePartitionsResponse {
    answer(request, |_| Err((error, error.to_string())))
}

fn create(state: &mut State, wanted: &CreatePartitionsTopic, validate_only: bool) -> Result<(), Refusal> {
    let topic = state.topic(&wanted.name).map_err(|error| (error, error.to_string()))?;
    let have = topic.partitions.len();
    let count = usize::try_from(wanted.count).unwrap_or(0);
    if count <= have {
        let why = match count == have {
            true => format!("Topic already has {have} partition(s)."),
            false => format!(
                "The topic {} currently has {have} partition(s); {} would not be an increase.",
                &*wanted.name, wanted.count
            ),
        };
        return Err((E::InvalidPartitions, why));
    }
    if count - have > MAX_PARTITIONS as usize {
        return Err((
            E::PolicyViolation,
            "Excessively large number of partitions per request.".to_owned(),
        ));
    }
    let assignments: Vec<Vec<i32>> = wanted
        .assignments
        .iter()
        .flatten()
        .map(|assignment| assignment.broker_ids.iter().map(|id| id.0).collect())
        .collect();
    let unknown = |id: &i32| !state.nodes.contains_key(id);
    let bad = assignments
        .iter()
        .any(|replicas| replicas.is_empty() || replicas.iter().any(unknown));
    if bad || (!assignments.is_empty() && assignments.len() != count - have) {
        return Err((
            E::InvalidReplicaAssignment,
            "The assignment does not fit the new partitions.".to_owned(),
        ));
    }
    if validate_only {
        return Ok(());
    }
    state
        .create_partitions(&wanted.name, wanted.count, assignments)
        .map_err(|error| (error, error.to_string()))
}

fn answer(
    request: CreatePartitionsRequest,
    mut create: impl FnMut(&CreatePartitionsTopic) -> Result<(), Refusal>,
) -> CreatePartitionsResponse {
    let results = request.topics.into_iter().map(|topic| {
        let created = create(&topic);
        let result = CreatePartitionsTopicResult::default().with_name(topic.name);
        match created {
            Ok(()) => result,
            Err((error, why)) => result
                .with_error_code(error.code())
                .with_error_message(Some(text(&why))),
        }
    });
    CreatePartitionsResponse::default().with_results(results.collect())
}
