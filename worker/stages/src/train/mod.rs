//! `train`: one branch trains one candidate, on the features that `transform` wrote.
//!
//! The model is trained first and cross-validated afterwards, with as many rounds as it kept, so that a time budget takes
//! folds before it takes rounds. Folds are made as the rows were split: at random, by groups, or in time. A result that the budget cut short depends on the machine's speed: it is marked in the
//! record and by the artifact [`TIME_LIMITED`], and whoever caches results leaves it out.

mod cross_validation;
mod folds;
mod record;
#[cfg(test)]
mod tests;
mod watch;

use std::num::NonZeroUsize;

use ml::dataset::{Dataset, Task};
use ml::features::store::{self, StoredFeatures};
use ml::features::{Feature, FeatureProgram};
use ml::models::{self, Examples, Hyperparameters, ModelError, Problem, Trained, weights};
use pipeline::StageName;
use pipeline::item::Demand;
use pipeline::spec::stages::{Candidate, ClassWeights, ModelKind};
use pipeline::stage::{Assignment, Outcome, Read, Stage, StageContext, StageError};

pub(crate) use self::folds::By;
pub(crate) use self::record::{CrossValidation, TrainingRecord};
use self::record::{Curve, Rows};
use self::watch::Budget;
use crate::assigned::{own_params, stage_name};
use crate::demand;
use crate::flow::{self, MODEL, PROGRAM, Split, TIME_LIMITED, TRAINING, permanent};

/// The share of a cross-validated training's progress that the model itself has.
const MODEL_SHARE: f64 = 0.4;

pub(crate) struct Train;

impl Stage for Train {
    fn name(&self) -> StageName {
        stage_name("train")
    }

    fn reads(&self, assignment: &Assignment) -> Vec<Read> {
        let features = [PROGRAM, Split::Train.features(), Split::Validation.features()];
        let mut reads = flow::reads(assignment, "transform", &features);
        // Folds are made of the columns that rows were split by, which need be no features.
        let of_folds = match candidate(assignment) {
            Ok(candidate) if candidate.training.folds > 0 => cross_validation::split(assignment),
            _ => None,
        };
        let rows: &[Split] = match of_folds {
            Some(_) => &[Split::Train],
            None => &[],
        };
        reads.extend(flow::row_reads(assignment, rows));
        reads
    }

    fn demand(&self, assignment: &Assignment) -> Option<Demand> {
        let takes = match candidate(assignment).ok()?.model {
            ModelKind::Linear(_) => demand::LINEAR,
            ModelKind::Boosting(_) | ModelKind::Forest(_) => demand::TREES,
        };
        takes.of(&self.reads(assignment))
    }

    fn run(&self, context: &StageContext<'_>) -> Result<Outcome, StageError> {
        let candidate = candidate(context.assignment)?;
        let dataset = flow::dataset(context)?;
        let program = program(context)?;
        let job = Job {
            context,
            candidate,
            dataset: &dataset,
            features: program.features(),
        };
        let (trained, record) = job.run()?;
        let bytes = trained.model.to_bytes().map_err(failed)?;
        flow::write_bytes(context, MODEL, &bytes)?;
        flow::write_json(context, TRAINING, &record)?;
        if record.time_limited {
            flow::write_bytes(context, TIME_LIMITED, &[])?;
            let warning = format!(
                "{}: its time budget ended the training after {} iterations",
                record.name, record.iterations
            );
            flow::write_warnings(context, vec![warning])?;
        }
        context.progress(1.0);
        Ok(Outcome::Advance)
    }
}

/// The branch's candidate; that of a step without branches is its only one.
fn candidate(assignment: &Assignment) -> Result<&Candidate, StageError> {
    let params = own_params!(assignment, Train)?;
    let ordinal = assignment.branch.unwrap_or(0);
    params.candidates.get(ordinal as usize).ok_or_else(|| {
        permanent(format!(
            "there is no candidate {ordinal}: the step has {}",
            params.candidates.len()
        ))
    })
}

fn program(context: &StageContext<'_>) -> Result<FeatureProgram, StageError> {
    let path = flow::input(context, "transform", PROGRAM)?;
    let bytes = std::fs::read(&path).map_err(|e| flow::transient(format!("cannot read {PROGRAM}: {e}")))?;
    FeatureProgram::from_bytes(&bytes).map_err(permanent)
}

/// A training that was dropped was interrupted; whatever else went wrong goes wrong again.
fn failed(e: ModelError) -> StageError {
    match e {
        ModelError::Dropped => StageError::Interrupted,
        ModelError::Refused(_) | ModelError::Corrupt(_) => permanent(e),
    }
}

fn hyperparameters(kind: &ModelKind) -> Hyperparameters {
    match *kind {
        ModelKind::Linear(told) => Hyperparameters::Linear {
            l2: told.l2,
            max_iterations: told.max_iterations,
        },
        ModelKind::Boosting(told) => Hyperparameters::Boosting {
            rounds: told.rounds,
            learning_rate: told.learning_rate,
            max_leaves: told.max_leaves,
            max_depth: told.max_depth,
            min_child_weight: told.min_child_weight,
            l2: told.l2,
            subsample: told.subsample,
            feature_fraction: told.feature_fraction,
            early_stopping: told.early_stopping,
        },
        ModelKind::Forest(told) => Hyperparameters::Forest {
            trees: told.trees,
            max_depth: told.max_depth,
            subsample: told.subsample,
            feature_fraction: told.feature_fraction,
        },
    }
}

/// As many rounds as were kept, and nothing that could stop sooner.
fn fixed(told: Hyperparameters, iterations: u32) -> Hyperparameters {
    match told {
        Hyperparameters::Boosting {
            learning_rate,
            max_leaves,
            max_depth,
            min_child_weight,
            l2,
            subsample,
            feature_fraction,
            ..
        } => Hyperparameters::Boosting {
            rounds: iterations,
            learning_rate,
            max_leaves,
            max_depth,
            min_child_weight,
            l2,
            subsample,
            feature_fraction,
            early_stopping: 0,
        },
        Hyperparameters::Linear { .. } | Hyperparameters::Forest { .. } => told,
    }
}

/// One candidate's training.
struct Job<'a> {
    context: &'a StageContext<'a>,
    candidate: &'a Candidate,
    dataset: &'a Dataset,
    features: &'a [Feature],
}

impl Job<'_> {
    fn run(&self) -> Result<(Trained, TrainingRecord), StageError> {
        let load = |split: Split| {
            self.context.checkpoint()?;
            let path = flow::input(self.context, "transform", split.features())?;
            store::read(&path, self.features).map_err(permanent)
        };
        let train = load(Split::Train)?;
        let validation = load(Split::Validation)?;
        let folds = self.candidate.training.folds;
        let told = hyperparameters(&self.candidate.model);

        // Weights of classes come from train for both, so that the loss that stops is the one that is learned.
        let of_class = self.class_weights(&train.target, train.weights.as_deref());
        let train_weights = row_weights(&train, of_class.as_deref());
        let validation_weights = row_weights(&validation, of_class.as_deref());
        let own = if folds > 0 { MODEL_SHARE } else { 1.0 };
        let trained = models::train(
            &told,
            &self.problem(),
            examples(&train, train_weights.as_deref()),
            Some(examples(&validation, validation_weights.as_deref())),
            &self.budget(0.0, own),
        )
        .map_err(failed)?;
        let rows = Rows {
            train: train.features.rows,
            validation: validation.features.rows,
        };
        drop((validation, validation_weights, train_weights));

        let mut time_limited = trained.time_limited;
        let cross_validation = match folds {
            0 => None,
            folds => Some(self.cross_validate(
                &fixed(told, trained.iterations),
                &train,
                folds,
                &mut time_limited,
            )?),
        };
        let record = TrainingRecord {
            name: self.candidate.name().to_owned(),
            kind: trained.model.kind().to_owned(),
            candidate: self.candidate.clone(),
            iterations: trained.iterations,
            time_limited,
            rows,
            curve: (!trained.curve.is_empty()).then(|| Curve {
                loss: match self.dataset.task {
                    Task::Regression => "rmse",
                    Task::Binary | Task::Multiclass => "log_loss",
                }
                .to_owned(),
                validation: trained.curve.clone(),
            }),
            cross_validation,
        };
        Ok((trained, record))
    }

    fn problem(&self) -> Problem<'_> {
        Problem {
            task: self.dataset.task,
            classes: self.dataset.classes.len(),
            features: self.features,
            seed: self.context.assignment.spec.seed,
            threads: std::thread::available_parallelism().map_or(1, NonZeroUsize::get),
        }
    }

    fn budget(&self, from: f64, to: f64) -> Budget<'_> {
        Budget::new(
            self.context.control,
            self.candidate.training.time_budget,
            from,
            to,
        )
    }

    /// By class, if classes are weighted.
    fn class_weights(&self, target: &[f32], own: Option<&[f32]>) -> Option<Vec<f64>> {
        match (self.candidate.training.class_weights, self.dataset.task) {
            (ClassWeights::None, _) | (_, Task::Regression) => None,
            (ClassWeights::Balanced, Task::Binary | Task::Multiclass) => {
                Some(weights::balanced(target, self.dataset.classes.len(), own))
            }
        }
    }
}

/// What rows are weighted with besides their own weights; none if that is nothing.
fn row_weights(stored: &StoredFeatures, of_class: Option<&[f64]>) -> Option<Vec<f32>> {
    of_class.map(|of_class| weights::by_row(&stored.target, of_class, stored.weights.as_deref()))
}

fn examples<'a>(stored: &'a StoredFeatures, weights: Option<&'a [f32]>) -> Examples<'a> {
    Examples {
        features: &stored.features,
        target: &stored.target,
        weights: weights.or(stored.weights.as_deref()),
    }
}
