//! What there is to plug in.

use config_def::{ConfigDef, ConfigError, Props};
use serde::Serialize;

/// The kinds of plug-ins, in the order in which REST lists them (`PluginType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PluginType {
    /// Reads from Kafka.
    Sink,
    /// Writes to Kafka.
    Source,
    /// Changes records.
    Transformation,
    /// Says whether a transformation is applied.
    Predicate,
    /// Turns keys and values into bytes.
    Converter,
    /// Turns headers into bytes.
    HeaderConverter,
}

impl PluginType {
    /// The name of the type in REST.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sink => "sink",
            Self::Source => "source",
            Self::Transformation => "transformation",
            Self::Predicate => "predicate",
            Self::Converter => "converter",
            Self::HeaderConverter => "header_converter",
        }
    }

    /// What an alias leaves out at the end of a class name; also what Kafka calls the kind in messages.
    pub(crate) fn suffix(self) -> &'static str {
        match self {
            Self::Sink | Self::Source => "Connector",
            Self::Transformation => "Transformation",
            Self::Predicate => "Predicate",
            Self::Converter => "Converter",
            Self::HeaderConverter => "HeaderConverter",
        }
    }

    pub(crate) fn is_connector(self) -> bool {
        matches!(self, Self::Sink | Self::Source)
    }
}

/// One line of `GET /connector-plugins`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PluginInfo {
    /// The Java class that a configuration names.
    pub class: String,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: PluginType,
    /// Its version; left out when it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// Whether a connector can deliver exactly once with a configuration (`ExactlyOnceSupport`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExactlyOnceSupport {
    /// It can.
    Supported,
    /// It cannot.
    Unsupported,
}

/// A connector as it is registered: what is to be known of its class without running it.
#[derive(Clone, Copy, Debug)]
pub struct ConnectorPlugin {
    /// The Java class.
    pub class: &'static str,
    /// [`PluginType::Source`] or [`PluginType::Sink`].
    pub kind: PluginType,
    /// Its version.
    pub version: &'static str,
    /// Its own keys.
    pub config: &'static ConfigDef,
    /// What is wrong beyond what the table says; variables are resolved.
    pub validate: fn(&Props) -> Vec<ConfigError>,
    /// Whether it can deliver exactly once. `None`: it does not say, like connectors that are older than the question.
    pub exactly_once_support: fn(&Props) -> Option<ExactlyOnceSupport>,
    /// Whether it can say itself where transactions end.
    pub defines_transaction_boundaries: fn(&Props) -> bool,
}

impl ConnectorPlugin {
    /// A source connector with a table, a version of Kafka's and no further opinion.
    pub const fn source(class: &'static str, config: &'static ConfigDef) -> Self {
        Self {
            class,
            kind: PluginType::Source,
            version: crate::KAFKA_VERSION,
            config,
            validate: |_| Vec::new(),
            exactly_once_support: |_| None,
            defines_transaction_boundaries: |_| false,
        }
    }
}

/// Why a request about plug-ins has no answer. The text is Kafka's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PluginError {
    /// There is no such plug-in (404).
    #[error("{0}")]
    NotFound(String),
    /// The request makes no sense, or the configuration is not valid (400).
    #[error("{0}")]
    BadRequest(String),
    /// Kafka fails here, and says why (500).
    #[error("{0}")]
    Internal(String),
}
