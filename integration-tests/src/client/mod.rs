//! A small blocking Kafka client for scenarios: exact records in, exact records out, no cleverness between.
//!
//! Messages are kafka-protocol's, record batches kafka-wire's. Each operation retries what Kafka calls retriable for
//! [`PATIENCE`] and panics afterwards with what it was doing: in a scenario there is nobody to hand an error to.

mod acls;
mod admin;
mod connection;
mod fetch;
mod groups;
mod produce;
mod record;
mod stream;
mod transaction;

use std::{collections::HashMap, time::Duration};

use kafka_protocol::{
    error::ResponseError,
    messages::{MetadataRequest, MetadataResponse, TopicName, metadata_request::MetadataRequestTopic},
    protocol::{Request, StrBytes},
};

pub use acls::{Acl, Operation, Pattern, Resource};
pub use admin::Topic;
use connection::Connection;
pub use fetch::Isolation;
pub use groups::GroupMember;
pub use record::TestRecord;
pub use stream::Stream;
pub use transaction::TransactionalProducer;

use crate::deadline::{Deadline, pause};

/// How long an operation goes on trying: longer than a broker takes to come back.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Why one attempt failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The connection failed; the next attempt opens a new one.
    #[error("connection to {address}")]
    Io {
        /// Of the broker.
        address: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The broker refused.
    #[error("{what}: {code:?}")]
    Refused {
        /// What was refused.
        what: String,
        /// The broker's word.
        code: ResponseError,
    },
    /// What was asked for has not taken effect yet.
    #[error("{0} is not there yet")]
    NotYet(&'static str),
    /// The answer makes no sense.
    #[error("{0}")]
    Nonsense(String),
}

impl Error {
    fn is_retriable(&self) -> bool {
        match self {
            Self::Io { .. } | Self::NotYet(_) => true,
            // A previous transaction of the same producer is still being ended.
            Self::Refused {
                code: ResponseError::ConcurrentTransactions,
                ..
            } => true,
            Self::Refused { code, .. } => code.is_retriable(),
            Self::Nonsense(_) => false,
        }
    }
}

/// A client of one cluster.
#[derive(Debug)]
pub struct TestClient {
    bootstrap: Vec<String>,
    connections: HashMap<String, Connection>,
    leaders: HashMap<(String, i32), String>,
}

impl TestClient {
    /// Connects when it is first used. `bootstrap` is `host:port,host:port…`.
    pub fn new(bootstrap: &str) -> Self {
        let bootstrap = bootstrap.split(',').map(str::to_owned).collect();
        Self {
            bootstrap,
            connections: HashMap::new(),
            leaders: HashMap::new(),
        }
    }

    /// What it was made with.
    pub fn bootstrap_servers(&self) -> String {
        self.bootstrap.join(",")
    }

    /// How many brokers the cluster says it has, or `None` if it does not answer.
    pub fn broker_count(&mut self) -> Option<usize> {
        self.metadata(Some(&[])).ok().map(|metadata| metadata.brokers.len())
    }

    /// Repeats `attempt` until it succeeds. Panics when it fails for good, or for longer than [`PATIENCE`].
    fn persist<T>(&mut self, what: &str, mut attempt: impl FnMut(&mut Self) -> Result<T, Error>) -> T {
        let deadline = Deadline::after(PATIENCE);
        loop {
            match attempt(self) {
                Ok(value) => return value,
                Err(error) if error.is_retriable() && !deadline.passed() => {
                    self.leaders.clear();
                    pause(Duration::from_millis(100));
                }
                Err(error) => panic!("{what} on {}: {error:?}", self.bootstrap_servers()),
            }
        }
    }

    /// One request to one broker, in version `wanted` or the nearest lower that the broker speaks.
    fn call<R: Request>(&mut self, address: &str, wanted: i16, request: &R) -> Result<R::Response, Error> {
        let io = |source| Error::Io {
            address: address.to_owned(),
            source,
        };
        if !self.connections.contains_key(address) {
            let connection = Connection::open(address).map_err(io)?;
            self.connections.insert(address.to_owned(), connection);
        }
        let connection = self.connections.get_mut(address).expect("it was just inserted");
        let answer = connection.call(wanted, request);
        if answer.is_err() {
            self.connections.remove(address);
        }
        answer.map_err(io)
    }

    /// One request to any broker that answers.
    fn call_any<R: Request>(&mut self, wanted: i16, request: &R) -> Result<R::Response, Error> {
        let mut answer = Err(Error::Nonsense("there is no bootstrap address".to_owned()));
        for address in self.bootstrap.clone() {
            answer = self.call(&address, wanted, request);
            if answer.is_ok() {
                break;
            }
        }
        answer
    }

    fn metadata(&mut self, topics: Option<&[&str]>) -> Result<MetadataResponse, Error> {
        let topics = topics.map(|topics| {
            topics
                .iter()
                .map(|topic| MetadataRequestTopic::default().with_name(Some(topic_name(topic))))
                .collect()
        });
        self.call_any(
            8,
            &MetadataRequest::default()
                .with_topics(topics)
                .with_allow_auto_topic_creation(false),
        )
    }

    fn controller(&mut self) -> Result<String, Error> {
        let metadata = self.metadata(Some(&[]))?;
        let found = metadata
            .brokers
            .iter()
            .find(|broker| broker.node_id == metadata.controller_id);
        found
            .map(|broker| format!("{}:{}", broker.host, broker.port))
            .ok_or_else(|| Error::Refused {
                what: "looking for the controller".to_owned(),
                code: ResponseError::NotController,
            })
    }

    /// The leader's address.
    fn leader(&mut self, topic: &str, partition: i32) -> Result<String, Error> {
        let key = (topic.to_owned(), partition);
        if !self.leaders.contains_key(&key) {
            let metadata = self.metadata(Some(&[topic]))?;
            let brokers: HashMap<_, _> = metadata
                .brokers
                .iter()
                .map(|b| (b.node_id, format!("{}:{}", b.host, b.port)))
                .collect();
            let described = metadata
                .topics
                .first()
                .ok_or_else(|| Error::Nonsense(format!("no word on {topic}")))?;
            check(described.error_code, || format!("metadata of {topic}"))?;
            for p in &described.partitions {
                if let Some(address) = brokers.get(&p.leader_id) {
                    self.leaders
                        .insert((topic.to_owned(), p.partition_index), address.clone());
                }
            }
        }
        self.leaders.get(&key).cloned().ok_or_else(|| Error::Refused {
            what: format!("looking for the leader of {topic}-{partition}"),
            code: ResponseError::LeaderNotAvailable,
        })
    }
}

fn topic_name(name: &str) -> TopicName {
    TopicName(string(name))
}

fn string(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn check(code: i16, what: impl FnOnce() -> String) -> Result<(), Error> {
    match ResponseError::try_from_code(code) {
        None => Ok(()),
        Some(code) => Err(Error::Refused { what: what(), code }),
    }
}
