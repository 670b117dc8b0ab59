//! Kafka's older types, read from bytes that anybody may have written.

use std::sync::Arc;

use bytes::{Buf, Bytes};

/// Why bytes of another worker cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {reason}")]
pub struct Malformed {
    pub(crate) what: &'static str,
    pub(crate) reason: &'static str,
}

/// Reads front to back; every read checks what is left first.
pub(super) struct Reader {
    bytes: Bytes,
    /// What is being read, for messages.
    what: &'static str,
}

impl Reader {
    pub(super) fn new(bytes: Bytes, what: &'static str) -> Self {
        Self { bytes, what }
    }

    /// Whether the sender's version ended here, so that the remaining fields have their defaults.
    pub(super) fn is_at_end(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(super) fn i16(&mut self) -> Result<i16, Malformed> {
        self.bytes.try_get_i16().map_err(|_| self.wrong("it ends too early"))
    }

    pub(super) fn i32(&mut self) -> Result<i32, Malformed> {
        self.bytes.try_get_i32().map_err(|_| self.wrong("it ends too early"))
    }

    pub(super) fn i64(&mut self) -> Result<i64, Malformed> {
        self.bytes.try_get_i64().map_err(|_| self.wrong("it ends too early"))
    }

    pub(super) fn string(&mut self) -> Result<Arc<str>, Malformed> {
        let length = self.i16()?;
        let length = usize::try_from(length).map_err(|_| self.wrong("a string is null"))?;
        let bytes = self.take(length)?;
        let text = std::str::from_utf8(&bytes).map_err(|_| self.wrong("a string is not UTF-8"))?;
        Ok(text.into())
    }

    pub(super) fn nullable_bytes(&mut self) -> Result<Option<Bytes>, Malformed> {
        match usize::try_from(self.i32()?) {
            Ok(length) => self.take(length).map(Some),
            Err(_null) => Ok(None),
        }
    }

    /// The number of an array's items; `None` is a null array. It says nothing of how many there are: read one by one.
    pub(super) fn count(&mut self) -> Result<Option<u32>, Malformed> {
        self.i32().map(|count| u32::try_from(count).ok())
    }

    pub(super) fn wrong(&self, reason: &'static str) -> Malformed {
        Malformed {
            what: self.what,
            reason,
        }
    }

    fn take(&mut self, length: usize) -> Result<Bytes, Malformed> {
        match length <= self.bytes.len() {
            true => Ok(self.bytes.split_to(length)),
            false => Err(self.wrong("it ends too early")),
        }
    }
}
