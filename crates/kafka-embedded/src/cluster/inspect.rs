//! What tests look at without being a client.

use bytes::Bytes;
use kafka_wire::{INFLATE_CAP_BYTES, RecordBatch};
use uuid::Uuid;

use super::{Cluster, no_partition};
use crate::error::Error;
use crate::topic::Partition;

/// A record as it is stored. Markers of transactions are left out; records of aborted transactions are there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRecord {
    /// Its offset.
    pub offset: i64,
    /// Its timestamp in milliseconds since 1970.
    pub timestamp: i64,
    /// Its key.
    pub key: Option<Bytes>,
    /// Its value; null is a tombstone.
    pub value: Option<Bytes>,
    /// Its headers in order, repeats included.
    pub headers: Vec<(Bytes, Option<Bytes>)>,
}

/// What a group has committed for a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedOffset {
    /// The topic's name.
    pub topic: String,
    /// The partition's index.
    pub partition: i32,
    /// The offset that comes next.
    pub offset: i64,
    /// What the client wrote beside it.
    pub metadata: String,
}

impl Cluster {
    /// All topics' names in order.
    pub fn topic_names(&self) -> Vec<String> {
        self.shared.state().topics.keys().map(|name| name.to_string()).collect()
    }

    /// A topic's id, if there is such a topic.
    pub fn topic_id(&self, topic: &str) -> Option<Uuid> {
        self.shared.state().topic(topic).ok().map(|topic| topic.id)
    }

    /// How many partitions a topic has; 0 without such a topic.
    pub fn partition_count(&self, topic: &str) -> i32 {
        self.shared
            .state()
            .topic(topic)
            .map_or(0, |topic| topic.partitions.len() as i32)
    }

    /// A topic's value of a configuration, its own or inherited.
    pub fn topic_config(&self, topic: &str, name: &str) -> Option<String> {
        let state = self.shared.state();
        let topic = state.topic(topic).ok()?;
        state.topic_config(&topic.configs, name).map(str::to_owned)
    }

    /// The offset of the first record that is kept.
    pub fn log_start_offset(&self, topic: &str, partition: i32) -> Result<i64, Error> {
        self.look(topic, partition, |partition| partition.log.log_start_offset())
    }

    /// The offset that the next record will get.
    pub fn end_offset(&self, topic: &str, partition: i32) -> Result<i64, Error> {
        self.look(topic, partition, |partition| partition.log.high_watermark())
    }

    /// The end of what a reader with `read_committed` gets.
    pub fn last_stable_offset(&self, topic: &str, partition: i32) -> Result<i64, Error> {
        self.look(topic, partition, |partition| partition.log.last_stable_offset())
    }

    /// How many bytes of batches a partition holds.
    pub fn size_bytes(&self, topic: &str, partition: i32) -> Result<usize, Error> {
        self.look(topic, partition, |partition| partition.log.size_bytes())
    }

    /// The node that leads a partition, if any does, and the leader epoch.
    pub fn leader(&self, topic: &str, partition: i32) -> Result<(Option<i32>, i32), Error> {
        self.look(topic, partition, |partition| (partition.leader, partition.leader_epoch))
    }

    /// A partition's batches as they are stored, markers included.
    pub fn batches(&self, topic: &str, partition: i32) -> Result<Vec<RecordBatch>, Error> {
        self.look(topic, partition, |partition| partition.log.batches().cloned().collect())
    }

    /// A partition's records.
    pub fn records(&self, topic: &str, partition: i32) -> Result<Vec<StoredRecord>, Error> {
        let start = self.log_start_offset(topic, partition)?;
        let mut all = Vec::new();
        for batch in self
            .batches(topic, partition)?
            .iter()
            .filter(|batch| !batch.is_control())
        {
            read_batch(batch, &mut all).map_err(|source| Error::Unreadable {
                topic: topic.to_owned(),
                partition,
                source,
            })?;
        }
        all.retain(|record| record.offset >= start);
        Ok(all)
    }

    /// What a group has committed, in order.
    pub fn committed_offsets(&self, group_id: &str) -> Vec<CommittedOffset> {
        let state = self.shared.state();
        let offsets = state
            .groups
            .get(group_id)
            .into_iter()
            .flat_map(|group| group.offsets.iter());
        let offsets = offsets.map(|(topic, partition, committed)| CommittedOffset {
            topic: topic.to_string(),
            partition,
            offset: committed.offset,
            metadata: committed.metadata.clone(),
        });
        offsets.collect()
    }

    /// The member ids of a group.
    pub fn group_members(&self, group_id: &str) -> Vec<String> {
        let state = self.shared.state();
        let members = state
            .groups
            .get(group_id)
            .into_iter()
            .flat_map(|group| group.members.keys());
        members.cloned().collect()
    }

    fn look<T>(&self, topic: &str, partition: i32, at: impl FnOnce(&Partition) -> T) -> Result<T, Error> {
        let state = self.shared.state();
        state
            .partition(topic, partition)
            .map(at)
            .map_err(|_| no_partition(topic, partition))
    }
}

fn read_batch(batch: &RecordBatch, all: &mut Vec<StoredRecord>) -> Result<(), kafka_wire::Error> {
    let copy = Bytes::copy_from_slice;
    for record in &batch.records(INFLATE_CAP_BYTES)? {
        let record = record?;
        all.push(StoredRecord {
            offset: record.offset,
            timestamp: record.timestamp,
            key: record.key.map(copy),
            value: record.value.map(copy),
            headers: record
                .headers
                .map(|(key, value)| (copy(key), value.map(copy)))
                .collect(),
        });
    }
    Ok(())
}
