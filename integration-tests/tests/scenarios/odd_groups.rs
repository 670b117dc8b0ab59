//! What the operators' commands say of groups that stand where nobody expects them.

use integration_tests::{Heliograph, Pair, TestRecord, Topic, assert_mirrored, wait_until};
use kafka_wire::Compression;
use serde_json::Value;

use crate::{SOON, drill::ask, flow, groups::checkpoints};

integration_tests::scenarios!(groups_at_odd_places_are_moved_to_the_nearest_that_is_right);

const TOPIC: &str = "odd-orders";
const EMPTY: &str = "odd-nothing";

/// Target offset, step and translation of a group's only partition.
fn answer(plan: &Value, group: &str) -> (Option<i64>, String, String) {
    let groups = plan["groups"].as_array().expect("a list");
    let found = groups.iter().find(|one| one["group"] == group);
    let one = &found.unwrap_or_else(|| panic!("no {group} in {plan}"))["partitions"][0];
    let text = |field: &str| one[field].as_str().expect("a text").to_owned();
    (one["to"]["offset"].as_i64(), text("step"), text("translation"))
}

fn groups_at_odd_places_are_moved_to_the_nearest_that_is_right(kafka: &mut Pair) {
    let (mut source, mut target) = (kafka.source.client(), kafka.target.client());
    let properties = flow(kafka, "odd", "odd-.*")
        .set("groups", "odd-.*")
        .set("refresh.groups.interval.seconds", "1");
    let copy = properties.mirrored(TOPIC);
    for topic in [TOPIC, EMPTY] {
        source.create_topic(Topic::new(topic, 1));
    }
    let records: Vec<TestRecord> = (0..100).map(|n| TestRecord::new("k", n.to_string())).collect();
    source.produce(TOPIC, 0, Compression::None, &records);
    source.delete_records(TOPIC, 0, 60);
    for (group, topic, offset) in [
        ("odd-beyond", TOPIC, 1_000_000),
        ("odd-before", TOPIC, 10),
        ("odd with blank", TOPIC, 70),
        ("odd,comma", TOPIC, 80),
        ("odd-empty", EMPTY, 0),
    ] {
        source.commit_offsets(group, &[(topic, 0, offset)]);
    }
    let mirror = Heliograph::mirror_maker("odd", &properties);
    assert_mirrored(&mut source, &mut target, TOPIC, &copy, SOON);
    wait_until("a copy of the empty topic", SOON, || {
        target.partition_count(&properties.mirrored(EMPTY))
    });
    wait_until("checkpoints", SOON, || {
        let made = checkpoints(&mut target, "odd", &copy);
        made.iter().any(|(group, ..)| group == "odd-beyond").then_some(())
    });
    mirror.stop();

    let expected = |step: &str| {
        let commit = |offset: i64| (Some(offset), step.to_owned(), "exact".to_owned());
        [
            ("odd-beyond", commit(40)),
            ("odd-before", commit(0)),
            ("odd with blank", commit(10)),
            ("odd-empty", commit(0)),
        ]
    };
    let all = [
        "--group",
        "odd-beyond",
        "--group",
        "odd-before",
        "--group",
        "odd with blank",
        "--group",
        "odd-empty",
    ];
    let (code, plan) = ask(&properties, &["failover", "plan"], &all);
    assert_eq!(code, 0, "{plan}");
    for (group, answered) in expected("commit") {
        assert_eq!(answer(&plan, group), answered, "{group}");
    }
    let (code, applied) = ask(&properties, &["failover", "apply"], &all);
    assert_eq!(code, 0, "{applied}");
    for (group, (offset, ..)) in expected("commit") {
        let topic = if group == "odd-empty" { EMPTY } else { TOPIC };
        let found = target.committed_offset(group, &properties.mirrored(topic), 0);
        assert_eq!(found, offset, "{group}");
    }
    let (_, plan) = ask(&properties, &["failover", "plan"], &all);
    for (group, answered) in expected("nothing") {
        assert_eq!(answer(&plan, group), answered, "{group}");
    }
    // No task can be given a group with a comma, but the commands can move it.
    let (code, plan) = ask(&properties, &["failover", "plan"], &["--group", "odd,comma"]);
    assert_eq!((code, answer(&plan, "odd,comma").0), (0, Some(20)), "{plan}");

    // A name that was misspelt is no success.
    let (code, plan) = ask(
        &properties,
        &["failover", "plan"],
        &["--group", "odd-typo", "--group", "odd-before"],
    );
    assert_eq!(code, 1, "{plan}");
    let note = plan["notes"][0].as_str().expect("a note");
    assert!(note.contains("odd-typo"), "{note}");
}
