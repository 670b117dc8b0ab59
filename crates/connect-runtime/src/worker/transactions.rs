//! A task that writes exactly once: its records and their source offsets count together or not at all (Java's
//! `ExactlyOnceWorkerSourceTask`).
//!
//! A transaction begins with the first batch that is sent. Once it is to end, nothing more is polled; when every batch has
//! been acknowledged, the offsets go the same way, and then the transaction is committed. Only now does the task hear of
//! its batches. Whatever fails on this way fails the task: the next run begins at the offsets that count.

use std::{sync::Arc, time::Duration};

use connect_api::{BatchOutcome, ConnectError, Props};
use kafka_client::producer::{Outcome, Producer};
use kafka_wire::TopicPartition;
use tokio::time::Instant;
use tracing::{debug, warn};

use super::source_task::{Flow, TaskEnd, WorkerSourceTask};
use crate::{
    clock::Clock,
    storage::{ConnectorOffsets, KeyValue, offset::offset_records, records_to_batches},
};

/// Under load a transaction holds what was polled in this time: one for each poll would keep the brokers busy with
/// markers.
const LONGEST_UNDER_LOAD: Duration = Duration::from_millis(100);
/// An interval's transaction ends earlier when it holds this much: a task keeps in memory, and within bounds, what it
/// does not know to be written.
const MAX_BYTES_OF_AN_INTERVAL: u64 = 1024 * 1024;
/// Marks batches of offsets, in place of a number of the task's.
const OFFSETS: u64 = 1 << 63;

/// `transaction.boundary`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Boundary {
    /// With what was polled.
    Poll,
    /// At intervals.
    Interval(Duration),
}

impl Boundary {
    /// Never comes close to the time after which the coordinator ends a transaction by itself: by default that is Kafka's
    /// default interval.
    pub(crate) fn well_within(self, transaction_timeout: Duration) -> Self {
        match self {
            Self::Poll => self,
            Self::Interval(interval) => Self::Interval(interval.min(transaction_timeout / 2)),
        }
    }

    /// Reads a connector's properties. `flush_interval` is the worker's.
    pub(crate) fn parse(connector: &Props, flush_interval: Duration) -> Result<Self, ConnectError> {
        let boundary = connector.get("transaction.boundary").map_or("poll", |text| text.trim());
        match boundary.to_ascii_lowercase().as_str() {
            "poll" => Ok(Self::Poll),
            "interval" => match connector
                .get("transaction.boundary.interval.ms")
                .map(|text| text.trim())
            {
                None => Ok(Self::Interval(flush_interval)),
                Some(text) => text
                    .parse()
                    .map(Duration::from_millis)
                    .map(Self::Interval)
                    .map_err(|_| {
                        ConnectError::new(format!("transaction.boundary.interval.ms is {text}, which is no time"))
                    }),
            },
            _ => Err(ConnectError::new(format!(
                "transaction.boundary={boundary} is not supported by this connector: use poll or interval"
            ))),
        }
    }
}

/// See the module.
pub(crate) struct Transactions {
    boundary: Boundary,
    offsets_topic: Arc<str>,
    offsets_partitions: i32,
    store: ConnectorOffsets,
    /// Offsets in the transaction that ends.
    storing: Vec<KeyValue>,
    clock: Clock,
    stage: Stage,
    /// When the first batch was sent that is not committed.
    began: Option<Instant>,
    last_commit: Instant,
    bytes: u64,
    records: u64,
    /// A batch was sent back: the task has to hear of it before it polls again.
    sent_back: bool,
    /// Why offsets could not be written.
    offsets_refused: Option<String>,
    /// What the task is told once it is true.
    told: Vec<BatchOutcome>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Batches may be added.
    Open,
    /// Batches are waited for.
    Draining,
    /// So many batches of offsets are waited for.
    Storing(usize),
    Committing {
        since: Instant,
    },
}

impl Transactions {
    /// Source offsets go to the main topic of `store`.
    pub(crate) fn new(boundary: Boundary, store: ConnectorOffsets, clock: Clock) -> Self {
        Self {
            boundary,
            offsets_topic: store.main().topic(),
            offsets_partitions: store.main().partitions(),
            store,
            storing: Vec::new(),
            clock,
            stage: Stage::Open,
            began: None,
            last_commit: Instant::now(),
            bytes: 0,
            records: 0,
            sent_back: false,
            offsets_refused: None,
            told: Vec::new(),
        }
    }

    pub(super) fn may_poll(&self) -> bool {
        self.stage == Stage::Open
    }

    /// When the transaction is to end at the latest.
    pub(super) fn due(&self) -> Option<Instant> {
        let began = self.began.filter(|_| self.stage == Stage::Open)?;
        Some(match self.boundary {
            Boundary::Poll => began + LONGEST_UNDER_LOAD,
            Boundary::Interval(interval) => self.last_commit + interval,
        })
    }

    /// Batches with so many records and bytes go to the producer, or are passed over.
    pub(super) fn sent(&mut self, records: u64, bytes: u64) {
        self.began.get_or_insert_with(Instant::now);
        self.records += records;
        self.bytes += bytes;
    }

    fn is_to_end(&self, in_flight: usize, now: Instant) -> bool {
        let is_due = self.due().is_some_and(|due| due <= now);
        let is_full = match self.boundary {
            // What was polled is written, and nothing more was there meanwhile.
            Boundary::Poll => in_flight == 0,
            Boundary::Interval(_) => self.bytes >= MAX_BYTES_OF_AN_INTERVAL,
        };
        self.began.is_some() && (is_due || is_full || self.sent_back)
    }

    fn ended(&mut self) -> Vec<BatchOutcome> {
        self.stage = Stage::Open;
        self.last_commit = Instant::now();
        (self.began, self.bytes, self.records, self.sent_back) = (None, 0, 0, false);
        std::mem::take(&mut self.told)
    }
}

/// What the producer brings.
pub(super) enum Driven {
    Outcomes(Vec<Outcome>),
    Committed(Result<(), kafka_client::Error>),
}

/// Drives the producer, be it for batches or for the end of a transaction. Cancel-safe.
pub(super) async fn drive(producer: &mut Producer, transactions: Option<&Transactions>) -> Driven {
    match transactions.map(|transactions| transactions.stage) {
        Some(Stage::Committing { .. }) => Driven::Committed(producer.commit().await),
        _ => Driven::Outcomes(producer.outcomes().await),
    }
}

impl WorkerSourceTask {
    /// Tells the task what became of its batches, or keeps it until it counts.
    pub(super) fn tell_task(&mut self, told: Vec<BatchOutcome>) {
        if told.is_empty() {
            return;
        }
        match &mut self.transactions {
            Some(transactions) => {
                transactions.began.get_or_insert_with(Instant::now);
                transactions.sent_back |= told.iter().any(|outcome| outcome.result.is_err());
                transactions.told.extend(told);
            }
            None => self.task.acked(told),
        }
    }

    /// A batch is about to be sent there.
    pub(super) fn check_target(&self, topic: &str) -> TaskEnd {
        match &self.transactions {
            Some(transactions) if *transactions.offsets_topic == *topic => Err(ConnectError::new(
                "Source tasks may not produce to their own offsets topics when exactly-once support is enabled",
            )),
            _ => Ok(()),
        }
    }

    /// Leaves only the outcomes of the task's own batches.
    pub(super) fn take_offset_outcomes(&mut self, outcomes: Vec<Outcome>) -> Vec<Outcome> {
        let Some(transactions) = &mut self.transactions else {
            return outcomes;
        };
        let (offsets, batches) = outcomes.into_iter().partition(|outcome| outcome.tag & OFFSETS != 0);
        let offsets: Vec<Outcome> = offsets;
        for outcome in offsets {
            if let Stage::Storing(left) = &mut transactions.stage {
                *left = left.saturating_sub(1);
            }
            if let Err(refused) = outcome.result {
                transactions.offsets_refused.get_or_insert(refused.reason);
            }
        }
        batches
    }

    /// Takes the transaction as far as it can go now. Call it after everything that happens.
    pub(super) fn advance_transaction(&mut self, flow: &mut Flow) -> TaskEnd {
        self.check_transaction()?;
        let in_flight = self.producer.in_flight();
        let Some(transactions) = &mut self.transactions else {
            return Ok(());
        };
        let is_paused = !flow.is_started() && transactions.began.is_some();
        if transactions.stage == Stage::Open && (is_paused || transactions.is_to_end(in_flight, Instant::now())) {
            transactions.stage = Stage::Draining;
        }
        // Out of touch with the group nothing is ended: another may have taken this task over.
        let may_end = in_flight == 0 && flow.waiting.is_none() && !*self.hold.borrow();
        if transactions.stage == Stage::Draining && may_end {
            self.store_offsets(flow);
        }
        if let Some(transactions) = &mut self.transactions
            && transactions.stage == Stage::Storing(0)
            && may_end
        {
            let since = Instant::now();
            transactions.stage = Stage::Committing { since };
        }
        Ok(())
    }

    /// Whether it can still come to a good end.
    fn check_transaction(&self) -> TaskEnd {
        let Some(transactions) = &self.transactions else {
            return Ok(());
        };
        if let Some(failure) = self.producer.failure() {
            return Err(self.unwritable(failure.clone()));
        }
        if let Some(reason) = &transactions.offsets_refused {
            return Err(self.failed_to_flush(ConnectError::new(reason.clone())));
        }
        if transactions.sent_back && self.handling.chain.is_some() {
            // Its other pieces may be written: sent again, they would be there twice.
            let reason = "a piece of a transformed batch was refused";
            return Err(self.failed_to_flush(ConnectError::new(reason)));
        }
        Ok(())
    }

    fn store_offsets(&mut self, flow: &mut Flow) {
        let Some(transactions) = &mut self.transactions else {
            return;
        };
        let offsets = flow.submitted.take_committable();
        let records = offset_records(&self.id.connector, &offsets);
        let now_ms = transactions.clock.now_ms();
        let batches = records_to_batches(&records, transactions.offsets_partitions, now_ms);
        transactions.stage = Stage::Storing(batches.len());
        transactions.storing = records;
        for (tag, (partition, batch)) in (OFFSETS..).zip(batches) {
            let target = TopicPartition::new(transactions.offsets_topic.clone(), partition);
            self.producer.send(tag, target, batch);
        }
    }

    /// The transaction has ended: the task hears of its batches.
    pub(super) async fn transaction_ended(
        &mut self,
        flow: &mut Flow,
        ended: Result<(), kafka_client::Error>,
    ) -> TaskEnd {
        if let Err(error) = ended {
            self.metrics.commit_failed();
            return Err(self.unwritable(error));
        }
        let Some(transactions) = &mut self.transactions else {
            return Ok(());
        };
        if let Stage::Committing { since } = transactions.stage {
            self.metrics.committed(since.elapsed(), transactions.clock.now_ms());
            self.metrics.transaction(transactions.records);
        }
        let stored = std::mem::take(&mut transactions.storing);
        transactions.store.copy_to_workers(stored);
        debug!(task = %self.id, records = transactions.records, "committed a transaction");
        let told = transactions.ended();
        if !told.is_empty() {
            self.task.acked(told);
        }
        self.commit_task(flow).await;
        Ok(())
    }

    fn unwritable(&self, error: kafka_client::Error) -> ConnectError {
        if !error.is_fenced() {
            return self.failed_to_flush(error);
        }
        let what = format!(
            "task {} was fenced: another run of it has taken its place, or its transaction took longer than \
             transaction.timeout.ms (see producer.override.transaction.timeout.ms)",
            self.id
        );
        ConnectError::caused_by(what, error)
    }

    fn failed_to_flush(&self, why: impl std::error::Error + Send + Sync + 'static) -> ConnectError {
        ConnectError::caused_by(
            format!("Failed to flush offsets and/or records for task {}", self.id),
            why,
        )
    }

    /// The end: what was polled is committed if the task ends orderly, else nothing is.
    pub(super) async fn finish_transactions(&mut self, flow: &mut Flow, orderly: bool) {
        let deadline = Instant::now() + self.drain_timeout;
        let ended = match orderly {
            true => tokio::time::timeout_at(deadline, self.commit_what_is_there(flow)).await,
            false => Ok(Ok(())),
        };
        match ended {
            Ok(Ok(())) if orderly => return,
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn!(task = %self.id, error = error.chain(), "the last transaction failed"),
            Err(_) => warn!(task = %self.id, "gave up on the last transaction, its batches will be sent again"),
        }
        if self.producer.has_open_transaction()
            && !matches!(
                tokio::time::timeout(self.drain_timeout, self.producer.give_up()).await,
                Ok(Ok(()))
            )
        {
            debug!(task = %self.id, "the last transaction is left to its time-out, or to the next run");
        }
    }

    async fn commit_what_is_there(&mut self, flow: &mut Flow) -> TaskEnd {
        flow.waiting = None;
        while self
            .transactions
            .as_ref()
            .is_some_and(|transactions| transactions.began.is_some())
        {
            if let Some(transactions) = &mut self.transactions
                && transactions.stage == Stage::Open
            {
                transactions.stage = Stage::Draining;
            }
            self.advance_transaction(flow)?;
            match drive(&mut self.producer, self.transactions.as_ref()).await {
                Driven::Outcomes(outcomes) => self.settle(flow, outcomes),
                Driven::Committed(ended) => self.transaction_ended(flow, ended).await?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boundary(pairs: &[(&str, &str)]) -> Option<Boundary> {
        let props = pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        Boundary::parse(&props.collect(), Duration::from_secs(60)).ok()
    }

    #[test]
    fn boundaries_are_kafkas() {
        let seconds = |seconds| Some(Boundary::Interval(Duration::from_secs(seconds)));
        assert_eq!(boundary(&[]), Some(Boundary::Poll));
        assert_eq!(boundary(&[("transaction.boundary", " Poll ")]), Some(Boundary::Poll));
        assert_eq!(boundary(&[("transaction.boundary", "INTERVAL")]), seconds(60));
        let interval = ("transaction.boundary.interval.ms", "2000");
        assert_eq!(boundary(&[("transaction.boundary", "interval"), interval]), seconds(2));
        assert_eq!(boundary(&[interval]), Some(Boundary::Poll));
        let minute = Duration::from_secs(60);
        let by_default = boundary(&[("transaction.boundary", "interval")]);
        assert_eq!(by_default.map(|boundary| boundary.well_within(minute)), seconds(30));
        assert_eq!(
            boundary(&[("transaction.boundary", "connector")]),
            None,
            "no connector here defines its own"
        );
        assert_eq!(
            boundary(&[
                ("transaction.boundary", "interval"),
                ("transaction.boundary.interval.ms", "soon")
            ]),
            None
        );
    }
}
