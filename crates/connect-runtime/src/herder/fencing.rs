//! Zombie fencing: before new tasks of a connector write exactly once, the producers of its earlier tasks can write no
//! more. The leader does it, once for all tasks that ask together, and notes it in the config topic.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use kafka_client::{Admin, Client, ClientConfig, Dialer};
use tokio::sync::oneshot;
use tracing::{Instrument, info};

use super::{
    ConfigChange, ConnectorKind, Herder, Job, RequestError, config_writes::Done, other_workers::InternalRequest,
    request::Reply, requests::answer, starting::class,
};
use crate::{
    clients,
    plugins::Plugins,
    settings::WorkerSettings,
    storage::{
        Stores,
        config::{RawConfig, raw},
    },
    worker::{ConnectorTaskId, FencingError},
};

/// What fencing the producers of one connector may take, as in Kafka's worker.
const TIMEOUT: Duration = Duration::from_secs(90);
/// Answers of the leader that no repetition changes.
const FINAL_ANSWERS: [u16; 2] = [400, 404];

/// Rounds under way, and who waits for them.
#[derive(Default)]
pub(super) struct Fencing {
    rounds: BTreeMap<Arc<str>, Vec<Done>>,
}

impl Herder {
    /// Another worker asks.
    pub(super) fn on_fence_zombies(&mut self, name: &str, request: &InternalRequest, reply: Reply<()>) {
        match self.verify(request) {
            Ok(()) => self.fence(name.into(), Box::new(move |fenced| answer(reply, fenced))),
            Err(error) => answer(reply, Err(error)),
        }
    }

    /// A task of this worker is about to start: does it, or asks the leader to.
    pub(super) fn on_fencing_wanted(&mut self, name: Arc<str>, reply: oneshot::Sender<Result<(), FencingError>>) {
        if self.lead().is_ok() {
            let done = move |fenced: Result<(), RequestError>| {
                // A task that has gone needs no answer.
                let _ = reply.send(fenced.map_err(|error| FencingError {
                    is_final: matches!(error, RequestError::NotFound(_) | RequestError::BadRequest(_)),
                    message: error.to_string(),
                }));
            };
            return self.fence(name, Box::new(done));
        }
        let (Some(group), Some(stores)) = (&self.group, &self.stores) else {
            return;
        };
        let Some(leader_url) = group.leader_url() else {
            // Dropped: asked again once somebody leads.
            return;
        };
        let sessions = self.settings.group.as_ref().map(|group| &group.sessions);
        let signature = match stores.configs.state().session_key().filter(|_| group.is_sessioned()) {
            Some(key) => sessions.and_then(|sessions| sessions.sign(key, &[])),
            None => None,
        };
        let client = group.worker_client.clone();
        let asking = async move {
            let fenced = client.fence_zombies(&leader_url, &name, signature).await;
            let _ = reply.send(fenced.map_err(|error| FencingError {
                is_final: error.status.is_some_and(|status| FINAL_ANSWERS.contains(&status)),
                message: error.message,
            }));
            Job::Answered
        };
        self.jobs.spawn(asking.in_current_span());
    }

    /// As leader. Whoever asks while a round is under way shares it.
    fn fence(&mut self, name: Arc<str>, done: Done) {
        if let Err(error) = self.may_fence(&name) {
            return done(Err(error));
        }
        let Some(stores) = self.stores.clone() else {
            return done(Err(RequestError::ShuttingDown));
        };
        let waiting = self.fencing.rounds.entry(name.clone()).or_default();
        waiting.push(done);
        if waiting.len() > 1 {
            return;
        }
        let round = Round {
            name: name.clone(),
            stores,
            settings: self.settings.clone(),
            plugins: self.plugins.clone(),
            dialer: self.dialer.clone(),
        };
        let running = async move {
            let late = Err(RequestError::Internal(format!(
                "fencing the producers of connector {} took longer than {} s",
                round.name,
                TIMEOUT.as_secs()
            )));
            let result = tokio::time::timeout(TIMEOUT, round.run()).await.unwrap_or(late);
            Job::Fenced { name, result }
        };
        self.jobs.spawn(running.in_current_span());
    }

    fn may_fence(&self, name: &str) -> Result<(), RequestError> {
        self.lead()?;
        let stores = self.stores.as_ref().ok_or(RequestError::ShuttingDown)?;
        let configs = stores.configs.state();
        let connector = configs
            .connector(name)
            .ok_or_else(|| RequestError::connector_not_found(name))?;
        let props = raw::to_props(connector.config().unwrap_or(&RawConfig::new()));
        match class(&props).map(|class| self.plugins.kind(class)) {
            Ok(ConnectorKind::Source) => Ok(()),
            _ => Err(RequestError::not_a_source(name)),
        }
    }

    /// The producers are fenced, or there was nothing to do (`None`): what is left is to note it.
    pub(super) fn on_fenced(&mut self, name: &Arc<str>, result: Result<Option<i32>, RequestError>) {
        let waiting = self.fencing.rounds.remove(name).unwrap_or_default();
        // Another may lead by now: it fences once more.
        let result = self.lead().and(result);
        match result {
            Ok(Some(task_count)) => {
                let change = ConfigChange::PutFencing {
                    name: name.to_string(),
                    task_count,
                };
                let done = move |written: Result<(), RequestError>| {
                    waiting.into_iter().for_each(|done| done(written.clone()));
                };
                self.config_writes.push(change, Some(Box::new(done)));
            }
            Ok(None) => waiting.into_iter().for_each(|done| done(Ok(()))),
            Err(error) => waiting.into_iter().for_each(|done| done(Err(error.clone()))),
        }
    }
}

/// One round for one connector.
struct Round {
    name: Arc<str>,
    stores: Stores,
    settings: WorkerSettings,
    plugins: Arc<dyn Plugins>,
    dialer: Dialer,
}

/// What the config topic says about a connector's producers.
#[derive(Debug, PartialEq, Eq)]
struct Producers {
    config: RawConfig,
    /// So many tasks may have written, if it was ever noted.
    before: Option<i32>,
    tasks: i32,
    task_generation: Option<u64>,
}

impl Producers {
    /// How many have to be fenced. One task that takes the place of one fences it by itself.
    fn to_fence(&self) -> i32 {
        match (self.before, self.tasks) {
            (None, _) | (Some(1), 1) => 0,
            (Some(before), _) => before.max(0),
        }
    }
}

impl Round {
    /// Answers what is to be noted, if anything.
    async fn run(&self) -> Result<Option<i32>, RequestError> {
        self.read_to_end().await?;
        let Some(producers) = self.pending()? else {
            return Ok(None);
        };
        let to_fence = producers.to_fence();
        if to_fence > 0 {
            self.fence(&producers.config, to_fence).await?;
            self.read_to_end().await?;
            let now = self.pending()?.and_then(|now| now.task_generation);
            if now != producers.task_generation {
                return Err(RequestError::fencing_overtaken());
            }
        }
        info!(
            connector = &*self.name,
            fenced = to_fence,
            tasks = producers.tasks,
            "producers of earlier tasks are fenced"
        );
        Ok(Some(producers.tasks))
    }

    async fn read_to_end(&self) -> Result<(), RequestError> {
        let read = self.stores.configs.read_to_end().await;
        read.map_err(|error| RequestError::Internal(error.chain()))
    }

    /// `None` if all is noted already.
    fn pending(&self) -> Result<Option<Producers>, RequestError> {
        let configs = self.stores.configs.state();
        let connector = configs
            .connector(&self.name)
            .ok_or_else(|| RequestError::connector_not_found(&self.name))?;
        Ok(connector.is_pending_fencing().then(|| Producers {
            config: connector.config().cloned().unwrap_or_default(),
            before: connector.fencing_count(),
            tasks: connector.task_count(),
            task_generation: connector.task_generation(),
        }))
    }

    async fn fence(&self, config: &RawConfig, count: i32) -> Result<(), RequestError> {
        let failed = |error: String| RequestError::Internal(format!("Failed to perform zombie fencing: {error}"));
        let connector = self.plugins.resolve(raw::to_props(config));
        let connector = connector.map_err(|error| failed(error.chain()))?;
        let first = ConnectorTaskId::new(self.name.clone(), 0);
        let props = clients::task_admin(&self.settings.props, &connector, &first);
        let config = ClientConfig::parse(&props).map_err(|errors| failed(errors.to_string()))?;
        let admin = Admin::new(Client::new(config, self.dialer.clone()));
        let ids = (0..count).map(|task| {
            let id = ConnectorTaskId::new(self.name.clone(), task);
            self.settings.task_transactional_id(&id).into()
        });
        for (_, fenced) in admin.fence_producers(ids.collect()).await {
            fenced.map_err(|error| failed(error.chain()))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_task_in_the_place_of_one_needs_no_fencing() {
        let to_fence = |before, tasks| {
            let producers = Producers {
                config: RawConfig::new(),
                before,
                tasks,
                task_generation: None,
            };
            producers.to_fence()
        };
        assert_eq!(to_fence(None, 3), 0, "nobody has written exactly once before");
        assert_eq!(to_fence(Some(1), 1), 0);
        assert_eq!(to_fence(Some(1), 2), 1, "task 1 may have its partitions by now");
        assert_eq!(to_fence(Some(3), 1), 3);
        assert_eq!(to_fence(Some(3), 3), 3);
        assert_eq!(to_fence(Some(0), 3), 0);
    }
}
