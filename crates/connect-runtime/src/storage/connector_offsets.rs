//! A connector's offsets as users see and change them: JSON objects in, records of the offset topic out.

use bytes::Bytes;
use connect_api::JsonMap;
use serde_json::Value;

use super::{
    KeyValue,
    json::{in_hash_order, to_java_json},
    offset::OffsetReader,
};

/// One stored offset.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct StoredOffset {
    /// The bytes are the identity.
    key: Bytes,
    pub(crate) partition: JsonMap,
    pub(crate) offset: JsonMap,
}

impl OffsetReader {
    /// Every partition that has an offset, in the order of the keys. What is no pair of maps does not count.
    pub(crate) fn into_stored(self) -> Vec<StoredOffset> {
        let mut stored: Vec<StoredOffset> = self
            .into_values()
            .filter_map(|(key, value)| {
                let (_, partition) = serde_json::from_slice::<(String, JsonMap)>(&key).ok()?;
                let offset = serde_json::from_slice(&value).ok()?;
                Some(StoredOffset { key, partition, offset })
            })
            .collect();
        stored.sort_by(|one, other| one.key.cmp(&other.key));
        stored
    }
}

/// The records that store `offsets` of `connector`, of which `stored` is there already. A partition that is stored keeps
/// its key, whoever wrote it and however it is spelt; a new one is written as Java does after its REST API.
pub(crate) fn altered_records(
    connector: &str,
    stored: &[StoredOffset],
    offsets: &[(JsonMap, Option<JsonMap>)],
) -> Result<Vec<KeyValue>, String> {
    let mut records = Vec::new();
    for (partition, offset) in offsets {
        for map in [Some(partition), offset.as_ref()].into_iter().flatten() {
            only_primitives(map)?;
        }
        let value = offset
            .as_ref()
            .map(|offset| Bytes::from(to_java_json(&in_hash_order(offset))));
        let mut keys: Vec<Bytes> = stored
            .iter()
            .filter(|stored| stored.partition == *partition)
            .map(|stored| stored.key.clone())
            .collect();
        if keys.is_empty() {
            keys.push(to_java_json(&(connector, in_hash_order(partition))).into());
        }
        records.extend(keys.into_iter().map(|key| KeyValue {
            key,
            value: value.clone(),
        }));
    }
    Ok(records)
}

/// Kafka's rule and words.
fn only_primitives(map: &JsonMap) -> Result<(), String> {
    for (field, value) in map {
        let kind = match value {
            Value::Array(_) => "ARRAY",
            Value::Object(_) => "MAP",
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => continue,
        };
        return Err(format!(
            "Offsets may only contain primitive types as values, but field {field} contains {kind}"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::storage::{LogState, offset::OffsetState, testdata::log_record};

    fn map(value: Value) -> JsonMap {
        value.as_object().unwrap().clone()
    }

    fn state(records: &[(&str, Option<&str>)]) -> OffsetState {
        let mut state = OffsetState::default();
        for (key, value) in records {
            let record = match value {
                Some(value) => KeyValue::new((*key).to_owned(), (*value).to_owned()),
                None => KeyValue::tombstone((*key).to_owned()),
            };
            state.apply(&log_record(0, &record));
        }
        state
    }

    #[test]
    fn what_is_no_pair_of_maps_does_not_count() {
        let state = state(&[
            (r#"["c",{"p":1}]"#, Some(r#"{"offset":7}"#)),
            (r#"["c",null]"#, Some(r#"{"offset":7}"#)),
            (r#"["c",{"p":2}]"#, Some("null")),
            (r#"["c",{"p":3}]"#, Some("nonsense")),
            (r#"["c",{"p":4}]"#, None),
            (r#"["d",{"p":5}]"#, Some(r#"{"offset":7}"#)),
        ]);
        let stored = state.reader("c").into_stored();
        let seen: Vec<_> = stored
            .into_iter()
            .map(|stored| (stored.partition, stored.offset))
            .collect();
        assert_eq!(seen, [(map(json!({"p": 1})), map(json!({"offset": 7})))]);
    }

    #[test]
    fn a_stored_partition_keeps_its_key_and_a_new_one_is_written_as_java_does() {
        let odd = r#"["c", {"topic":"t","cluster":"s"}]"#;
        let state = state(&[
            (r#"["c",{"topic":"t","cluster":"s"}]"#, Some(r#"{"offset":7}"#)),
            (odd, Some("{}")),
        ]);
        let offsets = [
            (map(json!({"cluster": "s", "topic": "t"})), None),
            (
                map(json!({"topic": "orders", "partition": 3, "cluster": "src"})),
                Some(map(json!({"offset": 42}))),
            ),
        ];
        let records = altered_records("c", &state.reader("c").into_stored(), &offsets).unwrap();
        let expected = [
            KeyValue::tombstone(odd),
            KeyValue::tombstone(r#"["c",{"topic":"t","cluster":"s"}]"#),
            KeyValue::new(
                r#"["c",{"cluster":"src","partition":3,"topic":"orders"}]"#,
                r#"{"offset":42}"#,
            ),
        ];
        assert_eq!(records, expected);
    }

    #[test]
    fn nested_values_are_refused() {
        let offsets = [(map(json!({"p": [1]})), None)];
        let refused = altered_records("c", &[], &offsets).unwrap_err();
        assert!(refused.ends_with("field p contains ARRAY"), "{refused}");
    }
}
