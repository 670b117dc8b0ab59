//! The topics that earlier lives of a task have copied, as its offset syncs name them. A stored offset belongs to a topic of
//! that id: in one that was made again meanwhile it would pass over the beginning.

use std::time::Duration;

use kafka_wire::TopicPartition;
use tokio::{sync::oneshot, time::Instant};

use crate::offset_sync_history::PartitionTopicIds;

/// How long reading waits for them. A topic that is found out later to be another is copied from its beginning all the
/// same, and some of it twice.
const PATIENCE: Duration = Duration::from_secs(5);

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct FormerTopics {
    coming: Option<(oneshot::Receiver<PartitionTopicIds>, Instant)>,
    ids: PartitionTopicIds,
}

impl FormerTopics {
    /// They are being read.
    pub(crate) fn coming(ids: oneshot::Receiver<PartitionTopicIds>) -> Self {
        Self {
            coming: Some((ids, Instant::now() + PATIENCE)),
            ids: PartitionTopicIds::new(),
        }
    }

    /// Whether nothing is to be read before they are known.
    pub(crate) fn are_waited_for(&self) -> bool {
        self.coming.as_ref().is_some_and(|(_, until)| *until > Instant::now())
    }

    /// Waits until they are known, or need not be waited for any longer; for ever when there is nothing to wait for.
    /// Cancel-safe.
    pub(crate) async fn arrive(&mut self) {
        let Some((coming, until)) = &mut self.coming else {
            return std::future::pending().await;
        };
        let is_waited_for = *until > Instant::now();
        tokio::select! {
            ids = coming => {
                self.ids = ids.unwrap_or_default();
                self.coming = None;
            }
            () = tokio::time::sleep_until(*until), if is_waited_for => {}
        }
    }

    /// The id that a partition's topic had, told once.
    pub(crate) fn take(&mut self, partition: &TopicPartition) -> Option<u128> {
        self.ids.remove(partition)
    }
}
