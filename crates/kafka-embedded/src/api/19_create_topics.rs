//! CreateTopics, versions 2 to 7.
//!
//! Left out: the documentation of configurations, timeouts (a topic is there when the answer is).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use kafka_protocol::error::ResponseError as E;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::create_topics_response::{CreatableTopicConfigs, CreatableTopicResult};
use kafka_protocol::messages::{CreateTopicsRequest, CreateTopicsResponse};
use uuid::Uuid;

use super::describe_configs::topic_entries;
use super::{Call, text};
use crate::state::{NewTopic, Refusal, State};

pub(super) fn handle(state: &mut State, call: &Call<'_>, request: CreateTopicsRequest) -> CreateTopicsResponse {
    let mut seen = BTreeSet::new();
    let repeated: BTreeSet<_> = request
        .topics
        .iter()
        .filter(|topic| !seen.insert(topic.name.clone()))
        .map(|topic| topic.name.clone())
        .collect();
    let mut response = CreateTopicsResponse::default();
    for topic in request.topics {
        if repeated.contains(&topic.name) {
            if seen.remove(&topic.name) {
                let why = "Duplicate topic name.".to_owned();
                response.topics.push(refused(&topic, (E::InvalidRequest, why)));
            }
            continue;
        }
        let created = create(state, &topic, request.validate_only);
        let result = created.unwrap_or_else(|refusal| refused(&topic, refusal));
        response.topics.push(if call.version < 5 {
            without_details(result)
        } else {
            result
        });
    }
    call.log_changed();
    response
}

pub(super) fn refuse(request: CreateTopicsRequest, error: E) -> CreateTopicsResponse {
    let topics = request
        .topics
        .iter()
        .map(|topic| refused(topic, (error, error.to_string())));
    CreateTopicsResponse::default().with_topics(topics.collect())
}

fn create(state: &mut State, topic: &CreatableTopic, validate_only: bool) -> Result<CreatableTopicResult, Refusal> {
    let mut configs = BTreeMap::new();
    for config in &topic.configs {
        let Some(value) = &config.value else {
            let why = format!("Null value not supported for topic configs: {}", config.name);
            return Err((E::InvalidConfig, why));
        };
        configs.insert(config.name.to_string(), value.to_string());
    }
    let new = NewTopic {
        name: Arc::from(topic.name.as_str()),
        partitions: topic.num_partitions,
        replication_factor: topic.replication_factor,
        assignments: assignments(topic)?,
        configs,
    };
    let result = CreatableTopicResult::default()
        .with_name(topic.name.clone())
        .with_error_message(None);
    if validate_only {
        state.check_new_topic(&new)?;
        let factor = state.effective_replication_factor(new.replication_factor);
        return Ok(result
            .with_num_partitions(new.partitions)
            .with_replication_factor(factor));
    }
    state.create_topic(new)?;
    let created = state.topic(&topic.name).map_err(|error| (error, error.to_string()))?;
    let configs = topic_entries(state, created).into_iter().map(|entry| {
        CreatableTopicConfigs::default()
            .with_name(text(entry.key.name))
            .with_value(entry.value.map(text))
            .with_config_source(entry.source as i8)
            .with_read_only(entry.key.read_only)
            .with_is_sensitive(entry.key.sensitive)
    });
    Ok(result
        .with_topic_id(created.id)
        .with_num_partitions(created.partitions.len() as i32)
        .with_replication_factor(created.replication_factor())
        .with_configs(Some(configs.collect())))
}

/// A client's own assignment has every partition from 0 on.
fn assignments(topic: &CreatableTopic) -> Result<Vec<Vec<i32>>, Refusal> {
    if !topic.assignments.is_empty() && (topic.num_partitions != -1 || topic.replication_factor != -1) {
        let why = "A manual partition assignment was specified, but numPartitions or replicationFactor was not -1.";
        return Err((E::InvalidRequest, why.to_owned()));
    }
    let mut by_index = BTreeMap::new();
    for assignment in &topic.assignments {
        let replicas: Vec<i32> = assignment.broker_ids.iter().map(|id| id.0).collect();
        by_index.insert(assignment.partition_index, replicas);
    }
    let consecutive = by_index.keys().copied().eq(0..topic.assignments.len() as i32);
    match consecutive {
        true => Ok(by_index.into_values().collect()),
        false => {
            let why = "partitions should be a consecutive 0-based integer sequence".to_owned();
            Err((E::InvalidReplicaAssignment, why))
        }
    }
}

fn refused(topic: &CreatableTopic, (error, message): Refusal) -> CreatableTopicResult {
    CreatableTopicResult::default()
        .with_name(topic.name.clone())
        .with_topic_id(Uuid::nil())
        .with_error_code(error.code())
        .with_error_message(Some(text(&message)))
}

/// Before version 5 the answer says only whether it worked.
fn without_details(result: CreatableTopicResult) -> CreatableTopicResult {
    CreatableTopicResult::default()
        .with_name(result.name)
        .with_error_code(result.error_code)
        .with_error_message(result.error_message)
}
