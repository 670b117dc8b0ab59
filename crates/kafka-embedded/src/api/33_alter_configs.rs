//! AlterConfigs, versions 0 to 2: replaces everything a topic has of its own.
//!
//! Left out: resources other than topics and brokers.

use std::collections::BTreeMap;

use kafka_protocol::error::ResponseError as E;
use kafka_protocol::messages::alter_configs_request::AlterConfigsResource;
use kafka_protocol::messages::alter_configs_response::AlterConfigsResourceResponse;
use kafka_protocol::messages::{AlterConfigsRequest, AlterConfigsResponse};

use super::incremental_alter_configs::{check, current, replace};
use super::{Call, text};
use crate::state::{Refusal, State};

pub(super) fn handle(state: &mut State, _: &Call<'_>, request: AlterConfigsRequest) -> AlterConfigsResponse {
    let validate_only = request.validate_only;
    answer(request, |resource| {
        let (resource_type, name) = (resource.resource_type, &resource.resource_name);
        current(state, resource_type, name)?;
        let mut configs = BTreeMap::new();
        for config in &resource.configs {
            check(
                resource_type,
                &config.name,
                config.value.as_ref().map(|value| value.as_str()),
            )?;
            configs.insert(
                config.name.to_string(),
                config.value.clone().unwrap_or_default().to_string(),
            );
        }
        if !validate_only {
            replace(state, resource_type, name, configs);
        }
        Ok(())
    })
}

pub(super) fn refuse(request: AlterConfigsRequest, error: E) -> AlterConfigsResponse {
    answer(request, |_| Err((error, error.to_string())))
}

fn answer(
    request: AlterConfigsRequest,
    mut alter: impl FnMut(&AlterConfigsResource) -> Result<(), Refusal>,
) -> AlterConfigsResponse {
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
    AlterConfigsResponse::default().with_responses(responses.collect())
}
