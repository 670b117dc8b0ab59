//! The newest checkpoint of each group and partition, and which new ones are worth writing (`CheckpointStore`).

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use kafka_client::admin::OffsetAndMetadata;
use kafka_wire::TopicPartition;

use crate::{offset_sync_store::Translation, records::Checkpoint};

/// Newest checkpoints by remote partition.
pub(crate) type GroupCheckpoints = HashMap<TopicPartition, Position>;

/// What a checkpoint says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) upstream: i64,
    pub(crate) downstream: i64,
    pub(crate) metadata: Arc<str>,
    /// What was said last of the copy before this one. It may have been written after this one was made.
    pub(crate) former: Option<i64>,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct CheckpointStore {
    groups: HashMap<Arc<str>, GroupCheckpoints>,
    /// Known, but no more in the topic.
    lost: HashSet<(Arc<str>, TopicPartition)>,
    /// See [`Position::former`].
    former: HashMap<(Arc<str>, TopicPartition), i64>,
}

impl CheckpointStore {
    /// Takes a checkpoint that was read from the topic.
    pub(crate) fn loaded(&mut self, checkpoint: Checkpoint, assigned: &HashSet<&str>) {
        if assigned.contains(&*checkpoint.group) {
            let position = Position {
                upstream: checkpoint.upstream_offset,
                downstream: checkpoint.downstream_offset,
                metadata: checkpoint.metadata.into(),
                former: None,
            };
            let group = self.groups.entry(checkpoint.group.into()).or_default();
            group.insert(checkpoint.topic_partition, position);
        }
    }

    /// Translates what `group` has committed, and answers with the checkpoints that are news. `remote` names a topic on
    /// the target, if it is one that is replicated; `translate` hears the partition on either side.
    pub(crate) fn advance(
        &mut self,
        group: &Arc<str>,
        committed: &HashMap<TopicPartition, OffsetAndMetadata>,
        mut remote: impl FnMut(&Arc<str>) -> Option<Arc<str>>,
        mut translate: impl FnMut(&TopicPartition, i64, &TopicPartition) -> Translation,
    ) -> Vec<Checkpoint> {
        let mut news = Vec::new();
        for (partition, committed) in committed {
            let Some(topic) = remote(&partition.topic) else {
                continue;
            };
            let remote = TopicPartition::new(topic, partition.partition);
            let Translation::At(downstream) = translate(partition, committed.offset, &remote) else {
                continue;
            };
            let its = (group.clone(), remote.clone());
            let is_lost = self.lost.remove(&its);
            let position = Position {
                upstream: committed.offset,
                downstream,
                metadata: committed.metadata.as_str().into(),
                former: self.former.get(&its).copied(),
            };
            let known = self.groups.entry(group.clone()).or_default();
            let position = match known.get(&remote) {
                Some(known) if !is_news(known, &position) => match is_lost {
                    true => known.clone(),
                    false => continue,
                },
                _ => position,
            };
            news.push(Checkpoint {
                group: group.to_string(),
                topic_partition: remote.clone(),
                upstream_offset: position.upstream,
                downstream_offset: position.downstream,
                metadata: position.metadata.to_string(),
            });
            known.insert(remote, position);
        }
        news
    }

    /// A checkpoint could not be written: the next round makes it again.
    pub(crate) fn forget(&mut self, group: &str, remote: &TopicPartition) {
        if let Some(known) = self.groups.get_mut(group) {
            known.remove(remote);
        }
    }

    /// The topic has lost what it held: the next round writes every checkpoint again, also those that are no news.
    pub(crate) fn lose_topic(&mut self) {
        let known = self.groups.iter();
        self.lost = known
            .flat_map(|(group, checkpoints)| checkpoints.keys().map(|remote| (group.clone(), remote.clone())))
            .collect();
    }

    /// The copy is another one: no group's checkpoint about it holds any more.
    pub(crate) fn forget_copy(&mut self, remote: &TopicPartition) {
        for (group, known) in &mut self.groups {
            if let Some(position) = known.remove(remote) {
                self.former.insert((group.clone(), remote.clone()), position.downstream);
            }
        }
    }

    /// All groups with their checkpoints.
    pub(crate) fn groups(&self) -> Vec<(Arc<str>, GroupCheckpoints)> {
        let groups = self.groups.iter().filter(|(_, checkpoints)| !checkpoints.is_empty());
        groups
            .map(|(group, checkpoints)| (group.clone(), checkpoints.clone()))
            .collect()
    }

    /// How many checkpoints there are.
    pub(crate) fn len(&self) -> usize {
        self.groups.values().map(HashMap::len).sum()
    }
}

/// A group that went back at the source goes back on the target, too; else a checkpoint only moves on.
fn is_news(known: &Position, position: &Position) -> bool {
    position.upstream < known.upstream || position.downstream > known.downstream
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{offset_sync_writer::Point, sync_slots::SyncSlots};

    /// Recorded from Kafka 4.3.1's `MirrorCheckpointTask`, with Kafka's own 64 slots.
    #[test]
    fn every_decision_is_kafkas() {
        let golden: Value =
            serde_json::from_str(include_str!("../../testdata/golden-decisions.json")).expect("valid JSON");
        let scenarios = golden["checkpointEmission (flow A->B, group g, topic1-2)"]
            .as_array()
            .expect("a list");
        assert_eq!(scenarios.len(), 7);
        let source = TopicPartition::new("topic1", 2);
        for scenario in scenarios {
            let mut slots: Option<SyncSlots> = None;
            let sync = |slots: &mut Option<SyncSlots>, sync: &Value| {
                let point = Point {
                    upstream: sync[0].as_i64().expect("a number"),
                    downstream: sync[1].as_i64().expect("a number"),
                };
                match slots {
                    Some(slots) => slots.add(point),
                    None => *slots = Some(SyncSlots::new(point)),
                }
            };
            let list = |value: &Value| value.as_array().expect("a list").clone();
            for point in list(&scenario["syncs of topic1-2 [up,down]"]) {
                sync(&mut slots, &point);
            }
            let mut store = CheckpointStore::default();
            for loaded in list(&scenario["checkpoints loaded at start [downstream tp, up, down]"]) {
                let checkpoint = Checkpoint {
                    group: "g".to_owned(),
                    topic_partition: TopicPartition::new("A.topic1", 2),
                    upstream_offset: loaded[1].as_i64().expect("a number"),
                    downstream_offset: loaded[2].as_i64().expect("a number"),
                    metadata: String::new(),
                };
                store.loaded(checkpoint, &HashSet::from(["g"]));
            }
            for poll in list(&scenario["polls"]) {
                for point in list(&poll["new syncs before this poll"]) {
                    sync(&mut slots, &point);
                }
                let mut committed = OffsetAndMetadata::new(poll["group offset"].as_i64().expect("a number"));
                committed.metadata = "m".to_owned();
                let news = store.advance(
                    &"g".into(),
                    &HashMap::from([(source.clone(), committed)]),
                    |topic| Some(format!("A.{topic}").into()),
                    |_, upstream, _| match slots.as_ref().map(|slots| slots.translate(upstream)) {
                        None => Translation::Unknown,
                        Some(None) => Translation::TooOld,
                        Some(Some(downstream)) => Translation::At(downstream),
                    },
                );
                let news: Vec<Value> = news
                    .iter()
                    .map(|made| {
                        json!({"tp": made.topic_partition.to_string(), "upstreamOffset": made.upstream_offset,
                            "offset": made.downstream_offset, "metadata": made.metadata})
                    })
                    .collect();
                assert_eq!(Value::from(news), poll["emitted"], "{}: {poll}", scenario["name"]);
            }
        }
    }
}
