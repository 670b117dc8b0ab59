//! What a cluster says about its mirrors: Java's `RemoteClusterUtils` and `MirrorClient` on what we wrote, and ours on what
//! Java wrote.

use integration_tests::{Heliograph, JavaMirrorMaker, Pair, TestRecord, Topic, assert_mirrored, wait_until};
use kafka_wire::Compression;
use serde_json::{Value, json};

use crate::{
    SOON, flow,
    groups::{checkpoints, expect_next, with_groups},
};

integration_tests::real_scenarios!(java_and_we_say_the_same_of_our_mirror_and_of_javas);

const POLICY: &str = "org.apache.kafka.connect.mirror.DefaultReplicationPolicy";

fn java_and_we_say_the_same_of_our_mirror_and_of_javas(kafka: &mut Pair) {
    let dist = kafka.target.dist().expect("a real Kafka has jars");
    for by_java in [false, true] {
        let (mut source, mut target) = (kafka.source.client(), kafka.target.client());
        let alias = if by_java { "said-by-java" } else { "said-by-us" };
        let (topic, group, far) = (
            format!("{alias}-topic"),
            format!("{alias}-group"),
            format!("far-{alias}"),
        );
        let properties = with_groups(flow(kafka, alias, &topic))
            .set("groups", &format!("{group}.*"))
            .set(&format!("backup->{alias}.emit.heartbeats.enabled"), "true");
        let copy = properties.mirrored(&topic);
        source.create_topic(Topic::new(&topic, 2));
        // As if the source were itself a target of another mirror.
        source.create_topic(Topic::new(&format!("{far}.heartbeats"), 1));
        let records: Vec<TestRecord> = (0..200).map(|n| TestRecord::new("k", n.to_string())).collect();
        for partition in 0..2 {
            source.produce(&topic, partition, Compression::None, &records);
        }
        source.commit_offsets(&group, &[(&topic, 0, 200), (&topic, 1, 0)]);
        source.commit_offsets(&format!("{group}-2"), &[(&topic, 1, 200)]);
        let (ours, javas) = match by_java {
            false => (Some(Heliograph::mirror_maker(alias, &properties)), None),
            true => (None, Some(JavaMirrorMaker::start(dist, alias, &properties))),
        };
        assert_mirrored(&mut source, &mut target, &topic, &copy, SOON * 2);
        expect_next(&mut source, &mut target, &group, &topic, &copy, (0, 200));
        wait_until("checkpoints and copied heartbeats", SOON * 2, || {
            target.partition_count(&format!("{alias}.{far}.heartbeats"))?;
            target.partition_count(&format!("{alias}.heartbeats"))?;
            let found = checkpoints(&mut target, alias, &copy);
            let reached = |group: &str, partition| {
                found
                    .iter()
                    .any(|found| (&*found.0, found.1, found.3) == (group, partition, 200))
            };
            (reached(&group, 0) && reached(&format!("{group}-2"), 1)).then_some(())
        });
        if let Some(mirror) = ours {
            mirror.stop();
        }
        if let Some(mirror) = javas {
            mirror.stop();
        }

        let servers = kafka.target.bootstrap_servers();
        let Some(java) = dist.run_source("RemoteClusters.java", &[&servers, POLICY, alias]) else {
            return;
        };
        let java: Value = serde_json::from_str(java.trim()).expect("JSON");
        let ask = |args: &[&str]| -> Value {
            let all = [args, &["--bootstrap-server", &servers, "--json"]].concat();
            let (status, said) = Heliograph::run(&all, SOON);
            assert!(status.success(), "{said}");
            serde_json::from_str(&said).unwrap_or_else(|_| panic!("{said}"))
        };
        let mut mine = ask(&["upstream-clusters", "--source", alias]);
        let offsets = ask(&["offsets", "translate", "--source", alias]);
        mine["offsets"] = sorted(offsets.as_array().expect("a list").iter().map(|row| {
            let mut row = row.clone();
            row.as_object_mut().expect("a row").remove("sourceOffset");
            row
        }));
        let mut java = java;
        java["offsets"] = sorted(java["offsets"].as_array().expect("a list").iter().cloned());
        assert_eq!(mine, java, "{alias}");

        // Neither is right by being empty.
        assert_eq!(
            (&java["upstreamClusters"][alias], &java["upstreamClusters"][&far]),
            (&json!(1), &json!(2)),
            "{java}"
        );
        let has = |list: &str, topic: &str| java[list].as_array().expect("a list").contains(&json!(topic));
        assert!(
            has("remoteTopicsOfSource", &copy) && has("remoteTopics", &copy),
            "{java}"
        );
        assert!(
            has("checkpointTopics", &format!("{alias}.checkpoints.internal")),
            "{java}"
        );
        assert!(has("heartbeatTopics", "heartbeats") && has("heartbeatTopics", &format!("{alias}.heartbeats")));
        let at_end = json!({"group": group, "topic": copy, "partition": 0, "offset": 200, "metadata": ""});
        assert!(java["offsets"].as_array().expect("a list").contains(&at_end), "{java}");
    }
}

fn sorted(rows: impl Iterator<Item = Value>) -> Value {
    let mut rows: Vec<Value> = rows.collect();
    rows.sort_by_key(|row| format!("{} {} {}", row["group"], row["topic"], row["partition"]));
    rows.into()
}
