//! L-BFGS on the features as they are (Nocedal and Wright: Numerical optimization, 2nd edition, algorithms 7.4 and 3.1):
//! it needs the gradient only, and the gradient only a look-up for each category.
//!
//! The first guess of the inverse Hessian is the inverse of the diagonal of an upper bound of the Hessian. Columns of
//! rare categories would otherwise hold everything up: their curvature is thousands of times smaller.

use std::collections::VecDeque;

use super::loss::Loss;
use super::{Minimum, start};
use crate::dataset::Task;
use crate::features::{FeatureColumn, FeatureValues, LinearDesign};
use crate::models::{Examples, GoOn, ModelError, Problem, Watch};

/// How many of the latest steps are remembered.
const MEMORY: usize = 10;
/// Armijo's condition: the least share of the expected decrease.
const SUFFICIENT: f64 = 1e-4;
/// How often a step is halved before there is no way down.
const MAX_HALVINGS: u32 = 40;
/// Ends when the expected decrease is below this share of the loss: beyond, figures change in the fifth digit at most.
const TOLERANCE: f64 = 1e-8;

pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// A step and what it changed in the gradient.
struct Pair {
    step: Vec<f64>,
    change: Vec<f64>,
    /// 1 / (step · change)
    rho: f64,
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
    let scale = inverse_diagonal(l2, problem, train, design, loss.outputs);
    let coefficients = loss.outputs * design.columns().len();
    let mut point = vec![0.0; coefficients];
    point.extend(start(problem, train));
    let mut gradient = vec![0.0; point.len()];
    let mut value = loss.at(&point, &mut gradient);
    let mut pairs: VecDeque<Pair> = VecDeque::with_capacity(MEMORY);
    let (mut next, mut next_gradient) = (point.clone(), gradient.clone());
    let mut iterations = 0;
    let mut time_limited = false;
    while iterations < max_iterations {
        let mut direction = descent(&gradient, &pairs, &scale);
        let mut slope = dot(&direction, &gradient);
        if slope >= 0.0 && !pairs.is_empty() {
            // Rounding has spoilt what is remembered.
            pairs.clear();
            direction = descent(&gradient, &pairs, &scale);
            slope = dot(&direction, &gradient);
        }
        if slope.is_nan() || -slope <= TOLERANCE * value.abs() {
            break;
        }
        let Some(next_value) = line_search(
            &loss,
            (&point, value),
            (&direction, slope),
            &mut next,
            &mut next_gradient,
        ) else {
            break;
        };
        let step: Vec<f64> = next.iter().zip(&point).map(|(a, b)| a - b).collect();
        let change: Vec<f64> = next_gradient.iter().zip(&gradient).map(|(a, b)| a - b).collect();
        let curvature = dot(&step, &change);
        if curvature > f64::EPSILON * dot(&change, &change).sqrt() * dot(&step, &step).sqrt() {
            if pairs.len() == MEMORY {
                pairs.pop_front();
            }
            pairs.push_back(Pair {
                step,
                change,
                rho: 1.0 / curvature,
            });
        }
        std::mem::swap(&mut point, &mut next);
        std::mem::swap(&mut gradient, &mut next_gradient);
        value = next_value;
        iterations += 1;
        match watch.go_on(f64::from(iterations) / f64::from(max_iterations)) {
            GoOn::Yes => {}
            GoOn::KeepBest => {
                time_limited = true;
                break;
            }
            GoOn::Drop => return Err(ModelError::Dropped),
        }
    }
    let intercepts = point.split_off(coefficients);
    Ok(Minimum {
        intercepts,
        weights: point,
        iterations,
        time_limited,
    })
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

/// Halves the step until the loss falls enough. The new point and gradient are left in `next` and `next_gradient`; none
/// if the loss falls nowhere, which is what rounding makes of a minimum.
pub(super) fn line_search(
    loss: &Loss<'_>,
    (point, value): (&[f64], f64),
    (direction, slope): (&[f64], f64),
    next: &mut [f64],
    next_gradient: &mut [f64],
) -> Option<f64> {
    let mut length = 1.0;
    for _ in 0..MAX_HALVINGS {
        for ((to, from), d) in next.iter_mut().zip(point).zip(direction) {
            *to = from + length * d;
        }
        let found = loss.at(next, next_gradient);
        if found.is_finite() && found <= value + SUFFICIENT * length * slope {
            return Some(found);
        }
        length *= 0.5;
    }
    None
}
