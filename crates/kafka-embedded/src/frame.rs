//! Requests and responses on a byte stream: a length, then that many bytes.

use std::io;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

/// Kafka's `socket.request.max.bytes`.
const MAX_REQUEST_BYTES: usize = 100 << 20;
const READ_BYTES: usize = 64 << 10;
/// Room is made as bytes arrive, never for what a length promises.
const MAX_RESERVE_BYTES: usize = 1 << 20;

/// Reads frames off a stream; keeps what came beyond the last one.
#[derive(Debug, Default)]
pub(crate) struct FrameReader {
    buffer: BytesMut,
}

impl FrameReader {
    /// The next frame without its length, or `None` when the peer closed the stream between frames.
    pub(crate) async fn next<S: AsyncRead + Unpin>(&mut self, stream: &mut S) -> io::Result<Option<Bytes>> {
        loop {
            let missing = match self.missing()? {
                0 => {
                    let length = self.buffer.get_i32() as usize;
                    return Ok(Some(self.buffer.split_to(length).freeze()));
                }
                missing => missing,
            };
            self.buffer.reserve(missing.clamp(READ_BYTES, MAX_RESERVE_BYTES));
            if stream.read_buf(&mut self.buffer).await? == 0 {
                return match self.buffer.is_empty() {
                    true => Ok(None),
                    false => Err(io::ErrorKind::UnexpectedEof.into()),
                };
            }
        }
    }

    /// How many bytes the buffer lacks for a whole frame.
    fn missing(&self) -> io::Result<usize> {
        let Some(length) = self.buffer.first_chunk::<4>() else {
            return Ok(4 - self.buffer.len());
        };
        let length = usize::try_from(i32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        if length > MAX_REQUEST_BYTES {
            let problem = format!("a request of {length} bytes is over the limit of {MAX_REQUEST_BYTES}");
            return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
        }
        Ok((4 + length).saturating_sub(self.buffer.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn frames_arrive_however_the_bytes_are_cut() {
        let bytes = [0, 0, 0, 2, 1, 2, 0, 0, 0, 0, 0, 0, 0, 1, 9];
        for cut in 0..bytes.len() {
            let mut stream = cut_stream(&bytes[..cut], &bytes[cut..]);
            let mut reader = FrameReader::default();
            let mut frames = Vec::new();
            while let Some(frame) = reader.next(&mut stream).await.expect("a frame") {
                frames.push(frame.to_vec());
            }
            assert_eq!(frames, [vec![1, 2], vec![], vec![9]], "cut at {cut}");
        }
    }

    #[tokio::test]
    async fn a_length_over_the_limit_or_below_zero_is_refused() {
        for length in [i32::MAX, -1, (MAX_REQUEST_BYTES + 1) as i32] {
            let bytes = length.to_be_bytes();
            let refused = FrameReader::default().next(&mut &bytes[..]).await;
            assert_eq!(refused.expect_err("refused").kind(), io::ErrorKind::InvalidData);
        }
    }

    #[tokio::test]
    async fn a_frame_that_breaks_off_is_an_error() {
        let broken = FrameReader::default().next(&mut &[0u8, 0, 0, 5, 1][..]).await;
        assert_eq!(broken.expect_err("broken").kind(), io::ErrorKind::UnexpectedEof);
    }

    fn cut_stream<'a>(first: &'a [u8], then: &'a [u8]) -> impl AsyncRead + Unpin + 'a {
        AsyncReadExt::chain(first, then)
    }
}
