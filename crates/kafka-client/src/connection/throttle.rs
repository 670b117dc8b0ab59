//! Where a response says that we are to pause.

use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::messages::ApiKey;

/// The pause that a response asks for, where `throttle_time_ms` is its first field and the client is the one to wait.
///
/// Before KIP-219 (Kafka 2.0) the broker held the response back itself, so those versions are not listed.
/// Produce and OffsetDelete carry the field elsewhere: whoever decodes them reports it.
pub(crate) fn leading_throttle(api_key: ApiKey, version: i16, body: &Bytes) -> Option<Duration> {
    let since = match api_key {
        ApiKey::Fetch => 8,
        ApiKey::Metadata => 6,
        ApiKey::OffsetCommit | ApiKey::OffsetFetch => 4,
        ApiKey::ListOffsets | ApiKey::JoinGroup | ApiKey::CreateTopics => 3,
        ApiKey::FindCoordinator
        | ApiKey::Heartbeat
        | ApiKey::LeaveGroup
        | ApiKey::SyncGroup
        | ApiKey::DescribeGroups
        | ApiKey::ListGroups
        | ApiKey::DeleteTopics
        | ApiKey::DescribeConfigs
        | ApiKey::OffsetForLeaderEpoch => 2,
        ApiKey::DeleteRecords
        | ApiKey::InitProducerId
        | ApiKey::AddPartitionsToTxn
        | ApiKey::AddOffsetsToTxn
        | ApiKey::EndTxn
        | ApiKey::TxnOffsetCommit
        | ApiKey::DescribeAcls
        | ApiKey::CreateAcls
        | ApiKey::DeleteAcls
        | ApiKey::AlterConfigs
        | ApiKey::CreatePartitions
        | ApiKey::DeleteGroups => 1,
        ApiKey::IncrementalAlterConfigs | ApiKey::DescribeCluster => 0,
        _ => return None,
    };
    if version < since {
        return None;
    }
    let ms = i32::from_be_bytes(body.get(..4)?.try_into().ok()?);
    u64::try_from(ms).ok().filter(|ms| *ms > 0).map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_versions_that_leave_the_waiting_to_us_are_throttled() {
        let body = Bytes::from_static(&[0, 0, 0, 250, 1, 2]);
        assert_eq!(
            leading_throttle(ApiKey::Fetch, 8, &body),
            Some(Duration::from_millis(250))
        );
        assert_eq!(leading_throttle(ApiKey::Fetch, 7, &body), None);
        assert_eq!(leading_throttle(ApiKey::Produce, 9, &body), None);
        assert_eq!(leading_throttle(ApiKey::Fetch, 8, &Bytes::from_static(&[0, 0])), None);
        assert_eq!(
            leading_throttle(ApiKey::Fetch, 8, &Bytes::from_static(&[0xff, 0, 0, 1])),
            None
        );
    }
}
