//! The explanation as scripts read it.

use ml::dataset::{Dataset, Task};
use ml::explain::{Attributions, PartialDependence};
use serde::Serialize;

use super::Permutations;
use crate::winner::Verdict;

/// What was found out, for scripts and for the page.
pub(super) struct Explanation {
    pub(super) document: Document,
    pub(super) attributions: Attributions,
    pub(super) label: String,
}

/// `explanation.json`.
#[derive(Serialize)]
pub(super) struct Document {
    pub(super) candidate: String,
    pub(super) task: Task,
    /// The outputs' names, by which `base` and `means` are ordered: the positive class, all classes, or the label.
    pub(super) outputs: Vec<String>,
    /// How many rows got attributions.
    pub(super) rows: usize,
    /// Why these are fewer than were wanted and there are, if so.
    pub(super) rows_left_out: Option<String>,
    /// By output, in margin space: log-odds, or the number itself.
    pub(super) base: Vec<f64>,
    pub(super) additivity: Additivity,
    /// What permutation importance was measured with.
    pub(super) permutation: Option<PermutationBase>,
    /// Why it is not there, where it was wanted.
    pub(super) permutation_left_out: Option<String>,
    /// The one that matters most first.
    pub(super) columns: Vec<Column>,
    pub(super) partial_dependence: Vec<Curve>,
}

#[derive(Serialize)]
pub(super) struct Additivity {
    pub(super) max_error: f64,
    pub(super) range: f64,
    pub(super) checked: usize,
}

#[derive(Serialize)]
pub(super) struct PermutationBase {
    pub(super) metric: String,
    /// On the rows as they are.
    pub(super) value: f64,
    pub(super) rows: usize,
    pub(super) repeats: u32,
}

#[derive(Serialize)]
pub(super) struct Column {
    pub(super) column: String,
    pub(super) mean_abs_shap: f64,
    pub(super) direction: Option<f64>,
    pub(super) permutation: Option<Importance>,
}

#[derive(Serialize)]
pub(super) struct Importance {
    pub(super) mean: f64,
    pub(super) sd: f64,
}

#[derive(Serialize)]
pub(super) struct Curve {
    pub(super) column: String,
    pub(super) is_numeric: bool,
    pub(super) points: Vec<Point>,
}

#[derive(Serialize)]
pub(super) struct Point {
    pub(super) value: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) number: Option<f64>,
    pub(super) means: Vec<f64>,
}

impl Explanation {
    pub(super) fn new(
        verdict: &Verdict,
        dataset: &Dataset,
        (attributions, wanted): (Attributions, usize),
        permutations: &Permutations,
        dependence: Vec<PartialDependence>,
    ) -> Self {
        let (permuted, left_out) = match permutations {
            Permutations::NotWanted => (None, None),
            Permutations::Found(permuted) => (Some(permuted), None),
            Permutations::Undefined(why) => (None, Some(why.clone())),
        };
        let outputs = match dataset.task {
            Task::Binary => dataset.classes.iter().skip(1).take(1).cloned().collect(),
            Task::Multiclass => dataset.classes.clone(),
            Task::Regression => vec![dataset.label.clone()],
        };
        let importance = |column: &str| {
            let (_, found) = permuted?.columns.iter().find(|(name, _)| name == column)?;
            Some(Importance {
                mean: found.mean,
                sd: found.sd,
            })
        };
        let columns = attributions
            .columns
            .iter()
            .map(|attribution| Column {
                column: attribution.column.clone(),
                mean_abs_shap: attribution.mean_abs_shap,
                direction: attribution.direction,
                permutation: importance(&attribution.column),
            })
            .collect();
        let curves = dependence
            .into_iter()
            .map(|curve| Curve {
                column: curve.column,
                is_numeric: curve.is_numeric,
                points: curve
                    .points
                    .into_iter()
                    .map(|point| Point {
                        value: point.value,
                        number: point.number,
                        means: point.means,
                    })
                    .collect(),
            })
            .collect();
        let document = Document {
            candidate: verdict.winner.name.clone(),
            task: dataset.task,
            outputs,
            rows: attributions.rows,
            rows_left_out: (attributions.rows < wanted).then(|| {
                format!(
                    "{} of {wanted} rows are explained: the model has so many deep trees that all of them would take \
                     minutes",
                    attributions.rows
                )
            }),
            base: attributions.base.clone(),
            additivity: Additivity {
                max_error: attributions.additivity.max_error,
                range: attributions.additivity.range,
                checked: attributions.additivity.checked,
            },
            permutation: permuted.map(|permuted| PermutationBase {
                metric: permuted.metric.clone(),
                value: permuted.value,
                rows: permuted.rows,
                repeats: permuted.repeats,
            }),
            permutation_left_out: left_out,
            columns,
            partial_dependence: curves,
        };
        Self {
            document,
            attributions,
            label: dataset.label.clone(),
        }
    }
}
