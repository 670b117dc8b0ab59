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
pub(crate) struct Patience {
    /// Between an answer and the next request.
    pub(crate) idle: Duration,
    /// From a head's first byte to its last; also from the connection's beginning to the first head's.
    pub(crate) head: Duration,
    /// To take the next bytes of an answer.
    pub(crate) write: Duration,
    /// To shake hands, where the listener speaks TLS.
    pub(crate) handshake: Duration,
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
    /// Something has been written: it is a client, not someone who only takes a place.
    has_answered: bool,
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
            has_answered: false,
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
        let phase = if self.input.is_empty() {
            Phase::Idle
        } else {
            Phase::Head
        };
        let limit = match phase {
            Phase::Idle if self.has_answered => self.patience.idle,
            _ => self.patience.head,
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
            self.has_answered = true;
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

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    const PATIENCE: Patience = Patience {
        idle: Duration::from_secs(90),
        head: Duration::from_secs(20),
        write: Duration::from_secs(90),
        handshake: Duration::from_secs(15),
    };

    /// What the library gets of `sent`, in pieces of every size, and what was wrong.
    async fn passed_on(sent: &[u8], piece: usize) -> (String, Option<Malformed>) {
        let (mut client, server) = duplex(piece);
        let verdict = Verdict::default();
        let mut stream = RequestStream::new(server, PATIENCE, verdict.clone());
        let mut passed_on = Vec::new();
        let writing = async {
            // The other side may have had enough before the end.
            let _ = client.write_all(sent).await;
            drop(client);
        };
        let reading = async {
            let read = stream.read_to_end(&mut passed_on).await;
            drop(stream);
            read
        };
        let ((), read) = tokio::join!(writing, reading);
        read.expect("no error");
        (String::from_utf8_lossy(&passed_on).into_owned(), verdict.get().cloned())
    }

    async fn check(sent: &str, expected: &str) {
        for piece in (1..=sent.len().min(70)).chain([sent.len()]) {
            assert_eq!(
                passed_on(sent.as_bytes(), piece).await,
                (expected.to_owned(), None),
                "pieces of {piece}"
            );
        }
    }

    #[tokio::test]
    async fn every_request_line_of_a_connection_is_mended_and_nothing_else() {
        let head = "GET /a->b HTTP/1.1\r\nHost: x>y\r\n\r\n";
        let mended = "GET /a-%3Eb HTTP/1.1\r\nHost: x>y\r\n\r\n";
        let with_length = format!(
            "PUT /> HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n{head}",
            head.len()
        );
        let chunked = format!(
            "PUT /> HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n{:x};e=>\r\n{head}\r\n0\r\nT: >\r\n\r\n",
            head.len()
        );
        let mend = |text: &str| text.replacen("PUT />", "PUT /%3E", 1);
        check(head, mended).await;
        check(&format!("{head}\r\n{head}"), &format!("{mended}{mended}")).await;
        check(
            &format!("{with_length}{head}"),
            &format!("{}{mended}", mend(&with_length)),
        )
        .await;
        check(&format!("{chunked}{head}"), &format!("{}{mended}", mend(&chunked))).await;
    }

    #[tokio::test]
    async fn bytes_of_a_body_stay_as_they_are() {
        let body: Vec<u8> = (0..=255).cycle().take(100_000).collect();
        let head = b"PUT /> HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n";
        let sent = [head, &*body, b"GET /> HTTP/1.1\r\nHost: h\r\n\r\n"].concat();
        let mended = [b"PUT /%3E", &head[6..], &*body, b"GET /%3E HTTP/1.1\r\nHost: h\r\n\r\n"].concat();
        let (passed_on, verdict) = passed_on(&sent, 10_000).await;
        assert!(passed_on == String::from_utf8_lossy(&mended) && verdict.is_none());
    }

    #[tokio::test]
    async fn the_first_bad_head_is_the_end() {
        let good = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
        let malformed = String::from_utf8_lossy(MALFORMED_HEAD);
        let endless = format!("GET /{} HTTP/1.1", "x".repeat(MAX_HEAD));
        for (bad, status) in [("no request\r\n\r\n", 400), ("GET / HT", 400), (&*endless, 431)] {
            for piece in [1, 7, 100_000] {
                let (passed_on, verdict) = passed_on(format!("{good}{bad}").as_bytes(), piece).await;
                assert_eq!(passed_on, format!("{good}{malformed}"));
                assert_eq!(verdict.expect("a verdict").status, status, "{bad}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_head_is_refused_and_a_silent_client_left() {
        let (mut client, server) = duplex(100);
        let verdict = Verdict::default();
        let mut stream = RequestStream::new(server, PATIENCE, verdict.clone());
        let started = Instant::now();
        let mut passed_on = Vec::new();
        client.write_all(b"G").await.expect("room");
        let trickle = async {
            loop {
                tokio::time::sleep(Duration::from_secs(3)).await;
                client.write_all(b"E").await.expect("room");
            }
        };
        tokio::select! {
            read = stream.read_to_end(&mut passed_on) => drop(read.expect("no error")),
            () = trickle => {}
        }
        assert_eq!(
            (passed_on.as_slice(), started.elapsed()),
            (MALFORMED_HEAD, PATIENCE.head)
        );
        assert_eq!(verdict.get().expect("a verdict").status, 408);

        for (is_client, patience) in [(false, PATIENCE.head), (true, PATIENCE.idle)] {
            let (_silent, server) = duplex(100);
            let mut stream = RequestStream::new(server, PATIENCE, Verdict::default());
            if is_client {
                stream.write_all(b"an answer").await.expect("room");
            }
            let started = Instant::now();
            assert_eq!(stream.read_to_end(&mut Vec::new()).await.expect("the end"), 0);
            assert_eq!(started.elapsed(), patience);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_an_answer_is_not_idle_and_who_takes_none_is_left() {
        let (mut client, server) = duplex(100);
        let mut stream = RequestStream::new(server, PATIENCE, Verdict::default());
        client.write_all(b"GET / HTTP/1.0\r\n\r\n").await.expect("room");
        let mut buffer = [0; 18];
        stream.read_exact(&mut buffer).await.expect("a head");
        let waiting = tokio::time::timeout(10 * PATIENCE.idle, stream.read_u8()).await;
        assert!(waiting.is_err(), "it was not left");
        let started = Instant::now();
        let error = stream.write_all(&[0; 1000]).await.expect_err("nobody reads");
        assert_eq!(
            (error.kind(), started.elapsed()),
            (io::ErrorKind::TimedOut, PATIENCE.write)
        );
    }

    proptest::proptest! {
        /// Whatever arrives, it ends, and no more comes out than a mended head can be longer than it was.
        #[test]
        fn any_bytes_come_to_an_end(
            parts in proptest::collection::vec(proptest::sample::select(PARTS), 0..12),
            noise in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..40),
            piece in 1_usize..50,
        ) {
            let mut sent: Vec<u8> = parts.concat().into_bytes();
            let middle = sent.len() / 2;
            sent.splice(middle..middle, noise);
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
            let (passed_on, _) = runtime.expect("a runtime").block_on(passed_on(&sent, piece));
            proptest::prop_assert!(passed_on.len() <= 3 * sent.len() + MALFORMED_HEAD.len());
        }
    }

    const PARTS: &[&str] = &[
        "GET /a->b HTTP/1.1\r\n",
        "PUT /> HTTP/1.0\r\n",
        "Host: h\r\n",
        "Content-Length: 5\r\n",
        "Content-Length: 99\r\n",
        "Transfer-Encoding: chunked\r\n",
        "\r\n",
        "\n",
        "5\r\nhello\r\n",
        "0\r\n\r\n",
        "hello",
        " ",
        ":",
        "%",
        "\0",
    ];
}
