//! The keys that every connector has, with the defaults that hold for one connector on one worker
//! (`SourceConnectorConfig.enrichedConfigDef`).

use config_def::ConfigKey;
use connect_api::connector_config::{CONNECTOR_KEYS, SOURCE_CONNECTOR_KEYS};

use crate::{
    PluginRegistry, PluginType, RawConfig, ValidationContext,
    definition::{Default, Definition},
    registry::Plugin,
    sink::SINK_CONNECTOR_KEYS,
};

/// The three converters of a connector: the key of the class, of the version, and the kind.
const CONVERTERS: [(&str, &str, PluginType); 3] = [
    ("key.converter", "key.converter.plugin.version", PluginType::Converter),
    (
        "value.converter",
        "value.converter.plugin.version",
        PluginType::Converter,
    ),
    (
        "header.converter",
        "header.converter.plugin.version",
        PluginType::HeaderConverter,
    ),
];

/// The keys as they are without a worker, in `GET /connector-plugins/{p}/config`.
pub(crate) fn without_a_worker(connector: &Plugin) -> Vec<Definition> {
    definitions(
        &[CONNECTOR_KEYS, keys_of(connector.kind)],
        connector,
        Definition::framework,
    )
}

/// The keys that are judged when the connector cannot be had in the version that was asked for. Nothing is recommended
/// then.
pub(crate) fn common(connector: &Plugin) -> Vec<Definition> {
    definitions(&[CONNECTOR_KEYS], connector, Definition::own)
}

/// The keys of a connector with this configuration on this worker: its converters are the worker's unless it has its own.
pub(crate) fn on_a_worker(
    connector: &Plugin,
    config: &RawConfig,
    context: &ValidationContext,
    plugins: &PluginRegistry,
) -> Vec<Definition> {
    let worker = &context.converters;
    let defaults = [&worker.key, &worker.value, &worker.header];
    let mut definitions = without_a_worker(connector);
    for ((class_key, version_key, kind), default) in CONVERTERS.into_iter().zip(defaults) {
        let default = plugins.full_name(default).unwrap_or(default).to_owned();
        let in_use = config.get(class_key).and_then(Option::as_deref).unwrap_or(&default);
        let version = plugins.find(kind, in_use).map(|plugin| plugin.version);
        for definition in &mut definitions {
            if definition.name == version_key {
                definition.default = Default::of(version);
            } else if definition.name == class_key {
                definition.default = Default::Text(default.clone().into());
            }
        }
    }
    definitions
}

fn keys_of(kind: PluginType) -> &'static [ConfigKey] {
    match kind {
        PluginType::Sink => SINK_CONNECTOR_KEYS,
        _ => SOURCE_CONNECTOR_KEYS,
    }
}

fn definitions(
    sections: &[&'static [ConfigKey]],
    connector: &Plugin,
    define: fn(&ConfigKey) -> Definition,
) -> Vec<Definition> {
    let rows = sections.iter().flat_map(|section| section.iter());
    let mut definitions: Vec<Definition> = rows.map(define).collect();
    for definition in &mut definitions {
        if definition.name == "connector.plugin.version" {
            definition.default = Default::of(Some(connector.version));
        }
    }
    definitions
}
