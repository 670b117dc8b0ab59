//! Whether bytes can be the message that they claim to be, before anyone makes values of them.
//!
//! The protocol crate's decoders reserve memory for an array by the count that the peer claims. [`check`] walks over a
//! message first, along a table made from Kafka's own definitions, and allocates nothing: a count, a length or a tagged
//! field that the bytes cannot hold is refused, and so are bytes that would take far more memory as values.

#[rustfmt::skip]
mod tables;
#[cfg(test)]
mod tests;

use crate::Error;
use crate::reader::Reader;

/// Values may take this many times the bytes of their frame. The worst that honest peers send, lists of short names, takes half.
const MAX_GROWTH: usize = 16;
/// What the values of a small frame may take all the same.
const MIN_MEMORY_BYTES: usize = 1 << 20;
/// What the values of a large frame may take beside its strings and records, which stay slices of it: two million partitions.
const MAX_MEMORY_BYTES: usize = 256 << 20;
/// What an allocation takes beside its bytes.
const ALLOCATION_BYTES: usize = 16;
/// What the map of unknown tagged fields takes for its first entry, a whole node, and for any further one.
const FIRST_TAG_BYTES: usize = 448;
const NEXT_TAG_BYTES: usize = 80;

/// The last version of a field that is still there.
const LAST: i16 = i16::MAX;

/// Which message bytes claim to be. APIs go by Kafka's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Shape {
    /// The body of a request.
    Request(i16),
    /// The body of a response.
    Response(i16),
    /// What stands before the body of a request. Its version is the header's own.
    RequestHeader,
    /// What a consumer tells its group, after the version.
    ConsumerProtocolSubscription,
    /// What a consumer is told by its group, after the version.
    ConsumerProtocolAssignment,
}

/// Walks over a message in a version. Gives the number of bytes that it takes; there may be more, as a header has a body behind it.
pub fn check(shape: Shape, version: i16, bytes: &[u8]) -> Result<usize, Error> {
    let message = shape.message()?;
    let mut walk = Walk {
        reader: Reader::new(bytes),
        version,
        flexible: version >= message.flexible,
        memory_left: bytes
            .len()
            .saturating_mul(MAX_GROWTH)
            .clamp(MIN_MEMORY_BYTES, MAX_MEMORY_BYTES),
    };
    walk.fields(&message.fields, message.name)?;
    Ok(bytes.len() - walk.reader.rest().len())
}

impl Shape {
    fn message(self) -> Result<&'static Message, Error> {
        let unknown = |key| Error::Invalid {
            what: "the key of an API",
            value: i64::from(key),
        };
        match self {
            Self::Request(key) => tables::request(key).ok_or(unknown(key)),
            Self::Response(key) => tables::response(key).ok_or(unknown(key)),
            Self::RequestHeader => Ok(&tables::REQUEST_HEADER),
            Self::ConsumerProtocolSubscription => Ok(&tables::CONSUMER_PROTOCOL_SUBSCRIPTION),
            Self::ConsumerProtocolAssignment => Ok(&tables::CONSUMER_PROTOCOL_ASSIGNMENT),
        }
    }
}

struct Message {
    name: &'static str,
    /// The first version with short lengths and tagged fields.
    flexible: i16,
    fields: Fields,
}

/// The fields of a message or of a struct in it, and the memory that its value takes.
struct Fields {
    memory_bytes: usize,
    fields: &'static [Field],
}

struct Field {
    name: &'static str,
    since: i16,
    until: i16,
    /// From which version on it may be null.
    null_since: i16,
    /// Tagged fields stand at the end, by their tag, or not at all.
    tag: Option<u32>,
    kind: Kind,
}

enum Kind {
    /// So many bytes.
    Fixed(usize),
    String,
    /// A string that keeps its two-byte length in flexible versions.
    PlainString,
    Bytes,
    Array(&'static Kind),
    Struct(&'static Fields),
}

const fn fields(memory_bytes: usize, fields: &'static [Field]) -> Fields {
    Fields { memory_bytes, fields }
}

const fn field(name: &'static str, since: i16, until: i16, kind: Kind) -> Field {
    Field {
        name,
        since,
        until,
        null_since: LAST,
        tag: None,
        kind,
    }
}

impl Field {
    const fn null(mut self, since: i16) -> Self {
        self.null_since = since;
        self
    }

    const fn tag(mut self, tag: u32) -> Self {
        self.tag = Some(tag);
        self
    }

    fn is_in(&self, version: i16) -> bool {
        (self.since..=self.until).contains(&version)
    }
}

impl Kind {
    /// What its value takes in an array.
    fn memory_bytes(&self) -> usize {
        match self {
            Self::Fixed(size) => *size,
            Self::String | Self::PlainString | Self::Bytes => 32,
            Self::Array(_) => 24,
            Self::Struct(fields) => fields.memory_bytes,
        }
    }
}

struct Walk<'a> {
    reader: Reader<'a>,
    version: i16,
    flexible: bool,
    memory_left: usize,
}

impl Walk<'_> {
    fn fields(&mut self, shape: &'static Fields, name: &'static str) -> Result<(), Error> {
        for field in shape.fields {
            if field.tag.is_none() && field.is_in(self.version) {
                self.field(field)?;
            }
        }
        match self.flexible {
            true => self.tagged_fields(shape, name),
            false => Ok(()),
        }
    }

    fn tagged_fields(&mut self, shape: &'static Fields, name: &'static str) -> Result<(), Error> {
        let mut unknown = 0;
        for _ in 0..self.reader.unsigned_varint(name)? {
            let tag = self.reader.unsigned_varint(name)?;
            let size = self.reader.unsigned_varint(name)? as usize;
            let known = |field: &&Field| field.tag == Some(tag) && field.is_in(self.version);
            match shape.fields.iter().find(known) {
                Some(field) => {
                    let before = self.reader.rest().len();
                    self.field(field)?;
                    let taken = before - self.reader.rest().len();
                    if taken != size {
                        // The decoder reads on where the value ends, the writer went on where the size says.
                        return Err(invalid(field.name, size as i64));
                    }
                }
                None => {
                    self.reader.take(size, name)?;
                    self.spend(if unknown == 0 { FIRST_TAG_BYTES } else { NEXT_TAG_BYTES }, name)?;
                    unknown += 1;
                }
            }
        }
        Ok(())
    }

    fn field(&mut self, field: &'static Field) -> Result<(), Error> {
        let nullable = self.version >= field.null_since;
        if let (Kind::Struct(_), true) = (&field.kind, nullable) {
            let present = self.reader.u8(field.name)? == 1; // as the decoder has it
            if !present {
                return Ok(());
            }
        }
        self.value(&field.kind, nullable, field.name)
    }

    fn value(&mut self, kind: &'static Kind, nullable: bool, name: &'static str) -> Result<(), Error> {
        match kind {
            Kind::Fixed(size) => self.reader.take(*size, name).map(drop),
            Kind::String | Kind::PlainString | Kind::Bytes => {
                let length = self.length(kind, nullable, name)?;
                self.reader.take(length.unwrap_or(0), name).map(drop)
            }
            Kind::Array(element) => match self.length(kind, nullable, name)? {
                Some(count) => self.array(element, count, name),
                None => Ok(()),
            },
            Kind::Struct(fields) => self.fields(fields, name),
        }
    }

    fn array(&mut self, element: &'static Kind, count: usize, name: &'static str) -> Result<(), Error> {
        // An element takes a byte or more, so that this bounds the loop as well.
        if count > self.reader.rest().len() {
            return Err(Error::Truncated { what: name });
        }
        self.spend(count * element.memory_bytes() + ALLOCATION_BYTES, name)?;
        if let Kind::Fixed(size) = element {
            return self.reader.take(count * size, name).map(drop);
        }
        for _ in 0..count {
            self.value(element, false, name)?;
        }
        Ok(())
    }

    /// The length of a string, of bytes or of an array; `None` for null.
    fn length(&mut self, kind: &Kind, nullable: bool, name: &'static str) -> Result<Option<usize>, Error> {
        let length = match kind {
            Kind::PlainString => i64::from(self.reader.i16(name)?),
            _ if self.flexible => i64::from(self.reader.unsigned_varint(name)?) - 1,
            Kind::String => i64::from(self.reader.i16(name)?),
            _ => i64::from(self.reader.i32(name)?),
        };
        match usize::try_from(length) {
            Ok(length) => Ok(Some(length)),
            Err(_) if length == -1 && nullable => Ok(None),
            Err(_) => Err(invalid(name, length)),
        }
    }

    fn spend(&mut self, bytes: usize, what: &'static str) -> Result<(), Error> {
        self.memory_left = self
            .memory_left
            .checked_sub(bytes)
            .ok_or(Error::TooManyValues { what })?;
        Ok(())
    }
}

fn invalid(what: &'static str, value: i64) -> Error {
    Error::Invalid { what, value }
}
