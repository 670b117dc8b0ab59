//! DeleteTopics.

use std::sync::Arc;

use kafka_protocol::messages::DeleteTopicsRequest;
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;

use super::{Admin, Asked, PerItem, outcome, topic_name};
use crate::error::Error;

/// From this version on each topic is a structure that could also hold an id.
const TOPICS_AS_STRUCTURES: i16 = 6;

impl Admin {
    /// Deletes topics.
    pub async fn delete_topics(&self, topics: Vec<Arc<str>>) -> Result<PerItem<Arc<str>, ()>, Error> {
        let items = topics.into_iter().map(|name| (name, ())).collect();
        let attempt = |items: Vec<(Arc<str>, ())>| async move {
            let connection = self.client.controller_connection().await?;
            let version = connection.version::<DeleteTopicsRequest>()?;
            let names = items.iter().map(|(name, ())| topic_name(name));
            let request = DeleteTopicsRequest::default().with_timeout_ms(self.request_timeout_ms());
            let request = match version >= TOPICS_AS_STRUCTURES {
                true => request.with_topics(
                    names
                        .map(|name| DeleteTopicState::default().with_name(Some(name)))
                        .collect(),
                ),
                false => request.with_topic_names(names.collect()),
            };
            let response = connection.call(version, request, self.request_timeout()).await?;
            let read = response.responses.iter().filter_map(|result| {
                let name: Arc<str> = result.name.as_ref()?.0.as_str().into();
                let what = || format!("deleting topic {name}");
                let outcome = outcome(result.error_code, result.error_message.as_ref(), what, ());
                Some((name, outcome))
            });
            Ok(read.collect())
        };
        self.settle("deleting topics", Asked::Controller, items, attempt).await
    }
}
