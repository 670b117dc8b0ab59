use serde_json::{Value, json};

/// The shapes of what is sent and answered, members in Kafka's order.
pub(super) fn schemas() -> Value {
    let text = json!({"type": "string"});
    let nullable = json!({"type": ["string", "null"]});
    let reference = |name: &str| json!({"$ref": format!("#/components/schemas/{name}")});
    let list = |items: &Value| json!({"type": "array", "items": items});
    let map = |values: &Value| json!({"type": "object", "additionalProperties": values});
    let kind = json!({"type": "string", "enum": ["source", "sink", "unknown"]});
    let state =
        json!({"type": "string", "enum": ["UNASSIGNED", "RUNNING", "PAUSED", "FAILED", "RESTARTING", "STOPPED"]});
    let members = json!({"type": "object"});
    let number = json!({"type": "integer"});
    let count = json!({"type": "integer", "minimum": 0});

    json!({
        "Error": object(&["error_code", "message"], &json!({"error_code": number, "message": text})),
        "Message": object(&["message"], &json!({"message": text})),
        "ServerInfo": object(
            &["version", "commit", "kafka_cluster_id"],
            &json!({"version": text, "commit": text, "kafka_cluster_id": nullable}),
        ),
        "WorkerStatus": object(
            &["status", "message"],
            &json!({"status": {"type": "string", "enum": ["healthy", "starting", "unhealthy"]}, "message": text}),
        ),
        "Names": list(&text),
        "ConnectorsAnswer": {"anyOf": [
            list(&text),
            map(&json!({
                "type": "object",
                "properties": {"info": reference("ConnectorInfo"), "status": reference("ConnectorStateInfo")},
                "additionalProperties": false,
            })),
        ]},
        "Config": {
            "type": "object",
            "additionalProperties": {"type": ["string", "number", "boolean", "null"]},
            "description": "Numbers and booleans become texts as they are written.",
        },
        "CreateConnectorRequest": {
            "type": "object",
            "required": ["config"],
            "properties": {
                "name": text,
                "config": reference("Config"),
                "initial_state": {"type": "string", "enum": ["RUNNING", "PAUSED", "STOPPED"]},
            },
            "additionalProperties": false,
        },
        "ConnectorTaskId": object(&["connector", "task"], &json!({"connector": text, "task": count})),
        "ConnectorInfo": object(
            &["name", "config", "tasks", "type"],
            &json!({"name": text, "config": map(&nullable), "tasks": list(&reference("ConnectorTaskId")), "type": kind}),
        ),
        "ConnectorState": object(
            &["state", "worker_id"],
            &json!({"state": state, "worker_id": text, "version": nullable, "trace": text}),
        ),
        "TaskState": object(
            &["id", "state", "worker_id"],
            &json!({"id": count, "state": state, "worker_id": text, "version": nullable, "trace": text}),
        ),
        "ConnectorStateInfo": object(
            &["name", "connector", "tasks", "type"],
            &json!({
                "name": text, "connector": reference("ConnectorState"), "tasks": list(&reference("TaskState")), "type": kind,
            }),
        ),
        "TaskInfos": list(&object(
            &["id", "config"],
            &json!({"id": reference("ConnectorTaskId"), "config": map(&nullable)}),
        )),
        "TaskConfigs": list(&reference("Config")),
        "ActiveTopics": map(&object(&["topics"], &json!({"topics": list(&text)}))),
        "ConnectorOffsets": object(
            &["offsets"],
            &json!({"offsets": list(&object(
                &["partition"],
                &json!({"partition": members, "offset": {"type": ["object", "null"]}}),
            ))}),
        ),
        "PluginInfos": list(&object(
            &["class", "type"],
            &json!({
                "class": text,
                "type": {
                    "type": "string",
                    "enum": ["sink", "source", "transformation", "predicate", "converter", "header_converter"],
                },
                "version": text,
            }),
        )),
        "ConfigKeyInfo": object(
            &[
                "name", "type", "required", "default_value", "importance", "documentation", "group", "order_in_group",
                "width", "display_name", "dependents",
            ],
            &json!({
                "name": text, "type": text, "required": {"type": "boolean"}, "default_value": nullable,
                "importance": {"type": "string", "enum": ["HIGH", "MEDIUM", "LOW"]}, "documentation": text,
                "group": nullable, "order_in_group": number, "width": text, "display_name": text,
                "dependents": list(&text),
            }),
        ),
        "ConfigKeyInfos": list(&reference("ConfigKeyInfo")),
        "ConfigValueInfo": object(
            &["name", "value", "recommended_values", "errors", "visible"],
            &json!({
                "name": text, "value": nullable, "recommended_values": list(&nullable), "errors": list(&text),
                "visible": {"type": "boolean"},
            }),
        ),
        "ConfigInfos": object(
            &["name", "error_count", "groups", "configs"],
            &json!({
                "name": text, "error_count": count, "groups": list(&text),
                "configs": list(&object(
                    &["definition", "value"],
                    &json!({
                        "definition": {"anyOf": [reference("ConfigKeyInfo"), {"type": "null"}]},
                        "value": {"anyOf": [reference("ConfigValueInfo"), {"type": "null"}]},
                    }),
                )),
            }),
        ),
        "LoggerLevel": object(&["level", "last_modified"], &json!({"level": text, "last_modified": {"type": ["integer", "null"]}})),
        "LoggerLevels": map(&reference("LoggerLevel")),
        "SetLevel": {"type": "object", "required": ["level"], "properties": {"level": {
            "type": "string", "enum": ["OFF", "FATAL", "ERROR", "WARN", "INFO", "DEBUG", "TRACE", "ALL"],
        }}},
        "Document": {"type": "object", "required": ["openapi", "paths"]},
    })
}

/// An object with these members and no others.
fn object(required: &[&str], properties: &Value) -> Value {
    json!({"type": "object", "required": required, "properties": properties, "additionalProperties": false})
}
