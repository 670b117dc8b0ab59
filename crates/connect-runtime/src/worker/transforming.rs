//! Batches on their way from the task to the producer when there are transformations.

use std::sync::Arc;

use connect_api::{BatchOutcome, ConnectError, SourceBatch, SourceOffset, SourcePartition};
use connect_transforms::{Piece, Transformed, Unreadable};
use kafka_wire::TopicPartition;

use super::{
    error_handling::{RecordHandling, RecordsOf},
    source_task::{Flow, TaskEnd, WorkerSourceTask, panic_error},
    submitted_records::BatchInfo,
    transit::{PieceInTransit, Transit},
    waiting::{Ready, SentBack, comes_again},
};

/// A batch without its records.
pub(super) struct Envelope {
    source_partition: Arc<SourcePartition>,
    source_offset: SourceOffset,
    target: TopicPartition,
    batch: BatchInfo,
}

/// Batches, and what the transformations made of each.
pub(super) type Applied = Vec<(Envelope, Result<Transformed, Unreadable>)>;

impl WorkerSourceTask {
    /// Applies the transformations and sends what is left.
    pub(super) async fn transform(
        &mut self,
        flow: &mut Flow,
        handling: Arc<RecordHandling>,
        batches: Vec<SourceBatch>,
    ) -> TaskEnd {
        let Some(chain) = &handling.chain else { return Ok(()) };
        let opens = batches.iter().any(|batch| chain.opens_batches_of(&batch.target.topic));
        if !opens {
            let applied = apply_all(&handling, batches);
            return self.send_or_wait(flow, Ready::Transformed(applied), SentBack::new());
        }
        // Opening batches takes longer than the async threads should be held. The producer goes on meanwhile.
        let mut job = tokio::task::spawn_blocking(move || apply_all(&handling, batches));
        let mut outcomes = Vec::new();
        let applied = loop {
            tokio::select! {
                applied = &mut job => break applied,
                more = self.producer.outcomes() => outcomes.extend(more),
            }
        };
        let applied = applied.map_err(|error| match error.try_into_panic() {
            Ok(panic) => panic_error(panic),
            Err(error) => ConnectError::caused_by("transforming a batch was broken off", error),
        })?;
        // What was made of a partition meanwhile may not overtake what is going to be sent again.
        let sent_back = self.sent_back(flow, &outcomes);
        self.settle(flow, outcomes);
        self.send_or_wait(flow, Ready::Transformed(applied), sent_back)
    }

    pub(super) fn send_transformed(&mut self, flow: &mut Flow, applied: Applied, sent_back: &SentBack) -> TaskEnd {
        let mut told = Vec::new();
        let mut end = Ok(());
        for (envelope, transformed) in applied {
            if let Some(refusal) = sent_back.get(&envelope.source_partition) {
                told.push(comes_again(envelope.batch.task_tag, envelope.target, refusal));
                continue;
            }
            let transformed = match self.check(&envelope, transformed) {
                Ok(transformed) => transformed,
                Err(error) => {
                    end = Err(error);
                    break;
                }
            };
            told.extend(self.send_pieces(flow, envelope, transformed));
        }
        self.tell_task(told);
        end
    }

    /// Notes what failed; an error if it may not.
    fn check(
        &self,
        envelope: &Envelope,
        transformed: Result<Transformed, Unreadable>,
    ) -> Result<Transformed, ConnectError> {
        let transformed =
            transformed.map_err(|unreadable| ConnectError::caused_by("transforming a batch failed", unreadable))?;
        for failure in &transformed.failures {
            let records = RecordsOf {
                source_partition: &envelope.source_partition,
                last_offset: envelope.source_offset,
                target: &envelope.target,
                places: (failure.first, failure.count),
            };
            let errors = &self.handling.errors;
            errors.transformation_failed(&self.id, failure, &records, &self.metrics)?;
        }
        for piece in &transformed.pieces {
            self.check_target(&piece.topic)?;
        }
        self.metrics.filtered(u64::from(transformed.filtered));
        Ok(transformed)
    }

    /// Sends the pieces of a batch. With nothing left of it, its outcome is known at once; its source offset counts as
    /// soon as all before it do.
    fn send_pieces(&mut self, flow: &mut Flow, envelope: Envelope, transformed: Transformed) -> Option<BatchOutcome> {
        let Envelope {
            source_partition,
            source_offset,
            target,
            batch,
        } = envelope;
        let (task_tag, partition) = (batch.task_tag, target.partition);
        self.metrics.submitted(batch.record_count);
        if let Some(transactions) = &mut self.transactions {
            transactions.sent(batch.record_count, batch.size_bytes);
        }
        let sequence = flow.submitted.submit(source_partition, source_offset, batch);
        let Transformed { pieces, scatters, .. } = transformed;
        if pieces.is_empty() {
            flow.submitted.acknowledge(sequence);
            return Some(BatchOutcome {
                tag: task_tag,
                target,
                result: Ok(None),
                records: Some(Vec::new()),
            });
        }
        let is_whole = pieces.len() == 1 && pieces[0].records.is_none() && !scatters;
        let mut in_transit = Vec::new();
        for Piece { topic, batch, records } in pieces {
            let target = TopicPartition { topic, partition };
            if !is_whole {
                in_transit.push(PieceInTransit {
                    target: target.clone(),
                    records: records.unwrap_or_else(|| vec![(0, batch.record_count().unsigned_abs())]),
                    size_bytes: batch.size_bytes() as u64,
                    outcome: None,
                });
            }
            self.producer.send(sequence, target, batch);
        }
        if !in_transit.is_empty() {
            let pieces = in_transit;
            flow.transits.begin(sequence, Transit { pieces, scatters });
        }
        None
    }
}

/// Where the pieces go.
pub(super) fn topics_of(applied: &Applied) -> impl Iterator<Item = &Arc<str>> {
    let transformed = applied.iter().filter_map(|(_, transformed)| transformed.as_ref().ok());
    transformed.flat_map(|transformed| transformed.pieces.iter().map(|piece| &piece.topic))
}

fn apply_all(handling: &RecordHandling, batches: Vec<SourceBatch>) -> Applied {
    let Some(chain) = &handling.chain else {
        return Vec::new();
    };
    let give_up = !handling.errors.tolerate;
    let mut applied = Vec::with_capacity(batches.len());
    for SourceBatch {
        source_partition,
        source_offset,
        target,
        batch,
        tag,
    } in batches
    {
        let info = BatchInfo {
            task_tag: tag,
            record_count: u64::from(batch.record_count().unsigned_abs()),
            size_bytes: batch.size_bytes() as u64,
        };
        let transformed = chain.apply(&target.topic, batch, give_up);
        let envelope = Envelope {
            source_partition,
            source_offset,
            target,
            batch: info,
        };
        applied.push((envelope, transformed));
    }
    applied
}
