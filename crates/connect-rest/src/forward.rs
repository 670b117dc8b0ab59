//! Requests that another worker has to answer: the leader, or the owner of a connector or task.

use axum::http::{HeaderMap, HeaderValue, Method, header};
use bytes::Bytes;
use connect_api::BoxFuture;
use connect_runtime::herder::{RequestError, RequestSignature, WorkerClient, WorkerClientError};
use serde::Deserialize;

use crate::{
    client::{Client, OtherAnswer},
    error::{JSON, RestError},
    resources::Answer,
    uri::encode_segment,
};

const NO_LEADER_URL: &str =
    "Cannot complete request momentarily due to no known leader URL, likely because a rebalance was underway.";
const CONFLICT: &str = "Cannot complete request because of a conflicting operation (e.g. worker rebalance)";

/// How far a request has come already: `forward` in its query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ForwardFlag {
    /// A client sent it.
    FromClient,
    /// A worker sent it, and thought that this one is right.
    Once,
    /// A worker sent it that had got it from a worker.
    Twice,
}

/// Who to ask, and whether that worker may ask another.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Target {
    url: String,
    may_forward: bool,
}

/// A request for another worker.
#[derive(Debug)]
pub(crate) struct Forwarded {
    pub(crate) method: &'static str,
    /// As it came, with its escapes.
    pub(crate) path: String,
    pub(crate) query: Vec<(&'static str, String)>,
    pub(crate) authorization: Option<HeaderValue>,
    pub(crate) body: Bytes,
}

impl ForwardFlag {
    pub(crate) fn of(query: Option<&str>) -> Self {
        match query {
            Some(value) if value.trim().is_empty() => Self::FromClient,
            None => Self::FromClient,
            Some(value) if value.eq_ignore_ascii_case("true") => Self::Once,
            Some(_) => Self::Twice,
        }
    }

    /// Who is to answer instead of this worker, if it is a matter of who answers.
    pub(crate) fn target(self, error: RequestError) -> Result<Target, RestError> {
        let RequestError::Forward { url } = error else {
            return Err(RestError::of_request(&error, true));
        };
        if self == Self::Twice {
            return Err(RestError::new(409, CONFLICT));
        }
        let url = url.ok_or_else(|| RestError::new(409, NO_LEADER_URL))?;
        Ok(Target {
            url,
            may_forward: self == Self::FromClient,
        })
    }
}

/// What other workers say when something is wrong.
#[derive(Debug, Deserialize)]
struct ErrorMessage {
    error_code: i64,
    message: Option<String>,
}

/// Asks another worker, and answers what it answers.
pub(crate) async fn forward(client: &Client, target: &Target, request: &Forwarded) -> Result<Answer, RestError> {
    let mut url = format!(
        "{}{}?forward={}",
        target.url.trim_end_matches('/'),
        request.path,
        target.may_forward
    );
    for (name, value) in &request.query {
        url.push_str(&format!("&{name}={}", encode_segment(value)));
    }
    let mut headers = HeaderMap::new();
    headers.extend(
        request
            .authorization
            .clone()
            .map(|value| (header::AUTHORIZATION, value)),
    );
    headers.extend((!request.body.is_empty()).then_some((header::CONTENT_TYPE, JSON)));
    let method = Method::from_bytes(request.method.as_bytes()).expect("the table has methods");
    let answer = client.ask(method, &url, headers, request.body.clone()).await;
    let answer = answer.map_err(|error| io_error(&error))?;
    match answer.status {
        204 => Ok(Answer::empty(204)),
        200..=299 => Ok(succeeded(answer)),
        400.. => Err(failed(&answer)),
        other => Err(RestError::internal(format!(
            "Unexpected status code when handling forwarded request: {other}"
        ))),
    }
}

fn succeeded(answer: OtherAnswer) -> Answer {
    #[derive(Deserialize)]
    struct Named {
        name: String,
    }

    // Only a connector is ever created, and its answer names it.
    let created = serde_json::from_slice::<Named>(&answer.body)
        .ok()
        .filter(|_| answer.status == 201);
    let body = Some(answer.body).filter(|body| !body.is_empty());
    let passed_on = Answer::of_other(answer.status, body);
    match created {
        Some(created) => passed_on.creating(&created.name),
        None => passed_on,
    }
}

fn failed(answer: &OtherAnswer) -> RestError {
    match serde_json::from_slice::<ErrorMessage>(&answer.body) {
        Ok(said) => RestError::new(answer.status, said.message.unwrap_or_default()).with_code(said.error_code),
        Err(error) => io_error(&format_args!(
            "its answer of status {} is not Connect's: {error}",
            answer.status
        )),
    }
}

fn io_error(error: &dyn std::fmt::Display) -> RestError {
    RestError::internal(format!("IO Error trying to forward REST request: {error}"))
}

/// Asks the leader what a worker needs of it: [`WorkerClient`] over HTTP.
#[derive(Clone, Debug)]
pub struct RestClient(Client);

impl RestClient {
    pub(crate) fn new(client: Client) -> Self {
        Self(client)
    }

    async fn ask(
        &self,
        method: Method,
        url: String,
        body: Bytes,
        signature: Option<RequestSignature>,
    ) -> Result<(), WorkerClientError> {
        let failed = |status, message: String| WorkerClientError { status, message };
        let mut headers = HeaderMap::new();
        headers.extend((!body.is_empty()).then_some((header::CONTENT_TYPE, JSON)));
        if let Some(signature) = signature {
            let value = |text: &str| {
                HeaderValue::from_str(text).map_err(|_| failed(None, "the signature is no header".to_owned()))
            };
            headers.insert("X-Connect-Authorization", value(&signature.authorization)?);
            headers.insert("X-Connect-Request-Signature-Algorithm", value(&signature.algorithm)?);
        }
        let answer = self.0.ask(method, &url, headers, body).await;
        let answer = answer.map_err(|error| failed(None, error.to_string()))?;
        match answer.status {
            200..=299 => Ok(()),
            400.. => Err(failed(Some(answer.status), self::failed(&answer).message.into_owned())),
            other => Err(failed(Some(other), format!("Unexpected status code: {other}"))),
        }
    }
}

fn internal_url(leader_url: &str, connector: &str, what: &str) -> String {
    let leader_url = leader_url.trim_end_matches('/');
    format!("{leader_url}/connectors/{}/{what}", encode_segment(connector))
}

impl WorkerClient for RestClient {
    fn put_task_configs<'a>(
        &'a self,
        leader_url: &'a str,
        connector: &'a str,
        body: Bytes,
        signature: Option<RequestSignature>,
    ) -> BoxFuture<'a, Result<(), WorkerClientError>> {
        let url = internal_url(leader_url, connector, "tasks");
        Box::pin(self.ask(Method::POST, url, body, signature))
    }

    fn fence_zombies<'a>(
        &'a self,
        leader_url: &'a str,
        connector: &'a str,
        signature: Option<RequestSignature>,
    ) -> BoxFuture<'a, Result<(), WorkerClientError>> {
        let url = internal_url(leader_url, connector, "fence");
        Box::pin(self.ask(Method::PUT, url, Bytes::new(), signature))
    }
}

/// Asks the leader of one flow in MirrorMaker's dedicated mode, where a server serves several:
/// `<leader_url><source>/<target>/connectors/…`.
#[derive(Clone, Debug)]
pub struct FlowClient {
    path: String,
    client: RestClient,
}

impl FlowClient {
    /// The client of the flow from `source` to `target`.
    pub(crate) fn new(source: &str, target: &str, client: Client) -> Self {
        Self {
            path: flow_path(source, target),
            client: RestClient::new(client),
        }
    }

    fn url(&self, leader_url: &str, connector: &str, what: &str) -> String {
        let leader_url = format!("{}{}", leader_url.trim_end_matches('/'), self.path);
        internal_url(&leader_url, connector, what)
    }
}

/// Where a server has the endpoints of a flow.
pub(crate) fn flow_path(source: &str, target: &str) -> String {
    format!("/{}/{}", encode_segment(source), encode_segment(target))
}

impl WorkerClient for FlowClient {
    fn put_task_configs<'a>(
        &'a self,
        leader_url: &'a str,
        connector: &'a str,
        body: Bytes,
        signature: Option<RequestSignature>,
    ) -> BoxFuture<'a, Result<(), WorkerClientError>> {
        let url = self.url(leader_url, connector, "tasks");
        Box::pin(self.client.ask(Method::POST, url, body, signature))
    }

    fn fence_zombies<'a>(
        &'a self,
        leader_url: &'a str,
        connector: &'a str,
        signature: Option<RequestSignature>,
    ) -> BoxFuture<'a, Result<(), WorkerClientError>> {
        let url = self.url(leader_url, connector, "fence");
        Box::pin(self.client.ask(Method::PUT, url, Bytes::new(), signature))
    }
}
