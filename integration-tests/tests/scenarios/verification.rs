//! Operators' commands that go on watching, and those that look at a Connect cluster instead of dedicated mode.

use std::process::Command;

use integration_tests::{
    ConnectWorker, Heliograph, Pair, Process, TestRecord, Topic, WorkerGroup, assert_mirrored, heliograph_binary,
    target_dir, wait_until,
};
use kafka_wire::Compression;
use serde_json::Value;

use crate::{SOON, drill, flow, stored_offset, workers};

integration_tests::scenarios!(
    a_continuous_comparison_says_what_it_finds_when_it_finds_it,
    the_status_of_a_flow_of_a_connect_cluster,
);

fn numbered(range: std::ops::Range<u32>) -> Vec<TestRecord> {
    range.map(|n| TestRecord::new("k", n.to_string())).collect()
}

fn a_continuous_comparison_says_what_it_finds_when_it_finds_it(kafka: &mut Pair) {
    let (mut source, mut target) = (kafka.source.client(), kafka.target.client());
    let properties = flow(kafka, "compared", "watched-orders");
    let copy = properties.mirrored("watched-orders");
    source.create_topic(Topic::new("watched-orders", 2));
    for partition in 0..2 {
        source.produce("watched-orders", partition, Compression::None, &numbered(0..100));
    }
    let mirror = Heliograph::mirror_maker("compared", &properties);
    assert_mirrored(&mut source, &mut target, "watched-orders", &copy, SOON);
    let file = target_dir().join(format!("watched-{}.properties", std::process::id()));
    properties.write(&file);
    let watch = |name: &str| {
        let mut command = Command::new(heliograph_binary());
        command.args(["verify", "--json", "--continuous"]).arg(&file);
        Process::spawn(name, &mut command, None)
    };

    // As long as nothing is found, nothing is said; what comes meanwhile is looked at, too.
    let mut same = watch("watch-same");
    let mut different = watch("watch-different");
    for round in 1..4 {
        source.produce(
            "watched-orders",
            0,
            Compression::None,
            &numbered(round * 100..round * 100 + 100),
        );
        assert_mirrored(&mut source, &mut target, "watched-orders", &copy, SOON);
    }
    // Both have begun, or their end would be one that nobody asked for.
    wait_until("the watchers", SOON, || {
        (same.is_running() && different.is_running()).then_some(())
    });
    same.signal("TERM");
    let status = same.wait_for_exit(SOON);
    let said = same.log();
    let report = said.lines().rfind(|line| line.starts_with('{'));
    // It may have been stopped before it could compare anything.
    if let Some(report) = report {
        let report: Value = serde_json::from_str(report).expect("JSON");
        assert_eq!(
            (status.code(), &report["verdict"]),
            (Some(0), &Value::from("same")),
            "{said}"
        );
    }

    target.produce(&copy, 1, Compression::None, &[TestRecord::new("not", "ours")]);
    let line = different.wait_for_line("firstDifference", SOON);
    let found: Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!(found["firstDifference"]["targetOffset"], 100, "{line}");
    assert!(different.is_running(), "it goes on");
    source.produce("watched-orders", 1, Compression::None, &numbered(100..150));
    different.signal("TERM");
    assert_eq!(different.wait_for_exit(SOON).code(), Some(1));
    let said = different.log();
    assert_eq!(
        said.lines()
            .filter(|line| line.contains("\"partition\":1") && !line.contains("verdict"))
            .count(),
        1,
        "once: {said}"
    );
    std::fs::remove_file(&file).expect("it was written");
    mirror.stop();
}

fn the_status_of_a_flow_of_a_connect_cluster(kafka: &mut Pair) {
    let (mut source, mut target) = (kafka.source.client(), kafka.target.client());
    let group = WorkerGroup::new(&kafka.target.bootstrap_servers(), "asked-workers");
    let mut worker = ConnectWorker::heliograph("asked", &group);
    source.create_topic(Topic::new("asked-orders", 1));
    source.produce("asked-orders", 0, Compression::None, &numbered(0..100));
    worker.wait_until_ready();
    // Two flows on one worker, with names of somebody's own; only one of them is asked for.
    let no_heartbeats = ("heartbeats.replication.enabled", "false");
    for (name, alias) in [("copies-of-asked-7", "asked"), ("copies-of-other", "other")] {
        workers::put(
            &worker,
            name,
            &workers::mirror_source(kafka, alias, "asked-orders", &[no_heartbeats]),
        );
        assert_mirrored(
            &mut source,
            &mut target,
            "asked-orders",
            &format!("{alias}.asked-orders"),
            SOON,
        );
    }
    let file = target_dir().join(format!("asked-{}.properties", std::process::id()));
    let text = ["config", "offset", "status"].map(|kind| {
        let plural = if kind == "status" {
            kind.to_owned()
        } else {
            format!("{kind}s")
        };
        format!("{kind}.storage.topic = asked-workers-{plural}\n")
    });
    std::fs::write(&file, text.concat()).expect("the target directory can be written");
    let properties = flow(kafka, "asked", "asked-orders")
        .set("groups", "none")
        .set(no_heartbeats.0, no_heartbeats.1);
    let told = [
        "--worker",
        file.to_str().expect("a plain path"),
        "--max-lag-seconds",
        "3600",
    ];
    let status = wait_until("a status that speaks for failing over", SOON, || {
        let (code, status) = drill::ask(&properties, &["status"], &told);
        (code == 0).then(|| status["flows"][0].clone())
    });
    let tasks: Vec<&str> = status["tasks"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|task| task["name"].as_str())
        .collect();
    assert_eq!(tasks, ["copies-of-asked-7", "copies-of-asked-7-0"]);
    let partition = wait_until("a stored position", SOON, || {
        let (_, status) = drill::ask(&properties, &["status"], &told);
        let partition = status["flows"][0]["partitions"][0].clone();
        (partition["position"] == 100).then_some(partition)
    });
    assert_eq!((&partition["lag"], &partition["lagBytes"]), (&0.into(), &0.into()));
    // Dedicated mode would have stored it elsewhere.
    assert_eq!(
        stored_offset(&mut target, &properties.offsets_topic(), "asked", "asked-orders", 0),
        None
    );
    std::fs::remove_file(&file).expect("it was written");
    worker.stop();
}
