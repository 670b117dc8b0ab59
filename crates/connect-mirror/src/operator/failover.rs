//! Where the groups of the source may go on at the target.
//!
//! The checkpoints on the target are enough: a source that is down is not asked. One that answers tells how far the
//! groups are by now, and its offset syncs where that is.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use kafka_client::{Topics, config::IsolationLevel};
use kafka_wire::TopicPartition;

use super::{
    Flow, OperatorError,
    destination::{Committed, groups_at, ranges_at},
    plan::{GroupPlan, PartitionPlan, Plan, Precision, Step},
    verify::extend_runs,
};
use crate::{
    checkpoint::{
        end_markers::look_behind,
        round::{TopicKinds, gather},
    },
    client_props::Side,
    mirror_client::{MirrorClient, TranslatedOffset},
    offset_sync_store::{OffsetSyncStore, Translation},
};

/// Positions of groups on the source, as the source says.
#[derive(Debug, Default)]
struct SourceView {
    committed: HashMap<Arc<str>, Committed>,
    kinds: TopicKinds,
    /// The ends of partitions where groups are further than what is known of the copies.
    ends: HashMap<TopicPartition, i64>,
}

/// Plans the move of the groups that are asked for, or of all that the mirror's filter accepts, to the target.
/// `source_timeout`: how long a source that does not answer is waited for.
pub async fn plan_failover(flow: &Flow, groups: &[String], source_timeout: Duration) -> Result<Plan, OperatorError> {
    let is_wanted = |group: &str| match groups {
        [] => flow.group_filter.accepts(group),
        groups => groups.iter().any(|wanted| wanted == group),
    };
    let mut notes = Vec::new();
    let checkpoints = checkpoints(flow, &is_wanted, &mut notes).await?;
    let known: BTreeSet<Arc<str>> = checkpoints.keys().map(|group| Arc::from(&**group)).collect();
    let mut source = match tokio::time::timeout(source_timeout, ask_source(flow, &known, &is_wanted)).await {
        Ok(Ok(source)) => Some(source),
        Ok(Err(error)) => {
            notes.push(source_is_away(flow, &chain(&error)));
            None
        }
        Err(_elapsed) => {
            notes.push(source_is_away(flow, &format!("no answer within {source_timeout:?}")));
            None
        }
    };
    let mut syncs = match (flow.syncs_side(), &source) {
        (Side::Source, None) => None,
        _ => match flow.read_syncs().await {
            Ok(syncs) => Some(syncs),
            Err(error) => {
                notes.push(format!("{}: positions are those of the checkpoints", chain(&error)));
                None
            }
        },
    };
    if let (Some(source), Some(syncs)) = (&mut source, &mut syncs) {
        extend_to_groups(flow, source, syncs, &mut notes).await?;
    }
    let mut plan = Plan {
        groups: group_plans(flow, &checkpoints, source.as_ref(), syncs.as_ref()),
        notes,
    };
    for group in groups {
        if !plan.groups.iter().any(|plan| *plan.group == **group) {
            plan.notes.push(format!(
                "group {group} has no checkpoint in {} of cluster {} and no position in a replicated topic: nothing to do",
                flow.config.checkpoints_topic, flow.pair.target
            ));
        }
    }
    if let Some(syncs) = &syncs {
        pass_end_markers(flow, &mut plan, syncs).await?;
    }
    let ids = plan.group_ids();
    let there = flow
        .ask(Side::Target, "the groups", groups_at(&flow.target, &ids))
        .await?;
    let ranges = ranges_at(&flow.target, plan.destinations(), IsolationLevel::ReadUncommitted);
    let ranges = flow.ask(Side::Target, "the partitions", ranges).await?;
    plan.decide(&there, &ranges);
    Ok(plan)
}

fn source_is_away(flow: &Flow, why: &str) -> String {
    format!(
        "cluster {} cannot be asked ({why}): positions are those of the checkpoints; what groups read after their last \
         checkpoint, they read again",
        flow.pair.source
    )
}

pub(super) fn chain(error: &OperatorError) -> String {
    match error {
        OperatorError::Cluster { source, .. } => format!("{error}: {}", source.chain()),
        OperatorError::TimedOut { .. } => error.to_string(),
    }
}

type Checkpoints = BTreeMap<String, BTreeMap<TopicPartition, TranslatedOffset>>;

async fn checkpoints(
    flow: &Flow,
    is_wanted: &impl Fn(&str) -> bool,
    notes: &mut Vec<String>,
) -> Result<Checkpoints, OperatorError> {
    let (client, consumer) = flow.consumer(&flow.config.checkpoints_consumer);
    let topic = &flow.config.checkpoints_topic;
    let metadata = client.refresh_metadata(Topics::Some(vec![Arc::from(&**topic)]));
    let metadata = flow.ask(Side::Target, topic, metadata).await?;
    let found = metadata.topics.get(&**topic);
    if found.is_none_or(|found| found.partitions.is_empty()) {
        notes.push(format!(
            "cluster {} has no checkpoints ({topic}): is {}.emit.checkpoints.enabled, and has the mirror run?",
            flow.pair.target, flow.pair
        ));
        return Ok(Checkpoints::new());
    }
    let client = MirrorClient::new(client, consumer, flow.config.connector.policy.clone());
    let read = client.all_translated_offsets(&flow.pair.source, flow.timeout, is_wanted);
    read.await.map_err(|error| match error {
        crate::mirror_client::MirrorClientError::Cluster { what, source } => OperatorError::Cluster {
            what,
            alias: flow.pair.target.clone(),
            source,
        },
        crate::mirror_client::MirrorClientError::TimedOut { topic, timeout } => OperatorError::TimedOut {
            what: topic,
            alias: flow.pair.target.clone(),
            timeout,
        },
    })
}

/// Asks where the groups are by now: those that have checkpoints, and whoever else is wanted.
async fn ask_source(
    flow: &Flow,
    known: &BTreeSet<Arc<str>>,
    is_wanted: &impl Fn(&str) -> bool,
) -> Result<SourceView, OperatorError> {
    let listed = flow.ask(Side::Source, "the groups", flow.source.list_groups()).await?;
    let mut groups = known.clone();
    let consumers = listed
        .into_iter()
        .filter(|group| matches!(&*group.protocol_type, "" | "consumer") && is_wanted(&group.group_id));
    groups.extend(consumers.map(|group| group.group_id));
    let groups: Arc<[Arc<str>]> = groups.into_iter().collect();
    let is_replicated = |topic: &str| flow.config.topic_filter.accepts(topic);
    let gathering = async {
        let gathered = gather(flow.source.clone(), groups, TopicKinds::default(), 0, is_replicated).await;
        gathered.committed.map(|committed| (committed, gathered.kinds))
    };
    let (committed, kinds) = flow.ask(Side::Source, "offsets of the groups", gathering).await?;
    let committed = committed.into_iter().filter_map(|(group, offsets)| match offsets {
        Ok(offsets) => Some((group, offsets)),
        Err(error) => {
            tracing::warn!(%group, error = error.chain(), "a group of the source cannot be asked");
            None
        }
    });
    Ok(SourceView {
        committed: committed.collect(),
        kinds,
        ends: HashMap::new(),
    })
}

/// The mirror has copied more than it has said, above all one that died. Where groups stand beyond what is known, the two
/// clusters are compared. Not on compacted topics: there equal records need not be the same ones.
async fn extend_to_groups(
    flow: &Flow,
    source: &mut SourceView,
    syncs: &mut OffsetSyncStore,
    notes: &mut Vec<String>,
) -> Result<(), OperatorError> {
    let is_beyond = |origin: &TopicPartition, offset: i64| {
        let known = syncs.runs(origin).and_then(|runs| runs.end());
        known.is_some_and(|known| offset > known.upstream)
    };
    let positions = source.committed.values().flatten();
    let beyond: BTreeMap<TopicPartition, TopicPartition> = positions
        .filter(|(origin, committed)| is_beyond(origin, committed.offset))
        .filter_map(|(origin, _)| {
            let remote = TopicPartition::new(flow.config.remote_topic(&origin.topic)?, origin.partition);
            Some((origin.clone(), remote))
        })
        .collect();
    if beyond.is_empty() {
        return Ok(());
    }
    let sources = ranges_at(&flow.source, beyond.keys().cloned(), flow.source_isolation());
    let sources = flow.ask(Side::Source, "the partitions", sources).await?;
    let targets = ranges_at(&flow.target, beyond.values().cloned(), IsolationLevel::ReadCommitted);
    let targets = flow.ask(Side::Target, "the partitions", targets).await?;
    source.ends = sources
        .iter()
        .map(|(origin, range)| (origin.clone(), range.1))
        .collect();
    for (origin, remote) in &beyond {
        let (Some(there), Some(here), Some(runs)) = (sources.get(origin), targets.get(remote), syncs.runs_mut(origin))
        else {
            continue;
        };
        if !source.kinds.may_join(&origin.topic) {
            continue;
        }
        if let Err(error) = extend_runs(flow, (origin, remote), runs, (there.1, here.1)).await {
            notes.push(format!("{remote} cannot be compared with its source: {error}"));
        }
    }
    Ok(())
}

/// Groups at the end of a copy go on behind the markers of transactions that lie there, as far as they can be read.
async fn pass_end_markers(flow: &Flow, plan: &mut Plan, syncs: &OffsetSyncStore) -> Result<(), OperatorError> {
    let mut partitions: Vec<&mut PartitionPlan> = plan
        .groups
        .iter_mut()
        .flat_map(|group| &mut group.partitions)
        .filter(|one| one.offset.is_some_and(|offset| syncs.is_end(&one.origin, offset)))
        .collect();
    let position = |one: &&mut PartitionPlan| Some((one.destination.clone(), one.offset?));
    let positions: BTreeMap<TopicPartition, i64> = partitions.iter().filter_map(position).collect();
    if positions.is_empty() {
        return Ok(());
    }
    let (client, consumer) = flow.consumer(&flow.config.checkpoints_consumer);
    let look = look_behind(&client, &consumer, positions.into_iter().collect());
    let found = flow.ask(Side::Target, "the ends of the copies", look).await?;
    for one in &mut partitions {
        if let Some(found) = found.get(&one.destination) {
            one.offset = Some(found.next);
        }
    }
    Ok(())
}

fn group_plans(
    flow: &Flow,
    checkpoints: &Checkpoints,
    source: Option<&SourceView>,
    syncs: Option<&OffsetSyncStore>,
) -> Vec<GroupPlan> {
    let mut groups: BTreeMap<Arc<str>, BTreeMap<TopicPartition, PartitionPlan>> = BTreeMap::new();
    let kinds = source.map(|source| &source.kinds);
    let ends = source.map(|source| &source.ends);
    let translator = Translator { syncs, kinds, ends };
    for (group, offsets) in checkpoints {
        let plans = groups.entry(Arc::from(&**group)).or_default();
        for (remote, checkpoint) in offsets {
            let Some(topic) = flow.source_topic(&remote.topic) else {
                continue;
            };
            let origin = TopicPartition::new(topic, remote.partition);
            plans.insert(
                remote.clone(),
                translator.of_checkpoint(origin, remote.clone(), checkpoint),
            );
        }
    }
    for (group, offsets) in source.map(|source| &source.committed).into_iter().flatten() {
        for (origin, committed) in offsets {
            let Some(remote) = flow.config.remote_topic(&origin.topic) else {
                continue;
            };
            let remote = TopicPartition::new(remote, origin.partition);
            let plans = groups.entry(group.clone()).or_default();
            let known = plans.remove(&remote);
            let position = (committed.offset, committed.metadata.clone());
            plans.insert(
                remote.clone(),
                translator.of_position(origin.clone(), remote, position, known),
            );
        }
    }
    let plans = groups.into_iter().filter(|(_, partitions)| !partitions.is_empty());
    let plan = |(group, partitions): (Arc<str>, BTreeMap<_, PartitionPlan>)| GroupPlan {
        group,
        not_idle: None,
        partitions: partitions.into_values().collect(),
    };
    plans.map(plan).collect()
}

struct Translator<'a> {
    syncs: Option<&'a OffsetSyncStore>,
    kinds: Option<&'a TopicKinds>,
    ends: Option<&'a HashMap<TopicPartition, i64>>,
}

impl Translator<'_> {
    fn translate(&self, origin: &TopicPartition, upstream: i64) -> Option<(i64, Precision)> {
        let may_join = self.kinds.is_some_and(|kinds| kinds.may_join(&origin.topic));
        let Translation::At(offset) = self.syncs?.translate(origin, upstream, may_join) else {
            return None;
        };
        // Nobody has read what the source does not have.
        let end = self.ends.and_then(|ends| ends.get(origin)).copied();
        let read = end.map_or(upstream, |end| upstream.min(end));
        let precision = match self.syncs?.behind(origin, read, may_join) {
            Some(0) => Precision::Exact,
            Some(behind) => Precision::Behind(behind),
            None => Precision::Unknown,
        };
        Some((offset, precision))
    }

    fn of_checkpoint(
        &self,
        origin: TopicPartition,
        remote: TopicPartition,
        checkpoint: &TranslatedOffset,
    ) -> PartitionPlan {
        let fresh = self.translate(&origin, checkpoint.upstream);
        let known = (checkpoint.downstream, Precision::Unknown);
        let (offset, precision) = fresh.map_or(known, |fresh| better(fresh, checkpoint.downstream));
        PartitionPlan {
            origin,
            origin_offset: checkpoint.upstream,
            destination: remote,
            committed: None,
            offset: Some(offset),
            metadata: checkpoint.metadata.clone(),
            precision,
            step: Step::Nothing,
            left_behind: 0,
        }
    }

    /// What the source says now goes before the checkpoint, which serves where the syncs know nothing.
    fn of_position(
        &self,
        origin: TopicPartition,
        remote: TopicPartition,
        (upstream, metadata): (i64, String),
        checkpoint: Option<PartitionPlan>,
    ) -> PartitionPlan {
        let fresh = self.translate(&origin, upstream);
        // A group that went back must not go on where it once was.
        let usable = checkpoint.filter(|checkpoint| checkpoint.origin_offset <= upstream);
        let (offset, precision) = match (fresh, usable) {
            (Some((offset, precision)), None) => (Some(offset), precision),
            (Some((offset, precision)), Some(known)) if Some(offset) >= known.offset => (Some(offset), precision),
            (
                Some(fresh),
                Some(PartitionPlan {
                    origin_offset,
                    offset: Some(known),
                    ..
                }),
            ) if origin_offset == upstream => {
                let (offset, precision) = better(fresh, known);
                (Some(offset), precision)
            }
            (_, Some(known)) if known.origin_offset == upstream => (known.offset, known.precision),
            (_, Some(known)) => (known.offset, Precision::Behind(upstream - known.origin_offset)),
            (None, None) => (None, Precision::Unknown),
        };
        PartitionPlan {
            origin,
            origin_offset: upstream,
            destination: remote,
            committed: None,
            offset,
            metadata,
            precision,
            step: Step::Nothing,
            left_behind: 0,
        }
    }
}

/// Of two answers for one position the greater, if it is possible: more than `fresh` is behind, a checkpoint cannot be
/// ahead of it, unless it was made for a topic that is no longer there.
fn better(fresh: (i64, Precision), checkpoint: i64) -> (i64, Precision) {
    let (offset, precision) = fresh;
    match precision {
        _ if offset >= checkpoint => fresh,
        Precision::Unknown => (checkpoint, Precision::Unknown),
        Precision::Behind(records) if records > checkpoint - offset => {
            (checkpoint, Precision::Behind(records - (checkpoint - offset)))
        }
        Precision::Behind(records) if records == checkpoint - offset => (checkpoint, Precision::Exact),
        Precision::Behind(_) | Precision::Exact => fresh,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_counts_as_far_as_it_can_be_right() {
        use Precision::{Behind, Exact, Unknown};
        for (fresh, checkpoint, expected) in [
            ((10, Exact), 9, (10, Exact)),
            ((10, Exact), 500, (10, Exact)),
            ((10, Behind(5)), 12, (12, Behind(3))),
            ((10, Behind(5)), 15, (15, Exact)),
            ((10, Behind(5)), 16, (10, Behind(5))),
            ((10, Unknown), 12, (12, Unknown)),
        ] {
            assert_eq!(better(fresh, checkpoint), expected, "{fresh:?} {checkpoint}");
        }
    }
}
