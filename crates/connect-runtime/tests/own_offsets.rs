//! Connectors with an offsets topic of their own. Runs on a real Kafka too, as `worker.rs` does.

#[expect(unreachable_pub, reason = "shared by the test files of this crate")]
#[allow(dead_code, reason = "each file uses a part")]
mod support;

use std::sync::atomic::Ordering::SeqCst;

use connect_api::Props;
use connect_runtime::worker::State;
use support::{Counted, Script, Target, Worker, eventually, props};

const KEY: &str = r#"["counter",{"partition":0}]"#;
const EXACTLY_ONCE: (&str, &str) = ("exactly.once.source.support", "enabled");

fn connector(numbers: &str, more: &[(&str, &str)]) -> Vec<(String, Props)> {
    let mut config = props(&[
        ("name", "counter"),
        ("connector.class", "Counter"),
        ("tasks.max", "4"),
        ("topic", numbers),
    ]);
    config.extend(props(more));
    vec![("counter".to_owned(), config)]
}

fn is(state: State) -> impl Fn(&Counted) -> bool {
    move |counter| !counter.tasks.is_empty() && counter.tasks.iter().all(|(_, task)| task.state == state)
}

async fn until_stored(target: &Target, topic: &str, offset: i64) {
    let expected = format!("{{\"offset\":{offset}}}");
    eventually(&format!("{offset} in {topic}"), async || {
        let stored = target.table(topic).await.remove(KEY)??;
        (stored == expected).then_some(())
    })
    .await;
}

async fn until_stopped(worker: &Worker) {
    worker.handle.stop("counter").await.unwrap();
    worker
        .until("a stopped connector", |counter| {
            counter.tasks.is_empty() && counter.status.state == State::Stopped
        })
        .await;
}

/// Both ways of writing: from the worker's topic to the connector's own, both kept, and reset by request.
async fn offsets_move_to_a_topic_of_their_own(worker_props: &[(&str, &str)]) {
    let target = Target::any().await;
    target.create_topic("numbers", 4, &[]).await;
    let numbers = target.topic("numbers");
    let script = Script::counting_to(20, 1);
    let worker = Worker::start_with(&target, &script, worker_props, connector(&numbers, &[]));
    until_stored(&target, "offsets", 19).await;
    worker.stop().await;

    let own = [("offsets.storage.topic", target.topic("mine"))];
    let own = own.each_ref().map(|(key, topic)| (*key, topic.as_str()));
    let worker = Worker::start_with(&target, &script, worker_props, connector(&numbers, &own));
    eventually("a task that has made the topic", async || {
        let topics = target.admin().list_topics(true).await.unwrap();
        topics.iter().any(|topic| *topic.name == *own[0].1).then_some(())
    })
    .await;
    script.limit.store(40, SeqCst);
    until_stored(&target, "mine", 39).await;
    until_stored(&target, "offsets", 39).await;
    let counted: Vec<i64> = (0..40).collect();
    assert_eq!(
        target.counted("numbers", 0).await,
        counted,
        "it went on from the worker's"
    );

    until_stopped(&worker).await;
    let stored = worker.handle.offsets("counter").await.unwrap();
    assert_eq!(stored.len(), 1);
    let mut altered = stored[0].clone();
    altered.offset.insert("offset".to_owned(), 29.into());
    let alteration = vec![(altered.partition.clone(), Some(altered.offset.clone()))];
    worker.handle.alter_offsets("counter", alteration).await.unwrap();
    until_stored(&target, "mine", 29).await;
    until_stored(&target, "offsets", 29).await;
    assert_eq!(worker.handle.offsets("counter").await.unwrap(), [altered]);

    worker.handle.reset_offsets("counter").await.unwrap();
    assert_eq!(worker.handle.offsets("counter").await.unwrap(), []);
    for topic in ["mine", "offsets"] {
        assert_eq!(target.table(topic).await[KEY], None, "{topic}");
    }
    worker.stop().await;
}

#[tokio::test]
async fn offsets_of_a_connector_move_to_its_own_topic() {
    offsets_move_to_a_topic_of_their_own(&[]).await;
}

#[tokio::test]
async fn and_so_they_do_where_records_are_written_exactly_once() {
    offsets_move_to_a_topic_of_their_own(&[EXACTLY_ONCE]).await;
}

#[tokio::test]
async fn a_topic_that_is_not_compacted_fails_the_task() {
    let target = Target::any().await;
    target.create_topic("numbers", 4, &[]).await;
    target.create_topic("mine", 1, &[("cleanup.policy", "delete")]).await;
    let (script, mine) = (Script::counting_to(20, 1), target.topic("mine"));
    let connector = connector(&target.topic("numbers"), &[("offsets.storage.topic", &mine)]);
    let worker = Worker::start_with(&target, &script, &[], connector);
    let counter = worker.until("a failed task", is(State::Failed)).await;
    let trace = counter.tasks[0].1.trace.clone().unwrap_or_default();
    assert!(
        trace.contains(&format!("Topic '{mine}' supplied via")) && trace.contains("cleanup.policy=delete"),
        "{trace}"
    );
    worker.stop().await;
}

#[tokio::test]
async fn records_that_go_to_another_cluster_take_their_offsets_along() {
    let (target, elsewhere) = (Target::any().await, Target::embedded().await);
    elsewhere.create_topic("numbers", 4, &[]).await;
    let servers = elsewhere.worker_props(&[])["bootstrap.servers"].clone();
    let mine = elsewhere.topic("mine");
    let overrides = [
        ("producer.override.bootstrap.servers", servers.as_str()),
        ("consumer.override.bootstrap.servers", &servers),
        ("admin.override.bootstrap.servers", &servers),
        ("offsets.storage.topic", &mine),
    ];
    let script = Script::counting_to(20, 1);
    for end in [20, 40] {
        script.limit.store(end, SeqCst);
        let connector = connector(&elsewhere.topic("numbers"), &overrides);
        let worker = Worker::start_with(&target, &script, &[EXACTLY_ONCE], connector);
        let last = end as i64 - 1;
        until_stored(&elsewhere, "mine", last).await;
        until_stored(&target, "offsets", last).await;
        let counted: Vec<i64> = (0..=last).collect();
        assert_eq!(elsewhere.committed("numbers", 0).await, counted);
        worker.stop().await;
    }
}

#[tokio::test]
async fn a_cluster_that_is_away_when_a_task_starts_is_waited_for() {
    let (target, elsewhere) = (Target::any().await, Target::embedded().await);
    elsewhere.create_topic("numbers", 4, &[]).await;
    let servers = elsewhere.worker_props(&[])["bootstrap.servers"].clone();
    let mine = elsewhere.topic("mine");
    let connector = connector(
        &elsewhere.topic("numbers"),
        &[
            ("producer.override.bootstrap.servers", servers.as_str()),
            ("consumer.override.bootstrap.servers", &servers),
            ("admin.override.bootstrap.servers", &servers),
            ("admin.override.default.api.timeout.ms", "100"),
            ("admin.override.request.timeout.ms", "50"),
            ("offsets.storage.topic", &mine),
        ],
    );
    let cluster = elsewhere.cluster.as_ref().unwrap();
    cluster.stop_node(1).await.unwrap();
    let script = Script::counting_to(20, 1);
    let worker = Worker::start_with(&target, &script, &[], connector);
    eventually("a task", async || {
        let info = worker.handle.connector_info("counter").await.ok()?;
        (info.tasks.len() == 1).then_some(())
    })
    .await;
    // As long as the first attempt of a task takes, and no word of it.
    let asked = worker.handle.offsets("counter").await;
    assert!(asked.is_err(), "{asked:?}");
    cluster.start_node(1).await.unwrap();
    until_stored(&elsewhere, "mine", 19).await;
    worker.stop().await;
}
