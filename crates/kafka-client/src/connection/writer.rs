//! The writer task: the only one that touches the sending half, so a half-written frame is never abandoned.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::ready;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::io::AsyncWrite;
use tokio::sync::mpsc;
use tokio::time::{Instant, Sleep};

use super::shared::{InFlight, ReplySender, Shared};
use super::{RequestFrame, disconnected};
use crate::error::Error;

/// How many queued frames one write may join.
const MAX_FRAMES_PER_WRITE: usize = 32;
/// How many slices one system call is given (Linux takes 1024).
const MAX_SLICES: usize = 64;

/// What waits for the writer.
pub(crate) enum Queued {
    Frame(QueuedFrame),
    /// Until this lane closes, only what comes over it is written: a login, between whose frames there may be no others.
    Lane(mpsc::Receiver<QueuedFrame>),
}

pub(crate) struct QueuedFrame {
    pub(crate) frame: RequestFrame,
    pub(crate) reply: ReplySender,
}

/// What the writer keeps from one write to the next.
struct Outgoing {
    watchdog: Watchdog,
    next_correlation_id: i32,
    scratch: BytesMut,
    segments: VecDeque<Bytes>,
}

pub(crate) struct Writer<W> {
    pub(crate) io: W,
    pub(crate) queue: mpsc::Receiver<Queued>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) client_id: Bytes,
}

impl<W: AsyncWrite + Unpin> Writer<W> {
    pub(crate) async fn run(mut self) {
        let error = match self.write_until_closed().await {
            Ok(()) => self.shared.error(),
            Err(error) => error,
        };
        self.shared.poison(error);
        // What was queued but not sent hears of it too.
        self.queue.close();
        let error = self.shared.error();
        while let Ok(queued) = self.queue.try_recv() {
            if let Queued::Frame(QueuedFrame { reply, .. }) = queued {
                let _ = reply.send(Err(error.clone()));
            }
        }
    }

    async fn write_until_closed(&mut self) -> Result<(), Error> {
        let mut out = Outgoing {
            watchdog: Watchdog::new(self.shared.check_deadlines(Instant::now())?),
            next_correlation_id: 0,
            scratch: BytesMut::new(),
            segments: VecDeque::new(),
        };
        let mut batch = Vec::with_capacity(MAX_FRAMES_PER_WRITE);
        let mut frames = Vec::with_capacity(MAX_FRAMES_PER_WRITE);
        loop {
            let received = self.queue.recv_many(&mut batch, MAX_FRAMES_PER_WRITE);
            if out.watchdog.guard(&self.shared, received).await? == 0 {
                return Ok(()); // the last handle is gone
            }
            while let Some(until) = self.shared.throttled_until() {
                let pause = tokio::time::sleep_until(until);
                out.watchdog.guard(&self.shared, pause).await?;
            }
            for queued in batch.drain(..) {
                match queued {
                    Queued::Frame(frame) => frames.push(frame),
                    Queued::Lane(mut lane) => {
                        self.write(&mut out, &mut frames).await?;
                        while let Some(frame) = out.watchdog.guard(&self.shared, lane.recv()).await? {
                            frames.push(frame);
                            self.write(&mut out, &mut frames).await?;
                        }
                    }
                }
            }
            self.write(&mut out, &mut frames).await?;
        }
    }

    /// Writes these frames in one go.
    async fn write(&mut self, out: &mut Outgoing, batch: &mut Vec<QueuedFrame>) -> Result<(), Error> {
        if batch.is_empty() {
            return Ok(());
        }
        let mut unanswered = Vec::new(); // stays empty unless acks=0: no allocation
        let mut bytes = 0;
        let frames = batch.len() as u64;
        for QueuedFrame { frame, reply } in batch.drain(..) {
            let correlation_id = out.next_correlation_id;
            let size = match encode_header(&mut out.scratch, &frame, correlation_id, &self.client_id) {
                Ok(size) => size,
                Err(error) => {
                    let _ = reply.send(Err(error));
                    continue;
                }
            };
            out.next_correlation_id = out.next_correlation_id.wrapping_add(1) & i32::MAX;
            bytes += size;
            out.segments.push_back(out.scratch.split().freeze());
            out.segments
                .extend(frame.body.into_iter().filter(|segment| !segment.is_empty()));
            if frame.expects_reply {
                let RequestFrame {
                    api_key,
                    version,
                    timeout,
                    ..
                } = frame;
                let request = InFlight {
                    correlation_id,
                    api_key,
                    version,
                    timeout,
                    deadline: Instant::now() + timeout,
                    reply,
                };
                let look_at = self.shared.late_at(&request).unwrap_or(request.deadline);
                out.watchdog.expect(look_at.min(request.deadline));
                self.shared.expect(request);
            } else {
                unanswered.push(reply);
            }
        }
        let write = write_all(&mut self.io, &mut out.segments);
        out.watchdog
            .guard(&self.shared, write)
            .await?
            .map_err(|error| disconnected(&self.shared.broker, error))?;
        self.shared.traffic.sent(frames, bytes);
        self.shared.metrics.sent(frames, bytes);
        for reply in unanswered {
            let _ = reply.send(Ok(Bytes::new()));
        }
        Ok(())
    }
}

/// Writes length and request header; gives the size of the whole frame on the wire.
fn encode_header(
    out: &mut BytesMut,
    frame: &RequestFrame,
    correlation_id: i32,
    client_id: &Bytes,
) -> Result<u64, Error> {
    let flexible = frame.api_key.request_header_version(frame.version) >= 2;
    let header = 2 + 2 + 4 + 2 + client_id.len() + usize::from(flexible);
    let size = header + frame.body.iter().map(Bytes::len).sum::<usize>();
    let length = i32::try_from(size).map_err(|_| Error::Encode {
        api: frame.api_key,
        version: frame.version,
        reason: format!("{size} bytes do not fit a frame").into(),
    })?;
    out.reserve(4 + header);
    out.put_i32(length);
    out.put_i16(frame.api_key as i16);
    out.put_i16(frame.version);
    out.put_i32(correlation_id);
    out.put_i16(i16::try_from(client_id.len()).expect("a client id is cut to fit when the connection opens"));
    out.put_slice(client_id);
    if flexible {
        out.put_u8(0); // no tagged fields
    }
    Ok(size as u64 + 4)
}

async fn write_all<W: AsyncWrite + Unpin>(io: &mut W, segments: &mut VecDeque<Bytes>) -> io::Result<()> {
    while !segments.is_empty() {
        let mut written = poll_fn(|cx| {
            let mut slices = [IoSlice::new(&[]); MAX_SLICES];
            let count = segments.len().min(MAX_SLICES);
            for (slice, segment) in slices.iter_mut().zip(segments.iter()) {
                *slice = IoSlice::new(segment);
            }
            let written = ready!(Pin::new(&mut *io).poll_write_vectored(cx, &slices[..count]));
            std::task::Poll::Ready(written)
        })
        .await?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        while written > 0 {
            let first = segments.front_mut().expect("no more is written than there was");
            let step = written.min(first.len());
            first.advance(step);
            written -= step;
            if first.is_empty() {
                segments.pop_front(); // lets go of the payload as soon as the kernel has it
            }
        }
    }
    poll_fn(|cx| Pin::new(&mut *io).poll_flush(cx)).await
}

/// One timer for all deadlines of a connection; it is only moved when a request is due before it would fire.
struct Watchdog {
    sleep: Pin<Box<Sleep>>,
}

impl Watchdog {
    fn new(first: Instant) -> Self {
        Self {
            sleep: Box::pin(tokio::time::sleep_until(first)),
        }
    }

    fn expect(&mut self, deadline: Instant) {
        if deadline < self.sleep.deadline() {
            self.sleep.as_mut().reset(deadline);
        }
    }

    /// Waits for `future` while watching the deadlines and the end of the connection.
    async fn guard<F: Future>(&mut self, shared: &Shared, future: F) -> Result<F::Output, Error> {
        let mut future = pin!(future);
        let mut closed = pin!(shared.closed.cancelled());
        loop {
            tokio::select! {
                biased;
                () = closed.as_mut() => return Err(shared.error()),
                () = self.sleep.as_mut() => {
                    let next = shared.check_deadlines(Instant::now())?;
                    // Never sooner than a tick, so that a deadline in the past cannot spin.
                    self.sleep.as_mut().reset(next.max(Instant::now() + Duration::from_millis(1)));
                }
                output = future.as_mut() => return Ok(output),
            }
        }
    }
}
