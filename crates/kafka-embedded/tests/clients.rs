//! Other people's clients, unchanged: librdkafka by way of Python, and Kafka's own Java tools.
//!
//! They run when they are there: `python3` with `confluent_kafka`, and `java` with `HELIOGRAPH_KAFKA_LIBS` naming the
//! directory that holds Kafka's jars. With `HELIOGRAPH_REQUIRE_KAFKA=1` it is a failure when they are not.

use std::io::Write;
use std::process::{Command, Output, Stdio};

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
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/librdkafka.py");
    run("python3", vec![script.to_owned(), cluster.bootstrap_servers()]).await;
    cluster.shutdown().await;
}

#[tokio::test]
async fn kafkas_own_tools_work() {
    let Ok(libs) = std::env::var("HELIOGRAPH_KAFKA_LIBS") else {
        return skipped("Kafka's jars (HELIOGRAPH_KAFKA_LIBS)");
    };
    let cluster = Cluster::builder()
        .nodes(2)
        .authorizer(true)
        .start()
        .await
        .expect("a cluster");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/java_tools.sh");
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

/// Written past the test harness, which would keep it to itself.
fn skipped(what: &str) {
    let required = std::env::var("HELIOGRAPH_REQUIRE_KAFKA").is_ok_and(|value| value == "1");
    assert!(!required, "required, and not there: {what}");
    let _ = writeln!(std::io::stderr(), "SKIPPED: {what} is not there");
}
