//! Who may ask what, over sockets.

use std::collections::BTreeMap;

use axum::{Router, routing::get};
use base64::{Engine, prelude::BASE64_STANDARD};
use config_def::Props;
use serde_json::Value;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{
    forwarding::flow,
    server::{Running, body_of, exchange, props, request, run, status_of},
    support::{Mood, api},
};
use crate::{openapi::OPERATIONS, server::Server, uri::encode_segment};

const JSON: &str = "Content-Type: application/json\r\n";
const EXTENSION: (&str, &str) = (
    "rest.extension.classes",
    "org.apache.kafka.connect.rest.basic.auth.extension.BasicAuthSecurityRestExtension",
);

/// A login configuration and its users.
struct Users {
    _dir: tempfile::TempDir,
    system: Props,
}

fn users() -> Users {
    let dir = tempfile::tempdir().expect("there is room");
    let (jaas, users) = (dir.path().join("jaas.conf"), dir.path().join("users.properties"));
    std::fs::write(&users, "alice=secret\nbob=w\\u00f6rter:x\n").expect("there is room");
    let text = format!(
        "KafkaConnect {{ org.apache.kafka.connect.rest.basic.auth.extension.PropertyFileLoginModule required file=\"{}\"; }};",
        users.display()
    );
    std::fs::write(&jaas, text).expect("there is room");
    let system = props(&[("java.security.auth.login.config", &jaas.display().to_string())]);
    Users { _dir: dir, system }
}

async fn bind(users: &Users, pairs: &[(&str, &str)]) -> Server {
    let mut all = props(&[("listeners", "http://127.0.0.1:0"), EXTENSION]);
    all.extend(props(pairs));
    Server::bind(&all, &users.system).await.expect("it binds")
}

async fn start(users: &Users) -> Running {
    run(bind(users, &[]).await, Mood::Usual, |_, _| {})
}

fn authorization(user_and_password: &str) -> String {
    format!("Authorization: Basic {}\r\n", BASE64_STANDARD.encode(user_and_password))
}

/// What a worker signs; the scripted herder takes it.
const SIGNED: &str = "X-Connect-Authorization: AAAA\r\nX-Connect-Request-Signature-Algorithm: HmacSHA256\r\n";
const METHODS: [&str; 8] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"];

#[tokio::test]
async fn no_endpoint_answers_strangers() {
    let users = users();
    let server = start(&users).await;
    let (wrong, right) = (authorization("alice:wrong"), authorization("alice:secret"));
    let mut methods: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for operation in OPERATIONS {
        methods.entry(operation.path).or_default().push(operation.method);
    }
    let mut tried = 0;
    for operation in OPERATIONS {
        let mut path = operation.path.to_owned();
        for (name, example) in operation.path_parameters() {
            path = path.replace(&format!("{{{name}}}"), &encode_segment(example));
        }
        for method in METHODS {
            let has = |name: &str| methods[operation.path].contains(&name);
            let is_there = has(method) || method == "OPTIONS" || method == "HEAD" && has("GET");
            let is_internal = matches!(
                (method, operation.path),
                ("POST", "/connectors/{connector}/tasks") | ("PUT", "/connectors/{connector}/fence")
            );
            let ask = async |headers: &str| {
                let sent = request(&format!("{method} {path}"), &format!("{JSON}{headers}"), "");
                let answer = exchange(server.address, &sent).await;
                (status_of(&answer), answer)
            };
            for stranger in ["", &wrong, SIGNED, &format!("{wrong}{SIGNED}")] {
                let (status, answer) = ask(stranger).await;
                tried += 1;
                if is_internal {
                    // A signature is wanted, and no user.
                    let expected = if stranger.contains("X-Connect") {
                        [204, 400]
                    } else {
                        [400, 400]
                    };
                    assert!(expected.contains(&status), "{method} {path} {stranger}: {answer}");
                    continue;
                }
                assert_eq!(
                    status,
                    if is_there { 401 } else { 405 },
                    "{method} {path} {stranger}: {answer}"
                );
                if is_there {
                    assert!(answer.contains("www-authenticate: Basic realm="), "{answer}");
                    let body = if method == "HEAD" {
                        ""
                    } else {
                        "User cannot access the resource."
                    };
                    assert_eq!(body_of(&answer), body);
                }
            }
            let (status, answer) = ask(&right).await;
            assert_ne!(status, 401, "{method} {path}: {answer}");
        }
    }
    assert!(tried > 900, "{tried}");
    assert!(
        server.api.puts.lock().expect("one thread").is_empty(),
        "no stranger has put anything"
    );
}

/// Where ours says no in another way than Java's worker; `None`: it does as we do.
fn differs(case: &Value) -> Option<u16> {
    let (name, path) = (
        case["name"].as_str().unwrap_or_default(),
        case["path"].as_str().unwrap_or_default(),
    );
    match (name, path) {
        // 500 with "Illegal base64 character".
        ("two spaces" | "bad base64", _) => Some(401),
        // Who is unknown is not told what the media types should be.
        ("none 415" | "none 406", _) => Some(401),
        // Refused by Jetty.
        (_, "//connectors/x/tasks") => Some(404),
        ("gzip", _) => Some(415),
        // The scripted herder takes every signature.
        ("internal bad sig", _) => Some(204),
        _ => None,
    }
}

#[tokio::test]
async fn strangers_are_answered_as_by_java() {
    let users = users();
    let server = start(&users).await;
    let recorded: Value = serde_json::from_str(include_str!("../../testdata/basic-auth.json")).expect("JSON");
    let mut compared = 0;
    for case in recorded.as_array().expect("cases") {
        let text = |member: &str| case[member].as_str().unwrap_or_default();
        let mut headers: String = case["headers"]
            .as_object()
            .expect("headers")
            .iter()
            .map(header)
            .collect();
        if !case["authorization"].is_null() {
            headers.push_str(&format!("Authorization: {}\r\n", text("authorization")));
        }
        let line = format!("{} {}", text("method"), text("path"));
        let answer = exchange(server.address, &request(&line, &headers, text("body"))).await;
        let status = u64::from(status_of(&answer));
        if let Some(expected) = differs(case) {
            assert_eq!(status, u64::from(expected), "{case} {answer}");
            continue;
        }
        assert_eq!(status, case["status"], "{case} {answer}");
        if status != 200 && !text("path").contains("%2F") {
            assert_eq!(body_of(&answer), text("answer"), "{case}");
            let kind = case["answer_headers"]["content-type"].as_str();
            let is_same = kind.is_none_or(|kind| answer.contains(&format!("content-type: {kind}\r\n")));
            // What OPTIONS would be answered in is not what its refusal is written in.
            assert!(is_same || text("method") == "OPTIONS", "{case} {answer}");
        }
        compared += 1;
    }
    assert!(compared > 25, "{compared}");
}

fn header((name, value): (&String, &Value)) -> String {
    format!("{name}: {}\r\n", value.as_str().unwrap_or_default())
}

#[tokio::test]
async fn what_is_served_beside_the_api_is_for_the_same_users() {
    let users = users();
    let server = bind(&users, &[("admin.listeners", "http://127.0.0.1:0")]).await;
    let (address, admin) = (server.local_addrs()[0], server.admin_addrs()[0]);
    let apart = props(&[EXTENSION, ("listeners", "http://127.0.0.1:1")]);
    let alone = Server::bind_apart("http://127.0.0.1:0", &apart, &users.system)
        .await
        .expect("it binds");
    let flows = Server::bind_apart("http://127.0.0.1:0", &apart, &users.system)
        .await
        .expect("it binds");
    let (alone_at, flows_at) = (alone.local_addrs()[0], flows.local_addrs()[0]);
    let metrics = || Router::new().route("/metrics", get(|| async { "up 1" }));
    let (first, second) = (api(Mood::Usual), api(Mood::Usual));
    let flow = flow("a", "b", second.api.herder);
    let (cancel, mut running) = (CancellationToken::new(), JoinSet::new());
    running.spawn(server.serve(first.api, metrics(), cancel.clone()));
    running.spawn(alone.serve_only(metrics(), cancel.clone()));
    running.spawn(flows.serve_flows_read_only(vec![flow], cancel.clone()));
    for (address, path) in [
        (address, "/metrics"),
        (alone_at, "/metrics"),
        (flows_at, "/"),
        (flows_at, "/a/b/connectors"),
        (flows_at, "/a/b/health"),
    ] {
        let ask =
            async |headers: &str| status_of(&exchange(address, &request(&format!("GET {path}"), headers, "")).await);
        assert_eq!(
            (ask("").await, ask(&authorization("alice:secret")).await),
            (401, 200),
            "{path}"
        );
    }
    // As in Kafka, where the extension is registered with the other listeners only.
    assert_eq!(
        status_of(&exchange(admin, &request("GET /admin/loggers", "", "")).await),
        200
    );
}

#[tokio::test]
async fn a_strangers_body_is_not_taken_in() {
    let users = users();
    let server = start(&users).await;
    // Announced, and never sent: the answer comes all the same, and the connection is closed.
    let sent = format!("PUT /connectors/x/config HTTP/1.1\r\nHost: h\r\n{JSON}Content-Length: 8000000\r\n\r\n");
    let answer = exchange(server.address, sent.as_bytes()).await;
    assert_eq!(status_of(&answer), 401, "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
}

#[tokio::test]
async fn packed_bodies_are_not_unpacked() {
    let server = super::server::start(Mood::Usual).await;
    for (encoding, status) in [("gzip", 415), ("deflate", 415), ("br, gzip", 415), ("Identity", 201)] {
        let headers = format!("{JSON}Content-Encoding: {encoding}\r\n");
        let answer = exchange(server.address, &request("PUT /connectors/x/config", &headers, "{}")).await;
        assert_eq!(status_of(&answer), status, "{encoding}: {answer}");
    }
}

#[tokio::test]
async fn health_is_asked_as_the_first_user() {
    let users = users();
    let server = start(&users).await;
    let mut settings = props(&[EXTENSION]);
    settings.insert("listeners".to_owned(), format!("http://{}", server.address));
    let said = crate::ask_health(&settings, &users.system)
        .await
        .expect("it is healthy");
    assert!(said.contains("healthy"), "{said}");
    settings.remove("rest.extension.classes");
    let error = crate::ask_health(&settings, &users.system)
        .await
        .expect_err("as nobody");
    assert!(error.to_string().contains("401"), "{error}");
}
