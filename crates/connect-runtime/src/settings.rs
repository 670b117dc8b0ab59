use std::time::Duration;

use config_def::{ConfigErrors, Props, Values, with_prefix_stripped};

use crate::{
    config,
    storage::{InternalTopic, TopicKind},
};

/// What the herder takes from the worker's configuration; the clients read the rest themselves.
#[derive(Clone, Debug)]
pub struct WorkerSettings {
    /// `group.id`.
    pub group_id: String,
    /// `offset.flush.interval.ms`.
    pub offset_flush_interval: Duration,
    /// `offset.flush.timeout.ms`.
    pub offset_flush_timeout: Duration,
    /// `task.shutdown.graceful.timeout.ms`, for all tasks together.
    pub task_shutdown_graceful_timeout: Duration,
    /// `topic.tracking.enable`.
    pub topic_tracking: bool,
    /// `topic.tracking.allow.reset`.
    pub topic_tracking_reset: bool,
    /// `config.storage.*`.
    pub config_topic: InternalTopic,
    /// `offset.storage.*`.
    pub offset_topic: InternalTopic,
    /// `status.storage.*`.
    pub status_topic: InternalTopic,
    /// All of it, variables resolved: the base of every client.
    pub props: Props,
}

impl WorkerSettings {
    /// Reads the worker's properties; every problem at once.
    pub fn parse(props: &Props) -> Result<Self, ConfigErrors> {
        config::validate(props)?;
        let values = config::CONFIG_DEF.parse(props)?;
        Ok(Self {
            group_id: values.string("group.id").to_owned(),
            offset_flush_interval: values.millis("offset.flush.interval.ms"),
            offset_flush_timeout: values.millis("offset.flush.timeout.ms"),
            task_shutdown_graceful_timeout: values.millis("task.shutdown.graceful.timeout.ms"),
            topic_tracking: values.boolean("topic.tracking.enable"),
            topic_tracking_reset: values.boolean("topic.tracking.allow.reset"),
            config_topic: internal_topic(TopicKind::Config, 1, &values, props),
            offset_topic: internal_topic(
                TopicKind::Offset,
                values.int("offset.storage.partitions"),
                &values,
                props,
            ),
            status_topic: internal_topic(
                TopicKind::Status,
                values.int("status.storage.partitions"),
                &values,
                props,
            ),
            props: props.clone(),
        })
    }
}

fn internal_topic(kind: TopicKind, partitions: i32, values: &Values, props: &Props) -> InternalTopic {
    let mut configs = with_prefix_stripped(props, kind.prefix());
    for ours in ["topic", "partitions", "replication.factor"] {
        configs.remove(ours);
    }
    if let Some(policy) = configs.remove("cleanup.policy") {
        tracing::warn!(
            policy,
            "{}cleanup.policy is ignored: the topic is always compacted",
            kind.prefix()
        );
    }
    InternalTopic {
        name: values.string(kind.property()).to_owned(),
        kind,
        partitions,
        replication_factor: values.short(&format!("{}replication.factor", kind.prefix())),
        configs,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn props(more: &[(&str, &str)]) -> Props {
        let fixed = [
            ("bootstrap.servers", "b:9092"),
            (
                "key.converter",
                "org.apache.kafka.connect.converters.ByteArrayConverter",
            ),
            (
                "value.converter",
                "org.apache.kafka.connect.converters.ByteArrayConverter",
            ),
            ("group.id", "A-mm2"),
            ("config.storage.topic", "mm2-configs.A.internal"),
            ("offset.storage.topic", "mm2-offsets.A.internal"),
            ("status.storage.topic", "mm2-status.A.internal"),
        ];
        fixed
            .iter()
            .chain(more)
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn defaults_are_kafkas() {
        let settings = WorkerSettings::parse(&props(&[])).unwrap();
        assert_eq!(settings.offset_flush_interval, Duration::from_secs(60));
        assert_eq!(settings.offset_flush_timeout, Duration::from_secs(5));
        assert_eq!(settings.task_shutdown_graceful_timeout, Duration::from_secs(5));
        let shape = |topic: &InternalTopic| (topic.partitions, topic.replication_factor, topic.configs.len());
        assert_eq!(shape(&settings.config_topic), (1, 3, 0));
        assert_eq!(shape(&settings.offset_topic), (25, 3, 0));
        assert_eq!(shape(&settings.status_topic), (5, 3, 0));
    }

    #[test]
    fn storage_keys_are_settings_of_new_topics() {
        let settings = WorkerSettings::parse(&props(&[
            ("config.storage.partitions", "7"),
            ("offset.storage.partitions", "-1"),
            ("offset.storage.replication.factor", "1"),
            ("offset.storage.segment.bytes", "1000"),
            ("offset.storage.cleanup.policy", "delete"),
        ]));
        let settings = settings.unwrap();
        assert_eq!(settings.config_topic.partitions, 1);
        assert_eq!(
            (
                settings.offset_topic.partitions,
                settings.offset_topic.replication_factor
            ),
            (-1, 1)
        );
        assert_eq!(
            settings.offset_topic.configs,
            [("segment.bytes".to_owned(), "1000".to_owned())].into()
        );
    }

    #[test]
    fn what_is_missing_is_named() {
        let errors = WorkerSettings::parse(&Props::new()).unwrap_err().0;
        assert!(
            errors.iter().any(|error| error.name == "config.storage.topic"),
            "{errors:?}"
        );
    }
}
