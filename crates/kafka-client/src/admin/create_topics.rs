//! CreateTopics.

use std::collections::BTreeMap;
use std::sync::Arc;

use kafka_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use kafka_protocol::messages::create_topics_response::CreatableTopicResult;
use kafka_protocol::messages::{BrokerId, CreateTopicsRequest};
use uuid::Uuid;

use super::{Admin, Asked, PerItem, outcome, text, topic_name};
use crate::error::Error;

/// A topic to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTopic {
    /// Its name.
    pub name: Arc<str>,
    /// How many partitions; -1: `num.partitions` of the brokers.
    pub num_partitions: i32,
    /// How many replicas; -1: `default.replication.factor` of the brokers.
    pub replication_factor: i16,
    /// Its configs, where they are not the brokers' defaults.
    pub configs: BTreeMap<String, String>,
    /// Which brokers hold which partition, instead of the two numbers.
    pub replica_assignments: BTreeMap<i32, Vec<i32>>,
}

impl NewTopic {
    /// A topic with the brokers' default configs.
    pub fn new(name: impl Into<Arc<str>>, num_partitions: i32, replication_factor: i16) -> Self {
        let (configs, replica_assignments) = Default::default();
        Self {
            name: name.into(),
            num_partitions,
            replication_factor,
            configs,
            replica_assignments,
        }
    }

    /// The same with these configs.
    #[must_use]
    pub fn with_configs(mut self, configs: BTreeMap<String, String>) -> Self {
        self.configs = configs;
        self
    }

    fn to_request(&self) -> CreatableTopic {
        let config = |(name, value): (&String, &String)| {
            CreatableTopicConfig::default()
                .with_name(text(name))
                .with_value(Some(text(value)))
        };
        let assignment = |(partition, brokers): (&i32, &Vec<i32>)| {
            let brokers = brokers.iter().copied().map(BrokerId).collect();
            CreatableReplicaAssignment::default()
                .with_partition_index(*partition)
                .with_broker_ids(brokers)
        };
        let by_number = self.replica_assignments.is_empty();
        CreatableTopic::default()
            .with_name(topic_name(&self.name))
            .with_num_partitions(if by_number { self.num_partitions } else { -1 })
            .with_replication_factor(if by_number { self.replication_factor } else { -1 })
            .with_assignments(self.replica_assignments.iter().map(assignment).collect())
            .with_configs(self.configs.iter().map(config).collect())
    }
}

/// A topic as it was created. Older brokers, and those that do not let us describe topics, leave the numbers at -1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatedTopic {
    /// Its id.
    pub id: Uuid,
    /// How many partitions it has.
    pub num_partitions: i32,
    /// How many replicas it has.
    pub replication_factor: i16,
}

impl Admin {
    /// Creates topics.
    pub async fn create_topics(&self, topics: Vec<NewTopic>) -> Result<PerItem<Arc<str>, CreatedTopic>, Error> {
        self.create_or_validate_topics(topics, false).await
    }

    /// Creates topics, or only says whether they could be.
    pub async fn create_or_validate_topics(
        &self,
        topics: Vec<NewTopic>,
        validate_only: bool,
    ) -> Result<PerItem<Arc<str>, CreatedTopic>, Error> {
        let items = topics.into_iter().map(|topic| (topic.name.clone(), topic)).collect();
        let attempt = |items: Vec<(Arc<str>, NewTopic)>| async move {
            let request = CreateTopicsRequest::default()
                .with_topics(items.iter().map(|(_, topic)| topic.to_request()).collect())
                .with_timeout_ms(self.request_timeout_ms())
                .with_validate_only(validate_only);
            let response = self.client.call_controller(request).await?;
            Ok(response.topics.iter().map(read).collect())
        };
        self.settle("creating topics", Asked::Controller, items, attempt).await
    }
}

fn read(result: &CreatableTopicResult) -> (Arc<str>, Result<CreatedTopic, Error>) {
    let name: Arc<str> = result.name.0.as_str().into();
    let created = CreatedTopic {
        id: result.topic_id,
        num_partitions: result.num_partitions,
        replication_factor: result.replication_factor,
    };
    let what = || format!("creating topic {name}");
    let outcome = outcome(result.error_code, result.error_message.as_ref(), what, created);
    (name, outcome)
}
