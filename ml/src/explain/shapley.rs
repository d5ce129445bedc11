//! Attributions: what each raw column adds to the margin of each row.

use super::{ExplainError, GoOn, RawColumn};
use crate::features::{FeatureColumn, FeatureTable};
use crate::models::{Contributions, Model, Predictions};

/// The error that is allowed, as a part of the margins' range.
const TOLERANCE: f64 = 1e-6;

/// The most values of one answer of the model: 32 MB.
const CHUNK_VALUES: usize = 1 << 22;

/// Rows between two looks whether to go on.
const CHUNK_ROWS: usize = 512;

/// The work between two looks, as [`Model::contribution_work`] counts it: a few seconds of a core.
const CHUNK_WORK: f64 = 1e9;

/// The work that attributions may be: a minute or two of a core.
const MOST_WORK: f64 = 3e10;

/// So many rows are explained whatever work they are.
const LEAST_ROWS: usize = 100;

/// The attributions of some rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Attributions {
    /// How many rows.
    pub rows: usize,
    /// By output: the margin that the contributions start from.
    pub base: Vec<f64>,
    /// How well contributions and base add up to the margins.
    pub additivity: Additivity,
    /// The columns, the one that matters most first.
    pub columns: Vec<ColumnAttribution>,
}

/// How well contributions and base add up to the margins.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Additivity {
    /// The largest difference of any row and output.
    pub max_error: f64,
    /// From the smallest margin to the largest.
    pub range: f64,
    /// How many rows were checked: all.
    pub checked: usize,
}

/// What one raw column adds.
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnAttribution {
    /// The column.
    pub column: String,
    /// The mean over rows of the size of what it adds; of several outputs the sum over them.
    pub mean_abs_shap: f64,
    /// Spearman's rank correlation of the column's value and what it adds: near 1 where more of it means a higher
    /// margin. None for categories, several features, several outputs, and where either is constant.
    pub direction: Option<f64>,
    /// By row, what it adds; empty for several outputs.
    pub values: Vec<f64>,
    /// By row, where the column's value stands among all, from 0 (lowest) to 1; NaN where it is missing. Empty where
    /// there is no direction.
    pub ranks: Vec<f64>,
}

/// How many of the wanted rows are worth their work: fewer than all of a model of many deep trees, where a row takes
/// longer than training did for thousands of them.
pub fn affordable_rows(model: &Model, wanted: usize) -> usize {
    rows_within(MOST_WORK, model.contribution_work())
        .max(LEAST_ROWS)
        .min(wanted)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast ends at the bounds of the type"
)]
fn rows_within(work: f64, of_row: f64) -> usize {
    (work / of_row.max(1.0)) as usize
}

/// Attributes the margins of the rows to raw columns, and checks that every row adds up.
///
/// Shapley values are additive: those of a column's features add up to the column's, in the game whose players are
/// features (Lundberg, Lee: A unified approach to interpreting model predictions, 2017, section 2).
///
/// # Errors
///
/// [`ExplainError::NotAdditive`] if any row misses its margin by more than 1e-6 of the margins' range.
pub fn attribute(
    model: &Model,
    columns: &[RawColumn],
    table: &FeatureTable,
    go_on: GoOn<'_>,
) -> Result<Attributions, ExplainError> {
    if table.rows == 0 {
        return Err(ExplainError::Empty);
    }
    let features = table.columns.len();
    let at_a_time = CHUNK_ROWS
        .min(CHUNK_VALUES / (features * model.outputs()).max(1))
        .min(rows_within(CHUNK_WORK, model.contribution_work()));
    let mut sums = Sums::new(columns, table.rows);
    let (mut base, mut from) = (Vec::new(), 0);
    while from < table.rows {
        let rows = at_a_time.clamp(1, table.rows - from);
        let indices: Vec<usize> = (from..from + rows).collect();
        let chunk = table.take(&indices);
        let (predictions, contributions) = (model.predict(&chunk)?, model.contributions(&chunk)?);
        sums.add(columns, &predictions, &contributions, from, features)?;
        base = contributions.base;
        from += rows;
        #[expect(clippy::cast_precision_loss, reason = "a share of the work")]
        let share = from as f64 / table.rows as f64;
        if !go_on(share) {
            return Err(ExplainError::Stopped);
        }
    }
    let additivity = sums.check(table.rows)?;
    Ok(Attributions {
        rows: table.rows,
        base,
        additivity,
        columns: sums.columns(columns, table),
    })
}

/// What is known after some of the rows.
struct Sums {
    /// By column: the sum of sizes.
    sizes: Vec<f64>,
    /// By column, then row: what it adds; for one output only.
    values: Vec<Vec<f64>>,
    max_error: f64,
    worst_row: usize,
    lowest: f64,
    highest: f64,
}

impl Sums {
    fn new(columns: &[RawColumn], rows: usize) -> Self {
        Self {
            sizes: vec![0.0; columns.len()],
            values: vec![Vec::with_capacity(rows); columns.len()],
            max_error: 0.0,
            worst_row: 0,
            lowest: f64::INFINITY,
            highest: f64::NEG_INFINITY,
        }
    }

    fn add(
        &mut self,
        columns: &[RawColumn],
        predictions: &Predictions,
        contributions: &Contributions,
        first: usize,
        features: usize,
    ) -> Result<(), ExplainError> {
        let outputs = contributions.outputs.max(1);
        let wanted = contributions.rows * outputs * features;
        if contributions.values.len() != wanted || contributions.base.len() != outputs {
            return Err(ExplainError::Shape {
                wanted,
                found: contributions.values.len(),
            });
        }
        if predictions.margins.len() != contributions.rows * outputs {
            return Err(ExplainError::Shape {
                wanted: contributions.rows * outputs,
                found: predictions.margins.len(),
            });
        }
        for row in 0..contributions.rows {
            for output in 0..outputs {
                let at = row * outputs + output;
                let parts = &contributions.values[at * features..(at + 1) * features];
                let margin = predictions.margins[at];
                let error = (parts.iter().sum::<f64>() + contributions.base[output] - margin).abs();
                // What is not a number is the largest error of all.
                if error > self.max_error || error.is_nan() {
                    self.max_error = if error.is_nan() { f64::INFINITY } else { error };
                    self.worst_row = first + row;
                }
                self.lowest = self.lowest.min(margin);
                self.highest = self.highest.max(margin);
                for (index, column) in columns.iter().enumerate() {
                    let added: f64 = column.features.iter().map(|feature| parts[*feature]).sum();
                    self.sizes[index] += added.abs();
                    if outputs == 1 {
                        self.values[index].push(added);
                    }
                }
            }
        }
        Ok(())
    }

    fn check(&self, rows: usize) -> Result<Additivity, ExplainError> {
        let range = (self.highest - self.lowest).max(0.0);
        // Equal margins have no range; then their size is the measure.
        let scale = if range > 0.0 {
            range
        } else {
            self.highest.abs().max(1.0)
        };
        let allowed = TOLERANCE * scale;
        if self.max_error <= allowed {
            Ok(Additivity {
                max_error: self.max_error,
                range,
                checked: rows,
            })
        } else {
            Err(ExplainError::NotAdditive {
                row: self.worst_row,
                error: self.max_error,
                allowed,
            })
        }
    }

    fn columns(self, columns: &[RawColumn], table: &FeatureTable) -> Vec<ColumnAttribution> {
        #[expect(clippy::cast_precision_loss, reason = "far fewer rows than 2^53")]
        let rows = table.rows as f64;
        let mut attributions: Vec<ColumnAttribution> = columns
            .iter()
            .zip(self.sizes)
            .zip(self.values)
            .map(|((column, size), values)| {
                let (direction, ranks) = direction(column, table, &values);
                ColumnAttribution {
                    column: column.name.clone(),
                    mean_abs_shap: size / rows,
                    direction,
                    values,
                    ranks,
                }
            })
            .collect();
        attributions.sort_by(|a, b| {
            b.mean_abs_shap
                .total_cmp(&a.mean_abs_shap)
                .then_with(|| a.column.cmp(&b.column))
        });
        attributions
    }
}

fn direction(column: &RawColumn, table: &FeatureTable, added: &[f64]) -> (Option<f64>, Vec<f64>) {
    let [feature] = column.features.as_slice() else {
        return (None, Vec::new());
    };
    let Some(FeatureColumn::Numeric(values)) = table.columns.get(*feature) else {
        return (None, Vec::new());
    };
    if added.len() != values.len() {
        return (None, Vec::new());
    }
    let known: Vec<usize> = (0..values.len()).filter(|row| !values[*row].is_nan()).collect();
    let value_ranks = ranks(
        &known
            .iter()
            .map(|row| f64::from(values[*row]))
            .collect::<Vec<_>>(),
    );
    let added_ranks = ranks(&known.iter().map(|row| added[*row]).collect::<Vec<_>>());
    let mut by_row = vec![f64::NAN; values.len()];
    #[expect(clippy::cast_precision_loss, reason = "far fewer rows than 2^53")]
    let last = known.len().saturating_sub(1).max(1) as f64;
    for (row, rank) in known.iter().zip(&value_ranks) {
        by_row[*row] = rank / last;
    }
    (correlation(&value_ranks, &added_ranks), by_row)
}

/// Where each value stands, from 0; equal values share the mean of their places.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    let mut at = 0;
    for equal in order.chunk_by(|a, b| values[*a] == values[*b]) {
        #[expect(clippy::cast_precision_loss, reason = "far fewer rows than 2^53")]
        let mean = at as f64 + (equal.len() - 1) as f64 / 2.0;
        for index in equal {
            ranks[*index] = mean;
        }
        at += equal.len();
    }
    ranks
}

/// Pearson's, which of ranks is Spearman's; none if either is constant.
fn correlation(a: &[f64], b: &[f64]) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "far fewer rows than 2^53")]
    let n = a.len() as f64;
    let (mean_a, mean_b) = (a.iter().sum::<f64>() / n, b.iter().sum::<f64>() / n);
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (x, y) in a.iter().zip(b) {
        let (x, y) = (x - mean_a, y - mean_b);
        ab += x * y;
        aa += x * x;
        bb += y * y;
    }
    (aa > 0.0 && bb > 0.0).then(|| (ab / (aa.sqrt() * bb.sqrt())).clamp(-1.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_share_their_rank() {
        assert_eq!(ranks(&[3.0, 1.0, 3.0, 2.0]), [2.5, 0.0, 2.5, 1.0]);
        assert!(ranks(&[]).is_empty());
    }

    #[test]
    fn rows_that_are_much_work_are_fewer() {
        assert!(rows_within(CHUNK_WORK, 0.0) > CHUNK_ROWS);
        // 100 trees of 4,096 leaves and depth 12.
        let deep = 100.0 * 4_096.0 * 144.0;
        assert_eq!(
            (rows_within(CHUNK_WORK, deep), rows_within(MOST_WORK, deep)),
            (16, 508)
        );
    }

    #[test]
    fn ranks_correlate_as_their_order_does() {
        let rising = ranks(&[1.0, 10.0, 100.0]);
        let close = |found: Option<f64>, wanted: f64| found.is_some_and(|r| (r - wanted).abs() < 1e-12);
        assert!(close(correlation(&rising, &ranks(&[0.1, 0.2, 0.3])), 1.0));
        assert!(close(correlation(&rising, &ranks(&[3.0, 2.0, 1.0])), -1.0));
        assert_eq!(correlation(&rising, &ranks(&[2.0, 2.0, 2.0])), None);
        assert_eq!(correlation(&[], &[]), None);
    }
}
