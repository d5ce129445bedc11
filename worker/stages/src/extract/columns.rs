//! The types of columns in artifacts: booleans, 64-bit whole numbers and floats, texts, dates, and times in
//! microseconds without a zone (UTC). Every other type is widened to one of them, or refused.

use ml::dataset::ColumnType;
use pipeline::stage::StageError;
use polars::prelude::*;

use super::read::{MAX_COLUMNS, MAX_ROWS, first_line};
use crate::flow::permanent;

/// Widens the columns of a result, and checks its size.
pub(crate) fn normalised(frame: DataFrame) -> Result<DataFrame, StageError> {
    if frame.width() > MAX_COLUMNS {
        return Err(permanent(format!(
            "there are {} columns; at most {MAX_COLUMNS} are possible: name those you need in `sql`",
            frame.width()
        )));
    }
    if frame.height() == 0 {
        return Err(permanent(
            "no rows are left: look at the conditions of WHERE and JOIN in `sql`",
        ));
    }
    if frame.height() as u64 > MAX_ROWS {
        return Err(permanent(format!(
            "there are more than {MAX_ROWS} rows: split the data"
        )));
    }
    let height = frame.height();
    let columns = frame
        .into_columns()
        .into_iter()
        .map(widened)
        .collect::<Result<Vec<_>, _>>()?;
    DataFrame::new(height, columns).map_err(|e| permanent(first_line(&e)))
}

/// What a type is widened to; none if it has no place in artifacts.
pub(crate) fn wide(kind: &DataType) -> Option<DataType> {
    match kind {
        DataType::Boolean | DataType::String | DataType::Date => Some(kind.clone()),
        kind if kind.is_integer() => Some(DataType::Int64),
        kind if kind.is_float() || kind.is_decimal() => Some(DataType::Float64),
        DataType::Datetime(_, _) => Some(DataType::Datetime(TimeUnit::Microseconds, None)),
        kind if kind.is_categorical() || kind.is_enum() || matches!(kind, DataType::Null) => {
            Some(DataType::String)
        }
        _ => None,
    }
}

fn widened(column: Column) -> Result<Column, StageError> {
    let Some(to) = wide(column.dtype()) else {
        return Err(permanent(format!(
            "column {:?} is of type {}, which has no place in a table of features: CAST it in `sql`, or leave it out",
            column.name(),
            column.dtype()
        )));
    };
    if to == *column.dtype() {
        return Ok(column);
    }
    column.strict_cast(&to).map_err(|_| {
        permanent(format!(
            "column {:?} has a whole number that needs more than 64 bits with a sign: CAST it to DOUBLE or VARCHAR in `sql`",
            column.name()
        ))
    })
}

/// The type of a column of [`normalised`].
pub(crate) fn column_type(kind: &DataType) -> ColumnType {
    match kind {
        DataType::Boolean => ColumnType::Boolean,
        DataType::Int64 => ColumnType::Integer,
        DataType::Float64 => ColumnType::Float,
        DataType::Date => ColumnType::Date,
        DataType::Datetime(_, _) => ColumnType::Datetime,
        _ => ColumnType::Text,
    }
}

/// The first row (from 1) that has no value: null, or NaN; and how many there are.
pub(crate) fn missing(column: &Column) -> PolarsResult<Option<(usize, usize)>> {
    let is_missing = match column.dtype() {
        DataType::Float64 => {
            let values = column.f64()?;
            values
                .iter()
                .map(|v| v.is_none_or(f64::is_nan))
                .collect::<Vec<_>>()
        }
        _ if column.null_count() == 0 => return Ok(None),
        _ => column.is_null().iter().map(|v| v == Some(true)).collect(),
    };
    let count = is_missing.iter().filter(|missing| **missing).count();
    Ok(is_missing
        .iter()
        .position(|missing| *missing)
        .map(|first| (first + 1, count)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_is_widened_or_refused_by_name() {
        let frame =
            df!("small" => [1u8, 2], "single" => [1.5f32, 2.0], "text" => ["a", "b"]).expect("a frame");
        let wide = normalised(frame).expect("widens");
        let types: Vec<_> = wide.columns().iter().map(|c| column_type(c.dtype())).collect();
        assert_eq!(types, [ColumnType::Integer, ColumnType::Float, ColumnType::Text]);
        let large = df!("large" => [u64::MAX]).expect("a frame");
        let Err(StageError::Permanent(refused)) = normalised(large) else {
            panic!("refused")
        };
        assert!(refused.contains("column \"large\""), "{refused}");
        let span = Series::new("span".into(), [1i64])
            .cast(&DataType::Duration(TimeUnit::Microseconds))
            .expect("casts");
        let frame = DataFrame::new(1, vec![span.into_column()]).expect("a frame");
        let Err(StageError::Permanent(refused)) = normalised(frame) else {
            panic!("refused")
        };
        assert!(refused.contains("column \"span\""), "{refused}");
    }

    #[test]
    fn nothing_and_not_a_number_are_missing() {
        let column = Column::new("x".into(), [Some(1.0), Some(f64::NAN), None]);
        assert_eq!(missing(&column).expect("counts"), Some((2, 2)));
        assert_eq!(
            missing(&Column::new("x".into(), ["", "a"])).expect("counts"),
            None
        );
    }
}
