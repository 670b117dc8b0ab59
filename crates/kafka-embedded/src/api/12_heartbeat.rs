//! Heartbeat, versions 0 to 4.

use kafka_protocol::error::ResponseError as E;
use kafka_protocol::messages::{HeartbeatRequest, HeartbeatResponse};

use super::{Call, code};
use crate::state::State;

pub(super) fn handle(state: &mut State, call: &Call<'_>, request: HeartbeatRequest) -> HeartbeatResponse {
    HeartbeatResponse::default().with_error_code(code(&heartbeat(state, call, &request)))
}

pub(super) fn refuse(_: HeartbeatRequest, error: E) -> HeartbeatResponse {
    HeartbeatResponse::default().with_error_code(error.code())
}

fn heartbeat(state: &mut State, call: &Call<'_>, request: &HeartbeatRequest) -> Result<(), E> {
    state.check_coordinator(call.node_id(), &request.group_id)?;
    let group = state.groups.get_mut(&request.group_id).ok_or(E::UnknownMemberId)?;
    let instance_id = request.group_instance_id.as_ref().map(|id| id.as_str());
    group.check_member(&request.member_id, instance_id, request.generation_id)?;
    group.heartbeat(&request.member_id, call.now)
}
