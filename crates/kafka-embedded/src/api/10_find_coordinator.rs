//! FindCoordinator, versions 0 to 6, for groups and transactions.
//!
//! Left out: share groups.

use kafka_protocol::error::ResponseError as E;
use kafka_protocol::messages::find_coordinator_response::Coordinator;
use kafka_protocol::messages::{BrokerId, FindCoordinatorRequest, FindCoordinatorResponse};
use kafka_protocol::protocol::StrBytes;

use super::{Call, text};
use crate::state::State;

const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;
/// From here on one request asks for several.
const BATCHED: i16 = 4;

pub(super) fn handle(state: &mut State, call: &Call<'_>, request: FindCoordinatorRequest) -> FindCoordinatorResponse {
    if ![GROUP, TRANSACTION].contains(&request.key_type) {
        return refuse(request, E::InvalidRequest);
    }
    if call.version >= BATCHED {
        let coordinators = request.coordinator_keys.into_iter().map(|key| find(state, key));
        return FindCoordinatorResponse::default().with_coordinators(coordinators.collect());
    }
    let found = find(state, request.key);
    FindCoordinatorResponse::default()
        .with_error_code(found.error_code)
        .with_error_message(None)
        .with_node_id(found.node_id)
        .with_host(found.host)
        .with_port(found.port)
}

pub(super) fn refuse(request: FindCoordinatorRequest, error: E) -> FindCoordinatorResponse {
    let response = FindCoordinatorResponse::default().with_error_message(None);
    if request.coordinator_keys.is_empty() {
        return response
            .with_error_code(error.code())
            .with_node_id(BrokerId(-1))
            .with_port(-1);
    }
    let coordinators = request.coordinator_keys.into_iter().map(|key| nobody(key, error));
    response.with_coordinators(coordinators.collect())
}

fn find(state: &State, key: StrBytes) -> Coordinator {
    match state.coordinator_of(&key) {
        Some((id, node)) => Coordinator::default()
            .with_error_message(None)
            .with_key(key)
            .with_node_id(BrokerId(id))
            .with_host(text(&node.host))
            .with_port(node.port.into()),
        None => nobody(key, E::CoordinatorNotAvailable),
    }
}

fn nobody(key: StrBytes, error: E) -> Coordinator {
    Coordinator::default()
        .with_key(key)
        .with_node_id(BrokerId(-1))
        .with_port(-1)
        .with_error_code(error.code())
        .with_error_message(Some(text(&error.to_string())))
}
