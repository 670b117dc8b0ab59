use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
    time::Duration,
};

use connect_api::{BoxFuture, ConnectError};
use futures_util::FutureExt;
use kafka_client::{
    Error,
    admin::{Admin, NewTopic},
    retry::is_retriable,
};
use kafka_wire::ErrorCode;
use tracing::{info, warn};

use super::{ConnectorTaskId, topic_groups::TopicGroups};
use crate::trouble::Trouble;

/// After trouble that passes: the first and the longest wait before the next attempt.
const RETRY: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(30));

/// Sees to it that the topics exist that a task writes to, before it does so for the first time (Java's
/// `maybeCreateTopic`). Beside the task's loop, which goes on acknowledging what is in flight.
pub(crate) struct TopicCreation {
    id: ConnectorTaskId,
    groups: Arc<TopicGroups>,
    admin: Admin,
    /// Topics that were there once. Nobody looks again.
    known: HashSet<Arc<str>>,
    under_way: Option<UnderWay>,
}

struct UnderWay {
    topics: Vec<Arc<str>>,
    creating: BoxFuture<'static, Result<(), ConnectError>>,
}

impl TopicCreation {
    pub(crate) fn new(id: ConnectorTaskId, groups: TopicGroups, admin: Admin) -> Self {
        Self {
            id,
            groups: Arc::new(groups),
            admin,
            known: HashSet::new(),
            under_way: None,
        }
    }

    /// Begins to look after those of these topics that are not known yet. Answers whether there are any.
    pub(super) fn begin<'a>(&mut self, topics: impl Iterator<Item = &'a Arc<str>>) -> bool {
        let unknown: BTreeSet<_> = topics.filter(|topic| !self.known.contains(*topic)).collect();
        if unknown.is_empty() {
            return false;
        }
        let topics: Vec<_> = unknown.into_iter().cloned().collect();
        let creating = create_missing(self.id.clone(), self.groups.clone(), self.admin.clone(), topics.clone());
        self.under_way = Some(UnderWay {
            topics,
            creating: creating.boxed(),
        });
        true
    }

    /// Waits until the topics exist, for ever if none are looked after. Cancel-safe.
    pub(super) async fn finished(&mut self) -> Result<(), ConnectError> {
        let Some(under_way) = &mut self.under_way else {
            return std::future::pending().await;
        };
        let created = (&mut under_way.creating).await;
        let UnderWay { topics, .. } = self.under_way.take().expect("it was there before the wait");
        created?;
        self.known.extend(topics);
        Ok(())
    }
}

/// Tries for as long as the trouble is of a kind that passes.
async fn create_missing(
    id: ConnectorTaskId,
    groups: Arc<TopicGroups>,
    admin: Admin,
    topics: Vec<Arc<str>>,
) -> Result<(), ConnectError> {
    let mut trouble = Trouble::new(RETRY.0, RETRY.1);
    loop {
        let error = match attempt(&id, &groups, &admin, &topics).await {
            Err(error) if error.is_retriable() => error,
            end => return end,
        };
        let failure = trouble.failed();
        if failure.report {
            let lasting_s = failure.lasting.as_secs();
            warn!(task = %id, error = error.chain(), attempts = failure.attempts, lasting_s, "topics cannot be created, trying again");
        }
        tokio::time::sleep(failure.wait).await;
    }
}

async fn attempt(
    id: &ConnectorTaskId,
    groups: &TopicGroups,
    admin: &Admin,
    topics: &[Arc<str>],
) -> Result<(), ConnectError> {
    let described = admin.describe_topics(topics).await.map_err(|error| {
        let what = format!("Error while attempting to describe topics '{}'", topics.join(", "));
        connect_error(what, error)
    })?;
    let mut missing = Vec::new();
    for (topic, described) in described {
        match described {
            Err(error) if error.code() == Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION) => {
                missing.push(groups.new_topic(&topic));
            }
            // Who answers so knows the topic.
            Err(error) if !is_retriable(&error) => {
                return Err(ConnectError::caused_by(
                    format!("topic '{topic}' cannot be described"),
                    error,
                ));
            }
            Ok(_) | Err(_) => info!(task = %id, topic = &*topic, "topic exists"),
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let created = admin.create_topics(missing.clone()).await.map_err(|error| {
        let names: Vec<&str> = missing.iter().map(|topic| &*topic.name).collect();
        let what = format!("Error while attempting to create/find topic(s) '{}'", names.join(", "));
        connect_error(what, error)
    })?;
    for topic in &missing {
        match created.get(&topic.name) {
            Some(Ok(_)) => info!(task = %id, topic = shown(topic), "topic created"),
            Some(Err(error)) if error.code() == Some(ErrorCode::TOPIC_ALREADY_EXISTS) => {
                info!(task = %id, topic = &*topic.name, "topic exists");
            }
            Some(Err(error)) => return Err(not_created(topic, error.clone())),
            None => {
                let what = format!("the brokers do not say what became of topic '{}'", topic.name);
                return Err(ConnectError::new(what).retriable());
            }
        }
    }
    Ok(())
}

/// In Kafka's words.
fn not_created(topic: &NewTopic, error: Error) -> ConnectError {
    let what = match error.code() {
        Some(ErrorCode::TOPIC_AUTHORIZATION_FAILED | ErrorCode::CLUSTER_AUTHORIZATION_FAILED) => format!(
            "Task failed to create new topic {}. Ensure that the task is authorized to create topics or that the topic \
             exists and restart the task",
            shown(topic)
        ),
        Some(ErrorCode::INVALID_CONFIG | ErrorCode::INVALID_REPLICATION_FACTOR) => {
            format!("Unable to create topic(s) '{}'", topic.name)
        }
        _ => format!("Error while attempting to create/find topic(s) '{}'", topic.name),
    };
    connect_error(what, error)
}

/// Marks what passes when brokers come back.
fn connect_error(what: String, error: Error) -> ConnectError {
    let passes = matches!(error, Error::Timeout { .. }) || is_retriable(&error);
    let error = ConnectError::caused_by(what, error);
    if passes { error.retriable() } else { error }
}

/// As Java prints a `NewTopic`.
fn shown(topic: &NewTopic) -> String {
    let configs: Vec<String> = topic
        .configs
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    format!(
        "(name={}, numPartitions={}, replicationFactor={}, replicasAssignments=null, configs={{{}}})",
        topic.name,
        topic.num_partitions,
        topic.replication_factor,
        configs.join(", ")
    )
}
