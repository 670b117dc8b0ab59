//! What the herder needs of HTTP, implemented above it.

use bytes::Bytes;
use connect_api::BoxFuture;

/// A request from another worker of the group, as it arrived.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InternalRequest {
    /// The exact bytes of the body; they are what was signed.
    pub body: Bytes,
    /// The header `X-Connect-Authorization`.
    pub authorization: Option<String>,
    /// The header `X-Connect-Request-Signature-Algorithm`.
    pub algorithm: Option<String>,
}

/// What goes into the headers of a request to another worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestSignature {
    /// The header `X-Connect-Authorization`: base64.
    pub authorization: String,
    /// The header `X-Connect-Request-Signature-Algorithm`.
    pub algorithm: String,
}

/// Why another worker did not do what it was asked to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct WorkerClientError {
    /// Its answer's status, if it answered.
    pub status: Option<u16>,
    /// Its words, or what happened on the way.
    pub message: String,
}

/// Asks other workers of the group.
pub trait WorkerClient: Send + Sync {
    /// `POST <leader_url>connectors/<connector>/tasks`: the leader is to store task configs. `body` is sent as it is.
    fn put_task_configs<'a>(
        &'a self,
        leader_url: &'a str,
        connector: &'a str,
        body: Bytes,
        signature: Option<RequestSignature>,
    ) -> BoxFuture<'a, Result<(), WorkerClientError>>;

    /// `PUT <leader_url>connectors/<connector>/fence`: the leader is to fence off earlier producers. No body.
    fn fence_zombies<'a>(
        &'a self,
        leader_url: &'a str,
        connector: &'a str,
        signature: Option<RequestSignature>,
    ) -> BoxFuture<'a, Result<(), WorkerClientError>>;
}

/// The levels of this process's loggers.
pub trait LoggerLevels: Send + Sync {
    /// Sets a level that was given for the whole cluster. A level or a logger that makes no sense is ignored.
    fn set(&self, logger: &str, level: &str);
}
