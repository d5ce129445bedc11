//! What learns from features and predicts: linear models, boosted trees, forests.

mod boosted;
mod checks;
mod file;
mod linear;
mod matrix;
mod ubjson;
mod variants;
pub mod weights;

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::dataset::Task;
use crate::features::{Feature, FeatureTable};
use crate::pool::PoolError;

use boosted::Trees;
use linear::Coefficients;

/// A trained model.
#[derive(Debug, Clone)]
pub struct Model {
    task: Task,
    classes: usize,
    features: Vec<Feature>,
    body: Body,
}

/// What was learned.
#[derive(Debug, Clone)]
enum Body {
    Linear(Coefficients),
    Trees(Box<Trees>),
}

/// What a model is trained on, or judged by.
#[derive(Debug, Clone, Copy)]
pub struct Examples<'a> {
    /// The features.
    pub features: &'a FeatureTable,
    /// By row: the class' index, or the number to predict.
    pub target: &'a [f32],
    /// By row: how much it counts; all the same if there are none.
    pub weights: Option<&'a [f32]>,
}

/// What every kind of model is told besides its hyperparameters.
#[derive(Debug, Clone, Copy)]
pub struct Problem<'a> {
    /// What kind of prediction.
    pub task: Task,
    /// How many classes; 0 for regression.
    pub classes: usize,
    /// What the features are.
    pub features: &'a [Feature],
    /// Where randomness comes from.
    pub seed: u64,
    /// How many threads may be used. The model does not depend on it.
    pub threads: usize,
}

/// A kind of model with its hyperparameters.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Hyperparameters {
    /// Logistic, multinomial or linear regression.
    Linear {
        /// The L2 penalty, of the summed loss.
        l2: f64,
        /// The most iterations of the solver.
        max_iterations: u32,
    },
    /// Gradient-boosted trees.
    Boosting {
        /// The most rounds.
        rounds: u32,
        /// How much each round adds.
        learning_rate: f64,
        /// The most leaves of a tree.
        max_leaves: u32,
        /// The deepest tree; as deep as its leaves allow if 0.
        max_depth: u32,
        /// The least sum of hessians in a leaf.
        min_child_weight: f64,
        /// The L2 penalty on the leaves.
        l2: f64,
        /// The share of rows that each round sees.
        subsample: f64,
        /// The share of features that each tree sees.
        feature_fraction: f64,
        /// Stops after so many rounds without a better validation metric; never if 0.
        early_stopping: u32,
    },
    /// A forest of randomised trees.
    Forest {
        /// How many trees.
        trees: u32,
        /// The deepest tree.
        max_depth: u32,
        /// The share of rows that each tree sees.
        subsample: f64,
        /// The share of features that each split sees.
        feature_fraction: f64,
    },
}

/// A training's way to whoever started it.
pub trait Watch: Sync {
    /// Asked between rounds or iterations: how far the work is (0 to 1), and whether it goes on.
    fn go_on(&self, fraction: f64) -> GoOn;
}

/// Whether a training goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GoOn {
    /// Yes.
    Yes,
    /// The time budget is spent: the best so far is the result.
    KeepBest,
    /// The work is to be dropped.
    Drop,
}

/// What a training gave.
#[derive(Debug, Clone)]
pub struct Trained {
    /// The model, at its best iteration.
    pub model: Model,
    /// How many rounds, trees or iterations were kept; 0 where the solver does not tell.
    pub iterations: u32,
    /// True if it ended by its time budget and not by itself.
    pub time_limited: bool,
    /// The validation loss after each round or iteration, where the kind of model has it.
    pub curve: Vec<f64>,
}

/// Why there is no model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    /// The data or the hyperparameters do not allow one.
    #[error("{0}")]
    Refused(String),
    /// The bytes are no model of ours, or a damaged one.
    #[error("no readable model: {0}")]
    Corrupt(String),
    /// It was told to drop the work.
    #[error("the training was told to stop")]
    Dropped,
}

impl From<PoolError> for ModelError {
    fn from(error: PoolError) -> Self {
        Self::Refused(error.to_string())
    }
}

/// Predictions of some rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Predictions {
    /// Values a row: 1 for binary and regression, the number of classes for multiclass.
    pub outputs: usize,
    /// Row by row, before the link: log-odds, or the number itself.
    pub margins: Vec<f64>,
    /// Row by row: the probability of the positive class, those of all classes, or the number.
    pub values: Vec<f64>,
}

impl Predictions {
    /// One row's probabilities, or its number.
    ///
    /// # Panics
    ///
    /// If there is no such row.
    pub fn row(&self, row: usize) -> &[f64] {
        &self.values[self.span(row)]
    }

    fn span(&self, row: usize) -> Range<usize> {
        row * self.outputs..(row + 1) * self.outputs
    }
}

/// What each feature adds to the margins of some rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Contributions {
    /// How many rows.
    pub rows: usize,
    /// Margins a row.
    pub outputs: usize,
    /// How many features.
    pub features: usize,
    /// By row, then output, then feature.
    pub values: Vec<f64>,
    /// By output: the margin that the contributions start from.
    pub base: Vec<f64>,
}

/// Trains a model. `validation` decides when boosting stops, and is the source of the curve: log loss, multiclass log
/// loss or root mean squared error, weighted like the rows. Rows whose weight is 0 count as if they were not there.
///
/// The model depends on the examples, the hyperparameters and the seed only. One that ended by its time budget depends
/// on the clock as well, and is marked ([`Trained::time_limited`]).
///
/// # Errors
///
/// [`ModelError::Refused`] for examples or hyperparameters that allow no model, [`ModelError::Dropped`] if `watch` says so.
pub fn train(
    hyperparameters: &Hyperparameters,
    problem: &Problem<'_>,
    train: Examples<'_>,
    validation: Option<Examples<'_>>,
    watch: &dyn Watch,
) -> Result<Trained, ModelError> {
    checks::shape(problem.task, problem.classes, problem.features)?;
    checks::hyperparameters(hyperparameters, problem.classes)?;
    checks::examples("train", problem, &train)?;
    checks::target_varies(problem, &train)?;
    if let Some(validation) = &validation {
        checks::examples("validation", problem, validation)?;
    }
    let model = |body| Model {
        task: problem.task,
        classes: problem.classes,
        features: problem.features.to_vec(),
        body,
    };
    Ok(match *hyperparameters {
        Hyperparameters::Linear { l2, max_iterations } => {
            let fitted = linear::train(l2, max_iterations, problem, &train, watch)?;
            Trained {
                model: model(Body::Linear(fitted.coefficients)),
                iterations: fitted.iterations,
                time_limited: fitted.time_limited,
                curve: Vec::new(),
            }
        }
        Hyperparameters::Boosting { .. } | Hyperparameters::Forest { .. } => {
            let grown = boosted::train(hyperparameters, problem, &train, validation.as_ref(), watch)?;
            Trained {
                model: model(Body::Trees(Box::new(grown.trees))),
                iterations: grown.iterations,
                time_limited: grown.time_limited,
                curve: grown.curve,
            }
        }
    })
}

impl Model {
    /// Predicts. A row's predictions have the same bits alone and among others.
    ///
    /// # Errors
    ///
    /// [`ModelError::Refused`] if the table is not of the features that the model was trained on.
    pub fn predict(&self, features: &FeatureTable) -> Result<Predictions, ModelError> {
        matrix::check_columns(&self.features, features)?;
        let margins = match &self.body {
            Body::Linear(linear) => linear.margins(&self.features, features)?,
            Body::Trees(trees) => trees.margins(&self.features, features)?,
        };
        Ok(self.predictions(margins))
    }

    fn predictions(&self, margins: Vec<f64>) -> Predictions {
        let outputs = self.outputs();
        let values = match self.task {
            Task::Regression => margins.clone(),
            Task::Binary => margins.iter().copied().map(sigmoid).collect(),
            Task::Multiclass => {
                let mut values = margins.clone();
                values.chunks_exact_mut(outputs).for_each(softmax);
                values
            }
        };
        Predictions {
            outputs,
            margins,
            values,
        }
    }

    /// Shapley values of every feature in margin space: a row's contributions and the base add up to its margin.
    ///
    /// Of trees they are those of TreeSHAP, which the boosting library computes and stores in single precision: they add
    /// up to within a few millionths of the margins' range. Of linear models they are
    /// `coefficient × (value - mean over train)`, added over the columns of a feature, and the base is the margin of the
    /// mean.
    ///
    /// # Errors
    ///
    /// As for [`Model::predict`].
    pub fn contributions(&self, features: &FeatureTable) -> Result<Contributions, ModelError> {
        matrix::check_columns(&self.features, features)?;
        match &self.body {
            Body::Linear(linear) => linear.contributions(&self.features, features),
            Body::Trees(trees) => trees.contributions(&self.features, features),
        }
    }

    /// How much work the contributions of one row are: nanoseconds of a core, roughly.
    pub(crate) fn contribution_work(&self) -> f64 {
        match &self.body {
            Body::Linear(_) => 0.0,
            Body::Trees(trees) => trees.contribution_work(),
        }
    }

    /// Its form in a file: versioned, length-checked, digested (see [`crate::container`]). Equal models have equal bytes.
    pub fn to_bytes(&self) -> Result<Vec<u8>, ModelError> {
        file::write(self)
    }

    /// Reads what [`Model::to_bytes`] wrote.
    ///
    /// # Errors
    ///
    /// [`ModelError::Corrupt`] for any other bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ModelError> {
        file::read(bytes)
    }

    /// A form that other libraries load, where the kind of model has one: the file's name ending and its bytes. Trees are
    /// written as XGBoost's UBJSON, which XGBoost 3.1 and newer read right; 2.1 and 3.0 load it and predict wrongly.
    /// Categories are the codes of the feature program, and what it calls missing is NaN. There is none of models with
    /// more than 100,000 nodes (a large forest), since writing it would take more memory than training did.
    pub fn export(&self) -> Result<Option<(&'static str, Vec<u8>)>, ModelError> {
        match &self.body {
            Body::Linear(_) => Ok(None),
            Body::Trees(trees) => Ok(trees.export()?.map(|bytes| ("ubj", bytes))),
        }
    }

    /// `linear`, `boosting` or `forest`.
    pub fn kind(&self) -> &'static str {
        match &self.body {
            Body::Linear(_) => "linear",
            Body::Trees(trees) if trees.is_forest() => "forest",
            Body::Trees(_) => "boosting",
        }
    }

    /// What kind of prediction it makes.
    pub fn task(&self) -> Task {
        self.task
    }

    /// How many classes it tells apart; 0 for regression.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// The features that it was trained on, in their order.
    pub fn features(&self) -> &[Feature] {
        &self.features
    }

    /// Margins a row.
    pub(crate) fn outputs(&self) -> usize {
        outputs(self.task, self.classes)
    }
}

/// Margins a row.
fn outputs(task: Task, classes: usize) -> usize {
    match task {
        Task::Binary | Task::Regression => 1,
        Task::Multiclass => classes,
    }
}

/// The probability of log-odds, without overflow.
fn sigmoid(margin: f64) -> f64 {
    if margin >= 0.0 {
        1.0 / (1.0 + (-margin).exp())
    } else {
        let odds = margin.exp();
        odds / (1.0 + odds)
    }
}

/// The probabilities of a row's margins, in place.
fn softmax(row: &mut [f64]) {
    let most = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    for value in row.iter_mut() {
        *value = (*value - most).exp();
    }
    let sum: f64 = row.iter().sum();
    for value in row.iter_mut() {
        *value /= sum;
    }
}

#[cfg(test)]
mod tests;
