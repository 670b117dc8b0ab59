//! How far a flow has come, and whether it would do to fail over now.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use kafka_client::{
    config::IsolationLevel,
    consumer::{Consumer, StartPosition},
};
use kafka_wire::{Entry, INFLATE_CAP_BYTES, TopicPartition};
use serde_json::Value;

use super::{
    Flow, OperatorError,
    connectors::ConnectorNames,
    destination::ranges_at,
    failover::{chain, plan_failover},
    plan::{GroupPlan, Plan, Precision},
    whole_topic::read_all,
};
use crate::{client_props::Side, source::discovery::discover};

/// A flow as it is now.
#[derive(Clone, Debug)]
pub struct FlowStatus {
    /// Its partitions.
    pub partitions: Vec<PartitionStatus>,
    /// Its groups, as a failover would find them.
    pub groups: Plan,
    /// Its connectors and tasks, as the status topic has them.
    pub tasks: Vec<TaskStatus>,
    /// What speaks against failing over now.
    pub objections: Vec<String>,
}

/// A partition and its copy.
#[derive(Clone, Debug)]
pub struct PartitionStatus {
    /// On the source.
    pub source: TopicPartition,
    /// On the target.
    pub target: TopicPartition,
    /// The next source offset to be copied, as the worker has stored it.
    pub position: Option<i64>,
    /// The end of the source, if it answers.
    pub source_end: Option<i64>,
    /// The end of the copy.
    pub target_end: Option<i64>,
    /// Source offsets still to be copied.
    pub lag: Option<i64>,
    /// About how many bytes that is, at the size of the oldest batch that is not copied.
    pub lag_bytes: Option<i64>,
    /// The age of the oldest record that is not copied.
    pub lag_seconds: Option<i64>,
}

/// A connector or task.
#[derive(Clone, Debug)]
pub struct TaskStatus {
    /// `MirrorSourceConnector` or `MirrorSourceConnector-0`.
    pub name: String,
    /// `RUNNING`, `FAILED` and so on.
    pub state: String,
    /// Who runs it.
    pub worker_id: String,
    /// The first line of why it failed.
    pub trace: Option<String>,
}

/// Looks at everything. Records that are not copied are no objection while they are younger than `max_lag`.
pub async fn flow_status(
    flow: &Flow,
    source_timeout: Duration,
    max_lag: Duration,
) -> Result<FlowStatus, OperatorError> {
    let names = ConnectorNames::of(flow).await?;
    let (client, config) = flow.consumer(&flow.config.checkpoints_consumer);
    let mut positions: HashMap<TopicPartition, i64> = HashMap::new();
    let stored = read_all(&client, &config, &flow.offsets_topic, |record| {
        if let Some((partition, offset)) = stored_offset(flow, &names, record.key, record.value) {
            match offset {
                Some(offset) => _ = positions.insert(partition, offset),
                None => _ = positions.remove(&partition),
            }
        }
    });
    flow.ask(Side::Target, &flow.offsets_topic, stored).await?;
    let mut tasks = BTreeMap::new();
    let states = read_all(&client, &config, &flow.status_topic, |record| {
        if let Some((name, task)) = task_status(record.key, record.value)
            && names.owns(&name)
        {
            match task {
                Some(task) => _ = tasks.insert(name, task),
                None => _ = tasks.remove(&name),
            }
        }
    });
    flow.ask(Side::Target, &flow.status_topic, states).await?;
    let mut objections = Vec::new();
    let sources = match tokio::time::timeout(source_timeout, source_ends(flow)).await {
        Ok(Ok(ends)) => Some(ends),
        Ok(Err(error)) => {
            objections.push(format!("what is not mirrored is not known: {}", chain(&error)));
            None
        }
        Err(_elapsed) => {
            let source = &flow.pair.source;
            objections.push(format!(
                "what is not mirrored is not known: cluster {source} does not answer within {source_timeout:?}"
            ));
            None
        }
    };
    let mut partitions = partitions(flow, &positions, sources.as_ref()).await?;
    if sources.is_some() {
        measure_ages(flow, &mut partitions).await;
    }
    let groups = plan_failover(flow, &[], source_timeout).await?;
    let tasks: Vec<TaskStatus> = tasks.into_values().collect();
    objections.extend(lag_objection(&partitions, max_lag));
    objections.extend(task_objections(&tasks, &names));
    objections.extend(groups.groups.iter().filter_map(group_objection));
    Ok(FlowStatus {
        partitions,
        groups,
        tasks,
        objections,
    })
}

async fn source_ends(flow: &Flow) -> Result<HashMap<TopicPartition, (i64, i64)>, OperatorError> {
    let rules = &flow.copying.rules;
    let keep = |topic: &str| rules.replicates(topic, flow.config.topic_filter.accepts(topic));
    let none = Default::default();
    let found = discover(flow.source.client(), &none, keep);
    let found = flow.ask(Side::Source, "the list of topics", found).await?;
    let names = found
        .topics
        .iter()
        .flat_map(|(topic, count)| (0..*count).map(move |partition| TopicPartition::new(topic.clone(), partition)));
    let ranges = ranges_at(&flow.source, names, flow.source_isolation());
    flow.ask(Side::Source, "the partitions", ranges).await
}

async fn partitions(
    flow: &Flow,
    positions: &HashMap<TopicPartition, i64>,
    sources: Option<&HashMap<TopicPartition, (i64, i64)>>,
) -> Result<Vec<PartitionStatus>, OperatorError> {
    let mut names: Vec<TopicPartition> = match sources {
        Some(sources) => sources.keys().cloned().collect(),
        None => positions.keys().cloned().collect(),
    };
    names.sort();
    let remote =
        |source: &TopicPartition| TopicPartition::new(flow.copying.rules.remote_topic(&source.topic), source.partition);
    let targets = ranges_at(&flow.target, names.iter().map(remote), IsolationLevel::ReadUncommitted);
    let targets = flow.ask(Side::Target, "the partitions", targets).await?;
    let status = |source: TopicPartition| {
        let target = remote(&source);
        let position = positions.get(&source).copied();
        let range = sources.and_then(|sources| sources.get(&source)).copied();
        let lag = range.map(|(start, end)| (end - position.unwrap_or(start).max(start)).max(0));
        PartitionStatus {
            target_end: targets.get(&target).map(|range| range.1),
            lag,
            source_end: range.map(|range| range.1),
            lag_bytes: lag.filter(|lag| *lag == 0),
            lag_seconds: None,
            position,
            source,
            target,
        }
    };
    Ok(names.into_iter().map(status).collect())
}

/// Reads the first record that is not copied of each partition that lags. Where only markers are left, there is no lag.
async fn measure_ages(flow: &Flow, partitions: &mut [PartitionStatus]) {
    let mut waiting: HashMap<TopicPartition, &mut PartitionStatus> = partitions
        .iter_mut()
        .filter(|partition| partition.lag.is_some_and(|lag| lag > 0))
        .map(|partition| (partition.source.clone(), partition))
        .collect();
    let (client, mut config) = flow.consumer(&flow.copying.consumer);
    config.max_partition_fetch_bytes = 1;
    let mut consumer = Consumer::new(client, config);
    let start = |(name, partition): (&TopicPartition, &&mut PartitionStatus)| {
        let from = partition.source_end.unwrap_or(0) - partition.lag.unwrap_or(0);
        (name.clone(), StartPosition::Offset(from))
    };
    consumer.assign(waiting.iter().map(start).collect());
    let now = flow.environment.clock.now_ms();
    let deadline = tokio::time::Instant::now() + flow.timeout;
    while !waiting.is_empty() {
        let Ok(polled) = tokio::time::timeout_at(deadline, consumer.poll()).await else {
            return;
        };
        for fetched in polled.fetched {
            let first = fetched
                .batches
                .iter()
                .find_map(|entry| first_record(entry, fetched.from));
            let Some(partition) = waiting.get_mut(&fetched.partition) else {
                continue;
            };
            if let Some((timestamp, bytes)) = first {
                partition.lag_seconds = Some(((now - timestamp) / 1000).max(0));
                partition.lag_bytes = partition.lag.map(|lag| (lag as f64 * bytes) as i64);
            } else if partition.source_end.is_some_and(|end| fetched.next_offset >= end) {
                (partition.lag, partition.lag_bytes) = (Some(0), Some(0));
            } else {
                continue;
            }
            consumer.pause(&fetched.partition);
            waiting.remove(&fetched.partition);
        }
    }
}

/// The time of the first record from offset `from` on, and how many bytes a record of its batch has.
fn first_record(entry: &Entry, from: i64) -> Option<(i64, f64)> {
    let records = entry.records(INFLATE_CAP_BYTES).ok()?;
    let records: Vec<(i64, i64)> = records
        .iter()
        .map_while(Result::ok)
        .map(|record| (record.offset, record.timestamp))
        .collect();
    let (_, timestamp) = records.iter().find(|(offset, _)| *offset >= from)?;
    Some((*timestamp, entry.size_bytes() as f64 / records.len() as f64))
}

fn lag_objection(partitions: &[PartitionStatus], max_lag: Duration) -> Option<String> {
    let max_seconds = i64::try_from(max_lag.as_secs()).unwrap_or(i64::MAX);
    let is_late = |partition: &&PartitionStatus| {
        partition.lag.is_some_and(|lag| lag > 0) && partition.lag_seconds.is_none_or(|seconds| seconds > max_seconds)
    };
    let late: Vec<&PartitionStatus> = partitions.iter().filter(is_late).collect();
    let records: i64 = late.iter().filter_map(|partition| partition.lag).sum();
    let oldest = late.iter().filter_map(|partition| partition.lag_seconds).max();
    let first = late.first()?;
    let age = oldest.map_or_else(String::new, |seconds| format!(", the oldest for {seconds} s"));
    Some(format!(
        "{records} records of {} partitions are not mirrored{age} ({} is one)",
        late.len(),
        first.source
    ))
}

fn task_objections(tasks: &[TaskStatus], names: &ConnectorNames) -> Vec<String> {
    let not_running = tasks.iter().filter(|task| task.state != "RUNNING");
    let mut objections: Vec<String> = not_running
        .map(|task| format!("{} is {}", task.name, task.state))
        .collect();
    if !tasks.iter().any(|task| names.is_copying(&task.name)) {
        let connectors: Vec<&str> = names.source.iter().map(String::as_str).collect();
        objections.push(match connectors.is_empty() {
            true => "no MirrorSourceConnector of this flow is known".to_owned(),
            false => format!("no task of {} is known", connectors.join(" or ")),
        });
    }
    objections
}

fn group_objection(group: &GroupPlan) -> Option<String> {
    if let Some(why) = &group.not_idle {
        return Some(format!("group {}: {why}", group.group));
    }
    let blocked = group.partitions.iter().find_map(|partition| match partition.step {
        super::Step::Blocked(why) => Some(format!("group {} at {}: {why}", group.group, partition.origin)),
        _ => None,
    });
    blocked.or_else(|| {
        let behind = group
            .partitions
            .iter()
            .filter_map(|partition| match partition.precision {
                Precision::Behind(records) => Some(records),
                _ => None,
            });
        let behind: i64 = behind.sum();
        (behind > 0).then(|| format!("group {} would read up to {behind} records again", group.group))
    })
}

/// A record of the offsets topic, if it is about this flow: `["MirrorSourceConnector",{"cluster":…}]`. The stored offset is
/// that of the last record that was copied.
pub(super) fn stored_offset(
    flow: &Flow,
    names: &ConnectorNames,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
) -> Option<(TopicPartition, Option<i64>)> {
    let key: Value = serde_json::from_slice(key?).ok()?;
    let (connector, partition) = (key.get(0)?.as_str()?, key.get(1)?);
    if !names.source.contains(connector) || partition.get("cluster")?.as_str()? != flow.pair.source {
        return None;
    }
    let number = i32::try_from(partition.get("partition")?.as_i64()?).ok()?;
    let partition = TopicPartition::new(Arc::<str>::from(partition.get("topic")?.as_str()?), number);
    let offset = value.and_then(|value| serde_json::from_slice::<Value>(value).ok());
    let offset = offset
        .and_then(|value| value.get("offset")?.as_i64())
        .map(|offset| offset.saturating_add(1));
    Some((partition, offset))
}

fn task_status(key: Option<&[u8]>, value: Option<&[u8]>) -> Option<(String, Option<TaskStatus>)> {
    let key = std::str::from_utf8(key?).ok()?;
    let name = key
        .strip_prefix("status-task-")
        .or_else(|| key.strip_prefix("status-connector-"))?;
    let Some(value) = value else {
        return Some((name.to_owned(), None));
    };
    let value: Value = serde_json::from_slice(value).ok()?;
    let text = |field: &str| value.get(field).and_then(Value::as_str).map(str::to_owned);
    let task = TaskStatus {
        name: name.to_owned(),
        state: text("state")?,
        worker_id: text("worker_id").unwrap_or_default(),
        trace: text("trace").and_then(|trace| trace.lines().next().map(str::to_owned)),
    };
    Some((name.to_owned(), Some(task)))
}
