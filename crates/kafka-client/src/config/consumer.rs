//! `ConsumerConfig`.

use std::time::Duration;

use config_def::{ConfigErrors, Props};

use super::tables::CONSUMER_CONFIG_DEF;
use super::{ClientConfig, OffsetReset};

/// `isolation.level`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IsolationLevel {
    /// Everything that was written.
    ReadUncommitted,
    /// Nothing of open or aborted transactions.
    ReadCommitted,
}

impl IsolationLevel {
    /// The number on the wire.
    pub const fn code(self) -> i8 {
        match self {
            Self::ReadUncommitted => 0,
            Self::ReadCommitted => 1,
        }
    }
}

/// The settings of a consumer.
#[derive(Debug, Clone)]
pub struct ConsumerConfig {
    /// What all clients share.
    pub client: ClientConfig,
    /// `group.id`.
    pub group_id: Option<String>,
    /// `client.rack`; empty: none.
    pub client_rack: String,
    /// `auto.offset.reset`.
    pub auto_offset_reset: OffsetReset,
    /// `isolation.level`.
    pub isolation_level: IsolationLevel,
    /// `fetch.min.bytes`.
    pub fetch_min_bytes: i32,
    /// `fetch.max.bytes`.
    pub fetch_max_bytes: i32,
    /// `fetch.max.wait.ms`.
    pub fetch_max_wait: Duration,
    /// `max.partition.fetch.bytes`.
    pub max_partition_fetch_bytes: i32,
    /// `max.poll.records`.
    pub max_poll_records: i32,
    /// `check.crcs`.
    pub check_crcs: bool,
}

pub(super) const KEYS_WITH_EFFECT: &[&str] = &[
    "auto.offset.reset",
    "fetch.max.bytes",
    "fetch.max.wait.ms",
    "fetch.min.bytes",
    "isolation.level",
    "max.partition.fetch.bytes",
];

/// What a fetch response may hold besides records.
const FETCH_OVERHEAD_BYTES: usize = 1024 * 1024;

impl ConsumerConfig {
    /// Reads `ConsumerConfig`'s keys; other keys are not looked at. Every problem is reported at once.
    pub fn parse(props: &Props) -> Result<Self, ConfigErrors> {
        let values = CONSUMER_CONFIG_DEF.parse(props)?;
        let mut client = ClientConfig::from_values(&values, props, values.millis("default.api.timeout.ms"))?;
        let fetch_max_bytes = values.int("fetch.max.bytes");
        let largest_fetch = usize::try_from(fetch_max_bytes).unwrap_or(0).saturating_mul(2) + FETCH_OVERHEAD_BYTES;
        client.max_frame_bytes = client.max_frame_bytes.max(largest_fetch);
        let reset = OffsetReset::parse(values.string("auto.offset.reset")).expect("the table has checked it");
        Ok(Self {
            client,
            group_id: values.opt_string("group.id").map(str::to_owned),
            client_rack: values.string("client.rack").to_owned(),
            auto_offset_reset: reset,
            isolation_level: match values.string("isolation.level") {
                "read_committed" => IsolationLevel::ReadCommitted,
                _ => IsolationLevel::ReadUncommitted,
            },
            fetch_min_bytes: values.int("fetch.min.bytes"),
            fetch_max_bytes,
            fetch_max_wait: values.millis("fetch.max.wait.ms"),
            max_partition_fetch_bytes: values.int("max.partition.fetch.bytes"),
            max_poll_records: values.int("max.poll.records"),
            check_crcs: values.boolean("check.crcs"),
        })
    }
}
