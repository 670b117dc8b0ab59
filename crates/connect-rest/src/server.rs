//! Listening, connections and their limits.
//!
//! Start reading at [`Server::bind`]; what becomes of a request is [`resources`](crate::resources)' affair.

mod body_framing;
mod handshake;
mod head;
mod request_stream;

use std::{
    io,
    sync::{Arc, OnceLock},
    time::Duration,
};

use axum::{Router, body::Body, http::StatusCode, response::Response};
use config_def::{ConfigErrors, Props};
use connect_runtime::HerderHandle;
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tls_config::ServerTls;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

pub(crate) use self::request_stream::Patience;
use self::request_stream::{MALFORMED_METHOD, RequestStream, Verdict};
use crate::{
    asked::Asked,
    client::Client,
    config::{Admin, EXTENSION_CLASSES, RestConfig},
    error::RestError,
    forward::{FlowClient, RestClient, flow_path},
    listener::{Listener, Protocol, in_url, local_address},
    login::Login,
    resources::{self, Api, Part},
};

/// Connections at a time; more wait to be accepted. Enough for every dashboard; at 10 KB and a descriptor each they leave
/// the usual 1024 descriptors to the brokers' connections, too.
const MAX_CONNECTIONS: usize = 512;
const PATIENCE: Patience = Patience {
    // Jetty's idle timeout, as Kafka sets it.
    idle: Duration::from_secs(90),
    head: Duration::from_secs(20),
    write: Duration::from_secs(90),
    handshake: Duration::from_secs(15),
};
/// How long requests may go on once the server is told to stop. What they wait for is usually gone by then.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);
/// What a client may still send when its connection is closed, so that it sees the answer instead of a reset.
const LINGER: (Duration, u64) = (Duration::from_secs(2), 64 * 1024 * 1024);
/// The kernel has no descriptors or memory left: how long until it is asked again.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// What listeners apart have in common with those of the REST API.
const SHARED: [&str; 5] = [
    "ssl.",
    "listeners.https.",
    EXTENSION_CLASSES,
    "heliograph.rest.mask.secrets",
    "heliograph.rest.priority.enabled",
];

/// Why the server does not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its settings make no sense. Every problem names key and value.
    #[error("the REST server's settings are not usable")]
    Config(#[from] ConfigErrors),
    /// An address cannot be listened on.
    #[error("the REST server cannot listen on {url} ({key})")]
    Bind {
        /// Which setting named it.
        key: &'static str,
        /// The listener.
        url: String,
        /// What the kernel says.
        #[source]
        source: io::Error,
    },
    /// A listener cannot speak TLS.
    #[error("the REST server cannot speak TLS at {url} ({key}, {prefix}.https.ssl.* or ssl.*): {problem}", prefix = key)]
    Tls {
        /// Which setting named it.
        key: &'static str,
        /// The listener.
        url: String,
        /// What is wrong with which file or setting.
        problem: String,
    },
    /// Nobody could log in.
    #[error("the REST server cannot ask for user names and passwords (rest.extension.classes): {0}")]
    Login(String),
}

/// The REST server, listening. Connections wait until it [serves](Self::serve).
#[derive(Debug)]
pub struct Server {
    config: RestConfig,
    listeners: Vec<Bound>,
    /// `None`: the endpoints under `/admin` are not apart.
    admin_listeners: Option<Vec<Bound>>,
    advertised: Advertised,
    login: Option<Arc<Login>>,
    asked: Arc<Asked>,
    pub(crate) patience: Patience,
    pub(crate) max_connections: usize,
}

impl Server {
    /// Reads the worker's properties and listens on every address they name. `system` has the properties that Java would
    /// be started with (`-Dname=value`).
    pub async fn bind(props: &Props, system: &Props) -> Result<Self, Error> {
        let config = RestConfig::parse(props)?;
        let login = match config.has_login {
            true => Some(Arc::new(Login::read(system).await.map_err(Error::Login)?)),
            false => None,
        };
        let listeners = bind("listeners", &config.listeners, config.tls.as_ref()).await?;
        let admin_listeners = match &config.admin {
            Admin::Beside => None,
            Admin::Alone(urls) => Some(bind("admin.listeners", urls, config.admin_tls.as_ref()).await?),
        };
        let advertised = advertised(&config, &listeners).await;
        Ok(Self {
            config,
            listeners,
            admin_listeners,
            advertised,
            login,
            asked: Arc::default(),
            patience: PATIENCE,
            max_connections: MAX_CONNECTIONS,
        })
    }

    /// Likewise, for what the nodes of MirrorMaker's dedicated mode ask each other: no user comes here.
    pub async fn bind_internal(props: &Props) -> Result<Self, Error> {
        let mut internal = props.clone();
        internal.remove(EXTENSION_CLASSES);
        Self::bind(&internal, &Props::new()).await
    }

    /// Listens at `listeners` instead of where the REST API is, with the same TLS, and for the same users.
    pub async fn bind_apart(listeners: &str, props: &Props, system: &Props) -> Result<Self, Error> {
        let is_shared = |key: &str| SHARED.iter().any(|prefix| key.starts_with(prefix));
        let shared = props.iter().filter(|(key, _)| is_shared(key));
        let mut apart: Props = shared.map(|(key, value)| (key.clone(), value.clone())).collect();
        apart.insert("listeners".to_owned(), listeners.to_owned());
        Self::bind(&apart, system).await
    }

    /// Asks other workers as this one is asked.
    pub fn client(&self) -> RestClient {
        RestClient::new(self.asking())
    }

    /// Asks the other nodes of MirrorMaker's dedicated mode about the flow from `source` to `target`.
    pub fn flow_client(&self, source: &str, target: &str) -> FlowClient {
        FlowClient::new(source, target, self.asking())
    }

    fn asking(&self) -> Client {
        Client::new(self.config.other_workers_tls.clone())
    }

    /// Where other workers reach this one: a URL that ends with a slash.
    pub fn advertised_url(&self) -> String {
        format!("{}://{}/", self.advertised.protocol, self.advertised.authority)
    }

    /// Names this worker in statuses: the host and port of [`Self::advertised_url`].
    pub fn worker_id(&self) -> &str {
        &self.advertised.authority
    }

    /// Counts the requests to this server, whatever becomes of them; `None`: no other work is to wait for them.
    pub fn asked(&self) -> Option<Arc<Asked>> {
        self.config.goes_first.then(|| self.asked.clone())
    }

    /// The addresses that the endpoints are at, as bound.
    pub fn local_addrs(&self) -> Vec<std::net::SocketAddr> {
        self.listeners
            .iter()
            .filter_map(|bound| bound.listener.local_addr().ok())
            .collect()
    }

    /// The addresses that the endpoints under `/admin` are at, as bound, if they are apart.
    pub fn admin_addrs(&self) -> Vec<std::net::SocketAddr> {
        let listeners = self.admin_listeners.iter().flatten();
        listeners.filter_map(|bound| bound.listener.local_addr().ok()).collect()
    }

    /// Serves until it is cancelled; requests on their way may then finish for a while. `more` is served beside the
    /// API's own endpoints, to the same users.
    pub async fn serve(self, api: Api, more: Router, cancel: CancellationToken) {
        let api = Arc::new(self.equip(api));
        let part = if self.admin_listeners.is_none() {
            Part::All
        } else {
            Part::WithoutAdmin
        };
        let main = resources::router(&api, part).merge(resources::for_users(more, self.login.clone()));
        let admin = resources::router(&api, Part::AdminOnly);
        self.serve_routers(main, admin, cancel).await;
    }

    /// Serves what the nodes of MirrorMaker's dedicated mode ask each other, and nothing else, until it is cancelled:
    /// `/<source>/<target>/connectors/…` for each flow.
    pub async fn serve_flows(self, flows: Vec<Flow>, cancel: CancellationToken) {
        let main = self.flows(flows, Part::Internal);
        self.serve_routers(main, Router::new(), cancel).await;
    }

    /// Serves what can be looked at of each flow, `/<source>/<target>/connectors/…` and `…/health`, until it is
    /// cancelled. `/` lists the flows' paths, `/health` says how all of them are.
    pub async fn serve_flows_read_only(self, flows: Vec<Flow>, cancel: CancellationToken) {
        let paths: Vec<String> = flows.iter().map(|flow| flow_path(&flow.source, &flow.target)).collect();
        let list = axum::routing::get(move || async move { axum::Json(serde_json::json!({ "flows": paths })) });
        let list = Router::new().route("/", list);
        let health = flows.iter().map(|flow| {
            let api = self.equip(Api::of_flow(flow.herder.clone()));
            (flow_path(&flow.source, &flow.target), Arc::new(api))
        });
        let list = list.route("/health", resources::flows_health(health.collect()));
        let list = resources::for_users(list, self.login.clone());
        let main = self.flows(flows, Part::ReadOnly).merge(list);
        self.serve_routers(main, Router::new(), cancel).await;
    }

    fn flows(&self, flows: Vec<Flow>, part: Part) -> Router {
        let mut main = Router::new().fallback(|| async { RestError::routing(StatusCode::NOT_FOUND) });
        for flow in flows {
            let api = Api::of_flow(flow.herder).changing_only(flow.changeable);
            let api = Arc::new(self.equip(api));
            let path = flow_path(&flow.source, &flow.target);
            main = main.nest(&path, resources::router(&api, part));
        }
        main
    }

    /// What the endpoints need to know of this server.
    fn equip(&self, api: Api) -> Api {
        Api {
            authority: self.advertised.authority.clone(),
            client: self.asking(),
            login: self.login.clone(),
            masks_secrets: self.config.masks_secrets,
            ..api
        }
    }

    /// Serves `router`, and nothing of the API, until it is cancelled.
    pub async fn serve_only(self, router: Router, cancel: CancellationToken) {
        let router = resources::for_users(router, self.login.clone());
        self.serve_routers(router, Router::new(), cancel).await;
    }

    async fn serve_routers(self, main: Router, admin: Router, cancel: CancellationToken) {
        let main = resources::with_headers(main, self.config.cors, self.config.header_rules);
        let admin = resources::with_headers(admin, None, Vec::new());
        let (main, admin) = (counted(main, &self.asked), counted(admin, &self.asked));
        let listeners = self.listeners.into_iter().map(|listener| (listener, main.clone()));
        let admin_listeners = self.admin_listeners.into_iter().flatten();
        let admin_listeners = admin_listeners.map(|listener| (listener, admin.clone()));
        let slots = Arc::new(Semaphore::new(self.max_connections));
        let mut acceptors = JoinSet::new();
        for (bound, router) in listeners.chain(admin_listeners) {
            let (slots, cancel) = (slots.clone(), cancel.child_token());
            acceptors.spawn(accept(bound, router, slots, self.patience, cancel));
        }
        let Advertised { protocol, authority } = &self.advertised;
        info!(url = format!("{protocol}://{authority}"), "the REST server is ready");
        while acceptors.join_next().await.is_some() {}
    }
}

fn counted(router: Router, asked: &Arc<Asked>) -> Router {
    let asked = asked.clone();
    router.layer(axum::middleware::map_request(move |request: axum::extract::Request| {
        asked.note();
        std::future::ready(request)
    }))
}

/// A flow of MirrorMaker's dedicated mode.
#[derive(Clone, Debug)]
pub struct Flow {
    /// The source cluster's alias.
    pub source: String,
    /// The target cluster's alias.
    pub target: String,
    /// Its herder.
    pub herder: HerderHandle,
    /// Settings of its connectors that whoever looks at it may change, until the process ends.
    pub changeable: Vec<&'static str>,
}

/// An address that is listened on.
#[derive(Debug)]
struct Bound {
    listener: TcpListener,
    /// `None`: it speaks HTTP.
    tls: Option<Arc<ServerTls>>,
}

/// Where others find this worker.
#[derive(Debug)]
struct Advertised {
    protocol: Protocol,
    /// Host and port.
    authority: String,
}

/// `tls` is for those that speak https.
async fn bind(key: &'static str, listeners: &[Listener], tls: Option<&Arc<ServerTls>>) -> Result<Vec<Bound>, Error> {
    let mut bound = Vec::new();
    for listener in listeners {
        let url = || listener.to_string();
        let tls = tls.filter(|_| listener.protocol == Protocol::Https).cloned();
        if let Some(tls) = &tls {
            // Whoever starts a worker hears of a wrong file now, not when a client comes.
            let problem = tls.current().await.err();
            problem.map_or(Ok(()), |problem| {
                Err(Error::Tls {
                    key,
                    url: url(),
                    problem,
                })
            })?;
        }
        let socket = listener.bind().await;
        let socket = socket.map_err(|source| Error::Bind {
            key,
            url: url(),
            source,
        })?;
        bound.push(Bound { listener: socket, tls });
    }
    Ok(bound)
}

/// The first listener that speaks what others are to use: http, unless told otherwise or there is none.
async fn advertised(config: &RestConfig, bound: &[Bound]) -> Advertised {
    let first_of = |protocol| {
        config
            .listeners
            .iter()
            .position(|listener| listener.protocol == protocol)
    };
    let wanted = config.advertised_protocol.unwrap_or(Protocol::Http);
    let first = first_of(wanted).unwrap_or(0);
    let host = match (&config.advertised_host, &config.listeners[first].host) {
        (Some(host), _) | (None, Some(host)) => host.clone(),
        (None, None) => local_address().await,
    };
    let bound_port = bound[first]
        .listener
        .local_addr()
        .map_or(config.listeners[first].port, |address| address.port());
    Advertised {
        protocol: config.listeners[first].protocol,
        authority: format!("{}:{}", in_url(&host), config.advertised_port.unwrap_or(bound_port)),
    }
}

/// Takes connections from one listener, and waits for them at the end.
async fn accept(
    Bound { listener, tls }: Bound,
    router: Router,
    slots: Arc<Semaphore>,
    patience: Patience,
    cancel: CancellationToken,
) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = cancel.cancelled() => break,
            Some(_) = connections.join_next() => continue,
            accepted = async {
                let slot = slots.clone().acquire_owned().await.expect("it is never closed");
                listener.accept().await.map(|(socket, _)| (socket, slot))
            } => accepted,
        };
        match accepted {
            Ok((socket, slot)) => {
                let (router, tls, cancel) = (router.clone(), tls.clone(), cancel.clone());
                connections.spawn(async move {
                    serve_socket(socket, tls.as_deref(), router, patience, cancel).await;
                    drop(slot);
                });
            }
            Err(error) => {
                warn!(%error, "the REST server cannot accept a connection");
                sleep(ACCEPT_RETRY).await;
            }
        }
    }
    drop(listener);
    let ended = async { while connections.join_next().await.is_some() {} };
    if timeout(STOP_TIMEOUT, ended).await.is_err() {
        debug!("the REST server leaves requests unanswered");
    }
}

async fn serve_socket(
    socket: TcpStream,
    tls: Option<&ServerTls>,
    router: Router,
    patience: Patience,
    cancel: CancellationToken,
) {
    // Answers are written at once and whole; waiting for more to send gains nothing.
    let _ = socket.set_nodelay(true);
    let Some(tls) = tls else {
        return Box::pin(serve_connection(socket, Protocol::Http, router, patience, cancel)).await;
    };
    let shaken = tokio::select! {
        () = cancel.cancelled() => None,
        shaken = handshake::shake_hands(socket, tls, patience.handshake) => shaken,
    };
    if let Some(stream) = shaken {
        Box::pin(serve_connection(stream, Protocol::Https, router, patience, cancel)).await;
    }
}

async fn serve_connection<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
    stream: S,
    protocol: Protocol,
    router: Router,
    patience: Patience,
    cancel: CancellationToken,
) {
    let verdict = Verdict::default();
    let stream = RequestStream::new(stream, patience, verdict.clone());
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(protocol);
        let answered = refusal(request.method().as_str(), &verdict);
        let router = router.clone();
        Box::pin(async move {
            match answered {
                Some(answer) => Ok(answer),
                None => hyper::service::Service::call(&router, request.map(Body::new)).await,
            }
        })
    });
    let mut http = http1::Builder::new();
    // Heads are bounded and timed in front of it. Someone who has said all may still listen.
    http.timer(TokioTimer::new()).header_read_timeout(None).half_close(true);
    let mut connection = http.serve_connection(TokioIo::new(stream), service);
    let mut is_stopping = false;
    let ended = loop {
        tokio::select! {
            ended = std::future::poll_fn(|cx| connection.poll_without_shutdown(cx)) => break ended,
            () = cancel.cancelled(), if !is_stopping => {
                is_stopping = true;
                std::pin::Pin::new(&mut connection).graceful_shutdown();
            }
        }
    };
    if let Err(error) = ended {
        debug!(%error, "a REST connection broke");
        return;
    }
    let stream = connection.into_parts().io.into_inner().into_inner();
    let _ = timeout(LINGER.0, linger(stream)).await;
}

/// The answer to what stands in for an unreadable request.
fn refusal(method: &str, verdict: &OnceLock<head::Malformed>) -> Option<Response> {
    let malformed = verdict.get().filter(|_| method == MALFORMED_METHOD)?;
    Some(RestError::new(malformed.status, malformed.why.clone()).closing())
}

/// Closes without a reset, which could overtake the answer.
async fn linger<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) -> io::Result<()> {
    stream.shutdown().await?;
    tokio::io::copy(&mut (&mut stream).take(LINGER.1), &mut tokio::io::sink()).await?;
    Ok(())
}
