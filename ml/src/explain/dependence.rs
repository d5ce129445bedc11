//! Partial dependence: how the mean prediction follows one column.

use super::{ExplainError, GoOn, RawColumn};
use crate::features::{FeatureColumn, FeatureTable};
use crate::models::{Model, Predictions};

/// How the mean prediction follows one column.
#[derive(Debug, Clone, PartialEq)]
pub struct PartialDependence {
    /// The raw column.
    pub column: String,
    /// True if the values are numbers in order; false for categories, the most frequent first.
    pub is_numeric: bool,
    /// The points.
    pub points: Vec<DependencePoint>,
}

/// The mean prediction when every row has one value of the column.
#[derive(Debug, Clone, PartialEq)]
pub struct DependencePoint {
    /// The value, for people.
    pub value: String,
    /// The value, if it is a number.
    pub number: Option<f64>,
    /// By output: the mean probability, or number.
    pub means: Vec<f64>,
}

/// A value of the column and a row that has it.
#[derive(Debug, Clone, PartialEq)]
pub struct GridValue {
    /// The value, for people.
    pub value: String,
    /// The value, if it is a number.
    pub number: Option<f64>,
    /// A row of the table with this value.
    pub row: usize,
}

/// How many changed tables are held at a time.
const AT_ONCE: usize = MAX_POINTS;

/// Gives every row of the table each value of the grid in turn, in all features of the column together, and takes the
/// mean prediction (Friedman: Greedy function approximation, 2001, section 8.2).
pub fn dependence(
    model: &Model,
    column: &RawColumn,
    table: &FeatureTable,
    is_numeric: bool,
    grid: &[GridValue],
    go_on: GoOn<'_>,
) -> Result<PartialDependence, ExplainError> {
    if table.rows == 0 {
        return Err(ExplainError::Empty);
    }
    let mut points = Vec::with_capacity(grid.len());
    for some in grid.chunks(AT_ONCE) {
        let repeat = |value: &GridValue| -> Vec<FeatureColumn> {
            let features = column.features.iter();
            let cell = |feature: &usize| repeated(&table.columns[*feature], value.row, table.rows);
            features.map(cell).collect()
        };
        let variants: Vec<_> = some.iter().map(repeat).collect();
        let predicted = model.predict_variants(table, &column.features, &variants)?;
        for (value, predictions) in some.iter().zip(predicted) {
            points.push(point(value, &predictions, table.rows)?);
        }
        #[expect(clippy::cast_precision_loss, reason = "a share of the work")]
        let share = points.len() as f64 / grid.len() as f64;
        if !go_on(share) {
            return Err(ExplainError::Stopped);
        }
    }
    Ok(PartialDependence {
        column: column.name.clone(),
        is_numeric,
        points,
    })
}

fn point(value: &GridValue, predictions: &Predictions, rows: usize) -> Result<DependencePoint, ExplainError> {
    let outputs = predictions.outputs.max(1);
    if predictions.values.len() != outputs * rows {
        return Err(ExplainError::Shape {
            wanted: outputs * rows,
            found: predictions.values.len(),
        });
    }
    let mut means = vec![0.0; outputs];
    for row in predictions.values.chunks_exact(outputs) {
        for (mean, value) in means.iter_mut().zip(row) {
            *mean += value;
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "far fewer rows than 2^53")]
    means.iter_mut().for_each(|mean| *mean /= rows as f64);
    Ok(DependencePoint {
        value: value.value.clone(),
        number: value.number,
        means,
    })
}

fn repeated(values: &FeatureColumn, row: usize, rows: usize) -> FeatureColumn {
    match values {
        FeatureColumn::Numeric(values) => FeatureColumn::Numeric(vec![values[row]; rows]),
        FeatureColumn::Category(codes) => FeatureColumn::Category(vec![codes[row]; rows]),
    }
}

/// The most points of a curve.
const MAX_POINTS: usize = 20;

/// Values of a column of numbers: quantiles, each of which some row has. What is missing is left out.
pub fn numeric_grid(values: impl Iterator<Item = Option<f64>>) -> Vec<GridValue> {
    let mut known: Vec<(f64, usize)> = values
        .enumerate()
        .filter_map(|(row, value)| Some((value.filter(|v| v.is_finite())?, row)))
        .collect();
    known.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let mut distinct = known.clone();
    distinct.dedup_by(|a, b| a.0 == b.0);
    // Few values are all shown; of many, those at equal steps through the rows.
    let mut chosen = if distinct.len() <= MAX_POINTS {
        distinct
    } else {
        let last = known.len() - 1;
        (0..MAX_POINTS)
            .map(|i| known[i * last / (MAX_POINTS - 1)])
            .collect()
    };
    chosen.dedup_by(|a, b| a.0 == b.0);
    chosen
        .into_iter()
        .map(|(number, row)| GridValue {
            value: number.to_string(),
            number: Some(number),
            row,
        })
        .collect()
}

/// Values of a column of texts: the most frequent first. What is missing is left out.
pub fn category_grid<'a>(values: impl Iterator<Item = Option<&'a str>>) -> Vec<GridValue> {
    let mut counts: std::collections::BTreeMap<&str, (usize, usize)> = std::collections::BTreeMap::new();
    for (row, value) in values.enumerate() {
        if let Some(value) = value {
            counts.entry(value).or_insert((0, row)).0 += 1;
        }
    }
    let mut counts: Vec<(&str, (usize, usize))> = counts.into_iter().collect();
    // Stable: equal counts stay in the order of their texts.
    counts.sort_by_key(|(_, (count, _))| std::cmp::Reverse(*count));
    counts
        .into_iter()
        .take(MAX_POINTS)
        .map(|(value, (_, row))| GridValue {
            value: value.to_owned(),
            number: None,
            row,
        })
        .collect()
}
