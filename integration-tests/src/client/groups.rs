use kafka_protocol::messages::{
    FindCoordinatorRequest, GroupId, JoinGroupRequest, LeaveGroupRequest, OffsetCommitRequest, OffsetFetchRequest,
    SyncGroupRequest,
    join_group_request::JoinGroupRequestProtocol,
    offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic},
    offset_fetch_request::OffsetFetchRequestTopic,
    sync_group_request::SyncGroupRequestAssignment,
};

use super::{Error, TestClient, check, string, topic_name};

/// Longer than any scenario waits: nobody heartbeats here.
const SESSION_TIMEOUT_MS: i32 = 300_000;

/// A member of a classic consumer group that does nothing but be there.
#[derive(Debug)]
pub struct GroupMember {
    group: String,
    member_id: String,
}

impl TestClient {
    /// Sets offsets of a group without members.
    pub fn commit_offsets(&mut self, group: &str, offsets: &[(&str, i32, i64)]) {
        let topic = |(topic, partition, offset): &(&str, i32, i64)| {
            let partition = OffsetCommitRequestPartition::default()
                .with_partition_index(*partition)
                .with_committed_offset(*offset)
                .with_committed_metadata(Some(string("")));
            OffsetCommitRequestTopic::default()
                .with_name(topic_name(topic))
                .with_partitions(vec![partition])
        };
        let request = OffsetCommitRequest::default()
            .with_group_id(GroupId(string(group)))
            .with_generation_id_or_member_epoch(-1)
            .with_topics(offsets.iter().map(topic).collect());
        self.persist("commit offsets", |client| {
            let coordinator = client.group_coordinator(group)?;
            let response = client.call(&coordinator, 7, &request)?;
            let mut results = response.topics.iter().flat_map(|topic| &topic.partitions);
            results.try_for_each(|result| check(result.error_code, || format!("offset of {group}")))
        });
    }

    /// What a group has committed in a partition.
    pub fn committed_offset(&mut self, group: &str, topic: &str, partition: i32) -> Option<i64> {
        let asked = OffsetFetchRequestTopic::default()
            .with_name(topic_name(topic))
            .with_partition_indexes(vec![partition]);
        let request = OffsetFetchRequest::default()
            .with_group_id(GroupId(string(group)))
            .with_topics(Some(vec![asked]));
        self.persist("fetch offsets", |client| {
            let coordinator = client.group_coordinator(group)?;
            let response = client.call(&coordinator, 5, &request)?;
            check(response.error_code, || format!("offsets of {group}"))?;
            let found = response.topics.iter().flat_map(|topic| &topic.partitions).next();
            Ok(found.map(|found| found.committed_offset).filter(|offset| *offset >= 0))
        })
    }

    /// Makes a group one that is in use.
    pub fn join_group(&mut self, group: &str) -> GroupMember {
        let protocol = JoinGroupRequestProtocol::default().with_name(string("range"));
        let join = JoinGroupRequest::default()
            .with_group_id(GroupId(string(group)))
            .with_session_timeout_ms(SESSION_TIMEOUT_MS)
            .with_rebalance_timeout_ms(SESSION_TIMEOUT_MS)
            .with_protocol_type(string("consumer"))
            .with_protocols(vec![protocol]);
        self.persist("join a group", |client| {
            let coordinator = client.group_coordinator(group)?;
            let joined = client.call(&coordinator, 3, &join)?;
            check(joined.error_code, || format!("joining {group}"))?;
            let assignment = SyncGroupRequestAssignment::default().with_member_id(joined.member_id.clone());
            let sync = SyncGroupRequest::default()
                .with_group_id(GroupId(string(group)))
                .with_generation_id(joined.generation_id)
                .with_member_id(joined.member_id.clone())
                .with_assignments(vec![assignment]);
            let synced = client.call(&coordinator, 2, &sync)?;
            check(synced.error_code, || format!("syncing {group}"))?;
            Ok(GroupMember {
                group: group.to_owned(),
                member_id: joined.member_id.to_string(),
            })
        })
    }

    /// The member goes.
    pub fn leave_group(&mut self, member: GroupMember) {
        let GroupMember { group, member_id } = member;
        let request = LeaveGroupRequest::default()
            .with_group_id(GroupId(string(&group)))
            .with_member_id(string(&member_id));
        self.persist("leave a group", |client| {
            let coordinator = client.group_coordinator(&group)?;
            let response = client.call(&coordinator, 1, &request)?;
            check(response.error_code, || format!("leaving {group}"))
        });
    }

    fn group_coordinator(&mut self, group: &str) -> Result<String, Error> {
        let request = FindCoordinatorRequest::default()
            .with_key(string(group))
            .with_key_type(0);
        let found = self.call_any(2, &request)?;
        check(found.error_code, || format!("the coordinator of {group}"))?;
        Ok(format!("{}:{}", found.host, found.port))
    }
}
