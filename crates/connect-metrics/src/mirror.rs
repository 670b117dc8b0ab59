//! What the mirror connectors count, by partition and by flow.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::Arc,
};

use connect_mirror::{MetricKey, MirrorMetrics, PartitionSnapshot, Rebuilt, Stats};
use kafka_wire::TopicPartition;

use crate::exposition::{Family, Labels, Metric, Page, metric};

/// Stands for the topics (and clients) beyond the limit; no topic can be named so.
pub(crate) const OTHERS: &str = "(others)";
/// Held-back partitions that are listed with their reasons; more are only counted.
const MAX_HELD_BACK: usize = 200;
/// A reason is a broker's text: its beginning is enough for a label.
const MAX_REASON_CHARS: usize = 160;

/// Kafka's `MirrorSourceConnector` attributes, and ours: by source, target, topic and partition.
pub(crate) const PARTITIONS: &[Metric<PartitionSnapshot>] = &[
    metric(
        "kafka_connect_mirror_mirrorsourceconnector_record_count",
        |p| p.record_count as f64,
        "Records that the target acknowledged.",
    ),
    metric(
        "kafka_connect_mirror_mirrorsourceconnector_record_rate",
        |p| p.record_rate,
        "Records that the target acknowledged, per second.",
    ),
    metric(
        "kafka_connect_mirror_mirrorsourceconnector_byte_count",
        |p| p.byte_count as f64,
        "Bytes taken from the source (batches as they travel).",
    ),
    metric(
        "kafka_connect_mirror_mirrorsourceconnector_byte_rate",
        |p| p.byte_rate,
        "Bytes taken from the source, per second.",
    ),
    metric(
        "kafka_connect_mirror_mirrorsourceconnector_record_age_ms",
        |p| p.record_age_ms.last,
        "Age of the newest record when it was fetched.",
    ),
    metric(
        "kafka_connect_mirror_mirrorsourceconnector_record_age_ms_max",
        |p| p.record_age_ms.max,
        "Age of records when they were fetched, largest.",
    ),
    metric(
        "kafka_connect_mirror_mirrorsourceconnector_record_age_ms_min",
        |p| p.record_age_ms.min,
        "Age of records when they were fetched, smallest.",
    ),
    metric(
        "kafka_connect_mirror_mirrorsourceconnector_record_age_ms_avg",
        |p| p.record_age_ms.avg,
        "Age of records when they were fetched, mean.",
    ),
    metric(
        "kafka_connect_mirror_mirrorsourceconnector_replication_latency_ms",
        |p| p.replication_latency_ms.last,
        "Age of the newest record when it was acknowledged.",
    ),
    metric(
        "kafka_connect_mirror_mirrorsourceconnector_replication_latency_ms_max",
        |p| p.replication_latency_ms.max,
        "Age of records when they were acknowledged, largest.",
    ),
    metric(
        "kafka_connect_mirror_mirrorsourceconnector_replication_latency_ms_min",
        |p| p.replication_latency_ms.min,
        "Age of records when they were acknowledged, smallest.",
    ),
    metric(
        "kafka_connect_mirror_mirrorsourceconnector_replication_latency_ms_avg",
        |p| p.replication_latency_ms.avg,
        "Age of records when they were acknowledged, mean.",
    ),
    metric(
        "heliograph_partition_lag_records",
        |p| p.lag as f64,
        "Records at the source that the target has not acknowledged.",
    ),
    metric(
        "heliograph_partition_lag_bytes",
        |p| p.lag_bytes,
        "About how many bytes the lag is; NaN while no record is known.",
    ),
    metric(
        "heliograph_partition_lag_seconds",
        |p| p.lag_ms / 1000.0,
        "Age of the oldest record that is not acknowledged; 0 without a lag, NaN while no record is known.",
    ),
    metric(
        "heliograph_partition_records_lost_total",
        |p| p.records_lost as f64,
        "Records that the source removed before they could be copied.",
    ),
    metric(
        "heliograph_partition_last_write_timestamp_seconds",
        |p| p.last_written_ms.map_or(f64::NAN, |at| at as f64 / 1000.0),
        "When the target acknowledged records last; NaN before.",
    ),
];

/// What dashboards of MM2 show as its lag: by clientid, topic and partition.
pub(crate) const RECORDS_LAG: Family = Family::new(
    "kafka_consumer_fetch_manager_records_lag",
    "Records at the source that the target has not acknowledged, of the source's topics.",
);

/// By source, target, group, topic and partition.
pub(crate) const CHECKPOINTS: &[Metric<Stats>] = &[
    metric(
        "kafka_connect_mirror_mirrorcheckpointconnector_checkpoint_latency_ms",
        |s| s.last,
        "From asking for a group's offsets to the acknowledged checkpoint, last.",
    ),
    metric(
        "kafka_connect_mirror_mirrorcheckpointconnector_checkpoint_latency_ms_max",
        |s| s.max,
        "From asking for a group's offsets to the acknowledged checkpoint, largest.",
    ),
    metric(
        "kafka_connect_mirror_mirrorcheckpointconnector_checkpoint_latency_ms_min",
        |s| s.min,
        "From asking for a group's offsets to the acknowledged checkpoint, smallest.",
    ),
    metric(
        "kafka_connect_mirror_mirrorcheckpointconnector_checkpoint_latency_ms_avg",
        |s| s.avg,
        "From asking for a group's offsets to the acknowledged checkpoint, mean.",
    ),
];

/// All of a flow, whatever the limit of partitions: by source and target.
pub(crate) const FLOWS: &[Metric<Flow>] = &[
    metric(
        "heliograph_flow_partitions",
        |flow| flow.partitions as f64,
        "Partitions that are mirrored here.",
    ),
    metric(
        "heliograph_flow_partitions_held_back",
        |flow| flow.held_back as f64,
        "Partitions that wait because the target or the source refuses something.",
    ),
    metric(
        "heliograph_flow_records",
        |flow| flow.sum.record_count as f64,
        "Records that the target acknowledged, of the partitions that are here now.",
    ),
    metric(
        "heliograph_flow_lag_records",
        |flow| flow.sum.lag as f64,
        "Records at the source that the target has not acknowledged.",
    ),
    metric(
        "heliograph_flow_lag_bytes",
        |flow| flow.sum.lag_bytes,
        "About how many bytes the lag is, of partitions with known records.",
    ),
    metric(
        "heliograph_flow_lag_seconds_max",
        |flow| flow.sum.lag_ms / 1000.0,
        "Age of the oldest record that is not acknowledged, of partitions with known records.",
    ),
    metric(
        "heliograph_flow_records_lost_total",
        |flow| flow.sum.records_lost as f64,
        "Records that the source removed before they could be copied.",
    ),
    metric(
        "heliograph_flow_in_flight_bytes",
        |flow| flow.sum.in_flight_bytes as f64,
        "Bytes on their way to the target; each task may have 8 MiB.",
    ),
];

/// By source, target, way and reason.
pub(crate) const BATCHES: Family = Family::new(
    "heliograph_flow_batches_total",
    "Batches by the way they went: passed as they are, rebuilt for a reason, cut into smaller ones.",
);

/// By source, target, topic, partition and reason.
pub(crate) const HELD_BACK: Family = Family::new(
    "heliograph_partition_held_back",
    "1 for each partition that waits, with the reason.",
);

/// One flow of this process.
#[derive(Clone, Debug)]
pub(crate) struct Flow {
    partitions: usize,
    held_back: usize,
    sum: PartitionSnapshot,
}

type FlowKey = (Arc<str>, Arc<str>);

/// Writes everything at `now_ms`; no more than `max_partitions` partitions have series of their own.
pub(crate) fn write(page: &mut Page, metrics: &MirrorMetrics, now_ms: i64, max_partitions: usize) {
    let partitions = metrics.snapshot(now_ms);
    write_flows(page, &partitions);
    write_lag(page, &partitions, max_partitions);
    page.table(PARTITIONS, &by_partition(&partitions, max_partitions));
    write_held_back(page, &partitions);
    let checkpoints = metrics.checkpoint_latencies(now_ms);
    let mut groups = BTreeMap::new();
    for (key, stats) in checkpoints {
        let name = (key.source, key.target, key.group, key.remote);
        merge(groups.entry(name), stats, add_stats);
    }
    let describe = |(source, target, group, remote): &(Arc<str>, Arc<str>, Arc<str>, TopicPartition)| {
        let labels = [("source", &**source), ("target", target), ("group", group)];
        let labels =
            Labels::new(&labels).with(&[("topic", &remote.topic), ("partition", &remote.partition.to_string())]);
        ((source.clone(), target.clone()), labels)
    };
    let groups = capped(
        groups,
        max_partitions,
        describe,
        &[("group", OTHERS), ("topic", OTHERS)],
        add_stats,
    );
    page.table(CHECKPOINTS, &groups);
}

fn write_flows(page: &mut Page, partitions: &[(MetricKey, PartitionSnapshot)]) {
    let mut flows: BTreeMap<FlowKey, Flow> = BTreeMap::new();
    for (key, snapshot) in partitions {
        let flow = Flow {
            partitions: 1,
            held_back: usize::from(snapshot.held_back.is_some()),
            sum: snapshot.clone(),
        };
        merge(
            flows.entry((key.source.clone(), key.target.clone())),
            flow,
            |flow, other| {
                flow.partitions += other.partitions;
                flow.held_back += other.held_back;
                add(&mut flow.sum, &other.sum);
            },
        );
    }
    let flows: Vec<(Labels, Flow)> = flows
        .into_iter()
        .map(|((source, target), flow)| (Labels::new(&[("source", &source), ("target", &target)]), flow))
        .collect();
    page.table(FLOWS, &flows);
    let mut ways = Vec::new();
    for (labels, Flow { sum, .. }) in &flows {
        ways.push((labels.with(&[("way", "passed")]), sum.batches.passed as f64));
        ways.push((labels.with(&[("way", "cut")]), sum.batches.cut as f64));
        for reason in Rebuilt::ALL {
            let way = labels.with(&[("way", "rebuilt"), ("reason", reason.as_str())]);
            ways.push((way, sum.batches.rebuilt(reason) as f64));
        }
    }
    page.family(&BATCHES, ways.iter().map(|(labels, count)| (labels, *count)));
}

fn by_partition(partitions: &[(MetricKey, PartitionSnapshot)], max: usize) -> Vec<(Labels, PartitionSnapshot)> {
    let mut remotes = BTreeMap::new();
    for (key, snapshot) in partitions {
        // While a partition moves from one task to another, both may have it.
        let name = (key.source.clone(), key.target.clone(), key.remote.clone());
        merge(remotes.entry(name), snapshot.clone(), add);
    }
    let describe = |(source, target, remote): &(Arc<str>, Arc<str>, TopicPartition)| {
        let labels = labels(source, target, remote);
        ((source.clone(), target.clone()), labels)
    };
    capped(remotes, max, describe, &[("topic", OTHERS)], add)
}

fn labels(source: &str, target: &str, remote: &TopicPartition) -> Labels {
    let partition = remote.partition.to_string();
    Labels::new(&[
        ("source", source),
        ("target", target),
        ("topic", &remote.topic),
        ("partition", &partition),
    ])
}

/// Kafka has it for each consumer; the consumer of a task is found by what its client id contains.
fn write_lag(page: &mut Page, partitions: &[(MetricKey, PartitionSnapshot)], max: usize) {
    let lags: Vec<(Labels, f64)> = partitions
        .iter()
        .take(max)
        .map(|(key, snapshot)| {
            let client_id = format!("{}->{}|{}|replication-consumer", key.source, key.target, key.task_id);
            let partition = key.remote.partition.to_string();
            let labels = [
                ("clientid", &*client_id),
                ("topic", &key.source_topic),
                ("partition", &partition),
            ];
            (Labels::new(&labels), snapshot.lag as f64)
        })
        .collect();
    page.family(&RECORDS_LAG, lags.iter().map(|(labels, lag)| (labels, *lag)));
}

fn write_held_back(page: &mut Page, partitions: &[(MetricKey, PartitionSnapshot)]) {
    let mut held: BTreeMap<String, Labels> = BTreeMap::new();
    for (key, snapshot) in partitions {
        let Some(reason) = &snapshot.held_back else { continue };
        let reason: String = reason.chars().take(MAX_REASON_CHARS).collect();
        held.entry(format!("{}\n{}\n{}", key.source, key.target, key.remote))
            .or_insert_with(|| labels(&key.source, &key.target, &key.remote).with(&[("reason", &reason)]));
    }
    page.family(
        &HELD_BACK,
        held.values().take(MAX_HELD_BACK).map(|labels| (labels, 1.0)),
    );
}

/// The first `max` by themselves; the others of each flow added up.
fn capped<K, T>(
    all: BTreeMap<K, T>,
    max: usize,
    describe: impl Fn(&K) -> (FlowKey, Labels),
    other_labels: &[(&str, &str)],
    add: fn(&mut T, &T),
) -> Vec<(Labels, T)> {
    let mut kept = Vec::with_capacity(all.len().min(max));
    let mut others: BTreeMap<FlowKey, T> = BTreeMap::new();
    for (key, value) in all {
        let (flow, labels) = describe(&key);
        if kept.len() < max {
            kept.push((labels, value));
        } else {
            merge(others.entry(flow), value, add);
        }
    }
    let others = others.into_iter().map(|((source, target), value)| {
        let labels = Labels::new(&[("source", &source), ("target", &target)]).with(other_labels);
        (labels, value)
    });
    kept.extend(others);
    kept
}

fn merge<K: Ord, T>(entry: Entry<'_, K, T>, value: T, add: fn(&mut T, &T)) {
    match entry {
        Entry::Vacant(entry) => drop(entry.insert(value)),
        Entry::Occupied(mut entry) => add(entry.get_mut(), &value),
    }
}

/// Counts and rates are added up; of ages the worst is kept (`min` of all minima).
fn add(sum: &mut PartitionSnapshot, other: &PartitionSnapshot) {
    sum.record_count += other.record_count;
    sum.record_rate += other.record_rate;
    sum.byte_count += other.byte_count;
    sum.byte_rate += other.byte_rate;
    add_stats(&mut sum.record_age_ms, &other.record_age_ms);
    add_stats(&mut sum.replication_latency_ms, &other.replication_latency_ms);
    sum.records_lost += other.records_lost;
    sum.lag += other.lag;
    sum.lag_bytes = [sum.lag_bytes, other.lag_bytes]
        .into_iter()
        .filter(|bytes| !bytes.is_nan())
        .sum();
    // `max` and `min` of a number and NaN are the number.
    sum.lag_ms = sum.lag_ms.max(other.lag_ms);
    sum.in_flight_bytes += other.in_flight_bytes;
    sum.batches.add(&other.batches);
    sum.last_written_ms = sum.last_written_ms.max(other.last_written_ms);
    if sum.held_back.is_none() {
        sum.held_back.clone_from(&other.held_back);
    }
}

pub(crate) fn add_stats(sum: &mut Stats, other: &Stats) {
    sum.last = sum.last.max(other.last);
    sum.min = sum.min.min(other.min);
    sum.max = sum.max.max(other.max);
    sum.avg = sum.avg.max(other.avg);
}
