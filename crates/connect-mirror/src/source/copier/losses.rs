//! What a task does when the source has lost something, or is another.

use std::sync::Arc;

use connect_api::ConnectError;
use kafka_client::consumer::{ConsumerEvent, StartPosition};
use kafka_wire::TopicPartition;

use super::Copier;
use crate::source::{loss::SourceLoss, own_config::SourceLossPolicy, refresh::another_cluster};

impl Copier {
    pub(super) fn on_event(&mut self, event: &ConsumerEvent) -> Result<(), ConnectError> {
        match event {
            ConsumerEvent::Gap { partition, from, to } => {
                self.moved(partition, *to, u64::try_from(to - from).unwrap_or(0));
                self.lost(SourceLoss::Removed {
                    partition: partition.clone(),
                    from: *from,
                    to: *to,
                })
            }
            ConsumerEvent::Rewound { partition, from, to } => {
                let unread = self.unread(partition, *from);
                self.moved(partition, *to, unread);
                self.lost(SourceLoss::Truncated {
                    partition: partition.clone(),
                    from: *from,
                    to: *to,
                    unread,
                })
            }
            ConsumerEvent::TopicRecreated { topic } => self.on_recreated(topic, true),
            ConsumerEvent::Started { partition, to } => {
                self.moved(partition, *to, 0);
                Ok(())
            }
            ConsumerEvent::Unavailable { .. } | ConsumerEvent::Recovered { .. } => Ok(()),
        }
    }

    /// Reading goes on at `to`; `lost` offsets before it will never be copied.
    fn moved(&mut self, partition: &TopicPartition, to: i64, lost: u64) {
        if let Some(at) = self.index.get(partition) {
            self.partitions[*at].position = to;
            self.partitions[*at].metrics.lost(lost);
        }
    }

    /// How many offsets from `position` on the source was seen to have.
    fn unread(&self, partition: &TopicPartition, position: i64) -> u64 {
        let end = self.consumer.high_watermark(partition);
        end.map_or(0, |end| u64::try_from(end - position).unwrap_or(0))
    }

    fn lost(&self, loss: SourceLoss) -> Result<(), ConnectError> {
        if self.loss_policy == SourceLossPolicy::Fail {
            return Err(loss.into_error());
        }
        loss.tell(&self.task_id);
        Ok(())
    }

    /// Takes note of topic ids as they become known. Answers which topics are others than those that were copied before.
    pub(super) fn learn_topic_ids(&mut self) -> Vec<Arc<str>> {
        let mut others = Vec::new();
        for at in std::mem::take(&mut self.unidentified) {
            let source = &self.partitions[at].source;
            let Some(id) = self.consumer.topic_id(source) else {
                self.unidentified.push(at);
                continue;
            };
            let former = self.former.take(source);
            if id == 0 {
                continue; // the source does not tell
            }
            if let Some(syncs) = &self.syncs {
                syncs.producer.set_topic_id(at, id);
            }
            let is_another = former.is_some_and(|former| former != id);
            if is_another && !others.contains(&source.topic) {
                others.push(source.topic.clone());
            }
        }
        others
    }

    /// Offsets of another topic mean nothing here: its partitions are read as if they were new. `was_read`: the former one
    /// in this life, so that its end was seen.
    pub(super) fn on_recreated(&mut self, topic: &Arc<str>, was_read: bool) -> Result<(), ConnectError> {
        self.expect_same_cluster()?;
        let start = match self.loss_policy {
            SourceLossPolicy::Restart => StartPosition::Beginning,
            SourceLossPolicy::Report | SourceLossPolicy::Fail => StartPosition::Reset,
        };
        let (mut partitions, mut unread) = (0, 0);
        for at in 0..self.partitions.len() {
            if self.partitions[at].source.topic != *topic {
                continue;
            }
            let name = self.partitions[at].source.clone();
            let lost = if was_read {
                self.unread(&name, self.partitions[at].position)
            } else {
                0
            };
            partitions += 1;
            unread += lost;
            self.moved(&name, 0, lost);
            self.partitions[at].begin_another_log();
            self.unidentified.push(at);
            self.partitions[at].metrics.held_back(None);
            self.consumer.assign(vec![(name, start)]);
        }
        self.lost(SourceLoss::Recreated {
            topic: topic.clone(),
            partitions,
            unread,
        })
    }

    /// Topics are made anew all at once when another cluster answers under the address of the source.
    fn expect_same_cluster(&self) -> Result<(), ConnectError> {
        let now = self.consumer.cluster_id();
        match (&self.cluster_id, &now) {
            (Some(before), Some(now)) if before != now && self.pauses_at_cluster_change => {
                Err(another_cluster("source", before, now))
            }
            _ => Ok(()),
        }
    }
}
