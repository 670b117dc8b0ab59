use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use serde_json::Value;
use tracing::{debug, error, info};

use super::record::{
    COMMIT_PREFIX, CONNECTOR_PREFIX, FENCING_PREFIX, LOGGER_PREFIX, Properties, RESTART_PREFIX, RawConfig, SESSION_KEY,
    TARGET_STATE_PREFIX, TASK_PREFIX,
};
use crate::{
    storage::{KeyValue, LogRecord, LogState, record::Table},
    worker::TargetState,
};

/// What the config topic adds up to (Java's `KafkaConfigBackingStore` and `ClusterConfigState`).
#[derive(Debug, Default)]
pub struct ConfigState {
    connectors: BTreeMap<String, ConnectorConfigState>,
    /// Offset behind the last record that decoded: what workers of a group compare.
    config_offset: Option<i64>,
    session_key: Option<SessionKey>,
    events: VecDeque<ConfigEvent>,
    /// While the log is read for the first time, old requests are not acted on.
    live: bool,
    table: Table,
    /// The record that is taken was taken before.
    is_repeated: bool,
}

/// A change that a worker may have to act on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigEvent {
    /// A connector was not configured before, or is not any more.
    AddedOrRemoved(String),
    /// A connector has another configuration or another target state.
    Changed(String),
    /// Configurations of a connector's tasks were committed.
    TasksCommitted(String),
    /// Someone asked for a restart.
    RestartRequested {
        /// Whose.
        connector: String,
        /// Its tasks as well.
        include_tasks: bool,
        /// Only what has failed.
        only_failed: bool,
    },
    /// Someone set the level of a logger for the whole cluster.
    LoggerLevel {
        /// The logger's name.
        logger: String,
        /// The level, as it was given.
        level: String,
    },
    /// The key that signs requests between workers is new.
    SessionKey,
}

/// The key that signs requests between workers.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionKey {
    /// Base64.
    pub key: String,
    /// A Java key algorithm, for example `HmacSHA256`.
    pub algorithm: String,
    /// When it was made, in milliseconds.
    pub creation_timestamp_ms: i64,
}

impl std::fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionKey")
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

/// All that is known of one connector, be it configured or not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectorConfigState {
    config: Option<Arc<RawConfig>>,
    target_state: Option<TargetState>,
    task_count: i32,
    task_configs: BTreeMap<i32, RawConfig>,
    /// Read, but not committed. `None` until the first task record.
    pending_task_configs: Option<BTreeMap<i32, RawConfig>>,
    applied_config: Option<Arc<RawConfig>>,
    inconsistent: bool,
    task_generation: Option<u64>,
    fencing_count: Option<i32>,
    pending_fencing: bool,
}

impl ConnectorConfigState {
    /// The connector's configuration, `None` if it is not configured.
    pub fn config(&self) -> Option<&RawConfig> {
        self.config.as_deref()
    }

    /// The same, to be kept.
    pub fn shared_config(&self) -> Option<Arc<RawConfig>> {
        self.config.clone()
    }

    /// Whether a commit of so many tasks would change nothing.
    fn runs_what_is_pending(&self, count: i32) -> bool {
        let is_known = self.config.is_some() && !self.inconsistent && self.task_count == count;
        is_known && self.pending_task_configs.as_ref() == Some(&self.task_configs)
    }

    /// What a user wants of it.
    pub fn target_state(&self) -> TargetState {
        self.target_state.unwrap_or_default()
    }

    /// The committed task configurations in order; empty while they are inconsistent.
    pub fn task_configs(&self) -> Vec<&RawConfig> {
        if self.inconsistent {
            Vec::new()
        } else {
            (0..self.task_count).filter_map(|n| self.task_configs.get(&n)).collect()
        }
    }

    /// How many tasks were committed last, consistent or not.
    pub fn task_count(&self) -> i32 {
        self.task_count
    }

    /// Whether producers of earlier tasks have to be fenced off before exactly-once tasks start.
    pub fn is_pending_fencing(&self) -> bool {
        self.pending_fencing
    }

    /// How many producers may have written exactly once when this was last noted.
    pub fn fencing_count(&self) -> Option<i32> {
        self.fencing_count
    }

    /// Counts how often task configurations were committed since this worker reads the topic.
    pub fn task_generation(&self) -> Option<u64> {
        self.task_generation
    }

    /// The connector configuration that the committed task configurations were made from.
    pub fn applied_config(&self) -> Option<&RawConfig> {
        self.applied_config.as_deref()
    }

    /// Whether `tasks` have to be written, being what the connector makes of its configuration now. Tasks take a change
    /// of the settings `taken_over` over as they run.
    pub fn needs_task_configs(&self, tasks: &[RawConfig], taken_over: &[&str]) -> bool {
        let current = self.task_configs();
        self.inconsistent
            || usize::try_from(self.task_count) != Ok(tasks.len())
            || current.len() != tasks.len()
            || current.into_iter().zip(tasks).any(|(current, new)| current != new)
            || self.differs_from_applied(taken_over)
    }

    fn differs_from_applied(&self, but_for: &[&str]) -> bool {
        let (Some(applied), Some(config)) = (&self.applied_config, &self.config) else {
            return self.applied_config != self.config;
        };
        let counts = |(key, _): &(&String, _)| !but_for.contains(&key.as_str());
        !applied.iter().filter(counts).eq(config.iter().filter(counts))
    }

    fn forget(&mut self) {
        let kept = (
            self.target_state,
            self.fencing_count,
            self.pending_fencing,
            self.task_generation,
        );
        *self = Self::default();
        (
            self.target_state,
            self.fencing_count,
            self.pending_fencing,
            self.task_generation,
        ) = kept;
    }
}

impl ConfigState {
    /// From now on, requests are acted on.
    pub fn go_live(&mut self) {
        self.live = true;
    }

    /// The configured connectors, by name.
    pub fn connectors(&self) -> impl Iterator<Item = (&str, &ConnectorConfigState)> {
        self.connectors
            .iter()
            .filter(|(_, state)| state.config.is_some())
            .map(|(name, state)| (name.as_str(), state))
    }

    /// One configured connector.
    pub fn connector(&self, name: &str) -> Option<&ConnectorConfigState> {
        self.connectors.get(name).filter(|state| state.config.is_some())
    }

    /// The offset behind the last record that decoded.
    pub fn config_offset(&self) -> Option<i64> {
        self.config_offset
    }

    /// The key that signs requests between workers.
    pub fn session_key(&self) -> Option<&SessionKey> {
        self.session_key.as_ref()
    }

    /// What happened since the last call.
    pub fn take_events(&mut self) -> Vec<ConfigEvent> {
        std::mem::take(&mut self.events).into()
    }

    fn emit(&mut self, event: ConfigEvent) {
        // A change is looked up when it is acted on: telling it twice helps nobody, and keeps this short.
        if self.live && !self.events.contains(&event) {
            self.events.push_back(event);
        }
    }
}

impl LogState for ConfigState {
    fn apply_again(&mut self, record: &LogRecord) {
        self.is_repeated = true;
        self.apply(record);
        self.is_repeated = false;
    }

    fn table(&self) -> Vec<KeyValue> {
        // A request that was followed is over.
        let mut records = self.table.records();
        records.retain(|record| !record.key.starts_with(RESTART_PREFIX.as_bytes()));
        records
    }

    fn apply(&mut self, record: &LogRecord) {
        let value = match record.value.as_deref().map(serde_json::from_slice::<Value>).transpose() {
            Ok(value) => value,
            Err(error) => {
                error!(offset = record.offset, %error, "a record of the config topic is not JSON and ignored");
                return;
            }
        };
        self.table.apply(record);
        self.config_offset = Some(record.offset + 1);
        let Some(key) = record.key.as_deref().and_then(|key| std::str::from_utf8(key).ok()) else {
            return;
        };
        if let Err(reason) = self.apply_value(key, value) {
            error!(
                key,
                offset = record.offset,
                reason,
                "a record of the config topic is not understood and ignored"
            );
        }
    }
}

impl ConfigState {
    /// The order of the tests is that of the Java reader: it decides what a key like `connector-task-x` means.
    fn apply_value(&mut self, key: &str, value: Option<Value>) -> Result<(), &'static str> {
        if let Some(name) = key.strip_prefix(TARGET_STATE_PREFIX) {
            self.apply_target_state(name, value)
        } else if let Some(name) = key.strip_prefix(CONNECTOR_PREFIX) {
            self.apply_connector(name, value)
        } else if let Some(task) = key.strip_prefix(TASK_PREFIX) {
            let (name, number) = task.rsplit_once('-').ok_or("the key names no task")?;
            let number = number.parse().map_err(|_| "the key ends in no task number")?;
            self.apply_task(name, number, value.ok_or("it has no value")?)
        } else if let Some(name) = key.strip_prefix(COMMIT_PREFIX) {
            self.apply_commit(name, &value.ok_or("it has no value")?)
        } else if let Some(name) = key.strip_prefix(RESTART_PREFIX) {
            self.apply_restart(name, &value.ok_or("it has no value")?)
        } else if let Some(name) = key.strip_prefix(FENCING_PREFIX) {
            let count = int(&value.ok_or("it has no value")?, "task-count").ok_or("it has no task-count")?;
            let connector = self.entry(name);
            connector.fencing_count = Some(count);
            connector.pending_fencing = false;
            Ok(())
        } else if key == SESSION_KEY {
            self.apply_session_key(&value.ok_or("it has no value")?)
        } else if let Some(logger) = key.strip_prefix(LOGGER_PREFIX) {
            let value = value.ok_or("it has no value")?;
            let level = value.get("level").and_then(Value::as_str).ok_or("it has no level")?;
            self.emit(ConfigEvent::LoggerLevel {
                logger: logger.to_owned(),
                level: level.to_owned(),
            });
            Ok(())
        } else {
            Err("the key has none of the known prefixes")
        }
    }

    fn entry(&mut self, name: &str) -> &mut ConnectorConfigState {
        if !self.connectors.contains_key(name) {
            self.connectors.insert(name.to_owned(), ConnectorConfigState::default());
        }
        self.connectors.get_mut(name).expect("inserted above")
    }

    fn apply_target_state(&mut self, name: &str, value: Option<Value>) -> Result<(), &'static str> {
        let target = match value {
            None => None,
            Some(value) => {
                let state = value
                    .get("state.v2")
                    .filter(|state| state.is_string())
                    .or_else(|| value.get("state"));
                let state = state.ok_or("it has no state")?.clone();
                Some(serde_json::from_value::<TargetState>(state).map_err(|_| "the state is unknown")?)
            }
        };
        let connector = self.entry(name);
        let before = connector.target_state();
        connector.target_state = target;
        if connector.config.is_some() && connector.target_state() != before {
            self.emit(ConfigEvent::Changed(name.to_owned()));
        }
        Ok(())
    }

    fn apply_connector(&mut self, name: &str, value: Option<Value>) -> Result<(), &'static str> {
        let connector = self.entry(name);
        let was_configured = connector.config.is_some();
        match value {
            None => {
                info!(connector = name, "the connector was removed");
                connector.forget();
            }
            Some(value) => {
                let config = serde_json::from_value::<Properties>(value).map_err(|_| "it is no connector config")?;
                connector.config = Some(Arc::new(config.properties));
                connector.target_state.get_or_insert_default();
            }
        }
        let is_configured = connector.config.is_some();
        let name = name.to_owned();
        self.emit(match was_configured == is_configured {
            true => ConfigEvent::Changed(name),
            false => ConfigEvent::AddedOrRemoved(name),
        });
        Ok(())
    }

    fn apply_task(&mut self, name: &str, number: i32, value: Value) -> Result<(), &'static str> {
        let config = serde_json::from_value::<Properties>(value).map_err(|_| "it is no task config")?;
        let pending = &mut self.entry(name).pending_task_configs;
        pending.get_or_insert_default().insert(number, config.properties);
        Ok(())
    }

    fn apply_commit(&mut self, name: &str, value: &Value) -> Result<(), &'static str> {
        let count = int(value, "tasks").ok_or("it has no count of tasks")?;
        let is_repeated = self.is_repeated;
        let connector = self.entry(name);
        if is_repeated && connector.runs_what_is_pending(count) {
            // Nothing is new for its tasks.
            connector.pending_task_configs.iter_mut().for_each(BTreeMap::clear);
            return Ok(());
        }
        if connector.config.is_none() {
            // A deleted connector, whose own records were compacted away.
            debug!(
                connector = name,
                "task configs of a connector that is not configured are ignored"
            );
            connector.forget();
            return Ok(());
        }
        let pending = connector.pending_task_configs.as_mut();
        let known = |number: i32| pending.as_ref().is_some_and(|pending| pending.contains_key(&number));
        let complete = (0..count).all(known);
        if complete {
            if let Some(pending) = pending {
                connector.task_configs.append(pending);
                connector.task_generation = Some(connector.task_generation.map_or(0, |generation| generation + 1));
            }
            connector.inconsistent = false;
            connector.applied_config = connector.config.clone();
        } else {
            debug!(
                connector = name,
                "the task configs are incomplete: the log was compacted, or a writer was cut off"
            );
            connector.inconsistent = true;
        }
        if let Some(pending) = &mut connector.pending_task_configs {
            pending.clear();
        }
        connector.task_count = count;
        connector.task_configs.retain(|number, _| *number < count);
        connector.pending_fencing = true;
        self.emit(ConfigEvent::TasksCommitted(name.to_owned()));
        Ok(())
    }

    fn apply_restart(&mut self, name: &str, value: &Value) -> Result<(), &'static str> {
        let flag = |field| value.get(field).and_then(Value::as_bool).unwrap_or(false);
        let (include_tasks, only_failed) = (flag("include-tasks"), flag("only-failed"));
        self.emit(ConfigEvent::RestartRequested {
            connector: name.to_owned(),
            include_tasks,
            only_failed,
        });
        Ok(())
    }

    fn apply_session_key(&mut self, value: &Value) -> Result<(), &'static str> {
        let text = |field| value.get(field).and_then(Value::as_str).map(str::to_owned);
        let created = value.get("creation-timestamp").and_then(Value::as_i64);
        let (Some(key), Some(algorithm), Some(creation_timestamp_ms)) = (text("key"), text("algorithm"), created)
        else {
            return Err("it is no session key");
        };
        self.session_key = Some(SessionKey {
            key,
            algorithm,
            creation_timestamp_ms,
        });
        self.emit(ConfigEvent::SessionKey);
        Ok(())
    }
}

fn int(value: &Value, field: &str) -> Option<i32> {
    value.get(field)?.as_i64()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        storage::{
            KeyValue,
            config::{
                commit_record, connector_record, connector_tombstone, raw, target_state_record, target_state_tombstone,
                task_record,
            },
            testdata::{log_record, replay},
        },
        worker::ConnectorTaskId,
    };

    fn config(value: &str) -> RawConfig {
        raw::from_props(&[("k".to_owned(), value.to_owned())].into())
    }

    fn task(number: i32, value: &str) -> KeyValue {
        task_record(&ConnectorTaskId::new("c-1", number), &config(value))
    }

    fn connector(value: &str) -> KeyValue {
        connector_record("c-1", &config(value))
    }

    fn state(records: &[KeyValue]) -> ConfigState {
        let mut state = ConfigState::default();
        state.go_live();
        for (offset, record) in records.iter().enumerate() {
            state.apply(&log_record(offset as i64, record));
        }
        state
    }

    fn tasks(state: &ConfigState) -> Vec<RawConfig> {
        state
            .connector("c-1")
            .map(|c| c.task_configs().into_iter().cloned().collect())
            .unwrap_or_default()
    }

    #[test]
    fn task_configs_count_once_they_are_committed() {
        let pending = [connector("a"), task(0, "0"), task(1, "1")];
        assert!(tasks(&state(&pending)).is_empty());
        let committed = state(&[&pending[..], &[commit_record("c-1", 2)]].concat());
        assert_eq!(tasks(&committed), [config("0"), config("1")]);
        assert_eq!(committed.connector("c-1").unwrap().task_generation(), Some(0));
        assert_eq!(committed.config_offset(), Some(4));
    }

    #[test]
    fn fewer_tasks_than_before_leave_no_rest() {
        let records = [connector("a"), task(0, "0"), task(1, "1"), commit_record("c-1", 2)];
        let fewer = state(&[&records[..], &[task(0, "9"), commit_record("c-1", 1)]].concat());
        assert_eq!(tasks(&fewer), [config("9")]);
        assert_eq!(fewer.connector("c-1").unwrap().task_generation(), Some(1));
        let none = state(&[&records[..], &[commit_record("c-1", 0)]].concat());
        assert!(tasks(&none).is_empty());
        assert!(!none.connector("c-1").unwrap().needs_task_configs(&[], &[]));
    }

    #[test]
    fn a_commit_without_all_its_tasks_is_inconsistent_until_the_next() {
        let cut = [connector("a"), task(1, "1"), commit_record("c-1", 2)];
        let broken = state(&cut);
        assert!(tasks(&broken).is_empty());
        assert!(broken.connector("c-1").unwrap().needs_task_configs(&[], &[]));
        let mended = state(&[&cut[..], &[task(0, "0"), task(1, "1"), commit_record("c-1", 2)]].concat());
        assert_eq!(tasks(&mended).len(), 2);
    }

    #[test]
    fn a_commit_of_an_unconfigured_connector_is_ignored() {
        // After compaction the connector's record may lie behind the commit: its tasks are made anew.
        let state = state(&[task(0, "0"), commit_record("c-1", 1), connector("a")]);
        assert!(tasks(&state).is_empty());
        assert!(state.connector("c-1").unwrap().needs_task_configs(&[config("0")], &[]));
    }

    #[test]
    fn tasks_are_written_again_only_if_something_changed() {
        let records = [connector("a"), task(0, "0"), commit_record("c-1", 1)];
        let check = |more: &[KeyValue], tasks: &[RawConfig], expected: bool| {
            let state = state(&[&records[..], more].concat());
            assert_eq!(state.connector("c-1").unwrap().needs_task_configs(tasks, &[]), expected);
        };
        check(&[], &[config("0")], false);
        check(&[], &[config("1")], true);
        check(&[], &[], true);
        check(&[], &[config("0"), config("1")], true);
        // The same tasks of a changed connector: they have to restart to see the change.
        check(&[connector("b")], &[config("0")], true);
        check(&[connector("a")], &[config("0")], false);
        // But for a change that they take over as they run.
        let state = state(&[&records[..], &[connector("b")]].concat());
        let changed = state.connector("c-1").unwrap();
        assert!(!changed.needs_task_configs(&[config("0")], &["k"]));
        assert!(changed.needs_task_configs(&[config("0")], &["another"]));
        assert!(changed.needs_task_configs(&[config("1")], &["k"]));
    }

    #[test]
    fn the_target_state_outlives_its_connectors_changes() {
        let paused = [
            connector("a"),
            target_state_record("c-1", TargetState::Paused),
            connector("b"),
        ];
        assert_eq!(
            state(&paused).connector("c-1").unwrap().target_state(),
            TargetState::Paused
        );
        let back = state(&[&paused[..], &[target_state_tombstone("c-1")]].concat());
        assert_eq!(back.connector("c-1").unwrap().target_state(), TargetState::Started);
        let stopped = state(&[target_state_record("c-1", TargetState::Stopped), connector("a")]);
        assert_eq!(stopped.connector("c-1").unwrap().target_state(), TargetState::Stopped);
    }

    #[test]
    fn old_workers_target_states_are_read() {
        let old = |state: &str| KeyValue::new("target-state-c-1", format!(r#"{{"state":"{state}"}}"#));
        let read = |record| {
            state(&[connector("a"), record])
                .connector("c-1")
                .unwrap()
                .target_state()
        };
        assert_eq!(read(old("PAUSED")), TargetState::Paused);
        assert_eq!(read(old("SLEEPING")), TargetState::Started);
    }

    #[test]
    fn a_deleted_connector_is_gone() {
        let mut state = state(&[
            connector("a"),
            task(0, "0"),
            commit_record("c-1", 1),
            connector_tombstone("c-1"),
        ]);
        assert_eq!(state.connectors().count(), 0);
        let name = || "c-1".to_owned();
        let expected = [ConfigEvent::AddedOrRemoved(name()), ConfigEvent::TasksCommitted(name())];
        assert_eq!(state.take_events(), expected);
        assert_eq!(state.take_events(), []);
    }

    #[test]
    fn requests_from_before_the_start_are_not_acted_on() {
        let restart = KeyValue::new("restart-connector-c-1", r#"{"include-tasks":true,"only-failed":"x"}"#);
        let mut late = ConfigState::default();
        late.apply(&log_record(0, &restart));
        late.go_live();
        assert_eq!(late.take_events(), []);
        late.apply(&log_record(1, &restart));
        let expected = ConfigEvent::RestartRequested {
            connector: "c-1".to_owned(),
            include_tasks: true,
            only_failed: false,
        };
        assert_eq!(late.take_events(), [expected]);
    }

    #[test]
    fn what_is_not_understood_is_ignored() {
        for (key, value) in [
            ("connector-c-1", "[]"),
            ("connector-c-1", r#"{"properties":{"a":1}}"#),
            ("task-0", "{}"),
            ("commit-c-1", r#"{"tasks":"2"}"#),
            ("commit-c-1", r#"{"tasks":99999999999}"#),
            ("commit-c-1", r#"{"tasks":2147483647}"#),
            ("commit-c-1", r#"{"tasks":-1}"#),
            ("session-key", "{}"),
            ("unheard-of", "{}"),
        ] {
            let state = state(&[connector("a"), KeyValue::new(key, value)]);
            assert_eq!(
                state.connector("c-1").unwrap().config(),
                Some(&config("a")),
                "{key} {value}"
            );
            assert!(tasks(&state).is_empty());
        }
    }

    #[test]
    fn the_log_of_a_real_worker_reads_back() {
        let mut state = ConfigState::default();
        replay(include_str!("../../../testdata/connect-configs.jsonl"), &mut state);
        assert_eq!(state.config_offset(), Some(93));
        assert_eq!(state.session_key().unwrap().algorithm, "HmacSHA256");
        for (name, connector) in state.connectors() {
            assert!(connector.config().unwrap().contains_key("connector.class"), "{name}");
            let tasks: Vec<RawConfig> = connector.task_configs().into_iter().cloned().collect();
            assert!(tasks.iter().all(|task| task.contains_key("task.class")), "{name}");
        }
    }

    #[test]
    fn a_real_workers_requests_and_keys_are_understood() {
        let mut state = ConfigState::default();
        state.go_live();
        replay(include_str!("../../../testdata/connect-configs.jsonl"), &mut state);
        let restart = |connector: &str, only_failed| ConfigEvent::RestartRequested {
            connector: connector.to_owned(),
            include_tasks: true,
            only_failed,
        };
        let events = state.take_events();
        let asked: Vec<_> = events
            .iter()
            .filter(|event| matches!(event, ConfigEvent::RestartRequested { .. }))
            .cloned()
            .collect();
        assert_eq!(
            asked,
            [restart("hb", false), restart("hb", true), restart("hhb", false)]
        );
        assert!(events.contains(&ConfigEvent::SessionKey));
        let level = ConfigEvent::LoggerLevel {
            logger: "org.example.quiet".to_owned(),
            level: "WARN".to_owned(),
        };
        assert!(events.contains(&level), "{events:?}");
        let key = SessionKey {
            key: "A".repeat(43) + "=",
            algorithm: "HmacSHA256".to_owned(),
            creation_timestamp_ms: 1_795_344_200_490,
        };
        assert_eq!(state.session_key(), Some(&key));
    }

    #[test]
    fn transaction_markers_do_not_move_the_config_offset() {
        // A leader with exactly-once writes in transactions: the markers take offsets 1 and 4, and no reader sees them.
        let mut state = ConfigState::default();
        for (offset, record) in [(0, connector("a")), (2, task(0, "0")), (3, commit_record("c-1", 1))] {
            state.apply(&log_record(offset, &record));
        }
        assert_eq!(state.config_offset(), Some(4));
        assert_eq!(tasks(&state), [config("0")]);
    }

    #[test]
    fn half_of_a_real_log_reads_back() {
        // A reader may join at any point: nothing panics, and the connectors so far are there.
        let log = include_str!("../../../testdata/connect-configs.jsonl");
        let mut most_tasks = 0;
        for end in log.match_indices('\n').map(|(end, _)| end) {
            let mut state = ConfigState::default();
            replay(&log[..end], &mut state);
            let count = state
                .connectors()
                .map(|(_, connector)| connector.task_configs().len())
                .sum::<usize>();
            most_tasks = most_tasks.max(count);
        }
        assert!(most_tasks >= 3, "the session ran three tasks of one connector");
    }
}
