//! Configuration as Kafka knows it: `.properties` files, and tables of keys that serve parsing, validation, REST and docs.
//!
//! Every connector, worker and client describes its keys in one static table ([`ConfigDef`]). `parse` turns a map of
//! strings into typed [`Values`] or names every problem at once, in Kafka's own words. The crate does no I/O but for
//! the [`providers`], and knows nothing of what the keys are for. Start reading at [`ConfigDef`].

mod convert;
mod def;
mod error;
pub mod jaas;
mod key;
mod nearest;
pub mod properties;
pub mod providers;
pub mod security;
mod validator;
mod value;
pub mod variables;

use std::collections::BTreeMap;

pub use convert::{list_elements, parse_boolean};
pub use def::{ConfigDef, ConfigValue, Values};
pub use error::{ConfigError, ConfigErrors};
pub use key::{ConfigKey, DefaultValue, Importance, Recommender, Type, Width, key};
pub use nearest::{distance, nearest};
pub use properties::PropertiesFile;
pub use providers::ProviderError;
pub use validator::Validator;
pub use value::{Password, Value};
pub use variables::{ConfigProvider, ConfigTransformer, has_variable};

/// A configuration before parsing: plain strings, as they come from a file or from REST.
pub type Props = BTreeMap<String, String>;

/// The entries whose key starts with `prefix`, with the prefix taken off (Kafka's `originalsWithPrefix`). A key that is
/// the prefix itself is left out.
pub fn with_prefix_stripped(props: &Props, prefix: &str) -> Props {
    props
        .iter()
        .filter_map(|(key, value)| Some((key.strip_prefix(prefix)?, value)))
        .filter(|(key, _)| !key.is_empty())
        .map(|(key, value)| (key.to_owned(), value.clone()))
        .collect()
}
