//! What a member says of itself when it joins.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};

use super::assignment::Assignment;
use super::connect_protocol::ConnectProtocol;
use super::reader::{Malformed, Reader};
use super::writer::put_string;

/// The metadata of a JoinGroup request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// The worker's REST URL with a trailing slash.
    pub url: Arc<str>,
    /// How far it has read the config topic.
    pub config_offset: i64,
    /// What it remembers to be assigned to it; unknown to the eager protocol.
    pub allocation: Option<Assignment>,
}

impl Subscription {
    /// The bytes for one of the protocols that a member offers.
    pub fn encode(&self, protocol: ConnectProtocol) -> Bytes {
        let mut out = BytesMut::new();
        out.put_i16(protocol.version());
        put_string(&mut out, &self.url);
        out.put_i64(self.config_offset);
        if protocol.is_incremental() {
            match &self.allocation {
                None => out.put_i32(-1),
                Some(allocation) => {
                    let bytes = allocation.encode(protocol);
                    out.put_i32(i32::try_from(bytes.len()).unwrap_or(i32::MAX));
                    out.put_slice(&bytes);
                }
            }
        }
        out.freeze()
    }

    /// Reads the bytes of any version.
    pub fn decode(bytes: Bytes) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes, "subscription");
        let version = reader.i16()?;
        if version < 0 {
            return Err(reader.wrong("its version is negative"));
        }
        let url = reader.string()?;
        let config_offset = reader.i64()?;
        let has_allocation = version > 0 && !reader.is_at_end();
        let allocation = match has_allocation {
            true => reader.nullable_bytes()?.map(Assignment::decode).transpose()?,
            false => None,
        };
        Ok(Self {
            url,
            config_offset,
            allocation,
        })
    }
}
