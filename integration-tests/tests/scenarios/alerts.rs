//! The alert rules of `docs/prometheus` in a real Prometheus, if this machine has one (package `prometheus`).

use std::{fs, path::Path, process::Command};

use integration_tests::{
    Heliograph, Pair, Process, Rest, TestRecord, Topic, assert_mirrored, free_port, report, target_dir, wait_until,
};
use kafka_wire::Compression;

use crate::{SOON, flow};

integration_tests::scenarios!(an_alert_fires_and_ends);

const RULES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/prometheus/alerts.yml");

/// Prometheus with our rules, in a hurry: what has to last for minutes lasts for a second.
fn prometheus(dir: &Path, target: &str, port: u16) -> Option<Process> {
    if Command::new("prometheus").arg("--version").output().is_err() {
        report("prometheus is not installed: that alerts fire was NOT checked");
        return None;
    }
    let rules = fs::read_to_string(RULES).expect("the rules are in the tree");
    let hurried = rules.lines().map(|line| match line.trim_start().starts_with("for: ") {
        true => "        for: 1s\n".to_owned(),
        false => format!("{line}\n"),
    });
    fs::write(dir.join("alerts.yml"), hurried.collect::<String>()).expect("the scratch directory can be written");
    let config = format!(
        "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: [alerts.yml]\n\
         scrape_configs: [{{job_name: heliograph, static_configs: [{{targets: [\"{target}\"]}}]}}]\n"
    );
    fs::write(dir.join("prometheus.yml"), config).expect("the scratch directory can be written");
    let mut command = Command::new("prometheus");
    command
        .arg(format!("--config.file={}", dir.join("prometheus.yml").display()))
        .arg(format!("--storage.tsdb.path={}", dir.join("data").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"));
    Some(Process::spawn(&format!("prometheus-{port}"), &mut command, Some(dir)))
}

fn an_alert_fires_and_ends(kafka: &mut Pair) {
    let (mut source, mut target) = (kafka.source.client(), kafka.target.client());
    let (at, port) = (free_port(), free_port());
    let dir = target_dir().join(format!("scenario-scratch/prometheus-{port}"));
    fs::create_dir_all(&dir).expect("the target directory can be written");
    let Some(mut prometheus) = prometheus(&dir, &format!("127.0.0.1:{at}"), port) else {
        return;
    };
    // The target takes no record of this size.
    source.create_topic(Topic::new("alerting", 1));
    target.create_topic(Topic::new("alarm.alerting", 1).config("max.message.bytes", "1000"));
    source.produce(
        "alerting",
        0,
        Compression::None,
        &[TestRecord::new("k", vec![b'x'; 5000])],
    );
    let properties = flow(kafka, "alarm", "alerting")
        .flow("sync.topic.configs.enabled", "false")
        .set("heliograph.metrics.listener", &format!("http://127.0.0.1:{at}"));
    let mirror = Heliograph::mirror_maker("alerts", &properties);
    let rest = Rest::new(&format!("127.0.0.1:{port}"));
    let firing = || {
        let alerts = rest.get("/api/v1/alerts").ok()?.body;
        let alerts = alerts["data"]["alerts"].as_array()?.clone();
        let ours = |alert: &&serde_json::Value| {
            alert["labels"]["alertname"] == "HeliographHeldBack"
                && alert["labels"]["source"] == "alarm"
                && alert["state"] == "firing"
        };
        Some(alerts.iter().filter(ours).count())
    };
    wait_until("the alert", SOON, || {
        assert!(prometheus.is_running(), "see {}", prometheus.log_path().display());
        (firing()? > 0).then_some(())
    });
    target.alter_configs("alarm.alerting", &[("max.message.bytes", "100000")]);
    assert_mirrored(&mut source, &mut target, "alerting", "alarm.alerting", SOON);
    wait_until("the alert to end", SOON, || (firing()? == 0).then_some(()));
    mirror.stop();
    prometheus.signal("TERM");
    prometheus.wait_for_exit(SOON);
    let _ = fs::remove_dir_all(&dir);
}
