//! Metadata: which topics there are, and what they look like.

use std::sync::Arc;

use kafka_wire::ErrorCode;
use uuid::Uuid;

use super::{Admin, PerItem};
use crate::error::Error;
use crate::metadata::{TopicMetadata, Topics};

/// A topic in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicListing {
    /// Its name.
    pub name: Arc<str>,
    /// Its id; nil from brokers that do not tell.
    pub id: Uuid,
    /// Whether it is the broker's own, such as `__consumer_offsets`.
    pub is_internal: bool,
}

impl Admin {
    /// The topics that we may see, by name; the broker's own only on request.
    pub async fn list_topics(&self, list_internal: bool) -> Result<Vec<TopicListing>, Error> {
        let metadata = self
            .retry("listing topics", || self.client.refresh_metadata(Topics::All))
            .await?;
        let mut listings: Vec<_> = metadata
            .topics
            .iter()
            .filter(|(_, topic)| list_internal || !topic.is_internal)
            .map(|(name, topic)| TopicListing {
                name: name.clone(),
                id: topic.id,
                is_internal: topic.is_internal,
            })
            .collect();
        listings.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(listings)
    }

    /// Partitions, leaders and replicas of each topic.
    pub async fn describe_topics(&self, topics: &[Arc<str>]) -> Result<PerItem<Arc<str>, TopicMetadata>, Error> {
        let refresh = || self.client.refresh_metadata(Topics::Some(topics.to_vec()));
        let metadata = self.retry("describing topics", refresh).await?;
        let describe = |name: &Arc<str>| {
            let refused = |code| Error::refused(format!("describing topic {name}"), code, None);
            match metadata.topics.get(name).map(|topic| &**topic) {
                Some(TopicMetadata { error: Some(code), .. }) => Err(refused(*code)),
                Some(topic) => Ok(topic.clone()),
                None => Err(refused(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)),
            }
        };
        Ok(topics.iter().map(|name| (name.clone(), describe(name))).collect())
    }
}
