//! How the herder comes to run: the internal topics are opened, a worker alone starts, and a stage says how far it is.

use std::time::Duration;

use kafka_client::Dialer;
use tracing::{error, info, warn};

use super::{ConfigChange, Herder, Lifecycle, Stage, assignment::Share};
use crate::{
    clock::Clock,
    settings::WorkerSettings,
    storage::{self, StoreLoops, Stores, config::raw},
    trouble::Trouble,
};

/// While the target cannot be reached at the start: first and longest wait between attempts.
const OPEN_RETRY: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(10));

impl Herder {
    /// Alone, everything is ours.
    pub(super) fn start_alone(&mut self) {
        let Some(stores) = &self.stores else { return };
        // There is no group to count generations: go on with the highest, so that our word on a failure is not taken for
        // an old one, neither by us nor by a worker that takes over.
        let found = stores.statuses.state().highest_generation();
        self.generation = found.unwrap_or_default().max(1);
        {
            let configs = stores.configs.state();
            let tasks = configs
                .connectors()
                .map(|(_, connector)| connector.task_configs().len());
            info!(
                generation = self.generation,
                connectors = configs.connectors().count(),
                tasks = tasks.sum::<usize>(),
                config_offset = configs.config_offset().unwrap_or(-1),
                "Starting connectors and tasks"
            );
        }
        self.share = Some(Share::All);
        self.lifecycle = Lifecycle::Running;
        self.complete_stage();
        self.progress.send_modify(|progress| progress.started = true);
        self.write_given_connectors();
        self.reconcile();
        self.tidy_statuses();
    }

    /// The connectors of a dedicated worker's file: the leader writes what differs from what is stored. Raw is compared
    /// with raw, so that variables alone are no difference.
    pub(super) fn write_given_connectors(&mut self) {
        for (name, props) in &self.given {
            let config = raw::from_props(props);
            if let Err(error) = self.plugins.validate(&config) {
                error!(
                    connector = name,
                    flow = self.flow,
                    error = error.chain(),
                    "Failed to configure connector, its old configuration stays"
                );
                continue;
            }
            self.config_writes.push(
                ConfigChange::PutConnector {
                    name: name.clone(),
                    config,
                    initial_state: None,
                },
                None,
            );
        }
    }

    pub(super) fn begin_stage(&self, description: &str) {
        let stage = Stage {
            description: description.to_owned(),
            began_ms: self.clock.now_ms(),
            completed_ms: None,
        };
        self.progress.send_modify(|progress| progress.stage = Some(stage));
    }

    pub(super) fn complete_stage(&self) {
        let now_ms = self.clock.now_ms();
        self.progress.send_modify(|progress| {
            if let Some(stage) = &mut progress.stage {
                stage.completed_ms = Some(now_ms);
            }
        });
    }
}

/// Opens the internal topics, however long their cluster is away.
pub(super) async fn open_stores(
    settings: WorkerSettings,
    dialer: Dialer,
    clock: Clock,
) -> Result<(Stores, Box<StoreLoops>), storage::Error> {
    let mut trouble = Trouble::new(OPEN_RETRY.0, OPEN_RETRY.1);
    loop {
        let error = match Stores::open(&settings, &dialer, &clock).await {
            Err(error) if !error.is_fatal() => error,
            opened_or_fatal => return opened_or_fatal.map(|(stores, loops)| (stores, Box::new(loops))),
        };
        let failure = trouble.failed();
        if failure.report {
            let lasting_s = failure.lasting.as_secs();
            warn!(
                error = error.chain(),
                attempts = failure.attempts,
                lasting_s,
                "the worker's internal topics cannot be reached, trying again"
            );
        }
        tokio::time::sleep(failure.wait).await;
    }
}
