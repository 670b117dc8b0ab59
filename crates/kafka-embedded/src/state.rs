//! What the nodes of a cluster share, behind one lock that is never held across an await.

mod settings;
mod topics;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kafka_protocol::error::ResponseError as E;
use tokio::sync::Notify;
use uuid::Uuid;

use crate::acl::Acls;
use crate::api::Supported;
use crate::control::Hooks;
use crate::fetch_session::FetchSessions;
use crate::group::Groups;
use crate::topic::Topic;
use crate::transaction::Transactions;

pub(crate) use topics::{MAX_PARTITIONS, NewTopic, Refusal};

#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
    hooks: Mutex<Hooks>,
    /// Told whenever a waiting fetch may have something new to say.
    pub(crate) log_changed: Notify,
    /// Told whenever a group or transaction may have an earlier deadline than before.
    pub(crate) deadline_changed: Notify,
}

impl Shared {
    pub(crate) fn new(state: State) -> Self {
        Self {
            state: Mutex::new(state),
            hooks: Mutex::default(),
            log_changed: Notify::new(),
            deadline_changed: Notify::new(),
        }
    }

    /// A test that panicked with the lock in hand leaves the state as good as it was.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn hooks(&self) -> MutexGuard<'_, Hooks> {
        self.hooks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the builder set once and for all.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) cluster_id: String,
    pub(crate) auto_create_topics: bool,
    pub(crate) acls_enabled: bool,
    /// By API key, where it is less than what we can.
    pub(crate) max_versions: BTreeMap<i16, i16>,
}

impl Settings {
    pub(crate) fn max_version(&self, supported: &Supported) -> i16 {
        let max = self.max_versions.get(&(supported.api_key as i16));
        max.map_or(supported.max, |max| supported.max.min(*max))
    }
}

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) up: bool,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) settings: Settings,
    pub(crate) nodes: BTreeMap<i32, Node>,
    pub(crate) topics: BTreeMap<Arc<str>, Topic>,
    topic_names: HashMap<Uuid, Arc<str>>,
    /// `server.properties`, so to speak.
    pub(crate) static_configs: BTreeMap<String, String>,
    pub(crate) dynamic_configs: BTreeMap<String, String>,
    pub(crate) groups: Groups,
    pub(crate) transactions: Transactions,
    pub(crate) fetch_sessions: FetchSessions,
    pub(crate) acls: Acls,
    next_producer_id: i64,
}

impl State {
    pub(crate) fn new(
        settings: Settings,
        nodes: BTreeMap<i32, Node>,
        static_configs: BTreeMap<String, String>,
    ) -> Self {
        Self {
            settings,
            nodes,
            static_configs,
            topics: BTreeMap::new(),
            topic_names: HashMap::new(),
            dynamic_configs: BTreeMap::new(),
            groups: Groups::default(),
            transactions: Transactions::default(),
            fetch_sessions: FetchSessions::default(),
            acls: Acls::default(),
            next_producer_id: 0,
        }
    }

    pub(crate) fn new_producer_id(&mut self) -> i64 {
        self.next_producer_id += 1;
        self.next_producer_id - 1
    }

    pub(crate) fn running_nodes(&self) -> impl Iterator<Item = (i32, &Node)> {
        self.nodes
            .iter()
            .filter(|(_, node)| node.up)
            .map(|(id, node)| (*id, node))
    }

    pub(crate) fn controller_id(&self) -> i32 {
        self.running_nodes().next().map_or(-1, |(id, _)| id)
    }

    /// The node that coordinates a group or transaction: any one will do, as long as all agree.
    pub(crate) fn coordinator_of(&self, key: &str) -> Option<(i32, &Node)> {
        let hash = key
            .bytes()
            .fold(0usize, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte.into()));
        let count = self.running_nodes().count();
        self.running_nodes().nth(hash.checked_rem(count)?)
    }

    pub(crate) fn check_coordinator(&self, node_id: i32, key: &str) -> Result<(), E> {
        match self.coordinator_of(key) {
            Some((id, _)) if id == node_id => Ok(()),
            _ => Err(E::NotCoordinator),
        }
    }

    /// Partitions that a stopped node led go to another of their replicas, or stay without a leader.
    pub(crate) fn node_stopped(&mut self, node_id: i32) {
        if let Some(node) = self.nodes.get_mut(&node_id) {
            node.up = false;
        }
        self.fetch_sessions.node_stopped(node_id);
        self.elect_leaders();
    }

    pub(crate) fn node_started(&mut self, node_id: i32) {
        if let Some(node) = self.nodes.get_mut(&node_id) {
            node.up = true;
        }
        self.elect_leaders();
    }

    fn elect_leaders(&mut self) {
        let nodes = &self.nodes;
        let is_up = |id: &i32| nodes.get(id).is_some_and(|node| node.up);
        for partition in self.topics.values_mut().flat_map(|topic| &mut topic.partitions) {
            if !partition.leader.as_ref().is_some_and(is_up) {
                let next = partition.replicas.iter().find(|id| is_up(id)).copied();
                if partition.leader != next {
                    partition.lead(next);
                }
            }
        }
    }
}
