//! DeleteGroups, versions 0 to 2.

use kafka_protocol::error::ResponseError as E;
use kafka_protocol::messages::delete_groups_response::DeletableGroupResult;
use kafka_protocol::messages::{DeleteGroupsRequest, DeleteGroupsResponse};

use super::{Call, code};
use crate::state::State;

pub(super) fn handle(state: &mut State, call: &Call<'_>, request: DeleteGroupsRequest) -> DeleteGroupsResponse {
    answer(request, |group_id| {
        state.check_coordinator(call.node_id(), group_id)?;
        state.groups.delete(group_id)
    })
}

pub(super) fn refuse(request: DeleteGroupsRequest, error: E) -> DeleteGroupsResponse {
    answer(request, |_| Err(error))
}

fn answer(request: DeleteGroupsRequest, mut delete: impl FnMut(&str) -> Result<(), E>) -> DeleteGroupsResponse {
    let results = request.groups_names.into_iter().map(|group_id| {
        let deleted = delete(&group_id);
        DeletableGroupResult::default()
            .with_group_id(group_id)
            .with_error_code(code(&deleted))
    });
    DeleteGroupsResponse::default().with_results(results.collect())
}
