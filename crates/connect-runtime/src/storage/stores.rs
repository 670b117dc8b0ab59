use config_def::Props;
use kafka_client::{
    Client, Dialer,
    config::{ConsumerConfig, ProducerConfig},
    consumer::Consumer,
    producer::Producer,
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::{
    Error, InternalTopic, KafkaBasedLog, LogLoop, LogState, config::ConfigState, offset::OffsetState,
    status::StatusState,
};
use crate::{clients, clock::Clock, settings::WorkerSettings};

/// The logs of the internal topics. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Stores {
    /// Source offsets.
    pub offsets: KafkaBasedLog<OffsetState>,
    /// States of connectors and tasks.
    pub statuses: KafkaBasedLog<StatusState>,
    /// Configurations.
    pub configs: KafkaBasedLog<ConfigState>,
}

/// What drives [`Stores`].
#[derive(Debug)]
pub struct StoreLoops {
    offsets: LogLoop<OffsetState>,
    statuses: LogLoop<StatusState>,
    configs: LogLoop<ConfigState>,
}

impl Stores {
    /// Creates or checks the topics, one after the other in Kafka's order. Nothing is read before the loops run.
    pub async fn open(settings: &WorkerSettings, dialer: &Dialer, clock: &Clock) -> Result<(Self, StoreLoops), Error> {
        let (offset_topic, status_topic) = (&settings.offset_topic, &settings.status_topic);
        let props = |store| clients::store(&settings.props, store);
        let (offsets, offset_loop) =
            open(offset_topic, props("offsets"), dialer, clock, OffsetState::default()).await?;
        let (statuses, status_loop) =
            open(status_topic, props("statuses"), dialer, clock, StatusState::default()).await?;
        let config_topic = &settings.config_topic;
        let (configs, config_loop) =
            open(config_topic, props("configs"), dialer, clock, ConfigState::default()).await?;
        let stores = Self {
            offsets,
            statuses,
            configs,
        };
        Ok((
            stores,
            StoreLoops {
                offsets: offset_loop,
                statuses: status_loop,
                configs: config_loop,
            },
        ))
    }

    /// Waits until all three have been read to the end.
    pub async fn read_to_end(&self) -> Result<(), Error> {
        self.offsets.read_to_end().await?;
        self.statuses.read_to_end().await?;
        self.configs.read_to_end().await
    }
}

impl StoreLoops {
    /// Runs the loops in `children` until cancelled.
    pub fn spawn_into(self, children: &mut JoinSet<()>, cancel: &CancellationToken) {
        children.spawn(self.offsets.run(cancel.clone()).in_current_span());
        children.spawn(self.statuses.run(cancel.clone()).in_current_span());
        children.spawn(self.configs.run(cancel.clone()).in_current_span());
    }
}

async fn open<S: LogState>(
    topic: &InternalTopic,
    props: Props,
    dialer: &Dialer,
    clock: &Clock,
    state: S,
) -> Result<(KafkaBasedLog<S>, LogLoop<S>), Error> {
    let producer = ProducerConfig::parse(&props).map_err(Error::Config)?;
    let consumer = ConsumerConfig::parse(&props).map_err(Error::Config)?;
    let client = Client::new(consumer.client.clone(), dialer.clone());
    let partitions = topic.ensure(&client).await?;
    let consumer = Consumer::new(client.clone(), consumer);
    let producer = Producer::new(client.clone(), producer);
    Ok(KafkaBasedLog::new(
        &topic.name,
        partitions,
        client,
        consumer,
        producer,
        clock.clone(),
        state,
    ))
}
