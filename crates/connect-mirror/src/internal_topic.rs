//! The compacted one-partition topics that the connectors keep for themselves: `heartbeats` and the offset syncs.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use connect_api::ConnectError;
use kafka_client::{Admin, admin::NewTopic};
use kafka_wire::ErrorCode;

/// A topic that is to exist, how it is to be made, and where.
#[derive(Clone, Debug)]
pub(crate) struct InternalTopic {
    pub(crate) admin: Admin,
    pub(crate) name: String,
    pub(crate) replication_factor: i16,
    /// The setting that says so, for the person who has to change it.
    pub(crate) replication_factor_key: &'static str,
    pub(crate) presence: Arc<Mutex<Presence>>,
}

/// What is known of the topic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Presence {
    /// Nobody has looked.
    #[default]
    Unknown,
    There,
    /// It was there, and somebody has deleted it.
    Gone,
}

impl InternalTopic {
    /// Creates the topic if it is missing, at first and whenever somebody has deleted it.
    pub(crate) async fn see_to(&self) -> Result<(), ConnectError> {
        let before = *self.presence();
        if before != Presence::Unknown {
            if !self.is_missing().await? {
                *self.presence() = Presence::There;
                return Ok(());
            }
            *self.presence() = Presence::Gone;
        }
        if before == Presence::There {
            tracing::error!(
                topic = self.name,
                "internal topic was deleted while the mirror runs; it is made again, and what is known is written again: \
                 look for who deletes it"
            );
        }
        self.create().await?;
        // Who may not create topics is believed once that it is there.
        if before != Presence::Unknown && self.is_missing().await? {
            let what = format!("internal topic {} was deleted and is not there again", self.name);
            return Err(ConnectError::new(what));
        }
        *self.presence() = Presence::There;
        Ok(())
    }

    fn presence(&self) -> MutexGuard<'_, Presence> {
        self.presence.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn is_missing(&self) -> Result<bool, ConnectError> {
        let name: Arc<str> = self.name.as_str().into();
        let described = self.admin.describe_topics(&[name]).await;
        let described = described.map_err(|error| {
            ConnectError::caused_by(format!("internal topic {} cannot be looked after", self.name), error)
        })?;
        let described = described.into_values().next();
        Ok(matches!(described, Some(Err(error)) if error.code() == Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)))
    }

    /// Creates the topic if it is missing. Who may not create topics is taken to have them made (KAFKA-15465).
    async fn create(&self) -> Result<(), ConnectError> {
        let compact = [("cleanup.policy".to_owned(), "compact".to_owned())];
        let topic = NewTopic::new(self.name.as_str(), 1, self.replication_factor).with_configs(compact.into());
        let results = self
            .admin
            .create_topics(vec![topic])
            .await
            .map_err(|error| self.failed(error))?;
        let Some((_, Err(error))) = results.into_iter().next() else {
            tracing::info!(topic = self.name, "created internal topic");
            return Ok(());
        };
        match error.code() {
            Some(ErrorCode::TOPIC_ALREADY_EXISTS) => self.check_compaction().await,
            Some(
                ErrorCode::UNSUPPORTED_VERSION
                | ErrorCode::TOPIC_AUTHORIZATION_FAILED
                | ErrorCode::CLUSTER_AUTHORIZATION_FAILED,
            ) => {
                tracing::info!(
                    topic = self.name,
                    error = error.chain(),
                    "internal topic could not be created, and is taken to exist"
                );
                Ok(())
            }
            Some(ErrorCode::INVALID_REPLICATION_FACTOR) => {
                let advice = format!(
                    "internal topic {} cannot be created with replication factor {}: set {} to at most the number of brokers",
                    self.name, self.replication_factor, self.replication_factor_key
                );
                Err(ConnectError::caused_by(advice, error))
            }
            _ => Err(self.failed(error)),
        }
    }

    /// An existing topic that is not compacted grows for ever, or forgets what it is for.
    async fn check_compaction(&self) -> Result<(), ConnectError> {
        let name: Arc<str> = self.name.as_str().into();
        // Who may not look is not told.
        let Ok(mut described) = self.admin.describe_topic_configs(std::slice::from_ref(&name)).await else {
            return Ok(());
        };
        let Some(Ok(entries)) = described.remove(&name) else {
            return Ok(());
        };
        let policy = entries
            .iter()
            .find(|entry| entry.name == "cleanup.policy")
            .and_then(|entry| entry.value.as_deref());
        if policy.is_some_and(|policy| !policy.contains("compact")) {
            tracing::warn!(
                topic = self.name,
                policy,
                "internal topic is not compacted; set its cleanup.policy to compact, or it may lose what is older than its retention"
            );
        }
        Ok(())
    }

    fn failed(&self, error: kafka_client::Error) -> ConnectError {
        ConnectError::caused_by(format!("internal topic {} cannot be created", self.name), error)
    }
}
