//! `MirrorSourceTask`: reads its configuration and stored offsets, then leaves the copying to [`Copier`].

use std::{collections::BTreeMap, sync::Arc};

use connect_api::{
    BatchOutcome, BoxFuture, ConnectError, Props, SourceBatch, SourceOffset, SourcePartition, SourceTask, SourceValue,
    TaskContext,
};
use kafka_client::consumer::{Consumer, StartPosition};
use kafka_wire::TopicPartition;

use super::{
    config::MirrorSourceTaskConfig,
    copier::{Copier, OffsetSyncs},
    former_topics::FormerTopics,
    limit_metrics::LimitKey,
    limiter::Limiter,
    partition::Partition,
    rate_limits::RATE_KEYS,
};
use crate::{
    environment::MirrorEnvironment, metrics::MetricKey, offset_sync_producer::OffsetSyncProducer,
    offset_sync_writer::OffsetSyncWriter,
};

/// See the module.
#[derive(Debug)]
pub(super) struct MirrorSourceTask {
    environment: MirrorEnvironment,
    /// The connector's limits, as they were told last.
    limits: Props,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    copier: Copier,
    metrics: Vec<MetricKey>,
}

impl MirrorSourceTask {
    pub(super) fn new(environment: MirrorEnvironment) -> Self {
        Self {
            environment,
            limits: Props::new(),
            running: None,
        }
    }

    fn begin(&self, props: &Props, context: &TaskContext) -> Result<Running, ConnectError> {
        let config = MirrorSourceTaskConfig::parse(props)
            .map_err(|errors| ConnectError::caused_by("configuration of the mirror task is not valid", errors))?;
        let keys: Vec<SourcePartition> = config
            .assigned
            .iter()
            .map(|partition| source_partition(&config.rules.source_alias, partition))
            .collect();
        let stored = context.offsets.offsets(&keys);
        let positions: Vec<_> = config
            .assigned
            .iter()
            .cloned()
            .zip(stored.iter().map(start_position))
            .collect();

        let mut consumer = Consumer::new(
            self.environment.client(&config.source_consumer),
            config.consumer.clone(),
        );
        consumer.assign(positions.clone());
        let mut syncs = self.offset_syncs(&config);
        let former = syncs.as_mut().and_then(|syncs| syncs.producer.take_former_topic_ids());
        // Who has no offset is at no topic's mercy.
        let former = former.filter(|_| stored.iter().any(Option::is_some));
        let former = former.map_or_else(FormerTopics::default, FormerTopics::coming);
        let mut metrics = Vec::new();
        let mut partitions = Vec::new();
        for ((source, start), key) in positions.iter().zip(keys) {
            let remote = TopicPartition::new(config.rules.remote_topic(&source.topic), source.partition);
            let metric = self.metric_key(&config, &context.task_id, source, &remote);
            let registered = self.environment.metrics.register(metric.clone());
            metrics.push(metric);
            let mut partition = Partition::new(source.clone(), remote, Arc::new(key), registered);
            if let StartPosition::Offset(offset) = start {
                partition.position = *offset;
            }
            partitions.push(partition);
        }
        tracing::info!(
            task = context.task_id,
            partitions = partitions.len(),
            with_stored_offset = stored.iter().flatten().count(),
            "mirroring"
        );
        let compression = config.compression.or(self.environment.compression);
        let clock = self.environment.clock;
        let limiter = self.limiter(&config, context.task_count);
        let task_id = context.task_id.clone();
        let mut copier = Copier::new(task_id, consumer, partitions, compression, clock, syncs, limiter)
            .with_policies(config.own.source_loss_policy, config.own.pauses_at_cluster_change)
            .with_former_topics(former);
        copier.set_limits(&self.limits);
        Ok(Running { copier, metrics })
    }

    fn limiter(&self, config: &MirrorSourceTaskConfig, task_count: usize) -> Limiter {
        let mut partitions = BTreeMap::new();
        for partition in &config.assigned {
            *partitions.entry(partition.topic.clone()).or_insert(0) += 1;
        }
        let connector = &config.connector.connector_name;
        let limiter = self.environment.limiters.join(connector, task_count, partitions);
        let key = LimitKey {
            source: config.rules.source_alias.as_str().into(),
            target: config.rules.target_alias.as_str().into(),
            connector: connector.as_str().into(),
        };
        limiter.show(self.environment.metrics.limits(), key);
        limiter
    }

    fn offset_syncs(&self, config: &MirrorSourceTaskConfig) -> Option<OffsetSyncs> {
        let syncs = config.offset_syncs.as_ref()?;
        let client = self.environment.client(&syncs.producer_client);
        let writer = OffsetSyncWriter::new(config.assigned.len(), syncs.offset_lag_max);
        let sources = config.assigned.clone();
        let reader = self.environment.client(&syncs.consumer.client);
        let producer = OffsetSyncProducer::start(
            (client, syncs.producer.clone()),
            (reader, syncs.consumer.clone()),
            &syncs.topic,
            sources,
            self.environment.clock,
        );
        Some(OffsetSyncs { writer, producer })
    }

    fn metric_key(
        &self,
        config: &MirrorSourceTaskConfig,
        task_id: &str,
        source: &TopicPartition,
        remote: &TopicPartition,
    ) -> MetricKey {
        MetricKey {
            source: config.rules.source_alias.as_str().into(),
            target: config.rules.target_alias.as_str().into(),
            task_id: task_id.into(),
            remote: remote.clone(),
            source_topic: source.topic.clone(),
        }
    }
}

/// The name under which Connect stores the offset of a partition; members in the order in which Java writes them.
pub(super) fn source_partition(source_alias: &str, partition: &TopicPartition) -> SourcePartition {
    SourcePartition(vec![
        ("cluster", SourceValue::String(source_alias.into())),
        ("partition", SourceValue::Int(i64::from(partition.partition))),
        ("topic", SourceValue::String(partition.topic.clone())),
    ])
}

/// What is stored is the last record that was copied.
fn start_position(stored: &Option<SourceOffset>) -> StartPosition {
    match stored {
        Some(SourceOffset(last)) if *last >= 0 => StartPosition::Offset(last.saturating_add(1)),
        _ => StartPosition::Reset,
    }
}

impl SourceTask for MirrorSourceTask {
    fn connector_configured(&mut self, connector: &Props) {
        let is_limit = |key: &str| RATE_KEYS.iter().any(|rate| rate.name == key);
        let limits = connector.iter().filter(|(key, _)| is_limit(key));
        self.limits = limits.map(|(key, value)| (key.clone(), value.clone())).collect();
        if let Some(running) = &mut self.running {
            running.copier.set_limits(&self.limits);
        }
    }

    fn start(&mut self, props: Props, context: TaskContext) -> BoxFuture<'_, Result<(), ConnectError>> {
        Box::pin(async move {
            self.running = Some(self.begin(&props, &context)?);
            Ok(())
        })
    }

    fn poll(&mut self) -> BoxFuture<'_, Result<Vec<SourceBatch>, ConnectError>> {
        Box::pin(async move {
            match &mut self.running {
                Some(running) => running.copier.poll().await,
                None => Err(ConnectError::new("the mirror task was not started")),
            }
        })
    }

    fn acked(&mut self, outcomes: Vec<BatchOutcome>) {
        if let Some(running) = &mut self.running {
            running.copier.acked(outcomes);
        }
    }

    fn commit(&mut self) -> BoxFuture<'_, Result<(), ConnectError>> {
        if let Some(running) = &mut self.running {
            running.copier.commit();
        }
        Box::pin(async { Ok(()) })
    }

    fn stop(mut self: Box<Self>) -> BoxFuture<'static, ()> {
        let running = self.running.take();
        Box::pin(async move {
            let Some(Running { copier, metrics }) = running else {
                return;
            };
            copier.stop().await;
            metrics.iter().for_each(|key| self.environment.metrics.remove(key));
        })
    }
}
