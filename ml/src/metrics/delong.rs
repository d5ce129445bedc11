//! The variance of an AUC, and of the difference of two on the same rows: DeLong, DeLong and Clarke-Pearson
//! (Biometrics 44:837, 1988), by midranks (Sun and Xu, IEEE Signal Processing Letters 21:1389, 2014). For rows that
//! all weigh the same.

use super::binary::Binary;

/// An AUC as a mean of placements, one for each row of either class.
pub(super) struct Placements {
    /// The AUC itself.
    pub(super) auc: f64,
    /// By positive row, in their order: which share of the negatives is ranked below it.
    positive: Vec<f64>,
    /// By negative row, in their order: which share of the positives is ranked above it.
    negative: Vec<f64>,
}

impl Placements {
    /// None unless both classes have at least two rows.
    pub(super) fn new(rows: &Binary<'_>) -> Option<Self> {
        let all: Vec<usize> = (0..rows.target.len()).collect();
        let (positives, negatives): (Vec<usize>, Vec<usize>) =
            all.iter().partition(|row| rows.is_positive(**row));
        if positives.len() < 2 || negatives.len() < 2 {
            return None;
        }
        let (m, n) = (count(positives.len()), count(negatives.len()));
        // By row: how much of either class is ranked below, ties counting half.
        let mut below = vec![(0.0, 0.0); rows.target.len()];
        let (mut seen_positive, mut seen_negative) = (0.0, 0.0);
        let mut end = rows.order.len();
        while end > 0 {
            let probability = rows.probabilities[rows.order[end - 1] as usize];
            let start = rows.order[..end]
                .iter()
                .rposition(|row| rows.probabilities[*row as usize] != probability)
                .map_or(0, |before| before + 1);
            let tied = &rows.order[start..end];
            let here = count(tied.iter().filter(|row| rows.is_positive(**row as usize)).count());
            let others = count(tied.len()) - here;
            for row in tied {
                below[*row as usize] = (seen_positive + here / 2.0, seen_negative + others / 2.0);
            }
            seen_positive += here;
            seen_negative += others;
            end = start;
        }
        let positive: Vec<f64> = positives.iter().map(|row| below[*row].1 / n).collect();
        let negative: Vec<f64> = negatives.iter().map(|row| 1.0 - below[*row].0 / m).collect();
        Some(Self {
            auc: mean(&positive),
            positive,
            negative,
        })
    }

    /// The AUC's variance.
    pub(super) fn variance(&self) -> f64 {
        covariance(&self.positive, &self.positive) / count(self.positive.len())
            + covariance(&self.negative, &self.negative) / count(self.negative.len())
    }

    /// The variance of the difference from another model's AUC on the same rows.
    pub(super) fn variance_of_difference(&self, other: &Self) -> f64 {
        let shared = covariance(&self.positive, &other.positive) / count(self.positive.len())
            + covariance(&self.negative, &other.negative) / count(self.negative.len());
        (self.variance() + other.variance() - 2.0 * shared).max(0.0)
    }
}

#[expect(clippy::cast_precision_loss, reason = "fewer than 2^52 rows")]
fn count(rows: usize) -> f64 {
    rows as f64
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / count(values.len())
}

fn covariance(a: &[f64], b: &[f64]) -> f64 {
    let (mean_a, mean_b) = (mean(a), mean(b));
    let sum: f64 = a.iter().zip(b).map(|(x, y)| (x - mean_a) * (y - mean_b)).sum();
    sum / (count(a.len()) - 1.0)
}
