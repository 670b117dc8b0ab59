//! The keys of a connector's transformations and predicates (`ConnectorConfig.enrich`): for each alias its class, its
//! version, and what the class has.

use std::collections::HashSet;

use config_def::{ConfigKey, Importance, Type, Width, key, list_elements};
use connect_api::VersionRange;
use connect_transforms::plugins::TRANSFORMATION_KEYS;

use crate::{
    PluginError, PluginRegistry, PluginType, RawConfig,
    definition::{Default, Definition, Recommended, in_sorted_order, own_definitions},
    registry::Plugin,
    validated::Validations,
};

/// The two lists of aliases, with the heading of their keys.
const LISTS: [(&str, &str, PluginType); 2] = [
    ("transforms", "Transforms", PluginType::Transformation),
    ("predicates", "Predicates", PluginType::Predicate),
];

const TYPE: ConfigKey = key("type", Type::Class).importance(Importance::High).width(Width::Long);
const VERSION: ConfigKey = key("plugin.version", Type::String)
    .default_null()
    .importance(Importance::High)
    .width(Width::Long);

/// More than this is a mistake, or meant to fill the memory: every alias is answered with a page of text.
const MAX_ALIASES: usize = 1000;

/// One alias of a list.
struct Alias<'a> {
    name: String,
    prefix: String,
    kind: PluginType,
    /// Whether a class is named at all.
    is_typed: bool,
    plugin: Option<&'a Plugin>,
    /// As the configuration names the version.
    version: Option<String>,
}

/// The keys of every alias.
pub(crate) fn definitions(config: &RawConfig, plugins: &PluginRegistry) -> Result<Vec<Definition>, PluginError> {
    let mut definitions = Vec::new();
    for (list, heading, kind) in LISTS {
        let names = config.get(list).and_then(Option::as_deref);
        if names.is_some_and(|names| names.split(',').count() > MAX_ALIASES) {
            let message = format!("{list} names more than {MAX_ALIASES} aliases");
            return Err(PluginError::BadRequest(message));
        }
        for alias in aliases(list, kind, config, plugins) {
            definitions.extend(alias.definitions(heading, plugins));
        }
    }
    Ok(definitions)
}

/// What the keys' own rules cannot see: versions that are not there, and `negate` without a predicate.
pub(crate) fn check(config: &RawConfig, validated: &mut Validations, plugins: &PluginRegistry) {
    for (list, _, kind) in LISTS {
        for alias in aliases(list, kind, config, plugins) {
            let version = alias.check_version(plugins).err();
            let version_of_plugin = version.clone().filter(|_| alias.plugin.is_some());
            if let Some(message) = alias.negates_nothing(config).or(version_of_plugin) {
                validated.fault(&format!("{}type", alias.prefix), message);
            }
            if let Some(message) = version {
                validated.fault(&format!("{}plugin.version", alias.prefix), message);
            }
        }
    }
}

/// The aliases of a list, each once, in order.
fn aliases<'a>(list: &str, kind: PluginType, config: &RawConfig, plugins: &'a PluginRegistry) -> Vec<Alias<'a>> {
    let names = config.get(list).and_then(Option::as_deref).map(list_elements);
    let mut seen = HashSet::new();
    let mut aliases = Vec::new();
    for name in names.unwrap_or_default() {
        if !seen.insert(name.clone()) {
            continue;
        }
        let prefix = format!("{list}.{name}.");
        let value = |key: &str| config.get(&format!("{prefix}{key}")).cloned().flatten();
        let class = value("type");
        aliases.push(Alias {
            is_typed: class.is_some(),
            plugin: class.and_then(|class| plugins.find(kind, class.trim())),
            version: value("plugin.version"),
            name,
            kind,
            prefix,
        });
    }
    aliases
}

impl Alias<'_> {
    fn definitions(&self, heading: &str, plugins: &PluginRegistry) -> Vec<Definition> {
        let mut definitions = vec![self.class_key(), self.version_key()];
        if let (Some(plugin), Ok(())) = (self.plugin, self.check_version(plugins)) {
            let mut own = own_definitions(plugin.config);
            if self.kind == PluginType::Transformation {
                // These two hide keys of the same names.
                own.retain(|key| TRANSFORMATION_KEYS.iter().all(|implied| implied.name != key.name));
                own.extend(TRANSFORMATION_KEYS.iter().map(Definition::own));
            }
            definitions.extend(in_sorted_order(own));
        }
        let group = format!("{heading}: {}", self.name);
        for (order, definition) in (0..).zip(&mut definitions) {
            definition.name = format!("{}{}", self.prefix, definition.name).into();
            definition.group = Some(match &definition.group {
                Some(own) => format!("{group}: {own}").into(),
                None => group.clone().into(),
            });
            definition.order = order;
        }
        definitions
    }

    fn class_key(&self) -> Definition {
        let (what, name) = (self.kind.suffix(), &self.name);
        Definition {
            display_name: format!("{what} type for {name}").into(),
            doc: format!("The class of the {} '{name}'.", self.kind.name()).into(),
            recommended: Recommended::Plugins(self.kind),
            ..Definition::own(&TYPE)
        }
    }

    fn version_key(&self) -> Definition {
        let (what, name) = (self.kind.suffix(), &self.name);
        let version = self.plugin.map(|plugin| plugin.version);
        Definition {
            default: Default::of(version),
            display_name: format!("{what} version for {name}").into(),
            doc: format!("The version of the {} '{name}'.", self.kind.name()).into(),
            recommended: Recommended::These(version.map(str::to_owned).into_iter().collect()),
            ..Definition::own(&VERSION)
        }
    }

    /// Whether the version can be had; without a class any can.
    fn check_version(&self, plugins: &PluginRegistry) -> Result<(), String> {
        if !self.is_typed {
            return Ok(());
        }
        let range = VersionRange::parse(self.version.as_deref())?;
        self.plugin
            .map_or(Ok(()), |plugin| plugins.check_version(plugin, range.as_ref()))
    }

    fn negates_nothing(&self, config: &RawConfig) -> Option<String> {
        let (negate, predicate) = (format!("{}negate", self.prefix), format!("{}predicate", self.prefix));
        let is_transformation = self.kind == PluginType::Transformation;
        (is_transformation && config.contains_key(&negate) && !config.contains_key(&predicate)).then(|| {
            format!(
                "Config '{negate}' was provided but there is no config '{predicate}' defining a predicate to be negated."
            )
        })
    }
}
