//! `sync.group.offsets`: writes checkpoints into the offsets of groups that nobody uses on the target.
//!
//! State and offsets of a group are looked at right before its offsets are written, a few groups at a time; a group with
//! members is never written, which the broker sees to as well. One group's trouble is its own.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use kafka_client::{
    Admin, Error,
    admin::{OffsetAndMetadata, PerItem},
    config::IsolationLevel,
};
use kafka_wire::{ErrorCode, TopicPartition};

use super::{
    checkpoint_store::{GroupCheckpoints, Position},
    end_markers::ends_of,
};

/// Groups looked at together: few, so that what was seen is fresh when it is acted on.
const GROUPS_AT_ONCE: usize = 50;

/// A group, and what is to be written for it.
type GroupCommits = (Arc<str>, Vec<(TopicPartition, OffsetAndMetadata)>);

type Offsets = HashMap<TopicPartition, OffsetAndMetadata>;

/// A group on the target.
#[derive(Debug)]
enum TargetGroup {
    /// Nobody knows it there.
    Unknown,
    /// It has no members, and has committed this.
    Idle(Offsets),
}

/// What became of one round.
#[derive(Debug, Default)]
pub(crate) struct SyncedGroups {
    /// Groups whose offsets were written.
    pub(crate) written: Vec<Arc<str>>,
    /// Groups that are in use on the target.
    pub(crate) active: Vec<Arc<str>>,
    /// Groups that could not be looked at or written, and why.
    pub(crate) failed: Vec<(Arc<str>, Error)>,
    /// Offsets that were not written because the copy ends before them, or is not there.
    pub(crate) past_end: Vec<PastEnd>,
}

/// An offset that the copy does not have.
#[derive(Debug)]
pub(crate) struct PastEnd {
    pub(crate) group: Arc<str>,
    pub(crate) partition: TopicPartition,
    pub(crate) offset: i64,
    /// None without a copy.
    pub(crate) end: Option<i64>,
}

/// One round over all groups with checkpoints.
pub(crate) async fn sync_group_offsets(admin: &Admin, groups: Vec<(Arc<str>, GroupCheckpoints)>) -> SyncedGroups {
    let mut round = SyncedGroups::default();
    for chunk in groups.chunks(GROUPS_AT_ONCE) {
        let targets = target_groups(admin, chunk, &mut round).await;
        let commits = chunk.iter().filter_map(|(group, checkpoints)| {
            let offsets = offsets_to_write(checkpoints, targets.get(group)?);
            (!offsets.is_empty()).then(|| (group.clone(), offsets))
        });
        let commits = within_copies(admin, commits.collect(), &mut round).await;
        let groups: Vec<Arc<str>> = commits.iter().map(|(group, _)| group.clone()).collect();
        for (group, result) in per_group(admin.alter_offsets_of_groups(commits).await, &groups) {
            match result {
                Ok(()) => round.written.push(group),
                Err(error) if error.code() == Some(ErrorCode::UNKNOWN_MEMBER_ID) => round.active.push(group),
                Err(error) => round.failed.push((group, error)),
            }
        }
    }
    round.active.sort();
    round
}

/// Leaves out what is past the end of the copy, which then is not the one that was mirrored: consumers would be sent where
/// `auto.offset.reset` says. So it is with a copy that is not there: what is asked of it may be answered by the next one.
async fn within_copies(admin: &Admin, commits: Vec<GroupCommits>, round: &mut SyncedGroups) -> Vec<GroupCommits> {
    let partitions = commits.iter().flat_map(|(_, offsets)| offsets);
    let partitions: BTreeSet<&TopicPartition> = partitions.map(|(partition, _)| partition).collect();
    let ends = match ends_of(admin.client(), partitions, IsolationLevel::ReadUncommitted).await {
        Ok(ends) => ends,
        Err(error) => {
            let groups = commits.into_iter().map(|(group, _)| (group, error.clone()));
            round.failed.extend(groups);
            return Vec::new();
        }
    };
    let mut kept = Vec::new();
    for (group, mut offsets) in commits {
        offsets.retain(|(partition, wanted)| {
            let end = ends.get(partition).copied();
            if end.is_some_and(|end| wanted.offset <= end) {
                return true;
            }
            round.past_end.push(PastEnd {
                group: group.clone(),
                partition: partition.clone(),
                offset: wanted.offset,
                end,
            });
            false
        });
        if !offsets.is_empty() {
            kept.push((group, offsets));
        }
    }
    kept
}

/// The groups of `chunk` that may be written.
async fn target_groups(
    admin: &Admin,
    chunk: &[(Arc<str>, GroupCheckpoints)],
    round: &mut SyncedGroups,
) -> HashMap<Arc<str>, TargetGroup> {
    let ids: Vec<Arc<str>> = chunk.iter().map(|(group, _)| group.clone()).collect();
    let mut targets = HashMap::new();
    let mut idle = Vec::new();
    for (group, state) in per_group(admin.group_states(&ids).await, &ids) {
        match state.as_deref() {
            Ok("Empty") => idle.push(group),
            Ok("Dead") => _ = targets.insert(group, TargetGroup::Unknown),
            Err(error) if error.code() == Some(ErrorCode::GROUP_ID_NOT_FOUND) => {
                targets.insert(group, TargetGroup::Unknown);
            }
            Ok(_) => round.active.push(group),
            Err(error) => round.failed.push((group, error.clone())),
        }
    }
    if idle.is_empty() {
        return targets;
    }
    for (group, offsets) in per_group(admin.list_offsets_of_groups(&idle).await, &idle) {
        match offsets {
            Ok(offsets) => _ = targets.insert(group, TargetGroup::Idle(offsets)),
            Err(error) => round.failed.push((group, error)),
        }
    }
    targets
}

fn per_group<T>(results: Result<PerItem<Arc<str>, T>, Error>, asked: &[Arc<str>]) -> PerItem<Arc<str>, T> {
    results.unwrap_or_else(|error| asked.iter().map(|group| (group.clone(), Err(error.clone()))).collect())
}

/// What an idle group is given: it is never moved back, but from where only the copy before this one would have it, and a
/// partition where it has nothing gets something.
fn offsets_to_write(checkpoints: &GroupCheckpoints, target: &TargetGroup) -> Vec<(TopicPartition, OffsetAndMetadata)> {
    let is_wrong = |known: i64, position: &Position| {
        position.downstream > known || (position.former == Some(known) && position.downstream < known)
    };
    let is_wanted = |(partition, position): &(&TopicPartition, &Position)| match target {
        TargetGroup::Unknown => true,
        TargetGroup::Idle(offsets) => offsets
            .get(*partition)
            .is_none_or(|known| is_wrong(known.offset, position)),
    };
    let offset = |(partition, position): (&TopicPartition, &Position)| {
        let mut offset = OffsetAndMetadata::new(position.downstream);
        offset.metadata = position.metadata.to_string();
        (partition.clone(), offset)
    };
    checkpoints.iter().filter(is_wanted).map(offset).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::future::join;
    use kafka_client::{Client, ClientConfig, Dialer};
    use kafka_embedded::Cluster;
    use serde_json::Value;

    use super::*;
    use crate::{checkpoint::checkpoint_store::CheckpointStore, offset_sync_store::Translation};

    fn partition(name: &str) -> TopicPartition {
        let (topic, number) = name.rsplit_once('-').expect("topic-partition");
        TopicPartition::new(topic, number.parse().expect("a number"))
    }

    fn position(downstream: i64) -> Position {
        Position {
            upstream: 0,
            downstream,
            metadata: "meta".into(),
            former: None,
        }
    }

    /// It may have been written after the copy was made again, and before that was known: the new copy can be longer by then.
    #[test]
    fn what_was_written_of_a_former_copy_is_taken_back() {
        let copy = partition("copy-0");
        let committed = HashMap::from([(partition("orders-0"), OffsetAndMetadata::new(40))]);
        let mut store = CheckpointStore::default();
        let mut translated = |downstream: i64| {
            let remote = |_: &Arc<str>| Some("copy".into());
            store.advance(&"g".into(), &committed, remote, |_, _, _| Translation::At(downstream));
            if downstream == 40 {
                store.forget_copy(&copy);
            }
            store.groups()
        };
        assert_eq!(translated(40).len(), 0, "forgotten");
        let (_, checkpoints) = translated(7).pop().expect("a group");
        let written = |known: i64| {
            let target = TargetGroup::Idle(HashMap::from([(copy.clone(), OffsetAndMetadata::new(known))]));
            let written = offsets_to_write(&checkpoints, &target);
            written.into_iter().map(|(_, offset)| offset.offset).collect::<Vec<_>>()
        };
        assert_eq!(written(40), [7]);
        assert_eq!(written(41), [0; 0], "somebody has read on");
        assert_eq!(written(6), [7]);
        assert_eq!(written(7), [0; 0]);
    }

    /// The broker would take the offset as soon as there is a topic of that name again, and the group would pass over
    /// what is copied next.
    #[tokio::test]
    async fn what_was_said_of_a_copy_is_not_said_of_the_next_one() {
        let target = Cluster::builder()
            .auto_create_topics(false)
            .start()
            .await
            .expect("a cluster");
        let props = [("bootstrap.servers".to_owned(), target.bootstrap_servers())].into();
        let config = ClientConfig::parse(&props).expect("a good configuration");
        let admin = Admin::new(Client::new(config, Dialer::tcp()));
        let group: Arc<str> = "g".into();
        let checkpoints = GroupCheckpoints::from([(partition("copy-0"), position(40))]);
        let made_again = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            target.create_topic("copy", 1, &[]).expect("a topic");
        };
        let (round, ()) = join(
            sync_group_offsets(&admin, vec![(group.clone(), checkpoints)]),
            made_again,
        )
        .await;
        assert_eq!(round.written, Vec::<Arc<str>>::new());
        assert_eq!(round.past_end.len(), 1, "{round:?}");
        assert_eq!(round.past_end[0].end, None);
    }

    /// Recorded from Kafka 4.3.1's `MirrorCheckpointTask`.
    #[test]
    fn every_offset_written_is_kafkas() {
        let golden: Value =
            serde_json::from_str(include_str!("../../testdata/golden-decisions.json")).expect("valid JSON");
        let vectors = golden["groupOffsetSync"].as_array().expect("a list");
        assert_eq!(vectors.len(), 6);
        for vector in vectors {
            let calls = vector["alterConsumerGroupOffsets calls"].as_object().expect("a map");
            for (group, checkpoints) in vector["latest checkpoints (downstream offset)"]
                .as_object()
                .expect("a map")
            {
                let checkpoints = checkpoints
                    .as_object()
                    .expect("a map")
                    .iter()
                    .map(|(name, downstream)| (partition(name), position(downstream.as_i64().expect("a number"))));
                let target = match vector["EMPTY groups on target and their offsets"].get(group) {
                    None => TargetGroup::Unknown,
                    Some(offsets) => {
                        let known = offsets.as_object().expect("a map").iter();
                        let known = known.filter_map(|(name, offset)| Some((name, offset.as_i64()?)));
                        TargetGroup::Idle(
                            known
                                .map(|(name, at)| (partition(name), OffsetAndMetadata::new(at)))
                                .collect(),
                        )
                    }
                };
                let written = offsets_to_write(&checkpoints.collect(), &target);
                let expected = calls.get(group).and_then(Value::as_object).cloned().unwrap_or_default();
                assert_eq!(written.len(), expected.len(), "{vector}");
                for (partition, offset) in written {
                    let expected = &expected[&partition.to_string()];
                    assert_eq!(expected["offset"], offset.offset, "{vector}");
                    assert_eq!(expected["metadata"], *offset.metadata, "{vector}");
                    assert!(expected["leaderEpoch"].is_null() && offset.leader_epoch == -1);
                }
            }
        }
    }
}
