//! The counters of every client that a [`Dialer`](crate::Dialer) serves, for whoever reports them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::ClientMetrics;

/// Counters of clients that are gone are kept until there are this many: a counter should not go back.
const KEPT: usize = 1024;

/// By `client.id`. Clients of one id count together, one after the other or side by side.
#[derive(Debug, Default)]
pub(crate) struct ClientRegistry(Mutex<BTreeMap<Arc<str>, Arc<ClientMetrics>>>);

impl ClientRegistry {
    /// Where a client of this id counts.
    pub(crate) fn metrics(&self, client_id: &str) -> Arc<ClientMetrics> {
        let mut clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = clients.get(client_id) {
            return known.clone();
        }
        if clients.len() >= KEPT {
            clients.retain(|_, metrics| Arc::strong_count(metrics) > 1);
        }
        let metrics = Arc::<ClientMetrics>::default();
        clients.insert(client_id.into(), metrics.clone());
        metrics
    }

    pub(crate) fn all(&self) -> Vec<(Arc<str>, Arc<ClientMetrics>)> {
        let clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all = clients.iter().map(|(id, metrics)| (id.clone(), metrics.clone()));
        all.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_of_one_id_count_together_and_what_is_gone_makes_room() {
        let registry = ClientRegistry::default();
        let first = registry.metrics("a");
        first.connection_opened();
        drop(first);
        assert_eq!(registry.metrics("a").connections_opened(), 1, "a counter goes on");
        let in_use = registry.metrics("in use");
        for id in 0..2 * KEPT {
            registry.metrics(&id.to_string());
        }
        let all = registry.all();
        assert!(all.len() <= KEPT + 1);
        assert!(
            all.iter()
                .any(|(id, metrics)| **id == *"in use" && Arc::ptr_eq(metrics, &in_use))
        );
    }
}
