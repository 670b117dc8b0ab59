use crate::{ConfigError, ConfigKey, Password, Type, Value};

/// A list as Kafka reads it: the whole is trimmed, empty text is the empty list, else split at commas with the blanks
/// around them. Empty elements are kept, also at the end.
pub fn list_elements(text: &str) -> Vec<String> {
    let text = java_trim(text);
    if text.is_empty() {
        return Vec::new();
    }
    // Java splits on `\s*,\s*`, so blanks go only where a comma is; at both ends the trim took them.
    let elements: Vec<&str> = text.split(',').collect();
    let last = elements.len() - 1;
    elements
        .into_iter()
        .enumerate()
        .map(|(index, element)| {
            let element = if index > 0 {
                element.trim_start_matches(is_regex_space)
            } else {
                element
            };
            let element = if index < last {
                element.trim_end_matches(is_regex_space)
            } else {
                element
            };
            element.to_owned()
        })
        .collect()
}

/// `Boolean.parseBoolean`: anything but `true` is false. For the few keys that Kafka reads around its ConfigDef.
pub fn parse_boolean(text: &str) -> bool {
    text.eq_ignore_ascii_case("true")
}

/// Reads `text` as the type of `key` (`ConfigDef.parseType`); messages call the key `name`.
pub(crate) fn parse_type(key: &ConfigKey, name: &str, text: &str) -> Result<Value, ConfigError> {
    let trimmed = java_trim(text);
    let not_a_number = || ConfigError::invalid(name, text, format_args!("Not a number of type {}", key.kind.name()));
    match key.kind {
        Type::String => Ok(Value::String(trimmed.to_owned())),
        Type::Password => Ok(Value::Password(Password::new(trimmed))),
        Type::List => Ok(Value::List(list_elements(trimmed))),
        // Rust's integers read exactly what Java's do: an optional sign and digits. (Java takes other scripts' digits too.)
        Type::Int => trimmed.parse().map(Value::Int).map_err(|_| not_a_number()),
        Type::Long => trimmed.parse().map(Value::Long).map_err(|_| not_a_number()),
        Type::Short => trimmed.parse().map(Value::Short).map_err(|_| not_a_number()),
        Type::Double => parse_double(trimmed).map(Value::Double).ok_or_else(not_a_number),
        Type::Boolean if trimmed.eq_ignore_ascii_case("true") => Ok(Value::Boolean(true)),
        Type::Boolean if trimmed.eq_ignore_ascii_case("false") => Ok(Value::Boolean(false)),
        Type::Boolean => Err(ConfigError::invalid(
            name,
            text,
            "Expected value to be either true or false",
        )),
        Type::Class => match key.classes {
            Some(known) if !known.contains(&trimmed) => Err(ConfigError::invalid(
                name,
                text,
                format_args!("Class {text} could not be found."),
            )),
            _ => Ok(Value::Class(trimmed.to_owned())),
        },
    }
}

/// `Double.parseDouble`, without its hexadecimal forms.
fn parse_double(text: &str) -> Option<f64> {
    let text = text.strip_suffix(['d', 'D', 'f', 'F']).unwrap_or(text);
    match text.trim_start_matches(['+', '-']) {
        "NaN" => Some(f64::NAN),
        "Infinity" => Some(if text.starts_with('-') {
            f64::NEG_INFINITY
        } else {
            f64::INFINITY
        }),
        // Rust also takes `inf` and `nan`, which Java does not.
        digits if digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') => text.parse().ok(),
        _ => None,
    }
}

/// `String.trim`: everything up to the blank, which takes control characters with it.
fn java_trim(text: &str) -> &str {
    text.trim_matches(|c| c <= ' ')
}

/// What `\s` matches in a Java regex.
fn is_regex_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\x0b' | '\x0c' | '\r')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key;

    #[test]
    fn a_list_splits_at_commas_and_keeps_empty_elements() {
        let check = |text: &str, expected: &[&str]| assert_eq!(list_elements(text), expected, "{text:?}");
        check("", &[]);
        check("   ", &[]);
        check("a", &["a"]);
        check(" a , b ,c ", &["a", "b", "c"]);
        check("a,,b", &["a", "", "b"]);
        check("a,b,", &["a", "b", ""]);
        check(",", &["", ""]);
        check("a b,c", &["a b", "c"]);
        check("a{1,2}", &["a{1", "2}"]);
    }

    #[test]
    fn numbers_are_javas() {
        let check = |kind, text: &str, expected: Option<Value>| {
            assert_eq!(parse_type(&key("k", kind), "k", text).ok(), expected, "{text:?}");
        };
        check(Type::Long, " 5 ", Some(Value::Long(5)));
        check(Type::Long, "+5", Some(Value::Long(5)));
        check(Type::Long, "-1", Some(Value::Long(-1)));
        check(Type::Long, "5L", None);
        check(Type::Long, "", None);
        check(Type::Int, "2147483648", None);
        check(Type::Short, "99999", None);
        check(Type::Double, "1.0d", Some(Value::Double(1.0)));
        check(Type::Double, ".5", Some(Value::Double(0.5)));
        check(Type::Double, "1.", Some(Value::Double(1.0)));
        check(Type::Double, "1e3", Some(Value::Double(1000.0)));
        check(Type::Double, "-Infinity", Some(Value::Double(f64::NEG_INFINITY)));
        check(Type::Double, "inf", None);
        check(Type::Double, "d", None);
        check(Type::Boolean, " TRUE ", Some(Value::Boolean(true)));
        check(Type::Boolean, "yes", None);
    }
}
