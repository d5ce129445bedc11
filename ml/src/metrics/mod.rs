//! How good predictions are: metrics, their intervals, differences of two models on the same rows, and curves.
//!
//! [`Judged`] holds predictions beside what was true, checked once. Everything weighs rows if there are weights. What
//! a metric cannot say of these rows is none and never a made-up number: an AUC of one class, a precision where
//! nothing was predicted positive.
//!
//! ```
//! use ml::dataset::Task;
//! use ml::metrics::{Judged, Truth};
//!
//! let truth = Truth { task: Task::Binary, classes: 2, target: &[0.0, 0.0, 1.0, 1.0], weights: None };
//! let judged = Judged::new(&[0.1, 0.4, 0.35, 0.8], &truth)?;
//! assert_eq!(judged.value("auc"), Some(0.75));
//! # Ok::<(), ml::metrics::MetricError>(())
//! ```

mod binary;
mod bootstrap;
mod curves;
mod delong;
mod multiclass;
mod regression;
mod thin;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::dataset::Task;

pub use binary::Confusion;
pub use bootstrap::Comparison;
pub use curves::{CalibrationBin, PrPoint, Residuals, RocPoint, ThresholdRow};
pub use multiclass::ClassFigures;

use binary::Binary;
use multiclass::Multiclass;
use regression::Regression;

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Metric {
    /// As specifications name it.
    pub name: &'static str,
    /// For which tasks there is one of that name.
    pub tasks: &'static [Task],
    /// True if more is better.
    pub higher_is_better: bool,
    /// The least and the largest value that it can have.
    pub range: (f64, f64),
}

const fn metric(
    name: &'static str,
    tasks: &'static [Task],
    higher_is_better: bool,
    range: (f64, f64),
) -> Metric {
    Metric {
        name,
        tasks,
        higher_is_better,
        range,
    }
}

const BINARY: &[Task] = &[Task::Binary];
const CLASSES: &[Task] = &[Task::Binary, Task::Multiclass];
const MULTICLASS: &[Task] = &[Task::Multiclass];
const REGRESSION: &[Task] = &[Task::Regression];
const SHARE: (f64, f64) = (0.0, 1.0);
const POSITIVE: (f64, f64) = (0.0, f64::INFINITY);

/// Every metric, in the order of reports.
pub const METRICS: &[Metric] = &[
    metric("auc", BINARY, true, SHARE),
    metric("pr_auc", BINARY, true, SHARE),
    metric("log_loss", CLASSES, false, POSITIVE),
    metric("brier", BINARY, false, SHARE),
    metric("accuracy", CLASSES, true, SHARE),
    metric("f1", BINARY, true, SHARE),
    metric("precision", BINARY, true, SHARE),
    metric("recall", BINARY, true, SHARE),
    metric("mcc", BINARY, true, (-1.0, 1.0)),
    metric("ece", BINARY, false, SHARE),
    metric("macro_f1", MULTICLASS, true, SHARE),
    metric("balanced_accuracy", MULTICLASS, true, SHARE),
    metric("rmse", REGRESSION, false, POSITIVE),
    metric("mae", REGRESSION, false, POSITIVE),
    metric("r2", REGRESSION, true, (f64::NEG_INFINITY, 1.0)),
    metric("median_absolute_error", REGRESSION, false, POSITIVE),
    metric("mape", REGRESSION, false, POSITIVE),
];

/// The metrics of a task, in the order of reports.
pub fn metrics_of(task: Task) -> impl Iterator<Item = &'static Metric> {
    METRICS.iter().filter(move |metric| metric.tasks.contains(&task))
}

/// A task's metric by its name.
pub fn find(task: Task, name: &str) -> Option<&'static Metric> {
    metrics_of(task).find(|metric| metric.name == name)
}

/// The metric that chooses between models unless another is named.
pub fn default_metric(task: Task) -> &'static str {
    match task {
        Task::Binary => "auc",
        Task::Multiclass => "log_loss",
        Task::Regression => "rmse",
    }
}

impl Metric {
    /// By how much `a` is better than `b`; negative if it is worse.
    pub fn advantage(&self, a: f64, b: f64) -> f64 {
        if self.higher_is_better { a - b } else { b - a }
    }
}

/// Why predictions cannot be judged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MetricError {
    /// There are none.
    #[error("there are no rows to judge predictions by")]
    Empty,
    /// There are not as many predictions as rows.
    #[error("{found} {what} for {rows} rows: there must be {wanted}")]
    Length {
        /// `predictions` or `weights`.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many there must be.
        wanted: usize,
        /// How many rows there are.
        rows: usize,
    },
    /// A value that is none of its kind.
    #[error("row {row}: the {what} is {problem}")]
    Value {
        /// From 1.
        row: usize,
        /// `prediction`, `target` or `weight`.
        what: &'static str,
        /// What is wrong with it. Never the value.
        problem: &'static str,
    },
    /// All rows weigh nothing.
    #[error("all rows have the weight 0: there is nothing to judge predictions by")]
    Weightless,
}

/// What was true.
#[derive(Debug, Clone, Copy)]
pub struct Truth<'a> {
    /// What kind of prediction.
    pub task: Task,
    /// How many classes; 0 for regression.
    pub classes: usize,
    /// By row: the class' index, or the number.
    pub target: &'a [f32],
    /// By row: how much it counts; all the same if there are none.
    pub weights: Option<&'a [f32]>,
}

/// Predictions beside what was true.
#[derive(Debug, Clone)]
pub struct Judged<'a> {
    rows: Rows<'a>,
    weights: Vec<f64>,
    is_weighted: bool,
}

#[derive(Debug, Clone)]
enum Rows<'a> {
    Binary(Binary<'a>),
    Multiclass(Multiclass<'a>),
    Regression(Regression<'a>),
}

impl<'a> Rows<'a> {
    /// Of what was checked.
    fn new(task: Task, classes: usize, values: &'a [f64], target: &'a [f32]) -> Self {
        match task {
            Task::Binary => Self::Binary(Binary::new(values, target)),
            Task::Multiclass => Self::Multiclass(Multiclass::new(values, target, classes)),
            Task::Regression => Self::Regression(Regression::new(values, target)),
        }
    }

    /// The predicted values and the target that they were made of.
    fn parts(&self) -> (&'a [f64], &'a [f32]) {
        match self {
            Self::Binary(rows) => (rows.probabilities, rows.target),
            Self::Multiclass(rows) => (rows.probabilities, rows.target),
            Self::Regression(rows) => (rows.predicted, rows.target),
        }
    }
}

impl<'a> Judged<'a> {
    /// `values` are the positive class' probabilities, those of all classes row by row, or numbers: what
    /// [`crate::models::Predictions::values`] holds.
    pub fn new(values: &'a [f64], truth: &Truth<'a>) -> Result<Self, MetricError> {
        let outputs = match truth.task {
            Task::Multiclass => truth.classes,
            Task::Binary | Task::Regression => 1,
        };
        check(values, truth, outputs)?;
        let rows = Rows::new(truth.task, truth.classes, values, truth.target);
        let weights = match truth.weights {
            None => vec![1.0; truth.target.len()],
            Some(weights) => weights.iter().copied().map(f64::from).collect(),
        };
        Ok(Self {
            rows,
            weights,
            is_weighted: truth.weights.is_some(),
        })
    }

    /// How many rows.
    pub fn rows(&self) -> usize {
        self.weights.len()
    }

    /// What kind of prediction.
    pub fn task(&self) -> Task {
        match &self.rows {
            Rows::Binary(_) => Task::Binary,
            Rows::Multiclass(_) => Task::Multiclass,
            Rows::Regression(_) => Task::Regression,
        }
    }

    /// Every metric of the task, by name; none where these rows do not define it.
    pub fn values(&self) -> BTreeMap<&'static str, Option<f64>> {
        let values = self.measure(&self.weights);
        metrics_of(self.task()).map(|m| m.name).zip(values).collect()
    }

    /// One metric; none if the task has no such metric or these rows do not define it.
    pub fn value(&self, name: &str) -> Option<f64> {
        self.values().get(name).copied().flatten()
    }

    /// With other weights, in the order of [`metrics_of`].
    fn measure(&self, weights: &[f64]) -> Vec<Option<f64>> {
        match &self.rows {
            Rows::Binary(rows) => rows.measure(weights),
            Rows::Multiclass(rows) => rows.measure(weights),
            Rows::Regression(rows) => rows.measure(weights),
        }
    }

    /// The four (weighted) counts at a probability of 0.5; none for other tasks.
    pub fn confusion(&self) -> Option<Confusion> {
        match &self.rows {
            Rows::Binary(rows) => Some(rows.confusion(&self.weights)),
            Rows::Multiclass(_) | Rows::Regression(_) => None,
        }
    }

    /// (Weighted) counts by true class, then predicted class: of both tasks with classes.
    pub fn confusion_matrix(&self) -> Option<Vec<Vec<f64>>> {
        match &self.rows {
            Rows::Binary(rows) => {
                let c = rows.confusion(&self.weights);
                Some(vec![
                    vec![c.true_negatives, c.false_positives],
                    vec![c.false_negatives, c.true_positives],
                ])
            }
            Rows::Multiclass(rows) => Some(rows.confusion(&self.weights)),
            Rows::Regression(_) => None,
        }
    }

    /// Figures of every class, each against all others; none for other tasks.
    pub fn class_figures(&self) -> Option<Vec<ClassFigures>> {
        match &self.rows {
            Rows::Multiclass(rows) => Some(rows.class_figures(&self.weights)),
            Rows::Binary(_) | Rows::Regression(_) => None,
        }
    }
}

fn check(values: &[f64], truth: &Truth<'_>, outputs: usize) -> Result<(), MetricError> {
    let rows = truth.target.len();
    if rows == 0 {
        return Err(MetricError::Empty);
    }
    let same_length = |what, found, wanted| match found == wanted {
        true => Ok(()),
        false => Err(MetricError::Length {
            what,
            found,
            wanted,
            rows,
        }),
    };
    same_length("predictions", values.len(), rows.saturating_mul(outputs))?;
    if let Some(weights) = truth.weights {
        same_length("weights", weights.len(), rows)?;
        let bad = weights.iter().position(|w| !w.is_finite() || *w < 0.0);
        refuse(bad, "weight", "negative or not finite")?;
        if weights.iter().all(|w| *w == 0.0) {
            return Err(MetricError::Weightless);
        }
    }
    if truth.task == Task::Regression {
        refuse(
            values.iter().position(|v| !v.is_finite()),
            "prediction",
            "not finite",
        )?;
        return refuse(
            truth.target.iter().position(|t| !t.is_finite()),
            "target",
            "not finite",
        );
    }
    let bad = values.iter().position(|v| !(0.0..=1.0).contains(v));
    refuse(bad.map(|at| at / outputs), "prediction", "not a probability")?;
    let classes = if truth.task == Task::Binary {
        2
    } else {
        truth.classes
    };
    let is_class = |t: f32| t >= 0.0 && t.fract() == 0.0 && f64::from(t) < classes as f64;
    refuse(
        truth.target.iter().position(|t| !is_class(*t)),
        "target",
        "not the index of a class",
    )
}

fn refuse(row: Option<usize>, what: &'static str, problem: &'static str) -> Result<(), MetricError> {
    match row {
        None => Ok(()),
        Some(row) => Err(MetricError::Value {
            row: row + 1,
            what,
            problem,
        }),
    }
}

/// A quotient, if there is something to divide by.
fn ratio(part: f64, whole: f64) -> Option<f64> {
    (whole > 0.0).then(|| part / whole)
}

/// A 95 % confidence interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(from = "[f64; 2]", into = "[f64; 2]")]
pub struct Interval {
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
}

impl From<[f64; 2]> for Interval {
    fn from([low, high]: [f64; 2]) -> Self {
        Self { low, high }
    }
}

impl From<Interval> for [f64; 2] {
    fn from(range: Interval) -> Self {
        [range.low, range.high]
    }
}

#[cfg(test)]
mod tests;
