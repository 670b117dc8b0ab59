//! Which broker is asked about a partition, and what: brought up to date for those that changed.

use tokio::time::Instant;

use super::fetch_session::Wanted;
use super::partition::{Partition, Place, Position};
use super::{Consumer, Node};

impl Consumer {
    /// Looks at what has changed since the last turn.
    pub(super) fn place_changed(&mut self, now: Instant) {
        for at in self.partitions.take_changed(now) {
            let partition = &self.partitions[at];
            let (place, was) = (place(partition, now), partition.place);
            if was != place {
                self.partitions.settle(at, place);
                match was {
                    Place::Nowhere => {}
                    Place::Fetched(node_id) => self.node(node_id).session.unwant(at),
                    Place::LookedUp(node_id) => drop(self.node(node_id).unknown.remove(&at)),
                }
            }
            match place {
                Place::Nowhere => {}
                Place::Fetched(node_id) => {
                    let wanted = self.wanted(&self.partitions[at]);
                    self.node(node_id).session.want(at, wanted);
                }
                Place::LookedUp(node_id) => drop(self.node(node_id).unknown.insert(at)),
            }
        }
    }

    pub(super) fn node(&mut self, node_id: i32) -> &mut Node {
        self.nodes.entry(node_id).or_default()
    }

    fn wanted(&self, partition: &Partition) -> Wanted {
        Wanted {
            fetch_offset: partition.position().unwrap_or_default(),
            leader_epoch: partition.leader_epoch,
            last_fetched_epoch: partition.last_fetched.map_or(-1, |last| last.epoch),
            max_bytes: partition.max_bytes.unwrap_or_else(|| {
                let configured = self.config.max_partition_fetch_bytes;
                partition.max_fetch_bytes.map_or(configured, |max| max.min(configured))
            }),
            topic_id: partition.topic_id.unwrap_or_default(),
        }
    }
}

/// Where a partition is to be asked about.
fn place(partition: &Partition, now: Instant) -> Place {
    match (partition.leader, partition.position) {
        _ if !partition.may_be_asked(now) => Place::Nowhere,
        (Some(leader), Position::Reset { .. }) => Place::LookedUp(leader),
        (Some(leader), Position::At(_)) if !partition.is_paused && !partition.is_deferred => Place::Fetched(leader),
        _ => Place::Nowhere,
    }
}
