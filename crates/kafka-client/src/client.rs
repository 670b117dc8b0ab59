//! A client of one cluster: which broker to ask, over which connection.

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{MetadataRequest, MetadataResponse, TopicName};
use kafka_protocol::protocol::{Request, StrBytes};
use kafka_wire::ErrorCode;
use rand::seq::SliceRandom;
use tokio::time::Instant;

use crate::config::{ClientConfig, HostPort, MetadataRecovery};
use crate::connection::Connection;
use crate::dial::Dialer;
use crate::error::Error;
use crate::metadata::{Broker, LeaderHint, Metadata, Topics};
use crate::metrics::ClientMetrics;
use crate::pool::{Pool, Role};
use crate::retry::is_retriable;

/// Metadata versions below this cannot say that topics are not to be created.
const METADATA_WITHOUT_AUTO_CREATION: i16 = 4;

/// A client of one cluster; clone it freely. Creating it does no I/O.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    config: ClientConfig,
    pool: Pool,
    metadata: ArcSwap<Metadata>,
    refresh: Refresh,
    metrics: Arc<ClientMetrics>,
}

/// Lets callers that want the same metadata share one request.
#[derive(Default)]
struct Refresh {
    started: AtomicU64,
    last: tokio::sync::Mutex<Option<(u64, Topics)>>,
}

impl Client {
    /// A client that will reach brokers through `dialer`.
    pub fn new(config: ClientConfig, dialer: Dialer) -> Self {
        let metrics = dialer.metrics_of(&config.client_id);
        let pool = Pool::new(&config, dialer, metrics.clone());
        let (metadata, refresh) = (ArcSwap::default(), Refresh::default());
        Self {
            inner: Arc::new(Inner {
                config,
                pool,
                metadata,
                refresh,
                metrics,
            }),
        }
    }

    /// The settings.
    pub fn config(&self) -> &ClientConfig {
        &self.inner.config
    }

    /// The counters.
    pub fn metrics(&self) -> &ClientMetrics {
        &self.inner.metrics
    }

    /// What is known of the cluster now, without asking.
    pub fn metadata(&self) -> Arc<Metadata> {
        self.inner.metadata.load_full()
    }

    /// What is known of the cluster, asked anew when older than `metadata.max.age.ms` or silent on one of `topics`.
    pub async fn fresh_metadata(&self, topics: &[Arc<str>]) -> Result<Arc<Metadata>, Error> {
        let known = self.metadata();
        match known.is_fresh(topics, self.inner.config.metadata_max_age, Instant::now()) {
            true => Ok(known),
            false => self.refresh_metadata(Topics::Some(topics.to_vec())).await,
        }
    }

    /// Asks the cluster. Callers that come while a request is under way share the next one, if it covers their topics.
    pub async fn refresh_metadata(&self, topics: Topics) -> Result<Arc<Metadata>, Error> {
        let refresh = &self.inner.refresh;
        let arrived = refresh.started.load(Ordering::Acquire);
        let mut last = refresh.last.lock().await;
        if let Some((started, covered)) = &*last
            && *started > arrived
            && covered.covers(&topics)
        {
            return Ok(self.metadata());
        }
        let started = refresh.started.fetch_add(1, Ordering::AcqRel) + 1;
        let response = self.request_metadata(&topics).await?;
        let now = Instant::now();
        let mut recreated = Vec::new();
        self.inner.metadata.rcu(|known| {
            let update = known.updated(&response, &topics, now);
            recreated = update.recreated;
            update.metadata
        });
        for topic in recreated {
            tracing::info!(topic = &*topic, "topic was deleted and created again");
        }
        self.forget_old_addresses();
        self.inner.metrics.metadata_refreshed();
        *last = Some((started, topics));
        Ok(self.metadata())
    }

    /// Takes in what a broker said of new leaders (KIP-951), unless we know better.
    pub fn leader_hints(&self, hints: &[LeaderHint]) {
        if hints.is_empty() {
            return;
        }
        self.inner.metadata.rcu(|known| {
            let mut next = known.clone();
            for hint in hints {
                if next.is_news(hint) {
                    Arc::make_mut(&mut next).take_hint(hint); // the first makes the copy
                }
            }
            next
        });
    }

    /// Sends one request to any broker; one attempt.
    pub async fn call_any<R: Request>(&self, request: R) -> Result<R::Response, Error> {
        let connection = self.any_connection().await?;
        self.call_on(&connection, request).await
    }

    /// Sends one request to the controller, or in KRaft to a broker that forwards to it; one attempt.
    pub async fn call_controller<R: Request>(&self, request: R) -> Result<R::Response, Error> {
        let connection = self.controller_connection().await?;
        self.call_on(&connection, request).await
    }

    /// Sends one request to one broker; one attempt.
    pub async fn call_node<R: Request>(&self, node_id: i32, request: R) -> Result<R::Response, Error> {
        let connection = self.connection(node_id, Role::General).await?;
        self.call_on(&connection, request).await
    }

    /// Sends one request over a given connection, in the highest version that both sides speak.
    pub async fn call_on<R: Request>(&self, connection: &Connection, request: R) -> Result<R::Response, Error> {
        let version = connection.version::<R>()?;
        connection
            .call(version, request, self.inner.config.request_timeout)
            .await
    }

    /// The connection to a broker of the cluster in a role, opened if need be.
    pub async fn connection(&self, node_id: i32, role: Role) -> Result<Connection, Error> {
        let address = match self.address_of(node_id) {
            Some(address) => address,
            None => {
                self.refresh_metadata(Topics::Some(Vec::new())).await?;
                self.address_of(node_id).ok_or(Error::UnknownBroker { node_id })?
            }
        };
        self.inner.pool.get(&address, role).await
    }

    /// A connection to the controller, or to any broker when the cluster does not name one.
    pub async fn controller_connection(&self) -> Result<Connection, Error> {
        let mut metadata = self.metadata();
        if metadata.refreshed_at.is_none() {
            metadata = self.refresh_metadata(Topics::Some(Vec::new())).await?;
        }
        match metadata.controller_id {
            id if metadata.brokers.contains_key(&id) => self.connection(id, Role::General).await,
            _ => self.any_connection().await,
        }
    }

    /// A connection to some broker: one that is open, else to a broker that the cluster named, else to a bootstrap server.
    pub async fn any_connection(&self) -> Result<Connection, Error> {
        let Inner { config, pool, .. } = &*self.inner;
        let known: Vec<HostPort> = self.metadata().brokers.values().map(address).collect();
        let open = known
            .iter()
            .filter_map(|address| pool.open_connection(address, Role::General));
        if let Some(connection) = open.min_by_key(Connection::in_flight) {
            return Ok(connection);
        }
        let rebootstrap = known.is_empty() || config.metadata_recovery == MetadataRecovery::Rebootstrap;
        let mut candidates = known;
        candidates.shuffle(&mut rand::rng());
        if rebootstrap {
            let mut servers = config.bootstrap_servers.clone();
            servers.shuffle(&mut rand::rng());
            servers.retain(|server| !candidates.contains(server));
            candidates.extend(servers);
        }
        // Those that failed a moment ago come last; their backoff is waited out only if nobody else answers.
        candidates.sort_by_key(|address| pool.in_backoff(address, Role::General));
        let mut last = None;
        for address in &candidates {
            match pool.get(address, Role::General).await {
                Ok(connection) => return Ok(connection),
                // One that may pass says more than one that will not: it is worth coming back.
                Err(error) if last.is_none() || is_retriable(&error) => last = Some(Arc::new(error)),
                Err(_) => {}
            }
        }
        let tried: Vec<_> = candidates.iter().map(HostPort::to_string).collect();
        Err(Error::NoBrokers {
            tried: tried.join(", ").into(),
            source: last,
        })
    }

    /// Closes every connection; requests under way fail.
    pub fn close(&self) {
        self.inner.pool.close();
    }

    async fn request_metadata(&self, topics: &Topics) -> Result<MetadataResponse, Error> {
        let response = match self.request_metadata_once(topics).await {
            // A connection that looked alive was not; the next is another one.
            Err(Error::Disconnected { .. } | Error::Closed { .. }) => self.request_metadata_once(topics).await?,
            response => response?,
        };
        match ErrorCode(response.error_code) {
            ErrorCode::NONE => Ok(response),
            ErrorCode::REBOOTSTRAP_REQUIRED if self.inner.config.metadata_recovery == MetadataRecovery::Rebootstrap => {
                tracing::info!("broker asks to start again from the bootstrap servers");
                self.inner.pool.close();
                self.inner.metadata.store(Arc::default());
                self.request_metadata_once(topics).await
            }
            code => Err(Error::refused("metadata", code, None)),
        }
    }

    async fn request_metadata_once(&self, topics: &Topics) -> Result<MetadataResponse, Error> {
        let connection = self.any_connection().await?;
        let version = connection.version::<MetadataRequest>()?;
        let names = match topics {
            Topics::All => None,
            Topics::Some(names) => Some(names.iter().map(|name| requested(name)).collect()),
        };
        let mut request = MetadataRequest::default().with_topics(names);
        if version >= METADATA_WITHOUT_AUTO_CREATION {
            request = request.with_allow_auto_topic_creation(false);
        }
        connection
            .call(version, request, self.inner.config.request_timeout)
            .await
    }

    fn forget_old_addresses(&self) {
        let metadata = self.metadata();
        let servers = &self.inner.config.bootstrap_servers;
        self.inner
            .pool
            .retain(|kept| servers.contains(kept) || metadata.brokers.values().any(|broker| address(broker) == *kept));
    }

    fn address_of(&self, node_id: i32) -> Option<HostPort> {
        self.inner.metadata.load().brokers.get(&node_id).map(address)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("bootstrap_servers", &self.inner.config.bootstrap_servers)
            .field("client_id", &self.inner.config.client_id)
            .finish_non_exhaustive()
    }
}

fn address(broker: &Broker) -> HostPort {
    HostPort {
        host: broker.host.clone(),
        port: broker.port,
    }
}

fn requested(name: &str) -> MetadataRequestTopic {
    MetadataRequestTopic::default().with_name(Some(TopicName(StrBytes::from_string(name.to_owned()))))
}
