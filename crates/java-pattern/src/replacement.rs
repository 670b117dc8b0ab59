use std::fmt;

use crate::{JavaPatterns, PatternError};

/// A pattern and a replacement for names that it matches whole: Java's `Matcher.matches` followed by `replaceFirst`.
pub struct Replacement {
    whole: JavaPatterns,
    regex: Box<java_regex::Regex>,
    parts: Vec<Part>,
}

/// What a replacement is made of.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    /// The digits after `$`: as many of them as name a group of the pattern, at least one; the rest is text.
    Number(String),
    /// `${name}`
    Name(String),
}

/// Why a replacement cannot be used, in Java's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ReplacementError(String);

impl ReplacementError {
    fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

/// Why a name that the pattern matches cannot be replaced; Java's words where Java fails too.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplaceError {
    /// `$n` of a group that the pattern does not have.
    #[error("No group {0}")]
    Number(String),
    /// The same for `${name}`.
    #[error("No group with name {{{0}}}")]
    Name(String),
    /// The engine gave up on a search that is too deep for it.
    #[error("the pattern is too complex for the name {0}")]
    TooComplex(String),
}

/// Why a pattern and its replacement cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// The pattern.
    #[error(transparent)]
    Pattern(#[from] PatternError),
    /// The replacement.
    #[error(transparent)]
    Replacement(#[from] ReplacementError),
}

impl Replacement {
    /// Compiles both. Java says what is wrong with a replacement only when it is used.
    pub fn new(pattern: &str, replacement: &str) -> Result<Self, RouteError> {
        let regex = java_regex::Regex::new(pattern).map_err(|error| PatternError::new(&error))?;
        Ok(Self {
            whole: JavaPatterns::new(&[pattern])?,
            regex: Box::new(regex),
            parts: parse(replacement)?,
        })
    }

    /// The new name, or `None` if the pattern does not match the whole of `name`.
    ///
    /// What is replaced is the first match that a search finds. It can be shorter than the name: `a|ab` matches the
    /// whole of `ab`, and a search in it finds `a`.
    pub fn apply(&self, name: &str) -> Result<Option<String>, ReplaceError> {
        if !self.whole.matches(name) {
            return Ok(None);
        }
        let Some(found) = self.regex.find_at(name, 0) else {
            return Err(ReplaceError::TooComplex(name.to_owned()));
        };
        let mut result: String = name.chars().take(found.start).collect();
        for part in &self.parts {
            match part {
                Part::Text(text) => result.push_str(text),
                Part::Number(digits) => push_numbered(&mut result, digits, &found)?,
                Part::Name(group) => match found.name(group) {
                    Some(text) => result.push_str(text),
                    None if has_group(self.regex.pattern(), group) => {}
                    None => return Err(ReplaceError::Name(group.clone())),
                },
            }
        }
        result.extend(name.chars().skip(found.end));
        Ok(Some(result))
    }
}

impl fmt::Debug for Replacement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replacement")
            .field("pattern", &self.regex.pattern())
            .field("parts", &self.parts)
            .finish_non_exhaustive()
    }
}

fn push_numbered(result: &mut String, digits: &str, found: &java_regex::MatchInfo) -> Result<(), ReplaceError> {
    let number_of = |len: usize| {
        digits[..len]
            .parse::<usize>()
            .ok()
            .filter(|n| *n <= found.group_count())
    };
    let Some(first) = number_of(1) else {
        return Err(ReplaceError::Number(digits[..1].to_owned()));
    };
    let mut group = (first, 1);
    while group.1 < digits.len()
        && let Some(longer) = number_of(group.1 + 1)
    {
        group = (longer, group.1 + 1);
    }
    result.push_str(found.group(group.0).unwrap_or_default());
    result.push_str(&digits[group.1..]);
    Ok(())
}

/// Whether the pattern has a group of that name, one that took no part in the match.
fn has_group(pattern: &str, name: &str) -> bool {
    pattern.contains(&format!("(?<{name}>"))
}

fn parse(replacement: &str) -> Result<Vec<Part>, ReplacementError> {
    let mut parts = Vec::new();
    let mut text = String::new();
    let mut rest = replacement.chars().peekable();
    while let Some(next) = rest.next() {
        match next {
            '\\' => text.push(
                rest.next()
                    .ok_or(ReplacementError::new("character to be escaped is missing"))?,
            ),
            '$' => {
                if !text.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut text)));
                }
                parts.push(parse_group(&mut rest)?);
            }
            plain => text.push(plain),
        }
    }
    if !text.is_empty() {
        parts.push(Part::Text(text));
    }
    Ok(parts)
}

fn parse_group(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<Part, ReplacementError> {
    match rest.peek() {
        None => Err(ReplacementError::new("Illegal group reference: group index is missing")),
        Some('{') => {
            rest.next();
            let mut name = String::new();
            while let Some(letter) = rest.next_if(char::is_ascii_alphanumeric) {
                name.push(letter);
            }
            if name.is_empty() {
                return Err(ReplacementError::new("named capturing group has 0 length name"));
            }
            if name.starts_with(|first: char| first.is_ascii_digit()) {
                let message = format!("capturing group name {{{name}}} starts with digit character");
                return Err(ReplacementError::new(message));
            }
            match rest.next() {
                Some('}') => Ok(Part::Name(name)),
                _ => Err(ReplacementError::new("named capturing group is missing trailing '}'")),
            }
        }
        Some(first) if first.is_ascii_digit() => {
            let mut digits = String::new();
            while let Some(digit) = rest.next_if(char::is_ascii_digit) {
                digits.push(digit);
            }
            Ok(Part::Number(digits))
        }
        Some(_) => Err(ReplacementError::new("Illegal group reference")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Java 17 answers to `matches` and `replaceFirst`.
    #[test]
    fn a_name_that_matches_whole_is_replaced_as_java_does_it() {
        let check = |pattern: &str, replacement: &str, name: &str, expected: Option<&str>| {
            let made = Replacement::new(pattern, replacement).expect("both are good");
            assert_eq!(
                made.apply(name),
                Ok(expected.map(str::to_owned)),
                "{pattern} {replacement} {name}"
            );
        };
        check("orders", "bestellungen", "orders", Some("bestellungen"));
        check("orders", "bestellungen", "orders2", None);
        check(r"A\.(.*)", "$1", "A.orders", Some("orders"));
        check(r"A\.(.*)", "$1", "B.orders", None);
        check("(.*)", "$1-copy", "a", Some("a-copy"));
        check("(.*)-(.*)", "$2.$1", "x-y-z", Some("z.x-y"));
        check("(a)(b)", "$12", "ab", Some("a2"));
        check("(a)(b)", "$01", "ab", Some("a"));
        check("(a)?b", "[$1]", "b", Some("[]"));
        check("(?<all>.*)", "${all}2", "orders", Some("orders2"));
        check("(?<a>a)?b", "x${a}", "b", Some("x"));
        check("orders", r"\$1\\", "orders", Some(r"$1\"));
        check("a|ab", "x", "ab", Some("xb"));
        check("ü(.)ö", "$1", "üéö", Some("é"));
        check(".*", "x", "", Some("x"));
        check("(?i)ORDERS", "x", "orders", Some("x"));
    }

    #[test]
    fn a_bad_replacement_is_told_in_javas_words() {
        let check = |replacement: &str, expected: &str| {
            let error = Replacement::new(".*", replacement).expect_err("it is bad");
            assert_eq!(error.to_string(), expected, "{replacement}");
        };
        check("$", "Illegal group reference: group index is missing");
        check("$x", "Illegal group reference");
        check("\\", "character to be escaped is missing");
        check("${a", "named capturing group is missing trailing '}'");
        check("${1a}", "capturing group name {1a} starts with digit character");
        assert!(matches!(Replacement::new("*", "x"), Err(RouteError::Pattern(_))));
    }

    #[test]
    fn a_group_that_is_not_there_is_an_error_of_each_name() {
        let numbered = Replacement::new("(.*)", "$2").expect("both are good");
        assert_eq!(numbered.apply("a"), Err(ReplaceError::Number("2".to_owned())));
        let named = Replacement::new("(.*)", "${all}").expect("both are good");
        assert_eq!(
            named.apply("a").expect_err("no such group").to_string(),
            "No group with name {all}"
        );
    }
}
