//! How linear models see a number: filled, centred and scaled by what train has.

use super::FeatureValues;
use super::settings::{Imputation, Scaling};

/// How linear models see a number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct LinearView {
    /// Stands for a missing number.
    pub(super) fill: f32,
    /// Is subtracted.
    pub(super) center: f32,
    /// Divides; never 0.
    pub(super) scale: f32,
    /// Whether there is a column that is 1 where the number is missing.
    pub(super) indicator: bool,
}

impl LinearView {
    /// As they are.
    pub(super) const PLAIN: Self = Self {
        fill: 0.0,
        center: 0.0,
        scale: 1.0,
        indicator: false,
    };

    /// Fitted on train's values: filled first, then scaled, as scikit-learn's `SimpleImputer` and `StandardScaler` or
    /// `MinMaxScaler` in a row do. What does not vary is only centred.
    pub(super) fn fit(values: &[f32], impute: Imputation, scale: Scaling, indicator: bool) -> Self {
        let missing = values.iter().filter(|v| v.is_nan()).count();
        let fill = match impute {
            Imputation::Zero => 0.0,
            Imputation::Mean => narrow(mean(values.iter().copied().filter(|v| !v.is_nan()))),
            Imputation::Median => median(values),
        };
        let filled = || values.iter().map(|v| if v.is_nan() { fill } else { *v });
        let (center, spread) = match scale {
            Scaling::None => (0.0, 1.0),
            Scaling::Standard => {
                let mean = mean(filled());
                (mean, variance(filled(), mean).sqrt())
            }
            Scaling::Minmax => {
                let (low, high) = filled().fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), v| {
                    (low.min(v), high.max(v))
                });
                (f64::from(low), f64::from(high) - f64::from(low))
            }
        };
        // What varies only by rounding is taken for constant.
        let varies = spread > f64::from(f32::EPSILON) * center.abs() * 1e-3 && narrow(spread).is_normal();
        Self {
            fill,
            center: narrow(center),
            scale: if varies { narrow(spread) } else { 1.0 },
            indicator: indicator && missing > 0,
        }
    }

    pub(super) fn values(self) -> FeatureValues {
        FeatureValues::Numeric {
            fill: self.fill,
            center: self.center,
            scale: self.scale,
            indicator: self.indicator,
        }
    }

    /// True if all its numbers can be worked with.
    pub(super) fn is_sound(self) -> bool {
        self.fill.is_finite() && self.center.is_finite() && self.scale.is_normal()
    }
}

/// Statistics of `f32` values are within their range; only the spread of the very widest is not.
#[expect(clippy::cast_possible_truncation, reason = "clamped to what fits")]
fn narrow(value: f64) -> f32 {
    value.clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32
}

/// 0 of nothing.
#[expect(clippy::cast_precision_loss, reason = "there are fewer than 2^53 rows")]
fn mean(values: impl Iterator<Item = f32>) -> f64 {
    let (mut sum, mut n) = (0.0, 0u64);
    for value in values {
        sum += f64::from(value);
        n += 1;
    }
    sum / n.max(1) as f64
}

/// Of the population, as `StandardScaler` has it.
#[expect(clippy::cast_precision_loss, reason = "there are fewer than 2^53 rows")]
fn variance(values: impl Iterator<Item = f32>, mean: f64) -> f64 {
    let (mut sum, mut n) = (0.0, 0u64);
    for value in values {
        sum += (f64::from(value) - mean).powi(2);
        n += 1;
    }
    sum / n.max(1) as f64
}

/// 0 of nothing; between the two in the middle of an even number.
fn median(values: &[f32]) -> f32 {
    let mut known: Vec<f32> = values.iter().copied().filter(|v| !v.is_nan()).collect();
    if known.is_empty() {
        return 0.0;
    }
    let middle = known.len() / 2;
    let even = known.len().is_multiple_of(2);
    let (below, upper, _) = known.select_nth_unstable_by(middle, f32::total_cmp);
    match below.iter().copied().max_by(f32::total_cmp) {
        Some(lower) if even => narrow(f64::midpoint(f64::from(lower), f64::from(*upper))),
        _ => *upper,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOME: [f32; 5] = [4.0, f32::NAN, 1.0, 2.0, 9.0];

    #[test]
    fn fills_first_and_then_scales() {
        // Filled with the median 3: mean 3.8, population standard deviation √7.76.
        let view = LinearView::fit(&SOME, Imputation::Median, Scaling::Standard, true);
        assert_eq!((view.fill, view.center, view.indicator), (3.0, 3.8, true));
        assert!((view.scale - 2.785_678).abs() < 1e-6, "{view:?}");
        let view = LinearView::fit(&SOME, Imputation::Mean, Scaling::None, false);
        assert_eq!((view.fill, view.center, view.scale), (4.0, 0.0, 1.0));
        assert!(!view.indicator);
        let view = LinearView::fit(&SOME, Imputation::Zero, Scaling::Minmax, true);
        assert_eq!((view.fill, view.center, view.scale), (0.0, 0.0, 9.0));
        let whole = LinearView::fit(&SOME[2..], Imputation::Median, Scaling::Minmax, true);
        assert_eq!((whole.fill, whole.center, whole.scale), (2.0, 1.0, 8.0));
        assert!(!whole.indicator, "nothing was missing");
    }

    #[test]
    fn what_does_not_vary_is_only_centred() {
        for scale in [Scaling::Standard, Scaling::Minmax] {
            let view = LinearView::fit(&[0.1; 1_000], Imputation::Median, scale, true);
            assert_eq!((view.scale, view.is_sound()), (1.0, true), "{scale:?}");
        }
    }

    #[test]
    fn the_widest_and_the_narrowest_stay_sound() {
        for values in [
            [f32::MIN, f32::MAX],
            [f32::from_bits(1), 0.0],
            [f32::NAN, f32::NAN],
        ] {
            for scale in [Scaling::Standard, Scaling::Minmax, Scaling::None] {
                for impute in [Imputation::Median, Imputation::Mean, Imputation::Zero] {
                    let view = LinearView::fit(&values, impute, scale, true);
                    assert!(view.is_sound(), "{view:?}");
                }
            }
        }
    }
}
