use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::SessionKey;
use crate::{
    storage::{KeyValue, json::to_java_json},
    worker::{ConnectorTaskId, TargetState},
};

pub(super) const TARGET_STATE_PREFIX: &str = "target-state-";
pub(super) const CONNECTOR_PREFIX: &str = "connector-";
pub(super) const TASK_PREFIX: &str = "task-";
pub(super) const COMMIT_PREFIX: &str = "commit-";
pub(super) const RESTART_PREFIX: &str = "restart-connector-";
pub(super) const FENCING_PREFIX: &str = "tasks-fencing-";
pub(super) const SESSION_KEY: &str = "session-key";
pub(super) const LOGGER_PREFIX: &str = "logger-cluster-";

/// A connector's or task's configuration as it is stored: variables unresolved, values possibly null.
pub type RawConfig = BTreeMap<String, Option<String>>;

#[derive(Serialize, Deserialize)]
pub(super) struct Properties {
    pub(super) properties: RawConfig,
}

#[derive(Serialize)]
struct Tasks {
    tasks: i32,
}

#[derive(Serialize)]
struct StoredTargetState {
    state: TargetState,
    #[serde(rename = "state.v2")]
    state_v2: TargetState,
}

/// The record that stores a connector's configuration.
pub fn connector_record(connector: &str, config: &RawConfig) -> KeyValue {
    let value = Properties {
        properties: config.clone(),
    };
    KeyValue::new(format!("{CONNECTOR_PREFIX}{connector}"), to_java_json(&value))
}

/// The record that deletes a connector, followed by [`target_state_tombstone`].
pub fn connector_tombstone(connector: &str) -> KeyValue {
    KeyValue::tombstone(format!("{CONNECTOR_PREFIX}{connector}"))
}

/// The record that stores one task's configuration; it counts once a [`commit_record`] follows.
pub fn task_record(id: &ConnectorTaskId, config: &RawConfig) -> KeyValue {
    KeyValue::new(
        format!("{TASK_PREFIX}{id}"),
        to_java_json(&Properties {
            properties: config.clone(),
        }),
    )
}

/// The record that makes the task configurations before it count.
pub fn commit_record(connector: &str, tasks: i32) -> KeyValue {
    KeyValue::new(format!("{COMMIT_PREFIX}{connector}"), to_java_json(&Tasks { tasks }))
}

/// The record that says what a user wants of a connector. Workers before 3.5 read only the first field, and know no
/// STOPPED.
pub fn target_state_record(connector: &str, target: TargetState) -> KeyValue {
    let state = match target {
        TargetState::Stopped => TargetState::Paused,
        other => other,
    };
    let value = StoredTargetState {
        state,
        state_v2: target,
    };
    KeyValue::new(format!("{TARGET_STATE_PREFIX}{connector}"), to_java_json(&value))
}

/// The record that forgets what a user wanted of a deleted connector.
pub fn target_state_tombstone(connector: &str) -> KeyValue {
    KeyValue::tombstone(format!("{TARGET_STATE_PREFIX}{connector}"))
}

/// The record that asks the owners of a connector and its tasks to restart them.
pub fn restart_record(connector: &str, include_tasks: bool, only_failed: bool) -> KeyValue {
    #[derive(Serialize)]
    #[serde(rename_all = "kebab-case")]
    struct Restart {
        include_tasks: bool,
        only_failed: bool,
    }
    let value = Restart {
        include_tasks,
        only_failed,
    };
    KeyValue::new(format!("{RESTART_PREFIX}{connector}"), to_java_json(&value))
}

/// The record that shares a key among the workers.
pub fn session_key_record(key: &SessionKey) -> KeyValue {
    #[derive(Serialize)]
    #[serde(rename_all = "kebab-case")]
    struct Stored<'a> {
        key: &'a str,
        algorithm: &'a str,
        creation_timestamp: i64,
    }
    let value = Stored {
        key: &key.key,
        algorithm: &key.algorithm,
        creation_timestamp: key.creation_timestamp_ms,
    };
    KeyValue::new(SESSION_KEY, to_java_json(&value))
}

/// The record that says how many producers of a connector's tasks may write exactly once from now on.
pub fn fencing_record(connector: &str, task_count: i32) -> KeyValue {
    #[derive(Serialize)]
    #[serde(rename_all = "kebab-case")]
    struct Fencing {
        task_count: i32,
    }
    KeyValue::new(
        format!("{FENCING_PREFIX}{connector}"),
        to_java_json(&Fencing { task_count }),
    )
}

/// The record that sets the level of a logger on every worker, as the user gave it.
pub fn logger_level_record(logger: &str, level: &str) -> KeyValue {
    #[derive(Serialize)]
    struct Level<'a> {
        level: &'a str,
    }
    KeyValue::new(format!("{LOGGER_PREFIX}{logger}"), to_java_json(&Level { level }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::testdata::golden;

    fn config(pairs: &[(&str, Option<&str>)]) -> RawConfig {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), value.map(str::to_owned)))
            .collect()
    }

    /// The golden's JSON objects were written in the order in which the test that made them listed their members;
    /// Java's own order is that of a HashMap and no reader depends on it.
    fn sorted(records: &[KeyValue]) -> Vec<(String, Option<serde_json::Value>)> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let value = |bytes: &[u8]| {
            let mut value: serde_json::Value = serde_json::from_slice(bytes).unwrap();
            value.sort_all_objects();
            value
        };
        records
            .iter()
            .map(|record| (text(&record.key), record.value.as_deref().map(value)))
            .collect()
    }

    #[test]
    fn records_are_those_of_the_java_worker() {
        let connector = config(&[
            ("name", Some("c1")),
            ("connector.class", Some("FileStreamSource")),
            ("tasks.max", Some("1")),
            ("nullable", None),
        ]);
        let task = config(&[
            ("task.class", Some("org.apache.kafka.connect.file.FileStreamSourceTask")),
            ("file", Some("/tmp/x")),
            ("topic", Some("t")),
        ]);
        let ours = [
            connector_record("c1", &connector),
            connector_tombstone("c1"),
            task_record(&ConnectorTaskId::new("c1", 0), &task),
            commit_record("c1", 1),
            commit_record("c1", 0),
            target_state_record("c1", TargetState::Started),
            target_state_record("c1", TargetState::Paused),
            target_state_record("c1", TargetState::Stopped),
            fencing_record("c1", 3),
        ];
        let golden = golden("config");
        assert_eq!(sorted(&ours), sorted(&golden[..ours.len()]));
        // Where a single member or a fixed order leaves no choice, the bytes are the same too.
        assert_eq!(ours[3..], golden[3..ours.len()]);
        let key = SessionKey {
            key: "A".repeat(43) + "=",
            algorithm: "HmacSHA256".to_owned(),
            creation_timestamp_ms: 1_700_000_000_000,
        };
        let ours = [
            session_key_record(&key),
            restart_record("c1", true, false),
            logger_level_record("org.apache.kafka.connect", "DEBUG"),
        ];
        assert_eq!(ours[..], golden[9..]);
    }
}
