//! The orderly end.

use std::time::Duration;

use tokio::time::Instant;
use tracing::{error, info, warn};

use super::{Herder, Lifecycle, chain};

/// How long the end waits for the last statuses to be written.
const STATUS_FLUSH_TIMEOUT: Duration = Duration::from_secs(3);

impl Herder {
    /// Stop intake, stop connectors and tasks, write the last statuses, close the logs; each step with a deadline.
    pub(super) async fn shut_down(mut self) {
        self.lifecycle = Lifecycle::ShuttingDown;
        self.requests.close();
        self.parked.clear();
        while self.requests.try_recv().is_ok() {}
        self.config_writes.refuse_all();
        for name in self.connectors.keys().cloned().collect::<Vec<_>>() {
            self.stop_connector(&name);
        }
        for id in self.tasks.keys().cloned().collect::<Vec<_>>() {
            self.stop_task(&id);
        }
        while !self.child_set.is_empty() {
            let event = self.next_event().await;
            if let Err(error) = self.on(event) {
                // Without its logs a task cannot end orderly.
                error!(error = chain(&error), "the worker ends at once");
                self.child_set.abort_all();
                while self.child_set.join_next().await.is_some() {}
            }
        }
        let deadline = Instant::now() + STATUS_FLUSH_TIMEOUT;
        while !self.status_writes.is_empty() && self.stores.is_some() {
            let Ok(event) = tokio::time::timeout_at(deadline, self.next_event()).await else {
                warn!("the last statuses could not be written in time");
                break;
            };
            if self.on(event).is_err() {
                break;
            }
        }
        if let Some(group) = &mut self.group {
            group.leave().await;
        }
        self.jobs.shutdown().await;
        self.cancel_stores.cancel();
        while self.store_loops.join_next().await.is_some() {}
        info!("worker stopped");
    }
}
