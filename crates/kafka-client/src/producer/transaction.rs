//! Transactions of a producer: what is sent counts, for those who read committed records, once [`Producer::commit`] has
//! said so, and all of it together.
//!
//! A transaction begins with the first batch. Partitions are added to it before anything is written there: a partition
//! does not line up at its leader until the coordinator has noted it.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use kafka_wire::{ErrorCode, TopicPartition};
use tokio::time::Instant;

use super::coordinator::{Added, Coordinator};
use super::identity::IdentityState;
use super::partition_queue::Identity;
use super::{Event, Producer, Refused};
use crate::config::ProducerConfig;
use crate::rights::missing_right;
use crate::{Client, Error};

/// What a transactional producer knows besides its batches.
pub(super) struct Transaction {
    coordinator: Coordinator,
    identity: Option<Identity>,
    /// Counts transactions, from 1.
    number: u64,
    /// Partitions that are to be added.
    joining: Vec<usize>,
    adding: bool,
    /// The coordinator has, or may have, noted partitions of this transaction.
    is_open: bool,
    ending: Option<BoxFuture<'static, (Coordinator, Result<(), Error>)>>,
    /// When the end was asked for.
    ending_since: Instant,
    failure: Option<Error>,
}

impl Producer {
    /// A producer whose batches count once they are committed. Call [`Self::init_transactions`] before anything else.
    pub fn transactional(client: Client, config: ProducerConfig, transactional_id: &str) -> Self {
        let coordinator = Coordinator::new(client.clone(), transactional_id.into());
        let mut producer = Self::new(client, config);
        producer.transaction = Some(Box::new(Transaction {
            coordinator,
            identity: None,
            number: 1,
            joining: Vec::new(),
            adding: false,
            is_open: false,
            ending: None,
            ending_since: Instant::now(),
            failure: None,
        }));
        producer
    }

    /// Takes the transactional id over: a producer that held it before can write no more, and what it did not commit is
    /// aborted. Waits for a coordinator as long as it takes.
    pub async fn init_transactions(&mut self) -> Result<(), Error> {
        let timeout = self.config.transaction_timeout;
        let Some(transaction) = &mut self.transaction else {
            return Ok(());
        };
        let identity = transaction.coordinator.init(timeout).await?;
        tracing::debug!(
            transactional_id = &**transaction.coordinator.transactional_id(),
            producer_id = identity.producer_id,
            epoch = identity.epoch,
            "transactions can begin"
        );
        transaction.identity = Some(identity);
        self.identity = IdentityState::Known(identity);
        Ok(())
    }

    /// Ends the transaction: all that was written since the last one counts. Every batch has to have its outcome. With
    /// nothing written there is nothing to do.
    ///
    /// Cancel-safe: the next call goes on waiting for the same end.
    pub async fn commit(&mut self) -> Result<(), Error> {
        debug_assert_eq!(self.outstanding_batches, 0, "outcomes come before the end");
        let Some(transaction) = &mut self.transaction else {
            return Ok(());
        };
        if let Some(failure) = &transaction.failure {
            return Err(failure.clone());
        }
        let Some(identity) = transaction.identity.filter(|_| transaction.is_open) else {
            return Ok(());
        };
        let mut coordinator = transaction.coordinator.clone();
        let ending = transaction.ending.get_or_insert_with(|| {
            transaction.ending_since = Instant::now();
            Box::pin(async move {
                let ended = coordinator.end(identity, true).await;
                (coordinator, ended)
            })
        });
        let (coordinator, ended) = ending.await;
        (transaction.ending, transaction.coordinator) = (None, coordinator);
        match ended {
            Ok(()) => {
                transaction.number += 1;
                transaction.is_open = false;
                self.client.metrics().committed(transaction.ending_since.elapsed());
                Ok(())
            }
            Err(error) => {
                transaction.failure = Some(error.clone());
                Err(error)
            }
        }
    }

    /// Aborts what was written since the last commit, if nobody has taken the id over. This producer writes no more:
    /// what may still be on its way is refused.
    pub async fn give_up(&mut self) -> Result<(), Error> {
        let timeout = self.config.transaction_timeout;
        match &mut self.transaction {
            Some(transaction) if transaction.is_open => match transaction.identity {
                Some(identity) => {
                    let since = Instant::now();
                    let given_up = transaction.coordinator.give_up(timeout, identity).await;
                    if given_up.is_ok() {
                        self.client.metrics().aborted(since.elapsed());
                    }
                    given_up
                }
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    /// Whether something was written, or may have been, that is not committed.
    pub fn has_open_transaction(&self) -> bool {
        self.transaction.as_ref().is_some_and(|transaction| transaction.is_open)
    }

    /// Why this producer can write no more, if so. All its batches have come back by then, or will.
    pub fn failure(&self) -> Option<&Error> {
        self.transaction.as_ref()?.failure.as_ref()
    }

    /// Whether batches of the partition may be sent as far as the transaction is concerned; if not, it is added.
    pub(super) fn has_joined(&mut self, partition: usize) -> bool {
        let Some(transaction) = &mut self.transaction else {
            return true;
        };
        let queue = &mut self.partitions[partition];
        let joined = queue.transaction == transaction.number;
        if !joined && !std::mem::replace(&mut queue.joining, true) {
            transaction.joining.push(partition);
        }
        joined
    }

    /// Adds the partitions that wait for it, in one request for all.
    pub(super) fn add_partitions(&mut self) {
        let Some(transaction) = &mut self.transaction else {
            return;
        };
        let Some(identity) = transaction.identity.filter(|_| !transaction.adding) else {
            return;
        };
        if transaction.joining.is_empty() || transaction.failure.is_some() {
            return;
        }
        let mut joining = std::mem::take(&mut transaction.joining);
        joining.sort_by(|one, other| self.partitions[*one].target.cmp(&self.partitions[*other].target));
        let targets: Vec<TopicPartition> = joining.iter().map(|at| self.partitions[*at].target.clone()).collect();
        (transaction.adding, transaction.is_open) = (true, true);
        let mut coordinator = transaction.coordinator.clone();
        self.work.push(Box::pin(async move {
            let result = coordinator.add_partitions(identity, &targets).await;
            Event::PartitionsAdded {
                coordinator,
                partitions: joining,
                result,
            }
        }));
    }

    pub(super) fn on_partitions_added(
        &mut self,
        coordinator: Coordinator,
        partitions: Vec<usize>,
        result: Result<Added, Error>,
    ) {
        let Some(transaction) = &mut self.transaction else {
            return;
        };
        (transaction.adding, transaction.coordinator) = (false, coordinator);
        let number = transaction.number;
        let added = match result {
            Ok(added) => added,
            Err(error) => return self.fail_transaction(error),
        };
        let now = Instant::now();
        for (partition, code) in partitions.into_iter().zip(added) {
            let queue = &mut self.partitions[partition];
            queue.joining = false;
            match code {
                ErrorCode::NONE => queue.transaction = number,
                // Only because of another partition.
                ErrorCode::OPERATION_NOT_ATTEMPTED => {}
                ErrorCode::UNKNOWN_TOPIC_OR_PARTITION => {
                    self.metadata.want();
                    queue.last_error = Some(code);
                    queue.failing_since.get_or_insert(now);
                    queue.attempts = queue.attempts.saturating_add(1);
                    if !self.give_back_if_hopeless(partition, now, || code.to_string()) {
                        self.delay(partition, now);
                    }
                }
                code => {
                    let what = format!("adding {} to a transaction", queue.target);
                    let reason = format!("{what} was refused: {code}{}", missing_right(&what, code));
                    let parts = queue.give_back(0);
                    self.give_back(partition, parts, &Refused::new(reason, Some(code)));
                }
            }
            self.enqueue(partition);
        }
    }

    /// From now on nothing is written. What waits comes back at once, what is on its way as it is answered.
    pub(super) fn fail_transaction(&mut self, error: Error) {
        let Some(transaction) = &mut self.transaction else {
            return;
        };
        transaction.failure.get_or_insert(error);
        for partition in 0..self.partitions.len() {
            self.give_back_after_failure(partition);
        }
    }

    /// Whether the producer has failed, in which case batches of the partition come back.
    pub(super) fn give_back_after_failure(&mut self, partition: usize) -> bool {
        let Some(failure) = self.failure() else {
            return false;
        };
        let refusal = Refused::new(failure.chain(), failure.code());
        if self.partitions[partition].in_flight() == 0 {
            self.leave_ring(partition);
            let parts = self.partitions[partition].give_back(0);
            self.give_back(partition, parts, &refusal);
        }
        true
    }

    /// The brokers know this producer no more, or another in its place: there is no going on under another id.
    pub(super) fn fail_if_identity_is_lost(&mut self, partition: usize) -> bool {
        let Some(transaction) = &self.transaction else {
            return false;
        };
        let queue = &self.partitions[partition];
        if queue.has_lost_identity() {
            let code = queue.last_error.unwrap_or(ErrorCode::UNKNOWN_PRODUCER_ID);
            let what = format!("produce to {}", queue.target);
            let error = transaction.coordinator.refused(&what, code);
            self.fail_transaction(error);
        }
        true
    }

    pub(super) fn transactional_id(&self) -> Option<Arc<str>> {
        let transaction = self.transaction.as_ref()?;
        Some(transaction.coordinator.transactional_id().clone())
    }
}
