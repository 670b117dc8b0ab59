//! Patterns of topics, groups and settings, in the regex dialect of Java.
//!
//! Nearly all that people write is regular, and matched in time that grows with the length of pattern and name alone.
//! The rest (flags, look-around, back references) goes to an engine that backtracks as Java's does, with its answers
//! remembered. It gives up on a name after five million steps, where Java would go on for hours, or five hundred nested
//! calls, which a repeated group can need for a name of more than a hundred characters; the name does not match then.
//!
//! [`JavaPatterns`] answers yes or no; [`Replacement`] also makes a new name of groups.

mod regular;
mod replacement;

use std::{
    collections::HashMap,
    fmt,
    sync::{Mutex, PoisonError},
};

use self::regular::Regular;
pub use self::replacement::{ReplaceError, Replacement, ReplacementError, RouteError};

/// How many answers are remembered before all are forgotten. Clusters with more topics ask again.
const REMEMBERED_ANSWERS: usize = 100_000;

/// Why a pattern cannot be used; prints as Java's `PatternSyntaxException`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PatternError(String);

impl PatternError {
    fn new(error: &java_regex::PatternSyntaxError) -> Self {
        // Some of the engine's messages name the place themselves.
        let what = error.message.split(" near index ").next().unwrap_or_default();
        let known = WORDS.iter().find(|(engines, ..)| what.starts_with(engines));
        let (what, back) = known.map_or((what, 0), |(_, javas, back)| (javas, *back));
        let index = error.index.saturating_sub(back);
        let mut message = format!("{what} near index {index}\n{}", error.pattern);
        // The caret stands under a character.
        if index < error.pattern.chars().count() {
            message.push('\n');
            message.extend(std::iter::repeat_n(' ', index));
            message.push('^');
        }
        Self(message)
    }
}

/// Where the engine says a thing otherwise than Java: the engine's words, Java's, and by how much Java's place is nearer
/// to the start.
const WORDS: &[(&str, &str, usize)] = &[
    ("Unclosed character class", "Unclosed character class", 1),
    ("Expected ')'", "Unclosed group", 0),
    ("Invalid range: ", "Illegal character range", 1),
    ("Unexpected end of pattern after \\", "Unexpected internal error", 0),
];

/// A list of patterns of which one must match the whole name. An empty list matches nothing.
pub struct JavaPatterns {
    joined: String,
    matcher: Matcher,
}

enum Matcher {
    Nothing,
    Regular(Regular),
    Regex {
        regex: Box<java_regex::Regex>,
        answers: Mutex<HashMap<Box<str>, bool>>,
    },
}

impl JavaPatterns {
    /// Compiles the patterns joined with `|`, as Kafka does: flags such as `(?i)` in one reach the later ones, and a
    /// group may even begin in one and end in another.
    pub fn new<S: AsRef<str>>(patterns: &[S]) -> Result<Self, PatternError> {
        let joined = patterns.iter().map(AsRef::as_ref).collect::<Vec<_>>().join("|");
        let matcher = match Regular::new(patterns) {
            _ if patterns.is_empty() => Matcher::Nothing,
            Some(regular) => Matcher::Regular(regular),
            None => {
                let regex = java_regex::Regex::new(&joined).map_err(|error| PatternError::new(&error))?;
                Matcher::Regex {
                    regex: Box::new(regex),
                    answers: Mutex::default(),
                }
            }
        };
        Ok(Self { joined, matcher })
    }

    /// Whether one of the patterns matches the whole of `name`.
    pub fn matches(&self, name: &str) -> bool {
        match &self.matcher {
            Matcher::Nothing => false,
            Matcher::Regular(regular) => regular.matches(name),
            Matcher::Regex { regex, answers } => {
                // A poisoned map still holds true answers: matching does not change it half-way.
                let mut answers = answers.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(answer) = answers.get(name) {
                    return *answer;
                }
                let answer = regex.matches(name);
                if answers.len() >= REMEMBERED_ANSWERS {
                    answers.clear();
                }
                answers.insert(name.into(), answer);
                answer
            }
        }
    }
}

impl fmt::Debug for JavaPatterns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("JavaPatterns").field(&self.joined).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Java 17's own words.
    #[test]
    fn what_is_wrong_is_said_as_by_java() {
        let check = |pattern: &str, expected: &str| {
            let error = JavaPatterns::new(&[pattern]).expect_err(pattern);
            assert_eq!(error.to_string(), expected);
        };
        check("[", "Unclosed character class near index 0\n[\n^");
        check("a[b", "Unclosed character class near index 2\na[b\n  ^");
        check("a(b", "Unclosed group near index 3\na(b");
        check("*", "Dangling meta character '*' near index 0\n*\n^");
        check("a{", "Illegal repetition near index 2\na{");
        check("[z-a]", "Illegal character range near index 3\n[z-a]\n   ^");
        check("\\", "Unexpected internal error near index 1\n\\");
    }

    fn patterns(list: &[&str]) -> JavaPatterns {
        JavaPatterns::new(list).expect("a good pattern")
    }

    #[test]
    fn other_patterns_go_to_the_engine() {
        let check = |list: &[&str], name: &str, expected: bool| {
            let patterns = patterns(list);
            assert!(matches!(patterns.matcher, Matcher::Regex { .. }), "{list:?}");
            for _ in 0..2 {
                assert_eq!(patterns.matches(name), expected, "{list:?} on {name:?}");
            }
        };
        check(&["(?i)ORD.*", "pay"], "PAY", true);
        check(&["pay", "(?i)ORD.*"], "PAY", false);
        check(&["(?!mm2).*"], "mm2-x", false);
        check(&["(?!mm2).*"], "orders", true);
        check(&["(a", "b)"], "b", true);
        check(&["\\Qa", "b\\E"], "a|b", true);
        check(&["\\p{Lu}+"], "ABC", true);
    }

    #[test]
    fn an_empty_list_matches_nothing() {
        assert!(!patterns(&[]).matches(""));
        assert!(!patterns(&[]).matches("a"));
        assert!(patterns(&[""]).matches(""));
    }

    #[test]
    fn a_bad_pattern_is_an_error_that_points_at_the_place() {
        let error = JavaPatterns::new(&["a{1", "2}"]).expect_err("the comma of a{1,2} split it");
        assert!(error.to_string().ends_with("near index 3\na{1|2}\n   ^"), "{error}");
        assert!(JavaPatterns::new(&["*"]).is_err());
        assert!(JavaPatterns::new(&["a\\"]).is_err());
    }

    #[test]
    fn long_names_are_matched_to_their_end() {
        let name = "ab.".repeat(83);
        for pattern in [
            "[a-z.]+",
            "([a-z]+\\.)+",
            "(a|b|\\.)*",
            "[a-z.]{249}",
            "(?!mm2).*[.]",
            "(?i)AB.*\\.",
        ] {
            assert!(patterns(&[pattern]).matches(&name), "{pattern}");
            assert!(!patterns(&[pattern]).matches(&format!("{name}!")), "{pattern}");
        }
    }

    #[test]
    fn a_catastrophic_pattern_ends() {
        for pattern in ["(a+)+b", "(?!x)(a+)+b"] {
            let patterns = patterns(&[pattern]);
            let started = tokio::time::Instant::now();
            assert!(!patterns.matches(&"a".repeat(200)));
            assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
        }
    }
}
