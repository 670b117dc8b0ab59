//! What has to be started and stopped, decided from what is wanted and what runs. Pure.

use std::{collections::BTreeMap, sync::Arc};

use super::assignment::Share;
use crate::{
    storage::config::{ConfigState, RawConfig},
    worker::{ConnectorTaskId, TargetState},
};

/// What this worker is to run.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) connectors: BTreeMap<Arc<str>, WantedConnector>,
    pub(super) tasks: BTreeMap<ConnectorTaskId, WantedTask>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WantedConnector {
    pub(super) config: RawConfig,
    pub(super) target: TargetState,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WantedTask {
    pub(super) config: RawConfig,
    pub(super) connector_config: RawConfig,
    /// Changes whenever the connector's task configs are written anew: all its tasks restart then, as in Kafka.
    pub(super) generation: u64,
    /// How many tasks the connector has.
    pub(super) of: usize,
    pub(super) target: TargetState,
}

impl Wanted {
    pub(super) fn new(configs: &ConfigState, share: &Share) -> Self {
        let mut wanted = Self::default();
        for (name, state) in configs.connectors() {
            let (Some(config), target) = (state.config(), state.target_state()) else {
                continue;
            };
            let name: Arc<str> = name.into();
            if share.has_connector(&name) {
                wanted.connectors.insert(
                    name.clone(),
                    WantedConnector {
                        config: config.clone(),
                        target,
                    },
                );
            }
            if target == TargetState::Stopped {
                continue;
            }
            let tasks = state.task_configs();
            let of = tasks.len();
            for (number, task) in (0..).zip(tasks) {
                let id = ConnectorTaskId::new(name.clone(), number);
                if share.may_run_task(&id) {
                    let generation = state.task_generation().unwrap_or_default();
                    let (config, connector_config) = (task.clone(), config.clone());
                    wanted.tasks.insert(
                        id,
                        WantedTask {
                            config,
                            connector_config,
                            generation,
                            of,
                            target,
                        },
                    );
                }
            }
        }
        wanted
    }
}

/// One thing that runs, as far as the plan cares: which version of its configuration, and whether it is on its way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Running<'a, V> {
    pub(super) version: &'a V,
    pub(super) phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Runs, or is paused.
    Active,
    /// Told to stop. What comes next is decided when it has.
    Stopping,
    /// Gone, and not to be started again by itself.
    Failed,
}

/// What to do with one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step<K> {
    /// It runs, and is no longer wanted, or only in another version.
    Stop(K),
    /// It is wanted and not there.
    Start(K),
    /// It failed, and is no longer wanted.
    Forget(K),
}

/// Compares by key and version. Every stop comes before every start.
pub(super) fn steps<K: Ord + Clone, V: PartialEq>(
    wanted: &BTreeMap<K, V>,
    running: &BTreeMap<K, Running<'_, V>>,
) -> Vec<Step<K>> {
    let mut steps = Vec::new();
    for (key, running) in running {
        let still_wanted = wanted.get(key).is_some_and(|version| version == running.version);
        match running.phase {
            Phase::Active if !still_wanted => steps.push(Step::Stop(key.clone())),
            Phase::Failed if !still_wanted => steps.push(Step::Forget(key.clone())),
            Phase::Active | Phase::Stopping | Phase::Failed => {}
        }
    }
    for (key, version) in wanted {
        let start = match running.get(key) {
            None => true,
            Some(running) => running.phase == Phase::Failed && running.version != version,
        };
        if start {
            steps.push(Step::Start(key.clone()));
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use connect_group::Work;

    use super::*;
    use crate::herder::assignment::{Part, task_id};
    use crate::storage::{
        KeyValue, LogState,
        config::{commit_record, connector_record, raw, target_state_record, task_record},
        testdata::log_record,
    };

    fn check(wanted: &[(&str, u64)], running: &[(&str, u64, Phase)], expected: &[Step<&str>]) {
        let wanted: BTreeMap<&str, u64> = wanted.iter().copied().collect();
        let running: BTreeMap<&str, Running<'_, u64>> = running
            .iter()
            .map(|(key, version, phase)| (*key, Running { version, phase: *phase }))
            .collect();
        assert_eq!(steps(&wanted, &running), expected);
    }

    #[test]
    fn what_is_wanted_is_started_and_what_is_not_is_stopped() {
        use Phase::{Active, Failed, Stopping};
        use Step::{Forget, Start, Stop};
        check(&[("a", 1)], &[], &[Start("a")]);
        check(&[], &[("a", 1, Active)], &[Stop("a")]);
        check(&[("a", 1)], &[("a", 1, Active)], &[]);
        check(&[("a", 2)], &[("a", 1, Active)], &[Stop("a")]);
        check(&[("a", 2)], &[("a", 1, Stopping)], &[]);
        check(&[], &[("a", 1, Stopping)], &[]);
        check(&[("a", 1)], &[("a", 1, Failed)], &[]);
        check(&[("a", 2)], &[("a", 1, Failed)], &[Forget("a"), Start("a")]);
        check(&[], &[("a", 1, Failed)], &[Forget("a")]);
        check(&[("b", 1)], &[("a", 1, Active)], &[Stop("a"), Start("b")]);
    }

    fn configs(records: &[KeyValue]) -> ConfigState {
        let mut state = ConfigState::default();
        for (offset, record) in records.iter().enumerate() {
            state.apply(&log_record(offset as i64, record));
        }
        state
    }

    fn config(text: &str) -> RawConfig {
        raw::from_props(&[("k".to_owned(), text.to_owned())].into())
    }

    fn connector_with_two_tasks() -> Vec<KeyValue> {
        let task = |number| task_record(&ConnectorTaskId::new("c", number), &config("t"));
        vec![
            connector_record("c", &config("c")),
            task(0),
            task(1),
            commit_record("c", 2),
        ]
    }

    #[test]
    fn a_single_node_wants_all_there_is() {
        let wanted = Wanted::new(&configs(&connector_with_two_tasks()), &Share::All);
        assert_eq!(wanted.connectors.keys().map(|name| &**name).collect::<Vec<_>>(), ["c"]);
        assert_eq!(wanted.tasks.keys().map(|id| id.task).collect::<Vec<_>>(), [0, 1]);
    }

    #[test]
    fn a_member_of_a_group_wants_its_share() {
        let mut part = Part::default();
        let tasks = [task_id(&ConnectorTaskId::new("c", 1))].into();
        part.assign(&Work { tasks, ..Work::new() }, 4);
        let share = Share::Of(part);
        let wanted = Wanted::new(&configs(&connector_with_two_tasks()), &share);
        assert!(wanted.connectors.is_empty());
        assert_eq!(wanted.tasks.keys().map(|id| id.task).collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn a_stopped_connector_has_no_tasks_and_a_paused_one_has() {
        let with = |target| {
            let records = [connector_with_two_tasks(), vec![target_state_record("c", target)]].concat();
            Wanted::new(&configs(&records), &Share::All)
        };
        assert_eq!(with(TargetState::Stopped).tasks.len(), 0);
        assert_eq!(with(TargetState::Stopped).connectors.len(), 1);
        assert_eq!(with(TargetState::Paused).tasks.len(), 2);
    }

    #[test]
    fn new_task_configs_are_another_version() {
        let before = Wanted::new(&configs(&connector_with_two_tasks()), &Share::All);
        let twice = [connector_with_two_tasks(), connector_with_two_tasks()[1..].to_vec()].concat();
        let after = Wanted::new(&configs(&twice), &Share::All);
        let id = ConnectorTaskId::new("c", 0);
        assert_ne!(before.tasks[&id].generation, after.tasks[&id].generation);
    }
}
