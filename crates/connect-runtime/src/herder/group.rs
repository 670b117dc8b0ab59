//! This worker among the others of its group: what it is told to stop and to run, who leads, and who owns what.

use std::{sync::Arc, time::Duration};

use connect_api::{BoxFuture, ConnectorContext};
use connect_group::{
    CatchUpError, ConfigSnapshot, ConfigSnapshots, ConnectProtocol, GroupConfig, GroupEvent, Member, MemberHandle,
    Revocation, Round, Work,
};
use kafka_client::{Client, ClientConfig};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, info, warn};

use super::{
    Error, Herder, Lifecycle, RequestError,
    assignment::{Part, Share, task_id},
    other_workers::WorkerClient,
    publications::Publications,
};
use crate::{
    storage::{KafkaBasedLog, config::ConfigState},
    worker::ConnectorTaskId,
};

/// How long an acknowledged stop waits for its statuses: a target that is away holds up no rebalance.
const STATUS_TIMEOUT: Duration = Duration::from_secs(3);
/// How long the end waits until the group has been left.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(3);

pub(super) struct Group {
    pub(super) rest_url: Arc<str>,
    pub(super) worker_client: Arc<dyn WorkerClient>,
    /// There once the config topic has been read.
    member: Option<MemberHandle>,
    running: JoinSet<Result<(), connect_group::Error>>,
    cancel: CancellationToken,
    events: Option<mpsc::Receiver<GroupEvent>>,
    pub(super) round: Option<Arc<Round>>,
    /// Whether the connectors that this worker was given are stored, or another worker's, which leads.
    given_settled: bool,
    /// Who has to answer is about to change.
    pub(super) rebalancing: bool,
    /// Why to join again, once the tasks that are configured anew have stopped.
    rejoin: Option<&'static str>,
    stopping: Vec<Stopping>,
    pub(super) publications: Publications,
    /// When the leader looks at the session key again.
    pub(super) key_due: Option<Instant>,
}

/// Work that was revoked and is to be reported as stopped.
struct Stopping {
    work: Work,
    done: oneshot::Sender<()>,
    statuses_until: Instant,
}

pub(super) enum GroupNews {
    Event(GroupEvent),
    Ended(Result<(), Error>),
}

impl Group {
    pub(super) fn new(rest_url: Arc<str>, worker_client: Arc<dyn WorkerClient>) -> Self {
        Self {
            rest_url,
            worker_client,
            member: None,
            running: JoinSet::new(),
            cancel: CancellationToken::new(),
            events: None,
            round: None,
            given_settled: false,
            rebalancing: true,
            rejoin: None,
            stopping: Vec::new(),
            publications: Publications::default(),
            key_due: None,
        }
    }

    pub(super) fn leads(&self) -> bool {
        self.round.as_ref().is_some_and(|round| round.is_leader)
    }

    pub(super) fn leader_url(&self) -> Option<String> {
        let round = self.round.as_ref()?;
        Some(round.leader_url.to_string()).filter(|url| !url.is_empty())
    }

    /// Whether requests between workers are signed.
    pub(super) fn is_sessioned(&self) -> bool {
        let protocol = self.round.as_ref().map(|round| round.protocol);
        protocol == Some(ConnectProtocol::Sessioned)
    }

    /// Asks to join again, once what has to stop for it has stopped.
    pub(super) fn rejoin(&mut self, reason: &'static str) {
        self.rejoin = Some(reason);
        self.rebalancing = true;
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let statuses = self.stopping.iter().map(|stopping| stopping.statuses_until);
        statuses.chain(self.key_due).chain(self.publications.retry_at()).min()
    }

    /// Leaves the group; what runs has stopped.
    pub(super) async fn leave(&mut self) {
        self.cancel.cancel();
        self.stopping.clear();
        let leaving = async {
            while !self.running.is_empty() {
                // An event that nobody takes would hold the member up.
                drop(next_news(Some(self)).await);
            }
        };
        if tokio::time::timeout(LEAVE_TIMEOUT, leaving).await.is_err() {
            warn!("the group was not left in time");
        }
        self.running.shutdown().await;
    }
}

/// What the member says, or how it ended.
pub(super) async fn next_news(group: Option<&mut Group>) -> GroupNews {
    let Some(Group {
        events: Some(events),
        running,
        ..
    }) = group
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        biased;
        Some(event) = events.recv() => GroupNews::Event(event),
        Some(ended) = running.join_next() => GroupNews::Ended(match ended {
            Ok(ended) => ended.map_err(Error::Group),
            Err(error) => Err(Error::Internal(error.to_string())),
        }),
        else => std::future::pending().await,
    }
}

impl Herder {
    /// The config topic has been read: becomes a member.
    pub(super) fn join_group(&mut self) -> Result<(), Error> {
        let (Some(group), Some(stores), Some(settings)) = (&mut self.group, &self.stores, &self.settings.group) else {
            return Ok(());
        };
        let config = GroupConfig {
            rest_url: group.rest_url.clone(),
            ..settings.config.clone()
        };
        let mut props = self.settings.props.clone();
        let client_id = props.entry("client.id".to_owned()).or_default();
        if client_id.is_empty() {
            *client_id = format!("connect-{}", self.worker_id);
        }
        let client = ClientConfig::parse(&props).map_err(crate::storage::Error::Config)?;
        let client = Client::new(client, self.dialer.clone());
        let configs = Arc::new(ConfigTopic(stores.configs.clone()));
        let (member, handle, events) = Member::new(client, config, configs)?;
        let running = member.run(group.cancel.clone());
        group.running.spawn(running.in_current_span());
        (group.member, group.events) = (Some(handle), Some(events));
        self.share = Some(Share::Of(Part::default()));
        self.begin_stage("joining the group");
        Ok(())
    }

    pub(super) fn on_group(&mut self, news: GroupNews) -> Result<(), Error> {
        match news {
            GroupNews::Ended(ended) => {
                ended?;
                return Err(Error::Internal("the group member".to_owned()));
            }
            GroupNews::Event(GroupEvent::Rebalancing) => {
                if let Some(group) = &mut self.group {
                    group.rebalancing = true;
                }
                self.metrics.rebalance_began();
                self.begin_stage("waiting for the group to share out connectors and tasks");
            }
            GroupNews::Event(GroupEvent::Suspended) => drop(self.hold.send_replace(true)),
            GroupNews::Event(GroupEvent::Resumed) => {
                self.leadership.doubt();
                self.hold.send_replace(false);
                self.tell_failures();
            }
            GroupNews::Event(GroupEvent::Revoked(revocation)) => self.on_revoked(revocation),
            GroupNews::Event(GroupEvent::Joined(round)) => self.on_joined(round),
            GroupNews::Event(GroupEvent::Assigned(round)) => self.on_assigned(&round),
        }
        Ok(())
    }

    fn on_revoked(&mut self, Revocation { work, reason, done }: Revocation) {
        info!(
            ?reason,
            connectors = work.connectors.len(),
            tasks = work.tasks.len(),
            "stopping revoked connectors and tasks"
        );
        if let Some(Share::Of(part)) = &mut self.share {
            part.revoke(&work);
        }
        if let Some(group) = &mut self.group {
            group.stopping.push(Stopping {
                work,
                done,
                statuses_until: Instant::now() + STATUS_TIMEOUT.max(self.settings.task_shutdown_graceful_timeout * 2),
            });
        }
        self.reconcile();
    }

    fn on_joined(&mut self, round: Arc<Round>) {
        let Some(group) = &mut self.group else { return };
        let before = group.round.replace(round.clone());
        self.generation = round.generation;
        group.given_settled &= round.is_leader;
        let same_leader = before.is_some_and(|before| before.leader == round.leader);
        if !same_leader {
            // What was on its way to the leader of before is told to the new one.
            group.publications.clear();
            group.key_due = None;
            if !round.is_leader {
                self.leadership.lose();
                let url = group.leader_url();
                self.config_writes.give_up_leading(&RequestError::Forward { url });
            }
            for child in self.connectors.values() {
                child.own.request_task_reconfiguration();
            }
        }
        self.tidy_statuses();
    }

    fn on_assigned(&mut self, round: &Round) {
        let protocol = match round.protocol {
            ConnectProtocol::Eager => "eager",
            protocol => protocol.group_name(),
        };
        self.metrics
            .rebalance_ended(round.generation, &round.leader_url, protocol);
        let Some(group) = &mut self.group else { return };
        group.rebalancing = group.rejoin.is_some();
        if let Some(Share::Of(part)) = &mut self.share {
            part.assign(&round.work, round.config_offset);
        }
        if self.lifecycle == Lifecycle::Joining {
            // Later rounds have the member's line only.
            info!(
                generation = round.generation,
                connectors = round.work.connectors.len(),
                tasks = round.work.tasks.len(),
                config_offset = round.config_offset,
                "Starting connectors and tasks"
            );
            self.lifecycle = Lifecycle::Running;
            self.progress.send_modify(|progress| progress.started = true);
        }
        self.complete_stage();
        if let Some(group) = &mut self.group
            && group.leads()
            && !std::mem::replace(&mut group.given_settled, true)
        {
            self.write_given_connectors();
        }
        self.reconcile();
        self.tidy_statuses();
        self.rotate_session_key();
        self.take_parked_requests();
    }

    /// What waits until something has stopped, or until some time has come.
    pub(super) fn tend_group(&mut self) {
        self.acknowledge_stops();
        let held = |id: &ConnectorTaskId| self.share.as_ref().is_some_and(|share| !share.may_run_task(id));
        let tasks_stop = self.tasks.iter().any(|(id, child)| child.is_stopping() && held(id));
        let Some(group) = &mut self.group else { return };
        if let (Some(member), false) = (&group.member, tasks_stop)
            && let Some(reason) = group.rejoin.take()
        {
            member.rejoin(reason);
        }
        if group.key_due.is_some_and(|due| due <= Instant::now()) {
            self.rotate_session_key();
        }
    }

    fn acknowledge_stops(&mut self) {
        let (connectors, tasks) = (&self.connectors, &self.tasks);
        let statuses_written = self.status_writes.is_empty();
        let Some(group) = &mut self.group else { return };
        let now = Instant::now();
        let stopped = |stopping: &mut Stopping| {
            let gone = !connectors.keys().any(|name| stopping.work.connectors.contains(name))
                && !tasks.keys().any(|id| stopping.work.tasks.contains(&task_id(id)));
            gone && (statuses_written || stopping.statuses_until <= now)
        };
        for stopping in group.stopping.extract_if(.., stopped) {
            // A member that has ended needs no word.
            let _ = stopping.done.send(());
        }
    }
}

/// The config topic, as the group sees it.
struct ConfigTopic(KafkaBasedLog<ConfigState>);

impl ConfigSnapshots for ConfigTopic {
    fn snapshot(&self) -> ConfigSnapshot {
        let configs = self.0.state();
        let connectors = configs.connectors().map(|(name, connector)| {
            let tasks = u32::try_from(connector.task_configs().len());
            (name.into(), tasks.unwrap_or(u32::MAX))
        });
        ConfigSnapshot {
            offset: configs.config_offset().unwrap_or(-1),
            connectors: connectors.collect(),
        }
    }

    fn read_to_end(&self) -> BoxFuture<'static, Result<(), CatchUpError>> {
        let log = self.0.clone();
        Box::pin(async move {
            log.read_to_end()
                .await
                .map_err(|error| CatchUpError(error.chain().into()))
        })
    }
}
