//! Explanations of a real model.

use super::*;
use crate::dataset::Task;
use crate::features::{FeatureColumn, FeatureTable, FeatureValues};
use crate::models::{Examples, GoOn as TrainingGoesOn, Hyperparameters, Model, Problem, Watch, train};

struct Unwatched;

impl Watch for Unwatched {
    fn go_on(&self, _: f64) -> TrainingGoesOn {
        TrainingGoesOn::Yes
    }
}

fn feature(name: &str, column: &str) -> Feature {
    Feature {
        name: name.into(),
        column: column.into(),
        values: FeatureValues::Numeric {
            fill: 0.0,
            center: 0.0,
            scale: 1.0,
            indicator: false,
        },
    }
}

/// `y = 2 a + b.one - b.two`, and `c` does nothing: a linear model whose explanations can be worked out by hand.
fn linear() -> (Vec<Feature>, FeatureTable, Vec<f32>, Model) {
    let features = vec![
        feature("a", "a"),
        feature("b.one", "b"),
        feature("b.two", "b"),
        feature("c", "c"),
    ];
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let column = |step: usize| {
        (0..200)
            .map(|row| ((row * step) % 29) as f32)
            .collect::<Vec<f32>>()
    };
    let (a, one, two, c) = (column(7), column(11), column(13), column(17));
    let target: Vec<f32> = (0..200).map(|i| 2.0 * a[i] + one[i] - two[i]).collect();
    let table = FeatureTable {
        rows: 200,
        columns: [a, one, two, c].map(FeatureColumn::Numeric).into(),
    };
    let problem = Problem {
        task: Task::Regression,
        classes: 0,
        features: &features,
        seed: 1,
        threads: 1,
    };
    let examples = Examples {
        features: &table,
        target: &target,
        weights: None,
    };
    let hyperparameters = Hyperparameters::Linear {
        l2: 0.0,
        max_iterations: 100,
    };
    let model = train(&hyperparameters, &problem, examples, None, &Unwatched)
        .expect("learns")
        .model;
    (features, table, target, model)
}

fn column<'a>(attributions: &'a Attributions, name: &str) -> &'a ColumnAttribution {
    attributions
        .columns
        .iter()
        .find(|column| column.column == name)
        .expect("is there")
}

#[test]
fn features_of_one_column_are_taken_together() {
    let (features, table, _, model) = linear();
    let columns = raw_columns(&features);
    let names: Vec<(&str, usize)> = columns
        .iter()
        .map(|c| (c.name.as_str(), c.features.len()))
        .collect();
    assert_eq!(names, [("a", 1), ("b", 2), ("c", 1)]);
    let attributions = attribute(&model, &columns, &table, &mut |_| true).expect("adds up");
    assert_eq!(attributions.additivity.checked, 200);
    let (FeatureColumn::Numeric(one), FeatureColumn::Numeric(two)) = (&table.columns[1], &table.columns[2])
    else {
        panic!("numbers")
    };
    let mean = |values: &[f32]| values.iter().copied().map(f64::from).sum::<f64>() / 200.0;
    let (mean_one, mean_two) = (mean(one), mean(two));
    for (row, value) in column(&attributions, "b").values.iter().enumerate() {
        let want = (f64::from(one[row]) - mean_one) - (f64::from(two[row]) - mean_two);
        assert!(
            (value - want).abs() < 1e-3,
            "row {row}: {value} instead of {want}"
        );
    }
    assert!(column(&attributions, "a").direction.expect("has one") > 0.999);
    assert_eq!(column(&attributions, "b").direction, None);
    assert!(column(&attributions, "c").mean_abs_shap < 1e-3);
    assert_eq!(attributions.columns[0].column, "a");
}

#[test]
fn a_column_that_does_nothing_is_not_missed() {
    let (features, table, target, model) = linear();
    let columns = raw_columns(&features);
    let rmse = |predictions: &crate::models::Predictions| {
        let sum: f64 = predictions
            .values
            .iter()
            .zip(&target)
            .map(|(p, y)| (p - f64::from(*y)).powi(2))
            .sum();
        Some((sum / 200.0).sqrt())
    };
    let how = Permutation {
        metric: "rmse",
        higher_is_better: false,
        measure: &rmse,
        repeats: 3,
        seed: 5,
    };
    let (as_is, found) = importance(&model, &columns, &table, &how, &mut |_| true).expect("works");
    assert!(as_is < 1e-3, "{as_is}");
    assert!(found[0].mean > found[1].mean && found[1].mean > 5.0, "{found:?}");
    assert!(found[2].mean.abs() < 1e-3, "{found:?}");
    // By the column's name and the repeat alone: other columns and their number do not matter.
    let (_, alone) = importance(&model, &columns[1..2], &table, &how, &mut |_| true).expect("works");
    assert_eq!(alone[0], found[1]);
}

#[test]
fn a_metric_that_is_not_defined_is_an_error() {
    let (features, table, _, model) = linear();
    let how = Permutation {
        metric: "auc",
        higher_is_better: true,
        measure: &|_| None,
        repeats: 1,
        seed: 5,
    };
    let error = importance(&model, &raw_columns(&features), &table, &how, &mut |_| true);
    assert_eq!(error, Err(ExplainError::Metric("auc".into())));
}

#[test]
fn partial_dependence_of_a_linear_model_is_its_line() {
    let (features, table, _, model) = linear();
    let columns = raw_columns(&features);
    let FeatureColumn::Numeric(values) = &table.columns[0] else {
        panic!("numbers")
    };
    let grid = numeric_grid(values.iter().map(|v| Some(f64::from(*v))));
    let curve = dependence(&model, &columns[0], &table, true, &grid, &mut |_| true).expect("works");
    assert!(curve.points.len() > 10);
    for pair in curve.points.windows(2) {
        let (x, y) = (
            pair[1].number.expect("a number") - pair[0].number.expect("a number"),
            pair[1].means[0] - pair[0].means[0],
        );
        assert!((y / x - 2.0).abs() < 1e-3, "{y} over {x}");
    }
}

#[test]
fn no_rows_and_a_stop_are_told() {
    let (features, table, _, model) = linear();
    let columns = raw_columns(&features);
    let none = table.take(&[]);
    assert_eq!(
        attribute(&model, &columns, &none, &mut |_| true),
        Err(ExplainError::Empty)
    );
    assert_eq!(
        attribute(&model, &columns, &table, &mut |_| false),
        Err(ExplainError::Stopped)
    );
}

#[test]
fn grids_have_few_values_that_rows_have() {
    let numbers: Vec<Option<f64>> = (0..1000)
        .map(|i| (i % 7 != 0).then(|| f64::from(i * i)))
        .collect();
    let grid = numeric_grid(numbers.iter().copied());
    assert_eq!(grid.len(), 20);
    for value in &grid {
        assert_eq!(numbers[value.row], value.number);
    }
    assert!(numeric_grid([None, Some(f64::NAN)].into_iter()).is_empty());
    let few = numeric_grid([Some(2.0), Some(1.0), Some(2.0)].into_iter());
    assert_eq!(
        few.iter().map(|v| v.number).collect::<Vec<_>>(),
        [Some(1.0), Some(2.0)]
    );
    let texts = ["b", "a", "b", "c"].map(Some);
    let grid = category_grid(texts.into_iter());
    let values: Vec<&str> = grid.iter().map(|v| v.value.as_str()).collect();
    assert_eq!(values, ["b", "a", "c"]);
}

#[test]
fn a_sample_has_every_row_at_most_once() {
    let mut rows = sample(1_000, 100, 7);
    assert_eq!(rows, sample(1_000, 100, 7));
    assert_ne!(rows, sample(1_000, 100, 8));
    assert_eq!(rows[..10], sample(1_000, 10, 7));
    rows.sort_unstable();
    rows.dedup();
    assert_eq!(rows.len(), 100);
    assert_eq!(sample(3, 10, 7).len(), 3);
    assert!(sample(0, 10, 7).is_empty());
}

#[test]
fn a_sample_of_classes_has_each_of_them_in_its_share() {
    // 900 rows, 99 rows and one.
    let class_of: Vec<usize> = (0..1_000)
        .map(|row| {
            if row == 777 {
                2
            } else {
                usize::from(row % 10 == 0 && row < 990)
            }
        })
        .collect();
    for wanted in [3, 10, 100, 1_000, 2_000] {
        let rows = sample_of_classes(&class_of, wanted, 7);
        assert_eq!(rows.len(), wanted.min(1_000));
        let of = |class: usize| rows.iter().filter(|row| class_of[**row] == class).count();
        assert_eq!(of(2), 1, "{wanted}");
        assert!(of(1) >= 1 && of(1) <= wanted / 10 + 1, "{wanted}: {}", of(1));
        let mut once = rows.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), rows.len());
    }
    assert_eq!(
        sample_of_classes(&class_of, 50, 7)[..20],
        sample_of_classes(&class_of, 20, 7)
    );
    assert_ne!(
        sample_of_classes(&class_of, 50, 7),
        sample_of_classes(&class_of, 50, 8)
    );
    assert!(sample_of_classes(&[], 5, 7).is_empty());
}

/// Many classes make many numbers a row; the first look is as bounded as the others.
#[test]
fn the_first_rows_that_are_explained_are_as_few_as_classes_and_features_ask_for() {
    let (rows, width) = (520, 2_900);
    let names: Vec<String> = (0..width).map(|at| format!("x{at}")).collect();
    let features: Vec<Feature> = names.iter().map(|name| feature(name, name)).collect();
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let column = |at: usize| (0..rows).map(|row| ((row * (at + 3)) % 29) as f32).collect();
    let table = FeatureTable {
        rows,
        columns: (0..width).map(column).map(FeatureColumn::Numeric).collect(),
    };
    let target: Vec<f32> = (0..rows).map(|row| [0.0, 1.0, 2.0][row % 3]).collect();
    let problem = Problem {
        task: Task::Multiclass,
        classes: 3,
        features: &features,
        seed: 1,
        threads: 1,
    };
    let examples = Examples {
        features: &table,
        target: &target,
        weights: None,
    };
    let told = Hyperparameters::Linear {
        l2: 1.0,
        max_iterations: 1,
    };
    let model = train(&told, &problem, examples, None, &Unwatched)
        .expect("learns")
        .model;
    let mut first = None;
    let stopped = attribute(&model, &raw_columns(&features), &table, &mut |share| {
        first = Some(share);
        false
    });
    assert_eq!(stopped, Err(ExplainError::Stopped));
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let most = (1 << 22) as f64 / (3 * width * rows) as f64;
    assert!(first.is_some_and(|share| share <= most), "{first:?} of {most}");
}
