//! A literal as Connect reads it (`Values.parseString`), written as a header converter would (`Values.convertToString`).
//!
//! Kafka guesses a type: `007` is the number 7, `1.0` is 1, `1e3` is 1000, `12:30` is 12 because a number ends at a comma,
//! colon, quote or bracket. What is nothing else is text.

use crate::{
    civil::{Civil, MILLIS_PER_DAY, days_before},
    header_converter::HeaderConverter,
};

/// A literal that this crate does not write.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LiteralError {
    #[error("{0} takes bytes only, and a literal is none: choose SimpleHeaderConverter or StringConverter")]
    BytesOnly(&'static str),
    #[error("header values written by {0} are not supported: choose SimpleHeaderConverter or StringConverter")]
    Converter(&'static str),
    #[error("arrays and maps are not supported as the value of a header")]
    Structured,
    #[error("the number is too large or too small for the value of a header")]
    Number,
    #[error("StringConverter writes a date in the zone and language of a JVM: choose SimpleHeaderConverter")]
    Date,
}

#[derive(Debug, PartialEq)]
enum Parsed<'a> {
    Null,
    Text(&'a str),
    Number(String),
    /// Milliseconds since 1970.
    Moment(i64),
}

/// The bytes of a header's value.
pub(crate) fn header_value(literal: &str, converter: HeaderConverter) -> Result<Option<Vec<u8>>, LiteralError> {
    let parsed = parse(literal.trim())?;
    let text = match (converter, parsed) {
        (HeaderConverter::Json, _) => return Err(LiteralError::Converter("JsonConverter")),
        (_, Parsed::Null) => return Ok(None),
        (HeaderConverter::ByteArray, _) => return Err(LiteralError::BytesOnly("ByteArrayConverter")),
        (_, Parsed::Text(text)) => text.to_owned(),
        (_, Parsed::Number(text)) => text,
        (HeaderConverter::Simple, Parsed::Moment(millis)) => moment(millis),
        (HeaderConverter::String, Parsed::Moment(_)) => return Err(LiteralError::Date),
    };
    Ok(Some(text.into_bytes()))
}

fn parse(text: &str) -> Result<Parsed<'_>, LiteralError> {
    if text == "null" {
        return Ok(Parsed::Null);
    }
    if is_structured(text) {
        return Err(LiteralError::Structured);
    }
    if let Some(millis) = parse_moment(text) {
        return Ok(Parsed::Moment(millis));
    }
    let token = text.split(is_delimiter).next().unwrap_or_default().trim();
    match parse_number(token)? {
        Some(number) => Ok(Parsed::Number(number)),
        None => Ok(Parsed::Text(text)),
    }
}

/// What Kafka may read as an array or map. It reads some of it as text after all; that is not tried here.
fn is_structured(text: &str) -> bool {
    let closed_by = |close| text.contains(close);
    (text.starts_with('[') && closed_by(']')) || (text.starts_with('{') && closed_by('}'))
}

fn is_delimiter(c: char) -> bool {
    matches!(c, '[' | ']' | '{' | '}' | ',' | ':' | '"')
}

/// A date, a time or both, at the start and up to a delimiter. Fields may be too large, as Java's lenient parser allows.
fn parse_moment(text: &str) -> Option<i64> {
    const DATE: &str = "0000-00-00";
    const TIME: &str = "00:00:00.000Z";
    const BOTH: &str = "0000-00-00T00:00:00.000Z";
    let has_shape = |shape: &str| {
        let bytes = text.as_bytes();
        let fits = |(byte, shape): (&u8, u8)| {
            if shape == b'0' {
                byte.is_ascii_digit()
            } else {
                *byte == shape
            }
        };
        bytes.len() >= shape.len()
            && bytes.iter().zip(shape.bytes()).all(fits)
            && text[shape.len()..].chars().next().is_none_or(is_delimiter)
    };
    let number = |from: usize, to: usize| text[from..to].parse::<i64>().unwrap_or(0);
    let date = || (days_before(number(0, 4), number(5, 7)) + number(8, 10) - 1) * MILLIS_PER_DAY;
    let time = |at: usize| {
        let minutes = number(at, at + 2) * 60 + number(at + 3, at + 5);
        (minutes * 60 + number(at + 6, at + 8)) * 1_000 + number(at + 9, at + 12)
    };
    if has_shape(BOTH) {
        Some(date() + time(11))
    } else if has_shape(DATE) {
        Some(date())
    } else if has_shape(TIME) {
        Some(time(0))
    } else {
        None
    }
}

/// As Kafka chooses the format: by the value, not by its type.
fn moment(millis: i64) -> String {
    let at = Civil::of_millis(millis);
    let date = format!("{:04}-{:02}-{:02}", at.year, at.month, at.day);
    let time = format!("{:02}:{:02}:{:02}.{:03}Z", at.hour, at.minute, at.second, at.millis);
    if millis < MILLIS_PER_DAY {
        time
    } else if millis % MILLIS_PER_DAY == 0 {
        date
    } else {
        format!("{date}T{time}")
    }
}

/// Java's `BigDecimal` with a digit or sign in front, written as the smallest type that Kafka finds for it.
fn parse_number(token: &str) -> Result<Option<String>, LiteralError> {
    let Some(decimal) = Decimal::parse(token) else {
        return Ok(None);
    };
    if let Some(whole) = decimal.whole() {
        return Ok(Some(whole));
    }
    let single: f32 = token.parse().map_err(|_| LiteralError::Number)?;
    if single.is_finite() {
        return Ok(Some(java_float(&format!("{single:e}"))));
    }
    let double: f64 = token.parse().map_err(|_| LiteralError::Number)?;
    if double.is_finite() {
        return Ok(Some(java_float(&format!("{double:e}"))));
    }
    Err(LiteralError::Number)
}

struct Decimal {
    negative: bool,
    /// Without a point.
    digits: String,
    /// How many of the digits stand behind the point; negative: so many zeros follow.
    scale: i64,
    /// Written without point and exponent.
    is_plain: bool,
}

impl Decimal {
    fn parse(token: &str) -> Option<Self> {
        let unsigned = token.strip_prefix(['+', '-']);
        let body = unsigned.unwrap_or(token);
        if unsigned.is_none() && !body.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        let (mantissa, exponent) = match body.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => {
                let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
                let good = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
                (mantissa, good.then(|| exponent.parse::<i32>().ok()).flatten()?)
            }
            None => (body, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = format!("{whole}{fraction}");
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        Some(Self {
            negative: token.starts_with('-'),
            digits,
            scale: fraction.len() as i64 - i64::from(exponent),
            is_plain: body.bytes().all(|b| b.is_ascii_digit()),
        })
    }

    /// The number if it is whole and fits a long, or is written as a whole number of any size.
    fn whole(&self) -> Option<String> {
        let significant = self.digits.trim_start_matches('0');
        let without_zeros = significant.trim_end_matches('0');
        if without_zeros.is_empty() {
            return Some("0".to_owned());
        }
        let sign = if self.negative { "-" } else { "" };
        // So many zeros end the number as it stands behind its last digit.
        let zeros = (significant.len() - without_zeros.len()) as i64 - self.scale;
        let fits = (0..=19).contains(&zeros).then(|| {
            let text = format!("{sign}{without_zeros}{}", "0".repeat(zeros as usize));
            text.parse::<i64>().ok().map(|number| number.to_string())
        });
        if let Some(Some(number)) = fits {
            return Some(number);
        }
        self.is_plain.then(|| format!("{sign}{significant}"))
    }
}

/// `Float.toString` and `Double.toString` of a number in Rust's shortest scientific form.
fn java_float(scientific: &str) -> String {
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(mantissa) => ("-", mantissa),
        None => ("", mantissa),
    };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let digits = mantissa.replace('.', "");
    let with_point = |whole: &str, fraction: &str| {
        let whole = if whole.is_empty() { "0" } else { whole };
        let fraction = if fraction.is_empty() { "0" } else { fraction };
        format!("{whole}.{fraction}")
    };
    let text = match exponent {
        0..=6 => {
            let point = exponent as usize + 1;
            let padded = format!("{digits:0<point$}");
            with_point(&padded[..point], &padded[point..])
        }
        -3..=-1 => with_point("0", &format!("{}{digits}", "0".repeat((-exponent) as usize - 1))),
        _ => format!("{}E{exponent}", with_point(&digits[..1], &digits[1..])),
    };
    format!("{sign}{text}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden;

    #[test]
    fn literals_are_written_as_kafkas_converters_do() {
        let mut compared = 0;
        for case in golden::cases("insert header") {
            let literal = golden::text(&case, "literal").expect("a literal");
            let kind = golden::text(&case, "type").expect("a type");
            let check = |converter, field: &str| {
                let written = header_value(literal, converter);
                let written = written.map(|bytes| bytes.map(|bytes| String::from_utf8(bytes).expect("text")));
                let expected = golden::text(&case, field).map(str::to_owned);
                assert_eq!(written, Ok(expected), "{literal:?} for {field}");
            };
            let is_date = kind.contains(".Date") || kind.contains(".Time");
            match header_value(literal, HeaderConverter::Simple) {
                Err(LiteralError::Structured) => assert!(literal.starts_with(['[', '{']), "{literal}"),
                Err(LiteralError::Number) => assert!(kind.ends_with("Decimal"), "{literal}"),
                _ => {
                    check(HeaderConverter::Simple, "simple");
                    compared += 1;
                    if is_date {
                        assert_eq!(header_value(literal, HeaderConverter::String), Err(LiteralError::Date));
                    } else {
                        check(HeaderConverter::String, "string");
                    }
                }
            }
        }
        assert!(compared > 140, "{compared}");
    }

    #[test]
    fn only_null_is_bytes() {
        assert_eq!(header_value("null", HeaderConverter::ByteArray), Ok(None));
        assert!(matches!(
            header_value("x", HeaderConverter::ByteArray),
            Err(LiteralError::BytesOnly(_))
        ));
        assert!(matches!(
            header_value("x", HeaderConverter::Json),
            Err(LiteralError::Converter(_))
        ));
    }
}
