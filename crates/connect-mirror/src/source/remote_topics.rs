//! Makes the topics of the target what those of the source are: existence, partitions, settings, ACLs.
//!
//! Every item has its own result: one topic that cannot be read or made does not stand in the way of the others.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{
        Arc, Mutex, PoisonError,
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
    acl_sync::{TopicAcl, could_be_copied, remote_acl, remote_prefixed_acl},
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
    /// Remote topic, name and value of settings that the target does not take.
    refused_settings: Mutex<HashSet<(Arc<str>, String, Option<String>)>>,
}

/// Topic settings by name.
type Settings = BTreeMap<String, String>;

type Outcomes<T> = Vec<(T, Result<(), ConnectError>)>;

impl RemoteTopics {
    pub(crate) fn new(config: Arc<MirrorSourceConfig>, source: Client, target: Client) -> Self {
        let (source, target) = (Admin::new(source), Admin::new(target));
        Self {
            config,
            source,
            target,
            acls_are_known_to_be_off: AtomicBool::new(false),
            refused_settings: Mutex::default(),
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
                    let request = self.new_topic(topic, configs.into_iter().collect());
                    requests.push(request.clone());
                    asked.push((topic, request));
                }
                Err(error) => outcomes.push((topic.clone(), Err(cannot_create(topic, error)))),
            }
        }
        let mut created = self.target.create_topics(requests).await?;
        let mut refused = Settings::new();
        for (topic, request) in asked {
            let result = match created.remove(&topic.remote) {
                Some(Err(error)) if error.code() == Some(ErrorCode::INVALID_CONFIG) => {
                    self.create_with_what_is_taken(topic, request.configs, &mut refused, error)
                        .await
                }
                Some(Err(error)) => Err(error),
                Some(Ok(_)) | None => Ok(()),
            };
            let result = match result {
                // Somebody was faster.
                Err(error) if error.code() == Some(ErrorCode::TOPIC_ALREADY_EXISTS) => Ok(()),
                result => result.map_err(|error| self.not_created(topic, error)),
            };
            outcomes.push((topic.clone(), result));
        }
        Ok(outcomes)
    }

    fn new_topic(&self, topic: &MissingTopic, configs: Settings) -> NewTopic {
        NewTopic::new(topic.remote.clone(), topic.partitions, self.config.replication_factor).with_configs(configs)
    }

    /// The target refused the settings of `topic` with `error`: finds those that it does not take, one by one, and
    /// creates the topic without them. `refused`: what was found before.
    async fn create_with_what_is_taken(
        &self,
        topic: &MissingTopic,
        mut settings: Settings,
        refused: &mut Settings,
        error: kafka_client::Error,
    ) -> Result<(), kafka_client::Error> {
        let mut left_out = Settings::new();
        for (name, value) in settings.clone() {
            let is_refused = refused.get(&name) == Some(&value) || {
                let alone = self.new_topic(topic, Settings::from([(name.clone(), value.clone())]));
                let tried = self.target.create_or_validate_topics(vec![alone], true).await?;
                match tried.into_values().next() {
                    Some(Err(error)) if error.code() == Some(ErrorCode::INVALID_CONFIG) => true,
                    Some(Err(error)) => return Err(error),
                    Some(Ok(_)) | None => false,
                }
            };
            if is_refused {
                settings.remove(&name);
                refused.insert(name.clone(), value.clone());
                left_out.insert(name, value);
            }
        }
        if left_out.is_empty() {
            return Err(error);
        }
        let created = self.target.create_topics(vec![self.new_topic(topic, settings)]).await?;
        created.into_values().next().unwrap_or(Err(error))?;
        let left_out: Vec<String> = left_out.iter().map(|(name, value)| format!("{name}={value}")).collect();
        tracing::warn!(
            topic = %topic.topic, remote = %topic.remote, left_out = left_out.join(", "),
            "remote topic is created without settings that the target does not take; \
             config.properties.exclude would keep them out from the start"
        );
        Ok(())
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
                    let mut ops = differing(ops, &current);
                    ops.retain(|op| self.is_taken(&remote, op, &current));
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

    /// Whether the target may take a change of `remote`: it knows the setting, and has not refused the value before.
    /// Says once which it does not.
    fn is_taken(&self, remote: &Arc<str>, op: &AlterConfigOp, current: &[ConfigEntry]) -> bool {
        if current.iter().any(|entry| entry.name == op.name) {
            let refused = self.refused_settings.lock().unwrap_or_else(PoisonError::into_inner);
            return !refused.contains(&(remote.clone(), op.name.clone(), op.value.clone()));
        }
        self.refuse(remote, op);
        false
    }

    fn refuse(&self, remote: &Arc<str>, op: &AlterConfigOp) {
        let mut refused = self.refused_settings.lock().unwrap_or_else(PoisonError::into_inner);
        if refused.insert((remote.clone(), op.name.clone(), op.value.clone())) {
            tracing::warn!(
                %remote, setting = in_words(std::slice::from_ref(op)),
                "the target does not take a topic setting of the source: it is left out; \
                 config.properties.exclude would keep it out from the start"
            );
        }
    }

    /// The target refused `ops` together: sends those that it takes alone.
    async fn alter_one_by_one(
        &self,
        remote: &ConfigResource,
        ops: Vec<AlterConfigOp>,
    ) -> Result<(), kafka_client::Error> {
        for op in ops {
            let told = in_words(std::slice::from_ref(&op));
            let altered = self
                .target
                .incremental_alter_configs(vec![(remote.clone(), vec![op.clone()])], false);
            match altered.await?.into_values().next() {
                Some(Err(error)) if error.code() == Some(ErrorCode::INVALID_CONFIG) => self.refuse(&remote.name, &op),
                Some(Err(error)) => return Err(error),
                Some(Ok(())) | None => tracing::info!(remote = %remote.name, changes = told, "synced topic settings"),
            }
        }
        Ok(())
    }

    async fn alter(
        &self,
        changes: Vec<(ConfigResource, Vec<AlterConfigOp>)>,
    ) -> Result<Vec<ConnectError>, ConnectError> {
        if changes.is_empty() {
            return Ok(Vec::new());
        }
        let mut sent: HashMap<_, _> = changes.iter().cloned().collect();
        let altered = self.target.incremental_alter_configs(changes, false).await;
        let altered =
            altered.map_err(|error| ConnectError::caused_by("cannot change topic settings of the target", error))?;
        let mut failures = Vec::new();
        for (remote, result) in altered {
            let ops = sent.remove(&remote).unwrap_or_default();
            let result = match result {
                Err(error) if error.code() == Some(ErrorCode::INVALID_CONFIG) => {
                    self.alter_one_by_one(&remote, ops).await
                }
                Ok(()) => {
                    tracing::info!(remote = %remote.name, changes = in_words(&ops), "synced topic settings");
                    Ok(())
                }
                Err(error) => Err(error),
            };
            if let Err(error) = result {
                let what = format!("cannot change the settings of remote topic {}", remote.name);
                failures.push(ConnectError::caused_by(what, error));
            }
        }
        Ok(failures)
    }

    /// Gives remote topics the ACLs of their sources. Takes away what the sources do not have only if asked to.
    pub(crate) async fn sync_acls(&self, source_topics: &PartitionCounts) -> Result<(), ConnectError> {
        let bindings = match self.source.describe_acls(&of_topics()).await {
            Ok(bindings) => bindings,
            Err(error) if error.code() == Some(ErrorCode::SECURITY_DISABLED) => {
                if !self.acls_are_known_to_be_off.swap(true, Ordering::Relaxed) {
                    tracing::info!("the source has no authorizer: no ACLs to sync");
                }
                return Ok(());
            }
            Err(error) => return Err(ConnectError::caused_by("cannot read the ACLs of the source", error)),
        };
        let remote = bindings
            .into_iter()
            .filter_map(|binding| self.remote_binding(binding, source_topics));
        let remote: Vec<AclBinding> = remote.collect();
        let mut failures = Vec::new();
        if !remote.is_empty() {
            let created = self.target.create_acls(&remote).await;
            let created =
                created.map_err(|error| ConnectError::caused_by("cannot create ACLs on the target", error))?;
            failures.extend(each_failed("create", &remote, created));
        }
        if self.config.own.deletes_acls {
            failures.extend(self.delete_acls_except(&remote).await?);
        }
        first_of(failures)
    }

    /// Deletes the ACLs that this flow could have made and that are not among `wanted`.
    async fn delete_acls_except(&self, wanted: &[AclBinding]) -> Result<Vec<ConnectError>, ConnectError> {
        let present = self.target.describe_acls(&of_topics()).await;
        let mut gone = present.map_err(|error| ConnectError::caused_by("cannot read the ACLs of the target", error))?;
        gone.retain(|binding| {
            let acl = topic_acl(binding.clone());
            let accepts = |topic: &str| self.config.topic_filter.accepts(topic);
            let with_prefixed = self.config.own.syncs_prefixed_acls;
            !wanted.contains(binding) && could_be_copied(&acl, &self.config.rules, with_prefixed, accepts)
        });
        if gone.is_empty() {
            return Ok(Vec::new());
        }
        let deleted = self.target.delete_acls(&gone).await;
        let deleted = deleted.map_err(|error| ConnectError::caused_by("cannot delete ACLs on the target", error))?;
        for (binding, _) in gone.iter().zip(&deleted).filter(|(_, result)| result.is_ok()) {
            tracing::info!(
                topic = binding.resource_name,
                principal = binding.principal,
                host = binding.host,
                operation = binding.operation,
                permission = binding.permission_type,
                "deleted an ACL that the source does not have"
            );
        }
        Ok(each_failed("delete", &gone, deleted))
    }

    fn remote_binding(&self, binding: AclBinding, source_topics: &PartitionCounts) -> Option<AclBinding> {
        let acl = topic_acl(binding);
        let rules = &self.config.rules;
        let is_wanted = |topic: &str| self.config.topic_filter.accepts(topic);
        let remote = match acl.pattern {
            AclBinding::PREFIXED if self.config.own.syncs_prefixed_acls => {
                let is_prefix_of_copied = source_topics.keys().any(|topic| topic.starts_with(&acl.topic));
                remote_prefixed_acl(&acl, rules, is_prefix_of_copied)?
            }
            _ => remote_acl(&acl, rules, is_wanted)?,
        };
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

/// The ACLs of all topics.
fn of_topics() -> AclFilter {
    AclFilter {
        resource_type: AclBinding::TOPIC,
        ..AclFilter::default()
    }
}

fn topic_acl(binding: AclBinding) -> TopicAcl {
    TopicAcl {
        topic: binding.resource_name,
        pattern: binding.pattern_type,
        principal: binding.principal,
        host: binding.host,
        operation: binding.operation,
        permission: binding.permission_type,
    }
}

fn each_failed(
    what: &str,
    bindings: &[AclBinding],
    results: Vec<Result<(), kafka_client::Error>>,
) -> Vec<ConnectError> {
    let failed = |(binding, result): (&AclBinding, Result<(), kafka_client::Error>)| {
        let what = format!("cannot {what} an ACL for topic {} on the target", binding.resource_name);
        result.err().map(|error| ConnectError::caused_by(what, error))
    };
    bindings.iter().zip(results).filter_map(failed).collect()
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
