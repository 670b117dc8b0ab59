//! The part of Java's regex dialect that needs no backtracking: literals, classes, groups, alternatives, repeats, `^`, `$`.
//!
//! A pattern becomes a small automaton that reads a name once, keeping the set of states it may be in: time grows with
//! pattern times name and nothing else. Only whether the whole name matches is asked, so that greedy and lazy repeats are
//! the same. What is not understood here is left to the engine: the parser says `None` rather than guess.

/// An automaton with more states, from `{n,m}` of large numbers, is left to the engine.
const MAX_STATES: usize = 5_000;
const MAX_DEPTH: usize = 50;
const MAX_REPEAT: usize = 1_000;

/// A compiled pattern.
pub(super) struct Regular {
    states: Vec<State>,
    start: usize,
    compiled_nodes: usize,
}

enum State {
    Match,
    One(Set, usize),
    Either(usize, usize),
    AtStart(usize),
    AtEnd(usize),
}

/// Some characters.
#[derive(Clone)]
struct Set {
    negated: bool,
    ranges: Vec<(char, char)>,
}

#[derive(Clone)]
enum Node {
    One(Set),
    All(Vec<Node>),
    Any(Vec<Node>),
    Repeat {
        node: Box<Node>,
        min: usize,
        max: Option<usize>,
    },
    AtStart,
    AtEnd,
}

impl Regular {
    /// Compiles patterns of which one must match; `None` if one of them is beyond this module. In this part of the
    /// dialect nothing reaches from one pattern into another, so joining them first would make no difference.
    pub(super) fn new<S: AsRef<str>>(patterns: &[S]) -> Option<Self> {
        let nodes: Option<Vec<Node>> = patterns.iter().map(|pattern| Parser::parse(pattern.as_ref())).collect();
        let mut regular = Self {
            states: vec![State::Match],
            start: 0,
            compiled_nodes: 0,
        };
        regular.start = regular.compile(&Node::Any(nodes?), 0)?;
        Some(regular)
    }

    /// Whether the whole of `name` matches.
    pub(super) fn matches(&self, name: &str) -> bool {
        let characters: Vec<char> = name.chars().collect();
        let mut current = StateSet::new(self.states.len());
        let mut next = StateSet::new(self.states.len());
        self.enter(self.start, &characters, 0, &mut current);
        for (at, character) in characters.iter().enumerate() {
            next.clear();
            for &state in &current.listed {
                if let State::One(set, to) = &self.states[state]
                    && set.contains(*character)
                {
                    self.enter(*to, &characters, at + 1, &mut next);
                }
            }
            std::mem::swap(&mut current, &mut next);
            if current.listed.is_empty() {
                return false;
            }
        }
        current.has(0)
    }

    /// Adds `state` and all that is reached from it without reading a character.
    fn enter(&self, state: usize, characters: &[char], at: usize, set: &mut StateSet) {
        let mut open = vec![state];
        while let Some(state) = open.pop() {
            if !set.add(state) {
                continue;
            }
            match self.states[state] {
                State::Either(a, b) => open.extend([b, a]),
                State::AtStart(to) if at == 0 => open.push(to),
                State::AtEnd(to) if is_end(&characters[at..]) => open.push(to),
                State::Match | State::One(..) | State::AtStart(_) | State::AtEnd(_) => {}
            }
        }
    }

    /// Makes the states of `node` that go on to `next`, and gives the first of them.
    fn compile(&mut self, node: &Node, next: usize) -> Option<usize> {
        // Repeats of nothing make no states, but could still go on for ever: `((){1000}){1000}`.
        self.compiled_nodes += 1;
        if self.compiled_nodes > 10 * MAX_STATES {
            return None;
        }
        match node {
            Node::One(set) => self.push(State::One(set.clone(), next)),
            Node::AtStart => self.push(State::AtStart(next)),
            Node::AtEnd => self.push(State::AtEnd(next)),
            Node::All(nodes) => nodes.iter().rev().try_fold(next, |next, node| self.compile(node, next)),
            Node::Any(nodes) => {
                let (last, before) = nodes.split_last()?;
                let mut first = self.compile(last, next)?;
                for node in before.iter().rev() {
                    let other = self.compile(node, next)?;
                    first = self.push(State::Either(other, first))?;
                }
                Some(first)
            }
            Node::Repeat { node, min, max } => {
                let mut first = next;
                match max {
                    None => {
                        let again = self.push(State::Either(next, next))?;
                        let body = self.compile(node, again)?;
                        self.states[again] = State::Either(body, next);
                        first = again;
                    }
                    Some(max) => {
                        for _ in *min..*max {
                            let body = self.compile(node, first)?;
                            first = self.push(State::Either(body, next))?;
                        }
                    }
                }
                (0..*min).try_fold(first, |next, _| self.compile(node, next))
            }
        }
    }

    fn push(&mut self, state: State) -> Option<usize> {
        self.states.push(state);
        (self.states.len() <= MAX_STATES).then(|| self.states.len() - 1)
    }
}

/// Where `$` matches: at the end, and before one line terminator at the end.
fn is_end(rest: &[char]) -> bool {
    match rest {
        [] | ['\r', '\n'] => true,
        [last] => ends_line(*last),
        _ => false,
    }
}

/// What `.` does not match in Java.
fn ends_line(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

struct StateSet {
    listed: Vec<usize>,
    member: Vec<bool>,
}

impl StateSet {
    fn new(states: usize) -> Self {
        Self {
            listed: Vec::new(),
            member: vec![false; states],
        }
    }

    fn add(&mut self, state: usize) -> bool {
        if self.member[state] {
            return false;
        }
        self.member[state] = true;
        self.listed.push(state);
        true
    }

    fn has(&self, state: usize) -> bool {
        self.member[state]
    }

    fn clear(&mut self) {
        for state in self.listed.drain(..) {
            self.member[state] = false;
        }
    }
}

impl Set {
    fn of(c: char) -> Self {
        Self {
            negated: false,
            ranges: vec![(c, c)],
        }
    }

    fn contains(&self, c: char) -> bool {
        self.ranges.iter().any(|(from, to)| (*from..=*to).contains(&c)) != self.negated
    }

    fn any_character() -> Self {
        Self {
            negated: true,
            ranges: vec![
                ('\n', '\n'),
                ('\r', '\r'),
                ('\u{85}', '\u{85}'),
                ('\u{2028}', '\u{2029}'),
            ],
        }
    }
}

struct Parser<'a> {
    rest: std::iter::Peekable<std::str::Chars<'a>>,
    depth: usize,
}

impl<'a> Parser<'a> {
    fn parse(pattern: &'a str) -> Option<Node> {
        let mut parser = Self {
            rest: pattern.chars().peekable(),
            depth: 0,
        };
        let node = parser.alternatives()?;
        parser.rest.next().is_none().then_some(node)
    }

    fn alternatives(&mut self) -> Option<Node> {
        let mut alternatives = vec![self.sequence()?];
        while self.rest.next_if_eq(&'|').is_some() {
            alternatives.push(self.sequence()?);
        }
        Some(Node::Any(alternatives))
    }

    fn sequence(&mut self) -> Option<Node> {
        let mut nodes = Vec::new();
        while let Some(next) = self.rest.peek()
            && !matches!(next, '|' | ')')
        {
            let atom = self.atom()?;
            nodes.push(self.repeated(atom)?);
        }
        Some(Node::All(nodes))
    }

    fn atom(&mut self) -> Option<Node> {
        match self.rest.next()? {
            '.' => Some(Node::One(Set::any_character())),
            '^' => Some(Node::AtStart),
            '$' => Some(Node::AtEnd),
            '(' => self.group(),
            '[' => self.class().map(Node::One),
            '\\' => self.escape().map(Node::One),
            '*' | '+' | '?' | '{' | '}' | ']' => None,
            literal => Some(Node::One(Set::of(literal))),
        }
    }

    /// After `(`: capturing or `(?:`, which are the same here.
    fn group(&mut self) -> Option<Node> {
        if self.rest.next_if_eq(&'?').is_some() {
            self.rest.next_if_eq(&':')?;
        }
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return None;
        }
        let node = self.alternatives()?;
        self.depth -= 1;
        self.rest.next_if_eq(&')')?;
        Some(node)
    }

    fn repeated(&mut self, node: Node) -> Option<Node> {
        let (min, max) = match self.rest.peek() {
            Some('*') => (0, None),
            Some('+') => (1, None),
            Some('?') => (0, Some(1)),
            Some('{') => return self.counted(node),
            _ => return Some(node),
        };
        self.rest.next();
        self.repeat(node, min, max)
    }

    /// `{n}`, `{n,}` or `{n,m}`.
    fn counted(&mut self, node: Node) -> Option<Node> {
        self.rest.next_if_eq(&'{')?;
        let min = self.number()?;
        let max = match self.rest.next_if_eq(&',') {
            None => Some(min),
            Some(_) if self.rest.peek() == Some(&'}') => None,
            Some(_) => Some(self.number()?),
        };
        self.rest.next_if_eq(&'}')?;
        let in_order = max.is_none_or(|max| min <= max);
        in_order.then_some(())?;
        self.repeat(node, min, max)
    }

    fn number(&mut self) -> Option<usize> {
        let mut digits = String::new();
        while let Some(digit) = self.rest.next_if(char::is_ascii_digit) {
            digits.push(digit);
        }
        digits.parse().ok().filter(|number| *number <= MAX_REPEAT)
    }

    fn repeat(&mut self, node: Node, min: usize, max: Option<usize>) -> Option<Node> {
        // A lazy repeat matches the same names. A possessive one does not, and repeats are not repeated.
        self.rest.next_if_eq(&'?');
        if matches!(self.rest.peek(), Some('*' | '+' | '?' | '{')) || matches!(node, Node::AtStart | Node::AtEnd) {
            return None;
        }
        Some(Node::Repeat {
            node: Box::new(node),
            min,
            max,
        })
    }

    /// After a backslash, outside or inside of a class.
    fn escape(&mut self) -> Option<Set> {
        let digits = || vec![('0', '9')];
        let word = || vec![('a', 'z'), ('A', 'Z'), ('_', '_'), ('0', '9')];
        let space = || vec![(' ', ' '), ('\t', '\r')];
        let set = |negated, ranges| Some(Set { negated, ranges });
        match self.rest.next()? {
            'd' => set(false, digits()),
            'D' => set(true, digits()),
            'w' => set(false, word()),
            'W' => set(true, word()),
            's' => set(false, space()),
            'S' => set(true, space()),
            't' => Some(Set::of('\t')),
            'n' => Some(Set::of('\n')),
            'r' => Some(Set::of('\r')),
            'f' => Some(Set::of('\x0c')),
            // Other letters and digits mean something else.
            letter if letter.is_ascii_alphanumeric() || !letter.is_ascii() => None,
            literal => Some(Set::of(literal)),
        }
    }

    /// After `[`. Nested classes and `&&` are the engine's.
    fn class(&mut self) -> Option<Set> {
        let negated = self.rest.next_if_eq(&'^').is_some();
        let mut ranges: Vec<(char, char)> = Vec::new();
        loop {
            let from = match self.rest.next()? {
                ']' if !ranges.is_empty() => return Some(Set { negated, ranges }),
                ']' | '[' | '&' | '^' => return None,
                '\\' => {
                    let set = self.escape()?;
                    match set.ranges[..] {
                        [(from, to)] if !set.negated && from == to => from,
                        _ if set.negated => return None,
                        _ => {
                            ranges.extend(set.ranges);
                            if self.rest.peek() == Some(&'-') {
                                return None;
                            }
                            continue;
                        }
                    }
                }
                // Between two elements it would be a range; first or last it is itself.
                '-' if !ranges.is_empty() && self.rest.peek() != Some(&']') => return None,
                literal => literal,
            };
            if from == '-' || self.rest.next_if_eq(&'-').is_none() {
                ranges.push((from, from));
                continue;
            }
            let to = match self.rest.next()? {
                ']' => {
                    ranges.extend([(from, from), ('-', '-')]);
                    return Some(Set { negated, ranges });
                }
                '\\' => {
                    let set = self.escape()?;
                    match set.ranges[..] {
                        [(to, last)] if !set.negated && to == last => to,
                        _ => return None,
                    }
                }
                '[' | '&' => return None,
                literal => literal,
            };
            (from <= to).then_some(())?;
            ranges.push((from, to));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn engine(pattern: &str) -> java_regex::Regex {
        java_regex::Regex::new(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"))
    }

    #[test]
    fn patterns_match_whole_names_as_the_engine_has_it() {
        let check = |pattern: &str, name: &str, expected: bool| {
            let regular = Regular::new(&[pattern]).unwrap_or_else(|| panic!("{pattern} is regular"));
            assert_eq!(regular.matches(name), expected, "{pattern} on {name:?}");
            assert_eq!(
                engine(pattern).matches(name),
                expected,
                "the engine says otherwise: {pattern} on {name:?}"
            );
        };
        check("orders", "orders", true);
        check("orders", "my-orders", false);
        check("orders.*", "orders.dlq", true);
        check("orders\\..*", "orders-x", false);
        check(".*", "a\nb", false);
        check(".+", "", false);
        check("a.c", "a\u{2028}c", false);
        check("mm2.*\\.internal", "mm2-configs.A.internal", true);
        check("mm2.*\\.internal", "mm2internal", false);
        check(".*a.*b.*c", "xxaxxbxxbxc", true);
        check("", "", true);
        check("", "a", false);
        check("a|b", "b", true);
        check("a|", "", true);
        check("(orders|payments)(-v[0-9]+)?", "payments-v12", true);
        check("(orders|payments)(-v[0-9]+)?", "payments-v", false);
        check("(?:a|ab)(c|bcd)d*", "abcd", true);
        check("[a-z_-]+", "a-b_c", true);
        check("[^a-c]", "\n", true);
        check("[^a-c]", "b", false);
        check("[-a]", "-", true);
        check("[a.]", ".", true);
        check("[\\w.]+", "A_9.z", true);
        check("[\\].]", "]", true);
        check("\\d{3}", "123", true);
        check("\\d{2,}", "1", false);
        check("\\d{1,3}?", "1234", false);
        check("\\s\\S\\D\\W", " aa-", true);
        check("a*?b+?", "aab", true);
        check("^orders$", "orders", true);
        check("^orders$", "orders\n", false);
        check("orders$\\n", "orders\n", true);
        check("a^b", "ab", false);
        check("(a?){3}", "aa", true);
        check("(a*)*", "aaa", true);
        check("(a|b|\\.)*", "ab.", true);
        check("\u{fc}.*", "\u{fc}x", true);
        check("()", "", true);
    }

    #[test]
    fn what_is_not_understood_is_left_to_the_engine() {
        let left = [
            "(?i)a",
            "(?!a).*",
            "(?=a)a",
            "(?<n>a)",
            "(a)\\1",
            "a*+",
            "a++",
            "a?+",
            "a**",
            "a{2}{3}",
            "*",
            "a{",
            "a}",
            "]",
            "(",
            ")",
            "[a",
            "[]a]",
            "[a&&b]",
            "[a[b]]",
            "[z-a]",
            "[\\W]",
            "\\Qa\\E",
            "\\p{L}",
            "\\bx",
            "\\u0041",
            "a{5000}",
            "(a{1000}){1000}",
            "((){1000}){1000}",
            "a{2,1}",
            "\\",
            "[a-c-e]",
            "\\R",
            "^*",
        ];
        for pattern in left {
            assert!(Regular::new(&[pattern]).is_none(), "{pattern}");
        }
    }

    #[test]
    fn a_catastrophic_pattern_is_none_here() {
        let regular = Regular::new(&["(a+)+b", "(a|a)*c"]).expect("regular");
        assert!(!regular.matches(&"a".repeat(10_000)));
        assert!(regular.matches(&format!("{}c", "a".repeat(10_000))));
    }

    proptest! {
        #[test]
        fn the_engine_agrees(
            pattern in "(a|b|\\.|\\.\\*|\\\\\\.|\\[ab\\]|\\[\\^a\\]|\\(a\\|b\\)|\\(ab\\)\\?|b\\+|a\\{1,2\\}|\\||\\(a\\*b\\)\\*|\\^|\\$|\\\\w){0,7}",
            name in "[ab.\n]{0,9}",
        ) {
            let regular = Regular::new(&[&pattern]).expect("regular");
            prop_assert_eq!(regular.matches(&name), engine(&pattern).matches(&name), "{} on {:?}", pattern, name);
        }

        #[test]
        fn no_pattern_panics(pattern in "\\PC{0,12}", name in "\\PC{0,12}") {
            if let Some(regular) = Regular::new(&[&pattern]) {
                prop_assert_eq!(regular.matches(&name), engine(&pattern).matches(&name), "{} on {:?}", pattern, name);
            }
        }
    }
}
