//! The background work of `MirrorSourceConnector`: looks for topics, gives them remote topics, and keeps their
//! configurations and ACLs in step. A cluster that is away is asked again for ever.

use std::{collections::BTreeSet, ops::ControlFlow, sync::Arc, time::Duration};

use connect_api::{ConnectError, ConnectorContext};
use kafka_wire::TopicPartition;
use tokio::{sync::watch, task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    config::MirrorSourceConfig,
    refresh::{Known, RefreshError, Refreshed, expect_same_clusters, refresh, remote_topics_are_there},
    remote_topics::RemoteTopics,
    reverse_flow::{CopiedBack, Looked, Precedence, ReverseFlow},
    topics::{self, Changes},
};
use crate::{
    internal_topic::InternalTopic,
    scheduler::{Retry, Schedule},
    topic_watch::LOOK_INTERVAL,
};

/// The partitions to be dealt to tasks; `None` until they are known.
pub(crate) type Assigned = Option<Arc<[TopicPartition]>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Job {
    CreateOffsetSyncsTopic,
    RefreshTopics,
    WatchRemoteTopics,
    LookForFlowBack,
    SyncTopicConfigs,
    SyncTopicAcls,
}

impl Job {
    fn what(self) -> &'static str {
        match self {
            Self::CreateOffsetSyncsTopic => "creating the offset-syncs topic",
            Self::RefreshTopics => "refreshing topics",
            Self::WatchRemoteTopics => "looking after remote topics",
            Self::LookForFlowBack => "looking for a flow back",
            Self::SyncTopicConfigs => "syncing topic configs",
            Self::SyncTopicAcls => "syncing topic ACLs",
        }
    }
}

/// How often it is looked whether the remote topics are still there. Until one that was deleted is made again its
/// partitions wait, so this does not wait for a refresh.
const WATCH_INTERVAL: Duration = Duration::from_secs(10);

/// What a job has brought.
enum Brought {
    Nothing,
    Topics(Refreshed),
    /// Remote topics are gone, or others.
    RemoteTopicsAreGone,
    /// What a flow back has copied.
    FlowBack(Looked, CopiedBack),
}

/// How a job has ended.
type Ended = (Job, Result<Brought, RefreshError>);

/// See the module.
pub(crate) struct Flow {
    /// `A->B`, for the log.
    name: String,
    config: Arc<MirrorSourceConfig>,
    remote_topics: Arc<RemoteTopics>,
    offset_syncs_topic: Option<InternalTopic>,
    context: Arc<dyn ConnectorContext>,
    assigned: watch::Sender<Assigned>,
    known: Known,
    looping: BTreeSet<Arc<str>>,
    misnamed: BTreeSet<Arc<str>>,
    reverse_flow: Option<Arc<ReverseFlow>>,
    looked: Looked,
    precedence: Precedence,
    /// Topics that a flow of somebody else copies back.
    copied_back: BTreeSet<Arc<str>>,
    /// Another cluster answers: nothing is assigned.
    is_paused: bool,
    schedule: Schedule<Job>,
    jobs: JoinSet<Ended>,
}

impl Flow {
    pub(crate) fn new(
        config: Arc<MirrorSourceConfig>,
        remote_topics: RemoteTopics,
        context: Arc<dyn ConnectorContext>,
        assigned: watch::Sender<Assigned>,
    ) -> Self {
        let now = Instant::now();
        let mut schedule = Schedule::new();
        // The first load happens even if refreshing is switched off.
        schedule.add(Job::RefreshTopics, now, config.refresh_topics_interval);
        Self {
            name: config.rules.flow(),
            config,
            remote_topics: Arc::new(remote_topics),
            offset_syncs_topic: None,
            context,
            assigned,
            known: Known::default(),
            looping: BTreeSet::new(),
            misnamed: BTreeSet::new(),
            reverse_flow: None,
            looked: Looked::default(),
            precedence: Precedence::default(),
            copied_back: BTreeSet::new(),
            is_paused: false,
            schedule,
            jobs: JoinSet::new(),
        }
    }

    /// The topic of offset syncs is to exist.
    pub(crate) fn with_offset_syncs_topic(mut self, topic: Option<InternalTopic>) -> Self {
        if topic.is_some() {
            self.schedule
                .add(Job::CreateOffsetSyncsTopic, Instant::now(), Some(LOOK_INTERVAL));
        }
        self.offset_syncs_topic = topic;
        self
    }

    /// What somebody else copies back is left out.
    pub(crate) fn with_reverse_flow(mut self, reverse_flow: Option<ReverseFlow>) -> Self {
        if reverse_flow.is_some() {
            self.schedule
                .add(Job::LookForFlowBack, Instant::now(), Some(WATCH_INTERVAL));
        }
        self.reverse_flow = reverse_flow.map(Arc::new);
        self
    }

    /// Starts jobs as they are due until cancelled. They run side by side: one that waits for a cluster delays no other.
    pub(crate) async fn run(mut self, cancel: CancellationToken) {
        loop {
            let due = self.schedule.next();
            let ended = tokio::select! {
                () = cancel.cancelled() => break,
                () = sleep_until(due), if due.is_some() => None,
                Some(ended) = self.jobs.join_next() => Some(ended),
            };
            match (ended, due) {
                (Some(Ok((job, result))), _) => {
                    if self.on_ended(job, result).is_break() {
                        break;
                    }
                }
                // Whoever runs us makes a failed connector of it.
                (Some(Err(panic)), _) => std::panic::resume_unwind(panic.into_panic()),
                (None, Some((job, _))) => self.start(job),
                (None, None) => {}
            }
        }
        self.jobs.shutdown().await;
    }

    fn start(&mut self, job: Job) {
        self.schedule.started(job);
        let (config, remote_topics, known) = (self.config.clone(), self.remote_topics.clone(), self.known.clone());
        let offset_syncs_topic = self.offset_syncs_topic.clone();
        let (reverse_flow, looked) = (self.reverse_flow.clone(), self.looked.clone());
        self.jobs.spawn(async move {
            let done =
                |result: Result<(), ConnectError>| result.map(|()| Brought::Nothing).map_err(RefreshError::Failed);
            let result = match job {
                Job::CreateOffsetSyncsTopic => match offset_syncs_topic {
                    Some(topic) => done(topic.see_to().await),
                    None => Ok(Brought::Nothing),
                },
                Job::RefreshTopics => refresh(&config, &remote_topics, &known).await.map(Brought::Topics),
                Job::LookForFlowBack => match reverse_flow {
                    Some(reverse_flow) => {
                        let looked = reverse_flow.look(&looked).await.map_err(RefreshError::Failed);
                        looked.map(|(looked, topics)| Brought::FlowBack(looked, topics))
                    }
                    None => Ok(Brought::Nothing),
                },
                Job::WatchRemoteTopics => match remote_topics_are_there(&config, &remote_topics, &known).await {
                    Ok(false) => Ok(Brought::RemoteTopicsAreGone),
                    there => done(there.map(drop)),
                },
                Job::SyncTopicConfigs | Job::SyncTopicAcls => {
                    let (source, target) = (&known.source.topics, &known.target.topics);
                    match expect_same_clusters(&config, &remote_topics, &known).await {
                        Err(error) => Err(error),
                        Ok(()) if job == Job::SyncTopicConfigs => {
                            done(remote_topics.sync_configs(source, target).await)
                        }
                        Ok(()) => done(remote_topics.sync_acls(source).await),
                    }
                }
            };
            (job, result)
        });
    }

    fn on_ended(&mut self, job: Job, result: Result<Brought, RefreshError>) -> ControlFlow<()> {
        let result = match result {
            Ok(Brought::Nothing) => Ok(()),
            Ok(Brought::Topics(refreshed)) => self.on_refreshed(refreshed),
            Ok(Brought::RemoteTopicsAreGone) => {
                self.schedule.hasten(Job::RefreshTopics, Instant::now());
                Ok(())
            }
            Ok(Brought::FlowBack(looked, topics)) => {
                self.looked = looked;
                self.leave_out(topics);
                Ok(())
            }
            Err(RefreshError::Failed(error)) => Err(error),
            Err(RefreshError::AnotherCluster(error)) => {
                self.pause();
                // It finds out when the former one is back.
                if job != Job::RefreshTopics {
                    self.schedule.hasten(Job::RefreshTopics, Instant::now());
                }
                Err(error)
            }
            Err(RefreshError::OntoItself(error)) => {
                self.context.raise_error(error);
                return ControlFlow::Break(());
            }
        };
        match result {
            Ok(()) => self.on_success(job),
            Err(error) => self.on_failure(job, &error),
        }
        ControlFlow::Continue(())
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

    fn on_refreshed(&mut self, refreshed: Refreshed) -> Result<(), ConnectError> {
        let Refreshed {
            mut known,
            mut looping,
            misnamed,
            completed,
        } = refreshed;
        if !self.copied_back.is_empty() {
            let source = Arc::make_mut(&mut known.source);
            source.topics.retain(|topic, _| !self.copied_back.contains(topic));
            looping.extend(self.copied_back.iter().cloned());
        }
        let before = std::mem::replace(&mut self.known, known);
        let is_first = self.assigned.borrow().is_none();
        if is_first {
            self.warn_of_one_cluster();
        }
        self.tell_looping(looping);
        self.tell_misnamed(misnamed);
        let changes = Changes::between(&before.source.topics, &self.known.source.topics);
        if !is_first {
            self.tell(&changes);
        }
        let made_again = topics::recreated(&before.target.ids, &self.known.target.ids);
        for remote in &made_again {
            tracing::warn!(
                flow = self.name, %remote,
                "remote topic was deleted and made again on the target; what was copied before is not copied again"
            );
        }
        let was_paused = std::mem::take(&mut self.is_paused);
        if is_first || was_paused || !changes.is_empty() {
            self.publish(is_first);
        }
        if is_first {
            self.schedule_syncs();
        } else if !made_again.is_empty() {
            // Who made it did not know its source's settings.
            self.schedule.hasten(Job::SyncTopicConfigs, Instant::now());
        }
        completed
    }

    fn warn_of_one_cluster(&self) {
        let Known { source, target } = &self.known;
        if source.cluster_id.is_some() && source.cluster_id == target.cluster_id {
            tracing::warn!(
                flow = self.name,
                cluster_id = source.cluster_id.as_deref(),
                "source and target are the same cluster: check both bootstrap.servers"
            );
        }
    }

    /// Says of each such topic once that it is left out.
    fn tell_looping(&mut self, looping: BTreeSet<Arc<str>>) {
        let keeps_names = self.config.rules.policy.keeps_names();
        for topic in looping.difference(&self.looping) {
            match keeps_names {
                true => tracing::error!(
                    flow = self.name, %topic,
                    "topic is left out: the flow back copies it under the same name, and its records would go round for ever; \
                     exclude it from one of the two flows"
                ),
                false => tracing::warn!(
                    flow = self.name, %topic,
                    "topic is left out: it is a copy that has come back to this cluster, perhaps under another alias"
                ),
            }
        }
        self.looping = looping;
    }

    /// Says of each such topic once that its name keeps it back, as in Kafka, which says nothing.
    fn tell_misnamed(&mut self, misnamed: BTreeSet<Arc<str>>) {
        let rules = &self.config.rules;
        for topic in misnamed.difference(&self.misnamed) {
            tracing::warn!(
                flow = self.name, %topic, origin = rules.origin_on_target(topic), target = rules.target_alias,
                "topic is not copied: by its name it is a copy of one of the target's, which has no such topic; if it is none, \
                 rename it, or the alias of the target"
            );
        }
        self.misnamed = misnamed;
    }

    /// Takes topics from the tasks that would go round.
    fn leave_out(&mut self, mut copied_back: CopiedBack) {
        let Known { source, target } = &self.known;
        copied_back.retain(|topic, _| source.topics.contains_key(topic));
        let stays = source.cluster_id.is_some() && source.cluster_id < target.cluster_id;
        let topics: BTreeSet<_> = self.precedence.leaving(copied_back, stays).into_iter().collect();
        if topics.is_empty() {
            return;
        }
        Arc::make_mut(&mut self.known.source)
            .topics
            .retain(|topic, _| !topics.contains(topic));
        self.copied_back.extend(topics.iter().cloned());
        self.tell_looping(self.looping.union(&topics).cloned().collect());
        self.publish(false);
    }

    /// Takes all work from the tasks.
    fn pause(&mut self) {
        if !std::mem::replace(&mut self.is_paused, true) {
            self.assigned.send_replace(Some(Arc::new([])));
            self.context.request_task_reconfiguration();
        }
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
        if self
            .config
            .refresh_topics_interval
            .is_some_and(|interval| interval > WATCH_INTERVAL)
        {
            self.schedule
                .add(Job::WatchRemoteTopics, now + WATCH_INTERVAL, Some(WATCH_INTERVAL));
        }
    }

    fn publish(&self, is_first: bool) {
        let topics = &self.known.source.topics;
        let partitions: Arc<[TopicPartition]> = topics::partitions(topics).into();
        if is_first {
            tracing::info!(
                flow = self.name,
                topics = topics.len(),
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

async fn sleep_until<J>(due: Option<(J, Instant)>) {
    match due {
        Some((_, at)) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Failures that one line of the log names.
const NAMED_FAILURES: usize = 3;

/// The first failures of many, saying how many more there are: one that lasts must not hide the others for ever.
pub(crate) fn first_of(failures: Vec<ConnectError>) -> Result<(), ConnectError> {
    let more = failures.len().saturating_sub(NAMED_FAILURES);
    if failures.len() < 2 {
        return failures.into_iter().next().map_or(Ok(()), Err);
    }
    let named: Vec<String> = failures.iter().take(NAMED_FAILURES).map(ConnectError::chain).collect();
    let named = named.join("; ");
    Err(ConnectError::new(match more {
        0 => named,
        more => format!("{named} (and {more} more)"),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_that_lasts_does_not_hide_the_next() {
        let said = |topics: &[&str]| {
            let failures = topics.iter().map(|topic| ConnectError::new(format!("no {topic}")));
            first_of(failures.collect()).map_err(|error| error.to_string())
        };
        assert_eq!(said(&[]), Ok(()));
        assert_eq!(said(&["a"]), Err("no a".to_owned()));
        assert_eq!(said(&["a", "b"]), Err("no a; no b".to_owned()));
        assert_eq!(
            said(&["a", "b", "c", "d", "e"]),
            Err("no a; no b; no c (and 2 more)".to_owned())
        );
    }
}
