//! The API, described for programs: `GET /openapi.json` (OpenAPI 3.1).
//!
//! Kafka has no such document of its running worker; ours is a table ([`operations`]) whose examples a test plays.

mod operations;
mod schemas;

use std::sync::LazyLock;

use bytes::Bytes;
use serde_json::{Map, Value, json};

pub(crate) use self::operations::{OPERATIONS, Operation};

/// The document as it is sent.
pub(crate) static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| Bytes::from(document().to_string()));

pub(crate) fn document() -> Value {
    let mut paths = Map::new();
    for operation in OPERATIONS {
        let path = paths.entry(operation.path).or_insert_with(|| Value::Object(Map::new()));
        path[operation.method.to_lowercase()] = described(operation);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Kafka Connect REST API",
            "version": crate::KAFKA_VERSION,
            "summary": "What a Heliograph worker answers, as Apache Kafka's Connect worker does.",
        },
        "servers": [{"url": "/"}],
        "tags": operations::TAGS.iter().map(|(name, text)| json!({"name": name, "description": text})).collect::<Vec<_>>(),
        "paths": paths,
        "components": {"schemas": schemas::schemas()},
    })
}

fn described(operation: &Operation) -> Value {
    let in_path = operation.path_parameters().map(|(name, example)| {
        json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}, "example": example})
    });
    let in_query = operation.query.iter().map(|parameter| {
        let schema: Value = serde_json::from_str(parameter.schema).expect("the table has JSON");
        json!({"name": parameter.name, "in": "query", "description": parameter.text, "schema": schema})
    });
    let mut described = json!({
        "operationId": operation.id,
        "tags": [operation.tag],
        "summary": operation.summary,
        "parameters": in_path.chain(in_query).collect::<Vec<_>>(),
        "responses": {},
    });
    if let Some((schema, _)) = operation.body {
        described["requestBody"] = json!({"required": true, "content": content(schema, operation.body_example())});
    }
    for (status, schema) in operation.answers {
        described["responses"][status.to_string()] = match schema {
            Some(schema) => {
                let example = operation.answer_example().filter(|_| *status == operation.answers[0].0);
                json!({"description": reason(*status), "content": content(schema, example)})
            }
            None => json!({"description": reason(*status)}),
        };
    }
    let error = json!({"description": "An error", "content": content("Error", None)});
    described["responses"]["default"] = error;
    described
}

fn content(schema: &str, example: Option<Value>) -> Value {
    let mut content = json!({"schema": {"$ref": format!("#/components/schemas/{schema}")}});
    if let Some(example) = example {
        content["example"] = example;
    }
    json!({"application/json": content})
}

fn reason(status: u16) -> &'static str {
    axum::http::StatusCode::from_u16(status)
        .ok()
        .and_then(|status| status.canonical_reason())
        .unwrap_or_default()
}
