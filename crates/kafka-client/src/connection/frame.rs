//! Bytes into response frames: a length, then that many bytes, each frame one [`Bytes`].

use std::io;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

use super::frame_pool::FramePool;

/// Small responses share a buffer of this size; only this much of a large one is ever copied.
const SMALL_BYTES: usize = 16 * 1024;
/// Frames larger than this are read into memory of their own; those between share the heap.
const LARGE_BYTES: usize = 128 * 1024;
/// A response holds at least its correlation id.
const MIN_FRAME_BYTES: i32 = 4;

/// Why no further frame can be read.
#[derive(Debug)]
pub(crate) enum FrameError {
    /// The stream failed or ended.
    Io(io::Error),
    /// The announced length is negative, too short or above the limit.
    Length(i32),
    /// The bytes are another protocol's.
    Foreign(&'static str),
}

impl From<io::Error> for FrameError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Reads frames from a byte stream. Not cancel-safe: a frame dropped half-way is lost, as is the stream.
pub(crate) struct FrameReader<R> {
    io: R,
    buffer: BytesMut,
    pool: FramePool,
    max_frame_bytes: usize,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    pub(crate) fn new(io: R, max_frame_bytes: usize) -> Self {
        Self {
            io,
            buffer: BytesMut::with_capacity(SMALL_BYTES),
            pool: FramePool::default(),
            max_frame_bytes,
        }
    }

    /// The next frame, without its length.
    pub(crate) async fn next(&mut self) -> Result<Bytes, FrameError> {
        while self.buffer.len() < 4 {
            self.fill().await?;
        }
        let size = self.check_length()?;
        self.buffer.advance(4);
        if size > LARGE_BYTES {
            return self.large(size).await;
        }
        if size <= SMALL_BYTES {
            self.pool.clear(); // the backlog is over
        }
        while self.buffer.len() < size {
            self.fill().await?;
        }
        Ok(self.buffer.split_to(size).freeze())
    }

    fn check_length(&self) -> Result<usize, FrameError> {
        let prefix: [u8; 4] = self.buffer[..4].try_into().expect("four bytes were read");
        if let Some(hint) = foreign(prefix) {
            return Err(FrameError::Foreign(hint));
        }
        let size = i32::from_be_bytes(prefix);
        match usize::try_from(size) {
            Ok(bytes) if size >= MIN_FRAME_BYTES && bytes <= self.max_frame_bytes => Ok(bytes),
            _ => Err(FrameError::Length(size)),
        }
    }

    /// Reads whatever is there into the shared buffer, possibly several frames at once.
    async fn fill(&mut self) -> io::Result<()> {
        if self.buffer.capacity() - self.buffer.len() < SMALL_BYTES / 4 {
            self.buffer.reserve(SMALL_BYTES);
        }
        let room = self.buffer.capacity() - self.buffer.len();
        match self.io.read_buf(&mut (&mut self.buffer).limit(room)).await? {
            0 => Err(end_of_stream()),
            _ => Ok(()),
        }
    }

    /// Reads the rest of a large frame straight into memory of its own, and not a byte beyond.
    async fn large(&mut self, size: usize) -> Result<Bytes, FrameError> {
        let mut frame = self.pool.take()?;
        while frame.len() < size {
            let mut space = frame.space(size - frame.len())?;
            let count = match self.buffer.is_empty() {
                true => self.io.read_buf(&mut space).await?,
                false => {
                    let count = space.len().min(self.buffer.len());
                    space[..count].copy_from_slice(&self.buffer.split_to(count));
                    count
                }
            };
            if count == 0 {
                return Err(end_of_stream().into());
            }
            frame.advance(count);
        }
        Ok(Bytes::from_owner(frame))
    }
}

fn end_of_stream() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the peer closed the connection")
}

/// Says whose bytes these are when they are plainly not a frame length. As a length each would be above a gigabyte or 350 MB.
fn foreign(prefix: [u8; 4]) -> Option<&'static str> {
    match prefix {
        [b'H', b'T', b'T', b'P'] => Some("it speaks HTTP; use the port of the broker's Kafka listener"),
        [0x15, 0x03, 0..=4, _] => Some("it expects TLS; use a PLAINTEXT listener, or set security.protocol"),
        [b'S', b'S', b'H', b'-'] => Some("it speaks SSH; check the port"),
        [b'2', b'2', b'0', b' ' | b'-'] => Some("it speaks SMTP or FTP; check the port"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use proptest::prelude::*;
    use tokio::io::ReadBuf;

    use super::*;

    fn framed(body: &[u8]) -> Vec<u8> {
        let mut bytes = (body.len() as i32).to_be_bytes().to_vec();
        bytes.extend_from_slice(body);
        bytes
    }

    /// A stream whose every read yields at most `piece` bytes.
    struct Pieces {
        wire: Bytes,
        piece: usize,
    }

    impl AsyncRead for Pieces {
        fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            let size = self.piece.min(buf.remaining()).min(self.wire.len());
            buf.put_slice(&self.wire.split_to(size));
            Poll::Ready(Ok(()))
        }
    }

    /// Delivers `wire` in pieces of `piece` bytes and collects the frames until the stream ends or breaks.
    async fn read_all(wire: Vec<u8>, piece: usize, max: usize) -> (Vec<Bytes>, FrameError) {
        let mut reader = FrameReader::new(
            Pieces {
                wire: wire.into(),
                piece,
            },
            max,
        );
        let mut frames = Vec::new();
        loop {
            match reader.next().await {
                Ok(frame) => frames.push(frame),
                Err(error) => return (frames, error),
            }
        }
    }

    #[tokio::test]
    async fn frames_arrive_whole_however_they_are_cut() {
        let bodies: Vec<Vec<u8>> = [
            4,
            5,
            100,
            SMALL_BYTES,
            SMALL_BYTES + 1,
            40_000,
            LARGE_BYTES,
            LARGE_BYTES + 1,
            9 * 1024 * 1024 + 7,
            4,
        ]
        .iter()
        .map(|n| (0..*n).map(|i| i as u8).collect())
        .collect();
        let wire: Vec<u8> = bodies.iter().flat_map(|b| framed(b)).collect();
        for piece in [977, 16_384, 65_536, usize::MAX] {
            let (frames, end) = read_all(wire.clone(), piece.min(wire.len()), 1 << 30).await;
            assert_eq!(frames.len(), bodies.len(), "pieces of {piece}");
            assert!(frames.iter().zip(&bodies).all(|(f, b)| f == b), "pieces of {piece}");
            assert!(matches!(end, FrameError::Io(_)));
        }
    }

    #[tokio::test]
    async fn hostile_lengths_are_refused_without_allocating() {
        for (prefix, max) in [
            (i32::MAX, 100),
            (-1, 100),
            (0, 100),
            (3, 100),
            (101, 100),
            (i32::MIN, 100),
        ] {
            let (frames, error) = read_all(prefix.to_be_bytes().to_vec(), 4, max).await;
            assert!(frames.is_empty());
            assert!(
                matches!(error, FrameError::Length(size) if size == prefix),
                "{prefix}: {error:?}"
            );
        }
    }

    #[tokio::test]
    async fn a_credible_length_without_bytes_ends_with_the_stream() {
        let (mut client, server) = tokio::io::duplex(64);
        let mut reader = FrameReader::new(server, 1 << 30);
        tokio::io::AsyncWriteExt::write_all(&mut client, &(1i32 << 29).to_be_bytes())
            .await
            .expect("fits");
        drop(client);
        assert!(matches!(reader.next().await, Err(FrameError::Io(_))));
    }

    #[tokio::test]
    async fn other_protocols_are_recognised() {
        for (bytes, word) in [
            (&b"HTTP/1.1 400 Bad Request\r\n"[..], "HTTP"),
            (&[0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x50][..], "TLS"),
            (&b"SSH-2.0-OpenSSH_9.2\r\n"[..], "SSH"),
        ] {
            let (_, error) = read_all(bytes.to_vec(), 3, 1 << 30).await;
            assert!(
                matches!(error, FrameError::Foreign(hint) if hint.contains(word)),
                "{error:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic_or_loop(wire in proptest::collection::vec(any::<u8>(), 0..4096), piece in 1usize..64) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
            let (frames, _) = runtime.block_on(read_all(wire.clone(), piece, 1024));
            prop_assert!(frames.iter().map(|f| f.len() + 4).sum::<usize>() <= wire.len());
        }
    }
}
