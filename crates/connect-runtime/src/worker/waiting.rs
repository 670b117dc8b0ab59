//! Batches that are ready to be sent, and wait if their topics have to be created first.

use std::{collections::HashMap, sync::Arc};

use connect_api::{BatchOutcome, ConnectError, Refusal, SourceBatch, SourcePartition};
use kafka_client::producer::Outcome;

use super::{
    source_task::{Flow, TaskEnd, WorkerSourceTask},
    topic_creation::TopicCreation,
    transforming::{Applied, topics_of},
};

/// What is to be sent: batches as they came from the task, or as its transformations left them.
pub(super) enum Ready {
    AsTheyCame(Vec<SourceBatch>),
    Transformed(Applied),
}

/// Source partitions of which something was sent back: what came behind it may not overtake it.
pub(super) type SentBack = HashMap<Arc<SourcePartition>, Refusal>;

/// What cannot be sent yet. Nothing is polled meanwhile, so it stays in order.
pub(super) struct Waiting {
    ready: Ready,
    sent_back: SentBack,
}

impl WorkerSourceTask {
    /// Sends it, unless topics have to be created first.
    pub(super) fn send_or_wait(&mut self, flow: &mut Flow, ready: Ready, sent_back: SentBack) -> TaskEnd {
        let Some(creation) = &mut self.topic_creation else {
            return self.send_ready(flow, ready, &sent_back);
        };
        let waits = match &ready {
            Ready::AsTheyCame(batches) => creation.begin(batches.iter().map(|batch| &batch.target.topic)),
            Ready::Transformed(applied) => creation.begin(topics_of(applied)),
        };
        if waits {
            flow.waiting = Some(Waiting { ready, sent_back });
            return Ok(());
        }
        self.send_ready(flow, ready, &sent_back)
    }

    /// The topics are there.
    pub(super) fn send_waiting(&mut self, flow: &mut Flow) -> TaskEnd {
        match flow.waiting.take() {
            Some(Waiting { ready, sent_back }) => self.send_ready(flow, ready, &sent_back),
            None => Ok(()),
        }
    }

    /// What outcomes send back holds for what waits behind it, too.
    pub(super) fn note_sent_back(&self, flow: &mut Flow, outcomes: &[Outcome]) {
        if flow.waiting.is_none() {
            return;
        }
        let news = self.sent_back(flow, outcomes);
        if let Some(waiting) = &mut flow.waiting {
            waiting.sent_back.extend(news);
        }
    }

    /// The source partitions of which these outcomes send something back.
    pub(super) fn sent_back(&self, flow: &Flow, outcomes: &[Outcome]) -> SentBack {
        let mut sent_back = SentBack::new();
        for Outcome { tag, result, .. } in outcomes {
            if let (Err(why), Some(source_partition)) = (result, flow.submitted.source_partition(*tag)) {
                sent_back.entry(source_partition.clone()).or_insert_with(|| Refusal {
                    reason: why.reason.clone(),
                    code: why.code,
                });
            }
        }
        sent_back
    }

    fn send_ready(&mut self, flow: &mut Flow, ready: Ready, sent_back: &SentBack) -> TaskEnd {
        match ready {
            Ready::AsTheyCame(batches) => self.send(flow, batches, sent_back),
            Ready::Transformed(applied) => self.send_transformed(flow, applied, sent_back),
        }
    }
}

/// Waits for topics that are being created, for ever if there are none. Cancel-safe.
pub(super) async fn topics_created(creation: &mut Option<TopicCreation>) -> Result<(), ConnectError> {
    match creation {
        Some(creation) => creation.finished().await,
        None => std::future::pending().await,
    }
}

/// Tells the task that a batch has to come again.
pub(super) fn comes_again(tag: u64, target: kafka_wire::TopicPartition, refusal: &Refusal) -> BatchOutcome {
    BatchOutcome {
        tag,
        target,
        result: Err(refusal.clone()),
        records: None,
    }
}
