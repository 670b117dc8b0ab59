use std::collections::HashSet;

use crate::{ConfigError, Value, value::java_double};

/// Which values a key may have.
#[derive(Clone, Copy, Debug)]
pub enum Validator {
    /// All.
    Any,
    /// A whole number that is at least this.
    AtLeast(i64),
    /// A whole number from the first to the second, both included.
    Between(i64, i64),
    /// A number from the first to the second, both included.
    BetweenDoubles(f64, f64),
    /// One of these texts.
    OneOf(&'static [&'static str]),
    /// One of these texts in any case; they are listed in upper case.
    OneOfIgnoringCase(&'static [&'static str]),
    /// A list without repeats (they are dropped with a warning) and without empty elements.
    List {
        /// What its elements may be; empty: anything.
        of: &'static [&'static str],
        /// Whether it may be empty.
        empty_allowed: bool,
        /// Whether it may be left without a value.
        null_allowed: bool,
    },
    /// Text, if any, that is not empty.
    NonEmptyString,
    /// Text, if any, that is not empty and holds no control characters.
    NonEmptyStringWithoutControlChars,
    /// A list without repeats, where a repeat is an error: the aliases of transformations and such.
    UniqueAliases {
        /// What Kafka's text calls them: `transformation aliases`.
        what: &'static str,
    },
    /// A rule of its own.
    Rule {
        /// Kafka's text for the rule, if it has one.
        text: Option<&'static str>,
        /// Says what is wrong with the value: the part of the message after `Invalid value V for configuration K: `.
        check: fn(&Value) -> Result<(), String>,
    },
    /// A rule of its own whose message has another form.
    Custom {
        /// Kafka's text for the rule, if it has one.
        text: Option<&'static str>,
        /// Says in a whole sentence what is wrong with the value of the key that it is given.
        check: fn(&str, &Value) -> Result<(), ConfigError>,
    },
}

impl Validator {
    /// A list of anything, maybe empty.
    pub const LIST: Validator = Validator::List {
        of: &[],
        empty_allowed: true,
        null_allowed: false,
    };
    /// A list of anything with at least one element.
    pub const NON_EMPTY_LIST: Validator = Validator::List {
        of: &[],
        empty_allowed: false,
        null_allowed: false,
    };

    /// What the validator allows, as Kafka prints it in its docs; `None` where it prints nothing.
    pub fn text(&self) -> Option<String> {
        match self {
            Validator::Any => None,
            Validator::AtLeast(min) => Some(format!("[{min},...]")),
            Validator::Between(min, max) => Some(format!("[{min},...,{max}]")),
            Validator::BetweenDoubles(min, max) => Some(format!("[{},...,{}]", java_double(*min), java_double(*max))),
            Validator::OneOf(texts) => Some(format!("[{}]", texts.join(", "))),
            Validator::OneOfIgnoringCase(texts) => Some(format!("(case insensitive) [{}]", texts.join(", "))),
            Validator::List { of: [], .. } => Some(String::new()),
            Validator::List { of, .. } => Some(format!("[{}]", of.join(", "))),
            Validator::NonEmptyString => Some("non-empty string".to_owned()),
            Validator::NonEmptyStringWithoutControlChars => {
                Some("non-empty string without ISO control characters".to_owned())
            }
            Validator::UniqueAliases { what } => Some(format!("non-null string, unique {what}")),
            Validator::Rule { text, .. } | Validator::Custom { text, .. } => text.map(str::to_owned),
        }
    }

    /// Checks `value`, which is `Null` also where the text could not be read (Kafka's `ensureValid`).
    pub fn check(&self, name: &str, value: &Value) -> Result<(), ConfigError> {
        let invalid = |why: String| Err(ConfigError::invalid(name, value, why));
        match self {
            Validator::Any => Ok(()),
            #[expect(clippy::cast_precision_loss, reason = "bounds are small")]
            Validator::AtLeast(min) => match value.as_f64() {
                None => invalid("Value must be non-null".to_owned()),
                Some(n) if n < *min as f64 => invalid(format!("Value must be at least {min}")),
                Some(_) => Ok(()),
            },
            #[expect(clippy::cast_precision_loss, reason = "bounds are small")]
            Validator::Between(min, max) => match value.as_f64() {
                None => invalid("Value must be non-null".to_owned()),
                Some(n) if n < *min as f64 => invalid(format!("Value must be at least {min}")),
                Some(n) if n > *max as f64 => invalid(format!("Value must be no more than {max}")),
                Some(_) => Ok(()),
            },
            Validator::BetweenDoubles(min, max) => match value.as_f64() {
                None => invalid("Value must be non-null".to_owned()),
                Some(n) if n < *min => invalid(format!("Value must be at least {}", java_double(*min))),
                Some(n) if n > *max => invalid(format!("Value must be no more than {}", java_double(*max))),
                Some(_) => Ok(()),
            },
            Validator::OneOf(texts) => match value.as_text() {
                Some(text) if texts.contains(&text) => Ok(()),
                _ => invalid(format!("String must be one of: {}", texts.join(", "))),
            },
            Validator::OneOfIgnoringCase(texts) => match value.as_text() {
                Some(text) if texts.contains(&text.to_uppercase().as_str()) => Ok(()),
                _ => invalid(format!(
                    "String must be one of (case insensitive): {}",
                    texts.join(", ")
                )),
            },
            Validator::List {
                of,
                empty_allowed,
                null_allowed,
            } => check_list(name, value, of, *empty_allowed, *null_allowed),
            Validator::NonEmptyString => match value.as_text() {
                Some("") => invalid("String must be non-empty".to_owned()),
                _ => Ok(()),
            },
            Validator::NonEmptyStringWithoutControlChars => match value.as_text() {
                Some("") => invalid("String may not be empty".to_owned()),
                Some(text) => {
                    let found: Vec<String> = text
                        .chars()
                        .filter(|c| c.is_control())
                        .map(|c| u32::from(c).to_string())
                        .collect();
                    if found.is_empty() {
                        return Ok(());
                    }
                    invalid(format!(
                        "String may not contain control sequences but had the following ASCII chars: {}",
                        found.join(", ")
                    ))
                }
                None => Ok(()),
            },
            Validator::UniqueAliases { .. } => match value {
                Value::List(aliases) if has_repeats(aliases) => invalid("Duplicate alias provided.".to_owned()),
                Value::Null => invalid("entry must be non null".to_owned()),
                _ => Ok(()),
            },
            Validator::Rule { check, .. } => check(value).or_else(invalid),
            Validator::Custom { check, .. } => check(name, value),
        }
    }
}

fn check_list(
    name: &str,
    value: &Value,
    of: &[&str],
    empty_allowed: bool,
    null_allowed: bool,
) -> Result<(), ConfigError> {
    let fail = |what: String| Err(ConfigError::new(name, format!("Configuration '{name}' {what}")));
    let elements = match value {
        Value::List(elements) => elements,
        _ if null_allowed => return Ok(()),
        _ => return fail("values must not be null.".to_owned()),
    };
    if elements.is_empty() && !empty_allowed {
        let valid = if of.is_empty() {
            "any non-empty value".to_owned()
        } else {
            format!("[{}]", of.join(", "))
        };
        return fail(format!("must not be empty. Valid values include: {valid}"));
    }
    if has_repeats(elements) {
        return fail("values must not be duplicated.".to_owned());
    }
    for element in elements {
        if element.is_empty() {
            return fail("values must not be empty.".to_owned());
        }
        if !of.is_empty() && !of.contains(&element.as_str()) {
            return Err(ConfigError::invalid(
                name,
                element,
                format_args!("String must be one of: {}", of.join(", ")),
            ));
        }
    }
    Ok(())
}

/// Lists come from requests, too, and can be long.
fn has_repeats(elements: &[String]) -> bool {
    let mut seen = HashSet::with_capacity(elements.len());
    elements.iter().any(|element| !seen.insert(element))
}
