use std::fmt;

use bytes::Bytes;

use super::codec::{DecodeError, EncodeError, Reader, Writer};

/// A sign of life of a flow, in the topic `heartbeats` of its target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// The flow's source cluster.
    pub source_cluster_alias: String,
    /// The flow's target cluster.
    pub target_cluster_alias: String,
    /// When it was made, in milliseconds of Unix time.
    pub timestamp: i64,
}

impl Heartbeat {
    /// The key of its record.
    pub fn key(&self) -> Result<Bytes, EncodeError> {
        let writer = Writer::default().string("sourceClusterAlias", &self.source_cluster_alias)?;
        Ok(writer
            .string("targetClusterAlias", &self.target_cluster_alias)?
            .into_bytes())
    }

    /// The value of its record.
    pub fn value(&self) -> Bytes {
        Writer::default().int16(0).int64(self.timestamp).into_bytes()
    }

    /// Reads a record.
    pub fn decode(key: Option<&[u8]>, value: Option<&[u8]>) -> Result<Self, DecodeError> {
        let mut value = Reader::new("value", value)?;
        value.int16("version")?;
        let timestamp = value.int64("timestamp")?;
        let mut key = Reader::new("key", key)?;
        Ok(Self {
            source_cluster_alias: key.string("sourceClusterAlias")?,
            target_cluster_alias: key.string("targetClusterAlias")?,
            timestamp,
        })
    }
}

/// As Kafka's `HeartbeatFormatter` prints it.
impl fmt::Display for Heartbeat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Heartbeat{{sourceClusterAlias={}, targetClusterAlias={}, timestamp={}}}",
            self.source_cluster_alias, self.target_cluster_alias, self.timestamp
        )
    }
}
