//! Groups at the end of a copy whose target is written in transactions: behind the last record lie markers, which no
//! consumer is ever given. A group that was sent right before them would seem to lag for ever.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use kafka_client::{
    Admin, Client, ConsumerConfig, Error, Topics,
    admin::OffsetSpec,
    config::IsolationLevel,
    consumer::{Consumer, ConsumerEvent, StartPosition},
};
use kafka_wire::{Entry, TopicPartition};

/// A marker is smaller. Of larger batches only one is sent at a time.
const FETCH_BYTES: i32 = 1024;

/// How long a look may take; what was not found by then is left as it is.
const PATIENCE: Duration = Duration::from_secs(10);

/// The ends of copies at which groups stand, and what lies behind them.
#[derive(Debug, Default)]
pub(crate) struct EndMarkers {
    ends: HashMap<TopicPartition, End>,
    round: u64,
}

#[derive(Debug)]
struct End {
    at: i64,
    /// Between `at` and this there are only markers.
    next: i64,
    /// At `next` is a record: nothing more is to be found.
    is_final: bool,
    first_round: u64,
    last_round: u64,
}

impl EndMarkers {
    /// A round over the groups begins.
    pub(crate) fn begin_round(&mut self) {
        let last = self.round;
        self.ends.retain(|_, end| end.last_round == last);
        self.round += 1;
    }

    /// A group stands at the end `at` of what was copied to `remote`. Answers where it goes on.
    pub(crate) fn pass(&mut self, remote: TopicPartition, at: i64) -> i64 {
        let round = self.round;
        if let Some(end) = self.ends.get_mut(&remote).filter(|end| end.at == at) {
            end.last_round = round;
            return end.next;
        }
        let end = End {
            at,
            next: at,
            is_final: false,
            first_round: round,
            last_round: round,
        };
        self.ends.insert(remote, end);
        at
    }

    /// Where to look. A copy that goes on needs no look: the next record tells. So only ends that have lasted for a round.
    pub(crate) fn to_look_at(&self) -> Vec<(TopicPartition, i64)> {
        let lasting = self
            .ends
            .iter()
            .filter(|(_, end)| !end.is_final && end.first_round < end.last_round);
        lasting.map(|(remote, end)| (remote.clone(), end.next)).collect()
    }

    /// Takes what a look from `from` has found. Answers whether it is news.
    pub(crate) fn found(&mut self, remote: &TopicPartition, from: i64, found: Found) -> bool {
        let Some(end) = self.ends.get_mut(remote).filter(|end| end.next == from) else {
            return false;
        };
        end.next = found.next;
        end.is_final = found.is_record;
        found.next > from
    }
}

/// What lies behind a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// Before it are only markers, and aborted records.
    pub(crate) next: i64,
    /// A record is there; else the log ends.
    pub(crate) is_record: bool,
}

/// Looks behind these positions of partitions of `client`'s cluster. Where nobody can tell there is no answer.
pub(crate) async fn look_behind(
    client: &Client,
    config: &ConsumerConfig,
    positions: Vec<(TopicPartition, i64)>,
) -> Result<HashMap<TopicPartition, Found>, Error> {
    let positions: HashMap<TopicPartition, i64> = positions.into_iter().collect();
    let ends = ends_of(client, positions.keys(), IsolationLevel::ReadCommitted).await?;
    let ahead = |(partition, from): (&TopicPartition, &i64)| {
        let end = ends.get(partition).copied().filter(|end| end > from)?;
        Some((partition.clone(), end))
    };
    let mut waiting: HashMap<TopicPartition, i64> = positions.iter().filter_map(ahead).collect();
    let mut config = config.clone();
    // An open transaction hides what follows it, and an aborted one has no records.
    config.isolation_level = IsolationLevel::ReadCommitted;
    config.max_partition_fetch_bytes = FETCH_BYTES;
    let mut consumer = Consumer::new(client.clone(), config);
    let starts = waiting
        .keys()
        .map(|name| (name.clone(), StartPosition::Offset(positions[name])));
    consumer.assign(starts.collect());
    let mut found = HashMap::new();
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !waiting.is_empty() {
        let Ok(polled) = tokio::time::timeout_at(deadline, consumer.poll()).await else {
            break;
        };
        for event in polled.events {
            for partition in strayed(event, &waiting) {
                consumer.pause(&partition);
                waiting.remove(&partition);
            }
        }
        for fetched in polled.fetched {
            let Some(end) = waiting.get(&fetched.partition).copied() else {
                continue;
            };
            let record = fetched
                .batches
                .first()
                .map(|first| first_offset(first).max(fetched.from));
            let answer = match record {
                Some(next) => Found { next, is_record: true },
                None if fetched.next_offset >= end => Found {
                    next: fetched.next_offset,
                    is_record: false,
                },
                None => continue,
            };
            consumer.pause(&fetched.partition);
            waiting.remove(&fetched.partition);
            found.insert(fetched.partition, answer);
        }
    }
    Ok(found)
}

/// The ends of these partitions, as far as they are there and may be asked for.
pub(super) async fn ends_of<'a>(
    client: &Client,
    partitions: impl IntoIterator<Item = &'a TopicPartition>,
    isolation: IsolationLevel,
) -> Result<HashMap<TopicPartition, i64>, Error> {
    let partitions: Vec<&TopicPartition> = partitions.into_iter().collect();
    let topics: BTreeSet<Arc<str>> = partitions.iter().map(|partition| partition.topic.clone()).collect();
    if topics.is_empty() {
        return Ok(HashMap::new());
    }
    let metadata = client
        .refresh_metadata(Topics::Some(topics.into_iter().collect()))
        .await?;
    let is_there = |partition: &&TopicPartition| {
        let topic = metadata
            .topics
            .get(&partition.topic)
            .filter(|topic| topic.error.is_none());
        topic.is_some_and(|topic| usize::try_from(partition.partition).is_ok_and(|at| at < topic.partitions.len()))
    };
    let asked: Vec<_> = partitions
        .into_iter()
        .filter(is_there)
        .map(|partition| (partition.clone(), OffsetSpec::Latest))
        .collect();
    if asked.is_empty() {
        return Ok(HashMap::new());
    }
    let ends = Admin::new(client.clone()).list_offsets(asked, isolation).await?;
    let ends = ends
        .into_iter()
        .filter_map(|(partition, end)| Some((partition, end.ok()?.offset)));
    Ok(ends.collect())
}

fn first_offset(entry: &Entry) -> i64 {
    match entry {
        Entry::Batch(batch) => batch.base_offset(),
        // Older than markers.
        Entry::Legacy(_) => 0,
    }
}

/// The partitions of which nothing can be said: they cannot be read, or are not what they were.
fn strayed(event: ConsumerEvent, waiting: &HashMap<TopicPartition, i64>) -> Vec<TopicPartition> {
    match event {
        ConsumerEvent::Gap { partition, .. } | ConsumerEvent::Rewound { partition, .. } => vec![partition],
        ConsumerEvent::Unavailable { partition, error } => {
            tracing::debug!(%partition, error = error.chain(), "the end of a copy cannot be read");
            vec![partition]
        }
        ConsumerEvent::TopicRecreated { topic } => {
            let its = waiting.keys().filter(|partition| partition.topic == topic);
            its.cloned().collect()
        }
        ConsumerEvent::Started { .. } | ConsumerEvent::Recovered { .. } => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remote() -> TopicPartition {
        TopicPartition::new("A.orders", 0)
    }

    fn round(ends: &mut EndMarkers, at: i64) -> i64 {
        ends.begin_round();
        ends.pass(remote(), at)
    }

    #[test]
    fn an_end_that_lasts_is_looked_at_until_a_record_follows() {
        let mut ends = EndMarkers::default();
        assert_eq!(round(&mut ends, 10), 10);
        assert_eq!(ends.to_look_at(), [], "it may go on at once");
        assert_eq!(round(&mut ends, 10), 10);
        assert_eq!(ends.to_look_at(), [(remote(), 10)]);
        let marker = Found {
            next: 11,
            is_record: false,
        };
        assert!(ends.found(&remote(), 10, marker));
        assert_eq!(round(&mut ends, 10), 11);
        assert_eq!(ends.to_look_at(), [(remote(), 11)], "another marker may follow");
        assert!(!ends.found(
            &remote(),
            11,
            Found {
                next: 11,
                is_record: true
            }
        ));
        assert_eq!(round(&mut ends, 10), 11);
        assert_eq!(ends.to_look_at(), []);
    }

    #[test]
    fn what_was_found_holds_for_that_end_alone() {
        let mut ends = EndMarkers::default();
        round(&mut ends, 10);
        round(&mut ends, 10);
        ends.found(
            &remote(),
            10,
            Found {
                next: 11,
                is_record: false,
            },
        );
        assert_eq!(round(&mut ends, 14), 14);
        assert!(
            !ends.found(
                &remote(),
                10,
                Found {
                    next: 99,
                    is_record: false
                }
            ),
            "a look that came late"
        );
        assert_eq!(round(&mut ends, 14), 14);
        ends.begin_round();
        ends.begin_round();
        assert!(ends.ends.is_empty(), "nobody stands there any more");
    }
}
