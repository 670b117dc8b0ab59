//! Whether another deployment copies back what this flow copies, under the same names: then records would go round for ever.
//!
//! Its offset syncs tell, which it writes to the cluster that it reads: our target. That they are there says little, since a
//! flow may have been turned round; that they grow while we copy, look after look, says that both are at it.

use std::{collections::BTreeSet, sync::Arc};

use connect_api::ConnectError;
use kafka_client::{Client, ConsumerConfig};

use crate::{offset_sync_history::is_missing, records::OffsetSync, topic_reader::TopicReader};

/// Where the syncs of a flow back would be.
#[derive(Debug)]
pub(crate) struct ReverseFlow {
    client: Client,
    consumer: ConsumerConfig,
    topic: String,
}

/// How far the syncs were read, and whose there were since the look before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Looked {
    position: Option<i64>,
    topics: BTreeSet<Arc<str>>,
}

impl ReverseFlow {
    /// Its syncs are in `topic` of the target.
    pub(crate) fn new(client: Client, consumer: ConsumerConfig, topic: String) -> Self {
        Self {
            client,
            consumer,
            topic,
        }
    }

    /// Looks once more. Answers which topics it has copied both since this look and since the one before.
    pub(crate) async fn look(&self, before: &Looked) -> Result<(Looked, BTreeSet<Arc<str>>), ConnectError> {
        let mut reader = match TopicReader::start(&self.client, &self.consumer, &self.topic).await {
            Ok(reader) => reader,
            Err(error) if is_missing(&error) => {
                let nothing = Looked {
                    position: Some(0),
                    topics: BTreeSet::new(),
                };
                return Ok((nothing, BTreeSet::new()));
            }
            Err(error) => {
                let what = format!("cannot look for a flow back in topic {} of the target", self.topic);
                return Err(ConnectError::caused_by(what, error));
            }
        };
        let mut topics = BTreeSet::new();
        reader.skip_to(before.position.unwrap_or(i64::MAX));
        while !reader.is_at_end() {
            reader
                .read(|record| {
                    // What cannot be read tells nothing.
                    if let Ok(sync) = OffsetSync::decode(record.key, record.value) {
                        topics.insert(sync.topic_partition.topic);
                    }
                })
                .await;
        }
        let twice = topics.intersection(&before.topics).cloned().collect();
        let now = Looked {
            position: Some(reader.end()),
            topics,
        };
        Ok((now, twice))
    }
}
