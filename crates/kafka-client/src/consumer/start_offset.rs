//! Where to begin with a partition whose position is not known, or no longer valid: a question to its leader.

use std::collections::HashMap;

use kafka_protocol::{
    messages::{
        BrokerId, ListOffsetsRequest, OffsetForLeaderEpochRequest, TopicName,
        list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic},
    },
    protocol::StrBytes,
};
use kafka_wire::{ErrorCode, TopicPartition};

use super::partition::FetchedEpoch;
use crate::admin::{EpochEndOffset, ends_of_epochs};
use crate::config::{IsolationLevel, OffsetReset};
use crate::{Client, Error, Role};

/// `timestamp` of a ListOffsets request that asks for the first offset.
const EARLIEST: i64 = -2;
/// The same for the end.
const LATEST: i64 = -1;
/// Before this version only brokers may ask where an epoch ended.
const EPOCHS_FOR_CONSUMERS_SINCE: i16 = 3;

/// A partition whose position is not known, or in doubt.
#[derive(Clone, Debug)]
pub(super) struct Unknown {
    /// Its number in the consumer's table.
    pub(super) at: usize,
    pub(super) name: TopicPartition,
    pub(super) last_fetched: Option<FetchedEpoch>,
}

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
    /// Where the epoch that was read last ended in the leader's log; `None` if that was not, or cannot be, asked.
    pub(super) epoch_end: Option<EpochEndOffset>,
}

/// What has become of a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The log has what was read, or may have it: reading goes on.
    There,
    /// The log begins behind it.
    Gone { to: i64 },
    /// The log is another from here on; the leader epoch of the record before.
    Parted { to: i64, epoch: i32 },
    /// The log is another, and nobody knows since when.
    Lost,
}

impl Found {
    /// Judges the position `from`, as Java's `SubscriptionState.maybeCompleteValidation` does, and more exactly where we know more.
    pub(super) fn judge(&self, from: i64, last_fetched: Option<FetchedEpoch>, leader_epoch: i32) -> Verdict {
        let Bounds { start, end } = self.bounds;
        if from < start {
            return Verdict::Gone { to: start };
        }
        let (Some(last), Some(found)) = (last_fetched, self.epoch_end) else {
            return if from <= end { Verdict::There } else { Verdict::Lost };
        };
        if found.end_offset < 0 || found.leader_epoch < 0 {
            return Verdict::Lost;
        }
        let is_known = found.leader_epoch == last.epoch;
        if is_known && from <= found.end_offset {
            return Verdict::There;
        }
        if leader_epoch <= last.epoch {
            // A log is cut by a new leader. Without one this is another log, of a topic that was created anew.
            return Verdict::Lost;
        }
        let parted = match is_known {
            true => found.end_offset,
            // Nothing of that epoch is there, but everything that was read before it.
            false => found.end_offset.min(last.since),
        };
        Verdict::Parted {
            to: parted.max(start),
            epoch: found.leader_epoch,
        }
    }
}

/// Asks the leader of some partitions.
pub(super) async fn find(
    client: &Client,
    leader: i32,
    partitions: Vec<Unknown>,
    reset: OffsetReset,
    isolation: IsolationLevel,
) -> Vec<(usize, Result<Found, Error>)> {
    let names: Vec<&TopicPartition> = partitions.iter().map(|unknown| &unknown.name).collect();
    let earliest = list_offsets(client, leader, &names, EARLIEST, isolation).await;
    let latest = list_offsets(client, leader, &names, LATEST, isolation).await;
    let timed = match reset {
        OffsetReset::ByDuration(age) => {
            let timestamp = crate::clock::now_ms() - age.as_millis() as i64;
            list_offsets(client, leader, &names, timestamp, isolation).await
        }
        _ => Ok(HashMap::new()),
    };
    let epoch_ends = epoch_ends(client, leader, &partitions).await;
    let answers = partitions.iter().map(|unknown| {
        let found = found(&unknown.name, reset, &earliest, &latest, &timed).and_then(|found| {
            let epoch_end = match &epoch_ends {
                Ok(ends) => ends.get(&unknown.name).cloned().transpose(),
                Err(error) => Err(error.clone()),
            };
            epoch_end.map(|epoch_end| Found { epoch_end, ..found })
        });
        (unknown.at, found)
    });
    answers.collect()
}

/// Asks where the epochs that were read last ended. Nothing, where a broker is too old to tell a consumer.
async fn epoch_ends(
    client: &Client,
    leader: i32,
    partitions: &[Unknown],
) -> Result<HashMap<TopicPartition, Result<EpochEndOffset, Error>>, Error> {
    let known = |unknown: &Unknown| Some((unknown.name.clone(), unknown.last_fetched?.epoch));
    let asked: Vec<(TopicPartition, i32)> = partitions.iter().filter_map(known).collect();
    if asked.is_empty() {
        return Ok(HashMap::new());
    }
    let connection = client.connection(leader, Role::General).await?;
    if let Err(error) = connection.require::<OffsetForLeaderEpochRequest>(EPOCHS_FOR_CONSUMERS_SINCE) {
        tracing::debug!(leader, %error, "a truncation of the log would go unseen");
        return Ok(HashMap::new());
    }
    Ok(ends_of_epochs(client, leader, asked).await?.into_iter().collect())
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
    Ok(Found {
        bounds,
        by_policy,
        epoch_end: None,
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A log of 100 to 200 whose leader is of epoch 5; epoch 3 was read from 110 on.
    fn check(from: i64, last: Option<i32>, epoch_end: Option<(i32, i64)>, expected: Verdict) {
        let found = Found {
            bounds: Bounds { start: 100, end: 200 },
            by_policy: Some(100),
            epoch_end: epoch_end.map(|(leader_epoch, end_offset)| EpochEndOffset {
                leader_epoch,
                end_offset,
            }),
        };
        let last = last.map(|epoch| FetchedEpoch { epoch, since: 110 });
        assert_eq!(
            found.judge(from, last, 5),
            expected,
            "{from} after {last:?}, {epoch_end:?}"
        );
    }

    #[test]
    fn a_position_is_judged_by_the_epoch_that_was_read_last() {
        check(150, Some(3), Some((3, 150)), Verdict::There);
        check(150, Some(3), Some((3, 170)), Verdict::There);
        check(150, Some(3), Some((3, 140)), Verdict::Parted { to: 140, epoch: 3 });
        check(220, Some(3), Some((3, 140)), Verdict::Parted { to: 140, epoch: 3 });
    }

    #[test]
    fn of_an_epoch_that_the_log_does_not_have_all_is_gone() {
        check(150, Some(3), Some((2, 105)), Verdict::Parted { to: 105, epoch: 2 });
        // Epoch 2 went on behind what was read of it, so all before epoch 3 is there.
        check(150, Some(3), Some((2, 160)), Verdict::Parted { to: 110, epoch: 2 });
        check(150, Some(3), Some((2, 90)), Verdict::Parted { to: 100, epoch: 2 });
    }

    #[test]
    fn another_log_is_begun_where_the_policy_says() {
        check(150, Some(3), Some((-1, -1)), Verdict::Lost);
        // Nobody has led since, so nobody has cut: the topic was created anew.
        check(150, Some(5), Some((5, 140)), Verdict::Lost);
        check(150, Some(6), Some((5, 200)), Verdict::Lost);
    }

    #[test]
    fn without_an_epoch_only_the_bounds_tell() {
        check(99, Some(3), Some((3, 200)), Verdict::Gone { to: 100 });
        check(99, None, None, Verdict::Gone { to: 100 });
        check(100, None, None, Verdict::There);
        check(200, None, Some((3, 100)), Verdict::There);
        check(201, Some(3), None, Verdict::Lost);
    }
}
