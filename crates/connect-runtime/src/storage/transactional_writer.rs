//! Writes to an internal topic under a transactional id: what is written together counts together, and whoever held the
//! id before can write no more.

use std::sync::Arc;

use config_def::Props;
use kafka_client::{Client, Dialer, config::ProducerConfig, producer::Producer};
use kafka_wire::TopicPartition;

use super::{Error, KafkaBasedLog, KeyValue, LogState, kafka_based_log::build};
use crate::clock::Clock;

/// Holds a transactional id until another takes it over. After an error it is of no use any more.
pub(crate) struct TransactionalWriter {
    producer: Producer,
    topic: Arc<str>,
    partitions: i32,
    clock: Clock,
}

impl TransactionalWriter {
    /// Takes the id over for writes to the topic of `log`. Waits for the cluster as long as it takes.
    pub(crate) async fn claim<S: LogState>(
        log: &KafkaBasedLog<S>,
        producer: &Props,
        transactional_id: &str,
        dialer: Dialer,
        clock: Clock,
    ) -> Result<Self, Error> {
        let config = ProducerConfig::parse(producer).map_err(Error::Config)?;
        let client = Client::new(config.client.clone(), dialer);
        let mut writer = Self {
            producer: Producer::transactional(client, config, transactional_id),
            topic: log.topic(),
            partitions: log.partitions(),
            clock,
        };
        let claimed = writer.producer.init_transactions().await;
        claimed.map_err(|source| writer.failed(source))?;
        Ok(writer)
    }

    /// Writes records in one transaction, and waits until they count.
    pub(crate) async fn write(&mut self, records: &[KeyValue]) -> Result<(), Error> {
        let batches = build(records, self.partitions, self.clock.now_ms());
        for (tag, (partition, batch)) in (0..).zip(batches) {
            let target = TopicPartition::new(self.topic.clone(), partition);
            self.producer.send(tag, target, batch);
        }
        let mut refused = None;
        while self.producer.in_flight() > 0 {
            for outcome in self.producer.outcomes().await {
                if let Err(source) = outcome.result {
                    let partition = outcome.target;
                    refused.get_or_insert(Error::Refused { partition, source });
                }
            }
        }
        match (self.producer.failure(), refused) {
            (Some(failure), _) => Err(self.failed(failure.clone())),
            (None, Some(refused)) => Err(refused),
            (None, None) => {
                let committed = self.producer.commit().await;
                committed.map_err(|source| self.failed(source))
            }
        }
    }

    fn failed(&self, source: kafka_client::Error) -> Error {
        Error::Transaction {
            topic: self.topic.clone(),
            source,
        }
    }
}

impl std::fmt::Debug for TransactionalWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TransactionalWriter")
            .field("topic", &self.topic)
            .finish_non_exhaustive()
    }
}
