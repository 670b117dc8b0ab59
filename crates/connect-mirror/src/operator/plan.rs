//! What is to be done with groups at the cluster where they go.

use std::{fmt, sync::Arc};

use kafka_wire::TopicPartition;

/// Where groups go on, or why not.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The groups, by name.
    pub groups: Vec<GroupPlan>,
    /// What holds for all of them and a person should know.
    pub notes: Vec<String>,
}

/// A group at the cluster where it goes.
#[derive(Clone, Debug)]
pub struct GroupPlan {
    /// The group.
    pub group: Arc<str>,
    /// Why it is left alone: it is in use, or nobody can tell. `None`: it is idle.
    pub not_idle: Option<String>,
    /// Its partitions, in order.
    pub partitions: Vec<PartitionPlan>,
}

/// A position that crosses from one cluster to the other.
#[derive(Clone, Debug)]
pub struct PartitionPlan {
    /// The partition where it comes from.
    pub origin: TopicPartition,
    /// The offset there.
    pub origin_offset: i64,
    /// The partition where it goes.
    pub destination: TopicPartition,
    /// What the group has committed there.
    pub committed: Option<i64>,
    /// Where it may go on there.
    pub offset: Option<i64>,
    /// What it noted with its position.
    pub metadata: String,
    /// How good the answer is.
    pub precision: Precision,
    /// What is to be done.
    pub step: Step,
    /// Records that are only at the origin and that the group has not read there: at most so many.
    pub left_behind: i64,
}

/// How far behind the next record an answer is. None is ever ahead of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// It is the next record.
    Exact,
    /// At most so many records are read again.
    Behind(i64),
    /// Nobody can tell from what can be read.
    Unknown,
}

/// What is to be done with a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The offset is to be committed.
    Commit,
    /// The group stands there already.
    Nothing,
    /// The group is further on; going back must be allowed.
    Rewind,
    /// It cannot be done.
    Blocked(Blocked),
}

/// Why a partition cannot be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blocked {
    /// The partition is not there.
    NoPartition,
    /// The position is not in what is known of the mirror's work.
    NoTranslation,
    /// The partition ends before the offset: it is not the one that was mirrored.
    PastEnd(i64),
}

impl GroupPlan {
    /// Whether everything is as it should be, or can be made so.
    pub fn is_ready(&self) -> bool {
        self.not_idle.is_none() && !self.partitions.iter().any(|one| matches!(one.step, Step::Blocked(_)))
    }
}

impl PartitionPlan {
    /// Decides what is to be done, by what the group has `committed` at the destination and what is there: its first
    /// offset and its end.
    pub(crate) fn decide(&mut self, committed: Option<i64>, there: Option<(i64, i64)>) {
        self.committed = committed;
        if self.offset.is_none() && self.origin_offset == 0 && there.is_some_and(|(_, end)| end == 0) {
            // Nothing was read, and nothing is there: nothing can be passed over.
            (self.offset, self.precision) = (Some(0), Precision::Exact);
        }
        self.step = match (self.offset, there) {
            (_, None) => Step::Blocked(Blocked::NoPartition),
            (None, _) => Step::Blocked(Blocked::NoTranslation),
            (Some(offset), Some((_, end))) if offset > end => Step::Blocked(Blocked::PastEnd(end)),
            (Some(offset), Some((start, _))) => {
                // Before the first record a consumer would be sent where auto.offset.reset says: to the end, mostly.
                let offset = offset.max(start);
                self.offset = Some(offset);
                match committed {
                    Some(committed) if committed == offset => Step::Nothing,
                    Some(committed) if committed > offset => Step::Rewind,
                    _ => Step::Commit,
                }
            }
        };
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact => f.write_str("exact"),
            Self::Behind(records) => write!(f, "behind by up to {records}"),
            Self::Unknown => f.write_str("not ahead"),
        }
    }
}

impl fmt::Display for Blocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPartition => f.write_str("the partition is not there"),
            Self::NoTranslation => f.write_str("the position is not translated yet, or is older than what is known"),
            Self::PastEnd(end) => write!(f, "the partition ends at {end}: it is not the one that was mirrored"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_goes_on_and_never_back() {
        let mut plan = PartitionPlan {
            origin: TopicPartition::new("orders", 0),
            origin_offset: 40,
            destination: TopicPartition::new("A.orders", 0),
            committed: None,
            offset: Some(40),
            metadata: String::new(),
            precision: Precision::Exact,
            step: Step::Nothing,
            left_behind: 0,
        };
        let mut step = |offset, committed, there| {
            plan.offset = offset;
            plan.decide(committed, there);
            (plan.step, plan.offset)
        };
        assert_eq!(step(Some(40), None, Some((0, 50))), (Step::Commit, Some(40)));
        assert_eq!(step(Some(40), Some(39), Some((0, 50))), (Step::Commit, Some(40)));
        assert_eq!(step(Some(40), Some(40), Some((0, 40))), (Step::Nothing, Some(40)));
        assert_eq!(step(Some(40), Some(41), Some((0, 50))), (Step::Rewind, Some(40)));
        assert_eq!(step(Some(40), None, Some((45, 50))), (Step::Commit, Some(45)));
        assert_eq!(step(Some(40), None, None).0, Step::Blocked(Blocked::NoPartition));
        assert_eq!(
            step(Some(40), None, Some((0, 39))).0,
            Step::Blocked(Blocked::PastEnd(39))
        );
        assert_eq!(step(None, None, Some((0, 50))).0, Step::Blocked(Blocked::NoTranslation));
        assert_eq!(step(None, None, Some((0, 0))).0, Step::Blocked(Blocked::NoTranslation));
        plan.origin_offset = 0;
        plan.decide(None, Some((0, 0)));
        assert_eq!(
            (plan.step, plan.offset, plan.precision),
            (Step::Commit, Some(0), Precision::Exact)
        );
        plan.offset = None;
        plan.decide(None, Some((0, 50)));
        assert_eq!(plan.step, Step::Blocked(Blocked::NoTranslation), "somebody wrote there");
    }
}
