//! What runs here becomes what should run here, and what happens to it is taken note of.

use std::{collections::BTreeMap, sync::Arc};

use connect_api::Props;
use tokio::time::Instant;
use tracing::{debug, error, info, warn};

use super::{
    ConfigChange, Error, Herder, Lifecycle, TaskVersion,
    assignment::Share,
    children::{Exit, running},
    plan::{Phase, Step, Wanted, WantedTask, steps},
    restarts::RestartScope,
    task_configs,
};
use crate::{
    storage::{
        config::{ConfigEvent, RawConfig, raw},
        status::StatusKey,
    },
    worker::{CONNECTOR_STOP_TIMEOUT, ConnectorChange, ConnectorTaskId, State, TargetState, WorkerEvent},
};

impl Herder {
    pub(super) fn on_configs_changed(&mut self) {
        let Some(stores) = &self.stores else { return };
        let (events, config_offset) = {
            let mut configs = stores.configs.state();
            (configs.take_events(), configs.config_offset().unwrap_or(-1))
        };
        let mut changed = false;
        let mut rejoin = None;
        let mut restarts: BTreeMap<String, RestartScope> = BTreeMap::new();
        for event in events {
            match event {
                ConfigEvent::Changed(_) => changed = true,
                ConfigEvent::AddedOrRemoved(_) => {
                    changed = true;
                    rejoin = Some("a connector was added or removed");
                }
                ConfigEvent::TasksCommitted(connector) => {
                    changed = true;
                    rejoin = Some("tasks were configured");
                    if let Some(Share::Of(part)) = &mut self.share {
                        part.hold(&connector, config_offset);
                    }
                }
                ConfigEvent::RestartRequested {
                    connector,
                    include_tasks,
                    only_failed,
                } => {
                    let scope = RestartScope::new(include_tasks, only_failed);
                    let merged = restarts.entry(connector).or_insert(scope);
                    *merged = scope.max(*merged);
                }
                ConfigEvent::LoggerLevel { logger, level } => {
                    if let Some(levels) = &self.logger_levels {
                        levels.set(&logger, &level);
                    }
                }
                ConfigEvent::SessionKey => self.rotate_session_key(),
            }
        }
        for (connector, scope) in restarts {
            self.restart(&connector, scope);
        }
        if let (Some(group), Some(reason)) = (&mut self.group, rejoin) {
            group.rejoin(reason);
        }
        if changed {
            self.reconcile();
            self.tidy_statuses();
        }
    }

    /// Makes what runs here what should run here.
    pub(super) fn reconcile(&mut self) {
        let (Some(stores), Some(share), Lifecycle::Running) = (&self.stores, &self.share, self.lifecycle) else {
            return;
        };
        let wanted = Wanted::new(&stores.configs.state(), share);
        let configs = wanted
            .connectors
            .iter()
            .map(|(name, wanted)| (name.clone(), wanted.config.clone()))
            .collect();
        for step in steps(&configs, &running(&self.connectors)) {
            match step {
                Step::Stop(name) => self.stop_connector(&name),
                Step::Forget(name) => drop(self.connectors.remove(&name)),
                Step::Start(name) => self.start_connector(&name, &wanted.connectors[&name]),
            }
        }
        let version = |task: &WantedTask| TaskVersion(task.generation);
        let versions = wanted
            .tasks
            .iter()
            .map(|(id, task)| (id.clone(), version(task)))
            .collect();
        for step in steps(&versions, &running(&self.tasks)) {
            match step {
                Step::Stop(id) => self.stop_task(&id),
                Step::Forget(id) => drop(self.tasks.remove(&id)),
                Step::Start(id) => self.start_task(&id, &wanted.tasks[&id]),
            }
        }
        self.restarts.give_up(
            |name| self.connectors.contains_key(name),
            |id| self.tasks.contains_key(id),
        );
        for (name, wanted) in &wanted.connectors {
            if let Some(child) = self.connectors.get(name) {
                child.set_target(wanted.target);
            }
        }
        for (id, wanted) in &wanted.tasks {
            let Some(child) = self.tasks.get_mut(id) else { continue };
            child.set_target(wanted.target);
            let resolve = |connector: &RawConfig| self.plugins.resolve(raw::to_props(connector));
            if let Err(error) = child.own.configure(&wanted.connector_config, resolve) {
                warn!(task = %id, error = error.chain(), "a task goes on with its connector's settings of before");
            }
        }
    }

    pub(super) fn on_worker(&mut self, event: WorkerEvent) {
        match event {
            WorkerEvent::FencingWanted { connector, reply } => self.on_fencing_wanted(connector, reply),
            WorkerEvent::Connector { name, run, change } => {
                let Some(child) = self.connectors.get_mut(&name).filter(|child| child.run == run) else {
                    return;
                };
                match change {
                    ConnectorChange::State(state, trace) => {
                        if child.phase == Phase::Active {
                            self.restarts.connector_started(&name, state);
                        }
                        if child.state == State::Unassigned {
                            self.metrics.connector_started(state != State::Failed);
                        }
                        (child.state, child.trace) = (state, trace.clone());
                        self.put_status(StatusKey::Connector(name.to_string()), state, trace);
                    }
                    ConnectorChange::TaskConfigs(tasks) => self.on_task_configs(&name, &tasks),
                }
            }
            WorkerEvent::Task { id, run, state } => {
                let Some(child) = self.tasks.get_mut(&id).filter(|child| child.run == run) else {
                    return;
                };
                if child.state == State::Unassigned {
                    self.metrics.task_started(true);
                }
                (child.state, child.trace) = (state, None);
                info!(task = %id, ?state, "task changed its state");
                self.put_status(StatusKey::Task(id), state, None);
            }
            WorkerEvent::ActiveTopic { id, topic } => self.put_active_topic(&topic, &id),
        }
    }

    fn on_task_configs(&mut self, name: &str, tasks: &[Props]) {
        let Some(stores) = &self.stores else { return };
        let tasks = {
            let configs = stores.configs.state();
            let Some(connector) = configs.connector(name) else {
                return;
            };
            if connector.target_state() != TargetState::Started {
                return;
            }
            let tasks = task_configs::to_raw(tasks, connector.config().expect("it is configured"));
            let class = connector
                .config()
                .and_then(|config| config.get("connector.class")?.as_deref());
            let taken_over = class.map_or_else(Vec::new, |class| self.plugins.settings_taken_over(class));
            if !connector.needs_task_configs(&tasks, &taken_over) {
                debug!(connector = name, tasks = tasks.len(), "task configs are unchanged");
                return;
            }
            tasks
        };
        if self.leads() {
            let name = name.to_owned();
            self.config_writes.push(ConfigChange::PutTasks { name, tasks }, None);
        } else {
            self.publish_task_configs(name, tasks);
        }
    }

    /// What follows from exits costs as much for many as for one, and they come together: hundreds in a rebalance.
    pub(super) fn on_exits(&mut self, first: Exit<Arc<str>, ConnectorTaskId>) -> Result<(), Error> {
        self.on_exit(first);
        while let Some(joined) = self.child_set.try_join_next() {
            match joined {
                Ok(exit) => self.on_exit(exit),
                Err(error) if error.is_cancelled() => {}
                Err(error) => return Err(Error::Internal(error.to_string())),
            }
        }
        self.reconcile();
        self.tidy_statuses();
        Ok(())
    }

    fn on_exit(&mut self, exit: Exit<Arc<str>, ConnectorTaskId>) {
        // What it reported before its end may still be waiting, and comes first.
        while let Ok(event) = self.events_seen.try_recv() {
            self.on_worker(event);
        }
        match exit {
            Exit::Connector { key: name, run } => {
                let Some(child) = self.connectors.get(&name).filter(|child| child.run == run) else {
                    return;
                };
                let restarting = child.restarting;
                self.connectors.remove(&name);
                self.put_stopped(StatusKey::Connector(name.to_string()), restarting);
            }
            Exit::Task { key: id, run, end } => {
                let Some(child) = self.tasks.get_mut(&id).filter(|child| child.run == run) else {
                    return;
                };
                match end {
                    Err(error) if child.phase == Phase::Active => {
                        let trace = error.chain();
                        error!(task = %id, error = trace, "task failed and stays so until it is restarted");
                        if child.state == State::Unassigned {
                            self.metrics.task_started(false);
                        }
                        child.fail(trace.clone());
                        // Out of touch with the group, it may have been fenced by its successor, of which this worker has not
                        // heard; it is told once the task is known to be ours still.
                        if !*self.hold.borrow() {
                            self.put_status_safe(StatusKey::Task(id), State::Failed, Some(trace));
                        }
                    }
                    _ => {
                        let restarting = child.restarting;
                        self.tasks.remove(&id);
                        self.put_stopped(StatusKey::Task(id), restarting);
                    }
                }
            }
        }
    }

    /// Nothing of a child that was given up is believed any more; its successor may start.
    pub(super) fn abort_late_children(&mut self) {
        let now = Instant::now();
        let late: Vec<Arc<str>> = self
            .connectors
            .iter_mut()
            .filter_map(|(name, child)| child.abort_if_late(now).then(|| name.clone()))
            .collect();
        for name in late {
            warn!(connector = &*name, "connector did not stop in time and was given up");
            let restarting = self.connectors.remove(&name).is_some_and(|child| child.restarting);
            self.put_stopped(StatusKey::Connector(name.to_string()), restarting);
        }
        let late: Vec<ConnectorTaskId> = self
            .tasks
            .iter_mut()
            .filter_map(|(id, child)| child.abort_if_late(now).then(|| id.clone()))
            .collect();
        for id in late {
            warn!(task = %id, "task did not stop in time (task.shutdown.graceful.timeout.ms) and was given up");
            let restarting = self.tasks.remove(&id).is_some_and(|child| child.restarting);
            self.put_stopped(StatusKey::Task(id), restarting);
        }
        self.reconcile();
        self.tidy_statuses();
    }

    pub(super) fn stop_connector(&mut self, name: &Arc<str>) {
        if let Some(child) = self.connectors.get_mut(name) {
            // The connector's own limit is enforced inside; this one is for code that holds the thread.
            child.stop(CONNECTOR_STOP_TIMEOUT * 2);
        }
    }

    pub(super) fn stop_task(&mut self, id: &ConnectorTaskId) {
        if let Some(child) = self.tasks.get_mut(id) {
            child.stop(self.settings.task_shutdown_graceful_timeout);
        }
    }
}
