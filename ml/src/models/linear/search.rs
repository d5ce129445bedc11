//! Going down to a minimum, direction by direction (Nocedal and Wright: Numerical optimization, 2nd edition, algorithm 3.1
//! with backtracking). Methods differ in the directions that they take.

use super::loss::Loss;
use super::{Minimum, start};
use crate::models::{Examples, GoOn, ModelError, Problem, Watch};

/// Armijo's condition: the least share of the expected decrease.
const SUFFICIENT: f64 = 1e-4;
/// How often a step is halved before there is no way down.
const MAX_HALVINGS: u32 = 40;

pub(super) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Where to go from a point.
pub(super) trait Method {
    /// Ends when the expected decrease is below this share of the loss.
    const TOLERANCE: f64;

    /// The step to take from here; none if the method does not know any.
    fn direction(&mut self, point: &[f64], gradient: &[f64]) -> Option<Vec<f64>>;

    /// Learns where a step led: the new point, and its gradient.
    fn moved(&mut self, _from: (&[f64], &[f64]), _to: (&[f64], &[f64])) {}
}

/// The minimum, or the best that was found until `watch` or `max_iterations` ended the search; none if the method gives up.
pub(super) fn minimum<M: Method>(
    mut method: M,
    loss: &Loss<'_>,
    (problem, train): (&Problem<'_>, &Examples<'_>),
    max_iterations: u32,
    watch: &dyn Watch,
) -> Result<Option<Minimum>, ModelError> {
    let coefficients = loss.outputs * loss.design.columns().len();
    let mut point = vec![0.0; coefficients];
    point.extend(start(problem, train));
    let mut gradient = vec![0.0; point.len()];
    let mut value = loss.at(&point, &mut gradient);
    let (mut next, mut next_gradient) = (point.clone(), gradient.clone());
    let mut iterations = 0;
    let mut time_limited = false;
    while iterations < max_iterations {
        let Some(direction) = method.direction(&point, &gradient) else {
            return Ok(None);
        };
        let slope = dot(&direction, &gradient);
        if slope.is_nan() || -slope <= M::TOLERANCE * value.abs() {
            break;
        }
        let Some(found) = line_search(
            loss,
            (&point, value),
            (&direction, slope),
            &mut next,
            &mut next_gradient,
        ) else {
            break;
        };
        method.moved((&point, &gradient), (&next, &next_gradient));
        std::mem::swap(&mut point, &mut next);
        std::mem::swap(&mut gradient, &mut next_gradient);
        value = found;
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
    Ok(Some(Minimum {
        intercepts,
        weights: point,
        iterations,
        time_limited,
    }))
}

/// Halves the step until the loss falls enough. The new point and gradient are left in `next` and `next_gradient`; none
/// if the loss falls nowhere, which is what rounding makes of a minimum.
fn line_search(
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
