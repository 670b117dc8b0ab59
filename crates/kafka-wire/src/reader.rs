//! A cursor over untrusted bytes: every step says what it wanted when the bytes do not have it.

use crate::Error;

/// What is left to read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    #[inline]
    pub(crate) fn take(&mut self, len: usize, what: &'static str) -> Result<&'a [u8], Error> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(Error::Truncated { what })?;
        self.rest = rest;
        Ok(taken)
    }

    #[inline]
    fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], Error> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(Error::Truncated { what })?;
        self.rest = rest;
        Ok(*taken)
    }

    #[inline]
    pub(crate) fn u8(&mut self, what: &'static str) -> Result<u8, Error> {
        self.array::<1>(what).map(|[byte]| byte)
    }

    pub(crate) fn i16(&mut self, what: &'static str) -> Result<i16, Error> {
        self.array(what).map(i16::from_be_bytes)
    }

    pub(crate) fn i32(&mut self, what: &'static str) -> Result<i32, Error> {
        self.array(what).map(i32::from_be_bytes)
    }

    pub(crate) fn u32(&mut self, what: &'static str) -> Result<u32, Error> {
        self.array(what).map(u32::from_be_bytes)
    }

    pub(crate) fn u32_le(&mut self, what: &'static str) -> Result<u32, Error> {
        self.array(what).map(u32::from_le_bytes)
    }

    pub(crate) fn i64(&mut self, what: &'static str) -> Result<i64, Error> {
        self.array(what).map(i64::from_be_bytes)
    }

    /// An unsigned varint of at most five bytes.
    #[inline]
    pub(crate) fn unsigned_varint(&mut self, what: &'static str) -> Result<u32, Error> {
        self.unsigned::<5>(what).map(|raw| raw as u32) // As in Java, bits beyond the 32nd fall away.
    }

    /// A zigzag varint of at most five bytes.
    #[inline]
    pub(crate) fn varint(&mut self, what: &'static str) -> Result<i32, Error> {
        let raw = self.unsigned::<5>(what)? as u32; // As in Java, bits beyond the 32nd fall away.
        Ok((raw >> 1) as i32 ^ -((raw & 1) as i32))
    }

    /// A zigzag varlong of at most ten bytes.
    #[inline]
    pub(crate) fn varlong(&mut self, what: &'static str) -> Result<i64, Error> {
        let raw = self.unsigned::<10>(what)?;
        Ok((raw >> 1) as i64 ^ -((raw & 1) as i64))
    }

    #[inline]
    fn unsigned<const MAX_BYTES: usize>(&mut self, what: &'static str) -> Result<u64, Error> {
        // Most numbers in a record are one byte or two; the rest is kept out of the callers' code.
        match *self.rest {
            [first @ 0..0x80, ref rest @ ..] => {
                self.rest = rest;
                Ok(u64::from(first))
            }
            [first, second @ 0..0x80, ref rest @ ..] => {
                self.rest = rest;
                Ok(u64::from(first & 0x7f) | u64::from(second) << 7)
            }
            _ => self.long_unsigned::<MAX_BYTES>(what),
        }
    }

    #[inline(never)]
    fn long_unsigned<const MAX_BYTES: usize>(&mut self, what: &'static str) -> Result<u64, Error> {
        let mut value = 0;
        for (index, byte) in self.rest.iter().take(MAX_BYTES).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * index);
            if *byte < 0x80 {
                self.rest = &self.rest[index + 1..];
                return Ok(value);
            }
        }
        match self.rest.len() < MAX_BYTES {
            true => Err(Error::Truncated { what }),
            false => Err(Error::Invalid {
                what,
                value: value as i64,
            }),
        }
    }

    /// Bytes behind a varint length; a negative length is Kafka's null.
    #[inline]
    pub(crate) fn nullable(&mut self, what: &'static str) -> Result<Option<&'a [u8]>, Error> {
        match usize::try_from(self.varint(what)?) {
            Ok(len) => self.take(len, what).map(Some),
            Err(_) => Ok(None),
        }
    }

    /// Bytes behind a four-byte length, as in the old message formats; a negative length is Kafka's null.
    pub(crate) fn nullable_i32(&mut self, what: &'static str) -> Result<Option<&'a [u8]>, Error> {
        match usize::try_from(self.i32(what)?) {
            Ok(len) => self.take(len, what).map(Some),
            Err(_) => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_varint_longer_than_it_may_be_is_refused() {
        assert!(matches!(
            Reader::new(&[0xff; 5]).varint("x"),
            Err(Error::Invalid { .. })
        ));
        assert!(matches!(
            Reader::new(&[0xff; 10]).varlong("x"),
            Err(Error::Invalid { .. })
        ));
        assert!(matches!(
            Reader::new(&[0xff; 9]).varlong("x"),
            Err(Error::Truncated { .. })
        ));
        assert!(matches!(Reader::new(&[]).varint("x"), Err(Error::Truncated { .. })));
    }

    #[test]
    fn a_length_beyond_the_end_is_refused() {
        assert!(matches!(
            Reader::new(&[4, b'a']).nullable("x"),
            Err(Error::Truncated { what: "x" })
        ));
        assert_eq!(Reader::new(&[1]).nullable("x").expect("null"), None);
        assert_eq!(Reader::new(&[0]).nullable("x").expect("empty"), Some(&b""[..]));
    }
}
