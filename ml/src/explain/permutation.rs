//! Permutation importance: how much worse the model gets when a column's values are shuffled among the rows.

use super::sampling::Random;
use super::{ExplainError, GoOn, RawColumn};
use crate::features::{FeatureColumn, FeatureTable};
use crate::models::{Model, Predictions};

/// How many shuffled tables are predicted at a time, of which the shuffled columns are held.
const AT_ONCE: usize = 24;

/// Features that may differ between the tables that are predicted at a time: the boosting library keeps the values of so
/// many at hand.
const GROUP_FEATURES: usize = 8;

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
    table: &FeatureTable,
    how: &Permutation<'_>,
    go_on: GoOn<'_>,
) -> Result<(f64, Vec<Importance>), ExplainError> {
    if table.rows == 0 {
        return Err(ExplainError::Empty);
    }
    let undefined = || ExplainError::Metric(how.metric.to_owned());
    let as_is = (how.measure)(&model.predict(table)?).ok_or_else(undefined)?;
    let sign = if how.higher_is_better { 1.0 } else { -1.0 };
    let repeats = how.repeats.max(1);
    let mut importances = Vec::with_capacity(columns.len());
    for group in groups(columns) {
        let features: Vec<usize> = group
            .iter()
            .flat_map(|column| &column.features)
            .copied()
            .collect();
        let mut losses = vec![Vec::new(); group.len()];
        let all: Vec<u32> = (0..repeats).collect();
        for some in all.chunks((AT_ONCE / group.len()).max(1)) {
            let mut variants = Vec::with_capacity(group.len() * some.len());
            for (column, repeat) in group
                .iter()
                .flat_map(|column| some.iter().map(move |repeat| (column, repeat)))
            {
                let mut order: Vec<usize> = (0..table.rows).collect();
                Random::new(how.seed, &column.name, u64::from(*repeat)).shuffle(&mut order);
                let of_feature = |feature: &usize| match column.features.contains(feature) {
                    true => taken(&table.columns[*feature], &order),
                    false => table.columns[*feature].clone(),
                };
                variants.push(features.iter().map(of_feature).collect());
            }
            let predicted = model.predict_variants(table, &features, &variants)?;
            for (losses, of_column) in losses.iter_mut().zip(predicted.chunks(some.len())) {
                for predictions in of_column {
                    let shuffled = (how.measure)(predictions).ok_or_else(undefined)?;
                    losses.push(sign * (as_is - shuffled));
                }
            }
            #[expect(clippy::cast_precision_loss, reason = "a share of the work")]
            let share = {
                let of_group = group.len() as f64 * losses[0].len() as f64 / f64::from(repeats);
                (importances.len() as f64 + of_group) / columns.len() as f64
            };
            if !go_on(share) {
                return Err(ExplainError::Stopped);
            }
        }
        importances.extend(losses.iter().map(|losses| importance_of(losses)));
    }
    Ok((as_is, importances))
}

/// Neighbours, as many as have few features together: trees are walked once for all columns of a group.
fn groups(columns: &[RawColumn]) -> Vec<&[RawColumn]> {
    let mut groups = Vec::new();
    let mut start = 0;
    while start < columns.len() {
        let mut features = 0;
        let fits = |column: &&RawColumn| {
            features += column.features.len();
            features <= GROUP_FEATURES
        };
        let count = columns[start..].iter().take_while(fits).count().max(1);
        groups.push(&columns[start..start + count]);
        start += count;
    }
    groups
}

fn importance_of(losses: &[f64]) -> Importance {
    #[expect(clippy::cast_precision_loss, reason = "repeats are few")]
    let count = losses.len() as f64;
    let mean = losses.iter().sum::<f64>() / count;
    let variance = losses.iter().map(|loss| (loss - mean).powi(2)).sum::<f64>() / count;
    Importance {
        mean,
        sd: variance.sqrt(),
    }
}

fn taken(values: &FeatureColumn, order: &[usize]) -> FeatureColumn {
    match values {
        FeatureColumn::Numeric(values) => FeatureColumn::Numeric(order.iter().map(|i| values[*i]).collect()),
        FeatureColumn::Category(codes) => FeatureColumn::Category(order.iter().map(|i| codes[*i]).collect()),
    }
}
