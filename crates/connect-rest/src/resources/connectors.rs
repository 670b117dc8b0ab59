use std::sync::Arc;

use connect_runtime::{
    herder::{self, Put, RestartAnswer},
    storage::config::RawConfig,
    worker::ConnectorTaskId,
};
use serde_json::json;

use super::{
    Answer, Api, Call, Failure,
    expansions::{self, Expansion},
};
use crate::{
    entities::{
        ConnectorConfig, ConnectorInfo, ConnectorOffsets, ConnectorStateInfo, CreateConnectorRequest, Message,
        OffsetsRequest, TaskInfo, TaskState, read,
    },
    error::RestError,
};

const NAME: &str = "name";

pub(super) async fn list(api: Arc<Api>, call: Call) -> Result<Answer, Failure> {
    if call.query("expand").is_none() {
        return Ok(Answer::json(&api.herder.connectors().await?));
    }
    let asked = Expansion::asked(call.queries("expand"));
    let infos = api.herder.connector_infos().await?;
    let statuses = match asked.contains(&Expansion::Status) {
        true => api.herder.statuses().await?,
        false => Vec::new(),
    };
    let mut connectors: Vec<(&str, Vec<_>)> = infos.iter().map(|info| (info.name.as_str(), Vec::new())).collect();
    for expansion in asked {
        let json = match expansion {
            Expansion::Info => {
                let written = &api.expansions.infos;
                written.json(&infos, |info| &info.name, |info| shown(&api, info.clone()))
            }
            Expansion::Status => {
                let written = &api.expansions.statuses;
                let entity = |status: &herder::ConnectorStateInfo| ConnectorStateInfo::from(status.clone());
                written.json(&statuses, |status| &status.name, entity)
            }
        };
        // One without a status is new, or about to go.
        connectors.retain_mut(|(name, told)| match json.get(name) {
            Some(json) => {
                told.push((expansion, json.clone()));
                true
            }
            None => false,
        });
    }
    Ok(Answer::written(expansions::object(&connectors)))
}

pub(super) async fn create(api: Arc<Api>, call: Call) -> Result<Answer, Failure> {
    let request: CreateConnectorRequest = read(&call.body)?;
    let name = request.name().to_owned();
    let initial_state = request.initial_state()?;
    let config = named(&name, request.into_config()?)?;
    let put = api.herder.put_connector(&name, config, initial_state, false).await?;
    Ok(answer_put(&api, put, &name))
}

pub(super) async fn put_config(api: Arc<Api>, call: Call) -> Result<Answer, Failure> {
    let name = call.path("connector");
    let ConnectorConfig(config) = read(&call.body)?;
    let put = api.herder.put_connector(name, named(name, config)?, None, true).await?;
    Ok(answer_put(&api, put, name))
}

pub(super) async fn patch_config(api: Arc<Api>, call: Call) -> Result<Answer, Failure> {
    let name = call.path("connector");
    let ConnectorConfig(patch) = read(&call.body)?;
    api.check_change(patch.keys())?;
    let put = api.herder.patch_connector(name, patch).await?;
    Ok(answer_put(&api, Put { created: false, ..put }, name))
}

/// A configuration that says its own name, which has to be the one it is stored under.
fn named(name: &str, mut config: RawConfig) -> Result<RawConfig, RestError> {
    match config.get(NAME) {
        None | Some(None) => {
            config.insert(NAME.to_owned(), Some(name.to_owned()));
        }
        Some(Some(own)) if own == name => {}
        Some(Some(own)) => {
            return Err(RestError::bad_request(format!(
                "Connector name configuration ({own}) doesn't match connector name in the URL ({name})"
            )));
        }
    }
    Ok(config)
}

/// A connector as clients see it.
fn shown(api: &Api, info: herder::ConnectorInfo) -> ConnectorInfo {
    let config = api.shown(Arc::unwrap_or_clone(info.config));
    ConnectorInfo::new(info.name, config, info.tasks, info.kind)
}

fn answer_put(api: &Api, put: Put, name: &str) -> Answer {
    let info = shown(api, put.info);
    if put.created {
        Answer::json_with(201, &info).creating(name)
    } else {
        Answer::json(&info)
    }
}

pub(super) async fn info(api: Arc<Api>, call: Call) -> Result<Answer, Failure> {
    let info = api.herder.connector_info(call.path("connector")).await?;
    Ok(Answer::json(&shown(&api, info)))
}

pub(super) async fn config(api: Arc<Api>, call: Call) -> Result<Answer, Failure> {
    let config = api.herder.connector_config(call.path("connector")).await?;
    Ok(Answer::json(&api.shown(Arc::unwrap_or_clone(config))))
}

pub(super) async fn delete(api: Arc<Api>, call: Call) -> Result<Answer, Failure> {
    api.herder.delete_connector(call.path("connector")).await?;
    Ok(Answer::empty(204))
}

pub(super) async fn status(api: Arc<Api>, call: Call) -> Result<Answer, Failure> {
    let status = api.herder.status(call.path("connector")).await?;
    Ok(Answer::json(&ConnectorStateInfo::from(status)))
}

pub(super) async fn pause(api: Arc<Api>, call: Call) -> Result<Answer, Failure> {
    api.herder.pause(call.path("connector")).await?;
    Ok(Answer::empty(202))
}

pub(super) async fn resume(api: Arc<Api>, call: Call) -> Result<Answer, Failure> {
    api.herder.resume(call.path("connector")).await?;
    Ok(Answer::empty(202))
}

pub(super) async fn stop(api: Arc<Api>, call: Call) -> Result<Answer, Failure> {
    api.herder.stop(call.path("connector")).await?;
    Ok(Answer::empty(204))
}

pub(super) async fn restart(api: Arc<Api>, call: Call) -> Result<Answer, Failure> {
    let (include_tasks, only_failed) = (call.flag("includeTasks", false), call.flag("onlyFailed", false));
    let restarted = api
        .herder
        .restart_connector(call.path("connector"), include_tasks, only_failed)
        .await?;
    Ok(match restarted {
        RestartAnswer::Done => Answer::empty(204),
        RestartAnswer::Accepted(status) => Answer::json_with(202, &ConnectorStateInfo::from(status)),
    })
}

pub(super) async fn tasks(api: Arc<Api>, call: Call) -> Result<Answer, Failure> {
    let tasks = api.herder.task_configs(call.path("connector")).await?;
    let tasks = tasks.into_iter().map(|(id, config)| TaskInfo {
        id: id.into(),
        config: api.shown(config),
    });
    Ok(Answer::json(&tasks.collect::<Vec<_>>()))
}

pub(super) async fn task_status(api: Arc<Api>, call: Call) -> Result<Answer, Failure> {
    let id = ConnectorTaskId::new(call.path("connector"), call.task()?);
    let state = api.herder.task_status(&id).await?.into();
    Ok(Answer::json(&TaskState { id: id.task, state }))
}

pub(super) async fn restart_task(api: Arc<Api>, call: Call) -> Result<Answer, Failure> {
    let id = ConnectorTaskId::new(call.path("connector"), call.task()?);
    api.herder.restart_task(id).await?;
    Ok(Answer::empty(204))
}

pub(super) async fn topics(api: Arc<Api>, call: Call) -> Result<Answer, Failure> {
    let name = call.path("connector");
    let topics = api.herder.active_topics(name).await?;
    Ok(Answer::json(&json!({name: {"topics": topics}})))
}

pub(super) async fn reset_topics(api: Arc<Api>, call: Call) -> Result<Answer, Failure> {
    api.herder.reset_active_topics(call.path("connector")).await?;
    Ok(Answer::empty(202))
}

pub(super) async fn offsets(api: Arc<Api>, call: Call) -> Result<Answer, Failure> {
    let offsets = api.herder.offsets(call.path("connector")).await?;
    Ok(Answer::json(&ConnectorOffsets::from(offsets)))
}

pub(super) async fn alter_offsets(api: Arc<Api>, call: Call) -> Result<Answer, Failure> {
    let offsets = read::<OffsetsRequest>(&call.body)?.into_offsets()?;
    let message = api.herder.alter_offsets(call.path("connector"), offsets).await?;
    Ok(Answer::json(&Message { message }))
}

pub(super) async fn reset_offsets(api: Arc<Api>, call: Call) -> Result<Answer, Failure> {
    let message = api.herder.reset_offsets(call.path("connector")).await?;
    Ok(Answer::json(&Message { message }))
}
