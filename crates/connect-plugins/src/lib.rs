//! What a worker can run, and whether a configuration is good for it (Connect's `Plugins` and the validating half of its
//! `AbstractHerder`).
//!
//! A [`PluginRegistry`] is built from the connectors that a binary holds ([`ConnectorPlugin`]) and knows the
//! transformations, predicates and converters besides. It lists them, shows their keys, and judges a connector's
//! configuration with Kafka's words. Nothing here runs a connector, does I/O or knows HTTP; the types of the answers are
//! serialized as Kafka's REST API shows them. Start reading at [`PluginRegistry`].

mod context;
mod converters;
mod definition;
mod framework;
#[cfg(test)]
mod golden;
mod info;
mod overrides;
mod plugin;
mod registry;
mod sink;
mod transforms;
mod validated;
mod validation;

use std::collections::BTreeMap;

pub use context::{ValidationContext, WorkerConverters, WorkerMode};
pub use info::{ConfigInfo, ConfigInfos, ConfigKeyInfo, ConfigValueInfo};
pub use overrides::{ClientTables, OverridePolicy};
pub use plugin::{ConnectorPlugin, ExactlyOnceSupport, PluginError, PluginInfo, PluginType};
pub use registry::{KAFKA_VERSION, PluginRegistry};

/// A connector's configuration as it was given: variables unresolved, values possibly null.
pub type RawConfig = BTreeMap<String, Option<String>>;
