//! What is read of connectors: their configurations, what they do, and the topics that they write to.

use std::{collections::BTreeSet, sync::Arc};

use super::{ConnectorInfo, ConnectorKind, ConnectorStateInfo, Herder, RequestError, StateInfo};
use crate::{
    storage::{
        config::{ConnectorConfigState, RawConfig},
        status::{Status, StatusKey, active_topic_tombstone},
    },
    worker::ConnectorTaskId,
};

impl Herder {
    pub(super) fn connector_names(&self) -> Vec<String> {
        let Some(stores) = &self.stores else { return Vec::new() };
        let configs = stores.configs.state();
        configs.connectors().map(|(name, _)| name.to_owned()).collect()
    }

    pub(super) fn connector_infos(&self) -> Vec<ConnectorInfo> {
        let Some(stores) = &self.stores else { return Vec::new() };
        let configs = stores.configs.state();
        configs
            .connectors()
            .map(|(name, connector)| self.info(name, connector))
            .collect()
    }

    pub(super) fn connector_info(&self, name: &str) -> Result<ConnectorInfo, RequestError> {
        let stores = self.stores.as_ref().ok_or(RequestError::ShuttingDown)?;
        match stores.configs.state().connector(name) {
            Some(connector) => Ok(self.info(name, connector)),
            None => Err(RequestError::connector_not_found(name)),
        }
    }

    fn info(&self, name: &str, connector: &ConnectorConfigState) -> ConnectorInfo {
        let (id, tasks) = (Arc::<str>::from(name), (0..).zip(connector.task_configs()));
        ConnectorInfo {
            tasks: tasks
                .map(|(number, _)| ConnectorTaskId::new(id.clone(), number))
                .collect(),
            ..self.info_of(name, connector.shared_config().unwrap_or_default())
        }
    }

    /// A connector of this configuration that has no tasks.
    pub(super) fn info_of(&self, name: &str, config: Arc<RawConfig>) -> ConnectorInfo {
        ConnectorInfo {
            name: name.to_owned(),
            kind: self.kind(&config),
            config,
            tasks: Vec::new(),
        }
    }

    fn kind_of(&self, name: &str) -> ConnectorKind {
        let configs = self.stores.as_ref().map(|stores| stores.configs.state());
        let config = configs.as_ref().and_then(|configs| configs.connector(name)?.config());
        config.map_or(ConnectorKind::Unknown, |config| self.kind(config))
    }

    fn kind(&self, config: &RawConfig) -> ConnectorKind {
        let class = config.get("connector.class").and_then(Option::as_deref);
        class.map_or(ConnectorKind::Unknown, |class| self.plugins.kind(class))
    }

    pub(super) fn task_configs(&self, name: &str) -> Result<Vec<(ConnectorTaskId, RawConfig)>, RequestError> {
        let stores = self.stores.as_ref().ok_or(RequestError::ShuttingDown)?;
        let configs = stores.configs.state();
        let connector = configs
            .connector(name)
            .ok_or_else(|| RequestError::connector_not_found(name))?;
        let tasks = (0..).zip(connector.task_configs());
        Ok(tasks
            .map(|(number, config)| (ConnectorTaskId::new(name, number), config.clone()))
            .collect())
    }

    /// Whether the connector has this task.
    pub(super) fn is_task(&self, id: &ConnectorTaskId) -> bool {
        let tasks = self.task_configs(&id.connector).map_or(0, |tasks| tasks.len());
        usize::try_from(id.task).is_ok_and(|number| number < tasks)
    }

    pub(super) fn status_infos(&self) -> Vec<ConnectorStateInfo> {
        let names = self.connector_names().into_iter();
        names.filter_map(|name| self.status_info(&name).ok()).collect()
    }

    /// As the status topic has it, and will have it once what is on its way there is written.
    pub(super) fn status_info(&self, name: &str) -> Result<ConnectorStateInfo, RequestError> {
        let connector = self
            .known_status(&StatusKey::Connector(name.to_owned()))
            .ok_or_else(|| RequestError::no_status(name))?;
        Ok(ConnectorStateInfo {
            name: name.to_owned(),
            connector,
            tasks: self.known_task_statuses(name),
            kind: self.kind_of(name),
        })
    }

    pub(super) fn task_status_info(&self, id: &ConnectorTaskId) -> Result<Arc<StateInfo>, RequestError> {
        // What a deleted connector's tasks have left is on its way out.
        let connector = self.known_status(&StatusKey::Connector(id.connector.to_string()));
        let status = self.known_status(&StatusKey::Task(id.clone()));
        let status = status.filter(|_| connector.is_some() || self.is_task(id));
        status.ok_or_else(|| RequestError::no_task_status(id))
    }

    fn known_status(&self, key: &StatusKey) -> Option<Arc<StateInfo>> {
        // Mostly nothing waits, and thousands may be asked for.
        let written = || self.stores.as_ref()?.statuses.state().get(key).cloned();
        if self.status_writes.is_empty() {
            return written();
        }
        match self.status_writes.waiting(key.key().as_bytes()) {
            Some(waiting) => {
                let status = serde_json::from_slice::<Status>(waiting?).ok()?;
                Some(Arc::new(status.into()))
            }
            None => written(),
        }
    }

    /// By task number.
    fn known_task_statuses(&self, name: &str) -> Vec<(i32, Arc<StateInfo>)> {
        let Some(stores) = &self.stores else { return Vec::new() };
        if self.status_writes.is_empty() {
            let written = stores.statuses.state();
            return written
                .tasks(name)
                .map(|(number, status)| (number, status.clone()))
                .collect();
        }
        let name = Arc::<str>::from(name);
        let own = ConnectorTaskId::new(name.clone(), i32::MIN)..=ConnectorTaskId::new(name.clone(), i32::MAX);
        let mut numbers: BTreeSet<i32> = self.tasks.range(own).map(|(id, _)| id.task).collect();
        numbers.extend(stores.statuses.state().tasks(&name).map(|(number, _)| number));
        let known = numbers.into_iter().filter_map(|number| {
            let status = self.known_status(&StatusKey::Task(ConnectorTaskId::new(name.clone(), number)))?;
            Some((number, status))
        });
        known.collect()
    }

    pub(super) fn active_topics(&self, name: &str) -> Result<Vec<String>, RequestError> {
        if !self.settings.topic_tracking {
            return Err(RequestError::topic_tracking_disabled());
        }
        let stores = self.stores.as_ref().ok_or(RequestError::ShuttingDown)?;
        Ok(stores.statuses.state().topics(name).map(str::to_owned).collect())
    }

    pub(super) fn reset_active_topics(&mut self, name: &str) -> Result<(), RequestError> {
        if !self.settings.topic_tracking {
            return Err(RequestError::topic_tracking_disabled());
        }
        if !self.settings.topic_tracking_reset {
            return Err(RequestError::topic_reset_disabled());
        }
        for topic in self.active_topics(name)? {
            self.status_writes.push(active_topic_tombstone(&topic, name));
        }
        Ok(())
    }
}
