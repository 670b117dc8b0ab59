//! Who leads the partitions: refreshing metadata and taking it in.

use std::collections::HashSet;
use std::sync::Arc;

use kafka_wire::ErrorCode;
use tokio::time::Instant;

use super::{Consumer, ConsumerEvent, Event, trouble::not_there};
use crate::{Error, Topics};

impl Consumer {
    pub(super) fn refresh_metadata(&mut self, now: Instant) {
        if self.next_regular_refresh.is_some_and(|at| at <= now) {
            self.metadata.want();
        }
        if !self.metadata.is_due(now) || self.partitions.is_empty() {
            return;
        }
        self.metadata.begin();
        self.next_regular_refresh = Some(now + self.client.config().metadata_max_age);
        let topics: HashSet<Arc<str>> = self
            .partitions
            .iter()
            .map(|partition| partition.name.topic.clone())
            .collect();
        let topics = Topics::Some(topics.into_iter().collect());
        let client = self.client.clone();
        self.work.push(Box::pin(async move {
            Event::MetadataRefreshed(client.refresh_metadata(topics).await.map(|_| ()))
        }));
    }

    pub(super) fn on_metadata(&mut self, result: Result<(), Error>) {
        let now = Instant::now();
        self.metadata.done(&self.backoff, now);
        if let Err(error) = result {
            self.metadata.want();
            // What has a leader is read all the same, as long as that one answers.
            for at in 0..self.partitions.len() {
                if self.partitions[at].leader.is_none() {
                    self.report_unavailable(at, error.clone());
                }
            }
            return;
        }
        for at in 0..self.partitions.len() {
            self.take_in_metadata(at, now);
        }
    }

    /// Finds a partition's leader and topic id in what the client knows.
    pub(super) fn take_in_metadata(&mut self, at: usize, now: Instant) {
        let metadata = self.client.metadata();
        {
            let partition = &self.partitions[at];
            let Some(topic) = metadata.topics.get(&partition.name.topic) else {
                self.unavailable(
                    at,
                    not_there(&self.partitions[at].name, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
                    now,
                );
                return;
            };
            if let Some(code) = topic.error {
                let error = not_there(&partition.name, code);
                self.unavailable(at, error, now);
                return;
            }
            if partition
                .topic_id
                .is_some_and(|known| !known.is_nil() && known != topic.id && !topic.id.is_nil())
            {
                let topic = partition.name.topic.clone();
                let already_said =
                    self.polled.events.iter().any(
                        |event| matches!(event, ConsumerEvent::TopicRecreated { topic: other } if *other == topic),
                    );
                if !already_said {
                    self.polled.events.push(ConsumerEvent::TopicRecreated { topic });
                }
            }
            self.partitions.set_topic_id(at, topic.id);
            let partition = self.partitions.change(at);
            let leader = topic.partition(partition.name.partition);
            match leader {
                Some(leader) if leader.leader_id >= 0 => {
                    let changed = partition.leader != Some(leader.leader_id);
                    partition.leader = Some(leader.leader_id);
                    partition.leader_epoch = leader.leader_epoch;
                    if changed {
                        partition.not_before = None;
                    }
                }
                Some(_) => self.unavailable(
                    at,
                    not_there(&self.partitions[at].name, ErrorCode::LEADER_NOT_AVAILABLE),
                    now,
                ),
                None => {
                    let error = not_there(&self.partitions[at].name, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
                    self.unavailable(at, error, now);
                }
            }
        }
    }
}
