//! ListGroups, versions 0 to 5.

use kafka_protocol::error::ResponseError as E;
use kafka_protocol::messages::list_groups_response::ListedGroup;
use kafka_protocol::messages::{GroupId, ListGroupsRequest, ListGroupsResponse};
use kafka_protocol::protocol::StrBytes;

use super::{Call, text};
use crate::state::State;

const GROUP_TYPE: &str = "classic";

pub(super) fn handle(state: &mut State, call: &Call<'_>, request: ListGroupsRequest) -> ListGroupsResponse {
    let allows = |filter: &[StrBytes], value: &str| {
        filter.is_empty() || filter.iter().any(|wanted| wanted.eq_ignore_ascii_case(value))
    };
    let mine = state
        .groups
        .iter()
        .filter(|(id, _)| state.check_coordinator(call.node_id(), id).is_ok());
    let groups = mine
        .filter(|(_, group)| allows(&request.states_filter, group.state.name()))
        .filter(|_| allows(&request.types_filter, GROUP_TYPE))
        .map(|(id, group)| {
            ListedGroup::default()
                .with_group_id(GroupId(text(id)))
                .with_protocol_type(text(group.protocol_type.as_deref().unwrap_or_default()))
                .with_group_state(text(group.state.name()))
                .with_group_type(text(GROUP_TYPE))
        });
    ListGroupsResponse::default().with_groups(groups.collect())
}

pub(super) fn refuse(_: ListGroupsRequest, error: E) -> ListGroupsResponse {
    ListGroupsResponse::default().with_error_code(error.code())
}
