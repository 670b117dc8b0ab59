//! Incremental fetch sessions (KIP-227): the broker remembers what a client wants and tells only what is new.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use kafka_protocol::error::ResponseError as E;
use kafka_protocol::messages::FetchRequest;
use uuid::Uuid;

/// Kafka's `max.incremental.fetch.session.cache.slots`.
const MAX_SESSIONS: usize = 1000;
/// The epoch of a request that wants no session, or wants its session closed.
const FINAL_EPOCH: i32 = -1;
const INITIAL_EPOCH: i32 = 0;

/// Clients name topics up to version 12 and send ids from 13 on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum TopicKey {
    Name(Arc<str>),
    Id(Uuid),
}

pub(crate) type Key = (TopicKey, i32);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) fetch_offset: i64,
    pub(crate) max_bytes: i32,
    pub(crate) current_leader_epoch: i32,
    pub(crate) last_fetched_epoch: i32,
}

/// What a client was last told, besides records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) high_watermark: i64,
    pub(crate) log_start_offset: i64,
}

#[derive(Debug, Default)]
pub(crate) struct FetchSessions {
    sessions: BTreeMap<i32, Session>,
    last_id: i32,
}

#[derive(Debug)]
struct Session {
    node_id: i32,
    /// What the next request must carry.
    epoch: i32,
    uses_topic_ids: bool,
    partitions: HashMap<Key, (Wanted, Option<Told>)>,
    /// Who comes first; partitions that were just served go to the end.
    order: VecDeque<Key>,
}

/// What one request amounts to.
#[derive(Debug)]
pub(crate) struct Fetching {
    /// 0 without a session.
    pub(crate) session_id: i32,
    /// Whether partitions with nothing new are left out of the answer.
    pub(crate) incremental: bool,
    pub(crate) wanted: Vec<(Key, Wanted)>,
}

impl FetchSessions {
    pub(crate) fn begin(&mut self, node_id: i32, version: i16, request: &FetchRequest) -> Result<Fetching, E> {
        let uses_topic_ids = version >= 13;
        match (request.session_id, request.session_epoch) {
            (id, FINAL_EPOCH) => {
                self.sessions.remove(&id);
                let wanted = wanted(request, uses_topic_ids);
                Ok(Fetching {
                    session_id: 0,
                    incremental: false,
                    wanted,
                })
            }
            (id, INITIAL_EPOCH) => {
                self.sessions.remove(&id);
                Ok(self.open(node_id, uses_topic_ids, wanted(request, uses_topic_ids)))
            }
            (id, epoch) => {
                let session = self.sessions.get_mut(&id).filter(|session| session.node_id == node_id);
                let session = session.ok_or(E::FetchSessionIdNotFound)?;
                if session.epoch != epoch {
                    return Err(E::InvalidFetchSessionEpoch);
                }
                if session.uses_topic_ids != uses_topic_ids {
                    return Err(E::FetchSessionTopicIdError);
                }
                session.epoch = epoch.checked_add(1).unwrap_or(1);
                session.update(request);
                Ok(Fetching {
                    session_id: id,
                    incremental: true,
                    wanted: session.wanted(),
                })
            }
        }
    }

    fn open(&mut self, node_id: i32, uses_topic_ids: bool, wanted: Vec<(Key, Wanted)>) -> Fetching {
        if wanted.is_empty() {
            return Fetching {
                session_id: 0,
                incremental: false,
                wanted,
            };
        }
        if self.sessions.len() == MAX_SESSIONS {
            self.sessions.pop_first();
        }
        self.last_id = self.last_id.checked_add(1).unwrap_or(1);
        let session = Session {
            node_id,
            epoch: INITIAL_EPOCH + 1,
            uses_topic_ids,
            order: wanted.iter().map(|(key, _)| key.clone()).collect(),
            partitions: wanted
                .iter()
                .map(|(key, wanted)| (key.clone(), (*wanted, None)))
                .collect(),
        };
        self.sessions.insert(self.last_id, session);
        Fetching {
            session_id: self.last_id,
            incremental: false,
            wanted,
        }
    }

    /// Whether the client has to hear of a partition; notes that it has. `told` is `None` for an error.
    pub(crate) fn is_news(&mut self, fetching: &Fetching, key: &Key, told: Option<Told>, has_records: bool) -> bool {
        let session = self.sessions.get_mut(&fetching.session_id);
        let Some((_, before)) = session.and_then(|session| session.partitions.get_mut(key)) else {
            return true;
        };
        let changed = told.is_none() || *before != told;
        *before = told;
        !fetching.incremental || changed || has_records
    }

    /// The partitions that got records queue up behind those that did not.
    pub(crate) fn served(&mut self, session_id: i32, served: &[Key]) {
        let Some(session) = self.sessions.get_mut(&session_id) else {
            return;
        };
        session.order.retain(|key| !served.contains(key));
        let known = served.iter().filter(|key| session.partitions.contains_key(key));
        session.order.extend(known.cloned());
    }

    pub(crate) fn node_stopped(&mut self, node_id: i32) {
        self.sessions.retain(|_, session| session.node_id != node_id);
    }
}

impl Session {
    fn update(&mut self, request: &FetchRequest) {
        for (key, wanted) in wanted(request, self.uses_topic_ids) {
            match self.partitions.get_mut(&key) {
                Some((known, _)) => *known = wanted,
                None => {
                    self.order.push_back(key.clone());
                    self.partitions.insert(key, (wanted, None));
                }
            }
        }
        for topic in &request.forgotten_topics_data {
            let topic_key = topic_key(&topic.topic, topic.topic_id, self.uses_topic_ids);
            for partition in &topic.partitions {
                self.partitions.remove(&(topic_key.clone(), *partition));
            }
        }
        if !request.forgotten_topics_data.is_empty() {
            self.order.retain(|key| self.partitions.contains_key(key));
        }
    }

    fn wanted(&self) -> Vec<(Key, Wanted)> {
        let in_order = self.order.iter().filter_map(|key| self.partitions.get_key_value(key));
        in_order.map(|(key, (wanted, _))| (key.clone(), *wanted)).collect()
    }
}

fn wanted(request: &FetchRequest, uses_topic_ids: bool) -> Vec<(Key, Wanted)> {
    let mut all = Vec::new();
    for topic in &request.topics {
        let key = topic_key(&topic.topic, topic.topic_id, uses_topic_ids);
        for partition in &topic.partitions {
            let wanted = Wanted {
                fetch_offset: partition.fetch_offset,
                max_bytes: partition.partition_max_bytes,
                current_leader_epoch: partition.current_leader_epoch,
                last_fetched_epoch: partition.last_fetched_epoch,
            };
            all.push(((key.clone(), partition.partition), wanted));
        }
    }
    all
}

fn topic_key(name: &str, id: Uuid, uses_topic_ids: bool) -> TopicKey {
    match uses_topic_ids {
        true => TopicKey::Id(id),
        false => TopicKey::Name(name.into()),
    }
}
