//! ListGroups, DescribeGroups and ConsumerGroupDescribe, DeleteGroups.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use kafka_protocol::messages::{
    ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse, DeleteGroupsRequest, DescribeGroupsRequest, GroupId,
    ListGroupsRequest,
};
use kafka_wire::ErrorCode;

use super::{Admin, Asked, PerItem, outcome, text};
use crate::connection::Connection;
use crate::error::Error;
use crate::metadata::Topics;

/// A group in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupListing {
    /// Its id.
    pub group_id: Arc<str>,
    /// `consumer`, `connect`; empty for groups that only hold offsets.
    pub protocol_type: String,
    /// `Stable`, `Empty` and so on; empty from brokers that do not tell.
    pub state: String,
}

/// A group's state and members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupDescription {
    /// `Stable`, `Empty`, `Dead` and so on.
    pub state: String,
    /// `consumer`, `connect`; empty for groups that only hold offsets.
    pub protocol_type: String,
    /// The assignor that the members agreed on.
    pub protocol: String,
    /// The members.
    pub members: Vec<GroupMember>,
}

/// A member of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMember {
    /// Its id.
    pub member_id: String,
    /// `client.id`.
    pub client_id: String,
    /// Where it connects from.
    pub host: String,
    /// What it said when it joined (classic protocol only).
    pub metadata: Bytes,
    /// What it was given (classic protocol only).
    pub assignment: Bytes,
}

impl Admin {
    /// All groups of the cluster, by id. Fails when one broker cannot be asked, since its groups would be missing.
    pub async fn list_groups(&self) -> Result<Vec<GroupListing>, Error> {
        self.retry("listing groups", || self.list_groups_once()).await
    }

    async fn list_groups_once(&self) -> Result<Vec<GroupListing>, Error> {
        let metadata = self.client.refresh_metadata(Topics::Some(Vec::new())).await?;
        let asked = metadata.brokers.keys().map(|node_id| self.list_groups_at(*node_id));
        let lists = futures_util::future::try_join_all(asked).await?;
        let groups: BTreeMap<_, _> = lists
            .into_iter()
            .flatten()
            .map(|group| (group.group_id.clone(), group))
            .collect();
        Ok(groups.into_values().collect())
    }

    async fn list_groups_at(&self, node_id: i32) -> Result<Vec<GroupListing>, Error> {
        let response = self.client.call_node(node_id, ListGroupsRequest::default()).await?;
        outcome(
            response.error_code,
            None,
            || format!("listing groups of broker {node_id}"),
            (),
        )?;
        let listing = |group: &kafka_protocol::messages::list_groups_response::ListedGroup| GroupListing {
            group_id: group.group_id.0.as_str().into(),
            protocol_type: group.protocol_type.to_string(),
            state: group.group_state.to_string(),
        };
        Ok(response.groups.iter().map(listing).collect())
    }

    /// State and members of groups of either protocol.
    pub async fn describe_groups(&self, group_ids: &[Arc<str>]) -> Result<PerItem<Arc<str>, GroupDescription>, Error> {
        let items = group_ids.iter().map(|group_id| (group_id.clone(), ())).collect();
        let attempt = |items: Vec<(Arc<str>, ())>| async move {
            let described = items.into_iter().map(|(group_id, ())| async move {
                let description = self.describe_group(&group_id).await;
                (group_id, description)
            });
            Ok(futures_util::future::join_all(described).await)
        };
        self.settle("describing groups", Asked::Coordinator, items, attempt)
            .await
    }

    async fn describe_group(&self, group_id: &str) -> Result<GroupDescription, Error> {
        let connection = self.coordinator_of(group_id).await?;
        if connection.version::<ConsumerGroupDescribeRequest>().is_ok() {
            match self.describe_consumer_group(&connection, group_id).await {
                // It is a group of the classic protocol, or none at all.
                Err(error)
                    if matches!(
                        error.code(),
                        Some(ErrorCode::GROUP_ID_NOT_FOUND | ErrorCode::UNSUPPORTED_VERSION)
                    ) => {}
                described => return described,
            }
        }
        let request = DescribeGroupsRequest::default().with_groups(vec![GroupId(text(group_id))]);
        let response = self.client.call_on(&connection, request).await?;
        let what = || format!("describing group {group_id}");
        let Some(group) = response.groups.first() else {
            return Err(Error::refused(what(), ErrorCode::GROUP_ID_NOT_FOUND, None));
        };
        outcome(group.error_code, group.error_message.as_ref(), what, ())?;
        let member = |member: &kafka_protocol::messages::describe_groups_response::DescribedGroupMember| GroupMember {
            member_id: member.member_id.to_string(),
            client_id: member.client_id.to_string(),
            host: member.client_host.to_string(),
            metadata: Bytes::copy_from_slice(&member.member_metadata), // would keep the whole frame
            assignment: Bytes::copy_from_slice(&member.member_assignment),
        };
        Ok(GroupDescription {
            state: group.group_state.to_string(),
            protocol_type: group.protocol_type.to_string(),
            protocol: group.protocol_data.to_string(),
            members: group.members.iter().map(member).collect(),
        })
    }

    async fn describe_consumer_group(
        &self,
        connection: &Connection,
        group_id: &str,
    ) -> Result<GroupDescription, Error> {
        let request = ConsumerGroupDescribeRequest::default().with_group_ids(vec![GroupId(text(group_id))]);
        let response: ConsumerGroupDescribeResponse = self.client.call_on(connection, request).await?;
        let what = || format!("describing group {group_id}");
        let Some(group) = response.groups.first() else {
            return Err(Error::refused(what(), ErrorCode::GROUP_ID_NOT_FOUND, None));
        };
        outcome(group.error_code, group.error_message.as_ref(), what, ())?;
        let member = |member: &kafka_protocol::messages::consumer_group_describe_response::Member| GroupMember {
            member_id: member.member_id.to_string(),
            client_id: member.client_id.to_string(),
            host: member.client_host.to_string(),
            metadata: Bytes::new(),
            assignment: Bytes::new(),
        };
        Ok(GroupDescription {
            state: group.group_state.to_string(),
            protocol_type: "consumer".to_owned(),
            protocol: group.assignor_name.to_string(),
            members: group.members.iter().map(member).collect(),
        })
    }

    /// Deletes groups without members, with their offsets.
    pub async fn delete_groups(&self, group_ids: &[Arc<str>]) -> Result<PerItem<Arc<str>, ()>, Error> {
        let items = group_ids.iter().map(|group_id| (group_id.clone(), ())).collect();
        let attempt = |items: Vec<(Arc<str>, ())>| async move {
            let deleted = items.into_iter().map(|(group_id, ())| async move {
                let deleted = self.delete_group(&group_id).await;
                (group_id, deleted)
            });
            Ok(futures_util::future::join_all(deleted).await)
        };
        self.settle("deleting groups", Asked::Coordinator, items, attempt).await
    }

    async fn delete_group(&self, group_id: &str) -> Result<(), Error> {
        let connection = self.coordinator_of(group_id).await?;
        let request = DeleteGroupsRequest::default().with_groups_names(vec![GroupId(text(group_id))]);
        let response = self.client.call_on(&connection, request).await?;
        let code = response
            .results
            .first()
            .map_or(ErrorCode::GROUP_ID_NOT_FOUND.0, |result| result.error_code);
        outcome(code, None, || format!("deleting group {group_id}"), ())
    }
}
