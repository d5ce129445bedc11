//! Thresholds that the winner must reach on test.

use ml::report::number;
use pipeline::spec::stages::{Evaluate, Gate};
use pipeline::stage::StageError;
use serde::Serialize;

use super::candidate::{Candidate, Metrics};
use super::slices::Slices;

/// What became of one threshold.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct GateResult {
    /// Such as `auc >= 0.65`.
    pub(super) name: String,
    pub(super) metric: String,
    pub(super) threshold: f64,
    /// None where the rows do not define the metric.
    pub(super) value: Option<f64>,
    pub(super) passed: bool,
    /// In a sentence.
    pub(super) about: String,
}

/// Whether a value must be at least or at most the threshold.
#[derive(Clone, Copy)]
enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

pub(super) fn judge(
    params: &Evaluate,
    winner: &Candidate,
    slices: &Slices,
) -> Result<Vec<GateResult>, StageError> {
    let mut results = Vec::new();
    for gate in &params.gates {
        let bounds = [gate.at_least.map(Bound::AtLeast), gate.at_most.map(Bound::AtMost)];
        for bound in bounds.into_iter().flatten() {
            match &gate.slice {
                None => results.push(result(gate, bound, Some(&winner.test), "test")),
                Some(value) => {
                    let before = results.len();
                    for slice in slices.meant(value) {
                        let place = format!("{} = {}", slice.column, slice.value);
                        results.push(result(gate, bound, Some(&slice.metrics), &place));
                    }
                    if results.len() == before {
                        results.push(result(gate, bound, None, &format!("slice {value}")));
                    }
                }
            }
        }
    }
    Ok(results)
}

fn result(gate: &Gate, bound: Bound, metrics: Option<&Metrics>, place: &str) -> GateResult {
    let metric = &gate.metric;
    let value = metrics.and_then(|m| m.get(metric.as_str()).copied().flatten());
    let (sign, words, threshold) = match bound {
        Bound::AtLeast(threshold) => (">=", "at least", threshold),
        Bound::AtMost(threshold) => ("<=", "at most", threshold),
    };
    let passed = value.is_some_and(|value| match bound {
        Bound::AtLeast(threshold) => value >= threshold,
        Bound::AtMost(threshold) => value <= threshold,
    });
    let about = match (metrics, value) {
        (None, _) => format!("no row of test is in {place}"),
        (Some(_), None) => format!("{metric} is not defined on the rows of {place}"),
        (Some(_), Some(value)) => {
            let must = if passed { "is" } else { "must be" };
            // Rounded, a value just below its threshold would look equal to it.
            format!("{metric} on {place} is {value} and {must} {words} {threshold}")
        }
    };
    GateResult {
        name: match &gate.slice {
            None => format!("{metric} {sign} {}", number(threshold)),
            Some(_) => format!("{metric} {sign} {} on {place}", number(threshold)),
        },
        metric: metric.clone(),
        threshold,
        value,
        passed,
        about,
    }
}
