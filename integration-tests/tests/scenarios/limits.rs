//! Limits of bytes per second: what they hold back, what they leave alone, and changing them while records flow.

use std::time::Duration;

use integration_tests::{
    ConnectWorker, Heliograph, Isolation, Pair, Process, Rest, Stopwatch, TestClient, TestRecord, Topic, WorkerGroup,
    assert_mirrored, pause, report, wait_until,
};
use kafka_wire::Compression;
use serde_json::json;

use crate::{SOON, flow};

integration_tests::scenarios!(
    a_flow_keeps_to_its_limit_while_another_does_not_wait,
    a_topic_keeps_to_its_limit_while_another_does_not_wait,
    limits_of_dedicated_mode_are_changed_while_it_runs,
    limits_are_changed_over_rest_and_no_task_starts_anew,
);
integration_tests::real_scenarios!(a_broker_s_quota_is_honoured);

const RECORD_BYTES: usize = 10_000;
const FLOW_LIMIT: &str = "heliograph.max.bytes.per.second";
const METRICS: &str = "heliograph.metrics.listener";
const ANYWHERE: &str = "http://127.0.0.1:0";
const TOPIC_LIMITS: &str = "heliograph.topic.max.bytes.per.second";

/// How long a rate is looked at: `HELIOGRAPH_LIMIT_SECONDS`, or a little.
fn seconds() -> u32 {
    let asked = std::env::var("HELIOGRAPH_LIMIT_SECONDS").ok();
    asked.and_then(|seconds| seconds.parse().ok()).unwrap_or(8)
}

/// Fills a topic of two partitions with about so many bytes.
fn fill(client: &mut TestClient, topic: &str, bytes: usize) {
    client.create_topic(Topic::new(topic, 2));
    for (batch, _) in (0..bytes).step_by(10 * RECORD_BYTES).enumerate() {
        let record = |at: usize| TestRecord::new(format!("{batch}-{at}"), vec![b'x'; RECORD_BYTES]);
        let records: Vec<TestRecord> = (0..10).map(record).collect();
        client.produce(topic, (batch % 2) as i32, Compression::None, &records);
    }
}

/// Bytes of the copy, about.
fn copied(client: &mut TestClient, copy: &str) -> usize {
    let Some(count) = client.partition_count(copy) else {
        return 0;
    };
    let ends = (0..count).map(|partition| client.log_end(copy, partition, Isolation::ReadUncommitted));
    ends.sum::<i64>() as usize * RECORD_BYTES
}

/// How long flows have waited for their limits.
fn waited(metrics: &Rest) -> f64 {
    let page = wait_until("a page of metrics", SOON, || metrics.get("/metrics").ok());
    let lines = page.body.as_str().unwrap_or_default().lines();
    let waited = lines.filter(|line| line.starts_with("heliograph_limit_waited_seconds_total{"));
    let seconds = waited.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
    seconds.sum()
}

/// Watches a copy grow for a while: never more than the rate allows, and not much less.
fn keeps_to(client: &mut TestClient, copy: &str, rate: usize, seconds: u32, metrics: &Rest) {
    let before = wait_until("the first records", SOON, || {
        Some(copied(client, copy)).filter(|bytes| *bytes > 0)
    });
    let waited_before = waited(metrics);
    let (clock, look) = (Stopwatch::start(), Duration::from_millis(250));
    loop {
        pause(look);
        let bytes = copied(client, copy) - before;
        let elapsed = clock.elapsed().as_secs_f64();
        // A burst, the batches that were on their way, and what is lost in looking.
        let allowed = rate as f64 * (elapsed * 1.05 + 0.5) + 500e3;
        assert!((bytes as f64) < allowed, "{bytes} bytes in {elapsed} s");
        if elapsed >= f64::from(seconds) {
            // A machine that is busy may be slower than it should be: what counts is the time in which nothing but the
            // limit held the flow back. A second's worth may be on its way.
            let waited = waited(metrics) - waited_before;
            let bytes = copied(client, copy) - before;
            assert!(
                bytes as f64 > rate as f64 * (waited * 0.95 - 1.0),
                "{bytes} bytes while the limit was waited for for {waited} s"
            );
            // A pause counts once it is over.
            assert!(waited > elapsed * 0.25, "waited for {waited} of {elapsed} s");
            let of_rate = bytes as f64 / elapsed / rate as f64;
            report(&format!(
                "{copy}: {of_rate:.3} of its rate in {elapsed:.1} s, {waited:.1} of which it waited"
            ));
            return;
        }
    }
}

fn a_flow_keeps_to_its_limit_while_another_does_not_wait(kafka: &mut Pair) {
    let (mut source, mut target) = (kafka.source.client(), kafka.target.client());
    let rate = 2_000_000;
    fill(&mut source, "held", rate * (seconds() as usize + 2));
    fill(&mut source, "free", 4_000_000);
    let slow = flow(kafka, "slow", "held")
        .flow(FLOW_LIMIT, "2MB")
        .set(METRICS, ANYWHERE);
    let mut slow = Heliograph::mirror_maker("limit-slow", &slow);
    let metrics = rest_of(&mut slow);
    let quick = Heliograph::mirror_maker("limit-quick", &flow(kafka, "quick", "free"));
    assert_mirrored(&mut source, &mut target, "free", "quick.free", SOON);
    keeps_to(&mut target, "slow.held", rate, seconds(), &metrics);
    assert_mirrored(&mut source, &mut target, "held", "slow.held", SOON);
    slow.stop();
    quick.stop();
}

fn a_topic_keeps_to_its_limit_while_another_does_not_wait(kafka: &mut Pair) {
    let (mut source, mut target) = (kafka.source.client(), kafka.target.client());
    let rate = 1_000_000;
    fill(&mut source, "rated-1", rate * (seconds() as usize + 2));
    fill(&mut source, "unrated", 8_000_000);
    let properties = flow(kafka, "topics", "rated-1, unrated").flow(TOPIC_LIMITS, "rated-[0-9]:1MB");
    let mut mirror = Heliograph::mirror_maker("limit-topic", &properties.set(METRICS, ANYWHERE));
    let metrics = rest_of(&mut mirror);
    assert_mirrored(&mut source, &mut target, "unrated", "topics.unrated", SOON);
    assert!(
        copied(&mut target, "topics.rated-1") < rate * (seconds() as usize + 2),
        "it was limited meanwhile"
    );
    let look = seconds().saturating_sub(4).max(2);
    keeps_to(&mut target, "topics.rated-1", rate, look, &metrics);
    assert_mirrored(&mut source, &mut target, "rated-1", "topics.rated-1", SOON);
    mirror.stop();
}

fn starts_of_tasks(process: &mut Process) -> usize {
    let log = process.log();
    log.lines()
        .filter(|line| line.contains("mirroring") && line.contains("with_stored_offset"))
        .count()
}

fn limits_of_dedicated_mode_are_changed_while_it_runs(kafka: &mut Pair) {
    let (mut source, mut target) = (kafka.source.client(), kafka.target.client());
    // At this rate it would take five minutes.
    fill(&mut source, "changed", 3_000_000);
    let properties = flow(kafka, "dedicated", "changed")
        .flow(FLOW_LIMIT, "10kB")
        .set("heliograph.rest.listeners", "http://127.0.0.1:0")
        .set("heliograph.rest.limits.enabled", "true");
    let mut mirror = Heliograph::mirror_maker("limit-dedicated", &properties);
    let rest = rest_of(&mut mirror);
    wait_until("the first records", SOON, || {
        (copied(&mut target, "dedicated.changed") > 0).then_some(())
    });
    let starts = starts_of_tasks(mirror.process());
    let path = "/dedicated/backup/connectors/MirrorSourceConnector/config";
    let ask = |body| rest.request("PATCH", path, Some(&body)).expect("it answers");
    let refused = ask(json!({"topics": ".*"}));
    assert_eq!(refused.status, 403, "{refused:?}");
    let refused = ask(json!({FLOW_LIMIT: "very fast"}));
    assert_eq!(refused.status, 400, "{refused:?}");
    assert!(refused.body.to_string().contains(FLOW_LIMIT), "{refused:?}");
    assert!(copied(&mut target, "dedicated.changed") < 3_000_000, "it is slow still");
    let changed = ask(json!({FLOW_LIMIT: "100MB"}));
    assert_eq!(changed.status, 200, "{changed:?}");
    assert_mirrored(&mut source, &mut target, "changed", "dedicated.changed", SOON);
    assert_eq!(starts_of_tasks(mirror.process()), starts, "no task was started anew");
    mirror.stop();
}

fn rest_of(mirror: &mut Heliograph) -> Rest {
    let address = wait_until("the REST listener", SOON, || {
        let log = mirror.process().log();
        let rest = log
            .lines()
            .find_map(|line| line.split_once("the REST server is ready")?.1.split_once("127.0.0.1:"));
        let port: String = rest?.1.chars().take_while(char::is_ascii_digit).collect();
        Some(format!("127.0.0.1:{port}"))
    });
    Rest::new(&address)
}

fn limits_are_changed_over_rest_and_no_task_starts_anew(kafka: &mut Pair) {
    let (mut source, mut target) = (kafka.source.client(), kafka.target.client());
    fill(&mut source, "over-rest", 3_000_000);
    let group = WorkerGroup::new(&kafka.target.bootstrap_servers(), "limited");
    let mut workers = ["limited-a", "limited-b"].map(|name| ConnectWorker::heliograph(name, &group));
    workers.iter_mut().for_each(ConnectWorker::wait_until_ready);
    let (from, to) = (kafka.source.bootstrap_servers(), kafka.target.bootstrap_servers());
    let config = |limits: serde_json::Value| {
        let mut config = json!({
            "connector.class": "MirrorSourceConnector",
            "source.cluster.alias": "rest",
            "target.cluster.alias": "backup",
            "source.cluster.bootstrap.servers": from,
            "target.cluster.bootstrap.servers": to,
            "topics": "over-rest",
            "tasks.max": "2",
            "replication.factor": "1",
            "offset-syncs.topic.replication.factor": "1",
            "sync.topic.acls.enabled": "false",
        });
        let fields = config.as_object_mut().expect("an object");
        fields.extend(limits.as_object().expect("an object").clone());
        config
    };
    let path = "/connectors/limited/config";
    let wrong = workers[0].ask_any("PUT", path, Some(&config(json!({TOPIC_LIMITS: "over-rest=1MB"}))));
    assert_eq!(wrong.status, 400, "{wrong:?}");
    workers[0].ask("PUT", path, Some(&config(json!({FLOW_LIMIT: "10kB"}))));
    let ids = workers.each_ref().map(|worker| worker.id().to_owned());
    let ids = ids.each_ref().map(String::as_str);
    workers[0].wait_until_running("limited", 2, &ids);
    wait_until("the first records", SOON, || {
        (copied(&mut target, "rest.over-rest") > 0).then_some(())
    });
    assert!(copied(&mut target, "rest.over-rest") < 3_000_000, "it is slow");
    let tasks = |worker: &ConnectWorker| worker.ask("GET", "/connectors/limited/tasks", None);
    let before = tasks(&workers[0]);
    let starts: usize = workers.iter_mut().map(|worker| starts_of_tasks(worker.process())).sum();

    workers[1].ask(
        "PUT",
        path,
        Some(&config(json!({FLOW_LIMIT: "100MB", TOPIC_LIMITS: "over-.*:90MB"}))),
    );
    assert_mirrored(&mut source, &mut target, "over-rest", "rest.over-rest", SOON);
    let after: usize = workers.iter_mut().map(|worker| starts_of_tasks(worker.process())).sum();
    assert_eq!(after, starts, "no task was started anew");
    assert_eq!(tasks(&workers[0]), before, "nor configured");
    workers.into_iter().for_each(ConnectWorker::stop);
}

fn a_broker_s_quota_is_honoured(kafka: &mut Pair) {
    let (mut source, mut target) = (kafka.source.client(), kafka.target.client());
    fill(&mut source, "quota", 3_000_000);
    let id = "quota->backup|MirrorSourceConnector-0|replication-consumer";
    let dist = kafka.source.dist().expect("a real Kafka has its tools");
    let servers = kafka.source.bootstrap_servers();
    let args = [
        "--bootstrap-server",
        &servers,
        "--alter",
        "--entity-type",
        "clients",
        "--entity-name",
        id,
    ];
    let quota = |change: [&str; 2]| dist.run_tool("configs", &[&args[..], &change].concat(), "");
    quota(["--add-config", "consumer_byte_rate=200000"]);
    let properties = flow(kafka, "quota", "quota")
        .set("tasks.max", "1")
        .set(METRICS, ANYWHERE);
    let mut mirror = Heliograph::mirror_maker("quota", &properties);
    let rest = rest_of(&mut mirror);
    // Kafka asks for pauses of a quota window at most: what it asks for is seen, and waited for.
    let name = "heliograph_client_throttled_seconds_total";
    wait_until("a pause that the broker asked for", SOON, || {
        let page = rest.get("/metrics").ok()?.body;
        let line = page
            .as_str()?
            .lines()
            .find(|line| line.starts_with(name) && line.contains(id))?;
        let seconds: f64 = line.rsplit(' ').next()?.parse().ok()?;
        (seconds > 0.0).then_some(())
    });
    assert!(copied(&mut target, "quota.quota") < 3_000_000, "it waits");
    quota(["--delete-config", "consumer_byte_rate"]);
    assert_mirrored(&mut source, &mut target, "quota", "quota.quota", SOON);
    mirror.stop();
}
