//! Fetch, versions 4 to 17: long poll, sessions (KIP-227), topic ids, read_committed, leader hints (KIP-951).
//!
//! Left out: followers' fetches, preferred read replicas, quotas.

use std::time::Duration;

use bytes::Bytes;
use kafka_protocol::error::ResponseError as E;
use kafka_protocol::messages::fetch_response::{
    AbortedTransaction, EpochEndOffset, FetchableTopicResponse, LeaderIdAndEpoch, NodeEndpoint, PartitionData,
};
use kafka_protocol::messages::{BrokerId, FetchRequest, FetchResponse, ProducerId, TopicName};
use tokio::time::Instant;

use super::{Call, text};
use crate::fetch_session::{Fetching, Key, Told, TopicKey, Wanted};
use crate::log;
use crate::state::State;
use crate::topic::Partition;

/// Kafka's `fetch.max.bytes` of the broker.
const MAX_BYTES: usize = 55 << 20;
const READ_COMMITTED: i8 = 1;

pub(super) async fn handle(call: &Call<'_>, request: FetchRequest) -> FetchResponse {
    let shared = &call.context.shared;
    let begun = shared
        .state()
        .fetch_sessions
        .begin(call.node_id(), call.version, &request);
    let fetching = match begun {
        Ok(fetching) => fetching,
        Err(error) => return refuse(request, error),
    };
    let deadline = call.now + Duration::from_millis(request.max_wait_ms.max(0) as u64);
    let reads = loop {
        // Listen before looking, so that nothing is appended unheard in between.
        let changed = shared.log_changed.notified();
        tokio::pin!(changed);
        changed.as_mut().enable();
        let reads = Reader::new(&shared.state(), call, &request).read_all(&fetching);
        if reads.satisfied || Instant::now() >= deadline {
            break reads;
        }
        tokio::select! {
            () = changed => {}
            () = tokio::time::sleep_until(deadline) => {}
        }
    };
    let (read, endpoints) = {
        let mut state = shared.state();
        let endpoints = endpoints(&state, &reads.read);
        (news(&mut state, &fetching, reads.read), endpoints)
    };
    let response = FetchResponse::default()
        .with_session_id(fetching.session_id)
        .with_responses(by_topic(read));
    match call.version >= 16 {
        true => response.with_node_endpoints(endpoints),
        false => response,
    }
}

pub(super) fn refuse(request: FetchRequest, error: E) -> FetchResponse {
    let mut response = FetchResponse::default();
    // An error of the session has no partitions; those of a hook are wanted on every one.
    let of_the_session = [
        E::FetchSessionIdNotFound,
        E::InvalidFetchSessionEpoch,
        E::FetchSessionTopicIdError,
    ]
    .contains(&error);
    if of_the_session {
        return response.with_error_code(error.code());
    }
    for topic in request.topics {
        let partitions = topic
            .partitions
            .iter()
            .map(|partition| failed(partition.partition, error));
        let topic = FetchableTopicResponse::default()
            .with_topic(topic.topic)
            .with_topic_id(topic.topic_id)
            .with_partitions(partitions.collect());
        response.responses.push(topic);
    }
    if response.responses.is_empty() {
        // An incremental request names no partition: only the whole answer can carry the error.
        response.error_code = error.code();
    }
    response
}

/// What one pass over the wanted partitions found.
struct Reads {
    read: Vec<(Key, Read)>,
    /// Whether the client need not wait any longer.
    satisfied: bool,
}

struct Read {
    data: PartitionData,
    pieces: Vec<Bytes>,
}

struct Reader<'a> {
    state: &'a State,
    call: &'a Call<'a>,
    committed: bool,
    min_bytes: usize,
    left_bytes: usize,
    read_bytes: usize,
}

impl<'a> Reader<'a> {
    fn new(state: &'a State, call: &'a Call<'a>, request: &FetchRequest) -> Self {
        Self {
            state,
            call,
            committed: request.isolation_level == READ_COMMITTED,
            min_bytes: request.min_bytes.max(0) as usize,
            left_bytes: (request.max_bytes.max(0) as usize).min(MAX_BYTES),
            read_bytes: 0,
        }
    }

    fn read_all(mut self, fetching: &Fetching) -> Reads {
        let mut urgent = false;
        let mut read = Vec::with_capacity(fetching.wanted.len());
        for (key, wanted) in &fetching.wanted {
            let one = self.read(key, wanted).unwrap_or_else(|error| {
                urgent = true;
                self.failed(key, error)
            });
            urgent |= one.data.diverging_epoch.epoch >= 0;
            read.push((key.clone(), one));
        }
        let nothing_wanted = fetching.wanted.is_empty();
        let satisfied = urgent || nothing_wanted || self.read_bytes >= self.min_bytes;
        Reads { read, satisfied }
    }

    fn read(&mut self, (topic, index): &Key, wanted: &Wanted) -> Result<Read, E> {
        let name = self.name(topic)?;
        let partition = self
            .state
            .led_partition(self.call.node_id(), name, *index, wanted.current_leader_epoch)?;
        let log = &partition.log;
        let mut data = PartitionData::default()
            .with_partition_index(*index)
            .with_high_watermark(log.high_watermark())
            .with_last_stable_offset(log.last_stable_offset())
            .with_log_start_offset(log.log_start_offset());
        if let Some(diverging) = diverging_epoch(partition, wanted)? {
            return Ok(Read {
                data: data.with_diverging_epoch(diverging),
                pieces: Vec::new(),
            });
        }
        let from = wanted.fetch_offset;
        if from < log.log_start_offset() || from > log.high_watermark() {
            return Err(E::OffsetOutOfRange);
        }
        let upper = if self.committed {
            log.last_stable_offset()
        } else {
            log.high_watermark()
        };
        let room = (wanted.max_bytes.max(0) as usize).min(self.left_bytes);
        let pieces = log.read(from, upper, room, self.read_bytes == 0);
        let read_bytes: usize = pieces.iter().map(Bytes::len).sum();
        self.read_bytes += read_bytes;
        self.left_bytes = self.left_bytes.saturating_sub(read_bytes);
        data.aborted_transactions = None;
        if self.committed {
            let aborted = log.aborted_between(from, upper).into_iter().map(|aborted| {
                AbortedTransaction::default()
                    .with_producer_id(ProducerId(aborted.producer_id))
                    .with_first_offset(aborted.first_offset)
            });
            data.aborted_transactions = Some(aborted.collect());
        }
        Ok(Read { data, pieces })
    }

    fn name(&self, topic: &'a TopicKey) -> Result<&'a str, E> {
        match topic {
            TopicKey::Name(name) => Ok(name),
            TopicKey::Id(id) => self.state.name_of(*id).map(|name| &**name),
        }
    }

    fn failed(&self, (topic, index): &Key, error: E) -> Read {
        let mut data = failed(*index, error);
        let moved = [E::NotLeaderOrFollower, E::FencedLeaderEpoch].contains(&error);
        let partition = self.name(topic).and_then(|name| self.state.partition(name, *index));
        if let Ok(partition) = partition
            && moved
            && self.call.version >= 12
        {
            data.current_leader = LeaderIdAndEpoch::default()
                .with_leader_id(BrokerId(partition.leader.unwrap_or(-1)))
                .with_leader_epoch(partition.leader_epoch);
        }
        Read {
            data,
            pieces: Vec::new(),
        }
    }
}

/// Set when the client's last record is not in this log: it read from a leader that has since lost records.
fn diverging_epoch(partition: &Partition, wanted: &Wanted) -> Result<Option<EpochEndOffset>, E> {
    let (log, last_fetched) = (&partition.log, wanted.last_fetched_epoch);
    if last_fetched < 0 {
        return Ok(None);
    }
    let end = log.end_of_epoch(last_fetched, partition.leader_epoch);
    // As in Kafka's `Partition.readRecords`: an epoch that is not known at all has no better error.
    let (epoch, end_offset) = end.ok_or(E::OffsetOutOfRange)?;
    if wanted.fetch_offset < log.log_start_offset() {
        return Err(E::OffsetOutOfRange);
    }
    let diverges = epoch < last_fetched || end_offset < wanted.fetch_offset;
    Ok(diverges.then(|| EpochEndOffset::default().with_epoch(epoch).with_end_offset(end_offset)))
}

fn failed(index: i32, error: E) -> PartitionData {
    PartitionData::default()
        .with_partition_index(index)
        .with_error_code(error.code())
        .with_high_watermark(-1)
        .with_last_stable_offset(-1)
        .with_log_start_offset(-1)
        .with_records(Some(Bytes::new()))
}

/// Leaves out what an incremental session has told before.
fn news(state: &mut State, fetching: &Fetching, read: Vec<(Key, Read)>) -> Vec<(Key, Read)> {
    let mut news = Vec::with_capacity(read.len());
    let mut served = Vec::new();
    for (key, read) in read {
        let has_records = !read.pieces.is_empty();
        let quiet = read.data.error_code == 0 && read.data.diverging_epoch.epoch < 0;
        let told = quiet.then_some(Told {
            high_watermark: read.data.high_watermark,
            log_start_offset: read.data.log_start_offset,
        });
        if has_records {
            served.push(key.clone());
        }
        if state.fetch_sessions.is_news(fetching, &key, told, has_records) {
            news.push((key, read));
        }
    }
    state.fetch_sessions.served(fetching.session_id, &served);
    news
}

fn by_topic(read: Vec<(Key, Read)>) -> Vec<FetchableTopicResponse> {
    let mut topics: Vec<(TopicKey, FetchableTopicResponse)> = Vec::new();
    for ((topic, _), mut read) in read {
        if read.data.error_code == 0 {
            read.data.records = Some(log::join(read.pieces));
        }
        match topics.last_mut() {
            Some((last, response)) if *last == topic => response.partitions.push(read.data),
            _ => {
                let response = match &topic {
                    TopicKey::Name(name) => FetchableTopicResponse::default().with_topic(TopicName(text(name))),
                    TopicKey::Id(id) => FetchableTopicResponse::default().with_topic_id(*id),
                };
                topics.push((topic, response.with_partitions(vec![read.data])));
            }
        }
    }
    topics.into_iter().map(|(_, response)| response).collect()
}

fn endpoints(state: &State, read: &[(Key, Read)]) -> Vec<NodeEndpoint> {
    let mut leaders: Vec<i32> = read
        .iter()
        .map(|(_, read)| read.data.current_leader.leader_id.0)
        .collect();
    leaders.sort_unstable();
    leaders.dedup();
    let known = leaders.into_iter().filter_map(|id| Some((id, state.nodes.get(&id)?)));
    known
        .map(|(id, node)| {
            NodeEndpoint::default()
                .with_node_id(BrokerId(id))
                .with_host(text(&node.host))
                .with_port(node.port.into())
        })
        .collect()
}
