use kafka_wire::Compression;

use super::{TestClient, TestRecord, Topic};

/// Records that go on where the last ones ended, in every partition of a topic of its own.
#[derive(Debug)]
pub struct Stream {
    topic: String,
    partitions: i32,
    per_batch: usize,
    sent: u32,
}

impl Stream {
    /// Creates the topic.
    pub fn new(client: &mut TestClient, topic: &str, partitions: i32) -> Self {
        client.create_topic(Topic::new(topic, partitions));
        Self {
            topic: topic.to_owned(),
            partitions,
            per_batch: 50,
            sent: 0,
        }
    }

    /// Makes smaller or larger batches than 50 records.
    pub fn per_batch(self, per_batch: usize) -> Self {
        Self { per_batch, ..self }
    }

    /// How many records each partition has.
    pub fn sent(&self) -> u32 {
        self.sent
    }

    /// So many more records for each partition.
    pub fn produce(&mut self, client: &mut TestClient, per_partition: u32) {
        let records: Vec<TestRecord> = (self.sent..self.sent + per_partition)
            .map(|n| TestRecord::new(format!("k-{n}"), format!("v-{n}").repeat(20)))
            .collect();
        for partition in 0..self.partitions {
            for batch in records.chunks(self.per_batch) {
                client.produce(&self.topic, partition, Compression::None, batch);
            }
        }
        self.sent += per_partition;
    }
}
