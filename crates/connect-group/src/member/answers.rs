//! What a coordinator's error codes mean for a member, as Kafka's `AbstractCoordinator` has it.

use kafka_client::retry::is_retriable;
use kafka_wire::ErrorCode;

/// What to do about an answer that is an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remedy {
    /// Join again at once.
    JoinAgain,
    /// Join again after `retry.backoff.ms`.
    JoinLater,
    /// Join again at once with the member id that came with the answer.
    TakeMemberId,
    /// Join again, as a member whose generation is over.
    ForgetGeneration,
    /// Join again, as a new member.
    ForgetMember,
    /// Ask who coordinates the group.
    FindCoordinator,
    /// Give up.
    Fail,
}

pub(super) fn after_join(code: ErrorCode) -> Remedy {
    match code {
        ErrorCode::COORDINATOR_LOAD_IN_PROGRESS => Remedy::JoinLater,
        ErrorCode::MEMBER_ID_REQUIRED => Remedy::TakeMemberId,
        ErrorCode::REBALANCE_IN_PROGRESS => Remedy::JoinAgain,
        ErrorCode::UNKNOWN_MEMBER_ID => Remedy::ForgetMember,
        code => after_any(code),
    }
}

pub(super) fn after_sync(code: ErrorCode) -> Remedy {
    match code {
        ErrorCode::COORDINATOR_LOAD_IN_PROGRESS => Remedy::JoinLater,
        ErrorCode::REBALANCE_IN_PROGRESS => Remedy::JoinAgain,
        ErrorCode::UNKNOWN_MEMBER_ID => Remedy::ForgetMember,
        ErrorCode::ILLEGAL_GENERATION => Remedy::ForgetGeneration,
        code => after_any(code),
    }
}

pub(super) fn after_heartbeat(code: ErrorCode) -> Remedy {
    match code {
        ErrorCode::REBALANCE_IN_PROGRESS => Remedy::JoinAgain,
        ErrorCode::UNKNOWN_MEMBER_ID => Remedy::ForgetMember,
        ErrorCode::ILLEGAL_GENERATION => Remedy::ForgetGeneration,
        // Kafka's broker answers a heartbeat with no error while it loads; another version's may not.
        ErrorCode::COORDINATOR_LOAD_IN_PROGRESS => Remedy::FindCoordinator,
        code => after_any(code),
    }
}

/// INCONSISTENT_GROUP_PROTOCOL, INVALID_SESSION_TIMEOUT, GROUP_AUTHORIZATION_FAILED, GROUP_MAX_SIZE_REACHED and whatever
/// nobody expects end a member.
fn after_any(code: ErrorCode) -> Remedy {
    match code {
        ErrorCode::COORDINATOR_NOT_AVAILABLE | ErrorCode::NOT_COORDINATOR => Remedy::FindCoordinator,
        _ => Remedy::Fail,
    }
}

/// What to do when no answer came, or none that can be read.
pub(super) fn after_failure(error: &kafka_client::Error) -> Remedy {
    match is_retriable(error) {
        true => Remedy::FindCoordinator,
        false => Remedy::Fail,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_mean_what_they_mean_to_kafka() {
        use ErrorCode as E;
        let table = [
            (E::COORDINATOR_LOAD_IN_PROGRESS, Remedy::JoinLater, Remedy::JoinLater),
            (
                E::COORDINATOR_NOT_AVAILABLE,
                Remedy::FindCoordinator,
                Remedy::FindCoordinator,
            ),
            (E::NOT_COORDINATOR, Remedy::FindCoordinator, Remedy::FindCoordinator),
            (E::REBALANCE_IN_PROGRESS, Remedy::JoinAgain, Remedy::JoinAgain),
            (E::UNKNOWN_MEMBER_ID, Remedy::ForgetMember, Remedy::ForgetMember),
            (E::ILLEGAL_GENERATION, Remedy::Fail, Remedy::ForgetGeneration),
            (E::MEMBER_ID_REQUIRED, Remedy::TakeMemberId, Remedy::Fail),
            (E::INCONSISTENT_GROUP_PROTOCOL, Remedy::Fail, Remedy::Fail),
            (E::INVALID_SESSION_TIMEOUT, Remedy::Fail, Remedy::Fail),
            (E::GROUP_AUTHORIZATION_FAILED, Remedy::Fail, Remedy::Fail),
            (E::GROUP_MAX_SIZE_REACHED, Remedy::Fail, Remedy::Fail),
            (E::UNKNOWN_SERVER_ERROR, Remedy::Fail, Remedy::Fail),
        ];
        for (code, join, sync) in table {
            assert_eq!(after_join(code), join, "JoinGroup, {code}");
            assert_eq!(after_sync(code), sync, "SyncGroup, {code}");
        }
        assert_eq!(after_heartbeat(E::REBALANCE_IN_PROGRESS), Remedy::JoinAgain);
        assert_eq!(after_heartbeat(E::ILLEGAL_GENERATION), Remedy::ForgetGeneration);
        assert_eq!(after_heartbeat(E::UNKNOWN_MEMBER_ID), Remedy::ForgetMember);
        assert_eq!(after_heartbeat(E::NOT_COORDINATOR), Remedy::FindCoordinator);
        assert_eq!(after_heartbeat(E::GROUP_AUTHORIZATION_FAILED), Remedy::Fail);
    }
}
