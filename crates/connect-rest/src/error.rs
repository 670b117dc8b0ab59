//! What went wrong, as a status and Kafka's JSON. The only place where an error becomes a status.

use std::borrow::Cow;

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use connect_runtime::herder::RequestError;
use serde_json::json;

/// An answer that says why not: `{"error_code", "message"}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RestError {
    pub(crate) status: u16,
    /// The status, but for what another worker has said.
    pub(crate) code: i64,
    pub(crate) message: Cow<'static, str>,
    form: Form,
}

/// How an error is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Json,
    /// Errors of routing have no content type, as Jersey writes them.
    Untyped,
    /// Who has to log in is told in a sentence, which is called JSON, as in Kafka.
    Sentence,
}

impl RestError {
    pub(crate) fn new(status: u16, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            code: status.into(),
            message: message.into(),
            form: Form::Json,
        }
    }

    /// Who asks is unknown.
    pub(crate) fn unauthorized() -> Self {
        Self {
            form: Form::Sentence,
            ..Self::new(401, "User cannot access the resource.")
        }
    }

    /// With the code that another worker has given.
    pub(crate) fn with_code(mut self, code: i64) -> Self {
        self.code = code;
        self
    }

    pub(crate) fn bad_request(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(400, message)
    }

    pub(crate) fn internal(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(500, message)
    }

    /// `HTTP <code> <reason>`, what JAX-RS says by itself.
    pub(crate) fn status(status: StatusCode) -> Self {
        let reason = status.canonical_reason().unwrap_or_default();
        Self::new(status.as_u16(), format!("HTTP {} {reason}", status.as_u16()))
    }

    /// Likewise, before a method of a resource was chosen.
    pub(crate) fn routing(status: StatusCode) -> Self {
        Self {
            form: Form::Untyped,
            ..Self::status(status)
        }
    }

    /// What a herder's refusal is over HTTP. `forwards`: whether another worker could be asked.
    pub(crate) fn of_request(error: &RequestError, forwards: bool) -> Self {
        let status = match error {
            RequestError::NotFound(_) => 404,
            RequestError::AlreadyExists(_) | RequestError::Conflict(_) | RequestError::Forward { .. } => 409,
            RequestError::BadRequest(_) => 400,
            RequestError::Forbidden(_) => 403,
            RequestError::Unavailable(_) => 503,
            RequestError::RebalanceNeeded(_) if forwards => return Self::new(409, STALE_CONFIGURATION),
            RequestError::RebalanceNeeded(_) | RequestError::ShuttingDown | RequestError::Internal(_) => 500,
        };
        Self::new(status, error.to_string())
    }

    /// The answer, after which the connection is closed.
    pub(crate) fn closing(self) -> Response {
        let mut answer = self.into_response();
        answer
            .headers_mut()
            .insert(header::CONNECTION, HeaderValue::from_static("close"));
        answer
    }
}

const STALE_CONFIGURATION: &str =
    "Cannot complete request momentarily due to stale configuration (typically caused by a concurrent config change)";

impl IntoResponse for RestError {
    fn into_response(self) -> Response {
        let body = match self.form {
            Form::Sentence => self.message.into_owned(),
            Form::Json | Form::Untyped => json!({"error_code": self.code, "message": self.message}).to_string(),
        };
        let mut answer = Response::new(Body::from(body));
        *answer.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = answer.headers_mut();
        if self.form != Form::Untyped {
            headers.insert(header::CONTENT_TYPE, JSON);
        }
        if self.form == Form::Sentence {
            headers.insert(header::WWW_AUTHENTICATE, HOW_TO_LOG_IN);
        }
        answer
    }
}

const HOW_TO_LOG_IN: HeaderValue = HeaderValue::from_static("Basic realm=\"Kafka Connect\", charset=\"UTF-8\"");

/// `application/json`.
pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");
