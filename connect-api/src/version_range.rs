//! Versions of plug-ins: one is installed, any range of Maven's may be asked for.

use std::{cmp::Ordering, fmt};

/// A wish for a version: Maven's ranges. `1.2` alone means exactly that here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionRange(Vec<Restriction>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Restriction {
    from: Option<String>,
    from_included: bool,
    to: Option<String>,
    to_included: bool,
}

impl VersionRange {
    /// Reads a wish; `None`: the newest. An error is Maven's message.
    pub fn parse(text: Option<&str>) -> Result<Option<Self>, String> {
        let text = text.unwrap_or_default().trim();
        if text.is_empty() || text.eq_ignore_ascii_case("latest") {
            return Ok(None);
        }
        if !text.starts_with(['[', '(']) {
            return Self::parse(Some(&format!("[{text}]")));
        }
        let mut restrictions: Vec<Restriction> = Vec::new();
        let mut rest = text;
        while rest.starts_with(['[', '(']) {
            let Some(end) = rest.find([']', ')']) else {
                return Err(format!("Unbounded range: {text}"));
            };
            let restriction = Restriction::parse(&rest[..=end])?;
            let overlaps = |before: &Restriction| match (&before.to, &restriction.from) {
                (Some(to), Some(from)) => compare(from, to) == Ordering::Less,
                _ => true,
            };
            if restrictions.last().is_some_and(overlaps) {
                return Err(format!("Ranges overlap: {text}"));
            }
            restrictions.push(restriction);
            rest = rest[end + 1..].trim();
            rest = rest.strip_prefix(',').map_or(rest, str::trim);
        }
        if !rest.is_empty() {
            return Err(format!(
                "Only fully-qualified sets allowed in multiple set scenario: {text}"
            ));
        }
        Ok(Some(Self(restrictions)))
    }

    /// Whether `version` is wished for.
    pub fn contains(&self, version: &str) -> bool {
        self.0.iter().any(|restriction| restriction.contains(version))
    }
}

impl Restriction {
    /// One range with its brackets.
    fn parse(text: &str) -> Result<Self, String> {
        let from_included = text.starts_with('[');
        let to_included = text.ends_with(']');
        let inner = text[1..text.len() - 1].trim();
        let bound = |text: &str| (!text.trim().is_empty()).then(|| text.trim().to_owned());
        let Some((from, to)) = inner.split_once(',') else {
            if !from_included || !to_included {
                return Err(format!("Single version must be surrounded by []: {text}"));
            }
            let version = bound(inner);
            return Ok(Self {
                from: version.clone(),
                from_included,
                to: version,
                to_included,
            });
        };
        let range = Self {
            from: bound(from),
            from_included,
            to: bound(to),
            to_included,
        };
        match (&range.from, &range.to) {
            (Some(from), Some(to)) if compare(to, from) == Ordering::Less => {
                Err(format!("Range defies version ordering: {text}"))
            }
            (Some(from), Some(to)) if from == to && !(from_included && to_included) => {
                Err(format!("Range cannot have identical boundaries: {text}"))
            }
            _ => Ok(range),
        }
    }

    fn contains(&self, version: &str) -> bool {
        let above = self.from.as_deref().is_none_or(|from| match compare(version, from) {
            Ordering::Less => false,
            Ordering::Equal => self.from_included,
            Ordering::Greater => true,
        });
        let below = self.to.as_deref().is_none_or(|to| match compare(version, to) {
            Ordering::Less => true,
            Ordering::Equal => self.to_included,
            Ordering::Greater => false,
        });
        above && below
    }
}

impl fmt::Display for VersionRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, range) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            let (from, to) = (range.from.as_deref(), range.to.as_deref());
            f.write_str(if range.from_included { "[" } else { "(" })?;
            write!(f, "{},{}", from.unwrap_or_default(), to.unwrap_or_default())?;
            f.write_str(if range.to_included { "]" } else { ")" })?;
        }
        Ok(())
    }
}

/// Compares numbers as numbers; `1.0` is `1`, and `1-alpha` comes before `1`. Maven's own order of other qualifiers is
/// left out: what is installed has none.
fn compare(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (parts(a), parts(b));
    let length = a.len().max(b.len());
    a.resize(length, Part::Number(0));
    b.resize(length, Part::Number(0));
    a.cmp(&b)
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Qualifier(String),
    Number(u64),
}

fn parts(version: &str) -> Vec<Part> {
    version
        .split(['.', '-'])
        .map(|part| match part.parse() {
            Ok(number) => Part::Number(number),
            Err(_) => Part::Qualifier(part.to_lowercase()),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_mavens() {
        let check = |text: &str, version: &str, expected: Result<bool, &str>| {
            let range = VersionRange::parse(Some(text));
            let answer = range.map(|range| range.is_none_or(|range| range.contains(version)));
            assert_eq!(answer, expected.map_err(str::to_owned), "{text} {version}");
        };
        check("", "4.3.1", Ok(true));
        check(" Latest ", "4.3.1", Ok(true));
        check("4.3.1", "4.3.1", Ok(true));
        check("4.3", "4.3.1", Ok(false));
        check("4.3.1.0", "4.3.1", Ok(true));
        check("4.3.1-rc0", "4.3.1", Ok(false));
        check("[4.3.1]", "4.3.1", Ok(true));
        check("[4.0,5.0)", "4.3.1", Ok(true));
        check("(,4.3.1)", "4.3.1", Ok(false));
        check("(,4.3.1]", "4.3.1", Ok(true));
        check("(4.3.1,)", "4.3.1", Ok(false));
        check("(,1.0],[4.3,)", "4.3.1", Ok(true));
        check("[4.3.1-rc0,)", "4.3.1", Ok(true));
        check("[10,)", "4.3.1", Ok(false));
        check("[1", "4.3.1", Err("Unbounded range: [1"));
        check("(1)", "4.3.1", Err("Single version must be surrounded by []: (1)"));
        check("[2,1]", "4.3.1", Err("Range defies version ordering: [2,1]"));
    }

    #[test]
    fn a_range_is_shown_as_maven_shows_it() {
        let check = |text: &str, expected: &str| {
            let range = VersionRange::parse(Some(text)).expect("good").expect("a range");
            assert_eq!(range.to_string(), expected);
        };
        check("9.9.9", "[9.9.9,9.9.9]");
        check("[1.0,2.0)", "[1.0,2.0)");
        check("(,1.0],[1.2,)", "(,1.0],[1.2,)");
    }
}
