//! Exactly once: whatever becomes of the workers, who reads committed records sees each one once, in order.

use std::time::Duration;

use integration_tests::{
    ConnectWorker, Heliograph, Isolation, MirrorProperties, Pair, Stream, TestClient, TestRecord, WorkerGroup, compare,
    pause, wait_until,
};
use serde_json::json;

use crate::{
    SOON, flow,
    workers::{mirror_source, put},
};

integration_tests::scenarios!(
    a_mirror_that_is_killed_again_and_again_repeats_nothing,
    a_worker_that_was_taken_for_dead_writes_no_more,
    the_last_offsets_count_with_their_records,
);
integration_tests::real_scenarios!(java_and_we_share_a_group_exactly_once);

const PARTITIONS: i32 = 4;

fn committed(client: &mut TestClient, topic: &str, partition: i32) -> Vec<TestRecord> {
    match client.partition_count(topic) {
        Some(_) => client.records_from(topic, partition, 0, Isolation::ReadCommitted),
        None => Vec::new(),
    }
}

/// How many records are committed in all partitions.
fn committed_count(client: &mut TestClient, topic: &str) -> usize {
    (0..PARTITIONS)
        .map(|partition| committed(client, topic, partition).len())
        .sum()
}

/// Waits until everything is there, and says what is wrong with it.
fn assert_exactly_once(source: &mut TestClient, target: &mut TestClient, topic: &str, copy: &str) {
    for partition in 0..PARTITIONS {
        let original = source.records(topic, partition);
        let what = format!("all {} records in {copy}-{partition}", original.len());
        let copied = wait_until(&what, SOON, || {
            let copied = committed(target, copy, partition);
            (copied.len() >= original.len()).then_some(copied)
        });
        assert_eq!(compare(&original, &copied).first_difference, None, "{copy}-{partition}");
        assert_eq!(copied.len(), original.len(), "{copy}-{partition}");
    }
}

pub(crate) fn exactly_once(properties: MirrorProperties, source: &str) -> MirrorProperties {
    let target = properties.target().to_owned();
    properties
        .set(&format!("{target}.exactly.once.source.support"), "enabled")
        .set(&format!("{source}.consumer.isolation.level"), "read_committed")
}

fn a_mirror_that_is_killed_again_and_again_repeats_nothing(kafka: &mut Pair) {
    let (mut source, mut target) = (kafka.source.client(), kafka.target.client());
    let mut stream = Stream::new(&mut source, "once", PARTITIONS).per_batch(20);
    let properties = exactly_once(flow(kafka, "eo", "once"), "eo");
    let copy = properties.mirrored("once");
    stream.produce(&mut source, 200);
    for round in 0..4 {
        let mirror = Heliograph::mirror_maker("exactly-once", &properties);
        let before = committed_count(&mut target, &copy);
        stream.produce(&mut source, 400);
        let what = format!("something to be copied in round {round}");
        wait_until(&what, SOON, || {
            (committed_count(&mut target, &copy) > before).then_some(())
        });
        stream.produce(&mut source, 400);
        // Somewhere in the middle of what has just been written.
        pause(Duration::from_millis(30 * round));
        mirror.kill();
    }
    let mut mirror = Heliograph::mirror_maker("exactly-once", &properties);
    assert_exactly_once(&mut source, &mut target, "once", &copy);
    stream.produce(&mut source, 200);
    assert_exactly_once(&mut source, &mut target, "once", &copy);
    let log = mirror.process().log();
    assert!(!log.contains("ERROR"), "{log}");
    mirror.stop();
}

fn the_last_offsets_count_with_their_records(kafka: &mut Pair) {
    let (mut source, mut target) = (kafka.source.client(), kafka.target.client());
    let mut stream = Stream::new(&mut source, "atomic", PARTITIONS).per_batch(20);
    let properties = exactly_once(flow(kafka, "at", "atomic"), "at");
    let (copy, offsets) = (properties.mirrored("atomic"), properties.offsets_topic());
    stream.produce(&mut source, 100);
    let mirror = Heliograph::mirror_maker("atomic", &properties);
    assert_exactly_once(&mut source, &mut target, "atomic", &copy);
    for partition in 0..PARTITIONS {
        // No interval has to pass.
        let stored = crate::stored_offset(&mut target, &offsets, "at", "atomic", partition);
        assert_eq!(stored, Some(99), "atomic-{partition}");
    }
    mirror.stop();
}

fn a_worker_that_was_taken_for_dead_writes_no_more(kafka: &mut Pair) {
    let (mut source, mut target) = (kafka.source.client(), kafka.target.client());
    let group = WorkerGroup::new(&kafka.target.bootstrap_servers(), "eos")
        .set("exactly.once.source.support", "enabled")
        .set("session.timeout.ms", "6000")
        .set("heartbeat.interval.ms", "1000");
    let start = |name: &str| {
        let mut worker = ConnectWorker::heliograph(name, &group);
        worker.wait_until_ready();
        worker
    };
    let mut stream = Stream::new(&mut source, "zombie", PARTITIONS).per_batch(20);
    let (a, mut b) = (start("eos-a"), start("eos-b"));
    let more = [
        ("exactly.once.support", "required"),
        ("source.consumer.isolation.level", "read_committed"),
    ];
    put(&a, "ms", &mirror_source(kafka, "z", "zombie", &more));
    stream.produce(&mut source, 200);
    a.wait_until_running("ms", 4, &[a.id(), b.id()]);
    assert_exactly_once(&mut source, &mut target, "zombie", "z.zombie");

    // Held in the middle of its work, until the other has it.
    stream.produce(&mut source, 400);
    b.process().signal("STOP");
    a.wait_until_running("ms", 4, &[a.id()]);
    stream.produce(&mut source, 200);
    assert_exactly_once(&mut source, &mut target, "zombie", "z.zombie");
    b.process().signal("CONT");
    stream.produce(&mut source, 400);
    b.wait_until_ready();
    wait_until("the work to be shared again", SOON, || {
        let runners = a.wait_until_running("ms", 4, &[a.id(), b.id()]);
        runners.iter().any(|runner| runner == b.id()).then_some(())
    });
    stream.produce(&mut source, 200);
    assert_exactly_once(&mut source, &mut target, "zombie", "z.zombie");

    // Other tasks take the place of these: those are fenced, and nothing is copied twice.
    let mut config = mirror_source(kafka, "z", "zombie", &more);
    config.retain(|(key, _)| key != "tasks.max");
    config.push(("tasks.max".to_owned(), "2".to_owned()));
    stream.produce(&mut source, 400);
    put(&b, "ms", &config);
    a.wait_until_running("ms", 2, &[a.id(), b.id()]);
    stream.produce(&mut source, 200);
    assert_exactly_once(&mut source, &mut target, "zombie", "z.zombie");

    // What only workers ask each other is signed.
    let answer = a
        .rest()
        .request("PUT", "/connectors/ms/fence", None)
        .expect("an answer");
    assert_eq!(
        (answer.status, &answer.body["message"]),
        (400, &json!("Internal request missing required signature"))
    );

    // Offsets are modified in a transaction of the first task, which is fenced.
    a.ask("PUT", "/connectors/ms/stop", None);
    wait_until("the tasks to be gone", SOON, || {
        let status = a.rest().get("/connectors/ms/status").ok()?.body;
        (status["tasks"] == json!([]) && status["connector"]["state"] == "STOPPED").then_some(())
    });
    a.ask("DELETE", "/connectors/ms/offsets", None);
    assert_eq!(a.ask("GET", "/connectors/ms/offsets", None), json!({"offsets": []}));
    a.ask("DELETE", "/connectors/ms", None);
    a.stop();
    b.stop();
}

fn java_and_we_share_a_group_exactly_once(kafka: &mut Pair) {
    let (mut source, mut target) = (kafka.source.client(), kafka.target.client());
    let dist = kafka.target.dist().expect("a real Kafka has jars");
    let group =
        WorkerGroup::new(&kafka.target.bootstrap_servers(), "eos-mixed").set("exactly.once.source.support", "enabled");
    let mut stream = Stream::new(&mut source, "jointly", PARTITIONS).per_batch(20);
    let mut java = ConnectWorker::java(dist, "eos-java", &group);
    java.wait_until_ready();
    let more = [
        ("exactly.once.support", "required"),
        ("source.consumer.isolation.level", "read_committed"),
    ];
    put(&java, "ms", &mirror_source(kafka, "b", "jointly", &more));
    stream.produce(&mut source, 200);
    java.wait_until_running("ms", 4, &[java.id()]);
    assert_exactly_once(&mut source, &mut target, "jointly", "b.jointly");

    // We come: Java leads, and fences for us.
    let mut ours = ConnectWorker::heliograph("eos-ours", &group);
    ours.wait_until_ready();
    stream.produce(&mut source, 200);
    wait_until("the work to be shared", SOON, || {
        let runners = java.wait_until_running("ms", 4, &[java.id(), ours.id()]);
        runners.iter().any(|runner| runner == ours.id()).then_some(())
    });
    stream.produce(&mut source, 200);
    assert_exactly_once(&mut source, &mut target, "jointly", "b.jointly");

    // Java goes: we lead.
    stream.produce(&mut source, 200);
    java.kill();
    ours.wait_until_running("ms", 4, &[ours.id()]);
    stream.produce(&mut source, 200);
    assert_exactly_once(&mut source, &mut target, "jointly", "b.jointly");

    // Java comes back: we fence for it.
    let mut java = ConnectWorker::java(dist, "eos-java", &group);
    java.wait_until_ready();
    stream.produce(&mut source, 200);
    wait_until("the work to be shared", SOON, || {
        let runners = ours.wait_until_running("ms", 4, &[java.id(), ours.id()]);
        runners.iter().any(|runner| runner == java.id()).then_some(())
    });
    stream.produce(&mut source, 200);
    assert_exactly_once(&mut source, &mut target, "jointly", "b.jointly");

    // Java's own reader agrees.
    let servers = kafka.target.bootstrap_servers();
    let expected = (stream.sent() as i32 * PARTITIONS).to_string();
    let args = [
        "--bootstrap-server",
        &servers,
        "--topic",
        "b.jointly",
        "--from-beginning",
        "--isolation-level",
        "read_committed",
        "--timeout-ms",
        "10000",
    ];
    let read = dist.run_tool("console-consumer", &args, "");
    assert_eq!(
        read.lines().filter(|line| line.starts_with("v-")).count().to_string(),
        expected
    );
    java.stop();
    ours.stop();
}
