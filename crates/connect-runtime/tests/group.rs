//! Several workers of one group in one process, asking each other without HTTP.

#[expect(unreachable_pub, reason = "shared by the test files of this crate")]
#[allow(dead_code, reason = "each of them uses its part")]
mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, atomic::Ordering::SeqCst},
};

use bytes::Bytes;
use connect_api::BoxFuture;
use connect_runtime::{
    HerderHandle,
    herder::{
        ConnectorStateInfo, InternalRequest, RequestError, RequestSignature, RestartAnswer, WorkerClient,
        WorkerClientError,
    },
    storage::config::RawConfig,
    worker::{ConnectorTaskId, State},
};
use support::{Script, Target, Worker, eventually};

/// All workers, by URL. Requests to one that is gone fail, as over a network.
#[derive(Clone, Default)]
struct Network {
    workers: Arc<Mutex<BTreeMap<String, HerderHandle>>>,
    /// Every signed body that went over it.
    signed: Arc<Mutex<Vec<(Bytes, RequestSignature)>>>,
}

impl Network {
    fn handle(&self, url: &str) -> Option<HerderHandle> {
        self.workers.lock().unwrap().get(url).cloned()
    }

    /// Asks `first`, and whoever it names, as a REST server does.
    async fn ask<T>(
        &self,
        first: &str,
        request: impl AsyncFn(HerderHandle) -> Result<T, RequestError>,
    ) -> Result<T, RequestError> {
        let mut url = first.to_owned();
        for _ in 0..3 {
            match request(self.handle(&url).expect("it runs")).await {
                Err(RequestError::Forward { url: Some(target) }) => url = target,
                answer => return answer,
            }
        }
        panic!("nobody feels responsible");
    }
}

impl WorkerClient for Network {
    fn put_task_configs<'a>(
        &'a self,
        leader_url: &'a str,
        connector: &'a str,
        body: Bytes,
        signature: Option<RequestSignature>,
    ) -> BoxFuture<'a, Result<(), WorkerClientError>> {
        Box::pin(async move {
            let error = |message: String| WorkerClientError { status: None, message };
            let leader = self
                .handle(leader_url)
                .ok_or_else(|| error("connection refused".to_owned()))?;
            let tasks: Vec<RawConfig> = serde_json::from_slice(&body).expect("a list of maps");
            if let Some(signature) = &signature {
                self.signed.lock().unwrap().push((body.clone(), signature.clone()));
            }
            let request = InternalRequest {
                body,
                authorization: signature.as_ref().map(|signature| signature.authorization.clone()),
                algorithm: signature.map(|signature| signature.algorithm),
            };
            let put = leader.put_task_configs(connector, tasks, request).await;
            put.map_err(|why| error(why.to_string()))
        })
    }

    fn fence_zombies<'a>(
        &'a self,
        _leader_url: &'a str,
        _connector: &'a str,
        _signature: Option<RequestSignature>,
    ) -> BoxFuture<'a, Result<(), WorkerClientError>> {
        Box::pin(async { Ok(()) })
    }
}

struct TestGroup {
    target: Target,
    script: Arc<Script>,
    network: Network,
    workers: BTreeMap<String, Worker>,
}

fn url(worker: &str) -> String {
    format!("http://{worker}/")
}

impl TestGroup {
    async fn of(workers: &[&str], tasks: usize) -> Self {
        let target = Target::any().await;
        target.create_topic("numbers", 4, &[]).await;
        let mut group = Self {
            target,
            script: Script::counting_to(u64::MAX >> 1, tasks),
            network: Network::default(),
            workers: BTreeMap::new(),
        };
        for worker in workers {
            group.start(worker).await;
        }
        group
    }

    async fn start(&mut self, id: &str) {
        let props = [
            ("session.timeout.ms", "6000"),
            ("heartbeat.interval.ms", "200"),
            ("scheduled.rebalance.max.delay.ms", "500"),
        ];
        let others = Arc::new(self.network.clone());
        let worker = Worker::join(&self.target, &self.script, &props, id, others);
        self.network
            .workers
            .lock()
            .unwrap()
            .insert(url(id), worker.handle.clone());
        worker.handle.ping().await.unwrap();
        self.workers.insert(id.to_owned(), worker);
    }

    fn remove(&mut self, id: &str) -> Worker {
        self.network.workers.lock().unwrap().remove(&url(id));
        self.workers.remove(id).expect("it runs")
    }

    async fn create_counter(&self, at: &str, tasks: usize) {
        let pair = |key: &str, value: &str| (key.to_owned(), Some(value.to_owned()));
        let config = RawConfig::from([
            pair("name", "counter"),
            pair("connector.class", "Counter"),
            pair("tasks.max", &tasks.to_string()),
            pair("topic", &self.target.topic("numbers")),
        ]);
        let create = async |handle: HerderHandle| handle.put_connector("counter", config.clone(), None, false).await;
        self.network.ask(&url(at), create).await.unwrap();
    }

    /// Waits until the connector and so many tasks run, on workers that are all there.
    async fn until_running(&self, tasks: usize) -> ConnectorStateInfo {
        let asked = self.workers.values().next().expect("a worker").handle.clone();
        eventually("everything runs", async || {
            let status = asked.status("counter").await.ok()?;
            let runs = status
                .tasks
                .iter()
                .map(|(_, task)| task)
                .chain([&status.connector])
                .all(|one| one.state == State::Running && self.workers.contains_key(&one.worker_id));
            (runs && status.tasks.len() == tasks && self.script.counting() == tasks).then_some(status)
        })
        .await
    }

    fn assert_nothing_ran_twice(&self) {
        assert_eq!(
            self.script.doubled.load(SeqCst),
            0,
            "two tasks counted into one partition"
        );
    }

    async fn stop(mut self) {
        while let Some((_, worker)) = self.workers.pop_first() {
            worker.stop().await;
        }
        self.assert_nothing_ran_twice();
    }
}

fn owners(status: &ConnectorStateInfo) -> BTreeSet<&str> {
    status.tasks.iter().map(|(_, task)| task.worker_id.as_str()).collect()
}

#[tokio::test]
async fn work_is_shared_and_a_dead_leaders_work_is_taken_over() {
    let mut group = TestGroup::of(&["a:1", "b:1", "c:1"], 4).await;
    group.create_counter("c:1", 4).await;
    let status = group.until_running(4).await;
    assert!(owners(&status).len() >= 2, "{status:?}");
    let generations = |statuses: &std::collections::HashMap<String, Option<String>>| -> BTreeSet<i64> {
        let value = |value: &Option<String>| -> Option<i64> {
            serde_json::from_str::<serde_json::Value>(value.as_ref()?).ok()?["generation"].as_i64()
        };
        statuses.values().filter_map(value).collect()
    };
    let before = generations(&group.target.table("status").await);
    assert!(before.iter().all(|generation| *generation > 0), "{before:?}");

    group.remove("a:1").kill().await;
    let status = group.until_running(4).await;
    assert!(!owners(&status).contains("a:1"));
    // The new leader leads: it deletes what the old one created, wherever it is asked.
    let delete = async |handle: HerderHandle| handle.delete_connector("counter").await;
    group.network.ask(&url("c:1"), delete).await.unwrap();
    eventually("nothing counts", async || (group.script.counting() == 0).then_some(())).await;
    eventually("no status is left", async || {
        let statuses = group.target.table("status").await;
        statuses.values().all(Option::is_none).then_some(())
    })
    .await;
    group.stop().await;
}

#[tokio::test]
async fn a_new_worker_takes_its_part_and_gives_it_back() {
    let mut group = TestGroup::of(&["a:1"], 4).await;
    group.create_counter("a:1", 4).await;
    group.until_running(4).await;
    group.start("b:1").await;
    eventually("both have tasks", async || {
        let status = group.until_running(4).await;
        (owners(&status).len() == 2).then_some(())
    })
    .await;
    group.remove("b:1").stop().await;
    let status = group.until_running(4).await;
    assert_eq!(owners(&status), BTreeSet::from(["a:1"]));
    group.stop().await;
}

#[tokio::test]
async fn a_followers_connector_tells_the_leader_of_its_tasks() {
    let group = TestGroup::of(&["a:1", "b:1"], 1).await;
    // Connectors are shared out too: of two, one is the follower's.
    group.create_counter("b:1", 4).await;
    let pair = |key: &str, value: &str| (key.to_owned(), Some(value.to_owned()));
    let other = RawConfig::from([
        pair("name", "other"),
        pair("connector.class", "Counter"),
        pair("tasks.max", "1"),
        pair("topic", &group.target.topic("numbers")),
    ]);
    let create = async |handle: HerderHandle| handle.put_connector("other", other.clone(), None, false).await;
    // Both count into the same partition, which is what this test wants to be told of elsewhere.
    group.network.ask(&url("a:1"), create).await.unwrap();
    let handle = group.workers["a:1"].handle.clone();
    let tasks = async |name: &str, count: usize| {
        let tasks = handle.task_configs(name).await.ok()?;
        (tasks.len() == count).then_some(())
    };
    eventually("both have a task", async || {
        tasks("counter", 1).await?;
        tasks("other", 1).await
    })
    .await;
    group.script.tasks.store(3, SeqCst);
    for (name, count) in [("counter", 3), ("other", 1)] {
        for worker in group.workers.values() {
            // Where it does not run nobody is asked.
            let _ = worker.handle.request_task_reconfiguration(name).await;
        }
        eventually("the leader knows", async || tasks(name, count).await).await;
    }
    let signed = group.network.signed.lock().unwrap().clone();
    assert!(!signed.is_empty(), "a follower has asked, and signed");
    assert!(signed.iter().all(|(_, signature)| signature.algorithm == "HmacSHA256"));
    let unsigned = InternalRequest {
        body: Bytes::from_static(b"[]"),
        ..InternalRequest::default()
    };
    let put = async |handle: HerderHandle| handle.put_task_configs("counter", Vec::new(), unsigned.clone()).await;
    let refused = group.network.ask(&url("b:1"), put).await.unwrap_err();
    assert_eq!(refused.to_string(), "Internal request missing required signature");
    let forged = InternalRequest {
        body: Bytes::from_static(b"[]"),
        authorization: Some("AAAA".to_owned()),
        algorithm: Some("HmacSHA256".to_owned()),
    };
    let put = async |handle: HerderHandle| handle.put_task_configs("counter", Vec::new(), forged.clone()).await;
    let refused = group.network.ask(&url("a:1"), put).await.unwrap_err();
    assert_eq!(
        refused,
        RequestError::Forbidden("Internal request contained invalid signature.".to_owned())
    );
    let configs = group.target.table("configs").await;
    assert!(configs.contains_key("session-key"), "{configs:?}");
}

#[tokio::test]
async fn requests_find_the_worker_that_can_do_them() {
    let group = TestGroup::of(&["a:1", "b:1", "c:1"], 4).await;
    group.create_counter("b:1", 4).await;
    let status = group.until_running(4).await;
    let starts = group.script.connector_starts.load(SeqCst);
    for (worker, asked) in [("a:1", 1), ("b:1", 2), ("c:1", 3)] {
        let restart = async |handle: HerderHandle| handle.restart_connector("counter", false, false).await;
        assert_eq!(group.network.ask(&url(worker), restart).await, Ok(RestartAnswer::Done));
        assert_eq!(group.script.connector_starts.load(SeqCst), starts + asked);
        let restart = async |handle: HerderHandle| handle.restart_task(ConnectorTaskId::new("counter", 2)).await;
        group.network.ask(&url(worker), restart).await.unwrap();
    }
    let restart = async |handle: HerderHandle| handle.restart_connector("counter", true, false).await;
    let Ok(RestartAnswer::Accepted(plan)) = group.network.ask(&url("c:1"), restart).await else {
        panic!("a plan is answered");
    };
    assert_eq!(plan.tasks.len(), status.tasks.len());
    eventually("every worker restarts what it has", async || {
        (group.script.stops.load(SeqCst) == 3 + 4 && group.script.connector_starts.load(SeqCst) == starts + 4)
            .then_some(())
    })
    .await;
    group.until_running(4).await;
    // Any worker pauses, every worker sees it.
    group.workers["c:1"].handle.pause("counter").await.unwrap();
    eventually("paused everywhere", async || {
        let status = group.workers["a:1"].handle.status("counter").await.ok()?;
        let mut tasks = status.tasks.iter();
        (status.connector.state == State::Paused && tasks.all(|(_, task)| task.state == State::Paused)).then_some(())
    })
    .await;
    let stop = async |handle: HerderHandle| handle.stop("counter").await;
    group.network.ask(&url("b:1"), stop).await.unwrap();
    eventually("no tasks", async || (group.script.counting() == 0).then_some(())).await;
    let reset = async |handle: HerderHandle| handle.reset_offsets("counter").await;
    let message = group.network.ask(&url("c:1"), reset).await.unwrap();
    assert_eq!(message, "The offsets for this connector have been reset successfully");
    group.stop().await;
}
