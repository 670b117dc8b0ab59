//! Where groups that have read copies on the target may go on at the source.
//!
//! The runs of the offset syncs, read the other way: a position in what was copied is a position of the source. Records
//! that others wrote to the copy are nowhere at the source; they are counted.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    sync::Arc,
};

use kafka_client::{admin::OffsetAndMetadata, config::IsolationLevel};
use kafka_wire::TopicPartition;

use super::{
    Flow, OperatorError,
    destination::{groups_at, ranges_at},
    plan::{GroupPlan, PartitionPlan, Plan, Precision, Step},
    verify::extend_runs,
};
use crate::{checkpoint::round::TopicKinds, client_props::Side};

/// Plans the way back of the groups that are asked for, or of all that the mirror's filter accepts, to the source.
pub async fn plan_switchback(flow: &Flow, groups: &[String]) -> Result<Plan, OperatorError> {
    let mut syncs = flow.read_syncs().await?;
    let positions = positions_on_target(flow, groups).await?;
    let remote: BTreeSet<TopicPartition> = positions.values().flatten().map(|(at, _)| at.clone()).collect();
    let ranges = ranges_at(&flow.target, remote.iter().cloned(), IsolationLevel::ReadUncommitted);
    let ranges = flow.ask(Side::Target, "the partitions", ranges).await?;
    let mut notes = Vec::new();
    let mut kinds = TopicKinds::default();
    let topics = remote
        .iter()
        .filter_map(|at| flow.source_topic(&at.topic))
        .map(Arc::from);
    kinds.learn(&flow.source, topics.collect()).await;
    let origins = remote.iter().filter_map(|at| origin_of(flow, at));
    let source_ranges = ranges_at(&flow.source, origins, flow.source_isolation());
    let source_ranges = flow.ask(Side::Source, "the partitions", source_ranges).await?;
    for at in &remote {
        let (Some(origin), Some((_, end))) = (origin_of(flow, at), ranges.get(at)) else {
            continue;
        };
        let Some(runs) = syncs.runs_mut(&origin) else { continue };
        // A mirror that died has copied more than it said.
        let source_end = source_ranges.get(&origin).map_or(0, |range| range.1);
        if let Err(error) = extend_runs(flow, (&origin, at), runs, (source_end, *end)).await {
            notes.push(format!("{at} cannot be compared with its source: {error}"));
        }
        notes.extend(how_to_bring_back(flow, at, &origin, &runs.gaps(*end)));
    }
    let mut plan = Plan {
        groups: Vec::new(),
        notes,
    };
    for (group, offsets) in positions {
        let partition = |(at, committed): (TopicPartition, OffsetAndMetadata)| {
            let origin = origin_of(flow, &at)?;
            let runs = syncs.runs(&origin);
            let may_join = kinds.may_join(&origin.topic);
            let back = runs.and_then(|runs| runs.translate_back(committed.offset, may_join));
            let end = ranges.get(&at).map_or(committed.offset, |(_, end)| *end);
            Some(PartitionPlan {
                origin: at,
                origin_offset: committed.offset,
                destination: origin,
                committed: None,
                offset: back.map(|(offset, _)| offset),
                metadata: committed.metadata,
                precision: match back {
                    Some((_, 0)) => Precision::Exact,
                    Some((_, again)) => Precision::Behind(again),
                    None => Precision::Unknown,
                },
                step: Step::Nothing,
                left_behind: runs.map_or(0, |runs| runs.not_copies(committed.offset, end)),
            })
        };
        plan.groups.push(GroupPlan {
            group,
            not_idle: None,
            partitions: offsets.into_iter().filter_map(partition).collect(),
        });
    }
    for group in groups {
        if !plan.groups.iter().any(|plan| *plan.group == **group) {
            plan.notes.push(format!(
                "group {group} has no position in copies of {} on cluster {}: nothing to do",
                flow.pair.source, flow.pair.target
            ));
        }
    }
    let ids = plan.group_ids();
    let there = flow
        .ask(Side::Source, "the groups", groups_at(&flow.source, &ids))
        .await?;
    let ranges = ranges_at(&flow.source, plan.destinations(), IsolationLevel::ReadUncommitted);
    let ranges = flow.ask(Side::Source, "the partitions", ranges).await?;
    plan.decide(&there, &ranges);
    Ok(plan)
}

fn origin_of(flow: &Flow, remote: &TopicPartition) -> Option<TopicPartition> {
    flow.source_topic(&remote.topic)
        .map(|topic| TopicPartition::new(topic, remote.partition))
}

/// Positions in copies of this flow, by group.
async fn positions_on_target(
    flow: &Flow,
    groups: &[String],
) -> Result<BTreeMap<Arc<str>, BTreeMap<TopicPartition, OffsetAndMetadata>>, OperatorError> {
    let ids: Vec<Arc<str>> = match groups {
        [] => {
            let listed = flow.ask(Side::Target, "the groups", flow.target.list_groups()).await?;
            let consumers = listed.into_iter().filter(|group| {
                matches!(&*group.protocol_type, "" | "consumer") && flow.group_filter.accepts(&group.group_id)
            });
            consumers.map(|group| group.group_id).collect()
        }
        groups => groups.iter().map(|group| Arc::from(&**group)).collect(),
    };
    let committed = flow.target.list_offsets_of_groups(&ids);
    let committed = flow.ask(Side::Target, "offsets of the groups", committed).await?;
    let mut positions = BTreeMap::new();
    for (group, offsets) in committed {
        let offsets = match offsets {
            Ok(offsets) => offsets,
            Err(error) => {
                tracing::warn!(%group, error = error.chain(), "a group of the target cannot be asked");
                continue;
            }
        };
        let is_copy = |at: &TopicPartition| {
            let policy = &flow.config.connector.policy;
            !policy.is_internal_topic(&at.topic)
                && flow
                    .source_topic(&at.topic)
                    .is_some_and(|topic| flow.config.topic_filter.accepts(topic))
        };
        let offsets: BTreeMap<_, _> = offsets.into_iter().filter(|(at, _)| is_copy(at)).collect();
        if !offsets.is_empty() {
            positions.insert(group, offsets);
        }
    }
    Ok(positions)
}

/// Gaps that are told of; a person asks again when these are dealt with.
const GAPS_TOLD: usize = 3;

fn how_to_bring_back(
    flow: &Flow,
    remote: &TopicPartition,
    origin: &TopicPartition,
    gaps: &[Range<i64>],
) -> Option<String> {
    let (source, target) = (&flow.pair.source, &flow.pair.target);
    let records: i64 = gaps.iter().map(|gap| gap.end - gap.start).sum();
    let last = gaps.last()?;
    let told: Vec<String> = gaps[gaps.len().saturating_sub(GAPS_TOLD)..]
        .iter()
        .map(|gap| format!("{}..{}", gap.start, gap.end - 1))
        .collect();
    let more = if gaps.len() > GAPS_TOLD { "…, " } else { "" };
    Some(format!(
        "{remote} on {target} holds up to {records} records that {source} does not have (offsets {more}{}): let the groups \
         read them there before they switch back, and copy those that {source} must have, for instance with \
         `kafka-console-consumer.sh --bootstrap-server <{target}> --topic {} --partition {} --offset {} --max-messages {} | \
         kafka-console-producer.sh --bootstrap-server <{source}> --topic {}`",
        told.join(", "),
        remote.topic,
        remote.partition,
        last.start,
        last.end - last.start,
        origin.topic,
    ))
}
