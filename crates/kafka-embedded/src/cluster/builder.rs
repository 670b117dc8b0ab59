//! What a cluster is to be like before it starts.

use std::collections::BTreeMap;
use std::sync::Arc;

use kafka_protocol::messages::ApiKey;
use tokio::net::TcpListener;

use super::Cluster;
use crate::error::Error;
use crate::state::{Node, Settings, Shared, State};

/// Builds a [`Cluster`].
#[derive(Clone, Debug)]
pub struct Builder {
    nodes: i32,
    host: String,
    port: u16,
    cluster_id: Option<String>,
    auto_create_topics: bool,
    authorizer: bool,
    max_versions: BTreeMap<i16, i16>,
    configs: BTreeMap<String, String>,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            nodes: 1,
            host: "127.0.0.1".to_owned(),
            port: 0,
            cluster_id: None,
            auto_create_topics: true,
            authorizer: false,
            max_versions: BTreeMap::new(),
            configs: BTreeMap::new(),
        }
    }
}

impl Builder {
    /// How many nodes there are; their ids are 1, 2, …
    pub fn nodes(mut self, count: i32) -> Self {
        self.nodes = count.max(1);
        self
    }

    /// The port of the first node; the others follow it. 0 takes free ports.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// The name or address that nodes listen on and tell to clients.
    pub fn host(mut self, host: impl Into<String>) -> Self {
        self.host = host.into();
        self
    }

    /// The cluster's id; a random one otherwise.
    pub fn cluster_id(mut self, cluster_id: impl Into<String>) -> Self {
        self.cluster_id = Some(cluster_id.into());
        self
    }

    /// Whether a client's asking for a topic makes it, as `auto.create.topics.enable`; so it does by default.
    pub fn auto_create_topics(mut self, enable: bool) -> Self {
        self.auto_create_topics = enable;
        self
    }

    /// How many partitions a topic has that does not say, as `num.partitions`.
    pub fn default_partitions(self, count: i32) -> Self {
        self.config("num.partitions", count.to_string())
    }

    /// How many bytes of a partition are kept when its topic does not say, as `log.retention.bytes`. What is older goes
    /// batch by batch as new ones come, so that memory stays bounded.
    pub fn retention_bytes(self, bytes: i64) -> Self {
        self.config("log.retention.bytes", bytes.to_string())
    }

    /// Whether there is an authorizer, which stores ACLs (and enforces none). Without one, as by default with Kafka,
    /// requests for ACLs are answered with SECURITY_DISABLED.
    pub fn authorizer(mut self, enable: bool) -> Self {
        self.authorizer = enable;
        self
    }

    /// The highest version of an API that is served, as by a broker of that age.
    pub fn max_version(mut self, api_key: ApiKey, version: i16) -> Self {
        self.max_versions.insert(api_key as i16, version);
        self
    }

    /// A line of the brokers' `server.properties`: shown by DescribeConfigs, and the default of the topic's
    /// configuration that it stands for.
    pub fn config(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.configs.insert(name.into(), value.into());
        self
    }

    /// Opens the listeners and serves.
    pub async fn start(self) -> Result<Cluster, Error> {
        let mut listeners = BTreeMap::new();
        let mut nodes = BTreeMap::new();
        for node_id in 1..=self.nodes {
            let port = match self.port {
                0 => 0,
                first => first.saturating_add((node_id - 1) as u16),
            };
            let listener = listen(node_id, &self.host, port).await?;
            let port = listener.local_addr().map_or(port, |address| address.port());
            nodes.insert(
                node_id,
                Node {
                    host: self.host.clone(),
                    port,
                    up: true,
                },
            );
            listeners.insert(node_id, listener);
        }
        let settings = Settings {
            cluster_id: self.cluster_id.unwrap_or_else(random_cluster_id),
            auto_create_topics: self.auto_create_topics,
            acls_enabled: self.authorizer,
            max_versions: self.max_versions,
        };
        let state = State::new(settings, nodes, self.configs);
        Ok(Cluster::start(Arc::new(Shared::new(state)), listeners))
    }
}

pub(super) async fn listen(node_id: i32, host: &str, port: u16) -> Result<TcpListener, Error> {
    let bound = TcpListener::bind((host, port)).await;
    bound.map_err(|source| Error::Listen {
        node_id,
        address: format!("{host}:{port}"),
        source,
    })
}

/// As many characters as Kafka's ids have.
fn random_cluster_id() -> String {
    const LENGTH: usize = 22;
    let mut id = uuid::Uuid::new_v4().simple().to_string();
    id.truncate(LENGTH);
    id
}
