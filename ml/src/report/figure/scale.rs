//! From values to places, and the values worth naming.

use super::super::number::{grouped, minus};

/// Beyond this a difference of two values may not be finite.
const LARGEST: f64 = 1e300;

/// The least and the largest of what can be drawn.
pub(super) fn extent(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values
        .filter(|v| can_draw(*v))
        .fold(None, |found, v| match found {
            None => Some((v, v)),
            Some((low, high)) => Some((low.min(v), high.max(v))),
        })
}

pub(super) fn can_draw(value: f64) -> bool {
    value.is_finite() && value.abs() < LARGEST
}

/// A range that has a length.
pub(super) fn widened((low, high): (f64, f64)) -> (f64, f64) {
    let (low, high) = if low <= high { (low, high) } else { (high, low) };
    // A range that is only a rounding wide is none.
    if high - low > 1e-12 * low.abs().max(high.abs()) {
        return (low, high);
    }
    let by = if low == 0.0 { 0.5 } else { low.abs() * 0.1 };
    (low - by, high + by)
}

/// A linear way from values to places.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Scale {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Scale {
    /// `range` must be [`widened`].
    pub(super) fn new(range: (f64, f64), from: f64, to: f64) -> Self {
        Self {
            low: range.0,
            high: range.1,
            from,
            to,
        }
    }

    /// A value's place, kept within the figure.
    pub(super) fn at(&self, value: f64) -> f64 {
        let share = ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0);
        self.from + share * (self.to - self.from)
    }

    pub(super) fn range(&self) -> (f64, f64) {
        (self.low, self.high)
    }
}

/// About `wanted` round values within a range, and their texts: multiples of 1, 2 or 5 times a power of ten, so as
/// Heckbert describes it (Nice numbers for graph labels, Graphics Gems, 1990).
pub(super) fn ticks((low, high): (f64, f64), wanted: usize, is_share: bool) -> Vec<(f64, String)> {
    #[expect(clippy::cast_precision_loss, reason = "a handful")]
    let rough = (high - low) / wanted.max(1) as f64;
    let power = 10f64.powf(rough.log10().floor());
    let step = power
        * match rough / power {
            f if f < 1.5 => 1.0,
            f if f < 3.5 => 2.0,
            f if f < 7.5 => 5.0,
            _ => 10.0,
        };
    if !step.is_finite() || step <= 0.0 {
        return Vec::new();
    }
    let first = (low / step - 1e-9).ceil();
    (0..=20)
        .map(|n| (first + f64::from(n)) * step)
        .take_while(|v| *v <= high + step * 1e-9)
        .map(|v| (v, tick_text(v, step, is_share)))
        .collect()
}

fn tick_text(value: f64, step: f64, is_share: bool) -> String {
    let (value, step) = if is_share {
        (value * 100.0, step * 100.0)
    } else {
        (value, step)
    };
    let sign = if is_share { "%" } else { "" };
    let largest = value.abs().max(step);
    if !(1e-5..1e12).contains(&largest) {
        return minus(&format!("{value:.1e}{sign}"));
    }
    let (value, step, unit) = match step {
        s if s >= 1e9 => (value / 1e9, step / 1e9, "G"),
        s if s >= 1e6 => (value / 1e6, step / 1e6, "M"),
        s if s >= 1e3 => (value / 1e3, step / 1e3, "k"),
        _ => (value, step, ""),
    };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to what fits"
    )]
    let decimals = (-(step.log10() + 1e-9).floor()).clamp(0.0, 9.0) as usize;
    let unit = if value == 0.0 { "" } else { unit };
    format!("{}{unit}{sign}", grouped(value, decimals))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(range: (f64, f64), is_share: bool) -> Vec<String> {
        ticks(range, 5, is_share)
            .into_iter()
            .map(|(_, text)| text)
            .collect()
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(
            texts((0.0, 1.0), false),
            ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]
        );
        assert_eq!(
            texts((0.0, 1.0), true),
            ["0%", "20%", "40%", "60%", "80%", "100%"]
        );
        assert_eq!(
            texts((-3.0, 4.0), false),
            ["\u{2212}3", "\u{2212}2", "\u{2212}1", "0", "1", "2", "3", "4"]
        );
        assert_eq!(texts((0.0, 45_000.0), false), ["0", "10k", "20k", "30k", "40k"]);
        assert_eq!(texts((1e-9, 5e-9), false)[0], "1.0e\u{2212}9");
    }

    proptest! {
        #[test]
        fn every_range_has_some_ticks_within_it(low in -1e12..1e12f64, span in 0.0..1e12f64) {
            let range = widened((low, low + span));
            let ticks = ticks(range, 5, false);
            prop_assert!(ticks.len() <= 15, "{ticks:?}");
            let slack = (range.1 - range.0) * 1e-6;
            for (value, _) in &ticks {
                prop_assert!((range.0 - slack..=range.1 + slack).contains(value), "{value} in {range:?}");
            }
        }

        #[test]
        fn every_value_has_a_place(values in proptest::collection::vec(proptest::num::f64::ANY, 0..8)) {
            let Some(range) = extent(values.iter().copied()) else { return Ok(()) };
            let scale = Scale::new(widened(range), 10.0, 20.0);
            for value in values.into_iter().filter(|v| can_draw(*v)) {
                prop_assert!((10.0..=20.0).contains(&scale.at(value)));
            }
        }
    }
}
