use std::{fmt, sync::Arc};

use tokio::sync::{mpsc, oneshot, watch};

use super::{
    answers::{ConnectorInfo, ConnectorOffset, ConnectorStateInfo, JsonMap, Put, RestartAnswer, StateInfo},
    offsets::Modification,
    other_workers::InternalRequest,
    request::{Reply, Request},
    request_error::RequestError,
    stage::{Progress, Stage},
};
use crate::{
    metrics::{TaskMetrics, WorkerMetrics},
    plugins::Plugins,
    storage::config::RawConfig,
    worker::{ConnectorTaskId, TargetState},
};

/// Requests that wait for the herder. It answers in microseconds once it has started; more waiting callers wait for
/// their turn.
const REQUEST_QUEUE_CAPACITY: usize = 256;

/// Asks the herder. Cheap to clone.
///
/// A request made during start-up, or in a rebalance that decides who has to answer, waits until that is over: callers
/// bring their own time limit, and [`Self::stage`] says what holds them up.
#[derive(Clone)]
pub struct HerderHandle {
    requests: mpsc::Sender<Request>,
    progress: watch::Receiver<Progress>,
    plugins: Arc<dyn Plugins>,
    metrics: Arc<WorkerMetrics>,
}

impl fmt::Debug for HerderHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HerderHandle")
    }
}

impl HerderHandle {
    pub(super) fn new(plugins: Arc<dyn Plugins>) -> (Self, mpsc::Receiver<Request>, watch::Sender<Progress>) {
        let (requests, receiver) = mpsc::channel(REQUEST_QUEUE_CAPACITY);
        let (progress, seen) = watch::channel(Progress::default());
        let handle = Self {
            requests,
            progress: seen,
            plugins,
            metrics: Arc::default(),
        };
        (handle, receiver, progress)
    }

    /// What the worker does, or has done last. Never waits.
    pub fn stage(&self) -> Option<Stage> {
        self.progress.borrow().stage.clone()
    }

    /// Whether the internal topics have been read and the group joined once. Never waits.
    pub fn has_started(&self) -> bool {
        self.progress.borrow().started
    }

    /// The id of the cluster with the internal topics, once it is known. Never waits.
    pub fn kafka_cluster_id(&self) -> Option<String> {
        self.progress.borrow().kafka_cluster_id.clone()
    }

    /// The worker's own counters. Never waits.
    pub fn metrics(&self) -> Arc<WorkerMetrics> {
        self.metrics.clone()
    }

    /// Waits until the herder has time, as any request does.
    pub async fn ping(&self) -> Result<(), RequestError> {
        self.ask(Request::Ping).await
    }

    /// The names of all connectors.
    pub async fn connectors(&self) -> Result<Vec<String>, RequestError> {
        self.ask(Request::ConnectorNames).await
    }

    /// All connectors, by name.
    pub async fn connector_infos(&self) -> Result<Vec<ConnectorInfo>, RequestError> {
        self.ask(Request::ConnectorInfos).await
    }

    /// One connector.
    pub async fn connector_info(&self, name: &str) -> Result<ConnectorInfo, RequestError> {
        let name = name.to_owned();
        self.ask(|reply| Request::ConnectorInfo { name, reply }).await
    }

    /// A connector's configuration, variables unresolved.
    pub async fn connector_config(&self, name: &str) -> Result<Arc<RawConfig>, RequestError> {
        self.connector_info(name).await.map(|info| info.config)
    }

    /// The configurations of a connector's tasks, variables unresolved.
    pub async fn task_configs(&self, name: &str) -> Result<Vec<(ConnectorTaskId, RawConfig)>, RequestError> {
        let name = name.to_owned();
        self.ask(|reply| Request::TaskConfigs { name, reply }).await
    }

    /// What all connectors do that have a status, by name.
    pub async fn statuses(&self) -> Result<Vec<ConnectorStateInfo>, RequestError> {
        self.ask(Request::Statuses).await
    }

    /// What a connector and its tasks do.
    pub async fn status(&self, name: &str) -> Result<ConnectorStateInfo, RequestError> {
        let name = name.to_owned();
        self.ask(|reply| Request::Status { name, reply }).await
    }

    /// What a task does.
    pub async fn task_status(&self, id: &ConnectorTaskId) -> Result<Arc<StateInfo>, RequestError> {
        let id = id.clone();
        self.ask(|reply| Request::TaskStatus { id, reply }).await
    }

    /// Stores a connector's configuration, which starts or restarts it. It is validated first, on whatever worker is
    /// asked; only the leader stores it. `config` has its `name`.
    pub async fn put_connector(
        &self,
        name: &str,
        config: RawConfig,
        initial_state: Option<TargetState>,
        allow_replace: bool,
    ) -> Result<Put, RequestError> {
        let valid = self.plugins.validate(&config);
        valid.map_err(|error| RequestError::BadRequest(error.chain()))?;
        let name = name.to_owned();
        self.ask(|reply| Request::PutConnector {
            name,
            config,
            initial_state,
            allow_replace,
            reply,
        })
        .await
    }

    /// Changes some keys of a connector's configuration; null removes a key.
    pub async fn patch_connector(&self, name: &str, patch: RawConfig) -> Result<Put, RequestError> {
        let mut config = Arc::unwrap_or_clone(self.connector_config(name).await?);
        for (key, value) in patch {
            match value {
                Some(value) => config.insert(key, Some(value)),
                None => config.remove(&key),
            };
        }
        self.put_connector(name, config, None, true).await
    }

    /// Deletes a connector.
    pub async fn delete_connector(&self, name: &str) -> Result<(), RequestError> {
        let name = name.to_owned();
        self.ask(|reply| Request::DeleteConnector { name, reply }).await
    }

    /// Lets a connector and its tasks wait. Any worker does it.
    pub async fn pause(&self, name: &str) -> Result<(), RequestError> {
        self.set_target_state(name, TargetState::Paused).await
    }

    /// Lets a connector and its tasks go on. Any worker does it.
    pub async fn resume(&self, name: &str) -> Result<(), RequestError> {
        self.set_target_state(name, TargetState::Started).await
    }

    /// Ends a connector's tasks, and lets the connector wait. The leader does it.
    pub async fn stop(&self, name: &str) -> Result<(), RequestError> {
        self.set_target_state(name, TargetState::Stopped).await
    }

    async fn set_target_state(&self, name: &str, target: TargetState) -> Result<(), RequestError> {
        let name = name.to_owned();
        self.ask(|reply| Request::SetTargetState { name, target, reply }).await
    }

    /// Restarts a connector, and its tasks if asked to; with `only_failed`, what has failed of them.
    pub async fn restart_connector(
        &self,
        name: &str,
        include_tasks: bool,
        only_failed: bool,
    ) -> Result<RestartAnswer, RequestError> {
        let name = name.to_owned();
        self.ask(|reply| Request::RestartConnector {
            name,
            include_tasks,
            only_failed,
            reply,
        })
        .await
    }

    /// Restarts one task, on the worker that runs it or on which it has failed.
    pub async fn restart_task(&self, id: ConnectorTaskId) -> Result<(), RequestError> {
        self.ask(|reply| Request::RestartTask { id, reply }).await
    }

    /// Every source partition of a connector that has an offset.
    pub async fn offsets(&self, name: &str) -> Result<Vec<ConnectorOffset>, RequestError> {
        let name = name.to_owned();
        self.ask(|reply| Request::Offsets { name, reply }).await
    }

    /// Stores other offsets for a stopped connector; a partition without an offset is forgotten. Answers Kafka's
    /// message.
    pub async fn alter_offsets(
        &self,
        name: &str,
        offsets: Vec<(JsonMap, Option<JsonMap>)>,
    ) -> Result<String, RequestError> {
        if offsets.is_empty() {
            return Err(RequestError::no_offsets_given());
        }
        self.modify_offsets(name, Modification::Alter(offsets)).await
    }

    /// Forgets all offsets of a stopped connector. Answers Kafka's message.
    pub async fn reset_offsets(&self, name: &str) -> Result<String, RequestError> {
        self.modify_offsets(name, Modification::Reset).await
    }

    async fn modify_offsets(&self, name: &str, modification: Modification) -> Result<String, RequestError> {
        let name = name.to_owned();
        self.ask(|reply| Request::ModifyOffsets {
            name,
            modification,
            reply,
        })
        .await
    }

    /// The topics that a connector has written to. Nobody knows an unknown connector's.
    pub async fn active_topics(&self, name: &str) -> Result<Vec<String>, RequestError> {
        let name = name.to_owned();
        self.ask(|reply| Request::ActiveTopics { name, reply }).await
    }

    /// Forgets the topics that a connector has written to.
    pub async fn reset_active_topics(&self, name: &str) -> Result<(), RequestError> {
        let name = name.to_owned();
        self.ask(|reply| Request::ResetActiveTopics { name, reply }).await
    }

    /// Another worker has new task configs for a connector: `tasks`, parsed from the body of `request`. The signature
    /// is checked here.
    pub async fn put_task_configs(
        &self,
        name: &str,
        tasks: Vec<RawConfig>,
        request: InternalRequest,
    ) -> Result<(), RequestError> {
        let name = name.to_owned();
        self.ask(|reply| Request::PutTaskConfigs {
            name,
            tasks,
            request,
            reply,
        })
        .await
    }

    /// Another worker is about to start tasks of a connector exactly once. The signature is checked here.
    pub async fn fence_zombies(&self, name: &str, request: InternalRequest) -> Result<(), RequestError> {
        let name = name.to_owned();
        self.ask(|reply| Request::FenceZombies { name, request, reply }).await
    }

    /// Sets the level of a logger on every worker of the group that runs now.
    pub async fn put_logger_level_cluster(&self, logger: &str, level: &str) -> Result<(), RequestError> {
        let (logger, level) = (logger.to_owned(), level.to_owned());
        self.ask(|reply| Request::PutLoggerLevel { logger, level, reply }).await
    }

    /// The counters of the tasks that run here. They stay readable, and move on, without asking again.
    pub async fn task_metrics(&self) -> Result<Vec<(ConnectorTaskId, Arc<TaskMetrics>)>, RequestError> {
        self.ask(Request::TaskMetrics).await
    }

    /// Asks a connector that runs here how its work is to be shared now.
    pub async fn request_task_reconfiguration(&self, name: &str) -> Result<(), RequestError> {
        let name = name.to_owned();
        self.ask(|reply| Request::ReconfigureTasks { name, reply }).await
    }

    async fn ask<T>(&self, request: impl FnOnce(Reply<T>) -> Request) -> Result<T, RequestError> {
        let (reply, answer) = oneshot::channel();
        let sent = self.requests.send(request(reply)).await;
        sent.map_err(|_| RequestError::ShuttingDown)?;
        // A request that is dropped unanswered has met the end.
        answer.await.map_err(|_| RequestError::ShuttingDown)?
    }
}
