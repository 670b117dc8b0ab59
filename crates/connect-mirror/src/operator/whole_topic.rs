//! Reads an internal topic of several partitions to its end.

use std::collections::HashMap;

use kafka_client::{
    Admin, Client, ConsumerConfig, Error,
    config::IsolationLevel,
    consumer::{Consumer, StartPosition},
};
use kafka_wire::{INFLATE_CAP_BYTES, Record, TopicPartition};

use super::destination::ranges_at;

/// Shows each record. A topic that is not there has none.
pub(super) async fn read_all(
    client: &Client,
    config: &ConsumerConfig,
    topic: &str,
    mut each: impl FnMut(&Record<'_>),
) -> Result<(), Error> {
    let admin = Admin::new(client.clone());
    let described = admin.describe_topics(&[topic.into()]).await?;
    let count = described
        .get(topic)
        .and_then(|topic| topic.as_ref().ok())
        .map_or(0, |topic| topic.partitions.len());
    let names = (0..i32::try_from(count).unwrap_or(0)).map(|partition| TopicPartition::new(topic, partition));
    let ranges = ranges_at(&admin, names, IsolationLevel::ReadUncommitted).await?;
    let mut left: HashMap<TopicPartition, i64> = HashMap::new();
    let mut starts = Vec::new();
    for (partition, (start, end)) in ranges {
        if start < end {
            left.insert(partition.clone(), end);
            starts.push((partition, StartPosition::Offset(start)));
        }
    }
    let mut consumer = Consumer::new(client.clone(), config.clone());
    consumer.assign(starts);
    while !left.is_empty() {
        for fetched in consumer.poll().await.fetched {
            for entry in &fetched.batches {
                let Ok(records) = entry.records(INFLATE_CAP_BYTES) else {
                    tracing::warn!(partition = %fetched.partition, "a batch cannot be read and is skipped");
                    continue;
                };
                let records = records.iter().map_while(Result::ok);
                records
                    .filter(|record| record.offset >= fetched.from)
                    .for_each(|record| each(&record));
            }
            if left
                .get(&fetched.partition)
                .is_some_and(|end| fetched.next_offset >= *end)
            {
                left.remove(&fetched.partition);
            }
        }
    }
    Ok(())
}
