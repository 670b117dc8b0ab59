//! The judgement of a connector's configuration (`AbstractHerder.validateConnectorConfig`).

use std::collections::HashSet;

use config_def::{Props, Value};
use connect_api::VersionRange;

use crate::{
    ConfigInfo, ConfigInfos, ConnectorPlugin, ExactlyOnceSupport, PluginError, PluginRegistry, PluginType, RawConfig,
    ValidationContext, WorkerMode,
    converters::validate_converters,
    definition::{Definition, groups, own_definitions, validate_all},
    framework,
    overrides::validate_overrides,
    sink, transforms,
    validated::{Validated, Validations},
};

const CLASS_KEY: &str = "connector.class";
const VERSION_KEY: &str = "connector.plugin.version";

impl PluginRegistry {
    /// `PUT /connector-plugins/{plugin}/config/validate`: the class, if there is one, has to be the plug-in's.
    pub fn validate_request(
        &self,
        plugin: &str,
        config: &RawConfig,
        context: &ValidationContext,
    ) -> Result<ConfigInfos, PluginError> {
        let bare = |name: &str| match name.strip_suffix("Connector") {
            Some("") | None => name.to_owned(),
            Some(bare) => bare.to_owned(),
        };
        match config.get(CLASS_KEY) {
            Some(Some(class)) if !bare(class).ends_with(&bare(plugin)) => Err(PluginError::BadRequest(format!(
                "Included connector type {class} does not match request type {plugin}"
            ))),
            _ => self.validate_connector(config, context),
        }
    }

    /// Whether a connector may be created or changed with this configuration.
    pub fn validate_for_create(&self, config: &RawConfig, context: &ValidationContext) -> Result<(), PluginError> {
        match self.validate_connector(config, context)?.error_text() {
            Some(text) => Err(PluginError::BadRequest(text)),
            None => Ok(()),
        }
    }

    /// Judges a connector's configuration. An error: it names no connector that there is.
    pub fn validate_connector(
        &self,
        config: &RawConfig,
        context: &ValidationContext,
    ) -> Result<ConfigInfos, PluginError> {
        let resolved = resolve(config, context)?;
        let Some(class) = resolved.get(CLASS_KEY).and_then(Option::as_deref) else {
            // Unlike Kafka's, the message shows what was given, not what variables stand for.
            let shown = config
                .iter()
                .map(|(key, value)| format!("{key}={}", value.as_deref().unwrap_or("null")));
            let shown = shown.collect::<Vec<_>>().join(", ");
            let message = format!("Connector config {{{shown}}} contains no connector type");
            return Err(PluginError::BadRequest(message));
        };
        let range = VersionRange::parse(resolved.get(VERSION_KEY).and_then(Option::as_deref));
        let range = range.map_err(PluginError::BadRequest)?;
        let connector = self.connector(class)?;
        let plugin = self
            .find(connector.kind, connector.class)
            .expect("every connector is listed");
        let validation = Validation {
            plugins: self,
            context,
            config: &resolved,
            connector,
        };
        let mut infos = match self.check_version(plugin, range.as_ref()) {
            Ok(()) => validation.run(framework::on_a_worker(plugin, &resolved, context, self))?,
            Err(why) => validation.other_version(&framework::common(plugin), &why),
        };
        class.clone_into(&mut infos.name);
        Ok(infos)
    }
}

/// The configuration with its variables resolved. What a provider cannot read is the fault of whoever names it.
fn resolve(config: &RawConfig, context: &ValidationContext) -> Result<RawConfig, PluginError> {
    let resolve = |(key, value): (&String, &Option<String>)| {
        let value = value.as_ref().map(|value| context.transformer.transform_value(value));
        let value = value.transpose();
        let value = value.map_err(|error| PluginError::BadRequest(format!("{key}: {}", error.chain())))?;
        Ok((key.clone(), value))
    };
    config.iter().map(resolve).collect()
}

struct Validation<'a> {
    plugins: &'a PluginRegistry,
    context: &'a ValidationContext,
    /// Variables are resolved.
    config: &'a RawConfig,
    connector: &'a ConnectorPlugin,
}

impl Validation<'_> {
    fn run(&self, mut definitions: Vec<Definition>) -> Result<ConfigInfos, PluginError> {
        definitions.extend(transforms::definitions(self.config, self.plugins)?);
        let mut validated = validate_all(&definitions, self.config, self.plugins);
        transforms::check(self.config, &mut validated, self.plugins);
        self.check_mode(&mut validated);
        self.refuse_nulls(&mut validated);
        let converters = validate_converters(self.config, &mut validated, self.plugins);
        let overrides = validate_overrides(self.connector.kind, self.config, self.context, &self.plugins.clients)?;

        let own = own_definitions(self.connector.config);
        let own_validated = self.ask_connector(&own);
        for definition in own {
            match definitions.iter_mut().find(|known| known.name == definition.name) {
                Some(known) => *known = definition,
                None => definitions.push(definition),
            }
        }
        let mut infos = put_together(&definitions, validated, own_validated);
        overrides
            .into_iter()
            .chain(converters)
            .for_each(|more| infos.merge(more));
        Ok(infos)
    }

    /// The answer when the connector cannot be had in the version that was asked for: nothing else is judged.
    fn other_version(&self, definitions: &[Definition], why: &str) -> ConfigInfos {
        let mut validated = validate_all(definitions, self.config, self.plugins);
        validated.fault(CLASS_KEY, why);
        validated.fault(VERSION_KEY, why);
        if let Some(version) = validated.get_mut(VERSION_KEY) {
            version.recommended = vec![self.connector.version.to_owned()];
        }
        self.refuse_nulls(&mut validated);
        put_together(definitions, validated, Validations::default())
    }

    /// What depends on how the worker runs.
    fn check_mode(&self, validated: &mut Validations) {
        if self.connector.kind == PluginType::Sink {
            sink::check_topics(self.config, validated);
            sink::check_group(self.config, self.context, validated);
            return;
        }
        if self.context.mode == WorkerMode::Standalone {
            return;
        }
        self.check_exactly_once(validated);
        self.check_boundaries(validated);
    }

    fn check_exactly_once(&self, validated: &mut Validations) {
        const KEY: &str = "exactly.once.support";
        if !is_good_and(validated, KEY, "required") {
            return;
        }
        if !self.context.exactly_once() {
            validated.fault(KEY, "This worker does not have exactly-once source support enabled.");
        }
        let why = match (self.connector.exactly_once_support)(&self.props()) {
            Some(ExactlyOnceSupport::Supported) => return,
            Some(ExactlyOnceSupport::Unsupported) => {
                "The connector does not support exactly-once semantics with the provided configuration."
            }
            None => {
                "The connector does not implement the API required for preflight validation of exactly-once source \
                 support. Please consult the documentation for the connector to determine whether it supports \
                 exactly-once semantics, and then consider reconfiguring the connector to use the value \"requested\" \
                 for this property (which will disable this preflight check and allow the connector to be created)."
            }
        };
        validated.fault(KEY, why);
    }

    fn check_boundaries(&self, validated: &mut Validations) {
        const KEY: &str = "transaction.boundary";
        let wants_own = is_good_and(validated, KEY, "connector");
        if wants_own && !(self.connector.defines_transaction_boundaries)(&self.props()) {
            validated.fault(
                KEY,
                "The connector does not support connector-defined transaction boundaries with the given configuration. \
                 Please reconfigure it to use a different transaction boundary definition.",
            );
        }
    }

    fn refuse_nulls(&self, validated: &mut Validations) {
        for (key, _) in self.config.iter().filter(|(_, value)| value.is_none()) {
            validated.fault(key, "Null value can not be supplied as the configuration value.");
        }
    }

    /// The connector's own judgement: by its table, then by its own rules, which may also speak of keys that are not its
    /// own.
    fn ask_connector(&self, definitions: &[Definition]) -> Validations {
        let mut validated = validate_all(definitions, self.config, self.plugins);
        for error in (self.connector.validate)(&self.props()) {
            validated.fault(&error.name, error.message);
        }
        validated
    }

    fn props(&self) -> Props {
        let present = self
            .config
            .iter()
            .filter_map(|(key, value)| Some((key.clone(), value.clone()?)));
        present.collect()
    }
}

/// Whether a key has this value, in any case, and nothing is wrong with it.
fn is_good_and(validated: &Validations, key: &str, wanted: &str) -> bool {
    validated.get(key).is_some_and(|validated| {
        let is_wanted = matches!(&validated.value, Value::String(text) if text.eq_ignore_ascii_case(wanted));
        is_wanted && validated.errors.is_empty()
    })
}

/// Puts values to their keys (`AbstractHerder.generateResult`): first those that nobody has defined, then every key in
/// order. Where both the worker and the connector have judged a key, the connector's word stands.
fn put_together(definitions: &[Definition], framework: Validations, connector: Validations) -> ConfigInfos {
    let defined: HashSet<&str> = definitions.iter().map(|definition| &*definition.name).collect();
    let is_defined = |value: &Validated| defined.contains(value.name.as_str());
    let both = framework.into_vec().into_iter().chain(connector.into_vec());
    let (judged, undefined): (Vec<_>, Vec<_>) = both.partition(is_defined);
    let judged = Validations::new(judged.into_iter());
    let undefined = undefined.into_iter().map(|value| (None, Some(value)));
    let defined = definitions
        .iter()
        .map(|definition| (Some(definition), judged.get(&definition.name).cloned()));
    let mut infos = ConfigInfos {
        groups: groups(definitions),
        ..ConfigInfos::default()
    };
    for (definition, value) in undefined.chain(defined) {
        infos.error_count += value.as_ref().map_or(0, |value| value.errors.len());
        infos.configs.push(ConfigInfo {
            definition: definition.map(Definition::info),
            value: value.map(Validated::info),
        });
    }
    infos
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::{as_kafka, context};

    fn config(entries: &[(&str, &str)]) -> RawConfig {
        let base = [
            ("name", "c"),
            ("connector.class", "FileStreamSource"),
            ("topic", "t"),
            ("exactly.once.support", "required"),
            ("offsets.storage.topic", "mine"),
            ("consumer.override.check.crcs", "no boolean"),
        ];
        let all = base.iter().chain(entries);
        all.map(|(key, value)| ((*key).to_owned(), Some((*value).to_owned())))
            .collect()
    }

    #[test]
    fn a_standalone_worker_has_no_group_and_no_transactions() {
        let alone = ValidationContext {
            mode: WorkerMode::Standalone,
            ..context()
        };
        // Nothing about exactly-once, and no consumer of offsets whose settings could be wrong.
        assert_eq!(as_kafka().validate_for_create(&config(&[]), &alone), Ok(()));
        let refused = as_kafka().validate_for_create(&config(&[]), &context());
        let why = "Invalid value no boolean for configuration check.crcs: Expected value to be either true or false";
        assert_eq!(refused, Err(PluginError::Internal(why.to_owned())));
        let sink = RawConfig::from(
            [
                ("name", "cluster"),
                ("connector.class", "FileStreamSink"),
                ("topics", "t"),
            ]
            .map(|(key, value)| (key.to_owned(), Some(value.to_owned()))),
        );
        assert_eq!(as_kafka().validate_for_create(&sink, &alone), Ok(()));
        assert!(as_kafka().validate_for_create(&sink, &context()).is_err());
    }

    #[test]
    fn a_long_list_of_aliases_is_refused() {
        let aliases = |count: usize| (0..count).map(|alias| alias.to_string()).collect::<Vec<_>>().join(",");
        let ask = |count| {
            let config = RawConfig::from(
                [
                    ("connector.class", "FileStreamSource".to_owned()),
                    ("transforms", aliases(count)),
                ]
                .map(|(key, value)| (key.to_owned(), Some(value))),
            );
            as_kafka()
                .validate_connector(&config, &context())
                .map(|infos| infos.error_count)
        };
        // Each lacks its class, and so do name and topic of the connector.
        assert_eq!(ask(1000), Ok(1002));
        let refused = "transforms names more than 1000 aliases".to_owned();
        assert_eq!(ask(1001), Err(PluginError::BadRequest(refused)));
    }

    #[test]
    fn a_request_names_a_connector_by_the_end_of_its_class() {
        let plugins = as_kafka();
        let alone = ValidationContext {
            mode: WorkerMode::Standalone,
            ..context()
        };
        let ask = |plugin: &str| {
            plugins
                .validate_request(plugin, &config(&[]), &alone)
                .map(|infos| infos.name)
        };
        for plugin in [
            "FileStreamSourceConnector",
            "FileStreamSource",
            "Source",
            "SourceConnector",
        ] {
            assert_eq!(ask(plugin).as_deref(), Ok("FileStreamSource"), "{plugin}");
        }
        let refused = "Included connector type FileStreamSource does not match request type Sink";
        assert_eq!(ask("Sink"), Err(PluginError::BadRequest(refused.to_owned())));
    }
}
