//! Days and points in time as people write them. All of them are in UTC.

use std::str::FromStr;
use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::Offset;
use pipeline::Timestamp;

/// The most runs that one `submit --dates` makes.
pub const MAX_DAYS: usize = 1000;

/// A day on the command line: `2026-11-23`, `today`, `yesterday`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Day {
    /// That day.
    On(Date),
    /// As many days before today.
    Ago(u8),
}

impl FromStr for Day {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "today" => return Ok(Self::Ago(0)),
            "yesterday" => return Ok(Self::Ago(1)),
            _ => {}
        }
        // The library's own parser takes more forms than these ten characters, which would make the same day look
        // like several.
        let is_plain = text.len() == 10 && text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
        match text.parse() {
            Ok(date) if is_plain => Ok(Self::On(date)),
            _ => Err(format!(
                "{text:?} is no day; write YYYY-MM-DD, `today` or `yesterday` (UTC)"
            )),
        }
    }
}

impl Day {
    /// The date that is meant, if today is `today`.
    pub fn resolve(self, today: Date) -> Date {
        match self {
            Self::On(date) => date,
            Self::Ago(days) => today.saturating_sub(jiff::Span::new().days(days)),
        }
    }
}

/// Days on the command line, both ends included: `2026-11-01..yesterday`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Days {
    from: Day,
    to: Day,
}

impl FromStr for Days {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (from, to) = text
            .split_once("..")
            .ok_or_else(|| format!("{text:?} is no range of days; write FROM..TO, both included"))?;
        Ok(Self {
            from: from.parse()?,
            to: to.parse()?,
        })
    }
}

impl Days {
    /// Every day that is meant, in order, if today is `today`.
    pub fn resolve(self, today: Date) -> Result<Vec<Date>, String> {
        let (from, to) = (self.from.resolve(today), self.to.resolve(today));
        if from > to {
            return Err(format!("the range {from}..{to} ends before it begins"));
        }
        let days: Vec<Date> = from
            .series(jiff::Span::new().days(1))
            .take_while(|day| *day <= to)
            .take(MAX_DAYS + 1)
            .collect();
        if days.len() > MAX_DAYS {
            return Err(format!(
                "the range {from}..{to} has more than {MAX_DAYS} days; submit it in parts"
            ));
        }
        Ok(days)
    }
}

/// The day of a point in time.
pub fn day_of(at: Timestamp) -> Date {
    i64::try_from(at.0)
        .ok()
        .and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok())
        .map_or(Date::MAX, |at| Offset::UTC.to_datetime(at).date())
}

/// A point in time on the command line: `2026-11-23T18:00:00Z`, `2026-11-23 18:00`, `2026-11-23`.
pub fn parse_time(text: &str) -> Result<Timestamp, String> {
    let wrong = || format!("{text:?} is no time; write YYYY-MM-DDTHH:MM:SSZ, or YYYY-MM-DD HH:MM (UTC)");
    let at = match text.parse::<jiff::Timestamp>() {
        Ok(at) => at,
        Err(_) => text
            .parse::<jiff::civil::DateTime>()
            .and_then(|at| Offset::UTC.to_timestamp(at))
            .map_err(|_| wrong())?,
    };
    u64::try_from(at.as_millisecond())
        .map(Timestamp)
        .map_err(|_| wrong())
}

/// A duration on the command line: `90s`, `2h`, `30d`, `1h 30m`.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|e| format!("{text:?} is no duration ({e}); write for example 90s, 2h, 30d"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn days_are_dates_or_words() {
        let today = date(2028, 3, 1);
        for (text, day) in [
            ("2026-11-23", date(2026, 11, 23)),
            ("2028-02-29", date(2028, 2, 29)),
            ("today", today),
            ("yesterday", date(2028, 2, 29)),
        ] {
            assert_eq!(text.parse::<Day>().map(|d| d.resolve(today)), Ok(day), "{text}");
        }
        for text in [
            "",
            "2026-02-30",
            "2027-02-29",
            "20261123",
            "2026-11-23T10:00",
            "2026-1-1",
            "tomorrow",
            "23.11.2026",
            "+002026-11-23",
        ] {
            let error = text.parse::<Day>().expect_err(text);
            assert!(error.contains("YYYY-MM-DD"), "{error}");
        }
    }

    #[test]
    fn ranges_include_both_ends_and_are_bounded() {
        let today = date(2026, 3, 2);
        let resolve = |text: &str| text.parse::<Days>().and_then(|days| days.resolve(today));
        assert_eq!(
            resolve("2026-02-27..today"),
            Ok(vec![
                date(2026, 2, 27),
                date(2026, 2, 28),
                date(2026, 3, 1),
                date(2026, 3, 2)
            ])
        );
        assert_eq!(resolve("yesterday..yesterday").map(|d| d.len()), Ok(1));
        assert!(
            resolve("today..yesterday")
                .expect_err("backwards")
                .contains("ends before")
        );
        assert!(resolve("2026-01-01").expect_err("one day").contains("FROM..TO"));
        assert!(
            resolve("0001-01-01..9999-12-31")
                .expect_err("too many")
                .contains("1000")
        );
        assert_eq!(resolve("9999-12-30..9999-12-31").map(|d| d.len()), Ok(2));
    }

    #[test]
    fn days_and_times_are_utc() {
        assert_eq!(day_of(Timestamp(0)), date(1970, 1, 1));
        assert_eq!(day_of(Timestamp(86_399_999)), date(1970, 1, 1));
        assert_eq!(day_of(Timestamp(86_400_000)), date(1970, 1, 2));
        assert_eq!(day_of(Timestamp(u64::MAX)), Date::MAX);
        assert_eq!(parse_time("1970-01-01T00:00:01Z"), Ok(Timestamp(1000)));
        assert_eq!(parse_time("1970-01-01T02:00:01+02:00"), Ok(Timestamp(1000)));
        assert_eq!(parse_time("1970-01-02 00:00"), Ok(Timestamp(86_400_000)));
        assert_eq!(parse_time("1970-01-02"), Ok(Timestamp(86_400_000)));
        for text in ["", "soon", "1969-12-31", "25:00"] {
            assert!(parse_time(text).expect_err(text).contains("UTC"));
        }
    }
}
