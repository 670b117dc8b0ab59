//! Java's `SimpleDateFormat`, in UTC and English, as far as names of topics need it.

use crate::civil::Civil;

/// A pattern that was understood.
#[derive(Debug)]
pub(crate) struct DateFormat(Vec<Part>);

#[derive(Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    /// A letter and how often it stands there.
    Field(char, usize),
}

/// Why a pattern cannot be used; Java's words where Java refuses it too.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FormatError {
    #[error("Illegal pattern character '{0}'")]
    IllegalLetter(char),
    #[error("Unterminated quote")]
    UnterminatedQuote,
    #[error("invalid ISO 8601 format: length={0}")]
    TooManyX(usize),
    /// Java knows it: eras, weeks.
    #[error("the letter '{0}' is not supported here; there are y M L d D E u a H k K h m s S z Z X")]
    NotHere(char),
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = [
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
];

impl DateFormat {
    pub(crate) fn parse(pattern: &str) -> Result<Self, FormatError> {
        let mut parts = Vec::new();
        let mut text = String::new();
        let mut rest = pattern.chars().peekable();
        while let Some(next) = rest.next() {
            match next {
                '\'' if rest.next_if_eq(&'\'').is_some() => text.push('\''),
                '\'' => loop {
                    match rest.next().ok_or(FormatError::UnterminatedQuote)? {
                        '\'' if rest.next_if_eq(&'\'').is_none() => break,
                        quoted => text.push(quoted),
                    }
                },
                letter if letter.is_ascii_alphabetic() => {
                    let mut count = 1;
                    while rest.next_if_eq(&letter).is_some() {
                        count += 1;
                    }
                    if !text.is_empty() {
                        parts.push(Part::Text(std::mem::take(&mut text)));
                    }
                    parts.push(field(letter, count)?);
                }
                plain => text.push(plain),
            }
        }
        if !text.is_empty() {
            parts.push(Part::Text(text));
        }
        Ok(Self(parts))
    }

    pub(crate) fn format(&self, timestamp: i64) -> String {
        let civil = Civil::of_millis(timestamp);
        let mut result = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => result.push_str(text),
                Part::Field(letter, count) => push_field(&mut result, &civil, *letter, *count),
            }
        }
        result
    }
}

fn field(letter: char, count: usize) -> Result<Part, FormatError> {
    match letter {
        'X' if count > 3 => Err(FormatError::TooManyX(count)),
        'y' | 'M' | 'L' | 'd' | 'D' | 'E' | 'u' | 'a' | 'H' | 'k' | 'K' | 'h' | 'm' | 's' | 'S' | 'z' | 'Z' | 'X' => {
            Ok(Part::Field(letter, count))
        }
        'G' | 'Y' | 'w' | 'W' | 'F' => Err(FormatError::NotHere(letter)),
        _ => Err(FormatError::IllegalLetter(letter)),
    }
}

fn push_field(result: &mut String, civil: &Civil, letter: char, count: usize) {
    let mut text = |long: &str, is_long: bool| result.push_str(if is_long { long } else { &long[..3] });
    let number = match letter {
        'M' | 'L' if count >= 3 => return text(MONTHS[civil.month as usize - 1], count > 3),
        'E' => return text(DAYS[civil.day_of_week as usize - 1], count > 3),
        'z' => return text(if count > 3 { "Coordinated Universal Time" } else { "UTC" }, count > 3),
        'a' => return result.push_str(if civil.hour < 12 { "AM" } else { "PM" }),
        'Z' => return result.push_str("+0000"),
        'X' => return result.push('Z'),
        'y' if count == 2 => civil.year.rem_euclid(100),
        'y' => civil.year,
        'M' | 'L' => civil.month,
        'd' => civil.day,
        'D' => civil.day_of_year,
        'u' => civil.day_of_week,
        'H' => civil.hour,
        'k' => (civil.hour + 23) % 24 + 1,
        'K' => civil.hour % 12,
        'h' => (civil.hour + 11) % 12 + 1,
        'm' => civil.minute,
        's' => civil.second,
        _ => civil.millis,
    };
    result.push_str(&format!("{number:0count$}"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden;

    #[test]
    fn it_writes_what_java_writes() {
        let mut compared = 0;
        for case in golden::cases("timestamp router") {
            let format = golden::text(&case, "format").expect("a format");
            let parsed = DateFormat::parse(format);
            match parsed {
                Ok(parsed) => {
                    let timestamp = case["timestamp"].as_i64().expect("a number");
                    let expected = golden::text(&case, "result").unwrap_or_else(|| panic!("Java refuses {format}"));
                    assert_eq!(parsed.format(timestamp), expected, "{format} of {timestamp}");
                    compared += 1;
                }
                Err(FormatError::NotHere(letter)) => assert!("GYwWF".contains(letter)),
                Err(error) => assert_eq!(
                    Some(error.to_string().as_str()),
                    golden::text(&case, "error"),
                    "{format}"
                ),
            }
        }
        assert!(compared > 400, "{compared}");
    }
}
