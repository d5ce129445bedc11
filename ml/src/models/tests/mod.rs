//! Every kind of model on every task.

mod data;
mod files;

use proptest::prelude::*;

pub(in crate::models) use data::*;

use super::*;
use crate::features::{FeatureColumn, MISSING};
#[test]
fn every_kind_learns_every_task() {
    for task in TASKS {
        let (train, test) = (data(task, 3_000, 1), data(task, 2_000, 2));
        let share = |class: f32| train.target.iter().filter(|y| **y == class).count() as f64 / 3_000.0;
        let knows_nothing = match task {
            Task::Regression => {
                let mean = train.target.iter().map(|y| f64::from(*y)).sum::<f64>() / 3_000.0;
                test.target
                    .iter()
                    .map(|y| (f64::from(*y) - mean).powi(2))
                    .sum::<f64>()
                    / 2_000.0
            }
            _ => -test.target.iter().map(|y| share(*y).ln()).sum::<f64>() / 2_000.0,
        };
        for told in ALL {
            let model = trained(&told(), &train.problem(task), train.examples());
            let found = loss(&model, &test);
            assert!(
                found < 0.85 * knows_nothing,
                "{} {task:?}: {found} of {knows_nothing}",
                model.kind()
            );
        }
    }
}

#[test]
fn threads_do_not_matter_and_the_seed_does() {
    for task in TASKS {
        let train = data(task, 20_000, 3);
        let weights: Vec<f32> = (0..20_000).map(|row| 0.5 + (row % 3) as f32).collect();
        for told in ALL {
            let bytes = |threads, seed| {
                let problem = Problem {
                    threads,
                    seed,
                    ..train.problem(task)
                };
                let model = trained(&told(), &problem, train.weighted(&weights));
                (model.kind(), model.to_bytes().expect("writes"))
            };
            let (kind, one) = bytes(1, 7);
            for threads in [2, 3] {
                assert!(bytes(threads, 7).1 == one, "{kind} {task:?} at {threads} threads");
            }
            // A linear model has nothing random.
            assert_eq!(bytes(1, 8).1 == one, kind == "linear", "{kind} {task:?}");
        }
    }
}

#[test]
fn contributions_add_up_to_margins() {
    for task in TASKS {
        let train = data(task, 2_000, 4);
        for told in ALL {
            let model = trained(&told(), &train.problem(task), train.examples());
            let margins = model.predict(&train.table).expect("predicts").margins;
            let found = model.contributions(&train.table).expect("explains");
            assert_eq!(
                (found.rows, found.features, found.base.len()),
                (2_000, 3, found.outputs)
            );
            let (low, high) = margins
                .iter()
                .fold((f64::MAX, f64::MIN), |(l, h), m| (l.min(*m), h.max(*m)));
            let worst = found
                .values
                .chunks_exact(3)
                .zip(&margins)
                .enumerate()
                .map(|(at, (of_row, margin))| {
                    (of_row.iter().sum::<f64>() + found.base[at % found.outputs] - margin).abs()
                })
                .fold(0.0, f64::max);
            let kind = model.kind();
            println!("{kind} {task:?}: {worst:e} of {}", high - low);
            assert!(worst <= 1e-6 * (high - low), "{kind} {task:?}: {worst:e}");
        }
    }
}

/// The library counts in single precision: its error is one of the numbers' size, and rows differ by far less.
#[test]
fn contributions_add_up_however_far_from_0_the_label_is() {
    for far in [20.0, 285.0, 2_000.0, 1e6, -1e6] {
        let train = shifted(far);
        for told in [boosting, forest] {
            let model = trained(&told(), &train.problem(Task::Regression), train.examples());
            let margins = model.predict(&train.table).expect("predicts").margins;
            let found = model.contributions(&train.table).expect("explains");
            let (low, high) = margins
                .iter()
                .fold((f64::MAX, f64::MIN), |(l, h), m| (l.min(*m), h.max(*m)));
            let worst = found
                .values
                .chunks_exact(3)
                .zip(&margins)
                .map(|(of_row, margin)| (of_row.iter().sum::<f64>() + found.base[0] - margin).abs())
                .fold(0.0, f64::max);
            let kind = model.kind();
            assert!(worst <= 1e-6 * (high - low), "{kind} {far}: {worst:e}");
            let mean = margins.iter().sum::<f64>() / 2_000.0;
            assert!((mean - f64::from(far)).abs() < 2.0, "{kind} {far}: {mean}");
        }
    }
}

#[test]
fn explaining_deeper_trees_is_more_work() {
    let train = data(Task::Binary, 2_000, 4);
    let work = |told: Hyperparameters| {
        trained(&told, &train.problem(Task::Binary), train.examples()).contribution_work()
    };
    let deeper = Hyperparameters::Forest {
        trees: 12,
        max_depth: 10,
        subsample: 0.8,
        feature_fraction: 0.7,
    };
    assert_eq!(work(linear()), 0.0);
    // 12 trees of up to 64 leaves and 6 levels.
    assert!((12.0 * 8.0 * 36.0..=12.0 * 64.0 * 36.0).contains(&work(forest())));
    assert!(work(deeper) > 2.0 * work(forest()));
}

#[test]
fn a_row_is_predicted_alike_alone_and_among_others() {
    for task in TASKS {
        let train = data(task, 700, 10);
        for told in ALL {
            let model = trained(&told(), &train.problem(task), train.examples());
            let all = model.predict(&train.table).expect("predicts");
            for row in [0, 13, 699] {
                let one = model.predict(&train.table.take(&[row])).expect("predicts");
                assert_eq!(one.values, all.row(row), "{} {task:?}", model.kind());
            }
            let none = model.predict(&train.table.take(&[])).expect("predicts nothing");
            assert!(none.values.is_empty());
            assert_eq!(
                model
                    .contributions(&train.table.take(&[]))
                    .expect("explains")
                    .rows,
                0
            );
        }
    }
}

/// More rows than a thread takes at a time.
#[test]
fn variants_are_predicted_as_the_tables_they_stand_for() {
    for task in TASKS {
        let train = data(task, 1_300, 15);
        let others = data(task, 1_300, 16);
        for told in ALL {
            let model = trained(&told(), &train.problem(task), train.examples());
            // The last feature and the first one, of other rows: and of the last rows first.
            let features = [2, 0];
            let backwards: Vec<usize> = (0..1_300).rev().collect();
            let variants = [&others.table, &others.table.take(&backwards), &train.table]
                .map(|table| features.map(|feature| table.columns[feature].clone()).to_vec());
            let found = model
                .predict_variants(&train.table, &features, &variants)
                .expect("predicts");
            assert_eq!(found.len(), 3);
            for (found, variant) in found.iter().zip(&variants) {
                let mut table = train.table.clone();
                for (feature, column) in features.iter().zip(variant) {
                    table.columns[*feature].clone_from(column);
                }
                assert_eq!(
                    *found,
                    model.predict(&table).expect("predicts"),
                    "{} {task:?}",
                    model.kind()
                );
            }
        }
    }
}

#[test]
fn weights_count_rows() {
    for task in TASKS {
        let train = data(task, 600, 11);
        // Rows of weight 2 as if they were there twice, rows of weight 0 as if they were not.
        let weights: Vec<f32> = (0..600).map(|row| [1.0, 2.0, 0.0][row % 3]).collect();
        let repeated: Vec<usize> = (0..600)
            .flat_map(|row| std::iter::repeat_n(row, weights[row] as usize))
            .collect();
        let table = train.table.take(&repeated);
        let target: Vec<f32> = repeated.iter().map(|row| train.target[*row]).collect();
        let twice = Examples {
            features: &table,
            target: &target,
            weights: None,
        };
        // Sampling rows would draw others.
        let Hyperparameters::Boosting { rounds, .. } = boosting() else {
            unreachable!()
        };
        let boosting = Hyperparameters::Boosting {
            rounds,
            learning_rate: 0.2,
            max_leaves: 15,
            max_depth: 0,
            min_child_weight: 1.0,
            l2: 1.0,
            subsample: 1.0,
            feature_fraction: 1.0,
            early_stopping: 0,
        };
        for told in [linear(), boosting] {
            let problem = train.problem(task);
            let weighted = trained(&told, &problem, train.weighted(&weights));
            let repeated = trained(&told, &problem, twice);
            let kind = weighted.kind();
            let (a, b) = (
                weighted.predict(&train.table).expect("predicts").margins,
                repeated.predict(&train.table).expect("predicts").margins,
            );
            let worst = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            println!("{kind} {task:?}: {worst:e}");
            assert!(worst < 2e-3, "{kind} {task:?}: {worst:e}");
        }
    }
}

#[test]
fn early_stopping_keeps_the_best_round() {
    for task in TASKS {
        let (train, validation) = (data(task, 800, 12), data(task, 800, 13));
        let told = |rounds, early_stopping| Hyperparameters::Boosting {
            rounds,
            learning_rate: 0.3,
            max_leaves: 31,
            max_depth: 0,
            min_child_weight: 1.0,
            l2: 1.0,
            subsample: 1.0,
            feature_fraction: 1.0,
            early_stopping,
        };
        let with = |told: Hyperparameters, watch: &After| {
            crate::models::train(
                &told,
                &train.problem(task),
                train.examples(),
                Some(validation.examples()),
                watch,
            )
            .expect("trains")
        };
        let stopped = with(told(300, 10), &always());
        let best = stopped
            .curve
            .iter()
            .enumerate()
            .min_by(|a, b| a.1.total_cmp(b.1))
            .expect("a curve");
        assert_eq!(stopped.iterations as usize, best.0 + 1, "{task:?}");
        assert_eq!(stopped.curve.len(), best.0 + 1 + 10, "{task:?}");
        assert!(!stopped.time_limited);
        let of_model = match task {
            Task::Regression => loss(&stopped.model, &validation).sqrt(),
            _ => loss(&stopped.model, &validation),
        };
        assert!(
            (of_model - best.1).abs() < 1e-5 * best.1,
            "{task:?}: {of_model} {}",
            best.1
        );
        // Exactly the model of that many rounds.
        let exact = with(told(stopped.iterations, 0), &always());
        let bytes = |trained: &Trained| trained.model.to_bytes().expect("writes");
        assert_eq!(bytes(&exact), bytes(&stopped));
        // The budget ends it sooner, with the best so far and a mark.
        let limited = with(told(300, 10), &after(3, GoOn::KeepBest));
        assert!(limited.time_limited);
        assert_eq!(limited.curve, stopped.curve[..4]);
        assert_eq!(limited.iterations, 4);
    }
}

#[test]
fn a_watch_ends_every_kind_within_a_round() {
    let train = data(Task::Binary, 6_000, 14);
    // Weights keep the linear model off the solver that cannot be stopped.
    let weights = vec![1.5; 6_000];
    for told in ALL {
        let problem = train.problem(Task::Binary);
        let run =
            |watch: After| crate::models::train(&told(), &problem, train.weighted(&weights), None, &watch);
        assert_eq!(
            run(after(3, GoOn::Drop)).map(|_| ()),
            Err(ModelError::Dropped),
            "{:?}",
            told()
        );
        let limited = run(after(3, GoOn::KeepBest)).expect("trains");
        assert!(limited.time_limited && limited.iterations <= 4, "{:?}", told());
        assert!(loss(&limited.model, &train) < 0.68);
        let whole = run(always()).expect("trains");
        assert!(!whole.time_limited && whole.iterations > limited.iterations);
    }
}

#[test]
fn what_was_never_seen_predicts_like_what_is_missing() {
    let train = data(Task::Binary, 500, 16);
    for told in [boosting, forest] {
        let model = trained(&told(), &train.problem(Task::Binary), train.examples());
        let of = |code, number| {
            let table = FeatureTable {
                rows: 1,
                columns: vec![
                    FeatureColumn::Numeric(vec![0.3]),
                    FeatureColumn::Numeric(vec![number]),
                    FeatureColumn::Category(vec![code]),
                ],
            };
            model.predict(&table).expect("predicts").values[0]
        };
        assert_eq!(of(99, f32::INFINITY), of(MISSING, f32::NAN));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn probabilities_are_probabilities(margins in proptest::collection::vec(-1e4f64..1e4, 2..6)) {
        let mut shares = margins.clone();
        softmax(&mut shares);
        prop_assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        prop_assert!(shares.iter().all(|p| (0.0..=1.0).contains(p)));
        let p = sigmoid(margins[0]);
        prop_assert!((0.0..=1.0).contains(&p) && (p + sigmoid(-margins[0]) - 1.0).abs() < 1e-12);
    }
}
