//! How a model was trained, as later stages and people read it.

use std::collections::BTreeMap;

use pipeline::spec::stages::Candidate;
use serde::{Deserialize, Serialize};

use super::folds::By;

/// What `train` writes besides the model. Nothing in it depends on the clock unless `time_limited` says so.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TrainingRecord {
    /// What reports call the candidate.
    pub(crate) name: String,
    /// `linear`, `boosting` or `forest`.
    pub(crate) kind: String,
    /// All it was told.
    pub(crate) candidate: Candidate,
    /// How many rounds, trees or iterations were kept; 0 where the solver does not tell.
    pub(crate) iterations: u32,
    /// True if the time budget ended the training or its cross-validation.
    pub(crate) time_limited: bool,
    /// What it learned from, and what stopped it.
    pub(crate) rows: Rows,
    /// The validation loss after each round, where the kind of model has rounds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) curve: Option<Curve>,
    /// What cross-validation on train found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cross_validation: Option<CrossValidation>,
}

/// How many rows there were.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rows {
    pub(crate) train: usize,
    pub(crate) validation: usize,
}

/// A loss by round.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Curve {
    /// `log_loss`, or `rmse`. Weighted if the rows or classes are.
    pub(crate) loss: String,
    /// After each round.
    pub(crate) validation: Vec<f64>,
}

/// Figures of models that saw all of train but one fold, or what came before it, on that fold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CrossValidation {
    /// How many folds there are; fewer than were asked for if there are too few rows, groups or points in time. Fewer
    /// figures mean that the time budget was spent, that a fold was left out, or that it does not define the metric.
    pub(crate) folds: u32,
    /// What decided which fold a row is in.
    #[serde(default)]
    pub(crate) by: By,
    /// The columns that did.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) columns: Vec<String>,
    /// The folds without figures, each with the reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) left_out: Vec<String>,
    /// By the metric's name.
    pub(crate) metrics: BTreeMap<String, Figure>,
}

/// One metric over the folds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Figure {
    pub(crate) mean: f64,
    /// The standard deviation between folds (of a sample: divided by one less); 0 for one fold.
    pub(crate) sd: f64,
    /// By fold.
    pub(crate) by_fold: Vec<f64>,
}

impl Figure {
    /// None of no folds.
    #[expect(clippy::cast_precision_loss, reason = "at most 20 folds")]
    pub(crate) fn of(by_fold: Vec<f64>) -> Option<Self> {
        if by_fold.is_empty() {
            return None;
        }
        let mean = by_fold.iter().sum::<f64>() / by_fold.len() as f64;
        let squares: f64 = by_fold.iter().map(|v| (v - mean).powi(2)).sum();
        let sd = (squares / (by_fold.len() - 1).max(1) as f64).sqrt();
        Some(Self { mean, sd, by_fold })
    }
}
