//! The status topic: what connectors and tasks do, and which topics they write to.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use tracing::warn;

use crate::{
    storage::{KeyValue, LogRecord, LogState, json::to_java_json, record::Table},
    worker::{ConnectorTaskId, State},
};

const CONNECTOR_PREFIX: &str = "status-connector-";
const TASK_PREFIX: &str = "status-task-";
const TOPIC_PREFIX: &str = "status-topic-";
const TOPIC_SEPARATOR: &str = ":connector-";

/// A status record: the value of `status-connector-…` and `status-task-…`. All members are always written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// What it is doing.
    pub state: State,
    /// The chain of causes of a failure.
    pub trace: Option<String>,
    /// The worker that wrote this.
    pub worker_id: String,
    /// The group's generation at the time.
    pub generation: i32,
    /// Version of the plug-in; absent unless it runs.
    #[serde(default)]
    pub version: Option<String>,
}

/// What a connector or a task does: a status as users see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateInfo {
    /// Its state.
    pub state: State,
    /// Who runs it, or did last.
    pub worker_id: String,
    /// The plug-in's version while it runs. REST says `null` for `None`, and nothing at all for `undefined`.
    pub version: Option<String>,
    /// Why it failed.
    pub trace: Option<String>,
}

impl From<Status> for StateInfo {
    fn from(status: Status) -> Self {
        Self {
            state: status.state,
            worker_id: status.worker_id,
            version: status.version,
            trace: status.trace.filter(|trace| !trace.is_empty()),
        }
    }
}

/// Names what a status is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StatusKey {
    /// A connector.
    Connector(String),
    /// A task.
    Task(ConnectorTaskId),
}

impl StatusKey {
    /// The key of its records.
    pub fn key(&self) -> String {
        match self {
            Self::Connector(name) => format!("{CONNECTOR_PREFIX}{name}"),
            Self::Task(id) => format!("{TASK_PREFIX}{id}"),
        }
    }

    /// The record that says `status`.
    pub fn record(&self, status: &Status) -> KeyValue {
        KeyValue::new(self.key(), to_java_json(status))
    }

    /// The record that says that it is gone (Java's DESTROYED).
    pub fn tombstone(&self) -> KeyValue {
        KeyValue::tombstone(self.key())
    }
}

/// A topic that a connector has written to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ActiveTopic {
    #[serde(rename = "name")]
    topic: String,
    connector: String,
    task: i32,
    discover_timestamp: i64,
}

#[derive(Serialize, Deserialize)]
struct ActiveTopicValue {
    topic: ActiveTopic,
}

/// The record that says that `id` was the first to write to `topic`, at `now_ms`.
pub fn active_topic_record(topic: &str, id: &ConnectorTaskId, now_ms: i64) -> KeyValue {
    let active = ActiveTopic {
        topic: topic.to_owned(),
        connector: id.connector.to_string(),
        task: id.task,
        discover_timestamp: now_ms,
    };
    KeyValue::new(
        active_topic_key(topic, &id.connector),
        to_java_json(&ActiveTopicValue { topic: active }),
    )
}

/// The record that forgets that `connector` has written to `topic`.
pub fn active_topic_tombstone(topic: &str, connector: &str) -> KeyValue {
    KeyValue::tombstone(active_topic_key(topic, connector))
}

fn active_topic_key(topic: &str, connector: &str) -> String {
    format!("{TOPIC_PREFIX}{topic}{TOPIC_SEPARATOR}{connector}")
}

/// What the status topic adds up to (the cache of Java's `KafkaStatusBackingStore`).
#[derive(Debug, Default)]
pub struct StatusState {
    connectors: HashMap<String, Known>,
    tasks: HashMap<String, BTreeMap<i32, Known>>,
    topics: HashMap<String, BTreeMap<String, ActiveTopic>>,
    table: Table,
}

#[derive(Debug)]
struct Known {
    generation: i32,
    info: Arc<StateInfo>,
}

impl From<Status> for Known {
    fn from(status: Status) -> Self {
        Self {
            generation: status.generation,
            info: Arc::new(status.into()),
        }
    }
}

impl StatusState {
    /// The last known status.
    pub fn get(&self, key: &StatusKey) -> Option<&Arc<StateInfo>> {
        self.known(key).map(|known| &known.info)
    }

    fn known(&self, key: &StatusKey) -> Option<&Known> {
        match key {
            StatusKey::Connector(name) => self.connectors.get(name),
            StatusKey::Task(id) => self.tasks.get(&*id.connector)?.get(&id.task),
        }
    }

    /// The last known statuses of a connector's tasks.
    pub fn tasks(&self, connector: &str) -> impl Iterator<Item = (i32, &Arc<StateInfo>)> {
        self.tasks
            .get(connector)
            .into_iter()
            .flatten()
            .map(|(task, known)| (*task, &known.info))
    }

    /// The topics that a connector has written to.
    pub fn topics(&self, connector: &str) -> impl Iterator<Item = &str> {
        self.topics
            .get(connector)
            .into_iter()
            .flatten()
            .map(|(topic, _)| topic.as_str())
    }

    /// Every connector with every topic that it has written to.
    pub fn active_topics(&self) -> impl Iterator<Item = (&str, &str)> {
        self.topics
            .iter()
            .flat_map(|(connector, topics)| topics.keys().map(move |topic| (connector.as_str(), topic.as_str())))
    }

    /// Every connector and task that has a status.
    pub fn keys(&self) -> Vec<StatusKey> {
        let connectors = self.connectors.keys().cloned().map(StatusKey::Connector);
        let tasks = self.tasks.iter().flat_map(|(name, tasks)| {
            tasks
                .keys()
                .map(|task| StatusKey::Task(ConnectorTaskId::new(name.as_str(), *task)))
        });
        connectors.chain(tasks).collect()
    }

    /// The highest generation of any status.
    pub fn highest_generation(&self) -> Option<i32> {
        let tasks = self.tasks.values().flat_map(|tasks| tasks.values());
        self.connectors
            .values()
            .chain(tasks)
            .map(|known| known.generation)
            .max()
    }

    /// Whether a worker that has lost a connector or task without knowing may still say that it failed or ended: not
    /// over the status of another worker of a later generation (Java's `putSafe`).
    pub fn may_put_safe(&self, key: &StatusKey, worker_id: &str, generation: i32) -> bool {
        match self.known(key) {
            None => true,
            Some(cached) => cached.info.worker_id == worker_id || cached.generation <= generation,
        }
    }

    fn put(&mut self, key: StatusKey, status: Option<Status>) {
        match (key, status) {
            (StatusKey::Connector(name), Some(status)) => {
                self.connectors.insert(name, status.into());
            }
            // Unlike Java's cache this one keeps the tasks: what is still in the topic has to be known to be removed.
            (StatusKey::Connector(name), None) => {
                self.connectors.remove(&name);
            }
            (StatusKey::Task(id), Some(status)) => {
                let tasks = self.tasks.entry(id.connector.to_string()).or_default();
                let overtaken = tasks.get(&id.task).is_some_and(|cached| {
                    status.state == State::Unassigned
                        && cached.info.state == State::Running
                        && cached.generation >= status.generation
                });
                if !overtaken {
                    tasks.insert(id.task, status.into());
                }
            }
            (StatusKey::Task(id), None) => {
                if let Some(tasks) = self.tasks.get_mut(&*id.connector) {
                    tasks.remove(&id.task);
                    if tasks.is_empty() {
                        self.tasks.remove(&*id.connector);
                    }
                }
            }
        }
    }

    fn put_topic(&mut self, topic: &str, connector: &str, active: Option<ActiveTopic>) {
        match active {
            Some(active) => {
                self.topics
                    .entry(connector.to_owned())
                    .or_default()
                    .insert(topic.to_owned(), active);
            }
            None => {
                if let Some(topics) = self.topics.get_mut(connector) {
                    topics.remove(topic);
                    if topics.is_empty() {
                        self.topics.remove(connector);
                    }
                }
            }
        }
    }
}

impl LogState for StatusState {
    fn table(&self) -> Vec<KeyValue> {
        self.table.records()
    }

    fn apply(&mut self, record: &LogRecord) {
        self.table.apply(record);
        let Some(key) = record.key.as_deref().and_then(|key| std::str::from_utf8(key).ok()) else {
            return;
        };
        if let Err(reason) = self.apply_text(key, record.value.as_deref()) {
            warn!(
                key,
                offset = record.offset,
                reason,
                "a record of the status topic is not understood and ignored"
            );
        }
    }
}

impl StatusState {
    fn apply_text(&mut self, key: &str, value: Option<&[u8]>) -> Result<(), String> {
        if let Some(name) = key.strip_prefix(CONNECTOR_PREFIX) {
            self.put(StatusKey::Connector(name.to_owned()), parse(value)?);
        } else if let Some(task) = key.strip_prefix(TASK_PREFIX) {
            let (name, number) = task.rsplit_once('-').ok_or("the key names no task")?;
            let number = number.parse().map_err(|_| "the key ends in no task number")?;
            self.put(StatusKey::Task(ConnectorTaskId::new(name, number)), parse(value)?);
        } else if let Some(topic) = key.strip_prefix(TOPIC_PREFIX) {
            let (topic, connector) = topic.split_once(TOPIC_SEPARATOR).ok_or("the key names no connector")?;
            let active = parse::<ActiveTopicValue>(value)?;
            self.put_topic(topic, connector, active.map(|value| value.topic));
        } else {
            return Err("the key has none of the known prefixes".to_owned());
        }
        Ok(())
    }
}

fn parse<T: for<'de> Deserialize<'de>>(value: Option<&[u8]>) -> Result<Option<T>, String> {
    value
        .map(|value| serde_json::from_slice(value).map_err(|error| error.to_string()))
        .transpose()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::testdata::{golden, log_record, replay};

    fn status(state: State, worker: &str, generation: i32) -> Status {
        Status {
            state,
            trace: None,
            worker_id: worker.to_owned(),
            generation,
            version: None,
        }
    }

    fn task(number: i32) -> StatusKey {
        StatusKey::Task(ConnectorTaskId::new("c1", number))
    }

    #[test]
    fn records_are_those_of_the_java_worker() {
        let running = Status {
            version: Some("4.3.1".to_owned()),
            ..status(State::Running, "10.0.0.1:8083", 5)
        };
        let failed = Status {
            trace: Some("org.apache...Exception: boom\n\tat x".to_owned()),
            ..status(State::Failed, "10.0.0.1:8083", 5)
        };
        let ours = [
            StatusKey::Connector("c1".to_owned()).record(&running),
            task(0).record(&failed),
            task(0).tombstone(),
            active_topic_record("t", &ConnectorTaskId::new("c1", 0), 1_700_000_000_000),
        ];
        assert_eq!(ours.to_vec(), golden("status"));
    }

    #[test]
    fn our_own_records_read_back() {
        let mut state = StatusState::default();
        let failed = Status {
            trace: Some("why".to_owned()),
            ..status(State::Failed, "w", 3)
        };
        state.apply(&log_record(0, &task(7).record(&failed)));
        let failed = Arc::new(StateInfo::from(failed));
        assert_eq!(state.get(&task(7)), Some(&failed));
        assert_eq!(state.tasks("c1").collect::<Vec<_>>(), [(7, &failed)]);
        assert_eq!(state.highest_generation(), Some(3));
        state.apply(&log_record(1, &task(7).tombstone()));
        assert_eq!(state.keys(), []);
    }

    #[test]
    fn the_log_of_a_real_worker_reads_back() {
        let log = include_str!("../../testdata/connect-status.jsonl");
        // The session deleted its connectors at the end: look at every moment of it.
        let mut seen = std::collections::BTreeSet::new();
        let mut highest = None;
        for end in log.match_indices('\n').map(|(end, _)| end) {
            let mut state = StatusState::default();
            replay(&log[..end], &mut state);
            seen.extend(state.keys());
            seen.extend(
                state
                    .topics("hms")
                    .map(|topic| StatusKey::Connector(format!("topic {topic}"))),
            );
            highest = highest.max(state.highest_generation());
        }
        let heartbeat = "source->destination.MirrorHeartbeatConnector";
        for expected in [
            StatusKey::Connector(heartbeat.to_owned()),
            StatusKey::Task(ConnectorTaskId::new(heartbeat, 0)),
            StatusKey::Task(ConnectorTaskId::new("ms", 1)),
            StatusKey::Connector("my odd nameé".to_owned()),
            StatusKey::Connector("topic moved-a".to_owned()),
        ] {
            assert!(seen.contains(&expected), "{expected:?} is not among {seen:?}");
        }
        assert!(highest > Some(50));
    }

    #[test]
    fn a_connectors_tombstone_leaves_its_tasks_to_their_own() {
        let mut state = StatusState::default();
        let connector = StatusKey::Connector("c1".to_owned());
        state.apply(&log_record(0, &connector.record(&status(State::Running, "w", 1))));
        state.apply(&log_record(1, &task(0).record(&status(State::Unassigned, "w", 1))));
        state.apply(&log_record(2, &connector.tombstone()));
        assert_eq!(state.keys(), [task(0)]);
        state.apply(&log_record(3, &task(0).tombstone()));
        assert_eq!(state.keys(), []);
    }

    #[test]
    fn a_late_unassigned_of_the_last_owner_does_not_hide_the_new_one() {
        let mut state = StatusState::default();
        state.apply(&log_record(0, &task(0).record(&status(State::Running, "new", 6))));
        state.apply(&log_record(1, &task(0).record(&status(State::Unassigned, "old", 5))));
        assert_eq!(state.get(&task(0)).unwrap().worker_id, "new");
        state.apply(&log_record(2, &task(0).record(&status(State::Failed, "old", 5))));
        assert_eq!(state.get(&task(0)).unwrap().state, State::Failed);
    }

    #[test]
    fn safe_writes_give_way_to_a_later_generation_of_another_worker() {
        let mut state = StatusState::default();
        assert!(state.may_put_safe(&task(0), "me", 1));
        state.apply(&log_record(0, &task(0).record(&status(State::Running, "other", 5))));
        assert!(!state.may_put_safe(&task(0), "me", 4));
        assert!(state.may_put_safe(&task(0), "me", 5));
        assert!(state.may_put_safe(&task(0), "other", 1));
    }

    #[test]
    fn what_is_not_understood_is_ignored() {
        let mut state = StatusState::default();
        for (key, value) in [
            ("status-task-c1", "{}"),
            ("status-task-c1-x", "{}"),
            ("status-connector-c1", "{\"state\":\"DANCING\"}"),
            ("status-connector-c1", "[[[["),
            ("status-topic-lonely", "{}"),
            ("else", "{}"),
        ] {
            state.apply(&log_record(0, &KeyValue::new(key, value)));
        }
        assert_eq!(state.keys(), []);
    }
}
