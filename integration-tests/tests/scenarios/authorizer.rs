//! Clusters that do not allow everything: which ACLs are copied, and what becomes of rights that are missing.
//!
//! All clients are `User:ANONYMOUS` here, the one that prepares a scenario too: it forbids itself what it has no more
//! need of, and allows it again.

use std::collections::BTreeSet;

use integration_tests::{
    Acl, Heliograph, JavaMirrorMaker, MirrorProperties, Operation, Pair, Resource, TestClient, TestRecord, Topic,
    assert_mirrored, wait_until,
};
use kafka_wire::Compression;

use crate::{SOON, flow, stored_offset};

integration_tests::real_scenarios!(
    acls_are_copied_as_java_copies_them,
    acls_with_prefixes_are_copied_and_vanished_ones_deleted_if_asked_for,
    a_source_topic_that_may_not_be_read_is_named_and_waited_for,
    a_remote_topic_that_may_not_be_written_is_named_and_waited_for,
    remote_topics_that_may_not_be_created_are_named_and_waited_for,
    offset_syncs_that_may_not_be_written_are_named_and_made_up_for,
    source_offsets_that_may_not_be_stored_are_named_and_made_up_for,
    internal_topics_that_may_not_be_created_or_read_are_named_and_waited_for,
    acls_that_may_not_be_seen_are_named_and_copied_later,
);

/// Everything on a topic but one operation.
fn all_but(topic: &str, forbidden: Operation) -> [Acl; 2] {
    [
        Acl::allow(Resource::Topic, topic, Operation::All),
        Acl::deny(Resource::Topic, topic, forbidden),
    ]
}

/// The flow, without copying ACLs: here they would take away the mirror's own rights on the target.
fn without_acl_sync(kafka: &Pair, alias: &str, topics: &str) -> MirrorProperties {
    flow(kafka, alias, topics).flow("sync.topic.acls.enabled", "false")
}

/// Waits for a line that says which right is missing on what.
fn wait_for_refusal(mirror: &mut Heliograph, right: &str, resource: &str) {
    let what = format!("a line that says that {right} is missing on {resource}");
    wait_until(&what, SOON, || (refusals(mirror, right, resource) > 0).then_some(()));
}

/// How many lines say that.
fn refusals(mirror: &mut Heliograph, right: &str, resource: &str) -> usize {
    let log = mirror.process().log();
    let says = |line: &&str| line.contains("AUTHORIZATION_FAILED") && line.contains(right) && line.contains(resource);
    log.lines().filter(says).count()
}

fn numbered(range: std::ops::Range<u32>) -> Vec<TestRecord> {
    range
        .map(|n| TestRecord::new(format!("key-{n}"), n.to_string()))
        .collect()
}

fn acls_are_copied_as_java_copies_them(kafka: &mut Pair) {
    let (mut source, mut target) = (kafka.source.client(), kafka.target.client());
    let topic = |operation| Acl::allow(Resource::Topic, "guarded", operation).of("User:alice");
    let forbidden = |operation| Acl::deny(Resource::Topic, "guarded", operation).of("User:bob");
    let at_source = [
        topic(Operation::Read),
        topic(Operation::Describe),
        topic(Operation::Write),
        topic(Operation::Alter),
        topic(Operation::AlterConfigs),
        topic(Operation::All).of("User:carol"),
        forbidden(Operation::Read),
        forbidden(Operation::Write),
        forbidden(Operation::All).of("User:dave"),
        // So that the mirrors themselves may go on.
        Acl::allow(Resource::Topic, "guarded", Operation::All),
        Acl::allow(Resource::Topic, "guard", Operation::Read)
            .of("User:alice")
            .prefixed(),
        Acl::allow(Resource::Topic, "guarded-but-not-asked-for", Operation::Read).of("User:alice"),
        Acl::allow(Resource::Topic, "guarded-later", Operation::Read).of("User:alice"),
    ];
    source.create_topic(Topic::new("guarded", 1));
    source.produce("guarded", 0, Compression::None, &numbered(0..3));
    source.create_acls(&at_source);

    let expected = |alias: &str| {
        let remote = |operation| Acl::allow(Resource::Topic, &format!("{alias}.guarded"), operation).of("User:alice");
        let forbidden = |operation| Acl::deny(Resource::Topic, &format!("{alias}.guarded"), operation).of("User:bob");
        BTreeSet::from([
            remote(Operation::Read),
            remote(Operation::Describe),
            remote(Operation::Alter),
            remote(Operation::AlterConfigs),
            // All becomes reading.
            remote(Operation::Read).of("User:carol"),
            remote(Operation::Read).of("User:ANONYMOUS"),
            forbidden(Operation::Read),
            forbidden(Operation::Write),
            forbidden(Operation::All).of("User:dave"),
            // A topic that does not exist has its ACLs copied all the same.
            Acl::allow(Resource::Topic, &format!("{alias}.guarded-later"), Operation::Read).of("User:alice"),
        ])
    };
    for alias in ["acls", "javas-acls"] {
        // The mirror's own right to write; it stands out of the comparison.
        target.create_acls(&[Acl::allow(
            Resource::Topic,
            &format!("{alias}.guarded"),
            Operation::Write,
        )]);
        let properties = flow(kafka, alias, "guarded, guarded-later");
        let (ours, javas) = if alias == "acls" {
            (Some(Heliograph::mirror_maker(alias, &properties)), None)
        } else {
            let dist = kafka.target.dist().expect("a real Kafka has jars");
            (None, Some(JavaMirrorMaker::start(dist, alias, &properties)))
        };
        let copied = |target: &mut TestClient| {
            let mut found = target.acls();
            found.retain(|acl| acl.name.starts_with(&format!("{alias}.")));
            found.remove(&Acl::allow(
                Resource::Topic,
                &format!("{alias}.guarded"),
                Operation::Write,
            ));
            found
        };
        wait_until("the ACLs to be copied", 2 * SOON, || {
            (copied(&mut target).len() >= expected(alias).len()).then_some(())
        });
        assert_eq!(copied(&mut target), expected(alias), "{alias}");
        if let Some(mirror) = ours {
            assert_mirrored(
                &mut source,
                &mut target,
                "guarded",
                &properties.mirrored("guarded"),
                SOON,
            );
            mirror.stop();
        }
        if let Some(mirror) = javas {
            mirror.stop();
        }
    }
    source.delete_acls(&at_source);
}

fn acls_with_prefixes_are_copied_and_vanished_ones_deleted_if_asked_for(kafka: &mut Pair) {
    let (mut source, mut target) = (kafka.source.client(), kafka.target.client());
    let properties = flow(kafka, "exact", "exact-acls")
        .set("sync.topic.acls.interval.seconds", "1")
        .set("heliograph.sync.topic.acls.prefixed.enabled", "true")
        .set("heliograph.sync.topic.acls.deletion.enabled", "true");
    let copy = properties.mirrored("exact-acls");
    let read = |topic: &str, who: &str| Acl::allow(Resource::Topic, topic, Operation::Read).of(who);
    let at_source = [
        read("exact-acls", "User:alice"),
        read("exact-", "User:bob").prefixed(),
        read("other-", "User:bob").prefixed(),
        Acl::allow(Resource::Topic, "exact-acls", Operation::All),
    ];
    let own = Acl::allow(Resource::Topic, &copy, Operation::Write);
    let left = read(&copy, "User:left");
    source.create_topic(Topic::new("exact-acls", 1));
    source.create_acls(&at_source);
    target.create_acls(&[own.clone(), left]);
    let mirror = Heliograph::mirror_maker("exact", &properties);
    let mut expect = |expected: &[Acl]| {
        let expected: BTreeSet<Acl> = expected.iter().cloned().collect();
        wait_until(&format!("{expected:?}"), SOON, || {
            let mut found = target.acls();
            found.retain(|acl| acl.name.starts_with("exact."));
            (found == expected).then_some(())
        });
    };
    let prefixed = read("exact.exact-", "User:bob").prefixed();
    let ours = Acl::allow(Resource::Topic, &copy, Operation::Read);
    expect(&[own.clone(), ours.clone(), read(&copy, "User:alice"), prefixed.clone()]);
    source.delete_acls(&at_source[..1]);
    expect(&[own.clone(), ours.clone(), prefixed.clone()]);
    mirror.stop();
    source.delete_acls(&at_source[1..]);
    target.delete_acls(&[own, ours, prefixed]);
}

fn a_source_topic_that_may_not_be_read_is_named_and_waited_for(kafka: &mut Pair) {
    let (mut source, mut target) = (kafka.source.client(), kafka.target.client());
    let properties = without_acl_sync(kafka, "unread", "unreadable, readable");
    let copy = properties.mirrored("unreadable");
    for topic in ["unreadable", "readable"] {
        source.create_topic(Topic::new(topic, 2));
        for partition in 0..2 {
            source.produce(topic, partition, Compression::Lz4, &numbered(0..20));
        }
    }
    let acls = all_but("unreadable", Operation::Read);
    source.create_acls(&acls);
    let mut mirror = Heliograph::mirror_maker("unread", &properties);
    assert_mirrored(
        &mut source,
        &mut target,
        "readable",
        &properties.mirrored("readable"),
        SOON,
    );
    wait_for_refusal(&mut mirror, "needs READ", "unreadable-");
    assert!(
        target.all_records(&copy).concat().is_empty(),
        "nothing comes that may not be read"
    );
    source.delete_acls(&acls);
    assert_mirrored(&mut source, &mut target, "unreadable", &copy, SOON);

    // And taken away while it runs.
    let told = refusals(&mut mirror, "needs READ", "unreadable-");
    source.create_acls(&acls);
    source.produce("unreadable", 0, Compression::None, &numbered(20..30));
    wait_until("another refusal", SOON, || {
        (refusals(&mut mirror, "needs READ", "unreadable-") > told).then_some(())
    });
    source.produce("readable", 0, Compression::None, &numbered(20..30));
    assert_mirrored(
        &mut source,
        &mut target,
        "readable",
        &properties.mirrored("readable"),
        SOON,
    );
    source.delete_acls(&acls);
    assert_mirrored(&mut source, &mut target, "unreadable", &copy, SOON);
    mirror.stop();
}

fn a_remote_topic_that_may_not_be_written_is_named_and_waited_for(kafka: &mut Pair) {
    let (mut source, mut target) = (kafka.source.client(), kafka.target.client());
    let properties = without_acl_sync(kafka, "unwritten", "unwritable, writable");
    let copy = properties.mirrored("unwritable");
    let acls = all_but(&copy, Operation::Write);
    target.create_acls(&acls);
    for topic in ["unwritable", "writable"] {
        source.create_topic(Topic::new(topic, 1));
        source.produce(topic, 0, Compression::Zstd, &numbered(0..20));
    }
    let mut mirror = Heliograph::mirror_maker("unwritten", &properties);
    assert_mirrored(
        &mut source,
        &mut target,
        "writable",
        &properties.mirrored("writable"),
        SOON,
    );
    wait_for_refusal(&mut mirror, "needs WRITE", &copy);
    assert!(target.records(&copy, 0).is_empty());
    // What it could not write is not counted as done: another start begins with it.
    mirror.stop();
    let mirror = Heliograph::mirror_maker("unwritten", &properties);
    source.produce("unwritable", 0, Compression::None, &numbered(20..30));
    target.delete_acls(&acls);
    assert_mirrored(&mut source, &mut target, "unwritable", &copy, SOON);
    mirror.stop();
}

fn remote_topics_that_may_not_be_created_are_named_and_waited_for(kafka: &mut Pair) {
    let (mut source, mut target) = (kafka.source.client(), kafka.target.client());
    let properties = without_acl_sync(kafka, "uncreated", "uncreatable, creatable");
    let copy = properties.mirrored("uncreatable");
    let topic = all_but(&copy, Operation::Create);
    target.create_acls(&topic);
    let cluster = only_topics_may_be_created(&mut target);
    for topic in ["uncreatable", "creatable"] {
        source.create_topic(Topic::new(topic, 2));
        source.produce(topic, 1, Compression::None, &numbered(0..20));
    }
    let mut mirror = Heliograph::mirror_maker("uncreated", &properties);
    assert_mirrored(
        &mut source,
        &mut target,
        "creatable",
        &properties.mirrored("creatable"),
        SOON,
    );
    wait_for_refusal(&mut mirror, "needs CREATE", &copy);
    target.delete_acls(&topic);
    assert_mirrored(&mut source, &mut target, "uncreatable", &copy, SOON);
    mirror.stop();
    allow_cluster(&mut target, &cluster);
}

/// From now on nobody may create whatever he likes on this cluster: Kafka asks for CREATE there, and if it is missing,
/// on the topic. Answers what [`allow_cluster`] takes away again.
fn only_topics_may_be_created(client: &mut TestClient) -> [Acl; 2] {
    let acls = [
        Acl::allow(Resource::Cluster, "kafka-cluster", Operation::All),
        Acl::deny(Resource::Cluster, "kafka-cluster", Operation::Create),
    ];
    client.create_acls(&acls);
    acls
}

/// The allowance goes last: without it nobody may take away the rest.
fn allow_cluster(client: &mut TestClient, acls: &[Acl; 2]) {
    client.delete_acls(&acls[1..]);
    client.delete_acls(&acls[..1]);
}

fn offset_syncs_that_may_not_be_written_are_named_and_made_up_for(kafka: &mut Pair) {
    let (mut source, mut target) = (kafka.source.client(), kafka.target.client());
    let properties = flow(kafka, "unsynced", "unsynced-topic").flow("offset-syncs.topic.location", "target");
    let (copy, syncs) = (
        properties.mirrored("unsynced-topic"),
        "mm2-offset-syncs.unsynced.internal",
    );
    let acls = all_but(syncs, Operation::Write);
    target.create_topic(Topic::new(syncs, 1).config("cleanup.policy", "compact"));
    target.create_acls(&acls);
    source.create_topic(Topic::new("unsynced-topic", 1));
    source.produce("unsynced-topic", 0, Compression::None, &numbered(0..20));
    let mut mirror = Heliograph::mirror_maker("unsynced", &properties);
    // Data flows.
    assert_mirrored(&mut source, &mut target, "unsynced-topic", &copy, SOON);
    wait_for_refusal(&mut mirror, "needs WRITE", syncs);
    target.delete_acls(&acls);
    // The newest sync: source offset 19 is 19 there.
    let newest = [&[0, 0][..], &19_i64.to_be_bytes(), &19_i64.to_be_bytes()].concat();
    wait_until("the sync of the last record", SOON, || {
        let found = target.records(syncs, 0);
        (found.last()?.value.as_deref()?.ends_with(&newest[2..])).then_some(())
    });
    mirror.stop();
}

fn source_offsets_that_may_not_be_stored_are_named_and_made_up_for(kafka: &mut Pair) {
    let (mut source, mut target) = (kafka.source.client(), kafka.target.client());
    let properties = flow(kafka, "unstored", "unstored-topic");
    let (copy, offsets) = (properties.mirrored("unstored-topic"), properties.offsets_topic());
    source.create_topic(Topic::new("unstored-topic", 1));
    source.produce("unstored-topic", 0, Compression::None, &numbered(0..10));
    let mut mirror = Heliograph::mirror_maker("unstored", &properties);
    assert_mirrored(&mut source, &mut target, "unstored-topic", &copy, SOON);
    mirror.process().wait_for_line("Committed offset", SOON);

    let acls = all_but(&offsets, Operation::Write);
    target.create_acls(&acls);
    wait_until("storing to be refused", SOON, || {
        // Only something new is stored.
        source.produce("unstored-topic", 0, Compression::None, &numbered(10..11));
        let log = mirror.process().log();
        let says = |line: &&str| line.contains(&offsets) && line.contains("needs WRITE");
        log.lines().any(|line| says(&line)).then_some(())
    });
    // Data flows meanwhile.
    source.produce("unstored-topic", 0, Compression::None, &numbered(20..40));
    assert_mirrored(&mut source, &mut target, "unstored-topic", &copy, SOON);
    target.delete_acls(&acls);
    let last = source
        .records("unstored-topic", 0)
        .last()
        .expect("there are some")
        .offset;
    wait_until("the offset of the last record to be stored", SOON, || {
        let stored = stored_offset(&mut target, &offsets, "unstored", "unstored-topic", 0);
        (stored == Some(last)).then_some(())
    });
    mirror.stop();
    let mirror = Heliograph::mirror_maker("unstored", &properties);
    source.produce("unstored-topic", 0, Compression::None, &numbered(40..41));
    assert_mirrored(&mut source, &mut target, "unstored-topic", &copy, SOON);
    mirror.stop();
}

fn internal_topics_that_may_not_be_created_or_read_are_named_and_waited_for(kafka: &mut Pair) {
    let (mut source, mut target) = (kafka.source.client(), kafka.target.client());
    source.create_topic(Topic::new("internal-topic", 1));
    source.produce("internal-topic", 0, Compression::None, &numbered(0..10));
    for (alias, forbidden) in [
        ("uncreated-internal", Operation::Create),
        ("unread-internal", Operation::Read),
    ] {
        let properties = flow(kafka, alias, "internal-topic");
        let internal = ["configs", "offsets", "status"].map(|topic| format!("mm2-{topic}.{alias}.internal"));
        let acls: Vec<Acl> = internal.iter().flat_map(|topic| all_but(topic, forbidden)).collect();
        target.create_acls(&acls);
        let cluster = only_topics_may_be_created(&mut target);
        let mut mirror = Heliograph::mirror_maker(alias, &properties);
        if forbidden == Operation::Create {
            let line = mirror.process().wait_for_line("could not be created", SOON);
            assert!(
                line.contains(&internal[1]) && line.contains("let the worker's user create it"),
                "{line}"
            );
        } else {
            wait_for_refusal(&mut mirror, "needs READ", &internal[0]);
        }
        target.delete_acls(&acls);
        allow_cluster(&mut target, &cluster);
        let copy = properties.mirrored("internal-topic");
        assert_mirrored(&mut source, &mut target, "internal-topic", &copy, SOON);
        mirror.stop();
    }
}

fn acls_that_may_not_be_seen_are_named_and_copied_later(kafka: &mut Pair) {
    let (mut source, mut target) = (kafka.source.client(), kafka.target.client());
    let properties = flow(kafka, "unseen", "unseen-acls");
    let copied = Acl::allow(Resource::Topic, "unseen-acls", Operation::Read).of("User:alice");
    source.create_topic(Topic::new("unseen-acls", 1));
    source.create_acls(std::slice::from_ref(&copied));
    let cluster = [
        Acl::allow(Resource::Cluster, "kafka-cluster", Operation::All),
        Acl::deny(Resource::Cluster, "kafka-cluster", Operation::Describe),
    ];
    source.create_unseen_acls(&cluster);
    let mut mirror = Heliograph::mirror_maker("unseen", &properties);
    wait_for_refusal(&mut mirror, "needs DESCRIBE on the cluster", "ACLs of the source");
    allow_cluster(&mut source, &cluster);
    let expected = Acl {
        name: properties.mirrored("unseen-acls"),
        ..copied.clone()
    };
    wait_until("the ACL to be copied", SOON, || {
        target.acls().contains(&expected).then_some(())
    });
    mirror.stop();
    source.delete_acls(&[copied]);
}
