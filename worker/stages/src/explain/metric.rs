//! The metric that chose the winner, measured on the explained rows.

use ml::dataset::Dataset;
use ml::features;
use ml::metrics::{Judged, Metric, Truth, find};
use ml::models::Predictions;
use pipeline::stage::StageError;
use polars::prelude::DataFrame;

use crate::flow::permanent;

/// A metric and what it is measured by.
pub(super) struct Chooser {
    metric: &'static Metric,
    classes: usize,
    task: ml::dataset::Task,
    target: Vec<f32>,
    weights: Option<Vec<f32>>,
}

impl Chooser {
    /// Of the rows, which have the label.
    pub(super) fn new(metric: &str, dataset: &Dataset, rows: &DataFrame) -> Result<Self, StageError> {
        let metric = find(dataset.task, metric).ok_or_else(|| {
            permanent(format!(
                "the winner was chosen by {metric}, which its task does not have"
            ))
        })?;
        Ok(Self {
            metric,
            classes: dataset.classes.len(),
            task: dataset.task,
            target: features::target(rows, dataset).map_err(permanent)?,
            weights: features::weights(rows, dataset).map_err(permanent)?,
        })
    }

    pub(super) fn higher_is_better(&self) -> bool {
        self.metric.higher_is_better
    }

    /// None where the rows do not define it.
    pub(super) fn measure(&self, predictions: &Predictions) -> Option<f64> {
        let truth = Truth {
            task: self.task,
            classes: self.classes,
            target: &self.target,
            weights: self.weights.as_deref(),
        };
        Judged::new(&predictions.values, &truth)
            .ok()?
            .value(self.metric.name)
    }
}
