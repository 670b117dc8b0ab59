//! The bytes of one connection on their way to the HTTP library.
//!
//! The library refuses a `>` in a request's target, which people write; it answers a head that it cannot read without
//! a body; and it lets a client take as long as it likes between two bytes. So the head of every request is read here
//! first, whole and bounded, and handed on [mended](head::mend). Bodies pass as they are.

use std::{
    io,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep},
};

use super::{
    body_framing::BodyFraming,
    head::{self, MAX_HEAD, Malformed},
};

/// The method of the request that stands in for one that could not be read; a client's own has an empty [`Verdict`].
pub(super) const MALFORMED_METHOD: &str = "MALFORMED";
const MALFORMED_HEAD: &[u8] = b"MALFORMED / HTTP/1.1\r\nHost: malformed\r\n\r\n";

/// Read from the socket at once.
const READ_SIZE: usize = 8 * 1024;

/// What was wrong with the request at which a connection ended.
pub(super) type Verdict = Arc<OnceLock<Malformed>>;

/// How long a client may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// Between an answer and the next request.
    pub(super) idle: Duration,
    /// From a head's first byte to its last.
    pub(super) head: Duration,
    /// To take the next bytes of an answer.
    pub(super) write: Duration,
}

/// A connection whose requests are mended as they come in.
#[derive(Debug)]
pub(super) struct RequestStream<S> {
    io: S,
    patience: Patience,
    verdict: Verdict,
    place: Place,
    /// Read, but not looked at yet. No more than one head, or [`READ_SIZE`].
    input: BytesMut,
    /// So much of `input` has been searched for the end of a head.
    scanned: usize,
    /// Ready for the library.
    output: BytesMut,
    /// A whole request has been handed on, and nothing been written since.
    is_answer_due: bool,
    reading: Deadline,
    writing: Deadline,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Head,
    Body(BodyFraming),
    /// Nothing more is read.
    End,
}

impl<S> RequestStream<S> {
    pub(super) fn new(io: S, patience: Patience, verdict: Verdict) -> Self {
        Self {
            io,
            patience,
            verdict,
            place: Place::Head,
            input: BytesMut::new(),
            scanned: 0,
            output: BytesMut::new(),
            is_answer_due: false,
            reading: Deadline::default(),
            writing: Deadline::default(),
        }
    }

    /// The connection itself, for its end.
    pub(super) fn into_inner(self) -> S {
        self.io
    }

    fn refuse(&mut self, malformed: Malformed) {
        // Only the first counts, and there is only one: nothing is read after it.
        let _ = self.verdict.set(malformed);
        self.output.extend_from_slice(MALFORMED_HEAD);
        self.input.clear();
        self.scanned = 0;
        self.place = Place::End;
        self.is_answer_due = true;
    }

    /// Takes a head from `input` if it is all there.
    fn take_head(&mut self) {
        while matches!(self.input.first(), Some(b'\r' | b'\n')) && self.scanned == 0 {
            self.input.advance(1);
        }
        // The last bytes of what has been searched may be the beginning of the end.
        let Some(end) = head::end(&self.input, self.scanned.saturating_sub(3)) else {
            self.scanned = self.input.len();
            if self.input.len() >= MAX_HEAD {
                let limit = format!("The request's head is longer than {MAX_HEAD} bytes");
                self.refuse(Malformed::new(431, limit));
            }
            return;
        };
        let head = self.input.split_to(end);
        self.scanned = 0;
        self.reading.clear();
        match head::mend(&head) {
            Ok((mended, framing)) => {
                self.output.extend_from_slice(&mended);
                self.is_answer_due = framing == BodyFraming::Length(0);
                self.place = if self.is_answer_due {
                    Place::Head
                } else {
                    Place::Body(framing)
                };
            }
            Err(malformed) => self.refuse(malformed),
        }
    }

    /// Hands on what is there of a body.
    fn take_body(&mut self, mut framing: BodyFraming) {
        let (taken, is_done) = framing.advance(&self.input);
        self.output.unsplit(self.input.split_to(taken));
        self.is_answer_due |= is_done;
        self.place = if is_done { Place::Head } else { Place::Body(framing) };
    }
}

impl<S: AsyncRead + Unpin> RequestStream<S> {
    /// Reads more into `input`; `false` at the end.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let mut space = [std::mem::MaybeUninit::uninit(); READ_SIZE];
        let room = match self.place {
            Place::Head => READ_SIZE.min(MAX_HEAD - self.input.len()),
            _ => READ_SIZE,
        };
        let mut buffer = ReadBuf::uninit(&mut space[..room]);
        ready!(Pin::new(&mut self.io).poll_read(cx, &mut buffer))?;
        self.input.extend_from_slice(buffer.filled());
        Poll::Ready(Ok(!buffer.filled().is_empty()))
    }

    /// A head that does not come: the connection is closed between requests, and refused within one.
    fn poll_head_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.input.is_empty() && self.is_answer_due {
            return Poll::Pending;
        }
        let (phase, limit) = if self.input.is_empty() {
            (Phase::Idle, self.patience.idle)
        } else {
            (Phase::Head, self.patience.head)
        };
        ready!(self.reading.poll(cx, phase, limit));
        match phase {
            Phase::Head => {
                let limit = self.patience.head.as_secs();
                self.refuse(Malformed::new(
                    408,
                    format!("The request's head took longer than {limit} s"),
                ));
            }
            _ => self.place = Place::End,
        }
        Poll::Ready(())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for RequestStream<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if !this.output.is_empty() {
                let size = this.output.len().min(buffer.remaining());
                buffer.put_slice(&this.output[..size]);
                this.output.advance(size);
                return Poll::Ready(Ok(()));
            }
            match this.place {
                Place::End => return Poll::Ready(Ok(())),
                Place::Body(framing) if !this.input.is_empty() => {
                    this.take_body(framing);
                    continue;
                }
                Place::Head if this.input.len() > this.scanned => {
                    this.take_head();
                    continue;
                }
                Place::Head | Place::Body(_) => {}
            }
            match this.poll_fill(cx) {
                Poll::Ready(Ok(true)) => {}
                Poll::Ready(Ok(false)) => {
                    if this.place == Place::Head && !this.input.is_empty() {
                        this.refuse(Malformed::new(400, "The request ends within its head"));
                    } else {
                        this.place = Place::End;
                    }
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending if this.place == Place::Head => ready!(this.poll_head_deadline(cx)),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> RequestStream<S> {
    /// Ends the wait for a client that takes nothing.
    fn within_patience<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.is_answer_due = false;
            self.reading.restart(Phase::Idle);
            self.writing.clear();
            return written;
        }
        ready!(self.writing.poll(cx, Phase::Write, self.patience.write));
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the client takes no more of the answer",
        )))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for RequestStream<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.io).poll_write(cx, bytes);
        this.within_patience(cx, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.io).poll_write_vectored(cx, parts);
        this.within_patience(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Idle,
    Head,
    Write,
}

/// When the patience with what goes on now is over.
#[derive(Debug, Default)]
struct Deadline {
    phase: Option<Phase>,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Deadline {
    /// Begins a phase, or goes on with it.
    fn poll(&mut self, cx: &mut Context<'_>, phase: Phase, limit: Duration) -> Poll<()> {
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        if self.phase != Some(phase) {
            self.phase = Some(phase);
            sleep.as_mut().reset(Instant::now() + limit);
        }
        sleep.as_mut().poll(cx)
    }

    fn clear(&mut self) {
        self.phase = None;
    }

    /// Begins `phase` anew if it goes on.
    fn restart(&mut self, phase: Phase) {
        if self.phase == Some(phase) {
            self.clear();
        }
    }
}
