use serde_json::Value;

/// What the examples are about.
const CONNECTOR: &str = "a->b.MirrorSourceConnector";

/// The headings.
pub(super) const TAGS: &[(&str, &str)] = &[
    ("worker", "The worker itself"),
    ("connectors", "Connectors and their tasks"),
    (
        "offsets",
        "How far connectors have come; changed while they are stopped",
    ),
    ("plugins", "What can be run, and with which settings"),
    ("loggers", "The levels of log lines"),
    ("internal", "What workers ask each other, signed"),
];

/// One method of one path, for readers and for the test that plays it.
#[derive(Debug)]
pub(crate) struct Operation {
    pub(crate) id: &'static str,
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    pub(crate) tag: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) query: &'static [Parameter],
    /// Schema and example of what is sent.
    pub(crate) body: Option<(&'static str, &'static str)>,
    /// Statuses and schemas; the first is the example's.
    pub(crate) answers: &'static [(u16, Option<&'static str>)],
    answer: Option<&'static str>,
}

/// A query parameter.
#[derive(Debug)]
pub(crate) struct Parameter {
    pub(crate) name: &'static str,
    pub(crate) schema: &'static str,
    pub(crate) text: &'static str,
}

impl Operation {
    /// The names in the path, with examples.
    pub(crate) fn path_parameters(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let names = self
            .path
            .split('/')
            .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
        names.map(|name| {
            let example = match name {
                "connector" => CONNECTOR,
                "task" => "0",
                "plugin" => "MirrorSourceConnector",
                _ => "root",
            };
            (name, example)
        })
    }

    pub(crate) fn body_example(&self) -> Option<Value> {
        self.body
            .map(|(_, example)| serde_json::from_str(example).expect("the table has JSON"))
    }

    pub(crate) fn answer_example(&self) -> Option<Value> {
        self.answer
            .map(|example| serde_json::from_str(example).expect("the table has JSON"))
    }
}

const fn get(id: &'static str, path: &'static str, tag: &'static str, summary: &'static str) -> Operation {
    operation("GET", id, path, tag, summary)
}

const fn operation(
    method: &'static str,
    id: &'static str,
    path: &'static str,
    tag: &'static str,
    summary: &'static str,
) -> Operation {
    Operation {
        id,
        method,
        path,
        tag,
        summary,
        query: &[],
        body: None,
        answers: &[],
        answer: None,
    }
}

impl Operation {
    const fn query(mut self, query: &'static [Parameter]) -> Self {
        self.query = query;
        self
    }

    const fn takes(mut self, schema: &'static str, example: &'static str) -> Self {
        self.body = Some((schema, example));
        self
    }

    const fn answers(mut self, answers: &'static [(u16, Option<&'static str>)], example: &'static str) -> Self {
        self.answers = answers;
        self.answer = Some(example);
        self
    }

    const fn answers_nothing(mut self, answers: &'static [(u16, Option<&'static str>)]) -> Self {
        self.answers = answers;
        self
    }
}

const FLAG: &str = r#"{"type": "boolean", "default": false}"#;
const FORWARD: Parameter = Parameter {
    name: "forward",
    schema: r#"{"type": "boolean"}"#,
    text: "Set between workers: whether the one that is asked may ask another.",
};

const CONFIG: &str = r#"{"connector.class": "MirrorSourceConnector", "source.cluster.alias": "a", "target.cluster.alias": "b",
 "source.cluster.bootstrap.servers": "a:9092", "target.cluster.bootstrap.servers": "b:9092", "topics": "orders", "tasks.max": 2}"#;
const CREATE: &str = r#"{"name": "a->b.MirrorSourceConnector", "initial_state": "STOPPED",
 "config": {"connector.class": "MirrorSourceConnector", "source.cluster.alias": "a", "target.cluster.alias": "b",
 "source.cluster.bootstrap.servers": "a:9092", "target.cluster.bootstrap.servers": "b:9092", "topics": "orders"}}"#;
const INFO: &str = r#"{"name": "a->b.MirrorSourceConnector", "config": {"connector.class": "MirrorSourceConnector",
 "name": "a->b.MirrorSourceConnector", "topics": "orders"},
 "tasks": [{"connector": "a->b.MirrorSourceConnector", "task": 0}], "type": "source"}"#;
const STATUS: &str = r#"{"name": "a->b.MirrorSourceConnector",
 "connector": {"state": "RUNNING", "worker_id": "10.0.0.1:8083", "version": "4.3.1"},
 "tasks": [{"id": 0, "state": "RUNNING", "worker_id": "10.0.0.1:8083", "version": "4.3.1"}], "type": "source"}"#;
const OFFSETS: &str =
    r#"{"offsets": [{"partition": {"cluster": "a", "topic": "orders", "partition": 0}, "offset": {"offset": 41}}]}"#;

/// All of them, in the order of the router's table.
pub(crate) const OPERATIONS: &[Operation] = &[
    get("serverInfo", "/", "worker", "The version that this worker stands in for, and its Kafka cluster")
        .answers(&[(200, Some("ServerInfo"))], r#"{"version": "4.3.1", "commit": "26b251a451ce941d", "kafka_cluster_id": "aIpQ"}"#),
    get("health", "/health", "worker", "Whether the worker has started and answers").answers(
        &[(200, Some("WorkerStatus")), (500, Some("WorkerStatus")), (503, Some("WorkerStatus"))],
        r#"{"status": "healthy", "message": "Worker has completed startup and is ready to handle requests."}"#,
    ),
    get("openapi", "/openapi.json", "worker", "This document").answers_nothing(&[(200, Some("Document"))]),
    get("listConnectors", "/connectors", "connectors", "The connectors' names, or more with `expand`")
        .query(&[Parameter {
            name: "expand",
            schema: r#"{"type": "array", "items": {"type": "string", "enum": ["info", "status"]}}"#,
            text: "What to tell of each connector.",
        }])
        .answers(&[(200, Some("ConnectorsAnswer"))], r#"["a->b.MirrorSourceConnector"]"#),
    operation("POST", "createConnector", "/connectors", "connectors", "Creates a connector")
        .query(&[FORWARD])
        .takes("CreateConnectorRequest", CREATE)
        .answers(&[(201, Some("ConnectorInfo"))], INFO),
    get("connectorInfo", "/connectors/{connector}", "connectors", "A connector's configuration and tasks")
        .answers(&[(200, Some("ConnectorInfo"))], INFO),
    operation("DELETE", "deleteConnector", "/connectors/{connector}", "connectors", "Deletes a connector")
        .query(&[FORWARD])
        .answers_nothing(&[(204, None)]),
    get("connectorConfig", "/connectors/{connector}/config", "connectors", "A connector's configuration")
        .answers(&[(200, Some("Config"))], CONFIG),
    operation("PUT", "putConnectorConfig", "/connectors/{connector}/config", "connectors", "Creates or changes a connector")
        .query(&[FORWARD])
        .takes("Config", CONFIG)
        .answers(&[(200, Some("ConnectorInfo")), (201, Some("ConnectorInfo"))], INFO),
    operation("PATCH", "patchConnectorConfig", "/connectors/{connector}/config", "connectors", "Changes some settings; null removes one")
        .query(&[FORWARD])
        .takes("Config", r#"{"topics": "orders,payments", "topics.exclude": null}"#)
        .answers(&[(200, Some("ConnectorInfo"))], INFO),
    get("connectorStatus", "/connectors/{connector}/status", "connectors", "What a connector and its tasks do")
        .answers(&[(200, Some("ConnectorStateInfo"))], STATUS),
    operation("PUT", "pauseConnector", "/connectors/{connector}/pause", "connectors", "Lets a connector and its tasks wait")
        .answers_nothing(&[(202, None)]),
    operation("PUT", "resumeConnector", "/connectors/{connector}/resume", "connectors", "Lets them go on")
        .answers_nothing(&[(202, None)]),
    operation("PUT", "stopConnector", "/connectors/{connector}/stop", "connectors", "Ends a connector's tasks and keeps its configuration")
        .query(&[FORWARD])
        .answers_nothing(&[(204, None)]),
    operation("POST", "restartConnector", "/connectors/{connector}/restart", "connectors", "Restarts a connector, its tasks, or what has failed of them")
        .query(&[
            Parameter { name: "includeTasks", schema: FLAG, text: "The tasks as well." },
            Parameter { name: "onlyFailed", schema: FLAG, text: "Only what has failed." },
            FORWARD,
        ])
        .answers_nothing(&[(204, None), (202, Some("ConnectorStateInfo"))]),
    get("taskConfigs", "/connectors/{connector}/tasks", "connectors", "The configurations of a connector's tasks").answers(
        &[(200, Some("TaskInfos"))],
        r#"[{"id": {"connector": "a->b.MirrorSourceConnector", "task": 0}, "config": {"task.assigned.partitions": "orders-0"}}]"#,
    ),
    operation("POST", "putTaskConfigs", "/connectors/{connector}/tasks", "internal", "A worker has new task configurations")
        .query(&[FORWARD])
        .takes("TaskConfigs", r#"[{"task.class": "org.apache.kafka.connect.mirror.MirrorSourceTask"}]"#)
        .answers_nothing(&[(204, None)]),
    operation("PUT", "fenceZombies", "/connectors/{connector}/fence", "internal", "A worker is about to start tasks exactly once")
        .query(&[FORWARD])
        .answers_nothing(&[(204, None)]),
    get("taskStatus", "/connectors/{connector}/tasks/{task}/status", "connectors", "What a task does")
        .answers(&[(200, Some("TaskState"))], r#"{"id": 0, "state": "RUNNING", "worker_id": "10.0.0.1:8083", "version": "4.3.1"}"#),
    operation("POST", "restartTask", "/connectors/{connector}/tasks/{task}/restart", "connectors", "Restarts a task")
        .query(&[FORWARD])
        .answers_nothing(&[(204, None)]),
    get("activeTopics", "/connectors/{connector}/topics", "connectors", "The topics that a connector has written to")
        .answers(&[(200, Some("ActiveTopics"))], r#"{"a->b.MirrorSourceConnector": {"topics": ["a.orders"]}}"#),
    operation("PUT", "resetActiveTopics", "/connectors/{connector}/topics/reset", "connectors", "Forgets these topics")
        .answers_nothing(&[(202, None)]),
    get("offsets", "/connectors/{connector}/offsets", "offsets", "How far a connector has come")
        .answers(&[(200, Some("ConnectorOffsets"))], OFFSETS),
    operation("PATCH", "alterOffsets", "/connectors/{connector}/offsets", "offsets", "Sets other offsets for a stopped connector; null forgets one")
        .query(&[FORWARD])
        .takes("ConnectorOffsets", OFFSETS)
        .answers(&[(200, Some("Message"))], r#"{"message": "The offsets for this connector have been altered successfully"}"#),
    operation("DELETE", "resetOffsets", "/connectors/{connector}/offsets", "offsets", "Forgets all offsets of a stopped connector")
        .query(&[FORWARD])
        .answers(&[(200, Some("Message"))], r#"{"message": "The offsets for this connector have been reset successfully"}"#),
    get("plugins", "/connector-plugins", "plugins", "The connectors that can be run, or everything that can be plugged in")
        .query(&[Parameter {
            name: "connectorsOnly",
            schema: r#"{"type": "boolean", "default": true}"#,
            text: "`false` lists transformations, predicates and converters, too.",
        }])
        .answers(
            &[(200, Some("PluginInfos"))],
            r#"[{"class": "org.apache.kafka.connect.mirror.MirrorSourceConnector", "type": "source", "version": "4.3.1"}]"#,
        ),
    get("pluginConfig", "/connector-plugins/{plugin}/config", "plugins", "The settings of a plug-in, by class or alias")
        .query(&[Parameter { name: "version", schema: r#"{"type": "string"}"#, text: "A version, or a range of versions." }])
        .answers_nothing(&[(200, Some("ConfigKeyInfos"))]),
    operation("PUT", "validateConfig", "/connector-plugins/{plugin}/config/validate", "plugins", "Judges a configuration, key by key")
        .takes("Config", CONFIG)
        .answers_nothing(&[(200, Some("ConfigInfos"))]),
    get("loggers", "/admin/loggers", "loggers", "All loggers with a level").answers(
        &[(200, Some("LoggerLevels"))],
        r#"{"org.apache.kafka.connect": {"level": "DEBUG", "last_modified": 1700000000000}, "root": {"level": "INFO", "last_modified": null}}"#,
    ),
    get("logger", "/admin/loggers/{logger}", "loggers", "The level of a logger")
        .answers(&[(200, Some("LoggerLevel"))], r#"{"level": "INFO", "last_modified": null}"#),
    operation("PUT", "setLogger", "/admin/loggers/{logger}", "loggers", "Sets the level of a logger and of those below it")
        .query(&[Parameter {
            name: "scope",
            schema: r#"{"type": "string", "enum": ["worker", "cluster"], "default": "worker"}"#,
            text: "Whether only this worker is meant, or all.",
        }])
        .takes("SetLevel", r#"{"level": "DEBUG"}"#)
        .answers(&[(200, Some("Names")), (204, None)], r#"["org.apache.kafka.connect.mirror", "root"]"#),
];
