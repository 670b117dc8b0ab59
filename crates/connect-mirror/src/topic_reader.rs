//! Reads a one-partition topic of MirrorMaker's own from its beginning, and follows it.

use std::sync::Arc;

use kafka_client::{
    Admin, Client, ConsumerConfig, Error, Topics,
    admin::OffsetSpec,
    consumer::{Consumer, ConsumerEvent, StartPosition},
};
use kafka_wire::{ErrorCode, INFLATE_CAP_BYTES, Record, TopicPartition};

/// See the module. Trouble after the start is said in the log and tried again for ever.
#[derive(Debug)]
pub(crate) struct TopicReader {
    consumer: Consumer,
    partition: TopicPartition,
    /// The end of the topic when reading began.
    end: i64,
    position: i64,
}

impl TopicReader {
    /// Finds out where the topic begins and ends. A topic that is not there is `UNKNOWN_TOPIC_OR_PARTITION`.
    pub(crate) async fn start(client: &Client, config: &ConsumerConfig, topic: &str) -> Result<Self, Error> {
        let partition = TopicPartition::new(topic, 0);
        let name: Arc<str> = topic.into();
        let metadata = client.refresh_metadata(Topics::Some(vec![name.clone()])).await?;
        let found = metadata.topics.get(&name);
        let code = match found.map(|found| (found.error, found.partitions.is_empty())) {
            Some((Some(code), _)) => Some(code),
            Some((None, false)) => None,
            Some((None, true)) | None => Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
        };
        if let Some(code) = code {
            return Err(Error::refused(format!("reading {topic}"), code, None));
        }
        let admin = Admin::new(client.clone());
        let ask = |spec| admin.list_offsets(vec![(partition.clone(), spec)], config.isolation_level);
        let offset = |results: kafka_client::admin::PerItem<TopicPartition, kafka_client::admin::OffsetInfo>| {
            let unanswered = || {
                Error::refused(
                    format!("listing offsets of {topic}"),
                    ErrorCode::UNKNOWN_SERVER_ERROR,
                    None,
                )
            };
            results
                .into_values()
                .next()
                .ok_or_else(unanswered)?
                .map(|found| found.offset)
        };
        let begin = offset(ask(OffsetSpec::Earliest).await?)?;
        let end = offset(ask(OffsetSpec::Latest).await?)?;
        let mut consumer = Consumer::new(client.clone(), config.clone());
        consumer.assign(vec![(partition.clone(), StartPosition::Offset(begin))]);
        Ok(Self {
            consumer,
            partition,
            end,
            position: begin,
        })
    }

    /// Whether everything was read that was there at the start.
    pub(crate) fn is_at_end(&self) -> bool {
        self.position >= self.end
    }

    /// Where the topic ended at the start.
    pub(crate) fn end(&self) -> i64 {
        self.end
    }

    /// Passes over what lies before `offset`, at most up to the end.
    pub(crate) fn skip_to(&mut self, offset: i64) {
        let offset = offset.min(self.end);
        if offset > self.position {
            self.consumer.seek(&self.partition, offset);
            self.position = offset;
        }
    }

    /// Waits for records and shows them with their offsets. Cancel-safe.
    pub(crate) async fn read(&mut self, mut each: impl FnMut(&Record<'_>)) {
        let polled = self.consumer.poll().await;
        for event in &polled.events {
            self.tell(event);
            if matches!(event, ConsumerEvent::TopicRecreated { .. }) {
                let begin = StartPosition::Beginning;
                self.consumer.assign(vec![(self.partition.clone(), begin)]);
                (self.position, self.end) = (0, 0);
            }
        }
        for fetched in polled.fetched {
            for entry in &fetched.batches {
                let records = match entry.records(INFLATE_CAP_BYTES) {
                    Ok(records) => records,
                    Err(error) => {
                        tracing::error!(partition = %self.partition, offset = entry.last_offset(), %error, "a batch cannot be read and is skipped");
                        continue;
                    }
                };
                for record in records.iter().map_while(Result::ok) {
                    if record.offset >= fetched.from {
                        each(&record);
                    }
                }
            }
            self.position = fetched.next_offset;
        }
    }

    fn tell(&self, event: &ConsumerEvent) {
        match event {
            ConsumerEvent::Unavailable { partition, error } => {
                tracing::warn!(%partition, error = error.chain(), "cannot be read for now; trying again");
            }
            ConsumerEvent::Recovered { partition } => tracing::info!(%partition, "can be read again"),
            ConsumerEvent::Gap { partition, from, to } | ConsumerEvent::Rewound { partition, from, to } => {
                tracing::warn!(%partition, from, to, "records of an internal topic are gone");
            }
            ConsumerEvent::TopicRecreated { topic } => {
                tracing::warn!(%topic, "internal topic was deleted and created again");
            }
            ConsumerEvent::Started { .. } => {}
        }
    }
}
