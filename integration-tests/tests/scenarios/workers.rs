//! Workers in a group: ours among themselves, and ours with Java's.

use std::time::Duration;

use integration_tests::{
    ConnectWorker, Heliograph, KafkaDist, Pair, Stream, TestClient, TestRecord, Topic, WorkerGroup, assert_mirrored,
    compare, free_port, pause, wait_until,
};
use kafka_wire::Compression;
use serde_json::{Value, json};

use crate::{SOON, flow};

integration_tests::scenarios!(a_group_of_ours_outlives_its_members, dedicated_nodes_share_a_flow);
integration_tests::real_scenarios!(
    java_and_we_share_a_group,
    java_goes_on_with_our_topics_and_we_with_javas,
);

const PARTITIONS: i32 = 8;

/// A MirrorSourceConnector as it is POSTed, from the pair's source to its target under `alias`.
pub(crate) fn mirror_source(kafka: &Pair, alias: &str, topic: &str, more: &[(&str, &str)]) -> Vec<(String, String)> {
    let (source, target) = (kafka.source.bootstrap_servers(), kafka.target.bootstrap_servers());
    [
        (
            "connector.class",
            "org.apache.kafka.connect.mirror.MirrorSourceConnector",
        ),
        ("source.cluster.alias", alias),
        ("target.cluster.alias", "backup"),
        ("source.cluster.bootstrap.servers", &source),
        ("target.cluster.bootstrap.servers", &target),
        ("topics", topic),
        ("tasks.max", "4"),
        ("replication.factor", "1"),
        ("offset-syncs.topic.replication.factor", "1"),
        ("refresh.topics.interval.seconds", "1"),
        ("sync.topic.acls.enabled", "false"),
    ]
    .iter()
    .chain(more)
    .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
    .collect()
}

pub(crate) fn put(worker: &ConnectWorker, name: &str, config: &[(String, String)]) {
    let config: Vec<(&str, &str)> = config
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect();
    worker.put_connector(name, &config);
}

/// Nothing is missing in the copy; what a killed worker had not committed may be there twice.
fn assert_nothing_lost(source: &mut TestClient, target: &mut TestClient, topic: &str, copy: &str) {
    for partition in 0..PARTITIONS {
        let what = format!("all of {topic}-{partition} in {copy}");
        wait_until(&what, SOON, || {
            let (original, copied) = (source.records(topic, partition), target.records(copy, partition));
            (compare(&original, &copied).lost == 0).then_some(())
        });
    }
}

fn distinct(mut workers: Vec<String>) -> usize {
    workers.sort();
    workers.dedup();
    workers.len()
}

fn a_group_of_ours_outlives_its_members(kafka: &mut Pair) {
    let (mut source, mut target) = (kafka.source.client(), kafka.target.client());
    let group = WorkerGroup::new(&kafka.target.bootstrap_servers(), "ours")
        .set("session.timeout.ms", "6000")
        .set("heartbeat.interval.ms", "1000");
    let mut stream = Stream::new(&mut source, "grouped", PARTITIONS);
    let start = |name: &str| {
        let mut worker = ConnectWorker::heliograph(name, &group);
        worker.wait_until_ready();
        worker
    };
    let (a, b, mut c) = (start("group-a"), start("group-b"), start("group-c"));
    put(&b, "ms", &mirror_source(kafka, "g", "grouped", &[]));
    stream.produce(&mut source, 200);
    let runners = a.wait_until_running("ms", 4, &[a.id(), b.id(), c.id()]);
    assert!(distinct(runners) >= 2, "a group shares its work");
    assert_mirrored(&mut source, &mut target, "grouped", "g.grouped", SOON);

    // An orderly stop hands over exactly.
    b.stop();
    stream.produce(&mut source, 200);
    a.wait_until_running("ms", 4, &[a.id(), c.id()]);
    assert_mirrored(&mut source, &mut target, "grouped", "g.grouped", SOON);

    // Held for longer than its session: the others take over, and it finds its way back.
    c.process().signal("STOP");
    stream.produce(&mut source, 200);
    a.wait_until_running("ms", 4, &[a.id()]);
    assert_nothing_lost(&mut source, &mut target, "grouped", "g.grouped");
    c.process().signal("CONT");
    c.wait_until_ready();
    stream.produce(&mut source, 200);
    wait_until("the work to be shared again", SOON, || {
        (distinct(a.wait_until_running("ms", 4, &[a.id(), c.id()])) == 2).then_some(())
    });
    assert_nothing_lost(&mut source, &mut target, "grouped", "g.grouped");

    // Killed, whoever leads.
    a.kill();
    stream.produce(&mut source, 200);
    c.wait_until_running("ms", 4, &[c.id()]);
    assert_nothing_lost(&mut source, &mut target, "grouped", "g.grouped");
    c.ask("DELETE", "/connectors/ms", None);
    c.stop();
}

fn dist(kafka: &Pair) -> &'static KafkaDist {
    kafka.target.dist().expect("a real Kafka has jars")
}

fn java_and_we_share_a_group(kafka: &mut Pair) {
    let (mut source, mut target) = (kafka.source.client(), kafka.target.client());
    let group = WorkerGroup::new(&kafka.target.bootstrap_servers(), "mixed");
    let mut stream = Stream::new(&mut source, "mixed", PARTITIONS);
    let config = mirror_source(kafka, "m", "mixed", &[]);
    let java = |name: &str| {
        let mut worker = ConnectWorker::java(dist(kafka), name, &group);
        worker.wait_until_ready();
        worker
    };
    let ours = |name: &str| {
        let mut worker = ConnectWorker::heliograph(name, &group);
        worker.wait_until_ready();
        worker
    };

    // Java leads; what we are asked goes to it.
    let theirs = java("mixed-java");
    let mine = ours("mixed-ours");
    put(&mine, "ms", &config);
    let heartbeat = [
        ("connector.class", "MirrorHeartbeatConnector"),
        ("source.cluster.alias", "m"),
        ("target.cluster.alias", "backup"),
        ("source.cluster.bootstrap.servers", &kafka.source.bootstrap_servers()),
        ("target.cluster.bootstrap.servers", &kafka.target.bootstrap_servers()),
        ("heartbeats.topic.replication.factor", "1"),
    ];
    theirs.put_connector("hb", &heartbeat);
    stream.produce(&mut source, 200);
    for worker in [&mine, &theirs] {
        let both = [mine.id(), theirs.id()];
        assert_eq!(distinct(worker.wait_until_running("ms", 4, &both)), 2, "both work");
        worker.wait_until_running("hb", 1, &both);
        let mut names = worker.ask("GET", "/connectors", None);
        names.as_array_mut().expect("a list").sort_by_key(Value::to_string);
        assert_eq!(names, json!(["hb", "ms"]));
    }
    assert_mirrored(&mut source, &mut target, "mixed", "m.mixed", SOON);
    mine.ask("PUT", "/connectors/hb/pause", None);
    wait_until("hb to be paused", SOON, || {
        let status = theirs.ask("GET", "/connectors/hb/status", None);
        (status["tasks"][0]["state"] == "PAUSED").then_some(())
    });
    mine.ask("DELETE", "/connectors/hb", None);

    // We take over, exactly; then we lead, and what Java is asked comes to us.
    theirs.stop();
    stream.produce(&mut source, 200);
    mine.wait_until_running("ms", 4, &[mine.id()]);
    assert_mirrored(&mut source, &mut target, "mixed", "m.mixed", SOON);
    let theirs = java("mixed-java");
    let three: Vec<_> = mirror_source(kafka, "m", "mixed", &[("tasks.max", "3")]);
    put(&theirs, "ms", &three);
    wait_until("three tasks", SOON, || {
        let tasks = mine.ask("GET", "/connectors/ms/tasks", None);
        (tasks.as_array()?.len() == 3).then_some(())
    });
    assert_eq!(
        distinct(theirs.wait_until_running("ms", 3, &[mine.id(), theirs.id()])),
        2
    );
    theirs.ask(
        "POST",
        "/connectors/ms/restart?includeTasks=true&onlyFailed=false",
        None,
    );
    stream.produce(&mut source, 200);
    theirs.wait_until_running("ms", 3, &[mine.id(), theirs.id()]);
    assert_mirrored(&mut source, &mut target, "mixed", "m.mixed", SOON);

    // Java takes over, exactly.
    mine.stop();
    stream.produce(&mut source, 200);
    theirs.wait_until_running("ms", 3, &[theirs.id()]);
    assert_mirrored(&mut source, &mut target, "mixed", "m.mixed", SOON);

    // Java is killed.
    let mine = ours("mixed-ours");
    theirs.wait_until_running("ms", 3, &[mine.id(), theirs.id()]);
    theirs.kill();
    stream.produce(&mut source, 200);
    mine.wait_until_running("ms", 3, &[mine.id()]);
    assert_nothing_lost(&mut source, &mut target, "mixed", "m.mixed");
    mine.ask("DELETE", "/connectors/ms", None);
    mine.stop();
}

fn java_goes_on_with_our_topics_and_we_with_javas(kafka: &mut Pair) {
    let (mut source, mut target) = (kafka.source.client(), kafka.target.client());
    // Compacted as soon as the broker can.
    let mut group = WorkerGroup::new(&kafka.target.bootstrap_servers(), "handed");
    for (key, value) in [
        ("segment.ms", "100"),
        ("min.cleanable.dirty.ratio", "0.001"),
        ("max.compaction.lag.ms", "100"),
        ("delete.retention.ms", "100"),
    ] {
        group = group.set(&format!("config.storage.{key}"), value);
    }
    let mut stream = Stream::new(&mut source, "handed", PARTITIONS);
    let config = |tasks: &str| mirror_source(kafka, "h", "handed", &[("tasks.max", tasks)]);
    let mut seen_by_java = Vec::new();
    for round in 0..2 {
        let mut mine = ConnectWorker::heliograph("handed-ours", &group);
        mine.wait_until_ready();
        if round > 0 {
            assert_eq!(seen(&mine), seen_by_java, "we see what Java saw");
        }
        put(&mine, "ms", &config(if round == 0 { "2" } else { "4" }));
        for name in ["gone-1", "gone-2"] {
            put(&mine, name, &config("1"));
            mine.ask("DELETE", &format!("/connectors/{name}"), None);
        }
        stream.produce(&mut source, 100);
        let tasks = if round == 0 { 2 } else { 4 };
        mine.wait_until_running("ms", tasks, &[mine.id()]);
        assert_mirrored(&mut source, &mut target, "handed", "h.handed", SOON);
        mine.stop();

        compacted(&mut target);
        let mut theirs = ConnectWorker::java(dist(kafka), "handed-java", &group);
        theirs.wait_until_ready();
        assert_eq!(theirs.ask("GET", "/connectors", None), json!(["ms"]));
        stream.produce(&mut source, 100);
        theirs.wait_until_running("ms", tasks, &[theirs.id()]);
        assert_mirrored(&mut source, &mut target, "handed", "h.handed", SOON);
        put(&theirs, "ms", &config("3"));
        theirs.wait_until_running("ms", 3, &[theirs.id()]);
        stream.produce(&mut source, 100);
        assert_mirrored(&mut source, &mut target, "handed", "h.handed", SOON);
        theirs.ask("PUT", "/connectors/ms/stop", None);
        seen_by_java = seen(&theirs);
        theirs.ask("PUT", "/connectors/ms/resume", None);
        theirs.stop();
        compacted(&mut target);
    }
}

/// What a worker tells of the connector `ms` that no restart may change.
fn seen(worker: &ConnectWorker) -> Vec<Value> {
    let mut offsets = worker.ask("GET", "/connectors/ms/offsets", None);
    let list = offsets["offsets"].as_array_mut().expect("a list");
    // A worker has them in any order; other scenarios' heartbeats may be among them.
    list.sort_by_key(|offset| offset["partition"].to_string());
    let mut topics = worker.ask("GET", "/connectors/ms/topics", None);
    let list = topics["ms"]["topics"].as_array_mut().expect("a list");
    list.sort_by_key(Value::to_string);
    vec![offsets, worker.ask("GET", "/connectors/ms/config", None), topics]
}

/// Waits until the broker has compacted the config topic: no key is in it twice.
fn compacted(target: &mut TestClient) {
    let topic = "handed-configs";
    wait_until("the config topic to be compacted", 2 * SOON, || {
        let mut records = target.records(topic, 0);
        // Only closed segments are compacted, and only a record that is so much younger closes one.
        let youngest = records.iter().map(|record| record.timestamp).max().unwrap_or_default();
        let nobodys = TestRecord::new("nobody", "{}").at(youngest + 1000);
        target.produce(topic, 0, Compression::None, &[nobodys]);
        records.retain(|record| record.key.as_deref() != Some(b"nobody".as_slice()));
        let mut keys: Vec<_> = records.iter().map(|record| &record.key).collect();
        keys.sort();
        keys.dedup();
        pause(Duration::from_millis(300));
        (keys.len() == records.len()).then_some(())
    });
}

fn dedicated_nodes_share_a_flow(kafka: &mut Pair) {
    let (mut source, mut target) = (kafka.source.client(), kafka.target.client());
    let (topic, copy) = ("nodes", "nodes-of.nodes");
    let mut stream = Stream::new(&mut source, topic, PARTITIONS);
    let properties = flow(kafka, "nodes-of", "nodes.*")
        .set("tasks.max", "4")
        .set("backup.scheduled.rebalance.max.delay.ms", "1000")
        .set("dedicated.mode.enable.internal.rest", "true");
    let start = |name: &str| {
        let listener = format!("http://127.0.0.1:{}", free_port());
        let mut node = Heliograph::mirror_maker(name, &properties.clone().set("listeners", &listener));
        node.process().wait_for_line("Starting connectors and tasks", SOON);
        node
    };
    let first = start("node-1");
    stream.produce(&mut source, 100);
    assert_mirrored(&mut source, &mut target, topic, copy, SOON);

    // Work moves to the second node, exactly.
    let mut second = start("node-2");
    second.process().wait_for_line("mirroring task=", SOON);
    stream.produce(&mut source, 100);
    assert_mirrored(&mut source, &mut target, topic, copy, SOON);

    // Whichever node has the connector, the leader hears of new topics.
    source.create_topic(Topic::new("nodes-later", 2));
    source.produce("nodes-later", 1, Compression::None, &[TestRecord::new("k", "v")]);
    assert_mirrored(&mut source, &mut target, "nodes-later", "nodes-of.nodes-later", SOON);

    // The first node led; the other takes over everything, exactly.
    first.stop();
    stream.produce(&mut source, 100);
    assert_mirrored(&mut source, &mut target, topic, copy, SOON);
    source.create_topic(Topic::new("nodes-last", 1));
    source.produce("nodes-last", 0, Compression::None, &[TestRecord::new("k", "v")]);
    assert_mirrored(&mut source, &mut target, "nodes-last", "nodes-of.nodes-last", SOON);
    second.stop();
}
