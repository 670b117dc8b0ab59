//! What is said about connectors and tasks to the status topic.

use super::{Herder, plan::Phase};
use crate::{
    storage::{
        KeyValue,
        config::ConfigState,
        status::{Status, StatusKey, active_topic_record, active_topic_tombstone},
    },
    worker::{ConnectorTaskId, State},
};

/// Version of the plug-ins: the Kafka that the bundled connectors stand in for.
const PLUGIN_VERSION: &str = "4.3.1";

impl Herder {
    /// Java's `put`: whoever runs it has the last word.
    pub(super) fn put_status(&mut self, key: StatusKey, state: State, trace: Option<String>) {
        let is_loaded = !matches!(state, State::Unassigned | State::Restarting);
        let status = Status {
            state,
            trace,
            worker_id: self.worker_id.clone(),
            generation: self.generation,
            version: is_loaded.then(|| PLUGIN_VERSION.to_owned()),
        };
        self.status_writes.push(key.record(&status));
    }

    /// Java's `putSafe`: not over the word of a worker that has it by now.
    pub(super) fn put_status_safe(&mut self, key: StatusKey, state: State, trace: Option<String>) {
        let Some(stores) = &self.stores else { return };
        let safe = stores
            .statuses
            .state()
            .may_put_safe(&key, &self.worker_id, self.generation);
        // What we have said and not yet read back is our own word.
        if safe || self.status_writes.waiting(&key.tombstone().key).is_some() {
            self.put_status(key, state, trace);
        }
    }

    /// Says which tasks failed here, for those that failed while it could not be said.
    pub(super) fn tell_failures(&mut self) {
        let failed = self.tasks.iter().filter(|(_, task)| task.phase == Phase::Failed);
        let failed: Vec<_> = failed.map(|(id, task)| (id.clone(), task.trace.clone())).collect();
        for (id, trace) in failed {
            self.put_status_safe(StatusKey::Task(id), State::Failed, trace);
        }
    }

    /// It has stopped, and is no longer among the children. If it was asked to restart it is about to start again; if
    /// it is no longer configured, this was its last word.
    pub(super) fn put_stopped(&mut self, key: StatusKey, restarting: bool) {
        // Out of touch with the group, others may run it by now, and what they say of it may not have been read here yet.
        if !*self.hold.borrow() {
            self.put_status_safe(key.clone(), State::Unassigned, None);
        }
        let gone = self.leads()
            && self
                .stores
                .as_ref()
                .is_some_and(|stores| self.is_gone(&key, &stores.configs.state()));
        if gone {
            self.status_writes.push(key.tombstone());
        } else if restarting {
            self.put_status(key, State::Restarting, None);
        }
    }

    /// Whether nobody is to run it and nobody does here.
    fn is_gone(&self, key: &StatusKey, configs: &ConfigState) -> bool {
        match key {
            StatusKey::Connector(name) => {
                configs.connector(name).is_none() && !self.connectors.contains_key(name.as_str())
            }
            StatusKey::Task(id) => {
                let tasks = configs
                    .connector(&id.connector)
                    .map_or(0, |connector| connector.task_configs().len());
                usize::try_from(id.task).map_or(true, |task| task >= tasks) && !self.tasks.contains_key(id)
            }
        }
    }

    pub(super) fn put_active_topic(&mut self, topic: &str, id: &ConnectorTaskId) {
        let Some(stores) = &self.stores else { return };
        let known = stores
            .statuses
            .state()
            .topics(&id.connector)
            .any(|active| active == topic);
        let record = active_topic_record(topic, id, self.clock.now_ms());
        if !known && self.status_writes.waiting(&record.key).is_none() {
            self.status_writes.push(record);
        }
    }

    /// The leader removes the statuses of what is no longer configured.
    pub(super) fn tidy_statuses(&mut self) {
        let (Some(stores), true) = (&self.stores, self.leads()) else {
            return;
        };
        let gone: Vec<KeyValue> = {
            let configs = stores.configs.state();
            let statuses = stores.statuses.state();
            let of_nobody = |connector: &str| {
                configs.connector(connector).is_none() && !self.tasks.keys().any(|id| &*id.connector == connector)
            };
            let topics = statuses.active_topics().filter(|(connector, _)| of_nobody(connector));
            let topics = topics.map(|(connector, topic)| active_topic_tombstone(topic, connector));
            let keys = statuses
                .keys()
                .into_iter()
                .filter(|key| self.is_gone(key, &configs))
                .map(|key| key.tombstone());
            keys.chain(topics).collect()
        };
        for tombstone in gone {
            if self.status_writes.waiting(&tombstone.key) != Some(None) {
                self.status_writes.push(tombstone);
            }
        }
    }
}
