//! Where a connector keeps its source offsets: in the worker's topic, or in one of its own with a copy in the worker's
//! (Java's `ConnectorOffsetBackingStore`).

use std::time::Duration;

use config_def::Props;
use kafka_client::{
    Client, ClientConfig, Dialer,
    config::{ConsumerConfig, ProducerConfig},
    consumer::Consumer,
    producer::Producer,
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, warn};

use super::{
    Error, InternalTopic, KafkaBasedLog, KeyValue,
    connector_offsets::StoredOffset,
    offset::{OffsetReader, OffsetState},
};
use crate::{
    clients,
    clock::Clock,
    settings::{ExactlyOnceSupport, Storage, WorkerSettings},
    trouble::Trouble,
    worker::ConnectorTaskId,
};

/// While the cluster of a connector's topic cannot be reached: first and longest wait between attempts.
const OPEN_RETRY: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(10));

/// The key of a connector's configuration that names its topic.
pub(crate) const OFFSETS_TOPIC: &str = "offsets.storage.topic";

/// The topic that a connector names, or has because its records go to another cluster than the worker's.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct OwnTopic {
    topic: InternalTopic,
    producer: Props,
    consumer: Props,
    admin: Props,
}

impl OwnTopic {
    /// `None` if the connector's offsets are in the worker's topic alone. The clients are those of task `id`.
    ///
    /// As in Kafka, what is written exactly once counts together with its offsets, so these follow the producer to its
    /// cluster, and clusters are the same if `bootstrap.servers` says so.
    pub(crate) fn of(settings: &WorkerSettings, connector: &Props, id: &ConnectorTaskId) -> Option<Self> {
        let Storage::Topics { offsets: workers, .. } = &settings.storage else {
            return None;
        };
        let is_exactly_once = settings.exactly_once == ExactlyOnceSupport::Enabled;
        let name = match connector.get(OFFSETS_TOPIC).map(|topic| topic.trim()) {
            Some(name) if !name.is_empty() => name,
            _ if is_exactly_once => &workers.name,
            _ => return None,
        };
        let producer = clients::task_producer(&settings.props, connector, id);
        let servers = "bootstrap.servers";
        if name == workers.name && producer.get(servers) == settings.props.get(servers) {
            return None;
        }
        let topic = InternalTopic {
            name: name.to_owned(),
            ..workers.clone()
        };
        Some(Self {
            topic,
            producer,
            consumer: clients::task_offsets_consumer(&settings.props, connector, id, is_exactly_once),
            admin: clients::task_admin(&settings.props, connector, id),
        })
    }
}

/// The offsets of one connector. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct ConnectorOffsets {
    /// What counts.
    main: KafkaBasedLog<OffsetState>,
    /// The worker's topic, if that is not it: a connector that loses its own goes on from there.
    workers: Option<KafkaBasedLog<OffsetState>>,
}

impl ConnectorOffsets {
    /// Creates or checks the connector's own topic, which is read and written for as long as the set is there.
    pub(crate) async fn open(
        own: Option<OwnTopic>,
        workers: KafkaBasedLog<OffsetState>,
        dialer: &Dialer,
        clock: &Clock,
    ) -> Result<(Self, JoinSet<()>), Error> {
        let mut running = JoinSet::new();
        let Some(own) = own else {
            let (main, workers) = (workers, None);
            return Ok((Self { main, workers }, running));
        };
        let admin = ClientConfig::parse(&own.admin).map_err(Error::Config)?;
        let consumer = ConsumerConfig::parse(&own.consumer).map_err(Error::Config)?;
        let producer = ProducerConfig::parse(&own.producer).map_err(Error::Config)?;
        let client = |config| Client::new(config, dialer.clone());
        let admin = client(admin);
        let partitions = own.topic.ensure(&admin).await?;
        let (main, log_loop) = KafkaBasedLog::new(
            &own.topic,
            partitions,
            admin,
            Consumer::new(client(consumer.client.clone()), consumer),
            Producer::new(client(producer.client.clone()), producer),
            clock.clone(),
            OffsetState::default(),
        );
        // Ends with the set.
        running.spawn(log_loop.run(CancellationToken::new()).in_current_span());
        let workers = Some(workers);
        Ok((Self { main, workers }, running))
    }

    /// The same for a task, which waits for the cluster of its records as long as it takes.
    pub(crate) async fn open_for_task(
        own: Option<OwnTopic>,
        workers: KafkaBasedLog<OffsetState>,
        dialer: &Dialer,
        clock: &Clock,
    ) -> Result<(Self, JoinSet<()>), Error> {
        let mut trouble = Trouble::new(OPEN_RETRY.0, OPEN_RETRY.1);
        loop {
            let error = match Self::open(own.clone(), workers.clone(), dialer, clock).await {
                Err(error) if !error.is_fatal() => error,
                opened_or_fatal => return opened_or_fatal,
            };
            let failure = trouble.failed();
            if failure.report {
                warn!(
                    error = error.chain(),
                    attempts = failure.attempts,
                    "a connector's own offsets topic cannot be reached, trying again"
                );
            }
            tokio::time::sleep(failure.wait).await;
        }
    }

    /// The log whose records count.
    pub(crate) fn main(&self) -> &KafkaBasedLog<OffsetState> {
        &self.main
    }

    /// Waits until everything has been read that was written before the call.
    pub(crate) async fn read_to_end(&self) -> Result<(), Error> {
        if let Some(workers) = &self.workers {
            workers.read_to_end().await?;
        }
        self.main.read_to_end().await
    }

    /// What `connector` has stored, as it is now.
    pub(crate) fn reader(&self, connector: &str) -> OffsetReader {
        let main = self.main.state().reader(connector);
        match &self.workers {
            Some(workers) => workers.state().reader(connector).overlaid_with(main),
            None => main,
        }
    }

    /// The same, as users see it.
    pub(crate) fn stored(&self, connector: &str) -> Vec<StoredOffset> {
        self.reader(connector).into_stored()
    }

    /// To be called before tombstones are written: what is forgotten must not come back from the worker's topic.
    pub(crate) async fn forget_in_workers(&self, records: &[KeyValue]) -> Result<(), Error> {
        let tombstones = records.iter().filter(|record| record.value.is_none());
        match &self.workers {
            Some(workers) => workers.write(tombstones.cloned().collect()).await,
            None => Ok(()),
        }
    }

    /// To be called once `records` count: the worker's topic has them, too, sooner or later.
    pub(crate) fn copy_to_workers(&self, records: Vec<KeyValue>) {
        let Some(workers) = &self.workers else { return };
        let offsets: Vec<_> = records.into_iter().filter(|record| record.value.is_some()).collect();
        if !workers.write_later(offsets) {
            warn!(
                topic = &*workers.topic(),
                "the copy of a connector's offsets was left out: the worker's topic cannot be written"
            );
        }
    }

    /// Stores offsets. What is copied is not waited for.
    pub(crate) async fn write(&self, records: Vec<KeyValue>) -> Result<(), Error> {
        let copy = self.workers.as_ref().map(|_| records.clone());
        self.main.write(records).await?;
        self.copy_to_workers(copy.unwrap_or_default());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(worker: &[(&str, &str)], connector: &[(&str, &str)]) -> Option<OwnTopic> {
        let props = |pairs: &[(&str, &str)]| -> Props {
            let pairs = pairs.iter();
            pairs
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect()
        };
        let mut all = props(&[
            ("bootstrap.servers", "b:9092"),
            ("group.id", "g"),
            (
                "key.converter",
                "org.apache.kafka.connect.converters.ByteArrayConverter",
            ),
            (
                "value.converter",
                "org.apache.kafka.connect.converters.ByteArrayConverter",
            ),
            ("config.storage.topic", "configs"),
            ("offset.storage.topic", "offsets"),
            ("offset.storage.partitions", "7"),
            ("status.storage.topic", "status"),
        ]);
        all.extend(props(worker));
        let settings = WorkerSettings::parse(&all).unwrap();
        OwnTopic::of(&settings, &props(connector), &ConnectorTaskId::new("c", 0))
    }

    #[test]
    fn a_topic_is_the_connectors_own_by_name_or_by_cluster() {
        let mine = (OFFSETS_TOPIC, "mine");
        let elsewhere = ("producer.override.bootstrap.servers", "other:9092");
        let exactly_once = ("exactly.once.source.support", "enabled");
        assert_eq!(own(&[], &[]), None);
        assert_eq!(own(&[], &[(OFFSETS_TOPIC, " ")]), None);
        assert_eq!(own(&[], &[elsewhere]), None);
        assert_eq!(own(&[], &[(OFFSETS_TOPIC, "offsets")]), None, "the worker's by name");
        assert_eq!(own(&[exactly_once], &[]), None);
        let name = |own: Option<OwnTopic>| own.map(|own| (own.topic.name, own.topic.partitions));
        assert_eq!(name(own(&[], &[mine])), Some(("mine".to_owned(), 7)));
        assert_eq!(
            name(own(&[], &[(OFFSETS_TOPIC, "offsets"), elsewhere])).unwrap().0,
            "offsets"
        );
        assert_eq!(name(own(&[exactly_once], &[elsewhere])).unwrap().0, "offsets");
    }

    #[test]
    fn what_is_not_committed_is_read_only_by_request_and_never_exactly_once() {
        let isolation = |worker: &[(&str, &str)]| {
            let wish = ("consumer.override.isolation.level", "read_uncommitted");
            own(worker, &[(OFFSETS_TOPIC, "mine"), wish]).unwrap().consumer["isolation.level"].clone()
        };
        assert_eq!(isolation(&[]), "read_uncommitted");
        assert_eq!(
            isolation(&[("exactly.once.source.support", "enabled")]),
            "read_committed"
        );
        let default = own(&[], &[(OFFSETS_TOPIC, "mine")]).unwrap();
        assert_eq!(default.consumer["isolation.level"], "read_committed");
    }
}
