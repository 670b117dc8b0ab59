use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::member::Owners;
use crate::protocol::{Assignment, AssignmentError, ConnectProtocol, Subscription};
use crate::snapshot::ConfigSnapshot;
use crate::work::TaskId;

/// `scheduled.rebalance.max.delay.ms` unless a scenario is about another.
const MAX_DELAY_MS: i64 = 300_000;

fn items(list: &Value) -> Work {
    let mut work = Work::new();
    for item in list.as_array().expect("a list") {
        match item.as_str().expect("a string").split_once('/') {
            None => {
                work.connectors.insert(item.as_str().expect("a string").into());
            }
            Some((connector, task)) => {
                work.tasks
                    .insert(TaskId::new(connector, task.parse().expect("a number")));
            }
        }
    }
    work
}

fn by_member(object: &Value) -> ByMember<Work> {
    let object = object.as_object().expect("an object");
    object
        .iter()
        .map(|(id, list)| (id.as_str().into(), items(list)))
        .collect()
}

fn number(value: &Value) -> i64 {
    value.as_i64().expect("a number")
}

fn configured(object: &Value) -> ConfigSnapshot {
    let object = object.as_object().expect("an object");
    let connector = |(name, tasks): (&String, &Value)| (name.as_str().into(), number(tasks) as u32);
    ConfigSnapshot {
        offset: 0,
        connectors: object.iter().map(connector).collect(),
    }
}

#[test]
fn every_golden_round_comes_out_as_from_the_java_assignor() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/golden-assignor.json");
    let goldens: Value = serde_json::from_str(&std::fs::read_to_string(path).expect("it is there")).expect("JSON");
    for (scenario, rounds) in goldens.as_object().expect("scenarios") {
        let max_delay_ms = if scenario == "delay-zero" { 0 } else { MAX_DELAY_MS };
        let mut assignor = IncrementalAssignor::new(max_delay_ms);
        for round in rounds.as_array().expect("rounds") {
            let moment = Moment {
                last_completed_generation: number(&round["last_completed_generation"]) as i32,
                generation: number(&round["generation"]) as i32,
                now_ms: number(&round["now_ms"]),
            };
            let held = by_member(&round["members_hold"]);
            let shares = assignor.assign(&configured(&round["configured"]).work(), &held, moment);
            let at = format!("{scenario}, {}", round["note"]);
            assert_eq!(shares.assigned, by_member(&round["assigned"]), "assigned in {at}");
            assert_eq!(shares.revoked, by_member(&round["revoked"]), "revoked in {at}");
            assert_eq!(shares.delay_ms, number(&round["delay_ms"]), "delay in {at}");
            let scheduled = number(&round["scheduled_rebalance_at"]);
            assert_eq!(assignor.scheduled_rebalance_ms(), scheduled, "schedule in {at}");
        }
    }
}

#[test]
fn the_eager_assignor_gives_connectors_then_tasks_in_turn() {
    let configured = items(&serde_json::json!(["a", "b", "c", "a/0", "a/1", "b/0", "c/0", "c/1"]));
    let members: Vec<Arc<str>> = ["w1", "w2"].map(Arc::from).to_vec();
    let expected = serde_json::json!({ "w1": ["a", "c", "a/1", "c/0"], "w2": ["b", "a/0", "b/0", "c/1"] });
    assert_eq!(eager::assign(&members, &configured), by_member(&expected));
    assert!(eager::assign(&[], &configured).is_empty());
}

fn subscription(protocol: ConnectProtocol, config_offset: i64, member: &str) -> (Arc<str>, Bytes) {
    let subscription = Subscription {
        url: format!("http://{member}/").into(),
        config_offset,
        allocation: None,
    };
    (member.into(), subscription.encode(protocol))
}

/// What members a and b are told by leader a, that had read up to `own` and can see up to `fresh` now.
fn lead(protocol: ConnectProtocol, own: i64, other: i64, fresh: i64) -> (ByMember<Assignment>, Owners) {
    let snapshot = |offset| ConfigSnapshot {
        offset,
        connectors: BTreeMap::from([("c".into(), 1)]),
    };
    let round = LeaderRound {
        protocol,
        leader: "a".into(),
        moment: Moment {
            last_completed_generation: -1,
            generation: 1,
            now_ms: 0,
        },
        members: vec![subscription(protocol, own, "a"), subscription(protocol, other, "b")],
        snapshot: snapshot(own),
        fresh: &|| snapshot(fresh),
    };
    let (told, owners) = LeaderAssignor::new(MAX_DELAY_MS).assign(round).expect("both are ours");
    let decoded = |(id, bytes)| (id, Assignment::decode(bytes).expect("ours"));
    (told.into_iter().map(decoded).collect(), owners)
}

#[test]
fn a_leader_that_is_behind_looks_again_and_else_assigns_nothing() {
    for protocol in ConnectProtocol::Sessioned.offered() {
        for (own, other, fresh, expected) in [
            (5, 5, 9, Some(5)),
            (5, 3, 9, Some(5)),
            // Fresh reaches or passes the others: its offset counts.
            (5, 7, 7, Some(7)),
            (5, 7, 9, Some(9)),
            (5, 7, 6, None),
        ] {
            let (told, owners) = lead(protocol, own, other, fresh);
            for assignment in told.values() {
                assert_eq!(assignment.config_offset, expected.unwrap_or(other));
                assert_eq!(
                    assignment.error,
                    expected.is_none().then_some(AssignmentError::ConfigMismatch)
                );
                assert_eq!(&*assignment.leader_url, "http://a/");
                assert_eq!(assignment.delay_ms, 0);
            }
            assert_eq!(owners == Owners::default(), expected.is_none());
            assert_eq!(told["a"].assigned.is_empty(), expected.is_none());
        }
    }
}

#[test]
fn the_leader_knows_whom_to_forward_to() {
    let (_, owners) = lead(ConnectProtocol::Eager, 1, 1, 1);
    assert_eq!(owners.of_connector("c").map(|url| &**url), Some("http://a/"));
    assert_eq!(
        owners.of_task(&TaskId::new("c", 0)).map(|url| &**url),
        Some("http://b/")
    );
    assert_eq!(owners.of_task(&TaskId::new("c", 1)), None);
}

/// A group of members that obey, for properties.
struct Model {
    assignor: IncrementalAssignor,
    held: ByMember<Work>,
    generation: i32,
    now_ms: i64,
}

impl Model {
    fn new(max_delay_ms: i64) -> Self {
        Self {
            assignor: IncrementalAssignor::new(max_delay_ms),
            held: ByMember::new(),
            generation: 0,
            now_ms: 1_000,
        }
    }

    /// One round; whether it asked for another.
    fn round(&mut self, configured: &Work) -> bool {
        let moment = Moment {
            last_completed_generation: if self.generation == 0 { -1 } else { self.generation },
            generation: self.generation + 1,
            now_ms: self.now_ms,
        };
        self.generation += 1;
        let shares = self.assignor.assign(configured, &self.held, moment);
        for (member, work) in &mut self.held {
            work.remove(&shares.revoked[member]);
            work.add(&shares.assigned[member]);
            assert_eq!(*work, shares.running[member], "the owners are those who run it");
        }
        self.now_ms += shares.delay_ms;
        shares.delay_ms > 0 || shares.revoked.values().any(|work| !work.is_empty())
    }

    fn settle(&mut self, configured: &Work) {
        for _ in 0..50 {
            if !self.round(configured) {
                return;
            }
        }
        panic!("the group does not come to rest");
    }
}

fn spread(counts: impl Iterator<Item = usize> + Clone) -> usize {
    counts.clone().max().unwrap_or(0) - counts.min().unwrap_or(0)
}

proptest! {
    #[test]
    fn a_group_comes_to_rest_balanced_with_everything_run_once(
        max_delay_ms in prop::sample::select(vec![0, 50, MAX_DELAY_MS]),
        steps in prop::collection::vec((prop::collection::btree_set(0..6u8, 1..5), prop::collection::btree_map("[a-d]", 0..5u32, 0..4)), 1..8),
    ) {
        let mut group = Model::new(max_delay_ms);
        for (members, connectors) in steps {
            let members: BTreeSet<Arc<str>> = members.iter().map(|id| format!("w{id}").into()).collect();
            group.held.retain(|id, _| members.contains(id));
            for id in members {
                group.held.entry(id).or_default();
            }
            let connectors = connectors.into_iter().map(|(name, tasks)| (name.into(), tasks)).collect();
            let configured = ConfigSnapshot { offset: 0, connectors }.work();
            group.settle(&configured);
            group.settle(&configured);
            let count = |part: fn(&Work) -> usize| group.held.values().map(part);
            prop_assert_eq!(count(|work| work.connectors.len()).sum::<usize>(), configured.connectors.len());
            prop_assert_eq!(count(|work| work.tasks.len()).sum::<usize>(), configured.tasks.len());
            let mut all = Work::new();
            group.held.values().for_each(|work| all.add(work));
            prop_assert_eq!(&all, &configured);
            prop_assert!(spread(count(|work| work.connectors.len())) <= 1);
            prop_assert!(spread(count(|work| work.tasks.len())) <= 1);
        }
    }
}
