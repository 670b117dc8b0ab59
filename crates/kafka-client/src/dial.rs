//! From an address to a byte stream: the one place where sockets are opened.
//!
//! [`Dialer::tcp`] is for real brokers; [`Dialer::from_fn`] lets tests, an embedded broker or a simulated network
//! hand out any byte stream. TLS is laid over what a dialer gives, see [`crate::security`].

use std::fmt;
use std::future::Future;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, ReadHalf, WriteHalf};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpSocket, TcpStream};

use crate::error::Error;
use crate::metrics::{ClientMetrics, ClientRegistry};

/// How sockets are set up.
#[derive(Debug, Clone)]
pub struct SocketOptions {
    /// `send.buffer.bytes`; `None` leaves it to the operating system.
    pub send_buffer_bytes: Option<u32>,
    /// `receive.buffer.bytes`; `None` leaves it to the operating system.
    pub receive_buffer_bytes: Option<u32>,
    /// `socket.connection.setup.timeout.ms`, for each address tried.
    pub setup_timeout: Duration,
}

impl Default for SocketOptions {
    fn default() -> Self {
        Self {
            send_buffer_bytes: None,
            receive_buffer_bytes: None,
            setup_timeout: Duration::from_secs(10),
        }
    }
}

/// Opens a byte stream to a broker.
pub trait Dial: Send + Sync {
    /// Connects to `host`:`port`.
    fn dial<'a>(&'a self, host: &'a str, port: u16, options: &'a SocketOptions)
    -> BoxFuture<'a, Result<Stream, Error>>;
}

/// A shared [`Dial`]; clone it freely.
#[derive(Clone)]
pub struct Dialer {
    dial: Arc<dyn Dial>,
    options: SocketOptions,
    clients: Arc<ClientRegistry>,
}

impl Dialer {
    /// Plain TCP, with the operating system's resolver.
    pub fn tcp() -> Self {
        Self::new(Tcp)
    }

    /// Any other way to reach a broker.
    pub fn new(dial: impl Dial + 'static) -> Self {
        Self {
            dial: Arc::new(dial),
            options: SocketOptions::default(),
            clients: Arc::default(),
        }
    }

    /// A way to reach brokers given as a function from host and port to a byte stream.
    pub fn from_fn<F, Fut, S>(connect: F) -> Self
    where
        F: Fn(String, u16) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = io::Result<S>> + Send + 'static,
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        Self::new(FromFn(connect))
    }

    /// The counters of every client that connects this way, by `client.id`.
    pub fn clients(&self) -> Vec<(Arc<str>, Arc<ClientMetrics>)> {
        self.clients.all()
    }

    /// Where a new client of this id counts.
    pub(crate) fn metrics_of(&self, client_id: &str) -> Arc<ClientMetrics> {
        self.clients.metrics(client_id)
    }

    /// The socket options in force.
    pub fn options(&self) -> &SocketOptions {
        &self.options
    }

    /// The same way to connect, with other socket options.
    pub fn with_options(mut self, options: SocketOptions) -> Self {
        self.options = options;
        self
    }

    /// Connects to `host`:`port`.
    pub async fn dial(&self, host: &str, port: u16) -> Result<Stream, Error> {
        self.dial.dial(host, port, &self.options).await
    }

    /// As [`Self::dial`], with a setup timeout of this attempt's own.
    pub async fn dial_within(&self, host: &str, port: u16, setup_timeout: Duration) -> Result<Stream, Error> {
        let options = SocketOptions {
            setup_timeout,
            ..self.options.clone()
        };
        self.dial.dial(host, port, &options).await
    }
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialer")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

struct Tcp;

impl Dial for Tcp {
    fn dial<'a>(
        &'a self,
        host: &'a str,
        port: u16,
        options: &'a SocketOptions,
    ) -> BoxFuture<'a, Result<Stream, Error>> {
        Box::pin(async move {
            let unknown = |source| Error::UnknownHost {
                host: host.into(),
                source: Arc::new(source),
            };
            let resolved = tokio::time::timeout(options.setup_timeout, tokio::net::lookup_host((host, port)))
                .await
                .unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut)))
                .map_err(unknown)?;
            let mut last = unknown(io::Error::other("it has no address"));
            // client.dns.lookup=use_all_dns_ips: a dual-stack name whose first address is dead still works.
            for address in resolved {
                match connect(address, options).await {
                    Ok(stream) => return Ok(Stream::Tcp(stream)),
                    Err(error) => last = error.at(host, port, address, options.setup_timeout),
                }
            }
            Err(last)
        })
    }
}

enum ConnectError {
    Io(io::Error),
    Timeout,
}

impl ConnectError {
    fn at(self, host: &str, port: u16, address: SocketAddr, timeout: Duration) -> Error {
        let same = host.trim_matches(['[', ']']) == address.ip().to_string();
        let address: Arc<str> = if same {
            address.to_string().into()
        } else {
            format!("{host}:{port} ({})", address.ip()).into()
        };
        match self {
            Self::Io(source) => Error::Connect {
                address,
                source: Arc::new(source),
            },
            Self::Timeout => Error::ConnectTimeout { address, timeout },
        }
    }
}

async fn connect(address: SocketAddr, options: &SocketOptions) -> Result<TcpStream, ConnectError> {
    let open = || {
        let socket = if address.is_ipv4() {
            TcpSocket::new_v4()?
        } else {
            TcpSocket::new_v6()?
        };
        // Before connect, or the window scale is already settled.
        if let Some(bytes) = options.send_buffer_bytes {
            socket.set_send_buffer_size(bytes)?;
        }
        if let Some(bytes) = options.receive_buffer_bytes {
            socket.set_recv_buffer_size(bytes)?;
        }
        socket.set_keepalive(true)?;
        Ok(socket)
    };
    let socket = open().map_err(ConnectError::Io)?;
    let stream = match tokio::time::timeout(options.setup_timeout, socket.connect(address)).await {
        Ok(connected) => connected.map_err(ConnectError::Io)?,
        Err(_elapsed) => return Err(ConnectError::Timeout),
    };
    stream.set_nodelay(true).map_err(ConnectError::Io)?;
    Ok(stream)
}

struct FromFn<F>(F);

impl<F, Fut, S> Dial for FromFn<F>
where
    F: Fn(String, u16) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = io::Result<S>> + Send + 'static,
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    fn dial<'a>(
        &'a self,
        host: &'a str,
        port: u16,
        options: &'a SocketOptions,
    ) -> BoxFuture<'a, Result<Stream, Error>> {
        Box::pin(async move {
            let address = || -> Arc<str> { format!("{host}:{port}").into() };
            match tokio::time::timeout(options.setup_timeout, (self.0)(host.to_owned(), port)).await {
                Ok(Ok(stream)) => Ok(Stream::from_io(stream)),
                Ok(Err(source)) => Err(Error::Connect {
                    address: address(),
                    source: Arc::new(source),
                }),
                Err(_elapsed) => Err(Error::ConnectTimeout {
                    address: address(),
                    timeout: options.setup_timeout,
                }),
            }
        })
    }
}

pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// A connected byte stream. TCP is an arm of its own, so that the hot path has no dynamic call and no lock between its halves.
pub enum Stream {
    /// A TCP connection.
    Tcp(TcpStream),
    /// Anything else.
    Other(OtherStream),
}

/// A byte stream that is not plain TCP.
pub struct OtherStream(Box<dyn Io>);

impl Stream {
    /// Wraps any byte stream.
    pub fn from_io(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        Self::Other(OtherStream(Box::new(stream)))
    }

    pub(crate) fn into_split(self) -> (Reading, Writing) {
        match self {
            Self::Tcp(stream) => {
                let (read, write) = stream.into_split();
                (Reading::Tcp(read), Writing::Tcp(write))
            }
            Self::Other(OtherStream(stream)) => {
                let (read, write) = tokio::io::split(stream);
                (Reading::Other(read), Writing::Other(write))
            }
        }
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp(_) => "Stream::Tcp",
            Self::Other(_) => "Stream::Other",
        })
    }
}

impl fmt::Debug for OtherStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OtherStream")
    }
}

pub(crate) enum Reading {
    Tcp(OwnedReadHalf),
    Other(ReadHalf<Box<dyn Io>>),
}

pub(crate) enum Writing {
    Tcp(OwnedWriteHalf),
    Other(WriteHalf<Box<dyn Io>>),
}

macro_rules! forward_read {
    ($type:ty, $($arm:pat => $inner:expr),+) => {
        impl AsyncRead for $type {
            fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
                match self.get_mut() { $($arm => Pin::new($inner).poll_read(cx, buf)),+ }
            }
        }
    };
}

macro_rules! forward_write {
    ($type:ty, $($arm:pat => $inner:expr),+) => {
        impl AsyncWrite for $type {
            fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
                match self.get_mut() { $($arm => Pin::new($inner).poll_write(cx, buf)),+ }
            }
            fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
                match self.get_mut() { $($arm => Pin::new($inner).poll_write_vectored(cx, bufs)),+ }
            }
            fn is_write_vectored(&self) -> bool {
                true
            }
            fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                match self.get_mut() { $($arm => Pin::new($inner).poll_flush(cx)),+ }
            }
            fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                match self.get_mut() { $($arm => Pin::new($inner).poll_shutdown(cx)),+ }
            }
        }
    };
}

forward_read!(Stream, Stream::Tcp(s) => s, Stream::Other(OtherStream(s)) => s);
forward_write!(Stream, Stream::Tcp(s) => s, Stream::Other(OtherStream(s)) => s);
forward_read!(Reading, Reading::Tcp(s) => s, Reading::Other(s) => s);
forward_write!(Writing, Writing::Tcp(s) => s, Writing::Other(s) => s);
