//! What the source no longer has: said once, counted exactly as far as anybody can know, and perhaps the end of the task.

use std::sync::Arc;

use connect_api::ConnectError;
use kafka_client::consumer::ConsumerEvent;
use kafka_wire::TopicPartition;

use super::own_config::SOURCE_LOSS_POLICY;

/// A loss. Offsets are counted: in a compacted or transactional topic there may be fewer records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SourceLoss {
    /// Offsets `from..to` were removed before they were copied.
    Removed {
        partition: TopicPartition,
        from: i64,
        to: i64,
    },
    /// The log was cut back from `from` to `to`: what was copied in between is no longer at the source. `unread` more
    /// were seen to be there and were never copied.
    Truncated {
        partition: TopicPartition,
        from: i64,
        to: i64,
        unread: u64,
    },
    /// The topic was deleted and made again. `unread` offsets of the former one were seen and never copied.
    Recreated {
        topic: Arc<str>,
        partitions: usize,
        unread: u64,
    },
}

impl SourceLoss {
    /// Says it in the log.
    pub(crate) fn tell(&self, task: &str) {
        match self {
            Self::Removed { partition, from, to } => tracing::warn!(
                task, %partition, from, to, offsets_lost = to - from,
                "the source removed records before they were mirrored (retention or deletion); going on behind the gap"
            ),
            Self::Truncated {
                partition,
                from,
                to,
                unread,
            } => tracing::warn!(
                task, %partition, wanted = from, to, only_on_target = (from - to).max(0), offsets_lost = unread,
                "the source's log ends before the stored position (truncated or recreated); going on with what is there"
            ),
            Self::Recreated {
                topic,
                partitions,
                unread,
            } => tracing::warn!(
                task, %topic, partitions, offsets_lost = unread,
                "topic was deleted and created again at the source; its new records follow the old ones"
            ),
        }
    }

    /// What a task fails with, if it is to fail.
    pub(crate) fn into_error(self) -> ConnectError {
        let what = match self {
            Self::Removed { partition, from, to } => {
                let lost = to - from;
                format!(
                    "the source removed {lost} offsets of {partition}, {from} to {}, before they were mirrored",
                    to - 1
                )
            }
            Self::Truncated {
                partition,
                from,
                to,
                unread,
            } => format!(
                "the source's log of {partition} was cut back from offset {from} to {to}: {} copied offsets are on the target \
                 only, and at least {unread} were lost before they were mirrored",
                (from - to).max(0)
            ),
            Self::Recreated {
                topic,
                partitions,
                unread,
            } => format!(
                "topic {topic} was deleted and created again at the source ({partitions} partitions here): at least {unread} \
                 offsets were lost before they were mirrored"
            ),
        };
        ConnectError::new(format!(
            "{what}. To accept it, set {SOURCE_LOSS_POLICY} to report or restart, or alter the connector's offsets"
        ))
    }
}

/// The topic whose offsets `event` is about, if it is about offsets.
pub(crate) fn topic_of(event: &ConsumerEvent) -> Option<&Arc<str>> {
    match event {
        ConsumerEvent::Gap { partition, .. }
        | ConsumerEvent::Rewound { partition, .. }
        | ConsumerEvent::Started { partition, .. } => Some(&partition.topic),
        ConsumerEvent::TopicRecreated { topic } => Some(topic),
        ConsumerEvent::Unavailable { .. } | ConsumerEvent::Recovered { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_counts_and_says_what_to_do() {
        let partition = TopicPartition::new("orders", 3);
        let error = |loss: SourceLoss| loss.into_error().chain();
        let removed = error(SourceLoss::Removed {
            partition: partition.clone(),
            from: 10,
            to: 17,
        });
        assert!(
            removed.starts_with("the source removed 7 offsets of orders-3, 10 to 16, before"),
            "{removed}"
        );
        assert!(removed.contains("heliograph.source.loss.policy to report"), "{removed}");
        let truncated = error(SourceLoss::Truncated {
            partition,
            from: 30,
            to: 20,
            unread: 4,
        });
        assert!(
            truncated.contains("from offset 30 to 20: 10 copied offsets"),
            "{truncated}"
        );
        let recreated = error(SourceLoss::Recreated {
            topic: "orders".into(),
            partitions: 2,
            unread: 5,
        });
        assert!(recreated.contains("at least 5 offsets were lost"), "{recreated}");
    }
}
