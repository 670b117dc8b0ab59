//! OffsetFetch, versions 1 to 9 (the schemas we build on have no 10, which names topics by id).
//!
//! One answer is made for every group; before version 8 there is exactly one and it is laid out differently.

use kafka_protocol::error::ResponseError as E;
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestTopics;
use kafka_protocol::messages::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions, OffsetFetchResponseTopic,
    OffsetFetchResponseTopics,
};
use kafka_protocol::messages::{GroupId, OffsetFetchRequest, OffsetFetchResponse, TopicName};

use super::{Call, text};
use crate::group::offsets::CommittedOffset;
use crate::state::State;

/// From here on a request asks for several groups.
const BATCHED: i16 = 8;
const NO_OFFSET: i64 = -1;
const NO_EPOCH: i32 = -1;

pub(super) fn handle(state: &mut State, call: &Call<'_>, request: OffsetFetchRequest) -> OffsetFetchResponse {
    let require_stable = request.require_stable;
    answer(request, call.version >= BATCHED, |group_id, topics| {
        state.check_coordinator(call.node_id(), group_id)?;
        Ok(fetch(state, group_id, topics, require_stable))
    })
}

pub(super) fn refuse(request: OffsetFetchRequest, error: E) -> OffsetFetchResponse {
    let batched = !request.groups.is_empty();
    answer(request, batched, |_, _| Err(error))
}

fn fetch(
    state: &State,
    group_id: &str,
    topics: Option<Vec<OffsetFetchRequestTopics>>,
    require_stable: bool,
) -> Vec<OffsetFetchResponseTopics> {
    let group = state.groups.get(group_id);
    let Some(topics) = topics else {
        return all(group.into_iter().flat_map(|group| group.offsets.iter()));
    };
    let topics = topics.into_iter().map(|topic| {
        let partitions = topic.partition_indexes.iter().map(|&index| {
            let offsets = group.map(|group| &group.offsets);
            if require_stable && offsets.is_some_and(|offsets| offsets.is_unstable(&topic.name, index)) {
                return nothing(index).with_error_code(E::UnstableOffsetCommit.code());
            }
            match offsets.and_then(|offsets| offsets.get(&topic.name, index)) {
                Some(committed) => partition(index, committed),
                None => nothing(index),
            }
        });
        let partitions = partitions.collect();
        OffsetFetchResponseTopics::default()
            .with_name(topic.name)
            .with_partitions(partitions)
    });
    topics.collect()
}

fn all<'a>(
    offsets: impl Iterator<Item = (&'a std::sync::Arc<str>, i32, &'a CommittedOffset)>,
) -> Vec<OffsetFetchResponseTopics> {
    let mut topics: Vec<OffsetFetchResponseTopics> = Vec::new();
    for (name, index, committed) in offsets {
        if topics.last().is_none_or(|topic| topic.name.as_str() != &**name) {
            topics.push(OffsetFetchResponseTopics::default().with_name(TopicName(text(name))));
        }
        if let Some(topic) = topics.last_mut() {
            topic.partitions.push(partition(index, committed));
        }
    }
    topics
}

fn nothing(index: i32) -> OffsetFetchResponsePartitions {
    OffsetFetchResponsePartitions::default()
        .with_partition_index(index)
        .with_committed_offset(NO_OFFSET)
        .with_committed_leader_epoch(NO_EPOCH)
        .with_metadata(Some(text("")))
}

fn partition(index: i32, committed: &CommittedOffset) -> OffsetFetchResponsePartitions {
    nothing(index)
        .with_committed_offset(committed.offset)
        .with_committed_leader_epoch(committed.leader_epoch)
        .with_metadata(Some(text(&committed.metadata)))
}

type Topics = Vec<OffsetFetchResponseTopics>;

fn answer(
    request: OffsetFetchRequest,
    batched: bool,
    mut fetch: impl FnMut(&str, Option<Vec<OffsetFetchRequestTopics>>) -> Result<Topics, E>,
) -> OffsetFetchResponse {
    if batched {
        let groups = request.groups.into_iter().map(|group| {
            let topics = fetch(&group.group_id, group.topics);
            one_group(group.group_id, topics)
        });
        return OffsetFetchResponse::default().with_groups(groups.collect());
    }
    let topics: Option<Vec<_>> = request.topics.map(|topics| {
        let topics = topics.into_iter().map(|topic| {
            OffsetFetchRequestTopics::default()
                .with_name(topic.name)
                .with_partition_indexes(topic.partition_indexes)
        });
        topics.collect()
    });
    let (topics, error_code) = match fetch(&request.group_id, topics.clone()) {
        Ok(topics) => (topics, 0),
        // Version 1 has no place for an error but on each partition.
        Err(error) => (failed(topics, error), error.code()),
    };
    let topics = topics.into_iter().map(one_topic_before_batches);
    OffsetFetchResponse::default()
        .with_topics(topics.collect())
        .with_error_code(error_code)
}

fn failed(topics: Option<Vec<OffsetFetchRequestTopics>>, error: E) -> Topics {
    let topics = topics.into_iter().flatten().map(|topic| {
        let partitions = topic
            .partition_indexes
            .iter()
            .map(|index| nothing(*index).with_error_code(error.code()));
        let partitions = partitions.collect();
        OffsetFetchResponseTopics::default()
            .with_name(topic.name)
            .with_partitions(partitions)
    });
    topics.collect()
}

fn one_group(group_id: GroupId, topics: Result<Topics, E>) -> OffsetFetchResponseGroup {
    let group = OffsetFetchResponseGroup::default().with_group_id(group_id);
    match topics {
        Ok(topics) => group.with_topics(topics),
        Err(error) => group.with_error_code(error.code()),
    }
}

fn one_topic_before_batches(topic: OffsetFetchResponseTopics) -> OffsetFetchResponseTopic {
    let partitions = topic.partitions.into_iter().map(|partition| {
        OffsetFetchResponsePartition::default()
            .with_partition_index(partition.partition_index)
            .with_committed_offset(partition.committed_offset)
            .with_committed_leader_epoch(partition.committed_leader_epoch)
            .with_metadata(partition.metadata)
            .with_error_code(partition.error_code)
    });
    OffsetFetchResponseTopic::default()
        .with_name(topic.name)
        .with_partitions(partitions.collect())
}
