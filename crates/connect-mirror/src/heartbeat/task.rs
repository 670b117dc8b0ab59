//! Emits one heartbeat per interval into the topic `heartbeats` of the target.

use std::{sync::Arc, time::Duration};

use connect_api::{
    BatchOutcome, BoxFuture, ConnectError, Props, SourceBatch, SourceOffset, SourcePartition, SourceTask, SourceValue,
    TaskContext,
};
use kafka_wire::{BatchBuilder, Compression, Record, TopicPartition};
use tokio::time::Instant;

use super::config::MirrorHeartbeatConfig;
use crate::{clock::Clock, records::Heartbeat};

/// Heartbeats that may wait for an acknowledgement. When the target is away no more are made: late ones tell nothing.
const MAX_OUTSTANDING: usize = 5;

/// The only task of a heartbeat connector.
#[derive(Debug)]
pub(super) struct MirrorHeartbeatTask {
    clock: Clock,
    beat: Option<Beat>,
}

/// What a started task knows.
#[derive(Debug)]
struct Beat {
    task_id: String,
    source_partition: Arc<SourcePartition>,
    target: TopicPartition,
    source_alias: String,
    target_alias: String,
    interval: Duration,
    next: Instant,
    outstanding: usize,
    refused_in_a_row: u32,
}

impl MirrorHeartbeatTask {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, beat: None }
    }
}

impl Beat {
    fn new(config: &MirrorHeartbeatConfig, interval: Duration, task_id: String) -> Self {
        let alias = |alias: &str| SourceValue::String(alias.into());
        Self {
            task_id,
            // In the order in which Java writes the members.
            source_partition: Arc::new(SourcePartition(vec![
                ("sourceClusterAlias", alias(&config.source_alias)),
                ("targetClusterAlias", alias(&config.target_alias)),
            ])),
            target: TopicPartition::new(config.policy.heartbeats_topic(), 0),
            source_alias: config.source_alias.clone(),
            target_alias: config.target_alias.clone(),
            interval,
            next: Instant::now() + interval,
            outstanding: 0,
            refused_in_a_row: 0,
        }
    }

    fn batch(&self, now_ms: i64) -> Result<SourceBatch, ConnectError> {
        let heartbeat = Heartbeat {
            source_cluster_alias: self.source_alias.clone(),
            target_cluster_alias: self.target_alias.clone(),
            timestamp: now_ms,
        };
        let key = heartbeat
            .key()
            .map_err(|error| ConnectError::caused_by("cannot encode a heartbeat", error))?;
        let mut batch = BatchBuilder::new(Compression::None);
        batch.push_record(&Record {
            offset: 0,
            timestamp: now_ms,
            key: Some(&key),
            value: Some(&heartbeat.value()),
            headers: Default::default(),
        });
        Ok(SourceBatch {
            source_partition: self.source_partition.clone(),
            source_offset: SourceOffset(0),
            target: self.target.clone(),
            batch: batch.build(),
            tag: 0,
        })
    }
}

impl SourceTask for MirrorHeartbeatTask {
    fn start(&mut self, props: Props, context: TaskContext) -> BoxFuture<'_, Result<(), ConnectError>> {
        Box::pin(async move {
            let config = MirrorHeartbeatConfig::parse(&props).map_err(|errors| {
                ConnectError::caused_by("configuration of the heartbeat task is not valid", errors)
            })?;
            let interval = config
                .interval
                .ok_or_else(|| ConnectError::new("heartbeats are switched off"))?;
            self.beat = Some(Beat::new(&config, interval, context.task_id));
            Ok(())
        })
    }

    fn poll(&mut self) -> BoxFuture<'_, Result<Vec<SourceBatch>, ConnectError>> {
        Box::pin(async move {
            let Some(beat) = &mut self.beat else {
                return Err(ConnectError::new("the heartbeat task was not started"));
            };
            tokio::time::sleep_until(beat.next).await;
            if beat.outstanding >= MAX_OUTSTANDING {
                std::future::pending::<()>().await;
            }
            let batch = beat.batch(self.clock.now_ms())?;
            beat.outstanding += 1;
            beat.next = Instant::now() + beat.interval;
            Ok(vec![batch])
        })
    }

    fn acked(&mut self, outcomes: Vec<BatchOutcome>) {
        let Some(beat) = &mut self.beat else { return };
        for outcome in outcomes {
            beat.outstanding = beat.outstanding.saturating_sub(1);
            match outcome.result {
                Ok(_) => beat.refused_in_a_row = 0,
                Err(refusal) => {
                    beat.refused_in_a_row = beat.refused_in_a_row.saturating_add(1);
                    if beat.refused_in_a_row.is_power_of_two() {
                        tracing::warn!(
                            task = beat.task_id,
                            reason = refusal.reason,
                            refused = beat.refused_in_a_row,
                            "heartbeats cannot be written"
                        );
                    }
                }
            }
        }
    }

    fn commit(&mut self) -> BoxFuture<'_, Result<(), ConnectError>> {
        Box::pin(async { Ok(()) })
    }

    fn stop(self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async {})
    }
}
