//! Metrics of numbers.

use super::binary::descending;
use super::ratio;

/// Rows with a number each.
#[derive(Debug, Clone)]
pub(super) struct Regression<'a> {
    pub(super) predicted: &'a [f64],
    pub(super) target: &'a [f32],
    /// The rows by descending absolute error.
    order: Vec<u32>,
}

impl<'a> Regression<'a> {
    /// Both checked to be finite.
    pub(super) fn new(predicted: &'a [f64], target: &'a [f32]) -> Self {
        let errors: Vec<f64> = predicted
            .iter()
            .zip(target)
            .map(|(p, t)| (p - f64::from(*t)).abs())
            .collect();
        Self {
            predicted,
            target,
            order: descending(&errors),
        }
    }

    /// In the order of [`super::metrics_of`].
    ///
    /// - RMSE: the root of the mean squared error.
    /// - MAE: the mean absolute error.
    /// - R²: 1 - (squared errors) / (squared distances from the mean); none if all targets are equal.
    /// - Median absolute error: half of the weight has less, half has more.
    /// - MAPE: the mean of |error| / |target| over the rows whose target is not 0; none if there are none.
    pub(super) fn measure(&self, weights: &[f64]) -> Vec<Option<f64>> {
        let (mut total, mut sum) = (0.0, 0.0);
        for (row, weight) in weights.iter().enumerate() {
            total += weight;
            sum += weight * f64::from(self.target[row]);
        }
        let mean = ratio(sum, total).unwrap_or(0.0);
        let (mut absolute, mut square, mut spread) = (0.0, 0.0, 0.0);
        let (mut relative, mut relative_weight) = (0.0, 0.0);
        for (row, weight) in weights.iter().enumerate() {
            let target = f64::from(self.target[row]);
            let error = self.error(row);
            absolute += weight * error;
            square += weight * error * error;
            spread += weight * (target - mean) * (target - mean);
            if target != 0.0 {
                relative += weight * error / target.abs();
                relative_weight += weight;
            }
        }
        vec![
            ratio(square, total).map(f64::sqrt),
            ratio(absolute, total),
            ratio(square, spread).map(|lost| 1.0 - lost),
            self.median_error(weights, total),
            ratio(relative, relative_weight),
        ]
    }

    fn error(&self, row: usize) -> f64 {
        (self.predicted[row] - f64::from(self.target[row])).abs()
    }

    /// The error at which the weight above reaches half; the mean of two if it is half exactly between them.
    fn median_error(&self, weights: &[f64], total: f64) -> Option<f64> {
        let half = total / 2.0;
        let mut above = 0.0;
        let mut at_half = None;
        for row in self.order.iter().map(|row| *row as usize) {
            if weights[row] <= 0.0 {
                continue;
            }
            if let Some(upper) = at_half {
                return Some(f64::midpoint(upper, self.error(row)));
            }
            above += weights[row];
            if above > half {
                return Some(self.error(row));
            }
            if above == half {
                at_half = Some(self.error(row));
            }
        }
        at_half
    }
}
