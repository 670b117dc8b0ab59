//! The records of one partition, in order, each as small as a comparison needs it.

use std::{
    collections::VecDeque,
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use kafka_client::{
    Client, ConsumerConfig,
    config::IsolationLevel,
    consumer::{Consumer, ConsumerEvent, StartPosition},
};
use kafka_wire::{Entry, INFLATE_CAP_BYTES, Record, TopicPartition};

/// What of a record is compared. Key, value and headers are hashes, so that large records need no memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) offset: i64,
    pub(super) timestamp: i64,
    pub(super) key: u64,
    pub(super) value: u64,
    pub(super) headers: u64,
}

impl Seen {
    fn of(record: &Record<'_>) -> Self {
        let mut headers = DefaultHasher::new();
        for header in record.headers {
            header.hash(&mut headers);
        }
        Self {
            offset: record.offset,
            timestamp: record.timestamp,
            key: hash(record.key),
            value: hash(record.value),
            headers: headers.finish(),
        }
    }

    /// All that must be the same on both sides.
    pub(super) fn content(&self) -> (i64, u64, u64, u64) {
        (self.timestamp, self.key, self.value, self.headers)
    }
}

fn hash(bytes: Option<&[u8]>) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

/// See the module. Holds one answer of a broker at a time.
#[derive(Debug)]
pub(super) struct RecordStream {
    consumer: Consumer,
    partition: TopicPartition,
    entries: VecDeque<Entry>,
    /// Records before it are not wanted.
    from: i64,
    /// Everything before it was read, once `entries` is empty. A broker may have answered with more than was asked for.
    next: i64,
    /// Everything before it was given out.
    position: i64,
    end: i64,
    patience: Duration,
    ignores_timestamps: bool,
}

impl RecordStream {
    /// The records from offset `from` on and before `end`.
    pub(super) fn new(
        client: Client,
        config: &ConsumerConfig,
        isolation: IsolationLevel,
        partition: TopicPartition,
        (from, end): (i64, i64),
        patience: Duration,
    ) -> Self {
        let mut config = config.clone();
        config.isolation_level = isolation;
        let mut consumer = Consumer::new(client, config);
        consumer.assign(vec![(partition.clone(), StartPosition::Offset(from))]);
        Self {
            consumer,
            partition,
            entries: VecDeque::new(),
            from,
            next: from,
            position: from,
            end,
            patience,
            ignores_timestamps: false,
        }
    }

    /// All records as if of one time.
    pub(super) fn ignoring_timestamps(mut self, ignores: bool) -> Self {
        self.ignores_timestamps = ignores;
        self
    }

    /// Whether nothing is left before the end.
    pub(super) fn is_ended(&self) -> bool {
        self.entries.is_empty() && self.next >= self.end
    }

    /// Where to go on after what was given out.
    pub(super) fn position(&self) -> i64 {
        self.position
    }

    pub(super) fn end(&self) -> i64 {
        self.end
    }

    /// There is more by now.
    pub(super) fn extend(&mut self, end: i64) {
        self.end = end.max(self.end);
    }

    /// Reads the next batch. The error is a text: what a person needs to know.
    pub(super) async fn read(&mut self, into: &mut VecDeque<Seen>) -> Result<(), String> {
        while self.entries.is_empty() && self.next < self.end {
            let polled = tokio::time::timeout(self.patience, self.consumer.poll()).await;
            let polled = polled.map_err(|_| format!("{} was silent for {:?}", self.partition, self.patience))?;
            for event in polled.events {
                match event {
                    ConsumerEvent::Gap { from, to, .. } | ConsumerEvent::Rewound { from, to, .. } => {
                        return Err(format!("{}: offsets {from} to {to} are gone", self.partition));
                    }
                    ConsumerEvent::TopicRecreated { topic } => return Err(format!("{topic} was created anew")),
                    ConsumerEvent::Unavailable { error, .. } => {
                        tracing::warn!(partition = %self.partition, error = error.chain(), "cannot be read for now");
                    }
                    ConsumerEvent::Recovered { .. } | ConsumerEvent::Started { .. } => {}
                }
            }
            for fetched in polled.fetched {
                self.next = fetched.next_offset;
                self.entries.extend(fetched.batches);
            }
        }
        let Some(entry) = self.entries.pop_front() else {
            self.position = self.position.max(self.next);
            return Ok(());
        };
        let unreadable = |error| {
            format!(
                "{}: the batch that ends at {} is bad: {error}",
                self.partition,
                entry.last_offset()
            )
        };
        let records = entry.records(INFLATE_CAP_BYTES).map_err(unreadable)?;
        for record in records.iter() {
            let record = record.map_err(unreadable)?;
            if record.offset >= self.from {
                let mut seen = Seen::of(&record);
                if self.ignores_timestamps {
                    seen.timestamp = 0;
                }
                into.push_back(seen);
            }
        }
        self.position = match self.entries.is_empty() {
            true => self.next,
            false => entry.last_offset() + 1,
        };
        Ok(())
    }
}
