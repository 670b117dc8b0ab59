use std::collections::HashMap;

use bytes::Bytes;

/// One record to be written to an internal topic; without a value it is a tombstone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyValue {
    /// Never empty; decides the partition.
    pub key: Bytes,
    /// `None` deletes the key when the topic is compacted.
    pub value: Option<Bytes>,
}

impl KeyValue {
    pub(crate) fn new(key: impl Into<Bytes>, value: impl Into<Bytes>) -> Self {
        Self {
            key: key.into(),
            value: Some(value.into()),
        }
    }

    pub(crate) fn tombstone(key: impl Into<Bytes>) -> Self {
        Self {
            key: key.into(),
            value: None,
        }
    }
}

/// One record read from an internal topic. Key and value are copies: a slice of the fetch response would keep all of
/// it alive for as long as the record is remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRecord {
    /// Partition it was read from.
    pub partition: i32,
    /// Its offset there.
    pub offset: i64,
    /// Absent keys are ignored by every reader.
    pub key: Option<Bytes>,
    /// `None` for a tombstone.
    pub value: Option<Bytes>,
}

/// What the records of an internal topic add up to.
pub trait LogState: Send + 'static {
    /// Takes one more record. Records that mean nothing are logged and ignored: whatever is in the topic, a worker
    /// must come up.
    fn apply(&mut self, record: &LogRecord);

    /// Takes a record that says what another one said before: it was written back after somebody had deleted the topic.
    fn apply_again(&mut self, record: &LogRecord) {
        self.apply(record);
    }

    /// What the topic would hold, were it compacted now, in the order of its records: written back if somebody deletes
    /// the topic.
    fn table(&self) -> Vec<KeyValue>;
}

/// The last value of each key, as it was written.
#[derive(Debug, Default)]
pub(super) struct Table {
    values: HashMap<Bytes, (u64, Bytes)>,
    next: u64,
}

impl Table {
    pub(super) fn apply(&mut self, record: &LogRecord) {
        let Some(key) = &record.key else { return };
        match &record.value {
            Some(value) => self.values.insert(key.clone(), (self.next, value.clone())),
            None => self.values.remove(key),
        };
        self.next += 1;
    }

    pub(super) fn records(&self) -> Vec<KeyValue> {
        let mut records: Vec<_> = self.values.iter().collect();
        records.sort_by_key(|(_, (order, _))| *order);
        records
            .into_iter()
            .map(|(key, (_, value))| KeyValue::new(key.clone(), value.clone()))
            .collect()
    }
}
