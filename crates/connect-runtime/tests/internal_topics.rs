//! Somebody deletes a worker's internal topics while it runs. Runs on a real Kafka too, as `worker.rs` does.

#[expect(unreachable_pub, reason = "shared by the test files of this crate")]
#[allow(dead_code, reason = "each file uses a part")]
mod support;

use std::{
    collections::{BTreeMap, HashMap},
    sync::atomic::Ordering::SeqCst,
    time::Duration,
};

use connect_runtime::worker::State;
use kafka_embedded::Cluster;
use support::{Script, Target, Worker, eventually};

async fn delete(target: &Target, topic: &str) {
    let deleted = target
        .admin()
        .delete_topics(vec![target.topic(topic).into()])
        .await
        .unwrap();
    for (name, deleted) in deleted {
        deleted.unwrap_or_else(|error| panic!("{name}: {}", error.chain()));
    }
}

/// What there is in a topic, once it is there and holds all of `expected`.
async fn until_it_holds(
    target: &Target,
    topic: &str,
    expected: &HashMap<String, Option<String>>,
) -> HashMap<String, Option<String>> {
    let holds = |table: &HashMap<String, Option<String>>| expected.keys().all(|key| table.contains_key(key));
    eventually(&format!("{topic} made again"), async || {
        let name = target.topic(topic).into();
        let described = target.admin().describe_topics(&[name]).await.ok()?;
        described.into_values().next()?.ok()?;
        Some(target.table(topic).await).filter(holds)
    })
    .await
}

/// Whether both tasks have stored this offset.
async fn stored(target: &Target, offset: i64) -> Option<()> {
    let offset = format!("{{\"offset\":{offset}}}");
    let table = target.table("offsets").await;
    let is_it = |value: &Option<String>| value.as_deref() == Some(&*offset);
    (table.len() == 2 && table.values().all(is_it)).then_some(())
}

async fn setting(target: &Target, topic: &str, name: &str) -> Option<String> {
    let topic = target.topic(topic).into();
    let described = target.admin().describe_topic_configs(&[topic]).await.ok()?;
    let entries = described.into_values().next()?.ok()?;
    let entry = entries.into_iter().find(|entry| entry.name == name)?;
    entry.value
}

#[tokio::test]
async fn a_deleted_offset_topic_is_made_again_and_nothing_is_copied_twice() {
    let target = Target::any().await;
    target.create_topic("numbers", 2, &[]).await;
    let script = Script::counting_to(100, 2);
    let worker = Worker::start(&target, &script, &[("offset.flush.interval.ms", "200")]);
    eventually("offsets", async || stored(&target, 99).await).await;
    let before = target.table("offsets").await;
    delete(&target, "offsets").await;
    // Nothing is committed meanwhile: what was stored comes back all the same.
    assert_eq!(until_it_holds(&target, "offsets", &before).await, before);
    assert_eq!(
        setting(&target, "offsets", "cleanup.policy").await.as_deref(),
        Some("compact")
    );
    script.limit.store(200, SeqCst);
    eventually("new offsets", async || stored(&target, 199).await).await;
    worker.kill().await;
    script.limit.store(300, SeqCst);
    let worker = Worker::start(&target, &script, &[]);
    eventually("the rest", async || {
        (target.counted("numbers", 0).await.len() >= 300).then_some(())
    })
    .await;
    worker.stop().await;
    assert_eq!(target.counted("numbers", 0).await, (0..300).collect::<Vec<_>>());
}

#[tokio::test]
async fn nothing_is_written_back_to_another_cluster() {
    let mut target = Target::embedded().await;
    target.create_topic("numbers", 2, &[]).await;
    let script = Script::counting_to(100, 2);
    let worker = Worker::start(&target, &script, &[("offset.flush.interval.ms", "200")]);
    eventually("offsets", async || stored(&target, 99).await).await;
    let old = target.cluster.take().expect("it is embedded");
    let port = old.port(1).expect("a node");
    old.shutdown().await;
    // It has none of the records that the offsets stand for.
    let other = Cluster::builder().auto_create_topics(false).port(port).start().await;
    target.cluster = Some(other.expect("the port is free"));
    target.create_topic("numbers", 2, &[]).await;
    eventually("an offset topic", async || {
        let name = target.topic("offsets").into();
        let described = target.admin().describe_topics(&[name]).await.ok()?;
        described.into_values().next()?.ok()
    })
    .await;
    let restored = eventually("what must not be", async || stored(&target, 99).await);
    let restored = tokio::time::timeout(Duration::from_secs(4), restored).await;
    assert!(restored.is_err(), "written back");
    script.limit.store(200, SeqCst);
    eventually("new offsets", async || stored(&target, 199).await).await;
    worker.stop().await;
}

#[tokio::test]
async fn a_deleted_status_topic_is_made_again() {
    let target = Target::any().await;
    target.create_topic("numbers", 2, &[]).await;
    let script = Script::counting_to(100, 2);
    let worker = Worker::start(&target, &script, &[]);
    worker
        .until("two running tasks", |counter| {
            counter
                .tasks
                .iter()
                .filter(|task| task.1.state == State::Running)
                .count()
                == 2
        })
        .await;
    eventually("topics in use", async || {
        let table = target.table("status").await;
        (table.len() >= 4).then_some(())
    })
    .await;
    let before = target.table("status").await;
    delete(&target, "status").await;
    assert_eq!(until_it_holds(&target, "status", &before).await, before);
    assert_eq!(
        setting(&target, "status", "cleanup.policy").await.as_deref(),
        Some("compact")
    );
    worker.stop().await;
    let statuses = target.table("status").await;
    let task = statuses["status-task-counter-1"].as_deref().unwrap();
    assert!(task.starts_with(r#"{"state":"UNASSIGNED""#), "{task}");
}

#[tokio::test]
async fn a_deleted_config_topic_is_made_again_by_the_leader() {
    let target = Target::any().await;
    target.create_topic("numbers", 2, &[]).await;
    let script = Script::counting_to(100, 2);
    let worker = Worker::start(&target, &script, &[]);
    let running = |counter: &support::Counted| {
        counter
            .tasks
            .iter()
            .filter(|task| task.1.state == State::Running)
            .count()
            == 2
    };
    worker.until("two running tasks", running).await;
    let sorted = |table: HashMap<String, Option<String>>| table.into_iter().collect::<BTreeMap<_, _>>();
    let before = target.table("configs").await;
    assert_eq!(script.stops.load(SeqCst), 0);
    delete(&target, "configs").await;
    let after = until_it_holds(&target, "configs", &before).await;
    assert_eq!(sorted(after), sorted(before));
    let keys: Vec<String> = target
        .records("configs")
        .await
        .into_iter()
        .map(|(_, key, _)| key)
        .collect();
    assert_eq!(
        keys,
        [
            "connector-counter",
            "task-counter-0",
            "task-counter-1",
            "commit-counter"
        ]
    );
    // A worker that starts now knows what there was to know.
    worker.until("two running tasks", running).await;
    worker.handle.pause("counter").await.unwrap();
    worker
        .until("a paused connector", |counter| counter.status.state == State::Paused)
        .await;
    assert_eq!(script.stops.load(SeqCst), 0, "nothing is new for the tasks");
    worker.stop().await;
    assert!(target.table("configs").await.contains_key("target-state-counter"));
    let worker = Worker::start_with(&target, &script, &[], Vec::new());
    worker
        .until("a paused connector", |counter| counter.status.state == State::Paused)
        .await;
    worker.stop().await;
}
