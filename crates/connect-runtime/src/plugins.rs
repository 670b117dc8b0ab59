//! Where connectors come from: a class name becomes an object.

use connect_api::{ConnectError, Props, SourceConnector};

use crate::{herder::ConnectorKind, storage::config::RawConfig};

/// The connectors that this binary holds, and what else it knows about configurations. Implemented where the worker
/// meets the connectors; the worker itself knows none.
pub trait Plugins: Send + Sync {
    /// A connector of a class, by its full name or an alias; not started. Tasks of the class are made by it too.
    fn connector(&self, class: &str) -> Result<Box<dyn SourceConnector>, ConnectError>;

    /// Which way the records of a class's connectors go.
    fn kind(&self, class: &str) -> ConnectorKind {
        match self.connector(class) {
            Ok(_) => ConnectorKind::Source,
            Err(_) => ConnectorKind::Unknown,
        }
    }

    /// Finds what is wrong with a connector's configuration before it is stored. The error is what a user is told.
    fn validate(&self, _config: &RawConfig) -> Result<(), ConnectError> {
        Ok(())
    }

    /// Settings of clients that the connector overrides and may not (`connector.client.config.override.policy`).
    fn refused_overrides(&self, _connector: &Props) -> Vec<String> {
        Vec::new()
    }

    /// Settings of a class's connectors that running tasks take over: their change alone is no reason to write task
    /// configurations anew, which would start the tasks anew.
    fn settings_taken_over(&self, _class: &str) -> Vec<&'static str> {
        Vec::new()
    }

    /// Replaces variables (`${provider:path:key}`). Configurations are stored as they were given and resolved when
    /// they are used.
    fn resolve(&self, props: Props) -> Result<Props, ConnectError> {
        Ok(props)
    }
}
