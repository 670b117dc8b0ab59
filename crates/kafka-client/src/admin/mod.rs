//! Administration of a cluster, a file per request.
//!
//! What fails for a while is tried again until `default.api.timeout.ms`, as Kafka's admin client does. Where a request is
//! about several things, each gets a result of its own; an `Err` of the whole call means that none was settled.

mod acls;
mod configs;
mod create_partitions;
mod create_topics;
mod delete_records;
mod delete_topics;
mod describe_cluster;
mod fence_producers;
mod find_coordinator;
mod group_offsets;
mod groups;
mod list_offsets;
mod many_groups;
mod offset_for_leader_epoch;
#[cfg(test)]
mod tests;
mod topics;

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::messages::TopicName;
use kafka_protocol::protocol::StrBytes;
use kafka_wire::{ErrorCode, TopicPartition};

pub use self::acls::{AclBinding, AclFilter};
pub use self::configs::{AlterConfigOp, ConfigEntry, ConfigResource, ConfigResourceType, ConfigSource, OpType};
pub use self::create_partitions::NewPartitions;
pub use self::create_topics::{CreatedTopic, NewTopic};
pub use self::describe_cluster::ClusterDescription;
pub use self::find_coordinator::CoordinatorType;
pub use self::group_offsets::OffsetAndMetadata;
pub use self::groups::{GroupDescription, GroupListing, GroupMember};
pub use self::list_offsets::{OffsetInfo, OffsetSpec};
pub use self::offset_for_leader_epoch::EpochEndOffset;
pub(crate) use self::offset_for_leader_epoch::ends_of_epochs;
pub use self::topics::TopicListing;
use crate::client::Client;
use crate::error::Error;
use crate::metadata::Topics;
use crate::retry::{Retry, is_retriable, needs_metadata};

/// Who settles an item, and so which of its errors may pass (as in Kafka's `KafkaAdminClient` and its handlers).
#[derive(Debug, Clone)]
enum Asked {
    /// Any broker: what it says of an item is final.
    Anybody,
    /// The controller, which may move.
    Controller,
    /// The leaders of partitions of these topics, which may move or be about to be elected.
    Leaders(Vec<Arc<str>>),
    /// The coordinator of a group, which may move or be about to load.
    Coordinator,
}

impl Asked {
    fn may_pass(&self, error: &Error) -> bool {
        let Some(code) = error.code() else {
            return is_retriable(error);
        };
        match self {
            Self::Anybody => false,
            // A topic that is not there, for one, is an answer and not a hiccup.
            Self::Controller => matches!(code, ErrorCode::NOT_CONTROLLER | ErrorCode::THROTTLING_QUOTA_EXCEEDED),
            // A topic that was just created is not known everywhere yet.
            Self::Leaders(_) => is_retriable(error),
            Self::Coordinator => matches!(
                code,
                ErrorCode::NOT_COORDINATOR
                    | ErrorCode::COORDINATOR_NOT_AVAILABLE
                    | ErrorCode::COORDINATOR_LOAD_IN_PROGRESS
            ),
        }
    }

    /// What to refresh when the wrong broker was asked.
    fn topics(&self) -> Topics {
        match self {
            Self::Leaders(topics) => Topics::Some(topics.clone()),
            Self::Anybody | Self::Controller | Self::Coordinator => Topics::Some(Vec::new()),
        }
    }
}

/// Results for each thing that a call was about.
pub type PerItem<K, T> = HashMap<K, Result<T, Error>>;

/// An admin client; clone it freely.
#[derive(Debug, Clone)]
pub struct Admin {
    client: Client,
}

impl Admin {
    /// Administration through `client`.
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// The client underneath.
    pub fn client(&self) -> &Client {
        &self.client
    }

    fn request_timeout(&self) -> Duration {
        self.client.config().request_timeout
    }

    fn request_timeout_ms(&self) -> i32 {
        i32::try_from(self.request_timeout().as_millis()).unwrap_or(i32::MAX)
    }

    /// Runs `attempt` until it succeeds, fails for good, or the time is up.
    async fn retry<T, F, Fut>(&self, what: &str, attempt: F) -> Result<T, Error>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, Error>>,
    {
        Retry::new(self.client.config()).run(what, attempt).await
    }

    /// Runs `attempt` on the items until each is settled or the time is up. Metadata is refreshed in between when an error
    /// says that the wrong broker was asked.
    async fn settle<K, I, T, F, Fut>(
        &self,
        what: &str,
        asked: Asked,
        items: Vec<(K, I)>,
        mut attempt: F,
    ) -> Result<PerItem<K, T>, Error>
    where
        K: Clone + Eq + Hash,
        I: Clone,
        F: FnMut(Vec<(K, I)>) -> Fut,
        Fut: Future<Output = Result<Vec<(K, Result<T, Error>)>, Error>>,
    {
        let mut retry = Retry::new(self.client.config());
        let mut settled = HashMap::with_capacity(items.len());
        let mut pending = items;
        while !pending.is_empty() {
            let results = match tokio::time::timeout(retry.remaining(), attempt(pending.clone())).await {
                Ok(results) => results,
                Err(_elapsed) if settled.is_empty() => return Err(retry.timed_out(what, None)),
                Err(_elapsed) => Ok(Vec::new()),
            };
            let results = match results {
                Ok(results) => results,
                Err(error) => {
                    let stale = needs_metadata(&error);
                    retry.pause_or_fail(what, error).await?;
                    self.refresh_if(stale, asked.topics()).await;
                    continue;
                }
            };
            let mut failed: HashMap<K, Error> = HashMap::new();
            let mut done: HashSet<K> = HashSet::new();
            for (key, result) in results {
                match result {
                    Err(error) if asked.may_pass(&error) => {
                        failed.insert(key, error);
                    }
                    result => {
                        done.insert(key.clone());
                        settled.insert(key, result);
                    }
                }
            }
            pending.retain(|(key, _)| !done.contains(key));
            if pending.is_empty() {
                break;
            }
            // An item that the broker passed over is asked for again as well.
            let stale = failed.is_empty() || failed.values().any(needs_metadata);
            let unanswered = || Error::refused(what, ErrorCode::UNKNOWN_SERVER_ERROR, Some("the broker left it out"));
            let example = failed.values().next().cloned().unwrap_or_else(unanswered);
            let paused = retry.pause(what, &example).await;
            if paused.is_err() {
                for (key, _) in pending.drain(..) {
                    let error = failed.remove(&key).unwrap_or_else(unanswered);
                    settled.insert(key, Err(retry.timed_out(what, Some(error))));
                }
            }
            self.refresh_if(stale && !pending.is_empty(), asked.topics()).await;
        }
        Ok(settled)
    }

    async fn refresh_if(&self, stale: bool, topics: Topics) {
        if stale && let Err(error) = self.client.refresh_metadata(topics).await {
            tracing::debug!(
                error = error.chain(),
                "metadata could not be refreshed; the next attempt will show"
            );
        }
    }

    /// Settles items that only the leaders of their partitions can: `ask` gets a leader and what to ask it.
    async fn settle_at_leaders<I, T, F, Fut>(
        &self,
        what: &str,
        items: Vec<(TopicPartition, I)>,
        ask: F,
    ) -> Result<PerItem<TopicPartition, T>, Error>
    where
        I: Clone,
        F: Fn(i32, Vec<(TopicPartition, I)>) -> Fut,
        Fut: Future<Output = Result<Vec<(TopicPartition, Result<T, Error>)>, Error>>,
    {
        let mut topics: Vec<Arc<str>> = items.iter().map(|(partition, _)| partition.topic.clone()).collect();
        topics.sort();
        topics.dedup();
        let ask = &ask;
        let names = &topics;
        let attempt = |items| async move {
            let (by_leader, mut results) = self.by_leader(what, names, items).await?;
            let asked = by_leader.into_iter().map(|(leader, items)| async move {
                let keys: Vec<TopicPartition> = items.iter().map(|(partition, _)| partition.clone()).collect();
                match ask(leader, items).await {
                    Ok(results) => results,
                    // One broker that is down does not keep the answers of the others.
                    Err(error) => keys
                        .into_iter()
                        .map(|partition| (partition, Err(error.clone())))
                        .collect(),
                }
            });
            results.extend(futures_util::future::join_all(asked).await.into_iter().flatten());
            Ok(results)
        };
        self.settle(what, Asked::Leaders(topics.clone()), items, attempt).await
    }

    #[allow(clippy::type_complexity, reason = "two collections of the same items")]
    async fn by_leader<I, T>(
        &self,
        what: &str,
        topics: &[Arc<str>],
        items: Vec<(TopicPartition, I)>,
    ) -> Result<
        (
            HashMap<i32, Vec<(TopicPartition, I)>>,
            Vec<(TopicPartition, Result<T, Error>)>,
        ),
        Error,
    > {
        let metadata = self.client.fresh_metadata(topics).await?;
        let mut by_leader: HashMap<i32, Vec<_>> = HashMap::new();
        let mut leaderless = Vec::new();
        for (partition, item) in items {
            match metadata.leader(&partition) {
                Some((leader, _)) => by_leader.entry(leader).or_default().push((partition, item)),
                None => {
                    let topic = metadata.topics.get(&partition.topic);
                    let code = match topic.map(|topic| (topic.error, topic.partition(partition.partition))) {
                        Some((Some(code), _)) => code,
                        Some((None, Some(_))) => ErrorCode::LEADER_NOT_AVAILABLE,
                        Some((None, None)) | None => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
                    };
                    let error = Error::refused(format!("{what} of {partition}"), code, None);
                    leaderless.push((partition, Err(error)));
                }
            }
        }
        Ok((by_leader, leaderless))
    }
}

fn topic_name(name: &str) -> TopicName {
    TopicName(text(name))
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

/// A result out of an error code and message, for `what` we did.
fn outcome<T>(code: i16, message: Option<&StrBytes>, what: impl FnOnce() -> String, value: T) -> Result<T, Error> {
    match ErrorCode::check(code) {
        Ok(()) => Ok(value),
        Err(code) => Err(Error::refused(what(), code, message.map(|text| text.as_str()))),
    }
}

/// A topic with the numbers of its partitions and what belongs to them.
type ByTopic<I> = (Arc<str>, Vec<(i32, I)>);

/// Groups partitions by topic, in the order of first mention, as requests want them.
fn group_by_topic<I>(items: Vec<(TopicPartition, I)>) -> Vec<ByTopic<I>> {
    let mut index: HashMap<Arc<str>, usize> = HashMap::new();
    let mut groups: Vec<ByTopic<I>> = Vec::new();
    for (TopicPartition { topic, partition }, item) in items {
        let at = *index.entry(topic.clone()).or_insert_with(|| {
            groups.push((topic, Vec::new()));
            groups.len() - 1
        });
        groups[at].1.push((partition, item));
    }
    groups
}
