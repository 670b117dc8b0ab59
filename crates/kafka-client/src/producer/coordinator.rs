//! The broker that keeps a transactional id: who holds the id, and what its transaction has touched.
//!
//! Spoken as Kafka's clients do before KIP-890: partitions are added by request, and an epoch lasts as long as its
//! producer. Every broker from 2.8 on understands it, and sequences run on from one transaction to the next.

use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::messages::{
    AddPartitionsToTxnRequest, AddPartitionsToTxnResponse, EndTxnRequest, InitProducerIdRequest, TopicName,
    TransactionalId, add_partitions_to_txn_request::AddPartitionsToTxnTopic,
};
use kafka_protocol::protocol::{Request, StrBytes};
use kafka_wire::{ErrorCode, TopicPartition};

use super::partition_queue::Identity;
use crate::admin::CoordinatorType;
use crate::retry::{ExponentialBackoff, is_retriable};
use crate::{Admin, Client, Error, Role};

/// What only brokers send each other begins behind these; an epoch per transaction begins with EndTxn 5.
const MAX_INIT_PRODUCER_ID: i16 = 4;
const MAX_ADD_PARTITIONS: i16 = 3;
const MAX_END_TXN: i16 = 4;

/// The transaction before is still being marked in its partitions, which takes a broker some milliseconds.
const CONCURRENT: ExponentialBackoff = ExponentialBackoff::new(Duration::from_millis(4), Duration::from_millis(100));
/// What passes sooner is nobody's concern.
const SAY_FROM_ATTEMPT: u32 = 8;

#[derive(Clone, Debug)]
pub(crate) struct Coordinator {
    client: Client,
    transactional_id: Arc<str>,
    node_id: Option<i32>,
}

/// What became of each partition, in the order of the request.
pub(super) type Added = Vec<ErrorCode>;

impl Coordinator {
    pub(crate) fn new(client: Client, transactional_id: Arc<str>) -> Self {
        let node_id = None;
        Self {
            client,
            transactional_id,
            node_id,
        }
    }

    pub(super) fn transactional_id(&self) -> &Arc<str> {
        &self.transactional_id
    }

    /// Takes the id over: whoever held it is fenced, and a transaction that it left open is aborted. Tries for as long as
    /// it takes.
    pub(crate) async fn init(&mut self, timeout: Duration) -> Result<Identity, Error> {
        let mut attempts = 0;
        loop {
            match self.init_once(timeout, None).await {
                Ok(identity) => return Ok(identity),
                Err(error) => self.pause_or_fail("InitProducerId", &mut attempts, error).await?,
            }
        }
    }

    /// Aborts the open transaction of `holder`, if it still holds the id, and fences what it may have on its way. One
    /// attempt.
    pub(super) async fn give_up(&mut self, timeout: Duration, holder: Identity) -> Result<(), Error> {
        self.init_once(timeout, Some(holder)).await.map(drop)
    }

    async fn init_once(&mut self, timeout: Duration, holder: Option<Identity>) -> Result<Identity, Error> {
        let (producer_id, epoch) = holder.map_or((-1, -1), |holder| (holder.producer_id, holder.epoch));
        let request = InitProducerIdRequest::default()
            .with_transactional_id(Some(self.id()))
            .with_transaction_timeout_ms(i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX))
            .with_producer_id(producer_id.into())
            .with_producer_epoch(epoch);
        let response = self.call(MAX_INIT_PRODUCER_ID, request).await?;
        self.check("InitProducerId", response.error_code)?;
        Ok(Identity {
            producer_id: response.producer_id.0,
            epoch: response.producer_epoch,
            transactional: true,
        })
    }

    /// Adds partitions, grouped by topic, to the transaction. Tries for as long as it takes; an error is about all.
    pub(super) async fn add_partitions(
        &mut self,
        identity: Identity,
        partitions: &[TopicPartition],
    ) -> Result<Added, Error> {
        let mut attempts = 0;
        loop {
            let error = match self.add_partitions_once(identity, partitions).await {
                Ok(added) if added.iter().all(|code| *code == ErrorCode::OPERATION_NOT_ATTEMPTED) => {
                    self.refused("AddPartitionsToTxn", ErrorCode::COORDINATOR_NOT_AVAILABLE)
                }
                Ok(added) => match added.iter().find(|code| is_about_all(**code)) {
                    Some(code) => self.refused("AddPartitionsToTxn", *code),
                    None => return Ok(added),
                },
                Err(error) => error,
            };
            self.pause_or_fail("AddPartitionsToTxn", &mut attempts, error).await?;
        }
    }

    async fn add_partitions_once(&mut self, identity: Identity, partitions: &[TopicPartition]) -> Result<Added, Error> {
        let topics = partitions.chunk_by(|one, other| one.topic == other.topic);
        let topics = topics.map(|of_topic| {
            AddPartitionsToTxnTopic::default()
                .with_name(TopicName(text(&of_topic[0].topic)))
                .with_partitions(of_topic.iter().map(|partition| partition.partition).collect())
        });
        let request = AddPartitionsToTxnRequest::default()
            .with_v3_and_below_transactional_id(self.id())
            .with_v3_and_below_producer_id(identity.producer_id.into())
            .with_v3_and_below_producer_epoch(identity.epoch)
            .with_v3_and_below_topics(topics.collect());
        let response = self.call(MAX_ADD_PARTITIONS, request).await?;
        self.check("AddPartitionsToTxn", response.error_code)?;
        Ok(partitions
            .iter()
            .map(|partition| result_of(&response, partition))
            .collect())
    }

    /// Ends the transaction, one way or the other. Tries for as long as it takes: a broker that did it already says so.
    pub(super) async fn end(&mut self, identity: Identity, committed: bool) -> Result<(), Error> {
        let mut attempts = 0;
        loop {
            let request = EndTxnRequest::default()
                .with_transactional_id(self.id())
                .with_producer_id(identity.producer_id.into())
                .with_producer_epoch(identity.epoch)
                .with_committed(committed);
            let ended = self.call(MAX_END_TXN, request).await;
            match ended.and_then(|response| self.check("EndTxn", response.error_code)) {
                Ok(()) => return Ok(()),
                Err(error) => self.pause_or_fail("EndTxn", &mut attempts, error).await?,
            }
        }
    }

    async fn call<R: Request>(&mut self, max_version: i16, request: R) -> Result<R::Response, Error> {
        let called = self.call_once(max_version, request).await;
        if called.is_err() {
            self.node_id = None;
        }
        called
    }

    async fn call_once<R: Request>(&mut self, max_version: i16, request: R) -> Result<R::Response, Error> {
        let node_id = match self.node_id {
            Some(node_id) => node_id,
            None => {
                let admin = Admin::new(self.client.clone());
                admin
                    .find_coordinator_once(CoordinatorType::Transaction, &self.transactional_id)
                    .await?
            }
        };
        self.node_id = Some(node_id);
        let connection = self.client.connection(node_id, Role::General).await?;
        let version = connection.version_up_to::<R>(max_version)?;
        connection
            .call(version, request, self.client.config().request_timeout)
            .await
    }

    /// Waits before the next attempt, or gives the error back if there is no use in one.
    async fn pause_or_fail(&mut self, what: &'static str, attempts: &mut u32, error: Error) -> Result<(), Error> {
        if !is_retriable(&error) {
            return Err(error);
        }
        let config = self.client.config();
        let wait = match error.code() {
            Some(ErrorCode::CONCURRENT_TRANSACTIONS) => CONCURRENT.after(*attempts),
            _ => ExponentialBackoff::new(config.retry_backoff, config.retry_backoff_max).after(*attempts),
        };
        if matches!(
            error.code(),
            Some(ErrorCode::NOT_COORDINATOR | ErrorCode::COORDINATOR_NOT_AVAILABLE)
        ) {
            self.node_id = None;
        }
        *attempts = attempts.saturating_add(1);
        if *attempts >= SAY_FROM_ATTEMPT && attempts.is_power_of_two() {
            tracing::warn!(
                transactional_id = &*self.transactional_id, attempts, error = %error.chain(),
                "{what} does not succeed, trying on"
            );
        }
        tokio::time::sleep(wait).await;
        Ok(())
    }

    fn check(&self, what: &str, code: i16) -> Result<(), Error> {
        ErrorCode::check(code).map_err(|code| self.refused(what, code))
    }

    pub(super) fn refused(&self, what: &str, code: ErrorCode) -> Error {
        Error::refused(
            format!("{what} of transactional id {}", self.transactional_id),
            code,
            None,
        )
    }

    fn id(&self) -> TransactionalId {
        TransactionalId(text(&self.transactional_id))
    }
}

/// Whether a partition's error is the coordinator's about the whole request: each partition has the same then.
fn is_about_all(code: ErrorCode) -> bool {
    !matches!(
        code,
        ErrorCode::NONE
            | ErrorCode::OPERATION_NOT_ATTEMPTED
            | ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
            | ErrorCode::TOPIC_AUTHORIZATION_FAILED
    )
}

/// A partition that the broker passed over is asked for again.
fn result_of(response: &AddPartitionsToTxnResponse, partition: &TopicPartition) -> ErrorCode {
    let topics = response.results_by_topic_v3_and_below.iter();
    let mut results = topics
        .filter(|topic| *topic.name.0 == *partition.topic)
        .flat_map(|topic| &topic.results_by_partition);
    let result = results.find(|result| result.partition_index == partition.partition);
    result.map_or(ErrorCode::OPERATION_NOT_ATTEMPTED, |result| {
        ErrorCode(result.partition_error_code)
    })
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}
