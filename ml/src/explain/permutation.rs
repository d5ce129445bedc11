//! Permutation importance: how much worse the model gets when a column's values are shuffled among the rows.

use super::sampling::Random;
use super::{ExplainError, GoOn, RawColumn};
use crate::features::{FeatureColumn, FeatureTable};
use crate::models::{Model, Predictions};

/// How importance is measured.
pub struct Permutation<'a> {
    /// The metric's name, for messages.
    pub metric: &'a str,
    /// Whether more of it is better.
    pub higher_is_better: bool,
    /// The metric of predictions of all rows; none where it is not defined.
    pub measure: &'a dyn Fn(&Predictions) -> Option<f64>,
    /// How many times each column is shuffled; at least once.
    pub repeats: u32,
    /// Where the shuffling comes from.
    pub seed: u64,
}

/// How much worse the metric gets without a column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Importance {
    /// The mean over repeats; above 0 where the model is worse without the column, in the metric's own units.
    pub mean: f64,
    /// The standard deviation over repeats (of the population; 0 for one).
    pub sd: f64,
}

/// By column, how much worse the metric gets when its values are shuffled (Breiman: Random forests, 2001, section 10;
/// model-agnostic in Fisher, Rudin, Dominici: All models are wrong, but many are useful, 2019). All features of a
/// column are shuffled together, so that no row has a mixture that no value of the column gives.
///
/// Also gives the metric of the rows as they are.
///
/// # Errors
///
/// [`ExplainError::Metric`] where the metric is not defined, such as the AUC of one class.
pub fn importance(
    model: &Model,
    columns: &[RawColumn],
    table: FeatureTable,
    how: &Permutation<'_>,
    go_on: GoOn<'_>,
) -> Result<(f64, Vec<Importance>), ExplainError> {
    if table.rows == 0 {
        return Err(ExplainError::Empty);
    }
    let undefined = || ExplainError::Metric(how.metric.to_owned());
    let as_is = (how.measure)(&model.predict(&table)?).ok_or_else(undefined)?;
    let sign = if how.higher_is_better { 1.0 } else { -1.0 };
    let repeats = how.repeats.max(1);
    let mut table = table;
    let mut importances = Vec::with_capacity(columns.len());
    let mut order: Vec<usize> = Vec::with_capacity(table.rows);
    for (number, column) in columns.iter().enumerate() {
        let kept: Vec<FeatureColumn> = column
            .features
            .iter()
            .map(|feature| table.columns[*feature].clone())
            .collect();
        let mut losses = Vec::new();
        for repeat in 0..repeats {
            order.clear();
            order.extend(0..table.rows);
            Random::new(how.seed, &column.name, u64::from(repeat)).shuffle(&mut order);
            for (feature, values) in column.features.iter().zip(&kept) {
                table.columns[*feature] = taken(values, &order);
            }
            let shuffled = (how.measure)(&model.predict(&table)?).ok_or_else(undefined)?;
            losses.push(sign * (as_is - shuffled));
            #[expect(clippy::cast_precision_loss, reason = "a share of the work")]
            let share = (number as f64 + f64::from(repeat + 1) / f64::from(repeats)) / columns.len() as f64;
            if !go_on(share) {
                return Err(ExplainError::Stopped);
            }
        }
        for (feature, values) in column.features.iter().zip(kept) {
            table.columns[*feature] = values;
        }
        let mean = losses.iter().sum::<f64>() / f64::from(repeats);
        let variance = losses.iter().map(|loss| (loss - mean).powi(2)).sum::<f64>() / f64::from(repeats);
        importances.push(Importance {
            mean,
            sd: variance.sqrt(),
        });
    }
    Ok((as_is, importances))
}

fn taken(values: &FeatureColumn, order: &[usize]) -> FeatureColumn {
    match values {
        FeatureColumn::Numeric(values) => FeatureColumn::Numeric(order.iter().map(|i| values[*i]).collect()),
        FeatureColumn::Category(codes) => FeatureColumn::Category(order.iter().map(|i| codes[*i]).collect()),
    }
}
