//! The candidates: what each predicts, how good that is, and which is best.

use std::collections::BTreeMap;

use ml::dataset::Dataset;
use ml::features::{FeatureProgram, FeatureTable, store};
use ml::metrics::{Interval, Judged, Metric, Truth};
use ml::models::Model;
use pipeline::stage::{Committed, StageContext, StageError};

use crate::flow::{self, MODEL, Split, TRAINING, permanent, transient};
use crate::train::TrainingRecord;

/// Metrics by name; none where the rows do not define one.
pub(super) type Metrics = BTreeMap<&'static str, Option<f64>>;

/// What is known of some rows.
pub(super) struct Rows {
    pub(super) split: Split,
    features: FeatureTable,
    pub(super) target: Vec<f32>,
    pub(super) weights: Option<Vec<f32>>,
    task: ml::dataset::Task,
    classes: usize,
}

impl Rows {
    pub(super) fn read(
        context: &StageContext<'_>,
        dataset: &Dataset,
        split: Split,
        program: &FeatureProgram,
    ) -> Result<Self, StageError> {
        let path = flow::input(context, "transform", split.features())?;
        let stored = store::read(&path, program.features()).map_err(permanent)?;
        if stored.target.is_empty() {
            return Err(permanent(format!(
                "{} has no rows: give [split] a larger share of {}",
                split.features(),
                split.name()
            )));
        }
        Ok(Self {
            split,
            features: stored.features,
            target: stored.target,
            weights: stored.weights,
            task: dataset.task,
            classes: dataset.classes.len(),
        })
    }

    /// What was true.
    pub(super) fn truth(&self) -> Truth<'_> {
        Truth {
            task: self.task,
            classes: self.classes,
            target: &self.target,
            weights: self.weights.as_deref(),
        }
    }

    /// Predictions beside what was true.
    pub(super) fn judge<'a>(&'a self, values: &'a [f64], who: &str) -> Result<Judged<'a>, StageError> {
        Judged::new(values, &self.truth())
            .map_err(|e| permanent(format!("{who} on {}: {e}", self.split.name())))
    }

    /// Frees the features, which nobody needs once all have predicted.
    pub(super) fn forget_features(&mut self) {
        self.features = FeatureTable::default();
    }
}

/// One trained model.
pub(super) struct Candidate {
    pub(super) ordinal: u32,
    pub(super) record: TrainingRecord,
    pub(super) validation: Metrics,
    pub(super) test: Metrics,
    /// Of the metrics on test.
    pub(super) intervals: BTreeMap<&'static str, Interval>,
    /// What it predicts for test.
    pub(super) values: Vec<f64>,
}

/// Every candidate that was trained, not yet measured.
pub(super) fn found(context: &StageContext<'_>, dataset: &Dataset) -> Result<Vec<Candidate>, StageError> {
    let Some((_, Committed::Branches(branches))) = flow::result_of(context.assignment, "train") else {
        return Err(permanent(
            "there is no train step with branches before this one: evaluate chooses among its candidates",
        ));
    };
    let candidates: Vec<Candidate> = branches
        .keys()
        .map(|ordinal| {
            let path = flow::branch_input(context, "train", *ordinal, TRAINING)?;
            Ok(Candidate {
                ordinal: *ordinal,
                record: flow::read_json(&path)?,
                validation: Metrics::new(),
                test: Metrics::new(),
                intervals: BTreeMap::new(),
                values: Vec::new(),
            })
        })
        .collect::<Result<_, StageError>>()?;
    if candidates.is_empty() {
        return Err(permanent(format!(
            "no candidate for {:?} was trained: see the errors of step train",
            dataset.label
        )));
    }
    Ok(candidates)
}

impl Candidate {
    pub(super) fn name(&self) -> &str {
        &self.record.name
    }

    /// Predicts a split and measures that. Intervals and predictions are kept of test only.
    pub(super) fn measure(
        &mut self,
        context: &StageContext<'_>,
        rows: &Rows,
        seed: u64,
    ) -> Result<(), StageError> {
        let path = flow::branch_input(context, "train", self.ordinal, MODEL)?;
        let bytes = std::fs::read(&path).map_err(|e| transient(format!("cannot read {MODEL}: {e}")))?;
        let who = format!("candidate {}", self.name());
        let failed = |e| permanent(format!("{who}: {e}"));
        let model = Model::from_bytes(&bytes).map_err(failed)?;
        if model.task() != rows.task {
            return Err(permanent(format!("{who}: its model is for another task")));
        }
        let values = model.predict(&rows.features).map_err(failed)?.values;
        let judged = rows.judge(&values, &who)?;
        match rows.split {
            Split::Test => {
                self.test = judged.values();
                self.intervals = judged.intervals(seed);
                drop(judged);
                self.values = values;
            }
            Split::Train | Split::Validation => self.validation = judged.values(),
        }
        Ok(())
    }

    /// A metric on validation.
    pub(super) fn on_validation(&self, metric: &Metric) -> Option<f64> {
        self.validation.get(metric.name).copied().flatten()
    }

    /// A metric on test.
    pub(super) fn on_test(&self, metric: &str) -> Option<f64> {
        self.test.get(metric).copied().flatten()
    }

    /// Fewer is simpler, and simpler is preferred among equals.
    fn complexity(&self) -> u8 {
        match self.record.kind.as_str() {
            "linear" => 0,
            "boosting" => 1,
            _ => 2,
        }
    }
}

/// The best on validation; among equals the simpler kind, then the lower ordinal.
pub(super) fn winner(
    candidates: &[Candidate],
    metric: &Metric,
    validation: &Rows,
) -> Result<usize, StageError> {
    let better = |a: (f64, &Candidate), b: (f64, &Candidate)| {
        metric
            .advantage(b.0, a.0)
            .total_cmp(&0.0)
            .then(a.1.complexity().cmp(&b.1.complexity()))
            .then(a.1.ordinal.cmp(&b.1.ordinal))
    };
    candidates
        .iter()
        .enumerate()
        .filter_map(|(at, candidate)| Some((at, candidate.on_validation(metric)?, candidate)))
        .min_by(|a, b| better((a.1, a.2), (b.1, b.2)))
        .map(|(at, ..)| at)
        .ok_or_else(|| {
            permanent(format!(
                "{} is not defined on the {} rows of validation for any candidate, so nothing can be chosen by it \
                 (do they hold one class only?): give validation more rows, split them otherwise, or choose by \
                 another `metric` in [evaluate]",
                metric.name,
                validation.target.len()
            ))
        })
}
