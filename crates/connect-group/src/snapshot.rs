//! What the group needs to know of the worker's copy of the config topic.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::work::{TaskId, Work};

/// The worker's copy of the config topic, as far as the group is concerned.
pub trait ConfigSnapshots: Send + Sync {
    /// What is known now; never waits.
    fn snapshot(&self) -> ConfigSnapshot;

    /// Reads to the present end of the config topic; after it [`Self::snapshot`] has seen that end. The member gives up
    /// waiting after `worker.sync.timeout.ms` and drops the future.
    fn read_to_end(&self) -> BoxFuture<'static, Result<(), CatchUpError>>;
}

/// Why the config topic could not be read to its end; treated like a reading that takes too long.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the config topic cannot be read to its end: {0}")]
pub struct CatchUpError(pub Arc<str>);

/// A moment of the config topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigSnapshot {
    /// One more than the offset of the last record that was processed, −1 if none ever was. Neither transaction markers
    /// nor records whose value is no JSON count, or Java workers would never agree with us.
    pub offset: i64,
    /// Every configured connector with the number of its tasks; 0 while its task configurations are inconsistent.
    pub connectors: BTreeMap<Arc<str>, u32>,
}

impl ConfigSnapshot {
    /// All connectors and tasks.
    pub fn work(&self) -> Work {
        let tasks = self.connectors.iter().flat_map(|(name, count)| {
            (0..i32::try_from(*count).unwrap_or(i32::MAX)).map(|task| TaskId::new(name.clone(), task))
        });
        Work {
            connectors: self.connectors.keys().cloned().collect(),
            tasks: tasks.collect(),
        }
    }
}
