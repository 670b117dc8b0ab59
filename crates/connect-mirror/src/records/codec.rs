use bytes::{BufMut, Bytes, BytesMut};

/// Why a record cannot be read. Kafka throws a `SchemaException` for all but the first.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The record has no key or no value (Kafka: `NullPointerException`).
    #[error("the record's {0} is null")]
    Null(&'static str),
    /// The record ends too early.
    #[error("Error reading field '{0}': the record ends before it")]
    Underflow(&'static str),
    /// A text says that it has a negative length.
    #[error("Error reading field '{field}': String length {length} cannot be negative")]
    NegativeLength {
        /// The text.
        field: &'static str,
        /// Its length.
        length: i16,
    },
}

/// Why a record cannot be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Error writing field '{field}': String length {length} is larger than the maximum string length.")]
pub struct EncodeError {
    /// The text that is too long.
    pub field: &'static str,
    /// Its length in bytes.
    pub length: usize,
}

/// Reads fields one after the other, each under its name for errors.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(part: &'static str, bytes: Option<&'a [u8]>) -> Result<Self, DecodeError> {
        bytes.map(Self).ok_or(DecodeError::Null(part))
    }

    fn take(&mut self, field: &'static str, count: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(DecodeError::Underflow(field))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], DecodeError> {
        Ok(self
            .take(field, N)?
            .try_into()
            .expect("take gives as many bytes as asked for"))
    }

    pub(super) fn int16(&mut self, field: &'static str) -> Result<i16, DecodeError> {
        Ok(i16::from_be_bytes(self.array(field)?))
    }

    pub(super) fn int32(&mut self, field: &'static str) -> Result<i32, DecodeError> {
        Ok(i32::from_be_bytes(self.array(field)?))
    }

    pub(super) fn int64(&mut self, field: &'static str) -> Result<i64, DecodeError> {
        Ok(i64::from_be_bytes(self.array(field)?))
    }

    /// Bytes that are not UTF-8 become U+FFFD, as in Java.
    pub(super) fn string(&mut self, field: &'static str) -> Result<String, DecodeError> {
        let length = self.int16(field)?;
        let count = usize::try_from(length).map_err(|_| DecodeError::NegativeLength { field, length })?;
        Ok(String::from_utf8_lossy(self.take(field, count)?).into_owned())
    }
}

/// Writes fields one after the other.
#[derive(Default)]
pub(super) struct Writer(BytesMut);

impl Writer {
    pub(super) fn int16(mut self, n: i16) -> Self {
        self.0.put_i16(n);
        self
    }

    pub(super) fn int32(mut self, n: i32) -> Self {
        self.0.put_i32(n);
        self
    }

    pub(super) fn int64(mut self, n: i64) -> Self {
        self.0.put_i64(n);
        self
    }

    pub(super) fn string(mut self, field: &'static str, text: &str) -> Result<Self, EncodeError> {
        let length = i16::try_from(text.len()).map_err(|_| EncodeError {
            field,
            length: text.len(),
        })?;
        self.0.put_i16(length);
        self.0.put_slice(text.as_bytes());
        Ok(self)
    }

    pub(super) fn into_bytes(self) -> Bytes {
        self.0.freeze()
    }
}
