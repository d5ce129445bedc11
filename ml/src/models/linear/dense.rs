//! linfa's solvers, for what they do well: rows of equal weight whose matrix is small.

use linfa::prelude::{Dataset, Fit};
use linfa_linear::LinearRegression;
use linfa_logistic::{LogisticRegression, MultiLogisticRegression};
use ndarray::{Array1, Array2, Axis, ShapeBuilder, s};

use super::Minimum;
use crate::dataset::Task;
use crate::features::LinearDesign;
use crate::models::{Examples, Problem};

/// The most cells of a matrix of doubles: 32 MiB of them.
const MAX_CELLS: usize = 4 << 20;
/// The norm of the gradient of the summed loss at which linfa ends, for each row.
const TOLERANCE: f64 = 1e-6;

/// How many iterations it took is not told, so that they are 0 here.
///
/// None where the other solver is to do it: with weights, on large matrices, without a penalty (columns of categories
/// depend on each other), for classes that do not occur, and where linfa gives up.
pub(super) fn fit(
    l2: f64,
    max_iterations: u32,
    problem: &Problem<'_>,
    train: &Examples<'_>,
    design: &LinearDesign,
) -> Option<Minimum> {
    let (rows, columns) = (train.features.rows, design.columns().len());
    if train.weights.is_some() || l2 <= 0.0 || (rows + columns).saturating_mul(columns) > MAX_CELLS {
        return None;
    }
    match problem.task {
        Task::Regression => ridge(l2, train, design),
        Task::Binary | Task::Multiclass => logistic(l2, max_iterations, problem, train, design),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "targets were checked to be indices of classes, and there are far fewer rows than 2^53"
)]
fn logistic(
    l2: f64,
    max_iterations: u32,
    problem: &Problem<'_>,
    train: &Examples<'_>,
    design: &LinearDesign,
) -> Option<Minimum> {
    let matrix = design.matrix(train.features).mapv(f64::from);
    let classes: Array1<usize> = train.target.iter().map(|y| *y as usize).collect();
    let tolerance = TOLERANCE * train.features.rows as f64;
    let data = Dataset::new(matrix, classes);
    if problem.task == Task::Binary {
        let fitted = LogisticRegression::default()
            .alpha(l2)
            .gradient_tolerance(tolerance)
            .max_iterations(u64::from(max_iterations))
            .fit(&data)
            .ok()?;
        // linfa calls the rarer class the positive one.
        let sign = if fitted.labels().pos.class == 1 { 1.0 } else { -1.0 };
        return Some(Minimum {
            intercepts: vec![sign * fitted.intercept()],
            weights: fitted.params().iter().map(|w| sign * w).collect(),
            iterations: 0,
            time_limited: false,
        });
    }
    let fitted = MultiLogisticRegression::default()
        .alpha(l2)
        .gradient_tolerance(tolerance)
        .max_iterations(u64::from(max_iterations))
        .fit(&data)
        .ok()?;
    if fitted.classes().len() != problem.classes {
        return None;
    }
    Some(Minimum {
        intercepts: fitted.intercept().to_vec(),
        // linfa has them by column, then class.
        weights: fitted.params().t().iter().copied().collect(),
        iterations: 0,
        time_limited: false,
    })
}

/// Ridge regression as least squares: a row for each column, with the root of the penalty in it, says that its
/// coefficient should be 0 (Hastie, Tibshirani, Friedman: The elements of statistical learning, exercise 3.12). The
/// intercept is not penalised, so it is taken out by centring.
fn ridge(l2: f64, train: &Examples<'_>, design: &LinearDesign) -> Option<Minimum> {
    let (rows, columns) = (train.features.rows, design.columns().len());
    let mut matrix = Array2::<f64>::zeros((rows + columns, columns).f());
    let mut data = matrix.slice_mut(s![..rows, ..]);
    data.assign(&design.matrix(train.features).mapv(f64::from));
    let means = data.mean_axis(Axis(0))?;
    data -= &means;
    for column in 0..columns {
        matrix[(rows + column, column)] = l2.sqrt();
    }
    let mut target = Array1::<f64>::zeros(rows + columns);
    for (to, from) in target.iter_mut().zip(train.target) {
        *to = f64::from(*from);
    }
    let mean = target.slice(s![..rows]).mean()?;
    let mut centred = target.slice_mut(s![..rows]);
    centred -= mean;
    let fitted = LinearRegression::default()
        .with_intercept(false)
        .fit(&Dataset::new(matrix, target))
        .ok()?;
    Some(Minimum {
        intercepts: vec![mean - fitted.params().dot(&means)],
        weights: fitted.params().to_vec(),
        iterations: 0,
        time_limited: false,
    })
}
