//! Login modules as JAAS writes them: a class, a flag, options, a semicolon. `sasl.jaas.config` is one of them, a login
//! configuration file has several under names. Cut into tokens as Java's `StreamTokenizer` does it, since people's passwords
//! depend on it.

use std::collections::BTreeMap;
use std::fmt;
use std::iter::Peekable;
use std::str::Chars;

use crate::Password;

/// A login module and its options. Values are secrets, all of them.
#[derive(Clone, PartialEq, Eq)]
pub struct Jaas {
    /// The class name.
    pub module: String,
    /// What its verdict means beside those of others.
    pub flag: ControlFlag,
    options: BTreeMap<String, Password>,
}

/// What a login module's verdict means beside those of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlFlag {
    /// It must succeed; the others are asked, too.
    Required,
    /// It must succeed, or the others are not asked.
    Requisite,
    /// If it succeeds, the others are not asked.
    Sufficient,
    /// It need not succeed.
    Optional,
}

/// What a login configuration file says under each name. `property` knows Java's system properties, which values may refer to
/// as `${name}`.
pub fn parse_file(
    text: &str,
    property: impl Fn(&str) -> Option<String>,
) -> Result<BTreeMap<String, Vec<Jaas>>, String> {
    let mut tokens = Tokens::of_file(text);
    let mut entries = BTreeMap::new();
    while let Some(token) = tokens.next() {
        let name = token.text().ok_or("a name is expected at the beginning of an entry")?;
        let expected = |what: char| format!("entry {name}: '{what}' is expected");
        if tokens.next() != Some(Token::Other('{')) {
            return Err(expected('{'));
        }
        let mut modules = Vec::new();
        loop {
            match tokens.next() {
                Some(Token::Other('}')) => break,
                Some(Token::Text(class)) => {
                    let module =
                        entry(Token::Text(class), &mut tokens).map_err(|why| format!("entry {name}: {why}"))?;
                    modules.push(
                        module
                            .expanded(&property)
                            .map_err(|why| format!("entry {name}: {why}"))?,
                    );
                }
                _ => return Err(expected('}')),
            }
        }
        if tokens.next() != Some(Token::Other(';')) {
            return Err(expected(';'));
        }
        if entries.contains_key(&name) {
            return Err(format!("entry {name} is there twice"));
        }
        entries.insert(name, modules);
    }
    Ok(entries)
}

impl Jaas {
    /// Reads `sasl.jaas.config`. Errors are in Kafka's words, but show nothing that may be a piece of a password.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut tokens = Tokens::new(text);
        let mut entries = Vec::new();
        while let Some(first) = tokens.next() {
            entries.push(entry(first, &mut tokens)?);
        }
        match (entries.pop(), entries.len()) {
            (None, _) => Err("Login module not specified in JAAS config".into()),
            (Some(only), 0) => Ok(only),
            (Some(_), others) => Err(format!(
                "JAAS config property contains {} login modules, should be 1 module",
                others + 1
            )),
        }
    }

    /// The value of an option.
    pub fn option(&self, name: &str) -> Option<&Password> {
        self.options.get(name)
    }

    /// All options.
    pub fn options(&self) -> impl Iterator<Item = (&str, &Password)> {
        self.options.iter().map(|(name, value)| (name.as_str(), value))
    }
}

impl Jaas {
    fn expanded(self, property: &impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let expand = |(name, value): (String, Password)| Ok((name, Password::new(expand(value.reveal(), property)?)));
        let options = self.options.into_iter().map(expand).collect::<Result<_, String>>()?;
        Ok(Self { options, ..self })
    }
}

/// `${name}` is a system property, `${/}` what stands between the parts of a path.
fn expand(value: &str, property: &impl Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut expanded = String::new();
    let mut rest = value;
    while let Some((before, after)) = rest.split_once("${") {
        let Some((name, after)) = after.split_once('}') else {
            break;
        };
        let value = match name {
            "/" => Some("/".to_owned()),
            name => property(name),
        };
        expanded.push_str(before);
        expanded.push_str(&value.ok_or_else(|| format!("there is no system property {name}"))?);
        rest = after;
    }
    expanded.push_str(rest);
    Ok(expanded)
}

impl fmt::Debug for Jaas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jaas")
            .field("module", &self.module)
            .finish_non_exhaustive()
    }
}

fn entry(first: Token, tokens: &mut Tokens<'_>) -> Result<Jaas, String> {
    let module = first.text().unwrap_or_default();
    let flag = match tokens.next() {
        None => return Err("Login module control flag not specified in JAAS config".into()),
        Some(token) => flag(token.text())?,
    };
    let mut options = BTreeMap::new();
    let mut last = None;
    loop {
        let key = match tokens.next() {
            None => return Err("JAAS config entry not terminated by semi-colon".into()),
            Some(Token::Other(';')) => return Ok(Jaas { module, flag, options }),
            Some(token) => token.text(),
        };
        let equals = tokens.next() == Some(Token::Other('='));
        let value = if equals {
            tokens.next().and_then(Token::text)
        } else {
            None
        };
        // Java names the key here. If a quote is not closed, or not escaped, that is a piece of a password.
        let (Some(key), Some(value)) = (key, value) else {
            let place = match last {
                Some(option) => format!("the key after option '{option}'"),
                None => "the first key".to_owned(),
            };
            return Err(format!(
                "Value not specified for {place} in JAAS config (values that are no plain words must be quoted)"
            ));
        };
        last = Some(key.clone());
        options.insert(key, Password::new(value));
    }
}

fn flag(flag: Option<String>) -> Result<ControlFlag, String> {
    let flag = flag.ok_or("Login module control flag is not available in the JAAS config")?;
    match flag.to_ascii_uppercase().as_str() {
        "REQUIRED" => Ok(ControlFlag::Required),
        "REQUISITE" => Ok(ControlFlag::Requisite),
        "SUFFICIENT" => Ok(ControlFlag::Sufficient),
        "OPTIONAL" => Ok(ControlFlag::Optional),
        _ => Err(format!("Invalid login module control flag '{flag}' in JAAS config")),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Token {
    /// A word, or the inside of quotes.
    Text(String),
    /// Digits outside quotes. Java keeps their value only, which Kafka does not look at.
    Number,
    /// Any other character.
    Other(char),
}

impl Token {
    fn text(self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text),
            Self::Number | Self::Other(_) => None,
        }
    }
}

/// `StreamTokenizer` with the settings that Kafka's `JaasConfig` gives it, or Java's `ConfigFile`.
struct Tokens<'a> {
    chars: Peekable<Chars<'a>>,
    /// `*` belongs to words in files.
    is_file: bool,
}

impl<'a> Tokens<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            chars: text.chars().peekable(),
            is_file: false,
        }
    }

    fn of_file(text: &'a str) -> Self {
        Self {
            is_file: true,
            ..Self::new(text)
        }
    }

    fn is_word(&self, c: char) -> bool {
        is_word(c) || self.is_file && c == '*'
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> String {
        std::iter::from_fn(|| self.chars.next_if(|c| wanted(*c))).collect()
    }

    fn skip_line(&mut self) {
        self.take_while(|c| c != '\n' && c != '\r');
    }

    fn skip_block(&mut self) {
        let mut last = ' ';
        for c in self.chars.by_ref() {
            if last == '*' && c == '/' {
                return;
            }
            last = c;
        }
    }

    fn number_or_minus(&mut self) -> Token {
        if self.chars.next_if_eq(&'-').is_some() && !self.chars.peek().is_some_and(|c| is_number(*c)) {
            return Token::Other('-');
        }
        let mut seen_dot = false;
        while let Some(c) = self.chars.peek().copied().filter(|c| is_number(*c)) {
            if c == '.' && std::mem::replace(&mut seen_dot, true) {
                break;
            }
            self.chars.next();
        }
        Token::Number
    }

    /// The rest of a quoted text, to its quote, or to the end of the line without a word.
    fn quoted(&mut self, quote: char) -> Token {
        let mut text = String::new();
        while let Some(c) = self.chars.next_if(|c| !matches!(c, '\n' | '\r')) {
            match c {
                _ if c == quote => break,
                '\\' => text.extend(self.escaped()),
                _ => text.push(c),
            }
        }
        Token::Text(text)
    }

    fn escaped(&mut self) -> Option<char> {
        let c = self.chars.next()?;
        let Some(first) = c.to_digit(8) else {
            return Some(match c {
                'a' => '\x07',
                'b' => '\x08',
                'f' => '\x0c',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'v' => '\x0b',
                other => other,
            });
        };
        // \377 is one character, \477 is two.
        let digits = if first <= 3 { 2 } else { 1 };
        let mut code = first;
        for _ in 0..digits {
            match self.chars.peek().and_then(|c| c.to_digit(8)) {
                Some(digit) => code = code * 8 + digit,
                None => break,
            }
            self.chars.next();
        }
        char::from_u32(code)
    }
}

impl Iterator for Tokens<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        loop {
            self.take_while(|c| c <= ' ');
            let next = *self.chars.peek()?;
            match next {
                c if c == '-' || is_number(c) => return Some(self.number_or_minus()),
                c if self.is_word(c) => {
                    let is_file = self.is_file;
                    let is_part = |c| is_word(c) || is_number(c) || is_file && c == '*';
                    return Some(Token::Text(self.take_while(is_part)));
                }
                c => {
                    self.chars.next();
                    match c {
                        '"' | '\'' => return Some(self.quoted(c)),
                        '/' if self.chars.next_if_eq(&'*').is_some() => self.skip_block(),
                        '/' => self.skip_line(), // one slash is enough, in Java, too
                        other => return Some(Token::Other(other)),
                    }
                }
            }
        }
    }
}

fn is_number(c: char) -> bool {
    c.is_ascii_digit() || c == '.'
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphabetic() || matches!(c, '-' | '_' | '$') || c >= '\u{a0}'
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    /// A password's piece is not shown, and what class may log in is not decided here.
    const OWN_WORDS: &[&str] = &["Value not specified for key", "com.sun.security"];

    #[test]
    fn configurations_are_read_as_java_reads_them() {
        let recorded: Value = serde_json::from_str(include_str!("../testdata/jaas.json")).expect("it is JSON");
        for case in recorded.as_array().expect("a list of cases") {
            let config = case["config"].as_str().expect("a text");
            let ours = Jaas::parse(config);
            let error = case["error"].as_str();
            match (ours, error) {
                (Err(ours), Some(theirs)) if OWN_WORDS.iter().any(|own| theirs.starts_with(own)) => {
                    assert!(ours.starts_with("Value not specified for"), "{config}: {ours}");
                }
                (Err(ours), theirs) => assert_eq!(Some(ours.as_str()), theirs, "{config}"),
                (Ok(_), Some(theirs)) if OWN_WORDS.iter().any(|own| theirs.starts_with(own)) => {
                    assert!(config.starts_with("com.sun"), "{config}: {theirs}");
                }
                (Ok(ours), theirs) => {
                    assert_eq!(theirs, None, "{config}");
                    assert_eq!(ours.module, case["module"].as_str().unwrap_or_default(), "{config}");
                    let options: BTreeMap<&str, Value> = ours
                        .options()
                        .map(|(name, value)| (name, value.reveal().into()))
                        .collect();
                    let theirs = case["options"].as_object().expect("options");
                    let theirs = theirs.iter().map(|(name, value)| (name.as_str(), value.clone()));
                    assert_eq!(options, theirs.collect(), "{config}");
                }
            }
        }
    }

    const FILE: &str = "// who may use the REST API\nKafkaConnect {\n  a.b.PropertyFileLoginModule required\n    \
        file=\"${dir}${/}users\" debug=true;\n  c Sufficient;\n};\n/* more */ other { };";

    #[test]
    fn a_file_has_modules_under_names() {
        let property = |name: &str| (name == "dir").then(|| "/etc/connect".to_owned());
        let entries = parse_file(FILE, property).expect("it is well formed");
        assert_eq!(entries.keys().collect::<Vec<_>>(), ["KafkaConnect", "other"]);
        let modules = &entries["KafkaConnect"];
        let of = |at: usize| (modules[at].module.as_str(), modules[at].flag);
        assert_eq!(of(0), ("a.b.PropertyFileLoginModule", ControlFlag::Required));
        assert_eq!(of(1), ("c", ControlFlag::Sufficient));
        assert_eq!(modules[0].option("file").expect("given").reveal(), "/etc/connect/users");
        assert_eq!(parse_file("", |_| None), Ok(BTreeMap::new()));
        for (bad, why) in [
            ("a", "'{' is expected"),
            ("a {", "'}' is expected"),
            ("a { x", "control flag not specified"),
            ("a { x maybe; };", "Invalid login module control flag 'maybe'"),
            ("a { x required y; };", "Value not specified"),
            ("a { x required y=z };", "Value not specified"),
            ("a { x required; }", "';' is expected"),
            ("a { }; a { };", "twice"),
            ("{ };", "a name is expected"),
            ("a { x required y=\"${z}\"; };", "no system property z"),
        ] {
            let error = parse_file(bad, |_| None).expect_err(bad);
            assert!(error.contains(why), "{bad}: {error}");
        }
    }

    #[test]
    fn no_error_and_no_debug_shows_a_password() {
        let broken = "x required password=\"geheim\"nis\";";
        let error = Jaas::parse(broken).expect_err("the quote is not escaped");
        assert!(!error.contains("nis") && !error.contains("geheim"), "{error}");
        assert!(error.contains("after option 'password'"), "{error}");
        let whole = Jaas::parse("x required password=\"geheim\";").expect("it is whole");
        assert!(!format!("{whole:?}").contains("geheim"));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC*") {
            let _ = Jaas::parse(&text);
            let _ = parse_file(&text, |_| None);
        }

        #[test]
        fn no_near_miss_of_a_file_makes_it_panic(text in "(a|\\{|\\}|;| required |x=\"\\$\\{|\"|/|\\*|\n|=|1){0,20}") {
            let _ = parse_file(&text, |name| Some(name.to_owned()));
        }

        #[test]
        fn no_near_miss_makes_it_panic(text in "[a\\\\\"'=; /*.\\-0-9\n\r$]{0,60}") {
            let _ = Jaas::parse(&text);
        }

        #[test]
        fn what_is_quoted_comes_back(value in "[^\\\\\"\n\r]*") {
            let jaas = Jaas::parse(&format!("m required a=\"{value}\";")).expect("it is well formed");
            prop_assert_eq!(jaas.option("a").expect("it is there").reveal(), value);
        }
    }
}
