//! What REST asks of a worker alone, and how it is answered. Runs on a real Kafka too, as `worker.rs` does.

#[expect(unreachable_pub, reason = "shared by the test files of this crate")]
#[allow(dead_code, reason = "each of them uses its part")]
mod support;

use std::{sync::atomic::Ordering::SeqCst, time::Duration};

use connect_api::JsonMap;
use connect_runtime::{
    herder::{ConnectorKind, ConnectorOffset, RequestError, RestartAnswer},
    storage::config::RawConfig,
    worker::{ConnectorTaskId, State, TargetState},
};
use futures_util::future::join_all;
use kafka_embedded::{ApiKey, Control};
use serde_json::json;
use support::{Script, Target, Trouble, Worker, eventually};

fn map(value: serde_json::Value) -> JsonMap {
    value.as_object().expect("an object").clone()
}

fn raw(pairs: &[(&str, &str)]) -> RawConfig {
    let pair = |(key, value): &(&str, &str)| ((*key).to_owned(), Some((*value).to_owned()));
    pairs.iter().map(pair).collect()
}

async fn offsets(worker: &Worker) -> Vec<ConnectorOffset> {
    // Not configured yet: none.
    worker.handle.offsets("counter").await.unwrap_or_default()
}

#[tokio::test]
async fn offsets_are_read_altered_and_reset() {
    let target = Target::any().await;
    target.create_topic("numbers", 1, &[]).await;
    let script = Script::counting_to(10, 1);
    let worker = Worker::start(&target, &script, &[("offset.flush.interval.ms", "50")]);
    let stored = |offset: i64| ConnectorOffset {
        partition: map(json!({"partition": 0})),
        offset: map(json!({ "offset": offset })),
    };
    eventually("a stored offset", async || {
        (offsets(&worker).await == [stored(9)]).then_some(())
    })
    .await;
    let four = || vec![(map(json!({"partition": 0})), Some(map(json!({"offset": 4}))))];
    let running = worker.handle.alter_offsets("counter", four()).await.unwrap_err();
    assert_eq!(
        running,
        RequestError::BadRequest(
            "Connectors must be in the STOPPED state before their offsets can be modified. This can be done for the \
             specified connector by issuing a 'PUT' request to the '/connectors/counter/stop' endpoint"
                .to_owned()
        )
    );

    worker.handle.stop("counter").await.unwrap();
    let altered = worker.handle.alter_offsets("counter", four()).await.unwrap();
    assert_eq!(altered, "The offsets for this connector have been altered successfully");
    assert_eq!(offsets(&worker).await, [stored(4)]);
    worker.handle.resume("counter").await.unwrap();
    eventually("five numbers again", async || {
        (target.counted("numbers", 0).await.len() == 15).then_some(())
    })
    .await;
    eventually("a stored offset", async || {
        (offsets(&worker).await == [stored(9)]).then_some(())
    })
    .await;

    worker.handle.stop("counter").await.unwrap();
    let wrong = vec![(map(json!({"x": 0})), None)];
    let wrong = worker.handle.alter_offsets("counter", wrong).await.unwrap_err();
    assert_eq!(
        wrong,
        RequestError::BadRequest("the 'partition' key is missing".to_owned())
    );
    worker.until("stopped", |c| c.status.state == State::Stopped).await;
    let reset = worker.handle.reset_offsets("counter").await.unwrap();
    assert_eq!(reset, "The offsets for this connector have been reset successfully");
    assert_eq!(offsets(&worker).await, []);
    let reset = worker.handle.reset_offsets("counter").await.unwrap();
    assert_eq!(reset, "The offsets for this connector have been reset successfully");
    for missing in [
        worker.handle.offsets("ghost").await.map(drop),
        worker.handle.reset_offsets("ghost").await.map(drop),
    ] {
        assert_eq!(
            missing,
            Err(RequestError::NotFound("Connector ghost not found".to_owned()))
        );
    }
    worker.stop().await;
}

#[tokio::test]
async fn connectors_are_created_changed_and_deleted() {
    let target = Target::any().await;
    target.create_topic("numbers", 2, &[]).await;
    let script = Script::counting_to(10, 2);
    let worker = Worker::start_with(&target, &script, &[("offset.flush.interval.ms", "50")], Vec::new());
    let handle = &worker.handle;
    assert_eq!(handle.connectors().await.unwrap(), Vec::<String>::new());
    let config = raw(&[
        ("name", "counter"),
        ("connector.class", "Counter"),
        ("tasks.max", "2"),
        ("topic", &target.topic("numbers")),
    ]);
    let put = handle
        .put_connector("counter", config.clone(), Some(TargetState::Stopped), false)
        .await
        .unwrap();
    assert!(put.created);
    assert_eq!((put.info.tasks.len(), put.info.kind), (0, ConnectorKind::Source));
    assert_eq!(*put.info.config, config);
    let again = handle.put_connector("counter", config.clone(), None, false).await;
    assert_eq!(
        again,
        Err(RequestError::AlreadyExists(
            "Connector counter already exists".to_owned()
        ))
    );
    let stopped = worker.until("stopped", |c| c.status.state == State::Stopped).await;
    assert_eq!(stopped.status.version.as_deref(), Some("4.3.1"));
    assert_eq!(script.connector_starts.load(SeqCst), 0, "STOPPED from the beginning");

    handle.resume("counter").await.unwrap();
    worker
        .until("two tasks", |c| {
            c.tasks.len() == 2 && c.tasks.iter().all(|(_, task)| task.state == State::Running)
        })
        .await;
    let mut patch = raw(&[("tasks.max", "1"), ("more", "x")]);
    patch.insert("topic.unheard.of".to_owned(), None);
    patch.insert("name".to_owned(), Some("counter".to_owned()));
    let put = handle.patch_connector("counter", patch).await.unwrap();
    assert!(!put.created);
    assert_eq!(put.info.tasks.len(), 2, "the tasks from before");
    let changed = handle.connector_config("counter").await.unwrap();
    assert_eq!(changed["tasks.max"].as_deref(), Some("1"));
    assert_eq!(changed["more"].as_deref(), Some("x"));
    let mut removal = RawConfig::new();
    removal.insert("more".to_owned(), None);
    handle.patch_connector("counter", removal).await.unwrap();
    assert!(!handle.connector_config("counter").await.unwrap().contains_key("more"));
    worker.until("one task", |c| c.tasks.len() == 1).await;
    let tasks = handle.task_configs("counter").await.unwrap();
    assert_eq!(tasks[0].0, ConnectorTaskId::new("counter", 0));
    assert_eq!(tasks[0].1["task.class"].as_deref(), Some("CounterTask"));

    let topic = target.topic("numbers");
    eventually("the topic is known", async || {
        (handle.active_topics("counter").await.unwrap() == [topic.clone()]).then_some(())
    })
    .await;
    handle.reset_active_topics("counter").await.unwrap();
    eventually("the topic is forgotten", async || {
        handle.active_topics("counter").await.unwrap().is_empty().then_some(())
    })
    .await;

    script.limit.store(20, SeqCst);
    eventually("the topic is known again", async || {
        (handle.active_topics("counter").await.unwrap() == [topic.clone()]).then_some(())
    })
    .await;

    handle.delete_connector("counter").await.unwrap();
    let missing = |message: &str| Err(RequestError::NotFound(message.to_owned()));
    eventually("no status", async || {
        (handle.status("counter").await.map(drop) == missing("No status found for connector counter")).then_some(())
    })
    .await;
    assert_eq!(
        handle.delete_connector("counter").await,
        missing("Connector counter not found")
    );
    assert_eq!(handle.pause("counter").await, missing("Unknown connector counter"));
    assert_eq!(handle.stop("counter").await, missing("Unknown connector counter"));
    eventually("no active topic", async || {
        (handle.active_topics("counter").await == Ok(Vec::new())).then_some(())
    })
    .await;
    let id = ConnectorTaskId::new("counter", 0);
    assert_eq!(
        handle.task_status(&id).await.map(drop),
        missing("No status found for task counter-0")
    );
    assert_eq!(handle.restart_task(id).await, missing("Unknown connector: counter"));
    worker.stop().await;
}

#[tokio::test]
async fn restarts_are_of_the_connector_of_a_task_or_of_what_failed() {
    let target = Target::any().await;
    target.create_topic("numbers", 2, &[]).await;
    let script = Script::counting_to(10, 2);
    let worker = Worker::start(&target, &script, &[]);
    let handle = &worker.handle;
    let all_running = async || {
        worker
            .until("everything runs", |c| {
                // As in Kafka, UNASSIGNED hides no RUNNING of the same generation: look at the tasks themselves.
                script.counting() == 2
                    && c.status.state == State::Running
                    && c.tasks.len() == 2
                    && c.tasks.iter().all(|(_, task)| task.state == State::Running)
            })
            .await
    };
    all_running().await;
    assert_eq!(
        handle.restart_connector("counter", false, false).await,
        Ok(RestartAnswer::Done)
    );
    assert_eq!(script.connector_starts.load(SeqCst), 2, "204 comes when it runs again");
    assert_eq!(script.stops.load(SeqCst), 0, "its tasks go on");
    handle.restart_task(ConnectorTaskId::new("counter", 1)).await.unwrap();
    assert_eq!(script.stops.load(SeqCst), 1);
    let unknown = handle.restart_task(ConnectorTaskId::new("counter", 7)).await;
    assert_eq!(
        unknown,
        Err(RequestError::NotFound("Unknown task: counter-7".to_owned()))
    );
    all_running().await;

    let Ok(RestartAnswer::Accepted(plan)) = handle.restart_connector("counter", true, false).await else {
        panic!("a plan is answered");
    };
    assert_eq!(plan.connector.state, State::Restarting);
    assert!(
        plan.tasks.iter().all(|(_, task)| task.state == State::Restarting),
        "{plan:?}"
    );
    eventually("everything was restarted", async || {
        (script.stops.load(SeqCst) == 3 && script.connector_starts.load(SeqCst) == 3).then_some(())
    })
    .await;
    all_running().await;

    script.trouble.lock().unwrap().push_back(Trouble::Fatal("no more"));
    handle.restart_task(ConnectorTaskId::new("counter", 0)).await.unwrap();
    worker
        .until("a failed task", |c| {
            c.tasks.iter().any(|(_, task)| task.state == State::Failed)
        })
        .await;
    let starts = script.connector_starts.load(SeqCst);
    let Ok(RestartAnswer::Accepted(plan)) = handle.restart_connector("counter", true, true).await else {
        panic!("a plan is answered");
    };
    assert_eq!(plan.connector.state, State::Running);
    let restarting = plan.tasks.iter().filter(|(_, task)| task.state == State::Restarting);
    assert_eq!(restarting.count(), 1);
    all_running().await;
    assert_eq!(script.connector_starts.load(SeqCst), starts);
    let statuses: Vec<String> = target
        .records("status")
        .await
        .into_iter()
        .filter(|(_, key, _)| key == "status-connector-counter")
        .map(|(_, _, value)| value.unwrap().split('"').nth(3).unwrap().to_owned())
        .collect();
    let once = ["UNASSIGNED", "RUNNING"];
    let planned = ["UNASSIGNED", "RESTARTING", "RUNNING"];
    assert_eq!(statuses, [&["RUNNING"][..], &once, &planned].concat());
    let ghost = handle.restart_connector("ghost", true, false).await;
    assert_eq!(
        ghost,
        Err(RequestError::NotFound("Unknown connector: ghost".to_owned()))
    );
    worker.stop().await;
}

#[tokio::test]
async fn many_who_ask_for_offsets_at_once_share_a_look_at_the_topic() {
    let target = Target::embedded().await;
    target.create_topic("numbers", 1, &[]).await;
    let script = Script::counting_to(10, 1);
    let worker = Worker::start(&target, &script, &[("offset.flush.interval.ms", "50")]);
    eventually("a stored offset", async || {
        (offsets(&worker).await.len() == 1).then_some(())
    })
    .await;
    let cluster = target.cluster.as_ref().unwrap();
    cluster.control(ApiKey::ListOffsets, |_| Control::Delay(Duration::from_millis(50)));
    let before = cluster.count(ApiKey::ListOffsets);
    for answer in join_all((0..50).map(|_| worker.handle.offsets("counter"))).await {
        assert_eq!(answer.unwrap().len(), 1);
    }
    let looks = cluster.count(ApiKey::ListOffsets) - before;
    assert!(looks <= 4, "{looks}");
    worker.stop().await;
}
