//! What is at the cluster where groups go: whether they are in use, what they have committed, and what their partitions
//! hold.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use kafka_client::{
    Admin, Error,
    admin::{OffsetAndMetadata, OffsetSpec, PerItem},
    config::IsolationLevel,
};
use kafka_wire::{ErrorCode, TopicPartition};

use super::plan::{GroupPlan, Plan};

/// Offsets that a group has committed.
pub(super) type Committed = HashMap<TopicPartition, OffsetAndMetadata>;

/// The first offset and the end of each partition that is there.
pub(super) type Ranges = HashMap<TopicPartition, (i64, i64)>;

/// An idle group's offsets, or why it is left alone.
pub(super) type GroupThere = Result<Committed, String>;

/// Looks at these groups.
pub(super) async fn groups_at(admin: &Admin, ids: &[Arc<str>]) -> Result<HashMap<Arc<str>, GroupThere>, Error> {
    let mut groups = HashMap::new();
    if ids.is_empty() {
        return Ok(groups);
    }
    let mut idle = Vec::new();
    for (group, state) in admin.group_states(ids).await? {
        match state.as_deref() {
            // A group that nobody knows may still have offsets.
            Ok("Empty" | "Dead") => idle.push(group),
            Ok(state) => {
                let why = format!("it is in use there (state {state}): stop its members first");
                groups.insert(group, Err(why));
            }
            Err(error) if error.code() == Some(ErrorCode::GROUP_ID_NOT_FOUND) => idle.push(group),
            Err(error) => _ = groups.insert(group, Err(error.chain())),
        }
    }
    if !idle.is_empty() {
        for (group, offsets) in admin.list_offsets_of_groups(&idle).await? {
            groups.insert(group, offsets.map_err(|error| error.chain()));
        }
    }
    Ok(groups)
}

/// What these partitions hold. Those that are not there are left out.
pub(super) async fn ranges_at(
    admin: &Admin,
    partitions: impl Iterator<Item = TopicPartition>,
    isolation: IsolationLevel,
) -> Result<Ranges, Error> {
    let partitions: BTreeSet<TopicPartition> = partitions.collect();
    let topics: BTreeSet<Arc<str>> = partitions.iter().map(|partition| partition.topic.clone()).collect();
    let topics: Vec<Arc<str>> = topics.into_iter().collect();
    if topics.is_empty() {
        return Ok(Ranges::new());
    }
    let described = admin.describe_topics(&topics).await?;
    let is_there = |partition: &TopicPartition| {
        let topic = described.get(&partition.topic).and_then(|topic| topic.as_ref().ok());
        topic.is_some_and(|topic| (0..topic.partitions.len()).any(|at| i32::try_from(at) == Ok(partition.partition)))
    };
    let partitions: Vec<TopicPartition> = partitions.into_iter().filter(is_there).collect();
    let ask = |spec: OffsetSpec| {
        let asked = partitions.iter().map(|partition| (partition.clone(), spec)).collect();
        admin.list_offsets(asked, isolation)
    };
    let offsets = |found: PerItem<TopicPartition, kafka_client::admin::OffsetInfo>| {
        let offset = |(partition, info): (TopicPartition, Result<kafka_client::admin::OffsetInfo, Error>)| {
            info.map(|info| (partition, info.offset))
        };
        found.into_iter().map(offset).collect::<Result<HashMap<_, _>, Error>>()
    };
    let (starts, ends) = (
        offsets(ask(OffsetSpec::Earliest).await?)?,
        offsets(ask(OffsetSpec::Latest).await?)?,
    );
    let range = |(partition, start)| {
        let end = *ends.get(&partition)?;
        Some((partition, (start, end)))
    };
    Ok(starts.into_iter().filter_map(range).collect())
}

impl Plan {
    /// Decides what is to be done, by what is at the destination.
    pub(super) fn decide(&mut self, groups: &HashMap<Arc<str>, GroupThere>, ranges: &Ranges) {
        for plan in &mut self.groups {
            plan.decide(groups.get(&plan.group), ranges);
        }
    }

    pub(super) fn group_ids(&self) -> Vec<Arc<str>> {
        self.groups.iter().map(|plan| plan.group.clone()).collect()
    }

    pub(super) fn destinations(&self) -> impl Iterator<Item = TopicPartition> {
        let partitions = self.groups.iter().flat_map(|plan| &plan.partitions);
        partitions.map(|partition| partition.destination.clone())
    }
}

impl GroupPlan {
    pub(super) fn decide(&mut self, there: Option<&GroupThere>, ranges: &Ranges) {
        self.not_idle = match there {
            None => Some("the cluster says nothing about the group".to_owned()),
            Some(Err(why)) => Some(why.clone()),
            Some(Ok(_)) => None,
        };
        for partition in &mut self.partitions {
            let committed = there.and_then(|there| there.as_ref().ok()?.get(&partition.destination));
            let committed = committed.map(|committed| committed.offset);
            partition.decide(committed, ranges.get(&partition.destination).copied());
        }
    }
}
