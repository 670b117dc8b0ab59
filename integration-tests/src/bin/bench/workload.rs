use std::{fmt::Write, iter, thread};

use bytes::Bytes;
use integration_tests::{TestClient, Topic};
use kafka_wire::{BatchBuilder, Compression};

/// A batch of a producer that waits a little for more.
const LARGE: Batch = Batch::Bytes(262_144);
/// A batch of a producer with Java's default `batch.size`.
const DEFAULT: Batch = Batch::Bytes(16_384);

/// Enough different batches that nobody profits from seeing one again.
const DISTINCT_BATCHES: usize = 64;
const DISTINCT_RECORDS: usize = 10_000;
/// Near enough: `k0` to `k9972`.
const KEY_BYTES: u64 = 6;
const KEYS: usize = 9_973;
/// Fixed, so that every run copies the same bytes.
const TIMESTAMP: i64 = 1_790_000_000_000;
const LOADERS: i32 = 2;

/// What a source batch holds.
#[derive(Clone, Copy, Debug)]
enum Batch {
    Bytes(usize),
    Records(usize),
}

/// A backlog to be mirrored.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    pub(crate) records: u64,
    value_bytes: usize,
    pub(crate) partitions: i32,
    codec: Compression,
    batch: Batch,
}

pub(crate) const WORKLOADS: [Workload; 8] = [
    workload("1k-none", 1_000_000, 1024, 6, Compression::None, LARGE),
    workload("1k-json-lz4", 1_000_000, 1024, 6, Compression::Lz4, LARGE),
    workload("1k-json-zstd", 1_000_000, 1024, 6, Compression::Zstd, LARGE),
    workload("100b-none", 5_000_000, 100, 6, Compression::None, LARGE),
    workload("100b-lz4", 5_000_000, 100, 6, Compression::Lz4, LARGE),
    // What producers with their default settings leave behind when there is little to do …
    workload("100b-tiny", 400_000, 100, 6, Compression::None, Batch::Records(4)),
    // … and when there is much.
    workload("100b-16k", 2_000_000, 100, 6, Compression::None, DEFAULT),
    workload("100b-16k-lz4-1p", 2_000_000, 100, 1, Compression::Lz4, DEFAULT),
];

const fn workload(
    name: &'static str,
    records: u64,
    value_bytes: usize,
    partitions: i32,
    codec: Compression,
    batch: Batch,
) -> Workload {
    Workload {
        name,
        records,
        value_bytes,
        partitions,
        codec,
        batch,
    }
}

impl Workload {
    pub(crate) fn find(name: &str) -> Result<Self, String> {
        let found = WORKLOADS.iter().find(|workload| workload.name == name);
        found.copied().ok_or_else(|| format!("{name}: no such workload"))
    }

    /// Fewer records, if it is larger than that.
    pub(crate) fn shrink(&mut self, max_mb: u64) {
        let most = max_mb.saturating_mul(1_000_000) / (self.value_bytes as u64 + KEY_BYTES);
        self.records = self.records.min(most.max(1));
    }

    /// Before compression.
    pub(crate) fn megabytes(&self) -> f64 {
        (self.records * (self.value_bytes as u64 + KEY_BYTES)) as f64 / 1e6
    }

    pub(crate) fn topic(&self) -> String {
        format!("bench-{}", self.name)
    }

    /// Creates `topic` and fills it.
    pub(crate) fn load(&self, servers: &str, topic: &str) {
        TestClient::new(servers).create_topic(Topic::new(topic, self.partitions));
        let values = self.values();
        let mut numbers = 0..;
        let per_batch = self.records_per_batch(&values[0]);
        let distinct = DISTINCT_BATCHES.max(DISTINCT_RECORDS / per_batch);
        // A broker gives a batch its offsets, so the same bytes can be sent again and again.
        let whole: Vec<Bytes> = (0..distinct)
            .map(|_| self.batch(numbers.by_ref().take(per_batch), &values))
            .collect();
        let last: Vec<Option<Bytes>> = (0..self.partitions)
            .map(|partition| self.share(partition) % per_batch)
            .map(|rest| (rest > 0).then(|| self.batch(numbers.by_ref().take(rest), &values)))
            .collect();
        thread::scope(|scope| {
            for loader in 0..LOADERS {
                let (whole, last) = (&whole, &last);
                scope.spawn(move || {
                    let mut client = TestClient::new(servers);
                    let mut mine: Vec<_> = (0..self.partitions)
                        .filter(|partition| partition % LOADERS == loader)
                        .map(|partition| {
                            let batches = whole.iter().cycle().take(self.share(partition) / per_batch);
                            (partition, batches.chain(&last[partition as usize]))
                        })
                        .collect();
                    // Partitions grow side by side, as under a producer.
                    while !mine.is_empty() {
                        mine.retain_mut(|(partition, batches)| {
                            let batch = batches.next();
                            batch
                                .map(|batch| client.produce_bytes(topic, *partition, batch.clone()))
                                .is_some()
                        });
                    }
                });
            }
        });
    }

    /// How many records a partition gets.
    fn share(&self, partition: i32) -> usize {
        let (records, partitions) = (self.records as usize, self.partitions as usize);
        records / partitions + usize::from((partition as usize) < records % partitions)
    }

    fn records_per_batch(&self, value: &[u8]) -> usize {
        match self.batch {
            Batch::Records(records) => records,
            Batch::Bytes(bytes) => {
                let mut builder = BatchBuilder::new(Compression::None);
                while builder.estimated_size() <= bytes {
                    builder.push(TIMESTAMP, Some(b"k1234"), Some(value), iter::empty());
                }
                builder.record_count() as usize - 1
            }
        }
    }

    fn batch(&self, numbers: impl Iterator<Item = usize>, values: &[Vec<u8>]) -> Bytes {
        let mut builder = BatchBuilder::new(self.codec);
        for number in numbers {
            let key = format!("k{}", number % KEYS);
            let value = &values[number % values.len()];
            builder.push(TIMESTAMP, Some(key.as_bytes()), Some(value), iter::empty());
        }
        builder.build().to_bytes()
    }

    /// Noise, or orders as JSON if they will be compressed.
    fn values(&self) -> Vec<Vec<u8>> {
        let mut random = Random(7);
        if self.codec == Compression::None {
            let mut noise = || (0..self.value_bytes).map(|_| random.next() as u8).collect();
            return iter::repeat_with(&mut noise).take(512).collect();
        }
        let orders = (0..2048).map(|number| random.order(number, self.value_bytes).into_bytes());
        orders.collect()
    }
}

/// The same numbers in every run: splitmix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// Cut or padded to that many bytes.
    fn order(&mut self, number: i64, bytes: usize) -> String {
        let mut text = format!(
            r#"{{"order_id": {}, "customer": "customer-{}", "status": "{}", "amount": {}.{:02}, "ts": {}"#,
            self.below(1_000_000_000),
            self.below(100_000),
            ["NEW", "PAID", "SHIPPED"][self.below(3) as usize],
            self.below(1000),
            self.below(100),
            TIMESTAMP + number,
        );
        for item in 5.. {
            if text.len() + 40 >= bytes {
                break;
            }
            write!(text, r#", "item_{item}": "sku-{}""#, self.below(1_000_000)).expect("a string takes everything");
        }
        text.push('}');
        format!("{text:bytes$.bytes$}")
    }
}

#[cfg(test)]
mod tests {
    use kafka_wire::RecordBatch;

    use super::*;

    #[test]
    fn every_record_is_in_some_partition() {
        for workload in WORKLOADS {
            let shares = (0..workload.partitions).map(|partition| workload.share(partition) as u64);
            assert_eq!(shares.sum::<u64>(), workload.records, "{}", workload.name);
        }
    }

    #[test]
    fn batches_are_as_large_as_their_producer_would_make_them() {
        for (name, expected) in [("1k-none", 262_144), ("100b-none", 262_144), ("100b-16k", 16_384)] {
            let workload = Workload::find(name).expect("a known name");
            let values = workload.values();
            let bytes = workload
                .batch(1_000..1_000 + workload.records_per_batch(&values[0]), &values)
                .len();
            let one_more = bytes + 2 * workload.value_bytes;
            assert!(bytes <= expected && expected < one_more, "{name}: {bytes}");
        }
        let tiny = Workload::find("100b-tiny").expect("a known name");
        let batch = tiny.batch(0..tiny.records_per_batch(b"any"), &tiny.values());
        assert_eq!(RecordBatch::parse(batch).expect("a whole batch").record_count(), 4);
    }

    #[test]
    fn values_have_their_size_and_orders_shrink() {
        for workload in WORKLOADS {
            let values = workload.values();
            assert!(values.iter().all(|value| value.len() == workload.value_bytes));
            let plain: usize = values.iter().take(200).map(Vec::len).sum();
            let packed = workload.batch(0..200, &values).len();
            let shrinks = workload.codec != Compression::None;
            assert_eq!(
                packed < plain * 2 / 3,
                shrinks,
                "{}: {packed} of {plain}",
                workload.name
            );
        }
    }
}
