//! Curves: ROC, precision and recall, calibration, thresholds, residuals.

use serde::{Deserialize, Serialize};

use super::binary::{Binary, CALIBRATION_BINS, bin_of};
use super::thin::thinned;
use super::{Confusion, Judged, Rows, ratio};

/// The most points of a curve.
const MOST_POINTS: usize = 200;

/// The most points of a cloud.
const MOST_PAIRS: usize = 800;

/// Bins of a histogram of residuals.
const RESIDUAL_BINS: usize = 40;

/// One point of a ROC curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RocPoint {
    /// Which share of the negatives is predicted positive.
    pub false_positive_rate: f64,
    /// Which share of the positives is.
    pub true_positive_rate: f64,
    /// From which probability on; none for the first point, at which nothing is.
    pub threshold: Option<f64>,
}

/// One point of a curve of precision and recall.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PrPoint {
    /// Which share of the positives is predicted positive.
    pub recall: f64,
    /// Which share of what is predicted positive is.
    pub precision: f64,
    /// From which probability on.
    pub threshold: f64,
}

/// Rows whose predicted probability lies between two values.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CalibrationBin {
    /// From this probability on.
    pub from: f64,
    /// Up to this one.
    pub to: f64,
    /// The (weighted) rows.
    pub rows: f64,
    /// Their mean probability.
    pub predicted: f64,
    /// The share of positives among them.
    pub observed: f64,
}

/// What a threshold makes of probabilities.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ThresholdRow {
    /// From this probability on, positive is predicted.
    pub threshold: f64,
    /// Which share of all rows is predicted positive.
    pub predicted_positive: f64,
    /// Which share of those is.
    pub precision: Option<f64>,
    /// Which share of the positives is among them.
    pub recall: Option<f64>,
    /// The harmonic mean of both.
    pub f1: Option<f64>,
    /// The counts.
    pub confusion: Confusion,
}

/// How far numbers were missed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Residuals {
    /// Edges of the bins of actual - predicted; what lies beyond is in the outermost.
    pub edges: Vec<f64>,
    /// The (weighted) rows of each bin.
    pub counts: Vec<f64>,
    /// Predicted and actual of some rows, evenly spread over all.
    pub pairs: Vec<(f64, f64)>,
}

impl Judged<'_> {
    /// The ROC curve with at most 200 points; none for other tasks or if there is only one class.
    pub fn roc(&self) -> Option<Vec<RocPoint>> {
        self.binary().and_then(|rows| roc(rows, &self.weights))
    }

    /// Of multiclass: each class' ROC curve against all others, by class.
    pub fn roc_by_class(&self) -> Option<Vec<Option<Vec<RocPoint>>>> {
        let Rows::Multiclass(rows) = &self.rows else {
            return None;
        };
        let curve = |class| {
            let (probabilities, target) = rows.against_others(class);
            roc(&Binary::new(&probabilities, &target), &self.weights)
        };
        Some((0..rows.classes()).map(curve).collect())
    }

    /// Precision and recall with at most 200 points; none for other tasks or without a positive row.
    pub fn precision_recall(&self) -> Option<Vec<PrPoint>> {
        let rows = self.binary()?;
        let mut points = Vec::new();
        let (mut hits, mut said) = (0.0, 0.0);
        rows.each_threshold(&self.weights, |threshold, positive, negative| {
            hits += positive;
            said += positive + negative;
            if said > 0.0 {
                points.push(PrPoint {
                    recall: hits,
                    precision: hits / said,
                    threshold,
                });
            }
        });
        if hits <= 0.0 {
            return None;
        }
        for point in &mut points {
            point.recall /= hits;
        }
        let plane: Vec<(f64, f64)> = points.iter().map(|p| (p.recall, p.precision)).collect();
        Some(
            thinned(&plane, MOST_POINTS)
                .into_iter()
                .map(|at| points[at])
                .collect(),
        )
    }

    /// Ten bins of equal width; those without rows are left out. None for other tasks.
    pub fn calibration(&self) -> Option<Vec<CalibrationBin>> {
        let rows = self.binary()?;
        let mut bins = [(0.0, 0.0, 0.0); CALIBRATION_BINS];
        for (row, weight) in self.weights.iter().enumerate() {
            let p = rows.probabilities[row];
            let bin = &mut bins[bin_of(p)];
            bin.0 += weight;
            bin.1 += weight * p;
            bin.2 += weight * f64::from(rows.target[row]);
        }
        #[expect(clippy::cast_precision_loss, reason = "ten bins")]
        let edge = |bin: usize| bin as f64 / CALIBRATION_BINS as f64;
        let filled = bins.iter().enumerate().filter(|(_, bin)| bin.0 > 0.0);
        Some(
            filled
                .map(|(at, (rows, predicted, observed))| CalibrationBin {
                    from: edge(at),
                    to: edge(at + 1),
                    rows: *rows,
                    predicted: predicted / rows,
                    observed: observed / rows,
                })
                .collect(),
        )
    }

    /// What the thresholds 0.05 to 0.95 make of the probabilities; none for other tasks.
    pub fn thresholds(&self) -> Option<Vec<ThresholdRow>> {
        let rows = self.binary()?;
        let total: f64 = self.weights.iter().sum();
        let row = |twentieths: u32| {
            let threshold = f64::from(twentieths) / 20.0;
            let confusion = rows.confusion_at(threshold, &self.weights);
            ThresholdRow {
                threshold,
                predicted_positive: ratio(confusion.predicted_positives(), total).unwrap_or(0.0),
                precision: confusion.precision(),
                recall: confusion.recall(),
                f1: confusion.f1(),
                confusion,
            }
        };
        Some((1..20).map(row).collect())
    }

    /// How far numbers were missed; none for other tasks.
    pub fn residuals(&self) -> Option<Residuals> {
        let Rows::Regression(rows) = &self.rows else {
            return None;
        };
        let pair = |row: usize| (rows.predicted[row], f64::from(rows.target[row]));
        let residuals: Vec<f64> = (0..self.rows())
            .map(|row| {
                let (predicted, actual) = pair(row);
                actual - predicted
            })
            .collect();
        let edges = edges_of(&residuals);
        let (low, high) = (edges[0], edges[RESIDUAL_BINS]);
        let mut counts = vec![0.0; RESIDUAL_BINS];
        for (residual, weight) in residuals.iter().zip(&self.weights) {
            let share = ((residual - low) / (high - low)).clamp(0.0, 1.0);
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_precision_loss,
                reason = "a share of the bins"
            )]
            let bin = ((share * RESIDUAL_BINS as f64) as usize).min(RESIDUAL_BINS - 1);
            counts[bin] += weight;
        }
        let step = self.rows().div_ceil(MOST_PAIRS).max(1);
        Some(Residuals {
            edges,
            counts,
            pairs: (0..self.rows()).step_by(step).map(pair).collect(),
        })
    }

    fn binary(&self) -> Option<&Binary<'_>> {
        match &self.rows {
            Rows::Binary(rows) => Some(rows),
            Rows::Multiclass(_) | Rows::Regression(_) => None,
        }
    }
}

fn roc(rows: &Binary<'_>, weights: &[f64]) -> Option<Vec<RocPoint>> {
    let mut points = vec![(0.0, 0.0, None)];
    let (mut positives, mut negatives) = (0.0, 0.0);
    rows.each_threshold(weights, |threshold, positive, negative| {
        positives += positive;
        negatives += negative;
        points.push((negatives, positives, Some(threshold)));
    });
    if positives <= 0.0 || negatives <= 0.0 {
        return None;
    }
    let plane: Vec<(f64, f64)> = points
        .iter()
        .map(|(n, p, _)| (n / negatives, p / positives))
        .collect();
    let point = |at: usize| RocPoint {
        false_positive_rate: plane[at].0,
        true_positive_rate: plane[at].1,
        threshold: points[at].2,
    };
    Some(thinned(&plane, MOST_POINTS).into_iter().map(point).collect())
}

/// From the 0.5th to the 99.5th percentile, 0 included, in equal steps.
fn edges_of(residuals: &[f64]) -> Vec<f64> {
    let mut sorted = residuals.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len() - 1;
    let cut = last / 200;
    let (mut low, mut high) = (sorted[cut].min(0.0), sorted[last - cut].max(0.0));
    if high - low <= 0.0 {
        (low, high) = (-0.5, 0.5);
    }
    #[expect(clippy::cast_precision_loss, reason = "a few bins")]
    (0..=RESIDUAL_BINS)
        .map(|at| low + (high - low) * at as f64 / RESIDUAL_BINS as f64)
        .collect()
}
