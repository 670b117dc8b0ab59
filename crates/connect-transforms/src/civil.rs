//! The calendar, in UTC, for years from 1583 on as Java has it.

/// A moment, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Civil {
    pub(crate) year: i64,
    /// From 1.
    pub(crate) month: i64,
    /// From 1.
    pub(crate) day: i64,
    /// From 1.
    pub(crate) day_of_year: i64,
    /// Monday is 1.
    pub(crate) day_of_week: i64,
    pub(crate) hour: i64,
    pub(crate) minute: i64,
    pub(crate) second: i64,
    pub(crate) millis: i64,
}

pub(crate) const MILLIS_PER_DAY: i64 = 86_400_000;

impl Civil {
    /// Of milliseconds since 1970.
    pub(crate) fn of_millis(timestamp: i64) -> Self {
        let days = timestamp.div_euclid(MILLIS_PER_DAY);
        let of_day = timestamp.rem_euclid(MILLIS_PER_DAY);
        // Years that begin in March have their leap day at the end (Howard Hinnant, "chrono-compatible date algorithms").
        let shifted = days + 719_468;
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_march_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_march_year + 2) / 153;
        let month = if month_from_march < 10 {
            month_from_march + 3
        } else {
            month_from_march - 9
        };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        Self {
            year,
            month,
            day: day_of_march_year - (153 * month_from_march + 2) / 5 + 1,
            day_of_year: days - days_before(year, 1) + 1,
            day_of_week: (days + 3).rem_euclid(7) + 1,
            hour: of_day / 3_600_000,
            minute: of_day / 60_000 % 60,
            second: of_day / 1_000 % 60,
            millis: of_day % 1_000,
        }
    }
}

/// Days from 1970 to the first of a month, which may be any number: the 13th is the next January.
pub(crate) fn days_before(year: i64, month: i64) -> i64 {
    let year = year + (month - 1).div_euclid(12);
    let month = (month - 1).rem_euclid(12) + 1;
    let march_year = if month <= 2 { year - 1 } else { year };
    let era = march_year.div_euclid(400);
    let year_of_era = march_year.rem_euclid(400);
    let month_from_march = (month + 9) % 12;
    let day_of_march_year = (153 * month_from_march + 2) / 5;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_march_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_of_eight_centuries_has_the_number_that_it_had() {
        for days in days_before(1583, 1)..days_before(2400, 1) {
            let civil = Civil::of_millis(days * MILLIS_PER_DAY);
            assert_eq!(days_before(civil.year, civil.month) + civil.day - 1, days);
            assert_eq!(days_before(civil.year, 1) + civil.day_of_year - 1, days);
        }
    }
}
