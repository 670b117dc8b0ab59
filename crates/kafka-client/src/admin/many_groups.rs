//! The same as in `groups` and `group_offsets`, for thousands of groups at once: FindCoordinator, OffsetFetch (KIP-709),
//! ConsumerGroupDescribe and DescribeGroups with many groups in a request.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::{StreamExt, stream};
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use kafka_protocol::messages::{
    ConsumerGroupDescribeRequest, DescribeGroupsRequest, FindCoordinatorRequest, GroupId, OffsetFetchRequest,
};
use kafka_protocol::protocol::StrBytes;
use kafka_wire::{ErrorCode, TopicPartition};

use super::group_offsets::{LAST_VERSION_BY_NAME, REQUIRE_STABLE_SINCE, SEVERAL_GROUPS_SINCE};
use super::{Admin, Asked, CoordinatorType, OffsetAndMetadata, PerItem, find_coordinator, outcome, text};
use crate::connection::Connection;
use crate::error::Error;
use crate::pool::Role;

/// Groups in one request, so that no answer is large and none takes a broker long.
const GROUPS_PER_REQUEST: usize = 500;
/// Requests about single groups at a time.
const SINGLE_REQUESTS: usize = 20;

type OffsetsToSet = Vec<(TopicPartition, OffsetAndMetadata)>;
type Offsets = HashMap<TopicPartition, OffsetAndMetadata>;
type Results<T> = Vec<(Arc<str>, Result<T, Error>)>;

impl Admin {
    /// What each of these groups has committed. Partitions without an offset are left out; a group that is not there has
    /// committed nothing.
    pub async fn list_offsets_of_groups(&self, group_ids: &[Arc<str>]) -> Result<PerItem<Arc<str>, Offsets>, Error> {
        let attempt = |items: Vec<(Arc<str>, ())>| async move {
            let (coordinators, mut results) = self.coordinators(items).await?;
            for (node_id, groups) in coordinators {
                for chunk in groups.chunks(GROUPS_PER_REQUEST) {
                    results.extend(self.fetch_offsets_at(node_id, chunk).await);
                }
            }
            Ok(results)
        };
        let items = group_ids.iter().map(|group_id| (group_id.clone(), ())).collect();
        self.settle("fetching offsets of groups", Asked::Coordinator, items, attempt)
            .await
    }

    /// The state of each of these groups, of either protocol: `Stable`, `Empty` and so on. One that is not there is
    /// `Dead`, or an error `GROUP_ID_NOT_FOUND`.
    pub async fn group_states(&self, group_ids: &[Arc<str>]) -> Result<PerItem<Arc<str>, String>, Error> {
        let attempt = |items: Vec<(Arc<str>, ())>| async move {
            let (coordinators, mut results) = self.coordinators(items).await?;
            for (node_id, groups) in coordinators {
                for chunk in groups.chunks(GROUPS_PER_REQUEST) {
                    results.extend(self.states_at(node_id, chunk).await);
                }
            }
            Ok(results)
        };
        let items = group_ids.iter().map(|group_id| (group_id.clone(), ())).collect();
        self.settle("describing groups", Asked::Coordinator, items, attempt)
            .await
    }

    /// Sets offsets of groups that have no members (`UNKNOWN_MEMBER_ID` says that one has). A group's first error is its
    /// result.
    pub async fn alter_offsets_of_groups(
        &self,
        offsets: Vec<(Arc<str>, OffsetsToSet)>,
    ) -> Result<PerItem<Arc<str>, ()>, Error> {
        let offsets: HashMap<Arc<str>, OffsetsToSet> = offsets.into_iter().collect();
        let (wanted, groups) = (
            &offsets,
            offsets.keys().map(|group_id| (group_id.clone(), ())).collect(),
        );
        let attempt = |items: Vec<(Arc<str>, ())>| async move {
            let (coordinators, mut results) = self.coordinators(items).await?;
            for (node_id, groups) in coordinators {
                let connection = match self.client.connection(node_id, Role::General).await {
                    Ok(connection) => connection,
                    Err(error) => {
                        results.extend(each(&groups, &error));
                        continue;
                    }
                };
                let connection = &connection;
                let commit = |group_id: Arc<str>| async move {
                    let items = wanted.get(&group_id).cloned().unwrap_or_default();
                    let committed = self.commit_offsets_on(connection, &group_id, items).await;
                    let result = committed.and_then(|partitions| partitions.into_iter().try_for_each(|(_, one)| one));
                    (group_id, result)
                };
                let commits = stream::iter(groups).map(commit).buffer_unordered(SINGLE_REQUESTS);
                results.extend(commits.collect::<Vec<_>>().await);
            }
            Ok(results)
        };
        self.settle("committing offsets of groups", Asked::Coordinator, groups, attempt)
            .await
    }

    /// Groups by the broker that coordinates them, and the errors of those for which there is none.
    async fn coordinators<T>(
        &self,
        items: Vec<(Arc<str>, ())>,
    ) -> Result<(HashMap<i32, Vec<Arc<str>>>, Results<T>), Error> {
        let connection = self.client.any_connection().await?;
        let version = connection.version_up_to::<FindCoordinatorRequest>(find_coordinator::MAX_VERSION)?;
        let mut coordinators: HashMap<i32, Vec<Arc<str>>> = HashMap::new();
        let mut failed = Vec::new();
        if version < find_coordinator::SEVERAL_KEYS_SINCE {
            let mut found = stream::iter(items)
                .map(|(group_id, ())| async move {
                    let found = self.find_coordinator_once(CoordinatorType::Group, &group_id).await;
                    (group_id, found)
                })
                .buffered(SINGLE_REQUESTS);
            while let Some((group_id, result)) = found.next().await {
                match result {
                    Ok(node_id) => coordinators.entry(node_id).or_default().push(group_id),
                    Err(error) => failed.push((group_id, Err(error))),
                }
            }
            return Ok((coordinators, failed));
        }
        for chunk in items.chunks(GROUPS_PER_REQUEST) {
            let keys = chunk.iter().map(|(group_id, ())| text(group_id)).collect();
            let request = FindCoordinatorRequest::default()
                .with_key_type(CoordinatorType::Group.code())
                .with_coordinator_keys(keys);
            let response = connection.call(version, request, self.request_timeout()).await?;
            for found in response.coordinators {
                let group_id: Arc<str> = found.key.as_str().into();
                let what = || format!("finding the coordinator of {group_id}");
                match outcome(found.error_code, found.error_message.as_ref(), what, found.node_id.0) {
                    Ok(node_id) => coordinators.entry(node_id).or_default().push(group_id),
                    Err(error) => failed.push((group_id, Err(error))),
                }
            }
        }
        Ok((coordinators, failed))
    }

    async fn fetch_offsets_at(&self, node_id: i32, groups: &[Arc<str>]) -> Results<Offsets> {
        match self.try_fetch_offsets_at(node_id, groups).await {
            Ok(results) => results,
            // One broker that is down does not keep the answers of the others.
            Err(error) => each(groups, &error),
        }
    }

    async fn try_fetch_offsets_at(&self, node_id: i32, groups: &[Arc<str>]) -> Result<Results<Offsets>, Error> {
        let connection = self.client.connection(node_id, Role::General).await?;
        let version = connection.version_up_to::<OffsetFetchRequest>(LAST_VERSION_BY_NAME)?;
        if version < SEVERAL_GROUPS_SINCE {
            let single = |group_id: Arc<str>| async move {
                let offsets = self.list_group_offsets_once(&group_id, None).await;
                (group_id, offsets)
            };
            let results = stream::iter(groups.to_vec()).map(single).buffered(SINGLE_REQUESTS);
            return Ok(results.collect().await);
        }
        let group = |group_id: &Arc<str>| {
            OffsetFetchRequestGroup::default()
                .with_group_id(GroupId(text(group_id)))
                .with_topics(None)
        };
        let mut request = OffsetFetchRequest::default().with_groups(groups.iter().map(group).collect());
        if version >= REQUIRE_STABLE_SINCE {
            request = request.with_require_stable(false);
        }
        let response = connection.call(version, request, self.request_timeout()).await?;
        let mut results = Vec::with_capacity(response.groups.len());
        for group in response.groups {
            let group_id: Arc<str> = group.group_id.as_str().into();
            let what = || format!("fetching offsets of group {group_id}");
            let mut offsets = outcome(group.error_code, None, what, Offsets::new());
            for topic in &group.topics {
                for found in &topic.partitions {
                    let Ok(known) = &mut offsets else { continue };
                    let partition = TopicPartition::new(topic.name.0.as_str(), found.partition_index);
                    let what = || format!("fetching the offset of group {group_id} in {partition}");
                    if let Err(error) = outcome(found.error_code, None, what, ()) {
                        offsets = Err(error);
                    } else if found.committed_offset >= 0 {
                        let metadata = found.metadata.as_ref().map(StrBytes::to_string).unwrap_or_default();
                        let offset = OffsetAndMetadata {
                            offset: found.committed_offset,
                            leader_epoch: found.committed_leader_epoch,
                            metadata,
                        };
                        known.insert(partition, offset);
                    }
                }
            }
            results.push((group_id, offsets));
        }
        Ok(results)
    }

    async fn states_at(&self, node_id: i32, groups: &[Arc<str>]) -> Results<String> {
        match self.try_states_at(node_id, groups).await {
            Ok(results) => results,
            Err(error) => each(groups, &error),
        }
    }

    async fn try_states_at(&self, node_id: i32, groups: &[Arc<str>]) -> Result<Results<String>, Error> {
        let connection = self.client.connection(node_id, Role::General).await?;
        let (mut results, classic) = self.states_of_consumer_groups(&connection, groups).await?;
        if classic.is_empty() {
            return Ok(results);
        }
        let request = DescribeGroupsRequest::default()
            .with_groups(classic.iter().map(|group_id| GroupId(text(group_id))).collect());
        let response = self.client.call_on(&connection, request).await?;
        for group in response.groups {
            let group_id: Arc<str> = group.group_id.as_str().into();
            let what = || format!("describing group {group_id}");
            let state = group.group_state.to_string();
            let result = outcome(group.error_code, group.error_message.as_ref(), what, state);
            results.push((group_id, result));
        }
        Ok(results)
    }

    /// The states of groups of the consumer protocol (KIP-848), and the groups that are of the classic one or of none.
    async fn states_of_consumer_groups(
        &self,
        connection: &Connection,
        groups: &[Arc<str>],
    ) -> Result<(Results<String>, Vec<Arc<str>>), Error> {
        if connection.version::<ConsumerGroupDescribeRequest>().is_err() {
            return Ok((Vec::new(), groups.to_vec()));
        }
        let request = ConsumerGroupDescribeRequest::default()
            .with_group_ids(groups.iter().map(|group_id| GroupId(text(group_id))).collect());
        let response = self.client.call_on(connection, request).await?;
        let (mut states, mut classic) = (Vec::new(), Vec::new());
        for group in response.groups {
            let group_id: Arc<str> = group.group_id.as_str().into();
            let code = ErrorCode(group.error_code);
            if matches!(code, ErrorCode::GROUP_ID_NOT_FOUND | ErrorCode::UNSUPPORTED_VERSION) {
                classic.push(group_id);
                continue;
            }
            let what = || format!("describing group {group_id}");
            let state = group.group_state.to_string();
            let result = outcome(group.error_code, group.error_message.as_ref(), what, state);
            states.push((group_id, result));
        }
        Ok((states, classic))
    }
}

fn each<T>(groups: &[Arc<str>], error: &Error) -> Results<T> {
    groups
        .iter()
        .map(|group_id| (group_id.clone(), Err(error.clone())))
        .collect()
}
