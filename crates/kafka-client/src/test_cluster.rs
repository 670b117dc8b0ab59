//! A scripted cluster in memory, for tests of what chooses brokers. It answers ApiVersions and Metadata; the test answers the rest.

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::{Arc, Mutex};

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::metadata_response::{
    MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_protocol::messages::{
    ApiKey, ApiVersionsResponse, BrokerId, MetadataResponse, RequestHeader, ResponseHeader, TopicName,
};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, StrBytes, decode_request_header_from_buffer};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::task::JoinSet;

use crate::config::{ClientConfig, HostPort};
use crate::dial::Dialer;

/// Every request is offered in versions 0 to this, so that none has a flexible header but those asked for.
const HIGHEST_VERSION: i16 = 4;

/// What a broker does with a request that the cluster does not answer itself: gives the encoded body.
pub(crate) type Handler = Arc<dyn Fn(&Request) -> Bytes + Send + Sync>;

pub(crate) struct Request {
    pub(crate) port: u16,
    pub(crate) version: i16,
    pub(crate) body: Bytes,
}

#[derive(Default)]
struct State {
    /// Brokers that metadata names: node id to port. All are on host `kafka`.
    brokers: HashMap<i32, u16>,
    controller_id: i32,
    topics: HashMap<String, Vec<(i32, i32)>>,
    down: HashSet<u16>,
    dials: Vec<u16>,
    requests: Vec<(u16, ApiKey)>,
    handler: Option<Handler>,
    connections: JoinSet<()>,
}

#[derive(Clone, Default)]
pub(crate) struct TestCluster(Arc<Mutex<State>>);

impl TestCluster {
    pub(crate) fn new(brokers: &[(i32, u16)], controller_id: i32) -> Self {
        let cluster = Self::default();
        cluster.set_brokers(brokers, controller_id);
        cluster
    }

    pub(crate) fn set_brokers(&self, brokers: &[(i32, u16)], controller_id: i32) {
        let mut state = self.state();
        state.brokers = brokers.iter().copied().collect();
        state.controller_id = controller_id;
    }

    /// A topic with the leader and leader epoch of each partition.
    pub(crate) fn set_topic(&self, name: &str, partitions: &[(i32, i32)]) {
        self.state().topics.insert(name.to_owned(), partitions.to_vec());
    }

    pub(crate) fn handle(&self, handler: impl Fn(&Request) -> Bytes + Send + Sync + 'static) {
        self.state().handler = Some(Arc::new(handler));
    }

    /// Refuses connections to a port and cuts those that are there.
    pub(crate) fn take_down(&self, port: u16) {
        let mut state = self.state();
        state.down.insert(port);
        state.connections.abort_all();
    }

    pub(crate) fn bring_up(&self, port: u16) {
        self.state().down.remove(&port);
    }

    /// The ports that were dialled, in order.
    pub(crate) fn dials(&self) -> Vec<u16> {
        self.state().dials.clone()
    }

    /// The ports that a request was sent to, in order.
    pub(crate) fn requests(&self, api_key: ApiKey) -> Vec<u16> {
        let state = self.state();
        state
            .requests
            .iter()
            .filter(|(_, key)| *key == api_key)
            .map(|(port, _)| *port)
            .collect()
    }

    pub(crate) fn config(ports: &[u16]) -> ClientConfig {
        let bootstrap_servers = ports.iter().map(|port| HostPort::new("kafka", *port)).collect();
        ClientConfig {
            bootstrap_servers,
            ..ClientConfig::default()
        }
    }

    pub(crate) fn dialer(&self) -> Dialer {
        let cluster = self.clone();
        Dialer::from_fn(move |_host, port| {
            let stream = cluster.accept(port);
            async move { stream }
        })
    }

    fn accept(&self, port: u16) -> io::Result<DuplexStream> {
        let mut state = self.state();
        state.dials.push(port);
        if state.down.contains(&port) {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        state.connections.spawn(self.clone().serve(port, theirs));
        Ok(ours)
    }

    async fn serve(self, port: u16, mut stream: DuplexStream) {
        while let Ok(size) = stream.read_i32().await {
            let mut frame = vec![0; size as usize];
            if stream.read_exact(&mut frame).await.is_err() {
                return;
            }
            let answer = self.answer(port, Bytes::from(frame));
            if stream.write_all(&answer).await.is_err() {
                return;
            }
        }
    }

    fn answer(&self, port: u16, mut frame: Bytes) -> Bytes {
        let header: RequestHeader = decode_request_header_from_buffer(&mut frame).expect("a request of ours");
        let api_key = ApiKey::try_from(header.request_api_key).expect("a key of the protocol");
        let version = header.request_api_version;
        self.state().requests.push((port, api_key));
        let body = match api_key {
            ApiKey::ApiVersions => encode(&api_versions(), version),
            ApiKey::Metadata => encode(&self.metadata(), version),
            _ => {
                let handler = self.state().handler.clone().expect("the test handles this request");
                handler(&Request {
                    port,
                    version,
                    body: frame,
                })
            }
        };
        let mut answer = BytesMut::zeroed(4);
        let response_header = ResponseHeader::default().with_correlation_id(header.correlation_id);
        response_header
            .encode(&mut answer, api_key.response_header_version(version))
            .expect("a plain header");
        answer.extend_from_slice(&body);
        let size = answer.len() as i32 - 4;
        answer[..4].copy_from_slice(&size.to_be_bytes());
        answer.freeze()
    }

    fn metadata(&self) -> MetadataResponse {
        let state = self.state();
        let broker = |(id, port): (&i32, &u16)| {
            MetadataResponseBroker::default()
                .with_node_id(BrokerId(*id))
                .with_host(StrBytes::from_static_str("kafka"))
                .with_port(i32::from(*port))
        };
        let topic = |(name, partitions): (&String, &Vec<(i32, i32)>)| {
            let partition = |(index, (leader, _epoch)): (usize, &(i32, i32))| {
                MetadataResponsePartition::default()
                    .with_partition_index(index as i32)
                    .with_leader_id(BrokerId(*leader))
            };
            MetadataResponseTopic::default()
                .with_name(Some(TopicName(StrBytes::from_string(name.clone()))))
                .with_partitions(partitions.iter().enumerate().map(partition).collect())
        };
        MetadataResponse::default()
            .with_brokers(state.brokers.iter().map(broker).collect())
            .with_controller_id(BrokerId(state.controller_id))
            .with_topics(state.topics.iter().map(topic).collect())
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().expect("no test panics while it holds this")
    }
}

/// The body of a response.
pub(crate) fn encode<T: Encodable + HeaderVersion>(response: &T, version: i16) -> Bytes {
    let mut body = BytesMut::new();
    response
        .encode(&mut body, version)
        .expect("the test sets no field of another version");
    body.freeze()
}

/// The request that a handler was given.
pub(crate) fn decode<T: Decodable>(request: &Request) -> T {
    T::decode(&mut request.body.clone(), request.version).expect("a request of ours")
}

fn api_versions() -> ApiVersionsResponse {
    let api = |key| {
        ApiVersion::default()
            .with_api_key(key)
            .with_min_version(0)
            .with_max_version(HIGHEST_VERSION)
    };
    ApiVersionsResponse::default().with_api_keys((0..60).map(api).collect())
}
