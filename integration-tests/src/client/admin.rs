use std::collections::BTreeMap;

use kafka_protocol::{
    error::ResponseError,
    messages::{
        CreatePartitionsRequest, CreateTopicsRequest, DeleteRecordsRequest, DeleteTopicsRequest,
        DescribeConfigsRequest, IncrementalAlterConfigsRequest, ListOffsetsRequest,
        create_partitions_request::CreatePartitionsTopic,
        create_topics_request::{CreatableTopic, CreatableTopicConfig},
        delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic},
        describe_configs_request::DescribeConfigsResource,
        incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig},
        list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic},
    },
};

use super::{Error, Isolation, TestClient, check, string, topic_name};

const TIMEOUT_MS: i32 = 30_000;
const TOPIC_RESOURCE: i8 = 2;
const SET: i8 = 0;
const DELETE: i8 = 1;
const TOPICS_PER_REQUEST: usize = 100;

/// A topic to create.
#[derive(Clone, Debug)]
pub struct Topic {
    name: String,
    partitions: i32,
    replication_factor: i16,
    configs: Vec<(String, String)>,
}

impl Topic {
    /// One replica, the broker's configs.
    pub fn new(name: &str, partitions: i32) -> Self {
        Self {
            name: name.to_owned(),
            partitions,
            replication_factor: 1,
            configs: Vec::new(),
        }
    }

    /// With this many replicas.
    pub fn replicas(mut self, replication_factor: i16) -> Self {
        self.replication_factor = replication_factor;
        self
    }

    /// With a topic config.
    pub fn config(mut self, key: &str, value: &str) -> Self {
        self.configs.push((key.to_owned(), value.to_owned()));
        self
    }
}

impl TestClient {
    /// Creates topics and waits until every partition has a leader.
    pub fn create_topics(&mut self, topics: &[Topic]) {
        for some in topics.chunks(TOPICS_PER_REQUEST) {
            let request = create_topics_request(some);
            // An attempt whose answer was lost may have done it. A topic that is there before the first is another
            // scenario's, with other settings.
            let mut is_repeated = false;
            self.persist("create topics", |client| {
                let controller = client.controller()?;
                let may_exist = std::mem::replace(&mut is_repeated, true);
                let response = client.call(&controller, 5, &request)?;
                for topic in response.topics {
                    if !may_exist || topic.error_code != ResponseError::TopicAlreadyExists.code() {
                        check(topic.error_code, || format!("create {}", topic.name.0))?;
                    }
                }
                Ok(())
            });
        }
        for topic in topics {
            for partition in 0..topic.partitions {
                self.persist("wait for leaders", |client| client.leader(&topic.name, partition));
            }
        }
    }

    /// Creates one topic.
    pub fn create_topic(&mut self, topic: Topic) {
        self.create_topics(&[topic]);
    }

    /// Deletes a topic.
    pub fn delete_topic(&mut self, topic: &str) {
        let request = DeleteTopicsRequest::default()
            .with_topic_names(vec![topic_name(topic)])
            .with_timeout_ms(TIMEOUT_MS);
        self.persist("delete a topic", |client| {
            let controller = client.controller()?;
            let response = client.call(&controller, 4, &request)?;
            response
                .responses
                .iter()
                .try_for_each(|result| check(result.error_code, || format!("delete {topic}")))
        });
        self.leaders.clear();
    }

    /// Gives a topic more partitions.
    pub fn create_partitions(&mut self, topic: &str, count: i32) {
        let grown = CreatePartitionsTopic::default()
            .with_name(topic_name(topic))
            .with_count(count);
        let request = CreatePartitionsRequest::default()
            .with_topics(vec![grown.with_assignments(None)])
            .with_timeout_ms(TIMEOUT_MS);
        self.persist("create partitions", |client| {
            let controller = client.controller()?;
            let response = client.call(&controller, 1, &request)?;
            response
                .results
                .iter()
                .try_for_each(|result| check(result.error_code, || format!("grow {topic}")))
        });
        self.leaders.clear();
        self.persist("wait for leaders", |client| client.leader(topic, count - 1));
    }

    /// Sets topic configs.
    pub fn alter_configs(&mut self, topic: &str, configs: &[(&str, &str)]) {
        let set = |(name, value): &(&str, &str)| {
            AlterableConfig::default()
                .with_name(string(name))
                .with_config_operation(SET)
                .with_value(Some(string(value)))
        };
        self.alter(topic, configs.iter().map(set).collect());
    }

    /// A topic config is no longer set.
    pub fn reset_config(&mut self, topic: &str, name: &str) {
        let reset = AlterableConfig::default()
            .with_name(string(name))
            .with_config_operation(DELETE)
            .with_value(None);
        self.alter(topic, vec![reset]);
    }

    fn alter(&mut self, topic: &str, configs: Vec<AlterableConfig>) {
        let resource = AlterConfigsResource::default()
            .with_resource_type(TOPIC_RESOURCE)
            .with_resource_name(string(topic))
            .with_configs(configs);
        let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
        self.persist("alter configs", |client| {
            let controller = client.controller()?;
            let response = client.call(&controller, 0, &request)?;
            response
                .responses
                .iter()
                .try_for_each(|r| check(r.error_code, || format!("alter configs of {topic}")))
        });
    }

    /// All configs of a topic, defaults too.
    pub fn configs(&mut self, topic: &str) -> BTreeMap<String, String> {
        let resource = DescribeConfigsResource::default()
            .with_resource_type(TOPIC_RESOURCE)
            .with_resource_name(string(topic));
        let request = DescribeConfigsRequest::default().with_resources(vec![resource.with_configuration_keys(None)]);
        self.persist("describe configs", |client| {
            let response = client.call_any(2, &request)?;
            let mut configs = BTreeMap::new();
            for result in response.results {
                check(result.error_code, || format!("configs of {topic}"))?;
                configs.extend(
                    result
                        .configs
                        .into_iter()
                        .map(|c| (c.name.to_string(), c.value.unwrap_or_default().to_string())),
                );
            }
            Ok(configs)
        })
    }

    /// Removes everything before `offset`.
    pub fn delete_records(&mut self, topic: &str, partition: i32, offset: i64) {
        let cut = DeleteRecordsPartition::default()
            .with_partition_index(partition)
            .with_offset(offset);
        let topic_cut = DeleteRecordsTopic::default()
            .with_name(topic_name(topic))
            .with_partitions(vec![cut]);
        let request = DeleteRecordsRequest::default()
            .with_topics(vec![topic_cut])
            .with_timeout_ms(TIMEOUT_MS);
        self.persist("delete records", |client| {
            let leader = client.leader(topic, partition)?;
            let response = client.call(&leader, 1, &request)?;
            let mut results = response.topics.iter().flat_map(|topic| &topic.partitions);
            results.try_for_each(|result| check(result.error_code, || format!("delete records of {topic}-{partition}")))
        });
    }

    /// The names of all topics, internal ones too.
    pub fn topics(&mut self) -> Vec<String> {
        let metadata = self.persist("list topics", |client| client.metadata(None));
        let names = metadata.topics.into_iter().filter_map(|topic| topic.name);
        let mut names: Vec<String> = names.map(|name| name.0.to_string()).collect();
        names.sort();
        names
    }

    /// How many partitions a topic has, `None` if it does not exist (yet) or not every partition has a leader (yet).
    pub fn partition_count(&mut self, topic: &str) -> Option<i32> {
        let metadata = self.persist("describe a topic", |client| client.metadata(Some(&[topic])));
        let described = metadata.topics.into_iter().next()?;
        let complete = described.error_code == 0 && described.partitions.iter().all(|p| p.leader_id.0 >= 0);
        complete
            .then_some(described.partitions.len() as i32)
            .filter(|&count| count > 0)
    }

    /// Per partition the node that leads it and the nodes in sync; empty if the topic does not exist.
    pub fn replicas(&mut self, topic: &str) -> Vec<(i32, Vec<i32>)> {
        let metadata = self.persist("describe a topic", |client| client.metadata(Some(&[topic])));
        let mut partitions: Vec<_> = metadata.topics.into_iter().flat_map(|topic| topic.partitions).collect();
        partitions.sort_by_key(|partition| partition.partition_index);
        let ids = |nodes: &[kafka_protocol::messages::BrokerId]| nodes.iter().map(|id| id.0).collect();
        partitions
            .iter()
            .map(|partition| (partition.leader_id.0, ids(&partition.isr_nodes)))
            .collect()
    }

    /// The first offset that is still there.
    pub fn log_start(&mut self, topic: &str, partition: i32) -> i64 {
        self.list_offset(topic, partition, -2, Isolation::ReadUncommitted)
    }

    /// The offset of the next record to come (or, read committed, the last stable offset).
    pub fn log_end(&mut self, topic: &str, partition: i32, isolation: Isolation) -> i64 {
        self.list_offset(topic, partition, -1, isolation)
    }

    fn list_offset(&mut self, topic: &str, partition: i32, timestamp: i64, isolation: Isolation) -> i64 {
        let asked = ListOffsetsPartition::default()
            .with_partition_index(partition)
            .with_timestamp(timestamp);
        let asked = ListOffsetsTopic::default()
            .with_name(topic_name(topic))
            .with_partitions(vec![asked]);
        let request = ListOffsetsRequest::default()
            .with_replica_id((-1).into())
            .with_isolation_level(isolation as i8)
            .with_topics(vec![asked]);
        self.persist("list offsets", |client| {
            let leader = client.leader(topic, partition)?;
            let response = client.call(&leader, 5, &request)?;
            let answer = response.topics.iter().flat_map(|topic| &topic.partitions).next();
            let answer = answer.ok_or_else(|| Error::Nonsense(format!("no offset of {topic}-{partition}")))?;
            check(answer.error_code, || format!("offsets of {topic}-{partition}"))?;
            Ok(answer.offset)
        })
    }
}

fn create_topics_request(topics: &[Topic]) -> CreateTopicsRequest {
    let topics = topics.iter().map(|topic| {
        let configs = topic.configs.iter().map(|(name, value)| {
            CreatableTopicConfig::default()
                .with_name(string(name))
                .with_value(Some(string(value)))
        });
        CreatableTopic::default()
            .with_name(topic_name(&topic.name))
            .with_num_partitions(topic.partitions)
            .with_replication_factor(topic.replication_factor)
            .with_configs(configs.collect())
    });
    CreateTopicsRequest::default()
        .with_topics(topics.collect())
        .with_timeout_ms(TIMEOUT_MS)
}
