//! What the leader tells a member, and what the member tells the next leader of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};

use super::connect_protocol::ConnectProtocol;
use super::reader::{Malformed, Reader};
use super::writer::{put_count, put_string};
use crate::work::{TaskId, Work};

/// The number that stands for the connector itself among its tasks.
const CONNECTOR_ITSELF: i32 = -1;

/// Why a leader has not assigned anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AssignmentError {
    /// The leader has not read as much of the config topic as somebody else.
    ConfigMismatch,
    /// A code that Kafka does not have.
    Unknown(i16),
}

impl AssignmentError {
    const CONFIG_MISMATCH: i16 = 1;

    fn from_code(code: i16) -> Option<Self> {
        match code {
            0 => None,
            Self::CONFIG_MISMATCH => Some(Self::ConfigMismatch),
            code => Some(Self::Unknown(code)),
        }
    }

    const fn code(self) -> i16 {
        match self {
            Self::ConfigMismatch => Self::CONFIG_MISMATCH,
            Self::Unknown(code) => code,
        }
    }
}

/// The assignment of a SyncGroup response; inside a [`super::Subscription`], all that a worker is to run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assignment {
    /// Why there is none.
    pub error: Option<AssignmentError>,
    /// The leader's member id.
    pub leader: Arc<str>,
    /// The leader's REST URL with a trailing slash.
    pub leader_url: Arc<str>,
    /// The config offset that it was made with.
    pub config_offset: i64,
    /// Eager: all work; otherwise what is new.
    pub assigned: Work,
    /// What to stop; unknown to the eager protocol.
    pub revoked: Work,
    /// Milliseconds until the next rebalance, 0 for none; unknown to the eager protocol.
    pub delay_ms: i32,
}

impl Assignment {
    /// The bytes in the version of `protocol`.
    pub fn encode(&self, protocol: ConnectProtocol) -> Bytes {
        let mut out = BytesMut::new();
        out.put_i16(protocol.version());
        out.put_i16(self.error.map_or(0, AssignmentError::code));
        put_string(&mut out, &self.leader);
        put_string(&mut out, &self.leader_url);
        out.put_i64(self.config_offset);
        put_work(&mut out, &self.assigned);
        if protocol.is_incremental() {
            put_work(&mut out, &self.revoked);
            out.put_i32(self.delay_ms);
        }
        out.freeze()
    }

    /// Reads the bytes of any version: what is missing at the end has its default, as in Java.
    pub fn decode(bytes: Bytes) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes, "assignment");
        if reader.i16()? < 0 {
            return Err(reader.wrong("its version is negative"));
        }
        let mut assignment = Self {
            error: AssignmentError::from_code(reader.i16()?),
            leader: reader.string()?,
            leader_url: reader.string()?,
            config_offset: reader.i64()?,
            ..Self::default()
        };
        if !reader.is_at_end() {
            assignment.assigned = work(&mut reader)?;
        }
        if !reader.is_at_end() {
            assignment.revoked = work(&mut reader)?;
        }
        if !reader.is_at_end() {
            assignment.delay_ms = reader.i32()?;
        }
        Ok(assignment)
    }
}

fn put_work(out: &mut BytesMut, work: &Work) {
    let mut by_connector: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for connector in &work.connectors {
        by_connector.entry(connector).or_default().push(CONNECTOR_ITSELF);
    }
    for id in &work.tasks {
        by_connector.entry(&id.connector).or_default().push(id.task);
    }
    put_count(out, by_connector.len());
    for (connector, tasks) in by_connector {
        put_string(out, connector);
        put_count(out, tasks.len());
        for task in tasks {
            out.put_i32(task);
        }
    }
}

fn work(reader: &mut Reader) -> Result<Work, Malformed> {
    let mut work = Work::new();
    for _ in 0..reader.count()?.unwrap_or(0) {
        let connector = reader.string()?;
        let count = reader
            .count()?
            .ok_or_else(|| reader.wrong("an array of tasks is null"))?;
        for _ in 0..count {
            match reader.i32()? {
                CONNECTOR_ITSELF => work.connectors.insert(connector.clone()),
                task => work.tasks.insert(TaskId::new(connector.clone(), task)),
            };
        }
    }
    Ok(work)
}
