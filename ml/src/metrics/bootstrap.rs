//! Confidence intervals of metrics, and of the difference of two models on the same rows.

use std::collections::BTreeMap;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::delong::Placements;
use super::{Interval, Judged, Rows, metrics_of};
use crate::dataset::Task;
use crate::pool;

/// Of the normal distribution: 95 % lie within so many standard deviations.
const Z95: f64 = 1.959_963_984_540_054;

/// How often rows are drawn again.
const RESAMPLES: u64 = 200;

/// Of more rows than these, so many are drawn once, and the interval is narrowed to what all of them give.
const MOST_ROWS: usize = 20_000;

/// Two models on the same rows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The first one's metric.
    pub value: f64,
    /// The second one's metric.
    pub other: f64,
    /// The first one's less the second one's.
    pub difference: f64,
    /// 95 % of the difference; none where it cannot be said.
    pub interval: Option<Interval>,
}

impl Judged<'_> {
    /// 95 % intervals of every metric that these rows define.
    ///
    /// - `auc` by DeLong if rows weigh the same.
    /// - `accuracy` by Wilson (JASA 22:209, 1927), with Kish's effective number of rows if they do not.
    /// - All others by the Poisson bootstrap (Hanley and MacGibbon 2006; Chamandy et al. 2012): 200 times every row
    ///   counts as often as a Poisson number of mean 1 says, and the interval runs from the 2.5th to the 97.5th
    ///   percentile. Of more than 20,000 rows a seeded sample of that size m is drawn once, and deviations from
    ///   its own value are scaled by sqrt(m / n), as the error of a mean is (m out of n: Bickel, Götze, van Zwet 1997).
    ///
    /// `seed` decides what is drawn.
    pub fn intervals(&self, seed: u64) -> BTreeMap<&'static str, Interval> {
        let metrics: Vec<_> = metrics_of(self.task()).collect();
        let values = self.measure(&self.weights);
        let sample = sample_of(self.rows(), seed);
        let scale = sample.scale(self.rows());
        let drawn = self.taken(&sample);
        let drawn = drawn.judged();
        let samples: Vec<Vec<Option<f64>>> =
            resampled(&drawn.weights, seed, |weights| drawn.measure(weights));
        let centre = drawn.measure(&drawn.weights);
        let mut intervals = BTreeMap::new();
        for (at, metric) in metrics.iter().enumerate() {
            let Some(value) = values[at] else { continue };
            let exact = match metric.name {
                "auc" => self.delong(),
                "accuracy" => Some(self.wilson(value)),
                _ => None,
            };
            let found = exact.or_else(|| {
                let deviations = samples
                    .iter()
                    .filter_map(|sample| Some(sample[at]? - centre[at]?))
                    .collect();
                around(value, deviations, scale)
            });
            if let Some(Interval { low, high }) = found {
                let (least, most) = metric.range;
                intervals.insert(
                    metric.name,
                    Interval {
                        low: low.max(least),
                        high: high.min(most),
                    },
                );
            }
        }
        intervals
    }

    /// How this model's metric differs from another's on the same rows, in the same order with the same weights. None
    /// if one of the two does not define it, or they are not of the same rows.
    ///
    /// The interval is of the paired difference: by DeLong for `auc` if rows weigh the same, by the paired Poisson
    /// bootstrap otherwise (see [`Judged::intervals`]).
    pub fn compare(&self, other: &Judged<'_>, metric: &str, seed: u64) -> Option<Comparison> {
        if self.task() != other.task() || self.rows() != other.rows() {
            return None;
        }
        let at = metrics_of(self.task()).position(|m| m.name == metric)?;
        let (value, reference) = (self.value(metric)?, other.value(metric)?);
        let difference = value - reference;
        let exact = match (metric, &self.rows, &other.rows) {
            ("auc", Rows::Binary(a), Rows::Binary(b)) if !self.is_weighted && !other.is_weighted => {
                let (a, b) = (Placements::new(a), Placements::new(b));
                a.zip(b)
                    .map(|(a, b)| normal(difference, a.variance_of_difference(&b)))
            }
            _ => None,
        };
        let interval = exact.or_else(|| {
            let sample = sample_of(self.rows(), seed);
            let scale = sample.scale(self.rows());
            let (ours, others) = (self.taken(&sample), other.taken(&sample));
            let (ours, others) = (ours.judged(), others.judged());
            let gap = |weights: &[f64]| Some(ours.measure(weights)[at]? - others.measure(weights)[at]?);
            let centre = gap(&ours.weights)?;
            let deviations = resampled(&ours.weights, seed, gap);
            let deviations = deviations.into_iter().flatten().map(|g| g - centre).collect();
            around(difference, deviations, scale)
        });
        Some(Comparison {
            value,
            other: reference,
            difference,
            interval,
        })
    }

    fn delong(&self) -> Option<Interval> {
        match &self.rows {
            Rows::Binary(rows) if !self.is_weighted => {
                let placements = Placements::new(rows)?;
                Some(normal(placements.auc, placements.variance()))
            }
            Rows::Binary(_) | Rows::Multiclass(_) | Rows::Regression(_) => None,
        }
    }

    fn wilson(&self, share: f64) -> Interval {
        let (mut sum, mut squares) = (0.0, 0.0);
        for weight in &self.weights {
            sum += weight;
            squares += weight * weight;
        }
        let rows = sum * sum / squares;
        let z2 = Z95 * Z95;
        let centre = (share + z2 / (2.0 * rows)) / (1.0 + z2 / rows);
        let half = Z95 / (1.0 + z2 / rows)
            * (share * (1.0 - share) / rows + z2 / (4.0 * rows * rows))
                .max(0.0)
                .sqrt();
        Interval {
            low: centre - half,
            high: centre + half,
        }
    }
}

fn normal(value: f64, variance: f64) -> Interval {
    let half = Z95 * variance.max(0.0).sqrt();
    Interval {
        low: value - half,
        high: value + half,
    }
}

/// From the percentiles of deviations. None if too many resamples did not define the metric.
fn around(value: f64, mut deviations: Vec<f64>, scale: f64) -> Option<Interval> {
    if (deviations.len() as u64) < RESAMPLES / 2 {
        return None;
    }
    deviations.sort_by(f64::total_cmp);
    let percentile = |share: f64| {
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "at most 200"
        )]
        {
            let at = share * (deviations.len() - 1) as f64;
            let (below, part) = (at.floor() as usize, at.fract());
            let above = (below + 1).min(deviations.len() - 1);
            deviations[below] + part * (deviations[above] - deviations[below])
        }
    };
    Some(Interval {
        low: value + scale * percentile(0.025),
        high: value + scale * percentile(0.975),
    })
}

/// Which rows are drawn from, in their order; none if all are.
struct Sample(Option<Vec<usize>>);

fn sample_of(rows: usize, seed: u64) -> Sample {
    if rows <= MOST_ROWS {
        return Sample(None);
    }
    // The rows with the smallest random numbers: a sample without replacement.
    let mut random = SplitMix64(seed ^ 0x7361_6d70_6c65_0001);
    let mut keys: Vec<(u64, usize)> = (0..rows).map(|row| (random.next(), row)).collect();
    keys.select_nth_unstable(MOST_ROWS);
    let mut sample: Vec<usize> = keys[..MOST_ROWS].iter().map(|(_, row)| *row).collect();
    sample.sort_unstable();
    Sample(Some(sample))
}

impl Sample {
    /// By which deviations are to be scaled.
    fn scale(&self, rows: usize) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "fewer than 2^52 rows")]
        match &self.0 {
            None => 1.0,
            Some(sample) => (sample.len() as f64 / rows as f64).sqrt(),
        }
    }
}

/// Some rows of what was judged.
struct Taken {
    task: Task,
    classes: usize,
    values: Vec<f64>,
    target: Vec<f32>,
    weights: Vec<f64>,
}

impl Taken {
    fn judged(&self) -> Judged<'_> {
        Judged {
            rows: Rows::new(self.task, self.classes, &self.values, &self.target),
            weights: self.weights.clone(),
            is_weighted: true,
        }
    }
}

impl Judged<'_> {
    fn taken(&self, sample: &Sample) -> Taken {
        let (values, target) = self.rows.parts();
        let outputs = values.len() / self.rows();
        let taken = |rows: &mut dyn Iterator<Item = usize>| {
            let (mut some_values, mut some_target, mut weights) = (Vec::new(), Vec::new(), Vec::new());
            for row in rows {
                some_values.extend_from_slice(&values[row * outputs..(row + 1) * outputs]);
                some_target.push(target[row]);
                weights.push(self.weights[row]);
            }
            (some_values, some_target, weights)
        };
        let (values, target, weights) = match &sample.0 {
            None => taken(&mut (0..self.rows())),
            Some(sample) => taken(&mut sample.iter().copied()),
        };
        Taken {
            task: self.task(),
            classes: outputs,
            values,
            target,
            weights,
        }
    }
}

/// What `measure` says of each resample: rows drawn with replacement, as weights. Every resample has random numbers of
/// its own, so that it does not matter which thread draws it.
fn resampled<T: Send>(weights: &[f64], seed: u64, measure: impl Fn(&[f64]) -> T + Sync) -> Vec<T> {
    let resample = |drawn: &mut Vec<f64>, n: u64| {
        let mut random = SplitMix64(seed.wrapping_add(n.wrapping_mul(0xd134_2543_de82_ef95)));
        drawn.clear();
        let counted = |base: &f64| if *base > 0.0 { base * random.poisson() } else { 0.0 };
        drawn.extend(weights.iter().map(counted));
        measure(drawn)
    };
    let on_threads = pool::shared(|| {
        let draws = (0..RESAMPLES).into_par_iter();
        draws.map_init(Vec::new, resample).collect()
    });
    // A machine that cannot start threads is slow, and not wrong.
    on_threads.unwrap_or_else(|_| {
        let mut drawn = Vec::new();
        (0..RESAMPLES).map(|n| resample(&mut drawn, n)).collect()
    })
}

/// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// A Poisson number of mean 1, by inversion.
    fn poisson(&mut self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
        let uniform = (self.next() >> 11) as f64 / (1u64 << 53) as f64;
        let (mut k, mut mass) = (0.0, (-1f64).exp());
        let mut up_to = mass;
        // Beyond 20 the mass is below what 53 bits can tell.
        while uniform >= up_to && k < 20.0 {
            k += 1.0;
            mass /= k;
            up_to += mass;
        }
        k
    }
}
