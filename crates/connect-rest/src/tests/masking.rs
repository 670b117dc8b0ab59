//! `heliograph.rest.mask.secrets` over sockets.

use serde_json::{Value, json};

use super::{
    server::{Running, body_of, exchange, request, start_with, status_of},
    support::Mood,
};

const JSON: &str = "Content-Type: application/json\r\n";

async fn start(mood: Mood) -> Running {
    start_with(mood, &[("heliograph.rest.mask.secrets", "true")], |_, _| {}).await
}

async fn ask(server: &Running, line: &str, body: &str) -> String {
    exchange(server.address, &request(line, JSON, body)).await
}

fn put(server: &Running) -> Value {
    let (_, config) = server.api.puts.lock().expect("one thread").pop().expect("a put");
    serde_json::to_value(config).expect("JSON")
}

#[tokio::test]
async fn no_answer_shows_a_secret() {
    let server = start(Mood::Secretive).await;
    let mut hidden = 0;
    for (line, body) in [
        ("GET /connectors?expand=info", ""),
        ("GET /connectors/secrets", ""),
        ("GET /connectors/secrets/config", ""),
        ("GET /connectors/secrets/tasks", ""),
        ("PUT /connectors/secrets/config", "{}"),
        ("PATCH /connectors/secrets/config", "{}"),
        ("POST /connectors", r#"{"name":"secrets","config":{}}"#),
    ] {
        let answer = ask(&server, line, body).await;
        assert!((200..300).contains(&status_of(&answer)), "{line}: {answer}");
        assert!(!answer.contains("geheim"), "{line}: {answer}");
        assert!(answer.contains(r#""ssl.key.password":"[hidden]""#), "{line}: {answer}");
        assert!(answer.contains(r#""x.password":"${env:X}""#), "{line}: {answer}");
        hidden += 1;
    }
    assert_eq!(hidden, 7);
    let open = start_with(Mood::Secretive, &[], |_, _| {}).await;
    let answer = ask(&open, "GET /connectors/secrets/config", "").await;
    assert!(
        answer.contains("geheim"),
        "who did not ask for it has what Kafka has: {answer}"
    );
}

#[tokio::test]
async fn what_comes_back_hidden_keeps_what_is_stored() {
    let server = start(Mood::Secretive).await;
    let answer = ask(&server, "GET /connectors/secrets/config", "").await;
    let mut config: Value = serde_json::from_str(body_of(&answer)).expect("JSON");
    config["tasks.max"] = json!(7);
    let answer = ask(&server, "PUT /connectors/secrets/config", &config.to_string()).await;
    assert_eq!(status_of(&answer), 200, "{answer}");
    let stored = put(&server);
    assert_eq!(stored["ssl.key.password"], "geheim");
    assert_eq!(
        (&stored["tasks.max"], &stored["x.password"]),
        (&json!("7"), &json!("${env:X}"))
    );

    let patch = r#"{"ssl.key.password":"[hidden]","topics":"[hidden]","a":1.50}"#;
    assert_eq!(
        status_of(&ask(&server, "PATCH /connectors/secrets/config", patch).await),
        200
    );
    let stored = put(&server);
    assert_eq!(stored["ssl.key.password"], "geheim");
    assert_eq!(
        (&stored["topics"], &stored["a"]),
        (&json!("[hidden]"), &json!("1.50")),
        "no secret is touched"
    );

    let create =
        r#"{"name":"secrets","initial_state":"PAUSED","config":{"ssl.key.password":"\u005bhidden]","b":1.50}}"#;
    assert_eq!(status_of(&ask(&server, "POST /connectors", create).await), 200);
    let stored = put(&server);
    assert_eq!(
        (&stored["ssl.key.password"], &stored["b"]),
        (&json!("geheim"), &json!("1.50"))
    );

    let changed = r#"{"ssl.key.password":"neu"}"#;
    assert_eq!(
        status_of(&ask(&server, "PUT /connectors/secrets/config", changed).await),
        200
    );
    assert_eq!(put(&server)["ssl.key.password"], "neu");
}

#[tokio::test]
async fn a_marker_that_stands_for_nothing_is_refused() {
    let server = start(Mood::Usual).await;
    for (line, body) in [
        ("PUT /connectors/new/config", r#"{"db.password":"[hidden]"}"#),
        ("PUT /connectors/c1/config", r#"{"db.password":"[hidden]"}"#),
        ("PATCH /connectors/secrets/config", r#"{"db.password":"[hidden]"}"#),
        (
            "POST /connectors",
            r#"{"name":"new","config":{"db.password":"[hidden]"}}"#,
        ),
        ("POST /connectors", r#"{"config":{"db.password":"[hidden]"}}"#),
    ] {
        let answer = ask(&server, line, body).await;
        assert_eq!(status_of(&answer), 400, "{line}: {answer}");
        assert!(answer.contains("The value of db.password is [hidden]"), "{answer}");
    }
    assert!(server.api.puts.lock().expect("one thread").is_empty());
    for body in [
        "",
        "{",
        "[]",
        "null",
        r#"{"config":7}"#,
        r#"{"config":{"db.password":{}}}"#,
    ] {
        let answer = ask(&server, "POST /connectors", body).await;
        assert_eq!(status_of(&answer), 400, "{body}: {answer}");
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_configuration_does_not_show_what_it_kept() {
    let server = start(Mood::Usual).await;
    let answer = ask(
        &server,
        "PUT /connectors/loud/config",
        r#"{"ssl.key.password":"[hidden]"}"#,
    )
    .await;
    assert_eq!(status_of(&answer), 400);
    assert!(
        body_of(&answer).contains("{ssl.key.password=[hidden]} is wrong"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_leader_is_sent_the_secret_and_its_answer_is_masked() {
    // It shows what it has, as a Java worker does.
    let leader = start_with(Mood::Secretive, &[], |_, _| {}).await;
    let url: &'static str = leader.advertised.clone().leak();
    let follower = start(Mood::Follower(url)).await;
    let answer = ask(
        &follower,
        "PUT /connectors/secrets/config",
        r#"{"ssl.key.password":"[hidden]"}"#,
    )
    .await;
    assert_eq!(status_of(&answer), 200, "{answer}");
    assert!(!answer.contains("geheim") && answer.contains("[hidden]"), "{answer}");
    assert_eq!(put(&leader)["ssl.key.password"], "geheim");
}
