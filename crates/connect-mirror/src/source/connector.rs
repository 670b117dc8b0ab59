//! `MirrorSourceConnector`: starts the flow's background work and deals the partitions it finds to tasks.

use std::{sync::Arc, time::Duration};

use connect_api::{BoxFuture, ConnectError, ConnectorContext, JsonMap, Props, SourceConnector, SourceTask};
use kafka_client::{Admin, config::ClientKind};
use tokio::sync::watch;

use super::{
    assignment::task_configs,
    config::MirrorSourceConfig,
    flow::{Assigned, Flow},
    remote_topics::RemoteTopics,
    reverse_flow::ReverseFlow,
    task::MirrorSourceTask,
};
use crate::{
    alter_offsets::{self, OffsetsOf},
    background::Background,
    client_props::Side,
    environment::MirrorEnvironment,
    internal_topic::InternalTopic,
};

/// The Java class of the tasks.
pub const SOURCE_TASK_CLASS: &str = "org.apache.kafka.connect.mirror.MirrorSourceTask";

/// The clients whose settings come from the connector's configuration.
const CLIENTS: [(Side, ClientKind); 3] = [
    (Side::Source, ClientKind::Consumer),
    (Side::Source, ClientKind::Admin),
    (Side::Target, ClientKind::Admin),
];

/// How long `start` waits for the first list of topics. Clusters that are well need a fraction of it; one that is away
/// must not hold up the worker, and is waited for in the background.
const FIRST_TOPICS_TIMEOUT: Duration = Duration::from_secs(5);

/// See the module.
#[derive(Debug)]
pub struct MirrorSourceConnector {
    environment: MirrorEnvironment,
    started: Option<Started>,
}

#[derive(Debug)]
enum Started {
    /// `enabled=false`: no work and no tasks.
    Disabled,
    Running {
        props: Props,
        assigned: watch::Receiver<Assigned>,
        background: Background,
    },
}

impl MirrorSourceConnector {
    /// A connector that has not been started.
    pub fn new(environment: MirrorEnvironment) -> Self {
        Self {
            environment,
            started: None,
        }
    }

    fn flow(
        &self,
        config: MirrorSourceConfig,
        context: Arc<dyn ConnectorContext>,
        assigned: watch::Sender<Assigned>,
    ) -> Flow {
        let config = Arc::new(config);
        let source = self.environment.client(&config.source_admin);
        let target = self.environment.client(&config.target_admin);
        let offset_syncs_topic = config.offset_syncs.as_ref().map(|syncs| InternalTopic {
            admin: Admin::new(self.environment.client(&syncs.admin)),
            name: syncs.topic.clone(),
            replication_factor: syncs.replication_factor,
            replication_factor_key: "offset-syncs.topic.replication.factor",
            presence: Default::default(),
        });
        let reverse_flow = config.reverse_syncs.as_ref().map(|consumer| {
            let topic = config.rules.policy.offset_syncs_topic(&config.rules.source_alias);
            ReverseFlow::new(self.environment.client(&consumer.client), consumer.clone(), topic)
        });
        let remote_topics = RemoteTopics::new(config.clone(), source, target);
        Flow::new(config, remote_topics, context, assigned)
            .with_offset_syncs_topic(offset_syncs_topic)
            .with_reverse_flow(reverse_flow)
    }
}

impl SourceConnector for MirrorSourceConnector {
    fn start(&mut self, props: Props, context: Arc<dyn ConnectorContext>) -> BoxFuture<'_, Result<(), ConnectError>> {
        Box::pin(async move {
            let config = MirrorSourceConfig::parse(&props)
                .map_err(|errors| ConnectError::caused_by("configuration of the mirror source is not valid", errors))?;
            if !config.connector.enabled {
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
            let timeout = FIRST_TOPICS_TIMEOUT.min(config.connector.admin_timeout);
            let (assign, assigned) = watch::channel(None);
            let flow = self.flow(config, context.clone(), assign);
            let background = Background::start(context, |cancel| flow.run(cancel));
            let mut first = assigned.clone();
            self.started = Some(Started::Running {
                props,
                assigned,
                background,
            });
            // Late or gone, the background work goes on and asks for tasks when it knows of topics.
            let _known = tokio::time::timeout(timeout, first.wait_for(Option::is_some)).await;
            Ok(())
        })
    }

    fn task_configs(&mut self, max_tasks: usize) -> Result<Vec<Props>, ConnectError> {
        match &self.started {
            None => Err(ConnectError::new("the connector was not started")),
            Some(Started::Disabled) => Ok(Vec::new()),
            Some(Started::Running { props, assigned, .. }) => match &*assigned.borrow() {
                Some(partitions) => Ok(task_configs(props, partitions, max_tasks)),
                // No tasks now would stop the tasks that a former start has left running (KAFKA-17232).
                None => Err(ConnectError::new("the topics of the source are not known yet").retriable()),
            },
        }
    }

    fn new_task(&self) -> Box<dyn SourceTask> {
        Box::new(MirrorSourceTask::new(self.environment.clone()))
    }

    fn task_class(&self) -> &'static str {
        SOURCE_TASK_CLASS
    }

    fn alter_offsets(&self, _config: &Props, offsets: &[(JsonMap, Option<JsonMap>)]) -> Result<bool, ConnectError> {
        alter_offsets::check_all(OffsetsOf::Source, offsets)
    }

    fn stop(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            if let Some(Started::Running { background, .. }) = self.started.take() {
                background.stop().await;
            }
        })
    }
}
