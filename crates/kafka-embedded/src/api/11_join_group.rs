//! JoinGroup, versions 0 to 9. The answer waits until the generation's members have come.
//!
//! Left out: `group.initial.rebalance.delay.ms` (it is 0), `group.max.size`.

use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::error::ResponseError as E;
use kafka_protocol::messages::{JoinGroupRequest, JoinGroupResponse};

use super::Call;
use crate::group::membership::{Join, Joined, join_refused};

/// Kafka's `group.min.session.timeout.ms`, save that tests may be in a hurry, and `group.max.session.timeout.ms`.
const SESSION_TIMEOUT_MS: std::ops::RangeInclusive<i32> = 10..=1_800_000;
/// Null protocol names and types are known from here on.
const NULLABLE_PROTOCOL: i16 = 7;
const MEMBER_ID_REQUIRED: i16 = 4;

pub(super) async fn handle(call: &Call<'_>, request: JoinGroupRequest) -> JoinGroupResponse {
    let member_id = request.member_id.to_string();
    let joined = join(call, request);
    call.deadline_changed();
    let mut response = match joined {
        Ok(Joined::Now(response)) => response,
        // The same member asked again on another connection, and that request is the one to be answered.
        Ok(Joined::Later(receiver)) => receiver
            .await
            .unwrap_or_else(|_| join_refused(&member_id, E::RebalanceInProgress)),
        Err(error) => join_refused(&member_id, error),
    };
    if call.version >= NULLABLE_PROTOCOL && response.error_code != 0 {
        response.protocol_name = None;
    }
    response
}

pub(super) fn refuse(request: JoinGroupRequest, error: E) -> JoinGroupResponse {
    join_refused(&request.member_id, error)
}

fn join(call: &Call<'_>, request: JoinGroupRequest) -> Result<Joined, E> {
    let group_id = request.group_id.to_string();
    if group_id.is_empty() {
        return Err(E::InvalidGroupId);
    }
    if !SESSION_TIMEOUT_MS.contains(&request.session_timeout_ms) {
        return Err(E::InvalidSessionTimeout);
    }
    let mut state = call.context.shared.state();
    state.check_coordinator(call.node_id(), &group_id)?;
    if !request.member_id.is_empty() && state.groups.get(&group_id).is_none() {
        return Err(E::UnknownMemberId);
    }
    let rebalance_timeout_ms = match call.version {
        0 => request.session_timeout_ms,
        _ => request.rebalance_timeout_ms.max(0),
    };
    let join = Join {
        member_id: request.member_id.to_string(),
        instance_id: request.group_instance_id.map(|id| id.to_string()),
        client_id: call.client_id.to_owned(),
        client_host: format!("/{}", call.context.host).into(),
        protocol_type: request.protocol_type.to_string(),
        // Copied: a member outlives the request's bytes.
        protocols: request
            .protocols
            .iter()
            .map(|protocol| (protocol.name.to_string(), Bytes::copy_from_slice(&protocol.metadata)))
            .collect(),
        session_timeout: Duration::from_millis(request.session_timeout_ms as u64),
        rebalance_timeout: Duration::from_millis(rebalance_timeout_ms as u64),
        member_id_required: call.version >= MEMBER_ID_REQUIRED,
    };
    Ok(state.groups.get_or_create(&group_id).join(join, call.now))
}
