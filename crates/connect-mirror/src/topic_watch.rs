//! Notices that a topic of MirrorMaker's own is another one: what was written to it is gone, and is written again.

use std::{sync::Arc, time::Duration};

use connect_api::BoxFuture;
use kafka_client::{Client, Topics};
use tokio::time::Instant;

/// How often the connectors and their tasks look whether such a topic is still there.
pub(crate) const LOOK_INTERVAL: Duration = Duration::from_secs(10);

type TopicId = u128;

/// See the module. What cannot be asked is asked again; brokers that tell no ids are never found out.
pub(crate) struct TopicWatch {
    client: Client,
    topic: Arc<str>,
    known: Option<TopicId>,
    next: Instant,
    looking: Option<BoxFuture<'static, Option<TopicId>>>,
}

impl TopicWatch {
    pub(crate) fn new(client: Client, topic: &str) -> Self {
        Self {
            client,
            topic: topic.into(),
            known: None,
            next: Instant::now(),
            looking: None,
        }
    }

    /// Waits until the topic was made again. Cancel-safe.
    pub(crate) async fn renewed(&mut self) {
        loop {
            if let Some(looking) = &mut self.looking {
                let found = looking.await;
                self.looking = None;
                self.next = Instant::now() + LOOK_INTERVAL;
                if let Some(id) = found
                    && self.known.replace(id).is_some_and(|before| before != id)
                {
                    return;
                }
            }
            tokio::time::sleep_until(self.next).await;
            self.looking = Some(Box::pin(topic_id(self.client.clone(), self.topic.clone())));
        }
    }
}

async fn topic_id(client: Client, topic: Arc<str>) -> Option<TopicId> {
    let metadata = client.refresh_metadata(Topics::Some(vec![topic.clone()])).await.ok()?;
    let found = metadata.topics.get(&topic).filter(|found| found.error.is_none())?;
    Some(found.id.as_u128()).filter(|id| *id != 0)
}
