//! The document says what the router does.

use std::{collections::BTreeSet, sync::Arc};

use axum::{body::Body, http::Request};
use serde_json::{Value, json};

use super::support::{Mood, TestApi, api, send, text};
use crate::{
    openapi::{OPERATIONS, document},
    resources::{self, ADMIN_ENDPOINTS, ENDPOINTS, Part},
    uri::encode_segment,
};

/// What is wrong with a value, as far as our schemas say anything.
fn faults(document: &Value, schema: &Value, value: &Value, at: &str) -> Vec<String> {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference
            .strip_prefix("#/components/schemas/")
            .expect("a schema of ours");
        let found = &document["components"]["schemas"][name];
        assert!(found.is_object(), "there is no schema {name}");
        return faults(document, found, value, at);
    }
    if let Some(any) = schema["anyOf"].as_array() {
        let all: Vec<_> = any.iter().map(|schema| faults(document, schema, value, at)).collect();
        return if all.iter().any(Vec::is_empty) {
            Vec::new()
        } else {
            all.concat()
        };
    }
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let mut found = Vec::new();
    let kinds = schema["type"]
        .as_array()
        .cloned()
        .unwrap_or_else(|| vec![schema["type"].clone()]);
    if !kinds
        .iter()
        .any(|wanted| wanted == kind || (wanted == "number" && kind == "integer"))
    {
        found.push(format!("{at} is {kind}, not {}", schema["type"]));
    }
    if let Some(values) = schema["enum"].as_array()
        && !values.contains(value)
    {
        found.push(format!("{at} is {value}"));
    }
    for item in value.as_array().into_iter().flatten() {
        found.extend(faults(document, &schema["items"], item, &format!("{at}[]")));
    }
    if let Some(members) = value.as_object() {
        for required in schema["required"].as_array().into_iter().flatten() {
            if !members.contains_key(required.as_str().expect("a name")) {
                found.push(format!("{at} has no {required}"));
            }
        }
        for (name, member) in members {
            let at = format!("{at}.{name}");
            match (&schema["properties"][name], &schema["additionalProperties"]) {
                (Value::Null, Value::Bool(false)) => found.push(format!("{at} is not expected")),
                (Value::Null, schema) if schema.is_object() => found.extend(faults(document, schema, member, &at)),
                (Value::Null, _) => {}
                (schema, _) => found.extend(faults(document, schema, member, &at)),
            }
        }
    }
    found
}

fn schema(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

#[test]
fn every_endpoint_is_described() {
    let endpoints = ENDPOINTS.iter().chain(ADMIN_ENDPOINTS);
    let endpoints: BTreeSet<_> = endpoints.map(|endpoint| (endpoint.path, endpoint.method)).collect();
    let described: BTreeSet<_> = OPERATIONS
        .iter()
        .map(|operation| (operation.path, operation.method))
        .collect();
    assert_eq!(endpoints, described);
    let ids: BTreeSet<_> = OPERATIONS.iter().map(|operation| operation.id).collect();
    assert_eq!(ids.len(), OPERATIONS.len(), "an id is used twice");
    for endpoint in ENDPOINTS.iter().chain(ADMIN_ENDPOINTS) {
        let operation = OPERATIONS
            .iter()
            .find(|other| (other.path, other.method) == (endpoint.path, endpoint.method));
        let operation = operation.expect("described");
        assert_eq!(operation.body.is_some(), endpoint.reads_body, "{}", operation.id);
        let forwards = operation.query.iter().any(|parameter| parameter.name == "forward");
        assert_eq!(forwards, endpoint.forwards, "{}", operation.id);
    }
}

#[test]
fn examples_have_the_shapes_that_are_promised() {
    let document = document();
    for operation in OPERATIONS {
        let body = operation
            .body
            .map(|(name, _)| (name, operation.body_example().expect("an example")));
        let answer = operation.answers[0].1.zip(operation.answer_example());
        for (name, example) in body.into_iter().chain(answer) {
            assert_eq!(
                faults(&document, &schema(name), &example, operation.id),
                Vec::<String>::new()
            );
        }
        for (_, name) in operation.answers {
            assert!(
                name.is_none_or(|name| document["components"]["schemas"][name].is_object()),
                "{}",
                operation.id
            );
        }
    }
}

#[tokio::test]
async fn examples_are_answered_as_promised() {
    let document = document();
    for operation in OPERATIONS {
        let TestApi {
            api, herder: _herder, ..
        } = api(Mood::Usual);
        let router = resources::router(&Arc::new(api), Part::All);
        let mut path = operation.path.to_owned();
        for (name, example) in operation.path_parameters() {
            path = path.replace(&format!("{{{name}}}"), &encode_segment(example));
        }
        let mut request = Request::builder().method(operation.method).uri(&path);
        if operation.tag == "internal" {
            request = request.header("X-Connect-Authorization", "AAAA");
            request = request.header("X-Connect-Request-Signature-Algorithm", "HmacSHA256");
        }
        let body = operation
            .body_example()
            .map_or_else(Body::empty, |example| Body::from(example.to_string()));
        let request = request
            .header("content-type", "application/json")
            .body(body)
            .expect("a request");
        let answer = send(&router, request).await;
        let status = answer.status().as_u16();
        let body = text(answer).await;
        let promised = operation.answers.iter().find(|(promised, _)| *promised == status);
        match promised
            .unwrap_or_else(|| panic!("{}: {status} {body}", operation.id))
            .1
        {
            None => assert_eq!(body, "", "{}", operation.id),
            Some(name) => {
                let body: Value = serde_json::from_str(&body).expect("JSON");
                assert_eq!(
                    faults(&document, &schema(name), &body, operation.id),
                    Vec::<String>::new()
                );
            }
        }
    }
}

#[tokio::test]
async fn the_document_is_served_and_linked() {
    let TestApi {
        api, herder: _herder, ..
    } = api(Mood::Usual);
    let router = resources::router(&Arc::new(api), Part::All);
    let get = |path: &str| Request::get(path).body(Body::empty()).expect("a request");
    let root = send(&router, get("/")).await;
    assert_eq!(root.headers()["link"], "</openapi.json>; rel=\"service-desc\"");
    let served: Value = serde_json::from_str(&text(send(&router, get("/openapi.json")).await).await).expect("JSON");
    assert_eq!(served, document());
}
