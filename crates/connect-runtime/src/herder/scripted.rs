//! A herder that a test speaks for: how what is above the herder is tried without brokers.

use std::{fmt, sync::Arc};

use tokio::sync::{mpsc, watch};

use super::{
    HerderHandle,
    stage::{Progress, Stage},
};
pub use super::{
    offsets::Modification,
    request::{Reply, Request},
};
use crate::plugins::Plugins;

/// The other end of a [`HerderHandle`].
pub struct ScriptedHerder {
    requests: mpsc::Receiver<Request>,
    progress: watch::Sender<Progress>,
}

/// A handle, and who answers it. `plugins` judges configurations before they are asked for.
pub fn scripted(plugins: Arc<dyn Plugins>) -> (HerderHandle, ScriptedHerder) {
    let (handle, requests, progress) = HerderHandle::new(plugins);
    (handle, ScriptedHerder { requests, progress })
}

impl ScriptedHerder {
    /// The next request; `None` once every handle is gone. Not answering one is up to the test.
    pub async fn next(&mut self) -> Option<Request> {
        self.requests.recv().await
    }

    /// Says that the start is over.
    pub fn start(&self, kafka_cluster_id: &str) {
        self.progress.send_modify(|progress| {
            progress.started = true;
            progress.kafka_cluster_id = Some(kafka_cluster_id.to_owned());
        });
    }

    /// Says what the worker does, or has done.
    pub fn set_stage(&self, description: &str, began_ms: i64, completed_ms: Option<i64>) {
        let description = description.to_owned();
        let stage = Stage {
            description,
            began_ms,
            completed_ms,
        };
        self.progress.send_modify(|progress| progress.stage = Some(stage));
    }
}

impl fmt::Debug for ScriptedHerder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ScriptedHerder")
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Request")
    }
}
