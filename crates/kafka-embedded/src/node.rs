//! One node: a listener, and a task per connection that answers its requests one after the other, as Kafka does.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey, RequestHeader, RequestKind, ResponseHeader, ResponseKind};
use kafka_protocol::protocol::{Decodable, Encodable};
use kafka_wire::shape::{self, Shape};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::api;
use crate::control::{Control, Request};
use crate::frame::FrameReader;
use crate::state::Shared;

/// After a failed accept (no file handles left, as a rule), so that the loop does not spin.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// Who a request came from and which node it reached.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    pub(crate) shared: Arc<Shared>,
    pub(crate) node_id: i32,
    pub(crate) host: Arc<str>,
}

pub(crate) async fn run(
    listener: TcpListener,
    mut in_memory: mpsc::Receiver<DuplexStream>,
    shared: Arc<Shared>,
    node_id: i32,
    cancel: CancellationToken,
) {
    let context = |host: Arc<str>| Context {
        shared: shared.clone(),
        node_id,
        host,
    };
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = cancel.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    // Small answers must not wait for more to come; a socket that refuses is slower, not wrong.
                    let _ = stream.set_nodelay(true);
                    let context = context(peer.ip().to_string().into());
                    connections.spawn(connection(stream, context, cancel.child_token()));
                }
                Err(error) => {
                    tracing::warn!(node_id, %error, "accept failed");
                    tokio::time::sleep(ACCEPT_RETRY).await;
                }
            },
            Some(stream) = in_memory.recv() => {
                connections.spawn(connection(stream, context("in-memory".into()), cancel.child_token()));
            }
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn connection<S>(mut stream: S, context: Context, cancel: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let served = tokio::select! {
        () = cancel.cancelled() => Ok(()),
        served = serve(&mut stream, &context) => served,
    };
    if let Err(error) = served {
        tracing::debug!(node_id = context.node_id, peer = %context.host, %error, "connection closed");
    }
}

async fn serve<S>(stream: &mut S, context: &Context) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut frames = FrameReader::default();
    while let Some(frame) = frames.next(stream).await? {
        match answer(frame, context).await? {
            Answer::Reply(bytes) => stream.write_all(&bytes).await?,
            Answer::Nothing => {}
            Answer::HangUp => return Ok(()),
        }
    }
    Ok(())
}

enum Answer {
    Reply(Bytes),
    Nothing,
    HangUp,
}

async fn answer(mut frame: Bytes, context: &Context) -> io::Result<Answer> {
    let Some((head, _)) = frame.split_first_chunk::<8>() else {
        return Err(invalid("a request of less than 8 bytes"));
    };
    let mut head = &head[..];
    let (code, version, correlation_id) = (head.get_i16(), head.get_i16(), head.get_i32());
    let Some(supported) = api::supported(code) else {
        return Err(invalid(format!("API key {code} is not served")));
    };
    let api_key = supported.api_key;
    let max_version = context.shared.state().settings.max_version(supported);
    if !supported.decodes(version) || version > max_version {
        if api_key == ApiKey::ApiVersions {
            let refusal = api::api_versions::unsupported_version(&context.shared.state());
            return encode(api_key, 0, correlation_id, &refusal).map(Answer::Reply);
        }
        return Err(invalid(format!("{api_key:?} version {version} is not served")));
    }
    let header_version = api_key.request_header_version(version);
    shape::check(Shape::RequestHeader, header_version, &frame).map_err(invalid)?;
    let header = RequestHeader::decode(&mut frame, header_version).map_err(invalid)?;
    shape::check(Shape::Request(code), version, &frame).map_err(invalid)?;
    let request = RequestKind::decode(api_key, &mut frame, version).map_err(invalid)?;
    let client_id = header.client_id.as_ref().map_or("", |id| id.as_str());

    let control = context.shared.hooks().on(
        api_key,
        &Request {
            node_id: context.node_id,
            version,
            client_id,
            body: &request,
        },
    );
    let mut lose_reply = false;
    match control {
        Control::Pass => {}
        Control::Error(error) => {
            let response = api::refuse(request, error);
            return encode(api_key, version, correlation_id, &response).map(Answer::Reply);
        }
        Control::Respond(response) => {
            return encode(api_key, version, correlation_id, &response).map(Answer::Reply);
        }
        Control::Delay(delay) => tokio::time::sleep(delay).await,
        Control::Drop => return Ok(Answer::Nothing),
        Control::Disconnect => return Ok(Answer::HangUp),
        Control::LoseReply => lose_reply = true,
    }
    match api::handle(context, client_id, version, request).await {
        _ if lose_reply => Ok(Answer::HangUp),
        api::Outcome::Reply(response) => encode(api_key, version, correlation_id, &response).map(Answer::Reply),
        api::Outcome::NoReply => Ok(Answer::Nothing),
        api::Outcome::HangUp => Ok(Answer::HangUp),
    }
}

fn encode(api_key: ApiKey, version: i16, correlation_id: i32, response: &ResponseKind) -> io::Result<Bytes> {
    let mut bytes = BytesMut::with_capacity(api::size_hint(response));
    bytes.put_i32(0);
    let header = ResponseHeader::default().with_correlation_id(correlation_id);
    header
        .encode(&mut bytes, api_key.response_header_version(version))
        .map_err(invalid)?;
    response.encode(&mut bytes, version).map_err(|error| {
        tracing::error!(?api_key, version, %error, "a response cannot be encoded");
        invalid(error)
    })?;
    let length = i32::try_from(bytes.len() - 4).map_err(invalid)?;
    bytes[..4].copy_from_slice(&length.to_be_bytes());
    Ok(bytes.freeze())
}

fn invalid(problem: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, problem)
}
