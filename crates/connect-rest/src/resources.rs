//! Which request is answered by what: a table of endpoints, and JAX-RS' rules around it.
//!
//! Start reading at [`ENDPOINTS`]; [`answer`] is what every request goes through.

mod admin_loggers;
mod call;
mod connector_plugins;
mod connectors;
mod expansions;
mod internal;
mod root;

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, HttpBody},
    extract::Request,
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use connect_runtime::config::HeaderRule;
use futures_util::{FutureExt, future::BoxFuture};
use tokio::time::timeout;
use tracing::error;

pub use self::call::Api;
pub(crate) use self::call::{Answer, Call, Failure};
pub(crate) use self::root::flows_health;
use crate::{
    cors::Cors,
    error::RestError,
    forward::{ForwardFlag, forward},
    login::Login,
    negotiation::{accepts_json, fits_json, is_json},
    response_headers,
    secrets::{self, ConfigAt, Kept},
};

/// Kafka's limit for a request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(90);
/// Another worker has its own limit, whose answer is worth waiting for.
const FORWARD_TIMEOUT: Duration = Duration::from_secs(95);

type Handler = fn(Arc<Api>, Call) -> BoxFuture<'static, Result<Answer, Failure>>;

/// One method of one path.
pub(crate) struct Endpoint {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    handler: Handler,
    /// Whether it reads the body, which then has to be JSON.
    pub(crate) reads_body: bool,
    /// Whether the leader, or a task's owner, may have to be asked instead.
    pub(crate) forwards: bool,
    /// Whether it is for other workers only.
    is_internal: bool,
    /// Where its body has a connector's configuration.
    config_at: Option<ConfigAt>,
}

macro_rules! endpoints {
    ($($method:literal $path:literal $handler:path $(, $flag:ident)*;)*) => {
        &[$( Endpoint::new($method, $path, |api, call| Box::pin($handler(api, call)))$(.$flag())* ),*]
    };
}

impl Endpoint {
    const fn new(method: &'static str, path: &'static str, handler: Handler) -> Self {
        Self {
            method,
            path,
            handler,
            reads_body: false,
            forwards: false,
            is_internal: false,
            config_at: None,
        }
    }

    const fn reads_body(mut self) -> Self {
        self.reads_body = true;
        self
    }

    /// Its body is a connector's configuration.
    const fn reads_config(mut self) -> Self {
        self.config_at = Some(ConfigAt::Body);
        self.reads_body()
    }

    /// Its body has a connector's configuration.
    const fn reads_request_with_config(mut self) -> Self {
        self.config_at = Some(ConfigAt::Member);
        self.reads_body()
    }

    const fn between_workers(mut self) -> Self {
        self.is_internal = true;
        self
    }

    const fn forwards(mut self) -> Self {
        self.forwards = true;
        self
    }
}

/// The API (rest-api of Kafka 4.3), but for `/admin`.
pub(crate) const ENDPOINTS: &[Endpoint] = endpoints! {
    "GET" "/" root::server_info;
    "GET" "/health" root::health;
    "GET" "/openapi.json" root::openapi;
    "GET" "/connectors" connectors::list;
    "POST" "/connectors" connectors::create, reads_request_with_config, forwards;
    "GET" "/connectors/{connector}" connectors::info;
    "DELETE" "/connectors/{connector}" connectors::delete, forwards;
    "GET" "/connectors/{connector}/config" connectors::config;
    "PUT" "/connectors/{connector}/config" connectors::put_config, reads_config, forwards;
    "PATCH" "/connectors/{connector}/config" connectors::patch_config, reads_config, forwards;
    "GET" "/connectors/{connector}/status" connectors::status;
    "PUT" "/connectors/{connector}/pause" connectors::pause;
    "PUT" "/connectors/{connector}/resume" connectors::resume;
    "PUT" "/connectors/{connector}/stop" connectors::stop, forwards;
    "POST" "/connectors/{connector}/restart" connectors::restart, forwards;
    "GET" "/connectors/{connector}/tasks" connectors::tasks;
    "POST" "/connectors/{connector}/tasks" internal::put_task_configs, between_workers, reads_body, forwards;
    "PUT" "/connectors/{connector}/fence" internal::fence_zombies, between_workers, forwards;
    "GET" "/connectors/{connector}/tasks/{task}/status" connectors::task_status;
    "POST" "/connectors/{connector}/tasks/{task}/restart" connectors::restart_task, forwards;
    "GET" "/connectors/{connector}/topics" connectors::topics;
    "PUT" "/connectors/{connector}/topics/reset" connectors::reset_topics;
    "GET" "/connectors/{connector}/offsets" connectors::offsets;
    "PATCH" "/connectors/{connector}/offsets" connectors::alter_offsets, reads_body, forwards;
    "DELETE" "/connectors/{connector}/offsets" connectors::reset_offsets, forwards;
    "GET" "/connector-plugins" connector_plugins::list;
    "GET" "/connector-plugins/{plugin}/config" connector_plugins::config;
    "PUT" "/connector-plugins/{plugin}/config/validate" connector_plugins::validate, reads_config;
};

/// The part that `admin.listeners` can put elsewhere.
pub(crate) const ADMIN_ENDPOINTS: &[Endpoint] = endpoints! {
    "GET" "/admin/loggers" admin_loggers::list;
    "GET" "/admin/loggers/{logger}" admin_loggers::get;
    "PUT" "/admin/loggers/{logger}" admin_loggers::set, reads_body;
};

/// Which endpoints a listener has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    All,
    WithoutAdmin,
    AdminOnly,
    /// What workers ask each other, and nothing else: MirrorMaker's dedicated mode.
    Internal,
    /// What can be looked at of one flow of the dedicated mode: no plug-ins are listed, and nothing is changed but what
    /// the flow allows.
    ReadOnly,
}

/// The routes of a listener.
pub(crate) fn router(api: &Arc<Api>, part: Part) -> Router {
    let is_main = |endpoint: &&Endpoint| match part {
        Part::All | Part::WithoutAdmin => true,
        Part::AdminOnly => false,
        Part::Internal => endpoint.is_internal,
        Part::ReadOnly => {
            let shows = endpoint.method == "GET"
                && ["/connectors", "/health"]
                    .iter()
                    .any(|path| endpoint.path.starts_with(path));
            let changes = endpoint.method == "PATCH" && endpoint.path == "/connectors/{connector}/config";
            shows || (changes && api.may_change_settings())
        }
    };
    let has_admin = matches!(part, Part::All | Part::AdminOnly);
    let admin = ADMIN_ENDPOINTS.iter().filter(|_| has_admin);
    let mut resources: Vec<(&'static str, Vec<&'static Endpoint>)> = Vec::new();
    for endpoint in ENDPOINTS.iter().filter(is_main).chain(admin) {
        match resources.iter_mut().find(|(path, _)| *path == endpoint.path) {
            Some((_, methods)) => methods.push(endpoint),
            None => resources.push((endpoint.path, vec![endpoint])),
        }
    }
    // As in Kafka, who has put the part for administrators elsewhere has said who reaches it.
    let login = api.login.as_ref().filter(|_| part != Part::AdminOnly);
    let mut router = Router::new();
    for (path, methods) in resources {
        let methods: Arc<[&'static Endpoint]> = methods.into();
        let (api, login) = (api.clone(), login.cloned());
        let route =
            axum::routing::any(move |request: Request| answer(api.clone(), login.clone(), methods.clone(), request));
        // JAX-RS does not mind a slash at the end.
        if path != "/" {
            router = router.route(&format!("{path}/"), route.clone());
        }
        router = router.route(path, route);
    }
    router.fallback(|| async { RestError::routing(StatusCode::NOT_FOUND) })
}

/// `router` for those who can log in, if that is asked for at all.
pub(crate) fn for_users(router: Router, login: Option<Arc<Login>>) -> Router {
    let Some(login) = login.filter(|_| router.has_routes()) else {
        return router;
    };
    router.route_layer(axum::middleware::from_fn(
        move |request: Request, next: axum::middleware::Next| {
            let login = login.clone();
            async move {
                match login.admits(request.headers()).await {
                    true => next.run(request).await,
                    false => RestError::unauthorized().closing(),
                }
            }
        },
    ))
}

/// What every answer of a listener carries.
pub(crate) fn with_headers(router: Router, cors: Option<Cors>, rules: Vec<HeaderRule>) -> Router {
    let (cors, rules) = (Arc::new(cors), Arc::new(rules));
    router.layer(axum::middleware::from_fn(
        move |request: Request, next: axum::middleware::Next| {
            let (cors, rules) = (cors.clone(), rules.clone());
            async move {
                let asked = cors
                    .is_some()
                    .then(|| (request.method().clone(), request.headers().clone()));
                let mut answer = next.run(request).await;
                let headers = answer.headers_mut();
                headers.entry(header::SERVER).or_insert(SERVER);
                if let (Some(cors), Some((method, request))) = (&*cors, asked) {
                    cors.apply(&method, &request, headers);
                }
                response_headers::apply(&rules, headers);
                answer
            }
        },
    ))
}

const SERVER: HeaderValue = HeaderValue::from_static(concat!("heliograph/", env!("CARGO_PKG_VERSION")));

/// Answers a request to a path that exists.
async fn answer(
    api: Arc<Api>,
    login: Option<Arc<Login>>,
    methods: Arc<[&'static Endpoint]>,
    request: Request,
) -> Response {
    let is_head = request.method() == Method::HEAD;
    let answered = AssertUnwindSafe(answer_method(api, login, &methods, request))
        .catch_unwind()
        .await;
    let answered = answered.unwrap_or_else(|_| {
        error!("a REST request met a fault in this program");
        Err(Refused::from(RestError::internal(
            "This request met a fault in the worker",
        )))
    });
    let answer = match answered {
        Ok(answer) => answer,
        Err(Refused { error, closes: true }) => error.closing(),
        Err(Refused { error, closes: false }) => error.into_response(),
    };
    if is_head { without_body(answer) } else { answer }
}

/// An error, and whether the connection can go on.
struct Refused {
    error: RestError,
    closes: bool,
}

impl From<RestError> for Refused {
    fn from(error: RestError) -> Self {
        Self { error, closes: false }
    }
}

async fn answer_method(
    api: Arc<Api>,
    login: Option<Arc<Login>>,
    methods: &[&'static Endpoint],
    request: Request,
) -> Result<Response, Refused> {
    let (head, body) = request.into_parts();
    let method = if head.method == Method::HEAD {
        "GET"
    } else {
        head.method.as_str()
    };
    let endpoint = methods.iter().find(|endpoint| endpoint.method == method);
    // What workers ask each other is signed.
    let is_for_users = endpoint.is_none_or(|endpoint| !endpoint.is_internal);
    if let Some(login) = login.filter(|_| is_for_users)
        && !login.admits(&head.headers).await
    {
        let is_known = endpoint.is_some() || head.method == Method::OPTIONS;
        let error = match is_known {
            true => RestError::unauthorized(),
            false => RestError::routing(StatusCode::METHOD_NOT_ALLOWED),
        };
        // Nothing of a stranger's body is taken in.
        let closes = !body.is_end_stream();
        return Err(Refused { error, closes });
    }
    // Read in any case, or the connection could not be used again.
    let body = api.bodies.read(&head.headers, body).await;
    let (body, _budget) = body.map_err(|error| Refused { error, closes: true })?;
    if head.method == Method::OPTIONS {
        return Ok(allowed_methods(methods));
    }
    let Some(endpoint) = endpoint else {
        return Err(RestError::routing(StatusCode::METHOD_NOT_ALLOWED).into());
    };
    check_media_types(endpoint, &head.headers, body.is_empty())?;
    let call = Call::new(endpoint.path, &head, body, &api)?;
    answer_endpoint(api, endpoint, call).await.map_err(Into::into)
}

async fn answer_endpoint(api: Arc<Api>, endpoint: &Endpoint, mut call: Call) -> Result<Response, RestError> {
    let Some(place) = endpoint.config_at.filter(|_| api.masks_secrets) else {
        return answer_call(api, endpoint, call).await;
    };
    let restored = timeout(api.request_timeout, secrets::restore(&api, place, &mut call)).await;
    let kept: Kept = restored.unwrap_or_else(|_| Err(RestError::internal("Request timed out")))?;
    answer_call(api, endpoint, call).await.map_err(|error| kept.hide(error))
}

async fn answer_call(api: Arc<Api>, endpoint: &Endpoint, call: Call) -> Result<Response, RestError> {
    let forward_flag = ForwardFlag::of(call.query("forward"));
    let location = call.location();
    let request = call.to_forward(endpoint.method);
    let limit = api.request_timeout;
    let answered = timeout(limit, (endpoint.handler)(api.clone(), call)).await;
    let target = match answered {
        Ok(Ok(answer)) => return Ok(answer.into_response(&location)),
        Ok(Err(Failure::Rest(error))) => return Err(error),
        Ok(Err(Failure::Request(error))) if !endpoint.forwards => return Err(RestError::of_request(&error, false)),
        Ok(Err(Failure::Request(error))) => forward_flag.target(error)?,
        Err(_) => {
            let stage = api.herder.stage();
            return Err(RestError::internal(match stage {
                Some(stage) => format!("Request timed out. {stage}"),
                None => "Request timed out".to_owned(),
            }));
        }
    };
    let forwarded = timeout(FORWARD_TIMEOUT, forward(&api.client, &target, &request)).await;
    let mut answer = forwarded.unwrap_or_else(|_| Err(RestError::internal("Request timed out")))?;
    // The other worker may show what this one does not.
    if api.masks_secrets && endpoint.config_at.is_some() {
        answer = secrets::mask_answer(answer);
    }
    Ok(answer.into_response(&location))
}

/// 415 and 406, in JAX-RS' order.
fn check_media_types(endpoint: &Endpoint, headers: &HeaderMap, is_empty: bool) -> Result<(), RestError> {
    // Nothing is unpacked: a few bytes could become gigabytes.
    let encoding = headers.get(header::CONTENT_ENCODING);
    if encoding.is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Err(RestError::new(415, "A body must not be compressed (Content-Encoding)"));
    }
    let has_consumes = !["/", "/health", "/openapi.json"].contains(&endpoint.path);
    match headers.get(header::CONTENT_TYPE) {
        Some(given) if has_consumes && !fits_json(given) => {
            return Err(RestError::routing(StatusCode::UNSUPPORTED_MEDIA_TYPE));
        }
        // Found out when the body is to be read.
        Some(given) if endpoint.reads_body && !is_json(given) => {
            return Err(RestError::status(StatusCode::UNSUPPORTED_MEDIA_TYPE));
        }
        None if endpoint.reads_body && !is_empty => {
            return Err(RestError::status(StatusCode::UNSUPPORTED_MEDIA_TYPE));
        }
        _ => {}
    }
    if !accepts_json(headers) {
        return Err(RestError::routing(StatusCode::NOT_ACCEPTABLE));
    }
    Ok(())
}

/// The methods of a path in the order of Java's hash set.
const METHOD_ORDER: &[&str] = &["HEAD", "DELETE", "POST", "GET", "OPTIONS", "PUT", "PATCH"];

fn allowed_methods(methods: &[&'static Endpoint]) -> Response {
    let has = |name: &str| methods.iter().any(|endpoint| endpoint.method == name);
    let is_allowed = |name: &&&str| **name == "OPTIONS" || has(if **name == "HEAD" { "GET" } else { name });
    let names: Vec<&str> = METHOD_ORDER.iter().filter(is_allowed).copied().collect();
    let headers = [
        (header::ALLOW, names.join(",")),
        (header::CONTENT_TYPE, "text/plain".to_owned()),
    ];
    (headers, names.join(", ")).into_response()
}

fn without_body(answer: Response) -> Response {
    let (mut head, body) = answer.into_parts();
    if let Some(length) = body.size_hint().exact() {
        head.headers.insert(header::CONTENT_LENGTH, length.into());
    }
    Response::from_parts(head, Body::empty())
}
