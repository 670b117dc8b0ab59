//! What a flow leaves behind that is switched off, as `heliograph leftovers` tells it.

use std::collections::BTreeSet;

use integration_tests::{Heliograph, MirrorProperties, Pair, TestRecord, Topic, assert_mirrored, scratch_dir};
use kafka_wire::Compression;
use serde_json::Value;

use crate::{
    SOON, flow,
    groups::{expect_next, with_groups},
};

integration_tests::scenarios!(a_flow_that_was_switched_off_is_found_with_all_it_left);

/// The exit code, and kind and name of everything that is said about the flow from `alias`.
fn leftovers(properties: &MirrorProperties, alias: &str) -> (Option<i32>, BTreeSet<(String, String)>) {
    let dir = scratch_dir("leftovers");
    std::fs::create_dir_all(&dir).expect("the scratch directory can be written");
    let file = dir.join(format!("{alias}.properties"));
    properties.write(&file);
    let args = [
        "leftovers",
        file.to_str().expect("a plain path"),
        "--json",
        "--timeout-ms",
        "20000",
    ];
    let (status, said) = Heliograph::run(&args, SOON);
    let json = said.lines().find(|line| line.starts_with('{'));
    let json: Value = serde_json::from_str(json.unwrap_or_else(|| panic!("{said}"))).expect("JSON");
    let clusters = json["clusters"].as_array().expect("a list").iter();
    let all = clusters.flat_map(|cluster| cluster["leftovers"].as_array().unwrap_or_else(|| panic!("{cluster}")));
    let text = |one: &Value, field: &str| one[field].as_str().expect("a text").to_owned();
    // Other stories have left something on the same brokers.
    let flow = format!("{alias}->{}", properties.target());
    let of_flow = all.filter(|one| text(one, "flow") == flow);
    let found = of_flow.map(|one| (text(one, "kind"), text(one, "name"))).collect();
    (status.code(), found)
}

fn set(expected: &[(&str, &str)]) -> BTreeSet<(String, String)> {
    let owned = expected
        .iter()
        .map(|(kind, name)| ((*kind).to_owned(), (*name).to_owned()));
    owned.collect()
}

fn a_flow_that_was_switched_off_is_found_with_all_it_left(kafka: &mut Pair) {
    let (mut source, mut target) = (kafka.source.client(), kafka.target.client());
    let properties = with_groups(flow(kafka, "left", "left-.*")).set("groups", "left-group");
    for topic in ["left-orders", "left-others"] {
        source.create_topic(Topic::new(topic, 1));
        source.produce(topic, 0, Compression::None, &[TestRecord::new("k", "v")]);
    }
    source.commit_offsets("left-group", &[("left-orders", 0, 1)]);
    let mirror = Heliograph::mirror_maker("left", &properties);
    let off = properties
        .clone()
        .flow("enabled", "false")
        .flow("emit.heartbeats.enabled", "false");
    assert_mirrored(&mut source, &mut target, "left-others", "left.left-others", SOON);
    expect_next(
        &mut source,
        &mut target,
        "left-group",
        "left-orders",
        "left.left-orders",
        (0, 1),
    );
    let (_, found) = leftovers(&off, "left");
    assert_eq!(found, set(&[]), "somebody else runs it");
    mirror.stop();
    let (_, found) = leftovers(&properties, "left");
    assert_eq!(found, set(&[]), "the flow is on");

    // A topic is taken out: if it comes back, it goes on where it was.
    let narrower = properties.clone().flow("topics", "left-orders");
    let (code, found) = leftovers(&narrower, "left");
    let heartbeats = ("copy", "left.heartbeats");
    assert_eq!((code, found), (Some(1), set(&[("stored offset", "left-others-0")])));

    // The flow is switched off.
    let (code, mut found) = leftovers(&off, "left");
    found.remove(&(heartbeats.0.to_owned(), heartbeats.1.to_owned()));
    let expected = set(&[
        ("worker topic", "mm2-configs.left.internal"),
        ("worker topic", "mm2-offsets.left.internal"),
        ("worker topic", "mm2-status.left.internal"),
        ("checkpoints", "left.checkpoints.internal"),
        ("offset syncs", "mm2-offset-syncs.backup.internal"),
        ("copy", "left.left-orders"),
        ("copy", "left.left-others"),
        ("group", "left-group"),
    ]);
    assert_eq!((code, found), (Some(1), expected));
}
