//! DeleteTopics, versions 1 to 6.

use kafka_protocol::error::ResponseError as E;
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::delete_topics_response::DeletableTopicResult;
use kafka_protocol::messages::{DeleteTopicsRequest, DeleteTopicsResponse, TopicName};
use uuid::Uuid;

use super::{Call, text};
use crate::state::State;

pub(super) fn handle(state: &mut State, call: &Call<'_>, request: DeleteTopicsRequest) -> DeleteTopicsResponse {
    call.log_changed();
    answer(request, |wanted| {
        let name = match &wanted.name {
            Some(name) => name.clone(),
            None => TopicName(text(state.name_of(wanted.topic_id)?)),
        };
        let id = state.delete_topic(&name)?.id;
        Ok((name, id))
    })
}

pub(super) fn refuse(request: DeleteTopicsRequest, error: E) -> DeleteTopicsResponse {
    answer(request, |_| Err(error))
}

fn answer(
    request: DeleteTopicsRequest,
    mut delete: impl FnMut(&DeleteTopicState) -> Result<(TopicName, Uuid), E>,
) -> DeleteTopicsResponse {
    let by_name = request
        .topic_names
        .into_iter()
        .map(|name| DeleteTopicState::default().with_name(Some(name)));
    let responses = request
        .topics
        .into_iter()
        .chain(by_name)
        .map(|wanted| match delete(&wanted) {
            Ok((name, id)) => DeletableTopicResult::default().with_name(Some(name)).with_topic_id(id),
            Err(error) => DeletableTopicResult::default()
                .with_name(wanted.name)
                .with_topic_id(wanted.topic_id)
                .with_error_code(error.code())
                .with_error_message(Some(text(&error.to_string()))),
        });
    DeleteTopicsResponse::default().with_responses(responses.collect())
}
