//! What comes before a task may write exactly once: earlier producers are fenced, its transactional id is its own, and it
//! is still the task that the config topic wants.

use std::{sync::Arc, time::Duration};

use connect_api::ConnectError;
use kafka_client::producer::Producer;
use tokio::sync::{oneshot, watch};
use tracing::warn;

use super::{ConnectorTaskId, FencingError, WorkerEvent, WorkerEvents};
use crate::{
    storage::{KafkaBasedLog, config::ConfigState},
    trouble::Trouble,
};

/// Between two attempts to have earlier producers fenced: a leader may be about to change.
const RETRY: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(10));

/// What it takes.
pub(crate) struct ExactlyOnceStart {
    pub(crate) id: ConnectorTaskId,
    /// Of its configuration.
    pub(crate) generation: u64,
    pub(crate) configs: KafkaBasedLog<ConfigState>,
    pub(crate) events: WorkerEvents,
    pub(crate) hold: watch::Receiver<bool>,
}

impl ExactlyOnceStart {
    /// Takes as long as it takes; an error fails the task.
    pub(crate) async fn prepare(mut self, producer: &mut Producer) -> Result<(), ConnectError> {
        // Out of touch with the group, it would fence the one that has taken its place.
        let _ = self.hold.wait_for(|held| !held).await;
        fence_earlier_producers(&self.id.connector, &self.events).await?;
        producer.init_transactions().await.map_err(|error| {
            let what = format!("the transactional id of task {} cannot be taken over", self.id);
            ConnectError::caused_by(what, error)
        })?;
        let read = self.configs.read_to_end().await;
        read.map_err(|error| ConnectError::caused_by("the config topic cannot be read", error))?;
        let configs = self.configs.state();
        let now = configs
            .connector(&self.id.connector)
            .map(|connector| connector.task_generation());
        match now {
            Some(generation) if generation.unwrap_or_default() == self.generation => Ok(()),
            _ => Err(ConnectError::new(format!(
                "Cannot start source task {} with exactly-once support as the connector has already generated a new set \
                 of task configs",
                self.id
            ))),
        }
    }
}

/// Asks until it is done; an error is final.
pub(crate) async fn fence_earlier_producers(connector: &Arc<str>, events: &WorkerEvents) -> Result<(), ConnectError> {
    let mut trouble = Trouble::new(RETRY.0, RETRY.1);
    loop {
        let (reply, answer) = oneshot::channel();
        let connector = connector.clone();
        let wanted = WorkerEvent::FencingWanted {
            connector: connector.clone(),
            reply,
        };
        // Without a receiver the worker is gone, and whoever asks is cancelled.
        let _ = events.send(wanted).await;
        let nobody = FencingError {
            message: "nobody leads the group".to_owned(),
            is_final: false,
        };
        let error = match answer.await.unwrap_or(Err(nobody)) {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        if error.is_final {
            let what = format!("the producers of earlier tasks of connector {connector} cannot be fenced");
            return Err(ConnectError::caused_by(what, error));
        }
        let failure = trouble.failed();
        if failure.report && failure.attempts > 1 {
            warn!(
                connector = &*connector,
                %error,
                attempts = failure.attempts,
                "the producers of earlier tasks could not be fenced, trying again"
            );
        }
        tokio::time::sleep(failure.wait).await;
    }
}
