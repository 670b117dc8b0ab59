//! A group's committed offsets, and those that wait for a transaction's end.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

type Key = (Arc<str>, i32);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CommittedOffset {
    pub(crate) offset: i64,
    pub(crate) leader_epoch: i32,
    pub(crate) metadata: String,
}

#[derive(Debug, Default)]
pub(crate) struct Offsets {
    committed: BTreeMap<Key, CommittedOffset>,
    pending: HashMap<i64, BTreeMap<Key, CommittedOffset>>,
}

impl Offsets {
    pub(crate) fn commit(&mut self, topic: Arc<str>, partition: i32, offset: CommittedOffset) {
        self.committed.insert((topic, partition), offset);
    }

    pub(crate) fn commit_in_transaction(
        &mut self,
        producer_id: i64,
        topic: Arc<str>,
        partition: i32,
        offset: CommittedOffset,
    ) {
        let pending = self.pending.entry(producer_id).or_default();
        pending.insert((topic, partition), offset);
    }

    pub(crate) fn transaction_ended(&mut self, producer_id: i64, committed: bool) {
        let pending = self.pending.remove(&producer_id).unwrap_or_default();
        if committed {
            self.committed.extend(pending);
        }
    }

    pub(crate) fn get(&self, topic: &str, partition: i32) -> Option<&CommittedOffset> {
        self.committed.get(&(Arc::from(topic), partition))
    }

    /// Whether a transaction holds back an offset that is newer than the committed one.
    pub(crate) fn is_unstable(&self, topic: &str, partition: i32) -> bool {
        let key = (Arc::from(topic), partition);
        self.pending.values().any(|offsets| offsets.contains_key(&key))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Arc<str>, i32, &CommittedOffset)> {
        self.committed
            .iter()
            .map(|((topic, partition), offset)| (topic, *partition, offset))
    }

    pub(crate) fn delete(&mut self, topic: &str, partition: i32) {
        self.committed.remove(&(Arc::from(topic), partition));
    }

    pub(crate) fn topic_deleted(&mut self, topic: &str) {
        self.committed.retain(|(name, _), _| &**name != topic);
        for pending in self.pending.values_mut() {
            pending.retain(|(name, _), _| &**name != topic);
        }
    }
}
