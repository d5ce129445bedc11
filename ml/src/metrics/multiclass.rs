//! Metrics of several classes.

use serde::{Deserialize, Serialize};

use super::binary::{Binary, LEAST_PROBABILITY};
use super::ratio;

/// Rows of several classes.
#[derive(Debug, Clone)]
pub(super) struct Multiclass<'a> {
    pub(super) probabilities: &'a [f64],
    pub(super) target: &'a [f32],
    classes: usize,
    /// Row by row: the true class, and the most probable one.
    pairs: Vec<(u32, u32)>,
    losses: Vec<f64>,
}

/// How well one class is told from all others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassFigures {
    /// Which share of what was predicted so is.
    pub precision: Option<f64>,
    /// Which share of what is so was predicted.
    pub recall: Option<f64>,
    /// The harmonic mean of both.
    pub f1: Option<f64>,
    /// The area under the ROC curve, this class against all others.
    pub auc: Option<f64>,
    /// The (weighted) rows that are so.
    pub support: f64,
}

impl<'a> Multiclass<'a> {
    /// Both checked: probabilities row by row, and indices of classes.
    pub(super) fn new(probabilities: &'a [f64], target: &'a [f32], classes: usize) -> Self {
        let (pairs, losses) = target
            .iter()
            .zip(probabilities.chunks_exact(classes))
            .map(|(class, row)| {
                let class = index(*class);
                let loss = -row[class as usize].clamp(LEAST_PROBABILITY, 1.0).ln();
                ((class, most_probable(row)), loss)
            })
            .unzip();
        Self {
            probabilities,
            target,
            classes,
            pairs,
            losses,
        }
    }

    /// In the order of [`super::metrics_of`]: log loss, accuracy, macro F1, balanced accuracy.
    ///
    /// Macro F1 is the mean over the classes that are true or predicted somewhere; balanced accuracy is the mean recall
    /// over those that are true somewhere (Brodersen et al. 2010).
    pub(super) fn measure(&self, weights: &[f64]) -> Vec<Option<f64>> {
        let matrix = self.confusion(weights);
        let (mut total, mut loss) = (0.0, 0.0);
        for (weight, row_loss) in weights.iter().zip(&self.losses) {
            total += weight;
            loss += weight * row_loss;
        }
        let (mut right, mut f1, mut recall) = (0.0, Mean::default(), Mean::default());
        for class in 0..self.classes {
            let hits = matrix[class][class];
            let is: f64 = matrix[class].iter().sum();
            let said: f64 = matrix.iter().map(|row| row[class]).sum();
            right += hits;
            f1.add(ratio(2.0 * hits, is + said));
            recall.add(ratio(hits, is));
        }
        vec![
            ratio(loss, total),
            ratio(right, total),
            f1.value(),
            recall.value(),
        ]
    }

    /// By true class, then predicted class.
    pub(super) fn confusion(&self, weights: &[f64]) -> Vec<Vec<f64>> {
        let mut matrix = vec![vec![0.0; self.classes]; self.classes];
        for ((is, said), weight) in self.pairs.iter().zip(weights) {
            matrix[*is as usize][*said as usize] += weight;
        }
        matrix
    }

    pub(super) fn class_figures(&self, weights: &[f64]) -> Vec<ClassFigures> {
        let matrix = self.confusion(weights);
        (0..self.classes)
            .map(|class| {
                let hits = matrix[class][class];
                let is: f64 = matrix[class].iter().sum();
                let said: f64 = matrix.iter().map(|row| row[class]).sum();
                let (probabilities, target) = self.against_others(class);
                let auc = Binary::new(&probabilities, &target).measure(weights)[0];
                ClassFigures {
                    precision: ratio(hits, said),
                    recall: ratio(hits, is),
                    f1: ratio(2.0 * hits, is + said),
                    auc,
                    support: is,
                }
            })
            .collect()
    }

    /// One class as the positive one of two.
    pub(super) fn against_others(&self, class: usize) -> (Vec<f64>, Vec<f32>) {
        let probabilities = self
            .probabilities
            .iter()
            .skip(class)
            .step_by(self.classes)
            .copied();
        let target = self.pairs.iter().map(|(is, _)| f32::from(*is as usize == class));
        (probabilities.collect(), target.collect())
    }

    pub(super) fn classes(&self) -> usize {
        self.classes
    }
}

#[derive(Default)]
struct Mean {
    sum: f64,
    values: u32,
}

impl Mean {
    fn add(&mut self, value: Option<f64>) {
        if let Some(value) = value {
            self.sum += value;
            self.values += 1;
        }
    }

    fn value(&self) -> Option<f64> {
        ratio(self.sum, f64::from(self.values))
    }
}

/// The first of the largest.
fn most_probable(row: &[f64]) -> u32 {
    let mut best = (0, f64::NEG_INFINITY);
    for (class, p) in (0..).zip(row) {
        if *p > best.1 {
            best = (class, *p);
        }
    }
    best.0
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked to be the index of a class"
)]
fn index(target: f32) -> u32 {
    target as u32
}
