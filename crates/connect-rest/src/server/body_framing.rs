/// Longest line of a chunk's size or of a trailer.
const MAX_LINE: usize = 8 * 1024;
/// Most bytes of trailers behind the last chunk.
const MAX_TRAILERS: usize = 16 * 1024;

/// Where a request's body ends (RFC 9112 §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyFraming {
    /// So many bytes are left.
    Length(u64),
    /// In chunks.
    Chunked(Chunks),
    /// It was not understood: everything from here on is the HTTP library's to judge.
    Opaque,
}

/// Where in a chunked body we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chunks {
    /// In a line with a chunk's size; extensions are passed over.
    Size {
        size: Option<u64>,
        in_extension: bool,
        length: usize,
    },
    /// In a chunk, so many bytes before its end.
    Data(u64),
    /// Behind a chunk's data, before its line end.
    DataEnd,
    /// In the lines behind the last chunk.
    Trailers { line: usize, total: usize },
}

impl Chunks {
    const START: Self = Self::Size {
        size: None,
        in_extension: false,
        length: 0,
    };
}

impl BodyFraming {
    /// A chunked body from its beginning.
    pub(super) const CHUNKED: Self = Self::Chunked(Chunks::START);

    /// How many of `bytes` still belong to the body, and whether it ends there.
    pub(super) fn advance(&mut self, bytes: &[u8]) -> (usize, bool) {
        match self {
            Self::Opaque => (bytes.len(), false),
            Self::Length(left) => {
                let taken = usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
                *left -= taken as u64;
                (taken, *left == 0)
            }
            Self::Chunked(_) => self.advance_chunks(bytes),
        }
    }

    fn advance_chunks(&mut self, bytes: &[u8]) -> (usize, bool) {
        let mut taken = 0;
        while taken < bytes.len() {
            let Self::Chunked(chunks) = self else {
                return (bytes.len(), false);
            };
            if let Chunks::Data(left) = chunks {
                let part = usize::try_from(*left).map_or(bytes.len() - taken, |left| left.min(bytes.len() - taken));
                *left -= part as u64;
                taken += part;
                if *left == 0 {
                    *chunks = Chunks::DataEnd;
                }
                continue;
            }
            let byte = bytes[taken];
            taken += 1;
            match chunks.line_byte(byte) {
                Some(Step::Next(next)) => *chunks = next,
                Some(Step::End) => return (taken, true),
                None => *self = Self::Opaque,
            }
        }
        (taken, false)
    }
}

enum Step {
    Next(Chunks),
    End,
}

impl Chunks {
    /// Takes one byte outside of a chunk's data; `None` if it cannot stand there.
    fn line_byte(self, byte: u8) -> Option<Step> {
        let next = match (self, byte) {
            (Self::Size { size: Some(0), .. }, b'\n') => Self::Trailers { line: 0, total: 0 },
            (Self::Size { size: Some(size), .. }, b'\n') => Self::Data(size),
            (Self::Size { length: MAX_LINE.., .. }, _) | (Self::Size { size: None, .. }, b'\n') => return None,
            (
                Self::Size {
                    size,
                    in_extension,
                    length,
                },
                byte,
            ) => {
                let digit = char::from(byte).to_digit(16).filter(|_| !in_extension);
                let in_extension = digit.is_none();
                let size = match digit {
                    Some(digit) => Some(size.unwrap_or(0).checked_mul(16)? + u64::from(digit)),
                    // The size must stand first.
                    None => Some(size?),
                };
                Self::Size {
                    size,
                    in_extension,
                    length: length + 1,
                }
            }
            (Self::DataEnd, b'\r') => Self::DataEnd,
            (Self::DataEnd, b'\n') => Self::START,
            (Self::DataEnd, _) => return None,
            (Self::Trailers { line: 0, .. }, b'\n') => return Some(Step::End),
            (
                Self::Trailers {
                    total: MAX_TRAILERS.., ..
                },
                _,
            ) => return None,
            (Self::Trailers { total, .. }, b'\n') => Self::Trailers {
                line: 0,
                total: total + 1,
            },
            (Self::Trailers { line: 0, total }, b'\r') => Self::Trailers {
                line: 0,
                total: total + 1,
            },
            (Self::Trailers { line, total }, _) => Self::Trailers {
                line: line + 1,
                total: total + 1,
            },
            (Self::Data(_), _) => unreachable!("data is counted, not looked at"),
        };
        Some(Step::Next(next))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds `bytes` in pieces of every size and checks where the body ends.
    fn check(framing: BodyFraming, bytes: &[u8], expected: Option<usize>) {
        for piece in 1..=bytes.len() {
            let mut framing = framing;
            let mut taken = 0;
            let mut end = None;
            while taken < bytes.len() {
                let until = bytes.len().min(taken + piece);
                let (n, done) = framing.advance(&bytes[taken..until]);
                taken += n;
                if done {
                    end = Some(taken);
                    break;
                }
            }
            assert_eq!(
                end,
                expected,
                "in pieces of {piece}: {}",
                String::from_utf8_lossy(bytes)
            );
        }
    }

    #[test]
    fn a_length_is_counted() {
        check(BodyFraming::Length(3), b"abcGET >", Some(3));
        check(BodyFraming::Length(9), b"abc", None);
    }

    #[test]
    fn chunks_end_with_the_last_and_its_trailers() {
        for (bytes, end) in [
            (&b"0\r\n\r\nGET"[..], Some(5)),
            (b"3\r\nabc\r\n0\r\n\r\nGET", Some(13)),
            (b"3;a=\"b\"\r\n\r\n\r\r\n0\r\nX: y\r\n\r\nGET", Some(25)),
            (b"00a\r\n0123456789\r\n0\r\n\r\n", Some(22)),
            (b"A\n0123456789\n0\n\nGET", Some(16)),
            (b"3\r\nabc\r\n", None),
        ] {
            check(BodyFraming::CHUNKED, bytes, end);
        }
    }

    #[test]
    fn what_is_no_chunk_never_ends() {
        for bytes in [
            &b"\r\n\r\n"[..],
            b"x\r\n",
            b"3\r\nabcd\r\n0\r\n\r\n",
            b"11111111111111111\r\n0\r\n\r\n",
            b"-1\r\n0\r\n\r\n",
        ] {
            check(BodyFraming::CHUNKED, bytes, None);
        }
        let endless = [b"1;".as_slice(), &vec![b'x'; 2 * MAX_LINE]].concat();
        let mut framing = BodyFraming::CHUNKED;
        assert_eq!(framing.advance(&endless), (endless.len(), false));
        assert_eq!(framing, BodyFraming::Opaque);
    }
}
