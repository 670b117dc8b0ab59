//! The answers of REST about keys and values.

use serde::Serialize;

/// Everything that is known about a key (`ConfigKeyInfo`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConfigKeyInfo {
    /// The key.
    pub name: String,
    /// The type of its value, in upper case.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Whether it must be set.
    pub required: bool,
    /// Its value when nobody sets it.
    pub default_value: Option<String>,
    /// How much it matters, in upper case.
    pub importance: &'static str,
    /// What it does.
    pub documentation: String,
    /// The heading it is listed under.
    pub group: Option<String>,
    /// Its place in the group; −1 without one.
    pub order_in_group: i32,
    /// How wide to draw it, in upper case.
    pub width: &'static str,
    /// A name for people.
    pub display_name: String,
    /// Keys whose allowed values depend on it.
    pub dependents: Vec<String>,
}

/// A value and what is wrong with it (`ConfigValueInfo`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConfigValueInfo {
    /// The key.
    pub name: String,
    /// The value, if it has one that can be read; secrets are `[hidden]`.
    pub value: Option<String>,
    /// Values to choose from.
    pub recommended_values: Vec<String>,
    /// What is wrong.
    pub errors: Vec<String>,
    /// Whether the key makes sense beside the other values.
    pub visible: bool,
}

/// A key with its value (`ConfigInfo`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConfigInfo {
    /// The key, unless nobody knows it.
    pub definition: Option<ConfigKeyInfo>,
    /// The value.
    pub value: Option<ConfigValueInfo>,
}

impl ConfigInfo {
    /// Shows the key under a prefix. Messages and the name for people stay as they are, as in Kafka.
    pub(crate) fn put_under(&mut self, prefix: &str) {
        for name in [
            self.definition.as_mut().map(|definition| &mut definition.name),
            self.value.as_mut().map(|value| &mut value.name),
        ]
        .into_iter()
        .flatten()
        {
            name.insert_str(0, prefix);
        }
    }
}

/// The result of a validation (`ConfigInfos`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ConfigInfos {
    /// The connector's class as it was given.
    pub name: String,
    /// How much is wrong.
    pub error_count: usize,
    /// The headings, in order.
    pub groups: Vec<String>,
    /// Every key with its value.
    pub configs: Vec<ConfigInfo>,
}

impl ConfigInfos {
    /// What a request to create or change a connector is refused with: nothing if all is well.
    pub fn error_text(&self) -> Option<String> {
        if self.error_count == 0 {
            return None;
        }
        let count = self.error_count;
        let mut text = format!("Connector configuration is invalid and contains the following {count} error(s):");
        let values = self.configs.iter().filter_map(|config| config.value.as_ref());
        for error in values.flat_map(|value| &value.errors) {
            text.push('\n');
            text.push_str(error);
        }
        text.push_str(
            "\nYou can also find the above list of errors at the endpoint \
             `/connector-plugins/{connectorType}/config/validate`",
        );
        Some(text)
    }

    /// Takes the results of another part of a validation in, as Kafka merges them.
    pub(crate) fn merge(&mut self, more: Self) {
        self.error_count += more.error_count;
        self.configs.extend(more.configs);
        for group in more.groups {
            if !self.groups.contains(&group) {
                self.groups.push(group);
            }
        }
    }
}
