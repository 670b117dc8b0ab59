//! DescribeConfigs, versions 1 to 4: topics and brokers, with the names, types and defaults of Kafka 4.3.
//!
//! Left out: documentation, and other resources than topics and brokers (their configurations are empty).

use kafka_protocol::error::ResponseError as E;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use kafka_protocol::messages::{DescribeConfigsRequest, DescribeConfigsResponse};

use super::{Call, text};
use crate::configs::{self, ConfigKey, Source};
use crate::state::{Refusal, State};
use crate::topic::Topic;

pub(super) const TOPIC: i8 = 2;
pub(super) const BROKER: i8 = 4;

/// One configuration as it stands, with everything that could have set it, nearest first.
pub(super) struct Entry<'a> {
    pub(super) key: &'static ConfigKey,
    pub(super) value: Option<&'a str>,
    pub(super) source: Source,
    synonyms: Vec<(&'static str, &'a str, Source)>,
}

pub(super) fn handle(state: &mut State, _: &Call<'_>, request: DescribeConfigsRequest) -> DescribeConfigsResponse {
    let include_synonyms = request.include_synonyms;
    answer(request, |resource| {
        let entries = entries(state, resource)?;
        let wanted = |entry: &Entry<'_>| match &resource.configuration_keys {
            Some(keys) => keys.iter().any(|key| key.as_str() == entry.key.name),
            None => true,
        };
        let configs = entries
            .into_iter()
            .filter(wanted)
            .map(|entry| result(&entry, include_synonyms));
        Ok(configs.collect())
    })
}

pub(super) fn refuse(request: DescribeConfigsRequest, error: E) -> DescribeConfigsResponse {
    answer(request, |_| Err((error, error.to_string())))
}

fn entries<'a>(state: &'a State, resource: &DescribeConfigsResource) -> Result<Vec<Entry<'a>>, Refusal> {
    match resource.resource_type {
        TOPIC => match state.topic(&resource.resource_name) {
            Ok(topic) => Ok(topic_entries(state, topic)),
            Err(error) => Err((error, error.to_string())),
        },
        BROKER => Ok(broker_entries(state, &resource.resource_name)),
        _ => Ok(Vec::new()),
    }
}

pub(super) fn topic_entries<'a>(state: &'a State, topic: &'a Topic) -> Vec<Entry<'a>> {
    let entry = |key: &'static ConfigKey| {
        let own = topic
            .configs
            .get(key.name)
            .map(|value| (key.name, value.as_str(), Source::DynamicTopic));
        let broker = key
            .synonym
            .into_iter()
            .flat_map(|synonym| broker_synonyms(state, synonym, key.default));
        let synonyms: Vec<_> = own.into_iter().chain(broker).collect();
        entry(key, synonyms)
    };
    configs::topic_keys().iter().map(entry).collect()
}

/// A named broker tells all; the cluster's default (no name) only what was set for it.
fn broker_entries<'a>(state: &'a State, name: &str) -> Vec<Entry<'a>> {
    let known = configs::broker_keys().iter();
    let known = known.filter(|key| !name.is_empty() || state.dynamic_configs.contains_key(key.name));
    known
        .map(|key| entry(key, broker_synonyms(state, key.name, key.default)))
        .collect()
}

fn broker_synonyms<'a>(
    state: &'a State,
    name: &'static str,
    default: Option<&'static str>,
) -> Vec<(&'static str, &'a str, Source)> {
    let dynamic = state
        .dynamic_configs
        .get(name)
        .map(|value| (name, value.as_str(), Source::DynamicDefaultBroker));
    let fixed = state
        .static_configs
        .get(name)
        .map(|value| (name, value.as_str(), Source::StaticBroker));
    let default = default.map(|value| (name, value, Source::Default));
    dynamic.into_iter().chain(fixed).chain(default).collect()
}

fn entry<'a>(key: &'static ConfigKey, synonyms: Vec<(&'static str, &'a str, Source)>) -> Entry<'a> {
    let (value, source) = match synonyms.first() {
        Some((_, value, source)) => (Some(*value), *source),
        None => (key.default, Source::Default),
    };
    Entry {
        key,
        value,
        source,
        synonyms,
    }
}

fn result(entry: &Entry<'_>, include_synonyms: bool) -> DescribeConfigsResourceResult {
    let synonyms = entry
        .synonyms
        .iter()
        .filter(|_| include_synonyms)
        .map(|(name, value, source)| {
            DescribeConfigsSynonym::default()
                .with_name(text(name))
                .with_value(Some(text(value)))
                .with_source(*source as i8)
        });
    DescribeConfigsResourceResult::default()
        .with_name(text(entry.key.name))
        .with_value(entry.value.filter(|_| !entry.key.sensitive).map(text))
        .with_read_only(entry.key.read_only)
        .with_config_source(entry.source as i8)
        .with_is_sensitive(entry.key.sensitive)
        .with_documentation(None)
        .with_config_type(entry.key.config_type)
        .with_synonyms(synonyms.collect())
}

fn answer(
    request: DescribeConfigsRequest,
    mut configs: impl FnMut(&DescribeConfigsResource) -> Result<Vec<DescribeConfigsResourceResult>, Refusal>,
) -> DescribeConfigsResponse {
    let results = request.resources.into_iter().map(|resource| {
        let configs = configs(&resource);
        let result = DescribeConfigsResult::default()
            .with_error_message(None)
            .with_resource_type(resource.resource_type)
            .with_resource_name(resource.resource_name);
        match configs {
            Ok(configs) => result.with_configs(configs),
            Err((error, why)) => result
                .with_error_code(error.code())
                .with_error_message(Some(text(&why))),
        }
    });
    DescribeConfigsResponse::default().with_results(results.collect())
}
