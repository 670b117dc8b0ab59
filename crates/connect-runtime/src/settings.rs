//! What the herder takes from the configuration of its worker.

use std::{path::PathBuf, time::Duration};

use config_def::{ConfigErrors, Props, Values, with_prefix_stripped};
use connect_group::{ConnectProtocol, GroupConfig};

use crate::{
    config,
    herder::RestartRules,
    session::SessionSettings,
    storage::{InternalTopic, TopicKind},
    worker::ConnectorTaskId,
};

/// What the herder takes from the worker's configuration; the clients read the rest themselves.
#[derive(Clone, Debug)]
pub struct WorkerSettings {
    /// `offset.flush.interval.ms`.
    pub offset_flush_interval: Duration,
    /// `offset.flush.timeout.ms`.
    pub offset_flush_timeout: Duration,
    /// `task.shutdown.graceful.timeout.ms`, for all tasks together.
    pub task_shutdown_graceful_timeout: Duration,
    /// `topic.tracking.enable`.
    pub topic_tracking: bool,
    /// `topic.creation.enable`.
    pub topic_creation: bool,
    /// `topic.tracking.allow.reset`.
    pub topic_tracking_reset: bool,
    /// Whether what has failed is started again by itself.
    pub restarts: RestartRules,
    /// Where it keeps what it has to remember.
    pub storage: Storage,
    /// `exactly.once.source.support`; a standalone worker has none.
    pub exactly_once: ExactlyOnceSupport,
    /// Its group; a standalone worker has none. The REST URL is filled in by whoever knows it.
    pub group: Option<GroupSettings>,
    /// All of it, variables resolved: the base of every client.
    pub props: Props,
}

/// `exactly.once.source.support`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExactlyOnceSupport {
    /// Source tasks write at least once.
    #[default]
    Disabled,
    /// So they do, but the leader writes in transactions, as it has to before any task writes exactly once.
    Preparing,
    /// Source tasks write exactly once.
    Enabled,
}

impl ExactlyOnceSupport {
    fn parse(text: &str) -> Self {
        match text.trim().to_ascii_lowercase().as_str() {
            "enabled" => Self::Enabled,
            "preparing" => Self::Preparing,
            _ => Self::Disabled,
        }
    }
}

/// Where a worker keeps configurations, statuses and source offsets.
#[derive(Clone, Debug)]
pub enum Storage {
    /// In topics that the group shares.
    Topics {
        /// `config.storage.*`.
        configs: InternalTopic,
        /// `offset.storage.*`.
        offsets: InternalTopic,
        /// `status.storage.*`.
        statuses: InternalTopic,
    },
    /// A standalone worker's memory, and for offsets the file `offset.storage.file.filename`.
    Local {
        /// That file.
        offsets: PathBuf,
    },
}

/// What a worker of a group has to know.
#[derive(Clone, Debug)]
pub struct GroupSettings {
    /// The group protocol.
    pub config: GroupConfig,
    /// Signatures of requests between workers.
    pub sessions: SessionSettings,
}

impl GroupSettings {
    fn new(values: &Values) -> Self {
        let protocol = values.string("connect.protocol").parse();
        let config = GroupConfig {
            protocol: protocol.unwrap_or(ConnectProtocol::Sessioned),
            session_timeout: values.millis("session.timeout.ms"),
            rebalance_timeout: values.millis("rebalance.timeout.ms"),
            heartbeat_interval: values.millis("heartbeat.interval.ms"),
            scheduled_rebalance_max_delay: values.millis("scheduled.rebalance.max.delay.ms"),
            worker_sync_timeout: values.millis("worker.sync.timeout.ms"),
            worker_unsync_backoff: values.millis("worker.unsync.backoff.ms"),
            ..GroupConfig::new(values.string("group.id"), "")
        };
        let sessions = SessionSettings {
            key_ttl: values.millis("inter.worker.key.ttl.ms"),
            key_algorithm: values.string("inter.worker.key.generation.algorithm").to_owned(),
            key_bits: values.opt_int("inter.worker.key.size"),
            signature_algorithm: values.string("inter.worker.signature.algorithm").to_owned(),
            verification_algorithms: values.list("inter.worker.verification.algorithms").to_vec(),
        };
        Self { config, sessions }
    }
}

impl WorkerSettings {
    /// Reads a distributed worker's properties; every problem at once.
    pub fn parse(props: &Props) -> Result<Self, ConfigErrors> {
        config::validate(props)?;
        let values = config::CONFIG_DEF.parse(props)?;
        let partitions = |kind: TopicKind| values.int(&format!("{}partitions", kind.prefix()));
        let storage = Storage::Topics {
            configs: internal_topic(TopicKind::Config, 1, &values, props),
            offsets: internal_topic(TopicKind::Offset, partitions(TopicKind::Offset), &values, props),
            statuses: internal_topic(TopicKind::Status, partitions(TopicKind::Status), &values, props),
        };
        let group = Some(GroupSettings::new(&values));
        Ok(Self {
            group,
            exactly_once: ExactlyOnceSupport::parse(values.string("exactly.once.source.support")),
            ..Self::new(&values, storage, props)?
        })
    }

    /// Under which the leader writes to the config topic.
    pub(crate) fn leader_transactional_id(&self) -> String {
        format!("connect-cluster-{}", self.group_id())
    }

    /// Under which a task writes.
    pub(crate) fn task_transactional_id(&self, id: &ConnectorTaskId) -> String {
        format!("{}-{id}", self.group_id())
    }

    fn group_id(&self) -> &str {
        self.props.get("group.id").map_or("", |id| id.trim())
    }

    /// Reads a standalone worker's properties; every problem at once.
    pub fn parse_standalone(props: &Props) -> Result<Self, ConfigErrors> {
        let values = config::STANDALONE_CONFIG_DEF.parse(props)?;
        let storage = Storage::Local {
            offsets: values.string("offset.storage.file.filename").into(),
        };
        Self::new(&values, storage, props)
    }

    fn new(values: &Values, storage: Storage, props: &Props) -> Result<Self, ConfigErrors> {
        Ok(Self {
            offset_flush_interval: values.millis("offset.flush.interval.ms"),
            offset_flush_timeout: values.millis("offset.flush.timeout.ms"),
            task_shutdown_graceful_timeout: values.millis("task.shutdown.graceful.timeout.ms"),
            topic_tracking: values.boolean("topic.tracking.enable"),
            topic_creation: values.boolean("topic.creation.enable"),
            topic_tracking_reset: values.boolean("topic.tracking.allow.reset"),
            restarts: RestartRules::parse(props)?,
            storage,
            exactly_once: ExactlyOnceSupport::Disabled,
            group: None,
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

    fn topics(settings: &WorkerSettings) -> [&InternalTopic; 3] {
        match &settings.storage {
            Storage::Topics {
                configs,
                offsets,
                statuses,
            } => [configs, offsets, statuses],
            Storage::Local { .. } => panic!("a distributed worker has topics"),
        }
    }

    #[test]
    fn defaults_are_kafkas() {
        let settings = WorkerSettings::parse(&props(&[])).unwrap();
        assert_eq!(settings.offset_flush_interval, Duration::from_secs(60));
        assert_eq!(settings.offset_flush_timeout, Duration::from_secs(5));
        assert_eq!(settings.task_shutdown_graceful_timeout, Duration::from_secs(5));
        let shapes = topics(&settings).map(|topic| (topic.partitions, topic.replication_factor, topic.configs.len()));
        assert_eq!(shapes, [(1, 3, 0), (25, 3, 0), (5, 3, 0)]);
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
        let [configs, offsets, _] = topics(&settings);
        assert_eq!(configs.partitions, 1);
        assert_eq!((offsets.partitions, offsets.replication_factor), (-1, 1));
        assert_eq!(
            offsets.configs,
            [("segment.bytes".to_owned(), "1000".to_owned())].into()
        );
    }

    #[test]
    fn a_standalone_worker_has_a_file() {
        let mut props = props(&[("offset.storage.file.filename", "/var/lib/connect.offsets")]);
        let settings = WorkerSettings::parse_standalone(&props).unwrap();
        assert!(matches!(settings.storage, Storage::Local { offsets } if offsets.ends_with("connect.offsets")));
        props.remove("offset.storage.file.filename");
        let errors = WorkerSettings::parse_standalone(&props).unwrap_err().0;
        assert_eq!(errors[0].name, "offset.storage.file.filename");
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
