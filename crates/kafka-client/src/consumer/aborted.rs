//! Which batches of a read_committed fetch belong to aborted transactions (Kafka's `Fetcher.isBatchAborted`).

use std::collections::{HashSet, VecDeque};

use kafka_wire::RecordBatch;

/// Cap for the one small record inside a control batch.
const CONTROL_RECORD_MAX_BYTES: usize = 64 * 1024;

/// Walks along the batches of one partition of one response.
#[derive(Debug, Default)]
pub(super) struct AbortedTransactions {
    /// (first offset, producer id), by first offset: transactions that begin further on.
    ahead: VecDeque<(i64, i64)>,
    /// Producers whose transaction, at the present batch, will be aborted.
    open: HashSet<i64>,
}

impl AbortedTransactions {
    pub(super) fn new(aborted: impl IntoIterator<Item = (i64, i64)>) -> Self {
        let mut ahead: Vec<(i64, i64)> = aborted.into_iter().collect();
        ahead.sort_unstable();
        Self {
            ahead: ahead.into(),
            open: HashSet::new(),
        }
    }

    /// Whether the records of `batch` are to be passed over. Call for every batch, in order.
    pub(super) fn is_aborted(&mut self, batch: &RecordBatch) -> bool {
        while let Some((_, producer_id)) = self.ahead.pop_front_if(|(first, _)| *first <= batch.last_offset()) {
            self.open.insert(producer_id);
        }
        if batch.is_control() {
            if is_abort_marker(batch) {
                self.open.remove(&batch.producer_id());
            }
            return false;
        }
        batch.is_transactional() && self.open.contains(&batch.producer_id())
    }
}

/// A control record's key is version (i16) and type (i16): 0 is an abort, 1 a commit.
fn is_abort_marker(batch: &RecordBatch) -> bool {
    let Ok(records) = batch.records(CONTROL_RECORD_MAX_BYTES) else {
        return false;
    };
    match records.iter().next() {
        Some(Ok(record)) => record.key.is_some_and(|key| key.get(2..4) == Some(&[0, 0])),
        _ => false,
    }
}
