//! What is where, what is missing and what changed: pure decisions over two topic lists.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use kafka_wire::TopicPartition;

/// Topic names and how many partitions each has.
pub(crate) type PartitionCounts = BTreeMap<Arc<str>, i32>;

/// Topic names and the ids of these topics. A topic that is deleted and made again has another.
pub(crate) type TopicIds = BTreeMap<Arc<str>, u128>;

/// The topics that are there before and now, and are not the same.
pub(crate) fn recreated(before: &TopicIds, now: &TopicIds) -> Vec<Arc<str>> {
    let is_another = |(topic, id): &(&Arc<str>, &u128)| before.get(*topic).is_some_and(|known| known != *id);
    now.iter().filter(is_another).map(|(topic, _)| topic.clone()).collect()
}

/// What has to be done on the target so that every source partition has a place.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Remote topics that do not exist.
    pub(crate) create: Vec<MissingTopic>,
    /// Remote topics with fewer partitions than their source.
    pub(crate) grow: Vec<MissingPartitions>,
}

/// A topic whose remote topic is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MissingTopic {
    pub(crate) topic: Arc<str>,
    pub(crate) remote: Arc<str>,
    pub(crate) partitions: i32,
}

/// A remote topic that is to have `to` partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MissingPartitions {
    pub(crate) remote: Arc<str>,
    pub(crate) from: i32,
    pub(crate) to: i32,
}

impl Plan {
    /// Compares the source with the target (remote names). A target that has more partitions is left alone.
    pub(crate) fn new(
        source: &PartitionCounts,
        target: &PartitionCounts,
        remote_name: impl Fn(&str) -> String,
    ) -> Self {
        let mut plan = Self::default();
        for (topic, &partitions) in source {
            let remote: Arc<str> = remote_name(topic).into();
            match target.get(&remote) {
                None => plan.create.push(MissingTopic {
                    topic: topic.clone(),
                    remote,
                    partitions,
                }),
                Some(&from) if from < partitions => plan.grow.push(MissingPartitions {
                    remote,
                    from,
                    to: partitions,
                }),
                Some(_) => {}
            }
        }
        plan
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.create.is_empty() && self.grow.is_empty()
    }
}

/// How a topic list differs from the one before it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    pub(crate) appeared: Vec<(Arc<str>, i32)>,
    pub(crate) vanished: Vec<Arc<str>>,
    /// Topic, partitions before, partitions now. Fewer means that the topic was deleted and made again.
    pub(crate) resized: Vec<(Arc<str>, i32, i32)>,
}

impl Changes {
    pub(crate) fn between(before: &PartitionCounts, now: &PartitionCounts) -> Self {
        let mut changes = Self::default();
        let names: BTreeSet<&Arc<str>> = before.keys().chain(now.keys()).collect();
        for name in names {
            match (before.get(name), now.get(name)) {
                (None, Some(&partitions)) => changes.appeared.push((name.clone(), partitions)),
                (Some(_), None) => changes.vanished.push(name.clone()),
                (Some(&from), Some(&to)) if from != to => changes.resized.push((name.clone(), from, to)),
                _ => {}
            }
        }
        changes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.appeared.is_empty() && self.vanished.is_empty() && self.resized.is_empty()
    }
}

/// Every partition, topic by topic, ascending: the order in which they are dealt to tasks.
pub(crate) fn partitions(counts: &PartitionCounts) -> Vec<TopicPartition> {
    let of_topic = |(topic, &count): (&Arc<str>, &i32)| {
        let topic = topic.clone();
        (0..count).map(move |partition| TopicPartition::new(topic.clone(), partition))
    };
    counts.iter().flat_map(of_topic).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(topics: &[(&str, i32)]) -> PartitionCounts {
        topics
            .iter()
            .map(|(topic, count)| (Arc::from(*topic), *count))
            .collect()
    }

    fn plan(source: &[(&str, i32)], target: &[(&str, i32)]) -> Plan {
        Plan::new(&counts(source), &counts(target), |topic| format!("A.{topic}"))
    }

    #[test]
    fn a_topic_without_a_remote_topic_is_created_with_as_many_partitions() {
        let plan = plan(&[("orders", 3), ("payments", 2)], &[("A.payments", 2), ("orders", 9)]);
        let missing = MissingTopic {
            topic: "orders".into(),
            remote: "A.orders".into(),
            partitions: 3,
        };
        assert_eq!(
            plan,
            Plan {
                create: vec![missing],
                grow: vec![]
            }
        );
    }

    #[test]
    fn a_remote_topic_grows_and_never_shrinks() {
        let plan = plan(&[("a", 4), ("b", 1)], &[("A.a", 2), ("A.b", 5)]);
        let growth = MissingPartitions {
            remote: "A.a".into(),
            from: 2,
            to: 4,
        };
        assert_eq!(
            plan,
            Plan {
                create: vec![],
                grow: vec![growth]
            }
        );
    }

    #[test]
    fn nothing_is_planned_when_everything_has_a_place() {
        assert!(plan(&[("a", 2)], &[("A.a", 2), ("A.gone", 1)]).is_empty());
    }

    #[test]
    fn changes_name_new_vanished_and_resized_topics() {
        let changes = Changes::between(
            &counts(&[("a", 1), ("b", 1), ("c", 1)]),
            &counts(&[("b", 1), ("c", 3), ("d", 2)]),
        );
        let expected = Changes {
            appeared: vec![("d".into(), 2)],
            vanished: vec!["a".into()],
            resized: vec![("c".into(), 1, 3)],
        };
        assert_eq!(changes, expected);
        assert!(Changes::between(&counts(&[("a", 1)]), &counts(&[("a", 1)])).is_empty());
    }

    #[test]
    fn a_topic_with_another_id_was_made_again() {
        let ids = |topics: &[(&str, u128)]| -> TopicIds {
            topics.iter().map(|(topic, id)| (Arc::from(*topic), *id)).collect()
        };
        let again = recreated(
            &ids(&[("a", 1), ("b", 2), ("gone", 3)]),
            &ids(&[("a", 1), ("b", 9), ("new", 4)]),
        );
        assert_eq!(again, [Arc::from("b")]);
    }

    #[test]
    fn partitions_are_listed_topic_by_topic() {
        let listed: Vec<_> = partitions(&counts(&[("b", 1), ("a", 2)]))
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(listed, ["a-0", "a-1", "b-0"]);
    }
}
