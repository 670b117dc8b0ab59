//! `MirrorCheckpointTask`: hands the checkpoints that its child makes to the worker, and measures how long they take.

use std::{collections::HashMap, sync::Arc};

use connect_api::{
    BatchOutcome, BoxFuture, ConnectError, Props, SourceBatch, SourceOffset, SourcePartition, SourceTask, SourceValue,
    TaskContext,
};
use kafka_wire::{BatchBuilder, Compression, TopicPartition};
use tokio::{sync::mpsc, task::JoinSet};

use super::{
    checkpointer::{Checkpointer, Emission},
    config::MirrorCheckpointTaskConfig,
};
use crate::{environment::MirrorEnvironment, metrics::CheckpointKey, records::Checkpoint};

/// Rounds that may wait for the worker: the one it is about to take.
const WAITING_ROUNDS: usize = 1;
/// Refused checkpoints that may wait for the child; of further ones it hears when their groups move on.
const WAITING_REFUSALS: usize = 1000;

/// See the module.
#[derive(Debug)]
pub(super) struct MirrorCheckpointTask {
    environment: MirrorEnvironment,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    task_id: Arc<str>,
    source_alias: Arc<str>,
    target_alias: Arc<str>,
    target: TopicPartition,
    emissions: mpsc::Receiver<Emission>,
    refused: mpsc::Sender<Checkpoint>,
    child: JoinSet<()>,
    /// On their way to the target, by tag.
    in_flight: HashMap<u64, (Checkpoint, i64)>,
    next_tag: u64,
    refused_in_a_row: u32,
}

impl MirrorCheckpointTask {
    pub(super) fn new(environment: MirrorEnvironment) -> Self {
        Self {
            environment,
            running: None,
        }
    }

    fn begin(&self, props: &Props, context: &TaskContext) -> Result<Running, ConnectError> {
        let config = MirrorCheckpointTaskConfig::parse(props)
            .map_err(|errors| ConnectError::caused_by("configuration of the checkpoint task is not valid", errors))?;
        let (emit, emissions) = mpsc::channel(WAITING_ROUNDS);
        let (refused, refusals) = mpsc::channel(WAITING_REFUSALS);
        let target = TopicPartition::new(config.checkpoints_topic.as_str(), 0);
        let source_alias = config.connector.source_alias.as_str().into();
        let target_alias = config.connector.target_alias.as_str().into();
        let checkpointer = Checkpointer::new(
            context.task_id.clone(),
            config,
            self.environment.clone(),
            emit,
            refusals,
        );
        let mut child = JoinSet::new();
        child.spawn(checkpointer.run());
        Ok(Running {
            task_id: context.task_id.as_str().into(),
            source_alias,
            target_alias,
            target,
            emissions,
            refused,
            child,
            in_flight: HashMap::new(),
            next_tag: 0,
            refused_in_a_row: 0,
        })
    }
}

impl Running {
    fn batches(&mut self, emission: Emission) -> Result<Vec<SourceBatch>, ConnectError> {
        let Emission {
            checkpoints,
            timestamp_ms,
        } = emission;
        let mut batches = Vec::with_capacity(checkpoints.len());
        for checkpoint in checkpoints {
            let encode = |error| ConnectError::caused_by(format!("cannot encode the checkpoint {checkpoint}"), error);
            let (key, value) = (checkpoint.key().map_err(encode)?, checkpoint.value().map_err(encode)?);
            let mut batch = BatchBuilder::new(Compression::None);
            batch.push(timestamp_ms, Some(&key), Some(&value), []);
            batches.push(SourceBatch {
                source_partition: Arc::new(source_partition(&checkpoint)),
                source_offset: SourceOffset(0),
                target: self.target.clone(),
                batch: batch.build(),
                tag: self.next_tag,
            });
            self.in_flight.insert(self.next_tag, (checkpoint, timestamp_ms));
            self.next_tag += 1;
        }
        Ok(batches)
    }

    fn key(&self, checkpoint: &Checkpoint) -> CheckpointKey {
        CheckpointKey {
            source: self.source_alias.clone(),
            target: self.target_alias.clone(),
            task_id: self.task_id.clone(),
            group: checkpoint.group.as_str().into(),
            remote: checkpoint.topic_partition.clone(),
        }
    }
}

/// The name under which Connect stores that a checkpoint was written; members in the order in which Java writes them.
fn source_partition(checkpoint: &Checkpoint) -> SourcePartition {
    let TopicPartition { topic, partition } = &checkpoint.topic_partition;
    SourcePartition(vec![
        ("partition", SourceValue::Int(i64::from(*partition))),
        ("topic", SourceValue::String(topic.clone())),
        ("group", SourceValue::String(checkpoint.group.as_str().into())),
    ])
}

impl SourceTask for MirrorCheckpointTask {
    fn start(&mut self, props: Props, context: TaskContext) -> BoxFuture<'_, Result<(), ConnectError>> {
        Box::pin(async move {
            self.running = Some(self.begin(&props, &context)?);
            Ok(())
        })
    }

    fn poll(&mut self) -> BoxFuture<'_, Result<Vec<SourceBatch>, ConnectError>> {
        Box::pin(async move {
            let Some(running) = &mut self.running else {
                return Err(ConnectError::new("the checkpoint task was not started"));
            };
            match running.emissions.recv().await {
                Some(emission) => running.batches(emission),
                None => Err(ConnectError::new("the translation of offsets has ended unexpectedly")),
            }
        })
    }

    fn acked(&mut self, outcomes: Vec<BatchOutcome>) {
        let Some(running) = &mut self.running else { return };
        let now_ms = self.environment.clock.now_ms();
        for outcome in outcomes {
            let Some((checkpoint, timestamp_ms)) = running.in_flight.remove(&outcome.tag) else {
                continue;
            };
            match outcome.result {
                Ok(_) => {
                    running.refused_in_a_row = 0;
                    let latency_ms = now_ms.saturating_sub(timestamp_ms);
                    self.environment
                        .metrics
                        .checkpoint_written(running.key(&checkpoint), now_ms, latency_ms);
                }
                Err(refusal) => {
                    running.refused_in_a_row = running.refused_in_a_row.saturating_add(1);
                    if running.refused_in_a_row.is_power_of_two() {
                        tracing::warn!(
                            task = &*running.task_id,
                            topic = %running.target.topic,
                            reason = refusal.reason,
                            refused = running.refused_in_a_row,
                            "checkpoints cannot be written; they are made again with the next round"
                        );
                    }
                    _ = running.refused.try_send(checkpoint);
                }
            }
        }
    }

    fn commit(&mut self) -> BoxFuture<'_, Result<(), ConnectError>> {
        Box::pin(async { Ok(()) })
    }

    fn stop(mut self: Box<Self>) -> BoxFuture<'static, ()> {
        let running = self.running.take();
        Box::pin(async move {
            if let Some(mut running) = running {
                running.child.shutdown().await;
                let flow = (&*running.source_alias, &*running.target_alias);
                self.environment.metrics.remove_checkpoints(flow, &running.task_id);
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connect_stores_checkpoints_under_javas_key() {
        let checkpoint = Checkpoint {
            group: "my-group".to_owned(),
            topic_partition: TopicPartition::new("source.orders", 0),
            upstream_offset: 1,
            downstream_offset: 1,
            metadata: String::new(),
        };
        assert_eq!(
            source_partition(&checkpoint).key_json("MirrorCheckpointConnector"),
            r#"["MirrorCheckpointConnector",{"partition":0,"topic":"source.orders","group":"my-group"}]"#
        );
    }
}
