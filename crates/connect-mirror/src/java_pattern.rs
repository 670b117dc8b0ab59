//! Patterns of topics, groups and settings, in the regex dialect of Java.
//!
//! Nearly all that people write is made of letters, `.` and `.*`; such patterns are matched here, in time that grows with
//! the length of pattern and name alone. The rest goes to a regex engine that backtracks as Java's does, with its answers
//! remembered; it gives up on a name after five million steps, where Java would go on for hours.

use std::{
    collections::HashMap,
    fmt,
    sync::{Mutex, PoisonError},
};

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
        let caret = " ".repeat(error.index) + "^";
        Self(format!("{what} near index {}\n{}\n{caret}", error.index, error.pattern))
    }
}

/// A list of patterns of which one must match the whole name. An empty list matches nothing.
pub struct JavaPatterns {
    joined: String,
    matcher: Matcher,
}

enum Matcher {
    Globs(Vec<Glob>),
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
        let globs: Option<Vec<Glob>> = patterns.iter().map(|pattern| Glob::parse(pattern.as_ref())).collect();
        let matcher = match globs {
            Some(globs) => Matcher::Globs(globs),
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
            Matcher::Globs(globs) => globs.iter().any(|glob| glob.matches(name)),
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

/// A pattern of literal characters, `.`, `.*` and `.+`.
struct Glob(Vec<Piece>);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Piece {
    Literal(char),
    AnyCharacter,
    AnyText,
}

impl Glob {
    /// `None` if the pattern uses anything else.
    fn parse(pattern: &str) -> Option<Self> {
        let mut pieces = Vec::new();
        let mut characters = pattern.chars().peekable();
        while let Some(character) = characters.next() {
            match character {
                '.' => match characters.next_if(|next| matches!(next, '*' | '+' | '?' | '{')) {
                    None => pieces.push(Piece::AnyCharacter),
                    Some('*') => pieces.push(Piece::AnyText),
                    Some('+') => pieces.extend([Piece::AnyCharacter, Piece::AnyText]),
                    Some(_) => return None,
                },
                // An escaped letter or digit means something special.
                '\\' => match characters.next()? {
                    escaped if escaped.is_ascii_alphanumeric() => return None,
                    escaped => pieces.push(Piece::Literal(escaped)),
                },
                '*' | '+' | '?' | '|' | '(' | ')' | '[' | ']' | '{' | '}' | '^' | '$' => return None,
                literal => pieces.push(Piece::Literal(literal)),
            }
            // `a*`, `a?`, `.*?`, `.*+`: repeats of another kind.
            if characters
                .peek()
                .is_some_and(|next| matches!(next, '*' | '+' | '?' | '{'))
            {
                return None;
            }
        }
        Some(Self(pieces))
    }

    /// Steps through the name; on a mismatch goes back to the last `.*` and lets it take one character more.
    fn matches(&self, name: &str) -> bool {
        let name: Vec<char> = name.chars().collect();
        let (mut at, mut piece) = (0, 0);
        let mut last_any_text: Option<(usize, usize)> = None;
        loop {
            match self.0.get(piece) {
                Some(Piece::AnyText) => {
                    last_any_text = Some((piece, at));
                    piece += 1;
                    continue;
                }
                None if at == name.len() => return true,
                Some(Piece::Literal(literal)) if name.get(at) == Some(literal) => {
                    (at, piece) = (at + 1, piece + 1);
                    continue;
                }
                Some(Piece::AnyCharacter) if name.get(at).is_some_and(|c| !ends_line(*c)) => {
                    (at, piece) = (at + 1, piece + 1);
                    continue;
                }
                _ => {}
            }
            match last_any_text {
                Some((any_text, taken_to)) if name.get(taken_to).is_some_and(|c| !ends_line(*c)) => {
                    last_any_text = Some((any_text, taken_to + 1));
                    (at, piece) = (taken_to + 1, any_text + 1);
                }
                _ => return false,
            }
        }
    }
}

/// What `.` does not match in Java.
fn ends_line(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn patterns(list: &[&str]) -> JavaPatterns {
        JavaPatterns::new(list).expect("a good pattern")
    }

    fn is_glob(patterns: &JavaPatterns) -> bool {
        matches!(patterns.matcher, Matcher::Globs(_))
    }

    #[test]
    fn simple_patterns_match_whole_names_without_the_engine() {
        let check = |pattern: &str, name: &str, expected: bool| {
            let patterns = patterns(&[pattern]);
            assert!(is_glob(&patterns), "{pattern}");
            assert_eq!(patterns.matches(name), expected, "{pattern} on {name:?}");
            let engine = java_regex::Regex::new(pattern).expect("a good pattern");
            assert_eq!(
                engine.matches(name),
                expected,
                "the engine says otherwise: {pattern} on {name:?}"
            );
        };
        check("orders", "orders", true);
        check("orders", "orders2", false);
        check("orders", "my-orders", false);
        check("orders.*", "orders", true);
        check("orders.*", "orders.dlq", true);
        check("orders\\..*", "orders-x", false);
        check("orders\\..*", "orders.x", true);
        check(".*", "", true);
        check(".*", "a\nb", false);
        check(".+", "", false);
        check(".+", "a", true);
        check("a.c", "abc", true);
        check("a.c", "ac", false);
        check("a.c", "a\u{2028}c", false);
        check("mm2.*\\.internal", "mm2-configs.A.internal", true);
        check("mm2.*\\.internal", "mm2.internal", true);
        check("mm2.*\\.internal", "mm2internal", false);
        check(".*a.*b.*c", "xxaxxbxxbxc", true);
        check(".*a.*b.*c", "xxaxxbxxbx", false);
        check("", "", true);
        check("", "a", false);
        check("a\nb.*", "a\nbc", true);
    }

    #[test]
    fn other_patterns_go_to_the_engine() {
        let check = |list: &[&str], name: &str, expected: bool| {
            let patterns = patterns(list);
            assert!(!is_glob(&patterns), "{list:?}");
            for _ in 0..2 {
                assert_eq!(patterns.matches(name), expected, "{list:?} on {name:?}");
            }
        };
        check(&["a|b"], "b", true);
        check(&["(?i)ORD.*", "pay"], "PAY", true);
        check(&["[a-z]+", "x1"], "x1", true);
        check(&["\\d+"], "42", true);
        check(&["a*"], "aaa", true);
        check(&[".*?b"], "ab", true);
        check(&["(?!mm2).*"], "mm2-x", false);
        check(&["(?!mm2).*"], "orders", true);
        check(&["(a", "b)"], "b", true);
    }

    #[test]
    fn an_empty_list_matches_nothing() {
        assert!(!patterns(&[]).matches(""));
        assert!(!patterns(&[]).matches("a"));
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
        for pattern in ["[a-z.]+", "[a-z.]{249}", ".*[.]"] {
            assert!(patterns(&[pattern]).matches(&name), "{pattern}");
            assert!(!patterns(&[pattern]).matches(&format!("{name}!")), "{pattern}");
        }
    }

    #[test]
    fn a_catastrophic_pattern_ends() {
        let patterns = patterns(&["(a+)+b"]);
        let started = tokio::time::Instant::now();
        assert!(!patterns.matches(&"a".repeat(200)));
        assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
    }

    proptest::proptest! {
        #[test]
        fn globs_agree_with_the_engine(pattern in "(a|b|\\.|\\.\\*|\\\\\\.){0,6}", name in "[ab.\n]{0,8}") {
            let ours = patterns(&[pattern.as_str()]);
            proptest::prop_assert!(is_glob(&ours));
            let engine = java_regex::Regex::new(&pattern).expect("a good pattern");
            proptest::prop_assert_eq!(ours.matches(&name), engine.matches(&name));
        }
    }
}
