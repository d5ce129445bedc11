//! What the solvers have in common: where they end.

use ndarray::{Array1, Array2};

use super::loss::Loss;
use super::{Minimum, descent, newton};
use crate::dataset::Task;
use crate::features::LinearDesign;
use crate::models::tests::{After, Data, TASKS, after, always, data, linear};
use crate::models::{Examples, GoOn, Trained};

/// linfa does not tell how many iterations it took.
#[test]
fn small_unweighted_linear_models_are_solved_by_linfa() {
    for task in TASKS {
        let train = data(task, 600, 18);
        let ones = vec![1.0; 600];
        let solve = |examples| {
            crate::models::train(&linear(), &train.problem(task), examples, None, &always()).expect("trains")
        };
        let (dense, own) = (solve(train.examples()), solve(train.weighted(&ones)));
        assert!(dense.iterations == 0 && own.iterations > 0, "{task:?}");
        let margins = |trained: &Trained| trained.model.predict(&train.table).expect("predicts").margins;
        let worst = margins(&dense)
            .iter()
            .zip(margins(&own))
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f64::max);
        assert!(worst < 2e-3, "{task:?}: {worst:e}");
    }
}

/// Weights that differ from row to row.
fn weights(rows: usize) -> Vec<f32> {
    (0..rows).map(|row| 0.25 + (row % 7) as f32).collect()
}

type Solver = fn(f64, &Data, Examples<'_>, Task, &After) -> Option<Minimum>;

fn by_newton(l2: f64, data: &Data, examples: Examples<'_>, task: Task, watch: &After) -> Option<Minimum> {
    let design = LinearDesign::new(&data.features);
    newton::fit(l2, 200, &data.problem(task), &examples, &design, watch).expect("is not dropped")
}

fn by_descent(l2: f64, data: &Data, examples: Examples<'_>, task: Task, watch: &After) -> Option<Minimum> {
    let design = LinearDesign::new(&data.features);
    let found = descent::fit(l2, 2_000, &data.problem(task), &examples, &design, watch);
    Some(found.expect("is not dropped"))
}

/// More rows than one part has, so that parts are added up.
#[test]
fn both_methods_without_a_matrix_end_at_the_same_place() {
    for task in [Task::Binary, Task::Regression] {
        let train = data(task, 20_000, 40);
        let weights = weights(20_000);
        for examples in [train.examples(), train.weighted(&weights)] {
            let solve = |solver: Solver| solver(0.7, &train, examples, task, &always()).expect("solves");
            let (newton, descent) = (solve(by_newton), solve(by_descent));
            println!("{task:?}: {} and {} steps", newton.iterations, descent.iterations);
            assert!(newton.iterations < 12 && newton.iterations < descent.iterations);
            let design = LinearDesign::new(&train.features);
            let margins = |m: &Minimum| design.margin(&train.table, &m.weights, m.intercepts[0]);
            // Coefficients may differ more: all levels and the intercept, moved against each other, cost little.
            for (a, b) in margins(&newton).iter().zip(margins(&descent)) {
                assert!((a - b).abs() < 1e-3, "{task:?}: {a} and {b}");
            }
            let problem = train.problem(task);
            let loss = Loss::new(0.7, &problem, &examples, &design);
            let at = |m: &Minimum| {
                let point = [m.weights.as_slice(), &m.intercepts].concat();
                loss.at(&point, &mut vec![0.0; point.len()])
            };
            assert!(at(&newton) <= at(&descent), "{task:?}");
        }
    }
}

#[test]
fn at_newtons_end_the_loss_is_flat() {
    for task in [Task::Binary, Task::Regression] {
        let train = data(task, 9_000, 41);
        let examples = train.examples();
        let design = LinearDesign::new(&train.features);
        let found = by_newton(1.0, &train, examples, task, &always()).expect("solves");
        let problem = train.problem(task);
        let loss = Loss::new(1.0, &problem, &examples, &design);
        let point = [found.weights, found.intercepts].concat();
        let mut gradient = vec![0.0; point.len()];
        let value = loss.at(&point, &mut gradient);
        let steepest = gradient.iter().fold(0.0_f64, |most, slope| most.max(slope.abs()));
        assert!(steepest < 1e-4 * value.sqrt(), "{task:?}: {steepest} at {value}");
    }
}

/// By the definition: the columns' products, weighted by the curvature of each row's loss, and the penalty.
#[test]
fn the_hessian_is_that_of_the_matrix() {
    for task in [Task::Binary, Task::Regression] {
        let train = data(task, 20_000, 42);
        let weights = weights(20_000);
        let examples = train.weighted(&weights);
        let design = LinearDesign::new(&train.features);
        let problem = train.problem(task);
        let loss = Loss::new(0.5, &problem, &examples, &design);
        let columns = design.columns().len();
        let point: Vec<f64> = (0..=columns).map(|at| 0.3 - 0.1 * at as f64).collect();

        let mut matrix = Array2::ones((20_000, columns + 1));
        let cells = design.matrix(&train.table).mapv(f64::from);
        matrix.slice_mut(ndarray::s![.., ..columns]).assign(&cells);
        let margins = matrix.dot(&Array1::from(point.clone()));
        let curvature = margins.mapv(|margin: f64| match task {
            Task::Regression => 1.0,
            _ => margin.exp() / (1.0 + margin.exp()).powi(2),
        });
        let weighted = Array2::from_shape_fn(matrix.dim(), |(row, column)| {
            matrix[(row, column)] * curvature[row] * f64::from(weights[row])
        });
        let mut wanted = weighted.t().dot(&matrix);
        (0..columns).for_each(|at| wanted[(at, at)] += 0.5);

        let found = newton::second_derivatives(&loss, &problem, &point);
        for ((at, found), wanted) in found.indexed_iter().zip(&wanted) {
            assert!(
                (found - wanted).abs() < 1e-9 * wanted.abs().max(1.0),
                "{task:?} {at:?}: {found} and {wanted}"
            );
        }
    }
}

#[test]
fn newton_leaves_to_others_what_it_cannot_do() {
    let several = data(Task::Multiclass, 500, 43);
    assert!(by_newton(1.0, &several, several.examples(), Task::Multiclass, &always()).is_none());
    // Without a penalty the columns of a category and the intercept depend on each other.
    let train = data(Task::Binary, 500, 44);
    assert!(by_newton(0.0, &train, train.examples(), Task::Binary, &always()).is_none());
}

#[test]
fn newton_stops_when_it_is_told_to() {
    let train = data(Task::Binary, 5_000, 45);
    let stopped = by_newton(
        1.0,
        &train,
        train.examples(),
        Task::Binary,
        &after(1, GoOn::KeepBest),
    );
    let stopped = stopped.expect("solves");
    assert!(stopped.time_limited && stopped.iterations == 2);
    let design = LinearDesign::new(&train.features);
    let watch = after(1, GoOn::Drop);
    let dropped = newton::fit(
        1.0,
        200,
        &train.problem(Task::Binary),
        &train.examples(),
        &design,
        &watch,
    );
    assert!(matches!(dropped, Err(crate::models::ModelError::Dropped)));
}
