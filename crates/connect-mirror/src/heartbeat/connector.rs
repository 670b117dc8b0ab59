//! `MirrorHeartbeatConnector`: sees to the topic `heartbeats` of the target and has one task that writes to it.

use std::sync::Arc;

use connect_api::{BoxFuture, ConnectError, ConnectorContext, JsonMap, Props, SourceConnector, SourceTask};
use kafka_client::Admin;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{config::MirrorHeartbeatConfig, task::MirrorHeartbeatTask};
use crate::{
    alter_offsets::{self, OffsetsOf},
    background::Background,
    environment::MirrorEnvironment,
    internal_topic::InternalTopic,
    scheduler::Schedule,
    topic_watch::LOOK_INTERVAL,
};

/// The Java class of the task.
pub const HEARTBEAT_TASK_CLASS: &str = "org.apache.kafka.connect.mirror.MirrorHeartbeatTask";

/// See the module. It runs even when its flow is disabled, as in Kafka.
#[derive(Debug)]
pub struct MirrorHeartbeatConnector {
    environment: MirrorEnvironment,
    started: Option<Started>,
}

#[derive(Debug)]
struct Started {
    props: Props,
    config: MirrorHeartbeatConfig,
    background: Background,
}

impl MirrorHeartbeatConnector {
    /// A connector that has not been started.
    pub fn new(environment: MirrorEnvironment) -> Self {
        Self {
            environment,
            started: None,
        }
    }
}

impl SourceConnector for MirrorHeartbeatConnector {
    fn start(&mut self, props: Props, context: Arc<dyn ConnectorContext>) -> BoxFuture<'_, Result<(), ConnectError>> {
        Box::pin(async move {
            let config = MirrorHeartbeatConfig::parse(&props).map_err(|errors| {
                ConnectError::caused_by("configuration of the heartbeat connector is not valid", errors)
            })?;
            let client = self.environment.client(&config.target_admin);
            let topic = InternalTopic {
                admin: Admin::new(client),
                name: config.policy.heartbeats_topic().to_owned(),
                replication_factor: config.heartbeats_topic_replication_factor,
                replication_factor_key: "heartbeats.topic.replication.factor",
                presence: Default::default(),
            };
            let background = Background::start(context, |cancel| create_topic(topic, cancel));
            self.started = Some(Started {
                props,
                config,
                background,
            });
            Ok(())
        })
    }

    fn task_configs(&mut self, _max_tasks: usize) -> Result<Vec<Props>, ConnectError> {
        let started = self
            .started
            .as_ref()
            .ok_or_else(|| ConnectError::new("the connector was not started"))?;
        let emits = started.config.interval.is_some();
        Ok(if emits { vec![started.props.clone()] } else { Vec::new() })
    }

    fn new_task(&self) -> Box<dyn SourceTask> {
        Box::new(MirrorHeartbeatTask::new(self.environment.clock))
    }

    fn task_class(&self) -> &'static str {
        HEARTBEAT_TASK_CLASS
    }

    fn alter_offsets(&self, _config: &Props, offsets: &[(JsonMap, Option<JsonMap>)]) -> Result<bool, ConnectError> {
        alter_offsets::check_all(OffsetsOf::Heartbeat, offsets)
    }

    fn stop(&mut self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            if let Some(started) = self.started.take() {
                started.background.stop().await;
            }
        })
    }
}

/// Tries until the topic is there, and sees to it that it stays.
async fn create_topic(topic: InternalTopic, cancel: CancellationToken) {
    let mut schedule = Schedule::new();
    schedule.add((), Instant::now(), Some(LOOK_INTERVAL));
    while let Some(((), due)) = schedule.next() {
        let result = tokio::select! {
            () = cancel.cancelled() => return,
            result = async { tokio::time::sleep_until(due).await; topic.see_to().await } => result,
        };
        match result {
            Ok(()) => _ = schedule.succeeded((), Instant::now()),
            Err(error) => {
                let retry = schedule.failed((), Instant::now());
                if retry.is_news() {
                    tracing::warn!(
                        topic = topic.name, error = error.chain(), failures = retry.failures, retry_in = ?retry.after,
                        "internal topic is not there yet"
                    );
                }
            }
        }
    }
}
