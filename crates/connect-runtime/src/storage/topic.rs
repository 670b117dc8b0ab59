use std::{sync::Arc, time::Duration};

use config_def::Props;
use kafka_client::{
    Client, Topics,
    admin::{Admin, NewTopic},
    retry::is_retriable,
};
use kafka_wire::ErrorCode;
use tokio::time::Instant;
use tracing::{info, warn};

use super::Error;

/// How long a new topic may take to show up in the cluster's metadata.
const METADATA_TIMEOUT: Duration = Duration::from_secs(30);
const METADATA_PAUSE: Duration = Duration::from_millis(100);
/// How long to hope for a topic that we may not create: soon enough we say so, and try again.
const HOPE_TIMEOUT: Duration = Duration::from_secs(3);

/// What became of an attempt to create a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Creation {
    Created,
    AlreadyThere,
    NotAllowed,
}

/// One internal topic, as the worker's configuration describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InternalTopic {
    /// Its name.
    pub name: String,
    /// Which of the three.
    pub kind: TopicKind,
    /// Partitions of a new topic; −1: the broker's default.
    pub partitions: i32,
    /// Copies of a new topic; −1: the broker's default.
    pub replication_factor: i16,
    /// More settings of a new topic.
    pub configs: Props,
}

/// Which internal topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopicKind {
    /// Connector and task configurations.
    Config,
    /// Source offsets.
    Offset,
    /// States of connectors and tasks.
    Status,
}

impl TopicKind {
    /// What its keys in the worker's configuration begin with.
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Config => "config.storage.",
            Self::Offset => "offset.storage.",
            Self::Status => "status.storage.",
        }
    }

    /// The key that names it.
    pub fn property(self) -> &'static str {
        match self {
            Self::Config => "config.storage.topic",
            Self::Offset => "offset.storage.topic",
            Self::Status => "status.storage.topic",
        }
    }

    /// What it is for, in Kafka's words.
    pub fn purpose(self) -> &'static str {
        match self {
            Self::Config => "connector configurations",
            Self::Offset => "source connector offsets",
            Self::Status => "connector and task statuses",
        }
    }
}

impl InternalTopic {
    /// Creates the topic if it is not there, checks it if it is, and answers how many partitions it has.
    pub async fn ensure(&self, client: &Client) -> Result<i32, Error> {
        let admin = Admin::new(client.clone());
        let creation = self.create(client, &admin).await?;
        if creation != Creation::Created {
            self.check_cleanup_policy(&admin).await?;
        }
        let timeout = match creation {
            Creation::NotAllowed => HOPE_TIMEOUT,
            Creation::Created | Creation::AlreadyThere => METADATA_TIMEOUT,
        };
        let partitions = self.count_partitions(client, timeout).await?;
        if self.kind == TopicKind::Config && partitions != 1 {
            return Err(Error::Partitions {
                topic: self.name.clone(),
                property: self.kind.property(),
                found: partitions as usize,
            });
        }
        Ok(partitions)
    }

    /// Brokers that start up may be too few for a moment, so that is tried again as
    /// long as Kafka's worker does.
    async fn create(&self, client: &Client, admin: &Admin) -> Result<Creation, Error> {
        let config = client.config();
        let deadline = Instant::now() + config.default_api_timeout;
        let mut told = false;
        loop {
            let error = match self.create_once(admin).await {
                Ok(()) => {
                    info!(
                        topic = self.name,
                        purpose = self.kind.purpose(),
                        "internal topic created"
                    );
                    return Ok(Creation::Created);
                }
                Err(error) => error,
            };
            match error.code() {
                Some(ErrorCode::TOPIC_ALREADY_EXISTS) => return Ok(Creation::AlreadyThere),
                Some(ErrorCode::TOPIC_AUTHORIZATION_FAILED | ErrorCode::CLUSTER_AUTHORIZATION_FAILED) => {
                    info!(
                        topic = self.name,
                        error = error.chain(),
                        "not authorized to create the internal topic, hoping that it exists"
                    );
                    return Ok(Creation::NotAllowed);
                }
                Some(ErrorCode::INVALID_REPLICATION_FACTOR) => {
                    let too_many = self.too_many_copies(client).await;
                    if Instant::now() >= deadline {
                        return Err(too_many);
                    }
                    if !told {
                        warn!(
                            error = too_many.chain(),
                            "internal topic cannot be created, trying again for a while"
                        );
                        told = true;
                    }
                }
                _ if is_retriable(&error) && Instant::now() < deadline => {}
                _ => return Err(self.failed("create", error)),
            }
            tokio::time::sleep(config.retry_backoff).await;
        }
    }

    async fn create_once(&self, admin: &Admin) -> Result<(), kafka_client::Error> {
        let mut configs = self.configs.clone();
        configs.insert("cleanup.policy".to_owned(), "compact".to_owned());
        let topic = NewTopic::new(self.name.as_str(), self.partitions, self.replication_factor).with_configs(configs);
        let results = admin.create_topics(vec![topic]).await?;
        results.into_values().try_for_each(|result| result.map(drop))
    }

    async fn too_many_copies(&self, client: &Client) -> Error {
        // Brokers may have come or gone since the metadata was read; a guess is better than no number.
        let metadata = client.refresh_metadata(Topics::Some(Vec::new())).await;
        let brokers = metadata.unwrap_or_else(|_| client.metadata()).brokers.len();
        Error::ReplicationFactor {
            topic: self.name.clone(),
            replication_factor: self.replication_factor,
            brokers,
            property: format!("{}replication.factor", self.kind.prefix()),
        }
    }

    async fn check_cleanup_policy(&self, admin: &Admin) -> Result<(), Error> {
        let name: Arc<str> = self.name.as_str().into();
        let described = match admin.describe_topic_configs(&[name]).await {
            Ok(described) => described.into_iter().next().map(|(_, configs)| configs),
            Err(error) => Some(Err(error)),
        };
        let configs = match described {
            None => return Ok(()),
            Some(Ok(configs)) => configs,
            Some(Err(error)) => {
                return match error.code() {
                    Some(ErrorCode::TOPIC_AUTHORIZATION_FAILED | ErrorCode::CLUSTER_AUTHORIZATION_FAILED) => {
                        info!(
                            topic = self.name,
                            "not authorized to see the internal topic's cleanup.policy"
                        );
                        Ok(())
                    }
                    // It is neither there nor to be created by us: `count_partitions` says so.
                    Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION) => Ok(()),
                    _ => Err(self.failed("describe", error)),
                };
            }
        };
        let policy = configs
            .iter()
            .find(|entry| entry.name == "cleanup.policy")
            .and_then(|entry| entry.value.clone());
        match policy {
            Some(policy) if !is_compact_only(&policy) => Err(Error::NotCompacted {
                topic: self.name.clone(),
                property: self.kind.property(),
                purpose: self.kind.purpose(),
                found: policy,
            }),
            _ => Ok(()),
        }
    }

    async fn count_partitions(&self, client: &Client, timeout: Duration) -> Result<i32, Error> {
        let deadline = Instant::now() + timeout;
        let name: Arc<str> = self.name.as_str().into();
        loop {
            let metadata = client.refresh_metadata(Topics::Some(vec![name.clone()])).await;
            let metadata = metadata.map_err(|error| self.failed("look up", error))?;
            let partitions = metadata.topics.get(&name).map_or(0, |topic| topic.partitions.len());
            if partitions > 0 {
                return Ok(i32::try_from(partitions).unwrap_or(i32::MAX));
            }
            if Instant::now() >= deadline {
                return Err(Error::Missing {
                    topic: self.name.clone(),
                    property: self.kind.property(),
                });
            }
            tokio::time::sleep(METADATA_PAUSE).await;
        }
    }

    fn failed(&self, what: &'static str, source: kafka_client::Error) -> Error {
        Error::Request {
            what,
            topic: self.name.clone(),
            purpose: self.kind.purpose(),
            source,
        }
    }
}

fn is_compact_only(policy: &str) -> bool {
    policy
        .split(',')
        .map(str::trim)
        .filter(|one| !one.is_empty())
        .all(|one| one.eq_ignore_ascii_case("compact"))
        && policy.to_ascii_lowercase().contains("compact")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_compaction_will_do() {
        for (policy, expected) in [
            ("compact", true),
            (" Compact ", true),
            ("compact,compact", true),
            ("delete", false),
            ("compact,delete", false),
            ("delete,compact", false),
            ("", false),
        ] {
            assert_eq!(is_compact_only(policy), expected, "{policy}");
        }
    }

    #[test]
    fn errors_say_what_kafka_says() {
        let error = Error::NotCompacted {
            topic: "t".to_owned(),
            property: TopicKind::Status.property(),
            purpose: TopicKind::Status.purpose(),
            found: "delete".to_owned(),
        };
        assert_eq!(
            error.to_string(),
            "Topic 't' supplied via the 'status.storage.topic' property is required to have 'cleanup.policy=compact' to \
             guarantee consistency and durability of connector and task statuses, but found the topic currently has \
             'cleanup.policy=delete'. Continuing would likely result in eventually losing connector and task statuses and \
             problems restarting this Connect cluster in the future. Change the 'status.storage.topic' property in the \
             Connect worker configurations to use a topic with 'cleanup.policy=compact'."
        );
        assert!(error.is_fatal());
        let error = Error::Partitions {
            topic: "t".to_owned(),
            property: TopicKind::Config.property(),
            found: 3,
        };
        assert_eq!(
            error.to_string(),
            "Topic 't' supplied via the 'config.storage.topic' property is required to have a single partition in order \
             to guarantee consistency of connector configurations, but found 3 partitions."
        );
    }
}
