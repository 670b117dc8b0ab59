//! Workers whose REST API is for those who are known.

use std::{fs, path::Path};

use integration_tests::{Answer, ConnectWorker, Pair, WorkerGroup, remove_dir, scratch_dir, wait_until};
use serde_json::{Value, json};

use crate::SOON;

integration_tests::scenarios!(a_group_for_users_that_speaks_https);

const EXTENSION: &str = "org.apache.kafka.connect.rest.basic.auth.extension.BasicAuthSecurityRestExtension";
const MODULE: &str = "org.apache.kafka.connect.rest.basic.auth.extension.PropertyFileLoginModule";
/// `alice:secret`.
const ALICE: (&str, &str) = ("Authorization", "Basic YWxpY2U6c2VjcmV0");
/// `alice:wrong`.
const NOT_ALICE: (&str, &str) = ("Authorization", "Basic YWxpY2U6d3Jvbmc=");

fn ask(worker: &ConnectWorker, who: &[(&str, &str)], method: &str, path: &str, body: &str) -> Answer {
    let headers = [who, &[("Content-Type", "application/json")]].concat();
    let answer = worker.rest().request_with(method, path, &headers, body);
    answer.expect("the worker answers")
}

fn login_configuration(dir: &Path) -> String {
    let (jaas, users) = (dir.join("jaas.conf"), dir.join("users.properties"));
    fs::write(&users, "alice=secret\n").expect("the scratch directory can be written");
    let module = format!("KafkaConnect {{ {MODULE} required file=\"{}\"; }};\n", users.display());
    fs::write(&jaas, module).expect("the scratch directory can be written");
    format!("-Djava.security.auth.login.config={}", jaas.display())
}

fn a_group_for_users_that_speaks_https(kafka: &mut Pair) {
    let dir = scratch_dir("rest-users");
    let group = WorkerGroup::new(&kafka.target.bootstrap_servers(), "secured")
        .over_https()
        .set("rest.extension.classes", EXTENSION)
        .set("heliograph.rest.mask.secrets", "true")
        .env("KAFKA_OPTS", &login_configuration(&dir));
    let start = |name: &str| {
        let worker = ConnectWorker::heliograph(name, &group);
        wait_until("the worker to become healthy", SOON, || {
            let health = worker.rest().request_with("GET", "/health", &[ALICE], "").ok()?;
            (health.status == 200).then_some(())
        });
        worker
    };
    let workers = [start("secured-a"), start("secured-b")];
    let config = json!({
        "connector.class": "MirrorHeartbeatConnector",
        "source.cluster.alias": "s",
        "target.cluster.alias": "backup",
        "source.cluster.bootstrap.servers": kafka.source.bootstrap_servers(),
        "target.cluster.bootstrap.servers": kafka.target.bootstrap_servers(),
        "heartbeats.topic.replication.factor": "1",
        "source.cluster.ssl.key.password": "geheim",
    });

    for who in [&[][..], &[NOT_ALICE]] {
        for worker in &workers {
            let refused = ask(worker, who, "PUT", "/connectors/hb/config", &config.to_string());
            assert_eq!(
                (refused.status, refused.body),
                (401, json!("User cannot access the resource."))
            );
        }
    }

    // One of the two leads, and the other one asks it over https: for its clients, and for its connectors' tasks.
    let put = |worker: &ConnectWorker, name: &str, config: &Value| {
        wait_until("the connector to be taken", SOON, || {
            let path = format!("/connectors/{name}/config");
            let answer = ask(worker, &[ALICE], "PUT", &path, &config.to_string());
            let is_rebalancing = answer.body.to_string().contains("rebalance");
            assert!(is_rebalancing || answer.status < 300, "{answer:?}");
            (answer.status < 300).then_some(answer.body)
        })
    };
    for (worker, names) in workers.iter().zip([["a1", "a2"], ["b1", "b2"]]) {
        for name in names {
            let answer = put(worker, name, &config);
            assert_eq!(answer["config"]["source.cluster.ssl.key.password"], "[hidden]");
        }
    }
    for worker in &workers {
        let runners = wait_until("four connectors at work on both workers", SOON, || {
            let all = ask(worker, &[ALICE], "GET", "/connectors?expand=status", "").body;
            let parts = all.as_object()?.values().flat_map(|one| {
                let status = &one["status"];
                [status["connector"].clone(), status["tasks"][0].clone()]
            });
            let parts: Vec<Value> = parts.collect();
            let mut runners: Vec<String> = parts.iter().map(|part| part["worker_id"].to_string()).collect();
            runners.sort();
            runners.dedup();
            let is_at_work = parts.len() == 8 && parts.iter().all(|part| part["state"] == "RUNNING");
            (is_at_work && runners.len() == 2).then_some(runners)
        });
        assert_eq!(runners.len(), 2, "{runners:?}");
    }

    // What is masked comes back unharmed, whoever is asked.
    for (worker, name) in [(&workers[0], "b1"), (&workers[1], "a1")] {
        let path = format!("/connectors/{name}/config");
        let mut shown = ask(worker, &[ALICE], "GET", &path, "").body;
        assert_eq!(shown["source.cluster.ssl.key.password"], "[hidden]");
        shown["emit.heartbeats.interval.seconds"] = json!("2");
        put(worker, name, &shown);
    }
    let stored = stored_passwords(kafka);
    assert!(
        stored.len() >= 6 && stored.iter().all(|password| password == "geheim"),
        "{stored:?}"
    );
    for worker in workers {
        worker.stop();
    }
    remove_dir(&dir);
}

/// What the config topic has for all connectors, all versions of them.
fn stored_passwords(kafka: &mut Pair) -> Vec<String> {
    let records = kafka.target.client().all_records("secured-configs");
    let configs = records.into_iter().flatten().filter_map(|record| {
        let is_connector = record.key.as_deref()?.starts_with(b"connector-");
        let value: Value = serde_json::from_slice(&record.value.filter(|_| is_connector)?).ok()?;
        Some(
            value["properties"]["source.cluster.ssl.key.password"]
                .as_str()?
                .to_owned(),
        )
    });
    configs.collect()
}
