use std::sync::Arc;

use connect_plugins::PluginError;

use super::{Answer, Api, Call, Failure};
use crate::{
    entities::{ConnectorConfig, read},
    error::RestError,
};

const CONNECTOR_CLASS: &str = "connector.class";

pub(super) async fn list(api: Arc<Api>, call: Call) -> Result<Answer, Failure> {
    Ok(Answer::json(
        &api.worker().plugins.plugins(call.flag("connectorsOnly", true)),
    ))
}

pub(super) async fn config(api: Arc<Api>, call: Call) -> Result<Answer, Failure> {
    let keys = api
        .worker()
        .plugins
        .config_keys(call.path("plugin"), call.query("version"));
    Ok(Answer::json(&keys.map_err(plugin_error)?))
}

pub(super) async fn validate(api: Arc<Api>, call: Call) -> Result<Answer, Failure> {
    let requested = call.path("plugin");
    let ConnectorConfig(config) = read(&call.body)?;
    if let Some(Some(class)) = config.get(CONNECTOR_CLASS)
        && !without_suffix(class).ends_with(without_suffix(requested))
    {
        return Err(Failure::Rest(RestError::bad_request(format!(
            "Included connector type {class} does not match request type {requested}"
        ))));
    }
    let infos = api
        .worker()
        .plugins
        .validate_connector(&config, &api.worker().validation);
    Ok(Answer::json(&infos.map_err(plugin_error)?))
}

fn without_suffix(class: &str) -> &str {
    class.strip_suffix("Connector").unwrap_or(class)
}

/// Java wraps what is wrong with a class in a 500; here it keeps its 400.
fn plugin_error(error: PluginError) -> RestError {
    let status = match error {
        PluginError::NotFound(_) => 404,
        PluginError::BadRequest(_) => 400,
        PluginError::Internal(_) => 500,
    };
    RestError::new(status, error.to_string())
}
