//! Raw columns as numbers, categories and days, whatever their type in the frame at hand, where that loses nothing.

use std::fmt::Write;

use polars::prelude::*;

use super::error::{FeatureError, type_name};
use crate::dataset::ColumnType;

/// Runs `$body` with `$array` bound to the typed array of a column of whole numbers, or else `$other`.
macro_rules! with_integers {
    ($series:expr, |$array:ident| $body:expr, $other:expr) => {
        match $series.dtype() {
            DataType::Int8 => with_integers!(@ $series.i8(), $array, $body),
            DataType::Int16 => with_integers!(@ $series.i16(), $array, $body),
            DataType::Int32 => with_integers!(@ $series.i32(), $array, $body),
            DataType::Int64 => with_integers!(@ $series.i64(), $array, $body),
            DataType::UInt8 => with_integers!(@ $series.u8(), $array, $body),
            DataType::UInt16 => with_integers!(@ $series.u16(), $array, $body),
            DataType::UInt32 => with_integers!(@ $series.u32(), $array, $body),
            DataType::UInt64 => with_integers!(@ $series.u64(), $array, $body),
            _ => $other,
        }
    };
    (@ $typed:expr, $array:ident, $body:expr) => {{
        let $array = $typed.expect("its type was just looked at");
        $body
    }};
}

/// A column by its name.
pub(super) fn column<'a>(frame: &'a DataFrame, name: &str) -> Result<&'a Series, FeatureError> {
    match frame.column(name) {
        Ok(column) => Ok(column.as_materialized_series()),
        Err(_) => Err(FeatureError::MissingColumns(vec![name.into()])),
    }
}

fn wrong_type(series: &Series, wanted: ColumnType) -> FeatureError {
    FeatureError::Type {
        column: series.name().to_string(),
        wanted: type_name(wanted),
        found: series.dtype().to_string(),
    }
}

fn cell(series: &Series, row: usize, problem: &'static str) -> FeatureError {
    FeatureError::Cell {
        column: series.name().to_string(),
        row: row + 1,
        problem,
    }
}

const NOT_BOOLEAN: &str = "must be true or false, or 0 or 1";

/// Visits every row's number. False stands for 0 and true for 1.
pub(super) fn each_number(
    series: &Series,
    wanted: ColumnType,
    mut visit: impl FnMut(usize, Option<f64>) -> Result<(), FeatureError>,
) -> Result<(), FeatureError> {
    if !matches!(
        wanted,
        ColumnType::Boolean | ColumnType::Integer | ColumnType::Float
    ) {
        return Err(wrong_type(series, wanted));
    }
    let mut checked = |row: usize, value: Option<f64>| match value {
        Some(value) if wanted == ColumnType::Boolean && value != 0.0 && value != 1.0 => {
            Err(cell(series, row, NOT_BOOLEAN))
        }
        value => visit(row, value),
    };
    match series.dtype() {
        DataType::Boolean => {
            let array = series.bool().expect("its type was just looked at");
            let mut rows = array.iter().enumerate();
            rows.try_for_each(|(row, value)| checked(row, value.map(f64::from)))
        }
        DataType::Float32 => {
            let array = series.f32().expect("its type was just looked at");
            let mut rows = array.iter().enumerate();
            rows.try_for_each(|(row, value)| checked(row, value.map(f64::from)))
        }
        DataType::Float64 => {
            let array = series.f64().expect("its type was just looked at");
            let mut rows = array.iter().enumerate();
            rows.try_for_each(|(row, value)| checked(row, value))
        }
        DataType::Null => (0..series.len()).try_for_each(|row| checked(row, None)),
        #[allow(
            clippy::cast_precision_loss,
            clippy::cast_lossless,
            reason = "a feature is less exact than this"
        )]
        _ => with_integers!(
            series,
            |array| array
                .iter()
                .enumerate()
                .try_for_each(|(row, value)| checked(row, value.map(|v| v as f64))),
            Err(wrong_type(series, wanted))
        ),
    }
}

/// Every row's number. NaN is missing; so are infinities and what is beyond an `f32`.
pub(super) fn numbers(series: &Series, wanted: ColumnType) -> Result<Vec<f32>, FeatureError> {
    let mut numbers = Vec::with_capacity(series.len());
    each_number(series, wanted, |_, value| {
        numbers.push(value.map_or(f32::NAN, narrow));
        Ok(())
    })?;
    Ok(numbers)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "features are less exact than raw columns"
)]
fn narrow(value: f64) -> f32 {
    let value = value as f32;
    if value.is_finite() { value } else { f32::NAN }
}

/// Visits every row's category as a text: of a whole number its decimal digits, of a truth value `true` or `false`.
pub(super) fn each_category(
    series: &Series,
    wanted: ColumnType,
    mut visit: impl FnMut(usize, Option<&str>),
) -> Result<(), FeatureError> {
    match wanted {
        ColumnType::Text => each_text(series, visit),
        ColumnType::Boolean => each_number(series, wanted, |row, value| {
            visit(
                row,
                value.map(|value| if value == 1.0 { "true" } else { "false" }),
            );
            Ok(())
        }),
        ColumnType::Integer | ColumnType::Float => {
            let mut text = String::new();
            let mut digits = |row: usize, value: Option<i128>| match value {
                None => visit(row, None),
                Some(value) => {
                    text.clear();
                    write!(text, "{value}").expect("a String takes what is written");
                    visit(row, Some(&text));
                }
            };
            if series.dtype().is_bool() {
                return Err(wrong_type(series, wanted));
            }
            with_integers!(
                series,
                |array| {
                    for (row, value) in array.iter().enumerate() {
                        digits(row, value.map(i128::from));
                    }
                    Ok(())
                },
                each_number(series, wanted, |row, value| {
                    let value = value.filter(|value| value.is_finite());
                    digits(row, value.map(|v| whole(series, row, v)).transpose()?);
                    Ok(())
                })
            )
        }
        ColumnType::Date | ColumnType::Datetime => Err(wrong_type(series, ColumnType::Text)),
    }
}

fn whole(series: &Series, row: usize, value: f64) -> Result<i128, FeatureError> {
    /// Beyond this not every whole number is a float.
    const MOST: f64 = 9_007_199_254_740_992.0;
    if value.fract() != 0.0 || value.abs() > MOST {
        let problem = "must be a whole number, as it is taken for a category";
        return Err(cell(series, row, problem));
    }
    #[expect(clippy::cast_possible_truncation, reason = "it is whole and small enough")]
    Ok(value as i128)
}

fn each_text(series: &Series, mut visit: impl FnMut(usize, Option<&str>)) -> Result<(), FeatureError> {
    let cast;
    let series = match series.dtype() {
        DataType::String => series,
        DataType::Null => {
            (0..series.len()).for_each(|row| visit(row, None));
            return Ok(());
        }
        DataType::Categorical(..) | DataType::Enum(..) => {
            cast = series
                .cast(&DataType::String)
                .map_err(|_| wrong_type(series, ColumnType::Text))?;
            &cast
        }
        _ => return Err(wrong_type(series, ColumnType::Text)),
    };
    let array = series.str().expect("its type was just looked at");
    for (row, text) in array.iter().enumerate() {
        visit(row, text);
    }
    Ok(())
}

/// Visits every row's hours since the start of 1970 (UTC), rounded down.
pub(super) fn each_hour(
    series: &Series,
    wanted: ColumnType,
    mut visit: impl FnMut(usize, Option<i64>),
) -> Result<(), FeatureError> {
    match (wanted, series.dtype()) {
        (ColumnType::Date | ColumnType::Datetime, DataType::Date) => {
            let array = series.date().expect("its type was just looked at");
            for (row, days) in array.physical().iter().enumerate() {
                visit(row, days.map(|days| i64::from(days) * 24));
            }
        }
        (ColumnType::Datetime, DataType::Datetime(unit, _)) => {
            let per_hour: i64 = match unit {
                TimeUnit::Nanoseconds => 3_600_000_000_000,
                TimeUnit::Microseconds => 3_600_000_000,
                TimeUnit::Milliseconds => 3_600_000,
            };
            let array = series.datetime().expect("its type was just looked at");
            for (row, ticks) in array.physical().iter().enumerate() {
                visit(row, ticks.map(|ticks| ticks.div_euclid(per_hour)));
            }
        }
        (ColumnType::Date | ColumnType::Datetime, DataType::Null) => {
            (0..series.len()).for_each(|row| visit(row, None));
        }
        _ => return Err(wrong_type(series, wanted)),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(series: &Series, wanted: ColumnType) -> Result<Vec<Option<String>>, FeatureError> {
        let mut texts = Vec::new();
        each_category(series, wanted, |_, text| texts.push(text.map(str::to_owned)))?;
        Ok(texts)
    }

    #[test]
    fn numbers_of_every_type_are_the_same() {
        let floats = Series::new("x".into(), [Some(1.0f64), None, Some(0.0)]);
        let wanted: Vec<u32> = [1.0, f32::NAN, 0.0].iter().map(|v: &f32| v.to_bits()).collect();
        for kind in [
            DataType::Int8,
            DataType::UInt16,
            DataType::Int32,
            DataType::UInt64,
            DataType::Float32,
            DataType::Boolean,
        ] {
            let series = floats.cast(&kind).expect("casts");
            for wanted_kind in [ColumnType::Integer, ColumnType::Float, ColumnType::Boolean] {
                let found = numbers(&series, wanted_kind).expect("are numbers");
                let bits: Vec<u32> = found.iter().map(|v| v.to_bits()).collect();
                assert_eq!(bits, wanted, "{kind}");
            }
        }
    }

    #[test]
    fn what_no_f32_holds_is_missing() {
        let series = Series::new("x".into(), [f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 1e300]);
        let found = numbers(&series, ColumnType::Float).expect("are numbers");
        assert!(found.iter().all(|v| v.is_nan()));
    }

    #[test]
    fn what_would_lose_something_is_refused_by_name() {
        let text = Series::new("x".into(), ["1", "2"]);
        let error = numbers(&text, ColumnType::Integer).expect_err("texts");
        assert!(
            error
                .to_string()
                .starts_with("column x is str and must be whole numbers"),
            "{error}"
        );
        let number = Series::new("x".into(), [1i64, 2]);
        assert!(
            texts(&number, ColumnType::Text).is_err(),
            "007 and 7 are two texts"
        );
        let error = numbers(&number, ColumnType::Boolean).expect_err("2 is no truth value");
        assert_eq!(error.to_string(), format!("column x, row 2: {NOT_BOOLEAN}"));
        let fraction = Series::new("x".into(), [1.0, 1.5]);
        let error = texts(&fraction, ColumnType::Integer).expect_err("a fraction");
        assert!(
            error.to_string().starts_with("column x, row 2: must be a whole"),
            "{error}"
        );
        assert!(each_hour(&text, ColumnType::Date, |_, _| {}).is_err());
        let time = Series::new("x".into(), [0i64])
            .cast(&DataType::Datetime(TimeUnit::Milliseconds, None))
            .expect("casts");
        assert!(
            each_hour(&time, ColumnType::Date, |_, _| {}).is_err(),
            "loses the hour"
        );
    }

    #[test]
    fn categories_of_numbers_and_truths_have_one_text() {
        let wanted = vec![Some("7".to_owned()), None, Some("-1".to_owned())];
        let whole = Series::new("x".into(), [Some(7i32), None, Some(-1)]);
        assert_eq!(texts(&whole, ColumnType::Integer), Ok(wanted.clone()));
        let float = whole.cast(&DataType::Float64).expect("casts");
        assert_eq!(texts(&float, ColumnType::Integer), Ok(wanted));
        let truth = Series::new("x".into(), [true, false]);
        let wanted = Ok(vec![Some("true".to_owned()), Some("false".to_owned())]);
        assert_eq!(texts(&truth, ColumnType::Boolean), wanted);
        let null = Series::new_null("x".into(), 1);
        assert_eq!(texts(&null, ColumnType::Text), Ok(vec![None]));
    }

    #[test]
    fn hours_are_rounded_down_in_every_unit() {
        for (unit, per_hour) in [
            (TimeUnit::Milliseconds, 3_600_000i64),
            (TimeUnit::Microseconds, 3_600_000_000),
            (TimeUnit::Nanoseconds, 3_600_000_000_000),
        ] {
            let ticks = [-1, 0, per_hour - 1, per_hour * 25];
            let series = Series::new("x".into(), ticks)
                .cast(&DataType::Datetime(unit, None))
                .expect("casts");
            let mut hours = Vec::new();
            each_hour(&series, ColumnType::Datetime, |_, hour| hours.push(hour)).expect("times");
            assert_eq!(hours, [Some(-1), Some(0), Some(0), Some(25)]);
        }
    }
}
