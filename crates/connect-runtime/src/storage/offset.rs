//! The offset topic: how far each source partition has been copied.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use connect_api::{OffsetStorageReader, SourceOffset, SourcePartition};
use serde_json::Value;
use tracing::warn;

use crate::{
    storage::{KeyValue, LogRecord, LogState},
    worker::CommittableOffsets,
};

/// The source offsets of all connectors: what the offset topic adds up to (Java's `KafkaOffsetBackingStore`).
///
/// The bytes of the key are the identity. They are not parsed: a look-up builds the key as Java would.
#[derive(Debug, Default)]
pub struct OffsetState {
    values: HashMap<Bytes, Bytes>,
}

impl LogState for OffsetState {
    fn apply(&mut self, record: &LogRecord) {
        let Some(key) = &record.key else { return };
        match &record.value {
            Some(value) => self.values.insert(key.clone(), value.clone()),
            None => self.values.remove(key),
        };
    }

    fn table(&self) -> Vec<KeyValue> {
        let values = self.values.iter();
        values
            .map(|(key, value)| KeyValue::new(key.clone(), value.clone()))
            .collect()
    }
}

impl OffsetState {
    /// What is stored under a key.
    #[cfg(test)]
    pub(super) fn value(&self, key: &[u8]) -> Option<&Bytes> {
        self.values.get(key)
    }

    /// What `connector` has stored, as it is now.
    pub fn reader(&self, connector: &str) -> OffsetReader {
        let mut prefix = connect_api::SourcePartition(Vec::new())
            .key_json(connector)
            .into_bytes();
        prefix.truncate(prefix.len() - "{}]".len());
        let own = self.values.iter().filter(|(key, _)| key.starts_with(&prefix));
        OffsetReader {
            connector: connector.into(),
            values: own.map(|(k, v)| (k.clone(), v.clone())).collect(),
        }
    }
}

/// A snapshot of one connector's offsets, taken when a task starts: what it asks later was written by itself.
#[derive(Debug, Clone)]
pub struct OffsetReader {
    connector: Arc<str>,
    values: HashMap<Bytes, Bytes>,
}

impl OffsetStorageReader for OffsetReader {
    fn offsets(&self, partitions: &[SourcePartition]) -> Vec<Option<SourceOffset>> {
        partitions.iter().map(|partition| self.offset(partition)).collect()
    }
}

impl OffsetReader {
    /// Both, of which `above` counts where both have an offset.
    pub(crate) fn overlaid_with(mut self, above: Self) -> Self {
        self.values.extend(above.values);
        self
    }

    /// Keys and values, as they are stored.
    pub(super) fn into_values(self) -> impl Iterator<Item = (Bytes, Bytes)> {
        self.values.into_iter()
    }

    fn offset(&self, partition: &SourcePartition) -> Option<SourceOffset> {
        let key = partition.key_json(&self.connector);
        let value = self.values.get(key.as_bytes())?;
        let offset = parse_offset(value);
        if offset.is_none() {
            let value = String::from_utf8_lossy(value);
            warn!(key, %value, "the stored source offset holds no position, the partition starts as if it had none");
        }
        offset
    }
}

/// `{"offset": n}`; anything else, and a negative n, is no position. JSON written by other tools may say `41.0`.
fn parse_offset(value: &[u8]) -> Option<SourceOffset> {
    let offset = serde_json::from_slice::<Value>(value).ok()?.get("offset")?.clone();
    let whole = match offset.as_i64() {
        Some(whole) => whole,
        // 2^53: beyond it a double does not name one offset.
        None => offset
            .as_f64()
            .filter(|n| n.fract() == 0.0 && n.abs() <= 9_007_199_254_740_992.0)? as i64,
    };
    (whole >= 0).then_some(SourceOffset(whole))
}

/// The records that store `offsets` of `connector`.
pub fn offset_records(connector: &str, offsets: &CommittableOffsets) -> Vec<KeyValue> {
    let stored = offsets.offsets.iter();
    stored
        .map(|(partition, offset)| {
            KeyValue::new(
                partition.key_json(connector).into_bytes(),
                format!("{{\"offset\":{}}}", offset.0),
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use connect_api::SourceValue;

    use super::*;

    fn record(key: &str, value: Option<&str>) -> LogRecord {
        let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
        LogRecord {
            partition: 0,
            offset: 0,
            key: Some(bytes(key)),
            value: value.map(bytes),
        }
    }

    /// The golden's partition map, in the member order that its key text shows.
    fn golden_partition(case: &Value) -> SourcePartition {
        let names = [
            "sourceClusterAlias",
            "targetClusterAlias",
            "cluster",
            "partition",
            "topic",
            "group",
        ];
        let map = case["partition"].as_object().unwrap();
        let member = |name: &'static str| match &map[name] {
            Value::String(text) => (name, SourceValue::String(text.as_str().into())),
            number => (name, SourceValue::Int(number.as_i64().unwrap())),
        };
        SourcePartition(
            names
                .into_iter()
                .filter(|name| map.contains_key(*name))
                .map(member)
                .collect(),
        )
    }

    #[test]
    fn keys_and_values_are_those_of_the_java_connectors() {
        let golden: Value =
            serde_json::from_slice(include_bytes!("../../testdata/golden-connect-offsets.json")).unwrap();
        let cases = golden["connectOffsets"].as_array().unwrap();
        assert!(cases.len() > 10);
        for case in cases {
            let connector = case["connector"].as_str().unwrap();
            let partition = golden_partition(case);
            let key = case["keyText"].as_str().unwrap();
            let mut state = OffsetState::default();
            let value = case["valueText"].as_str();
            state.apply(&record(key, value));
            let offset = value.map(|_| SourceOffset(case["offset"]["offset"].as_i64().unwrap()));
            assert_eq!(
                state.reader(connector).offsets(std::slice::from_ref(&partition)),
                [offset],
                "{key}"
            );
            let Some(offset) = offset else { continue };
            let offsets = CommittableOffsets {
                offsets: [(Arc::new(partition), offset)].into(),
                ..Default::default()
            };
            let expected = KeyValue::new(key.to_owned(), value.unwrap().to_owned());
            assert_eq!(offset_records(connector, &offsets), [expected]);
        }
    }

    #[test]
    fn the_log_of_a_real_worker_reads_back() {
        let mut state = OffsetState::default();
        crate::storage::testdata::replay(include_str!("../../testdata/connect-offsets.jsonl"), &mut state);
        let partition = |number| {
            SourcePartition(vec![
                ("cluster", SourceValue::String("source".into())),
                ("partition", SourceValue::Int(number)),
                ("topic", SourceValue::String("rest-golden".into())),
            ])
        };
        assert_eq!(
            state.reader("ms").offsets(&[partition(0), partition(1)]),
            [Some(SourceOffset(4)); 2]
        );
        assert_eq!(state.reader("nobody").offsets(&[partition(0)]), [None]);
    }

    #[test]
    fn one_connector_never_sees_anothers_offsets() {
        let mut state = OffsetState::default();
        let partition = SourcePartition(vec![("topic", SourceValue::String("t".into()))]);
        state.apply(&record(&partition.key_json("a"), Some("{\"offset\":1}")));
        state.apply(&record(&partition.key_json("ab"), Some("{\"offset\":2}")));
        assert_eq!(state.reader("a").values.len(), 1);
        assert_eq!(
            state.reader("ab").offsets(std::slice::from_ref(&partition)),
            [Some(SourceOffset(2))]
        );
        assert_eq!(state.reader("b").offsets(&[partition]), [None]);
    }

    #[test]
    fn a_value_without_a_position_is_none() {
        let cases: [(&str, Option<i64>); 12] = [
            (r#"{"offset":41}"#, Some(41)),
            (r#"{ "other":1, "offset" : 41 }"#, Some(41)),
            (r#"{"offset":41.0}"#, Some(41)),
            (r#"{"offset":0}"#, Some(0)),
            (r#"{"offset":-1}"#, None),
            (r#"{"offset":41.5}"#, None),
            (r#"{"offset":1e300}"#, None),
            (r#"{"offset":null}"#, None),
            (r#"{"offset":"41"}"#, None),
            (r#"{}"#, None),
            (r#"[41]"#, None),
            ("not json", None),
        ];
        for (value, expected) in cases {
            assert_eq!(parse_offset(value.as_bytes()), expected.map(SourceOffset), "{value}");
        }
    }
}
