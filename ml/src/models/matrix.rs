//! Features row by row, as the boosting library wants them: numbers as they are, categories as their codes, NaN for
//! what is missing.

use std::ops::Range;

use super::ModelError;
use crate::features::{Feature, FeatureColumn, FeatureTable, FeatureValues, MISSING};

/// What a model expects of one feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Input {
    /// A number.
    Number,
    /// One of so many levels.
    Levels(u32),
}

/// What a model expects of each feature.
///
/// # Panics
///
/// If a feature has 2³² levels or more, which [`super::checks`] refuses before.
pub(super) fn inputs(features: &[Feature]) -> Vec<Input> {
    features
        .iter()
        .map(|feature| match &feature.values {
            FeatureValues::Numeric { .. } => Input::Number,
            FeatureValues::Category { levels, .. } => {
                Input::Levels(u32::try_from(levels.len()).expect("checked to be far below"))
            }
        })
        .collect()
}

/// Refuses a table that has other columns than the model was trained on.
pub(super) fn check_columns(features: &[Feature], table: &FeatureTable) -> Result<(), ModelError> {
    if table.columns.len() != features.len() {
        return Err(ModelError::Refused(format!(
            "the model needs {} features and was given {}: apply the feature program that it was trained with",
            features.len(),
            table.columns.len()
        )));
    }
    for (feature, column) in features.iter().zip(&table.columns) {
        check_column(feature, column, table.rows)?;
    }
    Ok(())
}

/// Refuses a column that is not of the feature's kind, or not of so many rows.
pub(super) fn check_column(feature: &Feature, column: &FeatureColumn, rows: usize) -> Result<(), ModelError> {
    let fits = matches!(
        (&feature.values, column),
        (FeatureValues::Numeric { .. }, FeatureColumn::Numeric(_))
            | (FeatureValues::Category { .. }, FeatureColumn::Category(_))
    );
    if !fits {
        return Err(ModelError::Refused(format!(
            "feature {}: numbers where the model needs categories, or the other way round: apply the feature program that it was trained with",
            feature.name
        )));
    }
    if column.len() != rows {
        return Err(ModelError::Refused(format!(
            "feature {}: {} values for {rows} rows",
            feature.name,
            column.len(),
        )));
    }
    Ok(())
}

/// Writes the values of `rows` into `out`, row by row: [`inputs`]`.len()` values a row.
fn fill(out: &mut [f32], inputs: &[Input], table: &FeatureTable, rows: impl Iterator<Item = usize> + Clone) {
    let width = inputs.len();
    for (at, (input, column)) in inputs.iter().zip(&table.columns).enumerate() {
        fill_column(
            out.iter_mut().skip(at).step_by(width),
            *input,
            column,
            rows.clone(),
        );
    }
}

/// Writes a column's values of `rows` into `cells`.
pub(super) fn fill_column<'a>(
    cells: impl Iterator<Item = &'a mut f32>,
    input: Input,
    column: &FeatureColumn,
    rows: impl Iterator<Item = usize>,
) {
    match column {
        FeatureColumn::Numeric(values) => {
            for (cell, row) in cells.zip(rows) {
                let value = values[row];
                *cell = if value.is_finite() { value } else { f32::NAN };
            }
        }
        FeatureColumn::Category(codes) => {
            let levels = match input {
                Input::Levels(levels) => levels,
                Input::Number => 0,
            };
            for (cell, row) in cells.zip(rows) {
                *cell = category(codes[row], levels);
            }
        }
    }
}

/// A code as a number; a code that no level has is missing.
#[expect(
    clippy::cast_precision_loss,
    reason = "levels are far fewer than 2^24, the first whole number that an f32 cannot hold"
)]
fn category(code: u32, levels: u32) -> f32 {
    if code == MISSING || code >= levels {
        f32::NAN
    } else {
        code as f32
    }
}

/// The values of a range of rows, in a buffer that is used again and again.
pub(super) fn block(out: &mut Vec<f32>, inputs: &[Input], table: &FeatureTable, rows: Range<usize>) {
    out.clear();
    out.resize(rows.len() * inputs.len(), 0.0);
    fill(out, inputs, table, rows);
}

/// The values of all rows, or of these.
pub(super) fn rows(inputs: &[Input], table: &FeatureTable, chosen: Option<&[usize]>) -> Vec<f32> {
    let mut out = vec![0.0; chosen.map_or(table.rows, <[usize]>::len) * inputs.len()];
    match chosen {
        None => fill(&mut out, inputs, table, 0..table.rows),
        Some(chosen) => fill(&mut out, inputs, table, chosen.iter().copied()),
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_model_knows_is_missing() {
        let table = FeatureTable {
            rows: 3,
            columns: vec![
                FeatureColumn::Numeric(vec![1.5, f32::INFINITY, f32::NAN]),
                FeatureColumn::Category(vec![1, 2, MISSING]),
            ],
        };
        let inputs = [Input::Number, Input::Levels(2)];
        let all = rows(&inputs, &table, None);
        assert_eq!(all[..2], [1.5, 1.0]);
        assert!(all[2..].iter().all(|v| v.is_nan()), "{all:?}");
        assert_eq!(rows(&inputs, &table, Some(&[0, 0])), [1.5, 1.0, 1.5, 1.0]);
        let mut buffer = Vec::new();
        block(&mut buffer, &inputs, &table, 0..1);
        assert_eq!(buffer, [1.5, 1.0]);
    }
}
