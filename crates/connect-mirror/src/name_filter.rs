use std::fmt;

use config_def::{ConfigDef, ConfigError, ConfigErrors, Props};
use java_pattern::JavaPatterns;

/// Accepts the names that one list of patterns matches and another does not: the rule that topics and groups share.
#[derive(Debug)]
pub(crate) struct NameFilter {
    include: JavaPatterns,
    exclude: JavaPatterns,
}

impl NameFilter {
    /// Reads the two lists `include` and `exclude` of `def`.
    pub(crate) fn parse(def: &ConfigDef, include: &str, exclude: &str, props: &Props) -> Result<Self, ConfigErrors> {
        let values = def.parse(props)?;
        let mut errors = ConfigErrors::default();
        let include = errors.collect(compile(include, values.list(include)));
        let exclude = errors.collect(compile(exclude, values.list(exclude)));
        match (include, exclude) {
            (Some(include), Some(exclude)) => Ok(Self { include, exclude }),
            _ => Err(errors),
        }
    }

    pub(crate) fn accepts(&self, name: &str) -> bool {
        self.include.matches(name) && !self.exclude.matches(name)
    }
}

/// The patterns of a key; one that cannot be read is a fault of that key.
pub(crate) fn compile(key: &str, patterns: &[String]) -> Result<JavaPatterns, ConfigError> {
    JavaPatterns::new(patterns).map_err(|error| {
        let list = format_args!("[{}]", patterns.join(", ")).to_string();
        ConfigError::invalid(
            key,
            list,
            fmt::from_fn(|f| write!(f, "not a Java regular expression: {error}")),
        )
    })
}
