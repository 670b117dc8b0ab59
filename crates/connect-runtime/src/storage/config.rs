//! The config topic: connectors, their tasks, and what users want of them.

mod record;
mod state;

pub use record::{
    RawConfig, commit_record, connector_record, connector_tombstone, fencing_record, logger_level_record,
    restart_record, session_key_record, target_state_record, target_state_tombstone, task_record,
};
pub use state::{ConfigEvent, ConfigState, ConnectorConfigState, SessionKey};

/// A configuration as it is stored: variables unresolved, values possibly null.
pub mod raw {
    use connect_api::Props;

    use super::RawConfig;

    /// `props` as it is stored.
    pub fn from_props(props: &Props) -> RawConfig {
        props
            .iter()
            .map(|(key, value)| (key.clone(), Some(value.clone())))
            .collect()
    }

    /// What is stored, without its nulls: a key without a value has its default.
    pub fn to_props(raw: &RawConfig) -> Props {
        raw.iter()
            .filter_map(|(key, value)| Some((key.clone(), value.clone()?)))
            .collect()
    }
}
