//! Asking other workers over HTTP.
//!
//! One connection a request: workers ask each other seldom, and a connection that is not kept is never stale.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, Method, Request, Uri, header};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tls_config::{ClientTls, Peer, explain};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream, rustls::pki_types::ServerName};

use crate::tls::OtherWorkersTls;

/// Other workers are near.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// Largest answer that is taken in.
const MAX_ANSWER: usize = 32 * 1024 * 1024;

/// Why another worker could not be asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{url} is not a URL to a worker")]
    Url { url: String },
    #[error("TLS with {address} is not possible: {problem}")]
    Tls { address: String, problem: String },
    #[error("{address} cannot be reached: {source}")]
    Connect { address: String, source: std::io::Error },
    #[error("{address} does not answer in time")]
    Timeout { address: String },
    #[error("{address} does not speak HTTP: {source}")]
    Http { address: String, source: hyper::Error },
    #[error("the answer of {address} cannot be read: {source}")]
    Body {
        address: String,
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Another worker's answer.
#[derive(Debug)]
pub(crate) struct OtherAnswer {
    pub(crate) status: u16,
    pub(crate) body: Bytes,
}

/// Asks other workers, over https with the settings of this one's listeners.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    tls: OtherWorkersTls,
}

impl Client {
    pub(crate) fn new(tls: OtherWorkersTls) -> Self {
        Self { tls }
    }

    /// Asks. `url` is whole; redirects are not followed.
    pub(crate) async fn ask(
        &self,
        method: Method,
        url: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<OtherAnswer, Error> {
        self.exchange(None, method, url, headers, body).await
    }

    /// The same at another address than the URL says.
    pub(crate) async fn ask_at(
        &self,
        address: &str,
        method: Method,
        url: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<OtherAnswer, Error> {
        self.exchange(Some(address), method, url, headers, body).await
    }

    async fn exchange(
        &self,
        at: Option<&str>,
        method: Method,
        url: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<OtherAnswer, Error> {
        let bad_url = || Error::Url { url: url.to_owned() };
        let uri: Uri = url.parse().map_err(|_| bad_url())?;
        let (is_https, default_port) = match uri.scheme_str() {
            Some("https") => (true, 443),
            Some("http") => (false, 80),
            _ => return Err(bad_url()),
        };
        let authority = uri.authority().ok_or_else(bad_url)?;
        let address = match at {
            Some(address) => address.to_owned(),
            None => format!("{}:{}", authority.host(), authority.port_u16().unwrap_or(default_port)),
        };
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = target.parse().map_err(|_| bad_url())?;
        *request.headers_mut() = headers;
        let all = request.headers_mut();
        all.insert(
            header::HOST,
            HeaderValue::from_str(authority.as_str()).map_err(|_| bad_url())?,
        );
        all.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        all.insert(header::USER_AGENT, HeaderValue::from_static("kafka-connect"));
        all.insert(header::CONNECTION, HeaderValue::from_static("close"));

        match is_https {
            false => exchange(connect(&address).await?, &address, request).await,
            true => {
                let problem = |problem: &str| Error::Tls {
                    address: address.clone(),
                    problem: problem.to_owned(),
                };
                let tls = self.tls.as_ref().map_err(|why| problem(why))?;
                let stream = secure(connect(&address).await?, &address, authority.host(), tls).await?;
                Box::pin(exchange(stream, &address, request)).await
            }
        }
    }
}

async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    address: &str,
    request: Request<Full<Bytes>>,
) -> Result<OtherAnswer, Error> {
    let http = |source| Error::Http {
        address: address.to_owned(),
        source,
    };
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(http)?;
    let asking = async {
        let answer = sender.send_request(request).await.map_err(http)?;
        let status = answer.status().as_u16();
        let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await;
        let body = body
            .map_err(|source| Error::Body {
                address: address.to_owned(),
                source,
            })?
            .to_bytes();
        Ok(OtherAnswer { status, body })
    };
    tokio::pin!(asking, connection);
    tokio::select! {
        answered = &mut asking => answered,
        // It may end before the last bytes have been taken from it; they are still there.
        _ = &mut connection => asking.await,
    }
}

async fn connect(address: &str) -> Result<TcpStream, Error> {
    let connecting = timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await;
    let connected = connecting.map_err(|_| Error::Timeout {
        address: address.to_owned(),
    })?;
    let stream = connected.map_err(|source| Error::Connect {
        address: address.to_owned(),
        source,
    })?;
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

async fn secure(stream: TcpStream, address: &str, host: &str, tls: &ClientTls) -> Result<TlsStream<TcpStream>, Error> {
    let problem = |problem: String| Error::Tls {
        address: address.to_owned(),
        problem,
    };
    let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned());
    let name = name.map_err(|_| problem(format!("{host} is no name that a certificate could be for")))?;
    let config = tls.current().await.map_err(problem)?;
    let shaking = timeout(CONNECT_TIMEOUT, TlsConnector::from(config).connect(name, stream)).await;
    let shaken = shaking.map_err(|_| Error::Timeout {
        address: address.to_owned(),
    })?;
    shaken.map_err(|error| problem(explain(&error, Peer::Worker).unwrap_or_else(|| error.to_string())))
}
