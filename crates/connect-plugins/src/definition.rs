//! Keys that are put together for one request: rows of static tables, maybe under a prefix and with other defaults.

use std::{borrow::Cow, collections::HashSet};

use config_def::{ConfigDef, ConfigError, ConfigKey, DefaultValue, Importance, Recommender, Type, Value};
use connect_api::connector_config::{CONVERTERS, HEADER_CONVERTERS};

use crate::{
    ConfigKeyInfo, PluginRegistry, PluginType, RawConfig,
    validated::{Validated, Validations},
};

type Text = Cow<'static, str>;

/// A row of a table as it stands in one answer.
#[derive(Clone, Debug)]
pub(crate) struct Definition {
    /// The key as a user writes it. The row's own name may lack a prefix.
    pub(crate) name: Text,
    /// What the row says beyond what follows. Its validator names the key as the row does.
    pub(crate) row: ConfigKey,
    pub(crate) default: Default,
    pub(crate) group: Option<Text>,
    pub(crate) order: i32,
    pub(crate) display_name: Text,
    pub(crate) doc: Text,
    pub(crate) recommended: Recommended,
}

/// The value when nobody sets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Default {
    Required,
    Null,
    Text(Text),
}

impl Default {
    pub(crate) fn of(text: Option<impl Into<Text>>) -> Self {
        text.map_or(Self::Null, |text| Self::Text(text.into()))
    }
}

/// The values to choose from.
#[derive(Clone, Debug)]
pub(crate) enum Recommended {
    Nothing,
    These(Vec<String>),
    /// The classes of this kind.
    Plugins(PluginType),
    /// The versions of what another key names. `listed`: or nothing, where Kafka has no plug-ins at hand; the key is
    /// hidden in either case while the other has no value.
    VersionsOf {
        key: &'static str,
        listed: bool,
    },
}

impl Definition {
    /// The row of a worker's own table: its recommendations come from what is installed.
    pub(crate) fn framework(row: &ConfigKey) -> Self {
        let recommended = match row.recommender {
            Some(CONVERTERS) => Recommended::Plugins(PluginType::Converter),
            Some(HEADER_CONVERTERS) => Recommended::Plugins(PluginType::HeaderConverter),
            Some(Recommender::VersionsOf(key)) => Recommended::VersionsOf { key, listed: true },
            _ => Recommended::Nothing,
        };
        Self {
            recommended,
            ..Self::own(row)
        }
    }

    /// The row of a plug-in's own table. A plug-in does not know what else is installed.
    pub(crate) fn own(row: &ConfigKey) -> Self {
        Self {
            name: Text::Borrowed(row.name),
            default: match row.default {
                DefaultValue::Required => Default::Required,
                DefaultValue::Null => Default::Null,
                DefaultValue::Text(text) => Default::Text(Text::Borrowed(text)),
            },
            group: row.group.map(Text::Borrowed),
            order: row.order,
            display_name: Text::Borrowed(row.display()),
            doc: Text::Borrowed(row.doc),
            recommended: match row.recommender {
                Some(Recommender::VersionsOf(key)) => Recommended::VersionsOf { key, listed: false },
                _ => Recommended::Nothing,
            },
            row: *row,
        }
    }

    pub(crate) fn info(&self) -> ConfigKeyInfo {
        ConfigKeyInfo {
            name: self.name.to_string(),
            kind: self.row.kind.name(),
            required: self.default == Default::Required,
            default_value: match &self.default {
                // As it is read: blanks after commas go.
                Default::Text(text) if self.row.kind == Type::List => Some(config_def::list_elements(text).join(",")),
                Default::Text(text) => Some(text.to_string()),
                Default::Null | Default::Required => None,
            },
            importance: self.row.importance.name(),
            documentation: self.doc.to_string(),
            group: self.group.as_ref().map(ToString::to_string),
            order_in_group: self.order,
            width: self.row.width.name(),
            display_name: self.display_name.to_string(),
            dependents: self.row.dependents.iter().map(ToString::to_string).collect(),
        }
    }

    /// The value before it is judged. A key that is there without a value has none, be it required or not.
    fn read(&self, props: &RawConfig, plugins: &PluginRegistry) -> Result<Value, ConfigError> {
        let text = match (props.get(&*self.name), &self.default) {
            (Some(Some(text)), _) => text.as_str(),
            (Some(None), _) | (None, Default::Null) => return Ok(Value::Null),
            (None, Default::Text(text)) => text,
            (None, Default::Required) => return Err(ConfigError::missing(&self.name)),
        };
        if let Recommended::Plugins(kind) = self.recommended {
            return match plugins.full_name(text.trim()) {
                Some(class) => Ok(Value::Class(class.to_owned())),
                None => Err(ConfigError::invalid(&self.name, text, plugins.why_absent(kind, text))),
            };
        }
        match self.row.read_as(&self.name, text)? {
            Value::Class(name) => Ok(Value::Class(plugins.full_name(&name).map_or(name, str::to_owned))),
            value => Ok(value),
        }
    }

    /// What is wrong with a class that there is, but not of the kind that is asked for.
    fn wrong_kind(&self, value: &Value, plugins: &PluginRegistry) -> Option<String> {
        let (Recommended::Plugins(kind), Value::Class(class)) = (&self.recommended, value) else {
            return None;
        };
        let what = kind.suffix();
        let is_of_kind = plugins.find(*kind, class).is_some();
        (!is_of_kind).then(|| format!("Class class {class} does not implement the {what} interface"))
    }
}

/// Reads and judges every key (`ConfigDef.validateAll`).
pub(crate) fn validate_all(definitions: &[Definition], props: &RawConfig, plugins: &PluginRegistry) -> Validations {
    let judge = |definition: &Definition| {
        let mut errors = Vec::new();
        let value = definition.read(props, plugins).unwrap_or_else(|error| {
            errors.push(error.message);
            Value::Null
        });
        if let Err(error) = definition.row.validator.check(definition.row.name, &value) {
            errors.push(error.message);
        }
        errors.extend(definition.wrong_kind(&value, plugins));
        Validated {
            errors,
            ..Validated::new(definition.name.clone(), value)
        }
    };
    let mut all = Validations::new(definitions.iter().map(judge));
    for definition in definitions {
        let (visible, recommended) = match &definition.recommended {
            Recommended::Nothing => continue,
            Recommended::These(values) => (true, values.clone()),
            Recommended::Plugins(kind) => (true, plugins.classes(*kind)),
            Recommended::VersionsOf { key, listed } => {
                let named = all.get(key);
                let class = named.and_then(|named| named.value.to_text());
                let is_good = named.is_some_and(|named| named.errors.is_empty());
                let version = class.as_deref().filter(|_| *listed && is_good);
                let version = version.and_then(|class| plugins.version_of(class));
                (class.is_some(), version.into_iter().collect())
            }
        };
        if let Some(value) = all.get_mut(&definition.name) {
            value.visible = visible;
            value.recommended = recommended;
        }
    }
    all
}

/// The rows of a plug-in's own table.
pub(crate) fn own_definitions(table: &ConfigDef) -> Vec<Definition> {
    table.keys().map(Definition::own).collect()
}

/// The headings of some keys, each once, in order.
pub(crate) fn groups(definitions: &[Definition]) -> Vec<String> {
    let mut seen = HashSet::new();
    let groups = definitions.iter().filter_map(|definition| definition.group.as_deref());
    groups.filter(|group| seen.insert(*group)).map(str::to_owned).collect()
}

/// The order in which keys are put under a prefix (`ConfigDef.sortedConfigs`): those without a group first, then by place
/// in the group, what must be set before what need not, by importance, by name.
pub(crate) fn in_sorted_order(mut definitions: Vec<Definition>) -> Vec<Definition> {
    let groups = groups(&definitions);
    definitions.sort_by_cached_key(|definition| {
        let group = definition.group.as_deref();
        let importance = match definition.row.importance {
            Importance::High => 0,
            Importance::Medium => 1,
            Importance::Low => 2,
        };
        (
            group.and_then(|group| groups.iter().position(|known| known == group)),
            definition.order,
            definition.default != Default::Required,
            importance,
            definition.name.clone(),
        )
    });
    definitions
}
