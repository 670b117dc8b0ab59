//! What can go wrong between us and a broker, in words that a person can act on.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::messages::ApiKey;
use kafka_wire::{ErrorCode, TopicPartition};

use crate::rights::missing_right;

/// A failed call to a Kafka cluster.
///
/// It is cheap to clone, because one broken connection fails every request that waits on it.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The host name has no address.
    #[error("host name {host} cannot be resolved")]
    UnknownHost {
        /// The name as configured or advertised.
        host: Arc<str>,
        /// What the resolver said.
        #[source]
        source: Arc<io::Error>,
    },
    /// The operating system refused or could not complete the connection.
    #[error("cannot connect to {address}")]
    Connect {
        /// `host:port`.
        address: Arc<str>,
        /// What the operating system said, for example "connection refused".
        #[source]
        source: Arc<io::Error>,
    },
    /// The connection was not set up in time.
    #[error("cannot connect to {address} within {} ms (socket.connection.setup.timeout.ms)", timeout.as_millis())]
    ConnectTimeout {
        /// `host:port`.
        address: Arc<str>,
        /// How long we waited.
        timeout: Duration,
    },
    /// Whatever listens there, it is not a Kafka broker, or not on this listener.
    #[error("{broker} does not answer in the Kafka protocol: {hint}")]
    NotKafka {
        /// Who answered.
        broker: Arc<str>,
        /// What the answer looks like and what to do.
        hint: &'static str,
    },
    /// The peer hung up before it answered our first request.
    #[error("{broker} closed the connection during the handshake; its listener may expect another security.protocol")]
    ClosedInHandshake {
        /// Who hung up.
        broker: Arc<str>,
        /// What the operating system said.
        #[source]
        source: Arc<io::Error>,
    },
    /// TLS could not be set up: one side does not trust the other, or our own certificates cannot be used.
    #[error("TLS with {address} failed: {problem}")]
    Tls {
        /// `host:port`.
        address: Arc<str>,
        /// What is wrong, and what to do.
        problem: Arc<str>,
    },
    /// The broker does not let us in, or we do not believe it.
    #[error("{broker} refused to log in {who}: {problem}")]
    Authentication {
        /// Who was asked.
        broker: Arc<str>,
        /// Whom we pose as, and how.
        who: Arc<str>,
        /// What the broker said, and what to do.
        problem: Arc<str>,
    },
    /// There is no token to log in with.
    #[error("no OAuth token from {from}: {problem}")]
    Login {
        /// Where tokens come from.
        from: Arc<str>,
        /// Why there is none.
        problem: Arc<str>,
    },
    /// An established connection broke.
    #[error("connection to {broker} was lost")]
    Disconnected {
        /// Who was at the other end.
        broker: Arc<str>,
        /// What the operating system said.
        #[source]
        source: Arc<io::Error>,
    },
    /// A request was not answered in time. The connection is given up: its answers come in order, so all later ones are late too.
    #[error("{broker} did not answer {api:?} within {} ms{}", timeout.as_millis(), timeout_hint(*api))]
    RequestTimeout {
        /// Who was asked.
        broker: Arc<str>,
        /// What was asked.
        api: ApiKey,
        /// How long we waited.
        timeout: Duration,
    },
    /// A response is larger than we are willing to hold.
    #[error("{broker} announced a response of {size} bytes; at most {max} are allowed")]
    FrameTooLarge {
        /// Who announced it.
        broker: Arc<str>,
        /// The announced length, as the signed number on the wire.
        size: i32,
        /// The limit in force.
        max: usize,
    },
    /// The answers no longer match the questions.
    #[error("{broker} answered out of order: correlation id {got} instead of {expected:?}")]
    Correlation {
        /// Who answered.
        broker: Arc<str>,
        /// The id in the response.
        got: i32,
        /// The id of the oldest unanswered request, if there was one.
        expected: Option<i32>,
    },
    /// A response that does not follow its schema.
    #[error("{broker} sent a {api:?} response that cannot be read: {reason}")]
    Malformed {
        /// Who sent it.
        broker: Arc<str>,
        /// The request that it answers.
        api: ApiKey,
        /// What the decoder stumbled on.
        reason: Arc<str>,
    },
    /// A request that its version cannot carry.
    #[error("a {api:?} request cannot be written in version {version}: {reason}")]
    Encode {
        /// The request.
        api: ApiKey,
        /// The version asked for.
        version: i16,
        /// What the encoder objected to.
        reason: Arc<str>,
    },
    /// We and the broker have no version of a request in common.
    #[error("{broker} and this client share no version of {api:?} (offered: {offered}, wanted: {wanted})")]
    UnsupportedVersion {
        /// Who was asked.
        broker: Arc<str>,
        /// The request.
        api: ApiKey,
        /// The broker's range, or "none".
        offered: Arc<str>,
        /// Our range.
        wanted: Arc<str>,
    },
    /// More requests were submitted than a connection queues.
    #[error("too many requests wait for {broker}")]
    QueueFull {
        /// Whose queue is full.
        broker: Arc<str>,
    },
    /// The connection was closed by ourselves: idle for too long, replaced or dropped.
    #[error("connection to {broker} was closed: {reason}")]
    Closed {
        /// Who was at the other end.
        broker: Arc<str>,
        /// Why we closed it.
        reason: &'static str,
    },
    /// None of the brokers we know answers.
    #[error("no broker can be reached; tried {tried}")]
    NoBrokers {
        /// The addresses that were tried.
        tried: Arc<str>,
        /// Why the last one failed.
        #[source]
        source: Option<Arc<Error>>,
    },
    /// The cluster does not list this broker (any more).
    #[error("broker {node_id} is not part of the cluster, as far as known")]
    UnknownBroker {
        /// The broker's id.
        node_id: i32,
    },
    /// The broker said no.
    #[error(
        "{what} was refused{}{}",
        message.as_deref().map(|m| format!(" ({m})")).unwrap_or_default(),
        missing_right(what, *source)
    )]
    Refused {
        /// What we were doing, to what.
        what: Arc<str>,
        /// The broker's own words, where it sent some.
        message: Option<Arc<str>>,
        /// The broker's error code.
        #[source]
        source: ErrorCode,
    },
    /// Fetched bytes that are no record batches, or whose checksum is wrong.
    #[error("{partition} cannot be read at offset {offset}: {reason}")]
    Unreadable {
        /// The partition.
        partition: TopicPartition,
        /// Where the bytes begin.
        offset: i64,
        /// What is wrong with them.
        reason: Arc<str>,
    },
    /// There is nowhere to begin, and `auto.offset.reset=none` forbids to choose.
    #[error("{partition} has no usable offset (wanted: {wanted:?}) and auto.offset.reset is none")]
    NoOffset {
        /// The partition.
        partition: TopicPartition,
        /// The offset that is not there, if one was wanted.
        wanted: Option<i64>,
    },
    /// Retries did not help in time.
    #[error("{what} did not succeed within {} ms (default.api.timeout.ms)", timeout.as_millis())]
    Timeout {
        /// What we were doing.
        what: Arc<str>,
        /// How long we tried.
        timeout: Duration,
        /// What the last attempt failed with.
        #[source]
        source: Option<Arc<Error>>,
    },
}

/// Somebody who takes a connection and stays silent may wait for another protocol's greeting.
fn timeout_hint(api: ApiKey) -> &'static str {
    match api {
        ApiKey::ApiVersions => "; check that this is the port of a Kafka listener, and security.protocol",
        _ => "",
    }
}

impl Error {
    /// A refusal with the broker's code, for `what` we were doing.
    pub fn refused(what: impl Into<Arc<str>>, code: ErrorCode, message: Option<&str>) -> Self {
        let message = message.filter(|text| !text.is_empty()).map(Arc::from);
        Self::Refused {
            what: what.into(),
            message,
            source: code,
        }
    }

    /// Whether only a person can mend it, at either end: certificates, passwords, tokens.
    pub fn is_security(&self) -> bool {
        match self {
            Self::Tls { .. } | Self::Authentication { .. } | Self::Login { .. } => true,
            Self::NoBrokers { source, .. } => source.as_deref().is_some_and(Self::is_security),
            _ => false,
        }
    }

    /// Whether another producer has taken over the transactional id, or the coordinator has ended the transaction because
    /// it took too long.
    pub fn is_fenced(&self) -> bool {
        matches!(
            self.code(),
            Some(
                ErrorCode::PRODUCER_FENCED | ErrorCode::INVALID_PRODUCER_EPOCH | ErrorCode::INVALID_PRODUCER_ID_MAPPING
            )
        )
    }

    /// The broker's error code, when it was the broker that objected.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Refused { source, .. } => Some(*source),
            _ => None,
        }
    }

    /// The whole chain in one line, `what: why: why`.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut next = std::error::Error::source(self);
        while let Some(error) = next {
            text.push_str(": ");
            text.push_str(&error.to_string());
            next = error.source();
        }
        text
    }
}
