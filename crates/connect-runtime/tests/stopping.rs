//! What the end of a task owes to the next run of it: nothing lost, nothing twice, also where the target is slow.

#[expect(unreachable_pub, reason = "shared by the test files of this crate")]
#[allow(dead_code, reason = "each file uses a part")]
mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use kafka_embedded::{ApiKey, Control};
use support::{Script, Target, Worker, eventually};

fn up_to(limit: i64) -> Vec<i64> {
    (0..limit).collect()
}

/// Counts on to `limit` with a new worker, and answers what there is in the end.
async fn count_on(target: &Target, script: &Arc<Script>, limit: u64) -> Vec<i64> {
    script.limit.store(limit, SeqCst);
    let worker = Worker::start(target, script, &[]);
    let numbers = target.topic("numbers");
    let cluster = target.cluster.as_ref().unwrap();
    eventually("all numbers", async || {
        (cluster.end_offset(&numbers, 0).unwrap() >= limit as i64).then_some(())
    })
    .await;
    worker.stop().await;
    target.counted("numbers", 0).await
}

/// Delays what comes from clients whose id ends so, and counts it.
fn delay(target: &Target, client_id_end: &'static str, delay: Duration) -> Arc<AtomicUsize> {
    let delayed = Arc::<AtomicUsize>::default();
    let count = delayed.clone();
    let cluster = target.cluster.as_ref().unwrap();
    cluster.control(ApiKey::Produce, move |request| {
        if !request.client_id.ends_with(client_id_end) {
            return Control::Pass;
        }
        count.fetch_add(1, SeqCst);
        Control::Delay(delay)
    });
    delayed
}

async fn counting(target: &Target) {
    let (cluster, numbers) = (target.cluster.as_ref().unwrap(), target.topic("numbers"));
    eventually("some numbers", async || {
        (cluster.end_offset(&numbers, 0).unwrap() > 50).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_slow_answer_is_waited_for() {
    let target = Target::embedded().await;
    target.create_topic("numbers", 1, &[]).await;
    let script = Script::counting_to(u64::MAX >> 1, 1);
    let worker = Worker::start(&target, &script, &[]);
    counting(&target).await;
    // Written, and the answer lost; the repeat is answered late.
    let cluster = target.cluster.as_ref().unwrap();
    cluster.control_once(ApiKey::Produce, |request| {
        match request.client_id.ends_with("counter-0") {
            true => Control::LoseReply,
            false => Control::Pass,
        }
    });
    let delayed = delay(&target, "counter-0", Duration::from_millis(2800));
    eventually("a slow answer", async || (delayed.load(SeqCst) > 0).then_some(())).await;
    worker.stop().await;
    cluster.clear_control(ApiKey::Produce);
    let limit = cluster.end_offset(&target.topic("numbers"), 0).unwrap() + 500;
    assert_eq!(count_on(&target, &script, limit as u64).await, up_to(limit));
}

#[tokio::test]
async fn what_is_not_sent_in_time_is_not_sent_at_all() {
    let target = Target::embedded().await;
    let script = Script::counting_to(100, 1);
    let worker = Worker::start(&target, &script, &[]);
    eventually("a full producer", async || {
        let metrics = worker.handle.task_metrics().await.ok()?;
        let active = metrics.first()?.1.read().active_records;
        (active == 100).then_some(())
    })
    .await;
    let sent = delay(&target, "counter-0", Duration::from_secs(4));
    tokio::join!(worker.stop(), async {
        // Past the time of sending, before that of giving up.
        tokio::time::sleep(Duration::from_millis(1600)).await;
        target.create_topic("numbers", 1, &[]).await;
    });
    assert_eq!(sent.load(SeqCst), 0, "something was sent while the task ended");
    target.cluster.as_ref().unwrap().clear_control(ApiKey::Produce);
    assert_eq!(count_on(&target, &script, 200).await, up_to(200));
}

#[tokio::test]
async fn a_restart_waits_for_the_commit_of_the_run_before() {
    let target = Target::embedded().await;
    target.create_topic("numbers", 1, &[]).await;
    let script = Script::counting_to(100, 1);
    let worker = Worker::start(&target, &script, &[("offset.flush.interval.ms", "600000")]);
    counting(&target).await;
    delay(&target, "offsets", Duration::from_secs(6));
    script.limit.store(500, SeqCst);
    worker.handle.restart_connector("counter", true, false).await.unwrap();
    let (cluster, numbers) = (target.cluster.as_ref().unwrap(), target.topic("numbers"));
    script.limit.store(1000, SeqCst);
    eventually("all numbers", async || {
        (cluster.end_offset(&numbers, 0).unwrap() >= 1000).then_some(())
    })
    .await;
    cluster.clear_control(ApiKey::Produce);
    worker.stop().await;
    assert_eq!(target.counted("numbers", 0).await, up_to(1000));
}
