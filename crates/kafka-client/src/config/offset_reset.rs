//! `auto.offset.reset`.

use std::time::Duration;

use config_def::Value;

/// Where a consumer begins when there is no usable offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OffsetReset {
    /// At the oldest record.
    Earliest,
    /// At the end.
    Latest,
    /// Nowhere: it is an error.
    None,
    /// At the first record that is not older than this.
    ByDuration(Duration),
}

impl OffsetReset {
    /// Reads `earliest`, `latest`, `none` or `by_duration:PnDTnHnMn.nS`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        match text {
            "earliest" => Ok(Self::Earliest),
            "latest" => Ok(Self::Latest),
            "none" => Ok(Self::None),
            _ => match text.strip_prefix("by_duration:").map(parse_duration) {
                Some(Ok(duration)) => Ok(Self::ByDuration(duration)),
                Some(Err(why)) => Err(why),
                None => Err(
                    "the strategy must be either 'earliest', 'latest', 'none' or of the format \
                             'by_duration:<PnDTnHnMn.nS.>'."
                        .to_owned(),
                ),
            },
        }
    }
}

pub(super) fn check(value: &Value) -> Result<(), String> {
    match value {
        Value::String(text) => OffsetReset::parse(text).map(|_| ()),
        _ => Err("it must be set".to_owned()),
    }
}

/// What `java.time.Duration.parse` takes, as far as it is not negative: `P7D`, `PT1H30M`, `P1DT0.5S`.
fn parse_duration(text: &str) -> Result<Duration, String> {
    let invalid = || format!("Unable to parse duration string in by_duration:{text}: it must look like P7D or PT1H30M");
    let upper = text.to_ascii_uppercase();
    if upper.contains('-') {
        return Err("Negative duration is not supported in by_duration".to_owned());
    }
    let body = upper.strip_prefix('P').ok_or_else(invalid)?;
    let (days, time) = match body.split_once('T') {
        Some((_, "")) => return Err(invalid()),
        Some((days, time)) => (days, time),
        None => (body, ""),
    };
    let mut seconds = 0u64;
    let mut nanos = 0u32;
    let mut any = false;
    for (part, units) in [
        (days, &[('D', 86_400)][..]),
        (time, &[('H', 3600), ('M', 60), ('S', 1)][..]),
    ] {
        let mut rest = part;
        for (unit, unit_seconds) in units {
            let Some((number, after)) = rest.split_once(*unit) else {
                continue;
            };
            let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
            if *unit == 'S' {
                nanos = parse_nanos(fraction).ok_or_else(invalid)?;
            } else if number.contains('.') {
                return Err(invalid());
            }
            let whole: u64 = whole.trim_start_matches('+').parse().map_err(|_| invalid())?;
            seconds = whole
                .checked_mul(*unit_seconds)
                .and_then(|s| seconds.checked_add(s))
                .ok_or_else(invalid)?;
            rest = after;
            any = true;
        }
        if !rest.is_empty() {
            return Err(invalid());
        }
    }
    // Beyond this the milliseconds would not fit Kafka's 64 bits.
    if !any || seconds > (i64::MAX / 1000) as u64 {
        return Err(invalid());
    }
    Ok(Duration::new(seconds, nanos))
}

fn parse_nanos(fraction: &str) -> Option<u32> {
    if fraction.len() > 9 || !fraction.chars().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    format!("{fraction:0<9}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strategies_are_read_as_kafka_reads_them() {
        let by = |ms| Some(OffsetReset::ByDuration(Duration::from_millis(ms)));
        for (text, expected) in [
            ("earliest", Some(OffsetReset::Earliest)),
            ("latest", Some(OffsetReset::Latest)),
            ("none", Some(OffsetReset::None)),
            ("Earliest", None),
            ("by_duration:P7D", by(7 * 86_400_000)),
            ("by_duration:PT1H30M", by(5_400_000)),
            ("by_duration:pt0.25s", by(250)),
            ("by_duration:P1DT1S", by(86_401_000)),
            ("by_duration:-PT1S", None),
            ("by_duration:PT", None),
            ("by_duration:P", None),
            ("by_duration:PT1S1M", None),
            ("by_duration:1D", None),
            ("by_duration:P99999999999999999999D", None),
            ("", None),
        ] {
            assert_eq!(OffsetReset::parse(text).ok(), expected, "{text}");
        }
    }
}
