//! The transaction coordinator: who holds a transactional id, and what its transaction has touched.
//!
//! Everything happens under one lock, so that a transaction ends with the request that ends it: the states in which
//! real brokers answer CONCURRENT_TRANSACTIONS do not exist here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::error::ResponseError as E;
use tokio::time::Instant;

use crate::clock;
use crate::state::State;

/// Kafka's `transaction.max.timeout.ms`.
const MAX_TIMEOUT: Duration = Duration::from_secs(15 * 60);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ProducerIdAndEpoch {
    pub(crate) id: i64,
    pub(crate) epoch: i16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TransactionState {
    Empty,
    Ongoing,
    Complete { committed: bool },
}

#[derive(Debug, Default)]
pub(crate) struct Transactions(BTreeMap<String, Transaction>);

#[derive(Debug)]
struct Transaction {
    producer: ProducerIdAndEpoch,
    timeout: Duration,
    state: TransactionState,
    deadline: Option<Instant>,
    partitions: BTreeSet<(Arc<str>, i32)>,
    groups: BTreeSet<String>,
}

impl Transactions {
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.0.values().filter_map(|transaction| transaction.deadline).min()
    }

    fn held_by(&mut self, transactional_id: &str, producer: ProducerIdAndEpoch) -> Result<&mut Transaction, E> {
        let transaction = self.0.get_mut(transactional_id).ok_or(E::InvalidProducerIdMapping)?;
        if transaction.producer.id != producer.id {
            return Err(E::InvalidProducerIdMapping);
        }
        match transaction.producer.epoch == producer.epoch {
            true => Ok(transaction),
            false => Err(E::ProducerFenced),
        }
    }
}

impl Transaction {
    fn begin(&mut self, now: Instant) {
        if self.state != TransactionState::Ongoing {
            self.state = TransactionState::Ongoing;
            self.deadline = Some(now + self.timeout);
        }
    }
}

impl State {
    /// A transactional producer starts: whoever held the id before is fenced, and what it left open is aborted.
    pub(crate) fn init_transactions(
        &mut self,
        transactional_id: &str,
        timeout: Duration,
        holding: Option<ProducerIdAndEpoch>,
    ) -> Result<ProducerIdAndEpoch, E> {
        if timeout.is_zero() || timeout > MAX_TIMEOUT {
            return Err(E::InvalidTransactionTimeout);
        }
        let Some(known) = self.transactions.0.get(transactional_id) else {
            if holding.is_some() {
                return Err(E::InvalidProducerIdMapping);
            }
            let producer = ProducerIdAndEpoch {
                id: self.new_producer_id(),
                epoch: 0,
            };
            let transaction = Transaction {
                producer,
                timeout,
                state: TransactionState::Empty,
                deadline: None,
                partitions: BTreeSet::new(),
                groups: BTreeSet::new(),
            };
            self.transactions.0.insert(transactional_id.to_owned(), transaction);
            return Ok(producer);
        };
        if holding.is_some_and(|holding| holding != known.producer) {
            return Err(E::ProducerFenced);
        }
        if known.state == TransactionState::Ongoing {
            self.abort_and_fence(transactional_id);
        }
        let producer = self.bump_epoch(transactional_id)?;
        if let Some(transaction) = self.transactions.0.get_mut(transactional_id) {
            transaction.timeout = timeout;
            transaction.state = TransactionState::Empty;
        }
        Ok(producer)
    }

    pub(crate) fn add_partition_to_transaction(
        &mut self,
        transactional_id: &str,
        producer: ProducerIdAndEpoch,
        partition: (&str, i32),
        now: Instant,
    ) -> Result<(), E> {
        let transaction = self.transactions.held_by(transactional_id, producer)?;
        transaction.begin(now);
        transaction.partitions.insert((partition.0.into(), partition.1));
        Ok(())
    }

    pub(crate) fn add_group_to_transaction(
        &mut self,
        transactional_id: &str,
        producer: ProducerIdAndEpoch,
        group_id: &str,
        now: Instant,
    ) -> Result<(), E> {
        let transaction = self.transactions.held_by(transactional_id, producer)?;
        transaction.begin(now);
        transaction.groups.insert(group_id.to_owned());
        Ok(())
    }

    pub(crate) fn check_transaction_holder(
        &mut self,
        transactional_id: &str,
        producer: ProducerIdAndEpoch,
    ) -> Result<(), E> {
        self.transactions.held_by(transactional_id, producer).map(drop)
    }

    /// Whether records may be written there in this transaction.
    pub(crate) fn check_in_transaction(
        &mut self,
        transactional_id: &str,
        producer: ProducerIdAndEpoch,
        partition: (&str, i32),
    ) -> Result<(), E> {
        let transaction = self.transactions.held_by(transactional_id, producer)?;
        let added = transaction.partitions.contains(&(partition.0.into(), partition.1));
        match transaction.state == TransactionState::Ongoing && added {
            true => Ok(()),
            false => Err(E::InvalidTxnState),
        }
    }

    /// Ends a transaction. With `bump` (KIP-890) each one has its own epoch, and the next one's is the answer.
    pub(crate) fn end_transaction(
        &mut self,
        transactional_id: &str,
        producer: ProducerIdAndEpoch,
        committed: bool,
        bump: bool,
    ) -> Result<ProducerIdAndEpoch, E> {
        if bump && let Some(known) = self.transactions.0.get(transactional_id) {
            // The answer was lost and the request comes again with the epoch that it ended.
            let before = ProducerIdAndEpoch {
                epoch: producer.epoch.wrapping_add(1),
                ..producer
            };
            if known.producer == before && known.state == (TransactionState::Complete { committed }) {
                return Ok(known.producer);
            }
        }
        match self.transactions.held_by(transactional_id, producer)?.state {
            TransactionState::Ongoing => {}
            TransactionState::Complete { committed: before } if before == committed && !bump => return Ok(producer),
            TransactionState::Empty | TransactionState::Complete { .. } if bump && !committed => {}
            _ => return Err(E::InvalidTxnState),
        }
        let next = if bump {
            self.bump_epoch(transactional_id)?
        } else {
            producer
        };
        let marked = if next.id == producer.id { next } else { producer };
        self.write_markers(transactional_id, marked, committed);
        Ok(next)
    }

    pub(crate) fn expire_transactions(&mut self, now: Instant) {
        let late = |transaction: &Transaction| transaction.deadline.is_some_and(|deadline| deadline <= now);
        let late = self.transactions.0.iter().filter(|(_, transaction)| late(transaction));
        let late: Vec<String> = late.map(|(id, _)| id.clone()).collect();
        for transactional_id in late {
            tracing::info!(transactional_id, "transaction timed out");
            self.abort_and_fence(&transactional_id);
        }
    }

    fn abort_and_fence(&mut self, transactional_id: &str) {
        let Some(before) = self
            .transactions
            .0
            .get(transactional_id)
            .map(|transaction| transaction.producer)
        else {
            return;
        };
        if let Ok(next) = self.bump_epoch(transactional_id) {
            let marked = if next.id == before.id { next } else { before };
            self.write_markers(transactional_id, marked, false);
        }
    }

    /// Epochs are used up one by one; the last is kept for fencing, and a new producer id begins again at 0.
    fn bump_epoch(&mut self, transactional_id: &str) -> Result<ProducerIdAndEpoch, E> {
        let fresh_id = self.new_producer_id();
        let transaction = self
            .transactions
            .0
            .get_mut(transactional_id)
            .ok_or(E::InvalidProducerIdMapping)?;
        transaction.producer = match transaction.producer.epoch < i16::MAX - 1 {
            true => ProducerIdAndEpoch {
                epoch: transaction.producer.epoch + 1,
                ..transaction.producer
            },
            false => ProducerIdAndEpoch { id: fresh_id, epoch: 0 },
        };
        Ok(transaction.producer)
    }

    fn write_markers(&mut self, transactional_id: &str, producer: ProducerIdAndEpoch, committed: bool) {
        let Some(transaction) = self.transactions.0.get_mut(transactional_id) else {
            return;
        };
        transaction.state = TransactionState::Complete { committed };
        transaction.deadline = None;
        let partitions = std::mem::take(&mut transaction.partitions);
        let groups = std::mem::take(&mut transaction.groups);
        let now_ms = clock::now_ms();
        for (topic, index) in partitions {
            // A topic that was deleted meanwhile needs no marker.
            if let Ok(partition) = self.partition_mut(&topic, index) {
                let epoch = partition.leader_epoch;
                partition
                    .log
                    .append_marker(producer.id, producer.epoch, committed, epoch, now_ms);
            }
        }
        for group in groups {
            self.groups.transaction_ended(&group, producer.id, committed);
        }
    }
}
