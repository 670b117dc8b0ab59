//! `MirrorCheckpointConnector`: looks for the groups whose positions are translated, and deals them to tasks.

use std::{sync::Arc, time::Duration};

use connect_api::{BoxFuture, ConnectError, ConnectorContext, JsonMap, Props, SourceConnector, SourceTask};
use kafka_client::{Admin, config::ClientKind};
use tokio::sync::watch;

use super::{
    assignment::task_configs,
    config::MirrorCheckpointConfig,
    groups::{Groups, KnownGroups},
    task::MirrorCheckpointTask,
};
use crate::{
    alter_offsets::{self, OffsetsOf},
    background::Background,
    client_props::Side,
    environment::MirrorEnvironment,
    internal_topic::InternalTopic,
};

/// The Java class of the tasks.
pub const CHECKPOINT_TASK_CLASS: &str = "org.apache.kafka.connect.mirror.MirrorCheckpointTask";

/// The clients whose settings come from the connector's configuration.
const CLIENTS: [(Side, ClientKind); 3] = [
    (Side::Source, ClientKind::Admin),
    (Side::Target, ClientKind::Admin),
    (Side::Target, ClientKind::Consumer),
];

/// How long `start` waits for the first list of groups; see `MirrorSourceConnector`.
const FIRST_GROUPS_TIMEOUT: Duration = Duration::from_secs(5);

/// See the module.
#[derive(Debug)]
pub struct MirrorCheckpointConnector {
    environment: MirrorEnvironment,
    started: Option<Started>,
}

#[derive(Debug)]
enum Started {
    /// Switched off, as the flow or as checkpoints: no work and no tasks.
    Disabled,
    Running {
        props: Props,
        groups: watch::Receiver<KnownGroups>,
        background: Background,
    },
}

impl MirrorCheckpointConnector {
    /// A connector that has not been started.
    pub fn new(environment: MirrorEnvironment) -> Self {
        Self {
            environment,
            started: None,
        }
    }
}

impl SourceConnector for MirrorCheckpointConnector {
    fn start(&mut self, props: Props, context: Arc<dyn ConnectorContext>) -> BoxFuture<'_, Result<(), ConnectError>> {
        Box::pin(async move {
            let config = MirrorCheckpointConfig::parse(&props).map_err(|errors| {
                ConnectError::caused_by("configuration of the checkpoint connector is not valid", errors)
            })?;
            if !config.connector.enabled || config.emit_checkpoints_interval.is_none() {
                self.started = Some(Started::Disabled);
                return Ok(());
            }
            for (side, kind) in CLIENTS {
                for key in config.connector.settings_without_effect(side, kind) {
                    tracing::warn!(
                        connector = config.connector.connector_name,
                        key,
                        "a setting of a client has no effect here"
                    );
                }
            }
            let timeout = FIRST_GROUPS_TIMEOUT.min(config.connector.admin_timeout);
            let topic = InternalTopic {
                admin: Admin::new(self.environment.client(&config.target_admin)),
                name: config.checkpoints_topic.clone(),
                replication_factor: config.checkpoints_topic_replication_factor,
                replication_factor_key: "checkpoints.topic.replication.factor",
                presence: Default::default(),
            };
            let source = Admin::new(self.environment.client(&config.source_admin));
            let (publish, groups) = watch::channel(None);
            let job = Groups::new(config, topic, source, context.clone(), publish);
            let background = Background::start(context, |cancel| job.run(cancel));
            let mut first = groups.clone();
            self.started = Some(Started::Running {
                props,
                groups,
                background,
            });
            // Late or gone, the background work goes on and asks for tasks when it knows of groups.
            let _known = tokio::time::timeout(timeout, first.wait_for(Option::is_some)).await;
            Ok(())
        })
    }

    fn task_configs(&mut self, max_tasks: usize) -> Result<Vec<Props>, ConnectError> {
        match &self.started {
            None => Err(ConnectError::new("the connector was not started")),
            Some(Started::Disabled) => Ok(Vec::new()),
            Some(Started::Running { props, groups, .. }) => match &*groups.borrow() {
                Some(groups) => Ok(task_configs(props, groups, max_tasks)),
                // No tasks now would stop the tasks that a former start has left running (KAFKA-17232).
                None => Err(ConnectError::new("Timeout while loading consumer groups.").retriable()),
            },
        }
    }

    fn new_task(&self) -> Box<dyn SourceTask> {
        Box::new(MirrorCheckpointTask::new(self.environment.clone()))
    }

    fn task_class(&self) -> &'static str {
        CHECKPOINT_TASK_CLASS
    }

    fn alter_offsets(&self, _config: &Props, offsets: &[(JsonMap, Option<JsonMap>)]) -> Result<bool, ConnectError> {
        alter_offsets::check_all(OffsetsOf::Checkpoint, offsets)
    }

    fn stop(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            if let Some(Started::Running { background, .. }) = self.started.take() {
                background.stop().await;
            }
        })
    }
}
