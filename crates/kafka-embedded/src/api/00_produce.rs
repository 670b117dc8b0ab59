//! Produce, versions 3 to 13 (advertised from 0, as Kafka 4 does for old librdkafka's sake).
//!
//! Left out: `compression.type` of a topic (the producer's codec is kept), bounds on timestamps, checks inside a
//! compressed batch of topics that are not compacted, quotas. There are no followers, so that acks=1 is acks=all.

use kafka_protocol::error::ResponseError as E;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::produce_response::{
    LeaderIdAndEpoch, NodeEndpoint, PartitionProduceResponse, TopicProduceResponse,
};
use kafka_protocol::messages::{BrokerId, ProduceRequest, ProduceResponse, ResponseKind};
use kafka_wire::{BatchIter, Entry, RecordBatch};

use super::{Call, Outcome, text};
use crate::clock;
use crate::log::Appended;
use crate::state::State;
use crate::transaction::ProducerIdAndEpoch;

/// From here on producing adds the partition to the transaction (KIP-890).
const ADDS_TO_TRANSACTION: i16 = 12;

pub(super) fn handle(call: &Call<'_>, request: ProduceRequest) -> Outcome {
    let acks = request.acks;
    if ![-1, 0, 1].contains(&acks) {
        return Outcome::Reply(Box::new(ResponseKind::Produce(refuse(request, E::InvalidRequiredAcks))));
    }
    let transactional_id = request.transactional_id.as_ref().map(|id| id.as_str());
    let mut appender = Appender {
        state: &mut call.context.shared.state(),
        call,
        transactional_id,
    };
    let mut failed = false;
    let mut moved = Vec::new();
    let mut responses = Vec::with_capacity(request.topic_data.len());
    for topic in &request.topic_data {
        let name = appender.topic_name(topic);
        let partitions = topic.partition_data.iter().map(|data| {
            let appended = name.clone().and_then(|name| appender.append(&name, data));
            let mut response = partition_response(data.index, &appended);
            failed |= appended.is_err();
            if let Ok(partition) = name
                .clone()
                .and_then(|name| appender.state.partition(&name, data.index))
            {
                if appended.is_ok() {
                    response.log_start_offset = partition.log.log_start_offset();
                }
                if appended == Err(E::NotLeaderOrFollower) && call.version >= 10 {
                    response.current_leader = LeaderIdAndEpoch::default()
                        .with_leader_id(BrokerId(partition.leader.unwrap_or(-1)))
                        .with_leader_epoch(partition.leader_epoch);
                    moved.extend(partition.leader);
                }
            }
            response
        });
        let partitions = partitions.collect();
        responses.push(topic_response(topic).with_partition_responses(partitions));
    }
    let response = ProduceResponse::default()
        .with_responses(responses)
        .with_node_endpoints(endpoints(appender.state, moved));
    call.log_changed();
    match (acks, failed) {
        // Nobody waits for an answer; closing the connection is the only way to tell that something is wrong.
        (0, true) => Outcome::HangUp,
        (0, false) => Outcome::NoReply,
        _ => Outcome::Reply(Box::new(ResponseKind::Produce(response))),
    }
}

pub(super) fn refuse(request: ProduceRequest, error: E) -> ProduceResponse {
    let topics = request.topic_data.iter().map(|topic| {
        let partitions = topic
            .partition_data
            .iter()
            .map(|data| partition_response(data.index, &Err(error)));
        topic_response(topic).with_partition_responses(partitions.collect())
    });
    ProduceResponse::default().with_responses(topics.collect())
}

struct Appender<'a> {
    state: &'a mut State,
    call: &'a Call<'a>,
    transactional_id: Option<&'a str>,
}

impl Appender<'_> {
    fn topic_name(&self, topic: &TopicProduceData) -> Result<std::sync::Arc<str>, E> {
        match self.call.version >= 13 {
            true => self.state.name_of(topic.topic_id).cloned(),
            false => Ok(topic.name.as_str().into()),
        }
    }

    fn append(&mut self, topic: &str, data: &PartitionProduceData) -> Result<Appended, E> {
        self.state.led_partition(self.call.node_id(), topic, data.index, -1)?;
        let batch = single_batch(data)?;
        if batch.is_transactional() {
            self.check_transaction(topic, data.index, &batch)?;
        }
        let rules = self.state.topic(topic)?.rules;
        let partition = self.state.partition_mut(topic, data.index)?;
        let epoch = partition.leader_epoch;
        partition.log.append(&batch, epoch, clock::now_ms(), rules)
    }

    fn check_transaction(&mut self, topic: &str, partition: i32, batch: &RecordBatch) -> Result<(), E> {
        let id = self.transactional_id.ok_or(E::InvalidRecord)?;
        let producer = ProducerIdAndEpoch {
            id: batch.producer_id(),
            epoch: batch.producer_epoch(),
        };
        let checked = match self.call.version >= ADDS_TO_TRANSACTION {
            true => self
                .state
                .add_partition_to_transaction(id, producer, (topic, partition), self.call.now),
            false => self.state.check_in_transaction(id, producer, (topic, partition)),
        };
        self.call.deadline_changed();
        // What fences a request to the coordinator is an old epoch to the log.
        checked.map_err(|error| {
            if error == E::ProducerFenced {
                E::InvalidProducerEpoch
            } else {
                error
            }
        })
    }
}

/// Clients send exactly one batch for a partition in a request; Kafka refuses more.
fn single_batch(data: &PartitionProduceData) -> Result<RecordBatch, E> {
    let records = data.records.clone().ok_or(E::InvalidRecord)?;
    let length = records.len();
    match BatchIter::new(records).next() {
        Some(Ok(Entry::Batch(batch))) if batch.size_bytes() == length => Ok(batch),
        Some(Ok(_)) => Err(E::InvalidRecord),
        Some(Err(_)) | None => Err(E::CorruptMessage),
    }
}

fn topic_response(topic: &TopicProduceData) -> TopicProduceResponse {
    TopicProduceResponse::default()
        .with_name(topic.name.clone())
        .with_topic_id(topic.topic_id)
}

fn partition_response(index: i32, appended: &Result<Appended, E>) -> PartitionProduceResponse {
    let response = PartitionProduceResponse::default().with_index(index);
    match appended {
        Ok(appended) => response
            .with_base_offset(appended.base_offset)
            .with_log_append_time_ms(appended.log_append_time),
        Err(error) => response
            .with_error_code(error.code())
            .with_base_offset(-1)
            .with_log_append_time_ms(-1)
            .with_log_start_offset(-1),
    }
}

fn endpoints(state: &State, mut leaders: Vec<i32>) -> Vec<NodeEndpoint> {
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
