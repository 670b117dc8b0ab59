//! What Kafka's own integration tests of MirrorMaker 2 ask for, under both replication policies; `docs/KAFKAS-TESTS.md`
//! says which scenario stands for which of them.

use std::collections::{BTreeMap, HashMap};

use integration_tests::{
    Heliograph, Isolation, MirrorProperties, Pair, TestClient, TestRecord, Topic, assert_mirrored, wait_until,
};
use kafka_wire::Compression;
use serde_json::Value;

use crate::{
    SOON, flow,
    groups::{checkpoints, expect_next, with_groups},
};

/// Kafka's tests have ten of each.
const PARTITIONS: i32 = 10;
const RECORDS: u32 = 10;

/// How copies are named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Policy {
    Default,
    Identity,
}

/// Makes four tests of each body: two policies, two backends.
macro_rules! under_both_policies {
    ($($name:ident),+ $(,)?) => {
        mod default_policy {
            use integration_tests::Pair;
            $(fn $name(kafka: &mut Pair) { super::$name(kafka, super::Policy::Default); })+
            integration_tests::scenarios!($($name),+);
        }
        mod identity_policy {
            use integration_tests::Pair;
            $(fn $name(kafka: &mut Pair) { super::$name(kafka, super::Policy::Identity); })+
            integration_tests::scenarios!($($name),+);
        }
    };
}

under_both_policies!(
    records_heartbeats_and_checkpoints_cross,
    groups_stand_within_the_lag_that_is_allowed,
    offset_syncs_may_lie_on_the_target,
    without_offset_syncs_there_are_no_checkpoints_either,
    no_checkpoint_before_a_record_is_mirrored,
    checkpoints_go_on_over_restarts,
    a_group_far_behind_moves_on_and_back,
    topic_settings_follow_the_source,
    defaults_are_the_sources_if_so_wished,
    a_mirror_may_begin_at_the_end,
);

/// The names of one scenario, which are its own on clusters that are shared.
struct Story {
    policy: Policy,
    alias: String,
}

impl Story {
    fn new(policy: Policy, name: &str) -> Self {
        let policy_name = match policy {
            Policy::Default => "default",
            Policy::Identity => "identity",
        };
        let alias = format!("{name}-{policy_name}");
        Self { policy, alias }
    }

    fn topic(&self, name: &str) -> String {
        format!("{}-{name}", self.alias)
    }

    fn group(&self) -> String {
        format!("readers-of-{}", self.alias)
    }

    fn copy(&self, topic: &str) -> String {
        copied(self.policy, &self.alias, topic)
    }

    /// The flow for all topics of the story, and its group.
    fn properties(&self, kafka: &Pair) -> MirrorProperties {
        let topics = format!("{}-.*, backup[.]{0}-.*", self.alias);
        let properties = with_groups(flow(kafka, &self.alias, &topics)).set("groups", &self.group());
        match self.policy {
            Policy::Default => properties,
            Policy::Identity => properties.set(
                "replication.policy.class",
                "org.apache.kafka.connect.mirror.IdentityReplicationPolicy",
            ),
        }
    }

    /// Every checkpoint about the copy of `topic`, in order.
    fn checkpoints(&self, target: &mut TestClient, topic: &str) -> Vec<(String, i32, i64, i64)> {
        checkpoints(target, &self.alias, &self.copy(topic))
    }

    /// Waits for a checkpoint of each of these partitions: copies begin at 0 and have no holes, so offsets are the same.
    fn expect_checkpoints(&self, target: &mut TestClient, topic: &str, at: &[(i32, i64)]) {
        wait_until(&format!("checkpoints of {topic} at {at:?}"), SOON, || {
            let newest = newest(self.checkpoints(target, topic));
            at.iter()
                .all(|(partition, offset)| newest.get(partition) == Some(&(*offset, *offset)))
                .then_some(())
        });
    }
}

fn copied(policy: Policy, alias: &str, topic: &str) -> String {
    match policy {
        Policy::Default => format!("{alias}.{topic}"),
        Policy::Identity => topic.to_owned(),
    }
}

/// The last checkpoint of each partition: source and target offset.
fn newest(checkpoints: Vec<(String, i32, i64, i64)>) -> BTreeMap<i32, (i64, i64)> {
    let position = |(_, partition, upstream, downstream)| (partition, (upstream, downstream));
    checkpoints.into_iter().map(position).collect()
}

/// A group's place on the target goes back only when the group went back.
fn assert_monotonic(checkpoints: &[(String, i32, i64, i64)]) {
    let mut last: HashMap<(&str, i32), (i64, i64)> = HashMap::new();
    for (group, partition, upstream, downstream) in checkpoints {
        if let Some((before_up, before_down)) = last.insert((group, *partition), (*upstream, *downstream)) {
            assert!(
                *downstream >= before_down || *upstream < before_up,
                "{group} at {partition}: {before_up} at {before_down}, then {upstream} at {downstream}"
            );
        }
    }
}

/// So many records to each of the first `partitions`, numbered from `first` on.
fn produce(client: &mut TestClient, topic: &str, partitions: i32, first: u32, count: u32) {
    let records: Vec<TestRecord> = (first..first + count)
        .map(|n| TestRecord::new(format!("key-{n}"), format!("{n}")))
        .collect();
    for partition in 0..partitions {
        for batch in records.chunks(7) {
            client.produce(topic, partition, Compression::None, batch);
        }
    }
}

fn commit(client: &mut TestClient, group: &str, topic: &str, at: &[(i32, i64)]) {
    let offsets: Vec<(&str, i32, i64)> = at
        .iter()
        .map(|(partition, offset)| (topic, *partition, *offset))
        .collect();
    client.commit_offsets(group, &offsets);
}

fn all_at(partitions: i32, offset: i64) -> Vec<(i32, i64)> {
    (0..partitions).map(|partition| (partition, offset)).collect()
}

fn records_heartbeats_and_checkpoints_cross(kafka: &mut Pair, policy: Policy) {
    let (mut source, mut target) = (kafka.source.client(), kafka.target.client());
    let story = Story::new(policy, "crossing");
    let (first, alias, group) = (story.topic("first"), &story.alias, story.group());
    let both_ways = policy == Policy::Default;
    let mut properties = story
        .properties(kafka)
        .set(&format!("backup->{alias}.emit.heartbeats.enabled"), "true")
        .without("sync.group.offsets.enabled");
    if both_ways {
        properties = properties
            .set(&format!("backup->{alias}.enabled"), "true")
            .set(&format!("backup->{alias}.topics"), &format!("{alias}-.*"));
    }
    // The last partition stays empty, and its reader stands there, too.
    let settings = Topic::new(&first, PARTITIONS).config("cleanup.policy", "compact");
    source.create_topic(settings);
    produce(&mut source, &first, PARTITIONS - 1, 0, RECORDS);
    commit(&mut source, &group, &first, &all_at(PARTITIONS - 1, RECORDS.into()));
    commit(&mut source, &group, &first, &[(PARTITIONS - 1, 0)]);
    if both_ways {
        target.create_topic(Topic::new(&first, PARTITIONS));
        produce(&mut target, &first, PARTITIONS, 100, RECORDS);
        commit(&mut target, &group, &first, &all_at(PARTITIONS, RECORDS.into()));
    }

    let mirror = Heliograph::mirror_maker("crossing", &properties);
    let copy = story.copy(&first);
    assert_mirrored(&mut source, &mut target, &first, &copy, SOON);
    assert_eq!(target.configs(&copy)["cleanup.policy"], "compact");
    assert_eq!(
        target.log_end(&copy, PARTITIONS - 1, Isolation::ReadUncommitted),
        0,
        "the empty one"
    );
    if both_ways {
        assert_mirrored(&mut target, &mut source, &first, &format!("backup.{first}"), SOON);
        assert_eq!(source.records(&first, 0).len(), RECORDS as usize, "nothing comes back");
    }

    wait_until("heartbeats on both, and copied to the target", SOON, || {
        source.partition_count("heartbeats")?;
        target.partition_count("heartbeats")?;
        target.partition_count(&format!("{alias}.heartbeats"))?;
        if both_ways {
            source.partition_count("backup.heartbeats")?;
        }
        Some(())
    });

    // Consumers fail over by what is said about them, and go on with the next record.
    story.expect_checkpoints(&mut target, &first, &all_at(PARTITIONS - 1, RECORDS.into()));
    let translated = translated(kafka, alias, &group);
    for partition in 0..PARTITIONS - 1 {
        assert_eq!(
            translated.get(&(copy.clone(), partition)),
            Some(&RECORDS.into()),
            "{translated:?}"
        );
    }
    let translated: Vec<(&str, i32, i64)> = translated
        .iter()
        .map(|((topic, partition), offset)| (&**topic, *partition, *offset))
        .collect();
    let over = format!("{group}-over");
    target.commit_offsets(&over, &translated);
    produce(&mut source, &first, 1, 50, 1);
    expect_next(&mut source, &mut target, &over, &first, &copy, (0, RECORDS.into()));
    assert_monotonic(&story.checkpoints(&mut target, &first));
    if both_ways {
        // And back, in the copies of what was written on the target.
        let back = format!("backup.{first}");
        wait_until("checkpoints on the source", SOON, || {
            let newest = newest(checkpoints(&mut source, "backup", &back));
            (0..PARTITIONS)
                .all(|partition| newest.get(&partition) == Some(&(RECORDS.into(), RECORDS.into())))
                .then_some(())
        });
    }

    // Topics that come while it runs, with records in the first partition only.
    let second = story.topic("second");
    source.create_topic(Topic::new(&second, PARTITIONS));
    produce(&mut source, &second, 1, 0, RECORDS);
    assert_mirrored(&mut source, &mut target, &second, &story.copy(&second), SOON);
    if both_ways {
        let third = story.topic("third");
        target.create_topic(Topic::new(&third, PARTITIONS));
        produce(&mut target, &third, 1, 0, RECORDS);
        assert_mirrored(&mut target, &mut source, &third, &format!("backup.{third}"), SOON);
    }
    mirror.stop();
}

/// What `heliograph offsets translate` says, which asks the target only.
fn translated(kafka: &Pair, alias: &str, group: &str) -> BTreeMap<(String, i32), i64> {
    let servers = kafka.target.bootstrap_servers();
    let args = [
        "offsets",
        "translate",
        "--bootstrap-server",
        &servers,
        "--source",
        alias,
    ];
    let (status, said) = Heliograph::run(&[&args[..], &["--group", group, "--json"]].concat(), SOON);
    assert!(status.success(), "{said}");
    let rows: Vec<Value> = serde_json::from_str(&said).expect("JSON");
    let row = |row: &Value| {
        let topic = row["topic"].as_str().expect("a name").to_owned();
        let partition = row["partition"].as_i64().expect("a number") as i32;
        ((topic, partition), row["offset"].as_i64().expect("a number"))
    };
    rows.iter().map(row).collect()
}

fn groups_stand_within_the_lag_that_is_allowed(kafka: &mut Pair, policy: Policy) {
    let (mut source, mut target) = (kafka.source.client(), kafka.target.client());
    for lag in ["10", "0"] {
        let story = Story::new(policy, &format!("lag-{lag}"));
        let (first, second, group) = (story.topic("first"), story.topic("second"), story.group());
        source.create_topic(Topic::new(&first, PARTITIONS));
        produce(&mut source, &first, PARTITIONS, 0, RECORDS);
        commit(&mut source, &group, &first, &all_at(PARTITIONS, RECORDS.into()));
        let properties = story.properties(kafka).set("offset.lag.max", lag);
        let mirror = Heliograph::mirror_maker("lag", &properties);
        // Kafka's are behind by up to that lag; ours are not.
        let expect = |source: &mut TestClient, target: &mut TestClient, topic: &str| {
            for partition in 0..PARTITIONS {
                let at = (partition, RECORDS.into());
                expect_next(source, target, &group, topic, &story.copy(topic), at);
            }
        };
        expect(&mut source, &mut target, &first);
        if policy == Policy::Default {
            assert_eq!(source.partition_count(&format!("backup.{first}")), None, "one way only");
        }
        source.create_topic(Topic::new(&second, PARTITIONS));
        produce(&mut source, &second, PARTITIONS, 0, RECORDS);
        commit(&mut source, &group, &second, &all_at(PARTITIONS, RECORDS.into()));
        expect(&mut source, &mut target, &second);
        expect(&mut source, &mut target, &first);
        for topic in [&first, &second] {
            assert_monotonic(&story.checkpoints(&mut target, topic));
        }
        mirror.stop();
    }
}

fn offset_syncs_may_lie_on_the_target(kafka: &mut Pair, policy: Policy) {
    let (mut source, mut target) = (kafka.source.client(), kafka.target.client());
    let story = Story::new(policy, "syncs-there");
    let (topic, alias) = (story.topic("first"), &story.alias);
    source.create_topic(Topic::new(&topic, PARTITIONS));
    let properties = story.properties(kafka).flow("offset-syncs.topic.location", "target");
    let mirror = Heliograph::mirror_maker("syncs-there", &properties);
    produce(&mut source, &topic, PARTITIONS, 0, RECORDS);
    commit(&mut source, &story.group(), &topic, &all_at(PARTITIONS, RECORDS.into()));
    story.expect_checkpoints(&mut target, &topic, &all_at(PARTITIONS, RECORDS.into()));
    assert_monotonic(&story.checkpoints(&mut target, &topic));
    let syncs = format!("mm2-offset-syncs.{alias}.internal");
    assert!(target.partition_count(&syncs).is_some());
    assert_eq!(source.partition_count(&syncs), None);
    mirror.stop();
}

fn without_offset_syncs_there_are_no_checkpoints_either(kafka: &mut Pair, policy: Policy) {
    let (mut source, mut target) = (kafka.source.client(), kafka.target.client());
    let story = Story::new(policy, "no-syncs");
    let (topic, alias) = (story.topic("first"), &story.alias);
    source.create_topic(Topic::new(&topic, 1));
    produce(&mut source, &topic, 1, 0, RECORDS);
    commit(&mut source, &story.group(), &topic, &[(0, 5)]);
    // A target of its own name, so that the topic of its syncs is nobody else's.
    let servers = (kafka.source.bootstrap_servers(), kafka.target.bootstrap_servers());
    let there = format!("{alias}-target");
    let mut properties = with_groups(MirrorProperties::new((alias, &servers.0), (&there, &servers.1), &topic))
        .without("offset-syncs.topic.replication.factor")
        .set("emit.offset-syncs.enabled", "false");
    if policy == Policy::Identity {
        let class = "org.apache.kafka.connect.mirror.IdentityReplicationPolicy";
        properties = properties.set("replication.policy.class", class);
    }
    let mirror = Heliograph::mirror_maker("no-syncs", &properties);
    assert_mirrored(&mut source, &mut target, &topic, &story.copy(&topic), SOON);
    // All that a stop writes is written.
    mirror.stop();
    assert_eq!(
        source.partition_count(&format!("mm2-offset-syncs.{there}.internal")),
        None
    );
    assert_eq!(
        target.partition_count(&format!("mm2-offset-syncs.{alias}.internal")),
        None
    );
    assert_eq!(story.checkpoints(&mut target, &topic), []);
    let states = target.all_records(&format!("mm2-status.{alias}.internal"));
    let states: Vec<TestRecord> = states.into_iter().flatten().collect();
    let is_about = |name: &str| {
        let mut keys = states.iter().filter_map(|record| record.key.as_deref());
        keys.any(|key| String::from_utf8_lossy(key).contains(name))
    };
    assert!(is_about("MirrorHeartbeatConnector"));
    assert!(!is_about("MirrorCheckpointConnector-0"), "no task translates");
}

fn no_checkpoint_before_a_record_is_mirrored(kafka: &mut Pair, policy: Policy) {
    let (mut source, mut target) = (kafka.source.client(), kafka.target.client());
    let story = Story::new(policy, "silent");
    let (busy, silent, group) = (story.topic("busy"), story.topic("quiet"), story.group());
    for topic in [&busy, &silent] {
        source.create_topic(Topic::new(topic, 1));
    }
    produce(&mut source, &busy, 1, 0, RECORDS);
    commit(&mut source, &group, &busy, &[(0, RECORDS.into())]);
    commit(&mut source, &group, &silent, &[(0, 0)]);
    let mirror = Heliograph::mirror_maker("silent", &story.properties(kafka));
    story.expect_checkpoints(&mut target, &busy, &[(0, RECORDS.into())]);
    // One more round, which would have told of both.
    commit(&mut source, &group, &busy, &[(0, 3)]);
    story.expect_checkpoints(&mut target, &busy, &[(0, 3)]);
    assert_eq!(story.checkpoints(&mut target, &silent), []);

    produce(&mut source, &silent, 1, 0, RECORDS);
    commit(&mut source, &group, &silent, &[(0, RECORDS.into())]);
    story.expect_checkpoints(&mut target, &silent, &[(0, RECORDS.into())]);
    expect_next(
        &mut source,
        &mut target,
        &group,
        &silent,
        &story.copy(&silent),
        (0, RECORDS.into()),
    );
    mirror.stop();
}

fn checkpoints_go_on_over_restarts(kafka: &mut Pair, policy: Policy) {
    let (mut source, mut target) = (kafka.source.client(), kafka.target.client());
    let story = Story::new(policy, "restarted");
    let (topic, group) = (story.topic("first"), story.group());
    source.create_topic(Topic::new(&topic, PARTITIONS));
    let properties = story.properties(kafka).set("offset.lag.max", "10");
    for (round, orderly) in [true, false, true].into_iter().enumerate() {
        let mirror = Heliograph::mirror_maker("restarted", &properties);
        let end = i64::from(RECORDS) * (round as i64 + 1);
        produce(&mut source, &topic, PARTITIONS, round as u32 * RECORDS, RECORDS);
        assert_mirrored(&mut source, &mut target, &topic, &story.copy(&topic), SOON);
        commit(&mut source, &group, &topic, &all_at(PARTITIONS, end));
        for partition in 0..PARTITIONS {
            let copy = story.copy(&topic);
            expect_next(&mut source, &mut target, &group, &topic, &copy, (partition, end));
        }
        assert_monotonic(&story.checkpoints(&mut target, &topic));
        match orderly {
            true => mirror.stop(),
            false => mirror.kill(),
        }
    }
}

fn a_group_far_behind_moves_on_and_back(kafka: &mut Pair, policy: Policy) {
    let (mut source, mut target) = (kafka.source.client(), kafka.target.client());
    let story = Story::new(policy, "lagging");
    let (topic, group, partitions) = (story.topic("first"), story.group(), 3);
    source.create_topic(Topic::new(&topic, partitions));
    produce(&mut source, &topic, partitions, 0, RECORDS);
    commit(&mut source, &group, &topic, &all_at(partitions, RECORDS.into()));
    let properties = story
        .properties(kafka)
        .set("offset.lag.max", "10")
        .without("sync.group.offsets.enabled");
    let mirror = Heliograph::mirror_maker("lagging", &properties);
    story.expect_checkpoints(&mut target, &topic, &all_at(partitions, RECORDS.into()));
    // Much more, all in one life of the mirror, before the group reads on.
    produce(&mut source, &topic, partitions, RECORDS, 990);
    assert_mirrored(&mut source, &mut target, &topic, &story.copy(&topic), SOON);
    for at in [900, 100, 101, 999] {
        commit(&mut source, &group, &topic, &all_at(partitions, at));
        story.expect_checkpoints(&mut target, &topic, &all_at(partitions, at));
    }
    assert_monotonic(&story.checkpoints(&mut target, &topic));
    mirror.stop();
}

/// Settings that are shown, with which the copy must end up.
fn expect_settings(target: &mut TestClient, copy: &str, expected: [(&str, &str); 2]) {
    wait_until(&format!("{expected:?} of {copy}"), SOON, || {
        let found = target.configs(copy);
        expected.iter().all(|(key, value)| found[*key] == *value).then_some(())
    });
}

fn topic_settings_follow_the_source(kafka: &mut Pair, policy: Policy) {
    let (mut source, mut target) = (kafka.source.client(), kafka.target.client());
    let story = Story::new(policy, "settings");
    let (topic, late) = (story.topic("first"), story.topic("late"));
    let settings = |topic: &str| {
        Topic::new(topic, 1)
            .config("delete.retention.ms", "1000")
            .config("retention.bytes", "1000")
    };
    source.create_topic(settings(&topic));
    let properties = story
        .properties(kafka)
        .set("config.properties.exclude", "delete\\.retention\\..*");
    let mirror = Heliograph::mirror_maker("settings", &properties);
    let copy = story.copy(&topic);
    wait_until("the copy", SOON, || target.partition_count(&copy));
    // What is left out stays as it is on the target, be it set there or not; the rest is the source's.
    let default = "86400000";
    expect_settings(
        &mut target,
        &copy,
        [("delete.retention.ms", default), ("retention.bytes", "1000")],
    );
    target.alter_configs(&copy, &[("delete.retention.ms", "2000"), ("retention.bytes", "2000")]);
    expect_settings(
        &mut target,
        &copy,
        [("delete.retention.ms", "2000"), ("retention.bytes", "1000")],
    );
    source.create_topic(settings(&late));
    let late_copy = story.copy(&late);
    wait_until("the other copy", SOON, || target.partition_count(&late_copy));
    expect_settings(
        &mut target,
        &late_copy,
        [("delete.retention.ms", default), ("retention.bytes", "1000")],
    );
    // Whatever the source has no longer set is the target's default.
    source.reset_config(&topic, "retention.bytes");
    expect_settings(
        &mut target,
        &copy,
        [("delete.retention.ms", "2000"), ("retention.bytes", "-1")],
    );
    mirror.stop();
}

fn defaults_are_the_sources_if_so_wished(kafka: &mut Pair, policy: Policy) {
    let (mut source, mut target) = (kafka.source.client(), kafka.target.client());
    let story = Story::new(policy, "defaults");
    let topic = story.topic("first");
    source.create_topic(Topic::new(&topic, 1));
    let properties = story
        .properties(kafka)
        .set("config.properties.exclude", "delete\\.retention\\..*")
        .flow("use.defaults.from", "source");
    let mirror = Heliograph::mirror_maker("defaults", &properties);
    let copy = story.copy(&topic);
    wait_until("the copy", SOON, || target.partition_count(&copy));
    target.alter_configs(&copy, &[("delete.retention.ms", "2000"), ("retention.bytes", "2000")]);
    expect_settings(
        &mut target,
        &copy,
        [("delete.retention.ms", "2000"), ("retention.bytes", "-1")],
    );
    mirror.stop();
}

fn a_mirror_may_begin_at_the_end(kafka: &mut Pair, policy: Policy) {
    let (mut source, mut target) = (kafka.source.client(), kafka.target.client());
    let story = Story::new(policy, "latest");
    let topic = story.topic("first");
    source.create_topic(Topic::new(&topic, 1));
    produce(&mut source, &topic, 1, 0, RECORDS);
    let latest = format!("{}.consumer.auto.offset.reset", story.alias);
    let properties = story.properties(kafka).set(&latest, "latest");
    let mirror = Heliograph::mirror_maker("latest", &properties);
    let copy = story.copy(&topic);
    // One after the other, until the mirror has found where the end is.
    let mut last = RECORDS;
    wait_until("a record that came after the start", SOON, || {
        produce(&mut source, &topic, 1, last, 1);
        last += 1;
        target.partition_count(&copy)?;
        (target.log_end(&copy, 0, Isolation::ReadUncommitted) > 0).then_some(())
    });
    wait_until("the last one", SOON, || {
        let (originals, found) = (source.records(&topic, 0), target.records(&copy, 0));
        let begin = originals.iter().position(|record| record.same_as(&found[0]));
        let begin = begin.expect("the first copied record is one of the source's");
        assert!(begin >= RECORDS as usize, "what was there before is not copied");
        assert!(
            originals[begin..]
                .iter()
                .zip(&found)
                .all(|(one, other)| one.same_as(other))
        );
        (originals.len() == begin + found.len()).then_some(())
    });
    mirror.stop();
}
