use std::{
    any::Any,
    collections::{HashMap, HashSet},
    panic::AssertUnwindSafe,
    sync::Arc,
    time::Duration,
};

use connect_api::{BatchOutcome, ConnectError, Props, Refusal, SourceBatch, SourceTask, TaskContext};
use futures_util::FutureExt;
use kafka_client::producer::{Outcome, Producer, Refused};
use kafka_wire::{ErrorCode, TopicPartition};
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::{
    ConnectorTaskId, State, SubmittedRecords, TargetState, WorkerEvent, WorkerEvents,
    error_handling::{RecordHandling, RecordsOf},
    offset_commit::OffsetCommit,
    submitted_records::BatchInfo,
    topic_creation::TopicCreation,
    transactions::{Driven, Transactions, drive},
    transit::{PieceOutcome, Transits},
    waiting::{Ready, SentBack, Waiting, comes_again, topics_created},
};
use crate::{metrics::TaskMetrics, trouble::Trouble};

/// After a failure of the task that passes: the first and the longest wait before the next poll.
const POLL_RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// Of the time that the end of a task may take: when brokers have to have answered, and offsets to be stored.
const ANSWERED_BY: f32 = 0.7;
const STORED_BY: f32 = 0.9;

/// One running source task: takes batches from the task, gives them to the producer, stores offsets (Java's class of
/// this name). Everything that it needs is handed to it at its start.
pub(crate) struct WorkerSourceTask {
    pub(crate) id: ConnectorTaskId,
    pub(crate) run: u64,
    pub(crate) task: Box<dyn SourceTask>,
    /// Given to the task when it starts.
    pub(crate) context: Option<TaskContext>,
    /// The connector's own configuration.
    pub(crate) connector: watch::Receiver<Props>,
    pub(crate) producer: Producer,
    /// What is done with records on the way from the task to the producer.
    pub(crate) handling: Arc<RecordHandling>,
    /// `topic.creation.*`, if the worker and the connector want it.
    pub(crate) topic_creation: Option<TopicCreation>,
    /// While it says true, others may run this task by now: neither records nor offsets are written.
    pub(crate) hold: watch::Receiver<bool>,
    pub(crate) commit: OffsetCommit,
    /// Of a task that writes exactly once: takes the place of `commit`.
    pub(crate) transactions: Option<Transactions>,
    /// How long the end may wait for batches in flight, and again for their offsets.
    pub(crate) drain_timeout: Duration,
    /// `task.shutdown.graceful.timeout.ms`: after which the end is cut short.
    pub(crate) grace: Duration,
    /// `topic.tracking.enable`: whether topics that are written to are reported.
    pub(crate) topic_tracking: bool,
    pub(crate) target_state: watch::Receiver<TargetState>,
    pub(crate) events: WorkerEvents,
    pub(crate) metrics: Arc<TaskMetrics>,
    /// Since when the task is being asked for batches.
    pub(crate) polling_since: Option<Instant>,
}

/// Why a task ended: told to, or with an error that a person has to look at.
pub(crate) type TaskEnd = Result<(), ConnectError>;

enum Event {
    TargetState(TargetState),
    ConnectorConfigured,
    Outcomes(Vec<Outcome>),
    CommitDue,
    Committed(bool),
    TransactionEnded(Result<(), kafka_client::Error>),
    Polled(Result<Vec<SourceBatch>, ConnectError>),
    TransactionDue,
    TopicsCreated(Result<(), ConnectError>),
    RetryPoll,
    HoldChanged,
}

/// What the loop knows besides the parts that it drives.
pub(super) struct Flow {
    pub(super) submitted: SubmittedRecords,
    /// Batches that a transformation has taken apart.
    pub(super) transits: Transits,
    /// Batches whose topics are being created.
    pub(super) waiting: Option<Waiting>,
    /// Per target partition: what was sent before this sequence may be refused only because an earlier batch was.
    skipped: HashMap<TopicPartition, u64>,
    target: TargetState,
    retry_at: Option<Instant>,
    trouble: Trouble,
    active_topics: HashSet<Arc<str>>,
    /// Topics that were written to for the first time and are still to be reported.
    new_topics: Vec<Arc<str>>,
}

impl Flow {
    pub(super) fn is_started(&self) -> bool {
        self.target == TargetState::Started
    }
}

impl WorkerSourceTask {
    /// Runs until cancelled, or until the task fails or panics. In both cases what was sent is waited for and its
    /// offsets are stored.
    pub(crate) async fn run(mut self, props: Props, cancel: CancellationToken) -> TaskEnd {
        let mut flow = Flow {
            submitted: SubmittedRecords::default(),
            transits: Transits::default(),
            waiting: None,
            skipped: HashMap::new(),
            target: *self.target_state.borrow_and_update(),
            retry_at: None,
            trouble: Trouble::new(POLL_RETRY.0, POLL_RETRY.1),
            active_topics: HashSet::new(),
            new_topics: Vec::new(),
        };
        let running = AssertUnwindSafe(self.start_and_loop(&mut flow, props, &cancel))
            .catch_unwind()
            .await;
        let id = self.id.clone();
        let end = match running {
            Ok(end) => {
                // What it says now it says as a task that ends anyway.
                let orderly = end.is_ok();
                if let Err(panic) = AssertUnwindSafe(self.finish(flow, orderly)).catch_unwind().await {
                    error!(task = %id, error = panic_error(panic).chain(), "task did not end orderly");
                }
                end
            }
            Err(panic) => Err(panic_error(panic)),
        };
        match end {
            // As in Kafka, an error while being stopped is worth a line, not a status.
            Err(error) if cancel.is_cancelled() => {
                error!(task = %id, error = error.chain(), "task failed while it was stopped");
                Ok(())
            }
            end => end,
        }
    }

    async fn start_and_loop(&mut self, flow: &mut Flow, props: Props, cancel: &CancellationToken) -> TaskEnd {
        if flow.target == TargetState::Paused {
            self.report(State::Paused).await;
            let resumed = self.target_state.wait_for(|target| *target != TargetState::Paused);
            tokio::select! {
                () = cancel.cancelled() => return Ok(()),
                target = resumed => flow.target = target.map_or(TargetState::Stopped, |target| *target),
            }
        }
        self.connector_configured();
        let context = self.context.take().expect("a task is started once");
        tokio::select! {
            () = cancel.cancelled() => return Ok(()),
            started = self.task.start(props, context) => started?,
        }
        self.report(State::Running).await;
        loop {
            let event = tokio::select! {
                () = cancel.cancelled() => return Ok(()),
                event = self.next_event(flow) => event,
            };
            self.on(flow, event).await?;
            self.advance_transaction(flow)?;
        }
    }

    /// The one place where the task's parts are driven; all of them are cancel-safe.
    async fn next_event(&mut self, flow: &Flow) -> Event {
        let is_free = flow.retry_at.is_none() && flow.waiting.is_none();
        let is_open = self.transactions.as_ref().is_none_or(Transactions::may_poll);
        let may_poll = flow.target == TargetState::Started && is_free && is_open && self.producer.has_room();
        if may_poll {
            self.polling_since.get_or_insert_with(Instant::now);
        }
        let transaction_due = self.transactions.as_ref().and_then(Transactions::due);
        let commit_due = self.commit.due().filter(|_| !*self.hold.borrow());
        tokio::select! {
            Ok(()) = self.target_state.changed() => Event::TargetState(*self.target_state.borrow_and_update()),
            Ok(()) = self.connector.changed() => Event::ConnectorConfigured,
            driven = drive(&mut self.producer, self.transactions.as_ref()) => match driven {
                Driven::Outcomes(outcomes) => Event::Outcomes(outcomes),
                Driven::Committed(ended) => Event::TransactionEnded(ended),
            },
            Ok(()) = self.hold.changed() => Event::HoldChanged,
            () = sleep_until(commit_due) => Event::CommitDue,
            () = sleep_until(transaction_due) => Event::TransactionDue,
            stored = self.commit.finished(&self.metrics) => Event::Committed(stored),
            () = sleep_until(flow.retry_at) => Event::RetryPoll,
            created = topics_created(&mut self.topic_creation) => Event::TopicsCreated(created),
            polled = self.task.poll(), if may_poll => Event::Polled(polled),
        }
    }

    async fn on(&mut self, flow: &mut Flow, event: Event) -> TaskEnd {
        match event {
            Event::Polled(Ok(batches)) => self.polled(flow, batches).await?,
            Event::Polled(Err(error)) => self.retry_or_fail(flow, error)?,
            Event::TopicsCreated(created) => {
                created?;
                self.send_waiting(flow)?;
            }
            Event::RetryPoll => flow.retry_at = None,
            Event::Outcomes(outcomes) => {
                self.settle(flow, outcomes);
                for topic in std::mem::take(&mut flow.new_topics) {
                    self.tell(WorkerEvent::ActiveTopic {
                        id: self.id.clone(),
                        topic,
                    })
                    .await;
                }
            }
            Event::CommitDue => {
                // Someone may have reset them: the herder knows which are news.
                flow.active_topics.clear();
                if self.transactions.is_some() {
                    self.commit.begin();
                    return Ok(());
                }
                self.commit.add(flow.submitted.take_committable());
                if !self.commit.begin() {
                    self.commit_task(flow).await;
                }
            }
            Event::Committed(true) => self.commit_task(flow).await,
            Event::TransactionEnded(ended) => self.transaction_ended(flow, ended).await?,
            Event::Committed(false) | Event::HoldChanged | Event::TransactionDue => {}
            Event::ConnectorConfigured => self.connector_configured(),
            Event::TargetState(target) if target == flow.target => {}
            Event::TargetState(target) => {
                flow.target = target;
                match target {
                    TargetState::Started => self.report(State::Running).await,
                    TargetState::Paused => self.report(State::Paused).await,
                    // The herder ends the tasks of a stopped connector; until then nothing more is polled.
                    TargetState::Stopped => {}
                }
            }
        }
        Ok(())
    }

    fn connector_configured(&mut self) {
        let connector = self.connector.borrow_and_update();
        self.task.connector_configured(&connector);
    }

    async fn polled(&mut self, flow: &mut Flow, batches: Vec<SourceBatch>) -> TaskEnd {
        if let Some(lasting) = flow.trouble.worked() {
            info!(task = %self.id, lasted_ms = lasting.as_millis() as u64, "task polls again");
        }
        let records = batches
            .iter()
            .map(|batch| u64::from(batch.batch.record_count().unsigned_abs()));
        let took = self
            .polling_since
            .take()
            .map_or(Duration::ZERO, |since| since.elapsed());
        self.metrics.polled(took, batches.len() as u64, records.sum());
        let handling = self.handling.clone();
        if handling.chain.is_some() {
            return self.transform(flow, handling, batches).await;
        }
        self.send_or_wait(flow, Ready::AsTheyCame(batches), SentBack::new())
    }

    pub(super) fn send(&mut self, flow: &mut Flow, batches: Vec<SourceBatch>, sent_back: &SentBack) -> TaskEnd {
        let mut told = Vec::new();
        for SourceBatch {
            source_partition,
            source_offset,
            target,
            batch,
            tag,
        } in batches
        {
            if let Some(refusal) = sent_back.get(&source_partition) {
                told.push(comes_again(tag, target, refusal));
                continue;
            }
            self.check_target(&target.topic)?;
            let info = BatchInfo {
                task_tag: tag,
                record_count: u64::from(batch.record_count().unsigned_abs()),
                size_bytes: batch.size_bytes() as u64,
            };
            self.metrics.submitted(info.record_count);
            if let Some(transactions) = &mut self.transactions {
                transactions.sent(info.record_count, info.size_bytes);
            }
            let sequence = flow.submitted.submit(source_partition, source_offset, info);
            self.producer.send(sequence, target, batch);
        }
        self.tell_task(told);
        Ok(())
    }

    fn retry_or_fail(&mut self, flow: &mut Flow, error: ConnectError) -> TaskEnd {
        if !error.is_retriable() {
            return Err(error);
        }
        self.metrics.poll_failed();
        let failure = flow.trouble.failed();
        flow.retry_at = Some(Instant::now() + failure.wait);
        if failure.report {
            let lasting_s = failure.lasting.as_secs();
            warn!(task = %self.id, error = error.chain(), attempts = failure.attempts, lasting_s, "task cannot poll, trying again");
        }
        Ok(())
    }

    /// Tells the task what became of its batches.
    pub(super) fn settle(&mut self, flow: &mut Flow, outcomes: Vec<Outcome>) {
        let outcomes = self.take_offset_outcomes(outcomes);
        self.note_sent_back(flow, &outcomes);
        let mut told = Vec::with_capacity(outcomes.len());
        for Outcome {
            tag: sequence,
            target,
            result,
        } in outcomes
        {
            let outcome = self.piece_outcome(flow, sequence, &target, result);
            let Some((result, records)) = flow.transits.settle(sequence, &target, outcome) else {
                continue;
            };
            let batch = match &result {
                Ok(_) => {
                    self.commit.acknowledged();
                    flow.submitted.acknowledge(sequence)
                }
                Err(_) => flow.submitted.refuse(sequence),
            };
            let Some(batch) = batch else { continue };
            self.metrics.settled(batch.record_count);
            told.push(BatchOutcome {
                tag: batch.task_tag,
                target,
                result,
                records,
            });
        }
        self.tell_task(told);
    }

    /// Counts what became of a batch, or of a piece of it.
    fn piece_outcome(
        &mut self,
        flow: &mut Flow,
        sequence: u64,
        target: &TopicPartition,
        result: Result<Option<i64>, Refused>,
    ) -> PieceOutcome {
        let (records, bytes) = match flow.transits.piece(sequence, target) {
            Some(piece) => (piece.record_count(), piece.size_bytes),
            None => flow
                .submitted
                .batch(sequence)
                .map_or((0, 0), |batch| (batch.record_count, batch.size_bytes)),
        };
        match result {
            Ok(base_offset) => {
                self.metrics.written(target, records, bytes);
                if self.topic_tracking && flow.active_topics.insert(target.topic.clone()) {
                    flow.new_topics.push(target.topic.clone());
                }
                PieceOutcome::Written(base_offset)
            }
            Err(refused) if self.may_skip(flow, sequence, target, &refused, records) => {
                let errors = &self.handling.errors;
                if let Some((source_partition, last_offset)) = flow.submitted.source(sequence) {
                    let records_of = RecordsOf {
                        source_partition,
                        last_offset,
                        target,
                        places: (0, u32::try_from(records).unwrap_or(u32::MAX)),
                    };
                    errors.produce_failed(&self.id, &refused, records, &records_of, &self.metrics);
                }
                flow.skipped.insert(target.clone(), flow.submitted.next_sequence());
                PieceOutcome::Skipped
            }
            Err(refused) => {
                if self.metrics.refused(target, &refused.reason) {
                    debug!(task = %self.id, partition = %target, reason = refused.reason, "target partition takes no batches");
                }
                PieceOutcome::Refused(Refusal {
                    reason: refused.reason,
                    code: refused.code,
                })
            }
        }
    }

    /// Whether a refused batch is passed over: only if asked for, if waiting does not mend it, if the task cannot mend it
    /// by cutting it smaller, and if it was refused for its own sake, not because an earlier one was.
    fn may_skip(&self, flow: &Flow, sequence: u64, target: &TopicPartition, refused: &Refused, records: u64) -> bool {
        let Some(code) = refused
            .code
            .filter(|code| self.handling.errors.tolerate && !code.is_retriable() && self.transactions.is_none())
        else {
            return false;
        };
        let is_too_large = matches!(code, ErrorCode::MESSAGE_TOO_LARGE | ErrorCode::RECORD_LIST_TOO_LARGE);
        let is_behind_another = flow.skipped.get(target).is_some_and(|next| sequence < *next);
        let can_be_cut = is_too_large && records > 1;
        !can_be_cut && !is_behind_another
    }

    /// Offsets are stored: tells the task, without letting the flow wait for it.
    pub(super) async fn commit_task(&mut self, flow: &mut Flow) {
        let mut outcomes = Vec::new();
        let committed = {
            let commit = tokio::time::timeout(self.drain_timeout, self.task.commit());
            tokio::pin!(commit);
            loop {
                tokio::select! {
                    committed = &mut commit => break committed,
                    more = self.producer.outcomes() => outcomes.extend(more),
                }
            }
        };
        self.settle(flow, outcomes);
        match committed {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn!(task = %self.id, error = error.chain(), "task failed to commit"),
            Err(_) => warn!(task = %self.id, "task did not finish to commit in time"),
        }
    }

    /// The orderly end: wait for what is in flight, store its offsets, tell the task, let it go. Each step has a
    /// deadline; what is left over is sent again by the next run.
    async fn finish(mut self, mut flow: Flow, orderly: bool) {
        if *self.hold.borrow() {
            // Others may have gone on: our last word would be an old one.
            warn!(task = %self.id, batches = flow.submitted.in_flight(), "stopping without a commit, out of touch with the group");
            self.stop_task().await;
            return;
        }
        if self.transactions.is_some() {
            self.finish_transactions(&mut flow, orderly).await;
            self.stop_task().await;
            return;
        }
        let began = Instant::now();
        self.drain(&mut flow, began).await;
        let deadline = (Instant::now() + self.drain_timeout).min(began + self.grace.mul_f32(STORED_BY));
        // A commit that is under way does not hold what was acknowledged since it began.
        let mut stored = true;
        for _ in 0..2 {
            self.commit.add(flow.submitted.take_committable());
            if !self.commit.begin() {
                break;
            }
            stored = tokio::time::timeout_at(deadline, self.commit.finished(&self.metrics))
                .await
                .unwrap_or(false);
        }
        if stored {
            self.commit_task(&mut flow).await;
        } else {
            warn!(
                task = %self.id,
                "the last offsets were not stored in time: what was written since the commit before may be copied again"
            );
        }
        debug!(task = %self.id, stored, "task has drained");
        self.stop_task().await;
    }

    /// Waits for what was sent. What is not sent by half of the time is taken back: the next run copies it, and nothing of
    /// it can arrive behind its back. The rest of the time is for the brokers to say what became of what is on its way.
    async fn drain(&mut self, flow: &mut Flow, began: Instant) {
        let asked_until = began + self.drain_timeout.max(self.grace.mul_f32(ANSWERED_BY));
        let mut deadline = began + self.drain_timeout / 2;
        let mut taken_back = None;
        while flow.submitted.in_flight() > 0 {
            let outcomes = tokio::time::timeout_at(deadline, self.producer.outcomes()).await;
            match (outcomes, &mut taken_back) {
                (Ok(outcomes), None) => self.settle(flow, outcomes),
                // Nobody goes back to what comes back now: the next run begins there.
                (Ok(outcomes), Some(taken_back)) => {
                    let (written, back): (Vec<_>, Vec<_>) =
                        outcomes.into_iter().partition(|outcome| outcome.result.is_ok());
                    let back = back.iter().filter_map(|outcome| flow.submitted.refuse(outcome.tag));
                    *taken_back += back.count();
                    self.settle(flow, written);
                }
                (Err(_), None) => {
                    // Half of a batch that was taken apart may be written: then all of it should be.
                    if flow.transits.are_whole() {
                        self.producer.recall();
                    }
                    (deadline, taken_back) = (asked_until, Some(0));
                }
                (Err(_), Some(_)) => {
                    let batches = flow.submitted.in_flight();
                    warn!(
                        task = %self.id, batches, waited_ms = began.elapsed().as_millis() as u64,
                        "the target does not say whether it has written the last batches: they will be sent again, and \
                         may then be there twice"
                    );
                    break;
                }
            }
        }
        if let Some(batches @ 1..) = taken_back {
            info!(task = %self.id, batches, "took back batches that were not written yet, the next run copies them");
        }
    }

    async fn stop_task(self) {
        if tokio::time::timeout(self.drain_timeout, self.task.stop())
            .await
            .is_err()
        {
            warn!(task = %self.id, "task did not stop in time");
        }
    }

    async fn report(&mut self, state: State) {
        self.metrics.state(state);
        self.tell(WorkerEvent::Task {
            id: self.id.clone(),
            run: self.run,
            state,
        })
        .await;
    }

    async fn tell(&mut self, event: WorkerEvent) {
        // Without a receiver the worker is gone, and this task's token is cancelled.
        let _ = self.events.send(event).await;
    }
}

pub(crate) async fn sleep_until(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

/// What a panic said, as the error that fails the task.
pub(crate) fn panic_error(panic: Box<dyn Any + Send>) -> ConnectError {
    let said = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let said = said
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned());
    ConnectError::new(format!("panicked: {said}"))
}
