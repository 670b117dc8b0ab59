//! Requests that make no sense: each is answered with 4xx and says why, and the server goes on.

use super::{
    server::{body_of, exchange, request, start, status_of},
    support::Mood,
};
use crate::resources::{ADMIN_ENDPOINTS, ENDPOINTS, Endpoint};

const JSON: &str = "Content-Type: application/json\r\n";

fn endpoints() -> impl Iterator<Item = &'static Endpoint> {
    ENDPOINTS.iter().chain(ADMIN_ENDPOINTS)
}

fn path(template: &str) -> String {
    template.replace("{task}", "0").replace(['{', '}'], "")
}

#[track_caller]
fn check(answer: &str, sent: &str) {
    let status = status_of(answer);
    assert!((400..500).contains(&status), "{sent} -> {answer}");
    let error: serde_json::Value =
        serde_json::from_str(body_of(answer)).unwrap_or_else(|_| panic!("{sent} -> {answer}"));
    assert_eq!(error["error_code"], status, "{sent} -> {answer}");
    assert!(
        error["message"].as_str().is_some_and(|message| !message.is_empty()),
        "{sent} -> {answer}"
    );
}

/// No endpoint takes these.
fn bodies() -> Vec<String> {
    let mut bodies: Vec<String> = [
        "",
        " ",
        "\n",
        "null",
        "true",
        "1",
        "-0.5e3",
        "\"text\"",
        "{",
        "}",
        "[",
        "]",
        "{]",
        "[}",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":}",
        "{\"a\":1,}",
        "{a:1}",
        "{'a':1}",
        "{\"a\":{}}",
        "{\"a\":[]}",
        "{\"a\":[1]}",
        "[1]",
        "[null]",
        "[[]]",
        "[\"x\"]",
        "[{\"a\":{}}]",
        "{\"a\":nul}",
        "{\"a\":01}",
        "{\"a\":+1}",
        "{\"a\":NaN}",
        "{\"a\":.5}",
        "{\"a\":\"\\x\"}",
        "{\"a\":\"\\ud800\"}",
        "{\"a\":\"\u{1}\"}",
        "{\"a\":\"",
        "{} {}",
        "{}x",
        "{}\0",
        "\0",
        "\u{feff}{}",
        "<a/>",
        "name=x&config=y",
        "{\"name\":{}}",
        "{\"config\":[]}",
        "{\"config\":{\"a\":{}}}",
        "{\"offsets\":{}}",
        "{\"offsets\":[{\"partition\":1}]}",
        "{\"level\":{}}",
        "// comment\n{}",
    ]
    .map(str::to_owned)
    .to_vec();
    bodies.push("[".repeat(100_000));
    bodies.push("{\"a\":".repeat(100_000));
    bodies.push(format!("{{\"{}\":", "k".repeat(1_000_000)));
    bodies
}

#[tokio::test]
async fn bad_bodies_are_refused() {
    let server = start(Mood::Usual).await;
    let mut count = 0;
    for endpoint in endpoints().filter(|endpoint| endpoint.reads_body) {
        let line = format!("{} {}", endpoint.method, path(endpoint.path));
        for body in bodies() {
            let answer = exchange(server.address, &request(&line, JSON, &body)).await;
            check(
                &answer,
                &format!("{line} {}", body.chars().take(100).collect::<String>()),
            );
            count += 1;
        }
        // Not UTF-8.
        let mut sent = request(&line, JSON, "{\"a\":\"??\"}");
        let end = sent.len();
        sent[end - 4..end - 2].copy_from_slice(&[0xc3, 0x28]);
        check(&exchange(server.address, &sent).await, &line);
    }
    assert!(count > 300, "{count}");
    assert_eq!(
        status_of(&exchange(server.address, &request("GET /", "", "")).await),
        200
    );
}

#[tokio::test]
async fn wrong_methods_types_and_paths_are_refused() {
    let server = start(Mood::Usual).await;
    let mut count = 0;
    for endpoint in endpoints() {
        let (method, path) = (endpoint.method, path(endpoint.path));
        let exists = |method: &str| endpoints().any(|other| other.path == endpoint.path && other.method == method);
        for wrong in ["GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "BREW", "get"] {
            if !exists(wrong) {
                let line = format!("{wrong} {path}");
                let answer = exchange(server.address, &request(&line, JSON, "{}")).await;
                assert_eq!(status_of(&answer), 405, "{line}");
                check(&answer, &line);
                count += 1;
            }
        }
        let line = format!("{method} {path}");
        let answer = exchange(
            server.address,
            &request(&line, &format!("{JSON}Accept: text/html\r\n"), "{}"),
        )
        .await;
        assert_eq!(status_of(&answer), 406, "{line}");
        check(&answer, &line);
        if !["/", "/health", "/openapi.json"].contains(&endpoint.path) {
            for wrong in [
                "text/plain",
                "application/x-www-form-urlencoded",
                "application/xml",
                "json",
                "\u{1f600}",
            ] {
                let answer = exchange(
                    server.address,
                    &request(&line, &format!("Content-Type: {wrong}\r\n"), "{}"),
                )
                .await;
                assert_eq!(status_of(&answer), 415, "{line} {wrong}");
                check(&answer, &line);
                count += 1;
            }
        }
    }
    for path in [
        "/nope",
        "/connectors/x/nope",
        "/connectors/x/tasks/0",
        "/connectors/x/tasks/0/nope",
        "/connectors//config",
        "//",
        "/connectors//",
        "/connectors/x/tasks/x/status",
        "/connectors/x/tasks/99999999999/status",
        "/connectors/x/tasks/-/status",
        "/admin",
        "/admin/nope",
        "/Connectors",
        "/connectors;x",
        "/connector-plugins/x",
        "/connector-plugins/x/config",
        "*",
    ] {
        let line = format!("GET {path}");
        let answer = exchange(server.address, &request(&line, "", "")).await;
        assert_eq!(status_of(&answer), 404, "{line}: {answer}");
        check(&answer, &line);
        count += 1;
    }
    assert!(count > 150, "{count}");
    assert_eq!(
        status_of(&exchange(server.address, &request("GET /", "", "")).await),
        200
    );
}

#[tokio::test]
async fn odd_names_are_just_names() {
    let server = start(Mood::Usual).await;
    let mut names: Vec<String> = [
        "%00",
        "%0d%0a",
        "%1b%5b31m",
        "%7f",
        "..",
        ".",
        "%2e%2e",
        "%2F",
        "%5c",
        "%25",
        "a%2f%2fb",
        "%c3%bc",
        "%F0%9F%98%80",
    ]
    .map(str::to_owned)
    .to_vec();
    names.extend((1..32).map(|byte| format!("a%{byte:02x}b")));
    names.push("n".repeat(8_000));
    for name in names {
        for line in [
            format!("GET /connectors/{name}"),
            format!("GET /connectors/{name}/status"),
            format!("DELETE /connectors/{name}"),
            format!("GET /admin/loggers/{name}"),
        ] {
            let answer = exchange(server.address, &request(&line, "", "")).await;
            assert_eq!(status_of(&answer), 404, "{line}: {answer}");
            check(&answer, &line);
        }
    }
    for bad in ["%ff", "%c3%28", "%", "%a", "%zz", "a%"] {
        let answer = exchange(server.address, &request(&format!("GET /connectors/{bad}"), "", "")).await;
        assert_eq!(status_of(&answer), 400, "{bad}: {answer}");
        check(&answer, bad);
    }
}

#[tokio::test]
async fn what_is_hardly_http_is_refused() {
    let server = start(Mood::Usual).await;
    let long = "x".repeat(20_000);
    let many = "a: b\r\n".repeat(200);
    for sent in [
        "\0\0\0\0\r\n\r\n".to_owned(),
        "hello\r\n\r\n".to_owned(),
        "GET /\r\n\r\n".to_owned(),
        "GET / HTTP/9.9\r\nHost: h\r\n\r\n".to_owned(),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
        "\u{16}\u{3}\u{1}\u{2}\n\n".to_owned(),
        "GET / HTTP/1.1\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nHost: h\r\n folded: x\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nHost: h\r\nBad Name: x\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nHost: h\r\nX: a\0b\r\n\r\n".to_owned(),
        "GET /\t/ HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(),
        "GET /\u{7f} HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(),
        "POST /connectors HTTP/1.1\r\nHost: h\r\nContent-Length: x\r\n\r\n".to_owned(),
        "POST /connectors HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned(),
        format!("GET /{long} HTTP/1.1\r\nHost: h\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: h\r\nX: {long}\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: h\r\n{many}\r\n"),
        long.clone(),
        format!("POST /connectors HTTP/1.1\r\nHost: h\r\n{JSON}Transfer-Encoding: chunked\r\n\r\nzz\r\n"),
        format!(
            "POST /connectors HTTP/1.1\r\nHost: h\r\n{JSON}Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n"
        ),
        format!("POST /connectors HTTP/1.1\r\nHost: h\r\n{JSON}Content-Length: 999999999999\r\n\r\n{{"),
        format!("POST /connectors HTTP/1.1\r\nHost: h\r\n{JSON}Content-Length: 9223372036854775807\r\n\r\n{{"),
    ] {
        check(
            &exchange(server.address, sent.as_bytes()).await,
            &sent[..sent.len().min(100)],
        );
    }
    assert_eq!(
        status_of(&exchange(server.address, &request("GET /", "", "")).await),
        200
    );
}

#[tokio::test]
async fn huge_bodies_are_cut_off() {
    let server = start(Mood::Usual).await;
    let huge = " ".repeat(9 * 1024 * 1024);
    let answer = exchange(server.address, &request("POST /connectors", JSON, &huge)).await;
    assert_eq!(status_of(&answer), 413, "{answer}");
    check(&answer, "a length that is too large");
    let head = format!("POST /connectors HTTP/1.1\r\nHost: h\r\n{JSON}Transfer-Encoding: chunked\r\n\r\n");
    let chunk = format!("{:x}\r\n{huge}\r\n", huge.len());
    let answer = exchange(server.address, format!("{head}{chunk}{chunk}0\r\n\r\n").as_bytes()).await;
    assert_eq!(status_of(&answer), 413, "{answer}");
    check(&answer, "chunks that are too large");
    let large = format!("{{\"a\":\"{}\"}}", "x".repeat(5 * 1024 * 1024));
    let answer = exchange(server.address, &request("PUT /connectors/x/config", JSON, &large)).await;
    assert_eq!(status_of(&answer), 201, "a large configuration is fine");
}
