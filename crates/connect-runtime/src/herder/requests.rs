//! What others ask of the herder.

use connect_api::ConnectorContext;

use super::{ConfigChange, Herder, Phase, RequestError, Stage, request::Reply, request::Request};
use crate::{
    storage::{config::raw, status::StatusKey},
    worker::{ConnectorTaskId, State, TargetState},
};

impl Herder {
    pub(super) fn on_request(&mut self, request: Request) {
        match self.stage {
            Stage::Starting => return request.refuse(RequestError::Starting),
            Stage::ShuttingDown => return request.refuse(RequestError::ShuttingDown),
            Stage::Running => {}
        }
        // A caller that has gone needs no answer.
        match request {
            Request::Connectors(reply) => drop(reply.send(Ok(self.connector_infos()))),
            Request::TaskMetrics(reply) => {
                let tasks = self.tasks.iter().map(|(id, child)| (id.clone(), child.own.clone()));
                drop(reply.send(Ok(tasks.collect())));
            }
            Request::PutConnector { name, config, reply } => match self.plugins.validate(&config) {
                Ok(()) => self.write(
                    ConfigChange::PutConnector {
                        name,
                        config: raw::from_props(&config),
                    },
                    reply,
                ),
                Err(source) => drop(reply.send(Err(RequestError::Invalid { name, source }))),
            },
            Request::DeleteConnector { name, reply } => match self.is_configured(&name) {
                true => self.write(ConfigChange::DeleteConnector { name }, reply),
                false => drop(reply.send(Err(RequestError::UnknownConnector(name)))),
            },
            Request::SetTargetState { name, target, reply } => match self.is_configured(&name) {
                true => self.set_target_state(name, target, reply),
                false => drop(reply.send(Err(RequestError::UnknownConnector(name)))),
            },
            Request::ReconfigureTasks { name, reply } => match self.connectors.get(&*name) {
                Some(child) => {
                    child.own.request_task_reconfiguration();
                    drop(reply.send(Ok(())));
                }
                None => drop(reply.send(Err(RequestError::UnknownConnector(name)))),
            },
            Request::RestartTask { id, reply } => {
                let known = self.tasks.contains_key(&id);
                self.restart_task(&id);
                self.reconcile();
                drop(reply.send(if known {
                    Ok(())
                } else {
                    Err(RequestError::UnknownTask(id))
                }));
            }
            Request::RestartConnector {
                name,
                include_tasks,
                only_failed,
                reply,
            } => {
                let known = self.connectors.contains_key(&*name);
                self.restart(&name, include_tasks, only_failed);
                drop(reply.send(if known {
                    Ok(())
                } else {
                    Err(RequestError::UnknownConnector(name))
                }));
            }
        }
    }

    fn is_configured(&self, name: &str) -> bool {
        self.stores
            .as_ref()
            .is_some_and(|stores| stores.configs.state().connector(name).is_some())
    }

    fn write(&mut self, change: ConfigChange, reply: Reply<()>) {
        match self.leads() {
            true => self.config_writes.push(change, Some(reply)),
            false => drop(reply.send(Err(RequestError::NotLeader))),
        }
    }

    fn set_target_state(&mut self, name: String, target: TargetState, reply: Reply<()>) {
        if target == TargetState::Stopped {
            // Kafka's order: the tasks go, and only then does the connector stop.
            self.config_writes.push(
                ConfigChange::PutTasks {
                    name: name.clone(),
                    tasks: Vec::new(),
                },
                None,
            );
        }
        self.write(ConfigChange::SetTargetState { name, target }, reply);
    }

    /// Restarts a connector that runs here and its tasks, or what has failed of them.
    pub(super) fn restart(&mut self, name: &str, include_tasks: bool, only_failed: bool) {
        let chosen = |state: State| !only_failed || state == State::Failed;
        if let Some(child) = self.connectors.get_mut(name).filter(|child| chosen(child.state)) {
            if child.phase == Phase::Failed {
                self.connectors.remove(name);
                self.put_status(StatusKey::Connector(name.to_owned()), State::Restarting, None);
            } else {
                child.restarting = true;
                self.stop_connector(&name.into());
            }
        }
        if include_tasks {
            let own = self
                .tasks
                .iter()
                .filter(|(id, child)| &*id.connector == name && chosen(child.state));
            for id in own.map(|(id, _)| id.clone()).collect::<Vec<_>>() {
                self.restart_task(&id);
            }
        }
        self.reconcile();
    }

    fn restart_task(&mut self, id: &ConnectorTaskId) {
        let Some(child) = self.tasks.get_mut(id) else { return };
        if child.phase == Phase::Failed {
            self.tasks.remove(id);
            self.put_status(StatusKey::Task(id.clone()), State::Restarting, None);
        } else {
            child.restarting = true;
            self.stop_task(id);
        }
    }
}
