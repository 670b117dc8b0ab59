//! DescribeGroups, versions 0 to 6.
//!
//! Left out: authorized operations.

use bytes::Bytes;
use kafka_protocol::error::ResponseError as E;
use kafka_protocol::messages::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use kafka_protocol::messages::{DescribeGroupsRequest, DescribeGroupsResponse, GroupId};

use super::{Call, OPERATIONS_UNKNOWN, text};
use crate::group::{Group, GroupState};
use crate::state::State;

/// From here on an unknown group is an error; before, it is a dead group.
const UNKNOWN_IS_AN_ERROR: i16 = 6;

pub(super) fn handle(state: &mut State, call: &Call<'_>, request: DescribeGroupsRequest) -> DescribeGroupsResponse {
    let groups = request.groups.into_iter().map(|id| {
        if let Err(error) = state.check_coordinator(call.node_id(), &id) {
            return failed(id, error);
        }
        match state.groups.get(&id) {
            Some(group) => describe(id, group),
            None if call.version >= UNKNOWN_IS_AN_ERROR => {
                let why = format!("Group {} not found.", &*id);
                failed(id, E::GroupIdNotFound).with_error_message(Some(text(&why)))
            }
            None => dead(id),
        }
    });
    DescribeGroupsResponse::default().with_groups(groups.collect())
}

pub(super) fn refuse(request: DescribeGroupsRequest, error: E) -> DescribeGroupsResponse {
    let groups = request.groups.into_iter().map(|id| failed(id, error));
    DescribeGroupsResponse::default().with_groups(groups.collect())
}

fn dead(id: GroupId) -> DescribedGroup {
    DescribedGroup::default()
        .with_group_id(id)
        .with_group_state(text("Dead"))
        .with_authorized_operations(OPERATIONS_UNKNOWN)
}

fn failed(id: GroupId, error: E) -> DescribedGroup {
    dead(id).with_error_code(error.code())
}

fn describe(id: GroupId, group: &Group) -> DescribedGroup {
    let is_stable = group.state == GroupState::Stable;
    let protocol = group.protocol.as_deref().filter(|_| is_stable).unwrap_or_default();
    let members = group.members.iter().map(|(id, member)| {
        let assignment = if is_stable {
            member.assignment.clone()
        } else {
            Bytes::new()
        };
        DescribedGroupMember::default()
            .with_member_id(text(id))
            .with_group_instance_id(member.instance_id.as_deref().map(text))
            .with_client_id(text(&member.client_id))
            .with_client_host(text(&member.client_host))
            .with_member_metadata(member.metadata(protocol))
            .with_member_assignment(assignment)
    });
    dead(id)
        .with_group_state(text(group.state.name()))
        .with_protocol_type(text(group.protocol_type.as_deref().unwrap_or_default()))
        .with_protocol_data(text(protocol))
        .with_members(members.collect())
}
