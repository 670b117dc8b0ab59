//! Reads the recordings in `testdata/` (see its README).

use serde_json::Value;

use super::{KeyValue, LogRecord, LogState};

fn key_value(record: &Value) -> Option<KeyValue> {
    let value = record["value"].as_str().map(|text| text.to_owned().into());
    Some(KeyValue {
        key: record["key"].as_str()?.to_owned().into(),
        value,
    })
}

/// The records of one topic in the golden file.
pub(crate) fn golden(topic: &str) -> Vec<KeyValue> {
    let golden: Vec<Value> =
        serde_json::from_slice(include_bytes!("../../testdata/golden-internal-topics.json")).unwrap();
    let records: Vec<_> = golden
        .iter()
        .filter(|record| record["topic"] == topic)
        .filter_map(key_value)
        .collect();
    assert!(!records.is_empty());
    records
}

pub(crate) fn log_record(offset: i64, record: &KeyValue) -> LogRecord {
    LogRecord {
        partition: 0,
        offset,
        key: Some(record.key.clone()),
        value: record.value.clone(),
    }
}

/// Applies a recorded log, one record a line.
pub(crate) fn replay(log: &str, state: &mut impl LogState) {
    for (offset, line) in log.lines().enumerate() {
        let record = key_value(&serde_json::from_str(line).unwrap()).expect("recorded keys are text");
        state.apply(&log_record(offset as i64, &record));
    }
}

/// The records of a recorded log, each with the partition that it was found in.
pub(crate) fn recorded_partitions(log: &str) -> Vec<(KeyValue, i32)> {
    let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines
        .map(|record| {
            (
                key_value(&record).unwrap(),
                record["partition"].as_i64().unwrap() as i32,
            )
        })
        .collect()
}
