//! Source offsets as users see and change them.

use std::{sync::Arc, time::Duration};

use connect_api::ConnectError;
use kafka_client::Dialer;
use tokio::task::JoinSet;
use tracing::{Instrument, info};

use super::{
    Herder, Job, RequestError,
    answers::{ConnectorOffset, JsonMap},
    request::Reply,
    requests::answer,
    starting::class,
};
use crate::{
    clients,
    clock::Clock,
    plugins::Plugins,
    settings::{ExactlyOnceSupport, WorkerSettings},
    storage::{
        self, ConnectorOffsets, KeyValue, OFFSETS_TOPIC, OwnTopic, Stores, TransactionalWriter,
        config::{RawConfig, raw},
        connector_offsets::altered_records,
    },
    worker::{ConnectorTaskId, TargetState, WorkerEvents, fence_earlier_producers},
};

/// What reading and writing may take together: a caller of REST waits no longer.
const TIMEOUT: Duration = Duration::from_secs(90);

/// What is to become of a stopped connector's offsets.
#[doc(hidden)]
#[derive(Clone, Debug, PartialEq)]
pub enum Modification {
    Alter(Vec<(JsonMap, Option<JsonMap>)>),
    Reset,
}

impl Modification {
    /// Kafka's answer; `all` says that the connector has no offsets elsewhere.
    fn done(&self, all: bool) -> String {
        let word = match self {
            Self::Alter(_) => "altered",
            Self::Reset => "reset",
        };
        match all {
            true => format!("The offsets for this connector have been {word} successfully"),
            false => format!(
                "The Connect framework-managed offsets for this connector have been {word} successfully. However, if this \
                 connector manages offsets externally, they will need to be manually {word} in the system that the \
                 connector uses."
            ),
        }
    }
}

impl Herder {
    pub(super) fn on_offsets(&mut self, name: String, reply: Reply<Vec<ConnectorOffset>>) {
        if let Err(error) = self.configured(&name, RequestError::connector_not_found) {
            return answer(reply, Err(error));
        }
        let opener = self.offset_opener(&name);
        self.answer_later(reply, |stores, plugins| async move {
            let config = stores
                .configs
                .state()
                .connector(&name)
                .and_then(|connector| connector.config().cloned());
            let (offsets, _running) = opener.open(&stores, &config.unwrap_or_default(), &*plugins).await?;
            let stored = offsets.stored(&name);
            let offsets = stored.into_iter().map(|stored| ConnectorOffset {
                partition: stored.partition,
                offset: stored.offset,
            });
            Ok(offsets.collect())
        });
    }

    pub(super) fn on_modify_offsets(&mut self, name: String, modification: Modification, reply: Reply<String>) {
        if let Err(error) = self.lead() {
            return answer(reply, Err(error));
        }
        let (opener, fencer) = (self.offset_opener(&name), self.offset_fencer(&name));
        self.answer_later(reply, |stores, plugins| async move {
            stores.configs.read_to_end().await.map_err(failed)?;
            let config = stopped_config(&stores, &name)?;
            let (store, _running) = opener.open(&stores, &config, &*plugins).await?;
            let stored = store.stored(&name);
            let all = stored.iter().map(|stored| (stored.partition.clone(), None));
            let reset: Vec<_> = all.collect();
            let offsets = match &modification {
                Modification::Alter(offsets) => offsets,
                Modification::Reset => &reset,
            };
            // Kafka says 500 to what a client got wrong.
            let all =
                ask_connector(&*plugins, &config, offsets).map_err(|error| RequestError::BadRequest(error.chain()))?;
            let records = altered_records(&name, &stored, offsets).map_err(RequestError::BadRequest)?;
            info!(
                connector = name,
                partitions = offsets.len(),
                "offsets are modified by request"
            );
            store.forget_in_workers(&records).await.map_err(failed)?;
            match fencer {
                Some(fencer) => fencer.write(&store, &config, &*plugins, records).await?,
                None => store.write(records).await.map_err(failed)?,
            }
            Ok(modification.done(all))
        });
    }

    fn offset_opener(&self, connector: &str) -> OffsetOpener {
        OffsetOpener {
            id: ConnectorTaskId::new(connector, 0),
            settings: self.settings.clone(),
            dialer: self.dialer.clone(),
            clock: self.clock.clone(),
        }
    }

    fn offset_fencer(&self, connector: &str) -> Option<OffsetFencer> {
        (self.settings.exactly_once == ExactlyOnceSupport::Enabled).then(|| OffsetFencer {
            id: ConnectorTaskId::new(connector, 0),
            settings: self.settings.clone(),
            events: self.events.clone(),
            dialer: self.dialer.clone(),
            clock: self.clock.clone(),
        })
    }

    /// Answers from a child, which has the stores for itself and an end in sight.
    fn answer_later<T, F>(&mut self, reply: Reply<T>, work: impl FnOnce(Stores, Arc<dyn Plugins>) -> F)
    where
        T: Send + 'static,
        F: Future<Output = Result<T, RequestError>> + Send + 'static,
    {
        let Some(stores) = self.stores.clone() else { return };
        let work = work(stores, self.plugins.clone());
        let answering = async move {
            let timeout = Err(failed(storage::Error::Timeout { timeout: TIMEOUT }));
            answer(reply, tokio::time::timeout(TIMEOUT, work).await.unwrap_or(timeout));
            Job::Answered
        };
        self.jobs.spawn(answering.in_current_span());
    }
}

/// Finds a connector's offsets.
struct OffsetOpener {
    /// The first task, whose clients are used for a topic of the connector's own.
    id: ConnectorTaskId,
    settings: WorkerSettings,
    dialer: Dialer,
    clock: Clock,
}

impl OffsetOpener {
    /// Reads them, too.
    async fn open(
        self,
        stores: &Stores,
        config: &RawConfig,
        plugins: &dyn Plugins,
    ) -> Result<(ConnectorOffsets, JoinSet<()>), RequestError> {
        let may_be_elsewhere =
            self.settings.exactly_once == ExactlyOnceSupport::Enabled || config.contains_key(OFFSETS_TOPIC);
        let own = match may_be_elsewhere {
            true => {
                let connector = plugins
                    .resolve(raw::to_props(config))
                    .map_err(|error| RequestError::Internal(error.chain()))?;
                OwnTopic::of(&self.settings, &connector, &self.id)
            }
            false => None,
        };
        let opened = ConnectorOffsets::open(own, stores.offsets.clone(), &self.dialer, &self.clock).await;
        let opened = opened.map_err(failed)?;
        opened.0.read_to_end().await.map_err(failed)?;
        Ok(opened)
    }
}

/// Writes a connector's offsets when its tasks write theirs exactly once: none of them may still be about to.
struct OffsetFencer {
    /// The first task, whose transactional id is used.
    id: ConnectorTaskId,
    settings: WorkerSettings,
    events: WorkerEvents,
    dialer: Dialer,
    clock: Clock,
}

impl OffsetFencer {
    async fn write(
        self,
        store: &ConnectorOffsets,
        config: &RawConfig,
        plugins: &dyn Plugins,
        records: Vec<KeyValue>,
    ) -> Result<(), RequestError> {
        let internal = |error: ConnectError| RequestError::Internal(error.chain());
        let connector = plugins.resolve(raw::to_props(config)).map_err(internal)?;
        fence_earlier_producers(&self.id.connector, &self.events)
            .await
            .map_err(internal)?;
        let props = clients::task_producer(&self.settings.props, &connector, &self.id);
        let transactional_id = self.settings.task_transactional_id(&self.id);
        let claimed =
            TransactionalWriter::claim(store.main(), &props, &transactional_id, self.dialer, self.clock).await;
        claimed.map_err(failed)?.write(&records).await.map_err(failed)?;
        store.copy_to_workers(records);
        Ok(())
    }
}

/// Only the offsets of a connector without tasks may be touched.
fn stopped_config(stores: &Stores, name: &str) -> Result<RawConfig, RequestError> {
    let configs = stores.configs.state();
    let connector = configs.connector(name);
    let connector = connector.ok_or_else(|| RequestError::connector_not_found(name))?;
    match connector.target_state() == TargetState::Stopped && connector.task_count() == 0 {
        true => Ok(connector.config().cloned().unwrap_or_default()),
        false => Err(RequestError::not_stopped(name)),
    }
}

fn ask_connector(
    plugins: &dyn Plugins,
    config: &RawConfig,
    offsets: &[(JsonMap, Option<JsonMap>)],
) -> Result<bool, ConnectError> {
    let config = plugins.resolve(raw::to_props(config))?;
    plugins.connector(class(&config)?)?.alter_offsets(&config, offsets)
}

fn failed(error: storage::Error) -> RequestError {
    RequestError::Internal(error.chain())
}
