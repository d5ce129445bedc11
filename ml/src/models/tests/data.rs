//! Data of every task, and what to train on it.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::features::{FeatureColumn, FeatureValues, MISSING};
use crate::models::*;

/// Goes on for so many looks, and then says something else.
pub(in crate::models) struct After(AtomicU32, GoOn);

impl Watch for After {
    fn go_on(&self, fraction: f64) -> GoOn {
        assert!((0.0..=1.0).contains(&fraction), "{fraction}");
        match self.0.load(Ordering::Relaxed) {
            0 => self.1,
            looks => {
                self.0.store(looks - 1, Ordering::Relaxed);
                GoOn::Yes
            }
        }
    }
}

pub(in crate::models) fn always() -> After {
    After(AtomicU32::new(0), GoOn::Yes)
}

pub(in crate::models) fn after(looks: u32, then: GoOn) -> After {
    After(AtomicU32::new(looks), then)
}

/// Numbers from 0 to 1 that look random (Knuth's multiplicative linear congruence).
pub(in crate::models) struct Uniform(pub(in crate::models) u64);

impl Uniform {
    pub(in crate::models) fn next(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }
}

pub(in crate::models) struct Data {
    pub(in crate::models) features: Vec<Feature>,
    pub(in crate::models) table: FeatureTable,
    pub(in crate::models) target: Vec<f32>,
}

impl Data {
    pub(in crate::models) fn examples(&self) -> Examples<'_> {
        Examples {
            features: &self.table,
            target: &self.target,
            weights: None,
        }
    }

    pub(in crate::models) fn weighted<'a>(&'a self, weights: &'a [f32]) -> Examples<'a> {
        Examples {
            weights: Some(weights),
            ..self.examples()
        }
    }

    pub(in crate::models) fn problem(&self, task: Task) -> Problem<'_> {
        Problem {
            task,
            classes: match task {
                Task::Regression => 0,
                Task::Binary => 2,
                Task::Multiclass => 3,
            },
            features: &self.features,
            seed: 7,
            threads: 2,
        }
    }
}

/// Two numbers, one of them often missing, and a category of five levels; the target depends on all of them.
pub(in crate::models) fn data(task: Task, rows: usize, seed: u64) -> Data {
    let mut uniform = Uniform(seed);
    for _ in 0..10 {
        uniform.next();
    }
    let (mut a, mut b, mut c, mut target) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rows {
        let (x, z) = (uniform.next() * 2.0 - 1.0, uniform.next() * 2.0 - 1.0);
        let level = (uniform.next() * 6.0) as u32;
        let of_level = [0.0, 1.5, -1.0, 0.5, -2.0, 0.3][level as usize];
        let margin = 2.0 * x - z + of_level;
        target.push(match task {
            Task::Regression => margin as f32 + (uniform.next() as f32 - 0.5) * 0.2,
            Task::Binary => f32::from(u8::from(sigmoid(margin) > uniform.next())),
            Task::Multiclass => {
                let mut shares = [0.0, margin, -margin - x];
                softmax(&mut shares);
                let u = uniform.next();
                if u < shares[0] {
                    0.0
                } else if u < shares[0] + shares[1] {
                    1.0
                } else {
                    2.0
                }
            }
        });
        a.push(x as f32);
        b.push(if uniform.next() < 0.2 { f32::NAN } else { z as f32 });
        c.push(if level == 5 { MISSING } else { level });
    }
    let number = |name: &str, indicator| Feature {
        name: name.into(),
        column: name.into(),
        values: FeatureValues::Numeric {
            fill: 0.1,
            center: 0.05,
            scale: 0.6,
            indicator,
        },
    };
    Data {
        features: vec![
            number("a", false),
            number("b", true),
            Feature {
                name: "c".into(),
                column: "c".into(),
                values: FeatureValues::Category {
                    levels: (0..5).map(|level| format!("level {level}")).collect(),
                    other: None,
                    indicator: true,
                },
            },
        ],
        table: FeatureTable {
            rows,
            columns: vec![
                FeatureColumn::Numeric(a),
                FeatureColumn::Numeric(b),
                FeatureColumn::Category(c),
            ],
        },
        target,
    }
}

/// A regression whose numbers lie around `far`.
pub(in crate::models) fn shifted(far: f32) -> Data {
    let mut train = data(Task::Regression, 2_000, 4);
    train.target.iter_mut().for_each(|y| *y += far);
    train
}

pub(in crate::models) const TASKS: [Task; 3] = [Task::Binary, Task::Multiclass, Task::Regression];

pub(in crate::models) fn boosting() -> Hyperparameters {
    Hyperparameters::Boosting {
        rounds: 30,
        learning_rate: 0.2,
        max_leaves: 15,
        max_depth: 0,
        min_child_weight: 1.0,
        l2: 1.0,
        subsample: 0.8,
        feature_fraction: 1.0,
        early_stopping: 0,
    }
}

pub(in crate::models) fn forest() -> Hyperparameters {
    Hyperparameters::Forest {
        trees: 12,
        max_depth: 6,
        subsample: 0.8,
        feature_fraction: 0.7,
    }
}

pub(in crate::models) fn linear() -> Hyperparameters {
    Hyperparameters::Linear {
        l2: 1.0,
        max_iterations: 200,
    }
}

pub(in crate::models) const ALL: [fn() -> Hyperparameters; 3] = [linear, boosting, forest];

pub(in crate::models) fn trained(
    told: &Hyperparameters,
    problem: &Problem<'_>,
    examples: Examples<'_>,
) -> Model {
    crate::models::train(told, problem, examples, None, &always())
        .expect("trains")
        .model
}

/// Mean log loss of the true class, or mean squared error.
pub(in crate::models) fn loss(model: &Model, data: &Data) -> f64 {
    let predicted = model.predict(&data.table).expect("predicts");
    let sum: f64 = data
        .target
        .iter()
        .enumerate()
        .map(|(row, y)| match (model.task(), predicted.row(row)) {
            (Task::Regression, [value]) => (value - f64::from(*y)).powi(2),
            (Task::Binary, [p]) => -if *y == 1.0 { p.ln() } else { (1.0 - p).ln() },
            (_, shares) => -shares[*y as usize].ln(),
        })
        .sum();
    sum / data.target.len() as f64
}
