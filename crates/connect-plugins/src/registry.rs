//! Everything that there is to plug in, by class and by alias (`Plugins`).

use std::collections::{BTreeMap, BTreeSet};

use config_def::ConfigDef;
use connect_api::VersionRange;
use connect_transforms::{Kind, PLUGINS, plugins::STRUCTURED};

use crate::{
    ClientTables, ConfigKeyInfo, ConnectorPlugin, PluginError, PluginInfo, PluginType,
    converters::CONVERTERS,
    definition::{Definition, own_definitions},
    framework,
};

/// The version of every plug-in that is Kafka's own: that of the Kafka whose behaviour it has. Clients ask for it.
pub const KAFKA_VERSION: &str = "4.3.1";

/// A class that can be named in a configuration.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plugin {
    pub(crate) class: &'static str,
    pub(crate) kind: PluginType,
    pub(crate) version: &'static str,
    /// Its own keys.
    pub(crate) config: &'static ConfigDef,
}

impl Plugin {
    /// The name without its package.
    fn simple_name(&self) -> &'static str {
        let class = self.class;
        class.rsplit('.').next().unwrap_or(class)
    }

    /// The simple name without what all of the kind end with.
    fn pruned_name(&self) -> &'static str {
        let simple = self.simple_name();
        match simple.rfind(self.kind.suffix()) {
            Some(end) if end > 0 => &simple[..end],
            _ => simple,
        }
    }

    /// As Kafka prints it in a message.
    fn description(&self) -> String {
        let (class, version, kind) = (self.class, self.version, self.kind.name());
        format!(
            "PluginDesc{{klass=class {class}, name='{class}', version='{version}', encodedVersion={version}, \
             type={kind}, typeName='{kind}', location='classpath'}}"
        )
    }
}

/// What a binary can run: the connectors it was given, and the transformations, predicates and converters that every
/// worker has.
#[derive(Clone, Debug)]
pub struct PluginRegistry {
    /// By kind, then by class.
    plugins: Vec<Plugin>,
    connectors: BTreeMap<&'static str, ConnectorPlugin>,
    /// What each alias stands for, unless it could be several classes.
    aliases: BTreeMap<&'static str, &'static str>,
    pub(crate) clients: ClientTables,
}

impl PluginRegistry {
    /// A registry of some connectors; `clients` are the tables of the clients whose settings connectors may override.
    pub fn new(connectors: &[ConnectorPlugin], clients: ClientTables) -> Self {
        let transforms = PLUGINS.iter().map(|plugin| Plugin {
            class: plugin.class,
            kind: match plugin.kind {
                Kind::Transformation => PluginType::Transformation,
                Kind::Predicate => PluginType::Predicate,
            },
            version: KAFKA_VERSION,
            config: plugin.config,
        });
        Self::with(connectors, transforms.chain(CONVERTERS.iter().copied()), clients)
    }

    pub(crate) fn with(
        connectors: &[ConnectorPlugin],
        others: impl Iterator<Item = Plugin>,
        clients: ClientTables,
    ) -> Self {
        let as_plugin = |connector: &ConnectorPlugin| Plugin {
            class: connector.class,
            kind: connector.kind,
            version: connector.version,
            config: connector.config,
        };
        let mut plugins: Vec<Plugin> = connectors.iter().map(as_plugin).chain(others).collect();
        plugins.sort_by_key(|plugin| (plugin.kind, plugin.class));
        Self {
            aliases: aliases(&plugins),
            connectors: connectors
                .iter()
                .map(|connector| (connector.class, *connector))
                .collect(),
            plugins,
            clients,
        }
    }

    /// All but the connectors.
    #[cfg(test)]
    pub(crate) fn others(&self) -> impl Iterator<Item = Plugin> {
        self.plugins
            .iter()
            .filter(|plugin| !plugin.kind.is_connector())
            .copied()
    }

    /// `GET /connector-plugins`.
    pub fn plugins(&self, connectors_only: bool) -> Vec<PluginInfo> {
        let shown = |plugin: &&Plugin| !connectors_only || plugin.kind.is_connector();
        let info = |plugin: &Plugin| PluginInfo {
            class: plugin.class.to_owned(),
            kind: plugin.kind,
            version: Some(plugin.version.to_owned()),
        };
        self.plugins.iter().filter(shown).map(info).collect()
    }

    /// `GET /connector-plugins/{p}/config`: a plug-in's own keys, then those that every connector of its kind has.
    pub fn config_keys(&self, plugin: &str, version: Option<&str>) -> Result<Vec<ConfigKeyInfo>, PluginError> {
        let range = VersionRange::parse(version).map_err(|_| {
            let version = version.unwrap_or_default();
            PluginError::BadRequest(format!("Invalid version specification: {version}"))
        })?;
        let class = self.full_name(plugin);
        let found = class.and_then(|class| self.plugins.iter().find(|found| found.class == class));
        let found = found.ok_or_else(|| PluginError::NotFound(format!("Unknown plugin {plugin}.")))?;
        self.check_version(found, range.as_ref())
            .map_err(PluginError::BadRequest)?;
        let mut definitions = own_definitions(found.config);
        if found.kind.is_connector() {
            let is_new = |key: &Definition| found.config.key(&key.name).is_none();
            definitions.extend(framework::without_a_worker(found).into_iter().filter(is_new));
        }
        Ok(definitions.iter().map(Definition::info).collect())
    }

    /// The connector of a class, by its full name or an alias (`Plugins.newConnector`).
    pub fn connector(&self, class: &str) -> Result<&ConnectorPlugin, PluginError> {
        let full_name = self.full_name(class).unwrap_or(class);
        if let Some(connector) = self.connectors.get(full_name) {
            return Ok(connector);
        }
        let connectors = self.plugins.iter().filter(|plugin| plugin.kind.is_connector());
        let names_it = |plugin: &&Plugin| {
            let simple = plugin.simple_name();
            simple == class || simple.strip_suffix("Connector") == Some(class)
        };
        let matches: Vec<&Plugin> = connectors.clone().filter(names_it).collect();
        let list = |plugins: &mut dyn Iterator<Item = &Plugin>| {
            plugins.map(Plugin::description).collect::<Vec<_>>().join(", ")
        };
        Err(PluginError::BadRequest(if matches.is_empty() {
            format!(
                "Failed to find any class that implements Connector and which name matches {class}, \
                 available connectors are: {}",
                list(&mut connectors.into_iter())
            )
        } else {
            format!(
                "More than one connector matches alias {class}. Please use full package and class name instead. \
                 Classes found: {}",
                list(&mut matches.into_iter())
            )
        }))
    }

    /// The plug-in of a kind that a configuration names.
    pub(crate) fn find(&self, kind: PluginType, name: &str) -> Option<&Plugin> {
        let class = self.full_name(name)?;
        self.plugins
            .iter()
            .find(|plugin| plugin.kind == kind && plugin.class == class)
    }

    /// Why there is no such plug-in, for a message about a value.
    pub(crate) fn why_absent(&self, kind: PluginType, name: &str) -> String {
        let why = |kind| match connect_transforms::plugin(kind, name) {
            Err(error @ connect_transforms::plugins::UnknownPlugin::Structured { .. }) => Some(error.to_string()),
            _ => None,
        };
        let known = match kind {
            PluginType::Transformation => why(Kind::Transformation),
            _ => None,
        };
        known.unwrap_or_else(|| format!("Class {name} could not be found."))
    }

    /// The full name behind a name or an alias.
    pub(crate) fn full_name(&self, name: &str) -> Option<&'static str> {
        let by_class = self.plugins.iter().find(|plugin| plugin.class == name);
        by_class
            .map(|plugin| plugin.class)
            .or_else(|| self.aliases.get(name).copied())
    }

    /// Every class of a kind that clients know a worker to have: also the transformations that are refused here, with
    /// their reason, once somebody names them.
    pub(crate) fn classes(&self, kind: PluginType) -> Vec<String> {
        let of_kind = self.plugins.iter().filter(|plugin| plugin.kind == kind);
        let refused = STRUCTURED.iter().filter(|_| kind == PluginType::Transformation);
        let classes: BTreeSet<&str> = of_kind.map(|plugin| plugin.class).chain(refused.copied()).collect();
        classes.into_iter().map(str::to_owned).collect()
    }

    /// The installed version of a class, by its name or an alias.
    pub(crate) fn version_of(&self, name: &str) -> Option<String> {
        let class = self.full_name(name)?;
        let plugin = self.plugins.iter().find(|plugin| plugin.class == class);
        plugin.map(|plugin| plugin.version.to_owned())
    }

    /// Whether what is installed is what is wished for, with Kafka's message. A class that is of two kinds counts twice.
    pub(crate) fn check_version(&self, plugin: &Plugin, range: Option<&VersionRange>) -> Result<(), String> {
        let Some(range) = range.filter(|range| !range.contains(plugin.version)) else {
            return Ok(());
        };
        let class = plugin.class;
        let of_class = self.plugins.iter().filter(|other| other.class == class);
        let versions: Vec<&str> = of_class.map(|other| other.version).collect();
        Err(format!(
            "Plugin {class} not found that matches the version range {range}, available versions: [{}]",
            versions.join(", ")
        ))
    }
}

fn aliases(plugins: &[Plugin]) -> BTreeMap<&'static str, &'static str> {
    let mut aliases: BTreeMap<&str, Option<&str>> = BTreeMap::new();
    for plugin in plugins {
        // `Key` and `Value` of a nested class are many classes in Kafka, even where one of them is all that is here.
        if plugin.class.contains('$') {
            continue;
        }
        for alias in [plugin.simple_name(), plugin.pruned_name()] {
            let class = aliases.entry(alias).or_insert(Some(plugin.class));
            if *class != Some(plugin.class) {
                *class = None;
            }
        }
    }
    let unambiguous = aliases.into_iter().filter_map(|(alias, class)| Some((alias, class?)));
    unambiguous.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::{CLIENTS, as_kafka};

    static NO_KEYS: ConfigDef = ConfigDef::new(&[]);

    fn registry(classes: &[&'static str]) -> PluginRegistry {
        let connectors: Vec<ConnectorPlugin> = classes
            .iter()
            .map(|class| ConnectorPlugin::source(class, &NO_KEYS))
            .collect();
        PluginRegistry::new(&connectors, CLIENTS)
    }

    #[test]
    fn a_class_has_aliases_unless_another_has_the_same() {
        let plugins = registry(&[
            "a.MirrorSourceConnector",
            "b.Connector",
            "x.TwinConnector",
            "y.TwinConnector",
        ]);
        let check = |alias: &str, expected: Option<&str>| assert_eq!(plugins.full_name(alias), expected, "{alias}");
        check("a.MirrorSourceConnector", Some("a.MirrorSourceConnector"));
        check("MirrorSourceConnector", Some("a.MirrorSourceConnector"));
        check("MirrorSource", Some("a.MirrorSourceConnector"));
        check("Connector", Some("b.Connector"));
        check("Twin", None);
        check("RegexRouter", Some("org.apache.kafka.connect.transforms.RegexRouter"));
        check("Key", None);
        check(
            "ByteArray",
            Some("org.apache.kafka.connect.converters.ByteArrayConverter"),
        );
        check("Simple", Some("org.apache.kafka.connect.storage.SimpleHeaderConverter"));
        check("mirrorsource", None);
    }

    #[test]
    fn a_connector_that_cannot_be_told_is_refused() {
        let plugins = registry(&["x.TwinConnector", "y.TwinConnector"]);
        let message = plugins.connector("Twin").expect_err("there are two").to_string();
        assert!(
            message.starts_with(
                "More than one connector matches alias Twin. Please use full package and class name instead. \
                 Classes found: PluginDesc{klass=class x.TwinConnector, name='x.TwinConnector', version='4.3.1'"
            ),
            "{message}"
        );
        assert_eq!(
            plugins.connector("y.TwinConnector").map(|found| found.class),
            Ok("y.TwinConnector")
        );
    }

    /// What a client of Kafka's worker may rely on.
    #[test]
    fn a_worker_lists_what_it_has_by_kind_and_class() {
        let listed = |connectors_only| -> Vec<(PluginType, String)> {
            let plugins = registry(&["b.B", "a.A"]).plugins(connectors_only);
            plugins.into_iter().map(|plugin| (plugin.kind, plugin.class)).collect()
        };
        let connectors = [
            (PluginType::Source, "a.A".to_owned()),
            (PluginType::Source, "b.B".to_owned()),
        ];
        assert_eq!(listed(true), connectors);
        let all = listed(false);
        assert!(all.is_sorted());
        assert!(all.starts_with(&connectors));
        for name in ["RegexRouter", "InsertHeader", "Filter"] {
            let class = format!("org.apache.kafka.connect.transforms.{name}");
            assert!(all.contains(&(PluginType::Transformation, class)), "{name}");
        }
        for name in ["TopicNameMatches", "HasHeaderKey", "RecordIsTombstone"] {
            let class = format!("org.apache.kafka.connect.transforms.predicates.{name}");
            assert!(all.contains(&(PluginType::Predicate, class)), "{name}");
        }
    }

    #[test]
    fn keys_are_asked_for_by_version() {
        let plugins = as_kafka();
        let class = "org.apache.kafka.connect.mirror.MirrorSourceConnector";
        let ask = |plugin: &str, version: &str| plugins.config_keys(plugin, Some(version)).map(|keys| keys.len());
        let all = ask(class, "latest").expect("it is there");
        assert_eq!(ask("MirrorSource", "[4.0,)"), Ok(all));
        let bad = "Invalid version specification: [1".to_owned();
        assert_eq!(ask(class, "[1"), Err(PluginError::BadRequest(bad)));
        let other =
            format!("Plugin {class} not found that matches the version range [5,5], available versions: [4.3.1]");
        assert_eq!(ask(class, "5"), Err(PluginError::BadRequest(other)));
        assert_eq!(
            ask("Nope", "5"),
            Err(PluginError::NotFound("Unknown plugin Nope.".to_owned()))
        );
        assert_eq!(ask("JsonConverter", ""), Ok(6));
    }

    #[test]
    fn why_a_transformation_of_kafkas_is_absent_is_said() {
        let plugins = registry(&[]);
        let why = |name: &str| plugins.why_absent(PluginType::Transformation, name);
        let cast = why("org.apache.kafka.connect.transforms.Cast$Value");
        assert!(cast.contains("records with fields"), "{cast}");
        assert_eq!(why("nope.X"), "Class nope.X could not be found.");
    }
}
