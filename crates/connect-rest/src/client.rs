//! Asking other workers over HTTP.
//!
//! One connection a request: workers ask each other seldom, and a connection that is not kept is never stale. TLS will
//! take its place in [`connect`].

use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, Method, Request, Uri, header, uri::Scheme};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::timeout};

/// Other workers are near.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// Largest answer that is taken in.
const MAX_ANSWER: usize = 32 * 1024 * 1024;

/// Why another worker could not be asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{url} is not a URL to a worker")]
    Url { url: String },
    #[error("{url} is https, which is to come")]
    Https { url: String },
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

/// Asks. `url` is whole; redirects are not followed.
pub(crate) async fn ask(method: Method, url: &str, headers: HeaderMap, body: Bytes) -> Result<OtherAnswer, Error> {
    let bad_url = || Error::Url { url: url.to_owned() };
    let uri: Uri = url.parse().map_err(|_| bad_url())?;
    if uri.scheme() == Some(&Scheme::HTTPS) {
        return Err(Error::Https { url: url.to_owned() });
    }
    let (Some(authority), true) = (uri.authority(), uri.scheme() == Some(&Scheme::HTTP)) else {
        return Err(bad_url());
    };
    let address = format!("{}:{}", authority.host(), authority.port_u16().unwrap_or(80));
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

    let stream = connect(&address).await?;
    let http = |source| Error::Http {
        address: address.clone(),
        source,
    };
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(http)?;
    let asking = async {
        let answer = sender.send_request(request).await.map_err(http)?;
        let status = answer.status().as_u16();
        let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await;
        let body = body
            .map_err(|source| Error::Body {
                address: address.clone(),
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
