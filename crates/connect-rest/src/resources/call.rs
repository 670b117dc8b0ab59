use std::{fmt, sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request},
    response::Response,
};
use bytes::Bytes;
use connect_plugins::{PluginRegistry, ValidationContext};
use connect_runtime::{
    herder::{HerderHandle, InternalRequest, RequestError},
    storage::config::RawConfig,
};
use serde::Serialize;

use super::{REQUEST_TIMEOUT, expansions::Expansions};
use crate::{
    body::Bodies,
    client::Client,
    error::{JSON, RestError},
    forward::Forwarded,
    listener::Protocol,
    loggers::Loggers,
    login::Login,
    secrets,
    uri::{decode, encode_path, query_pairs},
};

/// `/health` says sooner than others that nobody answers.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(10);

/// What the endpoints work with.
pub struct Api {
    pub(crate) herder: HerderHandle,
    pub(crate) worker: Option<Worker>,
    /// The only settings of connectors that may be changed; `None`: all.
    pub(crate) changeable: Option<Vec<&'static str>>,
    pub(crate) bodies: Bodies,
    pub(crate) request_timeout: Duration,
    pub(crate) health_timeout: Duration,
    /// Host and port for a client that names none.
    pub(crate) authority: String,
    /// Asks other workers.
    pub(crate) client: Client,
    /// `None`: everybody may ask everything.
    pub(crate) login: Option<Arc<Login>>,
    pub(crate) masks_secrets: bool,
    pub(crate) expansions: Expansions,
}

/// What a worker has besides its herder.
pub(crate) struct Worker {
    pub(crate) plugins: Arc<PluginRegistry>,
    pub(crate) validation: ValidationContext,
    pub(crate) loggers: Arc<Loggers>,
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api")
            .field("authority", &self.authority)
            .finish_non_exhaustive()
    }
}

impl Api {
    /// The API of the worker whose herder this is. `validation` says by what worker connectors are judged.
    pub fn new(
        herder: HerderHandle,
        plugins: Arc<PluginRegistry>,
        validation: ValidationContext,
        loggers: Arc<Loggers>,
    ) -> Self {
        let worker = Worker {
            plugins,
            validation,
            loggers,
        };
        Self {
            worker: Some(worker),
            ..Self::of_flow(herder)
        }
    }

    /// What is asked of a flow's herder.
    pub(crate) fn of_flow(herder: HerderHandle) -> Self {
        Self {
            herder,
            worker: None,
            changeable: None,
            bodies: Bodies::default(),
            request_timeout: REQUEST_TIMEOUT,
            health_timeout: HEALTH_TIMEOUT,
            authority: "localhost:8083".to_owned(),
            client: Client::new(Err("there are no settings for it".into())),
            login: None,
            masks_secrets: false,
            expansions: Expansions::default(),
        }
    }

    /// A configuration as clients see it.
    pub(crate) fn shown(&self, config: RawConfig) -> RawConfig {
        match self.masks_secrets {
            true => secrets::mask(config),
            false => config,
        }
    }

    pub(crate) fn worker(&self) -> &Worker {
        self.worker
            .as_ref()
            .expect("a flow has no endpoints of plug-ins and loggers")
    }

    /// The same where only these settings of connectors may be changed.
    pub(crate) fn changing_only(mut self, settings: Vec<&'static str>) -> Self {
        self.changeable = Some(settings);
        self
    }

    pub(crate) fn may_change_settings(&self) -> bool {
        self.changeable.as_ref().is_none_or(|settings| !settings.is_empty())
    }

    /// Refuses a change of a setting that may not be changed.
    pub(crate) fn check_change<'a>(&self, mut settings: impl Iterator<Item = &'a String>) -> Result<(), RestError> {
        let Some(changeable) = &self.changeable else {
            return Ok(());
        };
        match settings.find(|setting| !changeable.contains(&setting.as_str())) {
            None => Ok(()),
            Some(refused) => {
                let allowed = changeable.join(", ");
                let message = format!("{refused} cannot be changed here: it stands in the file. Can be: {allowed}");
                Err(RestError::new(403, message))
            }
        }
    }
}

/// A request to an endpoint.
pub(crate) struct Call {
    pub(crate) body: Bytes,
    headers: HeaderMap,
    parameters: Vec<(&'static str, String)>,
    query: Vec<(String, String)>,
    path: String,
    protocol: Protocol,
    authority: String,
}

impl Call {
    pub(crate) fn new(
        template: &'static str,
        head: &request::Parts,
        body: Bytes,
        api: &Api,
    ) -> Result<Self, RestError> {
        let host = head
            .headers
            .get(header::HOST)
            .and_then(|host| host.to_str().ok())
            .filter(|host| !host.is_empty());
        let authority = head
            .uri
            .authority()
            .map(|authority| authority.as_str())
            .or(host)
            .unwrap_or(&api.authority);
        Ok(Self {
            body,
            headers: head.headers.clone(),
            parameters: parameters(template, head.uri.path())?,
            query: query_pairs(head.uri.query().unwrap_or_default()),
            path: head.uri.path().trim_end_matches('/').to_owned(),
            protocol: head.extensions.get().copied().unwrap_or(Protocol::Http),
            authority: authority.to_owned(),
        })
    }

    /// A part of the path.
    pub(crate) fn path(&self, name: &str) -> &str {
        let found = self.parameters.iter().find(|(parameter, _)| *parameter == name);
        found
            .map(|(_, value)| value.as_str())
            .expect("the endpoint's path has it")
    }

    /// The number of a task in the path. Another word is no path at all.
    pub(crate) fn task(&self) -> Result<i32, RestError> {
        self.path("task")
            .parse()
            .map_err(|_| RestError::status(StatusCode::NOT_FOUND))
    }

    /// The connector in the path, if it is one of a connector.
    pub(crate) fn connector(&self) -> Option<String> {
        let found = self.parameters.iter().find(|(parameter, _)| *parameter == "connector");
        found.map(|(_, value)| value.clone())
    }

    /// The first value of a query parameter.
    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// All values of a query parameter.
    pub(crate) fn queries<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.query
            .iter()
            .filter(move |(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// A yes or no: only `true` is yes.
    pub(crate) fn flag(&self, name: &str, default: bool) -> bool {
        match self.query(name) {
            Some(value) if !value.trim().is_empty() => value.eq_ignore_ascii_case("true"),
            _ => default,
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<String> {
        Some(String::from_utf8_lossy(self.headers.get(name)?.as_bytes()).into_owned())
    }

    /// The request as the herder checks it.
    pub(crate) fn internal(&self) -> InternalRequest {
        InternalRequest {
            body: self.body.clone(),
            authorization: self.header("X-Connect-Authorization"),
            algorithm: self.header("X-Connect-Request-Signature-Algorithm"),
        }
    }

    /// `http://<Host>/connectors/`, as the client came here.
    pub(super) fn location(&self) -> String {
        format!("{}://{}/connectors/", self.protocol, self.authority)
    }

    /// The request as another worker is asked it.
    pub(super) fn to_forward(&self, method: &'static str) -> Forwarded {
        let restart = ["includeTasks", "onlyFailed"];
        let restart = restart
            .iter()
            .filter_map(|name| Some((*name, self.query(name)?.to_owned())));
        Forwarded {
            method,
            path: self.path.clone(),
            query: if self.path.ends_with("/restart") {
                restart.collect()
            } else {
                Vec::new()
            },
            authorization: self.headers.get(header::AUTHORIZATION).cloned(),
            body: self.body.clone(),
        }
    }
}

/// What stands in a path where its template has names.
fn parameters(template: &'static str, path: &str) -> Result<Vec<(&'static str, String)>, RestError> {
    let mut parameters = Vec::new();
    for (name, value) in template.split('/').zip(path.split('/')) {
        if let Some(name) = name.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
            let value = decode(value).ok_or_else(|| RestError::bad_request("The path is not UTF-8"))?;
            parameters.push((name, value));
        }
    }
    Ok(parameters)
}

/// What an endpoint answers if all goes well.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// JSON.
    pub(crate) body: Option<Bytes>,
    /// The connector that has been created.
    created: Option<String>,
    header: Option<(HeaderName, HeaderValue)>,
}

impl Answer {
    pub(crate) fn json(entity: &impl Serialize) -> Self {
        Self::json_with(200, entity)
    }

    pub(crate) fn json_with(status: u16, entity: &impl Serialize) -> Self {
        let body = serde_json::to_vec(entity).expect("entities have texts for keys");
        Self {
            status,
            body: Some(body.into()),
            created: None,
            header: None,
        }
    }

    pub(crate) fn empty(status: u16) -> Self {
        Self {
            status,
            body: None,
            created: None,
            header: None,
        }
    }

    /// JSON that another worker has written.
    pub(crate) fn of_other(status: u16, body: Option<Bytes>) -> Self {
        Self {
            status,
            body,
            created: None,
            header: None,
        }
    }

    pub(crate) fn with_body(mut self, body: Bytes) -> Self {
        self.body = Some(body);
        self
    }

    pub(crate) fn creating(mut self, connector: &str) -> Self {
        self.created = Some(connector.to_owned());
        self
    }

    pub(super) fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.header = Some((name, value));
        self
    }

    /// JSON that is written already.
    pub(super) fn written(body: Bytes) -> Self {
        Self::of_other(200, Some(body))
    }

    pub(super) fn into_response(self, location: &str) -> Response {
        let is_typed = self.body.is_some();
        let mut answer = Response::new(self.body.map_or_else(Body::empty, Body::from));
        *answer.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::OK);
        let headers = answer.headers_mut();
        if is_typed {
            headers.insert(header::CONTENT_TYPE, JSON);
        }
        headers.extend(self.header);
        if let Some(connector) = self.created {
            let location = HeaderValue::from_str(&format!("{location}{}", encode_path(&connector)));
            headers.extend(location.map(|location| (header::LOCATION, location)));
        }
        answer
    }
}

/// Why an endpoint has no answer of its own.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The herder's reason; perhaps another worker has the answer.
    Request(RequestError),
    /// A reason of HTTP's.
    Rest(RestError),
}

impl From<RequestError> for Failure {
    fn from(error: RequestError) -> Self {
        Self::Request(error)
    }
}

impl From<RestError> for Failure {
    fn from(error: RestError) -> Self {
        Self::Rest(error)
    }
}
