//! Topics: found, made, enlarged and deleted as Kafka's controller does it.

use std::collections::BTreeMap;
use std::sync::Arc;

use kafka_protocol::error::ResponseError as E;
use uuid::Uuid;

use super::State;
use crate::configs;
use crate::topic::{Partition, Topic};

/// As many as Kafka's controller makes in one go.
pub(crate) const MAX_PARTITIONS: i32 = 10_000;

/// A topic to be made. −1 for the broker's defaults, as in the protocol.
#[derive(Clone, Debug)]
pub(crate) struct NewTopic {
    pub(crate) name: Arc<str>,
    pub(crate) partitions: i32,
    pub(crate) replication_factor: i16,
    /// Replicas of each partition in order, when the client chose them.
    pub(crate) assignments: Vec<Vec<i32>>,
    pub(crate) configs: BTreeMap<String, String>,
}

/// An error code with Kafka's words for it.
pub(crate) type Refusal = (E, String);

impl State {
    pub(crate) fn topic(&self, name: &str) -> Result<&Topic, E> {
        self.topics.get(name).ok_or(E::UnknownTopicOrPartition)
    }

    pub(crate) fn name_of(&self, id: Uuid) -> Result<&Arc<str>, E> {
        self.topic_names.get(&id).ok_or(E::UnknownTopicId)
    }

    pub(crate) fn partition(&self, topic: &str, partition: i32) -> Result<&Partition, E> {
        let found = self.topics.get(topic).and_then(|topic| topic.partition(partition));
        found.ok_or(E::UnknownTopicOrPartition)
    }

    pub(crate) fn partition_mut(&mut self, topic: &str, partition: i32) -> Result<&mut Partition, E> {
        let found = self
            .topics
            .get_mut(topic)
            .and_then(|topic| topic.partition_mut(partition));
        found.ok_or(E::UnknownTopicOrPartition)
    }

    /// The partition, if this node leads it in the epoch that the client believes in (−1: it does not say).
    pub(crate) fn led_partition(&self, node_id: i32, topic: &str, partition: i32, epoch: i32) -> Result<&Partition, E> {
        let partition = self.partition(topic, partition)?;
        partition.check_leader(node_id, epoch)?;
        Ok(partition)
    }

    /// What `create_topic` would refuse, in Kafka's order.
    pub(crate) fn check_new_topic(&self, new: &NewTopic) -> Result<(), Refusal> {
        check_name(&new.name).map_err(|why| (E::InvalidTopicException, why))?;
        if self.topics.contains_key(&new.name) {
            return Err((E::TopicAlreadyExists, format!("Topic '{}' already exists.", new.name)));
        }
        let unified = new.name.replace('.', "_");
        if let Some(twin) = self.topics.keys().find(|name| name.replace('.', "_") == unified) {
            let why = format!("Topic '{}' collides with existing topic: {twin}", new.name);
            return Err((E::InvalidTopicException, why));
        }
        if new.partitions > MAX_PARTITIONS {
            return Err((
                E::PolicyViolation,
                "Excessively large number of partitions per request.".to_owned(),
            ));
        }
        if new.assignments.is_empty() {
            if new.partitions == 0 || new.partitions < -1 {
                let why = "Number of partitions was set to an invalid non-positive value.".to_owned();
                return Err((E::InvalidPartitions, why));
            }
            self.check_replication_factor(new.replication_factor)?;
        }
        let unknown = |id: &i32| !self.nodes.contains_key(id);
        if new
            .assignments
            .iter()
            .any(|replicas| replicas.is_empty() || replicas.iter().any(unknown))
        {
            return Err((
                E::InvalidReplicaAssignment,
                "Unknown broker in the assignment.".to_owned(),
            ));
        }
        for (name, value) in &new.configs {
            configs::check_topic_config(name, Some(value)).map_err(|why| (E::InvalidConfig, why))?;
        }
        Ok(())
    }

    fn check_replication_factor(&self, factor: i16) -> Result<(), Refusal> {
        if factor == 0 || factor < -1 {
            let why = "Replication factor must be larger than 0, or -1 to use the default value.".to_owned();
            return Err((E::InvalidReplicationFactor, why));
        }
        let available = self.running_nodes().count();
        if usize::try_from(factor).is_ok_and(|factor| factor > available) {
            let why = format!(
                "Unable to replicate the partition {factor} time(s): The target replication factor of {factor} cannot be \
                 reached because only {available} broker(s) are registered."
            );
            return Err((E::InvalidReplicationFactor, why));
        }
        Ok(())
    }

    /// Makes a topic; gives it a new id, as every time.
    pub(crate) fn create_topic(&mut self, new: NewTopic) -> Result<&Topic, Refusal> {
        self.check_new_topic(&new)?;
        let assignments = if new.assignments.is_empty() {
            let partitions = match new.partitions {
                -1 => self.broker_number("num.partitions"),
                partitions => partitions,
            };
            self.spread(0, partitions, self.effective_replication_factor(new.replication_factor))
        } else {
            new.assignments
        };
        let partitions = assignments
            .into_iter()
            .map(|replicas| self.new_partition(replicas))
            .collect();
        let mut topic = Topic::new(new.name.clone(), partitions, new.configs);
        topic.rules = self.append_rules(&topic.configs);
        self.topic_names.insert(topic.id, new.name.clone());
        Ok(self.topics.entry(new.name).or_insert(topic))
    }

    pub(crate) fn create_partitions(&mut self, name: &str, count: i32, assignments: Vec<Vec<i32>>) -> Result<(), E> {
        let topic = self.topic(name)?;
        let (have, factor) = (topic.partitions.len() as i32, topic.replication_factor());
        let replicas = match assignments.is_empty() {
            true => self.spread(have, count, factor),
            false => assignments,
        };
        let more: Vec<_> = replicas
            .into_iter()
            .map(|replicas| self.new_partition(replicas))
            .collect();
        let topic = self.topics.get_mut(name).ok_or(E::UnknownTopicOrPartition)?;
        topic.partitions.extend(more);
        Ok(())
    }

    pub(crate) fn delete_topic(&mut self, name: &str) -> Result<Topic, E> {
        let topic = self.topics.remove(name).ok_or(E::UnknownTopicOrPartition)?;
        self.topic_names.remove(&topic.id);
        self.groups.topic_deleted(name);
        Ok(topic)
    }

    pub(crate) fn effective_replication_factor(&self, factor: i16) -> i16 {
        match factor {
            -1 => self.broker_number("default.replication.factor"),
            factor => factor,
        }
    }

    fn new_partition(&self, replicas: Vec<i32>) -> Partition {
        let is_up = |id: &i32| self.nodes.get(id).is_some_and(|node| node.up);
        let leader = replicas.iter().copied().find(is_up);
        Partition::new(replicas, leader)
    }

    /// Replicas for partitions `from..to`, round robin over the running nodes.
    fn spread(&self, from: i32, to: i32, replication_factor: i16) -> Vec<Vec<i32>> {
        let ids: Vec<i32> = self.running_nodes().map(|(id, _)| id).collect();
        let start = from.max(0) as usize;
        let replicas = |partition| {
            let chosen = ids.iter().cycle().skip(partition % ids.len().max(1));
            chosen
                .take((replication_factor.max(1) as usize).min(ids.len()))
                .copied()
                .collect()
        };
        (start..to.max(from) as usize).map(replicas).collect()
    }
}

/// Kafka's `Topic.validate`.
fn check_name(name: &str) -> Result<(), String> {
    let legal = |c: char| c.is_ascii_alphanumeric() || ['.', '_', '-'].contains(&c);
    if name.is_empty() {
        Err("Topic name is invalid: the empty string is not allowed".to_owned())
    } else if name == "." || name == ".." {
        Err("Topic name is invalid: '.' or '..' is not allowed".to_owned())
    } else if name.len() > 249 {
        Err(format!(
            "Topic name is invalid: the length of '{name}' is longer than the max allowed length 249"
        ))
    } else if !name.chars().all(legal) {
        Err(format!(
            "Topic name is invalid: '{name}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"
        ))
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_kafkas_rules() {
        for good in ["a", "A.b_c-9", "...", "__consumer_offsets", &"x".repeat(249)] {
            assert_eq!(check_name(good), Ok(()), "{good}");
        }
        for bad in ["", ".", "..", "a b", "a/b", "ü", &"x".repeat(250)] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }
}
