use std::sync::Arc;

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    routing::{MethodRouter, get},
};
use connect_runtime::herder::RequestError;
use futures_util::future::join_all;
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
    let (code, status) = worker_status(&api).await?;
    Ok(Answer::json_with(code, &status))
}

async fn worker_status(api: &Api) -> Result<(u16, WorkerStatus), RequestError> {
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
        Ok(Err(error)) => return Err(error),
    };
    let mut message = message.to_owned();
    if let Some(stage) = api.herder.stage().filter(|_| code != 200) {
        message.push_str(&format!(" {stage}"));
    }
    Ok((code, WorkerStatus { status, message }))
}

/// How a process with several flows is: as the worst of them. Each is asked under its path.
pub(crate) fn flows_health(flows: Vec<(String, Arc<Api>)>) -> MethodRouter {
    let flows: Arc<[(String, Arc<Api>)]> = flows.into();
    get(move || {
        let flows = flows.clone();
        async move {
            // At the same time: one that does not answer takes its whole time.
            let asked = flows.iter().map(async |(path, api)| (path, worker_status(api).await));
            let (mut worst, mut statuses) = (StatusCode::OK, serde_json::Map::new());
            for (path, answered) in join_all(asked).await {
                let (code, status) = answered.unwrap_or_else(|error| {
                    let message = error.to_string();
                    let status = "unhealthy";
                    (500, WorkerStatus { status, message })
                });
                match code {
                    200 => {}
                    503 if worst == StatusCode::OK => worst = StatusCode::SERVICE_UNAVAILABLE,
                    503 => {}
                    _ => worst = StatusCode::INTERNAL_SERVER_ERROR,
                }
                statuses.insert(path.clone(), serde_json::json!(status));
            }
            let status = match worst {
                StatusCode::OK => "healthy",
                StatusCode::SERVICE_UNAVAILABLE => "starting",
                _ => "unhealthy",
            };
            (worst, Json(serde_json::json!({ "status": status, "flows": statuses })))
        }
    })
}

pub(super) async fn openapi(_api: Arc<Api>, _call: Call) -> Result<Answer, Failure> {
    Ok(Answer::written(openapi::DOCUMENT.clone()))
}
