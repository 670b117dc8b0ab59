//! Records must not go round: one cluster under two aliases, and two flows that keep topic names.

use integration_tests::{Heliograph, MirrorProperties, Pair, TestRecord, Topic, assert_mirrored, compare, wait_until};
use kafka_wire::Compression;

use crate::SOON;

integration_tests::scenarios!(
    one_cluster_under_two_aliases_is_copied_once,
    a_cluster_is_not_copied_onto_itself,
    a_topic_that_both_flows_copy_under_its_own_name_is_left_out,
);

const IDENTITY: &str = "org.apache.kafka.connect.mirror.IdentityReplicationPolicy";

fn one(value: &str) -> [TestRecord; 1] {
    [TestRecord::new("k", value)]
}

fn one_cluster_under_two_aliases_is_copied_once(kafka: &mut Pair) {
    let mut client = kafka.source.client();
    let servers = kafka.source.bootstrap_servers();
    let properties = MirrorProperties::new(("loop1", &servers), ("loop2", &servers), ".*looped.*")
        .set("loop2->loop1.enabled", "true")
        .set("loop2->loop1.topics", ".*looped.*")
        .set("loop2->loop1.emit.heartbeats.enabled", "true");
    client.create_topic(Topic::new("looped", 1));
    client.produce("looped", 0, Compression::None, &one("1"));
    let mirror = Heliograph::mirror_maker("loop", &properties);
    let copies = |topic: &str| [format!("loop1.{topic}"), format!("loop2.{topic}")];
    let mut other = kafka.source.client();
    // Each later topic takes a refresh, which would have found the copies of the one before.
    for topic in ["looped", "looped-2", "looped-3"] {
        if topic != "looped" {
            client.create_topic(Topic::new(topic, 1));
            client.produce(topic, 0, Compression::None, &one("1"));
        }
        for copy in copies(topic) {
            assert_mirrored(&mut client, &mut other, topic, &copy, SOON);
        }
    }
    for beats in ["heartbeats", "loop1.heartbeats", "loop2.heartbeats"] {
        wait_until(beats, SOON, || client.partition_count(beats));
    }
    let twice: Vec<String> = client
        .topics()
        .into_iter()
        .filter(|topic| topic.matches("loop1.").count() + topic.matches("loop2.").count() > 1)
        .collect();
    assert_eq!(twice, Vec::<String>::new());
    mirror.stop();
}

fn a_cluster_is_not_copied_onto_itself(kafka: &mut Pair) {
    let mut client = kafka.source.client();
    let servers = kafka.source.bootstrap_servers();
    let properties = MirrorProperties::new(("onto1", &servers), ("onto2", &servers), "onto-itself")
        .set("replication.policy.class", IDENTITY);
    client.create_topic(Topic::new("onto-itself", 1));
    client.produce("onto-itself", 0, Compression::None, &one("1"));
    let mut mirror = Heliograph::mirror_maker("onto", &properties);
    let line = mirror.process().wait_for_line("are one cluster", SOON);
    for says in [
        "MirrorSourceConnector",
        "source.cluster.bootstrap.servers",
        "target.cluster.bootstrap.servers",
        &servers,
    ] {
        assert!(line.contains(says), "{line}");
    }
    assert_eq!(client.records("onto-itself", 0).len(), 1);
    mirror.stop();
}

fn a_topic_that_both_flows_copy_under_its_own_name_is_left_out(kafka: &mut Pair) {
    let (mut east, mut west) = (kafka.source.client(), kafka.target.client());
    let (east_servers, west_servers) = (kafka.source.bootstrap_servers(), kafka.target.bootstrap_servers());
    let properties = MirrorProperties::new(
        ("id-east", &east_servers),
        ("id-west", &west_servers),
        "id-shared, id-east-.*",
    )
    .set("replication.policy.class", IDENTITY)
    .set("id-west->id-east.enabled", "true")
    .set("id-west->id-east.topics", "id-shared, id-west-.*");
    for (client, topics) in [
        (&mut east, ["id-shared", "id-east-1"]),
        (&mut west, ["id-shared", "id-west-1"]),
    ] {
        for topic in topics {
            client.create_topic(Topic::new(topic, 1));
            client.produce(topic, 0, Compression::None, &one(topic));
        }
    }
    let mut mirror = Heliograph::mirror_maker("id-two-ways", &properties);
    assert_mirrored(&mut east, &mut west, "id-east-1", "id-east-1", SOON);
    assert_mirrored(&mut west, &mut east, "id-west-1", "id-west-1", SOON);
    let line = mirror.process().wait_for_line("the flow back copies it", SOON);
    assert!(line.contains("ERROR") && line.contains("id-shared"), "{line}");
    for client in [&mut east, &mut west] {
        let found = client.records("id-shared", 0);
        assert_eq!(compare(&one("id-shared"), &found).first_difference, None);
        assert_eq!(found.len(), 1);
    }
    mirror.stop();
}
