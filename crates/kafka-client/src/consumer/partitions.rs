//! The assigned partitions, and which of them are to be looked at.
//!
//! There may be thousands, and few change between two fetches. So whoever changes one goes through
//! [`Partitions::change`], which notes it, and a turn of the consumer looks at those alone.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::ops::Index;

use kafka_wire::TopicPartition;
use tokio::time::Instant;
use uuid::Uuid;

use super::partition::{Partition, Place, Position};

/// A table of partitions; the others know them by their numbers in it.
#[derive(Debug, Default)]
pub(super) struct Partitions {
    all: Vec<Partition>,
    by_name: HashMap<TopicPartition, usize>,
    by_id: HashMap<(Uuid, i32), usize>,
    /// Those that were changed since they were last looked at, once each.
    changed: Vec<usize>,
    /// When to look at a partition although nobody changes it. An entry may be out of date, which costs a look.
    due: BinaryHeap<Reverse<(Instant, usize)>>,
}

impl Partitions {
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Partition> {
        self.all.iter()
    }

    /// Adds a partition, or moves the one that is there already. Answers its number.
    pub(super) fn assign(&mut self, name: TopicPartition, position: Position) -> usize {
        match self.by_name(&name) {
            Some(at) => {
                self.change(at).seek(position);
                at
            }
            None => {
                let at = self.all.len();
                self.by_name.insert(name.clone(), at);
                self.all.push(Partition::new(name, position));
                self.change(at);
                at
            }
        }
    }

    pub(super) fn by_name(&self, name: &TopicPartition) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    pub(super) fn by_id(&self, topic_id: Uuid, partition: i32) -> Option<usize> {
        self.by_id.get(&(topic_id, partition)).copied()
    }

    /// A partition to be changed. It will be looked at.
    pub(super) fn change(&mut self, at: usize) -> &mut Partition {
        let partition = &mut self.all[at];
        if !partition.is_changed {
            partition.is_changed = true;
            self.changed.push(at);
        }
        partition
    }

    /// Notes where a partition is asked about; no reason to look at it again.
    pub(super) fn settle(&mut self, at: usize, place: Place) {
        self.all[at].place = place;
    }

    /// Notes the id of a partition's topic.
    pub(super) fn set_topic_id(&mut self, at: usize, id: Uuid) {
        let partition = self.change(at);
        if partition.topic_id == Some(id) {
            return;
        }
        partition.last_fetched = None; // epochs begin anew with a topic
        let number = partition.name.partition;
        if let Some(old) = partition.topic_id.replace(id) {
            self.by_id.remove(&(old, number));
        }
        if !id.is_nil() {
            self.by_id.insert((id, number), at);
        }
    }

    /// Leaves a partition alone until then.
    pub(super) fn delay_until(&mut self, at: usize, until: Instant) {
        self.change(at).not_before = Some(until);
        self.due.push(Reverse((until, at)));
    }

    /// When the next delay ends.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.due.peek().map(|Reverse((at, _))| *at)
    }

    pub(super) fn have_changed(&self) -> bool {
        !self.changed.is_empty()
    }

    /// Those to be looked at now: changed, or with a delay that is over.
    pub(super) fn take_changed(&mut self, now: Instant) -> Vec<usize> {
        while let Some(Reverse((until, at))) = self.due.peek().copied() {
            if until > now {
                break;
            }
            self.due.pop();
            self.change(at);
        }
        let changed = std::mem::take(&mut self.changed);
        for at in &changed {
            self.all[*at].is_changed = false;
        }
        changed
    }
}

impl Index<usize> for Partitions {
    type Output = Partition;

    fn index(&self, at: usize) -> &Partition {
        &self.all[at]
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(number: i32) -> TopicPartition {
        TopicPartition::new("t", number)
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_changed_or_is_due_is_looked_at_once() {
        let mut partitions = Partitions::default();
        let now = Instant::now();
        for number in 0..3 {
            partitions.assign(at(number), Position::At(0));
        }
        assert_eq!(partitions.take_changed(now), [0, 1, 2]);
        assert!(partitions.take_changed(now).is_empty());
        partitions.change(1).is_paused = true;
        partitions.change(1).is_paused = false;
        assert_eq!(partitions.take_changed(now), [1]);
        let later = now + Duration::from_secs(1);
        partitions.delay_until(2, later);
        assert_eq!(
            (partitions.take_changed(now), partitions.next_due()),
            (vec![2], Some(later))
        );
        assert_eq!((partitions.take_changed(later), partitions.next_due()), (vec![2], None));
    }

    #[test]
    fn a_topic_that_was_created_anew_is_found_by_its_new_id() {
        let (old, new) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let mut partitions = Partitions::default();
        partitions.assign(at(7), Position::At(0));
        partitions.set_topic_id(0, old);
        assert_eq!(partitions.by_id(old, 7), Some(0));
        partitions.set_topic_id(0, new);
        assert_eq!((partitions.by_id(old, 7), partitions.by_id(new, 7)), (None, Some(0)));
        partitions.set_topic_id(0, Uuid::nil());
        assert_eq!(partitions.by_id(new, 7), None);
    }
}
