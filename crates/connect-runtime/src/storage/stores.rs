use std::{fmt, path::Path};

use config_def::Props;
use connect_api::BoxFuture;
use kafka_client::{
    Admin, Client, ClientConfig, Dialer,
    config::{ConsumerConfig, ProducerConfig},
    consumer::Consumer,
    producer::Producer,
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::{
    Error, InternalTopic, KafkaBasedLog, LogLoop, LogState, config::ConfigState, local_log::OffsetFile,
    offset::OffsetState, status::StatusState,
};
use crate::{
    clients,
    clock::Clock,
    settings::{ExactlyOnceSupport, Storage, WorkerSettings},
};

/// The logs of the internal topics. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Stores {
    /// Source offsets.
    pub offsets: KafkaBasedLog<OffsetState>,
    /// States of connectors and tasks.
    pub statuses: KafkaBasedLog<StatusState>,
    /// Configurations.
    pub configs: KafkaBasedLog<ConfigState>,
    /// The id of the worker's cluster, if it has said so.
    pub kafka_cluster_id: Option<String>,
}

/// What drives [`Stores`].
pub struct StoreLoops(Vec<Box<dyn FnOnce(CancellationToken) -> BoxFuture<'static, ()> + Send>>);

impl fmt::Debug for StoreLoops {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StoreLoops").field(&self.0.len()).finish()
    }
}

impl Stores {
    /// Creates or checks the topics, one after the other in Kafka's order, or reads a standalone worker's file.
    /// Topics are not read before the loops run.
    pub async fn open(settings: &WorkerSettings, dialer: &Dialer, clock: &Clock) -> Result<(Self, StoreLoops), Error> {
        let (config_topic, offset_topic, status_topic) = match &settings.storage {
            Storage::Local { offsets } => {
                let (stores, loops) = Self::local(offsets)?;
                let client = ClientConfig::parse(&settings.props).map_err(Error::Config)?;
                let cluster = Admin::new(Client::new(client, dialer.clone())).describe_cluster().await;
                let kafka_cluster_id = cluster
                    .ok()
                    .and_then(|cluster| cluster.cluster_id.as_deref().map(str::to_owned));
                return Ok((
                    Self {
                        kafka_cluster_id,
                        ..stores
                    },
                    loops,
                ));
            }
            Storage::Topics {
                configs,
                offsets,
                statuses,
            } => (configs, offsets, statuses),
        };
        let props = |store| clients::store(&settings.props, store);
        let (offsets, offset_loop) =
            open(offset_topic, props("offsets"), dialer, clock, OffsetState::default()).await?;
        let (statuses, status_loop) =
            open(status_topic, props("statuses"), dialer, clock, StatusState::default()).await?;
        let (configs, config_loop) =
            open(config_topic, props("configs"), dialer, clock, ConfigState::default()).await?;
        let stores = Self {
            offsets,
            statuses,
            kafka_cluster_id: configs.kafka_cluster_id(),
            configs,
        };
        let loops = StoreLoops(vec![
            Box::new(|cancel| Box::pin(offset_loop.run(cancel))),
            Box::new(|cancel| Box::pin(status_loop.run(cancel))),
            Box::new(|cancel| Box::pin(config_loop.run(cancel))),
        ]);
        Ok((stores, loops))
    }

    fn local(offset_file: &Path) -> Result<(Self, StoreLoops), Error> {
        let file = OffsetFile::open(offset_file.to_owned())?;
        let (offsets, offset_log) = KafkaBasedLog::local("offsets", Some(file), OffsetState::default());
        let (statuses, status_log) = KafkaBasedLog::local("statuses", None, StatusState::default());
        let (configs, config_log) = KafkaBasedLog::local("configs", None, ConfigState::default());
        let stores = Self {
            offsets,
            statuses,
            configs,
            kafka_cluster_id: None,
        };
        let loops = StoreLoops(vec![
            Box::new(|cancel| Box::pin(offset_log.run(cancel))),
            Box::new(|cancel| Box::pin(status_log.run(cancel))),
            Box::new(|cancel| Box::pin(config_log.run(cancel))),
        ]);
        Ok((stores, loops))
    }

    /// Waits until as much has been read as a worker needs to begin.
    ///
    /// Where tasks write exactly once, source offsets are left to the tasks, which read them anyway: a transaction that a
    /// killed worker left open holds them back until its tasks run again, or it times out.
    pub async fn read_to_begin(&self, exactly_once: ExactlyOnceSupport) -> Result<(), Error> {
        match exactly_once {
            ExactlyOnceSupport::Enabled => {
                self.statuses.read_to_end().await?;
                self.configs.read_to_end().await
            }
            ExactlyOnceSupport::Preparing | ExactlyOnceSupport::Disabled => self.read_to_end().await,
        }
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
        for run in self.0 {
            children.spawn(run(cancel.clone()).in_current_span());
        }
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
        topic,
        partitions,
        client,
        consumer,
        producer,
        clock.clone(),
        state,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::KeyValue;

    #[tokio::test]
    async fn local_offsets_outlive_the_worker() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("connect.offsets");
        let key = r#"["c",{"topic":"t"}]"#;
        for offset in 1..=3 {
            let (stores, loops) = Stores::local(&file).unwrap();
            let (cancel, mut children) = (CancellationToken::new(), JoinSet::new());
            loops.spawn_into(&mut children, &cancel);
            stores.read_to_end().await.unwrap();
            let found = stores.offsets.state().value(key.as_bytes()).cloned();
            assert_eq!(
                found,
                (offset > 1).then(|| format!("{{\"offset\":{}}}", offset - 1).into())
            );
            let record = KeyValue::new(key, format!("{{\"offset\":{offset}}}"));
            stores.offsets.write(vec![record]).await.unwrap();
            cancel.cancel();
            children.join_all().await;
        }
    }

    #[test]
    fn a_strange_offset_file_is_not_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("connect.offsets");
        std::fs::write(&file, "mine").unwrap();
        let error = Stores::local(&file).unwrap_err();
        assert!(error.is_fatal(), "{error}");
        assert_eq!(std::fs::read(&file).unwrap(), b"mine");
    }
}
