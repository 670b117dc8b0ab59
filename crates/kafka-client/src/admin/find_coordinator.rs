//! FindCoordinator.

use kafka_protocol::messages::FindCoordinatorRequest;
use kafka_wire::ErrorCode;

use super::{Admin, text};
use crate::connection::Connection;
use crate::error::Error;
use crate::pool::Role;

/// From this version on one request may be about several keys.
pub(super) const SEVERAL_KEYS_SINCE: i16 = 4;
/// Versions from here on are about share groups only.
pub(super) const MAX_VERSION: i16 = 5;

/// What is coordinated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CoordinatorType {
    /// A group, by its id.
    Group,
    /// Transactions, by their transactional id.
    Transaction,
}

impl CoordinatorType {
    pub(super) const fn code(self) -> i8 {
        match self {
            Self::Group => 0,
            Self::Transaction => 1,
        }
    }
}

impl Admin {
    /// The id of the broker that coordinates `key`.
    pub async fn find_coordinator(&self, kind: CoordinatorType, key: &str) -> Result<i32, Error> {
        let what = format!("finding the coordinator of {key}");
        self.retry(&what, || self.find_coordinator_once(kind, key)).await
    }

    /// As [`Self::find_coordinator`]; one attempt.
    pub async fn find_coordinator_once(&self, kind: CoordinatorType, key: &str) -> Result<i32, Error> {
        let connection = self.client.any_connection().await?;
        let version = connection.version_up_to::<FindCoordinatorRequest>(MAX_VERSION)?;
        let request = FindCoordinatorRequest::default().with_key_type(kind.code());
        let request = match version >= SEVERAL_KEYS_SINCE {
            true => request.with_coordinator_keys(vec![text(key)]),
            false => request.with_key(text(key)),
        };
        let response = connection.call(version, request, self.request_timeout()).await?;
        let refused = |code, message| Error::refused(format!("finding the coordinator of {key}"), code, message);
        let (node_id, code, message) = match version >= SEVERAL_KEYS_SINCE {
            true => match response.coordinators.first() {
                Some(found) => (found.node_id.0, found.error_code, found.error_message.as_ref()),
                None => return Err(refused(ErrorCode::COORDINATOR_NOT_AVAILABLE, None)),
            },
            false => (response.node_id.0, response.error_code, response.error_message.as_ref()),
        };
        match ErrorCode::check(code) {
            Ok(()) => Ok(node_id),
            Err(code) => Err(refused(code, message.map(|text| text.as_str()))),
        }
    }

    /// A connection to the broker that coordinates `group_id`; one attempt.
    pub(super) async fn coordinator_of(&self, group_id: &str) -> Result<Connection, Error> {
        let node_id = self.find_coordinator_once(CoordinatorType::Group, group_id).await?;
        self.client.connection(node_id, Role::General).await
    }
}
