//! The background work of `MirrorSourceConnector`: one child that looks for topics, gives them remote topics, and keeps
//! their configurations and ACLs in step. A cluster that is away is asked again for ever.

use std::sync::Arc;

use connect_api::{ConnectError, ConnectorContext};
use kafka_wire::TopicPartition;
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    config::MirrorSourceConfig,
    discovery::discover,
    remote_topics::RemoteTopics,
    topics::{self, Changes, PartitionCounts, Plan},
};
use crate::{
    internal_topic::InternalTopic,
    scheduler::{Retry, Schedule},
};

/// The partitions to be dealt to tasks; `None` until they are known.
pub(crate) type Assigned = Option<Arc<[TopicPartition]>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Job {
    CreateOffsetSyncsTopic,
    RefreshTopics,
    SyncTopicConfigs,
    SyncTopicAcls,
}

impl Job {
    fn what(self) -> &'static str {
        match self {
            Self::CreateOffsetSyncsTopic => "creating the offset-syncs topic",
            Self::RefreshTopics => "refreshing topics",
            Self::SyncTopicConfigs => "syncing topic configs",
            Self::SyncTopicAcls => "syncing topic ACLs",
        }
    }
}

/// See the module.
pub(crate) struct Flow {
    /// `A->B`, for the log.
    name: String,
    config: Arc<MirrorSourceConfig>,
    remote_topics: RemoteTopics,
    offset_syncs_topic: Option<InternalTopic>,
    context: Arc<dyn ConnectorContext>,
    assigned: watch::Sender<Assigned>,
    source_topics: PartitionCounts,
    target_topics: PartitionCounts,
    schedule: Schedule<Job>,
}

impl Flow {
    pub(crate) fn new(
        config: Arc<MirrorSourceConfig>,
        remote_topics: RemoteTopics,
        offset_syncs_topic: Option<InternalTopic>,
        context: Arc<dyn ConnectorContext>,
        assigned: watch::Sender<Assigned>,
    ) -> Self {
        let name = format!("{}->{}", config.rules.source_alias, config.rules.target_alias);
        let now = Instant::now();
        let mut schedule = Schedule::new();
        if offset_syncs_topic.is_some() {
            schedule.add(Job::CreateOffsetSyncsTopic, now, None);
        }
        // The first load happens even if refreshing is switched off.
        schedule.add(Job::RefreshTopics, now, config.refresh_topics_interval);
        Self {
            name,
            config,
            remote_topics,
            offset_syncs_topic,
            context,
            assigned,
            source_topics: PartitionCounts::new(),
            target_topics: PartitionCounts::new(),
            schedule,
        }
    }

    /// Runs jobs as they are due until cancelled.
    pub(crate) async fn run(mut self, cancel: CancellationToken) {
        while let Some((job, due)) = self.schedule.next() {
            tokio::select! {
                () = cancel.cancelled() => return,
                () = tokio::time::sleep_until(due) => {}
            }
            let result = tokio::select! {
                () = cancel.cancelled() => return,
                result = self.run_job(job) => result,
            };
            match result {
                Ok(()) => self.on_success(job),
                Err(error) => self.on_failure(job, &error),
            }
        }
    }

    async fn run_job(&mut self, job: Job) -> Result<(), ConnectError> {
        match job {
            Job::CreateOffsetSyncsTopic => match &self.offset_syncs_topic {
                Some(topic) => topic.create().await,
                None => Ok(()),
            },
            Job::RefreshTopics => self.refresh_topics().await,
            Job::SyncTopicConfigs => {
                self.remote_topics
                    .sync_configs(&self.source_topics, &self.target_topics)
                    .await
            }
            Job::SyncTopicAcls => self.remote_topics.sync_acls().await,
        }
    }

    fn on_success(&mut self, job: Job) {
        let failures = self.schedule.succeeded(job, Instant::now());
        if failures > 0 {
            tracing::info!(flow = self.name, failures, "{} works again", job.what());
        }
    }

    fn on_failure(&mut self, job: Job, error: &ConnectError) {
        let retry: Retry = self.schedule.failed(job, Instant::now());
        if retry.is_news() {
            tracing::warn!(
                flow = self.name, error = error.chain(), failures = retry.failures, retry_in = ?retry.after,
                "{} failed", job.what()
            );
        }
    }

    async fn refresh_topics(&mut self) -> Result<(), ConnectError> {
        let config = self.config.clone();
        let is_copied = |topic: &str| config.rules.replicates(topic, config.topic_filter.accepts(topic));
        let is_remote = |topic: &str| config.rules.is_remote_topic_of_flow(topic);
        let source = discover(self.remote_topics.source(), &self.source_topics, is_copied).await;
        let source = source.map_err(|error| ConnectError::caused_by("cannot list the topics of the source", error))?;
        let target = discover(self.remote_topics.target(), &self.target_topics, is_remote).await;
        let target = target.map_err(|error| ConnectError::caused_by("cannot list the topics of the target", error))?;
        let is_first = self.assigned.borrow().is_none();
        if is_first && source.cluster_id.is_some() && source.cluster_id == target.cluster_id {
            tracing::warn!(
                flow = self.name,
                cluster_id = source.cluster_id.as_deref(),
                "source and target are the same cluster: check both bootstrap.servers"
            );
        }
        let changes = Changes::between(&self.source_topics, &source.topics);
        if !is_first {
            self.tell(&changes);
        }
        self.source_topics = source.topics;
        self.target_topics = target.topics;
        let complete = self.complete_target().await;
        if is_first || !changes.is_empty() {
            self.publish(is_first);
        }
        if is_first {
            self.schedule_syncs();
        }
        complete
    }

    /// Settings and ACLs can be synced from the moment on when topics are known.
    fn schedule_syncs(&mut self) {
        let now = Instant::now();
        let acls = (Job::SyncTopicAcls, self.config.sync_topic_acls_interval);
        let configs = (Job::SyncTopicConfigs, self.config.sync_topic_configs_interval);
        for (job, interval) in [acls, configs] {
            if interval.is_some() {
                self.schedule.add(job, now, interval);
            }
        }
    }

    /// Creates what the target lacks. The tasks start all the same when some of it fails: they hold back what has no
    /// place yet.
    async fn complete_target(&mut self) -> Result<(), ConnectError> {
        let plan = Plan::new(&self.source_topics, &self.target_topics, |topic| {
            self.config.rules.remote_topic(topic)
        });
        if plan.is_empty() {
            return Ok(());
        }
        let mut failures = Vec::new();
        for (missing, result) in self.remote_topics.create(plan.create).await {
            match result {
                Ok(()) => {
                    tracing::info!(
                        flow = self.name, topic = %missing.topic, remote = %missing.remote,
                        partitions = missing.partitions, "created remote topic"
                    );
                    self.target_topics.insert(missing.remote, missing.partitions);
                }
                Err(error) => failures.push(error),
            }
        }
        for (growth, result) in self.remote_topics.grow(plan.grow).await {
            match result {
                Ok(()) => {
                    tracing::info!(
                        flow = self.name, remote = %growth.remote, from = growth.from, to = growth.to,
                        "added partitions to remote topic"
                    );
                    self.target_topics.insert(growth.remote, growth.to);
                }
                Err(error) => failures.push(error),
            }
        }
        first_of(failures)
    }

    fn publish(&self, is_first: bool) {
        let partitions: Arc<[TopicPartition]> = topics::partitions(&self.source_topics).into();
        if is_first {
            tracing::info!(
                flow = self.name,
                topics = self.source_topics.len(),
                partitions = partitions.len(),
                "Replication flow started"
            );
        }
        self.assigned.send_replace(Some(partitions));
        self.context.request_task_reconfiguration();
    }

    fn tell(&self, changes: &Changes) {
        let flow = &self.name;
        for (topic, partitions) in &changes.appeared {
            tracing::info!(flow, %topic, partitions, "found a new topic at the source");
        }
        for topic in &changes.vanished {
            tracing::warn!(
                flow, %topic,
                "topic is no longer at the source, or no longer matches; its remote topic and stored offsets stay"
            );
        }
        for (topic, from, to) in &changes.resized {
            tracing::info!(flow, %topic, from, to, "topic has another number of partitions at the source");
        }
    }
}

/// The first failure of many, saying how many more there are.
pub(crate) fn first_of(failures: Vec<ConnectError>) -> Result<(), ConnectError> {
    let more = failures.len().saturating_sub(1);
    match failures.into_iter().next() {
        None => Ok(()),
        Some(error) if more == 0 => Err(error),
        Some(error) => Err(ConnectError::new(format!("{} (and {more} more)", error.chain()))),
    }
}
