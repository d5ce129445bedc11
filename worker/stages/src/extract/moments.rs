//! Days and points in time as they are written: ISO 8601, by the proleptic Gregorian calendar, in UTC.

/// Microseconds of a day.
pub(crate) const DAY_US: i64 = 86_400_000_000;

/// The day of `YYYY-MM-DD`, counted from 1970-01-01.
pub(crate) fn date(text: &[u8]) -> Option<i32> {
    let [y @ .., b'-', m1, m2, b'-', d1, d2] = text else {
        return None;
    };
    if y.len() != 4 {
        return None;
    }
    let (year, month, day) = (number(y)?, number(&[*m1, *m2])?, number(&[*d1, *d2])?);
    let is_real = (1..=12).contains(&month) && (1..=days_of_month(year, month)).contains(&day);
    is_real.then(|| days_from_civil(year, month, day))
}

/// The microsecond of `YYYY-MM-DD`, or of `YYYY-MM-DD`, `T` or a space, `HH:MM`, and if given `:SS`, a fraction and
/// `Z` or an offset such as `+01:00`; counted from 1970-01-01T00:00:00Z. What has no offset is taken as UTC. A fraction's
/// digits after the sixth are dropped.
pub(crate) fn datetime(text: &[u8]) -> Option<i64> {
    let (day, rest) = text.split_at_checked(10)?;
    let midnight_us = i64::from(date(day)?) * DAY_US;
    let Some((b'T' | b' ' | b't', rest)) = rest.split_first() else {
        return rest.is_empty().then_some(midnight_us);
    };
    let (time, offset_s) = without_offset(rest)?;
    let [h1, h2, b':', m1, m2, rest @ ..] = time else {
        return None;
    };
    let (hour, minute) = (number(&[*h1, *h2])?, number(&[*m1, *m2])?);
    let (second, fraction_us) = match rest {
        [] => (0, 0),
        [b':', s1, s2] => (number(&[*s1, *s2])?, 0),
        [b':', s1, s2, b'.' | b',', fraction @ ..] => (number(&[*s1, *s2])?, micros(fraction)?),
        _ => return None,
    };
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let seconds = i64::from(hour * 3600 + minute * 60 + second) - offset_s;
    Some(midnight_us + seconds * 1_000_000 + fraction_us)
}

/// The day as it is written.
pub(crate) fn date_text(days: i64) -> String {
    let (year, month, day) = civil_from_days(days);
    format!("{year:04}-{month:02}-{day:02}")
}

/// The point in time as it is written, to the second.
pub(crate) fn datetime_text(us: i64) -> String {
    let seconds = us.rem_euclid(DAY_US) / 1_000_000;
    format!(
        "{}T{:02}:{:02}:{:02}Z",
        date_text(us.div_euclid(DAY_US)),
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}

fn without_offset(time: &[u8]) -> Option<(&[u8], i64)> {
    match time {
        [rest @ .., b'Z' | b'z'] => Some((rest, 0)),
        [rest @ .., sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (number(&[*h1, *h2])?, number(&[*m1, *m2])?);
            let seconds = i64::from(hours * 3600 + minutes * 60);
            let is_real = hours <= 23 && minutes <= 59;
            is_real.then_some((rest, if *sign == b'-' { -seconds } else { seconds }))
        }
        _ => Some((time, 0)),
    }
}

fn number(digits: &[u8]) -> Option<i32> {
    digits.iter().try_fold(0i32, |n, digit| {
        digit.is_ascii_digit().then(|| n * 10 + i32::from(digit - b'0'))
    })
}

fn micros(fraction: &[u8]) -> Option<i64> {
    if fraction.is_empty() || fraction.len() > 12 || !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digits = (0..6).map(|i| fraction.get(i).map_or(0, |digit| i64::from(digit - b'0')));
    Some(digits.fold(0, |n, digit| n * 10 + digit))
}

fn days_of_month(year: i32, month: i32) -> i32 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Counts in eras of 400 years that begin on 1 March, so that a leap day is the last of its year.
fn days_from_civil(year: i32, month: i32, day: i32) -> i32 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The inverse of [`days_from_civil`].
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let (day, month) = (day_of_year - (153 * shifted + 2) / 5 + 1, (shifted + 2) % 12 + 1);
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_what_is_written() {
        assert_eq!(date(b"1970-01-01"), Some(0));
        assert_eq!(date(b"2013-01-01"), Some(15_706));
        assert_eq!(date(b"2024-02-29"), Some(19_782));
        let noon = 15_706 * DAY_US + 43_200_000_000;
        for text in [
            "2013-01-01T12:00:00Z",
            "2013-01-01 12:00",
            "2013-01-01T14:00:00+02:00",
            "2013-01-01T07:30:00.000-04:30",
        ] {
            assert_eq!(datetime(text.as_bytes()), Some(noon), "{text}");
        }
        assert_eq!(datetime(b"1970-01-01 00:00:00.1234567"), Some(123_456));
        assert_eq!(datetime(b"2013-01-01"), Some(15_706 * DAY_US));
    }

    #[test]
    fn refuses_what_is_no_date() {
        for text in [
            "",
            "2013-02-29",
            "2013-13-01",
            "2013-00-10",
            "13-01-01",
            "2013/01/01",
            "2013-1-1",
            "-2013-01-01",
        ] {
            assert_eq!(date(text.as_bytes()), None, "{text}");
        }
        for text in [
            "2013-01-01T",
            "2013-01-01T24:00:00Z",
            "2013-01-01T12",
            "2013-01-01T12:00:00+2",
            "2013-01-01T12:00:00.",
            "x",
        ] {
            assert_eq!(datetime(text.as_bytes()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_day_and_second_reads_back(days in -700_000i64..2_900_000, second in 0i64..86_400) {
            let text = date_text(days);
            prop_assert_eq!(date(text.as_bytes()).map(i64::from), Some(days));
            let us = days * DAY_US + second * 1_000_000;
            prop_assert_eq!(datetime(datetime_text(us).as_bytes()), Some(us));
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = (date(&bytes), datetime(&bytes));
        }
    }
}
