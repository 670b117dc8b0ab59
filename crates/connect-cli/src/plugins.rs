//! Where the worker meets the connectors: class names become mirror connectors, and their tables judge configurations.

use std::sync::Arc;

use anyhow::{Result, anyhow};
use config_def::{ConfigTransformer, Props};
use connect_api::{ConnectError, SourceConnector};
use connect_mirror::{
    MirrorEnvironment, MirrorMetrics,
    checkpoint::{MirrorCheckpointConnector, config as checkpoint_config},
    heartbeat::MirrorHeartbeatConnector,
    mirror_maker_config::MirrorConnector,
    source::{MirrorSourceConnector, Pace, RateLimiters, config as source_config, rate_limits::RATE_KEYS},
};
use connect_plugins::{
    ClientTables, ConnectorPlugin, ExactlyOnceSupport, PluginRegistry, PluginType, ValidationContext,
};
use connect_runtime::{Plugins, herder::ConnectorKind, storage::config::RawConfig};
use kafka_client::{
    Dialer,
    config::tables::{ADMIN_CONFIG_DEF, CONSUMER_CONFIG_DEF, PRODUCER_CONFIG_DEF},
};
use kafka_wire::Compression;

/// The connectors of this binary, and what a worker knows of them.
pub(crate) struct MirrorPlugins {
    environment: MirrorEnvironment,
    registry: Arc<PluginRegistry>,
    validation: ValidationContext,
}

impl MirrorPlugins {
    /// Connectors for one worker of a group, whose own properties say how its producers compress.
    pub(crate) fn new(dialer: Dialer, metrics: MirrorMetrics, worker: &Props) -> Result<Self> {
        let transformer = Arc::new(ConfigTransformer::from_props(worker)?);
        Self::judged_by(
            ValidationContext::distributed(worker, transformer)?,
            dialer,
            metrics,
            worker,
        )
    }

    /// The same for a worker alone.
    pub(crate) fn standalone(dialer: Dialer, metrics: MirrorMetrics, worker: &Props) -> Result<Self> {
        let transformer = Arc::new(ConfigTransformer::from_props(worker)?);
        Self::judged_by(
            ValidationContext::standalone(worker, transformer)?,
            dialer,
            metrics,
            worker,
        )
    }

    fn judged_by(
        validation: ValidationContext,
        dialer: Dialer,
        metrics: MirrorMetrics,
        worker: &Props,
    ) -> Result<Self> {
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
            registry: Arc::new(registry()),
            validation,
        })
    }

    /// Has all tasks keep to `pace`.
    pub(crate) fn at_pace(mut self, pace: Pace) -> Self {
        self.environment.limiters = RateLimiters::at_pace(pace);
        self
    }

    /// What there is, for whoever lists and describes it.
    pub(crate) fn registry(&self) -> Arc<PluginRegistry> {
        self.registry.clone()
    }

    /// What connectors are judged by.
    pub(crate) fn validation(&self) -> ValidationContext {
        self.validation.clone()
    }

    fn transformer(&self) -> &ConfigTransformer {
        &self.validation.transformer
    }
}

impl Plugins for MirrorPlugins {
    fn connector(&self, class: &str) -> Result<Box<dyn SourceConnector>, ConnectError> {
        let plugin = self
            .registry
            .connector(class)
            .map_err(|error| ConnectError::new(error.to_string()))?;
        let environment = self.environment.clone();
        if plugin.class == MirrorConnector::Source.class() {
            Ok(Box::new(MirrorSourceConnector::new(environment)))
        } else if plugin.class == MirrorConnector::Checkpoint.class() {
            Ok(Box::new(MirrorCheckpointConnector::new(environment)))
        } else if plugin.class == MirrorConnector::Heartbeat.class() {
            Ok(Box::new(MirrorHeartbeatConnector::new(environment)))
        } else {
            Err(ConnectError::new(format!(
                "{} is not part of this version yet",
                plugin.class
            )))
        }
    }

    fn kind(&self, class: &str) -> ConnectorKind {
        match self.registry.connector(class).map(|plugin| plugin.kind) {
            Ok(PluginType::Source) => ConnectorKind::Source,
            Ok(PluginType::Sink) => ConnectorKind::Sink,
            _ => ConnectorKind::Unknown,
        }
    }

    fn validate(&self, config: &RawConfig) -> Result<(), ConnectError> {
        let valid = self.registry.validate_for_create(config, &self.validation);
        valid.map_err(|error| ConnectError::new(error.to_string()))
    }

    fn refused_overrides(&self, connector: &Props) -> Vec<String> {
        let policy = &self.validation.override_policy;
        let overrides = connector.keys().filter(|key| {
            let overridden = ["producer.override.", "consumer.override.", "admin.override."]
                .iter()
                .find_map(|prefix| key.strip_prefix(prefix));
            overridden.is_some_and(|key| !policy.allows(key))
        });
        overrides.cloned().collect()
    }

    fn settings_taken_over(&self, class: &str) -> Vec<&'static str> {
        let is_source = self
            .registry
            .connector(class)
            .is_ok_and(|plugin| plugin.class == MirrorConnector::Source.class());
        match is_source {
            true => RATE_KEYS.iter().map(|key| key.name).collect(),
            false => Vec::new(),
        }
    }

    fn resolve(&self, props: Props) -> Result<Props, ConnectError> {
        let resolved = self.transformer().transform(&props);
        resolved.map_err(|errors| ConnectError::caused_by("variables of the configuration cannot be resolved", errors))
    }
}

fn registry() -> PluginRegistry {
    let source = ConnectorPlugin {
        validate: source_config::validate,
        exactly_once_support: |props| {
            Some(match source_config::exactly_once_support(props) {
                source_config::ExactlyOnceSupport::Supported => ExactlyOnceSupport::Supported,
                source_config::ExactlyOnceSupport::Unsupported => ExactlyOnceSupport::Unsupported,
            })
        },
        ..plugin(MirrorConnector::Source)
    };
    let checkpoint = ConnectorPlugin {
        validate: checkpoint_config::validate,
        ..plugin(MirrorConnector::Checkpoint)
    };
    let clients = ClientTables {
        producer: &PRODUCER_CONFIG_DEF,
        consumer: &CONSUMER_CONFIG_DEF,
        admin: &ADMIN_CONFIG_DEF,
    };
    PluginRegistry::new(&[source, checkpoint, plugin(MirrorConnector::Heartbeat)], clients)
}

fn plugin(connector: MirrorConnector) -> ConnectorPlugin {
    ConnectorPlugin::source(connector.class(), connector.config_def())
}
