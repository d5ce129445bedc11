//! Cross-validation of a candidate on train.

use std::collections::BTreeMap;

use ml::features::store::StoredFeatures;
use ml::metrics::{Judged, Truth};
use ml::models::{self, Hyperparameters, ModelError, weights};
use pipeline::spec::StageParams;
use pipeline::spec::stages::Split as How;
use pipeline::stage::{Assignment, StageError};

use super::folds::Folds;
use super::record::{CrossValidation, Figure};
use super::{Job, MODEL_SHARE, examples, failed};
use crate::extract;
use crate::flow::{self, Split, permanent};

/// How the rows were split, if by something that folds have to heed as well.
pub(super) fn split(assignment: &Assignment) -> Option<&How> {
    let step = flow::step_of(assignment, "extract").and_then(|step| assignment.spec.step(step))?;
    match &step.params {
        StageParams::Extract(extract) if !matches!(extract.split, How::Random { .. }) => Some(&extract.split),
        _ => None,
    }
}

impl Job<'_> {
    /// Each fold's model is trained with all rows that it must not see at weight 0, which are left out without a copy of
    /// the rest. A fold that nothing can be learned from, or that defines no figure, is left out: the model itself is
    /// trained already.
    pub(super) fn cross_validate(
        &self,
        told: &Hyperparameters,
        train: &StoredFeatures,
        asked: u32,
        time_limited: &mut bool,
    ) -> Result<CrossValidation, StageError> {
        let (folds, columns) = self.folds(train, asked)?;
        let rows = train.features.rows;
        let mut by_metric: BTreeMap<String, Vec<f64>> = BTreeMap::new();
        let mut left_out = Vec::new();
        for fold in 0..folds.count {
            let kept: Vec<f32> = (0..rows)
                .map(|row| match (folds.learns(row, fold), &train.weights) {
                    (false, _) => 0.0,
                    (true, None) => 1.0,
                    (true, Some(weights)) => weights[row],
                })
                .collect();
            let of_class = self.class_weights(&train.target, Some(&kept));
            let weights = match &of_class {
                None => kept,
                Some(of_class) => weights::by_row(&train.target, of_class, Some(&kept)),
            };
            let step = (1.0 - MODEL_SHARE) / f64::from(folds.count);
            let from = MODEL_SHARE + step * f64::from(fold);
            let budget = self.budget(from, from + step);
            if budget.is_spent() {
                *time_limited = true;
                break;
            }
            let of_fold = |why: &dyn std::fmt::Display| format!("fold {}: {why}", fold + 1);
            let trained = match models::train(
                told,
                &self.problem(),
                examples(train, Some(&weights)),
                None,
                &budget,
            ) {
                Ok(trained) => trained,
                Err(ModelError::Refused(why)) => {
                    left_out.push(of_fold(&why));
                    continue;
                }
                Err(other) => return Err(failed(other)),
            };
            if trained.time_limited {
                *time_limited = true;
                break;
            }
            let out = folds.measured(fold);
            let pick = |values: &[f32]| -> Vec<f32> { out.iter().map(|row| values[*row]).collect() };
            let predictions = trained
                .model
                .predict(&train.features.take(&out))
                .map_err(failed)?;
            let target = pick(&train.target);
            let weights = train.weights.as_deref().map(pick);
            let truth = Truth {
                task: self.dataset.task,
                classes: self.dataset.classes.len(),
                target: &target,
                weights: weights.as_deref(),
            };
            match Judged::new(&predictions.values, &truth) {
                // A metric that a fold does not define has one figure less.
                Ok(judged) => {
                    for (name, value) in judged.values() {
                        by_metric.entry(name.to_owned()).or_default().extend(value);
                    }
                }
                Err(why) => left_out.push(of_fold(&why)),
            }
        }
        let metrics = by_metric
            .into_iter()
            .filter_map(|(name, by_fold)| Some((name, Figure::of(by_fold)?)))
            .collect();
        Ok(CrossValidation {
            folds: folds.count,
            by: folds.by,
            columns,
            left_out,
            metrics,
        })
    }

    /// The folds, and the columns that decide them.
    fn folds(&self, train: &StoredFeatures, asked: u32) -> Result<(Folds, Vec<String>), StageError> {
        let assignment = self.context.assignment;
        let (classes, seed) = (self.dataset.classes.len(), assignment.spec.seed);
        let rows = |columns: &[String]| {
            let frame = flow::rows(self.context, Split::Train, Some(columns))?;
            match frame.height() == train.features.rows {
                true => Ok(frame),
                false => Err(permanent(format!(
                    "{} has {} rows and its features {}: they are not of the same data",
                    Split::Train.rows(),
                    frame.height(),
                    train.features.rows
                ))),
            }
        };
        Ok(match split(assignment) {
            None | Some(How::Random { .. }) => {
                (Folds::at_random(&train.target, classes, asked, seed), Vec::new())
            }
            Some(How::Hash { columns, .. }) => {
                let hashes = extract::row_hashes(&rows(columns)?, columns, 0).map_err(permanent)?;
                let folds = Folds::of_groups(&hashes, &train.target, classes, asked, seed);
                (folds, columns.clone())
            }
            Some(how @ How::Time { column, .. }) => {
                let columns = vec![column.clone()];
                let times = extract::times(&rows(&columns)?, how)?.unwrap_or_default();
                (Folds::in_time(&times, asked), columns)
            }
        })
    }
}
