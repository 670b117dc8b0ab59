//! What a partition remembers of each idempotent producer: its epoch and its last five batches.

use std::collections::{HashMap, VecDeque};

use kafka_protocol::error::ResponseError as E;
use kafka_wire::RecordBatch;

/// As many as a producer may have in flight, and so as many as it may have to send again.
const REMEMBERED_BATCHES: usize = 5;
const NO_PRODUCER_ID: i64 = -1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    New,
    /// It was appended before, here.
    Duplicate {
        base_offset: i64,
    },
}

#[derive(Debug, Default)]
pub(crate) struct ProducerStates(HashMap<i64, ProducerState>);

#[derive(Debug, Default)]
struct ProducerState {
    epoch: i16,
    batches: VecDeque<SequenceRange>,
}

#[derive(Clone, Copy, Debug)]
struct SequenceRange {
    first: i32,
    last: i32,
    base_offset: i64,
}

impl ProducerStates {
    pub(crate) fn check(&self, batch: &RecordBatch) -> Result<Verdict, E> {
        if batch.producer_id() == NO_PRODUCER_ID {
            return Ok(Verdict::New);
        }
        let (first, last) = sequences(batch);
        // A producer that is not known (its records may have been deleted) may begin anywhere.
        let Some(known) = self.0.get(&batch.producer_id()) else {
            return Ok(Verdict::New);
        };
        let epoch = batch.producer_epoch();
        if epoch < known.epoch {
            return Err(E::InvalidProducerEpoch);
        }
        if epoch > known.epoch {
            return if first == 0 {
                Ok(Verdict::New)
            } else {
                Err(E::OutOfOrderSequenceNumber)
            };
        }
        let same = known
            .batches
            .iter()
            .find(|range| range.first == first && range.last == last);
        if let Some(range) = same {
            return Ok(Verdict::Duplicate {
                base_offset: range.base_offset,
            });
        }
        let expected = known.batches.back().map_or(0, |range| after(range.last));
        if first == expected {
            Ok(Verdict::New)
        } else {
            Err(E::OutOfOrderSequenceNumber)
        }
    }

    pub(crate) fn appended(&mut self, batch: &RecordBatch, base_offset: i64) {
        if batch.producer_id() == NO_PRODUCER_ID {
            return;
        }
        let (first, last) = sequences(batch);
        let state = self.0.entry(batch.producer_id()).or_default();
        if state.epoch != batch.producer_epoch() {
            state.epoch = batch.producer_epoch();
            state.batches.clear();
        }
        if state.batches.len() == REMEMBERED_BATCHES {
            state.batches.pop_front();
        }
        state.batches.push_back(SequenceRange {
            first,
            last,
            base_offset,
        });
    }

    pub(crate) fn truncate(&mut self, end_offset: i64) {
        for state in self.0.values_mut() {
            state.batches.retain(|range| range.base_offset < end_offset);
        }
    }

    /// A marker may carry a newer epoch, which fences everything older.
    pub(crate) fn marker(&mut self, producer_id: i64, producer_epoch: i16) {
        let state = self.0.entry(producer_id).or_default();
        if producer_epoch > state.epoch {
            state.epoch = producer_epoch;
            state.batches.clear();
        }
    }
}

fn sequences(batch: &RecordBatch) -> (i32, i32) {
    let first = batch.base_sequence();
    let last = (i64::from(first) + i64::from(batch.last_offset_delta())) % (i64::from(i32::MAX) + 1);
    (first, last as i32)
}

/// Sequences wrap to 0, not to a negative number.
fn after(sequence: i32) -> i32 {
    sequence.checked_add(1).unwrap_or(0)
}
