//! Compares what was produced with what was mirrored, record by record.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Result, bail};
use kafka_client::{
    Client, ConsumerConfig,
    consumer::{Consumer, StartPosition},
};
use kafka_wire::{Entry, TopicPartition};

/// A batch of sample records is far smaller.
const MAX_BATCH_BYTES: usize = 64 * 1024 * 1024;

/// A record as a consumer sees it.
#[derive(Debug, PartialEq, Eq)]
struct Record {
    timestamp: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

/// Reads `records` records of a topic on both sides and compares them. `deadline` is for each side.
pub(super) async fn same_records(
    (source, source_topic): (&Client, &str),
    (target, target_topic): (&Client, &str),
    config: &ConsumerConfig,
    partitions: i32,
    records: u64,
    deadline: Duration,
) -> Result<u64> {
    let produced = read(source, config, source_topic, partitions, records, deadline).await?;
    let mirrored = read(target, config, target_topic, partitions, records, deadline).await?;
    for (partition, produced) in &produced {
        let mirrored = mirrored.get(partition).map_or(&[][..], Vec::as_slice);
        if let Some(at) = (0..produced.len()).find(|at| mirrored.get(*at) != Some(&produced[*at])) {
            bail!(
                "{source_topic}-{partition}: record {at} is {:?}, but {:?} was mirrored",
                produced[at],
                mirrored.get(at)
            );
        }
        if mirrored.len() != produced.len() {
            bail!(
                "{target_topic}-{partition} has {} records instead of {}",
                mirrored.len(),
                produced.len()
            );
        }
    }
    Ok(records)
}

/// All records by partition, once there are `expected` of them, and those that are there beyond.
async fn read(
    client: &Client,
    config: &ConsumerConfig,
    topic: &str,
    partitions: i32,
    expected: u64,
    deadline: Duration,
) -> Result<BTreeMap<i32, Vec<Record>>> {
    let mut consumer = Consumer::new(client.clone(), config.clone());
    let assignment = (0..partitions).map(|partition| (TopicPartition::new(topic, partition), StartPosition::Offset(0)));
    consumer.assign(assignment.collect());
    let mut read: BTreeMap<i32, Vec<Record>> = BTreeMap::new();
    let mut count = 0;
    let end = tokio::time::Instant::now() + deadline;
    while count < expected {
        let Ok(polled) = tokio::time::timeout_at(end, consumer.poll()).await else {
            bail!(
                "{topic} has {count} records instead of {expected} after {} s",
                deadline.as_secs()
            );
        };
        for fetched in polled.fetched {
            let records = read.entry(fetched.partition.partition).or_default();
            for entry in fetched.batches {
                let Entry::Batch(batch) = entry else {
                    bail!("{topic} holds records in an old format")
                };
                for record in &batch.records(MAX_BATCH_BYTES)? {
                    let record = record?;
                    count += 1;
                    records.push(Record {
                        timestamp: record.timestamp,
                        key: record.key.map(<[u8]>::to_vec),
                        value: record.value.map(<[u8]>::to_vec),
                        headers: record
                            .headers
                            .map(|(key, value): (&[u8], Option<&[u8]>)| (key.to_vec(), value.map(<[u8]>::to_vec)))
                            .collect(),
                    });
                }
            }
        }
    }
    Ok(read)
}
