use std::sync::Arc;

use axum::http::{HeaderValue, header};
use serde::Serialize;
use tokio::time::timeout;

use super::{Answer, Api, Call, Failure};
use crate::{KAFKA_VERSION, entities::ServerInfo, openapi};

/// Of the Kafka that this worker stands in for.
const COMMIT: &str = "26b251a451ce941d";
/// Where programs find out more (RFC 8631); the body is Kafka's.
const DESCRIPTION: HeaderValue = HeaderValue::from_static("</openapi.json>; rel=\"service-desc\"");

pub(super) async fn server_info(api: Arc<Api>, _call: Call) -> Result<Answer, Failure> {
    let kafka_cluster_id = api.herder.kafka_cluster_id();
    let info = ServerInfo {
        version: KAFKA_VERSION,
        commit: COMMIT,
        kafka_cluster_id,
    };
    Ok(Answer::json(&info).with(header::LINK, DESCRIPTION))
}

#[derive(Serialize)]
struct WorkerStatus {
    status: &'static str,
    message: String,
}

pub(super) async fn health(api: Arc<Api>, _call: Call) -> Result<Answer, Failure> {
    let answered = timeout(api.health_timeout, api.herder.ping()).await;
    let (code, status, message) = match answered {
        Ok(Ok(())) => (
            200,
            "healthy",
            "Worker has completed startup and is ready to handle requests.",
        ),
        Err(_) if !api.herder.has_started() => (503, "starting", "Worker is still starting up."),
        Err(_) => (
            500,
            "unhealthy",
            "Worker was unable to handle this request and may be unable to handle other requests.",
        ),
        Ok(Err(error)) => return Err(error.into()),
    };
    let mut message = message.to_owned();
    if let Some(stage) = api.herder.stage().filter(|_| code != 200) {
        message.push_str(&format!(" {stage}"));
    }
    Ok(Answer::json_with(code, &WorkerStatus { status, message }))
}

pub(super) async fn openapi(_api: Arc<Api>, _call: Call) -> Result<Answer, Failure> {
    Ok(Answer::written(openapi::DOCUMENT.clone()))
}
