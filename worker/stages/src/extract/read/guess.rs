//! What type a text column has: told from its values.

use pipeline::spec::stages::ColumnType;

use crate::extract::moments;

/// Rows from whose values a column's type is guessed.
pub(crate) const GUESS_ROWS: u64 = 10_000;

/// What a column's values have been so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Guess {
    /// Missing, all of them.
    Nothing,
    Boolean,
    Integer,
    Float,
    Date,
    Datetime,
    Text,
}

impl Guess {
    /// What a text that is not missing looks like.
    pub(crate) fn of(text: &[u8]) -> Self {
        match text.first() {
            Some(b'0'..=b'9' | b'+' | b'-' | b'.') => {
                if is_integer(text) {
                    Self::Integer
                } else if is_float(text) {
                    Self::Float
                } else if moments::date(text).is_some() {
                    Self::Date
                } else if moments::datetime(text).is_some() {
                    Self::Datetime
                } else {
                    Self::Text
                }
            }
            Some(b't' | b'T' | b'f' | b'F') if is_boolean(text) => Self::Boolean,
            Some(b'i' | b'I' | b'N' | b'n') if is_float(text) => Self::Float,
            _ => Self::Text,
        }
    }

    /// The narrowest type that holds both.
    pub(crate) fn with(self, other: Self) -> Self {
        match (self, other) {
            (Self::Nothing, x) | (x, Self::Nothing) => x,
            (a, b) if a == b => a,
            (Self::Integer, Self::Float) | (Self::Float, Self::Integer) => Self::Float,
            (Self::Date, Self::Datetime) | (Self::Datetime, Self::Date) => Self::Datetime,
            _ => Self::Text,
        }
    }

    /// True if a value that looks like `other` can be read as this type.
    pub(crate) fn holds(self, other: Self) -> bool {
        self.with(other) == self
    }

    /// The type; a column with nothing in it is a text.
    pub(crate) fn column_type(self) -> ColumnType {
        match self {
            Self::Boolean => ColumnType::Boolean,
            Self::Integer => ColumnType::Integer,
            Self::Float => ColumnType::Float,
            Self::Date => ColumnType::Date,
            Self::Datetime => ColumnType::Datetime,
            Self::Nothing | Self::Text => ColumnType::Text,
        }
    }

    /// What people call its values.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Nothing => "missing values",
            Self::Boolean => "true and false",
            Self::Integer => "whole numbers",
            Self::Float => "numbers",
            Self::Date => "dates",
            Self::Datetime => "times",
            Self::Text => "texts",
        }
    }
}

impl From<ColumnType> for Guess {
    fn from(kind: ColumnType) -> Self {
        match kind {
            ColumnType::Boolean => Self::Boolean,
            ColumnType::Integer => Self::Integer,
            ColumnType::Float => Self::Float,
            ColumnType::Text => Self::Text,
            ColumnType::Date => Self::Date,
            ColumnType::Datetime => Self::Datetime,
        }
    }
}

fn is_boolean(text: &[u8]) -> bool {
    text.eq_ignore_ascii_case(b"true") || text.eq_ignore_ascii_case(b"false")
}

/// A whole number of 64 bits. More digits are a text: as a number they would lose some.
fn is_integer(text: &[u8]) -> bool {
    let digits = match text {
        [b'+' | b'-', digits @ ..] => digits,
        digits => digits,
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return false;
    }
    digits.len() < 19
        || std::str::from_utf8(text).is_ok_and(|text| text.trim_start_matches('+').parse::<i64>().is_ok())
}

fn is_float(text: &[u8]) -> bool {
    let unsigned = match text {
        [b'+' | b'-', rest @ ..] => rest,
        rest => rest,
    };
    if unsigned.eq_ignore_ascii_case(b"nan") || unsigned.eq_ignore_ascii_case(b"inf") {
        return true;
    }
    // Digits only are whole numbers that are too large, or identifiers: see `is_integer`.
    let has_mark = unsigned.iter().any(|b| matches!(b, b'.' | b'e' | b'E'));
    let is_number = unsigned
        .iter()
        .all(|b| matches!(b, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'));
    has_mark && is_number && std::str::from_utf8(text).is_ok_and(|text| text.parse::<f64>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_types_from_values() {
        for (text, guess) in [
            ("1", Guess::Integer),
            ("-17", Guess::Integer),
            ("9223372036854775807", Guess::Integer),
            ("9223372036854775808", Guess::Text),
            ("1.5", Guess::Float),
            ("-.5", Guess::Float),
            ("1e3", Guess::Float),
            ("NaN", Guess::Float),
            ("-inf", Guess::Float),
            ("true", Guess::Boolean),
            ("False", Guess::Boolean),
            ("2013-01-01", Guess::Date),
            ("2013-01-01T10:00:00Z", Guess::Datetime),
            ("2013-02-30", Guess::Text),
            ("N14228", Guess::Text),
            ("1.2.3", Guess::Text),
            (" 1", Guess::Text),
            ("-", Guess::Text),
        ] {
            assert_eq!(Guess::of(text.as_bytes()), guess, "{text}");
        }
    }

    #[test]
    fn the_narrowest_type_holds_both() {
        use Guess::{Boolean, Date, Datetime, Float, Integer, Nothing, Text};
        let all = [Nothing, Boolean, Integer, Float, Date, Datetime, Text];
        for a in all {
            for b in all {
                let both = a.with(b);
                assert_eq!(both, b.with(a));
                assert!(both.holds(a) && both.holds(b), "{a:?} {b:?}");
            }
        }
        assert_eq!(Integer.with(Float), Float);
        assert_eq!(Integer.with(Date), Text);
    }
}
