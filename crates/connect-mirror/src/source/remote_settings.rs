//! Brings the settings of remote topics in step with those of their sources.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError},
};

use connect_api::ConnectError;
use kafka_client::admin::{AlterConfigOp, ConfigEntry, ConfigResource, ConfigSource, OpType};
use kafka_wire::ErrorCode;

use super::{config_sync, flow::first_of, remote_topics::RemoteTopics, topics::PartitionCounts};

impl RemoteTopics {
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
