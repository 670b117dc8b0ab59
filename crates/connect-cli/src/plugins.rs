//! Where the worker meets the connectors: class names become mirror connectors.

use anyhow::{Result, anyhow};
use config_def::Props;
use connect_api::{ConnectError, SourceConnector};
use connect_mirror::{
    MirrorEnvironment, MirrorMetrics,
    heartbeat::{MirrorHeartbeatConnector, config::MirrorHeartbeatConfig},
    mirror_maker_config::MirrorConnector,
    source::{MirrorSourceConnector, config::MirrorSourceConfig},
};
use connect_runtime::Plugins;
use kafka_client::Dialer;
use kafka_wire::Compression;

/// The connectors of this binary.
#[derive(Debug)]
pub(crate) struct MirrorPlugins {
    environment: MirrorEnvironment,
}

impl MirrorPlugins {
    /// Those of [`MirrorConnector::ALL`] that are built so far, in Kafka's order. Checkpoints are still to come.
    pub(crate) const CONNECTORS: [MirrorConnector; 2] = [MirrorConnector::Source, MirrorConnector::Heartbeat];

    /// Connectors for one worker, whose own properties say how its producers compress.
    pub(crate) fn new(dialer: Dialer, metrics: MirrorMetrics, worker: &Props) -> Result<Self> {
        let compression = match worker.get("producer.compression.type") {
            Some(name) => {
                let parsed = name.trim().parse::<Compression>();
                Some(parsed.map_err(|why| anyhow!("Invalid value {name} for producer.compression.type: {why}"))?)
            }
            None => None,
        };
        Ok(Self {
            environment: MirrorEnvironment {
                metrics,
                compression,
                ..MirrorEnvironment::new(dialer)
            },
        })
    }
}

impl Plugins for MirrorPlugins {
    fn connector(&self, class: &str) -> Result<Box<dyn SourceConnector>, ConnectError> {
        let is = |connector: MirrorConnector| class == connector.class() || class == connector.name();
        let environment = self.environment.clone();
        if is(MirrorConnector::Source) {
            Ok(Box::new(MirrorSourceConnector::new(environment)))
        } else if is(MirrorConnector::Heartbeat) {
            Ok(Box::new(MirrorHeartbeatConnector::new(environment)))
        } else {
            Err(ConnectError::new(format!(
                "connector class {class} is not part of this worker; it has {} and {}",
                MirrorConnector::Source.class(),
                MirrorConnector::Heartbeat.class(),
            )))
        }
    }

    fn validate(&self, config: &Props) -> Result<(), ConnectError> {
        let class = config.get("connector.class").map_or("", String::as_str);
        let is = |connector: MirrorConnector| class == connector.class() || class == connector.name();
        let parsed = if is(MirrorConnector::Source) {
            MirrorSourceConfig::parse(config).map(|_| ())
        } else if is(MirrorConnector::Heartbeat) {
            MirrorHeartbeatConfig::parse(config).map(|_| ())
        } else {
            Ok(())
        };
        parsed.map_err(|errors| ConnectError::caused_by(format!("the configuration of {class} is not valid"), errors))
    }
}
