//! The disaster drill: consumers go to the other cluster while theirs is down, and come back, by the operators' commands.

use std::sync::atomic::{AtomicU32, Ordering};

use integration_tests::{
    Heliograph, Isolation, MirrorProperties, Pair, TestClient, TestRecord, Topic, assert_mirrored,
};
use kafka_wire::Compression;
use serde_json::Value;

use crate::{SOON, flow, groups};

integration_tests::scenarios!(consumers_fail_over_and_come_back);

const GROUP: &str = "drilled-processors";
const ORDERS: &str = "drill-orders";

fn orders(range: std::ops::Range<u32>) -> Vec<TestRecord> {
    range
        .map(|n| TestRecord::new(format!("order-{n}"), format!("{n}")).header("n", Some(&n.to_be_bytes())))
        .collect()
}

/// A command's exit code and what it says as JSON.
pub(crate) fn ask(properties: &MirrorProperties, command: &[&str], more: &[&str]) -> (i32, Value) {
    // Scenarios of one process may run side by side.
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("drill-{}-{number}.properties", std::process::id());
    let file = integration_tests::target_dir().join(name);
    properties.write(&file);
    let mut args = command.to_vec();
    let file_name = file.to_str().expect("a plain path");
    args.extend([
        file_name,
        "--json",
        "--timeout-ms",
        "20000",
        "--source-timeout-ms",
        "2000",
    ]);
    if command[0] == "verify" {
        args.truncate(args.len() - 2);
    }
    args.extend(more);
    let (status, said) = Heliograph::run(&args, SOON);
    std::fs::remove_file(&file).expect("the file is there");
    let json = said.lines().find(|line| line.starts_with('{'));
    let json = json.unwrap_or_else(|| panic!("{args:?} ended with {status} and said: {said}"));
    (
        status.code().expect("it ended by itself"),
        serde_json::from_str(json).expect("JSON"),
    )
}

/// The offsets that a plan has for each partition of its only group.
fn offsets(plan: &Value) -> Vec<(i64, i64, String)> {
    let groups = plan["groups"].as_array().expect("a list");
    assert_eq!(groups.len(), 1, "{plan}");
    let partitions = groups[0]["partitions"].as_array().expect("a list").iter();
    let offsets = partitions.map(|one| {
        let to = &one["to"];
        let step = one["step"].as_str().expect("a text").to_owned();
        (to["partition"].as_i64().unwrap(), to["offset"].as_i64().unwrap(), step)
    });
    offsets.collect()
}

fn steps(steps: [(i64, i64, &str); 3]) -> Vec<(i64, i64, String)> {
    steps
        .map(|(partition, offset, step)| (partition, offset, step.to_owned()))
        .to_vec()
}

fn committed(client: &mut TestClient, topic: &str) -> [Option<i64>; 3] {
    [0, 1, 2].map(|partition| client.committed_offset(GROUP, topic, partition))
}

fn consumers_fail_over_and_come_back(kafka: &mut Pair) {
    let (mut source, mut target) = (kafka.source.client(), kafka.target.client());
    let properties = flow(kafka, "main", ORDERS)
        .set("groups", GROUP)
        .set("refresh.groups.interval.seconds", "1")
        .set("consumer.poll.timeout.ms", "100");
    let copy = properties.mirrored(ORDERS);
    source.create_topic(Topic::new(ORDERS, 3));
    for partition in 0..3 {
        for chunk in orders(0..400).chunks(40) {
            source.produce(ORDERS, partition, Compression::Lz4, chunk);
        }
    }
    source.commit_offsets(GROUP, &[(ORDERS, 0, 0), (ORDERS, 1, 123), (ORDERS, 2, 400)]);
    let mirror = Heliograph::mirror_maker("disaster", &properties);
    assert_mirrored(&mut source, &mut target, ORDERS, &copy, SOON);
    for (partition, offset) in [(0, 0), (1, 123), (2, 400)] {
        groups::expect_checkpoint(&mut target, "main", &copy, GROUP, (partition, offset, offset));
    }
    let (code, report) = ask(&properties, &["verify"], &[]);
    assert_eq!((code, &report["verdict"]), (0, &Value::from("same")), "{report}");
    let same: Vec<_> = report["partitions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["same"].as_i64())
        .collect();
    assert_eq!(same, [Some(400); 3]);
    let status = integration_tests::wait_until("a status that speaks for failing over", SOON, || {
        let (code, status) = ask(&properties, &["status"], &[]);
        (code == 0).then_some(status)
    });
    let status = &status["flows"][0];
    assert!(
        status["groups"][0]["partitions"]
            .as_array()
            .unwrap()
            .iter()
            .all(|one| one["translation"] == "exact")
    );
    for partition in status["partitions"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|one| one["topic"] == ORDERS)
    {
        let numbers = ["position", "sourceEnd", "targetEnd", "lag"].map(|name| partition[name].as_i64());
        assert_eq!(numbers, [Some(400), Some(400), Some(400), Some(0)], "{partition}");
    }
    assert!(status["tasks"].as_array().unwrap().len() >= 4, "{status}");
    let (_, plan) = ask(&properties, &["failover", "plan"], &[]);
    assert!(
        plan["groups"][0]["partitions"]
            .as_array()
            .unwrap()
            .iter()
            .all(|one| one["translation"] == "exact"),
        "{plan}"
    );

    // The source is gone.
    drop(source);
    kafka.source.stop_node(0);
    let (code, plan) = ask(&properties, &["failover", "plan"], &[]);
    assert_eq!(code, 0, "{plan}");
    assert_eq!(
        offsets(&plan),
        steps([(0, 0, "commit"), (1, 123, "commit"), (2, 400, "commit")])
    );
    assert!(
        plan["notes"][0]
            .as_str()
            .unwrap()
            .contains("cluster main cannot be asked"),
        "{plan}"
    );
    assert_eq!(committed(&mut target, &copy), [None; 3], "a plan writes nothing");
    let (code, status) = ask(&properties, &["status"], &[]);
    assert_eq!(code, 1, "{status}");
    assert!(
        status["flows"][0]["because"][0]
            .as_str()
            .unwrap()
            .contains("is not known"),
        "{status}"
    );

    // Whoever is in use there is not touched.
    let member = target.join_group(GROUP);
    let (code, done) = ask(&properties, &["failover", "apply"], &[]);
    assert_eq!(code, 1, "{done}");
    assert!(
        done["groups"][0]["error"].as_str().unwrap().contains("in use"),
        "{done}"
    );
    assert_eq!(committed(&mut target, &copy), [None; 3]);
    target.leave_group(member);

    let (code, done) = ask(&properties, &["failover", "apply"], &[]);
    assert_eq!(
        (code, done["groups"][0]["committed"].as_array().unwrap().len()),
        (0, 3),
        "{done}"
    );
    assert_eq!(committed(&mut target, &copy), [Some(0), Some(123), Some(400)]);
    let next = target.read_some(&copy, 1, 123);
    let next = next.iter().find(|record| record.offset >= 123).expect("there are more");
    assert!(next.same_as(&orders(123..124)[0]), "the next order is {next:?}");

    // They consume on, and orders are taken there.
    target.produce(&copy, 2, Compression::None, &orders(9000..9005));
    target.commit_offsets(GROUP, &[(&copy, 1, 300), (&copy, 2, 403)]);
    let (code, done) = ask(&properties, &["failover", "apply"], &[]);
    assert_eq!(
        (code, offsets(&done)),
        (0, steps([(0, 0, "nothing"), (1, 123, "rewind"), (2, 400, "rewind")]))
    );
    assert_eq!(
        committed(&mut target, &copy),
        [Some(0), Some(300), Some(403)],
        "nobody goes back"
    );

    // The source is back, and so are they.
    kafka.source.start_node(0);
    let mut source = kafka.source.client();
    let (code, plan) = ask(&properties, &["switchback", "plan"], &[]);
    assert_eq!(code, 0, "{plan}");
    assert_eq!(
        offsets(&plan),
        steps([(0, 0, "nothing"), (1, 300, "commit"), (2, 400, "nothing")])
    );
    assert_eq!(plan["groups"][0]["partitions"][1]["translation"], "exact", "{plan}");
    assert_eq!(plan["groups"][0]["partitions"][2]["leftBehind"], 2, "{plan}");
    let note = plan["notes"][0].as_str().expect("a note");
    assert!(
        note.contains("up to 5 records") && note.contains("offsets 400..404"),
        "{note}"
    );
    assert_eq!(committed(&mut source, ORDERS), [Some(0), Some(123), Some(400)]);
    for _ in 0..2 {
        let (code, done) = ask(&properties, &["switchback", "apply"], &[]);
        assert_eq!(code, 0, "{done}");
        assert_eq!(committed(&mut source, ORDERS), [Some(0), Some(300), Some(400)]);
    }

    // The mirror goes on; what was written to the copy is found and counted.
    for partition in 0..3 {
        source.produce(ORDERS, partition, Compression::None, &orders(400..450));
    }
    for (partition, end) in [(0, 450), (1, 450), (2, 455)] {
        integration_tests::wait_until("the new orders on the target", SOON, || {
            (target.log_end(&copy, partition, Isolation::ReadUncommitted) == end).then_some(())
        });
    }
    let (code, report) = ask(
        &properties,
        &["verify"],
        &["--flow", "main->backup", "--topics", ORDERS],
    );
    assert_eq!((code, &report["verdict"]), (1, &Value::from("different")), "{report}");
    let found = report["partitions"].as_array().unwrap();
    let counts: Vec<_> = found
        .iter()
        .map(|one| (one["same"].as_i64().unwrap(), one["extra"].as_i64().unwrap()))
        .collect();
    assert_eq!(counts, [(450, 0), (450, 0), (450, 5)], "{report}");
    let first = &found[2]["firstDifference"];
    assert_eq!(
        (&first["sourceOffset"], &first["targetOffset"]),
        (&Value::Null, &Value::from(400)),
        "{report}"
    );
    // Behind it all is well, which the offset syncs know where to look for.
    for range in [["--from-offset", "400"], ["--last", "49"]] {
        let (code, report) = ask(&properties, &["verify"], &range);
        assert_eq!(code, 0, "{report}");
    }
    mirror.stop();
}
