//! IncrementalAlterConfigs, versions 0 and 1, for topics and brokers.
//!
//! Left out: what is set for one broker counts for all of them; other resources are refused.

use std::collections::BTreeMap;

use kafka_protocol::error::ResponseError as E;
use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::messages::incremental_alter_configs_response::AlterConfigsResourceResponse;
use kafka_protocol::messages::{IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse};

use super::describe_configs::{BROKER, TOPIC};
use super::{Call, text};
use crate::configs;
use crate::state::{Refusal, State};

const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

pub(super) fn handle(
    state: &mut State,
    _: &Call<'_>,
    request: IncrementalAlterConfigsRequest,
) -> IncrementalAlterConfigsResponse {
    let validate_only = request.validate_only;
    answer(request, |resource| {
        let mut configs = current(state, resource.resource_type, &resource.resource_name)?;
        for config in &resource.configs {
            alter(state, resource.resource_type, &mut configs, config)?;
        }
        if !validate_only {
            replace(state, resource.resource_type, &resource.resource_name, configs);
        }
        Ok(())
    })
}

pub(super) fn refuse(request: IncrementalAlterConfigsRequest, error: E) -> IncrementalAlterConfigsResponse {
    answer(request, |_| Err((error, error.to_string())))
}

/// What a resource has of its own now.
pub(super) fn current(state: &State, resource_type: i8, name: &str) -> Result<BTreeMap<String, String>, Refusal> {
    match resource_type {
        TOPIC => match state.topic(name) {
            Ok(topic) => Ok(topic.configs.clone()),
            Err(error) => Err((error, error.to_string())),
        },
        BROKER => Ok(state.dynamic_configs.clone()),
        _ => Err((E::InvalidRequest, format!("Unexpected resource type {resource_type}"))),
    }
}

pub(super) fn replace(state: &mut State, resource_type: i8, name: &str, configs: BTreeMap<String, String>) {
    match resource_type {
        TOPIC => {
            if let Some(topic) = state.topics.get_mut(name) {
                topic.configs = configs;
            }
        }
        _ => state.dynamic_configs = configs,
    }
    state.refresh_rules();
}

pub(super) fn check(resource_type: i8, name: &str, value: Option<&str>) -> Result<(), Refusal> {
    let checked = match resource_type {
        TOPIC => configs::check_topic_config(name, value),
        _ => match configs::broker_key(name) {
            Some(key) if key.read_only => Err(format!("Cannot update these configs dynamically: {name}")),
            Some(_) => Ok(()),
            None => Err(format!("Unknown broker config name: {name}")),
        },
    };
    checked.map_err(|why| (E::InvalidConfig, why))
}

fn alter(
    state: &State,
    resource_type: i8,
    configs: &mut BTreeMap<String, String>,
    config: &AlterableConfig,
) -> Result<(), Refusal> {
    let name = config.name.as_str();
    let value = config.value.as_ref().map(|value| value.as_str());
    let changed = match config.config_operation {
        DELETE => {
            configs.remove(name);
            return Ok(());
        }
        SET => value.map(str::to_owned),
        APPEND | SUBTRACT => {
            let now = match resource_type {
                TOPIC => state.topic_config(configs, name),
                _ => configs
                    .get(name)
                    .map(String::as_str)
                    .or_else(|| state.broker_config(name)),
            };
            let appends = config.config_operation == APPEND;
            value.map(|value| with_items(now.unwrap_or_default(), value, appends))
        }
        unknown => return Err((E::InvalidRequest, format!("Unknown operation {unknown} on {name}"))),
    };
    check(resource_type, name, changed.as_deref())?;
    configs.extend(changed.map(|value| (name.to_owned(), value)));
    Ok(())
}

/// A list with some items more, or without them.
fn with_items(list: &str, items: &str, appends: bool) -> String {
    let split = |list: &str| {
        list.split(',')
            .filter(|item| !item.is_empty())
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let items = split(items);
    let mut result = split(list);
    result.retain(|item| !items.contains(item));
    if appends {
        result.extend(items);
    }
    result.join(",")
}

fn answer(
    request: IncrementalAlterConfigsRequest,
    mut alter: impl FnMut(&AlterConfigsResource) -> Result<(), Refusal>,
) -> IncrementalAlterConfigsResponse {
    let responses = request.resources.into_iter().map(|resource| {
        let altered = alter(&resource);
        let response = AlterConfigsResourceResponse::default()
            .with_error_message(None)
            .with_resource_type(resource.resource_type)
            .with_resource_name(resource.resource_name);
        match altered {
            Ok(()) => response,
            Err((error, why)) => response
                .with_error_code(error.code())
                .with_error_message(Some(text(&why))),
        }
    });
    IncrementalAlterConfigsResponse::default().with_responses(responses.collect())
}

#[cfg(test)]
mod tests {
    use super::with_items;

    #[test]
    fn items_come_and_go() {
        assert_eq!(with_items("delete", "compact", true), "delete,compact");
        assert_eq!(with_items("delete", "delete", true), "delete");
        assert_eq!(with_items("delete,compact", "delete", false), "compact");
        assert_eq!(with_items("", "a,b", true), "a,b");
    }
}
