//! Java patterns as values of keys.

use config_def::{Validator, Value};
use java_pattern::{JavaPatterns, PatternError};

/// What the JVM says of a pattern that is null. Kafka passes it on for a required pattern that is missing.
const NULL_PATTERN: &str = "Cannot invoke \"String.isEmpty()\" because \"this.pattern\" is null";

/// Kafka's `RegexValidator`.
pub(crate) const VALID_REGEX: Validator = Validator::Rule {
    text: Some("valid regex"),
    check: check_regex,
};

/// Kafka's composite of a text that is not empty and a valid regex.
pub(crate) const NON_EMPTY_REGEX: Validator = Validator::Rule {
    text: Some("non-empty string, valid regex"),
    check: |value| match value {
        Value::String(text) if text.is_empty() => Err("String must be non-empty".to_owned()),
        other => check_regex(other),
    },
};

/// A text that is there.
pub(crate) const NON_NULL_STRING: Validator = Validator::Rule {
    text: Some("non-null string"),
    check: |value| match value {
        Value::Null => Err("entry must be non null".to_owned()),
        _ => Ok(()),
    },
};

fn check_regex(value: &Value) -> Result<(), String> {
    match value {
        Value::String(text) => compile(text)
            .map(drop)
            .map_err(|error| format!("Invalid regex: {error}")),
        _ => Err(format!("Invalid regex: {NULL_PATTERN}")),
    }
}

/// One pattern that has to match a whole name.
pub(crate) fn compile(pattern: &str) -> Result<JavaPatterns, PatternError> {
    JavaPatterns::new(&[pattern])
}
