use std::sync::Arc;

use tracing::warn;

use super::{Answer, Api, Call, Failure};
use crate::{
    entities::{LoggerLevel, read},
    error::RestError,
    loggers::Level,
};

pub(super) async fn list(api: Arc<Api>, _call: Call) -> Result<Answer, Failure> {
    Ok(Answer::json(&api.worker().loggers.all()))
}

pub(super) async fn get(api: Arc<Api>, call: Call) -> Result<Answer, Failure> {
    let logger = call.path("logger");
    let found = api.worker().loggers.get(logger);
    let found = found.ok_or_else(|| RestError::new(404, format!("Logger {logger} not found.")))?;
    Ok(Answer::json(&found))
}

pub(super) async fn set(api: Arc<Api>, call: Call) -> Result<Answer, Failure> {
    let logger = call.path("logger");
    let request: LoggerLevel = read(&call.body)?;
    let wanted = request
        .level()
        .ok_or_else(|| RestError::bad_request("Desired 'level' parameter was not specified in request."))?;
    let level = Level::parse(wanted).ok_or_else(|| RestError::new(404, format!("invalid log level '{wanted}'.")))?;
    match call.query("scope").unwrap_or("worker").to_lowercase().as_str() {
        "cluster" => {
            api.herder.put_logger_level_cluster(logger, level.name()).await?;
            return Ok(Answer::empty(204));
        }
        "worker" => {}
        scope => warn!(scope, "an unknown scope of a logger's level is taken for 'worker'"),
    }
    Ok(Answer::json(&api.worker().loggers.set_level(logger, level)))
}
