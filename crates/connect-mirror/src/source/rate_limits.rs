//! How many bytes a second a flow and its topics may take from the source, as a connector's configuration says it.

use config_def::{ConfigDef, ConfigError, ConfigErrors, ConfigKey, Props, Type, Validator, Value, key};
use java_pattern::JavaPatterns;

const FLOW: &str = "heliograph.max.bytes.per.second";
const TOPICS: &str = "heliograph.topic.max.bytes.per.second";

/// Keys of ours: Kafka's connector does not list them, and they are in no task's configuration.
pub static RATE_KEYS: &[ConfigKey] = &[
    key(FLOW, Type::String)
        .default_null()
        .validator(Validator::Rule {
            text: None,
            check: |value| match value {
                Value::String(text) => bytes_per_second(text).map(drop),
                _ => Ok(()),
            },
        })
        .doc("Bytes that the flow takes from the source in a second, at most, such as 5MB; unset: no limit."),
    key(TOPICS, Type::List)
        .default("")
        .validator(Validator::LIST)
        .doc("The same for topics, each for itself: topic:5MB or pattern:5MB, the first that fits."),
];

static CONFIG_DEF: ConfigDef = ConfigDef::new(&[RATE_KEYS]);

/// The limits of a flow.
#[derive(Debug, Default)]
pub struct RateLimits {
    /// Of all its topics together, in bytes a second.
    pub(crate) flow: Option<u64>,
    topics: Vec<TopicLimit>,
}

/// One element of the list.
#[derive(Debug)]
pub(crate) struct TopicLimit {
    element: String,
    names: JavaPatterns,
    pub(crate) bytes_per_second: u64,
}

impl RateLimits {
    /// Reads the two keys.
    pub fn parse(props: &Props) -> Result<Self, ConfigErrors> {
        let values = CONFIG_DEF.parse(props)?;
        let mut errors = ConfigErrors::default();
        let flow = values.opt_string(FLOW).map(|text| bytes_per_second(text.trim()));
        let flow = flow.transpose().expect("the table has checked it");
        let topics = values.list(TOPICS).iter();
        let topics = topics.filter_map(|element| errors.collect(TopicLimit::parse(element)));
        let limits = Self {
            flow,
            topics: topics.collect(),
        };
        errors.into_result(limits)
    }

    /// The limits of topics, in the order in which they count.
    pub(crate) fn topics(&self) -> &[TopicLimit] {
        &self.topics
    }

    /// Which of them a topic has.
    pub(crate) fn position(&self, topic: &str) -> Option<usize> {
        self.topics.iter().position(|limit| limit.names.matches(topic))
    }

    /// The limit of a topic, in bytes a second.
    pub(crate) fn of_topic(&self, topic: &str) -> Option<u64> {
        Some(self.topics[self.position(topic)?].bytes_per_second)
    }
}

/// By what was written: patterns cannot be compared.
impl PartialEq for RateLimits {
    fn eq(&self, other: &Self) -> bool {
        let elements = |limits: &Self| {
            limits
                .topics
                .iter()
                .map(|limit| limit.element.clone())
                .collect::<Vec<_>>()
        };
        self.flow == other.flow && elements(self) == elements(other)
    }
}

impl TopicLimit {
    /// The topic or pattern, as it was written.
    pub(crate) fn names(&self) -> &str {
        self.element.rsplit_once(':').map_or("", |(names, _)| names.trim())
    }

    fn parse(element: &str) -> Result<Self, ConfigError> {
        let invalid = |why: String| ConfigError::invalid(TOPICS, element, why);
        // A pattern may have colons of its own.
        let parts = element.rsplit_once(':').filter(|(names, _)| !names.trim().is_empty());
        let (names, rate) = parts.ok_or_else(|| invalid("not a topic or pattern, a colon and a number".to_owned()))?;
        Ok(Self {
            element: element.to_owned(),
            names: JavaPatterns::new(&[names.trim()])
                .map_err(|error| invalid(format!("not a Java regular expression: {error}")))?,
            bytes_per_second: bytes_per_second(rate.trim()).map_err(invalid)?,
        })
    }
}

const UNITS: [(&str, u64); 7] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("kB", 1_000),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
];

/// `5000000`, `5MB` or `5MiB`.
fn bytes_per_second(text: &str) -> Result<u64, String> {
    let mut units = UNITS.iter();
    let unit = units.find_map(|(unit, bytes)| Some((text.strip_suffix(unit)?, *bytes)));
    let (number, bytes) = unit.unwrap_or((text, 1));
    let is_number = !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit());
    let number = is_number.then(|| number.parse::<u64>().ok()?.checked_mul(bytes));
    match number.flatten() {
        Some(rate) if rate > 0 => Ok(rate),
        _ => Err("must be a positive number of bytes, maybe with kB, MB, GB, KiB, MiB or GiB behind it".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(flow: Option<&str>, topics: &str) -> Result<RateLimits, ConfigErrors> {
        let mut props = Props::from([(TOPICS.to_owned(), topics.to_owned())]);
        props.extend(flow.map(|flow| (FLOW.to_owned(), flow.to_owned())));
        RateLimits::parse(&props)
    }

    #[test]
    fn a_rate_is_a_number_with_or_without_a_unit() {
        let check = |text: &str, expected: Option<u64>| {
            let parsed = parse(Some(text), "").ok().and_then(|limits| limits.flow);
            assert_eq!(parsed, expected, "{text}");
        };
        check("5000000", Some(5_000_000));
        check(" 5MB ", Some(5_000_000));
        check("64KiB", Some(65_536));
        check("1GiB", Some(1 << 30));
        for wrong in [
            "",
            "0",
            "0MB",
            "-1",
            "+1",
            "5 MB",
            "5mb",
            "5M",
            "1e6",
            "MB",
            "99999999999GB",
            "5MBMB",
        ] {
            check(wrong, None);
        }
        assert_eq!(parse(None, "").expect("nothing is set").flow, None);
    }

    #[test]
    fn the_first_pattern_that_matches_the_whole_name_counts() {
        let limits = parse(None, "orders:5MB, pay(?:ments)?.*:1MB, .*:10").expect("good limits");
        let of = |topic| limits.of_topic(topic);
        assert_eq!(of("orders"), Some(5_000_000));
        assert_eq!(of("payments.eu"), Some(1_000_000));
        assert_eq!(of("orders2"), Some(10));
        assert_eq!(parse(None, "orders:1").expect("a good limit").of_topic("other"), None);
    }

    #[test]
    fn every_wrong_element_is_named() {
        let errors = parse(Some("fast"), "").expect_err("no number");
        assert!(
            errors.0[0]
                .message
                .starts_with("Invalid value fast for configuration heliograph.max.bytes")
        );
        let errors = parse(None, "a:1,b,:5,c:x,[:1").expect_err("four are wrong");
        assert_eq!(errors.0.len(), 4, "{errors}");
        assert!(errors.0.iter().all(|error| error.name == TOPICS));
    }

    #[test]
    fn limits_are_compared_as_they_were_written() {
        let limits = |flow, topics| parse(flow, topics).expect("good limits");
        assert_eq!(limits(Some("1MB"), "a:1"), limits(Some("1000kB"), "a:1"));
        assert_ne!(limits(Some("1MB"), "a:1"), limits(Some("1MB"), "b:1"));
    }
}
