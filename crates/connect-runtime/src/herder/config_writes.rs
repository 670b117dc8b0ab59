use std::{collections::VecDeque, sync::Arc, time::Duration};

use tokio::time::Instant;
use tracing::{info, warn};

use super::{
    leadership::{Leadership, NotClaimed},
    request_error::RequestError,
};
use crate::{
    storage::{
        self, KafkaBasedLog, KeyValue, TransactionalWriter,
        config::{
            ConfigState, RawConfig, SessionKey, commit_record, connector_record, connector_tombstone, fencing_record,
            logger_level_record, restart_record, session_key_record, target_state_record, target_state_tombstone,
            task_record,
        },
    },
    trouble::Trouble,
    worker::{ConnectorTaskId, TargetState},
};

/// What one operation may take, as in Kafka's worker.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// Between attempts of writes that nobody waits for: first and longest wait.
const RETRY: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(60));

/// One change of the config topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ConfigChange {
    PutConnector {
        name: String,
        config: RawConfig,
        initial_state: Option<TargetState>,
    },
    DeleteConnector {
        name: String,
    },
    PutTasks {
        name: String,
        tasks: Vec<RawConfig>,
    },
    SetTargetState {
        name: String,
        target: TargetState,
    },
    /// Kafka's order: the tasks go, and only then does the connector stop.
    Stop {
        name: String,
    },
    RequestRestart {
        name: String,
        include_tasks: bool,
        only_failed: bool,
    },
    SetLoggerLevel {
        logger: String,
        level: String,
    },
    PutSessionKey(SessionKey),
    /// So many producers may write exactly once from now on; those of before are fenced.
    PutFencing {
        name: String,
        task_count: i32,
    },
}

impl ConfigChange {
    /// Which connector, or which logger.
    fn name(&self) -> &str {
        match self {
            Self::PutConnector { name, .. }
            | Self::DeleteConnector { name }
            | Self::PutTasks { name, .. }
            | Self::SetTargetState { name, .. }
            | Self::Stop { name }
            | Self::RequestRestart { name, .. }
            | Self::PutFencing { name, .. }
            | Self::SetLoggerLevel { logger: name, .. } => name,
            Self::PutSessionKey(_) => "",
        }
    }

    /// Kafka's words for a write that fails.
    fn failure(&self) -> String {
        match self {
            Self::PutConnector { .. } => "Error writing connector configuration to Kafka".to_owned(),
            Self::DeleteConnector { .. } => "Error removing connector configuration from Kafka".to_owned(),
            // Stopping a connector begins with its tasks.
            Self::PutTasks { .. } | Self::Stop { .. } => "Error writing task configurations to Kafka".to_owned(),
            Self::SetTargetState { .. } => "Error writing target state to Kafka".to_owned(),
            Self::RequestRestart { name, .. } => format!("Error writing restart-connector-{name} to Kafka"),
            Self::PutSessionKey(_) => "Error writing session key to Kafka".to_owned(),
            Self::PutFencing { .. } => "Error writing task count record to Kafka".to_owned(),
            Self::SetLoggerLevel { logger, .. } => format!("Error writing level of {logger} to Kafka"),
        }
    }

    /// Whether only the leader writes it.
    fn is_leaders(&self) -> bool {
        !matches!(self, Self::SetTargetState { .. } | Self::SetLoggerLevel { .. })
    }

    /// Whether it would still change something.
    fn is_news(&self, state: &ConfigState) -> bool {
        let connector = state.connector(self.name());
        match self {
            Self::PutConnector { config, .. } => connector.and_then(|c| c.config()) != Some(config),
            Self::PutTasks { tasks, .. } => connector.is_some_and(|c| c.needs_task_configs(tasks, &[])),
            Self::DeleteConnector { .. } => connector.is_some(),
            Self::SetTargetState { target, .. } => connector.is_some_and(|c| c.target_state() != *target),
            Self::PutSessionKey(key) => state
                .session_key()
                .is_none_or(|known| known.creation_timestamp_ms < key.creation_timestamp_ms),
            Self::Stop { .. } | Self::RequestRestart { .. } | Self::SetLoggerLevel { .. } | Self::PutFencing { .. } => {
                true
            }
        }
    }

    /// Whether it comes too late: a connector that was stopped meanwhile has no tasks, and would be given some again.
    fn is_overtaken(&self, state: &ConfigState) -> bool {
        let Self::PutTasks { name, tasks } = self else {
            return false;
        };
        let connector = state.connector(name).filter(|_| !tasks.is_empty());
        connector.is_some_and(|connector| connector.target_state() == TargetState::Stopped)
    }

    /// Writes it, in the order of Kafka's leader, and waits until it has been read back.
    async fn write(
        self,
        log: KafkaBasedLog<ConfigState>,
        writer: Option<&mut TransactionalWriter>,
    ) -> Result<(), storage::Error> {
        let mut leader = LeaderLog { log: &log, writer };
        match self {
            Self::PutConnector {
                name,
                config,
                initial_state,
            } => {
                let initial_state = initial_state.map(|target| target_state_record(&name, target));
                let connector = connector_record(&name, &config);
                leader
                    .write(initial_state.into_iter().chain([connector]).collect())
                    .await?;
            }
            Self::DeleteConnector { name } => {
                leader
                    .write(vec![connector_tombstone(&name), target_state_tombstone(&name)])
                    .await?;
            }
            Self::PutTasks { name, tasks } => put_tasks(&mut leader, &name, &tasks).await?,
            Self::SetTargetState { name, target } => log.write(vec![target_state_record(&name, target)]).await?,
            Self::Stop { name } => {
                put_tasks(&mut leader, &name, &[]).await?;
                log.write(vec![target_state_record(&name, TargetState::Stopped)])
                    .await?;
            }
            Self::RequestRestart {
                name,
                include_tasks,
                only_failed,
            } => {
                leader
                    .write(vec![restart_record(&name, include_tasks, only_failed)])
                    .await?
            }
            Self::PutSessionKey(key) => leader.write(vec![session_key_record(&key)]).await?,
            Self::PutFencing { name, task_count } => leader.write(vec![fencing_record(&name, task_count)]).await?,
            Self::SetLoggerLevel { logger, level } => log.write(vec![logger_level_record(&logger, &level)]).await?,
        }
        log.read_to_end().await
    }
}

/// The config topic as the leader writes it: with `exactly.once.source.support`, what is written together is one
/// transaction.
struct LeaderLog<'a> {
    log: &'a KafkaBasedLog<ConfigState>,
    writer: Option<&'a mut TransactionalWriter>,
}

impl LeaderLog<'_> {
    async fn write(&mut self, records: Vec<KeyValue>) -> Result<(), storage::Error> {
        match &mut self.writer {
            Some(writer) => writer.write(&records).await,
            None => self.log.write(records).await,
        }
    }
}

/// Task configs count once the commit record follows them.
async fn put_tasks(leader: &mut LeaderLog<'_>, name: &str, tasks: &[RawConfig]) -> Result<(), storage::Error> {
    leader.log.read_to_end().await?;
    let records: Vec<KeyValue> = (0..)
        .zip(tasks)
        .map(|(number, config)| task_record(&ConnectorTaskId::new(name, number), config))
        .collect();
    if !records.is_empty() {
        leader.write(records).await?;
        leader.log.read_to_end().await?;
    }
    let count = i32::try_from(tasks.len()).unwrap_or(i32::MAX);
    leader.write(vec![commit_record(name, count)]).await
}

/// How a write went, and what it was done with: without a writer it was a plain one, or the writer is spent.
pub(super) struct Written {
    result: Result<(), Arc<storage::Error>>,
    pub(super) writer: Option<Box<TransactionalWriter>>,
}

/// Changes of the config topic, one at a time and in order: it is the history of the cluster.
pub(super) struct ConfigWrites {
    queue: VecDeque<Queued>,
    under_way: Option<Queued>,
    retry_at: Option<Instant>,
    trouble: Trouble,
}

struct Queued {
    change: ConfigChange,
    /// Told what became of it. Without anyone who waits, it is tried again for ever.
    reply: Option<Done>,
}

/// What is done when a change has been written and read back, or has failed.
pub(super) type Done = Box<dyn FnOnce(Result<(), RequestError>) + Send>;

impl ConfigWrites {
    pub(super) fn new() -> Self {
        Self {
            queue: VecDeque::new(),
            under_way: None,
            retry_at: None,
            trouble: Trouble::new(RETRY.0, RETRY.1),
        }
    }

    /// Queues a change. One that nobody waits for replaces an older one of its kind.
    pub(super) fn push(&mut self, change: ConfigChange, reply: Option<Done>) {
        if reply.is_none() {
            let same_kind = |other: &ConfigChange| {
                std::mem::discriminant(other) == std::mem::discriminant(&change) && other.name() == change.name()
            };
            self.queue
                .retain(|queued| queued.reply.is_some() || !same_kind(&queued.change));
        }
        self.queue.push_back(Queued { change, reply });
    }

    /// When to try again after a failure.
    pub(super) fn retry_at(&self) -> Option<Instant> {
        self.retry_at
    }

    /// Begins the next write, unless one is under way or has just failed. What nobody waits for and no longer changes
    /// anything is done.
    pub(super) fn next(
        &mut self,
        log: &KafkaBasedLog<ConfigState>,
        leadership: &mut Leadership,
    ) -> Option<impl Future<Output = Written> + Send + use<>> {
        if self.under_way.is_some() || self.retry_at.is_some_and(|at| at > Instant::now()) {
            return None;
        }
        self.retry_at = None;
        while let Some(queued) = self.queue.pop_front() {
            if queued.reply.is_none() && !queued.change.is_news(&log.state()) {
                continue;
            }
            if queued.change.is_overtaken(&log.state()) {
                if let Some(reply) = queued.reply {
                    reply(Err(RequestError::tasks_for_stopped(queued.change.name())));
                }
                continue;
            }
            let mut writer = None;
            if queued.change.is_leaders() {
                match leadership.lend() {
                    Ok(lent) => writer = lent,
                    Err(NotClaimed) => {
                        self.queue.push_front(queued);
                        return None;
                    }
                }
            }
            let change = queued.change.clone();
            self.under_way = Some(queued);
            let log = log.clone();
            return Some(async move {
                let timeout = Err(storage::Error::Timeout { timeout: WRITE_TIMEOUT });
                let writing = change.write(log, writer.as_deref_mut());
                let written = tokio::time::timeout(WRITE_TIMEOUT, writing).await;
                let result = written.unwrap_or(timeout).map_err(Arc::new);
                let writer = writer.filter(|_| result.is_ok());
                Written { result, writer }
            });
        }
        None
    }

    /// Takes note of how the write under way went.
    pub(super) fn finished(&mut self, written: Written) {
        let result = written.result;
        let Some(Queued { change, reply }) = self.under_way.take() else {
            return;
        };
        match (result, reply) {
            (Ok(()), reply) => {
                self.trouble.worked();
                info!(
                    connector = change.name(),
                    change = describe(&change),
                    "configuration written"
                );
                if let Some(reply) = reply {
                    reply(Ok(()));
                }
            }
            (Err(error), Some(reply)) => {
                warn!(
                    connector = change.name(),
                    error = error.chain(),
                    "configuration could not be written"
                );
                reply(Err(match &*error {
                    storage::Error::Transaction { .. } => RequestError::leader_write_failed(),
                    _ => RequestError::Internal(change.failure()),
                }));
            }
            (Err(error), None) => {
                let failure = self.trouble.failed();
                if failure.report {
                    let attempts = failure.attempts;
                    warn!(
                        connector = change.name(),
                        error = error.chain(),
                        attempts,
                        "configuration could not be written, trying again"
                    );
                }
                self.retry_at = Some(Instant::now() + failure.wait);
                self.queue.push_front(Queued { change, reply: None });
            }
        }
    }

    /// Another worker leads by now: what only the leader writes is refused. What is under way may come to be written.
    pub(super) fn give_up_leading(&mut self, error: &RequestError) {
        for queued in std::mem::take(&mut self.queue) {
            match (queued.change.is_leaders(), queued.reply) {
                (false, reply) => self.queue.push_back(Queued {
                    change: queued.change,
                    reply,
                }),
                (true, Some(reply)) => reply(Err(error.clone())),
                (true, None) => {}
            }
        }
        if self.under_way.is_none() && self.queue.is_empty() {
            self.retry_at = None;
        }
    }

    /// Nothing will be written any more.
    pub(super) fn refuse_all(&mut self) {
        for queued in self.under_way.take().into_iter().chain(self.queue.drain(..)) {
            if let Some(reply) = queued.reply {
                reply(Err(RequestError::ShuttingDown));
            }
        }
    }
}

fn describe(change: &ConfigChange) -> &'static str {
    match change {
        ConfigChange::PutConnector { .. } => "connector config",
        ConfigChange::DeleteConnector { .. } => "connector deleted",
        ConfigChange::PutTasks { .. } => "task configs",
        ConfigChange::SetTargetState { .. } | ConfigChange::Stop { .. } => "target state",
        ConfigChange::RequestRestart { .. } => "restart request",
        ConfigChange::SetLoggerLevel { .. } => "logger level",
        ConfigChange::PutSessionKey(_) => "session key",
        ConfigChange::PutFencing { .. } => "count of fenced tasks",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_told_in_kafkas_words() {
        let check = |change: ConfigChange, expected: &str| assert_eq!(change.failure(), expected, "{change:?}");
        let name = || "mirror".to_owned();
        let put = ConfigChange::PutConnector {
            name: name(),
            config: RawConfig::new(),
            initial_state: None,
        };
        check(put, "Error writing connector configuration to Kafka");
        let delete = ConfigChange::DeleteConnector { name: name() };
        check(delete, "Error removing connector configuration from Kafka");
        let pause = ConfigChange::SetTargetState {
            name: name(),
            target: TargetState::Paused,
        };
        check(pause, "Error writing target state to Kafka");
        check(
            ConfigChange::Stop { name: name() },
            "Error writing task configurations to Kafka",
        );
        let restart = ConfigChange::RequestRestart {
            name: name(),
            include_tasks: true,
            only_failed: false,
        };
        check(restart, "Error writing restart-connector-mirror to Kafka");
    }
}
