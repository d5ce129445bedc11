//! Parts of days and hours, by the arithmetic of H. Hinnant, chrono-compatible low-level date algorithms (2013).

use super::settings::CalendarPart;

/// A part of the moment that is so many hours after the start of 1970, in UTC and the Gregorian calendar, which is
/// extended to before its invention.
pub(super) fn part(part: CalendarPart, hours: i64) -> f32 {
    let days = hours.div_euclid(24);
    let (year, month, day) = civil(days);
    let value = match part {
        CalendarPart::Year => year,
        CalendarPart::Month => month,
        CalendarPart::Day => day,
        // The first day of 1970 was a Thursday.
        CalendarPart::Weekday => (days + 3).rem_euclid(7) + 1,
        CalendarPart::Yearday => days - days_from_civil(year, 1, 1) + 1,
        CalendarPart::Hour => hours.rem_euclid(24),
    };
    #[expect(
        clippy::cast_precision_loss,
        reason = "years that an f32 does not hold are no years of data"
    )]
    {
        value as f32
    }
}

/// Years are counted from March here, so that the leap day is the last; an era is 400 years, which all have the same
/// number of days.
const ERA_DAYS: i64 = 146_097;
/// From the first of March of the year 0 to the start of 1970.
const EPOCH_DAYS: i64 = 719_468;

/// Year, month and day of the month.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + EPOCH_DAYS;
    let era = days.div_euclid(ERA_DAYS);
    let day_of_era = days.rem_euclid(ERA_DAYS);
    // Takes away the leap days before it: one in 4 years, none in 100, one in 400.
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // From March on, five months have 153 days, again and again.
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

/// The inverse of [`civil`].
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * ERA_DAYS + day_of_era - EPOCH_DAYS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(hours: i64) -> Vec<f32> {
        [
            CalendarPart::Year,
            CalendarPart::Month,
            CalendarPart::Day,
            CalendarPart::Weekday,
            CalendarPart::Yearday,
            CalendarPart::Hour,
        ]
        .map(|p| part(p, hours))
        .to_vec()
    }

    #[test]
    fn known_days() {
        assert_eq!(parts(0), [1970.0, 1.0, 1.0, 4.0, 1.0, 0.0]);
        assert_eq!(parts(-1), [1969.0, 12.0, 31.0, 3.0, 365.0, 23.0]);
        // 2012-12-31 18:00, a Monday of a leap year.
        assert_eq!(parts(15_705 * 24 + 18), [2012.0, 12.0, 31.0, 1.0, 366.0, 18.0]);
        // 2000-02-29, a Tuesday.
        assert_eq!(parts(11_016 * 24), [2000.0, 2.0, 29.0, 2.0, 60.0, 0.0]);
    }

    #[test]
    fn every_day_of_eight_centuries_comes_back_and_follows_the_one_before() {
        let mut before = civil(-146_098);
        for days in -146_097..146_097 {
            let (year, month, day) = civil(days);
            assert_eq!(days_from_civil(year, month, day), days);
            let follows = (year, month, day) == (before.0, before.1, before.2 + 1)
                || (year, month, day) == (before.0, before.1 + 1, 1)
                || (year, month, day) == (before.0 + 1, 1, 1);
            assert!(follows, "{year}-{month}-{day} after {before:?}");
            before = (year, month, day);
        }
    }
}
