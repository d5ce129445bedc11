//! Trains trees.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;

use hessboost::config::{GrowPolicy, TrainingParams, TrainingParamsBuilder, TreeMethod};
use hessboost::data::{BinnedMatrix, DMatrix, FeatureType};
use hessboost::error::HessboostError;
use hessboost::metric::EvalMetric;
use hessboost::model::BoostedModel;
use hessboost::objective::{Multiclass, Objective, RegLoss};
use hessboost::training::Trainer;

use super::{Grown, Trees, refused};
use crate::dataset::Task;
use crate::models::matrix::{self, Input};
use crate::models::{Examples, GoOn, Hyperparameters, ModelError, Problem, Watch};
use crate::pool;

/// Histogram bins of a numeric feature. One byte holds a bin, and LightGBM's default is one less.
const BINS: usize = 256;

/// The L2 penalty on the leaves of a forest: only against leaves without any weight, since averaging is what keeps a
/// forest from fitting noise.
const FOREST_L2: f64 = 1e-5;

fn feature_types(inputs: &[Input]) -> Vec<FeatureType> {
    inputs
        .iter()
        .map(|input| match input {
            Input::Number => FeatureType::Numerical,
            Input::Levels(_) => FeatureType::Categorical,
        })
        .collect()
}

/// The rows that count, laid out; all if none weighs nothing.
fn matrix_of(inputs: &[Input], examples: &Examples<'_>) -> Result<DMatrix, ModelError> {
    let Examples {
        features,
        target,
        weights,
    } = *examples;
    let chosen: Option<Vec<usize>> = weights
        .filter(|weights| weights.contains(&0.0))
        .map(|weights| (0..features.rows).filter(|row| weights[*row] > 0.0).collect());
    let pick = |values: &[f32]| -> Option<Vec<f32>> {
        chosen
            .as_ref()
            .map(|rows| rows.iter().map(|row| values[*row]).collect())
    };
    let rows = chosen.as_ref().map_or(features.rows, Vec::len);
    let values = matrix::rows(inputs, features, chosen.as_deref());
    let build = || -> Result<DMatrix, HessboostError> {
        let mut data = DMatrix::from_dense_vec(values, rows, inputs.len())?
            .with_feature_types(&feature_types(inputs))?
            .with_labels(pick(target).as_deref().unwrap_or(target))?;
        if let Some(weights) = weights {
            data = data.with_weights(pick(weights).as_deref().unwrap_or(weights))?;
        }
        Ok(data)
    };
    build().map_err(|e| refused(&e))
}

fn objective(problem: &Problem<'_>) -> Result<(Objective, EvalMetric), HessboostError> {
    Ok(match problem.task {
        Task::Binary => (Objective::BinaryLogistic(RegLoss::default()), EvalMetric::LogLoss),
        Task::Multiclass => (
            Objective::Softprob(Multiclass::new(problem.classes)?),
            EvalMetric::MLogLoss,
        ),
        Task::Regression => (Objective::SquaredError(RegLoss::default()), EvalMetric::Rmse),
    })
}

fn settings(problem: &Problem<'_>) -> Result<TrainingParamsBuilder, HessboostError> {
    let (objective, metric) = objective(problem)?;
    Ok(TrainingParams::builder()
        .objective(objective)
        .eval_metric(metric)
        .tree_method(TreeMethod::Hist)
        .max_bin(BINS)
        .seed(problem.seed))
}

/// Trains trees; the hyperparameters were checked and are not those of a linear model.
///
/// Trees of a regression learn how far numbers are from their mean, which is added again in double precision. The library
/// counts in single precision, whose error grows with the size of what it adds: beside numbers far from 0 it would be
/// larger than what tells rows apart.
pub(in crate::models) fn train(
    told: &Hyperparameters,
    problem: &Problem<'_>,
    train: &Examples<'_>,
    validation: Option<&Examples<'_>>,
    watch: &dyn Watch,
) -> Result<Grown, ModelError> {
    if problem.task != Task::Regression {
        return grow(told, problem, train, validation, watch);
    }
    let offset = mean(train);
    let centred = |examples: &Examples<'_>| -> Vec<f32> {
        let target = examples.target.iter();
        target
            .map(|y| single(f64::from(*y) - f64::from(offset)))
            .collect()
    };
    let (of_train, of_validation) = (centred(train), validation.map(centred));
    let train = Examples {
        target: &of_train,
        ..*train
    };
    let validation = validation
        .zip(of_validation.as_deref())
        .map(|(examples, target)| Examples { target, ..*examples });
    let mut grown = grow(told, problem, &train, validation.as_ref(), watch)?;
    grown.trees.offset = offset;
    Ok(grown)
}

/// The weighted mean of the numbers to predict. Single precision is near enough, and has the same bits in every file.
fn mean(examples: &Examples<'_>) -> f32 {
    let weight = |row: usize| examples.weights.map_or(1.0, |weights| f64::from(weights[row]));
    let (mut sum, mut of_weights) = (0.0, 0.0);
    for (row, y) in examples.target.iter().enumerate() {
        sum += weight(row) * f64::from(*y);
        of_weights += weight(row);
    }
    single(sum / of_weights)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "means and differences of single-precision numbers, as labels that the library takes"
)]
fn single(value: f64) -> f32 {
    value as f32
}

fn grow(
    told: &Hyperparameters,
    problem: &Problem<'_>,
    train: &Examples<'_>,
    validation: Option<&Examples<'_>>,
    watch: &dyn Watch,
) -> Result<Grown, ModelError> {
    pool::on_threads(problem.threads, || match *told {
        Hyperparameters::Forest {
            trees,
            max_depth,
            subsample,
            feature_fraction,
        } => {
            let member = |seed: u64| {
                settings(problem)?
                    .seed(seed)
                    .grow_policy(GrowPolicy::DepthWise)
                    .max_depth(max_depth as usize)
                    .eta(1.0)
                    .lambda(FOREST_L2)
                    .subsample(subsample)
                    .colsample_bynode(feature_fraction)
                    .build()
            };
            forest(trees, &member, problem, train, watch)
        }
        Hyperparameters::Boosting {
            rounds,
            learning_rate,
            max_leaves,
            max_depth,
            min_child_weight,
            l2,
            subsample,
            feature_fraction,
            early_stopping,
        } => {
            let build = || {
                let settings = settings(problem)?
                    .grow_policy(GrowPolicy::LossGuide)
                    .max_leaves(max_leaves as usize)
                    .eta(learning_rate)
                    .min_child_weight(min_child_weight)
                    .lambda(l2)
                    .subsample(subsample)
                    .colsample_bytree(feature_fraction);
                match max_depth {
                    0 => settings.unlimited_depth(),
                    depth => settings.max_depth(depth as usize),
                }
                .build()
            };
            let settings = build().map_err(|e| refused(&e))?;
            boosting(
                &settings,
                rounds,
                early_stopping,
                problem,
                train,
                validation,
                watch,
            )
        }
        Hyperparameters::Linear { .. } => Err(ModelError::Refused("a linear model has no trees".into())),
    })?
}

fn boosting(
    settings: &TrainingParams,
    rounds: u32,
    early_stopping: u32,
    problem: &Problem<'_>,
    train: &Examples<'_>,
    validation: Option<&Examples<'_>>,
    watch: &dyn Watch,
) -> Result<Grown, ModelError> {
    let inputs = matrix::inputs(problem.features);
    // Only the bins of train are kept: a byte or two for each value instead of four.
    let bins = BinnedMatrix::new(&matrix_of(&inputs, train)?, BINS).map_err(|e| refused(&e))?;
    let validation = validation.map(|v| matrix_of(&inputs, v)).transpose()?;

    let mut ended = GoOn::Yes;
    let mut trainer = Trainer::new(settings, &bins, rounds as usize).on_round(|round| {
        let done = round.iteration() + 1;
        #[expect(clippy::cast_precision_loss, reason = "at most a million rounds")]
        let fraction = done as f64 / f64::from(rounds);
        // After the last round nothing is cut short any more.
        if done < rounds as usize {
            ended = watch.go_on(fraction);
        }
        match ended {
            GoOn::Yes => ControlFlow::Continue(()),
            GoOn::KeepBest | GoOn::Drop => ControlFlow::Break(()),
        }
    });
    if let Some(validation) = &validation {
        trainer = trainer.eval(validation, "validation");
        // Without early stopping the best round is kept all the same: it never runs out of patience.
        let patience = if early_stopping == 0 {
            rounds
        } else {
            early_stopping
        };
        if let Some(patience) = NonZeroUsize::new(patience as usize) {
            trainer = trainer.early_stopping_rounds(patience);
        }
    }
    let result = trainer.train().map_err(|e| refused(&e))?;
    if ended == GoOn::Drop {
        return Err(ModelError::Dropped);
    }
    let curve: Vec<f64> = result
        .history
        .rounds()
        .filter_map(|r| r.values().last().copied())
        .collect();
    if let Some(round) = curve.iter().position(|loss| !loss.is_finite()) {
        return Err(ModelError::Refused(format!(
            "the validation loss is no finite number after round {}: lower learning_rate, or rescale the label",
            round + 1
        )));
    }
    let model = match result.model.best_iteration() {
        Some(best) => result.model.slice(..=best, 1).map_err(|e| refused(&e))?,
        None => result.model,
    };
    Ok(Grown {
        iterations: count(model.num_boost_rounds()),
        trees: Trees {
            model,
            forest: false,
            offset: 0.0,
        },
        time_limited: ended == GoOn::KeepBest,
        curve,
    })
}

/// Trees that were grown one by one, each from a seed of its own, and averaged. The library's own forests are grown in a
/// single round, which nothing could stop.
fn forest(
    trees: u32,
    member: &dyn Fn(u64) -> Result<TrainingParams, HessboostError>,
    problem: &Problem<'_>,
    train: &Examples<'_>,
    watch: &dyn Watch,
) -> Result<Grown, ModelError> {
    let inputs = matrix::inputs(problem.features);
    let bins = BinnedMatrix::new(&matrix_of(&inputs, train)?, BINS).map_err(|e| refused(&e))?;
    let mut members = Vec::new();
    let mut ended = GoOn::Yes;
    for tree in 0..trees {
        let settings = member(seed_of(problem.seed, tree)).map_err(|e| refused(&e))?;
        let grown = hessboost::training::train(&settings, &bins, 1).map_err(|e| refused(&e))?;
        members.push(grown);
        let done = tree + 1;
        if done < trees {
            ended = watch.go_on(f64::from(done) / f64::from(trees));
        }
        match ended {
            GoOn::Yes => {}
            GoOn::KeepBest => break,
            GoOn::Drop => return Err(ModelError::Dropped),
        }
    }
    let model = BoostedModel::average(&members).map_err(|e| refused(&e))?;
    Ok(Grown {
        iterations: count(members.len()),
        trees: Trees {
            model,
            forest: true,
            offset: 0.0,
        },
        time_limited: ended == GoOn::KeepBest,
        curve: Vec::new(),
    })
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// SplitMix64's output function (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
fn seed_of(seed: u64, tree: u32) -> u64 {
    let mut word = seed.wrapping_add((u64::from(tree) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}
