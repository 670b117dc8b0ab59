//! Commits what a plan says.

use std::sync::Arc;

use kafka_client::{Admin, Error, admin::OffsetAndMetadata, config::IsolationLevel};
use kafka_wire::{ErrorCode, TopicPartition};

use super::{
    Flow, OperatorError,
    destination::{groups_at, ranges_at},
    plan::{GroupPlan, Plan, Step},
};
use crate::client_props::Side;

/// Groups looked at together: few, so that what was seen is fresh when it is acted on.
const GROUPS_AT_ONCE: usize = 50;

/// What became of a group.
#[derive(Clone, Debug)]
pub struct Applied {
    /// The group as it was right before, with what was to be done.
    pub plan: GroupPlan,
    /// The partitions whose offsets were committed; or why none was.
    pub committed: Result<Vec<TopicPartition>, String>,
}

/// Commits the offsets of a plan at `side`. Groups are looked at again right before: those in use are left alone, which
/// the broker sees to as well, and none goes back unless `allow_rewind`. What is there already is not written again.
/// `tell` hears how many groups are done.
pub async fn apply(
    flow: &Flow,
    side: Side,
    plan: Plan,
    allow_rewind: bool,
    mut tell: impl FnMut(usize),
) -> Result<Vec<Applied>, OperatorError> {
    let admin = match side {
        Side::Source => &flow.source,
        Side::Target => &flow.target,
    };
    let mut all = Vec::new();
    for chunk in plan.groups.chunks(GROUPS_AT_ONCE) {
        let mut now = Plan {
            groups: chunk.to_vec(),
            notes: Vec::new(),
        };
        let groups = flow.ask(side, "the groups", groups_at(admin, &now.group_ids())).await?;
        let ranges = ranges_at(admin, now.destinations(), IsolationLevel::ReadUncommitted);
        let ranges = flow.ask(side, "the partitions", ranges).await?;
        now.decide(&groups, &ranges);
        all.extend(commit(flow, side, admin, now.groups, allow_rewind).await?);
        tell(all.len());
    }
    Ok(all)
}

async fn commit(
    flow: &Flow,
    side: Side,
    admin: &Admin,
    plans: Vec<GroupPlan>,
    allow_rewind: bool,
) -> Result<Vec<Applied>, OperatorError> {
    let offsets = |plan: &GroupPlan| -> Vec<(TopicPartition, OffsetAndMetadata)> {
        if plan.not_idle.is_some() {
            return Vec::new();
        }
        let steps = plan.partitions.iter().filter(|partition| match partition.step {
            Step::Commit => true,
            Step::Rewind => allow_rewind,
            Step::Nothing | Step::Blocked(_) => false,
        });
        let offset = steps.filter_map(|partition| {
            let mut offset = OffsetAndMetadata::new(partition.offset?);
            offset.metadata = partition.metadata.clone();
            Some((partition.destination.clone(), offset))
        });
        offset.collect()
    };
    let commits: Vec<(Arc<str>, Vec<_>)> = plans
        .iter()
        .map(|plan| (plan.group.clone(), offsets(plan)))
        .filter(|(_, offsets)| !offsets.is_empty())
        .collect();
    let written: std::collections::HashMap<Arc<str>, Vec<TopicPartition>> = commits
        .iter()
        .map(|(group, offsets)| {
            (
                group.clone(),
                offsets.iter().map(|(partition, _)| partition.clone()).collect(),
            )
        })
        .collect();
    let mut results = match commits.is_empty() {
        true => Default::default(),
        false => {
            let commit = admin.alter_offsets_of_groups(commits);
            flow.ask(side, "the answer to commits of offsets", commit).await?
        }
    };
    let applied = |plan: GroupPlan| {
        let committed = match (results.remove(&plan.group), &plan.not_idle) {
            (Some(Ok(())), _) => Ok(written.get(&plan.group).cloned().unwrap_or_default()),
            (Some(Err(error)), _) => Err(refusal(&error)),
            (None, Some(why)) => Err(why.clone()),
            (None, None) => Ok(Vec::new()),
        };
        Applied { plan, committed }
    };
    Ok(plans.into_iter().map(applied).collect())
}

fn refusal(error: &Error) -> String {
    match error.code() {
        Some(ErrorCode::UNKNOWN_MEMBER_ID) => "it came into use just now: stop its members first".to_owned(),
        _ => error.chain(),
    }
}
