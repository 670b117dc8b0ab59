//! What is known of a cluster: brokers, topics, and who leads which partition.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::messages::MetadataResponse;
use kafka_protocol::messages::metadata_response::{MetadataResponsePartition, MetadataResponseTopic};
use kafka_wire::{ErrorCode, TopicPartition};
use tokio::time::Instant;
use uuid::Uuid;

use crate::config::HostPort;

/// A broker's address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broker {
    /// `node.id`.
    pub node_id: i32,
    /// The advertised host.
    pub host: Arc<str>,
    /// The advertised port.
    pub port: u16,
    /// `broker.rack`.
    pub rack: Option<Arc<str>>,
}

/// One partition as the cluster reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionMetadata {
    /// The partition's number.
    pub partition: i32,
    /// The leader's id, or -1 while there is none.
    pub leader_id: i32,
    /// The leader's epoch, or -1 from brokers that do not tell.
    pub leader_epoch: i32,
    /// All replicas.
    pub replicas: Vec<i32>,
    /// The replicas in sync.
    pub isr: Vec<i32>,
    /// Why the partition is not available, such as `LEADER_NOT_AVAILABLE`.
    pub error: Option<ErrorCode>,
}

/// One topic as the cluster reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicMetadata {
    /// The topic's id; nil from brokers that do not tell.
    pub id: Uuid,
    /// The partitions, ordered by number.
    pub partitions: Vec<PartitionMetadata>,
    /// Why the topic is not available, such as `TOPIC_AUTHORIZATION_FAILED`.
    pub error: Option<ErrorCode>,
    /// Whether the topic is the broker's own, such as `__consumer_offsets`.
    pub is_internal: bool,
}

impl TopicMetadata {
    /// The partition of this number.
    pub fn partition(&self, partition: i32) -> Option<&PartitionMetadata> {
        let index = usize::try_from(partition).ok()?;
        // Numbers run from 0 without gaps as a rule; a cut response must not mislead us all the same.
        match self.partitions.get(index) {
            Some(found) if found.partition == partition => Some(found),
            _ => self.partitions.iter().find(|found| found.partition == partition),
        }
    }
}

/// A snapshot of what is known of a cluster.
#[derive(Debug, Clone)]
pub struct Metadata {
    /// The brokers, by id.
    pub brokers: HashMap<i32, Broker>,
    /// The controller (or, in KRaft, a broker that forwards to it); -1: not known.
    pub controller_id: i32,
    /// The cluster's id.
    pub cluster_id: Option<Arc<str>>,
    /// The topics asked for so far.
    pub topics: HashMap<Arc<str>, Arc<TopicMetadata>>,
    /// When a response last brought news; `None` before the first.
    pub refreshed_at: Option<Instant>,
}

impl Default for Metadata {
    fn default() -> Self {
        Self {
            brokers: HashMap::new(),
            controller_id: -1,
            cluster_id: None,
            topics: HashMap::new(),
            refreshed_at: None,
        }
    }
}

/// Which topics a refresh asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Topics {
    /// Every topic of the cluster that we may see.
    All,
    /// These topics; none at all asks for the brokers only.
    Some(Vec<Arc<str>>),
}

impl Topics {
    /// Whether an answer to `self` also answers `other`.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::All, _) => true,
            (Self::Some(_), Self::All) => false,
            (Self::Some(ours), Self::Some(theirs)) => theirs.iter().all(|topic| ours.contains(topic)),
        }
    }
}

/// What a broker says of a partition that it does not lead (any more), instead of an answer (KIP-951).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaderHint {
    /// The partition.
    pub partition: TopicPartition,
    /// Who leads it.
    pub leader_id: i32,
    /// Since which epoch.
    pub leader_epoch: i32,
    /// The leader's address, if it was said.
    pub endpoint: Option<HostPort>,
}

/// What changed with a response.
#[derive(Debug)]
pub(crate) struct Update {
    pub(crate) metadata: Metadata,
    /// Topics whose id changed: deleted and created again.
    pub(crate) recreated: Vec<Arc<str>>,
}

impl Metadata {
    /// The partition, when its topic is known.
    pub fn partition(&self, partition: &TopicPartition) -> Option<&PartitionMetadata> {
        self.topics.get(&partition.topic)?.partition(partition.partition)
    }

    /// The leader and its epoch, when there is a leader whose address we know.
    pub fn leader(&self, partition: &TopicPartition) -> Option<(i32, i32)> {
        let found = self.partition(partition)?;
        self.brokers
            .contains_key(&found.leader_id)
            .then_some((found.leader_id, found.leader_epoch))
    }

    /// The name that belongs to a topic id.
    pub fn topic_name(&self, id: Uuid) -> Option<&Arc<str>> {
        self.topics
            .iter()
            .find(|(_, topic)| topic.id == id)
            .map(|(name, _)| name)
    }

    /// Whether this is younger than `max_age` and tells of all `topics`.
    pub(crate) fn is_fresh(&self, topics: &[Arc<str>], max_age: Duration, now: Instant) -> bool {
        let young = self.refreshed_at.is_some_and(|at| now.duration_since(at) < max_age);
        young && topics.iter().all(|topic| self.topics.contains_key(topic))
    }

    /// This snapshot, brought up to date by the answer to `asked`.
    pub(crate) fn updated(&self, response: &MetadataResponse, asked: &Topics, now: Instant) -> Update {
        let mut recreated = Vec::new();
        let mut topics = match asked {
            Topics::All => HashMap::with_capacity(response.topics.len()),
            Topics::Some(names) => {
                let mut kept = self.topics.clone();
                kept.retain(|name, _| !names.contains(name));
                kept
            }
        };
        for topic in &response.topics {
            let Some(name) = topic.name.as_ref().map(|name| name.0.as_str()) else {
                continue;
            };
            let known = self.topics.get_key_value(name);
            let name: Arc<str> = known.map_or_else(|| name.into(), |(name, _)| name.clone());
            let mut news = read_topic(topic);
            if let Some((_, known)) = known {
                match same_topic(known, &news) {
                    true => news.keep_newer_leaders(known),
                    false => recreated.push(name.clone()),
                }
            }
            topics.insert(name, Arc::new(news));
        }
        let brokers = response
            .brokers
            .iter()
            .filter_map(|broker| {
                let port = u16::try_from(broker.port).ok()?;
                let rack = broker.rack.as_ref().map(|rack| Arc::from(rack.as_str()));
                let node_id = broker.node_id.0;
                Some((
                    node_id,
                    Broker {
                        node_id,
                        host: broker.host.as_str().into(),
                        port,
                        rack,
                    },
                ))
            })
            .collect();
        let metadata = Self {
            brokers,
            controller_id: response.controller_id.0,
            cluster_id: response.cluster_id.as_ref().map(|id| Arc::from(id.as_str())),
            topics,
            refreshed_at: Some(now),
        };
        Update { metadata, recreated }
    }

    /// Whether a hint says more than is known.
    pub(crate) fn is_news(&self, hint: &LeaderHint) -> bool {
        let known = self.partition(&hint.partition);
        hint.leader_id >= 0 && known.is_some_and(|known| hint.leader_epoch > known.leader_epoch)
    }

    /// Takes in a newer leader of one partition.
    pub(crate) fn take_hint(&mut self, hint: &LeaderHint) {
        if let Some(HostPort { host, port }) = hint.endpoint.clone() {
            let broker = Broker {
                node_id: hint.leader_id,
                host,
                port,
                rack: None,
            };
            self.brokers.insert(broker.node_id, broker);
        }
        let Some(topic) = self.topics.get_mut(&hint.partition.topic) else {
            return;
        };
        let mut partitions = Arc::make_mut(topic).partitions.iter_mut();
        if let Some(found) = partitions.find(|found| found.partition == hint.partition.partition) {
            found.leader_id = hint.leader_id;
            found.leader_epoch = hint.leader_epoch;
            found.error = None;
        }
    }
}

impl TopicMetadata {
    /// A lagging broker may report a leader that is already history: the higher epoch wins.
    fn keep_newer_leaders(&mut self, known: &Self) {
        for news in &mut self.partitions {
            if let Some(old) = known.partition(news.partition)
                && old.leader_epoch > news.leader_epoch
                && news.leader_epoch >= 0
            {
                *news = old.clone();
            }
        }
    }
}

fn same_topic(known: &TopicMetadata, news: &TopicMetadata) -> bool {
    known.id == news.id || known.id.is_nil() || news.id.is_nil()
}

fn error(code: i16) -> Option<ErrorCode> {
    ErrorCode::check(code).err()
}

fn read_topic(topic: &MetadataResponseTopic) -> TopicMetadata {
    let mut partitions: Vec<_> = topic.partitions.iter().map(read_partition).collect();
    partitions.sort_by_key(|partition| partition.partition);
    TopicMetadata {
        id: topic.topic_id,
        partitions,
        error: error(topic.error_code),
        is_internal: topic.is_internal,
    }
}

fn read_partition(partition: &MetadataResponsePartition) -> PartitionMetadata {
    PartitionMetadata {
        partition: partition.partition_index,
        leader_id: partition.leader_id.0,
        leader_epoch: partition.leader_epoch,
        replicas: partition.replica_nodes.iter().map(|node| node.0).collect(),
        isr: partition.isr_nodes.iter().map(|node| node.0).collect(),
        error: error(partition.error_code),
    }
}

#[cfg(test)]
mod tests {
    use kafka_protocol::messages::metadata_response::MetadataResponseBroker;
    use kafka_protocol::messages::{BrokerId, TopicName};
    use kafka_protocol::protocol::StrBytes;

    use super::*;

    fn topic(name: &str, id: u128, leaders: &[(i32, i32)]) -> MetadataResponseTopic {
        let partition = |(index, (leader, epoch)): (usize, &(i32, i32))| {
            MetadataResponsePartition::default()
                .with_partition_index(index as i32)
                .with_leader_id(BrokerId(*leader))
                .with_leader_epoch(*epoch)
        };
        MetadataResponseTopic::default()
            .with_name(Some(TopicName(StrBytes::from_string(name.into()))))
            .with_topic_id(Uuid::from_u128(id))
            .with_partitions(leaders.iter().enumerate().map(partition).collect())
    }

    fn response(topics: Vec<MetadataResponseTopic>) -> MetadataResponse {
        let broker = |id: i32| {
            MetadataResponseBroker::default()
                .with_node_id(BrokerId(id))
                .with_host(StrBytes::from_string(format!("kafka-{id}")))
                .with_port(9092)
        };
        MetadataResponse::default()
            .with_brokers(vec![broker(1), broker(2)])
            .with_topics(topics)
    }

    fn some(names: &[&str]) -> Topics {
        Topics::Some(names.iter().map(|name| Arc::from(*name)).collect())
    }

    fn orders(metadata: &Metadata) -> Option<(i32, i32)> {
        metadata.leader(&TopicPartition::new("orders", 0))
    }

    #[tokio::test(start_paused = true)]
    async fn an_older_leader_epoch_is_ignored() {
        let now = Instant::now();
        let first = Metadata::default().updated(&response(vec![topic("orders", 7, &[(1, 5)])]), &Topics::All, now);
        let stale = first
            .metadata
            .updated(&response(vec![topic("orders", 7, &[(2, 4)])]), &Topics::All, now);
        assert_eq!(orders(&stale.metadata), Some((1, 5)));
        let next = stale
            .metadata
            .updated(&response(vec![topic("orders", 7, &[(2, 6)])]), &Topics::All, now);
        assert_eq!(orders(&next.metadata), Some((2, 6)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_recreated_topic_starts_its_epochs_anew() {
        let now = Instant::now();
        let first = Metadata::default().updated(&response(vec![topic("orders", 7, &[(1, 5)])]), &Topics::All, now);
        let again = first
            .metadata
            .updated(&response(vec![topic("orders", 8, &[(2, 0)])]), &Topics::All, now);
        assert_eq!(orders(&again.metadata), Some((2, 0)));
        assert_eq!(again.recreated, [Arc::from("orders")]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_partial_refresh_keeps_the_other_topics() {
        let now = Instant::now();
        let both = vec![topic("orders", 7, &[(1, 5)]), topic("payments", 8, &[(1, 1)])];
        let first = Metadata::default().updated(&response(both), &Topics::All, now).metadata;
        let second = first.updated(&response(vec![]), &some(&["payments"]), now).metadata;
        assert!(second.topics.contains_key("orders"));
        assert!(!second.topics.contains_key("payments"), "it was asked for and is gone");
        assert!(
            second
                .updated(&response(vec![]), &Topics::All, now)
                .metadata
                .topics
                .is_empty()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_leader_hint_counts_only_with_a_higher_epoch() {
        let now = Instant::now();
        let known = response(vec![topic("orders", 7, &[(1, 5)])]);
        let metadata = Metadata::default().updated(&known, &Topics::All, now).metadata;
        let hint = |topic: &str, leader_epoch| LeaderHint {
            partition: TopicPartition::new(topic, 0),
            leader_id: 9,
            leader_epoch,
            endpoint: Some(HostPort::new("kafka-9", 9092)),
        };
        assert!(!metadata.is_news(&hint("orders", 5)));
        assert!(!metadata.is_news(&hint("none", 6)));
        assert!(metadata.is_news(&hint("orders", 6)));
        let mut next = metadata.clone();
        next.take_hint(&hint("orders", 6));
        assert_eq!(orders(&next), Some((9, 6)));
        assert_eq!(orders(&metadata), Some((1, 5)), "others still see what they saw");
    }

    #[test]
    fn a_refresh_of_all_topics_covers_every_other() {
        assert!(Topics::All.covers(&some(&["a"])));
        assert!(some(&["a", "b"]).covers(&some(&["b"])));
        assert!(!some(&["a"]).covers(&some(&["a", "b"])));
        assert!(!some(&["a"]).covers(&Topics::All));
    }
}
