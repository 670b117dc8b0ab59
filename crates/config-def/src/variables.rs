//! `${provider:path:key}` in values.

use std::{collections::BTreeMap, fmt};

use crate::{ConfigError, ConfigErrors, Props, ProviderError};

/// Knows values that do not stand in the configuration itself: in a file, in the environment (`ConfigProvider`).
pub trait ConfigProvider: Send + Sync {
    /// The value of `key` at `path`, which is empty in `${provider:key}`. `None` leaves the text as it is.
    fn get(&self, path: &str, key: &str) -> Result<Option<String>, ProviderError>;
}

/// Replaces variables by what providers know. What nobody knows stays as it is; there is no nesting.
#[derive(Default)]
pub struct ConfigTransformer {
    providers: BTreeMap<String, Box<dyn ConfigProvider>>,
}

impl ConfigTransformer {
    /// One that knows nothing and leaves every value as it is.
    pub fn identity() -> Self {
        Self::default()
    }

    /// Adds the provider that `${name:…}` asks.
    #[must_use]
    pub fn with_provider(mut self, name: impl Into<String>, provider: impl ConfigProvider + 'static) -> Self {
        self.providers.insert(name.into(), Box::new(provider));
        self
    }

    /// Every value with its variables replaced, or every key for which a provider failed.
    pub fn transform(&self, props: &Props) -> Result<Props, ConfigErrors> {
        let mut errors = ConfigErrors::default();
        let mut resolved = Props::new();
        for (key, value) in props {
            let value = self
                .transform_value(value)
                .map_err(|error| ConfigError::new(key.as_str(), format!("{key}: {}", error.chain())));
            if let Some(value) = errors.collect(value) {
                resolved.insert(key.clone(), value);
            }
        }
        errors.into_result(resolved)
    }

    /// One value with its variables replaced.
    pub fn transform_value(&self, value: &str) -> Result<String, ProviderError> {
        let mut result = String::new();
        let mut rest = value;
        while let Some((before, variable, after)) = next_variable(rest) {
            result.push_str(before);
            let known = match self.providers.get(variable.provider) {
                Some(provider) => provider.get(variable.path, variable.key)?,
                None => None,
            };
            match known {
                Some(known) => result.push_str(&known),
                None => result.push_str(&rest[before.len()..rest.len() - after.len()]),
            }
            rest = after;
        }
        result.push_str(rest);
        Ok(result)
    }
}

impl fmt::Debug for ConfigTransformer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.providers.keys()).finish()
    }
}

/// Whether `value` holds a variable, so that its own text is to be kept where configurations are stored.
pub fn has_variable(value: &str) -> bool {
    next_variable(value).is_some()
}

struct Variable<'a> {
    provider: &'a str,
    path: &'a str,
    key: &'a str,
}

/// The text before the first variable, the variable, and the text after it.
fn next_variable(text: &str) -> Option<(&str, Variable<'_>, &str)> {
    let mut from = 0;
    loop {
        let start = from + text[from..].find("${")?;
        let inner_start = start + 2;
        let end = inner_start + text[inner_start..].find('}')?;
        if let Some((provider, rest)) = text[inner_start..end].split_once(':') {
            let (path, key) = rest.split_once(':').unwrap_or(("", rest));
            return Some((&text[..start], Variable { provider, path, key }, &text[end + 1..]));
        }
        from = inner_start;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Echo;

    impl ConfigProvider for Echo {
        fn get(&self, path: &str, key: &str) -> Result<Option<String>, ProviderError> {
            Ok((key != "unknown").then(|| format!("<{path}|{key}>")))
        }
    }

    #[test]
    fn variables_are_replaced_and_the_rest_is_kept() {
        let transformer = ConfigTransformer::identity().with_provider("p", Echo);
        let check = |text: &str, expected: &str| {
            let resolved = transformer.transform_value(text).expect("the provider does not fail");
            assert_eq!(resolved, expected, "{text}");
        };
        check("", "");
        check("plain", "plain");
        check("${p:k}", "<|k>");
        check("${p:/a/b:k}", "</a/b|k>");
        check("a${p:x:k}b${p:k}c", "a<x|k>b<|k>c");
        check("${p:x:k:more}", "<x|k:more>");
        check("${other:k}", "${other:k}");
        check("${p:unknown}", "${p:unknown}");
        check("${none}", "${none}");
        check("${none ${p:k}", "${none ${p:k}");
        check("${p:k", "${p:k");
        check("$1", "$1");
        check("é${p:ü:k}ö", "é<ü|k>ö");
        let unknown = ConfigTransformer::identity().transform_value("${p:k}");
        assert_eq!(unknown.expect("nothing is asked"), "${p:k}");
    }

    #[test]
    fn a_variable_is_seen() {
        assert!(has_variable("x${a:b}"));
        assert!(!has_variable("${a}"));
    }
}
