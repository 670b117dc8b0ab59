//! Groups of the consumer protocol of KIP-848 (`group.protocol=consumer`), with real members.

use std::{
    io::{BufRead, BufReader},
    process::{Child, ChildStdin, Command, Stdio},
};

use integration_tests::{Heliograph, Pair, TestRecord, Topic, assert_mirrored, report, wait_until};
use kafka_wire::Compression;

use crate::{
    SOON, drill, flow,
    groups::{expect_checkpoint, expect_next, with_groups},
};

integration_tests::real_scenarios!(groups_of_the_new_protocol_cross_as_those_of_the_old_one);

const GROUP: &str = "next-generation";
const TOPIC: &str = "for-members";

/// Reads a topic to the ends, says the first record of each partition, commits where it is told to, and stays a member
/// until its standard input ends.
const MEMBER: &str = r#"
import sys, threading
from confluent_kafka import Consumer, TopicPartition
servers, group, topic, *positions = sys.argv[1:]
c = Consumer({"bootstrap.servers": servers, "group.id": group, "group.protocol": "consumer",
              "enable.auto.commit": False, "auto.offset.reset": "earliest"})
first, assigned = {}, set()
c.subscribe([topic], on_assign=lambda _, partitions: assigned.update(p.partition for p in partitions))
while len(assigned) < len(positions) or len(first) < sum(1 for p in positions if p != "at-end"):
    m = c.poll(1)
    if m is not None and m.error() is None:
        first.setdefault(m.partition(), (m.offset(), m.value().decode()))
offsets = [TopicPartition(topic, n, int(p)) for n, p in enumerate(positions) if p not in ("read", "at-end")]
if offsets:
    c.commit(offsets=offsets, asynchronous=False)
print(" ".join(f"{n}:{o}:{v}" for n, (o, v) in sorted(first.items())), flush=True)
ended = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
while not ended.is_set():
    c.poll(0.2)
c.close()
"#;

/// A member of a group, until it is told to leave.
struct Member {
    child: Child,
    stdin: Option<ChildStdin>,
    /// Partition, offset and value of the first record that it got of each partition.
    first: Vec<(i32, i64, String)>,
}

impl Member {
    /// Joins. What is said of each partition: where to commit, `read` (commit nothing), or `at-end`: no record is expected.
    fn join(servers: &str, topic: &str, positions: [&str; 3]) -> Self {
        let mut child = Command::new("python3")
            .args(["-c", MEMBER, servers, GROUP, topic])
            .args(positions)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("it is piped");
        BufReader::new(stdout).read_line(&mut line).expect("it speaks");
        let first = line.split_whitespace().map(|one| {
            let mut parts = one.split(':');
            let mut next = || parts.next().expect("partition:offset:value");
            let numbers = (next().parse().expect("a number"), next().parse().expect("a number"));
            (numbers.0, numbers.1, next().to_owned())
        });
        Self {
            first: first.collect(),
            stdin: child.stdin.take(),
            child,
        }
    }

    fn leave(mut self) {
        drop(self.stdin.take());
        let status = self.child.wait().expect("it was started by us");
        assert!(status.success(), "{status}");
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn records(range: std::ops::Range<u32>) -> Vec<TestRecord> {
    range
        .map(|n| TestRecord::new(format!("k{n}"), format!("v{n}")))
        .collect()
}

fn groups_of_the_new_protocol_cross_as_those_of_the_old_one(kafka: &mut Pair) {
    let has_it = Command::new("python3")
        .args([
            "-c",
            "import confluent_kafka as k; assert k.libversion()[1] >= 0x020a0000",
        ])
        .output()
        .is_ok_and(|o| o.status.success());
    if !has_it {
        report("skipped: groups of KIP-848 need python3 with confluent_kafka of librdkafka 2.10");
        return;
    }
    let (mut source, mut target) = (kafka.source.client(), kafka.target.client());
    let properties = with_groups(flow(kafka, "kip848", TOPIC)).set("groups", GROUP);
    let copy = properties.mirrored(TOPIC);
    source.create_topic(Topic::new(TOPIC, 3));
    for partition in 0..3 {
        for chunk in records(0..300).chunks(30) {
            source.produce(TOPIC, partition, Compression::None, chunk);
        }
    }
    let mut mirror = Heliograph::mirror_maker("kip848", &properties);
    assert_mirrored(&mut source, &mut target, TOPIC, &copy, SOON);

    // Positions of a group with members, and of one whose members have left, cross.
    let member = Member::join(&kafka.source.bootstrap_servers(), TOPIC, ["0", "123", "300"]);
    assert_eq!(member.first.iter().map(|first| first.1).collect::<Vec<_>>(), [0, 0, 0]);
    for at in [(0, 0), (1, 123), (2, 300)] {
        expect_next(&mut source, &mut target, GROUP, TOPIC, &copy, at);
        expect_checkpoint(&mut target, "kip848", &copy, GROUP, (at.0, at.1, at.1));
    }
    member.leave();
    source.commit_offsets(GROUP, &[(TOPIC, 1, 150)]);
    expect_next(&mut source, &mut target, GROUP, TOPIC, &copy, (1, 150));

    // A member on the target goes on there, and whoever is in use is left alone.
    let member = Member::join(&kafka.target.bootstrap_servers(), &copy, ["read", "read", "at-end"]);
    let expected = [(0, 0, "v0".to_owned()), (1, 150, "v150".to_owned())];
    assert_eq!(member.first, expected);
    source.commit_offsets(GROUP, &[(TOPIC, 1, 200)]);
    mirror.process().wait_for_line("groups are in use on the target", SOON);
    let (code, done) = drill::ask(&properties, &["failover", "apply"], &[]);
    assert_eq!(code, 1, "{done}");
    let why = done["groups"][0]["error"].as_str().expect("a reason");
    assert!(why.contains("in use"), "{why}");
    assert_eq!(target.committed_offset(GROUP, &copy, 1), Some(150));

    // The group is one of the new protocol there now; without members it is written again.
    member.leave();
    expect_next(&mut source, &mut target, GROUP, TOPIC, &copy, (1, 200));
    mirror.stop();
    source.commit_offsets(GROUP, &[(TOPIC, 0, 77), (TOPIC, 1, 250)]);
    // A source that is slow to answer is not waited for: then it is tried again.
    wait_until("the move to the target", SOON, || {
        let (code, _) = drill::ask(&properties, &["failover", "apply"], &[]);
        let found = [0, 1, 2].map(|partition| target.committed_offset(GROUP, &copy, partition));
        (code == 0 && found == [Some(77), Some(250), Some(300)]).then_some(())
    });

    // And back.
    let member = Member::join(&kafka.target.bootstrap_servers(), &copy, ["100", "299", "at-end"]);
    assert_eq!(member.first, [(0, 77, "v77".to_owned()), (1, 250, "v250".to_owned())]);
    member.leave();
    let back = wait_until("the way back", SOON, || {
        let (code, done) = drill::ask(&properties, &["switchback", "apply"], &[]);
        (code == 0).then_some(done)
    });
    let found = [0, 1, 2].map(|partition| source.committed_offset(GROUP, TOPIC, partition));
    assert_eq!(found, [Some(100), Some(299), Some(300)], "{back}");
}
