//! What others ask of the herder: who may do it, and what it comes to.

use std::sync::Arc;

use connect_api::ConnectorContext;

use super::{
    ConfigChange, Herder, RequestError,
    answers::Put,
    config_writes::Done,
    group::Group,
    other_workers::InternalRequest,
    request::{Reply, Request},
};
use crate::{session::Signed, storage::config::RawConfig, worker::TargetState};

impl Herder {
    /// Answers at once, or lets the request wait while a rebalance decides who has to answer it.
    pub(super) fn on_request(&mut self, request: Request) {
        let rebalancing = self.group.as_ref().is_some_and(|group| group.rebalancing);
        match rebalancing && request.depends_on_the_group() {
            true => self.parked.push_back(request),
            false => self.do_request(request),
        }
    }

    /// The group has settled: who waited is answered.
    pub(super) fn take_parked_requests(&mut self) {
        for request in std::mem::take(&mut self.parked) {
            self.on_request(request);
        }
    }

    fn do_request(&mut self, request: Request) {
        match request {
            Request::Ping(reply) => answer(reply, Ok(())),
            Request::ConnectorNames(reply) => answer(reply, Ok(self.connector_names())),
            Request::ConnectorInfos(reply) => answer(reply, Ok(self.connector_infos())),
            Request::ConnectorInfo { name, reply } => answer(reply, self.connector_info(&name)),
            Request::TaskConfigs { name, reply } => answer(reply, self.task_configs(&name)),
            Request::Statuses(reply) => answer(reply, Ok(self.status_infos())),
            Request::Status { name, reply } => answer(reply, self.status_info(&name)),
            Request::TaskStatus { id, reply } => answer(reply, self.task_status_info(&id)),
            Request::ActiveTopics { name, reply } => answer(reply, self.active_topics(&name)),
            Request::ResetActiveTopics { name, reply } => answer(reply, self.reset_active_topics(&name)),
            Request::TaskMetrics(reply) => {
                let tasks = self
                    .tasks
                    .iter()
                    .map(|(id, child)| (id.clone(), child.own.metrics.clone()));
                answer(reply, Ok(tasks.collect()));
            }
            Request::PutConnector {
                name,
                config,
                initial_state,
                allow_replace,
                reply,
            } => self.put_connector(name, config, initial_state, allow_replace, reply),
            Request::DeleteConnector { name, reply } => {
                let allowed = self
                    .lead()
                    .and_then(|()| self.configured(&name, RequestError::connector_not_found));
                self.write_if(allowed, || ConfigChange::DeleteConnector { name }, reply);
            }
            Request::SetTargetState { name, target, reply } => {
                let known = self.configured(&name, RequestError::unknown_connector);
                match target {
                    TargetState::Stopped => {
                        let allowed = known.and_then(|()| self.lead());
                        self.write_if(allowed, || ConfigChange::Stop { name }, reply);
                    }
                    _ => self.write_if(known, || ConfigChange::SetTargetState { name, target }, reply),
                }
            }
            Request::PutLoggerLevel { logger, level, reply } => {
                self.write_if(Ok(()), || ConfigChange::SetLoggerLevel { logger, level }, reply);
            }
            Request::ReconfigureTasks { name, reply } => {
                let asked = match self.connectors.get(&*name) {
                    Some(child) => {
                        child.own.request_task_reconfiguration();
                        Ok(())
                    }
                    None => Err(RequestError::connector_not_found(&name)),
                };
                answer(reply, asked);
            }
            Request::RestartConnector {
                name,
                include_tasks,
                only_failed,
                reply,
            } => self.on_restart_connector(name, include_tasks, only_failed, reply),
            Request::RestartTask { id, reply } => self.on_restart_task(&id, reply),
            Request::Offsets { name, reply } => self.on_offsets(name, reply),
            Request::ModifyOffsets {
                name,
                modification,
                reply,
            } => self.on_modify_offsets(name, modification, reply),
            Request::PutTaskConfigs {
                name,
                tasks,
                request,
                reply,
            } => self.on_put_task_configs(name, tasks, &request, reply),
            Request::FenceZombies { name, request, reply } => self.on_fence_zombies(&name, &request, reply),
        }
    }

    fn put_connector(
        &mut self,
        name: String,
        config: RawConfig,
        initial_state: Option<TargetState>,
        allow_replace: bool,
        reply: Reply<Put>,
    ) {
        let before = self.connector_info(&name).ok();
        let created = before.is_none();
        let allowed = self.lead().and_then(|()| match created || allow_replace {
            true => Ok(()),
            false => Err(RequestError::connector_exists(&name)),
        });
        let mut info = self.info_of(&name, Arc::new(config.clone()));
        info.tasks = before.map(|before| before.tasks).unwrap_or_default();
        let change = || ConfigChange::PutConnector {
            name,
            config,
            initial_state,
        };
        self.write_then(allowed, change, reply, Put { created, info });
    }

    /// A follower's connector has new task configs.
    fn on_put_task_configs(
        &mut self,
        name: String,
        tasks: Vec<RawConfig>,
        request: &InternalRequest,
        reply: Reply<()>,
    ) {
        let allowed = self
            .verify(request)
            .and_then(|()| self.lead())
            .and_then(|()| self.configured(&name, RequestError::connector_not_found))
            .and_then(|()| match self.is_stopped(&name) && !tasks.is_empty() {
                true => Err(RequestError::tasks_for_stopped(&name)),
                false => Ok(()),
            });
        self.write_if(allowed, || ConfigChange::PutTasks { name, tasks }, reply);
    }

    /// Whether a request comes from a worker of the group, if the group signs its requests.
    pub(super) fn verify(&self, request: &InternalRequest) -> Result<(), RequestError> {
        Signed::parse(request)?;
        let (Some(group), Some(settings), Some(stores)) = (&self.group, &self.settings.group, &self.stores) else {
            return Ok(());
        };
        match group.is_sessioned() {
            true => settings.sessions.verify(request, stores.configs.state().session_key()),
            false => Ok(()),
        }
    }

    fn is_stopped(&self, name: &str) -> bool {
        let Some(stores) = &self.stores else { return false };
        let configs = stores.configs.state();
        configs
            .connector(name)
            .is_some_and(|connector| connector.target_state() == TargetState::Stopped)
    }

    /// Whether this worker writes configurations.
    pub(super) fn leads(&self) -> bool {
        match &self.group {
            Some(group) => group.leads(),
            None => self.share.is_some(),
        }
    }

    /// Whether this worker may write what only the leader writes.
    pub(super) fn lead(&self) -> Result<(), RequestError> {
        match self.leads() {
            true => Ok(()),
            false => Err(RequestError::Forward {
                url: self.group.as_ref().and_then(Group::leader_url),
            }),
        }
    }

    pub(super) fn configured(&self, name: &str, missing: fn(&str) -> RequestError) -> Result<(), RequestError> {
        let stores = self.stores.as_ref().ok_or(RequestError::ShuttingDown)?;
        match stores.configs.state().connector(name) {
            Some(_) => Ok(()),
            None => Err(missing(name)),
        }
    }

    fn write_if(&mut self, allowed: Result<(), RequestError>, change: impl FnOnce() -> ConfigChange, reply: Reply<()>) {
        self.write_then(allowed, change, reply, ());
    }

    /// Writes a change if it is allowed, and answers once it is read back.
    pub(super) fn write_then<T: Send + 'static>(
        &mut self,
        allowed: Result<(), RequestError>,
        change: impl FnOnce() -> ConfigChange,
        reply: Reply<T>,
        then: T,
    ) {
        match allowed {
            Ok(()) => {
                let done: Done = Box::new(move |written| answer(reply, written.map(|()| then)));
                self.config_writes.push(change(), Some(done));
            }
            Err(error) => answer(reply, Err(error)),
        }
    }
}

/// A caller that has gone needs no answer.
pub(super) fn answer<T>(reply: Reply<T>, result: Result<T, RequestError>) {
    let _ = reply.send(result);
}
