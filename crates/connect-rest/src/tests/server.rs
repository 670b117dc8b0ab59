//! The server over sockets.

use std::{net::SocketAddr, time::Duration};

use config_def::Props;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::support::{Mood, TestApi, api};
use crate::server::{Patience, Server};

/// Longer than any of these tests should take.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) struct Running {
    pub(super) address: SocketAddr,
    pub(super) admin: Option<SocketAddr>,
    pub(super) advertised: String,
    pub(super) api: TestApiParts,
    cancel: CancellationToken,
    server: JoinSet<()>,
}

pub(super) struct TestApiParts {
    _herder: JoinSet<()>,
    pub(super) internal: std::sync::Arc<std::sync::Mutex<Vec<(String, connect_runtime::herder::InternalRequest)>>>,
    pub(super) puts: std::sync::Arc<std::sync::Mutex<Vec<(String, connect_runtime::storage::config::RawConfig)>>>,
    asked: std::sync::Arc<tokio::sync::Notify>,
}

pub(super) fn props(pairs: &[(&str, &str)]) -> Props {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

pub(super) async fn start(mood: Mood) -> Running {
    start_with(mood, &[], |_, _| {}).await
}

pub(super) async fn start_with(
    mood: Mood,
    pairs: &[(&str, &str)],
    change: impl FnOnce(&mut Server, &mut crate::Api),
) -> Running {
    let mut all = props(&[("listeners", "http://127.0.0.1:0")]);
    all.extend(props(pairs));
    let server = Server::bind(&all, &Props::new()).await.expect("it binds");
    run(server, mood, change)
}

/// An API over a herder in that mood, at a server that listens already.
pub(super) fn run(mut server: Server, mood: Mood, change: impl FnOnce(&mut Server, &mut crate::Api)) -> Running {
    let TestApi {
        mut api,
        herder,
        internal,
        puts,
        asked,
    } = api(mood);
    change(&mut server, &mut api);
    let (address, admin) = (server.local_addrs()[0], server.admin_addrs().first().copied());
    let advertised = server.advertised_url();
    let cancel = CancellationToken::new();
    let mut running = JoinSet::new();
    running.spawn(server.serve(api, axum::Router::new(), cancel.clone()));
    let api = TestApiParts {
        _herder: herder,
        internal,
        puts,
        asked,
    };
    Running {
        address,
        admin,
        advertised,
        api,
        cancel,
        server: running,
    }
}

/// Sends bytes and reads until the server closes.
pub(super) async fn exchange(address: SocketAddr, sent: &[u8]) -> String {
    let talk = async {
        let mut socket = TcpStream::connect(address).await.expect("it listens");
        let (mut reading, mut writing) = socket.split();
        let mut answer = Vec::new();
        // The server may have heard enough before the end.
        let (_, read) = tokio::join!(writing.write_all(sent), reading.read_to_end(&mut answer));
        read.expect("an orderly end");
        String::from_utf8(answer).expect("UTF-8")
    };
    timeout(PATIENCE, talk).await.expect("it answers and closes")
}

/// A request after which the server closes.
pub(super) fn request(line: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "{line} HTTP/1.1\r\nHost: localhost:1\r\nConnection: close\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

pub(super) fn status_of(answer: &str) -> u16 {
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    status.unwrap_or_else(|| panic!("no answer: {answer:?}"))
}

pub(super) fn body_of(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").expect("a head").1
}

const JSON: &str = "Content-Type: application/json\r\n";

#[tokio::test]
async fn names_are_what_people_write() {
    let server = start(Mood::Usual).await;
    for (path, name) in [
        ("a->b.MirrorCheckpointConnector", "a->b.MirrorCheckpointConnector"),
        ("a-%3Eb.MirrorCheckpointConnector", "a->b.MirrorCheckpointConnector"),
        ("a%2Fb", "a/b"),
        ("a+b", "a+b"),
        ("z\u{fc}rich%20nord", "z\u{fc}rich nord"),
        ("{\"a\"|b}^`\\<", "{\"a\"|b}^`\\<"),
    ] {
        let answer = exchange(server.address, &request(&format!("GET /connectors/{path}"), "", "")).await;
        let expected = serde_json::json!({"error_code": 404, "message": format!("Connector {name} not found")});
        assert_eq!(
            (status_of(&answer), body_of(&answer)),
            (404, &*expected.to_string()),
            "{path}"
        );
        let put = request(&format!("PUT /connectors/{path}/config"), JSON, "{}");
        let answer = exchange(server.address, &put).await;
        assert_eq!(status_of(&answer), 201, "{answer}");
        assert_eq!(
            server.api.puts.lock().expect("one thread").pop().expect("a put").0,
            name
        );
    }
}

#[tokio::test]
async fn a_connection_serves_one_request_after_the_other() {
    let server = start(Mood::Usual).await;
    let body = "{\"x\":\"GET /> HTTP/1.1\\r\\n\\r\\n\"}";
    let put = format!(
        "PUT /connectors/a->b/config HTTP/1.1\r\nHost: h\r\n{JSON}Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let chunked = format!(
        "PUT /connectors/a->c/config HTTP/1.1\r\nHost: h\r\n{JSON}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
        body.len()
    );
    let wrong = "DELETE /connectors HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc";
    let last = String::from_utf8(request("GET /connectors/c->d", "", "")).expect("text");
    let answers = exchange(server.address, format!("{put}{chunked}{wrong}{put}{last}").as_bytes()).await;
    let statuses: Vec<&str> = answers
        .matches("HTTP/1.1 201")
        .chain(answers.matches("HTTP/1.1 405"))
        .collect();
    assert_eq!(statuses.len(), 4, "{answers}");
    assert!(answers.ends_with("Connector c->d not found\"}"), "{answers}");
    let names: Vec<String> = server
        .api
        .puts
        .lock()
        .expect("one thread")
        .iter()
        .map(|put| put.0.clone())
        .collect();
    assert_eq!(names, ["a->b", "a->c", "a->b"]);
}

#[tokio::test]
async fn old_and_half_closed_clients_are_answered() {
    let server = start(Mood::Usual).await;
    let answer = exchange(server.address, b"GET /connectors HTTP/1.0\r\n\r\n").await;
    assert_eq!((status_of(&answer), body_of(&answer)), (200, "[\"c1\",\"gone\"]"));
    let mut socket = TcpStream::connect(server.address).await.expect("it listens");
    socket
        .write_all(b"GET /connectors HTTP/1.1\r\nHost: h\r\n\r\n")
        .await
        .expect("sent");
    socket.shutdown().await.expect("shut");
    let mut answer = String::new();
    timeout(PATIENCE, socket.read_to_string(&mut answer))
        .await
        .expect("in time")
        .expect("an answer");
    assert!(answer.ends_with("[\"c1\",\"gone\"]"), "{answer}");
}

#[tokio::test]
async fn head_has_the_length_and_nothing_more() {
    let server = start(Mood::Usual).await;
    let answer = exchange(server.address, &request("HEAD /connectors/c1", "", "")).await;
    assert!(
        answer.contains("content-length: 143\r\n") && answer.ends_with("\r\n\r\n"),
        "{answer}"
    );
    let answer = exchange(server.address, &request("HEAD /nope", "", "")).await;
    assert!(status_of(&answer) == 404 && answer.ends_with("\r\n\r\n"), "{answer}");
}

#[tokio::test]
async fn who_waits_for_leave_to_send_gets_it() {
    let server = start(Mood::Usual).await;
    let answer = exchange(
        server.address,
        &request(
            "PUT /connectors/x/config",
            &format!("Expect: 100-continue\r\n{JSON}"),
            "{}",
        ),
    )
    .await;
    assert!(
        answer.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201"),
        "{answer}"
    );
}

#[tokio::test]
async fn slow_clients_are_told_and_left() {
    let short = Duration::from_millis(200);
    let patience = Patience {
        idle: short,
        head: short,
        write: short,
        handshake: short,
    };
    let server = start_with(Mood::Usual, &[], |server, api| {
        server.patience = patience;
        api.bodies.timeout = short;
    })
    .await;
    let answer = exchange(server.address, b"GET /connec").await;
    assert_eq!(status_of(&answer), 408, "{answer}");
    let slow_body = format!("PUT /connectors/x/config HTTP/1.1\r\nHost: h\r\n{JSON}Content-Length: 10\r\n\r\n{{");
    let answer = exchange(server.address, slow_body.as_bytes()).await;
    assert_eq!(status_of(&answer), 408, "{answer}");
    assert!(body_of(&answer).contains("\"error_code\":408"), "{answer}");
    assert_eq!(exchange(server.address, b"").await, "", "an idle connection just ends");
}

#[tokio::test]
async fn a_herder_that_does_not_answer_is_told_of() {
    let server = start_with(Mood::Silent, &[], |_, api| {
        api.request_timeout = Duration::from_millis(50)
    })
    .await;
    let answer = exchange(server.address, &request("GET /connectors", "", "")).await;
    assert_eq!(
        (status_of(&answer), body_of(&answer)),
        (500, r#"{"error_code":500,"message":"Request timed out"}"#)
    );
}

#[tokio::test]
async fn stopping_ends_idle_connections_and_lets_requests_finish() {
    let mut server = start_with(Mood::Silent, &[], |_, api| {
        api.request_timeout = Duration::from_millis(300)
    })
    .await;
    let idle = TcpStream::connect(server.address).await.expect("it listens");
    let asked = exchange(server.address, b"GET /connectors HTTP/1.1\r\nHost: h\r\n\r\n");
    let stopping = async {
        server.api.asked.notified().await;
        server.cancel.cancel();
        server.server.join_next().await
    };
    let (answer, stopped) = timeout(PATIENCE, async { tokio::join!(asked, stopping) })
        .await
        .expect("it stops");
    assert_eq!(status_of(&answer), 500, "{answer}");
    stopped.expect("it ran").expect("no panic");
    drop(idle);
    assert!(TcpStream::connect(server.address).await.is_err(), "it listens no more");
}

#[tokio::test]
async fn admin_endpoints_are_where_they_are_told_to_be() {
    let loggers = request("GET /admin/loggers", "", "");
    let connectors = request("GET /connectors", "Origin: http://a\r\n", "");
    let extras = [
        ("access.control.allow.origin", "*"),
        ("response.http.headers.config", "add X-Mine:yes"),
    ];

    let beside = start_with(Mood::Usual, &extras, |_, _| {}).await;
    assert_eq!(status_of(&exchange(beside.address, &loggers).await), 200);
    let answer = exchange(beside.address, &connectors).await;
    assert!(
        answer.contains("x-mine: yes") && answer.contains("access-control-allow-origin: http://a"),
        "{answer}"
    );
    assert!(
        answer.contains("server: heliograph/") && answer.contains("date: "),
        "{answer}"
    );

    let nowhere = start_with(Mood::Usual, &[("admin.listeners", "")], |_, _| {}).await;
    assert_eq!(status_of(&exchange(nowhere.address, &loggers).await), 404);

    let apart = [("admin.listeners", "http://127.0.0.1:0"), extras[0], extras[1]];
    let apart = start_with(Mood::Usual, &apart, |_, _| {}).await;
    let admin = apart.admin.expect("an address");
    assert_eq!(status_of(&exchange(apart.address, &loggers).await), 404);
    let answer = exchange(admin, &loggers).await;
    assert!(
        status_of(&answer) == 200 && !answer.contains("x-mine") && !answer.contains("vary"),
        "{answer}"
    );
    assert_eq!(status_of(&exchange(admin, &connectors).await), 404);
}

#[tokio::test]
async fn the_advertised_url_is_what_others_are_told() {
    let check = async |pairs: &[(&str, &str)], expected: &str| {
        let server = Server::bind(&props(pairs), &Props::new()).await.expect("it binds");
        let port = server.local_addrs()[0].port().to_string();
        assert_eq!(server.advertised_url(), expected.replace("PORT", &port));
        assert_eq!(server.advertised_url(), format!("http://{}/", server.worker_id()));
    };
    check(&[("listeners", "http://127.0.0.1:0")], "http://127.0.0.1:PORT/").await;
    let advertised = [
        ("listeners", "http://:0"),
        ("rest.advertised.host.name", "me"),
        ("rest.advertised.port", "9"),
    ];
    check(&advertised, "http://me:9/").await;
    let server = Server::bind(&props(&[("listeners", "http://:0")]), &Props::new())
        .await
        .expect("it binds");
    let host = server.worker_id().rsplit_once(':').expect("a port").0;
    assert!(!host.is_empty() && host != "0.0.0.0" && host != "[::]", "{host}");
}

#[tokio::test]
async fn an_address_in_use_is_named() {
    let first = Server::bind(&props(&[("listeners", "http://127.0.0.1:0")]), &Props::new())
        .await
        .expect("it binds");
    let url = format!("http://127.0.0.1:{}", first.local_addrs()[0].port());
    for key in ["listeners", "admin.listeners"] {
        let mut all = props(&[("listeners", "http://127.0.0.1:0")]);
        all.insert(key.to_owned(), url.clone());
        let error = Server::bind(&all, &Props::new()).await.expect_err("taken").to_string();
        assert!(error.contains(key) && error.contains(&url), "{error}");
    }
}

#[tokio::test]
async fn whoever_lets_other_work_wait_hears_of_every_request() {
    let mut asked = None;
    let running = start_with(Mood::Usual, &[], |server, _| asked = server.asked()).await;
    let asked = asked.expect("requests go first");
    for times in 1..=2 {
        let mut stream = TcpStream::connect(running.address).await.expect("it listens");
        let request = b"GET /nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        stream.write_all(request).await.expect("it reads");
        timeout(PATIENCE, asked.next()).await.expect("it is told");
        assert_eq!(asked.times(), times);
    }
    let off = [("heliograph.rest.priority.enabled", "false")];
    start_with(Mood::Usual, &off, |server, _| assert!(server.asked().is_none())).await;
}
