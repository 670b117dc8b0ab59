//! The group requests, to the broker that coordinates the group.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kafka_client::admin::CoordinatorType;
use kafka_client::retry::{ExponentialBackoff, is_retriable};
use kafka_client::{Admin, Client, Connection, Role};
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::{
    GroupId, HeartbeatRequest, HeartbeatResponse, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest,
    LeaveGroupResponse, SyncGroupRequest, SyncGroupResponse,
};
use kafka_protocol::protocol::StrBytes;

use super::config::GroupConfig;
use crate::assignor::ByMember;
use crate::protocol::ConnectProtocol;

type Answer<T> = Result<T, kafka_client::Error>;

/// The protocol type of every Connect group.
pub(super) const PROTOCOL_TYPE: &str = "connect";
/// The generation of somebody who is in none.
const NO_GENERATION: i32 = -1;
/// How much longer than the rebalance timeout a JoinGroup request may take: Kafka's `JOIN_GROUP_TIMEOUT_LAPSE`.
const JOIN_GROUP_LAPSE: Duration = Duration::from_secs(5);
/// Brokers refuse longer reasons.
const MAX_REASON_BYTES: usize = 255;
/// LeaveGroup names several members from here on.
const LEAVE_IN_A_LIST: i16 = 3;

/// Who a member is in its group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    /// Empty before the coordinator gave one.
    pub(super) member_id: Arc<str>,
    pub(super) generation: i32,
}

impl Identity {
    pub(super) fn unknown() -> Self {
        Self {
            member_id: "".into(),
            generation: NO_GENERATION,
        }
    }

    /// The coordinator knows this id, but in no generation.
    pub(super) fn without_generation(member_id: impl Into<Arc<str>>) -> Self {
        Self {
            member_id: member_id.into(),
            generation: NO_GENERATION,
        }
    }

    pub(super) fn is_member(&self) -> bool {
        self.generation != NO_GENERATION
    }
}

/// The coordinator of a group, over a connection that serves nothing else.
#[derive(Clone)]
pub(super) struct Coordinator {
    client: Client,
    group_id: Arc<str>,
    node_id: i32,
    connection: Connection,
}

impl Coordinator {
    /// Finds it and connects, and tries for as long as what goes wrong may pass.
    /// After `failures` of what was found before, it waits first.
    pub(super) async fn search(client: Client, group_id: Arc<str>, mut failures: u32) -> Answer<Self> {
        let config = client.config();
        let backoff = ExponentialBackoff::new(config.retry_backoff, config.retry_backoff_max);
        if let Some(failures) = failures.checked_sub(1) {
            tokio::time::sleep(backoff.after(failures)).await;
        }
        loop {
            match Self::find(&client, &group_id).await {
                Err(error) if is_retriable(&error) => {
                    tracing::debug!(error = error.chain(), "cannot find the coordinator yet");
                    tokio::time::sleep(backoff.after(failures)).await;
                    failures = failures.saturating_add(1);
                }
                found => return found,
            }
        }
    }

    async fn find(client: &Client, group_id: &Arc<str>) -> Answer<Self> {
        let admin = Admin::new(client.clone());
        let node_id = admin.find_coordinator_once(CoordinatorType::Group, group_id).await?;
        let connection = client.connection(node_id, Role::Coordinator).await?;
        Ok(Self {
            client: client.clone(),
            group_id: group_id.clone(),
            node_id,
            connection,
        })
    }

    pub(super) fn node_id(&self) -> i32 {
        self.node_id
    }

    /// Completes once nothing can be asked any more.
    pub(super) async fn closed(&self) -> kafka_client::Error {
        self.connection.closed().await
    }

    /// Answered when all members have come, or have had their time.
    pub(super) async fn join(
        &self,
        config: &GroupConfig,
        member_id: &str,
        offers: Vec<(ConnectProtocol, Bytes)>,
        reason: &str,
    ) -> Answer<JoinGroupResponse> {
        let protocols = offers.into_iter().map(|(protocol, metadata)| {
            JoinGroupRequestProtocol::default()
                .with_name(StrBytes::from_static_str(protocol.group_name()))
                .with_metadata(metadata)
        });
        let request = JoinGroupRequest::default()
            .with_group_id(self.group())
            .with_session_timeout_ms(millis(config.session_timeout))
            .with_rebalance_timeout_ms(millis(config.rebalance_timeout))
            .with_member_id(text(member_id))
            .with_protocol_type(StrBytes::from_static_str(PROTOCOL_TYPE))
            .with_protocols(protocols.collect())
            .with_reason(Some(text(cut(reason))));
        let patience = config.rebalance_timeout + JOIN_GROUP_LAPSE;
        let timeout = self.client.config().request_timeout.max(patience);
        let version = self.connection.version::<JoinGroupRequest>()?;
        self.connection.call(version, request, timeout).await
    }

    /// Answered when the leader has assigned; only the leader has anything to tell.
    pub(super) async fn sync(
        &self,
        identity: &Identity,
        protocol_name: &str,
        assignments: ByMember<Bytes>,
    ) -> Answer<SyncGroupResponse> {
        let assignments = assignments.into_iter().map(|(member_id, assignment)| {
            SyncGroupRequestAssignment::default()
                .with_member_id(text(&member_id))
                .with_assignment(assignment)
        });
        let request = SyncGroupRequest::default()
            .with_group_id(self.group())
            .with_generation_id(identity.generation)
            .with_member_id(text(&identity.member_id))
            .with_protocol_type(Some(StrBytes::from_static_str(PROTOCOL_TYPE)))
            .with_protocol_name(Some(text(protocol_name)))
            .with_assignments(assignments.collect());
        self.client.call_on(&self.connection, request).await
    }

    pub(super) async fn heartbeat(&self, identity: &Identity, timeout: Duration) -> Answer<HeartbeatResponse> {
        let request = HeartbeatRequest::default()
            .with_group_id(self.group())
            .with_generation_id(identity.generation)
            .with_member_id(text(&identity.member_id));
        let version = self.connection.version::<HeartbeatRequest>()?;
        self.connection.call(version, request, timeout).await
    }

    /// Goes over the general connection, since a JoinGroup that waits may block ours.
    pub(super) async fn leave(&self, member_id: &str, reason: &str) -> Answer<LeaveGroupResponse> {
        let connection = self.client.connection(self.node_id, Role::General).await?;
        let request = LeaveGroupRequest::default().with_group_id(self.group());
        let version = connection.version::<LeaveGroupRequest>()?;
        let request = match version >= LEAVE_IN_A_LIST {
            true => request.with_members(vec![
                MemberIdentity::default()
                    .with_member_id(text(member_id))
                    .with_reason(Some(text(cut(reason)))),
            ]),
            false => request.with_member_id(text(member_id)),
        };
        let timeout = self.client.config().request_timeout;
        connection.call(version, request, timeout).await
    }

    fn group(&self) -> GroupId {
        GroupId(text(&self.group_id))
    }
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn cut(reason: &str) -> &str {
    &reason[..reason.floor_char_boundary(MAX_REASON_BYTES)]
}

fn millis(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}
