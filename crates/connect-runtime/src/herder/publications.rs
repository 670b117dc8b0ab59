//! Task configs on their way to the leader, from workers that do not lead.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::time::Instant;
use tracing::{Instrument, debug, warn};

use super::{Herder, Job, other_workers::WorkerClientError};
use crate::{storage::config::RawConfig, trouble::Trouble, worker::TargetState};

/// Between attempts: first and longest wait.
const RETRY: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(60));
/// For so long a refused signature is taken for a key that changes just now.
const KEY_ROTATION: Duration = Duration::from_secs(60);
const FORBIDDEN: u16 = 403;

/// One per connector: a newer one replaces an older one.
#[derive(Default)]
pub(super) struct Publications {
    waiting: BTreeMap<Arc<str>, Publication>,
    attempts: u64,
}

struct Publication {
    tasks: Vec<RawConfig>,
    /// Whether these tasks have not been sent at all.
    new: bool,
    /// Tells the answer to the last attempt from those to attempts of before.
    attempt: u64,
    /// `None` while an attempt is under way.
    due: Option<Instant>,
    trouble: Trouble,
}

impl Publications {
    fn publish(&mut self, connector: Arc<str>, tasks: Vec<RawConfig>) {
        let publication = self.waiting.entry(connector).or_insert_with(|| Publication {
            tasks: Vec::new(),
            new: true,
            attempt: 0,
            due: Some(Instant::now()),
            trouble: Trouble::new(RETRY.0, RETRY.1),
        });
        (publication.tasks, publication.new) = (tasks, true);
    }

    pub(super) fn clear(&mut self) {
        self.waiting.clear();
    }

    /// When to try again.
    pub(super) fn retry_at(&self) -> Option<Instant> {
        self.waiting.values().filter_map(|publication| publication.due).min()
    }
}

impl Herder {
    /// Sees to it that the leader stores task configs.
    pub(super) fn publish_task_configs(&mut self, connector: &str, tasks: Vec<RawConfig>) {
        if let Some(group) = &mut self.group {
            group.publications.publish(connector.into(), tasks);
        }
    }

    /// Sends what is due. What the config topic has by now, or what is not ours to say any more, is forgotten.
    pub(super) fn send_publications(&mut self) {
        let (Some(group), Some(stores)) = (&mut self.group, &self.stores) else {
            return;
        };
        let (leader_url, sessioned) = (group.leader_url(), group.is_sessioned());
        let Publications { waiting, attempts } = &mut group.publications;
        let Some(leader_url) = leader_url.filter(|_| !waiting.is_empty()) else {
            return;
        };
        let configs = stores.configs.state();
        let connectors = &self.connectors;
        waiting.retain(|name, publication| {
            let needed = configs.connector(name).is_some_and(|connector| {
                let is_started = connector.target_state() == TargetState::Started;
                is_started && connector.needs_task_configs(&publication.tasks, &[])
            });
            publication.due.is_none() || (needed && connectors.contains_key(name))
        });
        let sessions = self.settings.group.as_ref().map(|group| &group.sessions);
        let key = configs.session_key().filter(|_| sessioned);
        let now = Instant::now();
        for (name, publication) in waiting {
            if publication.due.is_none_or(|due| due > now) {
                continue;
            }
            *attempts += 1;
            (publication.due, publication.new, publication.attempt) = (None, false, *attempts);
            let body = serde_json::to_vec(&publication.tasks).expect("maps of texts always serialise");
            let signature = key.zip(sessions).and_then(|(key, sessions)| sessions.sign(key, &body));
            let (client, connector, url) = (group.worker_client.clone(), name.clone(), leader_url.clone());
            let attempt = *attempts;
            let sending = async move {
                let sent = client
                    .put_task_configs(&url, &connector, Bytes::from(body), signature)
                    .await;
                Job::Published {
                    connector,
                    attempt,
                    sent,
                }
            };
            self.jobs.spawn(sending.in_current_span());
        }
    }

    pub(super) fn on_published(&mut self, connector: &Arc<str>, attempt: u64, sent: Result<(), WorkerClientError>) {
        let Some(group) = &mut self.group else { return };
        let waiting = &mut group.publications.waiting;
        let Some(publication) = waiting.get_mut(connector).filter(|waiting| waiting.attempt == attempt) else {
            return;
        };
        match sent {
            Ok(()) if publication.new => {
                publication.trouble.worked();
                publication.due = Some(Instant::now());
            }
            Ok(()) => {
                debug!(connector = &**connector, "the leader has the task configs");
                waiting.remove(connector);
            }
            Err(error) => {
                let failure = publication.trouble.failed();
                publication.due = Some(Instant::now() + failure.wait);
                let rotating = error.status == Some(FORBIDDEN) && failure.lasting < KEY_ROTATION;
                if failure.report && !rotating {
                    warn!(
                        connector = &**connector,
                        %error,
                        attempts = failure.attempts,
                        "the leader did not take the task configs, trying again"
                    );
                }
            }
        }
    }
}
