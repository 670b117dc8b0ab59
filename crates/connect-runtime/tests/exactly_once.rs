//! Workers with `exactly.once.source.support`. Runs on a real Kafka too, as `worker.rs` does.

#[expect(unreachable_pub, reason = "shared by the test files of this crate")]
#[allow(dead_code, reason = "each file uses a part")]
mod support;

use std::{
    collections::BTreeMap,
    sync::{PoisonError, atomic::Ordering::SeqCst},
};

use connect_runtime::{
    herder::RequestError,
    storage::config::RawConfig,
    worker::{ConnectorTaskId, State, TargetState},
};
use serde_json::json;
use support::{Counted, Script, Target, Trouble, Worker, eventually, props};

const ENABLED: (&str, &str) = ("exactly.once.source.support", "Enabled");

fn numbers(end: i64) -> Vec<i64> {
    (0..end).collect()
}

fn connector(target: &Target, more: &[(&str, &str)]) -> Vec<(String, connect_api::Props)> {
    let mut config = props(&[
        ("name", "counter"),
        ("connector.class", "Counter"),
        ("tasks.max", "4"),
        ("topic", &target.topic("numbers")),
    ]);
    config.extend(props(more));
    vec![("counter".to_owned(), config)]
}

fn is(state: State) -> impl Fn(&Counted) -> bool {
    move |counter| !counter.tasks.is_empty() && counter.tasks.iter().all(|(_, task)| task.state == state)
}

async fn until_committed(target: &Target, end: i64) {
    eventually(&format!("{end} numbers to be committed"), async || {
        (target.committed("numbers", 0).await.len() as i64 >= end).then_some(())
    })
    .await;
    assert_eq!(target.committed("numbers", 0).await, numbers(end));
}

#[tokio::test]
async fn whatever_fails_nothing_counts_twice() {
    let target = Target::any().await;
    target.create_topic("numbers", 4, &[]).await;
    let script = Script::counting_to(200, 1);
    let restarts = [
        ENABLED,
        ("heliograph.task.restart.max.attempts", "1000"),
        ("heliograph.task.restart.backoff.ms", "10"),
    ];
    let worker = Worker::start(&target, &script, &restarts);
    until_committed(&target, 200).await;
    for round in 1..4_u32 {
        let trouble = match round {
            1 => Trouble::Fatal("no"),
            2 => Trouble::Panic("no, and loudly"),
            _ => Trouble::Retriable("not now"),
        };
        script.limit.fetch_add(200, SeqCst);
        // One of them panics while it looks.
        let look = script.trouble.lock();
        look.unwrap_or_else(PoisonError::into_inner).push_back(trouble);
        until_committed(&target, i64::from(round + 1) * 200).await;
    }
    worker.stop().await;
    let offset = target.table("offsets").await;
    let expected = json!({ r#"["counter",{"partition":0}]"#: r#"{"offset":799}"# });
    assert_eq!(json!(offset), expected);
}

#[tokio::test]
async fn killed_in_its_work_it_goes_on_where_it_counts() {
    let target = Target::any().await;
    target.create_topic("numbers", 4, &[]).await;
    let script = Script::counting_to(u64::MAX >> 1, 1);
    let mut before = 0;
    for _ in 0..4 {
        let worker = Worker::start(&target, &script, &[ENABLED]);
        let committed = eventually("more to be committed", async || {
            let committed = target.committed("numbers", 0).await.len();
            (committed > before).then_some(committed)
        });
        before = committed.await;
        worker.kill().await;
    }
    script.limit.store(before as u64 + 1000, SeqCst);
    let worker = Worker::start(&target, &script, &[ENABLED]);
    until_committed(&target, before as i64 + 1000).await;
    worker.stop().await;
}

#[tokio::test]
async fn a_fenced_task_fails_and_says_why() {
    let target = Target::any().await;
    target.create_topic("numbers", 4, &[]).await;
    let script = Script::counting_to(u64::MAX >> 1, 1);
    let worker = Worker::start(&target, &script, &[ENABLED]);
    worker.until("a running task", is(State::Running)).await;
    let id = format!("{}-counter-0", target.group_id());
    let fenced = target.admin().fence_producers(vec![id.into()]).await;
    assert!(fenced.values().all(Result::is_ok), "{fenced:?}");
    let counter = worker.until("a failed task", is(State::Failed)).await;
    let trace = counter.tasks[0].1.trace.clone().unwrap_or_default();
    assert!(trace.contains("was fenced"), "{trace}");
    let committed = target.committed("numbers", 0).await.len() as i64;
    script.limit.store(committed as u64 + 500, SeqCst);
    worker
        .handle
        .restart_task(ConnectorTaskId::new("counter", 0))
        .await
        .unwrap();
    until_committed(&target, committed + 500).await;
    worker.stop().await;
}

#[tokio::test]
async fn a_leader_that_was_fenced_says_so_once_and_leads_on() {
    let target = Target::any().await;
    target.create_topic("numbers", 4, &[]).await;
    let script = Script::counting_to(20, 1);
    let worker = Worker::start(&target, &script, &[("exactly.once.source.support", "preparing")]);
    worker.until("a running task", is(State::Running)).await;
    let id = format!("connect-cluster-{}", target.group_id());
    let fenced = target.admin().fence_producers(vec![id.into()]).await;
    assert!(fenced.values().all(Result::is_ok), "{fenced:?}");
    let pair = |key: &str, value: &str| (key.to_owned(), Some(value.to_owned()));
    let config = RawConfig::from([
        pair("name", "other"),
        pair("connector.class", "Counter"),
        pair("topic", &target.topic("numbers")),
    ]);
    let put = async || {
        let stopped = Some(TargetState::Stopped);
        worker
            .handle
            .put_connector("other", config.clone(), stopped, false)
            .await
    };
    match put().await {
        Err(RequestError::Internal(message)) => {
            assert!(message.starts_with("Failed to write to config topic"), "{message}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(
        worker.handle.connectors().await.unwrap(),
        ["counter"],
        "nothing of it counts"
    );
    put().await.unwrap();
    assert_eq!(worker.handle.connectors().await.unwrap(), ["counter", "other"]);
    worker.stop().await;
    assert!(
        target.committed("numbers", 0).await.len() >= 20,
        "without transactions, all counts"
    );
}

#[tokio::test]
async fn an_interval_ends_early_only_when_there_is_much_or_at_the_end() {
    let target = Target::any().await;
    target.create_topic("numbers", 4, &[]).await;
    let script = Script::counting_to(20, 1);
    let hour = [
        ("transaction.boundary", "interval"),
        ("transaction.boundary.interval.ms", "3600000"),
    ];
    let worker = Worker::start_with(&target, &script, &[ENABLED], connector(&target, &hour));
    eventually("20 numbers to be written", async || {
        (target.counted("numbers", 0).await.len() >= 20).then_some(())
    })
    .await;
    assert_eq!(
        target.committed("numbers", 0).await,
        numbers(0),
        "the interval is not over"
    );
    worker.handle.pause("counter").await.unwrap();
    until_committed(&target, 20).await;
    worker.handle.resume("counter").await.unwrap();
    script.limit.store(40, SeqCst);
    eventually("40 numbers to be written", async || {
        (target.counted("numbers", 0).await.len() >= 40).then_some(())
    })
    .await;
    worker.stop().await;
    until_committed(&target, 40).await;
    script.padding.store(20_000, SeqCst);
    script.limit.store(240, SeqCst);
    let worker = Worker::start_with(&target, &script, &[ENABLED], connector(&target, &hour));
    eventually("much to be committed", async || {
        (target.committed("numbers", 0).await.len() > 90).then_some(())
    })
    .await;
    eventually("240 numbers to be written", async || {
        (target.counted("numbers", 0).await.len() >= 240).then_some(())
    })
    .await;
    worker.stop().await;
    until_committed(&target, 240).await;
}

#[tokio::test]
async fn what_the_target_refuses_is_sent_again_once_it_takes_it() {
    let target = Target::any().await;
    target
        .create_topic("numbers", 4, &[("max.message.bytes", "5000")])
        .await;
    let script = Script::counting_to(50, 1);
    let worker = Worker::start(&target, &script, &[ENABLED]);
    until_committed(&target, 50).await;
    script.padding.store(3000, SeqCst);
    script.limit.store(500, SeqCst);
    eventually("some refusals", async || {
        (script.refusals.lock().unwrap().len() > 3).then_some(())
    })
    .await;
    assert_eq!(target.committed("numbers", 0).await, numbers(50));
    script.padding.store(0, SeqCst);
    until_committed(&target, 500).await;
    worker.until("a running task", is(State::Running)).await;
    worker.stop().await;
}

#[tokio::test]
async fn tasks_of_before_are_fenced_and_noted_before_others_take_their_places() {
    let target = Target::any().await;
    target.create_topic("numbers", 4, &[]).await;
    let script = Script::counting_to(30, 3);
    let worker = Worker::start(&target, &script, &[ENABLED]);
    worker
        .until("three tasks", |counter| {
            is(State::Running)(counter) && counter.tasks.len() == 3
        })
        .await;
    until_committed(&target, 30).await;
    script.tasks.store(2, SeqCst);
    worker.handle.request_task_reconfiguration("counter").await.unwrap();
    worker
        .until("two tasks", |counter| {
            is(State::Running)(counter) && counter.tasks.len() == 2
        })
        .await;
    script.limit.store(60, SeqCst);
    until_committed(&target, 60).await;
    let records = target.records("configs").await;
    let is_fencing = |(_, key, value): (i32, String, Option<String>)| match key.starts_with("tasks-fencing-") {
        true => Some((key, value?)),
        false => None,
    };
    let fencings: Vec<_> = records.into_iter().filter_map(is_fencing).collect();
    let noted = |count: u32| {
        (
            "tasks-fencing-counter".to_owned(),
            format!("{{\"task-count\":{count}}}"),
        )
    };
    assert_eq!(fencings, [noted(3), noted(2)]);

    // Offsets that are reset are those of nobody who could still write.
    worker.handle.stop("counter").await.unwrap();
    worker.until("no tasks", |counter| counter.tasks.is_empty()).await;
    let reset = worker.handle.reset_offsets("counter").await.unwrap();
    assert_eq!(reset, "The offsets for this connector have been reset successfully");
    let left: BTreeMap<_, _> = target
        .table("offsets")
        .await
        .into_iter()
        .filter(|(_, value)| value.is_some())
        .collect();
    assert_eq!(left, BTreeMap::new());
    worker.stop().await;
}
