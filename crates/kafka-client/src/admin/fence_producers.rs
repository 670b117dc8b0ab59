//! Fencing producers: InitProducerId under their transactional ids.

use std::sync::Arc;
use std::time::Duration;

use super::{Admin, PerItem};
use crate::error::Error;
use crate::producer::coordinator::Coordinator;

/// Nobody is going to write under what is asked for here.
const TRANSACTION_TIMEOUT: Duration = Duration::from_millis(1);
/// Requests on their way at a time.
const AT_A_TIME: usize = 16;

impl Admin {
    /// Whoever holds one of these transactional ids can write no more, and what it did not commit is aborted.
    pub async fn fence_producers(&self, transactional_ids: Vec<Arc<str>>) -> PerItem<Arc<str>, ()> {
        let mut fenced = PerItem::with_capacity(transactional_ids.len());
        for ids in transactional_ids.chunks(AT_A_TIME) {
            let each = ids.iter().map(|id| async {
                let result = self.fence_producer(id.clone()).await;
                (id.clone(), result)
            });
            fenced.extend(futures_util::future::join_all(each).await);
        }
        fenced
    }

    async fn fence_producer(&self, transactional_id: Arc<str>) -> Result<(), Error> {
        let timeout = self.client.config().default_api_timeout;
        let mut coordinator = Coordinator::new(self.client.clone(), transactional_id.clone());
        let fencing = tokio::time::timeout(timeout, coordinator.init(TRANSACTION_TIMEOUT));
        fencing.await.map_or_else(
            |_elapsed| {
                Err(Error::Timeout {
                    what: format!("fencing transactional id {transactional_id}").into(),
                    timeout,
                    source: None,
                })
            },
            |initialised| initialised.map(drop),
        )
    }
}
