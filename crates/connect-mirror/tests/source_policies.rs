//! What the source connector does beyond Kafka's: losses, loops, clusters that are not what they were, settings that the
//! target does not take, ACLs.

mod support;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use connect_api::{ConnectError, ConnectorContext, SourceConnector, SourceTask, TaskContext};
use connect_mirror::{records::OffsetSync, source::MirrorSourceConnector};
use kafka_client::{
    Admin,
    admin::{AclBinding, AclFilter},
};
use kafka_embedded::{ApiKey, Cluster, Control, RequestKind, ResponseError};
use kafka_wire::{BatchBuilder, Compression, TopicPartition};

use support::{
    Offsets, eventually,
    pair::{Pair, client, contents, key, produce, produce_numbers},
};

const IDENTITY: (&str, &str) = (
    "replication.policy.class",
    "org.apache.kafka.connect.mirror.IdentityReplicationPolicy",
);
const FAIL: (&str, &str) = ("heliograph.source.loss.policy", "fail");

/// Keeps the error of a connector.
#[derive(Default)]
struct Context(Mutex<Option<ConnectError>>);

impl ConnectorContext for Context {
    fn request_task_reconfiguration(&self) {}

    fn raise_error(&self, error: ConnectError) {
        *self.0.lock().unwrap() = Some(error);
    }
}

/// A task that reads `t-0` and writes nothing, from offset `stored + 1` on.
async fn task(pair: &Pair, stored: Option<i64>, more: &[(&str, &str)]) -> Box<dyn SourceTask> {
    let offsets = Offsets::default();
    if let Some(stored) = stored {
        offsets.0.lock().unwrap().insert(key("t", 0), stored);
    }
    let mut props = pair.props(&[("task.assigned.partitions", "t-0"), ("task.index", "0")]);
    props.extend(support::props(more));
    let mut task = MirrorSourceConnector::new(pair.environment.clone()).new_task();
    let context = TaskContext {
        task_id: "MirrorSourceConnector-0".to_owned(),
        task_count: 1,
        offsets: Arc::new(offsets),
        cancel: Default::default(),
        offset_flush_interval: Duration::from_millis(200),
    };
    task.start(props, context).await.expect("the task starts");
    task
}

/// Polls until the task fails, and tells what with.
async fn failure(mut task: Box<dyn SourceTask>) -> String {
    let failed = async {
        loop {
            if let Err(error) = task.poll().await {
                break error.chain();
            }
        }
    };
    let error = tokio::time::timeout(Duration::from_secs(30), failed)
        .await
        .expect("the task fails");
    task.stop().await;
    error
}

#[tokio::test]
async fn a_gap_fails_the_task_if_it_is_to() {
    let pair = Pair::start().await;
    pair.source.create_topic("t", 1, &[]).unwrap();
    produce_numbers(&pair.source, "t", 0, 0, 10).await;
    produce_numbers(&pair.source, "t", 0, 10, 10).await;
    pair.source.delete_records("t", 0, 10).unwrap();
    let error = failure(task(&pair, Some(3), &[FAIL]).await).await;
    assert!(error.contains("removed 6 offsets of t-0, 4 to 9"), "{error}");
}

#[tokio::test]
async fn a_log_that_was_cut_back_is_counted_and_followed() {
    let pair = Pair::start().await;
    pair.source.create_topic("t", 1, &[]).unwrap();
    for first in [0, 4, 8] {
        produce_numbers(&pair.source, "t", 0, first, 4).await;
    }
    let worker = pair.mirror(&[], Offsets::default());
    pair.mirrored("t").await;
    let before = contents(&pair.target, "A.t", 0);
    pair.source.truncate("t", 0, 8).unwrap();
    produce_numbers(&pair.source, "t", 0, 100, 1).await;
    produce_numbers(&pair.source, "t", 0, 101, 5).await;
    let expected = [before, contents(&pair.source, "t", 0)[8..].to_vec()].concat();
    let found = eventually("what the log has now", || async {
        let found = contents(&pair.target, "A.t", 0);
        (found.len() >= expected.len()).then_some(found)
    })
    .await;
    assert_eq!(found, expected);
    worker.stop().await;
}

#[tokio::test]
async fn a_log_that_was_cut_back_fails_the_task_if_it_is_to() {
    let pair = Pair::start().await;
    pair.source.create_topic("t", 1, &[]).unwrap();
    for first in [0, 4, 8] {
        produce_numbers(&pair.source, "t", 0, first, 4).await;
    }
    let mut task = task(&pair, None, &[FAIL]).await;
    let mut seen = 0;
    while seen < 12 {
        let batches = task.poll().await.expect("nothing is lost yet");
        seen += batches.iter().map(|batch| batch.batch.record_count()).sum::<i32>();
    }
    pair.source.truncate("t", 0, 8).unwrap();
    let error = failure(task).await;
    assert!(
        error.contains("log of t-0 was cut back from offset 12 to 8: 4 copied offsets"),
        "{error}"
    );
}

/// The new topic is longer than the old one was: an offset alone would not tell, and its beginning would be passed over.
#[tokio::test]
async fn a_topic_made_again_is_copied_from_its_beginning() {
    for more in [
        &[][..],
        &[
            ("heliograph.source.loss.policy", "restart"),
            ("source.consumer.auto.offset.reset", "latest"),
        ],
    ] {
        let pair = Pair::start().await;
        pair.source.create_topic("t", 1, &[]).unwrap();
        let offsets = Offsets::default();
        offsets.0.lock().unwrap().insert(key("t", 0), -1);
        produce_numbers(&pair.source, "t", 0, 0, 5).await;
        offsets.0.lock().unwrap().insert(key("t", 0), 0);
        let worker = pair.mirror(more, offsets);
        let before = eventually("all but the first, which was copied before", || async {
            let found = contents(&pair.target, "A.t", 0);
            (found.len() == 4).then_some(found)
        })
        .await;
        pair.source.delete_topic("t").unwrap();
        pair.source.create_topic("t", 1, &[]).unwrap();
        produce_numbers(&pair.source, "t", 0, 100, 9).await;
        let expected = [before, contents(&pair.source, "t", 0)].concat();
        let found = eventually("the new records behind the old", || async {
            let found = contents(&pair.target, "A.t", 0);
            (found.len() >= expected.len()).then_some(found)
        })
        .await;
        assert_eq!(found, expected, "{more:?}");
        worker.stop().await;
    }
}

#[tokio::test]
async fn a_topic_made_again_fails_the_task_if_it_is_to() {
    let pair = Pair::start().await;
    pair.source.create_topic("t", 1, &[]).unwrap();
    produce_numbers(&pair.source, "t", 0, 0, 5).await;
    let mut task = task(&pair, None, &[FAIL]).await;
    assert_eq!(task.poll().await.expect("nothing is lost yet").len(), 1);
    pair.source.delete_topic("t").unwrap();
    pair.source.create_topic("t", 1, &[]).unwrap();
    let error = failure(task).await;
    assert!(error.contains("topic t was deleted and created again"), "{error}");
}

/// The offset that was stored is one of the new topic, too: only the id tells that it is another.
#[tokio::test]
async fn a_topic_made_again_while_nobody_looked_is_copied_from_its_beginning() {
    let pair = Pair::start().await;
    pair.source.create_topic("t", 1, &[]).unwrap();
    produce_numbers(&pair.source, "t", 0, 0, 5).await;
    let worker = pair.mirror(&[], Offsets::default());
    pair.mirrored("t").await;
    eventually("an offset sync", || async {
        (!pair.syncs("t", 0).is_empty()).then_some(())
    })
    .await;
    let offsets = worker.stop().await;
    let before = contents(&pair.target, "A.t", 0);
    pair.source.delete_topic("t").unwrap();
    pair.source.create_topic("t", 1, &[]).unwrap();
    produce_numbers(&pair.source, "t", 0, 100, 9).await;

    let error = failure(task(&pair, Some(4), &[FAIL]).await).await;
    assert!(error.contains("topic t was deleted and created again"), "{error}");

    let worker = pair.mirror(&[], offsets);
    let expected = [before, contents(&pair.source, "t", 0)].concat();
    let found = eventually("the new records behind the old", || async {
        let found = contents(&pair.target, "A.t", 0);
        (found.len() >= expected.len()).then_some(found)
    })
    .await;
    assert_eq!(found, expected);
    eventually("the new topic's sync", || async {
        pair.syncs("t", 0).contains(&(0, 5)).then_some(())
    })
    .await;

    // The next life knows the new one.
    let offsets = worker.stop().await;
    let worker = pair.mirror(&[FAIL], offsets);
    produce_numbers(&pair.source, "t", 0, 200, 2).await;
    eventually("what came since", || async {
        (contents(&pair.target, "A.t", 0).len() == 16).then_some(())
    })
    .await;
    worker.stop().await;
}

/// A cluster under two aliases: heartbeats and topics are copied once, and their copies are not.
#[tokio::test]
async fn copies_within_one_cluster_are_not_copied_again() {
    let mut pair = Pair::start().await;
    let servers = pair.source.bootstrap_servers();
    pair.environment.metrics = Default::default();
    pair.source.create_topic("heartbeats", 1, &[]).unwrap();
    pair.source.create_topic("t", 1, &[]).unwrap();
    let worker = pair.mirror(&[("target.cluster.bootstrap.servers", &servers)], Offsets::default());
    for (topic, remote) in [("", "A.t"), ("u", "A.u"), ("v", "A.v")] {
        if !topic.is_empty() {
            pair.source.create_topic(topic, 1, &[]).unwrap();
        }
        // Each takes a refresh, by which the copies of the one before would have been found.
        eventually(remote, || async {
            (pair.source.partition_count(remote) == 1).then_some(())
        })
        .await;
    }
    let twice: Vec<String> = pair.source.topic_names();
    let twice: Vec<&String> = twice.iter().filter(|topic| topic.starts_with("A.A.")).collect();
    assert_eq!(twice, Vec::<&String>::new());
    assert_eq!(pair.source.partition_count("A.heartbeats"), 1);
    worker.stop().await;
}

#[tokio::test]
async fn a_cluster_is_not_copied_onto_itself() {
    let pair = Pair::start().await;
    let servers = pair.source.bootstrap_servers();
    let context = Arc::new(Context::default());
    let mut connector = MirrorSourceConnector::new(pair.environment.clone());
    let props = pair.props(&[IDENTITY, ("target.cluster.bootstrap.servers", &servers)]);
    connector.start(props, context.clone()).await.unwrap();
    let error = eventually("the connector to fail", || async { context.0.lock().unwrap().take() }).await;
    let error = error.chain();
    for says in [
        "source.cluster.bootstrap.servers",
        "target.cluster.bootstrap.servers",
        "are one cluster",
        &servers,
    ] {
        assert!(error.contains(says), "{error}");
    }
    assert!(connector.task_configs(1).is_err(), "no tasks");
    connector.stop().await;
}

#[tokio::test]
async fn what_the_flow_back_copies_under_the_same_name_is_left_out() {
    let pair = Pair::start().await;
    for topic in ["shared", "ours", "theirs-alone"] {
        pair.source.create_topic(topic, 1, &[]).unwrap();
    }
    let back = ("heliograph.reverse.topics", "shared, theirs.*");
    let excluded = ("heliograph.reverse.topics.exclude", "theirs-alone");
    let worker = pair.mirror(&[IDENTITY, back, excluded], Offsets::default());
    for topic in ["ours", "theirs-alone"] {
        eventually(topic, || async {
            (pair.target.partition_count(topic) == 1).then_some(())
        })
        .await;
    }
    assert_eq!(pair.target.partition_count("shared"), 0);
    worker.stop().await;
}

/// Another deployment copies back under the same name: its offset syncs, on the cluster that it reads, grow while ours do.
#[tokio::test]
async fn what_another_deployment_copies_back_under_the_same_name_is_left_out() {
    let pair = Pair::start().await;
    for topic in ["round", "once"] {
        pair.source.create_topic(topic, 1, &[]).unwrap();
        produce_numbers(&pair.source, topic, 0, 0, 1).await;
    }
    // What a flow wrote that was turned round since counts for nothing.
    let syncs = "mm2-offset-syncs.A.internal";
    pair.target.create_topic(syncs, 1, &[]).unwrap();
    let sync = |topic: &str, offset| {
        let sync = OffsetSync {
            topic_partition: TopicPartition::new(topic, 0),
            upstream_offset: offset,
            downstream_offset: offset,
        };
        let (key, value) = (sync.key().unwrap(), sync.value());
        let mut batch = BatchBuilder::new(Compression::None);
        batch.push(1_700_000_000_000, Some(&key), Some(&value), []);
        batch.build()
    };
    produce(&pair.target, syncs, 0, sync("once", 1)).await;

    let mut connector = MirrorSourceConnector::new(pair.environment.clone());
    connector
        .start(pair.props(&[IDENTITY]), Arc::new(Context::default()))
        .await
        .unwrap();
    let topics = |connector: &mut MirrorSourceConnector| -> Vec<String> {
        let configs = connector.task_configs(9).unwrap_or_default();
        configs
            .iter()
            .map(|config| config["task.assigned.partitions"].clone())
            .collect()
    };
    assert_eq!(topics(&mut connector), ["once-0", "round-0"]);
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    for offset in 0.. {
        if topics(&mut connector) == ["once-0"] {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "{:?}", topics(&mut connector));
        produce(&pair.target, syncs, 0, sync("round", offset)).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    connector.stop().await;
}

/// Two deployments with aliases of their own: what left A as `A.t` and came back as `X.A.t` does not go out again.
#[tokio::test]
async fn what_came_back_over_another_deployment_is_not_copied_again() {
    let pair = Pair::start().await;
    for topic in ["t", "X.A.t", "X.t", "A.mine", "of.A.department"] {
        pair.source.create_topic(topic, 1, &[]).unwrap();
    }
    let worker = pair.mirror(&[], Offsets::default());
    // A name that has our own alias in it may be the owner's choice.
    for remote in ["A.t", "A.X.t", "A.A.mine", "A.of.A.department"] {
        eventually(remote, || async {
            (pair.target.partition_count(remote) == 1).then_some(())
        })
        .await;
    }
    assert_eq!(pair.target.partition_count("A.X.A.t"), 0);
    worker.stop().await;
}

async fn task_count(connector: &mut MirrorSourceConnector, expected: usize) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    while connector.task_configs(1).ok().map(|configs| configs.len()) != Some(expected) {
        assert!(tokio::time::Instant::now() < deadline, "{expected} tasks");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn another_cluster_under_the_same_address_is_not_copied() {
    let started = |port| Cluster::builder().port(port).start();
    let pair = Pair::start().await;
    let port = pair.source.port(1).unwrap();
    pair.source.create_topic("t", 1, &[]).unwrap();
    produce_numbers(&pair.source, "t", 0, 0, 5).await;
    let context = Arc::new(Context::default());
    let mut connector = MirrorSourceConnector::new(pair.environment.clone());
    connector.start(pair.props(&[]), context).await.unwrap();
    task_count(&mut connector, 1).await;
    let mut task = task(&pair, None, &[]).await;
    assert_eq!(task.poll().await.expect("all is well").len(), 1);

    pair.source.shutdown().await;
    let other = started(port).await.unwrap();
    other.create_topic("t", 1, &[("retention.ms", "777")]).unwrap();
    other.create_topic("u", 1, &[]).unwrap();
    produce_numbers(&other, "t", 0, 100, 9).await;
    let error = failure(task).await;
    assert!(
        error.contains("another cluster answers at source.cluster.bootstrap.servers"),
        "{error}"
    );
    task_count(&mut connector, 0).await;
    assert_eq!(pair.target.partition_count("A.u"), 0);
    let settings = |name: &str| pair.target.topic_config("A.t", name);
    assert_ne!(
        settings("retention.ms").as_deref(),
        Some("777"),
        "its settings are not synced either"
    );
    connector.stop().await;
}

/// The same on the other side, whatever the new one has: it is another, or it lacks what was copied.
#[tokio::test]
async fn another_target_under_the_same_address_is_not_written() {
    for has_the_copy in [false, true] {
        let target = |port: u16, id: &'static str| {
            let builder = Cluster::builder().cluster_id(id).auto_create_topics(false);
            match port {
                0 => builder.start(),
                port => builder.port(port).start(),
            }
        };
        let source = Cluster::builder().start().await.unwrap();
        let pair = Pair::of(source, target(0, "the-former").await.unwrap());
        let port = pair.target.port(1).unwrap();
        pair.source.create_topic("t", 1, &[]).unwrap();
        let mut connector = MirrorSourceConnector::new(pair.environment.clone());
        connector
            .start(pair.props(&[]), Arc::new(Context::default()))
            .await
            .unwrap();
        task_count(&mut connector, 1).await;

        pair.target.shutdown().await;
        let other = target(port, "another").await.unwrap();
        if has_the_copy {
            other.create_topic("A.t", 1, &[]).unwrap();
        }
        let before = other.topic_names();
        pair.source.create_topic("u", 1, &[]).unwrap();
        task_count(&mut connector, 0).await;
        assert_eq!(other.topic_names(), before, "nothing is made there");
        other.shutdown().await;

        // The former one is back.
        let former = target(port, "the-former").await.unwrap();
        task_count(&mut connector, 1).await;
        eventually("what was to be made", || async {
            (former.partition_count("A.u") == 1).then_some(())
        })
        .await;
        connector.stop().await;
    }
}

/// The target refuses a setting, and nothing but the setting is left out.
#[tokio::test]
async fn a_setting_that_the_target_does_not_take_is_left_out() {
    let pair = Pair::start().await;
    pair.target.control(ApiKey::CreateTopics, |request| {
        let RequestKind::CreateTopics(create) = request.body else {
            return Control::Pass;
        };
        let mut settings = create.topics.iter().flat_map(|topic| &topic.configs);
        match settings.any(|config| config.name.as_str() == "segment.ms") {
            true => Control::Error(ResponseError::InvalidConfig),
            false => Control::Pass,
        }
    });
    pair.target.control(ApiKey::IncrementalAlterConfigs, |request| {
        let RequestKind::IncrementalAlterConfigs(alter) = request.body else {
            return Control::Pass;
        };
        let mut settings = alter.resources.iter().flat_map(|resource| &resource.configs);
        match settings.any(|config| config.name.as_str() == "segment.ms") {
            true => Control::Error(ResponseError::InvalidConfig),
            false => Control::Pass,
        }
    });
    let settings = [
        ("retention.ms", "777"),
        ("segment.ms", "55555"),
        ("max.message.bytes", "4444"),
    ];
    pair.source.create_topic("t", 1, &settings).unwrap();
    produce_numbers(&pair.source, "t", 0, 0, 3).await;
    let worker = pair.mirror(&[], Offsets::default());
    pair.mirrored("t").await;
    let of_copy = |name: &str| pair.target.topic_config("A.t", name);
    assert_eq!(of_copy("retention.ms").as_deref(), Some("777"));
    assert_eq!(of_copy("max.message.bytes").as_deref(), Some("4444"));
    assert_ne!(of_copy("segment.ms").as_deref(), Some("55555"));

    // Neither does it stand in the way of later changes.
    let change = |name: &str, value: &str| kafka_client::admin::AlterConfigOp {
        name: name.to_owned(),
        value: Some(value.to_owned()),
        op: kafka_client::admin::OpType::Set,
    };
    let changes = vec![change("retention.ms", "888")];
    let resource = kafka_client::admin::ConfigResource::topic("t");
    let admin = Admin::new(client(&pair.source));
    admin
        .incremental_alter_configs(vec![(resource, changes)], false)
        .await
        .unwrap();
    eventually("the new retention", || async {
        of_copy("retention.ms").filter(|value| value == "888")
    })
    .await;
    worker.stop().await;
}

fn acl(topic: &str, pattern_type: i8, principal: &str, operation: i8) -> AclBinding {
    AclBinding {
        resource_type: AclBinding::TOPIC,
        resource_name: topic.to_owned(),
        pattern_type,
        principal: principal.to_owned(),
        host: "*".to_owned(),
        operation,
        permission_type: AclBinding::ALLOW,
    }
}

#[tokio::test]
async fn acls_with_prefixes_are_copied_and_vanished_ones_are_deleted_if_asked_for() {
    use AclBinding as B;
    let cluster = || Cluster::builder().authorizer(true).auto_create_topics(false).start();
    let pair = Pair::of(cluster().await.unwrap(), cluster().await.unwrap());
    let (source, target) = (Admin::new(client(&pair.source)), Admin::new(client(&pair.target)));
    // Whoever mirrors may do everything.
    let everything = |pattern| acl("", pattern, "User:ANONYMOUS", B::ALL);
    let all_topics = AclBinding {
        resource_name: "*".to_owned(),
        ..everything(B::LITERAL)
    };
    pair.source.create_topic("orders", 1, &[]).unwrap();
    let at_source = [
        all_topics.clone(),
        acl("orders", B::LITERAL, "User:alice", B::READ),
        acl("ord", B::PREFIXED, "User:bob", B::READ),
        acl("pay", B::PREFIXED, "User:bob", B::READ),
    ];
    let on_target = [
        all_topics.clone(),
        acl("A.orders", B::LITERAL, "User:left", B::READ),
        acl("A.orders", B::LITERAL, "User:owner", B::WRITE),
        acl("mine", B::LITERAL, "User:left", B::READ),
    ];
    for (admin, acls) in [(&source, &at_source), (&target, &on_target)] {
        for result in admin.create_acls(acls).await.unwrap() {
            result.unwrap();
        }
    }
    let worker = pair.mirror(
        &[
            ("topics", "ord.*"),
            ("sync.topic.acls.interval.seconds", "1"),
            ("heliograph.sync.topic.acls.prefixed.enabled", "true"),
            ("heliograph.sync.topic.acls.deletion.enabled", "true"),
        ],
        Offsets::default(),
    );
    let expect = |what: &'static str, expected: Vec<AclBinding>| {
        let target = target.clone();
        async move {
            eventually(what, || async {
                let filter = AclFilter {
                    resource_type: B::TOPIC,
                    ..AclFilter::default()
                };
                let mut found = target.describe_acls(&filter).await.unwrap();
                let mut expected = expected.clone();
                found.sort();
                expected.sort();
                (found == expected).then_some(())
            })
            .await;
        }
    };
    let stays = [on_target[0].clone(), on_target[2].clone(), on_target[3].clone()];
    let copied = [
        acl("A.orders", B::LITERAL, "User:alice", B::READ),
        acl("A.ord", B::PREFIXED, "User:bob", B::READ),
    ];
    expect("what the source has", [&stays[..], &copied[..]].concat()).await;
    for result in source.delete_acls(&at_source[1..2]).await.unwrap() {
        result.unwrap();
    }
    expect("what the source has left", [&stays[..], &copied[1..]].concat()).await;
    worker.stop().await;
}

#[tokio::test]
async fn a_job_that_waits_for_a_cluster_delays_no_other() {
    let pair = Pair::start().await;
    pair.source.create_topic("a", 1, &[]).unwrap();
    // What may pass is tried again for a minute: longer than this test lasts.
    pair.source
        .control(ApiKey::DescribeAcls, |_| Control::Error(ResponseError::RequestTimedOut));
    let interval = ("sync.topic.acls.interval.seconds", "1");
    let worker = pair.mirror(&[interval], Offsets::default());
    eventually("the job to wait", || async {
        (pair.source.count(ApiKey::DescribeAcls) > 0).then_some(())
    })
    .await;
    pair.source.create_topic("b", 1, &[]).unwrap();
    eventually("the next topic", || async {
        (pair.target.partition_count("A.b") == 1).then_some(())
    })
    .await;
    worker.stop().await;
}
