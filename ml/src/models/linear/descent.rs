//! L-BFGS on the features as they are (Nocedal and Wright: Numerical optimization, 2nd edition, algorithm 7.4):
//! it needs the gradient only, and the gradient only a look-up for each category.
//!
//! The first guess of the inverse Hessian is the inverse of the diagonal of an upper bound of the Hessian. Columns of
//! rare categories would otherwise hold everything up: their curvature is thousands of times smaller.

use std::collections::VecDeque;

use super::Minimum;
use super::loss::Loss;
use super::search::{self, Method, dot};
use crate::dataset::Task;
use crate::features::{FeatureColumn, FeatureValues, LinearDesign};
use crate::models::{Examples, ModelError, Problem, Watch};

/// How many of the latest steps are remembered.
const MEMORY: usize = 10;
/// Ends when the expected decrease is below this share of the loss: beyond, figures change in the fifth digit at most.
const TOLERANCE: f64 = 1e-8;

/// A step and what it changed in the gradient.
struct Pair {
    step: Vec<f64>,
    change: Vec<f64>,
    /// 1 / (step · change)
    rho: f64,
}

/// What is known of the Hessian.
struct Lbfgs {
    pairs: VecDeque<Pair>,
    /// The inverse of its diagonal at first.
    scale: Vec<f64>,
}

impl Method for Lbfgs {
    const TOLERANCE: f64 = TOLERANCE;

    fn direction(&mut self, _point: &[f64], gradient: &[f64]) -> Option<Vec<f64>> {
        let direction = descent(gradient, &self.pairs, &self.scale);
        if dot(&direction, gradient) >= 0.0 && !self.pairs.is_empty() {
            // Rounding has spoilt what is remembered.
            self.pairs.clear();
            return Some(descent(gradient, &self.pairs, &self.scale));
        }
        Some(direction)
    }

    fn moved(&mut self, from: (&[f64], &[f64]), to: (&[f64], &[f64])) {
        let less = |a: &[f64], b: &[f64]| -> Vec<f64> { a.iter().zip(b).map(|(a, b)| a - b).collect() };
        let (step, change) = (less(to.0, from.0), less(to.1, from.1));
        let curvature = dot(&step, &change);
        if curvature > f64::EPSILON * dot(&change, &change).sqrt() * dot(&step, &step).sqrt() {
            if self.pairs.len() == MEMORY {
                self.pairs.pop_front();
            }
            self.pairs.push_back(Pair {
                step,
                change,
                rho: 1.0 / curvature,
            });
        }
    }
}

pub(super) fn fit(
    l2: f64,
    max_iterations: u32,
    problem: &Problem<'_>,
    train: &Examples<'_>,
    design: &LinearDesign,
    watch: &dyn Watch,
) -> Result<Minimum, ModelError> {
    let loss = Loss::new(l2, problem, train, design);
    let method = Lbfgs {
        pairs: VecDeque::with_capacity(MEMORY),
        scale: inverse_diagonal(l2, problem, train, design, loss.outputs),
    };
    let found = search::minimum(method, &loss, (problem, train), max_iterations, watch)?;
    Ok(found.expect("there is always a direction"))
}

/// The inverse of the diagonal of the Hessian, or of an upper bound of it: 1/4 of the squares for two classes (as for
/// more of them, whose p (1 - p) is not above that either), all of them for squared errors.
fn inverse_diagonal(
    l2: f64,
    problem: &Problem<'_>,
    train: &Examples<'_>,
    design: &LinearDesign,
    outputs: usize,
) -> Vec<f64> {
    let curvature = match problem.task {
        Task::Regression => 1.0,
        Task::Binary | Task::Multiclass => 0.25,
    };
    let weights: Vec<f64> = match train.weights {
        Some(weights) => weights.iter().copied().map(f64::from).collect(),
        None => vec![1.0; train.features.rows],
    };
    // Cells of categories and indicators are their own squares.
    let mut squares = design.sums(train.features, &weights);
    let mut first_of = vec![0; problem.features.len()];
    for (at, column) in design.columns().iter().enumerate().rev() {
        first_of[column.feature] = at;
    }
    for ((feature, column), first) in problem.features.iter().zip(&train.features.columns).zip(first_of) {
        let (
            FeatureValues::Numeric {
                fill, center, scale, ..
            },
            FeatureColumn::Numeric(values),
        ) = (&feature.values, column)
        else {
            continue;
        };
        squares[first] = values
            .iter()
            .zip(&weights)
            .map(|(value, weight)| {
                let value = if value.is_nan() { *fill } else { *value };
                let cell = f64::from((value - center) / scale);
                weight * cell * cell
            })
            .sum();
    }
    let total: f64 = weights.iter().sum();
    // A column of zeros has no slope either: any finite number does.
    let inverse = |squares: f64, l2: f64| match curvature * squares + l2 {
        0.0 => 0.0,
        diagonal => 1.0 / diagonal,
    };
    let of_columns: Vec<f64> = squares.iter().map(|s| inverse(*s, l2)).collect();
    let mut all = of_columns.repeat(outputs);
    all.extend(std::iter::repeat_n(inverse(total, 0.0), outputs));
    all
}

/// Minus the inverse Hessian, as far as it is known, times the gradient.
fn descent(gradient: &[f64], pairs: &VecDeque<Pair>, scale: &[f64]) -> Vec<f64> {
    let mut direction = gradient.to_vec();
    let mut alphas = Vec::with_capacity(pairs.len());
    for pair in pairs.iter().rev() {
        let alpha = pair.rho * dot(&pair.step, &direction);
        for (d, c) in direction.iter_mut().zip(&pair.change) {
            *d -= alpha * c;
        }
        alphas.push(alpha);
    }
    // How much longer than the diagonal says the latest step was.
    let gamma = pairs.back().map_or(1.0, |pair| {
        let scaled: f64 = pair.change.iter().zip(scale).map(|(c, s)| c * c * s).sum();
        if scaled > 0.0 {
            1.0 / (pair.rho * scaled)
        } else {
            1.0
        }
    });
    for (d, s) in direction.iter_mut().zip(scale) {
        *d *= gamma * s;
    }
    for (pair, alpha) in pairs.iter().zip(alphas.iter().rev()) {
        let beta = pair.rho * dot(&pair.change, &direction);
        for (d, s) in direction.iter_mut().zip(&pair.step) {
            *d += (alpha - beta) * s;
        }
    }
    for d in &mut direction {
        *d = -*d;
    }
    direction
}
