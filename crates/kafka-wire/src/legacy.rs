//! The two message formats before 0.11. Brokers of 4.x still hand them out from old segments.
//!
//! A message is offset, length, crc, magic, attributes, timestamp (magic 1), key and value. A compressed one is a wrapper:
//! its value inflates to plain messages, and its own offset is that of the last of them.

use bytes::Bytes;

use crate::compression::Compression;
use crate::headers::Headers;
use crate::reader::Reader;
use crate::record::{Record, Records};
use crate::record_batch::at;
use crate::{Error, TimestampType};

/// The checksum covers everything from here on.
const CRC_START: usize = 16;
const ATTRIBUTES_AT: usize = 17;
const CODEC_BITS: u8 = 0x07;
const LOG_APPEND_TIME_BIT: u8 = 0x08;
/// What magic 0 has in place of a timestamp.
const NO_TIMESTAMP: i64 = -1;

/// One message of magic 0 or 1: a record, or a compressed wrapper of several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LegacyMessages {
    bytes: Bytes,
}

/// How the messages inside an entry become records.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InnerMessages {
    magic: u8,
    /// Added to each message's offset: inside a wrapper of magic 1 they are relative.
    offset_shift: i64,
    /// Of a wrapper that the broker stamped, for all its messages.
    append_time: Option<i64>,
}

/// One message, its fields not yet interpreted.
#[derive(Clone, Copy, Debug)]
struct Message<'a> {
    offset: i64,
    crc: u32,
    magic: u8,
    attributes: u8,
    timestamp: i64,
    key: Option<&'a [u8]>,
    value: Option<&'a [u8]>,
}

impl LegacyMessages {
    /// Takes exactly one message. Checks lengths, not the checksum: that is [`LegacyMessages::verify`].
    pub fn parse(bytes: Bytes) -> Result<Self, Error> {
        let mut reader = Reader::new(&bytes);
        Message::read(&mut reader)?;
        match reader.rest().len() {
            0 => Ok(Self { bytes }),
            left => Err(Error::Invalid {
                what: "bytes after a message",
                value: left as i64,
            }),
        }
    }

    /// The smallest length field that a message of this magic can have.
    pub(crate) fn min_length(magic: u8) -> Result<usize, Error> {
        match magic {
            0 => Ok(14),
            1 => Ok(22),
            _ => Err(Error::Invalid {
                what: "magic",
                value: i64::from(magic),
            }),
        }
    }

    /// The format: 0 or 1.
    pub fn magic(&self) -> u8 {
        self.bytes[at::MAGIC]
    }

    /// The offset of the message, or of the last one in the wrapper.
    pub fn last_offset(&self) -> i64 {
        self.bytes
            .first_chunk()
            .map_or(-1, |offset| i64::from_be_bytes(*offset))
    }

    /// The codec of the wrapper; `None` for a plain message.
    pub fn compression(&self) -> Result<Compression, Error> {
        Compression::from_bits(self.bytes[ATTRIBUTES_AT] & CODEC_BITS)
    }

    /// Who set the timestamps.
    pub fn timestamp_type(&self) -> TimestampType {
        let bit = self.bytes[ATTRIBUTES_AT] & LOG_APPEND_TIME_BIT;
        match self.magic() == 1 && bit != 0 {
            true => TimestampType::LogAppendTime,
            false => TimestampType::CreateTime,
        }
    }

    /// The size of the whole message.
    pub fn size_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Proves the stored checksum; these formats use plain CRC-32. A wrapper's covers the messages in it.
    pub fn verify(&self) -> Result<(), Error> {
        let stored = Message::read(&mut Reader::new(&self.bytes))?.crc;
        let mut crc = flate2::Crc::new();
        crc.update(&self.bytes[CRC_START..]);
        match crc.sum() == stored {
            true => Ok(()),
            false => Err(Error::Crc {
                base_offset: self.last_offset(),
                stored,
                computed: crc.sum(),
            }),
        }
    }

    /// The records, decompressed if need be to no more than `cap_bytes`.
    pub fn records(&self, cap_bytes: usize) -> Result<Records, Error> {
        let message = Message::read(&mut Reader::new(&self.bytes))?;
        let append_time = (self.timestamp_type() == TimestampType::LogAppendTime).then_some(message.timestamp);
        let compression = self.compression()?;
        if compression == Compression::None {
            let inner = InnerMessages {
                magic: self.magic(),
                offset_shift: 0,
                append_time,
            };
            return Ok(Records::of_messages(inner, self.bytes.clone()));
        }
        let wrapped = message.value.ok_or(Error::Invalid {
            what: "value length of a wrapper message",
            value: -1,
        })?;
        let plain = compression.decompress_legacy(&self.bytes.slice_ref(wrapped), self.magic(), cap_bytes)?;
        let offset_shift = match self.magic() {
            0 => 0,
            _ => relative_to(message.offset, &plain)?,
        };
        Ok(Records::of_messages(
            InnerMessages {
                magic: self.magic(),
                offset_shift,
                append_time,
            },
            plain,
        ))
    }
}

impl<'a> Message<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, Error> {
        let offset = reader.i64("message offset")?;
        let length = reader.i32("message length")?;
        let length = usize::try_from(length).map_err(|_| Error::Invalid {
            what: "message length",
            value: i64::from(length),
        })?;
        let mut body = Reader::new(reader.take(length, "message")?);
        let crc = body.u32("message crc")?;
        let magic = body.u8("message magic")?;
        let attributes = body.u8("message attributes")?;
        let timestamp = match magic {
            0 => NO_TIMESTAMP,
            1 => body.i64("message timestamp")?,
            _ => {
                return Err(Error::Invalid {
                    what: "magic of a message",
                    value: i64::from(magic),
                });
            }
        };
        let key = body.nullable_i32("message key")?;
        let value = body.nullable_i32("message value")?;
        if !body.is_empty() {
            return Err(Error::Invalid {
                what: "bytes after a message's value",
                value: body.rest().len() as i64,
            });
        }
        Ok(Self {
            offset,
            crc,
            magic,
            attributes,
            timestamp,
            key,
            value,
        })
    }
}

/// The next record of an entry, `None` at its end.
pub(crate) fn next_record<'a>(reader: &mut Reader<'a>, inner: InnerMessages) -> Result<Option<Record<'a>>, Error> {
    if reader.is_empty() {
        return Ok(None);
    }
    let message = Message::read(reader)?;
    if message.magic != inner.magic {
        return Err(Error::Invalid {
            what: "magic of a wrapped message",
            value: i64::from(message.magic),
        });
    }
    if message.attributes & CODEC_BITS != 0 {
        return Err(Error::Invalid {
            what: "codec of a wrapped message",
            value: i64::from(message.attributes),
        });
    }
    Ok(Some(Record {
        offset: message.offset.wrapping_add(inner.offset_shift),
        timestamp: inner.append_time.unwrap_or(message.timestamp),
        key: message.key,
        value: message.value,
        headers: Headers::default(),
    }))
}

/// What to add to the offsets inside a wrapper so that the last becomes the wrapper's.
fn relative_to(wrapper_offset: i64, plain: &[u8]) -> Result<i64, Error> {
    if wrapper_offset == 0 {
        return Ok(0); // Some versions of librdkafka leave the wrapper's offset at 0; Kafka takes the inner ones then.
    }
    let mut reader = Reader::new(plain);
    let mut last = None;
    while !reader.is_empty() {
        last = Some(Message::read(&mut reader)?.offset);
    }
    let last = last.ok_or(Error::Truncated {
        what: "wrapper message",
    })?;
    Ok(wrapper_offset.wrapping_sub(last))
}
