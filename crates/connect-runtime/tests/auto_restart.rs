//! Tasks that are started again by themselves, where that is asked for. Runs on a real Kafka too, as `worker.rs` does.

#[expect(unreachable_pub, reason = "shared by the test files of this crate")]
#[expect(dead_code, reason = "each file uses a part")]
mod support;

use connect_runtime::worker::{ConnectorTaskId, State};
use support::{Script, Target, Trouble, Worker, eventually};

const RESTARTS: &[(&str, &str)] = &[
    ("heliograph.task.restart.max.attempts", "2"),
    ("heliograph.task.restart.backoff.ms", "20"),
];

fn troubled(failures: usize) -> std::sync::Arc<Script> {
    let script = Script::counting_to(20, 1);
    let failures = (0..failures).map(|_| Trouble::Fatal("no"));
    script.trouble.lock().unwrap().extend(failures);
    script
}

#[tokio::test]
async fn a_failed_task_is_started_again_and_counts_on() {
    let target = Target::any().await;
    target.create_topic("numbers", 4, &[]).await;
    let script = troubled(2);
    let worker = Worker::start(&target, &script, RESTARTS);
    eventually("20 numbers", async || {
        (target.counted("numbers", 0).await.len() >= 20).then_some(())
    })
    .await;
    worker
        .until("a running task", |counter| {
            counter
                .tasks
                .first()
                .is_some_and(|(_, task)| task.state == State::Running)
        })
        .await;
    worker.stop().await;
    assert_eq!(target.counted("numbers", 0).await, (0..20).collect::<Vec<_>>());
}

#[tokio::test]
async fn attempts_end() {
    let target = Target::any().await;
    target.create_topic("numbers", 4, &[]).await;
    let script = troubled(3);
    let worker = Worker::start(&target, &script, RESTARTS);
    eventually("three failures", async || {
        script.trouble.lock().unwrap().is_empty().then_some(())
    })
    .await;
    worker
        .until("a failed task", |counter| {
            counter
                .tasks
                .first()
                .is_some_and(|(_, task)| task.state == State::Failed)
        })
        .await;
    assert!(target.counted("numbers", 0).await.is_empty());
    // It waits for a person.
    worker
        .handle
        .restart_task(ConnectorTaskId::new("counter", 0))
        .await
        .unwrap();
    eventually("20 numbers", async || {
        (target.counted("numbers", 0).await.len() >= 20).then_some(())
    })
    .await;
    worker.stop().await;
}
