//! Three brokers on both sides, and each of them goes once. `scripts/soak` does the same for longer.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use integration_tests::{
    Heliograph, Kafka, MirrorProperties, Pair, TestClient, TestRecord, Topic, assert_mirrored, pause, wait_until,
};
use kafka_wire::Compression;

use crate::{SOON, flow};

integration_tests::cluster_scenarios!(
    brokers_are_rolled_and_killed_one_by_one,
    brokers_go_one_by_one_under_a_mirror_that_writes_exactly_once,
);

const PARTITIONS: i32 = 3;

fn brokers_are_rolled_and_killed_one_by_one(kafka: &mut Pair) {
    let properties = flow(kafka, "trio", "rolling").replicas(3);
    outlives_each_broker(kafka, "rolling", &properties);
}

/// The coordinators of its transactions are among them.
fn brokers_go_one_by_one_under_a_mirror_that_writes_exactly_once(kafka: &mut Pair) {
    let properties = flow(kafka, "exact-trio", "rolling-once")
        .replicas(3)
        .set("backup.exactly.once.source.support", "enabled")
        .set("exact-trio.consumer.isolation.level", "read_committed");
    outlives_each_broker(kafka, "rolling-once", &properties);
}

fn outlives_each_broker(kafka: &mut Pair, topic: &str, properties: &MirrorProperties) {
    let (mut source, mut target) = (kafka.source.client(), kafka.target.client());
    let copy = properties.mirrored(topic);
    source.create_topic(Topic::new(topic, PARTITIONS).replicas(3));

    let (stop, servers) = (AtomicBool::new(false), kafka.source.bootstrap_servers());
    let mirror = Heliograph::mirror_maker(topic, properties);
    thread::scope(|scope| {
        let producer = scope.spawn(|| keep_producing(&servers, topic, &stop));
        // Stops the producer also when something fails in between: the scope waits for it.
        let _stopper = SetWhenDropped(&stop);
        wait_until("the first copies", SOON, || {
            (target.partition_count(&copy)? == PARTITIONS && !target.records(&copy, 0).is_empty()).then_some(())
        });
        for node in 0..3 {
            roll(&mut kafka.source, node, node == 1);
            roll(&mut kafka.target, node, node == 2);
        }
        stop.store(true, Ordering::Relaxed);
        producer.join().expect("the producer does not give up");
    });
    assert_mirrored(&mut source, &mut target, topic, &copy, SOON);
    mirror.stop();
}

fn roll(kafka: &mut Kafka, node: usize, kill: bool) {
    if kill {
        kafka.kill_node(node)
    } else {
        kafka.stop_node(node)
    }
    // Long enough for others to notice and to lead in its place.
    pause(Duration::from_millis(500));
    kafka.start_node(node);
}

/// About 20 batches a second until it is told to stop.
fn keep_producing(servers: &str, topic: &str, stop: &AtomicBool) {
    let mut client = TestClient::new(servers);
    for batch in 0.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let records = (batch * 10..batch * 10 + 10).map(|n| TestRecord::new("k", n.to_string()));
        client.produce(
            topic,
            batch % PARTITIONS,
            Compression::None,
            &records.collect::<Vec<_>>(),
        );
        pause(Duration::from_millis(50));
    }
}

struct SetWhenDropped<'a>(&'a AtomicBool);

impl Drop for SetWhenDropped<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
