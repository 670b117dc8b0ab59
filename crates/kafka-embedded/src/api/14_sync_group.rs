//! SyncGroup, versions 0 to 5. The answer waits for the leader's assignment.

use bytes::Bytes;
use kafka_protocol::error::ResponseError as E;
use kafka_protocol::messages::{SyncGroupRequest, SyncGroupResponse};

use super::Call;
use crate::group::membership::{Synced, sync_refused};

pub(super) async fn handle(call: &Call<'_>, request: SyncGroupRequest) -> SyncGroupResponse {
    let synced = sync(call, request);
    call.deadline_changed();
    match synced {
        Ok(Synced::Now(response)) => response,
        Ok(Synced::Later(receiver)) => receiver.await.unwrap_or_else(|_| sync_refused(E::RebalanceInProgress)),
        Err(error) => sync_refused(error),
    }
}

pub(super) fn refuse(_: SyncGroupRequest, error: E) -> SyncGroupResponse {
    sync_refused(error)
}

fn sync(call: &Call<'_>, request: SyncGroupRequest) -> Result<Synced, E> {
    let mut state = call.context.shared.state();
    state.check_coordinator(call.node_id(), &request.group_id)?;
    let group = state.groups.get_mut(&request.group_id).ok_or(E::UnknownMemberId)?;
    let instance_id = request.group_instance_id.as_ref().map(|id| id.as_str());
    group.check_member(&request.member_id, instance_id, request.generation_id)?;
    let differs = |ours: &Option<String>, theirs: &Option<kafka_protocol::protocol::StrBytes>| {
        theirs
            .as_ref()
            .is_some_and(|theirs| ours.as_deref() != Some(theirs.as_str()))
    };
    if differs(&group.protocol_type, &request.protocol_type) || differs(&group.protocol, &request.protocol_name) {
        return Err(E::InconsistentGroupProtocol);
    }
    let assignments = request.assignments.iter().map(|assignment| {
        let bytes = Bytes::copy_from_slice(&assignment.assignment);
        (assignment.member_id.to_string(), bytes)
    });
    Ok(group.sync(&request.member_id, assignments.collect(), call.now))
}
