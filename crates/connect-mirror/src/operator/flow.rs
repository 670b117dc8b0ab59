use std::{future::Future, time::Duration};

use config_def::{ConfigErrors, ConfigTransformer, Props};
use kafka_client::{Admin, Client, ClientConfig, ConsumerConfig, Error, config::IsolationLevel};

use super::OperatorError;
use crate::{
    MirrorEnvironment,
    checkpoint::config::MirrorCheckpointTaskConfig,
    client_props::Side,
    group_filter::GroupFilter,
    mirror_maker_config::{MirrorConnector, MirrorMakerConfig, SourceAndTarget},
    source::config::MirrorSourceTaskConfig,
};

/// A flow of a file, with clients of both clusters. Making it asks nobody anything.
#[derive(Debug)]
pub struct Flow {
    pub(crate) pair: SourceAndTarget,
    pub(crate) config: MirrorCheckpointTaskConfig,
    pub(crate) copying: MirrorSourceTaskConfig,
    pub(crate) group_filter: GroupFilter,
    /// Where the worker stores how far it has come, and how it is.
    pub(crate) offsets_topic: String,
    pub(crate) status_topic: String,
    /// Where it keeps its connectors.
    pub(crate) config_topic: String,
    pub(crate) source: Admin,
    pub(crate) target: Admin,
    pub(crate) timeout: Duration,
    pub(crate) environment: MirrorEnvironment,
}

impl Flow {
    /// Takes from the file what the connectors of `pair` would be given. No question to a cluster takes longer than
    /// `timeout`.
    pub fn new(
        file: &MirrorMakerConfig,
        transformer: &ConfigTransformer,
        pair: SourceAndTarget,
        environment: MirrorEnvironment,
        timeout: Duration,
    ) -> Result<Self, ConfigErrors> {
        let mut props = transformer.transform(&file.connector_config(&pair, MirrorConnector::Checkpoint))?;
        // What only tasks have; none of it is looked at.
        props.insert("task.assigned.groups".to_owned(), "none".to_owned());
        props.insert("task.index".to_owned(), "0".to_owned());
        let group_filter = GroupFilter::parse(&props)?;
        let config = MirrorCheckpointTaskConfig::parse(&props)?;
        let mut props = transformer.transform(&file.connector_config(&pair, MirrorConnector::Source))?;
        props.insert("task.assigned.partitions".to_owned(), "none-0".to_owned());
        props.insert("task.index".to_owned(), "0".to_owned());
        let copying = MirrorSourceTaskConfig::parse(&props)?;
        let admin = |config: &ClientConfig| Admin::new(environment.client(&hurried(config, timeout)));
        let worker = file.worker_config(&pair);
        let topic = |key: &str| worker.get(key).cloned().unwrap_or_default();
        Ok(Self {
            offsets_topic: topic("offset.storage.topic"),
            status_topic: topic("status.storage.topic"),
            config_topic: topic("config.storage.topic"),
            source: admin(&config.source_admin),
            target: admin(&config.target_admin),
            pair,
            config,
            copying,
            group_filter,
            timeout,
            environment,
        })
    }

    /// The flow is run by a Connect worker with these properties, on the target, and not in dedicated mode.
    pub fn on_worker(mut self, worker: &Props) -> Self {
        let topic = |key: &str, unset: String| worker.get(key).cloned().unwrap_or(unset);
        self.offsets_topic = topic("offset.storage.topic", self.offsets_topic);
        self.status_topic = topic("status.storage.topic", self.status_topic);
        self.config_topic = topic("config.storage.topic", self.config_topic);
        self
    }

    /// The flow.
    pub fn pair(&self) -> &SourceAndTarget {
        &self.pair
    }

    pub(crate) fn alias(&self, side: Side) -> &str {
        match side {
            Side::Source => &self.pair.source,
            Side::Target => &self.pair.target,
        }
    }

    /// A consumer of one of the clusters, told to be quick about it.
    pub(crate) fn consumer(&self, config: &ConsumerConfig) -> (Client, ConsumerConfig) {
        let mut config = config.clone();
        config.client = hurried(&config.client, self.timeout);
        (self.environment.client(&config.client), config)
    }

    /// What the mirror reads of the source.
    pub(crate) fn source_isolation(&self) -> IsolationLevel {
        self.copying.consumer.isolation_level
    }

    /// The name on the source of a topic of the target, by which its offset syncs are known.
    pub(crate) fn source_topic<'a>(&self, remote: &'a str) -> Option<&'a str> {
        let policy = &self.config.connector.policy;
        let source = policy.topic_source(remote).filter(|alias| *alias == self.pair.source)?;
        debug_assert_eq!(source, self.pair.source);
        policy.upstream_topic(remote)
    }

    /// Waits for an answer of a cluster, and says whose it is when there is none.
    pub(crate) async fn ask<T>(
        &self,
        side: Side,
        what: &str,
        answer: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, OperatorError> {
        let (what, alias) = (what.to_owned(), self.alias(side).to_owned());
        match tokio::time::timeout(self.timeout, answer).await {
            Ok(answer) => answer.map_err(|source| OperatorError::Cluster { what, alias, source }),
            Err(_elapsed) => Err(OperatorError::TimedOut {
                what,
                alias,
                timeout: self.timeout,
            }),
        }
    }
}

/// A person waits.
fn hurried(config: &ClientConfig, timeout: Duration) -> ClientConfig {
    let mut config = config.clone();
    config.default_api_timeout = config.default_api_timeout.min(timeout);
    config
}
