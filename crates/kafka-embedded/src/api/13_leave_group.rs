//! LeaveGroup, versions 0 to 5.

use kafka_protocol::error::ResponseError as E;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::leave_group_response::MemberResponse;
use kafka_protocol::messages::{LeaveGroupRequest, LeaveGroupResponse};

use super::{Call, code};
use crate::state::State;

/// From here on one request may take several members out.
const BATCHED: i16 = 3;

pub(super) fn handle(state: &mut State, call: &Call<'_>, request: LeaveGroupRequest) -> LeaveGroupResponse {
    if let Err(error) = state.check_coordinator(call.node_id(), &request.group_id) {
        return refuse(request, error);
    }
    call.deadline_changed();
    let mut leave = |member: &MemberIdentity| {
        let group = state.groups.get_mut(&request.group_id).ok_or(E::UnknownMemberId)?;
        let instance_id = member.group_instance_id.as_ref().map(|id| id.as_str());
        group.leave(&member.member_id, instance_id, call.now)
    };
    if call.version < BATCHED {
        let left = leave(&MemberIdentity::default().with_member_id(request.member_id.clone()));
        return LeaveGroupResponse::default().with_error_code(code(&left));
    }
    let members = request.members.iter().map(|member| {
        let left = leave(member);
        MemberResponse::default()
            .with_member_id(member.member_id.clone())
            .with_group_instance_id(member.group_instance_id.clone())
            .with_error_code(code(&left))
    });
    LeaveGroupResponse::default().with_members(members.collect())
}

pub(super) fn refuse(_: LeaveGroupRequest, error: E) -> LeaveGroupResponse {
    LeaveGroupResponse::default().with_error_code(error.code())
}
