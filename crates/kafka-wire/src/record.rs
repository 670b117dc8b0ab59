//! Records, borrowed from the bytes that hold them.

use bytes::Bytes;

use crate::Error;
use crate::headers::Headers;
use crate::legacy::{self, InnerMessages};
use crate::outgoing::OutgoingBatch;
use crate::reader::Reader;
use crate::record_batch::{RecordBatch, TimestampType};

/// One record. Keys, values and headers point into the batch's (decompressed) payload.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// Its offset in the partition.
    pub offset: i64,
    /// Its timestamp, or the append time where the broker sets it; −1 when the format has none.
    pub timestamp: i64,
    /// Its key; null and empty differ.
    pub key: Option<&'a [u8]>,
    /// Its value; null is a tombstone.
    pub value: Option<&'a [u8]>,
    /// Its headers.
    pub headers: Headers<'a>,
}

/// The records of one batch, decompressed. Iterate with [`Records::iter`] or `for record in &records`.
#[derive(Clone, Debug)]
pub struct Records {
    payload: Bytes,
    layout: Layout,
}

#[derive(Clone, Copy, Debug)]
enum Layout {
    V2(BatchFields),
    Legacy(InnerMessages),
}

/// What of a batch's header its records are relative to.
#[derive(Clone, Copy, Debug)]
struct BatchFields {
    base_offset: i64,
    base_timestamp: i64,
    append_time: Option<i64>,
    record_count: i32,
}

impl Records {
    pub(crate) fn of_batch(batch: &RecordBatch, payload: Bytes) -> Self {
        let append_time = match batch.timestamp_type() {
            TimestampType::CreateTime => None,
            TimestampType::LogAppendTime => Some(batch.max_timestamp()),
        };
        let fields = BatchFields {
            base_offset: batch.base_offset(),
            base_timestamp: batch.base_timestamp(),
            append_time,
            record_count: batch.record_count(),
        };
        Self {
            payload,
            layout: Layout::V2(fields),
        }
    }

    pub(crate) fn of_outgoing(batch: &OutgoingBatch, payload: Bytes) -> Self {
        let fields = BatchFields {
            base_offset: 0,
            base_timestamp: batch.base_timestamp(),
            append_time: None,
            record_count: batch.record_count(),
        };
        Self {
            payload,
            layout: Layout::V2(fields),
        }
    }

    pub(crate) fn of_messages(messages: InnerMessages, payload: Bytes) -> Self {
        Self {
            payload,
            layout: Layout::Legacy(messages),
        }
    }

    /// Reads them one by one. After an error there is nothing more.
    pub fn iter(&self) -> RecordIter<'_> {
        let remaining = match self.layout {
            Layout::V2(fields) => fields.record_count,
            Layout::Legacy(_) => 0,
        };
        RecordIter {
            layout: self.layout,
            reader: Reader::new(&self.payload),
            remaining,
            done: false,
        }
    }

    /// The bytes that the records borrow from; `slice_ref` turns a key or value into `Bytes` without a copy.
    pub fn payload(&self) -> &Bytes {
        &self.payload
    }
}

impl<'a> IntoIterator for &'a Records {
    type Item = Result<Record<'a>, Error>;
    type IntoIter = RecordIter<'a>;

    fn into_iter(self) -> RecordIter<'a> {
        self.iter()
    }
}

/// Reads the records of a batch one by one.
#[derive(Clone, Debug)]
pub struct RecordIter<'a> {
    layout: Layout,
    reader: Reader<'a>,
    remaining: i32,
    done: bool,
}

impl<'a> Iterator for RecordIter<'a> {
    type Item = Result<Record<'a>, Error>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let next = match self.layout {
            Layout::V2(fields) => self.next_in_batch(fields),
            Layout::Legacy(messages) => legacy::next_record(&mut self.reader, messages).transpose(),
        };
        self.done = !matches!(next, Some(Ok(_)));
        next
    }
}

impl<'a> RecordIter<'a> {
    fn next_in_batch(&mut self, fields: BatchFields) -> Option<Result<Record<'a>, Error>> {
        if self.remaining == 0 {
            let left = self.reader.rest().len() as i64;
            return (left > 0).then_some(Err(Error::Invalid {
                what: "bytes after the last record",
                value: left,
            }));
        }
        self.remaining -= 1;
        Some(read_record(&mut self.reader, fields))
    }
}

/// A record whose key, value and headers are still encoded: all that moving it to another batch takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EncodedRecord<'a> {
    pub(crate) attributes: u8,
    pub(crate) timestamp_delta: i64,
    pub(crate) offset_delta: i32,
    pub(crate) body: &'a [u8],
}

impl<'a> EncodedRecord<'a> {
    pub(crate) fn read(reader: &mut Reader<'a>) -> Result<Self, Error> {
        let len = reader.varint("record length")?;
        let len = usize::try_from(len).map_err(|_| Error::Invalid {
            what: "record length",
            value: i64::from(len),
        })?;
        let mut record = Reader::new(reader.take(len, "record")?);
        Ok(Self {
            attributes: record.u8("record attributes")?,
            timestamp_delta: record.varlong("record timestamp")?,
            offset_delta: record.varint("record offset")?,
            body: record.rest(),
        })
    }
}

fn read_record<'a>(reader: &mut Reader<'a>, fields: BatchFields) -> Result<Record<'a>, Error> {
    let encoded = EncodedRecord::read(reader)?;
    let mut body = Reader::new(encoded.body);
    let key = body.nullable("record key")?;
    let value = body.nullable("record value")?;
    let headers = Headers::read(&mut body)?;
    if !body.is_empty() {
        return Err(Error::Invalid {
            what: "bytes after a record's headers",
            value: body.rest().len() as i64,
        });
    }
    Ok(Record {
        offset: fields.base_offset.wrapping_add(i64::from(encoded.offset_delta)),
        timestamp: fields
            .append_time
            .unwrap_or(fields.base_timestamp.wrapping_add(encoded.timestamp_delta)),
        key,
        value,
        headers,
    })
}

/// The encoded records of a plain or compressed batch, each handed to `each` with its timestamp.
pub(crate) fn for_each_encoded<'a>(
    plain: &'a [u8],
    batch: &OutgoingBatch,
    mut each: impl FnMut(EncodedRecord<'a>, i64),
) -> Result<(), Error> {
    let mut reader = Reader::new(plain);
    for _ in 0..batch.record_count() {
        let record = EncodedRecord::read(&mut reader)?;
        each(record, batch.base_timestamp().wrapping_add(record.timestamp_delta));
    }
    match reader.rest().len() {
        0 => Ok(()),
        left => Err(Error::Invalid {
            what: "bytes after the last record",
            value: left as i64,
        }),
    }
}
