//! Metrics of two classes.

use super::ratio;

/// Probabilities nearer than this to 0 or 1 count as this far away in the log loss, or one sure mistake would make it
/// infinite.
pub(super) const LEAST_PROBABILITY: f64 = 1e-15;

/// Bins of the expected calibration error, and of calibration curves.
pub(super) const CALIBRATION_BINS: usize = 10;

/// Rows of two classes.
#[derive(Debug, Clone)]
pub(super) struct Binary<'a> {
    pub(super) probabilities: &'a [f64],
    pub(super) target: &'a [f32],
    /// Row by row.
    losses: Vec<f64>,
    /// The rows by descending probability.
    pub(super) order: Vec<u32>,
}

/// Counts of two classes, each weighted if rows are.
#[derive(Debug, Clone, Copy, PartialEq, Default, serde::Serialize, serde::Deserialize)]
pub struct Confusion {
    /// Positive, and predicted so.
    pub true_positives: f64,
    /// Negative, but predicted positive.
    pub false_positives: f64,
    /// Negative, and predicted so.
    pub true_negatives: f64,
    /// Positive, but predicted negative.
    pub false_negatives: f64,
}

impl Confusion {
    /// TP / (TP + FP): which share of what was predicted positive is.
    pub fn precision(&self) -> Option<f64> {
        ratio(self.true_positives, self.true_positives + self.false_positives)
    }

    /// TP / (TP + FN): which share of what is positive was predicted so.
    pub fn recall(&self) -> Option<f64> {
        ratio(self.true_positives, self.true_positives + self.false_negatives)
    }

    /// 2 TP / (2 TP + FP + FN), the harmonic mean of both (van Rijsbergen 1979).
    pub fn f1(&self) -> Option<f64> {
        let twice = 2.0 * self.true_positives;
        ratio(twice, twice + self.false_positives + self.false_negatives)
    }

    /// (TP + TN) / all.
    pub fn accuracy(&self) -> Option<f64> {
        ratio(
            self.true_positives + self.true_negatives,
            self.predicted_positives() + self.true_negatives + self.false_negatives,
        )
    }

    /// The correlation of truth and prediction (Matthews 1975). None if only one class is true; 0 if only one is
    /// predicted, which is its limit (Chicco and Jurman, BMC Genomics 21:6, 2020).
    pub fn mcc(&self) -> Option<f64> {
        let (tp, fp) = (self.true_positives, self.false_positives);
        let (tn, fn_) = (self.true_negatives, self.false_negatives);
        let (positives, negatives) = (tp + fn_, tn + fp);
        if positives <= 0.0 || negatives <= 0.0 {
            return None;
        }
        // Root by root: their product may overflow.
        let below = (tp + fp).sqrt() * (tn + fn_).sqrt() * positives.sqrt() * negatives.sqrt();
        Some(if below > 0.0 {
            (tp * tn - fp * fn_) / below
        } else {
            0.0
        })
    }

    /// TP + FP.
    pub fn predicted_positives(&self) -> f64 {
        self.true_positives + self.false_positives
    }
}

impl<'a> Binary<'a> {
    /// Both checked: probabilities, and 0 or 1.
    pub(super) fn new(probabilities: &'a [f64], target: &'a [f32]) -> Self {
        let losses = probabilities
            .iter()
            .zip(target)
            .map(|(p, t)| {
                let right = if *t > 0.5 { *p } else { 1.0 - p };
                -right.max(LEAST_PROBABILITY).ln()
            })
            .collect();
        Self {
            probabilities,
            target,
            losses,
            order: descending(probabilities),
        }
    }

    pub(super) fn is_positive(&self, row: usize) -> bool {
        self.target[row] > 0.5
    }

    /// In the order of [`super::metrics_of`].
    pub(super) fn measure(&self, weights: &[f64]) -> Vec<Option<f64>> {
        let (auc, pr_auc) = self.areas(weights);
        let confusion = self.confusion(weights);
        let (mut total, mut loss, mut square) = (0.0, 0.0, 0.0);
        let mut bins = [(0.0, 0.0); CALIBRATION_BINS];
        for (row, weight) in weights.iter().enumerate() {
            let p = self.probabilities[row];
            let error = p - f64::from(self.target[row]);
            total += weight;
            loss += weight * self.losses[row];
            square += weight * error * error;
            let bin = &mut bins[bin_of(p)];
            *bin = (bin.0 + weight * p, bin.1 + weight * f64::from(self.target[row]));
        }
        let gaps: f64 = bins.iter().map(|(said, true_)| (said - true_).abs()).sum();
        vec![
            auc,
            pr_auc,
            ratio(loss, total),
            ratio(square, total),
            confusion.accuracy(),
            confusion.f1(),
            confusion.precision(),
            confusion.recall(),
            confusion.mcc(),
            ratio(gaps, total),
        ]
    }

    /// Positive is predicted from a probability of 0.5 on.
    pub(super) fn confusion(&self, weights: &[f64]) -> Confusion {
        self.confusion_at(0.5, weights)
    }

    pub(super) fn confusion_at(&self, threshold: f64, weights: &[f64]) -> Confusion {
        let mut found = Confusion::default();
        for (row, weight) in weights.iter().enumerate() {
            let cell = match (self.probabilities[row] >= threshold, self.is_positive(row)) {
                (true, true) => &mut found.true_positives,
                (true, false) => &mut found.false_positives,
                (false, false) => &mut found.true_negatives,
                (false, true) => &mut found.false_negatives,
            };
            *cell += weight;
        }
        found
    }

    /// The area under the ROC curve, ties counting half (the Mann-Whitney statistic: Hanley and McNeil 1982), and the
    /// average precision: the sum over distinct thresholds of (recall gained) x precision, without interpolation
    /// (Davis and Goadrich 2006).
    fn areas(&self, weights: &[f64]) -> (Option<f64>, Option<f64>) {
        let (mut positives, mut negatives) = (0.0, 0.0);
        let (mut pairs, mut precisions) = (0.0, 0.0);
        self.each_threshold(weights, |_, here_positive, here_negative| {
            // A pair is right if its negative is ranked below: all that come later, and half of those here.
            pairs += here_negative * (positives + here_positive / 2.0);
            positives += here_positive;
            negatives += here_negative;
            if here_positive > 0.0 {
                precisions += here_positive * positives / (positives + negatives);
            }
        });
        (ratio(pairs, positives * negatives), ratio(precisions, positives))
    }

    /// By descending probability: each distinct one, with the weight of its positive and of its negative rows.
    pub(super) fn each_threshold(&self, weights: &[f64], mut visit: impl FnMut(f64, f64, f64)) {
        let mut at = 0;
        while at < self.order.len() {
            let probability = self.probabilities[self.order[at] as usize];
            let (mut positive, mut negative) = (0.0, 0.0);
            while let Some(row) = self.order.get(at).map(|row| *row as usize) {
                if self.probabilities[row] != probability {
                    break;
                }
                let side = if self.is_positive(row) {
                    &mut positive
                } else {
                    &mut negative
                };
                *side += weights[row];
                at += 1;
            }
            visit(probability, positive, negative);
        }
    }
}

/// The rows by descending value, equal ones in their order. Rows are counted in 32 bits throughout.
pub(super) fn descending(values: &[f64]) -> Vec<u32> {
    let rows = u32::try_from(values.len()).expect("a split has fewer than 2^32 rows");
    let mut order: Vec<u32> = (0..rows).collect();
    order.sort_by(|a, b| values[*b as usize].total_cmp(&values[*a as usize]));
    order
}

/// The bin of equal width of a probability; 1 belongs to the last.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "probabilities times ten"
)]
pub(super) fn bin_of(probability: f64) -> usize {
    ((probability * CALIBRATION_BINS as f64) as usize).min(CALIBRATION_BINS - 1)
}
