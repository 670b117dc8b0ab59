//! DescribeConfigs and IncrementalAlterConfigs.

use std::fmt;
use std::sync::Arc;

use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::{DescribeConfigsResourceResult, DescribeConfigsResult};
use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::{DescribeConfigsRequest, IncrementalAlterConfigsRequest};

use super::{Admin, Asked, PerItem, outcome, text};
use crate::connection::Connection;
use crate::error::Error;
use crate::pool::Role;

/// How many resources one request is about: some 40 configs each, so that an answer stays below a few megabytes.
const RESOURCES_PER_REQUEST: usize = 500;

/// What has configs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ConfigResourceType {
    /// A topic.
    Topic,
    /// A broker by id, or the default of all with an empty name.
    Broker,
    /// A group.
    Group,
}

impl ConfigResourceType {
    const fn code(self) -> i8 {
        match self {
            Self::Topic => 2,
            Self::Broker => 4,
            Self::Group => 32,
        }
    }

    const fn of(code: i8) -> Option<Self> {
        match code {
            2 => Some(Self::Topic),
            4 => Some(Self::Broker),
            32 => Some(Self::Group),
            _ => None,
        }
    }
}

/// One thing that has configs.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConfigResource {
    /// What it is.
    pub kind: ConfigResourceType,
    /// Its name.
    pub name: Arc<str>,
}

impl ConfigResource {
    /// A topic.
    pub fn topic(name: impl Into<Arc<str>>) -> Self {
        Self {
            kind: ConfigResourceType::Topic,
            name: name.into(),
        }
    }

    /// A broker.
    pub fn broker(node_id: i32) -> Self {
        Self {
            kind: ConfigResourceType::Broker,
            name: node_id.to_string().into(),
        }
    }

    /// The broker that alone can tell: for the configs of a broker itself.
    fn node_id(&self) -> Option<i32> {
        match self.kind {
            ConfigResourceType::Broker => self.name.parse().ok(),
            _ => None,
        }
    }
}

impl fmt::Display for ConfigResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            ConfigResourceType::Topic => "topic",
            ConfigResourceType::Broker => "broker",
            ConfigResourceType::Group => "group",
        };
        write!(f, "{kind} {}", self.name)
    }
}

/// Where a value comes from (`ConfigEntry.ConfigSource`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigSource {
    /// Not told.
    Unknown,
    /// Set on the topic.
    DynamicTopicConfig,
    /// Set on the broker while it runs.
    DynamicBrokerConfig,
    /// Set on all brokers while they run.
    DynamicDefaultBrokerConfig,
    /// From the broker's file.
    StaticBrokerConfig,
    /// Built in.
    DefaultConfig,
    /// A log level of the broker.
    DynamicBrokerLoggerConfig,
    /// Set for client metrics.
    ClientMetricsConfig,
    /// Set on the group.
    GroupConfig,
}

impl ConfigSource {
    const fn of(code: i8) -> Self {
        match code {
            1 => Self::DynamicTopicConfig,
            2 => Self::DynamicBrokerConfig,
            3 => Self::DynamicDefaultBrokerConfig,
            4 => Self::StaticBrokerConfig,
            5 => Self::DefaultConfig,
            6 => Self::DynamicBrokerLoggerConfig,
            7 => Self::ClientMetricsConfig,
            8 => Self::GroupConfig,
            _ => Self::Unknown,
        }
    }
}

/// One config of a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigEntry {
    /// Its name.
    pub name: String,
    /// Its value; `None` when it has none or is not told.
    pub value: Option<String>,
    /// Where the value comes from.
    pub source: ConfigSource,
    /// Whether it is a secret, whose value is never told.
    pub is_sensitive: bool,
    /// Whether it cannot be changed.
    pub is_read_only: bool,
}

impl ConfigEntry {
    /// Whether nobody has set it.
    pub fn is_default(&self) -> bool {
        self.source == ConfigSource::DefaultConfig
    }
}

/// What to do with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpType {
    /// Set it.
    Set,
    /// Back to the default.
    Delete,
    /// Add to a list.
    Append,
    /// Take from a list.
    Subtract,
}

/// A change of one config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlterConfigOp {
    /// Its name.
    pub name: String,
    /// The value to set, add or take away.
    pub value: Option<String>,
    /// What to do.
    pub op: OpType,
}

impl Admin {
    /// All configs of the topics.
    pub async fn describe_topic_configs(
        &self,
        topics: &[Arc<str>],
    ) -> Result<PerItem<Arc<str>, Vec<ConfigEntry>>, Error> {
        let resources = topics.iter().cloned().map(ConfigResource::topic).collect();
        let described = self.describe_configs(resources).await?;
        Ok(described
            .into_iter()
            .map(|(resource, configs)| (resource.name, configs))
            .collect())
    }

    /// All configs of the resources.
    pub async fn describe_configs(
        &self,
        resources: Vec<ConfigResource>,
    ) -> Result<PerItem<ConfigResource, Vec<ConfigEntry>>, Error> {
        let mut described = PerItem::with_capacity(resources.len());
        for (node_id, chunk) in by_node(resources.into_iter().map(|resource| (resource, ())).collect()) {
            let attempt = |items: Vec<(ConfigResource, ())>| async move {
                let asked = |(resource, ()): &(ConfigResource, ())| {
                    DescribeConfigsResource::default()
                        .with_resource_type(resource.kind.code())
                        .with_resource_name(text(&resource.name))
                        .with_configuration_keys(None)
                };
                let request = DescribeConfigsRequest::default().with_resources(items.iter().map(asked).collect());
                let connection = self.connection_for(node_id).await?;
                let response = self.client.call_on(&connection, request).await?;
                Ok(response.results.iter().filter_map(read).collect())
            };
            described.extend(
                self.settle("describing configs", Asked::Anybody, chunk, attempt)
                    .await?,
            );
        }
        Ok(described)
    }

    /// Changes configs one by one, leaving the others as they are.
    pub async fn incremental_alter_configs(
        &self,
        changes: Vec<(ConfigResource, Vec<AlterConfigOp>)>,
        validate_only: bool,
    ) -> Result<PerItem<ConfigResource, ()>, Error> {
        let mut altered = PerItem::with_capacity(changes.len());
        for (node_id, chunk) in by_node(changes) {
            let attempt = |items: Vec<(ConfigResource, Vec<AlterConfigOp>)>| async move {
                let request = IncrementalAlterConfigsRequest::default()
                    .with_resources(items.iter().map(change).collect())
                    .with_validate_only(validate_only);
                let connection = match node_id {
                    Some(_) => self.connection_for(node_id).await?,
                    None => self.client.controller_connection().await?,
                };
                let response = self.client.call_on(&connection, request).await?;
                let read = response.responses.iter().filter_map(|result| {
                    let kind = ConfigResourceType::of(result.resource_type)?;
                    let resource = ConfigResource {
                        kind,
                        name: result.resource_name.as_str().into(),
                    };
                    let what = || format!("altering configs of {resource}");
                    let outcome = outcome(result.error_code, result.error_message.as_ref(), what, ());
                    Some((resource, outcome))
                });
                Ok(read.collect())
            };
            altered.extend(
                self.settle("altering configs", Asked::Controller, chunk, attempt)
                    .await?,
            );
        }
        Ok(altered)
    }

    async fn connection_for(&self, node_id: Option<i32>) -> Result<Connection, Error> {
        match node_id {
            Some(node_id) => self.client.connection(node_id, Role::General).await,
            None => self.client.any_connection().await,
        }
    }
}

type Chunk<I> = (Option<i32>, Vec<(ConfigResource, I)>);

/// Requests to make: a broker's own configs by that broker, everything else by anybody.
fn by_node<I>(items: Vec<(ConfigResource, I)>) -> Vec<Chunk<I>> {
    let mut chunks: Vec<Chunk<I>> = Vec::new();
    for item in items {
        let node_id = item.0.node_id();
        let room = |chunk: &&mut Chunk<I>| chunk.0 == node_id && chunk.1.len() < RESOURCES_PER_REQUEST;
        match chunks.iter_mut().find(room) {
            Some(chunk) => chunk.1.push(item),
            None => chunks.push((node_id, vec![item])),
        }
    }
    chunks
}

fn read(result: &DescribeConfigsResult) -> Option<(ConfigResource, Result<Vec<ConfigEntry>, Error>)> {
    let kind = ConfigResourceType::of(result.resource_type)?;
    let resource = ConfigResource {
        kind,
        name: result.resource_name.as_str().into(),
    };
    let what = || format!("describing configs of {resource}");
    let entries = result.configs.iter().map(read_entry).collect();
    let outcome = outcome(result.error_code, result.error_message.as_ref(), what, entries);
    Some((resource, outcome))
}

fn read_entry(config: &DescribeConfigsResourceResult) -> ConfigEntry {
    ConfigEntry {
        name: config.name.to_string(),
        value: config.value.as_ref().map(ToString::to_string),
        source: ConfigSource::of(config.config_source),
        is_sensitive: config.is_sensitive,
        is_read_only: config.read_only,
    }
}

fn change((resource, ops): &(ConfigResource, Vec<AlterConfigOp>)) -> AlterConfigsResource {
    let config = |op: &AlterConfigOp| {
        let code = match op.op {
            OpType::Set => 0,
            OpType::Delete => 1,
            OpType::Append => 2,
            OpType::Subtract => 3,
        };
        AlterableConfig::default()
            .with_name(text(&op.name))
            .with_config_operation(code)
            .with_value(op.value.as_deref().map(text))
    };
    AlterConfigsResource::default()
        .with_resource_type(resource.kind.code())
        .with_resource_name(text(&resource.name))
        .with_configs(ops.iter().map(config).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_brokers_configs_are_asked_of_that_broker_and_topics_in_chunks() {
        let mut items: Vec<_> = (0..1200)
            .map(|n| (ConfigResource::topic(format!("t{n}")), ()))
            .collect();
        items.push((ConfigResource::broker(7), ()));
        let sizes: Vec<_> = by_node(items)
            .iter()
            .map(|(node, chunk)| (*node, chunk.len()))
            .collect();
        assert_eq!(sizes, [(None, 500), (None, 500), (None, 200), (Some(7), 1)]);
    }
}
