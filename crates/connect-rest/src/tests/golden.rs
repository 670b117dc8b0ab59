//! Every answer that was recorded from Java's resources, asked of ours.

use std::{sync::Arc, time::Duration};

use axum::{body::Body, http::Request};
use serde::Deserialize;
use serde_json::Value;

use super::support::{Mood, StageText, TestApi, api_at_stage, send, text};
use crate::resources::{self, Part};

#[derive(Debug, Deserialize)]
struct Recorded {
    note: String,
    request: String,
    request_body: Option<String>,
    request_headers: Option<Vec<String>>,
    status: u16,
    headers: std::collections::BTreeMap<String, String>,
    body: String,
}

/// What a client does wrong is its mistake (400), where Java's worker stumbles (500): same JSON, own words.
const BETTER: &[&str] = &[
    "create with bad initial_state",
    "create no config",
    "create unknown field",
    "create malformed JSON",
    "create wrong JSON shape",
    "create nested config value",
    "create empty body",
    "alter offsets empty body",
    "validate no class",
    "validate class unknown",
];

/// What differs beside that, and why.
const OTHER: &[(&str, &[&str], &str)] = &[
    (
        "list expand info",
        &["body"],
        "the recorded herder listed a connector without info; ours has both or neither",
    ),
    (
        "plugins all",
        &["body"],
        "there are no transformations and converters of fields and numbers",
    ),
    (
        "plugin config of a config provider",
        &["status", "body"],
        "there are no plug-ins of a kind without keys",
    ),
    ("loggers", &["body"], "ours lists the loggers of its own parts"),
    (
        "set level",
        &["body"],
        "below the recorded logger was one; below ours are those of its own parts",
    ),
    ("set level bogus scope falls back to worker", &["body"], "as above"),
];

fn mood(note: &str) -> (Mood, Option<StageText>) {
    let stage = (
        "polling the group coordinator until interrupted",
        1_700_000_000_000,
        None,
    );
    match note {
        "health timed out, herder ready" => (Mood::Silent, None),
        "health timed out, herder not ready" => (Mood::Starting, None),
        "health timed out with a recorded stage, herder not ready" => (Mood::Starting, Some(stage)),
        _ => (Mood::Usual, None),
    }
}

async fn differences(recorded: &Recorded) -> Vec<String> {
    let (mood, stage) = mood(&recorded.note);
    let TestApi {
        mut api,
        herder: _herder,
        ..
    } = api_at_stage(mood, stage);
    api.health_timeout = Duration::from_secs(1);
    let router = resources::router(&Arc::new(api), Part::All);
    let (method, path) = recorded.request.split_once(' ').expect("a method and a path");
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "localhost:8083");
    let mut has_type = false;
    for pair in recorded.request_headers.as_deref().unwrap_or_default().chunks(2) {
        has_type |= pair[0].eq_ignore_ascii_case("content-type");
        request = request.header(&pair[0], &pair[1]);
    }
    if recorded.request_body.is_some() && !has_type {
        request = request.header("content-type", "application/json");
    }
    let body = Body::from(recorded.request_body.clone().unwrap_or_default());
    let answer = send(&router, request.body(body).expect("a request")).await;

    let mut differences = Vec::new();
    let mut compare = |what: &str, ours: String, javas: String| {
        if ours != javas {
            differences.push(format!("{what}: {ours} instead of {javas}"));
        }
    };
    let status = answer.status().as_u16();
    compare("status", status.to_string(), recorded.status.to_string());
    for name in ["Content-Type", "Location", "Allow"] {
        let ours = answer.headers().get(name).map(|value| value.to_str().expect("text"));
        compare(name, format!("{ours:?}"), format!("{:?}", recorded.headers.get(name)));
    }
    if method == "HEAD" {
        let length = answer.headers()["content-length"].to_str().expect("text").to_owned();
        compare("length", length, recorded.headers["Content-Length"].clone());
    }
    let body = text(answer).await;
    if BETTER.contains(&&*recorded.note) {
        let error: Value = serde_json::from_str(&body).expect("JSON");
        assert_eq!(
            (status, &error["error_code"]),
            (400, &Value::from(400)),
            "{}",
            recorded.note
        );
        assert!(
            error["message"].as_str().is_some_and(|message| !message.is_empty()),
            "{body}"
        );
    } else {
        compare("body", without_documentation(&body), recorded.body.clone());
    }
    differences
}

/// Ours is in our own words, the recording leaves it out.
fn without_documentation(body: &str) -> String {
    let mut parts = body.split("\"documentation\":\"");
    let mut kept = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (_, rest) = part.split_once("\",").expect("more members follow");
        kept.push_str("\"documentation\":\"<omitted>\",");
        kept.push_str(rest);
    }
    kept
}

#[tokio::test(start_paused = true)]
async fn recorded_answers_are_ours() {
    let recorded = include_str!("../../testdata/golden-rest.json");
    let recorded: Vec<Recorded> = serde_json::from_str(recorded).expect("the recording");
    assert!(recorded.len() > 80, "the recording is cut off");
    let mut unexpected = Vec::new();
    for recorded in &recorded {
        let found = differences(recorded).await;
        let kinds: Vec<&str> = found
            .iter()
            .filter_map(|found| Some(found.split_once(':')?.0))
            .collect();
        let other = OTHER
            .iter()
            .find(|(note, ..)| *note == recorded.note)
            .map_or(&[][..], |(_, kinds, _)| kinds);
        let expected = if BETTER.contains(&&*recorded.note) {
            &["status"]
        } else {
            other
        };
        if kinds != expected {
            unexpected.push((&recorded.note, found));
        }
    }
    assert!(unexpected.is_empty(), "{unexpected:#?}");
}
