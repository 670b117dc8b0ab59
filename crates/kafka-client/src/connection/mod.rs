//! One connection to one broker: pipelined requests, answers in order, one error for all when it breaks.
//!
//! A reader and a writer task own the two halves of the stream and live in a `JoinSet` that the handles share:
//! when the last handle goes, so do they. A caller only queues a frame and awaits a reply, so cancelling a caller
//! never leaves half a frame on the wire.

mod api_versions;
mod frame;
mod frame_pool;
mod login;
mod reader;
mod shared;
#[cfg(test)]
mod tests;
mod throttle;
mod writer;

use std::fmt;
use std::future::Future;
use std::io;
use std::ops::RangeInclusive;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::ApiKey;
use kafka_protocol::protocol::{Decodable, Request, VersionRange};
use kafka_wire::shape::{self, Shape};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

pub use self::api_versions::ApiVersions;
use self::login::LoginLoop;
use self::shared::Shared;
use self::writer::{Queued, QueuedFrame, Writer};
use crate::dial::Stream;
use crate::error::Error;
use crate::metrics::{ClientMetrics, TrafficSnapshot};
use crate::security::Security;

/// Frames that may wait for the writer. Callers keep far fewer in flight (Kafka's default is five), so that a full queue is a bug of theirs.
const QUEUE_CAPACITY: usize = 1024;
/// Kafka's strings carry a 16-bit length.
const MAX_CLIENT_ID_BYTES: usize = i16::MAX as usize;

/// What a connection is opened with.
#[derive(Debug, Clone)]
pub struct ConnectionOptions {
    /// `client.id`, sent with every request.
    pub client_id: Arc<str>,
    /// `request.timeout.ms`, for the handshake.
    pub request_timeout: Duration,
    /// `connections.max.idle.ms`; `None`: never.
    pub max_idle: Option<Duration>,
    /// The largest response we accept.
    pub max_frame_bytes: usize,
    /// The client's counters, kept besides the connection's own.
    pub metrics: Arc<ClientMetrics>,
    /// How to log in, where the stream itself does not say who we are.
    pub security: Arc<Security>,
}

impl Default for ConnectionOptions {
    fn default() -> Self {
        Self {
            client_id: "".into(),
            request_timeout: Duration::from_secs(30),
            max_idle: None,
            max_frame_bytes: 100 * 1024 * 1024,
            metrics: Arc::default(),
            security: Arc::new(Security::plaintext()),
        }
    }
}

/// A request as it goes out. The connection puts length and header in front.
#[derive(Debug)]
pub struct RequestFrame {
    /// Which request.
    pub api_key: ApiKey,
    /// In which version the body is encoded.
    pub version: i16,
    /// The encoded body in pieces, written as they are.
    pub body: Vec<Bytes>,
    /// How long after it was handed to the socket the answer may take.
    pub timeout: Duration,
    /// False only for a produce request with `acks=0`.
    pub expects_reply: bool,
}

/// A handle on a connection; clone it freely.
#[derive(Clone)]
pub struct Connection {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared>,
    queue: mpsc::Sender<Queued>,
    versions: ApiVersions,
    /// Reader, writer and what logs in again; aborted when the last handle is dropped.
    tasks: JoinSet<()>,
}

impl Connection {
    /// Starts the tasks on a fresh stream, asks the broker which versions it takes, and logs in if need be. `broker` names
    /// the peer in messages.
    pub async fn open(stream: Stream, broker: Arc<str>, options: &ConnectionOptions) -> Result<Self, Error> {
        let (queue, receiver) = mpsc::channel(QUEUE_CAPACITY);
        let shared = Arc::new(Shared::new(
            broker,
            options.metrics.clone(),
            options.max_idle,
            options.request_timeout,
        ));
        let (read, write) = stream.into_split();
        let client_id = Bytes::copy_from_slice(cut(&options.client_id, MAX_CLIENT_ID_BYTES).as_bytes());
        let mut tasks = JoinSet::new();
        tasks.spawn(reader::run(read, shared.clone(), options.max_frame_bytes));
        tasks.spawn(
            Writer {
                io: write,
                queue: receiver,
                shared: shared.clone(),
                client_id,
            }
            .run(),
        );
        let mut inner = Inner {
            shared,
            queue,
            versions: ApiVersions::default(),
            tasks,
        };
        inner.versions = inner.handshake(options.request_timeout).await?;
        if let Some(sasl) = options.security.sasl() {
            let login = LoginLoop {
                security: options.security.clone(),
                shared: inner.shared.clone(),
                queue: inner.queue.clone(),
                versions: inner.versions.clone(),
                timeout: options.request_timeout,
            };
            if let Some(session) = login.log_in(sasl).await? {
                inner.tasks.spawn(login.keep_logged_in(session));
            }
        }
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The highest version of a request that both sides speak.
    pub fn version<R: Request>(&self) -> Result<i16, Error> {
        self.version_up_to::<R>(i16::MAX)
    }

    /// As [`Self::version`], but not above `max`: for requests that change their meaning with a version.
    pub fn version_up_to<R: Request>(&self, max: i16) -> Result<i16, Error> {
        common_version::<R>(&self.inner.versions, &self.inner.shared.broker, i16::MIN..=max)
    }

    /// Fails unless the broker takes at least version `min` of a request.
    pub fn require<R: Request>(&self, min: i16) -> Result<(), Error> {
        match self.version::<R>() {
            Ok(version) if version >= min => Ok(()),
            Err(error) => Err(error),
            Ok(version) => Err(Error::UnsupportedVersion {
                broker: self.inner.shared.broker.clone(),
                api: api_key::<R>(),
                offered: format!("up to {version}").into(),
                wanted: format!("{min} or later").into(),
            }),
        }
    }

    /// What the broker offers.
    pub fn api_versions(&self) -> &ApiVersions {
        &self.inner.versions
    }

    /// Sends one request in `version` and decodes its answer.
    pub async fn call<R: Request>(&self, version: i16, request: R, timeout: Duration) -> Result<R::Response, Error> {
        let reply = self.submit(RequestFrame::encode(version, &request, timeout)?);
        drop(request);
        self.decode::<R::Response>(api_key::<R>(), version, reply.await?)
    }

    /// Decodes the body of a response; what is in it may borrow from the frame.
    pub fn decode<T: Decodable>(&self, api: ApiKey, version: i16, body: Bytes) -> Result<T, Error> {
        decode(&self.inner.shared.broker, api, version, body)
    }

    /// Queues a frame for the writer. Never blocks; frames go out in the order of these calls.
    pub fn submit(&self, frame: RequestFrame) -> Reply {
        self.inner.submit(frame)
    }

    /// Holds back later requests on this connection, as a response asked (KIP-219). Needed only for responses that carry
    /// `throttle_time_ms` elsewhere than first, such as Produce; the others are seen to here.
    pub fn throttle(&self, pause: Duration) {
        self.inner.shared.throttle(pause);
    }

    /// Whether the connection is of no more use.
    pub fn is_closed(&self) -> bool {
        self.inner.shared.closed.is_cancelled()
    }

    /// Completes once the connection is closed, with the reason.
    pub async fn closed(&self) -> Error {
        self.inner.shared.closed.cancelled().await;
        self.inner.shared.error()
    }

    /// Closes the connection under all its handles.
    pub fn close(&self, reason: &'static str) {
        self.inner.shared.poison(Error::Closed {
            broker: self.inner.shared.broker.clone(),
            reason,
        });
    }

    /// How many requests await their answer.
    pub fn in_flight(&self) -> usize {
        self.inner.shared.in_flight() + self.inner.queue.max_capacity() - self.inner.queue.capacity()
    }

    /// Who is at the other end, for messages.
    pub fn broker(&self) -> &Arc<str> {
        &self.inner.shared.broker
    }

    /// What went over this connection.
    pub fn traffic(&self) -> TrafficSnapshot {
        self.inner.shared.traffic.snapshot()
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("broker", &self.inner.shared.broker)
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.poison(self.shared.error()); // replies may outlive the last handle
    }
}

impl Inner {
    fn submit(&self, frame: RequestFrame) -> Reply {
        let (reply, receiver) = oneshot::channel();
        let waiting = || State::Waiting {
            receiver,
            shared: self.shared.clone(),
        };
        let state = match self.queue.try_send(Queued::Frame(QueuedFrame { frame, reply })) {
            Ok(()) => waiting(),
            Err(mpsc::error::TrySendError::Full(_)) => State::Failed(Some(Error::QueueFull {
                broker: self.shared.broker.clone(),
            })),
            Err(mpsc::error::TrySendError::Closed(_)) => State::Failed(Some(self.shared.error())),
        };
        Reply(state)
    }

    /// Asks in our highest version first; a broker that does not know it names its own (KIP-511).
    async fn handshake(&self, timeout: Duration) -> Result<ApiVersions, Error> {
        let broker = || self.shared.broker.clone();
        let mut version = api_versions::HIGHEST;
        loop {
            let frame = RequestFrame::encode(version, &api_versions::request(), timeout)?;
            let body = self.submit(frame).await?;
            let hint = "its answer to ApiVersions cannot be read; check host and port";
            let not_kafka = Error::NotKafka { broker: broker(), hint };
            match api_versions::read(body, version).ok_or(not_kafka)? {
                api_versions::Answer::Versions(versions) => return Ok(versions),
                api_versions::Answer::Older(highest) if version > 0 => version = highest.clamp(0, version - 1),
                api_versions::Answer::Older(_) => {
                    let what = format!("ApiVersions by {}", self.shared.broker);
                    return Err(Error::refused(what, kafka_wire::ErrorCode::UNSUPPORTED_VERSION, None));
                }
                api_versions::Answer::Refused(code) => {
                    return Err(Error::refused(
                        format!("ApiVersions by {}", self.shared.broker),
                        code,
                        None,
                    ));
                }
            }
        }
    }
}

impl RequestFrame {
    /// Encodes a request whole.
    pub fn encode<R: Request>(version: i16, request: &R, timeout: Duration) -> Result<Self, Error> {
        let api = api_key::<R>();
        let mut body = BytesMut::new();
        request
            .compute_size(version)
            .and_then(|size| {
                body.reserve(size);
                request.encode(&mut body, version)
            })
            .map_err(|error| Error::Encode {
                api,
                version,
                reason: error.to_string().into(),
            })?;
        Ok(Self {
            api_key: api,
            version,
            body: vec![body.freeze()],
            timeout,
            expects_reply: true,
        })
    }
}

/// The answer to a submitted frame: the body after the response header, or why there is none.
/// Dropping it abandons the answer only, never the frame.
#[derive(Debug)]
#[must_use = "a reply does nothing unless awaited; drop it to ignore the answer"]
pub struct Reply(State);

enum State {
    Waiting {
        receiver: oneshot::Receiver<Result<Bytes, Error>>,
        shared: Arc<Shared>,
    },
    Failed(Option<Error>),
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Waiting { .. } => f.write_str("Waiting"),
            Self::Failed(error) => f.debug_tuple("Failed").field(error).finish(),
        }
    }
}

impl Future for Reply {
    type Output = Result<Bytes, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            State::Waiting { receiver, shared } => match ready!(Pin::new(receiver).poll(cx)) {
                Ok(answer) => Poll::Ready(answer),
                Err(_dropped) => Poll::Ready(Err(shared.error())),
            },
            State::Failed(error) => Poll::Ready(Err(error.take().expect("a reply is not polled after it is ready"))),
        }
    }
}

/// The key of a request type.
pub(crate) fn api_key<R: Request>() -> ApiKey {
    ApiKey::try_from(R::KEY).expect("every request type has a key of the protocol")
}

/// The highest version within `allowed` that both sides speak.
fn common_version<R: Request>(
    versions: &ApiVersions,
    broker: &Arc<str>,
    allowed: RangeInclusive<i16>,
) -> Result<i16, Error> {
    let api = api_key::<R>();
    let wanted = VersionRange {
        min: R::VERSIONS.min.max(*allowed.start()),
        max: R::VERSIONS.max.min(*allowed.end()),
    };
    let offered = versions.range(api);
    match offered.map(|offered| offered.intersect(&wanted)) {
        Some(common) if !common.is_empty() => Ok(common.max),
        _ => Err(Error::UnsupportedVersion {
            broker: broker.clone(),
            api,
            offered: offered.map_or_else(|| "none".into(), |range| range.to_string().into()),
            wanted: wanted.to_string().into(),
        }),
    }
}

fn decode<T: Decodable>(broker: &Arc<str>, api: ApiKey, version: i16, mut body: Bytes) -> Result<T, Error> {
    let malformed = |reason: String| Error::Malformed {
        broker: broker.clone(),
        api,
        reason: reason.into(),
    };
    // The generated decoder reserves memory by the counts that it reads.
    shape::check(Shape::Response(api as i16), version, &body).map_err(|error| malformed(error.to_string()))?;
    T::decode(&mut body, version).map_err(|error| malformed(error.to_string()))
}

fn disconnected(broker: &Arc<str>, source: io::Error) -> Error {
    Error::Disconnected {
        broker: broker.clone(),
        source: Arc::new(source),
    }
}

fn cut(text: &str, max: usize) -> &str {
    &text[..text.floor_char_boundary(max)]
}
