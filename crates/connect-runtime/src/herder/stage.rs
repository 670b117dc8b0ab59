use std::fmt;

/// What the worker does, or has done last: told to those whose request takes too long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    pub(super) description: String,
    pub(super) began_ms: i64,
    pub(super) completed_ms: Option<i64>,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, began) = (&self.description, Instant(self.began_ms));
        match self.completed_ms.map(Instant) {
            None => write!(f, "The worker is currently {what}, which began at {began}."),
            Some(completed) => write!(
                f,
                "The last operation the worker completed was {what}, which began at {began} and completed at {completed}."
            ),
        }
    }
}

/// What those who ask may look at without waiting for the herder.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress {
    pub(super) stage: Option<Stage>,
    pub(super) started: bool,
    pub(super) kafka_cluster_id: Option<String>,
}

/// Milliseconds since 1970 as Java's `Instant` prints them: UTC, and no fraction when there is none.
struct Instant(i64);

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, millis) = (self.0.div_euclid(1000), self.0.rem_euclid(1000));
        let (days, of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        let (year, month, day) = civil(days);
        let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
        match millis {
            0 => f.write_str("Z"),
            millis => write!(f, ".{millis:03}Z"),
        }
    }
}

/// Days since 1970-01-01 as year, month and day of the Gregorian calendar, counted in eras of 400 years from March.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_reads_as_kafkas() {
        let mut stage = Stage {
            description: "polling the group coordinator until interrupted".to_owned(),
            began_ms: 1_700_000_000_000,
            completed_ms: None,
        };
        let current = "The worker is currently polling the group coordinator until interrupted, which began at \
                       2023-11-14T22:13:20Z.";
        assert_eq!(stage.to_string(), current);
        stage.completed_ms = Some(1_709_164_800_007);
        assert!(
            stage
                .to_string()
                .ends_with("and completed at 2024-02-29T00:00:00.007Z.")
        );
    }

    #[test]
    fn instants_are_javas() {
        for (ms, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00Z"),
            (4_102_444_799_999, "2099-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(Instant(ms).to_string(), expected);
        }
    }
}
