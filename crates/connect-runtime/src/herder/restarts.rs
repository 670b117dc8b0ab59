//! Restarts: of a connector alone, of what a plan names, of one task.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    ConfigChange, Herder, RequestError,
    answers::{ConnectorStateInfo, RestartAnswer, StateInfo},
    plan::Phase,
    request::Reply,
    requests::answer,
};
use crate::{
    storage::status::StatusKey,
    worker::{ConnectorTaskId, State},
};

/// Who waits for something to be started again.
#[derive(Debug, Default)]
pub(super) struct Restarts {
    connectors: BTreeMap<Arc<str>, Vec<Reply<RestartAnswer>>>,
    tasks: BTreeMap<ConnectorTaskId, Vec<Reply<()>>>,
}

impl Restarts {
    /// The connector is in the first state of a new run.
    pub(super) fn connector_started(&mut self, name: &str, state: State) {
        for reply in self.connectors.remove(name).into_iter().flatten() {
            answer(
                reply,
                match state {
                    State::Failed => Err(RequestError::connector_did_not_start(name)),
                    _ => Ok(RestartAnswer::Done),
                },
            );
        }
    }

    pub(super) fn task_started(&mut self, id: &ConnectorTaskId, started: bool) {
        for reply in self.tasks.remove(id).into_iter().flatten() {
            answer(
                reply,
                match started {
                    true => Ok(()),
                    false => Err(RequestError::task_did_not_start(id)),
                },
            );
        }
    }

    /// Nobody will start these here any more.
    pub(super) fn give_up(
        &mut self,
        runs_connector: impl Fn(&Arc<str>) -> bool,
        runs_task: impl Fn(&ConnectorTaskId) -> bool,
    ) {
        for (_, replies) in self.connectors.extract_if(.., |name, _| !runs_connector(name)) {
            for reply in replies {
                answer(reply, Err(RequestError::rebalance_expected()));
            }
        }
        for (_, replies) in self.tasks.extract_if(.., |id, _| !runs_task(id)) {
            for reply in replies {
                answer(reply, Err(RequestError::rebalance_expected()));
            }
        }
    }
}

/// What of a connector is to be restarted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RestartScope {
    // The order of the members is that of their impact: of several requests the one with the highest is done.
    everything: bool,
    include_tasks: bool,
}

impl RestartScope {
    pub(super) fn new(include_tasks: bool, only_failed: bool) -> Self {
        Self {
            everything: !only_failed,
            include_tasks,
        }
    }

    fn has_connector(self, state: State) -> bool {
        self.everything || state == State::Failed
    }

    fn has_task(self, state: State) -> bool {
        self.include_tasks && self.has_connector(state)
    }

    /// What a user is told: everything that is to be restarted is RESTARTING.
    fn plan(self, mut status: ConnectorStateInfo) -> ConnectorStateInfo {
        let restarting = |status: &mut Arc<StateInfo>| {
            let status = Arc::make_mut(status);
            (status.state, status.trace) = (State::Restarting, None);
        };
        if self.has_connector(status.connector.state) {
            restarting(&mut status.connector);
        }
        for (_, task) in &mut status.tasks {
            if self.has_task(task.state) {
                restarting(task);
            }
        }
        status
    }
}

impl Herder {
    pub(super) fn on_restart_connector(
        &mut self,
        name: String,
        include_tasks: bool,
        only_failed: bool,
        reply: Reply<RestartAnswer>,
    ) {
        if let Err(error) = self.configured(&name, RequestError::unknown_connector_to_restart) {
            return answer(reply, Err(error));
        }
        if !include_tasks && !only_failed {
            return self.restart_connector_here(&name.into(), reply);
        }
        let plan = self.lead().and_then(|()| match self.status_info(&name) {
            Ok(status) => Ok(RestartScope::new(include_tasks, only_failed).plan(status)),
            Err(_) => Err(RequestError::no_status_to_restart(&name)),
        });
        match plan {
            Ok(plan) => {
                let change = || ConfigChange::RequestRestart {
                    name,
                    include_tasks,
                    only_failed,
                };
                self.write_then(Ok(()), change, reply, RestartAnswer::Accepted(plan));
            }
            Err(error) => answer(reply, Err(error)),
        }
    }

    fn restart_connector_here(&mut self, name: &Arc<str>, reply: Reply<RestartAnswer>) {
        if !self.connectors.contains_key(name) {
            return answer(reply, Err(self.owner_of_connector(name)));
        }
        self.restarts.connectors.entry(name.clone()).or_default().push(reply);
        self.run_connector_anew(name, false);
        self.reconcile();
    }

    pub(super) fn on_restart_task(&mut self, id: &ConnectorTaskId, reply: Reply<()>) {
        if let Err(error) = self.configured(&id.connector, RequestError::unknown_connector_to_restart) {
            return answer(reply, Err(error));
        }
        if !self.is_task(id) {
            return answer(reply, Err(RequestError::unknown_task(id)));
        }
        if !self.tasks.contains_key(id) {
            return answer(reply, Err(self.owner_of_task(id)));
        }
        self.restarts.tasks.entry(id.clone()).or_default().push(reply);
        self.run_task_anew(id, false);
        self.reconcile();
    }

    /// Does what a restart request in the config topic asks for, as far as it runs here.
    pub(super) fn restart(&mut self, name: &str, scope: RestartScope) {
        if self
            .connectors
            .get(name)
            .is_some_and(|child| scope.has_connector(child.state))
        {
            self.run_connector_anew(&name.into(), true);
        }
        let own = self
            .tasks
            .iter()
            .filter(|(id, child)| &*id.connector == name && scope.has_task(child.state));
        for id in own.map(|(id, _)| id.clone()).collect::<Vec<_>>() {
            self.run_task_anew(&id, true);
        }
        self.reconcile();
    }

    /// Nobody has asked for it by hand.
    pub(super) fn restart_failed_task(&mut self, id: &ConnectorTaskId) {
        self.run_task_anew(id, true);
        self.reconcile();
    }

    fn run_connector_anew(&mut self, name: &Arc<str>, say_restarting: bool) {
        let Some(child) = self.connectors.get_mut(name) else {
            return;
        };
        if child.phase == Phase::Failed {
            self.connectors.remove(name);
            if say_restarting {
                self.put_status(StatusKey::Connector(name.to_string()), State::Restarting, None);
            }
        } else {
            child.restarting = say_restarting;
            self.stop_connector(name);
        }
    }

    fn run_task_anew(&mut self, id: &ConnectorTaskId, say_restarting: bool) {
        let Some(child) = self.tasks.get_mut(id) else { return };
        if child.phase == Phase::Failed {
            self.tasks.remove(id);
            if say_restarting {
                self.put_status(StatusKey::Task(id.clone()), State::Restarting, None);
            }
        } else {
            child.restarting = say_restarting;
            self.stop_task(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_of_the_highest_impact_wins() {
        let scopes = [(false, true), (true, true), (false, false), (true, false)];
        let scopes = scopes.map(|(include_tasks, only_failed)| RestartScope::new(include_tasks, only_failed));
        assert!(scopes.is_sorted());
    }
}
