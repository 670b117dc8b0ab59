//! CreatePartitions.

use std::sync::Arc;

use kafka_protocol::messages::create_partitions_request::{CreatePartitionsAssignment, CreatePartitionsTopic};
use kafka_protocol::messages::{BrokerId, CreatePartitionsRequest};

use super::{Admin, Asked, PerItem, outcome, topic_name};
use crate::error::Error;

/// How many partitions a topic is to have from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPartitions {
    /// All partitions, old and new.
    pub total_count: i32,
    /// Which brokers hold each new partition; `None`: the cluster decides.
    pub new_assignments: Option<Vec<Vec<i32>>>,
}

impl NewPartitions {
    /// So many in all, placed by the cluster.
    pub fn increase_to(total_count: i32) -> Self {
        Self {
            total_count,
            new_assignments: None,
        }
    }
}

impl Admin {
    /// Adds partitions to topics.
    pub async fn create_partitions(
        &self,
        topics: Vec<(Arc<str>, NewPartitions)>,
    ) -> Result<PerItem<Arc<str>, ()>, Error> {
        let attempt = |items: Vec<(Arc<str>, NewPartitions)>| async move {
            let request = CreatePartitionsRequest::default()
                .with_topics(
                    items
                        .iter()
                        .map(|(name, partitions)| to_request(name, partitions))
                        .collect(),
                )
                .with_timeout_ms(self.request_timeout_ms());
            let response = self.client.call_controller(request).await?;
            let read = response.results.iter().map(|result| {
                let name: Arc<str> = result.name.0.as_str().into();
                let what = || format!("adding partitions to topic {name}");
                let outcome = outcome(result.error_code, result.error_message.as_ref(), what, ());
                (name, outcome)
            });
            Ok(read.collect())
        };
        self.settle("adding partitions", Asked::Controller, topics, attempt)
            .await
    }
}

fn to_request(name: &str, partitions: &NewPartitions) -> CreatePartitionsTopic {
    let assignment = |brokers: &Vec<i32>| {
        CreatePartitionsAssignment::default().with_broker_ids(brokers.iter().copied().map(BrokerId).collect())
    };
    CreatePartitionsTopic::default()
        .with_name(topic_name(name))
        .with_count(partitions.total_count)
        .with_assignments(
            partitions
                .new_assignments
                .as_ref()
                .map(|all| all.iter().map(assignment).collect()),
        )
}
