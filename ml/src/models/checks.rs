//! What no model is trained on: told before anything is allocated for it.

use super::{Examples, Hyperparameters, ModelError, Problem, matrix};
use crate::dataset::Task;
use crate::features::{Feature, FeatureValues};

/// The most classes.
pub(super) const MAX_CLASSES: usize = 1_000;
/// The most features.
pub(super) const MAX_FEATURES: usize = 65_536;
/// The most levels of one category: a histogram has a bin for each.
pub(super) const MAX_LEVELS: usize = 65_536;
/// The most rows.
const MAX_ROWS: usize = 1 << 31;
/// The most values (rows times features): 16 GiB of them.
const MAX_VALUES: usize = 1 << 32;
/// The most trees of a model, all classes together.
const MAX_TREES: usize = 1_000_000;

fn refused(what: impl Into<String>) -> ModelError {
    ModelError::Refused(what.into())
}

/// The number of classes fits the task, and there are features of sensible sizes.
pub(super) fn shape(task: Task, classes: usize, features: &[Feature]) -> Result<(), ModelError> {
    match (task, classes) {
        (Task::Regression, 0) | (Task::Binary, 2) => {}
        (Task::Multiclass, 3..=MAX_CLASSES) => {}
        (Task::Multiclass, n) if n > MAX_CLASSES => {
            return Err(refused(format!(
                "the label has {n} classes; at most {MAX_CLASSES} are supported: is it a number, or a name of each row?"
            )));
        }
        (task, n) => {
            return Err(refused(format!("{n} classes do not fit a {task:?} task")));
        }
    }
    if features.is_empty() {
        return Err(refused("there is no feature to learn from"));
    }
    if features.len() > MAX_FEATURES {
        return Err(refused(format!(
            "there are {} features; at most {MAX_FEATURES} are supported",
            features.len()
        )));
    }
    for feature in features {
        match &feature.values {
            FeatureValues::Category { levels, .. } if levels.len() > MAX_LEVELS => {
                return Err(refused(format!(
                    "feature {} has {} levels; at most {MAX_LEVELS} are supported: lower max_categories",
                    feature.name,
                    levels.len()
                )));
            }
            FeatureValues::Numeric {
                fill, center, scale, ..
            } if !(fill.is_finite() && center.is_finite() && scale.is_finite() && *scale != 0.0) => {
                return Err(refused(format!(
                    "feature {}: fill, center and scale must be finite, and scale not 0",
                    feature.name
                )));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Hyperparameters are in the ranges in which they mean something.
pub(super) fn hyperparameters(told: &Hyperparameters, classes: usize) -> Result<(), ModelError> {
    let within = |name: &str, value: f64, low: f64, high: f64, open: bool| {
        let fits = value.is_finite() && value <= high && if open { value > low } else { value >= low };
        let bracket = if open { "(" } else { "[" };
        match fits {
            true => Ok(()),
            false => Err(refused(format!(
                "{name} must be in {bracket}{low}, {high}], not {value}"
            ))),
        }
    };
    let trees = |name: &str, n: u32| {
        let all = (n as usize).saturating_mul(classes.max(1));
        match (1..=MAX_TREES).contains(&all) {
            true => Ok(()),
            false => Err(refused(format!(
                "{name} = {n} makes {all} trees; 1 to {MAX_TREES} are supported"
            ))),
        }
    };
    match *told {
        Hyperparameters::Linear { l2, max_iterations } => {
            within("l2", l2, 0.0, 1e12, false)?;
            within("max_iterations", f64::from(max_iterations), 1.0, 1e6, false)
        }
        Hyperparameters::Boosting {
            rounds,
            learning_rate,
            max_leaves,
            max_depth,
            min_child_weight,
            l2,
            subsample,
            feature_fraction,
            early_stopping: _,
        } => {
            trees("rounds", rounds)?;
            within("learning_rate", learning_rate, 0.0, 10.0, true)?;
            within("max_leaves", f64::from(max_leaves), 2.0, 65_536.0, false)?;
            within("max_depth", f64::from(max_depth), 0.0, 64.0, false)?;
            within("min_child_weight", min_child_weight, 0.0, 1e12, false)?;
            within("l2", l2, 0.0, 1e12, false)?;
            within("subsample", subsample, 0.0, 1.0, true)?;
            within("feature_fraction", feature_fraction, 0.0, 1.0, true)
        }
        Hyperparameters::Forest {
            trees: n,
            max_depth,
            subsample,
            feature_fraction,
        } => {
            trees("trees", n)?;
            within("max_depth", f64::from(max_depth), 1.0, 24.0, false)?;
            within("subsample", subsample, 0.0, 1.0, true)?;
            within("feature_fraction", feature_fraction, 0.0, 1.0, true)
        }
    }
}

/// Examples have the problem's features, a usable target and usable weights. `set` is what they are called.
pub(super) fn examples(set: &str, problem: &Problem<'_>, examples: &Examples<'_>) -> Result<(), ModelError> {
    let Examples {
        features,
        target,
        weights,
    } = examples;
    let rows = features.rows;
    if rows == 0 {
        return Err(refused(format!("{set} has no rows")));
    }
    if rows > MAX_ROWS || rows.saturating_mul(problem.features.len()) > MAX_VALUES {
        return Err(refused(format!(
            "{set} has {rows} rows of {} features, which is more than one process learns from: sample the rows",
            problem.features.len()
        )));
    }
    matrix::check_columns(problem.features, features)?;
    if target.len() != rows {
        return Err(refused(format!(
            "{set} has {rows} rows and {} labels",
            target.len()
        )));
    }
    if let Some(row) = target.iter().position(|y| !known(*y, problem.classes)) {
        return Err(refused(format!(
            "{set}: the label of row {} is {}",
            row + 1,
            match problem.classes {
                0 => "missing or infinite".to_owned(),
                n => format!("no class: indices go from 0 to {}", n - 1),
            }
        )));
    }
    if let Some(weights) = weights {
        if weights.len() != rows {
            return Err(refused(format!(
                "{set} has {rows} rows and {} weights",
                weights.len()
            )));
        }
        if let Some(row) = weights.iter().position(|w| !(w.is_finite() && *w >= 0.0)) {
            return Err(refused(format!(
                "{set}: the weight of row {} is negative, missing or infinite",
                row + 1
            )));
        }
        if weights.iter().all(|w| *w == 0.0) {
            return Err(refused(format!("{set}: all weights are 0")));
        }
    }
    Ok(())
}

/// A finite number, or the index of a class.
fn known(y: f32, classes: usize) -> bool {
    #[expect(clippy::cast_precision_loss, reason = "at most 1,000 classes")]
    let below = y < classes as f32;
    match classes {
        0 => y.is_finite(),
        _ => y >= 0.0 && y.fract() == 0.0 && below,
    }
}

/// There is something to tell apart: at least two classes, or two numbers, among the rows that count.
pub(super) fn target_varies(problem: &Problem<'_>, train: &Examples<'_>) -> Result<(), ModelError> {
    let counts = |row: usize| train.weights.is_none_or(|w| w[row] > 0.0);
    let mut targets = (0..train.target.len())
        .filter(|row| counts(*row))
        .map(|row| train.target[row]);
    let first = targets.next();
    if targets.any(|y| Some(y) != first) {
        return Ok(());
    }
    Err(refused(match problem.classes {
        0 => "train: all labels are the same number: there is nothing to learn".to_owned(),
        _ => "train: all rows are of one class: there is nothing to tell apart".to_owned(),
    }))
}
