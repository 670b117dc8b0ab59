use std::{collections::BTreeSet, fs, path::Path, process::Command, sync::Arc};

use axum::{body::Body, http::Request as HttpRequest};
use connect_mirror::{CheckpointKey, MetricKey, MirrorMetrics, PartitionMetrics, Rebuilt, source::Pace};
use connect_runtime::{
    Clock, Plugins,
    herder::{
        ConnectorInfo, ConnectorKind, ConnectorStateInfo, StateInfo,
        scripted::{Request, ScriptedHerder, scripted},
    },
    storage::config::RawConfig,
    worker::{ConnectorTaskId, State},
};
use kafka_client::{Client, ClientConfig, Dialer, metrics::ClientKind};
use kafka_wire::TopicPartition;
use tower::ServiceExt;

use crate::{
    Metrics, Options, Worker,
    exposition::{Format, Page},
    limits, mirror,
};

const NOW: i64 = 1_700_000_000_000;

/// Kafka's metrics that we do not show, and why.
const NOT_SHOWN: &[(&str, &str)] = &[
    (
        "connect-worker-rebalance-metrics leader-name",
        "a word: a label of kafka_connect_worker_rebalance_info",
    ),
    (
        "connect-worker-rebalance-metrics connect-protocol",
        "a word: a label of kafka_connect_worker_rebalance_info",
    ),
    (
        "connector-metrics connector-class",
        "a word: a label of kafka_connect_connector_info",
    ),
    (
        "connector-metrics connector-type",
        "a word: a label of kafka_connect_connector_info",
    ),
    (
        "connector-metrics connector-version",
        "a word: a label of kafka_connect_connector_info",
    ),
    (
        "connector-task-metrics status",
        "a word: a label of kafka_connect_connector_status",
    ),
    ("connector-task-metrics connector-class", "a word, as of the connector"),
    ("connector-task-metrics connector-type", "a word, as of the connector"),
    (
        "connector-task-metrics connector-version",
        "a word, as of the connector",
    ),
    ("connector-task-metrics task-class", "a word of Java"),
    ("connector-task-metrics task-version", "a word, as of the connector"),
    ("connector-task-metrics header-converter-class", "a word"),
    ("connector-task-metrics header-converter-version", "a word"),
    ("connector-task-metrics key-converter-class", "a word"),
    ("connector-task-metrics key-converter-version", "a word"),
    ("connector-task-metrics value-converter-class", "a word"),
    ("connector-task-metrics value-converter-version", "a word"),
    ("connector-predicate-metrics predicate-class", "a word"),
    ("connector-predicate-metrics predicate-version", "a word"),
    ("connector-transform-metrics transform-class", "a word"),
    ("connector-transform-metrics transform-version", "a word"),
    (
        "task-error-metrics total-retries",
        "retries of a record are not counted",
    ),
    ("task-error-metrics deadletterqueue-produce-failures", "sink tasks only"),
    ("task-error-metrics deadletterqueue-produce-requests", "sink tasks only"),
];

struct NoPlugins;

impl Plugins for NoPlugins {
    fn connector(&self, class: &str) -> Result<Box<dyn connect_api::SourceConnector>, connect_api::ConnectError> {
        Err(connect_api::ConnectError::new(class))
    }
}

fn key(topic: &str, partition: i32) -> MetricKey {
    MetricKey {
        source: "A".into(),
        target: "B".into(),
        task_id: "MirrorSourceConnector-0".into(),
        remote: TopicPartition::new(format!("A.{topic}"), partition),
        source_topic: topic.into(),
    }
}

fn mirrored(metrics: &PartitionMetrics, records: u64) {
    metrics.fetched(records as i64 + 5, 0);
    metrics.carried(None);
    metrics.polled(NOW, records, 100 * records, NOW - 40, NOW - 20);
    metrics.acknowledged(NOW, records, (NOW - 40, NOW - 20), (records as i64, None));
}

fn mirror_page(metrics: &MirrorMetrics, max_partitions: usize) -> String {
    let mut page = Page::new(Format::Text);
    mirror::write(&mut page, metrics, NOW, max_partitions);
    page.finish()
}

/// The values of a family, by the rest of its line.
fn samples<'a>(page: &'a str, name: &str) -> Vec<(&'a str, f64)> {
    let lines = page.lines().filter_map(|line| line.strip_prefix(name));
    let own = lines.filter(|rest| rest.starts_with(['{', ' ']));
    own.map(|line| {
        let (labels, value) = line.rsplit_once(' ').expect("a value");
        (labels, value.parse().expect("a number"))
    })
    .collect()
}

fn families(page: &str) -> BTreeSet<&str> {
    let lines = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    lines.filter_map(|line| line.split(' ').next()).collect()
}

fn status(state: State) -> Arc<StateInfo> {
    Arc::new(StateInfo {
        state,
        worker_id: "w:8083".to_owned(),
        version: Some("4.3.1".to_owned()),
        trace: None,
    })
}

/// A worker with one connector, one of whose two tasks has failed.
async fn answer(mut herder: ScriptedHerder) {
    while let Some(request) = herder.next().await {
        match request {
            Request::Statuses(reply) => drop(reply.send(Ok(vec![ConnectorStateInfo {
                name: "odd \"name\"".to_owned(),
                connector: status(State::Running),
                tasks: vec![(0, status(State::Running)), (1, status(State::Failed))],
                kind: ConnectorKind::Source,
            }]))),
            Request::ConnectorInfos(reply) => drop(reply.send(Ok(vec![ConnectorInfo {
                name: "odd \"name\"".to_owned(),
                config: Arc::new(RawConfig::from_iter([(
                    "connector.class".to_owned(),
                    Some("C".to_owned()),
                )])),
                tasks: Vec::new(),
                kind: ConnectorKind::Source,
            }]))),
            Request::TaskMetrics(reply) => {
                let task = ConnectorTaskId::new("odd \"name\"", 0);
                drop(reply.send(Ok(vec![(task, Arc::default())])));
            }
            _ => {}
        }
    }
}

/// Everything there is, once.
async fn full_page(format: Format) -> String {
    let (handle, herder) = scripted(Arc::new(NoPlugins));
    herder.start("cluster-1");
    let mirror = MirrorMetrics::default();
    let orders = mirror.register(key("orders", 0));
    mirrored(&orders, 10);
    orders.carried(Some(Rebuilt::Holes));
    orders.held_back(Some("no \"right\"\nto write"));
    let group = CheckpointKey {
        task_id: "MirrorCheckpointConnector-0".into(),
        source: "A".into(),
        target: "B".into(),
        group: "billing".into(),
        remote: TopicPartition::new("A.orders", 0),
    };
    mirror.checkpoint_written(group, NOW, 12);
    let dialer = Dialer::tcp();
    let client = |id: &str| {
        let props = [("bootstrap.servers", "localhost:1"), ("client.id", id)];
        let props = props.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        Client::new(ClientConfig::parse(&props).expect("good settings"), dialer.clone())
    };
    let clients = [client("c"), client("r"), client("p"), client("m")];
    for (at, kind) in [ClientKind::Consumer, ClientKind::Producer, ClientKind::Member]
        .into_iter()
        .enumerate()
    {
        clients[at + 1].metrics().is_now(kind);
    }
    let pace = Pace::default();
    pace.set(Some(5_000_000));
    let metrics = Metrics::new(Options {
        workers: vec![Worker {
            flow: String::new(),
            worker_id: "w:8083".to_owned(),
            herder: handle,
        }],
        mirror,
        pace,
        dialer: dialer.clone(),
        clock: Clock::new(|| NOW),
        max_partitions: 100,
    });
    tokio::select! {
        page = metrics.page(format) => page.expect("no panic"),
        () = answer(herder) => panic!("the handle is still there"),
    }
}

#[test]
fn a_partition_is_written_as_expected() {
    let metrics = MirrorMetrics::default();
    mirrored(&metrics.register(key("orders", 3)), 10);
    let page = mirror_page(&metrics, 100);
    let labels = "{source=\"A\",target=\"B\",topic=\"A.orders\",partition=\"3\"}";
    let prefix = "kafka_connect_mirror_mirrorsourceconnector_";
    for (name, value) in [
        ("record_count", "10"),
        ("byte_count", "1000"),
        ("record_age_ms", "20"),
        ("record_age_ms_max", "40"),
        ("record_age_ms_min", "20"),
        ("record_age_ms_avg", "30"),
        ("replication_latency_ms_max", "40"),
    ] {
        let expected = format!("# TYPE {prefix}{name} gauge\n{prefix}{name}{labels} {value}\n");
        assert!(page.contains(&expected), "{expected}in\n{page}");
    }
    for line in [
        "heliograph_partition_lag_records{source=\"A\",target=\"B\",topic=\"A.orders\",partition=\"3\"} 5",
        "heliograph_partition_lag_bytes{source=\"A\",target=\"B\",topic=\"A.orders\",partition=\"3\"} 500",
        "heliograph_partition_last_write_timestamp_seconds{source=\"A\",target=\"B\",topic=\"A.orders\",partition=\"3\"} 1700000000",
        "kafka_consumer_fetch_manager_records_lag{clientid=\"A->B|MirrorSourceConnector-0|replication-consumer\",topic=\"orders\",partition=\"3\"} 5",
        "heliograph_flow_batches_total{source=\"A\",target=\"B\",way=\"passed\"} 1",
        "heliograph_flow_batches_total{source=\"A\",target=\"B\",way=\"rebuilt\",reason=\"holes\"} 0",
    ] {
        assert!(page.lines().any(|written| written == line), "{line} in\n{page}");
    }
}

#[test]
fn before_the_first_record_ages_are_not_a_number_and_counts_are_zero() {
    let metrics = MirrorMetrics::default();
    let _registered = metrics.register(key("orders", 0));
    let page = mirror_page(&metrics, 100);
    let value = |name: &str| samples(&page, name)[0].1;
    assert_eq!(value("kafka_connect_mirror_mirrorsourceconnector_record_count"), 0.0);
    assert_eq!(value("kafka_connect_mirror_mirrorsourceconnector_record_age_ms"), 0.0);
    assert!(value("kafka_connect_mirror_mirrorsourceconnector_record_age_ms_avg").is_nan());
    assert!(value("kafka_connect_mirror_mirrorsourceconnector_replication_latency_ms_max").is_nan());
    assert!(value("heliograph_partition_last_write_timestamp_seconds").is_nan());
    assert_eq!(value("heliograph_partition_lag_seconds"), 0.0);
}

#[test]
fn partitions_beyond_the_limit_are_added_up() {
    let metrics = MirrorMetrics::default();
    for partition in 0..50 {
        mirrored(&metrics.register(key("orders", partition)), 10);
    }
    let page = mirror_page(&metrics, 20);
    let name = "kafka_connect_mirror_mirrorsourceconnector_record_count";
    let counts = samples(&page, name);
    assert_eq!(counts.len(), 21);
    assert_eq!(counts.iter().map(|(_, count)| count).sum::<f64>(), 500.0);
    assert_eq!(counts[20], ("{source=\"A\",target=\"B\",topic=\"(others)\"}", 300.0));
    assert_eq!(samples(&page, "heliograph_flow_lag_records")[0].1, 250.0);
    assert_eq!(samples(&page, "heliograph_flow_partitions")[0].1, 50.0);
    assert_eq!(samples(&page, "kafka_consumer_fetch_manager_records_lag").len(), 20);
}

#[test]
fn a_partition_that_moves_between_tasks_is_one_series() {
    let metrics = MirrorMetrics::default();
    mirrored(&metrics.register(key("orders", 0)), 10);
    let moved = MetricKey {
        task_id: "MirrorSourceConnector-1".into(),
        ..key("orders", 0)
    };
    mirrored(&metrics.register(moved), 3);
    let page = mirror_page(&metrics, 100);
    let counts = samples(&page, "kafka_connect_mirror_mirrorsourceconnector_record_count");
    assert_eq!(counts.len(), 1);
    assert_eq!(counts[0].1, 13.0);
}

/// Says how long it took, for whoever runs it with `--nocapture`; only the size is judged.
#[test]
fn ten_thousand_partitions_make_a_bounded_page() {
    let metrics = MirrorMetrics::default();
    for partition in 0..10_000 {
        mirrored(&metrics.register(key("orders", partition)), 10);
    }
    for max in [2000, 10_000] {
        let began = tokio::time::Instant::now();
        let page = mirror_page(&metrics, max);
        let took = began.elapsed();
        #[expect(clippy::print_stderr, reason = "a number for a person")]
        {
            eprintln!(
                "10,000 partitions, {max} of them listed: {} lines, {} bytes, {took:?}",
                page.lines().count(),
                page.len()
            );
        }
        let per_partition = mirror::PARTITIONS.len() + 1;
        assert!(
            page.lines().count() < (max + 10) * per_partition + 100,
            "{}",
            page.lines().count()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn every_metric_of_kafka_is_shown_or_known_not_to_be() {
    let page = full_page(Format::Text).await;
    let shown = families(&page);
    let names = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/kafka-names.json"));
    let names: serde_json::Value = serde_json::from_str(&names.expect("the list")).expect("JSON");
    let mut missing = Vec::new();
    for (group, metrics) in names["connect"].as_object().expect("groups") {
        if group == "sink-task-metrics" {
            continue; // there are no sink connectors
        }
        for metric in metrics.as_array().expect("metrics") {
            let name = metric["name"].as_str().expect("a name");
            let own = group
                .strip_prefix("connect-")
                .unwrap_or(group)
                .strip_suffix("-metrics")
                .expect("a group");
            let expected = format!("kafka_connect_{own}_{name}").replace('-', "_");
            let not_shown = NOT_SHOWN.iter().any(|(not, _)| *not == format!("{group} {name}"));
            if shown.contains(&*expected) == not_shown {
                missing.push(expected);
            }
        }
    }
    for (connector, attributes) in names["mirror"].as_object().expect("connectors") {
        for attribute in attributes.as_array().expect("attributes") {
            let attribute = attribute.as_str().expect("a name").replace('-', "_");
            let expected = format!("kafka_connect_mirror_{}_{attribute}", connector.to_lowercase());
            if !shown.contains(&*expected) {
                missing.push(expected);
            }
        }
    }
    assert_eq!(missing, Vec::<String>::new(), "neither shown nor excused, or both");
}

#[tokio::test(start_paused = true)]
async fn every_metric_is_documented_and_nothing_else() {
    let page = full_page(Format::Text).await;
    let doc = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/METRICS.md");
    let doc = fs::read_to_string(doc).expect("docs/METRICS.md");
    let rows = doc
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let documented: BTreeSet<&str> = rows.filter(|name| name.contains('_')).collect();
    let mut shown = families(&page);
    shown.extend(limits::TABLE.iter().map(|metric| metric.family.name));
    assert_eq!(
        documented.difference(&shown).collect::<Vec<_>>(),
        Vec::<&&str>::new(),
        "documented, not shown"
    );
    assert_eq!(
        shown.difference(&documented).collect::<Vec<_>>(),
        Vec::<&&str>::new(),
        "shown, not documented"
    );
}

#[tokio::test(start_paused = true)]
async fn a_worker_is_written_as_expected() {
    let page = full_page(Format::Text).await;
    for line in [
        "kafka_connect_worker_connector_count 1",
        "kafka_connect_worker_task_count 1",
        "kafka_connect_worker_connector_failed_task_count{connector=\"odd \\\"name\\\"\"} 1",
        "kafka_connect_connector_status{connector=\"odd \\\"name\\\"\",task=\"1\",status=\"failed\"} 1",
        "kafka_connect_connector_info{connector=\"odd \\\"name\\\"\",connector_class=\"C\",connector_type=\"source\",connector_version=\"4.3.1\"} 1",
        "kafka_connect_worker_rebalance_time_since_last_rebalance_ms +Inf",
        "kafka_connect_connector_task_batch_size_avg{connector=\"odd \\\"name\\\"\",task=\"0\"} NaN",
        "heliograph_partition_held_back{source=\"A\",target=\"B\",topic=\"A.orders\",partition=\"0\",reason=\"no \\\"right\\\"\\nto write\"} 1",
        "heliograph_client_connections{clientid=\"c\"} 0",
    ] {
        assert!(page.lines().any(|written| written == line), "{line} in\n{page}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_does_not_answer_holds_no_page_up() {
    let (handle, herder) = scripted(Arc::new(NoPlugins));
    herder.start("cluster-1");
    let metrics = Metrics::new(Options {
        workers: vec![Worker {
            flow: "A->B".to_owned(),
            worker_id: "w".to_owned(),
            herder: handle,
        }],
        mirror: MirrorMetrics::default(),
        pace: Pace::default(),
        dialer: Dialer::tcp(),
        clock: Clock::new(|| NOW),
        max_partitions: 100,
    });
    let request = HttpRequest::get("/metrics").header("accept", "application/openmetrics-text; version=1.0.0");
    let answer = metrics
        .router()
        .oneshot(request.body(Body::empty()).expect("a request"))
        .await;
    let answer = answer.expect("infallible");
    assert_eq!(answer.status(), 200);
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(answer.headers()["content-type"], content_type);
    let body = axum::body::to_bytes(answer.into_body(), usize::MAX)
        .await
        .expect("a body");
    let page = String::from_utf8(body.to_vec()).expect("UTF-8");
    assert!(
        page.contains("\nkafka_connect_worker_connector_count{flow=\"A->B\"} 0\n"),
        "{page}"
    );
    assert!(page.ends_with("# EOF\n"));
}

/// Runs promtool, if this machine has it (package `prometheus`).
fn promtool(arguments: &[&str], input: &str) -> Option<(Option<i32>, String)> {
    use std::{io::Write, process::Stdio};
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut command = Command::new("promtool");
    command.args(arguments).current_dir(root);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let Ok(mut running) = command.spawn() else {
        #[expect(clippy::print_stderr, reason = "a skipped check must not pass in silence")]
        {
            eprintln!("promtool is not installed: {arguments:?} was NOT checked");
        }
        return None;
    };
    running
        .stdin
        .take()
        .expect("a pipe")
        .write_all(input.as_bytes())
        .expect("promtool reads");
    let output = running.wait_with_output().expect("promtool ends");
    let said = [output.stdout, output.stderr].concat();
    Some((output.status.code(), String::from_utf8_lossy(&said).into_owned()))
}

#[tokio::test(start_paused = true)]
async fn promtool_reads_the_page_and_finds_fault_with_kafkas_names_only() {
    let page = full_page(Format::Text).await;
    let Some((code, said)) = promtool(&["check", "metrics"], &page) else {
        return;
    };
    // 3: it is readable, and names are not as Prometheus would like them. Kafka's are what they are.
    assert!(matches!(code, Some(0 | 3)), "{said}");
    let ours: Vec<&str> = said.lines().filter(|line| line.starts_with("heliograph_")).collect();
    assert_eq!(ours, Vec::<&str>::new());
}

#[test]
fn promtool_accepts_the_alert_rules_and_they_fire_when_they_should() {
    let rules = ["check", "rules", "docs/prometheus/alerts.yml"];
    let Some((code, said)) = promtool(&rules, "") else {
        return;
    };
    assert_eq!(code, Some(0), "{said}");
    let tests = ["test", "rules", "crates/connect-metrics/testdata/alerts-test.yml"];
    let Some((code, said)) = promtool(&tests, "") else {
        return;
    };
    assert_eq!(code, Some(0), "{said}");
}

#[tokio::test(start_paused = true)]
async fn the_dashboard_and_the_rules_ask_for_nothing_that_is_not_there() {
    let page = full_page(Format::Text).await;
    let mut shown = families(&page);
    shown.extend(limits::TABLE.iter().map(|metric| metric.family.name));
    for file in ["docs/grafana/heliograph.json", "docs/prometheus/alerts.yml"] {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(file)).expect(file);
        let words = text.split(|character: char| !character.is_ascii_alphanumeric() && character != '_');
        let names = words.filter(|word| {
            ["kafka_con", "heliograph_", "process_"]
                .iter()
                .any(|prefix| word.starts_with(prefix))
        });
        let unknown: BTreeSet<&str> = names.filter(|name| !shown.contains(name)).collect();
        assert_eq!(unknown, BTreeSet::new(), "{file}");
    }
}
