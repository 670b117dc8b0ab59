//! The embedded Kafka and other people's clients, unchanged: librdkafka by way of Python, and Kafka's own Java tools.
//!
//! They run when they are there: `python3` with `confluent_kafka`, and Java with Kafka's jars. With
//! `HELIOGRAPH_REQUIRE_KAFKA=1` it is a failure when they are not.

use std::process::{Command, Output, Stdio};

use integration_tests::{kafka_dist, report};
use kafka_embedded::Cluster;

#[tokio::test]
async fn librdkafka_produces_consumes_and_administrates() {
    let imports = Command::new("python3")
        .args(["-c", "import confluent_kafka"])
        .stderr(Stdio::null())
        .status();
    if !imports.is_ok_and(|status| status.success()) {
        return skipped("python3 with confluent_kafka");
    }
    let cluster = Cluster::builder().nodes(2).start().await.expect("a cluster");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/embedded_clients/librdkafka.py");
    run("python3", vec![script.to_owned(), cluster.bootstrap_servers()]).await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn kafkas_own_tools_work() {
    let Some(kafka) = kafka_dist() else { return };
    let libs = kafka.libs().display().to_string();
    let cluster = Cluster::builder()
        .nodes(2)
        .authorizer(true)
        .start()
        .await
        .expect("a cluster");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/embedded_clients/java_tools.sh");
    run("sh", vec![script.to_owned(), libs, cluster.bootstrap_servers()]).await;
    cluster.shutdown().await;
}

/// On a thread of its own, since the broker runs on this one.
async fn run(program: &'static str, arguments: Vec<String>) {
    let run = move || Command::new(program).args(&arguments).output();
    let output: Output = tokio::task::spawn_blocking(run)
        .await
        .expect("no panic")
        .expect("the program starts");
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{program} failed\n{out}\n{err}");
}

fn skipped(what: &str) {
    let required = std::env::var("HELIOGRAPH_REQUIRE_KAFKA").is_ok_and(|value| value == "1");
    assert!(!required, "required, and not there: {what}");
    report(&format!("skipped: needs {what}"));
}
