//! Logistic, multinomial and ridge regression: one loss for each row, summed, and half the L2 penalty times the squares
//! of the coefficients without the intercepts (scikit-learn's `C = 1 / l2`; its `alpha = l2` for ridge regression).
//!
//! Three solvers reach the same minimum. linfa's work on a dense matrix, which is fine while that is small; with a column
//! for each category it soon is not. The others work on the features as they are, without a matrix, and know weights:
//! [`newton`] for one output and some hundreds of columns, [`descent`] for whatever is larger.

mod dense;
mod descent;
mod loss;
mod newton;
mod search;
#[cfg(test)]
mod tests;

use super::{Contributions, Examples, GoOn, ModelError, Problem, Watch, outputs};
use crate::dataset::Task;
use crate::features::{Feature, FeatureColumn, FeatureTable, FeatureValues, LinearDesign, MISSING};
use crate::pool;

/// The most coefficients, all classes together: 400 MB of them, and a few times that while they are searched for.
const MAX_COEFFICIENTS: usize = 50_000_000;

/// Rows of which margins are computed at a time.
const BLOCK_ROWS: usize = 16_384;

/// What a linear model learned.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Coefficients {
    /// By output.
    intercepts: Vec<f64>,
    /// By output, then column of the design.
    weights: Vec<f64>,
    /// By column: its mean over train, weighted like train.
    means: Vec<f64>,
}

/// What the training of a linear model gave.
pub(super) struct Fitted {
    pub(super) coefficients: Coefficients,
    pub(super) iterations: u32,
    pub(super) time_limited: bool,
}

/// Where a solver ended: intercepts by output, weights by output and column.
struct Minimum {
    intercepts: Vec<f64>,
    weights: Vec<f64>,
    iterations: u32,
    time_limited: bool,
}

/// Refuses what the design would stumble over: infinities, and codes without a level.
fn check_values(features: &[Feature], table: &FeatureTable) -> Result<(), ModelError> {
    for (feature, column) in features.iter().zip(&table.columns) {
        let bad = match (&feature.values, column) {
            (FeatureValues::Category { levels, .. }, FeatureColumn::Category(codes)) => codes
                .iter()
                .position(|code| *code != MISSING && *code as usize >= levels.len()),
            (_, FeatureColumn::Numeric(values)) => values.iter().position(|v| v.is_infinite()),
            (_, FeatureColumn::Category(_)) => None,
        };
        if let Some(row) = bad {
            return Err(ModelError::Refused(format!(
                "feature {}: row {} is infinite or of no known level: apply the feature program that the model was trained with",
                feature.name,
                row + 1
            )));
        }
    }
    Ok(())
}

/// Trains a linear model; hyperparameters and examples were checked.
pub(super) fn train(
    l2: f64,
    max_iterations: u32,
    problem: &Problem<'_>,
    train: &Examples<'_>,
    watch: &dyn Watch,
) -> Result<Fitted, ModelError> {
    check_values(problem.features, train.features)?;
    let design = LinearDesign::new(problem.features);
    let outputs = outputs(problem.task, problem.classes);
    let all = design.columns().len().saturating_mul(outputs);
    if all > MAX_COEFFICIENTS {
        return Err(ModelError::Refused(format!(
            "a linear model would have {all} coefficients; at most {MAX_COEFFICIENTS} are supported: lower max_categories"
        )));
    }
    if watch.go_on(0.0) == GoOn::Drop {
        return Err(ModelError::Dropped);
    }
    let minimum = match dense::fit(l2, max_iterations, problem, train, &design) {
        Some(minimum) => minimum,
        None => pool::on_threads(problem.threads, || {
            match newton::fit(l2, max_iterations, problem, train, &design, watch)? {
                Some(minimum) => Ok(minimum),
                None => descent::fit(l2, max_iterations, problem, train, &design, watch),
            }
        })??,
    };
    if minimum
        .weights
        .iter()
        .chain(&minimum.intercepts)
        .any(|w| !w.is_finite())
    {
        return Err(ModelError::Refused(
            "the coefficients are no finite numbers: raise l2, or rescale the label".into(),
        ));
    }
    let means = match train.weights {
        None => design.means(train.features),
        Some(weights) => {
            let weights: Vec<f64> = weights.iter().copied().map(f64::from).collect();
            let total: f64 = weights.iter().sum();
            let mut means = design.sums(train.features, &weights);
            means.iter_mut().for_each(|sum| *sum /= total);
            means
        }
    };
    Ok(Fitted {
        coefficients: Coefficients {
            intercepts: minimum.intercepts,
            weights: minimum.weights,
            means,
        },
        iterations: minimum.iterations,
        time_limited: minimum.time_limited,
    })
}

impl Coefficients {
    fn of(&self, output: usize) -> &[f64] {
        let columns = self.means.len();
        &self.weights[output * columns..(output + 1) * columns]
    }

    /// Margins, row by row.
    pub(super) fn margins(&self, features: &[Feature], table: &FeatureTable) -> Result<Vec<f64>, ModelError> {
        check_values(features, table)?;
        let design = LinearDesign::new(features);
        let outputs = self.intercepts.len();
        if outputs == 1 {
            return Ok(design.margin(table, &self.weights, self.intercepts[0]));
        }
        let mut margins = vec![0.0; table.rows * outputs];
        let mut block = Vec::new();
        for start in (0..table.rows).step_by(BLOCK_ROWS) {
            let rows = start..(start + BLOCK_ROWS).min(table.rows);
            for (output, intercept) in self.intercepts.iter().enumerate() {
                block.clear();
                block.resize(rows.len(), *intercept);
                design.add_margin(table, rows.clone(), self.of(output), &mut block);
                for (row, margin) in rows.clone().zip(&block) {
                    margins[row * outputs + output] = *margin;
                }
            }
        }
        Ok(margins)
    }

    /// Shapley values for features that vary independently of each other (Lundberg and Lee: A unified approach to
    /// interpreting model predictions, 2017, corollary 1).
    pub(super) fn contributions(
        &self,
        features: &[Feature],
        table: &FeatureTable,
    ) -> Result<Contributions, ModelError> {
        check_values(features, table)?;
        let design = LinearDesign::new(features);
        let (outputs, width) = (self.intercepts.len(), features.len());
        let mut values = vec![0.0; table.rows * outputs * width];
        let mut base = Vec::with_capacity(outputs);
        for (output, intercept) in self.intercepts.iter().enumerate() {
            let weights = self.of(output);
            let at_mean: f64 = weights.iter().zip(&self.means).map(|(w, m)| w * m).sum();
            base.push(intercept + at_mean);
            let found = design.contributions(table, weights, &self.means);
            for (row, of_row) in found.chunks_exact(width).enumerate() {
                let at = (row * outputs + output) * width;
                values[at..at + width].copy_from_slice(of_row);
            }
        }
        Ok(Contributions {
            rows: table.rows,
            outputs,
            features: width,
            values,
            base,
        })
    }

    /// Intercepts, weights and means, as little-endian doubles.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        [&self.intercepts, &self.weights, &self.means]
            .into_iter()
            .flatten()
            .flat_map(|number| number.to_le_bytes())
            .collect()
    }

    /// Reads what [`Coefficients::to_bytes`] wrote.
    pub(super) fn from_bytes(bytes: &[u8], outputs: usize, features: &[Feature]) -> Result<Self, ModelError> {
        let corrupt = |what: String| ModelError::Corrupt(format!("coefficients: {what}"));
        let columns = LinearDesign::new(features).columns().len();
        let needed = outputs
            .checked_mul(columns)
            .and_then(|weights| weights.checked_add(outputs + columns))
            .and_then(|numbers| numbers.checked_mul(8));
        if needed != Some(bytes.len()) {
            return Err(corrupt(format!(
                "{} bytes for {outputs} outputs of {columns} columns",
                bytes.len()
            )));
        }
        let (words, _) = bytes.as_chunks::<8>();
        let mut numbers = words.iter().map(|word| f64::from_le_bytes(*word));
        let mut next = |count: usize| -> Vec<f64> { numbers.by_ref().take(count).collect() };
        let found = Self {
            intercepts: next(outputs),
            weights: next(outputs * columns),
            means: next(columns),
        };
        let all = [&found.intercepts, &found.weights, &found.means];
        if all.into_iter().flatten().any(|number| !number.is_finite()) {
            return Err(corrupt("not all are finite numbers".into()));
        }
        Ok(found)
    }
}

/// Where the intercepts start: the margins of a model that knows no feature.
fn start(problem: &Problem<'_>, train: &Examples<'_>) -> Vec<f64> {
    let weight = |row: usize| train.weights.map_or(1.0, |w| f64::from(w[row]));
    let total: f64 = (0..train.target.len()).map(weight).sum();
    if problem.task == Task::Regression {
        let sum: f64 = train
            .target
            .iter()
            .enumerate()
            .map(|(row, y)| weight(row) * f64::from(*y))
            .sum();
        return vec![sum / total];
    }
    let mut shares = vec![0.0; problem.classes];
    for (row, class) in train.target.iter().enumerate() {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "checked to be the index of a class"
        )]
        let class = *class as usize;
        shares[class] += weight(row);
    }
    // A class that does not occur starts as if it had half a row.
    let logs: Vec<f64> = shares
        .iter()
        .map(|share| (share.max(0.5 * total / (total + 1.0).max(2.0)) / total).ln())
        .collect();
    match problem.task {
        Task::Binary => vec![logs[1] - logs[0]],
        _ => {
            #[expect(clippy::cast_precision_loss, reason = "at most 1,000 classes")]
            let mean = logs.iter().sum::<f64>() / logs.len() as f64;
            logs.iter().map(|log| log - mean).collect()
        }
    }
}
