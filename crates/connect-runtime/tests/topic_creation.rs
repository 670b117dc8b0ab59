//! `topic.creation.*`: topics that a task writes to first are created as the connector wants them. What does not name the
//! embedded Kafka also runs on a real one, as in `worker.rs`.

#[expect(unreachable_pub, reason = "shared by the test files of this crate")]
#[expect(dead_code, reason = "each file uses a part")]
mod support;

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering::SeqCst},
    time::Duration,
};

use connect_runtime::worker::State;
use kafka_client::{Admin, Client, ClientConfig, Dialer, admin::ConfigResource};
use kafka_embedded::{ApiKey, Control, ResponseError};
use support::{Script, Target, Worker, eventually, props};

/// A topic for each second of the numbers, which are their own timestamps: `second-0`, `second-1`, ….
fn by_second(target: &Target) -> [(&'static str, String); 4] {
    [
        ("transforms", "second".to_owned()),
        ("transforms.second.type", "TimestampRouter".to_owned()),
        ("transforms.second.topic.format", target.topic("second-${timestamp}")),
        ("transforms.second.timestamp.format", "s".to_owned()),
    ]
}

const ONE_PARTITION: &[(&str, &str)] = &[
    ("topic.creation.default.partitions", "1"),
    ("topic.creation.default.replication.factor", "1"),
];

fn start_by_second(target: &Target, script: &Arc<Script>, worker: &[(&str, &str)], more: &[(&str, &str)]) -> Worker {
    let by_second = by_second(target);
    let by_second: Vec<_> = by_second.iter().map(|(key, value)| (*key, value.as_str())).collect();
    start(target, script, worker, &[&by_second, ONE_PARTITION, more])
}

fn start(target: &Target, script: &Arc<Script>, worker: &[(&str, &str)], connector: &[&[(&str, &str)]]) -> Worker {
    let mut config = props(&[
        ("name", "counter"),
        ("connector.class", "Counter"),
        ("tasks.max", "1"),
        ("topic", &target.topic("numbers")),
    ]);
    for more in connector {
        config.extend(props(more));
    }
    Worker::start_with(target, script, worker, vec![("counter".to_owned(), config)])
}

fn admin(target: &Target) -> Admin {
    let config = props(&[("bootstrap.servers", &target.worker_props(&[])["bootstrap.servers"])]);
    Admin::new(Client::new(ClientConfig::parse(&config).unwrap(), Dialer::tcp()))
}

/// The number of partitions and what was set, if the topic is there.
async fn shape(target: &Target, topic: &str) -> Option<(usize, BTreeMap<String, String>)> {
    let (admin, name): (_, Arc<str>) = (admin(target), topic.into());
    let mut described = admin.describe_topics(std::slice::from_ref(&name)).await.unwrap();
    let partitions = described.remove(&name)?.ok()?.partitions.len();
    let resource = ConfigResource::topic(topic);
    let mut configs = admin.describe_configs(vec![resource.clone()]).await.unwrap();
    let configs = configs.remove(&resource)?.unwrap().into_iter();
    let set = configs.filter(|config| ["cleanup.policy", "retention.ms"].contains(&config.name.as_str()));
    Some((
        partitions,
        set.filter_map(|config| Some((config.name, config.value?))).collect(),
    ))
}

async fn eventually_counted(target: &Target, topic: &str, numbers: std::ops::Range<i64>) {
    let wanted: Vec<i64> = numbers.collect();
    let read = async || {
        let counted = target.counted(topic, 0).await;
        (counted.len() >= wanted.len()).then_some(counted)
    };
    assert_eq!(eventually("the numbers", read).await, wanted, "{topic}");
}

#[tokio::test]
async fn routed_topics_are_created_as_the_first_group_that_takes_them_says() {
    let target = Target::any().await;
    let script = Script::counting_to(2500, 1);
    let groups = [
        ("topic.creation.groups", "odd"),
        ("topic.creation.odd.include", "second-[13579]-.*"),
        ("topic.creation.odd.partitions", "3"),
        ("topic.creation.odd.cleanup.policy", "compact"),
        ("topic.creation.default.retention.ms", "7654321"),
    ];
    let worker = start_by_second(&target, &script, &[], &groups);
    for (topic, numbers) in [
        ("second-0", 0..1000),
        ("second-1", 1000..2000),
        ("second-2", 2000..2500),
    ] {
        eventually_counted(&target, topic, numbers).await;
    }
    let shape_of = async |second| {
        let topic = target.topic(&format!("second-{second}"));
        let (partitions, configs) = shape(&target, &topic).await.unwrap();
        (
            partitions,
            configs["cleanup.policy"].clone(),
            configs["retention.ms"].clone(),
        )
    };
    let of_default = (1, "delete".to_owned(), "7654321".to_owned());
    assert_eq!(shape_of(0).await, of_default);
    assert_eq!(shape_of(2).await, of_default);
    let (partitions, policy, retention) = shape_of(1).await;
    assert_eq!((partitions, &*policy), (3, "compact"));
    assert_ne!(retention, "7654321", "a group has none of the default group's settings");
    worker.stop().await;
    let stored = target.table("offsets").await[r#"["counter",{"partition":0}]"#].clone();
    assert_eq!(stored.as_deref(), Some(r#"{"offset":2499}"#));
}

#[tokio::test]
async fn existing_topics_are_left_as_they_are_and_looked_at_once() {
    let target = Target::embedded().await;
    target.create_topic("numbers", 2, &[]).await;
    let script = Script::counting_to(100, 1);
    let groups = [("topic.creation.default.partitions", "7")];
    let worker = start(&target, &script, &[], &[ONE_PARTITION, &groups]);
    eventually("100 numbers", async || {
        (target.counted("numbers", 0).await.len() >= 100).then_some(())
    })
    .await;
    worker.stop().await;
    assert_eq!(shape(&target, &target.topic("numbers")).await.unwrap().0, 2);
    let cluster = target.cluster.as_ref().unwrap();
    // One for the topic of this test and one for each internal topic.
    assert_eq!(cluster.count(ApiKey::CreateTopics), 4);
}

#[tokio::test]
async fn nothing_is_created_unless_worker_and_connector_say_so() {
    let off = [("topic.creation.enable", "false")];
    for (worker, connector) in [(&off[..], ONE_PARTITION), (&[][..], &[][..])] {
        let target = Target::embedded().await;
        let script = Script::counting_to(10, 1);
        let worker = start(&target, &script, worker, &[connector]);
        eventually("numbers that cannot be written", async || {
            let metrics = worker.handle.task_metrics().await.unwrap();
            (metrics.first()?.1.read().polled_records >= 10).then_some(())
        })
        .await;
        let cluster = target.cluster.as_ref().unwrap();
        assert_eq!(cluster.count(ApiKey::CreateTopics), 3, "the internal topics");
        assert!(shape(&target, &target.topic("numbers")).await.is_none());
        worker.kill().await;
    }
}

#[tokio::test]
async fn settings_that_make_no_sense_fail_the_connector_and_name_the_key() {
    let target = Target::any().await;
    let script = Script::counting_to(10, 1);
    let worker = start(&target, &script, &[], &[&[("topic.creation.groups", "odd")]]);
    let failed = worker
        .until("it has failed", |counter| counter.status.state == State::Failed)
        .await;
    let trace = failed.status.trace.unwrap();
    let missing = "Missing required configuration \"topic.creation.default.partitions\" which has no default value.";
    assert!(trace.contains(missing), "{trace}");
    worker.stop().await;
}

#[tokio::test]
async fn a_topic_that_may_not_be_created_fails_the_task_in_kafkas_words() {
    let target = Target::embedded().await;
    let cluster = target.cluster.as_ref().unwrap();
    let script = Script::counting_to(10, 1);
    let numbers = target.topic("numbers");
    let is_ours = move |request: &kafka_embedded::Request<'_>| format!("{:?}", request.body).contains(&numbers);
    cluster.control(ApiKey::CreateTopics, move |request| match is_ours(request) {
        true => Control::Error(ResponseError::TopicAuthorizationFailed),
        false => Control::Pass,
    });
    let worker = start(&target, &script, &[], &[ONE_PARTITION]);
    let is_failed = |counter: &support::Counted| counter.tasks.iter().any(|(_, task)| task.state == State::Failed);
    let failed = worker.until("the task has failed", is_failed).await;
    let trace = failed.tasks[0].1.trace.clone().unwrap();
    let says = format!(
        "Task failed to create new topic (name={}, numPartitions=1, replicationFactor=1, replicasAssignments=null, \
         configs={{}}). Ensure that the task is authorized to create topics or that the topic exists and restart the task",
        target.topic("numbers")
    );
    assert!(trace.contains(&says), "{trace}");
    worker.stop().await;
}

#[tokio::test]
async fn a_task_that_waits_for_a_topic_goes_on_storing_what_was_written() {
    let target = Target::embedded().await;
    let cluster = target.cluster.as_ref().unwrap();
    let script = Script::counting_to(1500, 1);
    // The second topic is not to be had for a while, and the brokers do not even answer.
    let second = target.topic("second-1");
    let is_second = move |request: &kafka_embedded::Request<'_>| format!("{:?}", request.body).contains(&second);
    cluster.control(ApiKey::CreateTopics, move |request| match is_second(request) {
        true => Control::Disconnect,
        false => Control::Pass,
    });
    let worker = start_by_second(&target, &script, &[("offset.flush.interval.ms", "100")], &[]);
    eventually("offsets of the first topic", async || {
        let stored = target.table("offsets").await;
        let stored = stored.get(r#"["counter",{"partition":0}]"#)?.clone();
        (stored.as_deref() == Some(r#"{"offset":999}"#)).then_some(())
    })
    .await;
    let running = worker.counter().await.unwrap();
    assert_eq!(running.tasks[0].1.state, State::Running);
    cluster.clear_control(ApiKey::CreateTopics);
    eventually_counted(&target, "second-1", 1000..1500).await;
    eventually_counted(&target, "second-0", 0..1000).await;
    worker.stop().await;
}

#[tokio::test]
async fn a_task_that_waits_for_a_topic_can_be_stopped() {
    let target = Target::embedded().await;
    let cluster = target.cluster.as_ref().unwrap();
    let script = Script::counting_to(10, 1);
    let numbers = target.topic("numbers");
    cluster.control(ApiKey::CreateTopics, move |request| {
        match format!("{:?}", request.body).contains(&numbers) {
            true => Control::Drop,
            false => Control::Pass,
        }
    });
    let worker = start(&target, &script, &[], &[ONE_PARTITION]);
    eventually("the question for the topic", async || {
        (cluster.count(ApiKey::CreateTopics) > 3).then_some(())
    })
    .await;
    assert_eq!(script.stops.load(SeqCst), 0);
    tokio::time::timeout(Duration::from_secs(20), worker.stop())
        .await
        .expect("it ends in time");
    assert_eq!(script.stops.load(SeqCst), 1);
}
