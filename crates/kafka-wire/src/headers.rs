//! The headers of a record, left as the bytes they arrived in.

use crate::Error;
use crate::reader::Reader;
use crate::varint::{put_length, put_varlong};

/// A record's headers in their order, repeats included. Iterating yields key and value; a key is bytes because nothing on
/// the wire makes it UTF-8.
///
/// The bytes were walked once when the record was read, so iterating cannot fail.
#[derive(Clone, Copy, Debug, Default)]
pub struct Headers<'a> {
    bytes: &'a [u8],
    count: usize,
}

impl<'a> Headers<'a> {
    /// Reads the count and walks over as many headers.
    pub(crate) fn read(reader: &mut Reader<'a>) -> Result<Self, Error> {
        let count = reader.varint("header count")?;
        let count = usize::try_from(count).map_err(|_| Error::Invalid {
            what: "header count",
            value: i64::from(count),
        })?;
        let start = reader.rest();
        for _ in 0..count {
            read_header(reader)?;
        }
        let len = start.len() - reader.rest().len();
        Ok(Self {
            bytes: &start[..len],
            count,
        })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The value of the last header with this key, which is the one that counts for Kafka's `lastHeader`.
    pub fn last(&self, key: &[u8]) -> Option<Option<&'a [u8]>> {
        self.filter(|header| header.0 == key).last().map(|header| header.1)
    }
}

impl<'a> Iterator for Headers<'a> {
    type Item = (&'a [u8], Option<&'a [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        self.count = self.count.checked_sub(1)?;
        let mut reader = Reader::new(self.bytes);
        let header = read_header(&mut reader).ok()?;
        self.bytes = reader.rest();
        Some(header)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.count, Some(self.count))
    }
}

impl ExactSizeIterator for Headers<'_> {}

/// Writes one header.
pub(crate) fn put_header(out: &mut Vec<u8>, key: &[u8], value: Option<&[u8]>) {
    put_varlong(out, key.len() as i64);
    out.extend_from_slice(key);
    put_length(out, value);
    out.extend_from_slice(value.unwrap_or_default());
}

fn read_header<'a>(reader: &mut Reader<'a>) -> Result<(&'a [u8], Option<&'a [u8]>), Error> {
    let key = reader.nullable("header key")?.ok_or(Error::Invalid {
        what: "header key length",
        value: -1,
    })?;
    let value = reader.nullable("header value")?;
    Ok((key, value))
}
