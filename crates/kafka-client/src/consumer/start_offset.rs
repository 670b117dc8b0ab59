//! Where to begin with a partition whose position is not known, or no longer valid: a question to its leader.

use std::collections::HashMap;

use kafka_protocol::{
    messages::{
        BrokerId, ListOffsetsRequest, TopicName,
        list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic},
    },
    protocol::StrBytes,
};
use kafka_wire::{ErrorCode, TopicPartition};

use crate::config::{IsolationLevel, OffsetReset};
use crate::{Client, Error};

/// `timestamp` of a ListOffsets request that asks for the first offset.
const EARLIEST: i64 = -2;
/// The same for the end.
const LATEST: i64 = -1;

/// The first offset of a log, and the one after its last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    pub(super) start: i64,
    pub(super) end: i64,
}

/// What the leader said of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) bounds: Bounds,
    /// Where `auto.offset.reset` wants to begin; `None` for `none`.
    pub(super) by_policy: Option<i64>,
}

/// Asks the leader of some partitions, given as (number, name).
pub(super) async fn find(
    client: &Client,
    leader: i32,
    partitions: Vec<(usize, TopicPartition)>,
    reset: OffsetReset,
    isolation: IsolationLevel,
) -> Vec<(usize, Result<Found, Error>)> {
    let names: Vec<&TopicPartition> = partitions.iter().map(|(_, name)| name).collect();
    let earliest = list_offsets(client, leader, &names, EARLIEST, isolation).await;
    let latest = list_offsets(client, leader, &names, LATEST, isolation).await;
    let timed = match reset {
        OffsetReset::ByDuration(age) => {
            let timestamp = crate::clock::now_ms() - age.as_millis() as i64;
            list_offsets(client, leader, &names, timestamp, isolation).await
        }
        _ => Ok(HashMap::new()),
    };
    let answers = partitions
        .iter()
        .map(|(at, name)| (*at, found(name, reset, &earliest, &latest, &timed)));
    answers.collect()
}

type Answers = Result<HashMap<TopicPartition, Result<i64, ErrorCode>>, Error>;

fn found(
    name: &TopicPartition,
    reset: OffsetReset,
    earliest: &Answers,
    latest: &Answers,
    timed: &Answers,
) -> Result<Found, Error> {
    let bounds = Bounds {
        start: offset_of(earliest, name)?,
        end: offset_of(latest, name)?,
    };
    let by_policy = match reset {
        OffsetReset::Earliest => Some(bounds.start),
        OffsetReset::Latest => Some(bounds.end),
        // Nothing that young: the end.
        OffsetReset::ByDuration(_) => Some(
            offset_of(timed, name)
                .ok()
                .filter(|offset| *offset >= 0)
                .unwrap_or(bounds.end),
        ),
        OffsetReset::None => None,
    };
    Ok(Found { bounds, by_policy })
}

fn offset_of(answers: &Answers, name: &TopicPartition) -> Result<i64, Error> {
    let refused = |code| Error::refused(format!("ListOffsets of {name}"), code, None);
    match answers {
        Ok(answers) => answers
            .get(name)
            .copied()
            .unwrap_or(Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION))
            .map_err(refused),
        Err(error) => Err(error.clone()),
    }
}

async fn list_offsets(
    client: &Client,
    leader: i32,
    partitions: &[&TopicPartition],
    timestamp: i64,
    isolation: IsolationLevel,
) -> Answers {
    let mut topics: HashMap<&str, Vec<ListOffsetsPartition>> = HashMap::new();
    for partition in partitions {
        let question = ListOffsetsPartition::default()
            .with_partition_index(partition.partition)
            .with_timestamp(timestamp);
        topics.entry(&partition.topic).or_default().push(question);
    }
    let topics = topics.into_iter().map(|(name, partitions)| {
        ListOffsetsTopic::default()
            .with_name(TopicName(StrBytes::from_string(name.to_owned())))
            .with_partitions(partitions)
    });
    let isolation_level = match isolation {
        IsolationLevel::ReadUncommitted => 0,
        IsolationLevel::ReadCommitted => 1,
    };
    let request = ListOffsetsRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_isolation_level(isolation_level)
        .with_topics(topics.collect());
    let response = client.call_node(leader, request).await?;
    let answers = response.topics.iter().flat_map(|topic| {
        topic.partitions.iter().map(|answer| {
            let name = TopicPartition::new(topic.name.as_str(), answer.partition_index);
            (name, ErrorCode::check(answer.error_code).map(|()| answer.offset))
        })
    });
    Ok(answers.collect())
}
