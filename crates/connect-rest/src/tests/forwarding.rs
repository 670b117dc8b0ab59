//! Requests that another worker answers.

use std::sync::Mutex;

use axum::http::StatusCode;
use bytes::Bytes;
use config_def::Props;
use connect_runtime::herder::{HerderHandle, InternalRequest, RequestSignature, WorkerClient};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use super::{
    server::{Running, body_of, exchange, props, request, start, status_of},
    support::{Mood, api},
};
use crate::{Flow, RestClient, Server, client::Client};

const JSON: &str = "Content-Type: application/json\r\n";

/// A worker that thinks that the one at `url` has to answer.
async fn follower_of(url: &str) -> Running {
    start(Mood::Elsewhere(url.to_owned().leak())).await
}

#[tokio::test]
async fn a_follower_answers_what_the_leader_answers() {
    let leader = start(Mood::Usual).await;
    let follower = follower_of(&leader.advertised).await;
    let ask =
        async |line: &str, headers: &str, body: &str| exchange(follower.address, &request(line, headers, body)).await;

    let answer = ask("POST /connectors", JSON, r#"{"name":"a b/c","config":{"n":1}}"#).await;
    assert_eq!(status_of(&answer), 201, "{answer}");
    // Canned, the answer names another connector.
    assert!(
        answer.contains("location: http://localhost:1/connectors/c1\r\n"),
        "{answer}"
    );
    let put = leader.api.puts.lock().expect("one thread").pop().expect("a put");
    assert_eq!((put.0.as_str(), put.1["n"].as_deref()), ("a b/c", Some("1")));

    let answer = ask("PUT /connectors/c1/config", JSON, "{}").await;
    assert!(
        status_of(&answer) == 200 && body_of(&answer).starts_with(r#"{"name":"c1","#),
        "{answer}"
    );
    let answer = ask("PUT /connectors/a->b%2Fc/config", JSON, "{}").await;
    assert_eq!(status_of(&answer), 201);
    assert_eq!(
        leader.api.puts.lock().expect("one thread").pop().expect("a put").0,
        "a->b/c"
    );

    let answer = ask("POST /connectors", JSON, r#"{"name":"exists","config":{}}"#).await;
    let exists = r#"{"error_code":409,"message":"Connector exists already exists"}"#;
    assert_eq!((status_of(&answer), body_of(&answer)), (409, exists));
    for (line, status) in [
        ("DELETE /connectors/c1", 204),
        ("DELETE /connectors/nope", 404),
        ("PUT /connectors/c1/stop", 204),
        ("POST /connectors/c1/restart", 204),
        ("POST /connectors/c1/restart?includeTasks=true&onlyFailed=false", 202),
        ("POST /connectors/c1/tasks/0/restart", 204),
        ("DELETE /connectors/c1/offsets", 400),
    ] {
        let answer = ask(line, "", "").await;
        assert_eq!(status_of(&answer), status, "{line}: {answer}");
    }
    // What nobody forwards is a conflict.
    assert_eq!(status_of(&ask("PUT /connectors/c1/pause", "", "").await), 409);
    // A signature is for one worker only.
    let signed = "X-Connect-Authorization: AAAA\r\nX-Connect-Request-Signature-Algorithm: HmacSHA256\r\n";
    let answer = ask("PUT /connectors/c1/fence", signed, "").await;
    assert_eq!(
        body_of(&answer),
        r#"{"error_code":400,"message":"Internal request missing required signature"}"#
    );
}

#[tokio::test]
async fn a_request_is_forwarded_twice_at_most() {
    let third = follower_of("http://127.0.0.1:1/").await;
    let second = follower_of(&third.advertised).await;
    let first = follower_of(&second.advertised).await;
    let conflict = json!({
        "error_code": 409,
        "message": "Cannot complete request because of a conflicting operation (e.g. worker rebalance)"
    });
    let answer = exchange(first.address, &request("DELETE /connectors/x", "", "")).await;
    assert_eq!((status_of(&answer), body_of(&answer)), (409, &*conflict.to_string()));
    let answer = exchange(third.address, &request("DELETE /connectors/x?forward=false", "", "")).await;
    assert_eq!((status_of(&answer), body_of(&answer)), (409, &*conflict.to_string()));
    let answer = exchange(third.address, &request("DELETE /connectors/x", "", "")).await;
    assert!(
        status_of(&answer) == 500 && body_of(&answer).contains("IO Error trying to forward REST request: "),
        "{answer}"
    );
}

/// A worker that says `answer` to the first request, and what that was.
async fn canned(answer: &'static str) -> (String, JoinSet<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("bound"));
    let mut task = JoinSet::new();
    task.spawn(async move {
        let (mut socket, _) = listener.accept().await.expect("a client");
        let mut asked = Vec::new();
        while !asked.ends_with(b"\r\n\r\n") {
            asked.push(socket.read_u8().await.expect("a request"));
        }
        socket.write_all(answer.as_bytes()).await.expect("sent");
        String::from_utf8(asked).expect("text")
    });
    (url, task)
}

#[tokio::test]
async fn another_workers_oddities_are_told() {
    for (answer, status, message) in [
        (
            "HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n",
            500,
            "Unexpected status code when handling forwarded request: 302",
        ),
        (
            "HTTP/1.1 503 No\r\nContent-Length: 2\r\n\r\nno",
            500,
            "IO Error trying to forward REST request: ",
        ),
        ("garbage\r\n\r\n", 500, "IO Error trying to forward REST request: "),
        ("", 500, "IO Error trying to forward REST request: "),
        (
            "HTTP/1.1 404 No\r\nContent-Length: 33\r\n\r\n{\"error_code\":7,\"message\":\"gone\"}",
            404,
            "gone",
        ),
    ] {
        let (url, asked) = canned(answer).await;
        let follower = follower_of(&url).await;
        let answered = exchange(
            follower.address,
            &request(
                "PUT /connectors/x/stop",
                "Authorization: Basic eDp5\r\nX-Mine: z\r\n",
                "",
            ),
        )
        .await;
        assert_eq!(status_of(&answered), status, "{answered}");
        let body: serde_json::Value = serde_json::from_str(body_of(&answered)).expect("JSON");
        assert!(
            body["message"].as_str().expect("a message").starts_with(message),
            "{body}"
        );
        assert_eq!(
            body["error_code"],
            if message == "gone" { json!(7) } else { json!(500) }
        );
        let asked = asked.join_all().await.remove(0);
        assert!(
            asked.starts_with("PUT /connectors/x/stop?forward=true HTTP/1.1\r\n"),
            "{asked}"
        );
        for header in [
            "authorization: Basic eDp5",
            "accept: application/json",
            "user-agent: kafka-connect",
        ] {
            assert!(asked.contains(header), "{asked}");
        }
        assert!(!asked.contains("x-mine"), "{asked}");
    }
}

fn client() -> RestClient {
    RestClient::new(Client::new(Err("no TLS here".into())))
}

#[tokio::test]
async fn the_leader_gets_what_a_worker_has_signed() {
    let leader = start(Mood::Usual).await;
    let body = Bytes::from_static(br#"[{"a":"b"},{"c":null}]"#);
    let signature = || {
        Some(RequestSignature {
            authorization: "AAAA".to_owned(),
            algorithm: "HmacSHA256".to_owned(),
        })
    };
    let client = client();
    client
        .put_task_configs(&leader.advertised, "a->b/c", body.clone(), signature())
        .await
        .expect("accepted");
    client
        .fence_zombies(&leader.advertised, "x", signature())
        .await
        .expect("accepted");
    let seen = leader.api.internal.lock().expect("one thread").clone();
    assert_eq!((seen[0].0.as_str(), &seen[0].1.body), ("a->b/c", &body));
    assert_eq!(seen[0].1.authorization.as_deref(), Some("AAAA"));
    assert_eq!((seen[1].0.as_str(), seen[1].1.body.len()), ("x", 0));

    let refused = client
        .fence_zombies(&leader.advertised, "x", None)
        .await
        .expect_err("not signed");
    assert_eq!(refused.status, Some(StatusCode::BAD_REQUEST.as_u16()));
    assert_eq!(refused.message, "Internal request missing required signature");
    for url in ["http://127.0.0.1:1/", "https://localhost:1/", "nonsense", ""] {
        let failed = client.fence_zombies(url, "x", None).await.expect_err(url);
        assert_eq!(failed.status, None, "{url}");
        assert!(!failed.message.is_empty());
    }
}

pub(super) fn flow(source: &str, target: &str, herder: HerderHandle) -> Flow {
    Flow {
        source: source.to_owned(),
        target: target.to_owned(),
        herder,
        changeable: Vec::new(),
    }
}

#[tokio::test]
async fn the_flows_of_the_dedicated_mode_share_a_server() {
    let props = props(&[("listeners", "http://127.0.0.1:0")]);
    let server = Server::bind(&props, &Props::new()).await.expect("it binds");
    let (address, url) = (server.local_addrs()[0], server.advertised_url());
    let client = server.flow_client("b", "a");
    let (first, second) = (api(Mood::Usual), api(Mood::Usual));
    let flows = vec![flow("a", "b", first.api.herder), flow("b", "a", second.api.herder)];
    let cancel = CancellationToken::new();
    let mut running = JoinSet::new();
    running.spawn(server.serve_flows(flows, cancel.clone()));

    let signature = RequestSignature {
        authorization: "AAAA".to_owned(),
        algorithm: "HmacSHA256".to_owned(),
    };
    let body = Bytes::from_static(b"[]");
    let put = client
        .put_task_configs(&url, "x->y", body, Some(signature.clone()))
        .await;
    put.expect("accepted");
    client
        .fence_zombies(&url, "x", Some(signature))
        .await
        .expect("accepted");
    let names = |seen: &Mutex<Vec<(String, InternalRequest)>>| {
        let seen = seen.lock().expect("one thread");
        seen.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(&second.internal), ["x->y", "x"]);
    assert_eq!(names(&first.internal), Vec::<String>::new());
    for line in [
        "GET /",
        "GET /connectors",
        "GET /a/b/connectors",
        "PUT /connectors/x/fence",
        "PUT /a/c/connectors/x/fence",
    ] {
        let answer = exchange(address, &request(line, "", "")).await;
        assert_eq!(status_of(&answer), 404, "{line}: {answer}");
        assert!(body_of(&answer).contains("\"error_code\":404"), "{answer}");
    }
    assert_eq!(
        status_of(&exchange(address, &request("PUT /a/b/connectors/x/fence", "", "")).await),
        400
    );
}
