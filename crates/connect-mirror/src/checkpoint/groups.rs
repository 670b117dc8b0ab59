//! The background work of `MirrorCheckpointConnector`: sees to the checkpoints topic and looks for groups.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use connect_api::{ConnectError, ConnectorContext};
use kafka_client::{Admin, admin::GroupListing};
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use super::config::MirrorCheckpointConfig;
use crate::{internal_topic::InternalTopic, scheduler::Schedule, topic_watch::LOOK_INTERVAL};

/// The groups to be dealt to tasks, in order; `None` until they are known.
pub(super) type KnownGroups = Option<Arc<[String]>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Job {
    CreateCheckpointsTopic,
    RefreshGroups,
}

impl Job {
    fn what(self) -> &'static str {
        match self {
            Self::CreateCheckpointsTopic => "creating the checkpoints topic",
            Self::RefreshGroups => "refreshing consumer groups",
        }
    }
}

/// See the module.
pub(super) struct Groups {
    /// `A->B`, for the log.
    flow: String,
    config: MirrorCheckpointConfig,
    topic: InternalTopic,
    source: Admin,
    context: Arc<dyn ConnectorContext>,
    publish: watch::Sender<KnownGroups>,
    schedule: Schedule<Job>,
    /// Ids that cannot be written into a task's configuration; each is said once.
    unusable: BTreeSet<Arc<str>>,
}

impl Groups {
    pub(super) fn new(
        config: MirrorCheckpointConfig,
        topic: InternalTopic,
        source: Admin,
        context: Arc<dyn ConnectorContext>,
        publish: watch::Sender<KnownGroups>,
    ) -> Self {
        let now = Instant::now();
        let mut schedule = Schedule::new();
        schedule.add(Job::CreateCheckpointsTopic, now, Some(LOOK_INTERVAL));
        // The first load happens even if refreshing is switched off.
        schedule.add(Job::RefreshGroups, now, config.refresh_groups_interval);
        Self {
            flow: format!("{}->{}", config.connector.source_alias, config.connector.target_alias),
            config,
            topic,
            source,
            context,
            publish,
            schedule,
            unusable: BTreeSet::new(),
        }
    }

    /// Runs jobs as they are due until cancelled.
    pub(super) async fn run(mut self, cancel: CancellationToken) {
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
                Ok(()) => {
                    let failures = self.schedule.succeeded(job, Instant::now());
                    if failures > 0 {
                        tracing::info!(flow = self.flow, failures, "{} works again", job.what());
                    }
                }
                Err(error) => {
                    let retry = self.schedule.failed(job, Instant::now());
                    if retry.is_news() {
                        tracing::warn!(
                            flow = self.flow, error = error.chain(), failures = retry.failures,
                            retry_in = ?retry.after, "{} failed", job.what()
                        );
                    }
                }
            }
        }
    }

    async fn run_job(&mut self, job: Job) -> Result<(), ConnectError> {
        match job {
            Job::CreateCheckpointsTopic => self.topic.see_to().await,
            Job::RefreshGroups => self.refresh().await,
        }
    }

    async fn refresh(&mut self) -> Result<(), ConnectError> {
        let groups = self.discover().await?;
        let known = self.publish.borrow().clone();
        if known.as_deref() == Some(&*groups) {
            return Ok(());
        }
        let before = known.map_or(0, |known| known.len());
        tracing::info!(
            flow = self.flow,
            groups = groups.len(),
            before,
            "consumer groups to translate"
        );
        self.publish.send_replace(Some(groups.into()));
        self.context.request_task_reconfiguration();
        Ok(())
    }

    /// Groups of consumers that pass the filter and have committed something in a topic that is replicated.
    async fn discover(&mut self) -> Result<Vec<String>, ConnectError> {
        let failed = |error| ConnectError::caused_by("cannot list the consumer groups of the source", error);
        let listed = self.source.list_groups().await.map_err(failed)?;
        let mut wanted: Vec<Arc<str>> = listed
            .into_iter()
            .filter(|group| is_consumer_group(group) && self.config.group_filter.accepts(&group.group_id))
            .map(|group| group.group_id)
            .collect();
        wanted.retain(|group| self.is_usable(group));
        let failed =
            |error| ConnectError::caused_by("cannot fetch the offsets of consumer groups of the source", error);
        let committed = self.source.list_offsets_of_groups(&wanted).await.map_err(failed)?;
        let known = self.publish.borrow().clone().unwrap_or_default();
        let mut groups = Vec::new();
        let mut refused = 0;
        for (group, offsets) in committed {
            let is_kept = match offsets {
                Ok(offsets) => self.reads_what_is_replicated(&offsets),
                Err(error) => {
                    refused += 1;
                    tracing::debug!(flow = self.flow, %group, error = error.chain(), "a group cannot be asked");
                    known.iter().any(|known| **known == *group)
                }
            };
            if is_kept {
                groups.push(group.to_string());
            }
        }
        if refused > 0 {
            tracing::warn!(
                flow = self.flow,
                groups = refused,
                "some groups cannot be asked for their offsets; see debug"
            );
        }
        groups.sort();
        Ok(groups)
    }

    fn reads_what_is_replicated<T>(&self, offsets: &HashMap<kafka_wire::TopicPartition, T>) -> bool {
        offsets
            .keys()
            .any(|partition| self.config.topic_filter.accepts(&partition.topic))
    }

    /// Groups travel to tasks as a list with commas, whose elements are trimmed.
    fn is_usable(&mut self, group: &Arc<str>) -> bool {
        let is_usable = !group.is_empty() && !group.contains(',') && group.trim() == &**group;
        if !is_usable && self.unusable.insert(group.clone()) {
            tracing::warn!(
                flow = self.flow,
                group = &**group,
                "the group is left out: an id that is empty, or has a comma or outer blanks, cannot be given to a task"
            );
        }
        is_usable
    }
}

/// Groups of either consumer protocol, and those that only hold offsets; not Connect's, nor share groups.
fn is_consumer_group(group: &GroupListing) -> bool {
    matches!(&*group.protocol_type, "" | "consumer")
}
