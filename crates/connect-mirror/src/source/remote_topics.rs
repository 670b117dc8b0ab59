//! Makes the topics of the target what those of the source are: existence, partitions, settings, ACLs.
//!
//! Every item has its own result: one topic that cannot be read or made does not stand in the way of the others.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use connect_api::ConnectError;
use kafka_client::{
    Admin, Client,
    admin::{
        AclBinding, AclFilter, AlterConfigOp, ConfigEntry, ConfigResource, ConfigSource, NewPartitions, NewTopic,
        OpType,
    },
};
use kafka_wire::ErrorCode;

use super::{
    acl_sync::{TopicAcl, remote_acl},
    config::MirrorSourceConfig,
    config_sync,
    flow::first_of,
    topics::{MissingPartitions, MissingTopic, PartitionCounts},
};

/// Topics in one request. Brokers and their policies limit how much one request may create.
const TOPICS_PER_REQUEST: usize = 50;

/// The two clusters of a flow, and what of one is wanted on the other.
pub(crate) struct RemoteTopics {
    config: Arc<MirrorSourceConfig>,
    source: Admin,
    target: Admin,
    acls_are_known_to_be_off: AtomicBool,
}

type Outcomes<T> = Vec<(T, Result<(), ConnectError>)>;

impl RemoteTopics {
    pub(crate) fn new(config: Arc<MirrorSourceConfig>, source: Client, target: Client) -> Self {
        let (source, target) = (Admin::new(source), Admin::new(target));
        Self {
            config,
            source,
            target,
            acls_are_known_to_be_off: AtomicBool::new(false),
        }
    }

    pub(crate) fn source(&self) -> &Client {
        self.source.client()
    }

    pub(crate) fn target(&self) -> &Client {
        self.target.client()
    }

    /// Creates remote topics with the settings of their sources.
    pub(crate) async fn create(&self, missing: Vec<MissingTopic>) -> Outcomes<MissingTopic> {
        let mut outcomes = Vec::new();
        for chunk in missing.chunks(TOPICS_PER_REQUEST) {
            match self.create_chunk(chunk).await {
                Ok(created) => outcomes.extend(created),
                Err(error) => {
                    let failed = |topic: &MissingTopic| (topic.clone(), Err(cannot_create(topic, error.clone())));
                    outcomes.extend(chunk.iter().map(failed));
                }
            }
        }
        outcomes
    }

    async fn create_chunk(&self, missing: &[MissingTopic]) -> Result<Outcomes<MissingTopic>, kafka_client::Error> {
        let names: Vec<_> = missing.iter().map(|topic| topic.topic.clone()).collect();
        let mut described = self.source.describe_topic_configs(&names).await?;
        let (mut outcomes, mut requests, mut asked) = (Vec::new(), Vec::new(), Vec::new());
        for topic in missing {
            match described.remove(&topic.topic).unwrap_or(Ok(Vec::new())) {
                Ok(entries) => {
                    let configs = config_sync::for_creation(&entries, &self.config.config_property_filter);
                    let request = NewTopic::new(topic.remote.clone(), topic.partitions, self.config.replication_factor);
                    requests.push(request.with_configs(configs.into_iter().collect()));
                    asked.push(topic);
                }
                Err(error) => outcomes.push((topic.clone(), Err(cannot_create(topic, error)))),
            }
        }
        let mut created = self.target.create_topics(requests).await?;
        for topic in asked {
            let result = match created.remove(&topic.remote) {
                // Somebody was faster.
                Some(Err(error)) if error.code() == Some(ErrorCode::TOPIC_ALREADY_EXISTS) => Ok(()),
                Some(Err(error)) => Err(self.not_created(topic, error)),
                Some(Ok(_)) | None => Ok(()),
            };
            outcomes.push((topic.clone(), result));
        }
        Ok(outcomes)
    }

    fn not_created(&self, topic: &MissingTopic, error: kafka_client::Error) -> ConnectError {
        if error.code() == Some(ErrorCode::INVALID_REPLICATION_FACTOR) {
            let factor = self.config.replication_factor;
            let advice = format!(
                "remote topic {} cannot be created with replication factor {factor}: \
                 set replication.factor to at most the number of brokers of the target",
                topic.remote
            );
            return ConnectError::caused_by(advice, error);
        }
        if error.code() == Some(ErrorCode::INVALID_CONFIG) {
            let advice = format!(
                "remote topic {} cannot be created with the settings of topic {}: \
                 add the one that the target does not take to config.properties.exclude",
                topic.remote, topic.topic
            );
            return ConnectError::caused_by(advice, error);
        }
        cannot_create(topic, error)
    }

    /// Adds partitions to remote topics.
    pub(crate) async fn grow(&self, missing: Vec<MissingPartitions>) -> Outcomes<MissingPartitions> {
        let mut outcomes = Vec::new();
        for chunk in missing.chunks(TOPICS_PER_REQUEST) {
            let request = |growth: &MissingPartitions| (growth.remote.clone(), NewPartitions::increase_to(growth.to));
            let results = self.target.create_partitions(chunk.iter().map(request).collect()).await;
            for growth in chunk {
                let result = match &results {
                    Ok(results) => results.get(&growth.remote).cloned().unwrap_or(Ok(())),
                    Err(error) => Err(error.clone()),
                };
                let result = result.map_err(|error| {
                    let what = format!("remote topic {} cannot get {} partitions", growth.remote, growth.to);
                    ConnectError::caused_by(what, error)
                });
                outcomes.push((growth.clone(), result));
            }
        }
        outcomes
    }

    /// Brings the settings of existing remote topics in step with their sources. Sends only what differs.
    pub(crate) async fn sync_configs(
        &self,
        source_topics: &PartitionCounts,
        target_topics: &PartitionCounts,
    ) -> Result<(), ConnectError> {
        let pairs: Vec<(Arc<str>, Arc<str>)> = source_topics
            .keys()
            .map(|topic| (topic.clone(), Arc::from(self.config.rules.remote_topic(topic))))
            .filter(|(_, remote)| target_topics.contains_key(remote))
            .collect();
        let sources: Vec<_> = pairs.iter().map(|(topic, _)| topic.clone()).collect();
        let remotes: Vec<_> = pairs.iter().map(|(_, remote)| remote.clone()).collect();
        let wanted = self.source.describe_topic_configs(&sources).await;
        let mut wanted =
            wanted.map_err(|error| ConnectError::caused_by("cannot read topic settings of the source", error))?;
        let current = self.target.describe_topic_configs(&remotes).await;
        let mut current =
            current.map_err(|error| ConnectError::caused_by("cannot read topic settings of the target", error))?;

        let (mut changes, mut failures) = (Vec::new(), Vec::new());
        for (topic, remote) in pairs {
            let (Some(wanted), Some(current)) = (wanted.remove(&topic), current.remove(&remote)) else {
                continue;
            };
            match (wanted, current) {
                (Ok(wanted), Ok(current)) => {
                    let ops = config_sync::changes(&wanted, &self.config.config_property_filter);
                    let ops = differing(ops, &current);
                    if !ops.is_empty() {
                        changes.push((ConfigResource::topic(remote), ops));
                    }
                }
                // Deleted since the last refresh, which the next one will see.
                (Err(error), _) | (_, Err(error)) if error.code() == Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION) => {}
                (Err(error), _) | (_, Err(error)) => {
                    failures.push(ConnectError::caused_by(
                        format!("cannot read the settings of topic {topic}"),
                        error,
                    ));
                }
            }
        }
        failures.extend(self.alter(changes).await?);
        first_of(failures)
    }

    async fn alter(
        &self,
        changes: Vec<(ConfigResource, Vec<AlterConfigOp>)>,
    ) -> Result<Vec<ConnectError>, ConnectError> {
        if changes.is_empty() {
            return Ok(Vec::new());
        }
        let told: HashMap<_, _> = changes
            .iter()
            .map(|(remote, ops)| (remote.clone(), in_words(ops)))
            .collect();
        let altered = self.target.incremental_alter_configs(changes, false).await;
        let altered =
            altered.map_err(|error| ConnectError::caused_by("cannot change topic settings of the target", error))?;
        let mut failures = Vec::new();
        for (remote, result) in altered {
            match result {
                Ok(()) => tracing::info!(remote = %remote.name, changes = told[&remote], "synced topic settings"),
                Err(error) => {
                    let advice = match error.code() {
                        Some(ErrorCode::INVALID_CONFIG) => {
                            ": add the one that the target does not take to config.properties.exclude"
                        }
                        _ => "",
                    };
                    let what = format!("cannot change the settings of remote topic {}{advice}", remote.name);
                    failures.push(ConnectError::caused_by(what, error));
                }
            }
        }
        Ok(failures)
    }

    /// Gives remote topics the ACLs of their sources. Nothing is ever taken away.
    pub(crate) async fn sync_acls(&self) -> Result<(), ConnectError> {
        let filter = AclFilter {
            resource_type: AclBinding::TOPIC,
            ..AclFilter::default()
        };
        let bindings = match self.source.describe_acls(&filter).await {
            Ok(bindings) => bindings,
            Err(error) if error.code() == Some(ErrorCode::SECURITY_DISABLED) => {
                if !self.acls_are_known_to_be_off.swap(true, Ordering::Relaxed) {
                    tracing::info!("the source has no authorizer: no ACLs to sync");
                }
                return Ok(());
            }
            Err(error) => return Err(ConnectError::caused_by("cannot read the ACLs of the source", error)),
        };
        let remote: Vec<AclBinding> = bindings
            .into_iter()
            .filter_map(|binding| self.remote_binding(binding))
            .collect();
        if remote.is_empty() {
            return Ok(());
        }
        let created = self.target.create_acls(&remote).await;
        let created = created.map_err(|error| ConnectError::caused_by("cannot create ACLs on the target", error))?;
        let failed = |(binding, result): (&AclBinding, Result<(), kafka_client::Error>)| {
            let what = format!("cannot create an ACL for topic {} on the target", binding.resource_name);
            result.err().map(|error| ConnectError::caused_by(what, error))
        };
        first_of(remote.iter().zip(created).filter_map(failed).collect())
    }

    fn remote_binding(&self, binding: AclBinding) -> Option<AclBinding> {
        let acl = TopicAcl {
            topic: binding.resource_name,
            pattern: binding.pattern_type,
            principal: binding.principal,
            host: binding.host,
            operation: binding.operation,
            permission: binding.permission_type,
        };
        let remote = remote_acl(&acl, &self.config.rules, |topic| {
            self.config.topic_filter.accepts(topic)
        })?;
        Some(AclBinding {
            resource_type: AclBinding::TOPIC,
            resource_name: remote.topic,
            pattern_type: remote.pattern,
            principal: remote.principal,
            host: remote.host,
            operation: remote.operation,
            permission_type: remote.permission,
        })
    }
}

fn cannot_create(topic: &MissingTopic, error: kafka_client::Error) -> ConnectError {
    ConnectError::caused_by(format!("remote topic {} cannot be created", topic.remote), error)
}

/// The changes that would change something. Kafka sends all of them each time.
fn differing(ops: Vec<AlterConfigOp>, current: &[ConfigEntry]) -> Vec<AlterConfigOp> {
    let of_topic: HashMap<&str, Option<&str>> = current
        .iter()
        .filter(|entry| entry.source == ConfigSource::DynamicTopicConfig)
        .map(|entry| (entry.name.as_str(), entry.value.as_deref()))
        .collect();
    let differs = |op: &AlterConfigOp| match (op.op, of_topic.get(op.name.as_str())) {
        (OpType::Delete, set) => set.is_some(),
        (_, set) => set != Some(&op.value.as_deref()),
    };
    ops.into_iter().filter(differs).collect()
}

/// `retention.ms=1000, cleanup.policy to default`.
fn in_words(ops: &[AlterConfigOp]) -> String {
    let word = |op: &AlterConfigOp| match (op.op, &op.value) {
        (OpType::Delete, _) | (_, None) => format!("{} to default", op.name),
        (_, Some(value)) => format!("{}={value}", op.name),
    };
    ops.iter().map(word).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, value: &str, source: ConfigSource) -> ConfigEntry {
        let value = Some(value.to_owned());
        ConfigEntry {
            name: name.to_owned(),
            value,
            source,
            is_sensitive: false,
            is_read_only: false,
        }
    }

    fn op(name: &str, value: Option<&str>) -> AlterConfigOp {
        let op = if value.is_some() { OpType::Set } else { OpType::Delete };
        AlterConfigOp {
            name: name.to_owned(),
            value: value.map(str::to_owned),
            op,
        }
    }

    #[test]
    fn only_what_differs_is_sent() {
        let current = [
            entry("same", "1", ConfigSource::DynamicTopicConfig),
            entry("other", "1", ConfigSource::DynamicTopicConfig),
            entry("by-default", "1", ConfigSource::DefaultConfig),
            entry("to-drop", "1", ConfigSource::DynamicTopicConfig),
            entry("dropped", "1", ConfigSource::StaticBrokerConfig),
        ];
        let ops = vec![
            op("same", Some("1")),
            op("other", Some("2")),
            op("by-default", Some("1")),
            op("to-drop", None),
            op("dropped", None),
            op("unknown-here", None),
        ];
        let sent = differing(ops, &current);
        assert_eq!(in_words(&sent), "other=2, by-default=1, to-drop to default");
    }
}
