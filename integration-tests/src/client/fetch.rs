use std::{collections::HashSet, time::Duration};

use kafka_protocol::messages::{
    FetchRequest,
    fetch_request::{FetchPartition, FetchTopic},
    fetch_response::PartitionData,
};
use kafka_wire::{BatchIter, Compression, Entry, RecordBatch};

use super::{Error, PATIENCE, TestClient, TestRecord, check, topic_name};
use crate::deadline::{Deadline, pause};

const MAX_BYTES: i32 = 32 << 20;
const MAX_INFLATED_BYTES: usize = 256 << 20;

/// Which records of transactions are seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// All.
    ReadUncommitted = 0,
    /// Only those of committed transactions.
    ReadCommitted = 1,
}

impl TestClient {
    /// All records that a partition has now. Control records are no records.
    pub fn records(&mut self, topic: &str, partition: i32) -> Vec<TestRecord> {
        self.records_from(topic, partition, 0, Isolation::ReadUncommitted)
    }

    /// All records of all partitions, in order of the partitions.
    pub fn all_records(&mut self, topic: &str) -> Vec<Vec<TestRecord>> {
        let count = self
            .partition_count(topic)
            .unwrap_or_else(|| panic!("there is no topic {topic}"));
        (0..count).map(|partition| self.records(topic, partition)).collect()
    }

    /// The records that a partition has now, from `offset` on.
    pub fn records_from(&mut self, topic: &str, partition: i32, offset: i64, isolation: Isolation) -> Vec<TestRecord> {
        let end = self.log_end(topic, partition, isolation);
        let mut next = offset.max(self.log_start(topic, partition));
        let mut records = Vec::new();
        let deadline = Deadline::after(PATIENCE);
        while next < end {
            assert!(
                !deadline.passed(),
                "reading {topic}-{partition} is stuck at {next} of {end}"
            );
            let data = self.persist("fetch", |client| client.fetch(topic, partition, next, isolation));
            let before = next;
            next = read_into(&mut records, data, next, isolation);
            if next == before {
                pause(Duration::from_millis(20));
            }
        }
        records
    }

    /// The records of one fetch at `offset`; none if there are none yet.
    pub fn read_some(&mut self, topic: &str, partition: i32, offset: i64) -> Vec<TestRecord> {
        let isolation = Isolation::ReadUncommitted;
        let data = self.persist("fetch", |client| client.fetch(topic, partition, offset, isolation));
        let mut records = Vec::new();
        read_into(&mut records, data, offset, isolation);
        records
    }

    /// The codecs of a partition's batches, from its start up to the size of one fetch.
    pub fn codecs(&mut self, topic: &str, partition: i32) -> Vec<Compression> {
        let start = self.log_start(topic, partition);
        let data = self.persist("fetch", |client| {
            client.fetch(topic, partition, start, Isolation::ReadUncommitted)
        });
        let batches = BatchIter::new(data.records.unwrap_or_default()).filter_map(|entry| match entry {
            Ok(Entry::Batch(batch)) => Some(batch.compression().expect("a broker sends known codecs")),
            _ => None,
        });
        batches.collect()
    }

    fn fetch(
        &mut self,
        topic: &str,
        partition: i32,
        offset: i64,
        isolation: Isolation,
    ) -> Result<PartitionData, Error> {
        let asked = FetchPartition::default()
            .with_partition(partition)
            .with_fetch_offset(offset)
            .with_partition_max_bytes(MAX_BYTES);
        let asked = FetchTopic::default()
            .with_topic(topic_name(topic))
            .with_partitions(vec![asked]);
        let request = FetchRequest::default()
            .with_replica_id((-1).into())
            .with_max_wait_ms(200)
            .with_min_bytes(1)
            .with_max_bytes(MAX_BYTES)
            .with_isolation_level(isolation as i8)
            .with_session_epoch(-1)
            .with_topics(vec![asked]);
        let leader = self.leader(topic, partition)?;
        let response = self.call(&leader, 11, &request)?;
        check(response.error_code, || format!("fetch {topic}-{partition}"))?;
        let data = response.responses.into_iter().flat_map(|topic| topic.partitions).next();
        let data = data.ok_or_else(|| Error::Nonsense(format!("no word on {topic}-{partition}")))?;
        check(data.error_code, || format!("fetch {topic}-{partition} at {offset}"))?;
        Ok(data)
    }
}

/// Adds what is wanted of one answer, and gives the offset to go on at.
fn read_into(records: &mut Vec<TestRecord>, data: PartitionData, mut next: i64, isolation: Isolation) -> i64 {
    let mut aborted = data.aborted_transactions.unwrap_or_default();
    let mut aborting = HashSet::new();
    for entry in BatchIter::new(data.records.unwrap_or_default()) {
        let Entry::Batch(batch) = entry.expect("a broker sends whole batches, and cut ones last") else {
            panic!("no scenario writes old message formats");
        };
        if batch.last_offset() < next {
            continue;
        }
        aborted.retain(|transaction| {
            let begun = transaction.first_offset <= batch.last_offset();
            if begun {
                aborting.insert(transaction.producer_id.0);
            }
            !begun
        });
        let is_aborted = batch.is_transactional() && aborting.contains(&batch.producer_id());
        if batch.is_control() {
            aborting.remove(&batch.producer_id());
        } else if !(isolation == Isolation::ReadCommitted && is_aborted) {
            read_batch(records, &batch, next);
        }
        next = batch.last_offset() + 1;
    }
    next
}

fn read_batch(records: &mut Vec<TestRecord>, batch: &RecordBatch, from: i64) {
    batch.verify().expect("a broker sends batches with the right crc");
    let inflated = batch.records(MAX_INFLATED_BYTES).expect("a batch can be read");
    for record in inflated.iter() {
        let record = record.expect("a record can be read");
        if record.offset < from {
            continue;
        }
        records.push(TestRecord {
            offset: record.offset,
            timestamp: record.timestamp,
            key: record.key.map(<[u8]>::to_vec),
            value: record.value.map(<[u8]>::to_vec),
            headers: record
                .headers
                .map(|(key, value)| (key.to_vec(), value.map(<[u8]>::to_vec)))
                .collect(),
        });
    }
}
