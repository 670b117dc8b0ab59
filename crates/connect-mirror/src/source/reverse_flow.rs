//! Whether another deployment copies back what this flow copies, under the same names: then records would go round for ever.
//!
//! Its offset syncs tell, which it writes to the cluster that it reads: our target. That they are there says little, since a
//! flow may have been turned round; that they grow while we copy, look after look, says that both are at it.

use std::{collections::BTreeMap, sync::Arc};

use connect_api::ConnectError;
use kafka_client::{Client, ConsumerConfig};

use crate::{offset_runs::Carried, offset_sync_history::is_missing, records::OffsetSync, topic_reader::TopicReader};

/// Looks for which a flow waits that may stay. The other one needs two or three to see that it has to leave.
const PATIENT_LOOKS: u32 = 6;

/// Topics that a flow back copies, and whether one of ours does it.
pub(crate) type CopiedBack = BTreeMap<Arc<str>, bool>;

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
    topics: CopiedBack,
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
    pub(crate) async fn look(&self, before: &Looked) -> Result<(Looked, CopiedBack), ConnectError> {
        let mut reader = match TopicReader::start(&self.client, &self.consumer, &self.topic).await {
            Ok(reader) => reader,
            Err(error) if is_missing(&error) => {
                let nothing = Looked {
                    position: Some(0),
                    topics: CopiedBack::new(),
                };
                return Ok((nothing, CopiedBack::new()));
            }
            Err(error) => {
                let what = format!("cannot look for a flow back in topic {} of the target", self.topic);
                return Err(ConnectError::caused_by(what, error));
            }
        };
        let mut topics = CopiedBack::new();
        reader.skip_to(before.position.unwrap_or(i64::MAX));
        while !reader.is_at_end() {
            reader
                .read(|record| {
                    // What cannot be read tells nothing.
                    if let Ok(sync) = OffsetSync::decode(record.key, record.value) {
                        let is_ours = Carried::of(&record.headers) != Carried::Nothing;
                        *topics.entry(sync.topic_partition.topic).or_insert(true) &= is_ours;
                    }
                })
                .await;
        }
        let twice = topics.iter().filter(|(topic, _)| before.topics.contains_key(*topic));
        let twice = twice.map(|(topic, is_ours)| (topic.clone(), *is_ours)).collect();
        let now = Looked {
            position: Some(reader.end()),
            topics,
        };
        Ok((now, twice))
    }
}

/// Which of two flows leaves a topic out that both copy. If both are ours, the one from the cluster with the smaller id
/// stays; it leaves, too, if the other one does not.
#[derive(Debug, Default)]
pub(crate) struct Precedence {
    looks: BTreeMap<Arc<str>, u32>,
}

impl Precedence {
    /// Keeps of `copied_back` what this flow has to leave out. `stays`: its source has the smaller id.
    pub(crate) fn leaving(&mut self, copied_back: CopiedBack, stays: bool) -> Vec<Arc<str>> {
        self.looks.retain(|topic, _| copied_back.contains_key(topic));
        let mut leaving = Vec::new();
        for (topic, is_ours) in copied_back {
            let looks = self.looks.entry(topic.clone()).or_default();
            *looks += 1;
            if !(is_ours && stays) || *looks > PATIENT_LOOKS {
                leaving.push(topic);
            } else if *looks == 1 {
                tracing::warn!(
                    %topic,
                    "a flow back of another deployment copies the topic under the same name; it is expected to leave it out"
                );
            }
        }
        leaving
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copied_back(is_ours: bool) -> CopiedBack {
        CopiedBack::from([("orders".into(), is_ours)])
    }

    #[test]
    fn exactly_one_of_two_flows_of_ours_leaves() {
        let (mut smaller, mut greater) = (Precedence::default(), Precedence::default());
        assert!(smaller.leaving(copied_back(true), true).is_empty());
        assert_eq!(greater.leaving(copied_back(true), false), ["orders".into()]);
        // Once it has left, its syncs do not grow any more.
        assert!(smaller.leaving(CopiedBack::new(), true).is_empty());
        assert!(smaller.looks.is_empty());
    }

    #[test]
    fn who_stays_leaves_if_the_other_one_does_not() {
        let mut precedence = Precedence::default();
        for _ in 0..PATIENT_LOOKS {
            assert!(precedence.leaving(copied_back(true), true).is_empty());
        }
        assert_eq!(precedence.leaving(copied_back(true), true), ["orders".into()]);
        assert_eq!(
            Precedence::default().leaving(copied_back(false), true),
            ["orders".into()],
            "Java's does not"
        );
    }
}
