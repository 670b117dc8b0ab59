//! A topic and its partitions.

use std::collections::BTreeMap;
use std::sync::Arc;

use kafka_protocol::error::ResponseError as E;
use kafka_protocol::messages::BrokerId;
use uuid::Uuid;

use crate::log::{AppendRules, Log};
use crate::state::State;

/// What the brokers keep for themselves; clients see these topics marked as internal.
const INTERNAL: [&str; 2] = ["__consumer_offsets", "__transaction_state"];

#[derive(Debug)]
pub(crate) struct Topic {
    pub(crate) name: Arc<str>,
    pub(crate) id: Uuid,
    pub(crate) partitions: Vec<Partition>,
    pub(crate) configs: BTreeMap<String, String>,
    /// Derived from the configurations, see `State::refresh_rules`.
    pub(crate) rules: AppendRules,
}

#[derive(Debug)]
pub(crate) struct Partition {
    pub(crate) leader: Option<i32>,
    pub(crate) leader_epoch: i32,
    pub(crate) replicas: Vec<i32>,
    pub(crate) log: Log,
}

impl Topic {
    pub(crate) fn new(name: Arc<str>, partitions: Vec<Partition>, configs: BTreeMap<String, String>) -> Self {
        let id = Uuid::new_v4();
        Self {
            name,
            id,
            partitions,
            configs,
            rules: AppendRules::default(),
        }
    }

    pub(crate) fn is_internal(&self) -> bool {
        INTERNAL.contains(&&*self.name)
    }

    pub(crate) fn replication_factor(&self) -> i16 {
        self.partitions
            .first()
            .map_or(1, |partition| partition.replicas.len() as i16)
    }

    pub(crate) fn partition(&self, index: i32) -> Option<&Partition> {
        self.partitions.get(usize::try_from(index).ok()?)
    }

    pub(crate) fn partition_mut(&mut self, index: i32) -> Option<&mut Partition> {
        self.partitions.get_mut(usize::try_from(index).ok()?)
    }
}

impl Partition {
    pub(crate) fn new(replicas: Vec<i32>, leader: Option<i32>) -> Self {
        Self {
            leader,
            leader_epoch: 0,
            replicas,
            log: Log::default(),
        }
    }

    /// Every change of leader begins a new epoch, a change to none included.
    pub(crate) fn lead(&mut self, leader: Option<i32>) {
        self.leader = leader;
        self.leader_epoch += 1;
        self.log.begin_epoch(self.leader_epoch);
    }

    /// Those of its replicas that run, and those that do not.
    pub(crate) fn replicas_by_state(&self, state: &State) -> (Vec<BrokerId>, Vec<BrokerId>) {
        let is_up = |id: &BrokerId| state.nodes.get(&id.0).is_some_and(|node| node.up);
        self.replicas.iter().copied().map(BrokerId).partition(is_up)
    }

    /// −1 stands for a client that does not know the epoch.
    pub(crate) fn check_leader(&self, node_id: i32, epoch: i32) -> Result<(), E> {
        if epoch != -1 && epoch < self.leader_epoch {
            return Err(E::FencedLeaderEpoch);
        }
        if epoch > self.leader_epoch {
            return Err(E::UnknownLeaderEpoch);
        }
        match self.leader == Some(node_id) {
            true => Ok(()),
            false => Err(E::NotLeaderOrFollower),
        }
    }
}
