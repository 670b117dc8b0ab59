use std::time::Duration;

use connect_api::BoxFuture;
use futures_util::FutureExt;
use tokio::time::Instant;
use tracing::{info, warn};

use super::{CommittableOffsets, ConnectorTaskId};
use crate::{
    clock::Clock,
    metrics::TaskMetrics,
    storage::{ConnectorOffsets, offset::offset_records},
    trouble::Trouble,
};

/// Stores a task's source offsets, one commit at a time, beside the flow of records (Java's `OffsetStorageWriter` and
/// `SourceTaskOffsetCommitter`). What a commit could not store stays here and goes with the next.
pub(crate) struct OffsetCommit {
    id: ConnectorTaskId,
    store: ConnectorOffsets,
    interval: Duration,
    timeout: Duration,
    clock: Clock,
    next: Instant,
    /// Whether anything was to be stored yet.
    begun: bool,
    kept: CommittableOffsets,
    under_way: Option<UnderWay>,
    trouble: Trouble,
}

struct UnderWay {
    offsets: CommittableOffsets,
    since: Instant,
    write: BoxFuture<'static, Result<(), String>>,
}

/// When offsets are stored for the first time, at the latest, after the first acknowledgement.
const FIRST_COMMIT: Duration = Duration::from_secs(1);
/// Failed commits are tried again at every interval; these two only pace what is said about them.
const FAILURE_PACE: Duration = Duration::from_secs(1);

impl OffsetCommit {
    pub(crate) fn new(
        id: ConnectorTaskId,
        store: ConnectorOffsets,
        interval: Duration,
        timeout: Duration,
        clock: Clock,
    ) -> Self {
        let trouble = Trouble::new(FAILURE_PACE, FAILURE_PACE);
        let (kept, next) = (CommittableOffsets::default(), Instant::now() + interval);
        Self {
            id,
            store,
            interval,
            timeout,
            clock,
            next,
            begun: false,
            kept,
            under_way: None,
            trouble,
        }
    }

    /// When the next commit is due; `None` while one is under way.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.under_way.is_none().then_some(self.next)
    }

    /// Something was acknowledged. The first offsets are stored soon: whoever looks sees how far it is, and a start that
    /// ends early repeats little.
    pub(crate) fn acknowledged(&mut self) {
        if !std::mem::replace(&mut self.begun, true) {
            self.next = self.next.min(Instant::now() + FIRST_COMMIT);
        }
    }

    /// Adds what was acknowledged since.
    pub(crate) fn add(&mut self, offsets: CommittableOffsets) {
        self.kept.merge(offsets);
    }

    /// Begins to store what there is. Answers whether there is anything.
    pub(crate) fn begin(&mut self) -> bool {
        self.next = Instant::now() + self.interval;
        if self.under_way.is_some() || self.kept.is_empty() {
            return self.under_way.is_some();
        }
        let offsets = std::mem::take(&mut self.kept);
        let records = offset_records(&self.id.connector, &offsets);
        let (store, timeout) = (self.store.clone(), self.timeout);
        let write = async move {
            match tokio::time::timeout(timeout, store.write(records)).await {
                Ok(written) => written.map_err(|error| error.chain()),
                Err(_) => Err(format!(
                    "no answer within {} ms (offset.flush.timeout.ms)",
                    timeout.as_millis()
                )),
            }
        };
        self.under_way = Some(UnderWay {
            offsets,
            since: Instant::now(),
            write: write.boxed(),
        });
        true
    }

    /// Waits for the commit under way, for ever if there is none. Cancel-safe. Answers whether the offsets are stored.
    pub(crate) async fn finished(&mut self, metrics: &TaskMetrics) -> bool {
        let Some(under_way) = &mut self.under_way else {
            return std::future::pending().await;
        };
        let written = (&mut under_way.write).await;
        let UnderWay { offsets, since, .. } = self.under_way.take().expect("it was there before the wait");
        // The next one is counted from the end of this one, as in Kafka.
        self.next = Instant::now() + self.interval;
        match written {
            Ok(()) => {
                metrics.committed(since.elapsed(), self.clock.now_ms());
                self.trouble.worked();
                info!(
                    connector = &*self.id.connector,
                    task = self.id.task,
                    partitions = offsets.offsets.len(),
                    records = offsets.record_count,
                    took_ms = since.elapsed().as_millis() as u64,
                    "Committed offsets"
                );
                true
            }
            Err(reason) => {
                metrics.commit_failed();
                let mut kept = offsets;
                kept.merge(std::mem::take(&mut self.kept));
                self.kept = kept;
                let failure = self.trouble.failed();
                if failure.report {
                    warn!(
                        task = %self.id,
                        reason,
                        failures = failure.attempts,
                        "offsets were not stored; they are kept and stored with the next commit"
                    );
                }
                false
            }
        }
    }
}
