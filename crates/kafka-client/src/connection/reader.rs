//! The reader task: frames in, replies out.

use std::io;
use std::sync::Arc;

use tokio::io::AsyncRead;

use super::disconnected;
use super::frame::{FrameError, FrameReader};
use super::shared::Shared;
use crate::error::Error;
use crate::security::tls;

pub(crate) async fn run(io: impl AsyncRead + Unpin, shared: Arc<Shared>, max_frame_bytes: usize) {
    let mut frames = FrameReader::new(io, max_frame_bytes);
    let mut answers = 0u64;
    let error = loop {
        let next = tokio::select! {
            biased;
            () = shared.closed.cancelled() => break shared.error(),
            next = frames.next() => next, // not cancel-safe, but the only other arm ends the stream
        };
        match next {
            Ok(frame) => match shared.deliver(frame) {
                Ok(()) => answers += 1,
                Err(error) => break error,
            },
            Err(error) => break explain(error, &shared.broker, answers, max_frame_bytes),
        }
    };
    shared.poison(error);
}

fn explain(error: FrameError, broker: &Arc<str>, answers: u64, max: usize) -> Error {
    let first = answers == 0;
    let broker = broker.clone();
    if let FrameError::Io(source) = &error
        && let Some(problem) = tls::explain(source)
    {
        // In TLS 1.3 a broker that does not take our certificate says so only now.
        return Error::Tls {
            address: broker,
            problem: problem.into(),
        };
    }
    let hung_up = |error: &io::Error| {
        matches!(
            error.kind(),
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset
        )
    };
    match error {
        FrameError::Io(source) if first && hung_up(&source) => Error::ClosedInHandshake {
            broker,
            source: Arc::new(source),
        },
        // A listener that wants a login answers ApiVersions, and hangs up at what follows.
        FrameError::Io(source) if answers == 1 && hung_up(&source) => {
            let hint = "the peer hung up after ApiVersions; its listener may expect another security.protocol";
            disconnected(&broker, io::Error::new(source.kind(), hint))
        }
        FrameError::Io(source) => disconnected(&broker, source),
        FrameError::Foreign(hint) if first => Error::NotKafka { broker, hint },
        FrameError::Length(size) if first => {
            tracing::debug!(%broker, size, "first frame has an impossible length");
            Error::NotKafka {
                broker,
                hint: "its first bytes are no response to ApiVersions; check host and port",
            }
        }
        FrameError::Foreign(_) => Error::FrameTooLarge {
            broker,
            size: i32::MAX,
            max,
        },
        FrameError::Length(size) => Error::FrameTooLarge { broker, size, max },
    }
}
