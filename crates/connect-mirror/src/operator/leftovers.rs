//! What flows that do not run any more have left on a cluster: nobody deletes it, and a flow that is enabled again goes on
//! with it, however old it is.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use kafka_client::Topics;
use kafka_wire::{ErrorCode, TopicPartition};

use super::{Flow, OperatorError, connectors::ConnectorNames, status::stored_offset, whole_topic::read_all};
use crate::{client_props::Side, mirror_maker_config::SourceAndTarget, replication_policy::ReplicationPolicy};

/// Something that no flow uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    /// Whose it was.
    pub flow: SourceAndTarget,
    /// What it is.
    pub kind: LeftoverKind,
    /// The topic, partition or group.
    pub name: String,
    /// What a person should know of it.
    pub detail: String,
}

/// What a flow leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LeftoverKind {
    /// Where the worker kept its connectors, statuses or source offsets.
    WorkerTopic,
    /// Checkpoints of groups.
    Checkpoints,
    /// Offset syncs.
    OffsetSyncs,
    /// A copy of a topic.
    Copy,
    /// A group with offsets in copies.
    Group,
    /// A source offset of a partition that is no longer copied.
    StoredOffset,
}

/// The flows of a file.
#[derive(Clone, Debug, Default)]
pub struct RunningFlows {
    /// Those that are enabled.
    pub enabled: BTreeSet<SourceAndTarget>,
    /// Those that have a worker: the enabled ones, and those that only send heartbeats.
    pub workers: BTreeSet<SourceAndTarget>,
    /// Those that are not on in the file, and that somebody else runs.
    pub elsewhere: BTreeSet<SourceAndTarget>,
    /// All aliases.
    pub clusters: BTreeSet<String>,
}

/// Looks at the cluster that is the target of all `flows`: at least one, all that are enabled.
pub async fn leftovers(flows: &[Flow], running: &RunningFlows) -> Result<Vec<Leftover>, OperatorError> {
    let Some(flow) = flows.first() else {
        return Ok(Vec::new());
    };
    let cluster = &flow.pair.target;
    let metadata = flow.target.client().refresh_metadata(Topics::All);
    let metadata = flow.ask(Side::Target, "the list of topics", metadata).await?;
    let topics: BTreeSet<&str> = metadata.topics.keys().map(|topic| &**topic).collect();
    let mut found = of_topics(&flow.config.connector.policy, cluster, &topics, running);
    let here = found.iter().map(|leftover| &leftover.flow);
    let here = here.filter(|other| other.target == *cluster).cloned();
    let elsewhere = run_by_others(flow, here.collect()).await?;
    found.retain(|leftover| !elsewhere.contains(&leftover.flow));
    for leftover in &mut found {
        if leftover.kind == LeftoverKind::WorkerTopic && leftover.name == worker_topic("offsets", &leftover.flow) {
            let count = count_offsets(flow, &leftover.name).await?;
            leftover.detail = format!("offsets of {count} partitions: the flow goes on there when it is enabled again");
        }
    }
    found.extend(groups_in_copies(flow, &found).await?);
    for flow in flows.iter().filter(|flow| running.enabled.contains(&flow.pair)) {
        found.extend(offsets_of_others(flow).await?);
    }
    found.sort_by(|one, other| (&one.flow, one.kind, &one.name).cmp(&(&other.flow, other.kind, &other.name)));
    Ok(found)
}

/// Of these flows to the cluster of `flow` those whose workers are there although the file has them off, or not at all:
/// another deployment runs them.
async fn run_by_others(
    flow: &Flow,
    candidates: BTreeSet<SourceAndTarget>,
) -> Result<BTreeSet<SourceAndTarget>, OperatorError> {
    let groups: Vec<Arc<str>> = candidates.iter().map(worker_group).collect();
    if groups.is_empty() {
        return Ok(BTreeSet::new());
    }
    let states = flow
        .ask(Side::Target, "the groups", flow.target.group_states(&groups))
        .await?;
    let is_idle = |flow: &SourceAndTarget| match states.get(&worker_group(flow)) {
        Some(Ok(state)) => matches!(&**state, "Empty" | "Dead"),
        Some(Err(error)) => error.code() == Some(ErrorCode::GROUP_ID_NOT_FOUND),
        None => false,
    };
    Ok(candidates.into_iter().filter(|flow| !is_idle(flow)).collect())
}

impl RunningFlows {
    /// Looks which flows between the clusters of the file somebody else runs towards the target of `flow`.
    pub async fn look_elsewhere(&mut self, flow: &Flow) -> Result<(), OperatorError> {
        let target = &flow.pair.target;
        let sources = self.clusters.iter().filter(|source| *source != target);
        let pairs = sources.map(|source| SourceAndTarget::new(source, target));
        let candidates = pairs.filter(|pair| !self.workers.contains(pair)).collect();
        self.elsewhere.extend(run_by_others(flow, candidates).await?);
        Ok(())
    }

    /// Whether records are copied on this way.
    fn copies(&self, flow: &SourceAndTarget) -> bool {
        self.enabled.contains(flow) || self.elsewhere.contains(flow)
    }
}

/// As the dedicated mode names it.
fn worker_group(flow: &SourceAndTarget) -> Arc<str> {
    format!("{}-mm2", flow.source).into()
}

/// What the names of the topics tell.
fn of_topics(
    policy: &ReplicationPolicy,
    cluster: &str,
    topics: &BTreeSet<&str>,
    running: &RunningFlows,
) -> Vec<Leftover> {
    let flow_from = |source: &str| SourceAndTarget::new(source, cluster);
    let checkpoints = around(&policy.checkpoints_topic(ANY));
    let syncs = around(&policy.offset_syncs_topic(ANY));
    let workers: Vec<_> = ["configs", "offsets", "status"]
        .map(|kind| around(&worker_topic(kind, &flow_from(ANY))))
        .into();
    let mut found = Vec::new();
    let mut sources: BTreeSet<&str> = running.clusters.iter().map(String::as_str).collect();
    let mut add = |flow: SourceAndTarget, kind, name: &str, detail: &str| {
        found.push(Leftover {
            flow,
            kind,
            name: name.to_owned(),
            detail: detail.to_owned(),
        });
    };
    for topic in topics {
        if let Some(source) = workers.iter().find_map(|names| within(topic, names)) {
            sources.insert(source);
            if !running.workers.contains(&flow_from(source)) && !running.copies(&flow_from(source)) {
                add(flow_from(source), LeftoverKind::WorkerTopic, topic, "");
            }
        } else if let Some(other) = within(topic, &syncs) {
            // Named after the cluster that it is not on, whichever way the flow went.
            let ways = [flow_from(other), SourceAndTarget::new(cluster, other)];
            if !ways.iter().any(|flow| running.copies(flow)) {
                let [_, away] = ways;
                add(away, LeftoverKind::OffsetSyncs, topic, "");
            }
        } else if let Some(source) = within(topic, &checkpoints) {
            sources.insert(source);
            if !running.copies(&flow_from(source)) {
                add(flow_from(source), LeftoverKind::Checkpoints, topic, "");
            }
        }
    }
    if policy.keeps_names() {
        // Nobody can tell what is a copy.
        return found;
    }
    for topic in topics {
        let source = policy.topic_source(topic).filter(|source| sources.contains(source));
        let source = source.filter(|source| *source != cluster && !policy.is_internal_topic(topic));
        if let Some(source) = source.filter(|source| !running.copies(&flow_from(source))) {
            let detail = "a copy; what it has is perhaps nowhere else";
            found.push(Leftover {
                flow: flow_from(source),
                kind: LeftoverKind::Copy,
                name: (*topic).to_owned(),
                detail: detail.to_owned(),
            });
        }
    }
    found
}

/// Stands for an alias in names.
const ANY: &str = "\u{0}";

/// What stands before and behind the alias.
fn around(name: &str) -> (String, String) {
    let (before, behind) = name.split_once(ANY).unwrap_or((name, ""));
    (before.to_owned(), behind.to_owned())
}

fn within<'a>(topic: &'a str, (before, behind): &(String, String)) -> Option<&'a str> {
    let alias = topic.strip_prefix(&**before)?.strip_suffix(&**behind)?;
    (!alias.is_empty()).then_some(alias)
}

/// As the dedicated mode names them.
fn worker_topic(kind: &str, flow: &SourceAndTarget) -> String {
    format!("mm2-{kind}.{}.internal", flow.source)
}

async fn count_offsets(flow: &Flow, topic: &str) -> Result<usize, OperatorError> {
    let (client, config) = flow.consumer(&flow.config.checkpoints_consumer);
    let mut keys: BTreeSet<Vec<u8>> = BTreeSet::new();
    let reading = read_all(&client, &config, topic, |record| {
        let Some(key) = record.key.filter(|key| key.starts_with(b"[\"MirrorSourceConnector\"")) else {
            return;
        };
        match record.value {
            Some(_) => _ = keys.insert(key.to_vec()),
            None => _ = keys.remove(key),
        }
    });
    flow.ask(Side::Target, topic, reading).await?;
    Ok(keys.len())
}

/// Groups that have committed something in copies that nobody writes any more.
async fn groups_in_copies(flow: &Flow, found: &[Leftover]) -> Result<Vec<Leftover>, OperatorError> {
    let copies = found.iter().filter(|one| one.kind == LeftoverKind::Copy);
    let copies: HashMap<&str, &SourceAndTarget> = copies.map(|one| (&*one.name, &one.flow)).collect();
    if copies.is_empty() {
        return Ok(Vec::new());
    }
    let listed = flow.ask(Side::Target, "the groups", flow.target.list_groups()).await?;
    let consumers = listed
        .into_iter()
        .filter(|group| matches!(&*group.protocol_type, "" | "consumer"));
    let groups: Vec<Arc<str>> = consumers.map(|group| group.group_id).collect();
    let committed = flow.target.list_offsets_of_groups(&groups);
    let committed = flow.ask(Side::Target, "offsets of the groups", committed).await?;
    let mut left = Vec::new();
    for (group, offsets) in committed {
        let Ok(offsets) = offsets else { continue };
        let mut counts: BTreeMap<&SourceAndTarget, usize> = BTreeMap::new();
        for flow in offsets.keys().filter_map(|partition| copies.get(&*partition.topic)) {
            *counts.entry(flow).or_default() += 1;
        }
        left.extend(counts.into_iter().map(|(flow, count)| Leftover {
            flow: flow.clone(),
            kind: LeftoverKind::Group,
            name: group.to_string(),
            detail: format!("offsets in {count} partitions of copies"),
        }));
    }
    Ok(left)
}

/// Source offsets of partitions that an enabled flow does not copy by its settings.
async fn offsets_of_others(flow: &Flow) -> Result<Vec<Leftover>, OperatorError> {
    let names = ConnectorNames::of(flow).await?;
    let (client, config) = flow.consumer(&flow.config.checkpoints_consumer);
    let mut stored: BTreeMap<TopicPartition, i64> = BTreeMap::new();
    let reading = read_all(&client, &config, &flow.offsets_topic, |record| {
        match stored_offset(flow, &names, record.key, record.value) {
            Some((partition, Some(offset))) => _ = stored.insert(partition, offset),
            Some((partition, None)) => _ = stored.remove(&partition),
            None => {}
        }
    });
    flow.ask(Side::Target, &flow.offsets_topic, reading).await?;
    let rules = &flow.copying.rules;
    let is_copied = |topic: &str| rules.replicates(topic, flow.config.topic_filter.accepts(topic));
    let others = stored.into_iter().filter(|(partition, _)| !is_copied(&partition.topic));
    let leftover = |(partition, offset): (TopicPartition, i64)| Leftover {
        flow: flow.pair.clone(),
        kind: LeftoverKind::StoredOffset,
        name: partition.to_string(),
        detail: format!("not copied by the settings; goes on at {offset} when it is again"),
    };
    Ok(others.map(leftover).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replication_policy::{DEFAULT_REPLICATION_POLICY, IDENTITY_REPLICATION_POLICY};

    const TOPICS: [&str; 18] = [
        "mm2-offset-syncs.theirs.internal",
        "mm2-configs.A.internal",
        "mm2-offsets.A.internal",
        "mm2-configs.gone.internal",
        "mm2-offsets.gone.internal",
        "mm2-status.beats.internal",
        "A.checkpoints.internal",
        "gone.checkpoints.internal",
        "mm2-offset-syncs.A.internal",
        "mm2-offset-syncs.gone.internal",
        "heartbeats",
        "A.orders",
        "gone.orders",
        "gone.A.orders",
        "beats.old",
        "company.orders",
        "B.orders",
        "orders",
    ];

    fn found(class: &str, topics: &[&str]) -> Vec<(String, LeftoverKind, String)> {
        let policy = ReplicationPolicy::new(class, &Default::default()).expect("a known class");
        let flow = |source: &str, target: &str| SourceAndTarget::new(source, target);
        let running = RunningFlows {
            enabled: [flow("A", "B")].into(),
            workers: [flow("A", "B"), flow("beats", "B")].into(),
            elsewhere: [flow("B", "theirs")].into(),
            clusters: ["A", "B", "beats"].map(str::to_owned).into(),
        };
        let topics = topics.iter().copied().collect();
        let found = of_topics(&policy, "B", &topics, &running);
        found
            .into_iter()
            .map(|one| (one.flow.to_string(), one.kind, one.name))
            .collect()
    }

    #[test]
    fn what_no_flow_uses_is_named() {
        use LeftoverKind::{Checkpoints, Copy, OffsetSyncs, WorkerTopic};
        let mut all = found(DEFAULT_REPLICATION_POLICY, &TOPICS);
        all.sort_by(|one, other| one.2.cmp(&other.2));
        let expected = [
            ("beats->B", Copy, "beats.old"),
            ("gone->B", Copy, "gone.A.orders"),
            ("gone->B", Checkpoints, "gone.checkpoints.internal"),
            ("gone->B", Copy, "gone.orders"),
            ("gone->B", WorkerTopic, "mm2-configs.gone.internal"),
            ("B->gone", OffsetSyncs, "mm2-offset-syncs.gone.internal"),
            ("gone->B", WorkerTopic, "mm2-offsets.gone.internal"),
        ];
        assert_eq!(
            all,
            expected.map(|(flow, kind, name)| (flow.to_owned(), kind, name.to_owned()))
        );
    }

    #[test]
    fn without_prefixes_nobody_can_tell_copies() {
        let all = found(IDENTITY_REPLICATION_POLICY, &TOPICS);
        assert!(all.iter().all(|(_, kind, _)| *kind != LeftoverKind::Copy), "{all:?}");
        assert_eq!(all.len(), 4);
    }
}
