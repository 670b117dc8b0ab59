//! How connectors and tasks come to run.

use std::{sync::Arc, time::Duration};

use config_def::with_prefix_stripped;
use connect_api::{ConnectError, Props, SourceTask, TaskContext};
use kafka_client::{
    Client, Dialer,
    admin::Admin,
    config::{ClientConfig, ClientKind, ProducerConfig, without_effect},
    producer::Producer,
};
use tokio::task::JoinSet;
use tracing::{Instrument, error, warn};

use super::{
    Herder, TaskVersion,
    children::{Child, ChildLine, Exit, TaskLine},
    converters::{self, Unused},
    plan::{Phase, WantedConnector, WantedTask},
};
use crate::{
    clients,
    clock::Clock,
    metrics::TaskMetrics,
    settings::{ExactlyOnceSupport, Storage},
    storage::{
        self, ConnectorOffsets, OFFSETS_TOPIC, OwnTopic, Stores,
        config::{RawConfig, raw},
        status::StatusKey,
    },
    worker::{
        Boundary, ConnectorRequests, ConnectorTaskId, ExactlyOnceStart, MaxTasks, OffsetCommit, RecordHandling, State,
        TopicCreation, TopicGroups, Transactions, WorkerConnector, WorkerSourceTask,
    },
};

/// How long the start of a task waits for offsets that earlier runs on this worker gave to be written.
const LAST_COMMIT_PATIENCE: Duration = Duration::from_secs(30);

impl Herder {
    pub(super) fn start_connector(&mut self, name: &Arc<str>, wanted: &WantedConnector) {
        let requests = Arc::<ConnectorRequests>::default();
        let run = self.next_run();
        let (mut child, line) = Child::new(
            run,
            wanted.config.clone(),
            requests.clone(),
            wanted.target,
            &self.cancel_children,
        );
        match self.build_connector(name, &wanted.config, requests, line) {
            Ok((connector, cancel)) => {
                let exit = Exit::Connector { key: name.clone(), run };
                let running = async move {
                    connector.run(cancel).await;
                    exit
                };
                child.runs_as(self.child_set.spawn(running.in_current_span()));
            }
            Err(error) => {
                self.restarts.connector_started(name, State::Failed);
                let trace = error.chain();
                error!(connector = &**name, error = trace, "connector failed");
                self.metrics.connector_started(false);
                child.fail(trace.clone());
                self.put_status_safe(StatusKey::Connector(name.to_string()), State::Failed, Some(trace));
            }
        }
        self.connectors.insert(name.clone(), child);
    }

    fn build_connector(
        &self,
        name: &Arc<str>,
        config: &RawConfig,
        requests: Arc<ConnectorRequests>,
        line: ChildLine,
    ) -> Result<(WorkerConnector, tokio_util::sync::CancellationToken), ConnectError> {
        let props = self.plugins.resolve(raw::to_props(config))?;
        let connector = self.plugins.connector(class(&props)?)?;
        // Only tasks create topics, but a connector with unusable settings fails as a whole.
        self.topic_groups(name, &props)?;
        let worker = WorkerConnector {
            name: name.clone(),
            run: line.run,
            connector,
            max_tasks: max_tasks(&props)?,
            props,
            requests,
            target_state: line.target,
            events: self.events.clone(),
        };
        Ok((worker, line.cancel))
    }

    pub(super) fn start_task(&mut self, id: &ConnectorTaskId, wanted: &WantedTask) {
        let Some(stores) = self.stores.clone() else { return };
        let metrics = Arc::<TaskMetrics>::default();
        let run = self.next_run();
        let version = TaskVersion(wanted.generation);
        let built = self.build_task(id, wanted);
        let connector = built.as_ref().map(|built| built.connector.clone()).unwrap_or_default();
        let (own, connector) = TaskLine::new(metrics.clone(), wanted.connector_config.clone(), connector);
        let (mut child, line) = Child::new(run, version, own, wanted.target, &self.cancel_children);
        let task_count = wanted.of;
        match built {
            Ok(Built {
                task,
                props,
                connector: _,
                mut producer,
                handling,
                topic_creation,
                boundary,
                own_offsets,
            }) => {
                let settings = &self.settings;
                let (interval, timeout) = (settings.offset_flush_interval, settings.offset_flush_timeout);
                // Half of what all of the end may take: what was acknowledged has to be stored in the other half.
                let grace = settings.task_shutdown_graceful_timeout;
                let drain_timeout = timeout.min(grace / 2);
                let (id, events, clock) = (id.clone(), self.events.clone(), self.clock.clone());
                let topic_tracking = settings.topic_tracking;
                let (hold, dialer) = (self.hold.subscribe(), self.dialer.clone());
                let generation = wanted.generation;
                let running = async move {
                    if boundary.is_some() {
                        let start = ExactlyOnceStart {
                            id: id.clone(),
                            generation,
                            configs: stores.configs.clone(),
                            events: events.clone(),
                            hold: hold.clone(),
                        };
                        let prepared = tokio::select! {
                            () = line.cancel.cancelled() => return Exit::Task { key: id, run, end: Ok(()) },
                            prepared = start.prepare(&mut producer) => prepared,
                        };
                        if let Err(error) = prepared {
                            let end = Err(error);
                            return Exit::Task { key: id, run, end };
                        }
                    }
                    let opened = tokio::select! {
                        () = line.cancel.cancelled() => return Exit::Task { key: id, run, end: Ok(()) },
                        opened = read_offsets(own_offsets, &stores, &dialer, &clock) => opened,
                    };
                    let (store, _store_running) = match opened {
                        Ok(opened) => opened,
                        Err(error) => {
                            let error = ConnectError::caused_by("the stored offsets cannot be read", error);
                            return Exit::Task {
                                key: id,
                                run,
                                end: Err(error),
                            };
                        }
                    };
                    let offsets = Arc::new(store.reader(&id.connector));
                    let context = TaskContext {
                        task_id: id.to_string(),
                        task_count,
                        offsets,
                        cancel: line.cancel.clone(),
                        offset_flush_interval: interval,
                    };
                    let task = WorkerSourceTask {
                        id: id.clone(),
                        run,
                        task,
                        context: Some(context),
                        connector,
                        producer,
                        handling,
                        topic_creation,
                        hold,
                        commit: OffsetCommit::new(id.clone(), store.clone(), interval, timeout, clock.clone()),
                        transactions: boundary.map(|boundary| Transactions::new(boundary, store, clock)),
                        drain_timeout,
                        grace,
                        topic_tracking,
                        target_state: line.target,
                        events,
                        metrics,
                        polling_since: None,
                    };
                    let end = task.run(props, line.cancel).await;
                    Exit::Task { key: id, run, end }
                };
                child.runs_as(self.child_set.spawn(running.in_current_span()));
            }
            Err(error) => {
                let trace = error.chain();
                error!(task = %id, error = trace, "task failed");
                self.metrics.task_started(false);
                child.fail(trace.clone());
                self.put_status_safe(StatusKey::Task(id.clone()), State::Failed, Some(trace));
            }
        }
        self.restarts.task_started(id, child.phase == Phase::Active);
        self.tasks.insert(id.clone(), child);
    }

    fn build_task(&self, id: &ConnectorTaskId, wanted: &WantedTask) -> Result<Built, ConnectError> {
        let connector = self.plugins.resolve(raw::to_props(&wanted.connector_config))?;
        let props = self.plugins.resolve(raw::to_props(&wanted.config))?;
        max_tasks(&connector)?.check(&id.connector, wanted.of)?;
        let task = self.plugins.connector(class(&connector)?)?.new_task();
        let refused = self.plugins.refused_overrides(&connector);
        if !refused.is_empty() {
            let message = format!("Client Config Overrides not allowed [{}]", refused.join(", "));
            return Err(ConnectError::new(message));
        }
        let handling = Arc::new(RecordHandling::parse(&connector, &self.settings.props, id)?);
        if id.task == 0 {
            for Unused { key, class, of_worker } in converters::without_effect(&connector, &self.settings.props) {
                warn!(
                    connector = &*id.connector,
                    key, class, of_worker, "a converter converts nothing here: records are mirrored byte for byte"
                );
            }
        }
        let producer_props = clients::task_producer(&self.settings.props, &connector, id);
        if id.task == 0 {
            let mut given = with_prefix_stripped(&self.settings.props, "producer.");
            given.extend(with_prefix_stripped(&connector, "producer.override."));
            for key in without_effect(&given, ClientKind::Producer) {
                warn!(
                    connector = &*id.connector,
                    key, "a setting of the producer has no effect here"
                );
            }
            if matches!(self.settings.storage, Storage::Local { .. }) && connector.contains_key(OFFSETS_TOPIC) {
                warn!(
                    connector = &*id.connector,
                    "offsets.storage.topic has no effect: a standalone worker keeps offsets in its file"
                );
            }
        }
        let config = ProducerConfig::parse(&producer_props).map_err(|errors| {
            ConnectError::caused_by(
                format!("the settings of the producer of task {id} are not usable"),
                errors,
            )
        })?;
        let client = Client::new(config.client.clone(), self.dialer.clone());
        let is_exactly_once = self.settings.exactly_once == ExactlyOnceSupport::Enabled;
        let (producer, boundary) = match is_exactly_once {
            true => {
                let boundary = Boundary::parse(&connector, self.settings.offset_flush_interval)?;
                let boundary = boundary.well_within(config.transaction_timeout);
                let transactional_id = self.settings.task_transactional_id(id);
                let producer = Producer::transactional(client, config, &transactional_id);
                (producer, Some(boundary))
            }
            false => (Producer::new(client, config), None),
        };
        let producer = producer.held_by(self.hold.subscribe());
        let topic_creation = self.topic_creation(id, &connector)?;
        let own_offsets = OwnTopic::of(&self.settings, &connector, id);
        Ok(Built {
            task,
            props,
            connector,
            producer,
            handling,
            topic_creation,
            boundary,
            own_offsets,
        })
    }

    fn topic_creation(&self, id: &ConnectorTaskId, connector: &Props) -> Result<Option<TopicCreation>, ConnectError> {
        let Some(groups) = self.topic_groups(&id.connector, connector)? else {
            return Ok(None);
        };
        let props = clients::task_admin(&self.settings.props, connector, id);
        let config = ClientConfig::parse(&props).map_err(|errors| {
            let what = format!("the settings of the admin client of task {id} are not usable");
            ConnectError::caused_by(what, errors)
        })?;
        let admin = Admin::new(Client::new(config, self.dialer.clone()));
        Ok(Some(TopicCreation::new(id.clone(), groups, admin)))
    }

    fn topic_groups(&self, connector: &str, props: &Props) -> Result<Option<TopicGroups>, ConnectError> {
        if !self.settings.topic_creation {
            return Ok(None);
        }
        TopicGroups::parse(props).map_err(|errors| {
            ConnectError::caused_by(format!("the settings of connector {connector} are not usable"), errors)
        })
    }

    fn next_run(&mut self) -> u64 {
        self.next_run += 1;
        self.next_run
    }
}

/// What a task is made of.
struct Built {
    task: Box<dyn SourceTask>,
    props: Props,
    /// The connector's own configuration.
    connector: Props,
    producer: Producer,
    handling: Arc<RecordHandling>,
    topic_creation: Option<TopicCreation>,
    /// Of a task that writes exactly once.
    boundary: Option<Boundary>,
    own_offsets: Option<OwnTopic>,
}

/// Opens where a connector's offsets are, and reads them.
async fn read_offsets(
    own: Option<OwnTopic>,
    stores: &Stores,
    dialer: &Dialer,
    clock: &Clock,
) -> Result<(ConnectorOffsets, JoinSet<()>), storage::Error> {
    // The run before may have given up on its last commit, which is on its way all the same.
    match tokio::time::timeout(LAST_COMMIT_PATIENCE, stores.offsets.written()).await {
        Ok(written) => written?,
        Err(_) => warn!("offsets of earlier runs are still not stored: what they stand for may be copied again"),
    }
    let opened = ConnectorOffsets::open_for_task(own, stores.offsets.clone(), dialer, clock).await?;
    opened.0.read_to_end().await?;
    Ok(opened)
}

pub(super) fn class(props: &Props) -> Result<&str, ConnectError> {
    let class = props
        .get("connector.class")
        .map(|class| class.trim())
        .filter(|class| !class.is_empty());
    class.ok_or_else(|| ConnectError::new("the connector's configuration has no connector.class"))
}

fn max_tasks(props: &Props) -> Result<MaxTasks, ConnectError> {
    let max = match props.get("tasks.max").map(|text| text.trim().parse::<i32>()) {
        None => 1,
        Some(Ok(max)) if max >= 1 => max.unsigned_abs() as usize,
        Some(_) => {
            return Err(ConnectError::new(format!(
                "tasks.max is {}, which is no positive number",
                props["tasks.max"]
            )));
        }
    };
    let enforce = props
        .get("tasks.max.enforce")
        .is_none_or(|text| !text.trim().eq_ignore_ascii_case("false"));
    Ok(MaxTasks { max, enforce })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tasks_max_is_one_unless_said_otherwise() {
        let check = |pairs: &[(&str, &str)], expected: Option<(usize, bool)>| {
            let props = pairs
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect();
            assert_eq!(
                max_tasks(&props).ok().map(|limit| (limit.max, limit.enforce)),
                expected,
                "{pairs:?}"
            );
        };
        check(&[], Some((1, true)));
        check(
            &[("tasks.max", " 4 "), ("tasks.max.enforce", "FALSE")],
            Some((4, false)),
        );
        check(&[("tasks.max", "0")], None);
        check(&[("tasks.max", "many")], None);
    }
}
