//! What only the leader of a group does or knows: the session key, and who runs what.

use std::sync::Arc;

use connect_group::Round;
use tokio::time::Instant;

use super::{Herder, RequestError, assignment::task_id, config_writes::ConfigChange};
use crate::worker::ConnectorTaskId;

impl Herder {
    /// The leader of a group that signs its requests sees to it that there is a key, and that it is not too old.
    pub(super) fn rotate_session_key(&mut self) {
        let (Some(group), Some(settings), Some(stores)) = (&mut self.group, &self.settings.group, &self.stores) else {
            return;
        };
        group.key_due = None;
        if !group.leads() || !group.is_sessioned() {
            return;
        }
        let now_ms = self.clock.now_ms();
        let usable_for = settings
            .sessions
            .usable_for(stores.configs.state().session_key(), now_ms);
        match usable_for {
            Some(left) => group.key_due = Some(Instant::now() + left),
            None => {
                let key = settings.sessions.generate(now_ms);
                self.config_writes.push(ConfigChange::PutSessionKey(key), None);
            }
        }
    }

    /// Whom to ask about a connector that does not run here.
    pub(super) fn owner_of_connector(&self, name: &str) -> RequestError {
        self.owner(|round| {
            let owners = round.owners.as_ref()?;
            owners.of_connector(name).cloned()
        })
    }

    /// Whom to ask about a task that does not run here.
    pub(super) fn owner_of_task(&self, id: &ConnectorTaskId) -> RequestError {
        self.owner(|round| round.owners.as_ref()?.of_task(&task_id(id)).cloned())
    }

    /// Only the leader knows the owners; the others ask it.
    fn owner(&self, of: impl FnOnce(&Round) -> Option<Arc<str>>) -> RequestError {
        if let Err(forward) = self.lead() {
            return forward;
        }
        let Some(group) = &self.group else {
            return RequestError::rebalance_expected();
        };
        match group.round.as_deref().and_then(of) {
            // Assigned to us, and not running: it waits for the next round.
            Some(url) if url == group.rest_url => RequestError::rebalance_expected(),
            url => RequestError::Forward {
                url: url.map(|url| url.to_string()),
            },
        }
    }
}
