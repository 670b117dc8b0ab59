//! Records must not go round: one cluster under two aliases, and two flows that keep topic names.

use integration_tests::{
    Heliograph, Isolation, MirrorProperties, Pair, TestClient, TestRecord, Topic, assert_mirrored, compare, wait_until,
};
use kafka_wire::Compression;

use crate::{SOON, flow};

integration_tests::scenarios!(
    one_cluster_under_two_aliases_is_copied_once,
    a_cluster_is_not_copied_onto_itself,
    a_topic_that_both_flows_copy_under_its_own_name_is_left_out,
    of_two_deployments_that_copy_a_topic_to_and_fro_one_gives_way,
    a_topic_that_is_named_like_a_copy_is_spoken_of,
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

/// Neither knows the other's file. Both find out; one leaves the topic out, and the other one goes on.
fn of_two_deployments_that_copy_a_topic_to_and_fro_one_gives_way(kafka: &mut Pair) {
    const TOPIC: &str = "fro-orders";
    const LEFT_OUT: &str = "the flow back copies it";
    let mut clients = [kafka.source.client(), kafka.target.client()];
    let servers = [kafka.source.bootstrap_servers(), kafka.target.bootstrap_servers()];
    let aliases = ["fro-east", "fro-west"];
    let deployment = |from: usize| {
        let to = 1 - from;
        MirrorProperties::new((aliases[from], &servers[from]), (aliases[to], &servers[to]), TOPIC)
            .set("replication.policy.class", IDENTITY)
            .set("offset.lag.max", "0")
    };
    clients[0].create_topic(Topic::new(TOPIC, 1));
    clients[0].produce(TOPIC, 0, Compression::None, &one("first"));
    let mut mirrors = [0, 1].map(|from| Heliograph::mirror_maker(aliases[from], &deployment(from)));
    // The first record goes round until one of them gives way.
    let gave_way = wait_until("one to give way", SOON, || {
        (0..2).find(|from| mirrors[*from].process().log().contains(LEFT_OUT))
    });
    let stays = 1 - gave_way;
    let quiet = || clients_end(&servers, TOPIC);
    let ends = wait_until("nothing to go round any more", SOON, || {
        let ends = quiet();
        integration_tests::pause(std::time::Duration::from_secs(2));
        (ends == quiet()).then_some(ends)
    });
    clients[stays].produce(TOPIC, 0, Compression::None, &one("last"));
    wait_until("the last record on the other side", SOON, || {
        let records = clients[gave_way].records(TOPIC, 0);
        records
            .last()?
            .same_as(&clients[stays].records(TOPIC, 0).pop()?)
            .then_some(())
    });
    integration_tests::pause(std::time::Duration::from_secs(2));
    assert_eq!(quiet(), ends.map(|end| end + 1), "it went there, and not back");
    let log = mirrors[stays].process().log();
    assert!(!log.contains(LEFT_OUT), "{log}");
    mirrors.into_iter().for_each(Heliograph::stop);
}

fn clients_end(servers: &[String; 2], topic: &str) -> [i64; 2] {
    let end = |servers: &String| TestClient::new(servers).log_end(topic, 0, Isolation::ReadUncommitted);
    [end(&servers[0]), end(&servers[1])]
}

fn a_topic_that_is_named_like_a_copy_is_spoken_of(kafka: &mut Pair) {
    let (mut source, mut target) = (kafka.source.client(), kafka.target.client());
    let properties = flow(kafka, "misnaming", "backup.*|named-well");
    target.create_topic(Topic::new("is-there", 1));
    for topic in ["backup.nightly", "backup.is-there", "named-well"] {
        source.create_topic(Topic::new(topic, 1));
        source.produce(topic, 0, Compression::None, &one(topic));
    }
    let mut mirror = Heliograph::mirror_maker("misnaming", &properties);
    assert_mirrored(&mut source, &mut target, "named-well", "misnaming.named-well", SOON);
    let line = mirror.process().wait_for_line("by its name it is a copy", SOON);
    assert!(line.contains("WARN") && line.contains("backup.nightly"), "{line}");
    let log = mirror.process().log();
    assert!(!log.contains("topic=backup.is-there"), "it is a copy: {log}");
    mirror.stop();
}
