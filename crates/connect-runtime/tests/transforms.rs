//! Tasks with transformations: what arrives, which offsets are stored, and what happens when something fails. Everything
//! here also runs on a real Kafka, as in `worker.rs`.

#[expect(unreachable_pub, reason = "shared by the test files of this crate")]
#[expect(dead_code, reason = "each file uses a part")]
mod support;

use std::{
    sync::{Arc, atomic::Ordering::SeqCst},
    time::Duration,
};

use connect_runtime::{metrics::TaskCounters, worker::State};
use support::{Script, Target, Worker, eventually, props};

/// Numbers are their own timestamps, so a router that looks at the milliseconds sees the number: odd ones are dropped, and
/// the topic gets its name back.
const ODD_ONES_OUT: &[(&str, &str)] = &[
    ("transforms", "number,odd,back"),
    (
        "transforms.number.type",
        "org.apache.kafka.connect.transforms.TimestampRouter",
    ),
    ("transforms.number.topic.format", "${topic}#${timestamp}"),
    ("transforms.number.timestamp.format", "S"),
    ("transforms.odd.type", "org.apache.kafka.connect.transforms.Filter"),
    ("transforms.odd.predicate", "isOdd"),
    ("predicates", "isOdd"),
    (
        "predicates.isOdd.type",
        "org.apache.kafka.connect.transforms.predicates.TopicNameMatches",
    ),
    ("predicates.isOdd.pattern", ".*[13579]"),
    (
        "transforms.back.type",
        "org.apache.kafka.connect.transforms.RegexRouter",
    ),
    ("transforms.back.regex", "(.*)#\\d+"),
    ("transforms.back.replacement", "$1"),
];

fn start(target: &Target, script: &Arc<Script>, more: &[(&str, &str)]) -> Worker {
    let mut connector = props(&[
        ("name", "counter"),
        ("connector.class", "Counter"),
        ("tasks.max", "1"),
        ("topic", &target.topic("numbers")),
    ]);
    connector.extend(props(more));
    Worker::start_with(target, script, &[], vec![("counter".to_owned(), connector)])
}

async fn counters(worker: &Worker) -> TaskCounters {
    let metrics = worker.handle.task_metrics().await.unwrap();
    metrics.first().map(|(_, task)| task.read()).unwrap_or_default()
}

async fn stored_offset(target: &Target) -> Option<String> {
    target.table("offsets").await[r#"["counter",{"partition":0}]"#].clone()
}

#[tokio::test]
async fn records_go_to_the_topic_of_a_router_with_a_new_header() {
    let target = Target::any().await;
    let routed = target.topic("routed-numbers");
    target.create_topic("routed-numbers", 1, &[]).await;
    let script = Script::counting_to(25, 1);
    let worker = start(
        &target,
        &script,
        &[
            ("transforms", "route,mark,again,clean"),
            ("transforms.route.type", "RegexRouter"),
            ("transforms.route.regex", "(numbers.*)"),
            ("transforms.route.replacement", "routed-$1"),
            ("transforms.mark.type", "InsertHeader"),
            ("transforms.mark.header", "origin"),
            ("transforms.mark.value.literal", "A"),
            ("transforms.again.type", "InsertHeader"),
            ("transforms.again.header", "origin"),
            ("transforms.again.value.literal", "1.50"),
            ("transforms.clean.type", "DropHeaders"),
            ("transforms.clean.headers", "nobody"),
        ],
    );
    eventually("25 numbers", async || {
        (target.counted("routed-numbers", 0).await.len() >= 25).then_some(())
    })
    .await;
    worker.stop().await;
    assert_eq!(target.counted("routed-numbers", 0).await, (0..25).collect::<Vec<_>>());
    let headers = target
        .read("routed-numbers", |_, record| {
            let shown = record.headers.map(|(key, value)| {
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                format!("{}={}", text(key), text(value.unwrap()))
            });
            shown.collect::<Vec<_>>()
        })
        .await;
    assert!(
        headers.iter().all(|headers| headers == &["origin=A", "origin=1.5"]),
        "{headers:?}"
    );
    assert_eq!(stored_offset(&target).await.as_deref(), Some(r#"{"offset":24}"#));
    let statuses = target.table("status").await;
    let is_tracked = |topic: &str| {
        statuses
            .keys()
            .any(|key| key.starts_with(&format!("status-topic-{topic}:")))
    };
    assert!(
        is_tracked(&routed) && !is_tracked(&target.topic("numbers")),
        "{statuses:?}"
    );
}

#[tokio::test]
async fn dropped_records_count_as_handled_and_a_restart_goes_on_behind_them() {
    let target = Target::any().await;
    target.create_topic("numbers", 1, &[]).await;
    // The last number is odd: nothing of it is written.
    let script = Script::counting_to(96, 1);
    let worker = start(&target, &script, ODD_ONES_OUT);
    eventually("48 even numbers", async || {
        (target.counted("numbers", 0).await.len() >= 48).then_some(())
    })
    .await;
    eventually("all are polled", async || {
        (counters(&worker).await.polled_records == 96).then_some(())
    })
    .await;
    let counted = counters(&worker).await;
    assert_eq!((counted.filtered_records, counted.record_errors), (48, 0));
    worker.stop().await;
    assert_eq!(stored_offset(&target).await.as_deref(), Some(r#"{"offset":95}"#));

    script.limit.store(110, SeqCst);
    let worker = start(&target, &script, ODD_ONES_OUT);
    eventually("55 even numbers", async || {
        (target.counted("numbers", 0).await.len() >= 55).then_some(())
    })
    .await;
    let polled = counters(&worker).await.polled_records;
    assert!(polled <= 14, "{polled} were polled again");
    worker.stop().await;
    assert_eq!(
        target.counted("numbers", 0).await,
        (0..110).step_by(2).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn offsets_move_on_when_nothing_at_all_is_wanted() {
    let target = Target::any().await;
    target.create_topic("numbers", 1, &[]).await;
    let script = Script::counting_to(30, 1);
    let worker = start(
        &target,
        &script,
        &[("transforms", "f"), ("transforms.f.type", "Filter")],
    );
    eventually("all are polled", async || {
        (counters(&worker).await.filtered_records == 30).then_some(())
    })
    .await;
    worker.stop().await;
    assert_eq!(stored_offset(&target).await.as_deref(), Some(r#"{"offset":29}"#));
    assert!(target.counted("numbers", 0).await.is_empty());
}

#[tokio::test]
async fn records_of_one_batch_go_to_several_topics_in_their_order() {
    let target = Target::any().await;
    target.create_topic("even", 1, &[]).await;
    target.create_topic("odd", 1, &[]).await;
    let script = Script::counting_to(40, 1);
    let (even, odd) = (target.topic("even"), target.topic("odd"));
    let mut settings = ODD_ONES_OUT[..4].to_vec();
    settings[0] = ("transforms", "number,odd,even");
    settings.extend([
        ("transforms.odd.type", "RegexRouter"),
        ("transforms.odd.regex", ".*#\\d*[13579]"),
        ("transforms.odd.replacement", odd.as_str()),
        ("transforms.even.type", "RegexRouter"),
        ("transforms.even.regex", ".*#\\d+"),
        ("transforms.even.replacement", even.as_str()),
    ]);
    let worker = start(&target, &script, &settings);
    eventually("40 numbers", async || {
        let both = target.counted("even", 0).await.len() + target.counted("odd", 0).await.len();
        (both >= 40).then_some(())
    })
    .await;
    worker.stop().await;
    assert_eq!(target.counted("even", 0).await, (0..40).step_by(2).collect::<Vec<_>>());
    assert_eq!(target.counted("odd", 0).await, (1..40).step_by(2).collect::<Vec<_>>());
    assert_eq!(stored_offset(&target).await.as_deref(), Some(r#"{"offset":39}"#));
}

/// A router that fails on odd numbers: its pattern has no second group.
const FAILS_ON_ODD: &[(&str, &str)] = &[
    ("transforms", "number,odd,back"),
    ("transforms.number.type", "TimestampRouter"),
    ("transforms.number.topic.format", "${topic}#${timestamp}"),
    ("transforms.number.timestamp.format", "S"),
    ("transforms.odd.type", "RegexRouter"),
    ("transforms.odd.regex", "(.*[13579])"),
    ("transforms.odd.replacement", "$2"),
    ("transforms.back.type", "RegexRouter"),
    ("transforms.back.regex", "(.*)#\\d+"),
    ("transforms.back.replacement", "$1"),
];

#[tokio::test]
async fn a_failing_transformation_fails_the_task() {
    let target = Target::any().await;
    target.create_topic("numbers", 1, &[]).await;
    let script = Script::counting_to(30, 1);
    let worker = start(&target, &script, FAILS_ON_ODD);
    let counter = worker
        .until("a failed task", |counter| {
            counter
                .tasks
                .first()
                .is_some_and(|(_, task)| task.state == State::Failed)
        })
        .await;
    let trace = counter.tasks[0].1.trace.clone().unwrap();
    assert!(trace.starts_with("Tolerance exceeded in error handler: "), "{trace}");
    assert!(trace.ends_with("No group 2"), "{trace}");
    worker.stop().await;
    assert!(
        target.counted("numbers", 0).await.is_empty(),
        "nothing of the failed batch is written"
    );
}

#[tokio::test]
async fn with_tolerance_what_fails_is_skipped_and_counted() {
    let target = Target::any().await;
    target.create_topic("numbers", 1, &[]).await;
    let script = Script::counting_to(30, 1);
    let mut settings = FAILS_ON_ODD.to_vec();
    settings.extend([
        ("errors.tolerance", "all"),
        ("errors.log.enable", "true"),
        ("errors.log.include.messages", "true"),
    ]);
    let worker = start(&target, &script, &settings);
    eventually("15 even numbers", async || {
        (target.counted("numbers", 0).await.len() >= 15).then_some(())
    })
    .await;
    eventually("all are polled", async || {
        (counters(&worker).await.polled_records == 30).then_some(())
    })
    .await;
    let counted = counters(&worker).await;
    assert_eq!(
        (counted.record_errors, counted.records_skipped, counted.errors_logged),
        (15, 15, 15)
    );
    worker.stop().await;
    assert_eq!(
        target.counted("numbers", 0).await,
        (0..30).step_by(2).collect::<Vec<_>>()
    );
    assert_eq!(stored_offset(&target).await.as_deref(), Some(r#"{"offset":29}"#));
}

#[tokio::test]
async fn with_tolerance_what_the_target_will_not_have_is_skipped() {
    let target = Target::any().await;
    // A batch of ten such numbers does not fit, and this task does not cut batches: the broker refuses each for its size.
    target.create_topic("numbers", 1, &[("max.message.bytes", "400")]).await;
    let script = Script::counting_to(1, 1);
    script.padding.store(1_000, SeqCst);
    let worker = start(&target, &script, &[("errors.tolerance", "all")]);
    eventually("one is skipped", async || {
        (counters(&worker).await.records_skipped == 1).then_some(())
    })
    .await;
    script.padding.store(0, SeqCst);
    script.limit.store(11, SeqCst);
    eventually("the others", async || {
        (target.counted("numbers", 0).await.len() >= 10).then_some(())
    })
    .await;
    worker.stop().await;
    assert_eq!(target.counted("numbers", 0).await, (1..11).collect::<Vec<_>>());
    assert_eq!(stored_offset(&target).await.as_deref(), Some(r#"{"offset":10}"#));
    assert!(script.refusals.lock().unwrap().is_empty(), "the task need not go back");
}

#[tokio::test]
async fn a_chain_that_cannot_be_used_fails_the_task_and_says_why() {
    let target = Target::any().await;
    target.create_topic("numbers", 1, &[]).await;
    let script = Script::counting_to(30, 1);
    let settings = [
        ("transforms", "h"),
        ("transforms.h.type", "InsertHeader"),
        ("transforms.h.header", "origin"),
        ("transforms.h.value.literal", "A"),
        (
            "header.converter",
            "org.apache.kafka.connect.converters.ByteArrayConverter",
        ),
    ];
    let worker = start(&target, &script, &settings);
    let counter = worker
        .until("a failed task", |counter| {
            counter
                .tasks
                .first()
                .is_some_and(|(_, task)| task.state == State::Failed)
        })
        .await;
    let trace = counter.tasks[0].1.trace.clone().unwrap();
    assert!(
        trace.contains("transforms.h.value.literal: ByteArrayConverter takes bytes only"),
        "{trace}"
    );
    tokio::time::timeout(Duration::from_secs(30), worker.stop())
        .await
        .unwrap();
}
