//! What the connectors accept when someone alters their offsets over REST (`alterOffsets`).

use connect_api::ConnectError;
use serde_json::{Map, Value};

type Members = Map<String, Value>;

/// Which connector's offsets are altered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffsetsOf {
    /// `MirrorSourceConnector`
    Source,
    /// `MirrorCheckpointConnector`
    Checkpoint,
    /// `MirrorHeartbeatConnector`
    Heartbeat,
}

impl OffsetsOf {
    fn string_keys(self) -> &'static [&'static str] {
        match self {
            Self::Source => &["cluster", "topic"],
            Self::Checkpoint => &["group", "topic"],
            Self::Heartbeat => &["sourceClusterAlias", "targetClusterAlias"],
        }
    }
}

/// Checks a whole request. The connectors keep offsets nowhere else, so there is no more to do for them.
pub(crate) fn check_all(of: OffsetsOf, offsets: &[(Members, Option<Members>)]) -> Result<bool, ConnectError> {
    for (partition, offset) in offsets {
        check(of, Some(partition), offset.as_ref())?;
    }
    Ok(true)
}

/// Checks one entry of a request, in Kafka's words. Anything may be forgotten (a null offset). Other members than the
/// required ones are accepted, and make a key that no task reads.
pub fn check(of: OffsetsOf, partition: Option<&Members>, offset: Option<&Members>) -> Result<(), ConnectError> {
    let Some(offset) = offset else { return Ok(()) };
    let Some(partition) = partition else {
        return Err(ConnectError::new("Source partitions may not be null"));
    };
    for key in of.string_keys() {
        check_string(partition, key)?;
    }
    if of != OffsetsOf::Heartbeat {
        check_partition(partition)?;
    }
    check_offset(of, partition, offset)
}

fn check_string(partition: &Members, key: &str) -> Result<(), ConnectError> {
    match partition.get(key) {
        None => Err(missing(partition, key)),
        Some(Value::String(_)) => Ok(()),
        Some(value) => Err(invalid(partition, key, value, "which must be a string")),
    }
}

/// Kafka looks at the low 32 bits of the number only when it asks for the sign.
fn check_partition(partition: &Members) -> Result<(), ConnectError> {
    const KEY: &str = "partition";
    let Some(value) = partition.get(KEY) else {
        return Err(missing(partition, KEY));
    };
    match value.as_i64().filter(|number| *number <= i64::from(i32::MAX)) {
        None => Err(invalid(partition, KEY, value, "which must be an integer")),
        Some(number) if number & 0x8000_0000 != 0 => Err(invalid(partition, KEY, value, "which cannot be negative")),
        Some(_) => Ok(()),
    }
}

fn check_offset(of: OffsetsOf, partition: &Members, offset: &Members) -> Result<(), ConnectError> {
    const KEY: &str = "offset";
    let fail = |why: String| {
        let (offset, partition) = (java_map(offset), java_map(partition));
        Err(ConnectError::new(format!(
            "Source offset {offset} for source partition {partition} {why}"
        )))
    };
    let Some(value) = offset.get(KEY) else {
        return fail(format!("is missing the '{KEY}' key, which is required"));
    };
    let invalid = |why: &str| fail(format!("has an invalid value {} for the '{KEY}' key{why}", java(value)));
    match value.as_i64() {
        None => invalid(", which must be an integer"),
        Some(number) if of != OffsetsOf::Source && number != 0 => invalid("; the only accepted value is 0"),
        Some(number) if number < 0 => invalid(", which cannot be negative"),
        Some(_) => Ok(()),
    }
}

fn missing(partition: &Members, key: &str) -> ConnectError {
    let partition = java_map(partition);
    ConnectError::new(format!(
        "Source partition {partition} is missing the '{key}' key, which is required"
    ))
}

fn invalid(partition: &Members, key: &str, value: &Value, why: &str) -> ConnectError {
    let (partition, value) = (java_map(partition), java(value));
    ConnectError::new(format!(
        "Source partition {partition} has an invalid value {value} for the '{key}' key, {why}"
    ))
}

/// `Object.toString` of a value.
fn java(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(elements) => format!("[{}]", elements.iter().map(java).collect::<Vec<_>>().join(", ")),
        Value::Object(members) => java_map(members),
        other => other.to_string(),
    }
}

/// `HashMap.toString`: members come in the order of the map's buckets, then of insertion.
fn java_map(members: &Members) -> String {
    let buckets = (members.len() * 4 / 3 + 1).next_power_of_two().max(16);
    let bucket = |key: &str| {
        let hash = key
            .encode_utf16()
            .fold(0u32, |hash, unit| hash.wrapping_mul(31).wrapping_add(u32::from(unit)));
        (hash ^ (hash >> 16)) as usize & (buckets - 1)
    };
    let mut entries: Vec<(&String, &Value)> = members.iter().collect();
    entries.sort_by_key(|(key, _)| bucket(key));
    let entries: Vec<String> = entries
        .into_iter()
        .map(|(key, value)| format!("{key}={}", java(value)))
        .collect();
    format!("{{{}}}", entries.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_is_kafkas() {
        let golden: Value =
            serde_json::from_str(include_str!("../testdata/golden-decisions.json")).expect("valid JSON");
        let vectors = golden["alterOffsets"].as_array().expect("a list");
        assert!(vectors.len() >= 20);
        for vector in vectors {
            let of = match vector["connector"].as_str() {
                Some("source") => OffsetsOf::Source,
                Some("checkpoint") => OffsetsOf::Checkpoint,
                Some("heartbeat") => OffsetsOf::Heartbeat,
                other => panic!("{other:?}"),
            };
            let result = check(of, vector["partition"].as_object(), vector["offset"].as_object());
            let result = result.map_or_else(
                |error| Value::from(format!("ConnectException: {error}")),
                |()| true.into(),
            );
            assert_eq!(result, vector["result"], "{vector}");
        }
    }
}
