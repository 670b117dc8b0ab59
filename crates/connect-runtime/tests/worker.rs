//! Whole workers: a herder, a connector that counts, and a Kafka. Everything here also runs on a real Kafka:
//! `HELIOGRAPH_BOOTSTRAP=host:port cargo test -p connect-runtime --test worker`.

#[expect(unreachable_pub, reason = "shared by the test files of this crate")]
#[allow(dead_code, reason = "each of them uses its part")]
mod support;

use std::{sync::atomic::Ordering::SeqCst, time::Duration};

use connect_runtime::{
    herder::RequestError,
    worker::{ConnectorTaskId, State},
};
use support::{Script, Target, Trouble, Worker, eventually, props};

fn up_to(limit: i64) -> Vec<i64> {
    (0..limit).collect()
}

#[tokio::test]
async fn records_flow_offsets_are_stored_and_a_restart_goes_on() {
    let target = Target::any().await;
    target.create_topic("numbers", 2, &[]).await;
    let script = Script::counting_to(95, 2);
    let worker = Worker::start(&target, &script, &[]);
    eventually("95 numbers in both partitions", async || {
        let counted = [
            target.counted("numbers", 0).await.len(),
            target.counted("numbers", 1).await.len(),
        ];
        (counted == [95, 95]).then_some(())
    })
    .await;
    let counter = worker
        .until("two running tasks", |counter| counter.tasks.len() == 2)
        .await;
    assert_eq!(counter.status.state, State::Running);
    assert!(
        counter.tasks.iter().all(|(_, status)| status.state == State::Running),
        "{counter:?}"
    );
    let metrics = worker.handle.task_metrics().await.unwrap();
    assert_eq!(
        metrics
            .iter()
            .map(|(_, task)| task.read().written_records)
            .collect::<Vec<_>>(),
        [95, 95]
    );
    worker.stop().await;
    assert_eq!(script.stops.load(SeqCst), 2);
    assert_eq!(script.connector_stops.load(SeqCst), 1);

    let offsets = target.table("offsets").await;
    assert_eq!(offsets.len(), 2);
    assert_eq!(
        offsets[r#"["counter",{"partition":1}]"#].as_deref(),
        Some(r#"{"offset":94}"#)
    );
    let statuses = target.table("status").await;
    for key in [
        "status-connector-counter",
        "status-task-counter-0",
        "status-task-counter-1",
    ] {
        let status = statuses[key].as_deref().unwrap();
        assert!(
            status.starts_with(r#"{"state":"UNASSIGNED","trace":null,"worker_id":"worker-"#),
            "{status}"
        );
    }
    assert!(
        statuses.keys().any(|key| key.starts_with("status-topic-numbers")),
        "{statuses:?}"
    );

    script.limit.store(200, SeqCst);
    let worker = Worker::start(&target, &script, &[]);
    eventually("the rest", async || {
        let counted = [
            target.counted("numbers", 0).await.len(),
            target.counted("numbers", 1).await.len(),
        ];
        counted.into_iter().all(|count| count >= 200).then_some(())
    })
    .await;
    worker.stop().await;
    assert_eq!(target.counted("numbers", 0).await, up_to(200));
    assert_eq!(target.counted("numbers", 1).await, up_to(200));
}

#[tokio::test]
async fn configurations_are_written_as_the_java_leader_does_and_once() {
    let target = Target::any().await;
    target.create_topic("numbers", 2, &[]).await;
    let script = Script::counting_to(10, 2);
    let worker = Worker::start(&target, &script, &[]);
    worker
        .until("two running tasks", |counter| {
            counter.tasks.iter().filter(|t| t.1.state == State::Running).count() == 2
        })
        .await;
    worker.stop().await;
    let keys = async || -> Vec<String> {
        target
            .records("configs")
            .await
            .into_iter()
            .map(|(_, key, _)| key)
            .collect()
    };
    assert_eq!(
        keys().await,
        [
            "connector-counter",
            "task-counter-0",
            "task-counter-1",
            "commit-counter"
        ]
    );
    let configs = target.table("configs").await;
    assert_eq!(configs["commit-counter"].as_deref(), Some(r#"{"tasks":2}"#));
    assert!(
        configs["task-counter-1"]
            .as_deref()
            .unwrap()
            .contains(r#""task.class":"CounterTask""#)
    );

    // The same file again: nothing to write.
    let worker = Worker::start(&target, &script, &[]);
    worker
        .until("two running tasks", |counter| {
            counter.tasks.iter().filter(|t| t.1.state == State::Running).count() == 2
        })
        .await;
    assert_eq!(keys().await.len(), 4);

    // Another configuration: the connector restarts, and its tasks with it.
    let mut config = worker.counter().await.unwrap().config;
    config.insert("more".to_owned(), Some("1".to_owned()));
    worker
        .handle
        .put_connector("counter", config, None, true)
        .await
        .unwrap();
    eventually("tasks of the new configuration", async || {
        let configs = target.table("configs").await;
        configs["task-counter-0"]
            .as_deref()
            .unwrap()
            .contains(r#""more":"1""#)
            .then_some(())
    })
    .await;
    worker
        .until("two running tasks", |counter| {
            counter.tasks.iter().filter(|t| t.1.state == State::Running).count() == 2
        })
        .await;
    worker.stop().await;
    assert_eq!(
        keys().await[4..],
        [
            "connector-counter",
            "task-counter-0",
            "task-counter-1",
            "commit-counter"
        ]
    );
}

#[tokio::test]
async fn offsets_are_stored_while_records_flow() {
    let target = Target::any().await;
    target.create_topic("numbers", 1, &[]).await;
    let script = Script::counting_to(u64::MAX >> 1, 1);
    let worker = Worker::start(&target, &script, &[("offset.flush.interval.ms", "50")]);
    let commits = |count| {
        let script = script.clone();
        async move || (script.commits.load(SeqCst) >= count).then_some(())
    };
    eventually("three commits", commits(3)).await;
    let key = r#"["counter",{"partition":0}]"#;
    let stored = async || -> Option<i64> {
        let value = target.table("offsets").await.remove(key)??;
        value.strip_prefix(r#"{"offset":"#)?.strip_suffix('}')?.parse().ok()
    };
    let early = eventually("an offset", stored).await;
    eventually("more commits", commits(10)).await;
    let later = eventually("a later offset", async || stored().await.filter(|later| *later > early)).await;
    worker.kill().await;
    let written = target.counted("numbers", 0).await;
    assert_eq!(
        written,
        up_to(written.len() as i64),
        "nothing is lost or repeated before the crash"
    );
    assert!(written.len() as i64 > later, "no offset is stored before its records");

    // After the crash: no loss, and repeats only since the last commit.
    let stored_at_crash = stored().await.unwrap();
    script.limit.store(written.len() as u64 + 50, SeqCst);
    let worker = Worker::start(&target, &script, &[]);
    let all = eventually("the rest", async || {
        let all = target.counted("numbers", 0).await;
        (all.last() == Some(&(written.len() as i64 + 49))).then_some(all)
    })
    .await;
    worker.stop().await;
    assert_eq!(
        all[written.len()..],
        (stored_at_crash + 1..written.len() as i64 + 50).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn trouble_that_passes_is_tried_again_and_a_failure_stays_until_restarted() {
    let target = Target::any().await;
    target.create_topic("numbers", 1, &[]).await;
    let script = Script::counting_to(20, 1);
    script.trouble.lock().unwrap().extend([
        Trouble::Retriable("source is away"),
        Trouble::Retriable("source is away"),
    ]);
    let worker = Worker::start(&target, &script, &[]);
    eventually("20 numbers", async || {
        (target.counted("numbers", 0).await.len() == 20).then_some(())
    })
    .await;
    assert_eq!(worker.handle.task_metrics().await.unwrap()[0].1.read().poll_failures, 2);

    for (trouble, trace) in [
        (Trouble::Fatal("topic is gone"), "counting failed: topic is gone"),
        (Trouble::Panic("off by one"), "panicked: off by one"),
    ] {
        script.trouble.lock().unwrap().push_back(trouble);
        // A poll that is under way does not see new trouble.
        worker.handle.pause("counter").await.unwrap();
        worker
            .until("paused", |counter| {
                counter.tasks.iter().all(|t| t.1.state == State::Paused)
            })
            .await;
        worker.handle.resume("counter").await.unwrap();
        let failed = worker
            .until("a failed task", |counter| counter.tasks[0].1.state == State::Failed)
            .await;
        assert_eq!(failed.tasks[0].1.trace.as_deref(), Some(trace));
        assert_eq!(failed.status.state, State::Running);
        eventually("the status topic says so", async || {
            let status = target.table("status").await.remove("status-task-counter-0")??;
            status.contains(trace).then_some(())
        })
        .await;
        worker
            .handle
            .restart_task(ConnectorTaskId::new("counter", 0))
            .await
            .unwrap();
        worker
            .until("it runs again", |counter| counter.tasks[0].1.state == State::Running)
            .await;
    }
    script.limit.store(40, SeqCst);
    eventually("40 numbers", async || {
        (target.counted("numbers", 0).await.len() >= 40).then_some(())
    })
    .await;
    worker.stop().await;
    let mut states: Vec<String> = Vec::new();
    for (_, key, value) in target.records("status").await {
        if key == "status-task-counter-0" {
            let value = value.unwrap();
            let state = value.split('"').nth(3).unwrap().to_owned();
            states.push(state);
        }
    }
    assert_eq!(
        states,
        [
            "RUNNING",
            "PAUSED",
            "RUNNING",
            "FAILED",
            "RUNNING",
            "PAUSED",
            "RUNNING",
            "FAILED",
            "RUNNING",
            "UNASSIGNED"
        ]
    );
}

#[tokio::test]
async fn a_partition_that_takes_nothing_holds_back_only_itself() {
    let target = Target::any().await;
    target.create_topic("numbers", 1, &[]).await;
    let script = Script::counting_to(100, 2);
    script.padding.store(2, SeqCst);
    target.create_topic("small", 2, &[("max.message.bytes", "400")]).await;
    let connector = props(&[
        ("name", "counter"),
        ("connector.class", "Counter"),
        ("tasks.max", "2"),
        ("topic", &target.topic("small")),
    ]);
    let worker = Worker::start_with(&target, &script, &[], vec![("counter".to_owned(), connector)]);
    eventually("200 numbers", async || {
        (target.records("small").await.len() == 200).then_some(())
    })
    .await;
    script.padding.store(1000, SeqCst);
    script.limit.store(200, SeqCst);
    eventually("refusals", async || {
        (script.refusals.lock().unwrap().len() > 3).then_some(())
    })
    .await;
    let refused = worker.handle.task_metrics().await.unwrap()[0].1.read().refused;
    assert_eq!(refused.len(), 1, "{refused:?}");
    script.padding.store(2, SeqCst);
    eventually("the rest", async || {
        (target.records("small").await.len() >= 400).then_some(())
    })
    .await;
    assert!(
        worker.handle.task_metrics().await.unwrap()[0]
            .1
            .read()
            .refused
            .is_empty()
    );
    worker.stop().await;
    assert_eq!(target.counted("small", 0).await, up_to(200));
    assert_eq!(target.counted("small", 1).await, up_to(200));
    let offsets = target.table("offsets").await;
    assert_eq!(
        offsets[r#"["counter",{"partition":0}]"#].as_deref(),
        Some(r#"{"offset":199}"#)
    );
}

#[tokio::test]
async fn pause_stop_and_resume() {
    let target = Target::any().await;
    target.create_topic("numbers", 1, &[]).await;
    let script = Script::counting_to(10, 1);
    let worker = Worker::start(&target, &script, &[]);
    eventually("10 numbers", async || {
        (target.counted("numbers", 0).await.len() == 10).then_some(())
    })
    .await;
    worker.handle.pause("counter").await.unwrap();
    worker
        .until("paused", |c| {
            c.status.state == State::Paused && c.tasks[0].1.state == State::Paused
        })
        .await;
    script.limit.store(20, SeqCst);
    assert_eq!(script.connector_stops.load(SeqCst), 1);
    worker.handle.stop("counter").await.unwrap();
    worker
        .until("stopped", |c| c.status.state == State::Stopped && c.tasks.is_empty())
        .await;
    assert_eq!(
        target.counted("numbers", 0).await.len(),
        10,
        "a paused task copies nothing"
    );
    let configs = target.table("configs").await;
    assert_eq!(
        configs["target-state-counter"].as_deref(),
        Some(r#"{"state":"PAUSED","state.v2":"STOPPED"}"#)
    );
    assert_eq!(configs["commit-counter"].as_deref(), Some(r#"{"tasks":0}"#));
    worker.handle.resume("counter").await.unwrap();
    eventually("the rest", async || {
        (target.counted("numbers", 0).await.len() == 20).then_some(())
    })
    .await;
    worker.handle.delete_connector("counter").await.unwrap();
    eventually("nothing runs", async || {
        worker.handle.connectors().await.unwrap().is_empty().then_some(())
    })
    .await;
    eventually("no status is left", async || {
        let statuses = target.table("status").await;
        statuses.values().all(Option::is_none).then_some(())
    })
    .await;
    let gone = worker.handle.pause("counter").await;
    assert!(matches!(gone, Err(RequestError::NotFound(_))));
    worker.stop().await;
}

#[tokio::test]
async fn a_stop_right_behind_a_resume_leaves_no_tasks() {
    let target = Target::any().await;
    target.create_topic("numbers", 1, &[]).await;
    let worker = Worker::start(&target, &Script::counting_to(10, 1), &[]);
    worker.until("running", |c| c.status.state == State::Running).await;
    for _ in 0..20 {
        let (resumed, stopped) = tokio::join!(worker.handle.resume("counter"), worker.handle.stop("counter"));
        resumed.and(stopped).unwrap();
        // Once it says so, whatever it had to say of tasks while it ran waits to be written...
        worker
            .until("stopped", |c| c.status.state == State::Stopped && c.tasks.is_empty())
            .await;
        // ...and is before this.
        worker.handle.restart_connector("counter", false, true).await.unwrap();
        let configs = target.table("configs").await;
        assert_eq!(configs["commit-counter"].as_deref(), Some(r#"{"tasks":0}"#));
    }
    worker.stop().await;
}

#[tokio::test]
async fn a_connector_that_asks_gets_more_tasks() {
    let target = Target::any().await;
    target.create_topic("numbers", 3, &[]).await;
    let script = Script::counting_to(10, 1);
    let worker = Worker::start(&target, &script, &[]);
    eventually("10 numbers", async || {
        (target.counted("numbers", 0).await.len() == 10).then_some(())
    })
    .await;
    script.tasks.store(3, SeqCst);
    script
        .context
        .lock()
        .unwrap()
        .as_ref()
        .unwrap()
        .request_task_reconfiguration();
    eventually("10 numbers in each", async || {
        (target.records("numbers").await.len() == 30).then_some(())
    })
    .await;
    script.tasks.store(2, SeqCst);
    worker.handle.request_task_reconfiguration("counter").await.unwrap();
    let fewer = worker
        .until("two tasks", |c| {
            c.tasks.len() == 2 && c.tasks.iter().all(|t| t.1.state == State::Running)
        })
        .await;
    assert_eq!(fewer.status.state, State::Running);
    eventually("the third's status is gone", async || {
        target
            .table("status")
            .await
            .remove("status-task-counter-2")?
            .is_none()
            .then_some(())
    })
    .await;
    script
        .context
        .lock()
        .unwrap()
        .as_ref()
        .unwrap()
        .raise_error(connect_api::ConnectError::new("background job died"));
    let failed = worker
        .until("a failed connector", |c| c.status.state == State::Failed)
        .await;
    assert_eq!(failed.status.trace.as_deref(), Some("background job died"));
    assert!(failed.tasks.iter().all(|t| t.1.state == State::Running), "tasks go on");
    worker.handle.restart_connector("counter", false, true).await.unwrap();
    worker
        .until("it runs again", |c| c.status.state == State::Running)
        .await;
    worker.stop().await;
}

#[tokio::test]
async fn fewer_tasks_allowed_than_there_are_fail_until_they_are_made_anew() {
    let target = Target::any().await;
    target.create_topic("numbers", 4, &[]).await;
    let script = Script::counting_to(10, 4);
    let worker = Worker::start(&target, &script, &[]);
    worker
        .until("four tasks", |c| {
            c.tasks.iter().filter(|t| t.1.state == State::Running).count() == 4
        })
        .await;
    // The connector does not look at its limit, as a faulty one.
    let mut config = worker.counter().await.unwrap().config;
    config.insert("tasks.max".to_owned(), Some("2".to_owned()));
    config.insert("ignore.limit".to_owned(), Some("true".to_owned()));
    worker
        .handle
        .put_connector("counter", config.clone(), None, true)
        .await
        .unwrap();
    let failed = worker
        .until("a failed connector", |c| c.status.state == State::Failed)
        .await;
    let trace = failed.status.trace.unwrap();
    assert!(
        trace.starts_with("The connector counter has generated 4 tasks, which is greater than 2, the maximum number"),
        "{trace}"
    );
    worker
        .handle
        .restart_task(ConnectorTaskId::new("counter", 0))
        .await
        .unwrap_err();
    worker
        .until("a failed task", |c| c.tasks[0].1.state == State::Failed)
        .await;
    config.insert("tasks.max.enforce".to_owned(), Some("false".to_owned()));
    worker
        .handle
        .put_connector("counter", config, None, true)
        .await
        .unwrap();
    worker
        .until("four tasks", |c| {
            c.tasks.iter().filter(|t| t.1.state == State::Running).count() == 4
        })
        .await;
    worker.stop().await;
}

#[tokio::test]
async fn a_connector_that_does_not_exist_fails_alone() {
    let target = Target::any().await;
    let script = Script::counting_to(10, 1);
    let connector = props(&[
        ("name", "counter"),
        ("connector.class", "org.example.Nothing"),
        ("tasks.max", "1"),
    ]);
    let worker = Worker::start_with(&target, &script, &[], vec![("counter".to_owned(), connector)]);
    let failed = worker
        .until("a failed connector", |c| c.status.state == State::Failed)
        .await;
    assert_eq!(
        failed.status.trace.as_deref(),
        Some("there is no connector class org.example.Nothing")
    );
    worker.stop().await;
}

#[tokio::test]
async fn an_internal_topic_that_would_lose_data_is_refused() {
    let target = Target::any().await;
    target.create_topic("status", 5, &[("cleanup.policy", "delete")]).await;
    let worker = Worker::start(&target, &Script::counting_to(1, 1), &[]);
    let error = worker.end().await.unwrap_err();
    let why = std::error::Error::source(&error).unwrap().to_string();
    let topic = target.topic("status");
    assert!(
        why.starts_with(&format!(
            "Topic '{topic}' supplied via the 'status.storage.topic' property"
        )),
        "{why}"
    );
    assert!(why.contains("'cleanup.policy=delete'"), "{why}");
}

#[tokio::test]
async fn a_config_topic_of_several_partitions_is_refused() {
    let target = Target::any().await;
    target
        .create_topic("configs", 3, &[("cleanup.policy", "compact")])
        .await;
    let worker = Worker::start(&target, &Script::counting_to(1, 1), &[]);
    let error = worker.end().await.unwrap_err();
    let why = std::error::Error::source(&error).unwrap().to_string();
    assert!(why.ends_with("but found 3 partitions."), "{why}");
}

#[tokio::test]
async fn a_topic_that_no_broker_would_ever_make_ends_the_worker() {
    let target = Target::any().await;
    for wrong in [
        ("offset.storage.topic", "no good"),
        ("offset.storage.min.insync.replicas", "some"),
    ] {
        let worker = Worker::start(&target, &Script::counting_to(1, 1), &[wrong]);
        let error = worker.end().await.unwrap_err();
        let why = std::error::Error::source(&error).unwrap().to_string();
        assert!(why.starts_with("create topic '"), "{why}");
    }
}

#[tokio::test]
async fn too_many_replicas_say_which_key_to_change() {
    let target = Target::any().await;
    let worker_props = [
        ("offset.storage.replication.factor", "3"),
        ("default.api.timeout.ms", "700"),
    ];
    let worker = Worker::start(&target, &Script::counting_to(1, 1), &worker_props);
    let error = worker.end().await.unwrap_err();
    let why = std::error::Error::source(&error).unwrap().to_string();
    assert!(
        why.contains("replication factor 3: the cluster has 1 broker(s)"),
        "{why}"
    );
    assert!(why.contains("Set 'offset.storage.replication.factor'"), "{why}");
}

#[tokio::test]
async fn a_target_that_is_away_at_the_start_is_waited_for() {
    let target = Target::embedded().await;
    target.create_topic("numbers", 1, &[]).await;
    let cluster = target.cluster.as_ref().unwrap();
    cluster.stop_node(1).await.unwrap();
    let script = Script::counting_to(30, 1);
    let worker = Worker::start(&target, &script, &[]);
    let early = tokio::time::timeout(Duration::from_millis(300), worker.handle.connectors()).await;
    assert!(early.is_err(), "requests wait for the start");
    let stage = worker.handle.stage().unwrap().to_string();
    assert!(
        stage.starts_with("The worker is currently opening the internal topics, which began at "),
        "{stage}"
    );
    assert!(!worker.handle.has_started());
    cluster.start_node(1).await.unwrap();
    worker.handle.ping().await.unwrap();
    assert!(worker.handle.has_started());
    eventually("30 numbers", async || {
        (target.counted("numbers", 0).await.len() == 30).then_some(())
    })
    .await;
    worker.stop().await;
}

#[tokio::test]
async fn a_target_that_goes_away_holds_up_nothing_but_the_records() {
    let target = Target::embedded().await;
    target.create_topic("numbers", 2, &[]).await;
    let cluster = target.cluster.as_ref().unwrap();
    let script = Script::counting_to(1000, 2);
    let worker = Worker::start(
        &target,
        &script,
        &[("offset.flush.interval.ms", "100"), ("offset.flush.timeout.ms", "300")],
    );
    eventually("some numbers", async || {
        (cluster.end_offset(&target.topic("numbers"), 0).unwrap() > 50).then_some(())
    })
    .await;
    cluster.stop_node(1).await.unwrap();
    eventually("commits that fail", async || {
        let metrics = worker.handle.task_metrics().await.unwrap();
        metrics
            .iter()
            .all(|(_, task)| task.read().commit_failures > 0)
            .then_some(())
    })
    .await;
    assert_eq!(worker.counter().await.unwrap().status.state, State::Running);
    cluster.start_node(1).await.unwrap();
    eventually("all numbers", async || {
        let counted = [0, 1].map(|p| cluster.end_offset(&target.topic("numbers"), p).unwrap());
        (counted >= [1000, 1000]).then_some(())
    })
    .await;
    worker.stop().await;
    assert_eq!(
        target.counted("numbers", 0).await,
        up_to(1000),
        "nothing is lost or repeated"
    );
    assert_eq!(
        target.counted("numbers", 1).await,
        up_to(1000),
        "nothing is lost or repeated"
    );
    assert_eq!(
        target.table("offsets").await[r#"["counter",{"partition":1}]"#].as_deref(),
        Some(r#"{"offset":999}"#)
    );
}

#[tokio::test]
async fn a_target_that_is_away_does_not_hold_up_the_end() {
    let target = Target::embedded().await;
    target.create_topic("numbers", 1, &[]).await;
    let cluster = target.cluster.as_ref().unwrap();
    let script = Script::counting_to(u64::MAX >> 1, 1);
    let worker = Worker::start(&target, &script, &[("task.shutdown.graceful.timeout.ms", "1000")]);
    eventually("some numbers", async || {
        (cluster.end_offset(&target.topic("numbers"), 0).unwrap() > 50).then_some(())
    })
    .await;
    cluster.stop_node(1).await.unwrap();
    let started = tokio::time::Instant::now();
    worker.stop().await;
    assert!(started.elapsed() < Duration::from_secs(6), "{:?}", started.elapsed());
}
