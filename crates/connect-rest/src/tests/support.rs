//! A herder with canned answers, and an API over it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Body,
    http::{Request, Response},
};
use config_def::{ConfigDef, ConfigTransformer, Props};
use connect_api::{ConnectError, SourceConnector};
use connect_plugins::{ClientTables, ConnectorPlugin, PluginRegistry, PluginType, ValidationContext};
use connect_runtime::{
    Clock, Plugins,
    herder::{
        ConnectorInfo, ConnectorKind, ConnectorOffset, ConnectorStateInfo, InternalRequest, JsonMap, Put, RequestError,
        RestartAnswer, StateInfo,
        scripted::{Modification, Request as Asked, ScriptedHerder, scripted},
    },
    storage::config::RawConfig,
    worker::{ConnectorTaskId, State},
};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::{sync::Notify, task::JoinSet};
use tower::ServiceExt;

use crate::{
    loggers::{Level, LogFilter, Loggers},
    resources::Api,
};

/// The connector of the document's examples; it is like `c1`.
const EXAMPLE: &str = "a->b.MirrorSourceConnector";

static NO_KEYS: ConfigDef = ConfigDef::new(&[]);

/// How the herder of a test differs from the usual one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mood {
    /// It answers what the recorded one has answered.
    Usual,
    /// Likewise, but all its connectors have secrets.
    Secretive,
    /// It answers nothing.
    Silent,
    /// It answers nothing, and has not started.
    Starting,
    /// Someone at this address has to answer.
    Elsewhere(&'static str),
    /// It knows everything, and leaves changes to someone at this address.
    Follower(&'static str),
}

/// An API, and the task that answers for its herder.
pub(super) struct TestApi {
    pub(super) api: Api,
    pub(super) herder: JoinSet<()>,
    /// What the herder was asked about other workers' requests.
    pub(super) internal: Arc<Mutex<Vec<(String, InternalRequest)>>>,
    pub(super) puts: Arc<Mutex<Vec<(String, RawConfig)>>>,
    /// Whenever the herder has been asked something.
    pub(super) asked: Arc<Notify>,
}

pub(super) fn api(mood: Mood) -> TestApi {
    api_at_stage(mood, None)
}

/// What a worker does, when it began, and when it was done.
pub(super) type StageText = (&'static str, i64, Option<i64>);

pub(super) fn api_at_stage(mood: Mood, stage: Option<StageText>) -> TestApi {
    let (handle, herder) = scripted(Arc::new(AnyConnector));
    if mood != Mood::Starting {
        herder.start("CLUSTERID");
    }
    if let Some((description, began_ms, completed_ms)) = stage {
        herder.set_stage(description, began_ms, completed_ms);
    }
    let (internal, puts, asked) = (Arc::default(), Arc::default(), Arc::<Notify>::default());
    let mut tasks = JoinSet::new();
    let script = Script {
        mood,
        internal: Arc::clone(&internal),
        puts: Arc::clone(&puts),
        asked: Arc::clone(&asked),
    };
    tasks.spawn(script.run(herder));
    let validation = ValidationContext::distributed(&Props::new(), Arc::new(ConfigTransformer::identity()));
    let api = Api::new(handle, Arc::new(registry()), validation.expect("defaults"), loggers());
    TestApi {
        api,
        herder: tasks,
        internal,
        puts,
        asked,
    }
}

pub(super) async fn send(router: &Router, request: Request<Body>) -> Response<Body> {
    router.clone().oneshot(request).await.expect("routers do not fail")
}

pub(super) async fn text(answer: Response<Body>) -> String {
    let body = answer.into_body().collect().await.expect("a body").to_bytes();
    String::from_utf8(body.to_vec()).expect("UTF-8")
}

fn registry() -> PluginRegistry {
    let plugin = |class, kind| ConnectorPlugin {
        kind,
        ..ConnectorPlugin::source(class, &NO_KEYS)
    };
    let connectors = [
        plugin(
            "org.apache.kafka.connect.file.FileStreamSinkConnector",
            PluginType::Sink,
        ),
        plugin(
            "org.apache.kafka.connect.file.FileStreamSourceConnector",
            PluginType::Source,
        ),
        plugin(
            "org.apache.kafka.connect.mirror.MirrorCheckpointConnector",
            PluginType::Source,
        ),
        plugin(
            "org.apache.kafka.connect.mirror.MirrorHeartbeatConnector",
            PluginType::Source,
        ),
        plugin(
            "org.apache.kafka.connect.mirror.MirrorSourceConnector",
            PluginType::Source,
        ),
    ];
    let clients = ClientTables {
        producer: &NO_KEYS,
        consumer: &NO_KEYS,
        admin: &NO_KEYS,
    };
    PluginRegistry::new(&connectors, clients)
}

struct NoFilter;

impl LogFilter for NoFilter {
    fn apply(&self, _root: Level, _targets: &BTreeMap<String, Level>) {}
}

fn loggers() -> Arc<Loggers> {
    let targets = BTreeMap::from([("org.reflections".to_owned(), Level::Error)]);
    Loggers::new(
        Box::new(NoFilter),
        Clock::new(|| 1_700_000_000_000),
        Level::Info,
        &targets,
    )
}

pub(super) struct AnyConnector;

impl Plugins for AnyConnector {
    fn connector(&self, _class: &str) -> Result<Box<dyn SourceConnector>, ConnectError> {
        unreachable!("nothing is run here")
    }
}

fn object(value: Value) -> JsonMap {
    let Value::Object(members) = value else {
        panic!("an object")
    };
    members
}

fn config(pairs: &[(&str, &str)]) -> RawConfig {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), Some((*value).to_owned())))
        .collect()
}

fn info(name: &str) -> ConnectorInfo {
    ConnectorInfo {
        name: name.to_owned(),
        config: Arc::new(config(&[
            ("connector.class", "FileStreamSource"),
            ("name", name),
            ("tasks.max", "1"),
        ])),
        tasks: vec![ConnectorTaskId::new(name, 0)],
        kind: ConnectorKind::Source,
    }
}

/// A connector whose configuration has a secret.
fn info_with_secrets() -> ConnectorInfo {
    let secrets = [("ssl.key.password", "geheim"), ("x.password", "${env:X}")];
    let mut info = info("secrets");
    Arc::make_mut(&mut info.config).extend(config(&secrets));
    info
}

fn state(state: State, worker: &str, version: Option<&str>, trace: Option<&str>) -> Arc<StateInfo> {
    Arc::new(StateInfo {
        state,
        worker_id: worker.to_owned(),
        version: version.map(str::to_owned),
        trace: trace.map(str::to_owned),
    })
}

fn status() -> ConnectorStateInfo {
    let trace = "java.lang.RuntimeException: boom\n\tat x\n";
    ConnectorStateInfo {
        name: "c1".to_owned(),
        connector: state(State::Running, "10.0.0.1:8083", Some("4.3.1"), None),
        tasks: vec![
            (0, state(State::Running, "10.0.0.1:8083", Some("4.3.1"), Some(""))),
            (1, state(State::Failed, "10.0.0.2:8083", Some("undefined"), Some(trace))),
            (2, state(State::Unassigned, "10.0.0.2:8083", None, None)),
        ],
        kind: ConnectorKind::Source,
    }
}

struct Script {
    mood: Mood,
    internal: Arc<Mutex<Vec<(String, InternalRequest)>>>,
    puts: Arc<Mutex<Vec<(String, RawConfig)>>>,
    asked: Arc<Notify>,
}

impl Script {
    async fn run(self, mut herder: ScriptedHerder) {
        let mut unanswered = Vec::new();
        while let Some(asked) = herder.next().await {
            self.asked.notify_one();
            match self.mood {
                Mood::Silent | Mood::Starting => unanswered.push(asked),
                Mood::Elsewhere(url) => refuse(
                    asked,
                    &RequestError::Forward {
                        url: Some(url.to_owned()),
                    },
                ),
                Mood::Follower(url) if matches!(asked, Asked::PutConnector { .. }) => refuse(
                    asked,
                    &RequestError::Forward {
                        url: Some(url.to_owned()),
                    },
                ),
                Mood::Usual | Mood::Secretive | Mood::Follower(_) => self.answer(asked),
            }
        }
    }

    fn answer(&self, asked: Asked) {
        // Nobody listens any more if the request was given up.
        match asked {
            Asked::Ping(reply) => drop(reply.send(Ok(()))),
            Asked::ConnectorNames(reply) => drop(reply.send(Ok(vec!["c1".to_owned(), "gone".to_owned()]))),
            Asked::ConnectorInfos(reply) => drop(reply.send(Ok(match self.mood {
                Mood::Secretive => vec![info_with_secrets()],
                _ => vec![info("c1"), info("gone")],
            }))),
            Asked::ConnectorInfo { name, reply } => drop(reply.send(match &*name {
                "c1" | EXAMPLE => Ok(info("c1")),
                "secrets" | "loud" => Ok(info_with_secrets()),
                "rebalance" => Err(RequestError::RebalanceNeeded(
                    "Request cannot be completed because a rebalance is expected".to_owned(),
                )),
                _ => not_found(format!("Connector {name} not found")),
            })),
            Asked::TaskConfigs { name, reply } => drop(reply.send(match &*name {
                "c1" | EXAMPLE => Ok(vec![(
                    ConnectorTaskId::new("c1", 0),
                    config(&[("file", "y"), ("task.class", "x")]),
                )]),
                "secrets" => Ok(vec![(
                    ConnectorTaskId::new("secrets", 0),
                    Arc::unwrap_or_clone(info_with_secrets().config),
                )]),
                _ => not_found(format!("Connector {name} not found")),
            })),
            Asked::Statuses(reply) => drop(reply.send(Ok(vec![status()]))),
            Asked::Status { name, reply } => drop(reply.send(match &*name {
                "c1" | EXAMPLE => Ok(status()),
                _ => not_found(format!("No status found for connector {name}")),
            })),
            Asked::TaskStatus { id, reply } => {
                let found = status()
                    .tasks
                    .into_iter()
                    .find(|(task, _)| ["c1", EXAMPLE].contains(&&*id.connector) && *task == id.task);
                let found = found.map(|(_, state)| state);
                drop(reply.send(found.ok_or_else(|| RequestError::NotFound(format!("No status found for task {id}")))));
            }
            Asked::PutConnector {
                name, config, reply, ..
            } => {
                self.puts.lock().expect("one thread").push((name.clone(), config));
                drop(reply.send(put(&name)));
            }
            Asked::DeleteConnector { name, reply } => drop(reply.send(match &*name {
                "c1" | EXAMPLE => Ok(()),
                _ => not_found(format!("Connector {name} not found")),
            })),
            Asked::SetTargetState { name, reply, .. } => drop(reply.send(match &*name {
                "c1" | EXAMPLE => Ok(()),
                _ => not_found(format!("Unknown connector {name}")),
            })),
            Asked::RestartConnector {
                name,
                include_tasks,
                only_failed,
                reply,
            } => {
                drop(reply.send(match (&*name, include_tasks || only_failed) {
                    ("c1" | EXAMPLE, false) => Ok(RestartAnswer::Done),
                    ("c1" | EXAMPLE, true) => Ok(RestartAnswer::Accepted(status())),
                    _ => not_found(format!("Unknown connector: {name}")),
                }));
            }
            Asked::RestartTask { id, reply } => drop(reply.send(match &*id.connector {
                "c1" | EXAMPLE => Ok(()),
                _ => not_found(format!("Unknown connector: {}", id.connector)),
            })),
            Asked::Offsets { name, reply } => drop(reply.send(match &*name {
                "c1" | EXAMPLE => Ok(vec![ConnectorOffset {
                    partition: object(json!({"filename": "/tmp/x"})),
                    offset: object(json!({"position": 17})),
                }]),
                _ => not_found(format!("Connector {name} not found")),
            })),
            Asked::ModifyOffsets {
                name,
                modification,
                reply,
            } => drop(reply.send(match modification {
                Modification::Alter(_) => {
                    Ok("The offsets for this connector have been altered successfully".to_owned())
                }
                Modification::Reset if name == EXAMPLE => Ok("The offsets … have been reset".to_owned()),
                Modification::Reset => Err(RequestError::BadRequest(format!(
                    "Connectors must be in the STOPPED state before their offsets can be modified. This can be done \
                     for the specified connector by issuing a 'PUT' request to the '/connectors/{name}/stop' endpoint"
                ))),
            })),
            Asked::ActiveTopics { name, reply } => drop(reply.send(Ok(match &*name {
                "c1" | EXAMPLE => vec!["t1".to_owned(), "t2".to_owned()],
                _ => Vec::new(),
            }))),
            Asked::PutTaskConfigs {
                name, request, reply, ..
            }
            | Asked::FenceZombies { name, request, reply } => {
                self.internal.lock().expect("one thread").push((name, request.clone()));
                drop(reply.send(verdict(&request)));
            }
            Asked::ResetActiveTopics { reply, .. }
            | Asked::PutLoggerLevel { reply, .. }
            | Asked::ReconfigureTasks { reply, .. } => drop(reply.send(Ok(()))),
            Asked::TaskMetrics(reply) => drop(reply.send(Ok(Vec::new()))),
        }
    }
}

fn not_found<T>(text: String) -> Result<T, RequestError> {
    Err(RequestError::NotFound(text))
}

fn put(name: &str) -> Result<Put, RequestError> {
    let put = |created| {
        Ok(Put {
            created,
            info: info("c1"),
        })
    };
    match name {
        "exists" => Err(RequestError::AlreadyExists("Connector exists already exists".to_owned())),
        "invalid" => Err(RequestError::BadRequest(
            "Connector configuration is invalid and contains the following 1 error(s):\nMissing required configuration \
             \"topic\" which has no default value.\nYou can also find the above list of errors at the endpoint \
             `/connector-plugins/{connectorType}/config/validate`"
                .to_owned(),
        )),
        "boom" => Err(RequestError::Internal("Error writing connector configuration to Kafka".to_owned())),
        "noleader" => Err(RequestError::Forward { url: None }),
        "fwd" => Err(RequestError::Forward { url: Some("http://127.0.0.1:1/".to_owned()) }),
        "stale" => Err(RequestError::RebalanceNeeded("a rebalance is expected".to_owned())),
        "c1" => put(false),
        "secrets" => Ok(Put { created: false, info: info_with_secrets() }),
        "loud" => Err(RequestError::BadRequest("Connector config {ssl.key.password=geheim} is wrong".to_owned())),
        _ => put(true),
    }
}

/// What the herder says of these signatures.
fn verdict(request: &InternalRequest) -> Result<(), RequestError> {
    let bad = |text: &str| Err(RequestError::BadRequest(text.to_owned()));
    match (request.authorization.as_deref(), request.algorithm.as_deref()) {
        (Some("**"), Some("HmacSHA256")) => bad("Illegal base64 character 2a"),
        (Some(_), Some("HmacSHA256")) => Ok(()),
        (Some(_), Some(other)) => bad(&format!("Algorithm {other} not available")),
        _ => bad("Internal request missing required signature"),
    }
}

/// Answers whatever was asked with an error.
fn refuse(asked: Asked, error: &RequestError) {
    macro_rules! refuse {
        ($($variant:ident)*) => {
            match asked {
                Asked::Ping(reply) => drop(reply.send(Err(error.clone()))),
                Asked::ConnectorNames(reply) => drop(reply.send(Err(error.clone()))),
                Asked::ConnectorInfos(reply) => drop(reply.send(Err(error.clone()))),
                Asked::Statuses(reply) => drop(reply.send(Err(error.clone()))),
                Asked::TaskMetrics(reply) => drop(reply.send(Err(error.clone()))),
                $( Asked::$variant { reply, .. } => drop(reply.send(Err(error.clone()))), )*
            }
        };
    }
    refuse! {
        ConnectorInfo TaskConfigs Status TaskStatus PutConnector DeleteConnector SetTargetState RestartConnector
        RestartTask Offsets ModifyOffsets ActiveTopics ResetActiveTopics PutTaskConfigs FenceZombies PutLoggerLevel
        ReconfigureTasks
    }
}
