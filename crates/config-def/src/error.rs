use std::fmt;

/// What is wrong with one key, in Kafka's words (`ConfigException`).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ConfigError {
    /// The key.
    pub name: String,
    /// The whole sentence, which names the key and the value.
    pub message: String,
}

impl ConfigError {
    /// A problem of `name` that is said in a sentence of its own.
    pub fn new(name: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            message: message.into(),
        }
    }

    /// `Invalid value V for configuration K: why`
    pub fn invalid(name: &str, value: impl fmt::Display, why: impl fmt::Display) -> Self {
        Self::new(name, format!("Invalid value {value} for configuration {name}: {why}"))
    }

    /// `Missing required configuration "K" which has no default value.`
    pub fn missing(name: &str) -> Self {
        Self::new(
            name,
            format!("Missing required configuration \"{name}\" which has no default value."),
        )
    }
}

/// Every problem of a configuration, in the order of the table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<ConfigError>);

impl ConfigErrors {
    /// `Ok(value)` if nothing was found wrong.
    pub fn into_result<T>(self, value: T) -> Result<T, Self> {
        if self.0.is_empty() { Ok(value) } else { Err(self) }
    }

    /// Adds the error of `result`, if it is one.
    pub fn collect<T>(&mut self, result: Result<T, ConfigError>) -> Option<T> {
        result.map_err(|error| self.0.push(error)).ok()
    }
}

impl From<ConfigError> for ConfigErrors {
    fn from(error: ConfigError) -> Self {
        Self(vec![error])
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}
